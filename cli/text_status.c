/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The verdict first, then why, then ten lines at most that each name the verb which shows more: a healthy gateway fits
 * 24 lines, whatever it has. What a daemon's reply does not have is left out. */
enum { REASON_LINES = 8, SERVERS = 4, REASON_INDENT = 4, VERDICT_INDENT = 2, HOUR_S = 3600, WEEK_S = 7 * 86400 };

static const char *plural(int64_t count)
{
	return count == 1 ? "" : "s";
}

void text_verdict(const struct ctl *ctl, enum tone tone, const char *word, const char *rest, const char *right)
{
	struct text verdict = { 0 };
	bool good = tone == TONE_GOOD, utf8 = ctl->screen.utf8;

	text_add(&verdict, "%s spefw %s", utf8 ? (good ? "\u25cf" : "\u25b2") : (good ? "*" : "!"), word);
	screen_text(&ctl->screen, tone, text_of(&verdict));
	fputs(": ", ctl->screen.file);
	screen_paragraph(&ctl->screen, text_width(text_of(&verdict)) + 2, VERDICT_INDENT, TONE_PLAIN, rest, TONE_PLAIN,
			 right);
	if (verdict.failed)
		ctl_error(ctl, "out of memory");
	text_free(&verdict);
}

/* After clear, until the next reload: neither the mode nor a flow is in force. */
bool status_is_cleared(const json_t *status)
{
	const json_t *reasons = json_object_get(status, "reasons");
	bool cleared = json_truth_of(status, "removed");

	for (size_t i = 0; i < json_array_size(reasons); i++)
		cleared |= strcmp(json_text_of(json_array_get(reasons, i), "code"), "table-removed") == 0;
	return cleared;
}

static bool is_audit(const json_t *status)
{
	return strcmp(json_text_of(status, "mode"), "audit") == 0;
}

/* What becomes of the server's packets, in this order: nothing is claimed that is not so. */
static void add_guarded(struct text *text, const json_t *status)
{
	const json_t *server = json_object_get(status, "server");
	bool failed = strcmp(json_text_of(status, "health"), "failed") == 0;

	if (status_is_cleared(status)) {
		text_add(text, "guards nothing, the table was removed");
	} else if (json_array_size(server) == 0) {
		text_add(text, "guards no address");
	} else {
		text_add(text, failed ? "not known to guard " : is_audit(status) ? "audits " : "guards ");
		text_add_list(text, server, SERVERS);
		if (is_audit(status))
			text_add(text, ", denies nothing");
	}
}

static void print_verdict(const struct ctl *ctl, const json_t *status)
{
	const char *health = json_text_of(status, "health");
	struct text guarded = { 0 }, right = { 0 };
	char uptime[32];

	add_guarded(&guarded, status);
	if (!status_is_cleared(status) && !is_audit(status) && *json_text_of(status, "mode"))
		text_add(&right, "%s, ", json_text_of(status, "mode"));
	text_add(&right, "up %s", format_age(json_number_of(status, "uptime_s"), uptime));
	text_verdict(ctl, tone_of_state(health), *health ? health : "of unknown health", text_of(&guarded),
		     text_of(&right));
	text_free(&guarded);
	text_free(&right);
}

/* "-> REMEDY"; without the arrow where that alone would break the line. */
void text_add_remedy(const struct ctl *ctl, struct text *text, const char *remedy)
{
	size_t width = text_width(remedy), room = screen_width(&ctl->screen);

	if (*remedy)
		text_add(text, "%s%s", width <= room && width + strlen("-> ") > room ? "" : "-> ", remedy);
}

/* How many lines. */
static size_t print_reason(const struct ctl *ctl, const json_t *reason, enum tone tone)
{
	const char *remedy = json_text_of(reason, "remedy");
	struct text arrow = { 0 };

	if (!*json_text_of(reason, "text"))
		return 0;
	text_add_remedy(ctl, &arrow, remedy);
	fputs("  - ", ctl->screen.file);
	size_t lines = screen_paragraph(&ctl->screen, REASON_INDENT, REASON_INDENT, tone, json_text_of(reason, "text"),
					TONE_STRONG, text_of(&arrow));
	text_free(&arrow);
	return lines;
}

/* As many as leave the verdict and the rest on a screen of 24 lines. */
static void print_reasons(const struct ctl *ctl, const json_t *status)
{
	const json_t *reasons = json_object_get(status, "reasons");
	enum tone tone = tone_of_state(json_text_of(status, "health"));
	size_t count = json_array_size(reasons), i = 0;
	char more[64];

	for (size_t lines = 0; i < count && (lines < REASON_LINES || ctl->values[OPTION_VERBOSE]); i++)
		lines += print_reason(ctl, json_array_get(reasons, i), tone);
	if (i == count)
		return;
	snprintf(more, sizeof(more), "and %zu more", count - i);
	fputs("  - ", ctl->screen.file);
	screen_paragraph(&ctl->screen, REASON_INDENT, REASON_INDENT, TONE_PLAIN, more, TONE_FAINT,
			 "-> spefwctl status -v");
}

