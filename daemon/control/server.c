/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/server.h"
#include "control/wire.h"

#include <spefw/protocol.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The texts of the interfaces, for GetInterfaceDescription. */
static const char gateway_description[] =
#include "daemon/control/gateway_varlink.h"
	;
static const char service_description[] =
	"# What every Varlink service can tell of itself.\n"
	"interface org.varlink.service\n"
	"\n"
	"method GetInfo() -> (vendor: string, product: string, version: string, url: string, interfaces: []string)\n"
	"method GetInterfaceDescription(interface: string) -> (description: string)\n"
	"\n"
	"error InterfaceNotFound (interface: string)\n"
	"error MethodNotFound (method: string)\n"
	"error MethodNotImplemented (method: string)\n"
	"error InvalidParameter (parameter: string)\n";

static const struct {
	const char *name, *description;
} interfaces[] = {
	{ VARLINK_SERVICE, service_description },
	{ SPEFW_INTERFACE, gateway_description },
};

enum {
	BACKLOG = 128,
	ACCEPTS_A_TURN = 16,
	PAUSE_US = 200 * 1000, /* without descriptors or memory for another client */
	ACCURACY_US = 50 * 1000,
};

/* What a client is waited for; a deadline begins anew only when this changes, so dripping bytes win no time. */
enum wait {
	WAIT_CALL,    /* for the method: no deadline, it is ours */
	WAIT_IDLE,    /* a request may come */
	WAIT_REQUEST, /* the rest of a request has to come */
	WAIT_WRITE,   /* replies have to be read */
};

struct client {
	struct control *control;
	size_t index;
	int fd;
	sd_event_source *source;
	uid_t uid;
	bool privileged;
	struct wire_buffer in, out;
	struct control_call *call; /* the one that runs: the next waits for its end */
	bool eof;                  /* no more requests will come */
	bool hung;                 /* nobody is there to read a reply; a oneway call still runs to its end */
	bool doomed;               /* to be freed as soon as nobody up the stack can hold it */
	enum wait wait;
	uint64_t deadline;
	uint64_t since; /* last whole request, or the beginning */
};

struct control {
	sd_event *event;
	char *path;
	int lock_fd, fd;
	dev_t device;
	ino_t inode;
	const struct control_method *methods;
	void *userdata;
	struct control_limits limits;
	sd_event_source *listener, *timer, *reaper;
	uint64_t alarm, resume; /* UINT64_MAX: none */
	struct client **clients;
	size_t client_count, client_capacity;
};

struct control_call {
	struct client *client; /* NULL: gone */
	bool more, oneway;
	void *userdata;
	void (*gone)(void *userdata, struct control_call *call);
};

struct control_limits control_limits_default(void)
{
	return (struct control_limits){
		.clients = 256,
		.unprivileged = 240,
		.one_uid = 64,
		.request = 1024 * 1024,
		.request_unprivileged = 64 * 1024,
		.queue = SPEFW_REPLY_MAX,
		.queue_unprivileged = 4 * SPEFW_REPLY_MAX,
		.idle_us = 300 * UINT64_C(1000000),
		.request_us = 10 * UINT64_C(1000000),
		.write_us = 30 * UINT64_C(1000000),
	};
}

void control_set_limits(struct control *control, const struct control_limits *limits)
{
	control->limits = *limits;
}

size_t control_clients(const struct control *control)
{
	return control->client_count;
}

static uint64_t now_us(const struct control *control)
{
	uint64_t now = 0;
	sd_event_now(control->event, CLOCK_MONOTONIC, &now);
	return now;
}

/* Deadlines that move away leave the alarm alone: it finds nothing to do then, and sets itself anew. */
static void set_alarm(struct control *control, uint64_t at)
{
	if (at >= control->alarm)
		return;
	control->alarm = at;
	sd_event_source_set_time(control->timer, at);
	sd_event_source_set_enabled(control->timer, SD_EVENT_ONESHOT);
}

/* Clients */

static void client_free(struct client *client)
{
	struct control *control = client->control;
	struct control_call *call = client->call;

	control->clients[client->index] = control->clients[--control->client_count];
	control->clients[client->index]->index = client->index;
	sd_event_source_disable_unref(client->source);
	close(client->fd);
	wire_buffer_free(&client->in);
	wire_buffer_free(&client->out);
	free(client);
	if (!call)
		return;
	call->client = NULL;
	if (call->gone) {
		call->gone(call->userdata, call);
		free(call);
	}
}

