/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spefwctl as a whole: against a real server with canned replies, and against none. What it prints is compared with
 * tests/golden-cli (written again with UPDATE_GOLDEN=1 in the environment). */
#include "client.h"
#include "control/server.h"
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	char directory[64], socket[80], spefwd[80];
	pid_t server;
	char *out, *err;
	bool root;
	unsigned width; /* of a terminal; 0: none */
};

/* The server: its userdata is the canned answer */

struct canned {
	const char *error;
	const char *parameters; /* JSON */
};

static void run_canned(void *userdata, struct control_call *call, json_t *parameters)
{
	const struct canned *canned = userdata;
	json_t *reply = json_loads(canned->parameters, 0, NULL);

	(void)parameters;
	if (canned->error)
		control_fail(call, canned->error, reply);
	else
		control_reply(call, reply);
}

static void run_silent(void *userdata, struct control_call *call, json_t *parameters)
{
	(void)userdata;
	(void)parameters;
	control_on_gone(call, NULL);
}

static void run_server(const char *path, struct canned *canned, bool privileged, int ready)
{
	const struct control_method methods[] = {
		{ "org.spefw.Gateway.Status", privileged, run_canned },
		{ "org.spefw.Gateway.Flows", privileged, run_canned },
		{ "org.spefw.Gateway.Names", privileged, run_canned },
		{ "org.spefw.Gateway.Explain", privileged, run_canned },
		{ "org.spefw.Gateway.Diff", privileged, run_canned },
		{ "org.spefw.Gateway.Connections", privileged, run_canned },
		{ "org.spefw.Gateway.Peers", privileged, run_canned },
		{ "org.spefw.Gateway.Cut", privileged, run_canned },
		{ "org.spefw.Gateway.Drops", privileged, run_canned },
		{ "org.spefw.Gateway.Reload", privileged, run_canned },
		{ "org.spefw.Gateway.Rollback", privileged, run_canned },
		{ "org.spefw.Gateway.Confirm", privileged, run_canned },
		{ "org.spefw.Gateway.History", privileged, run_canned },
		{ "org.spefw.Gateway.Config", privileged, run_canned },
		{ "org.spefw.Gateway.Refresh", privileged, run_canned },
		{ "org.spefw.Gateway.Watch", privileged, run_canned },
		{ "org.spefw.Gateway.Grant", privileged, run_canned },
		{ "org.spefw.Gateway.Revoke", privileged, run_canned },
		{ "org.spefw.Gateway.Grants", privileged, run_canned },
		{ "org.spefw.Gateway.Verify", privileged, run_canned },
		{ "org.spefw.Gateway.Clear", privileged, canned->parameters ? run_canned : run_silent },
		{ 0 },
	};
	struct control_limits limits = control_limits_default();
	struct control *control;
	sd_event *event;

	if (sd_event_new(&event) < 0 || control_new(&control, event, path, methods, canned) < 0)
		_exit(1);
	limits.root = geteuid() + 1; /* so that `privileged` refuses us */
	control_set_limits(control, &limits);
	if (write(ready, "", 1) != 1)
		_exit(1);
	sd_event_loop(event);
	_exit(1);
}

static void serve(struct fixture *f, struct canned canned, bool privileged)
{
	int ends[2];
	char byte;

	assert_int_equal(pipe(ends), 0);
	f->server = fork();
	assert_true(f->server >= 0);
	if (f->server == 0)
		run_server(f->socket, &canned, privileged, ends[1]);
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
}

static void stop_serving(struct fixture *f)
{
	if (f->server > 0) {
		kill(f->server, SIGKILL);
		waitpid(f->server, NULL, 0);
	}
	f->server = 0;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->directory, sizeof(f->directory), "/tmp/spefw-test-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->socket, sizeof(f->socket), "%s/sock", f->directory);
	snprintf(f->spefwd, sizeof(f->spefwd), "%s/spefwd", f->directory);
	f->root = true;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char lock[96];

	stop_serving(f);
	snprintf(lock, sizeof(lock), "%s.lock", f->socket);
	unlink(lock);
	unlink(f->socket);
	unlink(f->spefwd);
	assert_int_equal(rmdir(f->directory), 0);
	free(f->out);
	free(f->err);
	free(f);
	return 0;
}

/* Runs "spefwctl -s SOCKET words..."; its output is in f->out and f->err. */
static int run(struct fixture *f, const char *const *words)
{
	char *argv[16] = { (char *)"spefwctl", (char *)"-s", f->socket };
	struct ctl_environment environment = { .spefwd = f->spefwd, .doctor = f->spefwd, .root = f->root };
	size_t out_size, err_size;
	int argc = 3;

	for (; *words; words++)
		argv[argc++] = (char *)*words;
	free(f->out);
	free(f->err);
	environment.out = open_memstream(&f->out, &out_size);
	environment.err = open_memstream(&f->err, &err_size);
	assert_non_null(environment.out);
	assert_non_null(environment.err);
	int status = ctl_run(&environment, argc, argv);
	fclose(environment.out);
	fclose(environment.err);
	return status;
}

#define RUN(f, ...) run(f, (const char *const[]){ __VA_ARGS__, NULL })

static char *read_whole(const char *path)
{
	FILE *file = fopen(path, "re");
	char *bytes = calloc(1, 1 << 20);

	if (!file) {
		free(bytes);
		return NULL;
	}
	assert_true(fread(bytes, 1, (1 << 20) - 1, file) > 0 || feof(file));
	fclose(file);
	return bytes;
}

static char *golden_path(const char *name, const char *ending)
{
	const char *top = getenv("srcdir");
	char *path;

	assert_true(asprintf(&path, "%s/tests/golden-cli/%s%s", top ? top : ".", name, ending) > 0);
	return path;
}

static void compare_golden(const char *name, const char *ending, const char *text)
{
	char *path = golden_path(name, ending);

	if (getenv("UPDATE_GOLDEN")) {
		FILE *file = fopen(path, "we");
		assert_non_null(file);
		fputs(text, file);
		assert_int_equal(fclose(file), 0);
	}
	char *expected = read_whole(path);
	assert_non_null(expected);
	assert_string_equal(text, expected);
	free(expected);
	free(path);
}

/* What a terminal of this width would show. The child is as it would be without it. */
static void run_on_terminal(struct fixture *f, unsigned short width, const char *const *words, char *ret, size_t size)
{
	struct winsize window = { .ws_row = 24, .ws_col = width };
	char *argv[16] = { (char *)"spefwctl", (char *)"-s", f->socket };
	struct ctl_environment environment = {
		.err = stderr, .spefwd = f->spefwd, .doctor = f->spefwd, .root = f->root
	};
	int master, slave, argc = 3;
	size_t length = 0;
	ssize_t n;

	for (; *words; words++)
		argv[argc++] = (char *)*words;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, &window), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(master);
		environment.out = fdopen(slave, "w");
		ctl_run(&environment, argc, argv);
		fclose(environment.out);
		_exit(0);
	}
	close(slave);
	while ((n = read(master, ret + length, size - 1 - length)) > 0)
		length += (size_t)n;
	ret[length] = '\0';
	close(master);
	waitpid(pid, NULL, 0);
	for (char *from = ret, *to = ret;; from++) {
		if (*from != '\r')
			*to++ = *from;
		if (!*from)
			break;
	}
}

#define ON_TERMINAL(f, width, ret, ...) \
	run_on_terminal(f, width, (const char *const[]){ __VA_ARGS__, NULL }, ret, sizeof(ret))

/* In characters, as all of them are one column wide. */
static void check_width(const char *text, size_t width)
{
	size_t at = 0;

	for (; *text; text++) {
		at = *text == '\n' ? 0 : at + ((*text & 0xc0) != 0x80);
		if (at > width)
			fail_msg("a line is wider than %zu: %.80s", width, text - width);
	}
}

