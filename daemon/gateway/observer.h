/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_OBSERVER_H
#define SPEFW_OBSERVER_H

/* Packets that our rules copy to us: DNS queries of protected machines and the answers to them, matched with each
 * other; and denials that a fresh answer might cure. */

#include "core/dns_message.h"
#include "core/health.h"
#include "core/policy.h"

#include <systemd/sd-event.h>

struct observer;

struct observer_events {
	/* Whether an answer to this question would teach anything. */
	bool (*wants)(void *userdata, const char *question, enum family family);
	/* A protected machine was answered what it had asked for, and that is wanted. */
	void (*answered)(void *userdata, const char *question, enum family family, const struct dns_message *message);
	/* A protected machine was denied where a flow to a name might have let it pass. */
	void (*denied)(void *userdata, const struct packet *packet);
	/* Copies were lost for want of room. */
	void (*lost)(void *userdata);
};

int observer_new(struct observer **ret, sd_event *event, const struct observer_events *events, void *userdata);
void observer_free(struct observer *observer); /* NULL: nothing */

/* Listens to the group of this policy, which must live until the next call; where that can't be had it is logged, and a
 * later call tries again. */
void observer_follow(struct observer *observer, const struct policy *policy);

struct observer_figures {
	uint64_t unsolicited; /* answers for wanted names that fitted no query which was seen: not learned */
	uint64_t lost;        /* how often copies were lost */
};
struct observer_figures observer_figures(const struct observer *observer);
void observer_reasons(const struct observer *observer, struct health *health);

#endif