/* From wherever a client may be in use further up. */
static void client_doom(struct client *client)
{
	client->doomed = true;
	sd_event_source_set_enabled(client->source, SD_EVENT_OFF);
	sd_event_source_set_enabled(client->control->reaper, SD_EVENT_ONESHOT);
}

static void client_wait(struct client *client, enum wait wait)
{
	struct control *control = client->control;
	const uint64_t limits[] = {
		[WAIT_CALL] = UINT64_MAX,
		[WAIT_IDLE] = control->limits.idle_us,
		[WAIT_REQUEST] = control->limits.request_us,
		[WAIT_WRITE] = control->limits.write_us,
	};

	if (client->wait == wait)
		return;
	client->wait = wait;
	client->deadline = limits[wait] == UINT64_MAX ? UINT64_MAX : now_us(control) + limits[wait];
	set_alarm(control, client->deadline);
}

/* What to wait for now. A request that waits in the buffer is taken when the socket can be written, so that a client
 * with many of them gets its turn among the others, and gets no further while it reads no replies. */
static void client_update(struct client *client)
{
	uint32_t events = 0;

	if (client->doomed)
		return;
	bool unread = wire_length(&client->out) > 0;
	bool ready = !client->call && wire_has_message(&client->in);
	if (client->eof && !client->call && !ready && !unread) {
		client_doom(client);
		return;
	}
	if (unread || ready)
		events = EPOLLOUT;
	else if (!client->call && !client->eof)
		events = EPOLLIN;
	client_wait(client, unread                     ? WAIT_WRITE
			    : client->call             ? WAIT_CALL
			    : wire_length(&client->in) ? WAIT_REQUEST
						       : WAIT_IDLE);
	/* A hang-up is reported whatever we wait for: no more of it until the call has ended. */
	if (sd_event_source_set_io_events(client->source, events) < 0 ||
	    sd_event_source_set_enabled(client->source, client->hung && client->call ? SD_EVENT_OFF : SD_EVENT_ON) < 0)
		client_doom(client);
}

static void client_flush(struct client *client)
{
	struct wire_buffer *out = &client->out;
	ssize_t n = send(client->fd, out->bytes + out->start, wire_length(out), MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n >= 0)
		wire_consume(out, (size_t)n);
	else if (errno != EAGAIN && errno != EINTR)
		client_doom(client);
}

static bool queues_full(const struct control *control)
{
	size_t queued = 0;

	for (size_t i = 0; i < control->client_count; i++)
		if (!control->clients[i]->privileged)
			queued += wire_length(&control->clients[i]->out);
	return queued > control->limits.queue_unprivileged;
}

/* message NULL: there was no memory for it; a client that would wait for ever is better told by the end of the
 * connection. */
static void client_send(struct client *client, const json_t *message)
{
	if (client->doomed)
		return;
	if (!message || wire_put(&client->out, message, client->control->limits.queue) < 0) {
		client_doom(client);
		return;
	}
	client_flush(client);
	if (!client->privileged && wire_length(&client->out) && queues_full(client->control))
		client_doom(client);
	client_update(client);
}

static void client_receive(struct client *client)
{
	size_t room;
	char *bytes = wire_room(&client->in, &room);
	ssize_t n = bytes ? recv(client->fd, bytes, room, MSG_DONTWAIT) : -1;

	if (!bytes || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		client_doom(client);
		return;
	}
	if (n > 0)
		wire_filled(&client->in, (size_t)n);
	if (n == 0)
		client->eof = true;
	if (wire_length(&client->in) == 0)
		wire_buffer_free(&client->in);
}

/* Calls */

static void call_end(struct control_call *call, json_t *message)
{
	struct client *client = call->client;

	if (client) {
		client->call = NULL;
		if (call->oneway)
			client_update(client);
		else
			client_send(client, message);
	}
	json_decref(message);
	free(call);
}

void control_reply(struct control_call *call, json_t *parameters)
{
	call_end(call, wire_reply_new(parameters, false));
}

void control_fail(struct control_call *call, const char *error, json_t *parameters)
{
	call_end(call, wire_error_new(error, parameters));
}

void control_hang_up(struct control_call *call)
{
	call_end(call, NULL);
}

bool control_wants_more(const struct control_call *call)
{
	return call->more;
}

void control_reply_more(struct control_call *call, json_t *parameters)
{
	json_t *message = wire_reply_new(parameters, true);

	if (call->client && call->more)
		client_send(call->client, message);
	json_decref(message);
}

