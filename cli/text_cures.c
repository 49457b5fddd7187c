/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"
#include "verbs_drops.h"

#include <inttypes.h>
#include <string.h>

/* What would allow what is denied: in a sentence each, or as lines for the file. */

enum {
	CURES = 4,
	NAMED = 3, /* addresses: more of them are a crowd, and nobody knows a crowd */
	CURE_WIDTH = 78,
	CURE_INDENT = 11,
	CURE_COLUMN = 6 /* behind "Cure: " */
};

static bool is(const json_t *object, const char *key, const char *text)
{
	return strcmp(json_text_of(object, key), text) == 0;
}

void text_paragraph(const struct ctl *ctl, enum tone tone, const struct text *text)
{
	struct table table;

	table_init(&table, "w");
	table.failed |= text->failed;
	table_cell(&table, tone, "%s", text_of(text));
	ctl_print_table(ctl, &table);
}

/* "spefw.ini:15", or the file alone. */
static void add_place(struct text *text, const json_t *reply, const json_t *cure)
{
	const char *path = json_text_of(reply, "path"), *slash = strrchr(path, '/');

	text_add(text, "%s", slash ? slash + 1 : path);
	if (json_object_get(cure, "line"))
		text_add(text, ":%" PRId64, json_number_of(cure, "line"));
}

static void add_values(struct text *text, const json_t *values)
{
	for (size_t i = 0; i < json_array_size(values); i++)
		text_add(text, "%s%s", i ? " " : "", json_text(json_array_get(values, i)));
}

static bool is_switch(const json_t *cure)
{
	return is(cure, "key", "enabled");
}

/* What a built-in flow has by itself is the first value where its list is written anew. */
static size_t kept_of(const json_t *cure)
{
	return !is(cure, "does", "add") && !is(cure, "key", "members");
}

static bool is_crowd(const json_t *cure)
{
	return !is_switch(cure) && json_array_size(json_object_get(cure, "values")) > NAMED + kept_of(cure);
}

static void add_list(struct text *text, const json_t *reply, const json_t *cure)
{
	if (is(cure, "key", "members"))
		text_add(text, "[%s] (", json_text_of(cure, "section"));
	else
		text_add(text, "\"%s\" of [%s] (", json_text_of(cure, "key"), json_text_of(cure, "section"));
	add_place(text, reply, cure);
	text_add(text, ")");
}

/* In a sentence. Who is denied may be an attacker, and an address in the file lets him in: nothing here says that it
 * should be there. */
static void add_short(struct text *text, const json_t *reply, const json_t *cure)
{
	const json_t *values = json_object_get(cure, "values");

	if (is_crowd(cure)) {
		text_add(text, "%zu addresses: add to ", json_array_size(values) - kept_of(cure));
		add_list(text, reply, cure);
		text_add(text, " only ");
		if (kept_of(cure))
			text_add(text, "%s and ", json_text(json_array_get(values, 0)));
		text_add(text, "those you know");
		return;
	}
	if (is(cure, "does", "set")) {
		text_add(text, "set %s = ", json_text_of(cure, "key"));
		add_values(text, values);
		text_add(text, " in [%s] (", json_text_of(cure, "section"));
		add_place(text, reply, cure);
		text_add(text, ")");
	} else {
		text_add(text, "add ");
		add_values(text, values);
		text_add(text, " to ");
		add_list(text, reply, cure);
	}
	if (is_switch(cure))
		return;
	text_add(text, json_array_size(values) > 1 ? ", if you know them" : ", if you know it");
}

/* Lists go on in indented lines: they can be pasted below the key. */
static void print_values(const struct ctl *ctl, const json_t *values)
{
	size_t column = 0;

	for (size_t i = 0; i < json_array_size(values); i++) {
		const char *value = json_text(json_array_get(values, i));
		if (column && column + 1 + strlen(value) > CURE_WIDTH) {
			putc('\n', ctl->screen.file);
			column = 0;
		}
		fprintf(ctl->screen.file, "%*s", column ? 1 : CURE_INDENT, "");
		column += (column ? 1 : CURE_INDENT) + strlen(value);
		screen_text(&ctl->screen, TONE_PLAIN, value);
	}
	putc('\n', ctl->screen.file);
}

static void print_lines(const struct ctl *ctl, const json_t *lines)
{
	for (size_t i = 0; i < json_array_size(lines); i++)
		text_print_line(ctl->screen.file, json_text(json_array_get(lines, i)));
}

