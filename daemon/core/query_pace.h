/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_QUERY_PACE_H
#define SPEFW_QUERY_PACE_H

/* How many queries denials may cause: whoever makes the server be denied must not make us flood DNS. Pure: the time is
 * a parameter, milliseconds of CLOCK_BOOTTIME. */

#include <stdbool.h>
#include <stdint.h>

enum {
	PACE_A_MINUTE = 120, /* never more in any minute: half of them at once, and one a second */
	PACE_STEP_MS = 2 * 60 * 1000 / PACE_A_MINUTE,
	PACE_AHEAD_MS = 60 * 1000,
};

struct query_pace {
	int64_t until_ms;     /* up to when what was taken is used up, at one a step */
	int64_t exhausted_ms; /* when one was last refused; 0: never */
	uint64_t refused;     /* in all */
};

/* One query: false where the budget is used up. */
bool query_pace_take(struct query_pace *pace, int64_t now_ms);
/* One was refused within the last minute. */
bool query_pace_exhausted(const struct query_pace *pace, int64_t now_ms);

#endif
