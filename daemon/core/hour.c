/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hour.h"
#include "lines.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define MINUTE_MS ((int64_t)60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define OLDEST_MS (75 * MINUTE_MS) /* what stands for an hour ago */

/* The index-th, the newest first. */
static const struct hour_sample *sample_of(const struct hour *hour, size_t index)
{
	return &hour->samples[(hour->newest + HOUR_SAMPLES - index) % HOUR_SAMPLES];
}

static void push(struct hour *hour, uint64_t total, int64_t at_ms)
{
	hour->newest = (hour->newest + 1) % HOUR_SAMPLES;
	hour->samples[hour->newest] = (struct hour_sample){ at_ms, total };
	if (hour->count < HOUR_SAMPLES)
		hour->count++;
}

void hour_sample(struct hour *hour, uint64_t total, int64_t now_ms)
{
	if (!hour->count || now_ms - sample_of(hour, 0)->at_ms >= MINUTE_MS / 2)
		push(hour, total, now_ms);
}

uint64_t hour_growth(const struct hour *hour, uint64_t total, int64_t now_ms)
{
	uint64_t before = total;

	for (size_t i = 0; i < hour->count; i++) {
		const struct hour_sample *sample = sample_of(hour, i);
		int64_t age_ms = now_ms - sample->at_ms;
		if (age_ms > OLDEST_MS)
			break;
		before = sample->total;
		if (age_ms >= HOUR_MS)
			break;
	}
	return total > before ? total - before : 0;
}

void hour_write(FILE *out, const struct hour *hour, const char *boot, int64_t now_ms, int64_t wall_s)
{
	fprintf(out, "clock %s %" PRId64 " %" PRId64 "\n", boot, now_ms, wall_s);
	for (size_t i = hour->count; i-- > 0;)
		fprintf(out, "denied %" PRId64 " %" PRIu64 "\n", sample_of(hour, i)->at_ms, sample_of(hour, i)->total);
}

bool hour_shift(const char *line, const char *boot, int64_t now_ms, int64_t wall_s, int64_t *ret)
{
	int64_t then_ms, then_s, passed_ms;
	char word[64];

	if (sscanf(line, "clock %63[^ ] %" SCNd64 " %" SCNd64, word, &then_ms, &then_s) != 3)
		return false;
	*ret = 0;
	if (strcmp(word, boot) == 0)
		return then_ms <= now_ms;
	return then_s <= wall_s && !__builtin_sub_overflow(wall_s, then_s, &passed_ms) &&
	       !__builtin_mul_overflow(passed_ms, 1000, &passed_ms) && !__builtin_sub_overflow(now_ms, then_ms, ret) &&
	       !__builtin_sub_overflow(*ret, passed_ms, ret);
}

void hour_read(struct hour *ret, const char *text, const char *boot, int64_t now_ms, int64_t wall_s)
{
	int64_t shift_ms = 0, at_ms;
	bool known = false;
	uint64_t total;
	char line[160];

	*ret = (struct hour){ 0 };
	while (*text) {
		text = lines_next(text, line, sizeof(line));
		if (strncmp(line, "clock ", 6) == 0)
			known = hour_shift(line, boot, now_ms, wall_s, &shift_ms);
		else if (known && sscanf(line, "denied %" SCNd64 " %" SCNu64, &at_ms, &total) == 2 &&
			 !__builtin_add_overflow(at_ms, shift_ms, &at_ms) && at_ms <= now_ms &&
			 at_ms > now_ms - 2 * HOUR_MS && (!ret->count || at_ms > sample_of(ret, 0)->at_ms))
			push(ret, total, at_ms);
	}
}