/* Of a screen as the same words show it on terminals: a file of its own, NAME.80.txt, where it is another. */
static void compare_terminals(struct fixture *f, const char *name, const char *const *words)
{
	static const struct {
		unsigned short width;
		const char *ending;
	} terminals[] = { { 80, ".80.txt" }, { 132, ".132.txt" } };
	static char text[1 << 16];

	setenv("NO_COLOR", "1", 1);
	for (size_t i = 0; i < 2; i++) {
		char *path = golden_path(name, terminals[i].ending);
		run_on_terminal(f, terminals[i].width, words, text, sizeof(text));
		assert_null(strchr(text, '\033'));
		check_width(text, terminals[i].width);
		if (strcmp(text, f->out) != 0)
			compare_golden(name, terminals[i].ending, text);
		else if (getenv("UPDATE_GOLDEN"))
			unlink(path);
		else
			assert_int_equal(access(path, F_OK), -1);
		free(path);
	}
	unsetenv("NO_COLOR");
}

/* words: with a NULL at the end. `reply` names the file with the reply. */
static void check_screen(struct fixture *f, const char *name, const char *reply, const char *const *words, int status)
{
	char *path = golden_path(reply, ".json"), *json = read_whole(path);

	assert_non_null(json);
	serve(f, (struct canned){ .parameters = json }, false);
	assert_int_equal(run(f, words), status);
	compare_golden(name, ".txt", f->out);
	compare_terminals(f, name, words);
	stop_serving(f);
	free(json);
	free(path);
}

static void check_golden(struct fixture *f, const char *name, int expected_status)
{
	char *path = golden_path(name, ".json"), *reply = read_whole(path);
	char verb[32];

	snprintf(verb, sizeof(verb), "%.*s", (int)strcspn(name, "-"), name);
	/* Most verbs need no arguments. */
	bool ends = strcmp(verb, "explain") == 0;
	const char *const words[] = { "--json", verb, ends ? "server" : NULL, "192.0.2.53:53", NULL };
	check_screen(f, name, name, words + 1, expected_status);

	/* JSON is the reply itself, its keys in their order. */
	serve(f, (struct canned){ .parameters = reply }, false);
	assert_int_equal(run(f, words), expected_status);
	json_t *sent = json_loads(reply, 0, NULL), *printed = json_loads(f->out, 0, NULL);
	assert_true(json_equal(sent, printed));
	char *one = json_dumps(sent, 0), *other = json_dumps(printed, 0);
	assert_string_equal(one, other);
	free(one);
	free(other);
	json_decref(sent);
	json_decref(printed);
	stop_serving(f);
	free(reply);
	free(path);
}

static void test_status(void **state)
{
	struct fixture *f = *state;

	check_golden(f, "status-ok", EXIT_DONE);
	check_golden(f, "status-modes", EXIT_DONE);
	check_golden(f, "status-waits", EXIT_DONE);
	check_golden(f, "status-degraded", EXIT_FAILED);
	check_golden(f, "status-crowded", EXIT_DONE);
	check_golden(f, "status-granted", EXIT_DONE);
	check_golden(f, "status-blocked", EXIT_FAILED);
	check_golden(f, "status-cleared", EXIT_FAILED);
	check_golden(f, "status-failed", EXIT_FAILED);
	check_screen(f, "status-ok-verbose", "status-ok", (const char *const[]){ "status", "-v", NULL }, EXIT_DONE);
	check_screen(f, "status-blocked-verbose", "status-blocked",
		     (const char *const[]){ "status", "--verbose", NULL }, EXIT_FAILED);
	check_screen(f, "status-cleared-verbose", "status-cleared", (const char *const[]){ "status", "-v", NULL },
		     EXIT_FAILED);
	setenv("LC_ALL", "C", 1);
	check_screen(f, "status-ok-ascii", "status-ok", (const char *const[]){ "status", NULL }, EXIT_DONE);
	check_screen(f, "status-blocked-ascii", "status-blocked", (const char *const[]){ "status", NULL }, EXIT_FAILED);
	setenv("LC_ALL", "C.UTF-8", 1);
}

static size_t count_lines(const char *text, size_t *ret_widest)
{
	size_t lines = 0, width = 0;

	*ret_widest = 0;
	for (; *text; text++) {
		width = *text == '\n' ? 0 : width + 1;
		lines += *text == '\n';
		if (width > *ret_widest)
			*ret_widest = width;
	}
	return lines;
}

static void test_status_fits_a_screen(void **state)
{
	static const struct {
		const char *name;
		size_t lines;
	} screens[] = { { "status-ok-ascii", 10 }, { "status-crowded", 10 }, { "status-blocked-ascii", 24 } };
	size_t widest;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char *path = golden_path(screens[i].name, ".txt"), *text = read_whole(path);
		assert_in_range(count_lines(text, &widest), 5, screens[i].lines);
		assert_in_range(widest, 60, 80);
		free(text);
		free(path);
	}
}

static void test_status_of_a_hostile_daemon(void **state)
{
	struct fixture *f = *state;

	check_golden(f, "status-hostile", EXIT_FAILED);
	check_golden(f, "status-empty", EXIT_FAILED);
	setenv("LC_ALL", "C", 1);
	check_screen(f, "status-hostile-ascii", "status-hostile", (const char *const[]){ "status", "-v", NULL },
		     EXIT_FAILED);
	setenv("LC_ALL", "C.UTF-8", 1);
	char *path = golden_path("status-hostile-ascii", ".txt"), *text = read_whole(path);
	for (const char *c = text; *c; c++)
		assert_true(*c == '\n' || (*c >= ' ' && *c < 0x7f));
	free(text);
	free(path);
}

static void test_flows_and_names(void **state)
{
	struct fixture *f = *state;

	check_golden(f, "flows-all", EXIT_DONE);
	check_golden(f, "flows-comment", EXIT_DONE);
	check_golden(f, "names-ok", EXIT_DONE);
	check_golden(f, "names-trouble", EXIT_DONE);
	check_golden(f, "names-none", EXIT_DONE);
	check_golden(f, "connections-all", EXIT_DONE);
	check_golden(f, "connections-uncounted", EXIT_DONE);
	check_golden(f, "connections-none", EXIT_DONE);
	check_golden(f, "connections-removed", EXIT_DONE);
}

/* Whole, where it is no terminal and on a small one, too: words are not broken, what is too long goes on below. */
static void test_flows_fit(void **state)
{
	static char text[1 << 16];
	struct fixture *f = *state;
	char *path = golden_path("flows-all", ".json"), *reply = read_whole(path);

	serve(f, (struct canned){ .parameters = reply }, false);
	assert_int_equal(RUN(f, "flows"), EXIT_DONE);
	check_width(f->out, 80);
	setenv("NO_COLOR", "1", 1);
	ON_TERMINAL(f, 60, text, "flows");
	unsetenv("NO_COLOR");
	check_width(text, 60);
	assert_non_null(strstr(text, "SERVER ->"));
	stop_serving(f);
	free(reply);
	free(path);
}

