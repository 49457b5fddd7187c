/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <inttypes.h>
#include <string.h>

/* Connections that were cut: whose, and why. */

static const char *side_of(const json_t *connection, const char *role, const char *address)
{
	const char *name = json_text_of(connection, role);
	return *name ? name : json_text_of(connection, address);
}

static void add_why(struct text *text, const json_t *connection)
{
	static const struct {
		const char *code, *words;
	} reasons[] = {
		{ "flow-gone", "the flow is not in the file any more" },
		{ "flow-off", "the flow is off" },
		{ "no-flow", "no flow opens this port" },
		{ "request", "on request" },
		{ "stays-so", "it was cut before, and stays so" },
	};
	const char *why = json_text_of(connection, "why"), *more = json_truth_of(connection, "had") ? " any more" : "";

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (strcmp(why, reasons[i].code) == 0) {
			text_add(text, "%s", reasons[i].words);
			return;
		}
	}
	if (strcmp(why, "port") == 0) {
		text_add(text, "not a port of the flow%s", more);
		return;
	}
	text_add(text, "%s not in ", why); /* source, target */
	text_add_words(text, connection, "not_in", 3);
	text_add(text, "%s", more);
}

void text_add_cut(struct text *text, const json_t *connection)
{
	const char *flow = json_text_of(connection, "flow");
	int64_t port = json_number_of(connection, "port");
	char number[32];

	text_add(text, "%s -> %s %s", side_of(connection, "source_role", "source"),
		 side_of(connection, "target_role", "target"), json_text_of(connection, "protocol"));
	if (port)
		text_add(text, "/%" PRId64, port);
	if (*flow)
		text_add(text, " (%s)", flow);
	if (json_number_of(connection, "count") > 1)
		text_add(text, ", %s times", format_count(json_number_of(connection, "count"), number));
	text_add(text, ": ");
	add_why(text, connection);
}

int64_t cut_count(const json_t *connections)
{
	int64_t count = 0;

	for (size_t i = 0; i < json_array_size(connections); i++)
		count += json_number_of(json_array_get(connections, i), "count");
	return count;
}

void text_cut(const struct ctl *ctl, int64_t count, const json_t *connections)
{
	int64_t more = count - cut_count(connections);
	char number[32];

	for (size_t i = 0; i < json_array_size(connections); i++) {
		struct text line = { 0 };
		text_add_cut(&line, json_array_get(connections, i));
		fputs("  ", ctl->screen.file);
		screen_line(&ctl->screen, 2, 4, TONE_PLAIN, text_of(&line));
		text_free(&line);
	}
	if (more > 0 && json_array_size(connections))
		fprintf(ctl->screen.file, "  and %s more\n", format_count(more, number));
}
