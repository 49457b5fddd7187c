/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/server.h"
#include "control/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ERROR_SERVICE "org.varlink.service."

/* A server with its methods, in this thread: every wait of a client turns the server's loop. */
struct fixture {
	sd_event *event;
	struct control *control;
	struct control_limits limits;
	char directory[64], path[96];
	unsigned echoes, changes, gone;
	struct control_call *pending;
};

static void run_echo(void *userdata, struct control_call *call, json_t *parameters)
{
	struct fixture *f = userdata;
	f->echoes++;
	control_reply(call, json_deep_copy(parameters));
}

static void run_change(void *userdata, struct control_call *call, json_t *parameters)
{
	struct fixture *f = userdata;
	(void)parameters;
	f->changes++;
	control_reply(call, NULL);
}

static void run_big(void *userdata, struct control_call *call, json_t *parameters)
{
	struct fixture *f = userdata;
	char *text = malloc(300001);
	(void)parameters;
	assert_non_null(text);
	memset(text, 'x', 300000);
	text[300000] = '\0';
	f->echoes++;
	control_reply(call, json_pack("{s:s}", "text", text));
	free(text);
}

static void run_fail(void *userdata, struct control_call *call, json_t *parameters)
{
	(void)userdata;
	(void)parameters;
	control_fail(call, "org.spefw.Gateway.Failed", json_pack("{s:s}", "what", "as wanted"));
}

static void run_who(void *userdata, struct control_call *call, json_t *parameters)
{
	struct control_peer peer = control_call_peer(call);
	(void)userdata;
	(void)parameters;
	control_reply(call, json_pack("{s:I, s:I}", "uid", (json_int_t)peer.uid, "pid", (json_int_t)peer.pid));
}

static void count_gone(void *userdata, struct control_call *call)
{
	struct fixture *f = userdata;
	assert_ptr_equal(call, f->pending);
	f->pending = NULL;
	f->gone++;
}

/* Replies when the test wants it. */
static void run_wait(void *userdata, struct control_call *call, json_t *parameters)
{
	struct fixture *f = userdata;
	assert_null(f->pending);
	f->pending = call;
	if (!json_object_get(parameters, "careless"))
		control_on_gone(call, count_gone);
}

