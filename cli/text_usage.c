/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <inttypes.h>
#include <string.h>

/* All about one flow; connections, and the end of one. */

/* "2.1 MB". */
char *format_bytes(int64_t bytes, char buffer[32])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
	double value = (double)(bytes > 0 ? bytes : 0);
	size_t unit = 0;

	while (value >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1000;
		unit++;
	}
	snprintf(buffer, 32, unit && value < 99.95 ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return buffer;
}

static bool any_has(const json_t *list, const char *member)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_object_get(json_array_get(list, i), member))
			return true;
	return false;
}

/* One that is not open is marked. */
static const char *note_of(const json_t *connection, char note[64])
{
	const char *state = json_text_of(connection, "state");
	bool open = strcmp(state, "established") == 0 || strcmp(state, "answered") == 0;

	snprintf(note, 64, "%s%s%s", open ? "" : " (", open ? "" : state, open ? "" : ")");
	return note;
}

static void add_port(struct table *table, const json_t *item, const char *member)
{
	const json_t *port = json_object_get(item, member);

	if (json_is_integer(port))
		table_cell(table, TONE_PLAIN, "%s/%" PRId64, json_text_of(item, "protocol"),
			   (int64_t)json_integer_value(port));
	else
		table_cell(table, TONE_PLAIN, "%s", json_text_of(item, "protocol"));
}

static void add_connection(struct table *table, const json_t *connection, bool bytes)
{
	const json_t *age = json_object_get(connection, "age_s"), *count = json_object_get(connection, "bytes");
	char text[32] = "-", note[64];

	table_cell(table, TONE_PLAIN, "  %s%s", json_text_of(connection, "peer"), note_of(connection, note));
	add_port(table, connection, "target_port");
	if (json_is_integer(age))
		format_age(json_integer_value(age), text);
	table_cell(table, TONE_PLAIN, "%s%s", text, json_truth_of(connection, "age_at_least") ? "+" : "");
	if (bytes)
		table_cell(table, TONE_PLAIN, "%s",
			   json_is_integer(count) ? format_bytes(json_integer_value(count), text) : "-");
	table_cell(table, TONE_PLAIN, "%" PRId64, json_number_of(connection, "id"));
}

/* A line for each flow, above its connections. */
static void add_group(struct table *table, const json_t *connection)
{
	const char *flow = json_text_of(connection, "flow");

	table_cell(table, *flow ? TONE_STRONG : TONE_WARNING, "%s", *flow ? flow : "(none)");
	for (size_t i = 1; i < table->columns; i++)
		table_cell(table, TONE_PLAIN, "%s", "");
}

/* Without the column of what the kernel does not count. */
static void print_connections(const struct ctl *ctl, const json_t *list, bool more)
{
	static const char *const with_bytes[] = { "FLOW, PEER", "PORT", "AGE", "BYTES", "ID" }, *const without[] = {
		"FLOW, PEER", "PORT", "AGE", "ID", ""
	};
	bool bytes = any_has(list, "bytes");
	const char *before = NULL;
	struct table table;
	char count[32];

	table_init(&table, bytes ? "eprrr" : "eprr");
	table_titles(&table, bytes ? with_bytes : without);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *connection = json_array_get(list, i);
		if (!before || strcmp(before, json_text_of(connection, "flow")) != 0)
			add_group(&table, connection);
		before = json_text_of(connection, "flow");
		add_connection(&table, connection, bytes);
	}
	ctl_print_table(ctl, &table);
	if (more)
		fprintf(ctl->screen.file, "There are more: only %s are shown.\n",
			format_count((int64_t)json_array_size(list), count));
}

void text_connections(const struct ctl *ctl, const json_t *reply)
{
	const json_t *list = json_object_get(reply, "connections");

	text_removed(ctl, reply);
	if (json_array_size(list))
		print_connections(ctl, list, json_truth_of(reply, "more"));
	else
		fputs("no connections\n", ctl->screen.file);
}

void text_cut_one(const struct ctl *ctl, const json_t *reply)
{
	struct text text = { 0 };

	text_add(&text, "cut: %s port %" PRId64 " -> %s %s/%" PRId64, json_text_of(reply, "source"),
		 json_number_of(reply, "source_port"), json_text_of(reply, "target"), json_text_of(reply, "protocol"),
		 json_number_of(reply, "target_port"));
	screen_text(&ctl->screen, TONE_PLAIN, text_of(&text));
	putc('\n', ctl->screen.file);
	text_free(&text);
}

/* One flow */

static void add_fact(struct table *table, const char *title, struct text *text)
{
	table->failed |= text->failed;
	if (*text_of(text)) {
		table_cell(table, TONE_FAINT, "  %s", title);
		table_cell(table, TONE_PLAIN, "%s", text_of(text));
	}
	text_free(text);
}

