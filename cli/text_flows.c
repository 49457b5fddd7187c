/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <string.h>

/* The list of flows: what is open, and how it is used. */

/* "tcp/143, 443", or "icmp-echo". */
void text_add_ports(struct text *text, const json_t *flow)
{
	const json_t *ports = json_object_get(flow, "ports");
	const char *protocol = json_text_of(flow, "protocol");

	/* Of both alike: dns-out is tcp/udp. */
	text_add(text, "%s", protocol);
	for (size_t i = 0; i < json_array_size(ports); i++)
		text_add(text, "%s%s",
			 i                       ? ", "
			 : strchr(protocol, '/') ? " "
						 : "/",
			 json_text(json_array_get(ports, i)));
}

static void add_text_cell(struct table *table, enum tone tone, struct text *text)
{
	table->failed |= text->failed;
	table_cell(table, tone, "%s", text_of(text));
	text_free(text);
}

/* The first one, and how many more. */
static void add_end(struct text *text, const json_t *flow, const char *side)
{
	size_t count = json_word_count(flow, side);

	text_add(text, "%s", json_text(json_array_get(json_object_get(flow, side), 0)));
	if (count > 1)
		text_add(text, " and %zu more", count - 1);
}

void text_add_last(struct text *text, const json_t *flow)
{
	const json_t *last = json_object_get(flow, "last_used_s");
	const char *off = json_text_of(flow, "off");
	char when[32];

	if (!json_truth_of(flow, "enabled")) {
		text_add(text, "off");
		if (*off && strcmp(off, "disabled") != 0)
			text_add(text, ": %s", off);
		if (json_object_get(flow, "line"))
			text_add(text, " (line %lld)", (long long)json_number_of(flow, "line"));
	} else if (json_is_integer(last)) {
		text_add(text, "%s", format_seconds(json_integer_value(last), when));
	} else {
		text_add(text, json_object_get(flow, "new_24h") ? "never" : "-");
	}
}

static void add_count(struct table *table, enum tone tone, const json_t *flow, const char *member)
{
	int64_t number = json_number_of(flow, member);
	char count[32] = "-";

	if (!json_truth_of(flow, "enabled"))
		count[0] = '\0';
	else if (number)
		format_count(number, count);
	table_cell(table, tone, "%s", count);
}

/* narrow: both ends and the port are one cell. */
static void add_flow(struct table *table, const json_t *flow, bool narrow)
{
	enum tone tone = json_truth_of(flow, "enabled") ? TONE_PLAIN : TONE_FAINT;
	struct text from = { 0 }, to = { 0 }, ports = { 0 }, last = { 0 };

	add_end(&from, flow, "from");
	add_end(&to, flow, "to");
	text_add_ports(&ports, flow);
	text_add_last(&last, flow);
	table_cell(table, tone, "%s", json_text_of(flow, "id"));
	if (narrow) {
		text_add(&from, " -> %s %s", text_of(&to), text_of(&ports));
		add_text_cell(table, tone, &from);
		text_free(&to);
		text_free(&ports);
	} else {
		add_text_cell(table, tone, &from);
		add_text_cell(table, tone, &to);
		add_text_cell(table, tone, &ports);
	}
	add_count(table, tone, flow, "connections");
	add_count(table, tone, flow, "new_24h");
	add_text_cell(table, tone, &last);
}

static void widen(size_t *width, const char *text)
{
	if (text_width(text) > *width)
		*width = text_width(text);
}

/* Whether addresses and names, which are never broken, don't stand side by side. */
static bool is_narrow(const struct ctl *ctl, const json_t *flows)
{
	enum { PORTS = 11, FIGURES = 3 + 6 + 7, GAPS = 6 * 2 }; /* "10000-10100"; "23d 23h" */
	size_t id = 0, from = 0, to = 0;

	for (size_t i = 0; i < json_array_size(flows); i++) {
		const json_t *flow = json_array_get(flows, i);
		widen(&id, json_text_of(flow, "id"));
		widen(&from, json_text(json_array_get(json_object_get(flow, "from"), 0)));
		widen(&to, json_text(json_array_get(json_object_get(flow, "to"), 0)));
	}
	return id + from + to + PORTS + FIGURES + GAPS > screen_width(&ctl->screen);
}

