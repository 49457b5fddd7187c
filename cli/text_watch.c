/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Events, one line each. */

enum { TIME_WIDTH = sizeof("2026-11-28 18:55:25  ") - 1 };

void text_add_time(struct text *text, const char *when, const char *format)
{
	struct tm parts = { 0 };
	const char *end = strptime(when, "%Y-%m-%dT%H:%M:%SZ", &parts);
	char local[32];

	if (!end || *end) {
		text_add(text, "%s", when);
		return;
	}
	time_t seconds = timegm(&parts);
	localtime_r(&seconds, &parts);
	strftime(local, sizeof(local), format, &parts);
	text_add(text, "%s", local);
}

/* "; and 3 more", where the list has fewer than there were. */
static void add_more(struct text *text, const json_t *list, int64_t more, const char *before)
{
	char number[32];

	if (more > 0)
		text_add(text, "%s%s more", json_array_size(list) ? before : "", format_count(more, number));
}

static void add_items(struct text *text, const json_t *list, const char *between)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		text_add(text, "%s%s", i ? between : "", json_text(json_array_get(list, i)));
}

static void add_reload(struct text *text, const json_t *event)
{
	const json_t *changes = json_object_get(event, "changes");
	const char *kind = json_text_of(event, "kind");
	int64_t count = json_number_of(event, "count");
	char left[32];

	text_add(text, "%s by %s", strcmp(kind, "undo") == 0 ? "undo of the change" : kind, json_text_of(event, "by"));
	if (!json_truth_of(event, "done")) {
		text_add(text, strcmp(kind, "undo") == 0 ? " failed: it is tried again"
							 : " failed: the old policy stays in force");
		return;
	}
	text_add(text, ", generation %" PRId64 ": ", json_number_of(event, "generation"));
	add_items(text, changes, "; ");
	add_more(text, changes, count - (int64_t)json_array_size(changes), "; and ");
	if (count <= 0)
		text_add(text, "nothing changed");
	if (json_number_of(event, "confirm_s"))
		text_add(text, "; undone in %s unless it is confirmed",
			 format_seconds(json_number_of(event, "confirm_s"), left));
}

static void add_confirm(struct text *text, const json_t *event)
{
	text_add(text, "confirm by %s: generation %" PRId64 " stays in force", json_text_of(event, "by"),
		 json_number_of(event, "generation"));
}

static void add_refresh(struct text *text, const json_t *event)
{
	const json_t *names = json_object_get(event, "names");

	text_add(text, "refresh by %s: ", json_text_of(event, "by"));
	add_items(text, names, ", ");
	add_more(text, names, json_number_of(event, "count") - (int64_t)json_array_size(names), ", and ");
	if (!json_array_size(names))
		text_add(text, "all names");
}

static void add_clear(struct text *text, const json_t *event)
{
	text_add(text, "clear by %s: %s", json_text_of(event, "by"),
		 json_truth_of(event, "done") ? "the table is removed, the server is open to everyone"
					      : "there was no table");
}

static void add_cut(struct text *text, const json_t *event)
{
	const json_t *connections = json_object_get(event, "cut_connections");
	int64_t count = json_number_of(event, "count");
	const char *by = json_text_of(event, "by");
	char number[32];

	if (*by)
		text_add(text, "cut by %s: ", by);
	else
		text_add(text, "cut %s connection%s, %s: ", format_count(count, number), count == 1 ? "" : "s",
			 json_text_of(event, "why"));
	for (size_t i = 0; i < json_array_size(connections); i++) {
		text_add(text, "%s", i ? "; " : "");
		text_add_cut(text, json_array_get(connections, i));
	}
	add_more(text, connections, count - cut_count(connections), "; and ");
}

static void add_addresses(struct text *text, const json_t *list, int64_t count, char sign)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		text_add(text, " %c%s", sign, json_text(json_array_get(list, i)));
	if (count > (int64_t)json_array_size(list))
		text_add(text, " %c%" PRId64 " more", sign, count - (int64_t)json_array_size(list));
}

static void add_name(struct text *text, const json_t *event)
{
	text_add(text, "name %s (%s):", json_text_of(event, "name"), json_text_of(event, "family"));
	add_addresses(text, json_object_get(event, "added"), json_number_of(event, "added_count"), '+');
	add_addresses(text, json_object_get(event, "removed"), json_number_of(event, "removed_count"), '-');
}

static void add_repair(struct text *text, const json_t *event)
{
	text_add(text, "repaired what another program had changed: %s", json_text_of(event, "changed"));
}