static void add_use(struct table *table, const json_t *flow)
{
	struct text now = { 0 }, day = { 0 }, last = { 0 }, attempts = { 0 };
	char count[32];

	text_add(&now, "%s open", format_count(json_number_of(flow, "connections"), count));
	add_fact(table, "now", &now);
	if (json_object_get(flow, "new_24h")) {
		text_add(&day, "%s opened", format_count(json_number_of(flow, "new_24h"), count));
		text_add_last(&last, flow);
		if (json_object_get(flow, "last_used_s"))
			text_add(&last, " ago");
	}
	add_fact(table, "24 h", &day);
	add_fact(table, "last used", &last);
	text_add(&attempts, "%s, answered or not", format_count(json_number_of(flow, "attempts"), count));
	add_fact(table, "attempts", &attempts);
}

static void add_expected(struct table *table, const json_t *flow)
{
	struct text text = { 0 };
	char expect[32], silent[32];

	if (json_object_get(flow, "expect_s")) {
		format_seconds(json_number_of(flow, "expect_s"), expect);
		format_seconds(json_number_of(flow, "silent_s"), silent);
		text_add(&text, "every %s; %s%s%s%s", expect,
			 json_object_get(flow, "last_answered_s") ? "answered " : "not answered in ", silent,
			 json_object_get(flow, "last_answered_s") ? " ago" : "",
			 json_truth_of(flow, "overdue") ? ", overdue" : "");
	}
	add_fact(table, "expected", &text);
}

static void add_origin(struct text *text, const json_t *flow)
{
	bool custom = strcmp(json_text_of(flow, "section"), "custom") == 0;

	if (!custom)
		text_add(text, "built in");
	if (json_object_get(flow, "line"))
		text_add(text, "%sline %" PRId64 " of the configuration", custom ? "" : ", ",
			 json_number_of(flow, "line"));
}

static void print_facts(const struct ctl *ctl, const json_t *flow)
{
	struct text from = { 0 }, to = { 0 }, ports = { 0 }, origin = { 0 }, purpose = { 0 }, comment = { 0 },
		    off = { 0 }, granted = { 0 };
	struct table table;

	screen_text(&ctl->screen, TONE_STRONG, json_text_of(flow, "id"));
	putc('\n', ctl->screen.file);
	table_init(&table, "pw");
	text_add_words(&from, flow, "from", 100);
	text_add_words(&to, flow, "to", 100);
	text_add_list(&granted, json_object_get(flow, "granted"), 300);
	text_add_ports(&ports, flow);
	add_origin(&origin, flow);
	text_add(&purpose, "%s", json_text_of(flow, "purpose"));
	text_add(&comment, "%s", json_text_of(flow, "comment"));
	if (!json_truth_of(flow, "enabled"))
		text_add_last(&off, flow);
	add_fact(&table, "from", &from);
	add_fact(&table, "to", &to);
	add_fact(&table, "granted to", &granted);
	add_fact(&table, "port", &ports);
	add_fact(&table, "written", &origin);
	add_fact(&table, "purpose", &purpose);
	add_fact(&table, "comment", &comment);
	if (*text_of(&off))
		add_fact(&table, "state", &off);
	else
		add_use(&table, flow);
	add_expected(&table, flow);
	ctl_print_table(ctl, &table);
}

static void print_peers(const struct ctl *ctl, const json_t *peers, bool more)
{
	static const char *const titles[] = { "PEER", "PORT", "COUNT", "FIRST", "LAST", "" };
	struct table table;
	char count[32], first[32], last[32];

	if (!json_array_size(peers))
		return;
	putc('\n', ctl->screen.file);
	table_init(&table, "eprrrp");
	table_titles(&table, titles);
	for (size_t i = 0; i < json_array_size(peers); i++) {
		const json_t *peer = json_array_get(peers, i);
		table_cell(&table, TONE_PLAIN, "%s", json_text_of(peer, "peer"));
		add_port(&table, peer, "port");
		table_cell(&table, TONE_PLAIN, "%s", format_count(json_number_of(peer, "count"), count));
		table_cell(&table, TONE_PLAIN, "%s", format_seconds(json_number_of(peer, "first_s"), first));
		table_cell(&table, TONE_PLAIN, "%s", format_seconds(json_number_of(peer, "last_s"), last));
		table_cell(&table, TONE_WARNING, "%s", json_truth_of(peer, "denied") ? "denied" : "");
	}
	ctl_print_table(ctl, &table);
	if (more)
		fprintf(ctl->screen.file, "Only the last %s are shown.\n",
			format_count((int64_t)json_array_size(peers), count));
}

void text_flow(const struct ctl *ctl, const json_t *reply)
{
	const json_t *connections = json_object_get(reply, "connections");

	print_facts(ctl, json_object_get(reply, "flow"));
	print_peers(ctl, json_object_get(reply, "peers"), json_truth_of(reply, "more_peers"));
	if (json_array_size(connections)) {
		putc('\n', ctl->screen.file);
		print_connections(ctl, connections, json_truth_of(reply, "more_connections"));
	}
}