/* All about one flow is put together from three replies. */
static void test_one_flow(void **state)
{
	struct fixture *f = *state;
	char *path = golden_path("flows-one", ".json"), *reply = read_whole(path);

	serve(f, (struct canned){ .parameters = reply }, false);
	assert_int_equal(RUN(f, "flows", "console-in"), EXIT_DONE);
	compare_golden("flows-one", ".txt", f->out);
	assert_int_equal(RUN(f, "flows", "console-in", "--json"), EXIT_DONE);
	json_t *printed = json_loads(f->out, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(printed, "peers")), 4);
	assert_int_equal(json_array_size(json_object_get(printed, "connections")), 1);
	assert_true(json_is_false(json_object_get(printed, "more_peers")));
	json_decref(printed);
	assert_int_equal(RUN(f, "flows", "console-out"), EXIT_FAILED);
	assert_string_equal(f->err, "spefwctl: there is no flow console-out: did you mean console-in?\n");
	assert_int_equal(RUN(f, "flows", "CONSOLE-IN"), EXIT_FAILED);
	assert_string_equal(f->err, "spefwctl: there is no flow CONSOLE-IN: did you mean console-in?\n");
	assert_int_equal(RUN(f, "flows", "\xff"), EXIT_FAILED);
	assert_int_equal(RUN(f, "flows", ""), EXIT_USAGE);
	assert_int_equal(RUN(f, "connections", ""), EXIT_USAGE);
	assert_string_equal(f->err, "spefwctl: which flow? the word is empty: spefwctl flows lists them\n");
	free(reply);
	free(path);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_grants(void **state)
{
	static const char *const no_times[] = { "", "2", "h", "-2h", "2h30m", "1.5h", "2hh" };
	struct fixture *f = *state;

	setenv("TZ", "UTC", 1);
	check_golden(f, "grants-some", EXIT_DONE);
	check_golden(f, "grants-none", EXIT_DONE);
	check_golden(f, "grants-hostile", EXIT_DONE);
	check_screen(f, "grant-given", "grant-given", WORDS("grant", "console-in", "10.32.0.50", "--for", "2h"),
		     EXIT_DONE);
	check_screen(f, "grant-shortened", "grant-shortened",
		     WORDS("grant", "console-in", "10.32.0.50", "--for", "20m"), EXIT_DONE);
	check_screen(f, "revoke-cut", "revoke-cut", WORDS("revoke", "console-in", "10.32.0.50"), EXIT_DONE);
	unsetenv("TZ");
	for (size_t i = 0; i < sizeof(no_times) / sizeof(no_times[0]); i++) {
		assert_int_equal(RUN(f, "grant", "console-in", "10.32.0.50", "--for", no_times[i]), EXIT_USAGE);
		assert_non_null(strstr(f->err, "is not a duration: write a number and s, m, h or d, such as 2h\n"));
	}
	assert_int_equal(RUN(f, "grant", "console-in", "10.32.0.50"), EXIT_USAGE);
	assert_int_equal(RUN(f, "grant", "console-in", "--for", "2h"), EXIT_USAGE);
	assert_int_equal(RUN(f, "revoke", "console-in"), EXIT_USAGE);
	assert_string_equal(f->err, "spefwctl: revoke needs the flow and the address: spefwctl grants lists them\n");
	assert_int_equal(RUN(f, "revoke", "console-in", "10.32.0.50", "--for", "2h"), EXIT_USAGE);
	serve(f,
	      (struct canned){ .error = "org.spefw.Gateway.GrantUnknown",
			       .parameters = "{\"flow\":\"console-in\",\"address\":\"10.32.0.50\"}" },
	      false);
	assert_int_equal(RUN(f, "revoke", "console-in", "10.32.0.50"), EXIT_FAILED);
	assert_string_equal(f->err, "spefwctl: 10.32.0.50 has no grant of console-in: spefwctl grants lists those that "
				    "there are\n");
	stop_serving(f);
	serve(f,
	      (struct canned){ .error = "org.spefw.Gateway.GrantRefused",
			       .parameters = "{\"what\":\"a grant is for 1m to 30d\"}" },
	      false);
	assert_int_equal(RUN(f, "grant", "console-in", "10.32.0.50", "--for", "40d"), EXIT_FAILED);
	assert_string_equal(f->err, "spefwctl: a grant is for 1m to 30d\n");
	stop_serving(f);
}

static void test_cut(void **state)
{
	static const char *const no_ids[] = { "", "x", "-1", "+1", "1x", "4294967296", "99999999999999999999" };
	struct fixture *f = *state;

	serve(f,
	      (struct canned){ .parameters = "{\"id\":7,\"protocol\":\"tcp\",\"source\":\"203.0.113.7\",\"target\":"
					     "\"192.0.2.25\",\"source_port\":50123,\"target_port\":8470}" },
	      false);
	assert_int_equal(RUN(f, "cut", "4294967295"), EXIT_DONE);
	assert_string_equal(f->out, "cut: 203.0.113.7 port 50123 -> 192.0.2.25 tcp/8470\n");
	assert_int_equal(RUN(f, "cut"), EXIT_USAGE);
	for (size_t i = 0; i < sizeof(no_ids) / sizeof(no_ids[0]); i++)
		assert_int_equal(RUN(f, "cut", "--", no_ids[i]), EXIT_USAGE);
	stop_serving(f);
	serve(f, (struct canned){ "org.spefw.Gateway.ConnectionUnknown", "{\"id\":7}" }, false);
	assert_int_equal(RUN(f, "cut", "7"), EXIT_FAILED);
	assert_string_equal(f->err, "spefwctl: there is no connection 7 (any more): spefwctl connections shows those "
				    "that are there\n");
	stop_serving(f);
	serve(f, (struct canned){ "org.spefw.Gateway.FlowUnknown", "{\"flow\":\"a\"}" }, false);
	assert_int_equal(RUN(f, "connections", "a"), EXIT_FAILED);
	assert_string_equal(f->err, "spefwctl: there is no flow a: spefwctl flows lists them\n");
}

static void test_explain(void **state)
{
	static const char *const names[] = { "explain-allowed", "explain-denied",    "explain-audit",
					     "explain-removed", "explain-naming",    "explain-port",
					     "explain-several", "explain-unguarded", "explain-ignored",
					     "explain-others",  "explain-off",       "explain-file",
					     "explain-hostile", "explain-differs" };
	struct fixture *f = *state;
	size_t widest;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		check_golden(f, names[i], EXIT_DONE);
		char *path = golden_path(names[i], ".txt"), *text = read_whole(path);
		assert_in_range(count_lines(text, &widest), 2, 24);
		assert_in_range(widest, 1, 80);
		for (const char *c = text; *c; c++)
			assert_true(*c == '\n' || (*c >= ' ' && *c < 0x7f));
		free(text);
		free(path);
	}
	serve(f,
	      (struct canned){ .error = "org.spefw.Gateway.QuestionInvalid",
			       .parameters = "{\"what\":\"sever is nothing: did you mean SERVER?\"}" },
	      false);
	assert_int_equal(RUN(f, "explain", "10.0.0.1", "sever:443"), EXIT_FAILED);
	assert_string_equal(f->err, "spefwctl: sever is nothing: did you mean SERVER?\n");
	stop_serving(f);
	assert_int_equal(RUN(f, "explain", "10.0.0.1", "server:443"), EXIT_NOT_RUNNING);
	assert_non_null(strstr(f->err, "or explain the file alone by -c /"));
	assert_int_equal(RUN(f, "explain", "10.0.0.1"), EXIT_USAGE);
	assert_string_equal(f->err, "spefwctl: from where, and to where? spefwctl explain 10.0.0.1 SERVER:443\n");
	assert_int_equal(RUN(f, "explain"), EXIT_USAGE);
	assert_int_equal(RUN(f, "explain", "", "server:443"), EXIT_USAGE);
	assert_string_equal(f->err, "spefwctl: from where, and to where? spefwctl explain 203.0.113.7 SERVER:443\n");
	assert_int_equal(RUN(f, "explain", "a", "b", "c", "d"), EXIT_USAGE);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fputs(text, file) < 0, 0);
	assert_int_equal(fclose(file), 0);
}

static void test_drops(void **state)
{
	static const char *const names[] = { "drops-ok",           "drops-ipv6",       "drops-audit",
					     "drops-none",         "drops-none_audit", "drops-flood",
					     "drops-blind",        "drops-hostile",    "drops-strangers",
					     "drops-blind_before", "drops-enforced",   "drops-relaxed" };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_golden(f, names[i], EXIT_DONE);
}

/* Of a file alone, without a daemon. */
static void test_explain_file(void **state)
{
	static const char text[] = "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53\n"
				   "[role ADM]\nmembers = 203.0.113.0/24\n";
	struct fixture *f = *state;
	char path[96];

	snprintf(path, sizeof(path), "%s/t.ini", f->directory);
	write_file(path, text);
	assert_int_equal(RUN(f, "-c", path, "explain", "203.0.113.7", "server:8470"), EXIT_DONE);
	assert_string_equal(f->out, "ALLOWED by spefw (console-in)\n"
				    "  packet  203.0.113.7 -> 192.0.2.25 tcp/8470\n"
				    "  flow    console-in: ADM -> SERVER tcp/8470 (built in)\n"
				    "  rule    table inet spefw, chain SERVER_in_tcp_8470\n"
				    "By the file alone: not known: addresses of names, interfaces, broadcasts.\n");
	assert_int_equal(RUN(f, "-c", path, "--json", "explain", "10.0.0.1", "server", "ping"), EXIT_DONE);
	assert_non_null(strstr(f->out, "\"verdict\": \"denied\", \"reason\": \"peer\""));
	assert_int_equal(RUN(f, "-c", path, "--json", "explain", "10.0.0.1", "server"), EXIT_FAILED);
	assert_non_null(strstr(f->out, "\"error\": \"org.spefw.Gateway.QuestionInvalid\""));
	write_file(path, "[server]\n");
	assert_int_equal(RUN(f, "-c", path, "explain", "10.0.0.1", "server:443"), EXIT_FAILED);
	assert_non_null(strstr(f->err, "is not usable: see spefwctl check "));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(RUN(f, "-c", path, "explain", "10.0.0.1", "server:443"), EXIT_FAILED);
}

