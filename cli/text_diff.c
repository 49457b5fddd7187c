/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <inttypes.h>
#include <string.h>

/* What a reload would change, cut and deny. */

enum { DAY_S = 24 * 60 * 60, SINCE_S = 30 * DAY_S };

static void add_text_cell(struct table *table, enum tone tone, struct text *text)
{
	table->failed |= text->failed;
	table_cell(table, tone, "%s", text_of(text));
	text_free(text);
}

/* "+" opens or adds, "-" takes away, "~" is another value. */
static char sign_of(const json_t *change)
{
	const char *kind = json_text_of(change, "change"), *key = json_text_of(change, "key"),
		   *after = json_text_of(change, "after");
	bool before = json_object_get(change, "before");

	if (strcmp(kind, "new") == 0)
		return '+';
	if (strcmp(kind, "gone") == 0)
		return '-';
	if (strcmp(key, "enabled") == 0)
		return strcmp(after, "on") == 0 ? '+' : '-';
	if (strcmp(key, "members") == 0 && before != (json_object_get(change, "after") != NULL))
		return before ? '-' : '+';
	return '~';
}

static void add_values(struct text *text, const json_t *change)
{
	const json_t *before = json_object_get(change, "before"), *after = json_object_get(change, "after");
	const char *old = json_text(before), *new = json_text(after), *kind = json_text_of(change, "change");

	if (strcmp(kind, "other") != 0) {
		text_add(text, "%s%s%s", kind, *old || *new ? ": " : "", *new ? new : old);
		if (json_truth_of(change, "off"))
			text_add(text, " (off)");
	} else if (strcmp(json_text_of(change, "key"), "enabled") == 0) {
		text_add(text, "%s", new);
	} else if (!before && !after) {
		text_add(text, "changed");
	} else if (!before || !after) {
		text_add(text, "%s", before ? old : new);
	} else if (strcmp(old, new) == 0) {
		text_add(text, "%s, others than before", new);
	} else {
		text_add(text, "%s -> %s", old, new);
	}
}

static void add_change(struct table *table, const json_t *change)
{
	const char *id = json_text_of(change, "id"), *key = json_text_of(change, "key");
	bool enabled = strcmp(key, "enabled") == 0;
	char sign = sign_of(change);
	struct text values = { 0 };

	add_values(&values, change);
	table_cell(table, sign == '-' ? TONE_WARNING : TONE_PLAIN, "  %c %s", sign, *id ? id : key);
	table_cell(table, TONE_FAINT, "%s", *id && !enabled ? key : "");
	add_text_cell(table, TONE_PLAIN, &values);
	if (json_object_get(change, "line"))
		table_cell(table, TONE_FAINT, "line %" PRId64, json_number_of(change, "line"));
	else
		table_cell(table, TONE_FAINT, "%s", "");
}

static void print_changes(const struct ctl *ctl, const json_t *changes)
{
	struct table table;

	table_init(&table, "ppep");
	for (size_t i = 0; i < json_array_size(changes); i++)
		add_change(&table, json_array_get(changes, i));
	ctl_print_table(ctl, &table);
}

static const char *side_of(const json_t *connection, const char *role, const char *address)
{
	const char *name = json_text_of(connection, role);
	return *name ? name : json_text_of(connection, address);
}

static void add_port(struct text *text, const json_t *of)
{
	text_add(text, " %s", json_text_of(of, "protocol"));
	if (json_object_get(of, "port"))
		text_add(text, "/%" PRId64, json_number_of(of, "port"));
}

static void add_cut(struct table *table, const json_t *connection)
{
	struct text ends = { 0 }, open = { 0 };
	char number[32];

	text_add(&ends, "%s -> %s", side_of(connection, "source_role", "source"),
		 side_of(connection, "target_role", "target"));
	add_port(&ends, connection);
	table_cell(table, TONE_PLAIN, "%s", ""); /* below which nothing of a long one goes on */
	add_text_cell(table, TONE_PLAIN, &ends);
	table_cell(table, TONE_PLAIN, "%s", json_text_of(connection, "flow"));
	if (json_object_get(connection, "age_s"))
		text_add(&open, "open %s%s", format_age(json_number_of(connection, "age_s"), number),
			 json_truth_of(connection, "age_at_least") ? "+" : "");
	add_text_cell(table, TONE_PLAIN, &open);
	table_cell(table, TONE_PLAIN, "%s",
		   json_object_get(connection, "bytes") ? format_bytes(json_number_of(connection, "bytes"), number)
							: "");
}

static void print_more(const struct ctl *ctl, int64_t count, size_t shown)
{
	char number[32];

	if (count > (int64_t)shown)
		fprintf(ctl->screen.file, "  and %s more\n", format_count(count - (int64_t)shown, number));
}

static void print_cut(const struct ctl *ctl, const json_t *reply)
{
	const json_t *list = json_object_get(reply, "cut_connections");
	int64_t count = json_number_of(reply, "cut");
	struct table table;
	char number[32];

	if (count <= 0)
		return;
	fprintf(ctl->screen.file, "Would cut %s connection%s:\n", format_count(count, number), count == 1 ? "" : "s");
	table_init(&table, "peprr");
	for (size_t i = 0; i < json_array_size(list); i++)
		add_cut(&table, json_array_get(list, i));
	ctl_print_table(ctl, &table);
	print_more(ctl, count, json_array_size(list));
}