void control_on_gone(struct control_call *call, void (*gone)(void *userdata, struct control_call *call))
{
	call->gone = gone;
}

static void get_info(void *userdata, struct control_call *call, json_t *parameters)
{
	(void)userdata;
	(void)parameters;
	control_reply(call, json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor", "spefw", "product", "spefwd",
				      "version", PACKAGE_VERSION, "url", PACKAGE_URL, "interfaces", interfaces[0].name,
				      interfaces[1].name));
}

static void get_description(void *userdata, struct control_call *call, json_t *parameters)
{
	const char *name = json_string_value(json_object_get(parameters, "interface"));

	(void)userdata;
	if (!name) {
		control_fail(call, VARLINK_SERVICE ".InvalidParameter", json_pack("{s:s}", "parameter", "interface"));
		return;
	}
	for (size_t i = 0; i < sizeof(interfaces) / sizeof(interfaces[0]); i++) {
		if (strcmp(interfaces[i].name, name) == 0) {
			control_reply(call, json_pack("{s:s}", "description", interfaces[i].description));
			return;
		}
	}
	control_fail(call, VARLINK_SERVICE ".InterfaceNotFound", json_pack("{s:s}", "interface", name));
}

static const struct control_method service_methods[] = {
	{ VARLINK_SERVICE ".GetInfo", false, get_info },
	{ VARLINK_SERVICE ".GetInterfaceDescription", false, get_description },
	{ 0 },
};

static const struct control_method *find_method(const struct control_method *methods, const char *name)
{
	for (; methods->name; methods++)
		if (strcmp(methods->name, name) == 0)
			return methods;
	return NULL;
}

static void fail_unknown(struct control_call *call, const char *method)
{
	const char *dot = strrchr(method, '.');
	size_t length = dot ? (size_t)(dot - method) : 0;

	for (size_t i = 0; i < sizeof(interfaces) / sizeof(interfaces[0]); i++) {
		if (strlen(interfaces[i].name) == length && memcmp(interfaces[i].name, method, length) == 0) {
			control_fail(call, VARLINK_SERVICE ".MethodNotFound", json_pack("{s:s}", "method", method));
			return;
		}
	}
	if (length)
		control_fail(call, VARLINK_SERVICE ".InterfaceNotFound",
			     json_pack("{s:s%}", "interface", method, length));
	else
		control_fail(call, VARLINK_SERVICE ".InvalidParameter", json_pack("{s:s}", "parameter", "method"));
}

static void fail_permission(struct control_call *call, const char *method)
{
	char what[160];

	snprintf(what, sizeof(what), "%s is for root alone", method);
	control_fail(call, SPEFW_ERROR("PermissionDenied"), json_pack("{s:s}", "what", what));
}

static void call_run(struct control *control, struct control_call *call, bool privileged,
		     const struct wire_call *request)
{
	const struct control_method *method = find_method(service_methods, request->method);

	if (!method)
		method = find_method(control->methods, request->method);
	if (!method) {
		fail_unknown(call, request->method);
	} else if (request->upgrade) {
		control_fail(call, VARLINK_SERVICE ".MethodNotImplemented", json_pack("{s:s}", "method", method->name));
	} else if (method->privileged && !privileged) {
		fail_permission(call, method->name);
	} else {
		json_t *parameters = request->parameters ? json_incref(request->parameters) : json_object();
		if (parameters)
			method->run(control->userdata, call, parameters);
		else
			call_end(call, NULL);
		json_decref(parameters);
	}
}

/* Garbage ends the connection: where one message is broken, the borders of the next are a guess. */
static void client_take(struct client *client)
{
	struct control *control = client->control;
	const struct control_limits *limits = &control->limits;
	struct wire_call request;
	json_t *message = NULL;

	int r = wire_take(&client->in, client->privileged ? limits->request : limits->request_unprivileged, &message);
	if (r == 0)
		return;
	struct control_call *call = r > 0 && wire_read_call(message, &request) == 0 ? calloc(1, sizeof(*call)) : NULL;
	if (!call) {
		client_doom(client);
	} else {
		*call = (struct control_call){
			.client = client,
			.more = request.more,
			.oneway = request.oneway,
			.userdata = control->userdata,
		};
		client->call = call;
		client->since = now_us(control);
		client_wait(client, WAIT_CALL);
		call_run(control, call, client->privileged, &request);
	}
	json_decref(message);
}