static void test_diff(void **state)
{
	static const char *const names[] = {
		"diff-full",    "diff-none",    "diff-audit",        "diff-removed",
		"diff-hostile", "diff-packets", "diff-packets_none", "diff-packets_unknown"
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_golden(f, names[i], EXIT_DONE);
	assert_int_equal(RUN(f, "diff"), EXIT_NOT_RUNNING);
	assert_non_null(strstr(f->err, "or compare two files by -c /"));
}

/* Of two files alone; and what is wrong with a file, without a word of the daemon. */
static void test_diff_files(void **state)
{
	static const char text[] = "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53\n"
				   "[role ADM]\nmembers = 203.0.113.0/24\n";
	struct fixture *f = *state;
	char old[96], new[96], whole[sizeof(text) + 64];

	snprintf(old, sizeof(old), "%s/old.ini", f->directory);
	snprintf(new, sizeof(new), "%s/new.ini", f->directory);
	snprintf(whole, sizeof(whole), "%s[flow imap-in]\nenabled = no\n", text);
	write_file(old, text);
	write_file(new, whole);
	assert_int_equal(RUN(f, "-c", old, "diff", new), EXIT_DONE);
	assert_non_null(strstr(f->out,
			       "  - imap-in    off  line 6\n"
			       "By the files alone: connections, the record and addresses of names are left out.\n"));
	assert_int_equal(RUN(f, "-c", old, "--json", "diff", new), EXIT_DONE);
	assert_non_null(strstr(f->out, "\"key\": \"enabled\", \"before\": \"on\", \"after\": \"off\", \"line\": 6"));
	assert_null(strstr(f->out, "packets"));
	assert_int_equal(RUN(f, "-c", old, "diff", "-v", new), EXIT_DONE);
	assert_non_null(strstr(f->out, "All new connections that fare otherwise:\n"
				       "  any -> SERVER tcp/143: allowed -> denied\n"
				       "  (by flows and addresses: guards and mid-stream packets are left out)\n"));
	assert_int_equal(RUN(f, "-c", old, "diff", old), EXIT_DONE);
	assert_int_equal(strncmp(f->out, "no difference: ", 15), 0);
	write_file(new, "[server]\n");
	assert_int_equal(RUN(f, "-c", old, "diff", new), EXIT_FAILED);
	assert_non_null(strstr(f->err, "new.ini:1: "));
	assert_int_equal(RUN(f, "diff", new), EXIT_FAILED);
	assert_non_null(strstr(f->err, "new.ini:1: "));
	write_file(new, "# \xff\n[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53\n"
			"[role ADM]\nmembers = 203.0.113.0/24\n");
	assert_int_equal(RUN(f, "diff", new), EXIT_FAILED);
	assert_non_null(strstr(f->err, "it is not text in UTF-8"));
	assert_int_equal(unlink(old), 0);
	assert_int_equal(unlink(new), 0);
	assert_int_equal(RUN(f, "diff", new), EXIT_FAILED);
}

static void test_events(void **state)
{
	static const char *const kinds[] = { "begin",       "reload",        "reload_failed", "reload_same",
					     "refresh",     "refresh_all",   "clear",         "cut",
					     "cut_request", "denied",        "name",          "repair",
					     "foreign",     "health",        "health_still",  "lost",
					     "hostile",     "later",         "rollback",      "undo",
					     "undo_failed", "confirm",       "grant",         "grant_ended",
					     "proof",       "proof_differs", "proof_refused", "proof_unproven" };
	struct fixture *f = *state;
	char name[64];

	setenv("TZ", "UTC", 1);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(name, sizeof(name), "watch-%s", kinds[i]);
		check_golden(f, name, EXIT_DONE);
	}
}

static void test_verify(void **state)
{
	static const char *const not_equal[] = { "verify-differs", "verify-literal", "verify-unproven",
						 "verify-hostile" };
	struct fixture *f = *state;

	check_golden(f, "verify-equal", EXIT_DONE);
	for (size_t i = 0; i < sizeof(not_equal) / sizeof(not_equal[0]); i++)
		check_golden(f, not_equal[i], EXIT_FAILED);
	assert_int_equal(RUN(f, "verify"), EXIT_NOT_RUNNING);
}

static void test_changes(void **state)
{
	struct fixture *f = *state;

	check_golden(f, "reload-changed", EXIT_DONE);
	check_golden(f, "reload-unchanged", EXIT_DONE);
	check_golden(f, "reload-cut", EXIT_DONE);
	check_golden(f, "reload-waits", EXIT_DONE);
	check_golden(f, "rollback-done", EXIT_DONE);
	check_golden(f, "rollback-same", EXIT_DONE);
	check_golden(f, "confirm-done", EXIT_DONE);
	check_golden(f, "refresh-ok", EXIT_DONE);
	serve(f, (struct canned){ .parameters = "{\"removed\":true}" }, false);
	assert_int_equal(RUN(f, "clear", "--yes"), EXIT_DONE);
	assert_string_equal(f->out, "the table is removed: the server is open to everyone until it is loaded again\n");
	assert_int_equal(RUN(f, "clear"), EXIT_USAGE);
	assert_string_equal(f->out, "");
	assert_non_null(strstr(f->err, "removes table inet spefw"));
	stop_serving(f);
	serve(f, (struct canned){ .parameters = "{\"names\":[{\"name\":\"a.b\",\"last_error\":\"SERVFAIL\"}]}" },
	      false);
	assert_int_equal(RUN(f, "refresh", "a.b"), EXIT_FAILED);
	assert_int_equal(RUN(f, "refresh", "a\xff"), EXIT_USAGE);
	stop_serving(f);
	/* Who wants one name gets that one. */
	serve(f,
	      (struct canned){ .parameters = "{\"names\":[{\"name\":\"a.b\",\"last_error\":\"SERVFAIL\"},{\"name\":\"c."
					     "d\",\"last_error\":\"\"}]}" },
	      false);
	assert_int_equal(RUN(f, "refresh", "C.d."), EXIT_DONE);
	assert_non_null(strstr(f->out, "c.d"));
	assert_null(strstr(f->out, "a.b"));
	assert_int_equal(RUN(f, "refresh", "c.d", "a.b"), EXIT_FAILED);
	assert_int_equal(RUN(f, "refresh"), EXIT_FAILED);
}

static void test_history(void **state)
{
	static const char *const times[] = { "",    "60", "0s", "-1s", "2d",
					     "25h", "1w", "s",  "1s1", "99999999999999999999s" };
	struct fixture *f = *state;
	char option[64];

	setenv("TZ", "UTC", 1);
	check_golden(f, "history-full", EXIT_DONE);
	check_golden(f, "history-none", EXIT_DONE);
	check_golden(f, "history-hostile", EXIT_DONE);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		snprintf(option, sizeof(option), "--confirm=%s", times[i]);
		if (i)
			assert_int_equal(RUN(f, "reload", option), EXIT_USAGE);
	}
	assert_int_equal(RUN(f, "rollback", "0"), EXIT_USAGE);
	assert_int_equal(RUN(f, "rollback", "1x"), EXIT_USAGE);
	assert_string_equal(f->err, "spefwctl: 1x is no number of an earlier configuration: see spefwctl history\n");
	serve(f, (struct canned){ "org.spefw.Gateway.ConfirmPending", "{\"by\":\"root\",\"left_s\":34}" }, false);
	assert_int_equal(RUN(f, "reload"), EXIT_FAILED);
	assert_string_equal(f->err,
			    "spefwctl: the change by root waits for confirm: spefwctl confirm, or wait 34s until "
			    "it is undone\n");
	stop_serving(f);
	serve(f, (struct canned){ "org.spefw.Gateway.ConfirmPending", "{\"by\":\"root\",\"left_s\":0}" }, false);
	assert_int_equal(RUN(f, "reload"), EXIT_FAILED);
	assert_string_equal(f->err, "spefwctl: the change by root is to be undone, see spefwctl status: spefwctl "
				    "confirm keeps it\n");
	stop_serving(f);
	serve(f, (struct canned){ "org.spefw.Gateway.NothingToConfirm", "{}" }, false);
	assert_int_equal(RUN(f, "confirm"), EXIT_FAILED);
	assert_non_null(strstr(f->err, "nothing waits for confirm"));
	stop_serving(f);
	serve(f, (struct canned){ "org.spefw.Gateway.HistoryUnknown", "{\"number\":9}" }, false);
	assert_int_equal(RUN(f, "rollback", "9"), EXIT_FAILED);
	assert_string_equal(f->err, "spefwctl: there is no configuration 9 in the history: see spefwctl history\n");
}