static void add_grant(struct text *text, const json_t *event)
{
	const json_t *grant = json_object_get(event, "grant");
	const char *change = json_text_of(event, "change"), *by = json_text_of(event, "by");
	bool on = strcmp(change, "revoked") != 0 && strcmp(change, "ended") != 0;
	char left[32];

	text_add(text, "grant %s%s%s: ", change, *by ? " by " : "", by);
	text_add_grant(text, grant);
	if (on)
		text_add(text, " for %s", format_seconds(json_number_of(grant, "left_s"), left));
	else
		text_add(text, ", granted by %s", json_text_of(grant, "by"));
}

static void add_proof(struct text *text, const json_t *event)
{
	const json_t *proof = json_object_get(event, "proof");
	const char *packet = json_text_of(proof, "packet");

	if (json_truth_of(event, "done"))
		text_add(text, "proof of the table: ");
	else
		text_add(text, "a change is refused, since the table would not be the policy: ");
	if (proof_is(proof, "equal"))
		text_add_proof(text, proof, true);
	else if (*packet)
		text_add(text, "%s: by the policy %s, by the table %s", packet, json_text_of(proof, "wanted"),
			 json_text_of(proof, "found"));
	else
		text_add(text, "%s%s", proof_is(proof, "differs") ? "" : "not proven: ", json_text_of(proof, "why"));
}

static void add_foreign(struct text *text, const json_t *event)
{
	(void)event;
	text_add(text, "another program has changed its own tables");
}

static void add_reasons(struct text *text, const json_t *event)
{
	const json_t *reasons = json_object_get(event, "reasons");

	for (size_t i = 0; i < json_array_size(reasons); i++) {
		const json_t *reason = json_array_get(reasons, i);
		text_add(text, "%s%s (%s)", i ? "; " : ": ", json_text_of(reason, "text"),
			 json_text_of(reason, "code"));
	}
}

static void add_begin(struct text *text, const json_t *event)
{
	text_add(text, "spefw %s", json_text_of(event, "health"));
	add_reasons(text, event);
}

static void add_health(struct text *text, const json_t *event)
{
	const char *before = json_text_of(event, "before"), *health = json_text_of(event, "health");
	const json_t *gone = json_object_get(event, "gone");

	if (strcmp(before, health) == 0)
		text_add(text, "health still %s", health);
	else
		text_add(text, "health %s, was %s", health, before);
	add_reasons(text, event);
	if (json_array_size(gone)) {
		text_add(text, "; no longer ");
		add_items(text, gone, ", ");
	}
}

static void add_denied(struct text *text, const json_t *event)
{
	const json_t *rows = json_object_get(event, "rows"), *complete = json_object_get(event, "complete");

	for (size_t i = 0; i < json_array_size(rows); i++) {
		text_add(text, "%s", i ? "; " : "");
		text_add_drop(text, json_array_get(rows, i));
	}
	if (json_is_false(complete))
		text_add(text, "; and more: see spefwctl drops");
}

static void add_lost(struct text *text, const json_t *event)
{
	int64_t count = json_number_of(event, "count");
	char number[32];

	text_add(text, "%s event%s lost: they came faster than they were read", format_count(count, number),
		 count == 1 ? "" : "s");
}

/* One line for programs; a terminal gets whole words, what follows stands behind the time. */
static void print_line(const struct ctl *ctl, const char *line)
{
	char *harmless = ctl->screen.terminal ? text_harmless(line) : NULL;

	if (harmless) {
		screen_paragraph(&ctl->screen, 0, TIME_WIDTH, TONE_PLAIN, harmless, TONE_PLAIN, "");
	} else {
		screen_text(&ctl->screen, TONE_PLAIN, line);
		putc('\n', ctl->screen.file);
	}
	free(harmless);
}

void text_event(const struct ctl *ctl, const json_t *reply)
{
	static const struct {
		const char *kind;
		void (*add)(struct text *text, const json_t *event);
	} kinds[] = { { "begin", add_begin },   { "reload", add_reload },   { "rollback", add_reload },
		      { "undo", add_reload },   { "confirm", add_confirm }, { "refresh", add_refresh },
		      { "clear", add_clear },   { "cut", add_cut },         { "denied", add_denied },
		      { "name", add_name },     { "repair", add_repair },   { "foreign", add_foreign },
		      { "health", add_health }, { "lost", add_lost },       { "grant", add_grant },
		      { "proof", add_proof } };
	const json_t *event = json_object_get(reply, "event");
	const char *kind = json_text_of(event, "kind");
	struct text text = { 0 };
	size_t i = 0;

	text_add_time(&text, json_text_of(event, "time"), "%Y-%m-%d %H:%M:%S");
	text_add(&text, "  ");
	while (i < sizeof(kinds) / sizeof(kinds[0]) && strcmp(kinds[i].kind, kind) != 0)
		i++;
	if (i < sizeof(kinds) / sizeof(kinds[0]))
		kinds[i].add(&text, event);
	else
		text_add(&text, "%s", kind); /* of a later daemon */
	print_line(ctl, text_of(&text));
	text_free(&text);
}