/* One turn of one client: at most one send, one receive, one request. */
static int on_client(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct client *client = userdata;

	(void)source;
	(void)fd;
	if (client->doomed)
		return 0;
	if ((events & EPOLLHUP) && client->call) {
		if (client->call->oneway)
			client->hung = true;
		else
			client_doom(client);
	} else if (wire_length(&client->out)) {
		client_flush(client);
	} else if (!client->call) {
		if (!client->eof && !wire_has_message(&client->in))
			client_receive(client);
		if (!client->doomed)
			client_take(client);
	}
	client_update(client);
	return 0;
}

static int on_reaper(sd_event_source *source, void *userdata)
{
	struct control *control = userdata;

	(void)source;
	for (size_t i = control->client_count; i-- > 0;)
		if (control->clients[i]->doomed)
			client_free(control->clients[i]);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct control *control = userdata;
	uint64_t now = now_us(control), next = UINT64_MAX;

	(void)source;
	(void)usec;
	control->alarm = UINT64_MAX;
	if (control->resume <= now) {
		control->resume = UINT64_MAX;
		sd_event_source_set_enabled(control->listener, SD_EVENT_ON);
	}
	for (size_t i = control->client_count; i-- > 0;) {
		struct client *client = control->clients[i];
		if (client->deadline <= now)
			client_free(client);
		else if (client->deadline < next)
			next = client->deadline;
	}
	set_alarm(control, control->resume < next ? control->resume : next);
	return 0;
}

/* Who goes where another has to come in */

static bool may_evict(const struct client *client, bool privileged, const uid_t *uid, bool busy)
{
	if (client->privileged != privileged || (uid && client->uid != *uid))
		return false;
	return busy || (!client->call && !wire_length(&client->out));
}

/* The idlest one, or NULL. uid NULL: any; busy: also one with a call or an unread reply. */
static struct client *find_idlest(const struct control *control, bool privileged, const uid_t *uid, bool busy)
{
	struct client *idlest = NULL;

	for (size_t i = 0; i < control->client_count; i++) {
		struct client *client = control->clients[i];
		if (may_evict(client, privileged, uid, busy) && (!idlest || client->since < idlest->since))
			idlest = client;
	}
	return idlest;
}

static size_t count_unprivileged(const struct control *control, const uid_t *uid)
{
	size_t count = 0;

	for (size_t i = 0; i < control->client_count; i++)
		count += !control->clients[i]->privileged && (!uid || control->clients[i]->uid == *uid);
	return count;
}

/* False: the newcomer has to go. */
static bool make_room(struct control *control, uid_t uid, bool privileged)
{
	const struct control_limits *limits = &control->limits;
	struct client *victim;

	if (!privileged && count_unprivileged(control, &uid) >= limits->one_uid)
		victim = find_idlest(control, false, &uid, false);
	else if (!privileged && (count_unprivileged(control, NULL) >= limits->unprivileged ||
				 control->client_count >= limits->clients))
		victim = find_idlest(control, false, NULL, false);
	else if (control->client_count < limits->clients)
		return true;
	else if (!(victim = find_idlest(control, false, NULL, true)))
		victim = find_idlest(control, true, NULL, false);
	if (victim)
		client_free(victim);
	return victim;
}

/* On error fd is left to the caller. */
static int client_new(struct control *control, int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return -errno;
	bool privileged = peer.uid == control->limits.root;
	if (!make_room(control, peer.uid, privileged))
		return -EBUSY;
	if (control->client_count == control->client_capacity) {
		size_t wanted = control->client_capacity ? control->client_capacity * 2 : 8;
		struct client **grown = reallocarray(control->clients, wanted, sizeof(struct client *));
		if (!grown)
			return -ENOMEM;
		control->clients = grown;
		control->client_capacity = wanted;
	}
	struct client *client = calloc(1, sizeof(*client));
	if (!client)
		return -ENOMEM;
	*client = (struct client){
		.control = control,
		.fd = fd,
		.uid = peer.uid,
		.privileged = privileged,
		.since = now_us(control),
	};
	int r = sd_event_add_io(control->event, &client->source, fd, EPOLLIN, on_client, client);
	if (r < 0) {
		free(client);
		return r;
	}
	sd_event_source_set_priority(client->source, CONTROL_PRIORITY);
	client->index = control->client_count;
	control->clients[control->client_count++] = client;
	client_update(client);
	return 0;
}

