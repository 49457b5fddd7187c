/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DROP_SOURCES_H
#define SPEFW_DROP_SOURCES_H

/* Whose packets were denied in the last hour, and how much of it goes to the journal: a line a source and hour, and 60
 * an hour in all. Times are ms of one clock. */

#include "addr.h"

enum {
	DROP_SOURCES = 1024, /* then the least recent one is forgotten */
	DROP_LINES = 60,
	DROP_HOUR_MS = 3600 * 1000,
};

struct drop_source {
	struct addr addr;
	int64_t last_ms;
	int64_t logged_ms; /* or counted as not logged */
};

struct drop_sources {
	struct drop_source *items;
	size_t count, capacity;
	int64_t forgot_ms; /* when one was last forgotten within its hour */
	bool forgot;
	int64_t lines[DROP_LINES]; /* a ring: when the last lines were written */
	size_t line, line_count;
	unsigned unlogged; /* sources since then that got no line */
};

/* A packet of this source was denied. True: it is time for a line about it. */
bool drop_sources_add(struct drop_sources *sources, const struct addr *source, int64_t now_ms);
/* How many sources got no line, where there is room for a line that says so; they are forgotten then. Else 0. */
unsigned drop_sources_unlogged(struct drop_sources *sources, int64_t now_ms);
/* How many sources there were in the last hour, and how many of them `is` holds of; *ret_more: at least. */
size_t drop_sources_hour(const struct drop_sources *sources, int64_t now_ms,
			 bool (*is)(void *userdata, const struct addr *addr), void *userdata, size_t *ret_is,
			 bool *ret_more);
/* What was known of one before a restart; one that is known, or has no room, is passed over. 0 or -ENOMEM. */
int drop_sources_restore(struct drop_sources *sources, const struct drop_source *source);
void drop_sources_free(struct drop_sources *sources);

#endif
