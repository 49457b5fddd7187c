/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "drop_past.h"
#include "lines.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

void drop_past_write(FILE *out, const struct drop_past *past, const char *boot, int64_t now_ms, int64_t wall_s)
{
	char addr[ADDR_TEXT_MAX];

	hour_write(out, &past->unseen, boot, now_ms, wall_s);
	fprintf(out, "counted %" PRIu64 " %" PRIu64 " %s\n", past->denied, past->unseen_total,
		past->audit ? "audit" : "enforce");
	if (past->mode_changed)
		fprintf(out, "changed %" PRId64 "\n", past->mode_changed_ms);
	if (past->sources.forgot)
		fprintf(out, "forgot %" PRId64 "\n", past->sources.forgot_ms);
	for (size_t i = 0; i < past->sources.count; i++) {
		const struct drop_source *source = &past->sources.items[i];
		fprintf(out, "source %s %" PRId64 " %" PRId64 "\n", addr_format(&source->addr, addr), source->last_ms,
			source->logged_ms);
	}
}

/* A time of the file; false: it is not of the last hour. */
static bool is_of_hour(int64_t *at_ms, int64_t shift_ms, int64_t now_ms)
{
	return !__builtin_add_overflow(*at_ms, shift_ms, at_ms) && *at_ms <= now_ms && *at_ms > now_ms - DROP_HOUR_MS;
}

static int read_source(struct drop_past *past, const char *line, int64_t shift_ms, int64_t now_ms)
{
	struct drop_source source;
	char word[64];

	if (sscanf(line, "source %63s %" SCNd64 " %" SCNd64, word, &source.last_ms, &source.logged_ms) != 3 ||
	    !addr_parse(word, &source.addr) || !is_of_hour(&source.last_ms, shift_ms, now_ms))
		return 0;
	if (!is_of_hour(&source.logged_ms, shift_ms, now_ms))
		source.logged_ms = now_ms - DROP_HOUR_MS;
	return drop_sources_restore(&past->sources, &source);
}

static int read_line(struct drop_past *past, const char *line, int64_t shift_ms, int64_t now_ms, bool *counted)
{
	int64_t at_ms;
	char mode[16];

	if (sscanf(line, "counted %" SCNu64 " %" SCNu64 " %15s", &past->denied, &past->unseen_total, mode) == 3) {
		past->audit = strcmp(mode, "audit") == 0;
		*counted = true;
	} else if (sscanf(line, "changed %" SCNd64, &at_ms) == 1 && is_of_hour(&at_ms, shift_ms, now_ms)) {
		past->mode_changed = true;
		past->mode_changed_ms = at_ms;
	} else if (sscanf(line, "forgot %" SCNd64, &at_ms) == 1 && is_of_hour(&at_ms, shift_ms, now_ms)) {
		past->sources.forgot = true;
		past->sources.forgot_ms = at_ms;
	} else {
		return read_source(past, line, shift_ms, now_ms);
	}
	return 0;
}

int drop_past_read(struct drop_past *ret, const char *text, const char *boot, int64_t now_ms, int64_t wall_s)
{
	bool known = false, counted = false;
	int64_t shift_ms = 0;
	char line[160];
	int r = 0;

	*ret = (struct drop_past){ 0 };
	hour_read(&ret->unseen, text, boot, now_ms, wall_s);
	while (*text && r == 0) {
		text = lines_next(text, line, sizeof(line));
		if (strncmp(line, "clock ", 6) == 0)
			known = hour_shift(line, boot, now_ms, wall_s, &shift_ms);
		else if (known)
			r = read_line(ret, line, shift_ms, now_ms, &counted);
	}
	return r < 0 ? r : known && counted ? 0 : -ENODATA;
}
