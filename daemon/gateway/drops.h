/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DROPS_H
#define SPEFW_DROPS_H

/* What was denied of late, or would have been in audit mode: folded in memory, a line a source and hour in the journal.
 */

#include "core/drop_table.h"

#include <systemd/sd-event.h>

struct drops;

struct drops_events {
	/* There are denials that were not there the last time; soon after the first of them, and not often. */
	void (*changed)(void *userdata);
};

/* state: the directory; it must live as long. 0 or a negative errno. */
int drops_new(struct drops **ret, sd_event *event, const char *state, const struct drops_events *events,
	      void *userdata);
void drops_free(struct drops *drops); /* NULL: nothing */

/* Denials are judged by this policy from now on; it must live until the next call. */
void drops_follow(struct drops *drops, const struct policy *policy);
/* What the counters of denied packets show now: copies of those that are denied from now on are expected. late: there
 * were some within the hour before; whose those were is known by what was saved, if at all. */
void drops_begin(struct drops *drops, uint64_t denied, bool late);
/* A copy; of the kinds that each denied packet is one of. */
void drops_add(struct drops *drops, const struct denial *denial);
void drops_minute(struct drops *drops, uint64_t denied); /* denied: the counters now */
/* To the state directory, if there is anything new; each minute does that as well. Trouble is logged. */
void drops_save(struct drops *drops, uint64_t denied);

const struct drop_table *drops_table(const struct drops *drops);
int64_t drops_begun_ms(const struct drops *drops);
/* How many of them were not copied: the rules copy 20 a second each. denied: the counters now. */
uint64_t drops_unseen(const struct drops *drops, uint64_t denied);
uint64_t drops_unseen_hour(const struct drops *drops, uint64_t denied); /* of the last hour */

struct drops_hour {
	size_t sources, administrators; /* the latter are in ADM */
	bool more;                      /* at least so many */
	bool both_modes;                /* some were denied, and some would have been */
};
/* names NULL: ADM has none. */
struct drops_hour drops_hour(const struct drops *drops, const struct names_view *names);

#endif
