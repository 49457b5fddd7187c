/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/server_parts.h"

#include <spefw/protocol.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
	"# What every Varlink service can report of itself.\n"
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

enum { BACKLOG = 128 };

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

/* Calls */

static void call_end(struct control_call *call, json_t *message)
{
	struct client *client = call->client;

	if (client) {
		client->call = NULL;
		if (call->oneway)
			control_client_update(client);
		else
			control_client_send(client, message);
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
		control_client_send(call->client, message);
	json_decref(message);
}

void control_stream(struct control_call *call, void (*room)(void *userdata, struct control_call *call))
{
	call->room = room;
}

bool control_has_room(const struct control_call *call)
{
	return call->client && !call->client->doomed && !wire_length(&call->client->out);
}

struct control_peer control_call_peer(const struct control_call *call)
{
	return call->peer;
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

void control_call_run(struct control *control, struct control_call *call, bool privileged,
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
		r = control_clients_begin(control);
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
	control_clients_end(control);
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