/* Paths of a reply become names in the directory, and nothing else. */
static void test_config(void **state)
{
	static const char *const paths[][2] = { { "/etc/spefw/spefw.ini", "spefw.ini" },
						{ "../../evil", "evil" },
						{ "/x/..", "_." },
						{ "/x/.hidden", "_hidden" },
						{ "/x/a b\\u001b[2J", "a_b__2J" },
						{ "/x/", "_" } };
	struct fixture *f = *state;
	char reply[512], target[96], path[160];

	serve(f,
	      (struct canned){ .parameters = "{\"generation\":3,\"path\":\"/a\",\"file\":0,\"base64\":\"YQD/Cg==\","
					     "\"last\":true}" },
	      false);
	assert_int_equal(RUN(f, "config"), EXIT_DONE);
	assert_memory_equal(f->out, "a\0\377\n", 4);
	assert_int_equal(RUN(f, "config", "--json"), EXIT_DONE);
	assert_string_equal(f->out, "{\"generation\": 3, \"files\": [{\"path\": \"/a\", \"base64\": \"YQD/Cg==\"}]}\n");
	stop_serving(f);
	snprintf(target, sizeof(target), "%s/files", f->directory);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		snprintf(reply, sizeof(reply),
			 "{\"generation\":3,\"path\":\"%s\",\"file\":0,\"text\":\"x\\n\",\"last\":true}", paths[i][0]);
		serve(f, (struct canned){ .parameters = reply }, false);
		assert_int_equal(RUN(f, "config", "--files", target), EXIT_DONE);
		snprintf(path, sizeof(path), "%s/%s", target, paths[i][1]);
		assert_int_equal(access(path, F_OK), 0);
		assert_int_equal(RUN(f, "config", "--files", target), EXIT_FAILED);
		assert_non_null(strstr(f->err, "is there already"));
		assert_int_equal(unlink(path), 0);
		assert_int_equal(symlink("/nowhere/at/all", path), 0);
		assert_int_equal(RUN(f, "config", "--files", target), EXIT_FAILED);
		assert_int_equal(unlink(path), 0);
		stop_serving(f);
	}
	assert_int_equal(rmdir(target), 0);
	serve(f, (struct canned){ .parameters = "{}" }, false);
	assert_int_equal(RUN(f, "config"), EXIT_FAILED);
}

static void test_errors_of_the_daemon(void **state)
{
	struct fixture *f = *state;

	serve(f,
	      (struct canned){ "org.spefw.Gateway.ConfigInvalid",
			       "{\"errors\":[\"a.ini:1: wrong\",\"a.ini:2: bad\\u001b[2J\"]}" },
	      false);
	assert_int_equal(RUN(f, "reload"), EXIT_FAILED);
	assert_string_equal(f->err, "a.ini:1: wrong\na.ini:2: bad?[2J\nspefwctl: nothing was changed, the policy "
				    "before is still in force: "
				    "correct the file, see spefwctl check\n");
	assert_string_equal(f->out, "");
	assert_int_equal(RUN(f, "reload", "--json"), EXIT_FAILED);
	assert_non_null(strstr(f->out, "\"error\": \"org.spefw.Gateway.ConfigInvalid\""));
	stop_serving(f);
	serve(f, (struct canned){ "org.spefw.Gateway.NameUnknown", "{\"name\":\"a.b\"}" }, false);
	assert_int_equal(RUN(f, "refresh", "a.b"), EXIT_FAILED);
	assert_string_equal(f->err, "spefwctl: no flow uses the name a.b: spefwctl names lists those that are used\n");
	stop_serving(f);
	serve(f, (struct canned){ "org.spefw.Gateway.Failed", "{\"what\":\"the kernel refused\"}" }, false);
	assert_int_equal(RUN(f, "status"), EXIT_FAILED);
	assert_string_equal(f->err, "spefwctl: the kernel refused\n");
	stop_serving(f);
	serve(f, (struct canned){ .parameters = "{}" }, true);
	assert_int_equal(RUN(f, "reload"), EXIT_PERMISSION);
	char expected[192];
	snprintf(expected, sizeof(expected), "spefwctl: permission denied, though by root: see journalctl -u spefwd\n");
	assert_string_equal(f->err, expected);
	f->root = false;
	assert_int_equal(RUN(f, "refresh", "--json", "it's"), EXIT_PERMISSION);
	snprintf(expected, sizeof(expected),
		 "spefwctl: permission denied: sudo spefwctl -s %s refresh --json 'it'\\''s'\n", f->socket);
	assert_string_equal(f->err, expected);
}

/* Something else listens there: what it sends is not taken for an answer. */
static void answer_with(struct fixture *f, const char *bytes, size_t count)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(f->socket);
	memcpy(address.sun_path, f->socket, sizeof(f->socket));
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	f->server = fork();
	if (f->server == 0) {
		char buffer[256];
		int fd = accept(listener, NULL, NULL);
		if (read(fd, buffer, sizeof(buffer)) > 0)
			send(fd, bytes, count, MSG_NOSIGNAL);
		_exit(0);
	}
	close(listener);
}

/* One server has one canned answer: what is not an answer to Names has no names. */
static void test_nearest_word(void **state)
{
	struct fixture *f = *state;
	char *path = golden_path("names-trouble", ".json"), *reply = read_whole(path);
	struct ctl_environment environment = { .err = stderr };
	struct ctl ctl = { .environment = &environment, .values = { [OPTION_SOCKET] = f->socket } };

	assert_null(list_nearest(&ctl, "NAME", "my.mailstore.com")); /* no daemon */
	serve(f, (struct canned){ .parameters = reply }, false);
	char *nearest = list_nearest(&ctl, "NAME", "my.mailstor.com");
	assert_string_equal(nearest, "my.mailstore.com");
	free(nearest);
	assert_null(list_nearest(&ctl, "NAME", "somewhere.example.org"));
	assert_null(list_nearest(&ctl, "NONSENSE", "my.mailstore.com"));
	free(reply);
	free(path);
}

static void test_strange_answers(void **state)
{
	struct fixture *f = *state;

	answer_with(f, "HTTP/1.1 400 Bad Request\r\n\r\n", 29);
	assert_int_equal(RUN(f, "status"), EXIT_FAILED);
	assert_non_null(strstr(f->err, "is it the right socket?"));
	stop_serving(f);
	answer_with(f, "{\"parameters\":7}", 17);
	assert_int_equal(RUN(f, "flows"), EXIT_FAILED);
	stop_serving(f);
	answer_with(f, "{\"parameters\":{", 15); /* and hangs up */
	assert_int_equal(RUN(f, "names"), EXIT_FAILED);
	assert_non_null(strstr(f->err, "closed the connection"));
	stop_serving(f);
	char *endless = malloc(SPEFW_REPLY_MAX + 1);
	memset(endless, ' ', SPEFW_REPLY_MAX + 1);
	answer_with(f, endless, SPEFW_REPLY_MAX + 1);
	assert_int_equal(RUN(f, "names"), EXIT_FAILED);
	assert_non_null(strstr(f->err, "is it the right socket?"));
	free(endless);
}

