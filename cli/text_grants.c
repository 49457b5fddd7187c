/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <inttypes.h>
#include <string.h>

/* Grants: which address is on a side of which flow, for how long yet, and by whom. */

static bool is(const json_t *object, const char *key, const char *text)
{
	return strcmp(json_text_of(object, key), text) == 0;
}

/* "from 10.32.0.50": as the source of the flow's connections. */
static void add_address(struct text *text, const json_t *grant)
{
	const char *side = json_text_of(grant, "side");

	if (*side)
		text_add(text, strcmp(side, "source") == 0 ? "from " : "to ");
	text_add(text, "%s", json_text_of(grant, "address"));
}

void text_add_grant(struct text *text, const json_t *grant)
{
	text_add(text, "%s ", json_text_of(grant, "flow"));
	add_address(text, grant);
}

void text_add_grant_command(struct text *text, const char *flow, const char *address)
{
	text_add(text, "spefwctl grant %s %s --for 2h", flow, address);
}

const char *grant_without_effect(const json_t *grant)
{
	static const struct {
		const char *state, *why;
	} states[] = {
		{ "flow-gone", "there is no such flow any more" },
		{ "flow-off", "the flow is off" },
		{ "sideless", "both sides of the flow are protected" },
		{ "protected", "the address is protected" },
	};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (is(grant, "state", states[i].state))
			return states[i].why;
	return NULL;
}

static void print_text(const struct ctl *ctl, struct text *text)
{
	screen_line(&ctl->screen, 0, 2, TONE_PLAIN, text_of(text));
	if (text->failed)
		ctl_error(ctl, "out of memory");
	text_free(text);
}

void text_grant(const struct ctl *ctl, const json_t *reply)
{
	const json_t *grant = json_object_get(reply, "grant"), *before = json_object_get(reply, "before_s");
	int64_t left = json_number_of(grant, "left_s");
	struct text text = { 0 };
	char time[32];

	if (!json_is_integer(before))
		text_add(&text, "granted: ");
	else
		text_add(&text, "%s: ", json_integer_value(before) < left ? "prolonged" : "shortened");
	text_add_grant(&text, grant);
	text_add(&text, " for %s, until ", format_seconds(left, time));
	text_add_time(&text, json_text_of(grant, "until"), "%Y-%m-%d %H:%M");
	if (json_is_integer(before))
		text_add(&text, " (%s were left)", format_seconds(json_integer_value(before), time));
	print_text(ctl, &text);
}

void text_revoke(const struct ctl *ctl, const json_t *reply)
{
	const json_t *grant = json_object_get(reply, "grant");
	int64_t cut = json_number_of(reply, "cut");
	struct text text = { 0 };
	char number[32];

	text_add(&text, "revoked: ");
	text_add_grant(&text, grant);
	text_add(&text, " (%s were left)", format_seconds(json_number_of(grant, "left_s"), number));
	print_text(ctl, &text);
	if (cut > 0)
		fprintf(ctl->screen.file, "cut: %s connection%s\n", format_count(cut, number), cut == 1 ? "" : "s");
	text_cut(ctl, cut, json_object_get(reply, "cut_connections"));
}

void text_grants(const struct ctl *ctl, const json_t *reply)
{
	static const char *const titles[] = { "FLOW", "ADDRESS", "LEFT", "BY" };
	const json_t *grants = json_object_get(reply, "grants");
	struct table table;
	char left[32];

	if (!json_array_size(grants)) {
		fputs("nothing is granted\n", ctl->screen.file);
		return;
	}
	table_init(&table, "perw");
	table_titles(&table, titles);
	for (size_t i = 0; i < json_array_size(grants); i++) {
		const json_t *grant = json_array_get(grants, i);
		const char *why = grant_without_effect(grant);
		struct text address = { 0 };
		add_address(&address, grant);
		table.failed |= address.failed;
		table_cell(&table, TONE_PLAIN, "%s", json_text_of(grant, "flow"));
		table_cell(&table, TONE_PLAIN, "%s", text_of(&address));
		table_cell(&table, TONE_PLAIN, "%s", format_seconds(json_number_of(grant, "left_s"), left));
		table_cell(&table, why ? TONE_WARNING : TONE_PLAIN, "%s%s%s", json_text_of(grant, "by"),
			   why ? "; without effect: " : "", why ? why : "");
		text_free(&address);
	}
	ctl_print_table(ctl, &table);
}