/* With the verb that shows more, if this program has it. */
static void add_fact(struct facts *facts, const char *label, enum tone tone, struct text *text, const char *verb)
{
	static const struct {
		const char *verb, *hint;
	} hints[] = {
		{ "drops", "-> spefwctl drops" },      { "doctor", "-> spefwctl doctor" },
		{ "names", "-> spefwctl names" },      { "flows", "-> spefwctl flows" },
		{ "status", "-> spefwctl status -v" }, { "confirm", "-> spefwctl confirm" },
		{ "grants", "-> spefwctl grants" },
	};

	facts_add(facts, label, tone, text);
	text_free(text);
	for (size_t i = 0; verb && verb_find(verb) && i < sizeof(hints) / sizeof(hints[0]); i++)
		if (strcmp(hints[i].verb, verb) == 0)
			facts->items[facts->count - 1].next = hints[i].hint;
}

/* "2 rules, 1 may": what is certain comes first in the list, which is not all of it where there is very
 * much. */
static size_t add_rules(struct text *text, const json_t *blocked)
{
	const json_t *findings = json_object_get(blocked, "findings");
	size_t listed = json_array_size(findings), certain = 0;
	int64_t count = json_number_of(blocked, "count");
	char number[32];

	for (size_t i = 0; i < listed; i++)
		certain += !json_truth_of(json_array_get(findings, i), "may");
	int64_t may = (count > (int64_t)listed ? count : (int64_t)listed) - (int64_t)certain;
	if (certain)
		text_add(text, "%zu rule%s", certain, plural((int64_t)certain));
	if (certain && may)
		text_add(text, ", %s may", format_count(may, number));
	else if (may)
		text_add(text, "%s rule%s may", format_count(may, number), plural(may));
	return certain;
}

static void add_blocked(struct facts *facts, const json_t *status)
{
	const json_t *blocked = json_object_get(status, "blocked"), *looked = json_object_get(blocked, "looked_s");
	size_t count = json_array_size(json_object_get(blocked, "findings")), certain = 0;
	struct text text = { 0 };
	char ago[32];

	if (!json_is_object(blocked))
		return;
	text_add(&text, "by other tables: ");
	if (count)
		certain = add_rules(&text, blocked);
	else
		text_add(&text, json_is_integer(looked) ? "nothing" : "not looked at yet");
	if (json_is_integer(looked))
		text_add(&text, " (looked %s ago)", format_age(json_integer_value(looked), ago));
	add_fact(facts, "Blocked", certain ? TONE_WARNING : TONE_PLAIN, &text, count ? "doctor" : NULL);
}

static void add_denied(struct facts *facts, const json_t *status)
{
	const json_t *denied = json_object_get(status, "denied"),
		     *sources = json_object_get(denied, "last_hour_sources"),
		     *administrators = json_object_get(denied, "last_hour_administrators");
	int64_t count = json_number_of(denied, "last_hour");
	bool sampled = json_truth_of(denied, "sampled"), both = json_truth_of(denied, "both_modes");
	struct text text = { 0 };
	char number[32];

	if (count)
		text_add(&text, "%s attempt%s in the last hour", format_count(count, number), plural(count));
	else
		text_add(&text, "nothing in the last hour");
	if (count && both)
		text_add(&text, " (those in audit mode passed)");
	if (count && json_integer_value(sources) > 0)
		text_add(&text, " by %s%s source%s", sampled ? "at least " : "",
			 format_count(json_integer_value(sources), number), plural(json_integer_value(sources)));
	/* That there were none is not known where some were not seen. */
	if (count && json_is_integer(administrators) && (!sampled || json_integer_value(administrators) > 0))
		text_add(&text, "; administrators: %s", format_count(json_integer_value(administrators), number));
	add_fact(facts, is_audit(status) && !(count && both) ? "Would deny" : "Denied",
		 json_integer_value(administrators) > 0 ? TONE_WARNING : TONE_PLAIN, &text, count ? "drops" : NULL);
}

static void add_config(struct facts *facts, const json_t *status)
{
	const json_t *config = json_object_get(status, "config"), *age = json_object_get(config, "loaded_s");
	bool matches = json_truth_of(config, "matches_disk"), cleared = status_is_cleared(status);
	const char *by = json_text_of(config, "loaded_by");
	struct text text = { 0 };
	char ago[32];

	text_add(&text, "%s", json_text_of(config, "path"));
	if (cleared)
		text_add(&text, ", not in force");
	else if (json_is_integer(age))
		text_add(&text, ", loaded %s ago%s%s", format_age(json_integer_value(age), ago), *by ? " by " : "", by);
	text_add(&text, matches ? ", as on disk" : ", not as on disk");
	add_fact(facts, "Config", matches ? TONE_PLAIN : TONE_WARNING, &text, NULL);
}

