/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* more: how many there are besides those of the array. */
static void add_some(struct text *text, const json_t *array, size_t more, size_t max)
{
	size_t words = json_array_size(array), count = words + more;

	/* "+1 more" takes as much room as the one itself. */
	size_t shown = words <= max + 1 ? words : max;
	for (size_t i = 0; i < shown; i++)
		text_add(text, "%s%s", i ? ", " : "", json_text(json_array_get(array, i)));
	if (shown < count)
		text_add(text, ", +%zu more", count - shown);
}

void text_add_list(struct text *text, const json_t *array, size_t max)
{
	add_some(text, array, 0, max);
}

void text_add_words(struct text *text, const json_t *object, const char *key, size_t max)
{
	const json_t *words = json_object_get(object, key);

	add_some(text, words, json_word_count(object, key) - json_array_size(words), max);
}

enum tone tone_of_state(const char *state)
{
	static const struct {
		const char *state;
		enum tone tone;
	} tones[] = {
		{ "ok", TONE_GOOD },          { "fresh", TONE_GOOD },    { "grace", TONE_GOOD },
		{ "degraded", TONE_WARNING }, { "stale", TONE_WARNING }, { "failed", TONE_BAD },
		{ "failing", TONE_BAD },      { "empty", TONE_FAINT },
	};

	for (size_t i = 0; i < sizeof(tones) / sizeof(tones[0]); i++)
		if (strcmp(tones[i].state, state) == 0)
			return tones[i].tone;
	return TONE_PLAIN;
}

void ctl_print_table(const struct ctl *ctl, struct table *table)
{
	if (table_print(table, &ctl->screen) < 0)
		ctl_error(ctl, "out of memory");
}

void text_reload(const struct ctl *ctl, const json_t *reply)
{
	const json_t *changes = json_object_get(reply, "changes"), *warnings = json_object_get(reply, "warnings");
	size_t count = json_array_size(changes);
	char generation[32], number[32];

	for (size_t i = 0; i < json_array_size(warnings); i++)
		text_print_line(ctl->environment->err, json_text(json_array_get(warnings, i)));
	format_count(json_number_of(reply, "generation"), generation);
	const char *done = strcmp(ctl->verb->name, "rollback") == 0 ? "rolled back" : "reloaded";
	if (!json_truth_of(reply, "changed"))
		fprintf(ctl->screen.file, "%s: nothing changes, generation %s stays\n", done, generation);
	else if (count == 0) /* as it was before the table was removed */
		fprintf(ctl->screen.file, "%s: in force, generation %s\n", done, generation);
	else
		fprintf(ctl->screen.file, "%s: generation %s, %zu change%s\n", done, generation, count,
			count == 1 ? "" : "s");
	for (size_t i = 0; i < count; i++) {
		fputs("  ", ctl->screen.file);
		screen_line(&ctl->screen, 2, 4, TONE_PLAIN, json_text(json_array_get(changes, i)));
	}
	int64_t cut = json_number_of(reply, "cut");
	if (cut > 0)
		fprintf(ctl->screen.file, "cut: %s connection%s that the new policy denies\n",
			format_count(cut, number), cut == 1 ? "" : "s");
	text_cut(ctl, cut, json_object_get(reply, "cut_connections"));
	text_waits(ctl, reply);
}

void text_clear(const struct ctl *ctl, const json_t *reply)
{
	if (json_truth_of(reply, "removed"))
		screen_text(&ctl->screen, TONE_WARNING,
			    "the table is removed: the server is open to everyone until it is loaded again");
	else
		screen_text(&ctl->screen, TONE_PLAIN, "there was no table to remove");
	putc('\n', ctl->screen.file);
	if (json_truth_of(reply, "dropped"))
		fputs("the reload that waited for confirm counts as undone\n", ctl->screen.file);
}

static void print_diags(const struct ctl *ctl, const struct diags *diags)
{
	for (size_t i = 0; i < diags->count; i++) {
		char *text = diag_format(&diags->items[i]);
		text_print_line(ctl->environment->err, text ? text : "out of memory");
		free(text);
	}
	if (diags->out_of_memory)
		ctl_error(ctl, "out of memory: not all errors and warnings are shown");
}

