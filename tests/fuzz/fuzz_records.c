/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files of counters, with their last hour, of whose packets were denied, of addresses that names have held, of when
 * flows were answered last, and of grants, as a worn disk may give them back. What was read and is written reads as the
 * same again. */
#include "core/drop_past.h"
#include "core/expect.h"
#include "core/grant_list.h"
#include "core/hash.h"
#include "core/held.h"
#include "core/hour.h"
#include "core/lines.h"
#include "core/totals.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int fuzz_one(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static char *through_totals(const char *text)
{
	struct totals totals;

	must(totals_from_text(&totals, text, "this-boot") == 0);
	char *written = totals_text(&totals, "this-boot");
	totals_free(&totals);
	return written;
}

static char *through_held(const char *text)
{
	struct held held;

	must(held_from_text(&held, text) == 0);
	char *written = held_text(&held);
	held_free(&held);
	return written;
}

static char *through_expect(const char *text)
{
	struct expect expect;

	must(expect_from_text(&expect, text) == 0);
	char *written = expect_text(&expect);
	expect_free(&expect);
	return written;
}

static char *through_hour(const char *text)
{
	struct hour hour;
	char *written;
	size_t length;

	hour_read(&hour, text, "this-boot", 5000000, 1700000000);
	must(hour_growth(&hour, 0, 5000000) == 0);
	FILE *out = open_memstream(&written, &length);
	must(out != NULL);
	hour_write(out, &hour, "this-boot", 5000000, 1700000000);
	return lines_end(out, &written);
}

static char *through_past(const char *text)
{
	struct drop_past past;
	char *written;
	size_t length;

	drop_past_read(&past, text, "this-boot", 5000000, 1700000000);
	must(past.sources.count <= DROP_SOURCES);
	FILE *out = open_memstream(&written, &length);
	must(out != NULL);
	drop_past_write(out, &past, "this-boot", 5000000, 1700000000);
	drop_sources_free(&past.sources);
	return lines_end(out, &written);
}

static char *through_grants(const char *text)
{
	struct grant_list list;
	bool damaged;

	must(grants_from_text(&list, text, "this-boot", 5000000, 1700000000, &damaged) == 0);
	must(list.count <= GRANTS_MAX);
	for (size_t i = 0; i < list.count; i++)
		must(list.items[i].end_ms <= 5000000 + GRANT_LONGEST_S * INT64_C(1000));
	char *written = grants_text(&list, "this-boot", 5000000);
	grants_free_list(&list);
	return written;
}

/* Lines without their checksums get them: else hardly any would be read at all. */
static char *through_summed_grants(const char *text)
{
	char *summed, *line = strdup(text), *rest = line;
	size_t length;
	FILE *out = open_memstream(&summed, &length);

	must(line && out);
	for (const char *part; (part = strsep(&rest, "\n"));)
		fprintf(out, "%s %016" PRIx64 "\n", part, hash_bytes(HASH_START, part, strlen(part)));
	must(fclose(out) == 0);
	char *written = through_grants(summed), *again = through_grants(written);
	must(again && strcmp(written, again) == 0);
	free(again);
	free(written);
	free(summed);
	free(line);
	return through_grants(text);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	static char *(*const readers[])(const char *) = { through_totals, through_held, through_expect,
							  through_hour,   through_past, through_summed_grants };
	char *text = malloc(size + 1);

	must(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	for (size_t i = 0; i < sizeof(readers) / sizeof(*readers); i++) {
		char *once = readers[i](text);
		must(once != NULL);
		char *twice = readers[i](once);
		must(twice && strcmp(once, twice) == 0);
		free(twice);
		free(once);
	}
	free(text);
	return 0;
}