/* What is undone if nobody does anything. */
static void add_waiting(struct facts *facts, const json_t *status)
{
	const json_t *waiting = json_object_get(json_object_get(status, "config"), "waiting");
	int64_t left_s = json_number_of(waiting, "left_s");
	struct text text = { 0 };
	char left[32];

	if (!waiting)
		return;
	if (left_s > 0)
		text_add(&text, "the change by %s is undone in %s", json_text_of(waiting, "by"),
			 format_seconds(left_s, left));
	else
		text_add(&text, "the change by %s is to be undone now", json_text_of(waiting, "by"));
	add_fact(facts, "Waits", TONE_WARNING, &text, "confirm");
}

/* Of both families of a name, the worse one counts; an address in one of them is enough, so that a name fails only
 * where it has none, as in the reasons of health. */
struct name_counts {
	size_t ok, stale, failing, empty;
};

static void count_name(struct name_counts *counts, const json_t *names, size_t from, size_t to)
{
	bool stale = false, failing = false;
	size_t addresses = 0;

	for (size_t i = from; i < to; i++) {
		const json_t *name = json_array_get(names, i);
		stale |= strcmp(json_text_of(name, "state"), "stale") == 0;
		failing |= strcmp(json_text_of(name, "state"), "failing") == 0;
		addresses += json_array_size(json_object_get(name, "addresses"));
	}
	if (failing && !addresses)
		counts->failing++;
	else if (stale || failing)
		counts->stale++;
	else if (addresses == 0)
		counts->empty++;
	else
		counts->ok++;
}

static struct name_counts count_names(const json_t *names)
{
	struct name_counts counts = { 0 };
	size_t count = json_array_size(names);

	for (size_t from = 0, to; from < count; from = to) {
		const char *name = json_text_of(json_array_get(names, from), "name");
		for (to = from + 1; to < count && strcmp(json_text_of(json_array_get(names, to), "name"), name) == 0;)
			to++;
		count_name(&counts, names, from, to);
	}
	return counts;
}

static void add_count(struct text *text, size_t count, const char *word)
{
	if (count)
		text_add(text, "%s%zu %s", text->length ? ", " : "", count, word);
}

static void add_names(struct facts *facts, const json_t *status)
{
	const json_t *names = json_object_get(status, "names");
	struct name_counts counts = count_names(names);
	struct text text = { 0 };

	add_count(&text, counts.ok, "ok");
	add_count(&text, counts.stale, "stale");
	add_count(&text, counts.failing, "failing");
	add_count(&text, counts.empty, "without an address");
	if (json_array_size(names))
		add_fact(facts, "Names", counts.stale || counts.failing || counts.empty ? TONE_WARNING : TONE_PLAIN,
			 &text, "names");
	text_free(&text);
}

/* What was used is left out while the record is too young to tell anything. */
static void add_flows(struct facts *facts, const json_t *status)
{
	const json_t *flows = json_object_get(status, "flows"), *recorded = json_object_get(status, "recorded_s");
	size_t open = 0, used = 0, off = 0;
	struct text text = { 0 };
	char since[32];

	for (size_t i = 0; i < json_array_size(flows); i++) {
		const json_t *flow = json_array_get(flows, i), *last = json_object_get(flow, "last_used_s");
		bool enabled = json_truth_of(flow, "enabled");
		open += enabled;
		off += !enabled;
		used += enabled && json_is_integer(last) && json_integer_value(last) < WEEK_S;
	}
	if (open)
		text_add(&text, "%zu open", open);
	else
		text_add(&text, "none is open");
	if (open && json_integer_value(recorded) >= WEEK_S)
		text_add(&text, ", %zu used this week", used);
	else if (open && json_integer_value(recorded) >= HOUR_S)
		text_add(&text, ", %zu used in the last %s", used, format_age(json_integer_value(recorded), since));
	if (open && off)
		text_add(&text, ", %zu off", off);
	add_fact(facts, "Flows", open ? TONE_PLAIN : TONE_WARNING, &text, "flows");
}

