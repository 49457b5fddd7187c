/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <string.h>

/* A name has one line by address family, and its addresses below: a table would be wider than a terminal. */

enum { ADDRESS_INDENT = 4, REFUSED_SHOWN = 8 };

/* How wide the addresses of all names are: their columns stand below each other. */
static size_t widest_address(const json_t *names)
{
	size_t widest = 0;

	for (size_t i = 0; i < json_array_size(names); i++) {
		const json_t *addresses = json_object_get(json_array_get(names, i), "addresses");
		for (size_t a = 0; a < json_array_size(addresses); a++) {
			size_t width = text_width(json_text_of(json_array_get(addresses, a), "address"));
			widest = width > widest ? width : widest;
		}
	}
	return widest < 64 ? widest : 64;
}

/* "198.51.100.8   observed (gone), 58m 20s left" */
static void add_address(struct table *table, const json_t *address, size_t width)
{
	/* An address of a former answer lives on for grace, or while DNS fails. */
	bool gone = !json_truth_of(address, "in_answer");
	char expires[32];

	table_cell(table, TONE_PLAIN, "    %-*s", (int)width, json_text_of(address, "address"));
	table_cell(table, TONE_PLAIN, "%s%s, %s left", json_text_of(address, "origin"), gone ? " (gone)" : "",
		   format_seconds(json_number_of(address, "expires_in_s"), expires));
}

static void print_addresses(const struct ctl *ctl, const json_t *addresses, size_t width)
{
	struct table table;

	table_init(&table, "pp");
	for (size_t i = 0; i < json_array_size(addresses); i++)
		add_address(&table, json_array_get(addresses, i), width);
	ctl_print_table(ctl, &table);
}

/* "my.mailstore.com ipv4 stale, next query in 10m" */
static void print_heading(const struct ctl *ctl, const json_t *name)
{
	const char *word = json_text_of(name, "name"), *family = json_text_of(name, "family"),
		   *state = json_text_of(name, "state");
	struct text rest = { 0 };
	char next[32];

	screen_text(&ctl->screen, TONE_STRONG, word);
	fputs("  ", ctl->screen.file);
	screen_text(&ctl->screen, TONE_PLAIN, family);
	fputs("  ", ctl->screen.file);
	screen_text(&ctl->screen, tone_of_state(state), state);
	if (word[0] == '*')
		text_add(&rest, ", learned from answers to the server");
	else
		text_add(&rest, ", next query in %s", format_seconds(json_number_of(name, "next_query_in_s"), next));
	screen_paragraph(&ctl->screen, text_width(word) + text_width(family) + text_width(state) + 4, ADDRESS_INDENT,
			 TONE_PLAIN, text_of(&rest), TONE_PLAIN, "");
	text_free(&rest);
}

static void print_note(const struct ctl *ctl, enum tone tone, struct text *note)
{
	fprintf(ctl->screen.file, "%*s", ADDRESS_INDENT, "");
	screen_paragraph(&ctl->screen, ADDRESS_INDENT, ADDRESS_INDENT, tone, text_of(note), TONE_PLAIN, "");
	if (note->failed)
		ctl_error(ctl, "out of memory");
	text_free(note);
}

static void print_error(const struct ctl *ctl, const json_t *name)
{
	const json_t *answered = json_object_get(name, "last_answer_s");
	const char *error = json_text_of(name, "last_error");
	struct text note = { 0 };
	char ago[32];

	if (!*error && json_array_size(json_object_get(name, "addresses")))
		return;
	text_add(&note, "%s", *error ? error : "no address");
	if (*error && json_is_integer(answered))
		text_add(&note, ", last answered %s ago", format_seconds(json_integer_value(answered), ago));
	else if (*error)
		text_add(&note, ", never answered");
	print_note(ctl, *error ? TONE_WARNING : TONE_FAINT, &note);
}

/* Which addresses, and the setting that would let them in. */
static void print_refused(const struct ctl *ctl, const json_t *name)
{
	const json_t *list = json_object_get(name, "refused_addresses");
	int64_t refused = json_number_of(name, "refused");
	struct text note = { 0 };
	char number[32];

	for (size_t i = 0; i < json_array_size(list) && i < REFUSED_SHOWN; i++) {
		const json_t *address = json_array_get(list, i);
		const char *allow = json_text_of(address, "allow");
		text_add(&note, "refused %s (%s)", json_text_of(address, "address"), json_text_of(address, "why"));
		if (*allow)
			text_add(&note, ": allow_private = yes in [%s] lets it in", allow);
		print_note(ctl, TONE_WARNING, &note);
	}
	if (json_array_size(list) || !refused)
		return;
	text_add(&note, "%s answered address%s refused", format_count(refused, number), refused == 1 ? "" : "es");
	print_note(ctl, TONE_WARNING, &note);
}

void text_names(const struct ctl *ctl, const json_t *reply)
{
	const json_t *names = json_object_get(reply, "names");
	size_t width = widest_address(names);

	if (json_array_size(names) == 0)
		fputs("no flow uses a name\n", ctl->screen.file);
	for (size_t i = 0; i < json_array_size(names); i++) {
		const json_t *name = json_array_get(names, i);
		print_heading(ctl, name);
		print_addresses(ctl, json_object_get(name, "addresses"), width);
		print_error(ctl, name);
		print_refused(ctl, name);
	}
}
