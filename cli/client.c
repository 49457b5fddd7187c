/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client.h"
#include "wait.h"
#include "control/wire.h"

#include <spefw/protocol.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct client {
	int fd;
	int64_t deadline_ms;
	bool follows; /* the first reply is there: the others come when they do */
	struct wire_buffer in, out;
};

/* A stopped daemon's backlog fills up, and then connect() waits as well: SO_SNDTIMEO ends that. */
static int open_connection(struct client *client, const char *path, unsigned timeout_s)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval timeout = { .tv_sec = timeout_s };

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0 || setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		return -errno;
	if (connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return errno == EAGAIN ? -ETIMEDOUT : errno == ENOTDIR ? -ENOENT : -errno;
	return fcntl(client->fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int send_all(struct client *client)
{
	while (wire_length(&client->out)) {
		ssize_t n = send(client->fd, client->out.bytes + client->out.start, wire_length(&client->out),
				 MSG_NOSIGNAL);
		int r = 0;
		if (n >= 0)
			wire_consume(&client->out, (size_t)n);
		else if (errno == EAGAIN)
			r = wait_until(client->deadline_ms, client->fd, POLLOUT);
		else if (errno != EINTR)
			r = errno == EPIPE ? -ECONNRESET : -errno;
		if (r < 0)
			return r;
	}
	return 0;
}

static int receive(struct client *client, json_t **ret)
{
	for (;;) {
		int r = wire_take(&client->in, SPEFW_REPLY_MAX, ret);
		if (r != 0)
			return r < 0 ? r : 0;
		size_t room;
		char *bytes = wire_room(&client->in, &room);
		ssize_t n = bytes ? recv(client->fd, bytes, room, 0) : -1;
		if (!bytes)
			return -ENOMEM;
		if (n == 0)
			return -ECONNRESET;
		if (n > 0)
			wire_filled(&client->in, (size_t)n);
		else if (errno == EAGAIN)
			r = client->follows ? wait_long(client->fd)
					    : wait_until(client->deadline_ms, client->fd, POLLIN);
		else if (errno != EINTR)
			r = -errno;
		if (r < 0)
			return r;
	}
}

/* The first reply may be the only one. */
static int run_call(const char *socket, json_t *call, unsigned timeout_s, bool (*got)(void *userdata, json_t *message),
		    void *userdata)
{
	struct client client = { .fd = -1, .deadline_ms = wait_deadline_ms(timeout_s) };

	int r = call ? wire_put(&client.out, call, SPEFW_REPLY_MAX) : -ENOMEM;
	json_decref(call);
	if (r == 0)
		r = open_connection(&client, socket, timeout_s);
	if (r == 0)
		r = send_all(&client);
	for (bool more = true; r == 0 && more;) {
		json_t *message = NULL;
		r = receive(&client, &message);
		more = r == 0 && got(userdata, message);
		json_decref(message);
		client.follows = true;
	}
	wire_buffer_free(&client.in);
	wire_buffer_free(&client.out);
	if (client.fd >= 0)
		close(client.fd);
	return r;
}

static bool keep(void *userdata, json_t *message)
{
	json_t **ret = userdata;

	*ret = json_incref(message);
	return false;
}

int client_call(const char *socket, const char *method, json_t *parameters, unsigned timeout_s, json_t **ret)
{
	return run_call(socket, wire_call_new(method, parameters), timeout_s, keep, ret);
}

int client_follow(const char *socket, const char *method, json_t *parameters, unsigned timeout_s,
		  bool (*got)(void *userdata, json_t *message), void *userdata)
{
	json_t *call = wire_call_new(method, parameters);

	if (call && json_object_set_new(call, "more", json_true()) < 0) {
		json_decref(call);
		call = NULL;
	}
	return run_call(socket, call, timeout_s, got, userdata);
}
