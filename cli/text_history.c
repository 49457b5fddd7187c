/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What was in force, what waits for confirm, and the configuration itself. */

enum { CHANGES_SHOWN = 3 };

void text_waits(const struct ctl *ctl, const json_t *reply)
{
	struct text text = { 0 };
	char left[32];

	if (!json_number_of(reply, "confirm_s"))
		return;
	text_add(&text, "undone in %s unless it is confirmed",
		 format_seconds(json_number_of(reply, "confirm_s"), left));
	screen_paragraph(&ctl->screen, 0, 0, TONE_WARNING, text_of(&text), TONE_STRONG, "-> spefwctl confirm");
	text_free(&text);
}

void text_confirm(const struct ctl *ctl, const json_t *reply)
{
	char number[32];

	fprintf(ctl->screen.file, "confirmed: generation %s stays in force\n",
		format_count(json_number_of(reply, "generation"), number));
}

static void add_what(struct text *text, const json_t *entry)
{
	const json_t *changes = json_object_get(entry, "changes");
	const char *how = json_text_of(entry, "how"), *back = json_text_of(entry, "taken_back");
	size_t shown = json_array_size(changes);
	int64_t count = json_number_of(entry, "count");

	text_add(text, "%s", how);
	if (json_truth_of(entry, "waits"))
		text_add(text, ", waits for confirm");
	if (*back)
		text_add(text, ", %s", strcmp(back, "undone") == 0 ? "undone" : "rolled back from");
	if (json_is_false(json_object_get(entry, "kept")))
		text_add(text, ", not kept");
	if (shown > CHANGES_SHOWN)
		shown = CHANGES_SHOWN;
	for (size_t i = 0; i < shown; i++)
		text_add(text, "%s%s", i ? "; " : ": ", json_text(json_array_get(changes, i)));
	if (count > (int64_t)shown)
		text_add(text, "%sand %" PRId64 " more", shown ? "; " : ": ", count - (int64_t)shown);
}

static void add_entry(struct table *table, const json_t *entry)
{
	const char *by = json_text_of(entry, "by");
	struct text when = { 0 }, what = { 0 };
	char number[32];

	text_add_time(&when, json_text_of(entry, "time"), "%Y-%m-%d %H:%M");
	add_what(&what, entry);
	table->failed |= when.failed || what.failed;
	table_cell(table, TONE_PLAIN, "%" PRId64, json_number_of(entry, "number"));
	table_cell(table, TONE_PLAIN, "%s", format_count(json_number_of(entry, "generation"), number));
	table_cell(table, TONE_PLAIN, "%s", text_of(&when));
	table_cell(table, TONE_PLAIN, "%s", *by ? by : "-");
	table_cell(table, *json_text_of(entry, "taken_back") ? TONE_FAINT : TONE_PLAIN, "%s", text_of(&what));
	text_free(&when);
	text_free(&what);
}

void text_history(const struct ctl *ctl, const json_t *reply)
{
	static const char *const titles[] = { "N", "GEN", "SINCE", "BY", "WHAT" };
	const json_t *entries = json_object_get(reply, "entries");
	struct table table;

	if (!json_array_size(entries)) {
		fputs("no configuration was in force yet\n", ctl->screen.file);
		return;
	}
	table_init(&table, "rrppw");
	table_titles(&table, titles);
	for (size_t i = 0; i < json_array_size(entries); i++)
		add_entry(&table, json_array_get(entries, i));
	ctl_print_table(ctl, &table);
}

/* As it is, byte by byte; on a terminal without what could steer that. */
static void print_file(const struct ctl *ctl, const json_t *file)
{
	size_t length = 0;
	char *bytes = json_bytes_of(file, &length);

	if (!bytes) {
		ctl_error(ctl, "out of memory");
		return;
	}
	if (!ctl->screen.terminal) {
		fwrite(bytes, 1, length, ctl->screen.file);
	} else {
		for (char *line = bytes, *end; *line; line = end) {
			end = strchrnul(line, '\n');
			bool more = *end;
			*end = '\0';
			end += more;
			text_print_line(ctl->screen.file, line);
		}
	}
	free(bytes);
}

void text_config(const struct ctl *ctl, const json_t *reply)
{
	const json_t *written = json_object_get(reply, "written");

	if (!written)
		print_file(ctl, json_array_get(json_object_get(reply, "files"), 0));
	for (size_t i = 0; i < json_array_size(written); i++)
		screen_line(&ctl->screen, 0, 2, TONE_PLAIN, json_text(json_array_get(written, i)));
}
