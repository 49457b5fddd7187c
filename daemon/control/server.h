/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CONTROL_H
#define SPEFW_CONTROL_H

/* The Varlink server on the control socket. It knows messages, clients and their rights, and nothing of firewalls. */

#include "control/peer.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

/* Of its event sources: after packets and names. */
enum { CONTROL_PRIORITY = SD_EVENT_PRIORITY_NORMAL + 10 };

struct control;
struct control_call; /* one request that waits for its reply */

struct control_method {
	const char *name; /* "org.spefw.Gateway.Reload" */
	bool privileged;  /* uid 0 alone */
	/* Must end in control_reply() or control_fail(), now or later. parameters (never NULL) belong to the caller,
	 * and are gone when this returns. */
	void (*run)(void *userdata, struct control_call *call, json_t *parameters);
};

/* Listens on path (mode 0660); methods end with a NULL name. The path is removed by control_free(), which must not be
 * called by a method or by `gone`.
 * -EADDRINUSE: a live daemon listens there; a dead one's socket is replaced. PATH.lock decides between two that start.
 */
int control_new(struct control **ret, sd_event *event, const char *path, const struct control_method *methods,
		void *userdata);
void control_free(struct control *control);
size_t control_clients(const struct control *control);

/* What clients may cost. Bytes, microseconds, counts. */
struct control_limits {
	size_t clients;      /* connections in all: beyond, root evicts others, and never the other way round */
	size_t unprivileged; /* of all but root */
	size_t one_uid;      /* of one uid that is not root: beyond, its own idlest one is evicted */
	size_t request;      /* of root */
	size_t request_unprivileged;
	size_t queue;              /* waiting for one client */
	size_t queue_unprivileged; /* waiting for all of them but root */
	uint64_t idle_us;          /* without a request */
	uint64_t request_us;       /* from the first byte of a request to its last */
	uint64_t write_us;         /* for replies to be read */
	uid_t root;                /* 0 */
};

struct control_limits control_limits_default(void);
/* From now on; clients that are there keep their rights and deadlines. */
void control_set_limits(struct control *control, const struct control_limits *limits);

/* Each ends the call. parameters/error parameters are stolen (NULL: none). With a client that is gone, they only free.
 * error is "org.spefw.Gateway.NAME". */
void control_reply(struct control_call *call, json_t *parameters);
void control_fail(struct control_call *call, const char *error, json_t *parameters);
/* Ends the call and the connection: what was done can't be reported for want of memory, and is not to be taken for a
 * failure. */
void control_hang_up(struct control_call *call);
/* One reply of many: only where control_wants_more(). */
bool control_wants_more(const struct control_call *call);
void control_reply_more(struct control_call *call, json_t *parameters);
/* A call that goes on for as long as its client likes: nobody waits for it to read, and where another has to come in it
 * goes as an idle one. `room` is called when all that was sent has left for the client. */
void control_stream(struct control_call *call, void (*room)(void *userdata, struct control_call *call));
/* Whether that is so now: else another reply would but lengthen its queue. */
bool control_has_room(const struct control_call *call);
/* Who calls, until the call has ended. */
struct control_peer control_call_peer(const struct control_call *call);
/* Called when the client goes before the call has ended; the call is then invalid. */
void control_on_gone(struct control_call *call, void (*gone)(void *userdata, struct control_call *call));

#endif
