/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_EXPECT_H
#define SPEFW_EXPECT_H

/* Flows with `expect`: how long each has had no answered connection.
 *
 * Only time that was watched counts, by a clock that nobody sets: neither a step of the wall clock nor the time that
 * the gateway was off is silence. A connection that stays counts anew whenever a packet passed in it, which shows in
 * the time that the kernel gives it to live: one that is forgotten by both ends must not pass for use for days.
 *
 * The kernel is not looked at all the time: a look is due where a flow's counter of new connections grew, for as long
 * as those may still be answered, and now and then for connections that stay. */

#include "config.h"
#include "policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct expectation {
	char flow[CONFIG_ID_MAX + 1];
	int64_t expect_ms;
	int64_t silent_ms; /* watched since the last answered connection, or since the key came into force */
	bool answered;     /* ever */
	bool overdue;      /* silent for longer, as the last look showed */
	bool reported;     /* that it is overdue; the caller's */
	int64_t saved_ms;  /* how silent it is on disk */
	bool wanted;       /* by the policy in force */
	uint64_t opened;   /* the flow's counter of new connections */
	int64_t open_ms;   /* until when one that was opened lately may be answered; 0: none was */
};

/* An answered connection at the last look. */
struct expect_seen {
	uint32_t id;
	int64_t expires_ms; /* as when it last moved */
};

struct expect_seen_list {
	struct expect_seen *items;
	size_t count, capacity;
};

struct expect {
	struct expectation *items;
	size_t count, capacity;
	struct expect_seen_list seen; /* ascending by id */
	struct expect_seen_list next; /* what the look under way has met */
	int64_t passed_ms;            /* until when time has been counted; 0: not yet */
	int64_t looked_ms;            /* 0: not yet */
};

/* The enabled flows of the policy that have the key: what is known of them is kept, the others are forgotten. 0 or
 * -ENOMEM. */
int expect_want(struct expect *expect, const struct policy *policy);
/* Time has passed. counts false: nothing was watched meanwhile. */
void expect_pass(struct expect *expect, int64_t now_ms, bool counts);
/* The value of the flow's counter of new connections. */
void expect_opened(struct expectation *item, uint64_t opened, int64_t now_ms);
/* Whether it is time to look at the connections that are there. */
bool expect_due(const struct expect *expect, int64_t now_ms);
int64_t expect_interval_ms(
	const struct expect *expect); /* until the next counters are of use; 0: nothing is expected */

/* One look: begin, each answered connection of a protected address, end. -ENOMEM: the look is incomplete, and shows no
 * silence. */
void expect_look_begin(struct expect *expect);
int expect_look(struct expect *expect, const char *flow, const struct expect_seen *connection, bool open);
void expect_look_end(struct expect *expect, int64_t now_ms, bool complete);

const struct expectation *expect_find(const struct expect *expect, const char *flow); /* NULL: not expected */

/* An answer ended a silence that is on disk: it must not come back with a daemon that is killed. */
bool expect_has_news(const struct expect *expect);
void expect_saved(struct expect *expect);

/* As text, a line each, and back: what can't be read is passed over. text: NULL without memory, to be freed. */
char *expect_text(const struct expect *expect);
int expect_from_text(struct expect *ret, const char *text); /* 0 or -ENOMEM */
void expect_free(struct expect *expect);

#endif