static const struct control_method methods[] = {
	{ "org.spefw.Gateway.Echo", false, run_echo },
	{ "org.spefw.Gateway.Change", true, run_change },
	{ "org.spefw.Gateway.Big", false, run_big },
	{ "org.spefw.Gateway.Fail", false, run_fail },
	{ "org.spefw.Gateway.Wait", false, run_wait },
	{ "org.spefw.Gateway.Who", false, run_who },
	{ 0 },
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	snprintf(f->directory, sizeof(f->directory), "/tmp/spefw-test-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof(f->path), "%s/control.sock", f->directory);
	assert_return_code(sd_event_new(&f->event), 0);
	assert_int_equal(control_new(&f->control, f->event, f->path, methods, f), 0);
	f->limits = control_limits_default();
	f->limits.root = geteuid();
	control_set_limits(f->control, &f->limits);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char lock[128];

	control_free(f->control);
	assert_int_equal(access(f->path, F_OK), -1); /* it takes its socket along */
	sd_event_unref(f->event);
	snprintf(lock, sizeof(lock), "%s.lock", f->path);
	unlink(lock);
	assert_int_equal(rmdir(f->directory), 0);
	free(f);
	return 0;
}

static void apply_limits(struct fixture *f)
{
	control_set_limits(f->control, &f->limits);
}

static void be_root(struct fixture *f, bool root)
{
	f->limits.root = root ? geteuid() : geteuid() + 1;
	apply_limits(f);
}

/* Until nothing is left to do. */
static void settle(struct fixture *f)
{
	while (sd_event_run(f->event, 0) > 0)
		;
}

/* How long a test waits for what must come, before it fails. */
static void patience(struct fixture *f, time_t since)
{
	assert_true(time(NULL) - since < 20);
	sd_event_run(f->event, 10000);
}

struct peer {
	int fd;
	struct wire_buffer in;
};

static struct peer peer_new(struct fixture *f)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct peer peer = { .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) };
	time_t since = time(NULL);

	assert_true(peer.fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
	while (connect(peer.fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		assert_int_equal(errno, EAGAIN); /* the backlog is full */
		patience(f, since);
	}
	return peer;
}

static void peer_free(struct peer *peer)
{
	wire_buffer_free(&peer->in);
	close(peer->fd);
}

/* All of it, as far as the server takes it; false where the connection has ended. */
static bool peer_send(struct fixture *f, struct peer *peer, const char *bytes, size_t count)
{
	time_t since = time(NULL);

	while (count) {
		ssize_t n = send(peer->fd, bytes, count, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n > 0) {
			bytes += n;
			count -= (size_t)n;
		} else {
			patience(f, since);
		}
	}
	return true;
}

#define SEND(f, peer, text) assert_true(peer_send(f, peer, text, strlen(text) + 1))
#define CALL(name, more) "{\"method\":\"org.spefw.Gateway." name "\"" more "}"

/* The next message, or NULL at the end of the connection. */
static json_t *peer_receive(struct fixture *f, struct peer *peer)
{
	time_t since = time(NULL);
	json_t *message;
	size_t room;

	for (;;) {
		int r = wire_take(&peer->in, 1 << 24, &message);
		assert_true(r >= 0);
		if (r > 0)
			return message;
		char *at = wire_room(&peer->in, &room);
		ssize_t n = recv(peer->fd, at, room, 0);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return NULL;
		if (n > 0)
			wire_filled(&peer->in, (size_t)n);
		else
			patience(f, since);
	}
}

static void expect_end(struct fixture *f, struct peer *peer)
{
	assert_null(peer_receive(f, peer));
}

static void expect_error(struct fixture *f, struct peer *peer, const char *error, const char *key, const char *value)
{
	json_t *message = peer_receive(f, peer);
	struct wire_reply reply;

	assert_non_null(message);
	assert_int_equal(wire_read_reply(message, &reply), 0);
	assert_non_null(reply.error);
	assert_string_equal(reply.error, error);
	if (key)
		assert_string_equal(json_string_value(json_object_get(reply.parameters, key)), value);
	json_decref(message);
}

static void expect_reply(struct fixture *f, struct peer *peer, const char *parameters, bool continues)
{
	json_t *message = peer_receive(f, peer);
	json_t *expected = json_loads(parameters, 0, NULL);
	struct wire_reply reply;

	assert_non_null(message);
	assert_int_equal(wire_read_reply(message, &reply), 0);
	assert_null(reply.error);
	if (reply.parameters)
		assert_true(json_equal(reply.parameters, expected));
	else
		assert_int_equal(json_object_size(expected), 0);
	assert_int_equal(reply.continues, continues);
	json_decref(message);
	json_decref(expected);
}

static void test_a_call(void **state)
{
	struct fixture *f = *state;
	struct peer peer = peer_new(f);

	SEND(f, &peer, CALL("Echo", ",\"parameters\":{\"x\":\"y\"}"));
	expect_reply(f, &peer, "{\"x\":\"y\"}", false);
	SEND(f, &peer, CALL("Echo", "")); /* without parameters: an empty object */
	expect_reply(f, &peer, "{}", false);
	SEND(f, &peer, CALL("Fail", ""));
	expect_error(f, &peer, "org.spefw.Gateway.Failed", "what", "as wanted");
	assert_int_equal(control_clients(f->control), 1);
	peer_free(&peer);
	settle(f);
	assert_int_equal(control_clients(f->control), 0);
}

static void test_standard_service(void **state)
{
	struct fixture *f = *state;
	struct peer peer = peer_new(f);

	SEND(f, &peer, "{\"method\":\"org.varlink.service.GetInfo\"}");
	json_t *message = peer_receive(f, &peer);
	json_t *info = json_object_get(message, "parameters");
	assert_string_equal(json_string_value(json_object_get(info, "product")), "spefwd");
	assert_string_equal(json_string_value(json_array_get(json_object_get(info, "interfaces"), 1)),
			    "org.spefw.Gateway");
	json_decref(message);

	SEND(f, &peer,
	     "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":\"org.spefw."
	     "Gateway\"}}");
	message = peer_receive(f, &peer);
	const char *text = json_string_value(json_object_get(json_object_get(message, "parameters"), "description"));
	assert_non_null(text);
	assert_non_null(strstr(text, "interface org.spefw.Gateway\n"));
	assert_non_null(strstr(text, "\nmethod Status() -> ("));
	assert_non_null(strstr(text, "\"FILE:LINE: what is wrong")); /* quotes survive the embedding */
	json_decref(message);

	SEND(f, &peer, "{\"method\":\"org.varlink.service.GetInterfaceDescription\"}");
	expect_error(f, &peer, ERROR_SERVICE "InvalidParameter", "parameter", "interface");
	SEND(f, &peer,
	     "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":\"a.b\"}}");
	expect_error(f, &peer, ERROR_SERVICE "InterfaceNotFound", "interface", "a.b");
	peer_free(&peer);
}

static void test_unknown_methods(void **state)
{
	struct fixture *f = *state;
	struct peer peer = peer_new(f);

	SEND(f, &peer, CALL("Nothing", ""));
	expect_error(f, &peer, ERROR_SERVICE "MethodNotFound", "method", "org.spefw.Gateway.Nothing");
	SEND(f, &peer, "{\"method\":\"org.varlink.service.Nothing\"}");
	expect_error(f, &peer, ERROR_SERVICE "MethodNotFound", "method", "org.varlink.service.Nothing");
	SEND(f, &peer, "{\"method\":\"com.example.Nothing\"}");
	expect_error(f, &peer, ERROR_SERVICE "InterfaceNotFound", "interface", "com.example");
	SEND(f, &peer, "{\"method\":\"nothing\"}");
	expect_error(f, &peer, ERROR_SERVICE "InvalidParameter", "parameter", "method");
	SEND(f, &peer, CALL("Echo", ",\"upgrade\":true"));
	expect_error(f, &peer, ERROR_SERVICE "MethodNotImplemented", "method", "org.spefw.Gateway.Echo");
	assert_int_equal(f->echoes, 0);
	peer_free(&peer);
}

static void test_rights(void **state)
{
	struct fixture *f = *state;

	be_root(f, false);
	struct peer user = peer_new(f);
	settle(f);
	be_root(f, true); /* rights are those of the moment of the connection */
	struct peer root = peer_new(f);

	SEND(f, &user, CALL("Change", ""));
	expect_error(f, &user, "org.spefw.Gateway.PermissionDenied", "what",
		     "org.spefw.Gateway.Change is for root alone");
	SEND(f, &user, CALL("Change", ",\"oneway\":true"));
	SEND(f, &user, CALL("Echo", ""));
	expect_reply(f, &user, "{}", false);
	assert_int_equal(f->changes, 0);
	SEND(f, &root, CALL("Change", ""));
	expect_reply(f, &root, "{}", false);
	assert_int_equal(f->changes, 1);
	peer_free(&user);
	peer_free(&root);
}

static void test_half_messages(void **state)
{
	static const char call[] = CALL("Echo", "");
	struct fixture *f = *state;
	struct peer slow = peer_new(f), other = peer_new(f);

	for (size_t i = 0; i < sizeof(call); i++) {
		assert_int_equal(f->echoes, i);
		assert_true(peer_send(f, &slow, call + i, 1));
		settle(f);
		if (i + 1 == sizeof(call))
			break;
		SEND(f, &other, CALL("Echo", ""));
		expect_reply(f, &other, "{}", false);
	}
	expect_reply(f, &slow, "{}", false);
	peer_free(&slow);
	peer_free(&other);
}

static void test_request_deadline(void **state)
{
	struct fixture *f = *state;

	f->limits.request_us = 20000;
	apply_limits(f);
	struct peer slow = peer_new(f), idle = peer_new(f);
	assert_true(peer_send(f, &slow, "{", 1));
	expect_end(f, &slow);
	/* Who has not begun a request may take longer. */
	SEND(f, &idle, CALL("Echo", ""));
	expect_reply(f, &idle, "{}", false);
	peer_free(&slow);
	peer_free(&idle);
}

static void test_idle_deadline(void **state)
{
	struct fixture *f = *state;

	f->limits.idle_us = 200000;
	apply_limits(f);
	struct peer idle = peer_new(f);
	expect_end(f, &idle);
	peer_free(&idle);

	/* A call that takes long is not idleness. */
	struct peer busy = peer_new(f);
	SEND(f, &busy, CALL("Wait", ""));
	struct peer another = peer_new(f);
	expect_end(f, &another);
	assert_non_null(f->pending);
	control_reply(f->pending, NULL);
	f->pending = NULL;
	expect_reply(f, &busy, "{}", false);
	expect_end(f, &busy);
	peer_free(&busy);
	peer_free(&another);
}

static void send_long(struct fixture *f, struct peer *peer, size_t length)
{
	char *bytes = malloc(length);

	assert_non_null(bytes);
	memset(bytes, ' ', length);
	bytes[0] = '{';
	peer_send(f, peer, bytes, length);
	free(bytes);
}

static void test_oversized_request(void **state)
{
	struct fixture *f = *state;
	struct peer root = peer_new(f);

	settle(f);
	be_root(f, false);
	struct peer user = peer_new(f);
	send_long(f, &root, f->limits.request_unprivileged + 1);
	send_long(f, &user, f->limits.request_unprivileged + 1);
	expect_end(f, &user);
	assert_int_equal(control_clients(f->control), 1);
	send_long(f, &root, f->limits.request);
	expect_end(f, &root);
	assert_int_equal(control_clients(f->control), 0);
	peer_free(&root);
	peer_free(&user);
}

static void test_garbage(void **state)
{
	static const char *const all[] = {
		"",
		"x",
		"[]",
		"{}",
		"{\"method\":1}",
		"{\"method\":\"a.B\",\"parameters\":7}",
		"GET / HTTP/1.1\r\n\r\n",
		CALL("Echo", ",\"oneway\":true,\"more\":true"),
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct peer peer = peer_new(f);
		SEND(f, &peer, all[i]);
		expect_end(f, &peer);
		peer_free(&peer);
	}
	assert_int_equal(control_clients(f->control), 0);
	assert_int_equal(f->echoes, 0);
}

static void test_pipeline_keeps_order(void **state)
{
	enum { CALLS = 500 };
	struct fixture *f = *state;
	struct peer many = peer_new(f), one = peer_new(f);
	char text[128];

	for (int i = 0; i < CALLS; i++) {
		snprintf(text, sizeof(text), CALL("Echo", ",\"parameters\":{\"i\":%d}"), i);
		SEND(f, &many, text);
	}
	SEND(f, &one, CALL("Echo", ""));
	expect_reply(f, &one, "{}", false);
	assert_true(f->echoes < CALLS / 2); /* one client's many calls do not keep another waiting */
	for (int i = 0; i < CALLS; i++) {
		snprintf(text, sizeof(text), "{\"i\":%d}", i);
		expect_reply(f, &many, text, false);
	}
	peer_free(&many);
	peer_free(&one);
}

/* Who reads no replies gets no more of them made. */
static void test_pipeline_without_reading(void **state)
{
	enum { CALLS = 50 };
	struct fixture *f = *state;
	struct peer peer = peer_new(f);

	for (int i = 0; i < CALLS; i++)
		SEND(f, &peer, CALL("Big", ""));
	settle(f);
	assert_in_range(f->echoes, 1, 10);
	for (int i = 0; i < CALLS; i++) {
		json_t *message = peer_receive(f, &peer);
		assert_non_null(message);
		json_decref(message);
	}
	assert_int_equal(f->echoes, CALLS);
	peer_free(&peer);
}

static void test_write_deadline(void **state)
{
	struct fixture *f = *state;
	time_t since = time(NULL);

	f->limits.write_us = 20000;
	apply_limits(f);
	struct peer peer = peer_new(f);
	for (int i = 0; i < 10; i++)
		SEND(f, &peer, CALL("Big", ""));
	settle(f);
	while (control_clients(f->control))
		patience(f, since);
	assert_true(f->echoes < 10);
	peer_free(&peer);
}

static void test_reply_too_long(void **state)
{
	struct fixture *f = *state;

	f->limits.queue = 300000;
	apply_limits(f);
	struct peer peer = peer_new(f);
	SEND(f, &peer, CALL("Big", ""));
	expect_end(f, &peer);
	peer_free(&peer);
}

static void test_queues_of_all(void **state)
{
	struct fixture *f = *state;
	struct peer peers[8], root = peer_new(f);
	size_t left;

	settle(f);
	be_root(f, false);
	f->limits.queue_unprivileged = 200000; /* the kernel takes some of each reply */
	apply_limits(f);
	for (int i = 0; i < 8; i++) {
		peers[i] = peer_new(f);
		for (int j = 0; j < 4; j++)
			SEND(f, &peers[i], CALL("Big", ""));
	}
	settle(f);
	left = control_clients(f->control);
	assert_in_range(left, 2, 5);
	for (int j = 0; j < 4; j++)
		SEND(f, &root, CALL("Big", ""));
	settle(f);
	assert_int_equal(control_clients(f->control), left); /* root is not counted */
	for (int i = 0; i < 8; i++)
		peer_free(&peers[i]);
	peer_free(&root);
}

static void test_later_reply(void **state)
{
	struct fixture *f = *state;
	struct peer waiting = peer_new(f), other = peer_new(f);

	SEND(f, &waiting, CALL("Wait", ""));
	SEND(f, &waiting, CALL("Echo", ""));
	SEND(f, &other, CALL("Echo", ""));
	expect_reply(f, &other, "{}", false);
	settle(f);
	assert_int_equal(f->echoes, 1); /* one call of a connection at a time */
	assert_non_null(f->pending);
	assert_false(control_wants_more(f->pending));
	control_reply_more(f->pending, json_pack("{s:s}", "not", "wanted"));
	control_reply(f->pending, json_pack("{s:s}", "at", "last"));
	f->pending = NULL;
	expect_reply(f, &waiting, "{\"at\":\"last\"}", false);
	expect_reply(f, &waiting, "{}", false);
	peer_free(&waiting);
	peer_free(&other);
}

static void test_client_gone_before_the_reply(void **state)
{
	struct fixture *f = *state;
	struct peer peer = peer_new(f);

	SEND(f, &peer, CALL("Wait", ""));
	settle(f);
	assert_non_null(f->pending);
	peer_free(&peer);
	settle(f);
	assert_int_equal(f->gone, 1);
	assert_int_equal(control_clients(f->control), 0);

	/* Without a care for it, the reply goes nowhere. */
	peer = peer_new(f);
	SEND(f, &peer, CALL("Wait", ",\"parameters\":{\"careless\":true}"));
	settle(f);
	assert_non_null(f->pending);
	peer_free(&peer);
	settle(f);
	assert_int_equal(control_clients(f->control), 0);
	control_reply_more(f->pending, json_object());
	control_reply(f->pending, json_pack("{s:s}", "to", "nobody"));
	f->pending = NULL;
	assert_int_equal(f->gone, 1);
}

static void test_end_of_the_server_with_a_call(void **state)
{
	struct fixture *f = *state;
	struct peer peer = peer_new(f);

	SEND(f, &peer, CALL("Wait", ""));
	settle(f);
	assert_non_null(f->pending);
	control_free(f->control);
	f->control = NULL;
	assert_int_equal(f->gone, 1);
	expect_end(f, &peer);
	peer_free(&peer);
}

static void test_more(void **state)
{
	struct fixture *f = *state;
	struct peer peer = peer_new(f);

	SEND(f, &peer, CALL("Wait", ",\"more\":true"));
	settle(f);
	assert_non_null(f->pending);
	assert_true(control_wants_more(f->pending));
	control_reply_more(f->pending, json_pack("{s:i}", "i", 1));
	expect_reply(f, &peer, "{\"i\":1}", true);
	control_reply_more(f->pending, json_pack("{s:i}", "i", 2));
	control_reply_more(f->pending, NULL);
	control_reply(f->pending, json_pack("{s:i}", "i", 3));
	f->pending = NULL;
	expect_reply(f, &peer, "{\"i\":2}", true);
	expect_reply(f, &peer, "{}", true);
	expect_reply(f, &peer, "{\"i\":3}", false);
	SEND(f, &peer, CALL("Echo", ",\"more\":true")); /* a method may have but one reply */
	expect_reply(f, &peer, "{}", false);
	peer_free(&peer);
}

static void test_slow_reader_of_more(void **state)
{
	struct fixture *f = *state;

	f->limits.queue = 500000;
	apply_limits(f);
	struct peer peer = peer_new(f);
	SEND(f, &peer, CALL("Wait", ",\"more\":true"));
	settle(f);
	for (int i = 0; i < 100000 && f->pending; i++) {
		control_reply_more(f->pending, json_pack("{s:s}", "text", "something that happens again and again"));
		if (i % 1000 == 0)
			settle(f);
	}
	assert_null(f->pending);
	assert_int_equal(f->gone, 1);
	assert_int_equal(control_clients(f->control), 0);
	peer_free(&peer);
}

static void test_oneway(void **state)
{
	struct fixture *f = *state;
	struct peer peer = peer_new(f);

	SEND(f, &peer, CALL("Change", ",\"oneway\":true"));
	SEND(f, &peer, CALL("Nothing", ",\"oneway\":true"));
	SEND(f, &peer, CALL("Echo", ",\"parameters\":{\"x\":1}"));
	expect_reply(f, &peer, "{\"x\":1}", false);
	assert_int_equal(f->changes, 1);
	/* A client of a oneway call may leave at once. */
	SEND(f, &peer, CALL("Wait", ",\"oneway\":true"));
	SEND(f, &peer, CALL("Change", ",\"oneway\":true"));
	peer_free(&peer);
	settle(f);
	assert_non_null(f->pending);
	assert_int_equal(f->changes, 1);
	control_reply(f->pending, NULL);
	f->pending = NULL;
	settle(f);
	assert_int_equal(f->changes, 2);
	assert_int_equal(control_clients(f->control), 0);
	assert_int_equal(f->gone, 0);
}

static void test_half_closed(void **state)
{
	struct fixture *f = *state;
	struct peer peer = peer_new(f);

	SEND(f, &peer, CALL("Echo", ",\"parameters\":{\"x\":1}"));
	SEND(f, &peer, CALL("Wait", ""));
	SEND(f, &peer, CALL("Echo", ",\"parameters\":{\"x\":2}"));
	shutdown(peer.fd, SHUT_WR);
	expect_reply(f, &peer, "{\"x\":1}", false);
	settle(f);
	assert_non_null(f->pending);
	control_reply(f->pending, NULL);
	f->pending = NULL;
	expect_reply(f, &peer, "{}", false);
	expect_reply(f, &peer, "{\"x\":2}", false);
	expect_end(f, &peer);
	peer_free(&peer);
}

static void allow_descriptors(rlim_t count)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < count)
		skip();
	if (limit.rlim_cur < count)
		limit.rlim_cur = count;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_a_thousand_connections(void **state)
{
	enum { FLOOD = 1000 };
	static struct peer flood[FLOOD];
	struct fixture *f = *state;

	allow_descriptors(2000);
	be_root(f, false);
	for (int i = 0; i < FLOOD; i++) {
		flood[i] = peer_new(f);
		peer_send(f, &flood[i], "{", 1); /* evicted meanwhile, perhaps */
	}
	settle(f);
	assert_int_equal(control_clients(f->control), f->limits.one_uid);

	f->limits.one_uid = FLOOD; /* as if they were many users */
	apply_limits(f);
	for (int i = 0; i < FLOOD; i++) {
		peer_free(&flood[i]);
		flood[i] = peer_new(f);
	}
	settle(f);
	assert_int_equal(control_clients(f->control), f->limits.unprivileged);
	struct peer user = peer_new(f); /* another user gets in still, */
	SEND(f, &user, CALL("Echo", ""));
	expect_reply(f, &user, "{}", false);
	be_root(f, true);
	struct peer roots[32];
	for (int i = 0; i < 32; i++) { /* and root does anyway */
		roots[i] = peer_new(f);
		SEND(f, &roots[i], CALL("Change", ""));
		expect_reply(f, &roots[i], "{}", false);
	}
	assert_int_equal(control_clients(f->control), f->limits.clients);
	for (int i = 0; i < 32; i++)
		peer_free(&roots[i]);
	for (int i = 0; i < FLOOD; i++)
		peer_free(&flood[i]);
	peer_free(&user);
	settle(f);
	assert_int_equal(control_clients(f->control), 0);
}

