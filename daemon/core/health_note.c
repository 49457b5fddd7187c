/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "health_note.h"
#include "lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char first_line[] = "spefw-health 1\n";

static size_t count_code(const struct health *health, enum health_code code)
{
	size_t count = 0;

	for (size_t i = 0; i < health->reasons.count; i++)
		count += health->reasons.items[i].code == code;
	return count;
}

char *health_note_write(const struct health *health)
{
	char *text = NULL;
	size_t length;
	FILE *out = health->out_of_memory ? NULL : open_memstream(&text, &length);
	uint64_t written = 0;

	if (!out)
		return NULL;
	fputs(first_line, out);
	for (size_t i = 0; i < health->reasons.count; i++) {
		const struct health_reason *reason = &health->reasons.items[i];
		size_t count = count_code(health, reason->code);
		if (written & UINT64_C(1) << reason->code)
			continue;
		written |= UINT64_C(1) << reason->code;
		fprintf(out, "%s %.*s", health_kinds[reason->code].name, HEALTH_NOTE_TEXT_MAX - 32, reason->text);
		if (count > 1)
			fprintf(out, " (and %zu more)", count - 1);
		putc('\n', out);
	}
	return lines_end(out, &text);
}

static bool find_code(const char *name, size_t length, enum health_code *ret)
{
	for (enum health_code code = 0; code < HEALTH_CODES; code++) {
		if (strlen(health_kinds[code].name) == length && memcmp(health_kinds[code].name, name, length) == 0) {
			*ret = code;
			return true;
		}
	}
	return false;
}

static int read_line(const char *line, size_t length, struct health *ret)
{
	const char *blank = memchr(line, ' ', length);
	enum health_code code;

	if (!blank || !find_code(line, (size_t)(blank - line), &code) || health_has(ret, code))
		return -EBADMSG;
	length -= (size_t)(blank + 1 - line);
	if (!length || length > HEALTH_NOTE_TEXT_MAX)
		return -EBADMSG;
	health_add(ret, code, "%.*s", (int)length, blank + 1);
	return ret->out_of_memory ? -ENOMEM : 0;
}

int health_note_read(const char *bytes, size_t length, struct health *ret)
{
	size_t first = sizeof(first_line) - 1;
	int r = 0;

	*ret = (struct health){ 0 };
	if (length > HEALTH_NOTE_MAX || length < first || memcmp(bytes, first_line, first) != 0 ||
	    strlen(bytes) != length)
		return -EBADMSG;
	for (const char *line = bytes + first; r == 0 && *line;) {
		const char *end = strchr(line, '\n');
		r = end ? read_line(line, (size_t)(end - line), ret) : -EBADMSG;
		line = end ? end + 1 : line;
	}
	if (r < 0)
		health_free(ret);
	return r;
}
