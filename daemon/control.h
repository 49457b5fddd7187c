/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CONTROL_H
#define SPEFW_CONTROL_H

/* The Varlink server on the control socket. It knows messages, clients and their rights, and nothing of firewalls. */

#include <jansson.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

struct control;
struct control_call; /* one request that waits for its reply */

struct control_method {
	const char *name;  /* "org.spefw.Gateway.Reload" */
	bool privileged;   /* uid 0 alone */
	/* Must end in control_reply() or control_fail(), now or later. parameters belong to the caller. */
	void (*run)(void *userdata, struct control_call *call, json_t *parameters);
};

/* Listens on path (mode 0660); methods end with a NULL name. The path is removed by control_free().
 * -EADDRINUSE: a live daemon listens there; a dead one's socket is replaced. */
int control_new(struct control **ret, sd_event *event, const char *path, const struct control_method *methods, void *userdata);
void control_free(struct control *control);
size_t control_clients(const struct control *control);

/* Each ends the call. parameters/error parameters are stolen (NULL: none). With a client that is gone, they only free.
 * error is "org.spefw.Gateway.NAME". */
void control_reply(struct control_call *call, json_t *parameters);
void control_fail(struct control_call *call, const char *error, json_t *parameters);
/* One reply of many: only where control_wants_more(). */
bool control_wants_more(const struct control_call *call);
void control_reply_more(struct control_call *call, json_t *parameters);
/* Called when the client goes before the call has ended; the call is then invalid. */
void control_on_gone(struct control_call *call, void (*gone)(void *userdata, struct control_call *call));

#endif
