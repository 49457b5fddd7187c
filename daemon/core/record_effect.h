/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_RECORD_EFFECT_H
#define SPEFW_RECORD_EFFECT_H

/* Whom of the record another policy denies: who has used a flow, and could not any more. */

#include "cut_cause.h"
#include "record.h"

enum { RECORD_EFFECT_SHOWN = 20 };

struct record_effect {
	size_t count;                                          /* entries that are allowed now, and denied then */
	const struct record_entry *items[RECORD_EFFECT_SHOWN]; /* the most recent of them; the record's */
	size_t shown;
	size_t unjudged; /* entries of a flow's further peers all together: nobody knows who they are */
};

/* Judges what was allowed since then (wall clock), by the flow's own ends; an entry of a network by its first address.
 * An entry of a flow that `before` has not is none of this change. */
void record_effect(const struct record *record, const struct cut_view *before, const struct cut_view *now,
		   int64_t since_s, struct record_effect *ret);

#endif
