/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "query_pace.h"

bool query_pace_take(struct query_pace *pace, int64_t now_ms)
{
	int64_t until = (pace->until_ms > now_ms ? pace->until_ms : now_ms) + PACE_STEP_MS;

	if (until > now_ms + PACE_AHEAD_MS) {
		pace->exhausted_ms = now_ms;
		pace->refused++;
		return false;
	}
	pace->until_ms = until;
	return true;
}

bool query_pace_exhausted(const struct query_pace *pace, int64_t now_ms)
{
	return pace->exhausted_ms && now_ms - pace->exhausted_ms < PACE_AHEAD_MS;
}
