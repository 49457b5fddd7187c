/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_HOUR_H
#define SPEFW_HOUR_H

/* How much a total that only grows has grown within the last hour: samples of it, one a minute, which outlive a restart
 * and a reboot. Times are milliseconds of CLOCK_BOOTTIME, negative for what was before this boot. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { HOUR_SAMPLES = 64 };

struct hour {
	struct hour_sample {
		int64_t at_ms;
		uint64_t total;
	} samples[HOUR_SAMPLES]; /* a ring */
	size_t newest, count;
};

/* A minute may be shorter, but not by much: of two samples within half a minute the first one counts. */
void hour_sample(struct hour *hour, uint64_t total, int64_t now_ms);
/* Since the last sample that is an hour old; where none is, since the first one; 0 where there is none at all. What
 * came in a longer gap between samples is of an unknown time, and not counted. */
uint64_t hour_growth(const struct hour *hour, uint64_t total, int64_t now_ms);

/* Lines for a file, some behind others; and what hour_write() wrote, of a text with any lines. boot: the identity of
 * this boot. Between two boots the wall clock tells how much time has passed; where it was set back, nothing does, and
 * the samples are forgotten. */
void hour_write(FILE *out, const struct hour *hour, const char *boot, int64_t now_ms, int64_t wall_s);
void hour_read(struct hour *ret, const char *text, const char *boot, int64_t now_ms, int64_t wall_s);
/* By the first of its lines, what is to be added to times of the same file; false: nobody knows. */
bool hour_shift(const char *line, const char *boot, int64_t now_ms, int64_t wall_s, int64_t *ret);

#endif
