/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_USAGE_H
#define SPEFW_USAGE_H

/* Flows with `expect`: when they were last used. Live connections are read when core/expect finds it time to.
 * Nothing of it is in the table: a rule that sees answers would have to stand before the fast path, and notices of
 * connection tracking come for every connection of the gateway, or not at all. */

#include "core/expect.h"
#include "core/health.h"

#include <systemd/sd-event.h>

struct usage;

struct usage_events {
	/* Every address that the names of the policy have held. 0 or a negative errno. */
	int (*held_view)(void *userdata, struct names_view *ret);
	/* The flows' counters are wanted: read them; then, of one flow, the new connections so far. */
	void (*read_counters)(void *userdata);
	uint64_t (*opened)(void *userdata, const char *flow);
	/* A flow is overdue, or not any more (that is logged): health is another one. */
	void (*changed)(void *userdata);
	/* A silence on disk has ended: usage_save() is due. */
	void (*save)(void *userdata);
};

/* state: the directory; it must live as long. What is there is loaded; trouble with that is logged. 0 or a negative
 * errno. */
int usage_new(struct usage **ret, sd_event *event, const char *state, const struct usage_events *events,
	      void *userdata);
void usage_free(struct usage *usage); /* nothing is saved. NULL: nothing */

/* This policy is in force, and must live until the next call. removed: there is no table, so silence does not count. */
void usage_follow(struct usage *usage, const struct policy *policy);
void usage_set_removed(struct usage *usage, bool removed);
int usage_save(struct usage *usage); /* 0 or a negative errno */

const struct expectation *usage_find(const struct usage *usage, const char *flow); /* NULL: not expected */
void usage_reasons(const struct usage *usage, struct health *health);

#endif
