/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_GATEWAY_FOREIGN_H
#define SPEFW_GATEWAY_FOREIGN_H

/* The tables of other programs: which of their rules could intercept a flow, and which stop one. Their size is not ours
 * to choose: they are read and judged in slices, between which all else has its turn, when they change and every few
 * minutes. */

#include "core/foreign.h"
#include "core/health.h"
#include "net/environment.h"

#include <systemd/sd-event.h>

struct foreign;

struct foreign_events {
	/* A copy of the environment, with peers, and of this gateway's own addresses, normalised. 0 or a negative
	 * errno; environment_free() and ranges_free() will follow in any case. */
	int (*environment)(void *userdata, const struct policy *policy, struct environment_store *ret,
			   struct ranges *ret_own);
	/* The findings, or what is known of them, are others: health is another one. */
	void (*changed)(void *userdata);
	/* Rules could intercept a flow, and none can any more. */
	void (*gone)(void *userdata);
	/* What foreign_explain_packet() was asked for this waiter. r: 0 or a negative errno. */
	void (*explained)(void *userdata, void *waiter, int r, const struct findings *findings);
};

int foreign_new(struct foreign **ret, sd_event *event, const struct foreign_events *events, void *userdata);
void foreign_free(struct foreign *foreign); /* NULL: nothing */

/* Reads them now by this policy: at once where they are small, else between other events. It must live until the next
 * call: they are read by it again where they change, also after foreign_cancel(). */
void foreign_read(struct foreign *foreign, const struct policy *policy);
/* Ends what is under way: due before the policy changes. Until the next foreign_read() they count as not read. */
void foreign_cancel(struct foreign *foreign);
/* They, or this gateway's interfaces, have changed: they are read soon. */
void foreign_set_changed(struct foreign *foreign);

/* What becomes of this packet in the tables of others, which are read for it: `explained` will say so, from the event
 * loop. Its interfaces are found by this gateway's routes. 0; -EBUSY: too many wait; or another negative errno. */
int foreign_explain_packet(struct foreign *foreign, const struct foreign_packet *packet, void *waiter);
/* The waiter is gone. */
void foreign_forget_waiter(struct foreign *foreign, const void *waiter);

enum { FINDING_TEXT_MAX = 500 };
char *finding_text(const struct finding *finding, char buffer[FINDING_TEXT_MAX]); /* returns buffer */

/* Both are valid until the next event. */
const struct findings *foreign_findings(const struct foreign *foreign); /* what could intercept a flow */
const struct findings *foreign_blocks(const struct foreign *foreign);   /* what stops one, or may */
int64_t foreign_looked_ms(const struct foreign *foreign); /* how long ago they were last read; negative: never */
void foreign_reasons(const struct foreign *foreign, struct health *health);

#endif
