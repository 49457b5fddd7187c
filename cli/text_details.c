/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <stdlib.h>
#include <string.h>

/* What status -v shows below the screen: all that the reply has, and nothing of it cut. */

enum { ALL = 1 << 20 };

static void print_facts(const struct ctl *ctl, struct facts *facts)
{
	bool failed = facts->failed;

	facts_print(facts, &ctl->screen);
	if (failed)
		ctl_error(ctl, "out of memory");
}

static void add_fact(struct facts *facts, const char *label, enum tone tone, struct text *text)
{
	facts_add(facts, label, tone, text);
	text_free(text);
}

/* "2026-11-25T02:44:10Z" reads better with a space; anything else stays as it is. */
static void add_time(struct text *text, const char *when)
{
	if (strlen(when) == 20 && when[10] == 'T' && when[19] == 'Z')
		text_add(text, "%.10s %.8s UTC", when, when + 11);
	else
		text_add(text, "%s", when);
}

static void add_daemon(struct facts *facts, const json_t *status)
{
	struct text text = { 0 };
	char uptime[32], clients[32];

	text_add(&text, "spefwd %s, up %s, configuration loaded ", json_text_of(status, "version"),
		 format_seconds(json_number_of(status, "uptime_s"), uptime));
	add_time(&text, json_text_of(json_object_get(status, "config"), "loaded_at"));
	text_add(&text, ", clients: %s", format_count(json_number_of(status, "clients"), clients));
	add_fact(facts, "Daemon", TONE_PLAIN, &text);
}

static void add_server(struct facts *facts, const json_t *status)
{
	struct text text = { 0 };

	text_add_list(&text, json_object_get(status, "server"), ALL);
	if (text.length)
		add_fact(facts, "Server", TONE_PLAIN, &text);
	text_free(&text);
}

/* Figures of one object, as "1,204 in, 31 out". */
static void add_figures(struct facts *facts, const char *label, const json_t *object, const char *const (*words)[2],
			const char *before, const char *after)
{
	struct text text = { 0 };
	char number[32];

	if (!json_is_object(object))
		return;
	text_add(&text, "%s", before);
	for (size_t i = 0; words[i][0]; i++)
		text_add(&text, "%s%s %s", i ? ", " : "", format_count(json_number_of(object, words[i][0]), number),
			 words[i][1]);
	text_add(&text, "%s", after);
	add_fact(facts, label, TONE_PLAIN, &text);
}

static void add_guards(struct facts *facts, const json_t *status)
{
	static const char *const words[][2] = { { "intercepted", "intercepted" },
						{ "spoofed", "spoofed" },
						{ "source_routed", "source-routed" },
						{ NULL, NULL } };
	struct text before = { 0 };

	text_add(&before, "interception = %s, early_drop = %s; ", json_text_of(status, "interception"),
		 json_truth_of(status, "early_drop") ? "yes" : "no");
	add_figures(facts, "Guards", json_object_get(status, "guards"), words, text_of(&before), "");
	facts->failed |= before.failed;
	text_free(&before);
}

static void add_counts(struct facts *facts, const json_t *status)
{
	static const char *const denied[][2] = {
		{ "in", "in" }, { "out", "out" }, { "early", "early" }, { "invalid", "invalid" }, { NULL, NULL }
	};
	static const char *const mid_stream[][2] = { { "passed", "of lost connections passed" },
						     { "cut", "of cut ones reset" },
						     { "remembered", "cut and remembered" },
						     { NULL, NULL } };
	static const char *const observed[][2] = { { "learned", "answers learned from" },
						   { "unsolicited", "unsolicited" },
						   { "unseen", "beyond the limit" },
						   { "lost", "lost" },
						   { NULL, NULL } };
	const json_t *stream = json_object_get(status, "mid_stream");
	bool audit = strcmp(json_text_of(status, "mode"), "audit") == 0;

	add_figures(facts, audit ? "Would deny in all" : "Denied in all", json_object_get(status, "denied"), denied, "",
		    "");
	add_figures(facts, "Mid-stream packets", stream, mid_stream, "",
		    json_truth_of(stream, "full") ? ", not all of them" : "");
	add_figures(facts, "Observed", json_object_get(status, "observed"), observed, "", "");
}

