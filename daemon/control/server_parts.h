/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CONTROL_SERVER_PARTS_H
#define SPEFW_CONTROL_SERVER_PARTS_H

/* What the two halves of the server share: server.c has the socket and the calls, clients.c who is connected. */

#include "control/server.h"
#include "control/wire.h"

/* What a client is waited for; a deadline begins again only when this changes, so dripping bytes win no time. */
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
	pid_t pid;
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
	struct control_peer peer;
	bool more, oneway;
	void *userdata;
	void (*gone)(void *userdata, struct control_call *call);
	void (*room)(void *userdata, struct control_call *call); /* of a stream; NULL: it is none */
};

/* The listener's, the timer's and the reaper's sources; on error control_free() cleans up. 0 or a negative errno. */
int control_clients_begin(struct control *control);
/* Ends all connections, and the sources. */
void control_clients_end(struct control *control);
/* Sends one message. NULL: there was no memory for it; a client that would wait for ever is better served by the end
 * of the connection. */
void control_client_send(struct client *client, const json_t *message);
/* After a change of what the client waits for. */
void control_client_update(struct client *client);
/* Runs the method of a request; the call ends then or later. */
void control_call_run(struct control *control, struct control_call *call, bool privileged,
		      const struct wire_call *request);

#endif