static void test_silent_daemon(void **state)
{
	struct fixture *f = *state;
	json_t *reply = NULL;

	serve(f, (struct canned){ 0 }, false);
	assert_int_equal(client_call(f->socket, "org.spefw.Gateway.Clear", NULL, 1, &reply), -ETIMEDOUT);
	assert_null(reply);
	kill(f->server, SIGSTOP); /* its kernel still takes the connection */
	assert_int_equal(client_call(f->socket, "org.spefw.Gateway.Status", NULL, 1, &reply), -ETIMEDOUT);
	/* ... until its backlog is full: then connecting itself would wait for ever. */
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fds[1024], count = 0;
	memcpy(address.sun_path, f->socket, sizeof(f->socket));
	for (bool full = false; !full && count < 1024; count++) {
		fds[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_true(fds[count] >= 0);
		full = connect(fds[count], (const struct sockaddr *)&address, sizeof(address)) < 0;
	}
	assert_in_range(count, 2, 1023);
	assert_int_equal(client_call(f->socket, "org.spefw.Gateway.Status", NULL, 1, &reply), -ETIMEDOUT);
	while (count)
		close(fds[--count]);
}

static void write_spefwd(const struct fixture *f, const char *script)
{
	int fd = open(f->spefwd, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0755);

	assert_true(fd >= 0);
	assert_int_equal(dprintf(fd, "#!/bin/sh\n%s\n", script), 11 + strlen(script));
	close(fd);
}

static void test_no_daemon(void **state)
{
	static const char *const names[] = { "flows", "names", "reload", "refresh", "config", "history" };
	struct fixture *f = *state;

	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(RUN(f, names[i]), EXIT_NOT_RUNNING);
		assert_string_equal(f->out, "");
		assert_non_null(strstr(f->err, "spefwd is not running"));
	}
	/* A socket that nobody listens on is the same. */
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	memcpy(address.sun_path, f->socket, sizeof(f->socket));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(RUN(f, "flows"), EXIT_NOT_RUNNING);
}

static void test_status_without_daemon(void **state)
{
	struct fixture *f = *state;

	write_spefwd(f, "[ \"$*\" = '--inspect --json' ] || exit 9\n"
			"echo "
			"'{\"loaded\":true,\"guards\":true,\"layout\":1,\"protected\":[\"192.0.2.25\",\"2001:db8:2::"
			"25\"],\"mode\":\"enforce\",\"owner\":true}'");
	assert_int_equal(RUN(f, "status"), EXIT_NOT_RUNNING);
	compare_golden("status-not-running", ".txt", f->out);
	compare_terminals(f, "status-not-running", (const char *const[]){ "status", NULL });
	assert_int_equal(RUN(f, "status", "--json"), EXIT_NOT_RUNNING);
	compare_golden("status-not-running", ".out.json", f->out);
	f->root = false;
	assert_int_equal(RUN(f, "status"), EXIT_NOT_RUNNING);
	compare_golden("status-not-running-user", ".txt", f->out);
	compare_terminals(f, "status-not-running-user", (const char *const[]){ "status", NULL });
	f->root = true;
	write_spefwd(f, "echo '{\"loaded\":false,\"guards\":false}'; exit 1");
	assert_int_equal(RUN(f, "status"), EXIT_NOT_RUNNING);
	assert_non_null(strstr(f->out, "nothing is guarded, there is no table"));
	write_spefwd(f, "echo '{\"loaded\":true,\"guards\":false}'; exit 1");
	assert_int_equal(RUN(f, "status"), EXIT_NOT_RUNNING);
	assert_non_null(strstr(f->out, "is loaded and does not guard"));
	write_spefwd(f, "echo '{\"loaded\":true,\"guards\":false,\"foreign\":true}'; exit 1");
	assert_int_equal(RUN(f, "status"), EXIT_NOT_RUNNING);
	assert_non_null(strstr(f->out, "changed by another program"));
	write_spefwd(f, "echo '{\"loaded\":true,\"guards\":false,\"mode\":\"audit\",\"protected\":[\"192.0.2.25\"]}'; "
			"exit 1");
	assert_int_equal(RUN(f, "status"), EXIT_NOT_RUNNING);
	assert_non_null(strstr(f->out, "denies nothing (audit mode), for 192.0.2.25"));
	write_spefwd(f, "echo broken; exit 1");
	assert_int_equal(RUN(f, "status"), EXIT_NOT_RUNNING);
	assert_non_null(strstr(f->out, "not known"));
	unlink(f->spefwd);
	assert_int_equal(RUN(f, "status"), EXIT_NOT_RUNNING);
	assert_non_null(strstr(f->out, "No such file"));
}

#define SEEN                                                                                                          \
	"echo '{\"findings\":[{\"severity\":\"serious\",\"check\":\"forwarding\",\"what\":\"IPv4 is not forwarded\"," \
	"\"evidence\":\"net.ipv4.ip_forward = 0\",\"remedy\":\"sysctl -w net.ipv4.ip_forward=1\"},"                   \
	"{\"severity\":\"warning\",\"check\":\"tls\",\"what\":\"by \\u001b]0;owned\\u0007 "                           \
	"\\u202egnp\",\"evidence\":\"\",\"remedy\":\"\"},"                                                            \
	"{\"severity\":\"note\",\"check\":\"tls\",\"what\":\"a certificate could not be "                             \
	"checked\",\"evidence\":\"Connection refused\"}]}'"

static void test_doctor(void **state)
{
	struct fixture *f = *state;
	char *path = golden_path("status-degraded", ".json"), *reply = read_whole(path);

	serve(f, (struct canned){ .parameters = reply }, false);
	write_spefwd(f, "[ \"$*\" = '--json -c /etc/spefw/spefw.ini' ] || exit 9\n" SEEN "; exit 1");
	assert_int_equal(RUN(f, "doctor", "-c", "/etc/spefw/spefw.ini"), EXIT_FAILED);
	compare_golden("doctor-findings", ".txt", f->out);
	compare_terminals(f, "doctor-findings", (const char *const[]){ "doctor", "-c", "/etc/spefw/spefw.ini", NULL });
	assert_int_equal(RUN(f, "doctor", "--json", "-c", "/etc/spefw/spefw.ini"), EXIT_FAILED);
	compare_golden("doctor-findings", ".out.json", f->out);
	write_spefwd(f, "echo '{\"findings\":[]}'; exit 0");
	assert_int_equal(RUN(f, "doctor", "-c", "/etc/spefw/spefw.ini"),
			 EXIT_DONE); /* degraded is no serious finding */
	f->root = false;
	assert_int_equal(RUN(f, "doctor", "-c", "/etc/spefw/spefw.ini"), EXIT_DONE);
	compare_golden("doctor-user", ".txt", f->out);
	stop_serving(f);
	free(reply);
	free(path);
	f->root = true;
	path = golden_path("status-ok", ".json");
	reply = read_whole(path);
	serve(f, (struct canned){ .parameters = reply }, false);
	assert_int_equal(RUN(f, "doctor", "-c", "/etc/spefw/spefw.ini"), EXIT_DONE);
	assert_string_equal(f->out, "nothing stands in the way\n");
	write_spefwd(f, "[ \"$*\" = '--json -c other.ini' ] || exit 9\necho '{\"findings\":[]}'");
	assert_int_equal(RUN(f, "doctor", "-c", "other.ini"), EXIT_DONE);
	assert_non_null(strstr(f->out, "(/etc/spefw/spefw.ini)"));
	write_spefwd(f, "echo broken; exit 1");
	assert_int_equal(RUN(f, "doctor", "-c", "/etc/spefw/spefw.ini"), EXIT_FAILED);
	assert_string_equal(f->out, "");
	assert_non_null(strstr(f->err, "could not be looked at"));
	stop_serving(f);
	free(reply);
	free(path);
	/* Of an answer, no path is taken. */
	serve(f,
	      (struct canned){ .parameters = "{\"health\":\"ok\",\"config\":{\"path\":\"/tmp/\\u001b[2Jevil.ini\"}}" },
	      false);
	write_spefwd(f, "[ \"$*\" = '--json -c " SPEFW_CONFIG "' ] || exit 9\necho '{\"findings\":[]}'");
	assert_int_equal(RUN(f, "doctor"), EXIT_DONE);
	assert_non_null(strstr(f->out, "not checked: the configuration that spefwd reports as its own"));
	assert_non_null(strstr(f->out, "evil.ini"));
	assert_null(strchr(f->out, '\033'));
}

