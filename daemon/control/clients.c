/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/server_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Who is connected, what each may cost, and who goes where another has to come in. */

enum {
	ACCEPTS_A_TURN = 16,
	PAUSE_US = 200 * 1000, /* without descriptors or memory for another client */
	ACCURACY_US = 50 * 1000,
};

static uint64_t now_us(const struct control *control)
{
	uint64_t now = 0;
	sd_event_now(control->event, CLOCK_MONOTONIC, &now);
	return now;
}

/* Deadlines that move away leave the alarm alone: it finds nothing to do then, and sets itself again. */
static void set_alarm(struct control *control, uint64_t at)
{
	if (at >= control->alarm)
		return;
	control->alarm = at;
	sd_event_source_set_time(control->timer, at);
	sd_event_source_set_enabled(control->timer, SD_EVENT_ONESHOT);
}

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
void control_client_update(struct client *client)
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
	client_wait(client, client->call && client->call->room ? WAIT_CALL
			    : unread                           ? WAIT_WRITE
			    : client->call                     ? WAIT_CALL
			    : wire_length(&client->in)         ? WAIT_REQUEST
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

void control_client_send(struct client *client, const json_t *message)
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
	control_client_update(client);
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
			.peer = { client->uid, client->pid },
			.more = request.more,
			.oneway = request.oneway,
			.userdata = control->userdata,
		};
		client->call = call;
		client->since = now_us(control);
		client_wait(client, WAIT_CALL);
		control_call_run(control, call, client->privileged, &request);
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
		if (client->call && client->call->room && control_has_room(client->call))
			client->call->room(client->call->userdata, client->call);
	} else if (!client->call) {
		if (!client->eof && !wire_has_message(&client->in))
			client_receive(client);
		if (!client->doomed)
			client_take(client);
	}
	control_client_update(client);
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
	return busy || (client->call ? client->call->room != NULL : !wire_length(&client->out));
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
		.pid = peer.pid,
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
	control_client_update(client);
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

/* Begin and end */

int control_clients_begin(struct control *control)
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

void control_clients_end(struct control *control)
{
	while (control->client_count)
		client_free(control->clients[control->client_count - 1]);
	free(control->clients);
	sd_event_source_disable_unref(control->listener);
	sd_event_source_disable_unref(control->timer);
	sd_event_source_disable_unref(control->reaper);
}