/* The one that ends first. */
static void add_grants(struct facts *facts, const json_t *status)
{
	const json_t *grants = json_object_get(status, "grants"), *first = NULL;
	size_t count = json_array_size(grants), idle = 0;
	struct text text = { 0 };
	char left[32];

	for (size_t i = 0; i < count; i++) {
		const json_t *grant = json_array_get(grants, i);
		idle += grant_without_effect(grant) != NULL;
		if (!first || json_number_of(grant, "left_s") < json_number_of(first, "left_s"))
			first = grant;
	}
	if (!first)
		return;
	text_add_grant(&text, first);
	text_add(&text, ", %s left, by %s", format_seconds(json_number_of(first, "left_s"), left),
		 json_text_of(first, "by"));
	if (count > 1)
		text_add(&text, "; %zu more", count - 1);
	if (idle)
		text_add(&text, "; %zu without effect", idle);
	add_fact(facts, "Grants", idle ? TONE_WARNING : TONE_PLAIN, &text, "grants");
}

/* What a healthy gateway has none of. */
static void add_guards(struct facts *facts, const json_t *status)
{
	static const char *const kinds[][2] = { { "intercepted", "intercepted" },
						{ "spoofed", "spoofed" },
						{ "source_routed", "source-routed" } };
	const json_t *guards = json_object_get(status, "guards");
	struct text text = { 0 };
	char number[32];

	for (size_t i = 0; i < 3; i++) {
		int64_t count = json_number_of(guards, kinds[i][0]);
		if (count)
			text_add(&text, "%s%s %s", text.length ? ", " : "", format_count(count, number), kinds[i][1]);
	}
	if (text.length)
		add_fact(facts, "Guards", TONE_WARNING, &text, "status");
	text_free(&text);
}

static void add_table(const struct ctl *ctl, struct facts *facts, const json_t *status)
{
	const json_t *proof = json_object_get(status, "proof");
	int64_t repaired = json_number_of(json_object_get(status, "guards"), "repaired");
	struct text text = { 0 };
	char number[32];

	text_add(&text, strcmp(json_text_of(status, "ownership"), "owner") == 0
				? "owned"
				: "watched, changes by others are undone");
	if (repaired == 1)
		text_add(&text, ", repaired once");
	else if (repaired)
		text_add(&text, ", repaired %s times", format_count(repaired, number));
	text_add(&text, "; proof: ");
	text_add_proof(&text, proof, ctl->values[OPTION_VERBOSE] != NULL);
	add_fact(facts, "Table", proof_is(proof, "equal") ? TONE_PLAIN : TONE_WARNING, &text, NULL);
}

void text_status(const struct ctl *ctl, const json_t *reply)
{
	bool cleared = status_is_cleared(reply);
	struct facts facts = { 0 };

	print_verdict(ctl, reply);
	print_reasons(ctl, reply);
	if (!cleared) {
		add_blocked(&facts, reply);
		add_denied(&facts, reply);
	}
	add_config(&facts, reply);
	add_waiting(&facts, reply);
	add_names(&facts, reply);
	if (!cleared) {
		add_flows(&facts, reply);
		add_grants(&facts, reply);
		if (!ctl->values[OPTION_VERBOSE])
			add_guards(&facts, reply);
		add_table(ctl, &facts, reply);
	}
	bool failed = facts.failed;
	facts_print(&facts, &ctl->screen);
	if (failed)
		ctl_error(ctl, "out of memory");
	if (ctl->values[OPTION_VERBOSE])
		text_details(ctl, reply);
}

/* What the kernel holds without a daemon, for the verdict. */
static enum tone describe_table(struct text *text, const json_t *inspect)
{
	const json_t *addresses = json_object_get(inspect, "protected");

	if (!json_truth_of(inspect, "loaded")) {
		text_add(text, "nothing is guarded, there is no table");
		return TONE_BAD;
	}
	if (strcmp(json_text_of(inspect, "mode"), "audit") == 0) {
		text_add(text, "its table denies nothing (audit mode), for ");
		text_add_list(text, addresses, SERVERS);
		return TONE_WARNING;
	}
	if (json_truth_of(inspect, "foreign")) {
		text_add(text, "its table was changed by another program, whether it still guards is not known");
		return TONE_BAD;
	}
	if (!json_truth_of(inspect, "guards")) {
		text_add(text, "nothing is guarded, its table is loaded and does not guard");
		return TONE_BAD;
	}
	text_add(text, "its table still guards ");
	text_add_list(text, addresses, SERVERS);
	return TONE_WARNING;
}

void text_not_running(const struct ctl *ctl, const json_t *inspect, const char *unknown)
{
	struct text text = { 0 }, names = { 0 };
	struct facts facts = { 0 };
	enum tone tone = TONE_BAD;

	if (inspect)
		tone = describe_table(&text, inspect);
	else
		text_add(&text, "%s", unknown);
	text_verdict(ctl, tone, "not running", text_of(&text), "-> systemctl start spefwd");
	if (inspect && json_truth_of(inspect, "guards")) {
		text_add(&names, "not followed: their last addresses run out in time");
		add_fact(&facts, "Names", TONE_PLAIN, &names, NULL);
	}
	facts_print(&facts, &ctl->screen);
	text_free(&text);
}