/* What spefw-doctor finds by itself is not reported twice, and what means "failed" is serious: both go by the code. */
static void test_doctor_goes_by_codes(void **state)
{
	struct fixture *f = *state;

	serve(f,
	      (struct canned){ .parameters = "{\"health\":\"degraded\",\"reasons\":["
					     "{\"code\":\"foreign-rule\",\"text\":\"first\"},"
					     "{\"code\":\"bridge\",\"text\":\"second\"},"
					     "{\"code\":\"flow-silent\",\"text\":\"flow a, handle 3\"}]}" },
	      false);
	write_spefwd(f, "echo '{\"findings\":[]}'");
	assert_int_equal(RUN(f, "doctor"), EXIT_DONE);
	assert_string_equal(f->out, "warning: flow a, handle 3 (spefwd's own health): see spefwctl status\n");
	f->root = false;
	assert_int_equal(RUN(f, "doctor"), EXIT_DONE);
	assert_non_null(strstr(f->out, "warning: first ("));
	assert_non_null(strstr(f->out, "warning: second ("));
	stop_serving(f);
	serve(f,
	      (struct canned){ .parameters = "{\"health\":\"failed\",\"reasons\":["
					     "{\"code\":\"config-changed\",\"text\":\"mild\"},"
					     "{\"code\":\"table-removed\",\"text\":\"grave\"}]}" },
	      false);
	assert_int_equal(RUN(f, "doctor"), EXIT_FAILED);
	assert_non_null(strstr(f->out, "serious: grave ("));
	assert_non_null(strstr(f->out, "warning: mild ("));
}

static void test_doctor_without_daemon(void **state)
{
	struct fixture *f = *state;

	write_spefwd(f, "echo '{\"findings\":[]}'");
	assert_int_equal(RUN(f, "doctor"), EXIT_DONE);
	assert_non_null(strstr(f->out, "warning: spefwd is not running"));
	f->root = false;
	assert_int_equal(RUN(f, "doctor"), EXIT_PERMISSION);
	assert_string_equal(f->out, "");
}

static void test_clear_without_daemon(void **state)
{
	struct fixture *f = *state;

	write_spefwd(f, "case $1 in --inspect) echo '{\"loaded\":true}';; --clear) exit 0;; esac");
	assert_int_equal(RUN(f, "clear"), EXIT_USAGE);
	assert_int_equal(RUN(f, "clear", "--yes"), EXIT_DONE);
	assert_non_null(strstr(f->out, "the table is removed"));
	write_spefwd(f, "case $1 in --inspect) echo '{\"loaded\":false}'; exit 1;; --clear) exit 0;; esac");
	assert_int_equal(RUN(f, "clear", "--yes", "--json"), EXIT_DONE);
	assert_string_equal(f->out, "{\"removed\": false}\n");
	write_spefwd(f, "exit 1");
	assert_int_equal(RUN(f, "clear", "--yes"), EXIT_FAILED);
	f->root = false;
	assert_int_equal(RUN(f, "clear", "--yes"), EXIT_PERMISSION);
}

static void test_usage(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(run(f, (const char *const[]){ NULL }), EXIT_USAGE);
	assert_int_equal(RUN(f, "statsu"), EXIT_USAGE);
	assert_string_equal(f->err, "spefwctl: unknown verb statsu: did you mean status?\n");
	assert_int_equal(RUN(f, "status", "now"), EXIT_USAGE);
	assert_int_equal(RUN(f, "status", "--yes"), EXIT_USAGE);
	assert_int_equal(RUN(f, "status", "-c", "x"), EXIT_USAGE);
	assert_int_equal(RUN(f, "check", "x", "-c", "y"), EXIT_USAGE);
	assert_int_equal(RUN(f, "--frobnicate", "status"), EXIT_USAGE);
	assert_string_equal(f->err, "spefwctl: unknown option --frobnicate: see spefwctl --help\n");
	assert_int_equal(RUN(f, "--jsn", "status"), EXIT_USAGE);
	assert_string_equal(f->err, "spefwctl: unknown option --jsn: did you mean --json?\n");
	assert_int_equal(RUN(f, "status", "--sokcet=/x"), EXIT_USAGE);
	assert_string_equal(f->err, "spefwctl: unknown option --sokcet: did you mean --socket?\n");
	assert_int_equal(RUN(f, "status", "--json=yes"), EXIT_USAGE);
	assert_string_equal(f->err, "spefwctl: --json takes no value: see spefwctl --help\n");
	assert_int_equal(RUN(f, "status", "-x"), EXIT_USAGE);
	assert_string_equal(f->err, "spefwctl: unknown option -x: see spefwctl --help\n");
	assert_int_equal(RUN(f, "status", "-s"), EXIT_USAGE);
	assert_int_equal(RUN(f, "--help"), EXIT_DONE);
	assert_string_equal(f->err, "");
	assert_non_null(strstr(f->out, "clear --yes"));
	check_width(f->out, 80);
	assert_int_equal(RUN(f, "--version"), EXIT_DONE);
	assert_string_equal(f->out, "spefwctl " PACKAGE_VERSION "\n");
}

static void test_help_of_verbs(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(RUN(f, "init", "--help"), EXIT_DONE);
	assert_int_equal(strncmp(f->out,
				 "Usage: spefwctl init [-c FILE] [--server LIST] [--adm LIST] [--resolvers LIST]\n",
				 79),
			 0);
	for (size_t i = 0; i < verb_count; i++) {
		size_t widest;
		assert_int_equal(RUN(f, "-h", verbs[i].name), EXIT_DONE);
		assert_string_equal(f->err, "");
		assert_in_range(count_lines(f->out, &widest), 8, 24);
		assert_in_range(widest, 60, 80);
		assert_null(strpbrk(f->out, "`<>"));
		assert_non_null(strstr(f->out, "--socket PATH"));
		assert_int_equal(strncmp(verbs[i].example, "spefwctl ", 9), 0);
		assert_int_equal(strncmp(verbs[i].example + 9, verbs[i].name, strlen(verbs[i].name)), 0);
		assert_non_null(strstr(f->out, verbs[i].example));
		char *help = strdup(f->out);
		assert_int_equal(RUN(f, "help", verbs[i].name), EXIT_DONE);
		assert_string_equal(f->out, help);
		free(help);
		assert_int_equal(strstr(f->out, "--server LIST") != NULL, strcmp(verbs[i].name, "init") == 0);
		assert_non_null(verbs[i].run);
		assert_int_equal(verbs[i].required & ~verbs[i].options, 0);
		assert_true(!verbs[i].method || (verbs[i].timeout_s && verbs[i].text));
	}
	assert_int_equal(RUN(f, "statsu", "--help"), EXIT_USAGE);
	assert_int_equal(RUN(f, "help", "statsu"), EXIT_USAGE);
	assert_string_equal(f->err, "spefwctl: unknown verb statsu: did you mean status?\n");
	assert_int_equal(RUN(f, "--help"), EXIT_DONE);
	char *help = strdup(f->out);
	assert_int_equal(RUN(f, "help"), EXIT_DONE);
	assert_string_equal(f->out, help);
	free(help);
}

