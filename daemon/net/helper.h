/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_HELPER_H
#define SPEFW_HELPER_H

/* spefw-resolver, as long as we run: started, started again when it ends, ended when it hangs or sends what it may not
 * send. Its two parts have a client each, which are given checked records alone. Nothing here waits for it. */

#include "core/health.h"
#include "resolver/wire.h"

#include <systemd/sd-event.h>

struct helper;

enum helper_part {
	HELPER_DNS,     /* WIRE_ANSWER, WIRE_FAILURE */
	HELPER_PACKETS, /* WIRE_OBSERVED, WIRE_DENIAL, WIRE_COUNTS */
	HELPER_PARTS
};

struct helper_client {
	/* A new process, which knows nothing: all that it must know is sent now. */
	void (*ready)(void *userdata);
	/* A record of this part, of which helper_record_error() has nothing to say. Returns NULL, or why it must not
	 * have been sent (static text): then the process is ended. It may detach the client. */
	const char *(*record)(void *userdata, const struct wire_head *record);
	/* Each time that it shows that it is alive, every HELPER_BEAT_MS. Returns NULL, or why it hangs nevertheless.
	 * May be NULL. */
	const char *(*beat)(void *userdata);
};

enum { HELPER_BEAT_MS = 5000 };

struct helper_events {
	void (*changed)(void *userdata);   /* helper_reasons() may say something else; may be NULL */
	void (*restarted)(void *userdata); /* another process is there, and the clients know; may be NULL */
};

/* It is started from the event loop, and again if that fails. 0 or a negative errno. */
int helper_new(struct helper **ret, sd_event *event, const struct helper_events *events, void *userdata);
void helper_free(struct helper *helper); /* ends it; not from within a callback. NULL: nothing */

/* client must live until it is detached. */
void helper_attach(struct helper *helper, enum helper_part part, const struct helper_client *client, void *userdata);
void helper_detach(struct helper *helper, enum helper_part part);

/* One record, copied; head.length is set here. fd: a descriptor to go with it, of which a copy is made, or -1. Without
 * a process that is ready it is dropped: `ready` will be called. A process that can't be sent it is ended. */
void helper_send(struct helper *helper, void *record, size_t length, int fd);

void helper_reasons(const struct helper *helper, struct health *health);

#endif