static size_t count_open(const struct policy *policy)
{
	size_t open = 0;

	for (size_t i = 0; i < policy->flow_count; i++)
		open += policy->flows[i].enabled;
	return open;
}

static void text_check(const struct ctl *ctl, const char *path, const struct policy *policy, const struct diags *diags)
{
	size_t warnings = 0;
	bool failed = diags_failed(diags);

	for (size_t i = 0; i < diags->count; i++) /* errors are more than are kept, where there are very many */
		warnings += diags->items[i].severity == DIAG_WARNING;
	print_diags(ctl, diags);
	screen_text(&ctl->screen, TONE_PLAIN, path);
	fputs(": ", ctl->screen.file);
	screen_text(&ctl->screen, failed ? TONE_BAD : TONE_GOOD, failed ? "not usable" : "good");
	if (failed)
		fprintf(ctl->screen.file, ", %zu error%s", diags->errors, diags->errors == 1 ? "" : "s");
	else
		fprintf(ctl->screen.file, ", %zu flow%s (%zu open)", policy->flow_count,
			policy->flow_count == 1 ? "" : "s", count_open(policy));
	if (warnings)
		fprintf(ctl->screen.file, ", %zu warning%s", warnings, warnings == 1 ? "" : "s");
	putc('\n', ctl->screen.file);
}

/* A line a finding, however long: it is to be found by grep, and sent to others. */
static void print_finding(const struct ctl *ctl, const json_t *finding)
{
	const char *severity = json_text_of(finding, "severity"), *evidence = json_text_of(finding, "evidence"),
		   *remedy = json_text_of(finding, "remedy");
	bool serious = strcmp(severity, "serious") == 0, note = strcmp(severity, "note") == 0;
	struct text line = { 0 };

	const char *word = note ? "not checked" : severity;

	screen_text(&ctl->screen, serious ? TONE_BAD : note ? TONE_FAINT : TONE_WARNING, word);
	text_add(&line, ": %s", json_text_of(finding, "what"));
	if (*evidence)
		text_add(&line, " (%s)", evidence);
	if (*remedy)
		text_add(&line, ": %s", remedy);
	screen_line(&ctl->screen, text_width(word), 2, TONE_PLAIN, text_of(&line));
	text_free(&line);
}

/* What could not be looked at comes first: the rest is to be read with that in mind. */
static void print_findings(const struct ctl *ctl, const json_t *findings, bool notes)
{
	for (size_t i = 0; i < json_array_size(findings); i++) {
		const json_t *finding = json_array_get(findings, i);
		if ((strcmp(json_text_of(finding, "severity"), "note") == 0) == notes)
			print_finding(ctl, finding);
	}
}

void text_doctor(const struct ctl *ctl, const json_t *report)
{
	const json_t *findings = json_object_get(report, "findings");
	size_t notes = 0, count = json_array_size(findings);

	for (size_t i = 0; i < count; i++)
		notes += strcmp(json_text_of(json_array_get(findings, i), "severity"), "note") == 0;
	print_findings(ctl, findings, true);
	print_findings(ctl, findings, false);
	if (notes < count)
		return;
	screen_text(&ctl->screen, notes ? TONE_PLAIN : TONE_GOOD,
		    notes ? "nothing stands in the way in what could be looked at" : "nothing stands in the way");
	putc('\n', ctl->screen.file);
}

static void text_reply(const struct ctl *ctl, const json_t *reply)
{
	ctl->verb->text(ctl, reply);
}

/* Standard error has all of it. */
static void text_error(const struct ctl *ctl, const char *error, const json_t *parameters)
{
	(void)ctl;
	(void)error;
	(void)parameters;
}

static void text_init(const struct ctl *ctl, const char *path)
{
	FILE *out = ctl->screen.file;

	fprintf(out, "%s is written, in audit mode: nothing is denied yet. Now:\n", path);
	fputs("  1. systemctl enable --now spefwd\n"
	      "  2. spefwctl drops: what enforce will deny, and the lines that would allow it\n"
	      "  3. mode = enforce in the file, and spefwctl reload\n",
	      out);
}

const struct output output_text = {
	.reply = text_reply,
	.not_running = text_not_running,
	.init = text_init,
	.check = text_check,
	.error = text_error,
};