static void test_lists(void **state)
{
	struct fixture *f = *state;
	char *path = golden_path("flows-all", ".json"), *reply = read_whole(path);

	serve(f, (struct canned){ .parameters = reply }, false);
	assert_int_equal(RUN(f, "list", "flows"), EXIT_DONE);
	assert_int_equal(strncmp(f->out, "crl\npop3-out\n", 13), 0);
	assert_int_equal(RUN(f, "list", "FLOW", "--json"), EXIT_DONE);
	assert_int_equal(strncmp(f->out, "{\"flows\": [\"crl\", ", 18), 0);
	assert_int_equal(RUN(f, "list", "roles"), EXIT_DONE);
	assert_string_equal(f->out, "SERVER\nADM\nCA\nPARTNERS\n");
	assert_int_equal(RUN(f, "list", "DST"), EXIT_DONE);
	assert_string_equal(f->out, "server\nSERVER\nADM\nCA\nPARTNERS\n");
	stop_serving(f);
	free(reply);
	free(path);
	path = golden_path("names-trouble", ".json");
	reply = read_whole(path);
	serve(f, (struct canned){ .parameters = reply }, false);
	assert_int_equal(RUN(f, "list", "names"), EXIT_DONE);
	assert_int_equal(strncmp(f->out, "my.mailstore.com\noutlook.office365.com\nmail.partner", 51), 0);
	stop_serving(f);
	free(reply);
	free(path);
	serve(f, (struct canned){ .parameters = "{\"connections\":[{\"id\":4294967295},{\"id\":7}]}" }, false);
	assert_int_equal(RUN(f, "list", "connections"), EXIT_DONE);
	assert_string_equal(f->out, "4294967295\n7\n");
	stop_serving(f);
	assert_int_equal(RUN(f, "list", "flows"), EXIT_NOT_RUNNING);
	assert_string_equal(f->out, "");
	assert_int_equal(RUN(f, "list", "ends"), EXIT_NOT_RUNNING);
	assert_string_equal(f->out, "");
	assert_int_equal(RUN(f, "list", "PROTO"), EXIT_DONE);
	assert_string_equal(f->out, "tcp\nudp\nicmp-echo\n");
	assert_int_equal(RUN(f, "list", "FORMAT"), EXIT_DONE);
	assert_string_equal(f->out, "netsh\nnft\njson\nmarkdown\nhtml\n");
	assert_int_equal(RUN(f, "list", "verbs"), EXIT_DONE);
	assert_int_equal(strncmp(f->out, "status\nreload\n", 14), 0);
	assert_int_equal(RUN(f, "list"), EXIT_USAGE);
	assert_string_equal(f->err, "spefwctl: which list? spefwctl list has these: flows, names, roles, ends, "
				    "connections, granted, history, protocols, formats, kinds, verbs\n");
	assert_int_equal(RUN(f, "list", "flow"), EXIT_USAGE);
}

static void test_metrics(void **state)
{
	struct fixture *f = *state;
	char *path = golden_path("status-degraded", ".json"), *reply = read_whole(path);

	serve(f, (struct canned){ .parameters = reply }, false);
	assert_int_equal(RUN(f, "metrics"), EXIT_DONE);
	compare_golden("metrics-degraded", ".txt", f->out);
	stop_serving(f);
	unlink(f->socket);
	assert_int_equal(RUN(f, "metrics"), EXIT_NOT_RUNNING);
	assert_string_equal(f->out, "# HELP spefw_up Whether spefwd answers.\n# TYPE spefw_up gauge\nspefw_up 0\n");
	free(reply);
	free(path);
}

static void test_check(void **state)
{
	struct fixture *f = *state;
	char path[96];

	snprintf(path, sizeof(path), "%s/spefw.ini", f->directory);
	FILE *file = fopen(path, "we");
	fputs("[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53\n[role ADM]\nmembers = 192.0.2.0/24\n", file);
	fclose(file);
	assert_int_equal(RUN(f, "check", path), EXIT_DONE);
	assert_non_null(strstr(f->out, "spefw.ini: good, 20 flows ("));
	assert_int_equal(RUN(f, "--json", "-c", path, "check"), EXIT_DONE);
	assert_non_null(strstr(f->out, "\"errors\": []"));

	file = fopen(path, "we"); /* what only this machine has */
	fputs("[server]\naddress = 192.0.2.25 127.0.0.1\n", file);
	fclose(file);
	assert_int_equal(RUN(f, "check", path), EXIT_FAILED);
	assert_non_null(strstr(f->err, "127.0.0.1 is this gateway's own address"));

	file = fopen(path, "we");
	fputs("[server]\naddress = 192.0.2.300\n[gatway]\n", file);
	fclose(file);
	assert_int_equal(RUN(f, "check", path), EXIT_FAILED);
	assert_non_null(strstr(f->out, "spefw.ini: not usable, "));
	assert_non_null(strstr(f->err, "spefw.ini:2: "));
	assert_non_null(strstr(f->err, "spefw.ini:3: "));
	assert_int_equal(RUN(f, "check", path, "--json"), EXIT_FAILED);
	json_t *printed = json_loads(f->out, 0, NULL);
	json_t *first = json_array_get(json_object_get(printed, "errors"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "file")), path);
	assert_int_equal(json_integer_value(json_object_get(first, "line")), 2);
	json_decref(printed);
	unlink(path);
	assert_int_equal(RUN(f, "check", path), EXIT_FAILED);
	assert_true(strlen(f->err) > 0);
}

static void test_terminal(void **state)
{
	struct fixture *f = *state;
	char *path = golden_path("status-ok", ".json"), *reply = read_whole(path);
	static char text[1 << 16];

	serve(f, (struct canned){ .parameters = reply }, false);
	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	ON_TERMINAL(f, 80, text, "status");
	assert_non_null(strstr(text, "\033[1;32m\u25cf spefw ok\033[0m"));
	ON_TERMINAL(f, 80, text, "--json", "status");
	assert_null(strchr(text, '\033'));
	assert_non_null(strstr(text, "{\n  \"health\": \"ok\"")); /* indented */
	setenv("TERM", "dumb", 1);
	ON_TERMINAL(f, 80, text, "status");
	assert_null(strchr(text, '\033'));
	setenv("TERM", "xterm", 1);
	setenv("LC_ALL", "C", 1);
	setenv("NO_COLOR", "1", 1);
	ON_TERMINAL(f, 60, text, "status");
	assert_null(strchr(text, '\033'));
	assert_non_null(strstr(text, "* spefw ok"));
	check_width(text, 60);
	setenv("LC_ALL", "C.UTF-8", 1);
	unsetenv("NO_COLOR");
	stop_serving(f);
	free(reply);
	free(path);
}

static void test_harmless_text(void **state)
{
	static const struct {
		const char *text, *expected;
	} all[] = {
		{ "plain", "plain" },
		{ "a\033[31mb\177", "a?[31mb?" },
		{ "\xc3\xa4\xe2\x82\xac", "\xc3\xa4\xe2\x82\xac" },
		{ "\xc2\x9b", "??" },
		{ "\xe2\x80\xae", "???" },
		{ "\xff\xfe", "??" },
		{ "\xc0\x80", "??" },
		{ "\xed\xa0\x80", "???" },
		{ "\xe2\x82", "??" },
		{ "\xf4\x90\x80\x80", "????" },
		{ "a\nb\tc", "a?b?c" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char *harmless = text_harmless(all[i].text);
		assert_string_equal(harmless, all[i].expected);
		free(harmless);
	}
}

static void test_formats(void **state)
{
	char buffer[32];

	(void)state;
	assert_string_equal(format_seconds(0, buffer), "0s");
	assert_string_equal(format_seconds(59, buffer), "59s");
	assert_string_equal(format_seconds(252, buffer), "4m 12s");
	assert_string_equal(format_seconds(3600, buffer), "1h");
	assert_string_equal(format_seconds(604730, buffer), "6d 23h");
	assert_string_equal(format_seconds(-5, buffer), "0s");
	assert_true(strlen(format_seconds(INT64_MAX, buffer)) > 10);
	assert_string_equal(format_count(999, buffer), "999");
	assert_string_equal(format_count(1000, buffer), "1,000");
	assert_string_equal(format_count(88120000, buffer), "88,120,000");
	assert_string_equal(format_count(INT64_MAX, buffer), "9,223,372,036,854,775,807");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_status),
		TEST(test_status_of_a_hostile_daemon),
		TEST(test_flows_and_names),
		TEST(test_flows_fit),
		TEST(test_one_flow),
		TEST(test_cut),
		TEST(test_verify),
		TEST(test_changes),
		TEST(test_history),
		TEST(test_config),
		TEST(test_events),
		TEST(test_explain),
		TEST(test_explain_file),
		TEST(test_diff),
		TEST(test_diff_files),
		TEST(test_drops),
		TEST(test_errors_of_the_daemon),
		TEST(test_nearest_word),
		TEST(test_strange_answers),
		TEST(test_silent_daemon),
		TEST(test_no_daemon),
		TEST(test_status_without_daemon),
		TEST(test_doctor),
		TEST(test_doctor_goes_by_codes),
		TEST(test_doctor_without_daemon),
		TEST(test_clear_without_daemon),
		TEST(test_usage),
		TEST(test_grants),
		TEST(test_help_of_verbs),
		TEST(test_lists),
		TEST(test_metrics),
		TEST(test_check),
		TEST(test_terminal),
		cmocka_unit_test(test_status_fits_a_screen),
		cmocka_unit_test(test_harmless_text),
		cmocka_unit_test(test_formats),
	};
	setenv("LC_ALL", "C.UTF-8", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
