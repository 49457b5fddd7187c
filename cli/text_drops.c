/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"
#include "verbs_drops.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Denials: a row each, and then what would allow them. */

enum {
	ROWS = 20,
	BESIDE = 36 /* columns, beside two addresses */,
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

/* The name of a protected machine's role says more than its address. */
static const char *side_of(const json_t *row, const char *address, const char *role)
{
	if (strcmp(address, "source") == 0 && json_truth_of(row, "from_gateway"))
		return "this gateway";
	return *json_text_of(row, role) ? json_text_of(row, role) : json_text_of(row, address);
}

/* "SERVER tcp/8470", "37 addresses tcp/443", "SERVER 2,996 ports". */
static void add_target(struct text *text, const json_t *row)
{
	int64_t targets = json_number_of(row, "targets"), ports = json_number_of(row, "ports");
	const char *protocol = json_text_of(row, "protocol");
	char count[32];

	if (targets > 1)
		text_add(text, "%s%s addresses", json_truth_of(row, "more_targets") ? "over " : "",
			 format_count(targets, count));
	else
		text_add(text, "%s", side_of(row, "target", "target_role"));
	if (ports > 1)
		text_add(text, " %s ports", format_count(ports, count));
	else if (json_object_get(row, "port"))
		text_add(text, " %s/%" PRId64, protocol, json_number_of(row, "port"));
	else
		text_add(text, " %s", strcmp(protocol, "other") == 0 ? "another protocol" : protocol);
}

static void add_side(struct text *text, const json_t *row, const char *side)
{
	const json_t *words = json_object_get(row, "not_in");

	text_add(text, "%s: ", json_text_of(row, "flow"));
	if (json_truth_of(row, "by_name"))
		text_add(text, "not among its names");
	else if (json_array_size(words) == 1)
		text_add(text, "%s not in %s", side, json_text(json_array_get(words, 0)));
	else if (json_array_size(words) == 0)
		text_add(text, "it has no %s", side);
	else
		text_add(text, "not among its %ss", side);
}

static void add_why(struct text *text, const json_t *row)
{
	const char *why = json_text_of(row, "why"), *flow = json_text_of(row, "flow");

	if (strcmp(why, "source") == 0 || strcmp(why, "target") == 0)
		add_side(text, row, why);
	else if (strcmp(why, "both") == 0)
		text_add(text, "%s: neither source nor target", flow);
	else if (strcmp(why, "off") == 0)
		text_add(text, "%s is off", flow);
	else if (strcmp(why, "connection") == 0)
		text_add(text, "part of no connection");
	else if (strcmp(why, "nothing") == 0)
		text_add(text, "allowed by now%s%s", *flow ? ": " : "", flow);
	else if (json_truth_of(row, "scan")) /* the cause is that of the last one alone, which had no port perhaps */
		text_add(text, "no flow (a scan)");
	else
		text_add(text, strcmp(why, "protocol") == 0 ? "no flow can have it" : "no flow");
}

void text_add_drop(struct text *text, const json_t *row)
{
	int64_t packets = json_number_of(row, "count");
	char count[32];

	text_add(text, "%s %s -> ", json_truth_of(row, "audit") ? "would deny" : "denied",
		 side_of(row, "source", "source_role"));
	add_target(text, row);
	text_add(text, ", %s packet%s: ", format_count(packets, count), packets == 1 ? "" : "s");
	add_why(text, row);
}

static void add_row(struct table *table, const json_t *row, bool together)
{
	bool near = is(row, "why", "source") || is(row, "why", "target");
	const char *source = side_of(row, "source", "source_role");
	struct text target = { 0 }, why = { 0 };
	char when[32], count[32];

	add_target(&target, row);
	add_why(&why, row);
	table->failed |= target.failed || why.failed;
	table_cell(table, TONE_PLAIN, "%s", format_age(json_number_of(row, "last_s"), when));
	table_cell(table, TONE_PLAIN, "%s", format_count(json_number_of(row, "count"), count));
	if (together) {
		table_cell(table, TONE_PLAIN, "%s -> %s", source, text_of(&target));
	} else {
		table_cell(table, TONE_PLAIN, "%s", source);
		table_cell(table, TONE_PLAIN, "%s", text_of(&target));
	}
	table_cell(table, near ? TONE_WARNING : TONE_PLAIN, "%s", text_of(&why));
	text_free(&target);
	text_free(&why);
}

/* Whether long addresses of both sides would leave no room for the reasons. */
static bool are_long(const struct ctl *ctl, const json_t *rows)
{
	size_t source = 0, target = 0;

	for (size_t i = 0; i < json_array_size(rows) && i < ROWS; i++) {
		const json_t *row = json_array_get(rows, i);
		size_t from = text_width(side_of(row, "source", "source_role"));
		size_t to = text_width(side_of(row, "target", "target_role"));
		source = from > source ? from : source;
		target = to > target ? to : target;
	}
	return source + target + BESIDE > screen_width(&ctl->screen);
}

static void print_rows(const struct ctl *ctl, const json_t *rows)
{
	static const char *const titles[] = { "LAST", "COUNT", "FROM", "TO", "WHY" };
	static const char *const short_titles[] = { "LAST", "COUNT", "FROM -> TO", "WHY" };
	size_t count = json_array_size(rows);
	bool together = are_long(ctl, rows);
	struct table table;

	table_init(&table, together ? "prew" : "preew");
	table_titles(&table, together ? short_titles : titles);
	for (size_t i = 0; i < count && i < ROWS; i++)
		add_row(&table, json_array_get(rows, i), together);
	ctl_print_table(ctl, &table);
	if (count > ROWS)
		fprintf(ctl->screen.file, "... and %zu more, see spefwctl drops --json\n", count - ROWS);
}

static void print_paragraph(const struct ctl *ctl, enum tone tone, const struct text *text)
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
	print_paragraph(ctl, TONE_PLAIN, &text);
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
static void print_all_cures(const struct ctl *ctl, const json_t *reply)
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
		if (lines) {
			text_add(&text, "add to ");
			add_place(&text, reply, cure);
			text_add(&text, ", if you know what it allows:");
		} else {
			add_short(&text, reply, cure);
		}
		screen_paragraph(&ctl->screen, CURE_COLUMN, CURE_COLUMN, TONE_STRONG, text_of(&text), TONE_PLAIN, "");
		text_free(&text);
		if (lines)
			print_lines(ctl, json_object_get(cure, "lines"));
	}
}