static void add_queries(struct facts *facts, const json_t *status)
{
	const json_t *queries = json_object_get(status, "denial_queries");
	bool exhausted = json_truth_of(queries, "exhausted");
	struct text text = { 0 };
	char limit[32], refused[32];

	if (!json_is_object(queries))
		return;
	text_add(&text, "because of denials: %s%s a minute; %s refused", exhausted ? "used up, " : "at most ",
		 format_count(json_number_of(queries, "limit_a_minute"), limit),
		 format_count(json_number_of(queries, "refused"), refused));
	add_fact(facts, "DNS queries", exhausted ? TONE_WARNING : TONE_PLAIN, &text);
}

static void print_figures(const struct ctl *ctl, const json_t *status)
{
	const char *repair = json_text_of(json_object_get(status, "guards"), "last_repair");
	struct text text = { 0 };
	struct facts facts = { 0 };

	add_daemon(&facts, status);
	if (!status_is_cleared(status)) {
		add_server(&facts, status);
		add_guards(&facts, status);
		add_counts(&facts, status);
		text_add(&text, "%s", repair);
		if (*repair)
			add_fact(&facts, "Last repair", TONE_PLAIN, &text);
		text_free(&text);
	}
	add_queries(&facts, status);
	putc('\n', ctl->screen.file);
	print_facts(ctl, &facts);
}

/* Rules of other tables: "table ip squid, chain prerouting, handle 4: redirect, flow https-out and 2 more". */
static void print_rule(const struct ctl *ctl, const char *label, const json_t *rule)
{
	enum { COLUMN = sizeof("  Intercepted  ") - 1 };
	int64_t flows = json_number_of(rule, "flow_count"), handle = json_number_of(rule, "handle");
	struct text text = { 0 }, remedy = { 0 };

	text_add(&text, "table %s %s, chain %s", json_text_of(rule, "family"), json_text_of(rule, "table"),
		 json_text_of(rule, "chain"));
	if (handle)
		text_add(&text, ", handle %lld", (long long)handle);
	text_add(&text, ": %s%s, flow %s", json_truth_of(rule, "may") ? "may " : "", json_text_of(rule, "does"),
		 json_text_of(rule, "flow"));
	if (flows > 1)
		text_add(&text, " and %lld more", (long long)(flows - 1));
	text_add_remedy(ctl, &remedy, json_text_of(rule, "remedy"));
	fputs("  ", ctl->screen.file);
	screen_text(&ctl->screen, TONE_STRONG, label);
	fprintf(ctl->screen.file, "%*s", (int)(COLUMN - 2 - strlen(label)), "");
	screen_paragraph(&ctl->screen, COLUMN, COLUMN, TONE_WARNING, text_of(&text), TONE_STRONG, text_of(&remedy));
	if (text.failed || remedy.failed)
		ctl_error(ctl, "out of memory");
	text_free(&text);
	text_free(&remedy);
}

static void print_list(const struct ctl *ctl, const char *label, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		print_rule(ctl, i ? "" : label, json_array_get(list, i));
}

static void print_rules(const struct ctl *ctl, const json_t *status)
{
	const json_t *interceptions = json_object_get(status, "interceptions"),
		     *blocked = json_object_get(json_object_get(status, "blocked"), "findings");

	if (json_array_size(interceptions) || json_array_size(blocked))
		putc('\n', ctl->screen.file);
	print_list(ctl, "Blocked", blocked);
	print_list(ctl, "Intercepted", interceptions);
}

enum direction { DIRECTION_IN, DIRECTION_OUT, DIRECTION_OTHER, DIRECTIONS };

static bool has_word(const json_t *list, const char *word)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_text(json_array_get(list, i)), word) == 0)
			return true;
	return false;
}

static enum direction direction_of(const json_t *flow)
{
	const char *section = json_text_of(flow, "section");

	if (strcmp(section, "inbound") == 0 || has_word(json_object_get(flow, "to"), "SERVER"))
		return DIRECTION_IN;
	if (strcmp(section, "outbound") == 0 || has_word(json_object_get(flow, "from"), "SERVER"))
		return DIRECTION_OUT;
	return DIRECTION_OTHER;
}

static bool same_route(const json_t *a, const json_t *b)
{
	return direction_of(a) == direction_of(b) &&
	       json_equal(json_object_get(a, "from"), json_object_get(b, "from")) &&
	       json_word_count(a, "from") == json_word_count(b, "from") &&
	       json_equal(json_object_get(a, "to"), json_object_get(b, "to")) &&
	       json_word_count(a, "to") == json_word_count(b, "to");
}