static void print_whole(const struct ctl *ctl, const json_t *reply, const json_t *cure)
{
	struct text text = { 0 };

	putc('\n', ctl->screen.file);
	if (is(cure, "does", "section")) {
		print_lines(ctl, json_object_get(cure, "lines"));
		return;
	}
	text_add(&text, "; in [%s] (", json_text_of(cure, "section"));
	add_place(&text, reply, cure);
	text_add(&text, is(cure, "does", "set") ? "), instead of what it has:" : "), below \"%s =\":",
		 json_text_of(cure, "key"));
	text_paragraph(ctl, TONE_PLAIN, &text);
	text_free(&text);
	if (is(cure, "does", "set"))
		fprintf(ctl->screen.file, "%-8s =\n", json_text_of(cure, "key"));
	print_values(ctl, json_object_get(cure, "values"));
}

static bool is_section(const json_t *cure)
{
	return is(cure, "does", "section");
}

/* In audit mode: lines for all of it, first those that change what is in the file. */
void text_all_cures(const struct ctl *ctl, const json_t *reply)
{
	const json_t *cures = json_object_get(reply, "cures");
	int64_t uncured = json_number_of(reply, "uncured");
	char count[32];

	if (uncured)
		fprintf(ctl->screen.file, "\n; Left out: %s row%s, scans or what no flow can allow.\n",
			format_count(uncured, count), uncured == 1 ? "" : "s");
	if (json_array_size(cures))
		fprintf(ctl->screen.file, "\n; Would allow %s (take what you know):\n",
			uncured ? "the rest" : "all of it");
	for (int sections = 0; sections < 2; sections++)
		for (size_t i = 0; i < json_array_size(cures); i++)
			if (is_section(json_array_get(cures, i)) == sections)
				print_whole(ctl, reply, json_array_get(cures, i));
}

/* What strangers try where nothing is offered needs no cure. */
static bool is_wanted(const json_t *reply, size_t cure)
{
	const json_t *rows = json_object_get(reply, "rows");

	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		const json_t *index = json_object_get(row, "cure");
		if (json_is_integer(index) && json_integer_value(index) == (json_int_t)cure &&
		    ((!is(row, "why", "flow") && !is(row, "why", "both")) || *json_text_of(row, "source_role")))
			return true;
	}
	return false;
}

/* A row that this would allow, and that a grant would, too. */
static const json_t *grantable_row(const json_t *reply, size_t cure)
{
	const json_t *rows = json_object_get(reply, "rows");

	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i), *index = json_object_get(row, "cure");
		if (json_is_integer(index) && json_integer_value(index) == (json_int_t)cure &&
		    json_truth_of(row, "grantable"))
			return row;
	}
	return NULL;
}

/* On a line of its own, to be copied. */
static void print_grant(const struct ctl *ctl, const json_t *row)
{
	struct text text = { 0 };

	fprintf(ctl->screen.file, "%*s", CURE_COLUMN, "");
	text_add_grant_command(&text, json_text_of(row, "flow"), json_text_of(row, json_text_of(row, "why")));
	screen_paragraph(&ctl->screen, CURE_COLUMN, CURE_COLUMN, TONE_STRONG, text_of(&text), TONE_PLAIN, "");
	text_free(&text);
}

/* Those of one kind: in a sentence each, or their lines. */
static void print_kind(const struct ctl *ctl, const json_t *reply, bool sections, size_t *shown, size_t *wanted)
{
	const json_t *cures = json_object_get(reply, "cures");

	for (size_t i = 0; i < json_array_size(cures); i++) {
		const json_t *cure = json_array_get(cures, i);
		struct text text = { 0 };
		if (is_section(cure) != sections || !is_wanted(reply, i) || ++*wanted > CURES)
			continue;
		fputs((*shown)++ ? "      " : "Cure: ", ctl->screen.file);
		bool lines = sections && !is_crowd(cure);
		const json_t *grant = is_crowd(cure) ? NULL : grantable_row(reply, i);
		if (lines) {
			text_add(&text, "add to ");
			add_place(&text, reply, cure);
			text_add(&text, ", if you know what it allows:");
		} else {
			add_short(&text, reply, cure);
			text_add(&text, "%s", grant ? "; or for a while:" : "");
		}
		screen_paragraph(&ctl->screen, CURE_COLUMN, CURE_COLUMN, TONE_STRONG, text_of(&text), TONE_PLAIN, "");
		text_free(&text);
		if (lines)
			print_lines(ctl, json_object_get(cure, "lines"));
		else if (grant)
			print_grant(ctl, grant);
	}
}

void text_some_cures(const struct ctl *ctl, const json_t *reply)
{
	size_t shown = 0, wanted = 0;

	print_kind(ctl, reply, false, &shown, &wanted);
	print_kind(ctl, reply, true, &shown, &wanted);
	if (wanted > shown)
		fprintf(ctl->screen.file, "      and %zu more, see spefwctl drops --json\n", wanted - shown);
}