static void print_flows(const struct ctl *ctl, const json_t *flows)
{
	static const char *const titles[] = { "FLOW", "FROM", "TO", "PORT", "NOW", "24 H", "LAST" },
				 *const narrow_titles[] = { "FLOW", "FROM -> TO, PORT", "NOW", "24 H", "LAST" };
	bool narrow = is_narrow(ctl, flows);
	struct table table;

	table_init(&table, narrow ? "perrw" : "peeerrw");
	table_titles(&table, narrow ? narrow_titles : titles);
	for (size_t i = 0; i < json_array_size(flows); i++)
		add_flow(&table, json_array_get(flows, i), narrow);
	ctl_print_table(ctl, &table);
}

static void print_line(const struct ctl *ctl, struct text *text)
{
	struct table table;

	table_init(&table, "w");
	add_text_cell(&table, TONE_PLAIN, text);
	ctl_print_table(ctl, &table);
}

static bool is_any(const json_t *array)
{
	return strcmp(json_text(json_array_get(array, 0)), "ANY") == 0;
}

enum { RECORD_DAYS = 90 };

/* Only a record that is old enough shows that something was never used. */
static void print_unused(const struct ctl *ctl, const json_t *flows)
{
	struct text text = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(flows); i++) {
		const json_t *flow = json_array_get(flows, i);
		if (!json_truth_of(flow, "enabled") || json_object_get(flow, "last_used_s") ||
		    (!is_any(json_object_get(flow, "from")) && !is_any(json_object_get(flow, "to"))))
			continue;
		text_add(&text, "%s%s",
			 count++ ? ", " : "Never used in 90 days, and open to ANY: ", json_text_of(flow, "id"));
	}
	if (count)
		print_line(ctl, &text);
	text_free(&text);
}

static void print_recorded(const struct ctl *ctl, const json_t *reply)
{
	const json_t *recorded = json_object_get(reply, "recorded_s");
	struct text text = { 0 };
	char kept[32];

	if (!json_is_integer(recorded)) {
		text_add(&text, "No record is kept (record = no): 24 H and LAST are not known.");
		print_line(ctl, &text);
	} else if (json_integer_value(recorded) < RECORD_DAYS * 24 * 3600) {
		text_add(&text, "The record of 24 H and LAST goes back %s.",
			 format_seconds(json_integer_value(recorded), kept));
		print_line(ctl, &text);
	} else {
		print_unused(ctl, json_object_get(reply, "flows"));
	}
}

static void add_expected(struct table *table, const json_t *flow)
{
	bool overdue = json_truth_of(flow, "overdue"), answered = json_object_get(flow, "last_answered_s");
	char expect[32], silent[32];

	table_cell(table, TONE_PLAIN, "%s", json_text_of(flow, "id"));
	table_cell(table, TONE_PLAIN, "%s", format_seconds(json_number_of(flow, "expect_s"), expect));
	format_seconds(json_number_of(flow, "silent_s"), silent);
	table_cell(table, overdue ? TONE_BAD : TONE_PLAIN, "%s%s%s%s", answered ? "" : "not in ", silent,
		   answered ? " ago" : "", overdue ? ", overdue" : "");
}

static void print_expected(const struct ctl *ctl, const json_t *flows)
{
	static const char *const titles[] = { "EXPECTED", "EVERY", "ANSWERED" };
	struct table table = { 0 };

	for (size_t i = 0; i < json_array_size(flows); i++) {
		const json_t *flow = json_array_get(flows, i);
		if (!json_object_get(flow, "expect_s"))
			continue;
		if (!table.columns) {
			putc('\n', ctl->screen.file);
			table_init(&table, "ppp");
			table_titles(&table, titles);
		}
		add_expected(&table, flow);
	}
	ctl_print_table(ctl, &table);
}