/* accept() can't succeed, and the listener stays readable: look away for a moment instead of spinning. */
static void pause_listening(struct control *control)
{
	struct client *idlest = find_idlest(control, false, NULL, false);

	if (idlest)
		client_free(idlest);
	sd_event_source_set_enabled(control->listener, SD_EVENT_OFF);
	control->resume = now_us(control) + PAUSE_US;
	set_alarm(control, control->resume);
}

static int on_listener(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct control *control = userdata;

	(void)source;
	(void)events;
	for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
		int client_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (client_fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (client_fd < 0) {
			if (errno != EAGAIN)
				pause_listening(control);
			break;
		}
		if (client_new(control, client_fd) < 0)
			close(client_fd);
	}
	return 0;
}

/* The socket */

/* Held as long as the daemon lives: with it, what stands at path is dead, or not ours. */
static int take_lock(struct control *control)
{
	char *lock = NULL;

	if (asprintf(&lock, "%s.lock", control->path) < 0)
		return -ENOMEM;
	control->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = control->lock_fd < 0 ? -errno : 0;
	free(lock);
	if (r == 0 && flock(control->lock_fd, LOCK_EX | LOCK_NB) < 0)
		r = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
	return r;
}

/* A daemon that knows nothing of our lock may still live at path; and what is no socket is not ours to remove. */
static int remove_dead(const char *path, const struct sockaddr_un *address)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN ? -EADDRINUSE
													: -errno;
	close(fd);
	if (r != -ECONNREFUSED)
		return r;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* The umask makes the mode right from the first moment: chmod afterwards would be too late. */
static int bind_private(int fd, const struct sockaddr_un *address)
{
	mode_t before = umask(0117);
	int r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;

	umask(before);
	return r;
}

static int open_socket(struct control *control)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat st;

	if (strlen(control->path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, control->path);
	int r = take_lock(control);
	if (r == 0)
		r = remove_dead(control->path, &address);
	if (r < 0)
		return r;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = bind_private(fd, &address);
	if (r < 0) {
		close(fd);
		return r;
	}
	control->fd = fd;
	if (lstat(control->path, &st) < 0)
		return -errno;
	control->device = st.st_dev;
	control->inode = st.st_ino;
	return listen(fd, BACKLOG) < 0 ? -errno : 0;
}

static int add_sources(struct control *control)
{
	int r = sd_event_add_io(control->event, &control->listener, control->fd, EPOLLIN, on_listener, control);
	if (r >= 0)
		r = sd_event_source_set_priority(control->listener, CONTROL_PRIORITY);
	if (r >= 0)
		r = sd_event_add_time(control->event, &control->timer, CLOCK_MONOTONIC, UINT64_MAX, ACCURACY_US,
				      on_timer, control);
	if (r >= 0)
		r = sd_event_source_set_priority(control->timer, CONTROL_PRIORITY);
	if (r >= 0)
		r = sd_event_add_defer(control->event, &control->reaper, on_reaper, control);
	if (r >= 0)
		r = sd_event_source_set_enabled(control->reaper, SD_EVENT_OFF);
	return r < 0 ? r : 0;
}

int control_new(struct control **ret, sd_event *event, const char *path, const struct control_method *methods,
		void *userdata)
{
	struct control *control = calloc(1, sizeof(*control));

	if (!control)
		return -ENOMEM;
	*control = (struct control){
		.event = sd_event_ref(event),
		.path = strdup(path),
		.lock_fd = -1,
		.fd = -1,
		.methods = methods,
		.userdata = userdata,
		.limits = control_limits_default(),
		.alarm = UINT64_MAX,
		.resume = UINT64_MAX,
	};
	int r = control->path ? open_socket(control) : -ENOMEM;
	if (r == 0)
		r = add_sources(control);
	if (r < 0) {
		control_free(control);
		return r;
	}
	*ret = control;
	return 0;
}

static void remove_socket(const struct control *control)
{
	struct stat st;

	if (lstat(control->path, &st) == 0 && st.st_dev == control->device && st.st_ino == control->inode)
		unlink(control->path);
}

void control_free(struct control *control)
{
	if (!control)
		return;
	while (control->client_count)
		client_free(control->clients[control->client_count - 1]);
	free(control->clients);
	sd_event_source_disable_unref(control->listener);
	sd_event_source_disable_unref(control->timer);
	sd_event_source_disable_unref(control->reaper);
	if (control->fd >= 0) {
		remove_socket(control);
		close(control->fd);
	}
	if (control->lock_fd >= 0)
		close(control->lock_fd);
	sd_event_unref(control->event);
	free(control->path);
	free(control);
}