static void test_busy_clients_stay(void **state)
{
	struct fixture *f = *state;

	be_root(f, false);
	f->limits.one_uid = 2;
	apply_limits(f);
	struct peer busy = peer_new(f);
	SEND(f, &busy, CALL("Wait", ""));
	settle(f);
	struct peer idle = peer_new(f);
	settle(f);
	struct peer newcomer = peer_new(f);
	expect_end(f, &idle);
	SEND(f, &newcomer, CALL("Echo", ""));
	expect_reply(f, &newcomer, "{}", false);
	control_reply(f->pending, NULL);
	f->pending = NULL;
	expect_reply(f, &busy, "{}", false);
	peer_free(&busy);
	peer_free(&idle);
	peer_free(&newcomer);
}

static void test_no_descriptors_left(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, none;
	unsigned turns = 0;

	struct peer peer = peer_new(f);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	int top = dup(0);
	none = before;
	none.rlim_cur = (rlim_t)top; /* the next descriptor would be this one */
	close(top);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	while (sd_event_run(f->event, 0) > 0)
		assert_true(turns++ < 10); /* no spinning */
	assert_int_equal(control_clients(f->control), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	SEND(f, &peer, CALL("Echo", ""));
	expect_reply(f, &peer, "{}", false);
	peer_free(&peer);
}

static void test_socket_mode_and_lock(void **state)
{
	struct fixture *f = *state;
	struct control *second = NULL;
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(control_new(&second, f->event, f->path, methods, f), -EADDRINUSE);
	assert_null(second);
	struct peer peer = peer_new(f); /* the first one goes on */
	SEND(f, &peer, CALL("Echo", ""));
	expect_reply(f, &peer, "{}", false);
	peer_free(&peer);
}

static int bind_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void test_what_stands_in_the_way(void **state)
{
	struct fixture *f = *state;
	struct control *other = NULL;
	char path[96], lock[128], too_long[256];

	snprintf(path, sizeof(path), "%s/other", f->directory);
	snprintf(lock, sizeof(lock), "%s.lock", path);
	int fd = bind_at(path);
	assert_int_equal(control_new(&other, f->event, path, methods, f), -EADDRINUSE); /* alive, without our lock */
	close(fd);
	assert_int_equal(control_new(&other, f->event, path, methods, f), 0); /* dead */
	control_free(other);
	assert_int_equal(access(path, F_OK), -1);

	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(control_new(&other, f->event, path, methods, f), -ENOTSOCK);
	assert_int_equal(access(path, F_OK), 0); /* it is not ours to remove */
	close(fd);
	unlink(path);

	memset(too_long, 'x', sizeof(too_long));
	too_long[0] = '/';
	too_long[sizeof(too_long) - 1] = '\0';
	assert_int_equal(control_new(&other, f->event, too_long, methods, f), -ENAMETOOLONG);
	assert_int_equal(control_new(&other, f->event, "/nonexistent/control.sock", methods, f), -ENOENT);
	unlink(lock);
}

static void test_who_calls(void **state)
{
	struct fixture *f = *state;
	struct peer peer = peer_new(f);
	char expected[80];

	snprintf(expected, sizeof(expected), "{\"uid\": %lu, \"pid\": %ld}", (unsigned long)geteuid(), (long)getpid());
	SEND(f, &peer, CALL("Who", ""));
	expect_reply(f, &peer, expected, false);
	peer_free(&peer);
}

static void test_names_of_users(void **state)
{
	struct fixture *f = *state;
	char path[96], text[PEER_TEXT_MAX];

	snprintf(path, sizeof(path), "%s/passwd", f->directory);
	assert_string_equal(peer_text_by(path, 0, text), "uid 0"); /* no such file */
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs("# no entry\n+::::::\nroot:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\nevil\033[2J:x:7:7::/:\n"
	      "a-name-that-is-far-longer-than-any-name-of-a-user-can-be:x:8:8::/:\nbroken:x\n",
	      file);
	fclose(file);
	assert_string_equal(peer_text_by(path, 0, text), "root (uid 0)");
	assert_string_equal(peer_text_by(path, 7, text), "evil?[2J (uid 7)");
	assert_string_equal(peer_text_by(path, 8, text), "a-name-that-is-far-longer-than-a (uid 8)");
	assert_string_equal(peer_text_by(path, 4294967295U, text), "uid 4294967295");
	unlink(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_call),
		TEST(test_standard_service),
		TEST(test_unknown_methods),
		TEST(test_rights),
		TEST(test_half_messages),
		TEST(test_request_deadline),
		TEST(test_idle_deadline),
		TEST(test_oversized_request),
		TEST(test_garbage),
		TEST(test_pipeline_keeps_order),
		TEST(test_pipeline_without_reading),
		TEST(test_write_deadline),
		TEST(test_reply_too_long),
		TEST(test_queues_of_all),
		TEST(test_later_reply),
		TEST(test_client_gone_before_the_reply),
		TEST(test_end_of_the_server_with_a_call),
		TEST(test_more),
		TEST(test_slow_reader_of_more),
		TEST(test_oneway),
		TEST(test_half_closed),
		TEST(test_a_thousand_connections),
		TEST(test_busy_clients_stay),
		TEST(test_no_descriptors_left),
		TEST(test_socket_mode_and_lock),
		TEST(test_what_stands_in_the_way),
		TEST(test_who_calls),
		TEST(test_names_of_users),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
