/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"
#include "verbs_drops.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Denials: a row each. */

enum {
	ROWS = 20,
	BESIDE = 36, /* columns, beside two addresses */
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

static size_t count_rows(const json_t *rows, bool audit)
{
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(rows); i++)
		count += json_truth_of(json_array_get(rows, i), "audit") == audit;
	return count;
}

/* Those of one mode. *room: for so many of them; what is left of it. */
static void print_rows(const struct ctl *ctl, const json_t *rows, bool audit, size_t *room)
{
	static const char *const titles[] = { "LAST", "COUNT", "FROM", "TO", "WHY" };
	static const char *const short_titles[] = { "LAST", "COUNT", "FROM -> TO", "WHY" };
	bool together = are_long(ctl, rows);
	struct table table;

	table_init(&table, together ? "prew" : "preew");
	table_titles(&table, together ? short_titles : titles);
	for (size_t i = 0; i < json_array_size(rows) && *room; i++) {
		const json_t *row = json_array_get(rows, i);
		if (json_truth_of(row, "audit") != audit)
			continue;
		add_row(&table, row, together);
		--*room;
	}
	ctl_print_table(ctl, &table);
}

/* The mode in force first; then what was before it, as it was then. */
static void print_modes(const struct ctl *ctl, const json_t *rows, bool audit)
{
	size_t room = ROWS, all = json_array_size(rows), before = count_rows(rows, !audit);

	if (audit)
		fprintf(ctl->screen.file, "In audit mode: nothing is denied%s.\n",
			all > before ? ", this would be" : "");
	if (all > before)
		print_rows(ctl, rows, audit, &room);
	if (before && room) {
		fputs(audit ? "Denied before, in enforce mode:\n" : "Let pass before, in audit mode:\n",
		      ctl->screen.file);
		print_rows(ctl, rows, !audit, &room);
	}
	if (all > ROWS)
		fprintf(ctl->screen.file, "... and %zu more, see spefwctl drops --json\n", all - ROWS);
}

static void print_notes(const struct ctl *ctl, const json_t *reply)
{
	const json_t *reasons = json_object_get(reply, "reasons");
	int64_t unseen = json_number_of(reply, "unseen");
	char count[32];

	for (size_t i = 0; i < json_array_size(reasons); i++) {
		struct text text = { 0 };
		text_add(&text, "%s", json_text_of(json_array_get(reasons, i), "text"));
		text_paragraph(ctl, TONE_WARNING, &text);
		text_free(&text);
	}
	if (unseen > 0) {
		struct text text = { 0 };
		text_add(&text,
			 "Counts are at least: %s more packet%s of the last hour %s not copied (20 a second of each "
			 "rule are).",
			 format_count(unseen, count), unseen == 1 ? "" : "s", unseen == 1 ? "was" : "were");
		text_paragraph(ctl, TONE_WARNING, &text);
		text_free(&text);
	}
}

void text_drops(const struct ctl *ctl, const json_t *reply)
{
	const json_t *rows = json_object_get(reply, "rows");
	bool audit = is(reply, "mode", "audit");
	char since[32];

	print_notes(ctl, reply);
	bool uncertain = json_number_of(reply, "unseen") > 0 || json_number_of(reply, "unseen_all") > 0 ||
			 json_array_size(json_object_get(reply, "reasons"));
	if (json_array_size(rows) == 0 && uncertain) {
		fputs("No denial was seen.\n", ctl->screen.file);
		return;
	}
	if (json_array_size(rows) == 0) {
		fprintf(ctl->screen.file,
			audit ? "nothing would have been denied for %s\n" : "nothing was denied for %s\n",
			format_seconds(json_number_of(reply, "recorded_s"), since));
		return;
	}
	print_modes(ctl, rows, audit);
	if (audit)
		text_all_cures(ctl, reply);
	else
		text_some_cures(ctl, reply);
}

/* A line for each row that changed, the oldest first. */
void text_drops_more(const struct ctl *ctl, const json_t *reply)
{
	const json_t *rows = json_object_get(reply, "rows");

	for (size_t i = json_array_size(rows); i-- > 0;) {
		const json_t *row = json_array_get(rows, i);
		time_t when = time(NULL) - (time_t)json_number_of(row, "last_s");
		struct tm parts;
		struct text text = { 0 };
		char clock[16] = "", count[32];
		if (localtime_r(&when, &parts))
			strftime(clock, sizeof(clock), "%H:%M:%S", &parts);
		text_add(&text, "%s %s %s -> ", clock, json_truth_of(row, "audit") ? "would deny" : "denied",
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