static void print_some_cures(const struct ctl *ctl, const json_t *reply)
{
	size_t shown = 0, wanted = 0;

	print_kind(ctl, reply, false, &shown, &wanted);
	print_kind(ctl, reply, true, &shown, &wanted);
	if (wanted > shown)
		fprintf(ctl->screen.file, "      and %zu more, see spefwctl drops --json\n", wanted - shown);
}

static void print_notes(const struct ctl *ctl, const json_t *reply)
{
	const json_t *reasons = json_object_get(reply, "reasons");
	int64_t unseen = json_number_of(reply, "unseen");
	char count[32];

	for (size_t i = 0; i < json_array_size(reasons); i++) {
		struct text text = { 0 };
		text_add(&text, "%s", json_text_of(json_array_get(reasons, i), "text"));
		print_paragraph(ctl, TONE_WARNING, &text);
		text_free(&text);
	}
	if (unseen > 0) {
		struct text text = { 0 };
		text_add(&text,
			 "Counts are at least: %s more packet%s denied and not copied (20 a second of each rule are).",
			 format_count(unseen, count),
			 is(reply, "mode", "audit") ? (unseen == 1 ? " would have been" : "s would have been")
			 : unseen == 1              ? " was"
						    : "s were");
		print_paragraph(ctl, TONE_WARNING, &text);
		text_free(&text);
	}
}

void text_drops(const struct ctl *ctl, const json_t *reply)
{
	const json_t *rows = json_object_get(reply, "rows");
	bool audit = is(reply, "mode", "audit");
	char since[32];

	print_notes(ctl, reply);
	bool blind = json_number_of(reply, "unseen") > 0 || json_array_size(json_object_get(reply, "reasons"));
	if (json_array_size(rows) == 0 && blind) {
		fputs("No denial was seen.\n", ctl->screen.file);
		return;
	}
	if (json_array_size(rows) == 0) {
		fprintf(ctl->screen.file,
			audit ? "nothing would have been denied for %s\n" : "nothing was denied for %s\n",
			format_seconds(json_number_of(reply, "recorded_s"), since));
		return;
	}
	if (audit)
		fputs("In audit mode: nothing is denied, this would be.\n", ctl->screen.file);
	print_rows(ctl, rows);
	if (audit)
		print_all_cures(ctl, reply);
	else
		print_some_cures(ctl, reply);
}

/* A line for each row that changed, the oldest first. */
void text_drops_more(const struct ctl *ctl, const json_t *reply)
{
	const json_t *rows = json_object_get(reply, "rows");
	bool audit = is(reply, "mode", "audit");

	for (size_t i = json_array_size(rows); i-- > 0;) {
		const json_t *row = json_array_get(rows, i);
		time_t when = time(NULL) - (time_t)json_number_of(row, "last_s");
		struct tm parts;
		struct text text = { 0 };
		char clock[16] = "", count[32];
		if (localtime_r(&when, &parts))
			strftime(clock, sizeof(clock), "%H:%M:%S", &parts);
		text_add(&text, "%s %s %s -> ", clock, audit ? "would deny" : "denied",
			 side_of(row, "source", "source_role"));
		add_target(&text, row);
		text_add(&text, ": ");
		add_why(&text, row);
		text_add(&text, " (%s so far)", format_count(json_number_of(row, "count"), count));
		text_print_line(ctl->screen.file, text_of(&text));
		text_free(&text);
	}
	if (!json_truth_of(reply, "complete"))
		fputs("... and more than can be followed: see spefwctl drops\n", ctl->screen.file);
}
