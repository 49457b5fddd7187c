/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_OBSERVER_H
#define SPEFW_OBSERVER_H

/* Packets that our rules copy, as spefw-resolver reports them: answers that protected machines got to what they had
 * queried; and denials. */

#include "core/denial.h"
#include "core/dns_message.h"
#include "core/health.h"
#include "core/policy.h"
#include "net/helper.h"

struct observer;

struct observer_events {
	/* Whether an answer to this question would teach anything. */
	bool (*wants)(void *userdata, const char *question, enum family family);
	/* A protected machine was answered what it had queried, and that is wanted. */
	void (*answered)(void *userdata, const struct dns_answer *answer);
	/* A packet from or to a protected machine was denied. DENIAL_NAME: a flow to a name might have let it pass. */
	void (*denied)(void *userdata, const struct denial *denial);
	/* Copies were lost for want of room. */
	void (*lost)(void *userdata);
};

/* helper must live as long. 0 or a negative errno. */
int observer_new(struct observer **ret, struct helper *helper, const struct observer_events *events, void *userdata);
void observer_free(struct observer *observer); /* NULL: nothing */

/* Listens to the group of this policy, and has answers for its observed names reported. It must live until the next
 * call. Where the group can't be had that is logged. */
void observer_follow(struct observer *observer, const struct policy *policy);
void observer_retry(struct observer *observer); /* where the group could not be had: it may be free now */

struct observer_figures {
	uint64_t unsolicited; /* answers for wanted names that fitted no query which was seen: not learned */
	uint64_t lost;        /* how often copies, or reports of what was in them, were lost */
};
struct observer_figures observer_figures(const struct observer *observer);
void observer_reasons(const struct observer *observer, struct health *health);

#endif