static bool is_open(const json_t *flow)
{
	return json_truth_of(flow, "enabled");
}

/* The first open flow of its route stands for all of them. */
static bool stands_for_route(const json_t *flows, size_t index)
{
	const json_t *flow = json_array_get(flows, index);

	if (!is_open(flow))
		return false;
	for (size_t i = 0; i < index; i++)
		if (is_open(json_array_get(flows, i)) && same_route(json_array_get(flows, i), flow))
			return false;
	return true;
}

static int compare_ports(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;
	unsigned long l = strtoul(*left, NULL, 10), r = strtoul(*right, NULL, 10);

	return l != r ? (l > r) - (l < r) : strcmp(*left, *right);
}

/* All ports that the flows of one route have with one protocol, each once. */
static void add_route_ports(struct text *text, const json_t *flows, const json_t *route, const char *protocol)
{
	const char *ports[256];
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(flows); i++) {
		const json_t *flow = json_array_get(flows, i), *list = json_object_get(flow, "ports");
		if (!is_open(flow) || !same_route(flow, route) || strcmp(json_text_of(flow, "protocol"), protocol) != 0)
			continue;
		for (size_t p = 0; p < json_array_size(list) && count < 256; p++)
			ports[count++] = json_text(json_array_get(list, p));
	}
	if (count)
		qsort(ports, count, sizeof(ports[0]), compare_ports);
	text_add(text, "%s%s", text->length ? "; " : "", protocol);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || strcmp(ports[i], ports[i - 1]) != 0)
			text_add(text, " %s", ports[i]);
}

static void add_route(struct table *table, const json_t *flows, const json_t *route, const char *label)
{
	struct text way = { 0 }, ports = { 0 };
	const char *done[8];
	size_t done_count = 0;

	text_add_words(&way, route, "from", ALL);
	text_add(&way, " -> ");
	text_add_words(&way, route, "to", ALL);
	for (size_t i = 0; i < json_array_size(flows); i++) {
		const json_t *flow = json_array_get(flows, i);
		const char *protocol = json_text_of(flow, "protocol");
		bool again = !is_open(flow) || !same_route(flow, route) || done_count == 8;
		for (size_t d = 0; !again && d < done_count; d++)
			again = strcmp(done[d], protocol) == 0;
		if (again)
			continue;
		done[done_count++] = protocol;
		add_route_ports(&ports, flows, route, protocol);
	}
	table->failed |= way.failed || ports.failed;
	table_cell(table, TONE_STRONG, "%s", label);
	table_cell(table, TONE_PLAIN, "%s", text_of(&way));
	table_cell(table, TONE_PLAIN, "%s", text_of(&ports));
	text_free(&way);
	text_free(&ports);
}

static void print_off(const struct ctl *ctl, const json_t *flows)
{
	struct facts facts = { 0 };
	struct text text = { 0 };

	for (size_t i = 0; i < json_array_size(flows); i++) {
		const json_t *flow = json_array_get(flows, i);
		if (!is_open(flow))
			text_add(&text, "%s%s (%s)", text.length ? ", " : "", json_text_of(flow, "id"),
				 json_text_of(flow, "off"));
	}
	if (text.length)
		add_fact(&facts, "Off", TONE_FAINT, &text);
	text_free(&text);
	print_facts(ctl, &facts);
}

static void print_routes(const struct ctl *ctl, const json_t *flows)
{
	static const char *const labels[DIRECTIONS] = { "  In", "  Out", "  Other" };
	struct table table;

	table_init(&table, "pew");
	for (int direction = 0; direction < DIRECTIONS; direction++) {
		size_t shown = 0;
		for (size_t i = 0; i < json_array_size(flows); i++) {
			const json_t *flow = json_array_get(flows, i);
			if (direction_of(flow) == (enum direction)direction && stands_for_route(flows, i))
				add_route(&table, flows, flow, shown++ ? "" : labels[direction]);
		}
	}
	putc('\n', ctl->screen.file);
	ctl_print_table(ctl, &table);
	print_off(ctl, flows);
}

void text_details(const struct ctl *ctl, const json_t *status)
{
	print_figures(ctl, status);
	if (status_is_cleared(status))
		return;
	print_rules(ctl, status);
	print_routes(ctl, json_object_get(status, "flows"));
	if (json_array_size(json_object_get(status, "names"))) {
		putc('\n', ctl->screen.file);
		text_names(ctl, status);
	}
}