static void add_list_cell(struct table *table, enum tone tone, const json_t *array)
{
	struct text text = { 0 };

	text_add_list(&text, array, 8);
	table->failed |= text.failed;
	table_cell(table, tone, "%s", text_of(&text));
	text_free(&text);
}

static void print_granted(const struct ctl *ctl, const json_t *flows)
{
	static const char *const titles[] = { "FLOW", "GRANTED FOR A WHILE TO" };
	struct table table = { 0 };

	for (size_t i = 0; i < json_array_size(flows); i++) {
		const json_t *flow = json_array_get(flows, i), *granted = json_object_get(flow, "granted");
		if (!json_array_size(granted))
			continue;
		if (!table.columns) {
			putc('\n', ctl->screen.file);
			table_init(&table, "pw");
			table_titles(&table, titles);
		}
		table_cell(&table, TONE_PLAIN, "%s", json_text_of(flow, "id"));
		add_list_cell(&table, TONE_PLAIN, granted);
	}
	ctl_print_table(ctl, &table);
}

/* Apart from the flows: there is room for sentences. */
static void print_comments(const struct ctl *ctl, const json_t *flows)
{
	static const char *const titles[] = { "FLOW", "COMMENT" };
	struct table table = { 0 };

	for (size_t i = 0; i < json_array_size(flows); i++) {
		const json_t *flow = json_array_get(flows, i);
		if (!json_object_get(flow, "comment"))
			continue;
		if (!table.columns) {
			putc('\n', ctl->screen.file);
			table_init(&table, "pw");
			table_titles(&table, titles);
		}
		table_cell(&table, TONE_PLAIN, "%s", json_text_of(flow, "id"));
		table_cell(&table, TONE_PLAIN, "%s", json_text_of(flow, "comment"));
	}
	ctl_print_table(ctl, &table);
}

static void add_members_cell(struct table *table, enum tone tone, const json_t *role)
{
	struct text text = { 0 };

	text_add_words(&text, role, "members", 8);
	table->failed |= text.failed;
	table_cell(table, tone, "%s", text_of(&text));
	text_free(&text);
}

static void print_roles(const struct ctl *ctl, const json_t *roles)
{
	static const char *const titles[] = { "ROLE", "GUARDED", "COUNT", "MEMBERS" };
	struct table table;
	char count[32];

	table_init(&table, "pprw");
	table_titles(&table, titles);
	for (size_t i = 0; i < json_array_size(roles); i++) {
		const json_t *role = json_array_get(roles, i);
		bool guarded = json_truth_of(role, "protected");
		bool any = strcmp(json_text(json_array_get(json_object_get(role, "members"), 0)), "ANY") == 0;
		table_cell(&table, TONE_PLAIN, "%s", json_text_of(role, "name"));
		table_cell(&table, guarded ? TONE_GOOD : TONE_PLAIN, guarded ? "yes" : "no");
		table_cell(&table, TONE_PLAIN, "%s", any ? "all" : format_count(json_number_of(role, "count"), count));
		add_members_cell(&table, TONE_PLAIN, role);
	}
	ctl_print_table(ctl, &table);
}

void text_removed(const struct ctl *ctl, const json_t *reply)
{
	struct text text = { 0 };

	if (!json_truth_of(reply, "removed"))
		return;
	text_add(&text, "The table is removed: none of this is in force until spefwctl reload.");
	print_line(ctl, &text);
}

void text_flows(const struct ctl *ctl, const json_t *reply)
{
	const json_t *roles = json_object_get(reply, "roles");

	text_removed(ctl, reply);
	if (json_object_get(reply, "flow")) {
		text_flow(ctl, reply);
		return;
	}
	print_flows(ctl, json_object_get(reply, "flows"));
	print_recorded(ctl, reply);
	print_expected(ctl, json_object_get(reply, "flows"));
	print_granted(ctl, json_object_get(reply, "flows"));
	print_comments(ctl, json_object_get(reply, "flows"));
	if (json_array_size(roles)) {
		putc('\n', ctl->screen.file);
		print_roles(ctl, roles);
	}
}