static bool is_network(const json_t *peer)
{
	return strchr(json_text_of(peer, "peer"), '/') || strchr(json_text_of(peer, "peer"), '-');
}

static void add_denied(struct table *table, const json_t *peer)
{
	const char *name = json_text_of(peer, "name");
	int64_t count = json_number_of(peer, "count");
	char number[32], last[32];
	struct text who = { 0 };

	table_cell(table, TONE_PLAIN, "  %s", json_text_of(peer, "flow"));
	if (*name)
		text_add(&who, "%s ", name);
	text_add(&who, "%s", json_text_of(peer, "peer"));
	add_port(&who, peer);
	add_text_cell(table, TONE_PLAIN, &who);
	table_cell(table, TONE_PLAIN, "%s time%s, last %s ago", format_count(count, number), count == 1 ? "" : "s",
		   format_age(json_number_of(peer, "last_s"), last));
}

static void print_denied(const struct ctl *ctl, const json_t *reply)
{
	const json_t *list = json_object_get(reply, "denied_peers");
	int64_t count = json_number_of(reply, "denied"), recorded = json_number_of(reply, "recorded_s");
	bool audit = strcmp(json_text_of(reply, "mode"), "audit") == 0, networks = false;
	char since[32] = "30 days";
	struct table table;

	if (count <= 0)
		return;
	if (recorded < SINCE_S)
		format_seconds(recorded, since);
	fprintf(ctl->screen.file, "Used in the last %s%s, %s from now on:\n", since,
		recorded < SINCE_S ? " (the record is no older)" : "", audit ? "would be denied" : "denied");
	table_init(&table, "pee");
	for (size_t i = 0; i < json_array_size(list); i++) {
		add_denied(&table, json_array_get(list, i));
		networks |= is_network(json_array_get(list, i));
	}
	ctl_print_table(ctl, &table);
	print_more(ctl, count, json_array_size(list));
	if (networks)
		fputs("  (a network is judged by its first address)\n", ctl->screen.file);
}

/* -v */
static void print_packets(const struct ctl *ctl, const json_t *reply)
{
	const json_t *list = json_object_get(reply, "packets");
	const char *unknown = json_text_of(reply, "packets_unknown");
	int64_t more = json_number_of(reply, "packets_more");
	char number[32];

	if (!list)
		return;
	if (*unknown) {
		fprintf(ctl->screen.file, "Which new connections fare otherwise is not known: %s.\n", unknown);
		return;
	}
	bool any = json_array_size(list) || more > 0;
	fprintf(ctl->screen.file, "%s new connection%s otherwise%s\n", any ? "All" : "No",
		any ? "s that fare" : " fares", any ? ":" : ".");
	for (size_t i = 0; i < json_array_size(list); i++) {
		fputs("  ", ctl->screen.file);
		screen_line(&ctl->screen, 2, 4, TONE_PLAIN, json_text(json_array_get(list, i)));
	}
	if (more > 0)
		fprintf(ctl->screen.file, "  and %s more kinds\n", format_count(more, number));
	fputs("  (by flows and addresses: guards and mid-stream packets are left out)\n", ctl->screen.file);
}

static void print_notes(const struct ctl *ctl, const json_t *reply)
{
	struct text names = { 0 };
	char number[32];

	if (json_array_size(json_object_get(reply, "new_names"))) {
		text_add(&names, "New names, nobody until they are resolved: ");
		text_add_list(&names, json_object_get(reply, "new_names"), 5);
		screen_line(&ctl->screen, 0, 2, TONE_PLAIN, text_of(&names));
	}
	text_free(&names);
	if (json_number_of(reply, "unjudged") > 0)
		fprintf(ctl->screen.file, "Of %s entries of the record nobody knows the addresses: not judged.\n",
			format_count(json_number_of(reply, "unjudged"), number));
	if (json_object_get(reply, "against"))
		fputs("By the files alone: connections, the record and addresses of names are left out.\n",
		      ctl->screen.file);
	else if (!json_object_get(reply, "denied"))
		fputs("No record is kept (record = no): who would be denied is not known.\n", ctl->screen.file);
}

void text_diff(const struct ctl *ctl, const json_t *reply)
{
	const json_t *changes = json_object_get(reply, "changes"), *against = json_object_get(reply, "against");
	bool removed = json_truth_of(reply, "removed");
	struct text title = { 0 };
	char number[32];

	if (!json_array_size(changes))
		text_add(&title, "no difference: ");
	text_add(&title, "%s against ", json_text_of(reply, "path"));
	if (against)
		text_add(&title, "%s", json_text(against));
	else if (removed)
		text_add(&title, "what was in force before clear");
	else
		text_add(&title, "generation %s", format_count(json_number_of(reply, "generation"), number));
	screen_line(&ctl->screen, 0, 2, TONE_STRONG, text_of(&title));
	text_free(&title);
	print_changes(ctl, changes);
	print_packets(ctl, reply);
	print_cut(ctl, reply);
	print_denied(ctl, reply);
	if (json_array_size(changes))
		print_notes(ctl, reply);
	/* There would be nothing to go back to after clear; and edit asks. */
	if (!against && (json_array_size(changes) || removed) && strcmp(ctl->verb->name, "edit") != 0)
		fprintf(ctl->screen.file, "Apply: spefwctl reload%s\n", removed ? "" : " --confirm");
}
