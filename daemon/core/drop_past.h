/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DROP_PAST_H
#define SPEFW_DROP_PAST_H

/* What is known of the denials of the last hour, as text that outlives a restart and a reboot. */

#include "drop_sources.h"
#include "hour.h"

struct drop_past {
	struct drop_sources sources;
	struct hour unseen;    /* samples of how many were not copied */
	uint64_t denied;       /* by the counters, when it was written */
	uint64_t unseen_total; /* how many were not copied, by then */
	bool audit;            /* the mode then */
	bool mode_changed;
	int64_t mode_changed_ms;
};

/* Times are as in hour.h. */
void drop_past_write(FILE *out, const struct drop_past *past, const char *boot, int64_t now_ms, int64_t wall_s);
/* *ret is to be freed by drop_sources_free(&ret->sources), whatever happens. 0; -ENODATA: it is no such text, or nobody
 * knows from when; or -ENOMEM. */
int drop_past_read(struct drop_past *ret, const char *text, const char *boot, int64_t now_ms, int64_t wall_s);

#endif
