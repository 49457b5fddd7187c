/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <stdlib.h>
#include <string.h>

/* One screen, 80 by 24 for an ordinary server: what is longer is cut short, with the verb that shows all. */
enum { REASONS = 5, OFF = 4, NAMES = 6, ADDRESSES = 3, SERVERS = 6 };

static void print_line(const struct ctl *ctl, enum tone tone, const char *text)
{
	screen_text(&ctl->screen, tone, text);
	putc('\n', ctl->screen.file);
}

static void print_health(const struct ctl *ctl, const json_t *reply)
{
	const char *health = json_text_of(reply, "health");
	const json_t *reasons = json_object_get(reply, "reasons");
	size_t count = json_array_size(reasons);
	struct table table;

	fputs("spefw is ", ctl->screen.file);
	print_line(ctl, tone_of_state(health), *health ? health : "of unknown health");
	table_init(&table, "pw");
	for (size_t i = 0; i < count && i < REASONS; i++) {
		table_cell(&table, TONE_PLAIN, "  -");
		table_cell(&table, tone_of_state(health), "%s", json_text_of(json_array_get(reasons, i), "text"));
	}
	if (count > REASONS) {
		table_cell(&table, TONE_PLAIN, "%s", "");
		table_cell(&table, TONE_PLAIN, "... and %zu more, see spefwctl status --json", count - REASONS);
	}
	ctl_print_table(ctl, &table);
	putc('\n', ctl->screen.file);
}

static void add_label(struct table *table, const char *label)
{
	table_cell(table, TONE_STRONG, "%-7s", label);
}

static void add_server(struct table *table, const json_t *reply)
{
	const json_t *server = json_object_get(reply, "server");
	struct text text = { 0 };

	text_add_list(&text, server, SERVERS);
	table->failed |= text.failed;
	add_label(table, "Server");
	if (json_array_size(server))
		table_cell(table, TONE_PLAIN, "%s", text_of(&text));
	else
		table_cell(table, TONE_BAD, "no address is guarded");
	text_free(&text);
}

static void add_mode(struct table *table, const json_t *reply)
{
	const char *mode = json_text_of(reply, "mode");
	bool audit = strcmp(mode, "audit") == 0;
	char generation[32], uptime[32];

	add_label(table, "Mode");
	table_cell(table, audit ? TONE_WARNING : TONE_PLAIN, "%s%s, generation %s, spefwd %s up %s", mode,
		   audit ? " (denies nothing)" : "", format_count(json_number_of(reply, "generation"), generation),
		   json_text_of(reply, "version"), format_seconds(json_number_of(reply, "uptime_s"), uptime));
}

/* "2026-11-25T02:44:10Z" reads better with a space; anything else stays as it is. */
static void add_time(struct text *text, const char *when)
{
	if (strlen(when) == 20 && when[10] == 'T' && when[19] == 'Z')
		text_add(text, "%.10s %.8s UTC", when, when + 11);
	else
		text_add(text, "%s", when);
}

static void add_config(struct table *table, const json_t *reply)
{
	const json_t *config = json_object_get(reply, "config");
	bool matches = json_truth_of(config, "matches_disk");
	struct text text = { 0 };

	text_add(&text, "%s, loaded ", json_text_of(config, "path"));
	add_time(&text, json_text_of(config, "loaded_at"));
	text_add(&text, matches ? ", as on disk" : ", NOT as on disk");
	table->failed |= text.failed;
	add_label(table, "Config");
	table_cell(table, matches ? TONE_PLAIN : TONE_WARNING, "%s", text_of(&text));
	text_free(&text);
}

static void add_guards(struct table *table, const json_t *reply)
{
	const json_t *guards = json_object_get(reply, "guards");
	int64_t intercepted = json_number_of(guards, "intercepted"), spoofed = json_number_of(guards, "spoofed");
	int64_t routed = json_number_of(guards, "source_routed");
	char seen[32], fake[32], repaired[32], count[32], source_routed[64] = "";

	if (routed)
		snprintf(source_routed, sizeof(source_routed), "source-routed: %s; ", format_count(routed, count));

	add_label(table, "Guards");
	table_cell(table, intercepted || spoofed || routed ? TONE_WARNING : TONE_PLAIN,
		   "interception: %s, %s seen; spoofed: %s; %searly drop: %s", json_text_of(reply, "interception"),
		   format_count(intercepted, seen), format_count(spoofed, fake), source_routed,
		   json_truth_of(reply, "early_drop") ? "on" : "off");
	add_label(table, "Table");
	table_cell(table, TONE_PLAIN, "%s; repaired: %s",
		   strcmp(json_text_of(reply, "ownership"), "owner") == 0 ? "owned, no other program can change it"
									  : "watched, what others change is restored",
		   format_count(json_number_of(guards, "repaired"), repaired));
}

static void add_denied(struct table *table, const json_t *reply)
{
	const json_t *denied = json_object_get(reply, "denied"), *queries = json_object_get(reply, "denial_queries");
	char hour[32], in[32], out[32], early[32], invalid[32], limit[32];

	add_label(table, "Denied");
	if (json_truth_of(queries, "exhausted")) {
		table_cell(table, TONE_WARNING,
			   "%s in the last hour; DNS queries because of them: used up, %s a minute",
			   format_count(json_number_of(denied, "last_hour"), hour),
			   format_count(json_number_of(queries, "limit_a_minute"), limit));
		return;
	}
	table_cell(table, TONE_PLAIN, "%s in the last hour; in all %s in, %s out, %s early, %s invalid",
		   format_count(json_number_of(denied, "last_hour"), hour),
		   format_count(json_number_of(denied, "in"), in), format_count(json_number_of(denied, "out"), out),
		   format_count(json_number_of(denied, "early"), early),
		   format_count(json_number_of(denied, "invalid"), invalid));
}

/* Nothing, on a gateway that never lost or cut a connection. */
static void add_mid_stream(struct table *table, const json_t *reply)
{
	const json_t *mid_stream = json_object_get(reply, "mid_stream");
	int64_t passed = json_number_of(mid_stream, "passed"), cut = json_number_of(mid_stream, "cut"),
		remembered = json_number_of(mid_stream, "remembered");
	char passed_text[32], cut_text[32], remembered_text[32];

	if (!passed && !cut && !remembered)
		return;
	add_label(table, "Mid-stream packets");
	table_cell(table, json_truth_of(mid_stream, "full") ? TONE_WARNING : TONE_PLAIN,
		   "%s of lost connections passed; %s of cut ones reset; %s cut and remembered%s",
		   format_count(passed, passed_text), format_count(cut, cut_text),
		   format_count(remembered, remembered_text),
		   json_truth_of(mid_stream, "full") ? ", not all of them" : "");
}

static void print_facts(const struct ctl *ctl, const json_t *reply)
{
	struct table table;

	table_init(&table, "pw");
	add_server(&table, reply);
	add_mode(&table, reply);
	add_config(&table, reply);
	add_guards(&table, reply);
	add_denied(&table, reply);
	add_mid_stream(&table, reply);
	ctl_print_table(ctl, &table);
	putc('\n', ctl->screen.file);
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
	       json_equal(json_object_get(a, "to"), json_object_get(b, "to"));
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

	text_add_list(&way, json_object_get(route, "from"), 2);
	text_add(&way, " -> ");
	text_add_list(&way, json_object_get(route, "to"), 2);
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
	add_label(table, label);
	table_cell(table, TONE_PLAIN, "%s", text_of(&way));
	table_cell(table, TONE_PLAIN, "%s", text_of(&ports));
	text_free(&way);
	text_free(&ports);
}

static void print_more(const struct ctl *ctl, size_t count, const char *verb)
{
	char text[64];

	if (!count)
		return;
	snprintf(text, sizeof(text), "         ... and %zu more, see spefwctl %s", count, verb);
	print_line(ctl, TONE_FAINT, text);
}

static void print_off(const struct ctl *ctl, const json_t *flows)
{
	struct text text = { 0 };
	struct table table;
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(flows); i++) {
		const json_t *flow = json_array_get(flows, i);
		if (is_open(flow))
			continue;
		if (count++ < OFF)
			text_add(&text, "%s%s (%s)", text.length ? ", " : "", json_text_of(flow, "id"),
				 json_text_of(flow, "off"));
	}
	if (count > OFF)
		text_add(&text, ", and %zu more, see spefwctl flows", count - OFF);
	if (count) {
		table_init(&table, "pw");
		add_label(&table, "Off");
		table_cell(&table, TONE_FAINT, "%s", text_of(&text));
		table.failed |= text.failed;
		ctl_print_table(ctl, &table);
	}
	text_free(&text);
}

/* Each direction has its own share of the screen. */
static void print_routes(const struct ctl *ctl, const json_t *flows)
{
	static const struct {
		const char *label;
		size_t most;
	} shares[DIRECTIONS] = { { "In", 5 }, { "Out", 5 }, { "Other", 2 } };
	size_t routes = 0, hidden = 0;
	struct table table;

	table_init(&table, "pew");
	for (int direction = 0; direction < DIRECTIONS; direction++) {
		size_t shown = 0;
		for (size_t i = 0; i < json_array_size(flows); i++) {
			const json_t *flow = json_array_get(flows, i);
			if (direction_of(flow) != (enum direction)direction || !stands_for_route(flows, i))
				continue;
			routes++;
			if (shown < shares[direction].most)
				add_route(&table, flows, flow, shown++ ? "" : shares[direction].label);
			else
				hidden++;
		}
	}
	if (routes == 0) {
		add_label(&table, "Flows");
		table_cell(&table, TONE_WARNING, "none is open");
		table_cell(&table, TONE_PLAIN, "%s", "");
	}
	ctl_print_table(ctl, &table);
	print_more(ctl, hidden, "flows");
	print_off(ctl, flows);
}

/* How long the shortest-lived address stays without another answer. */
static int64_t least_expiry(const json_t *addresses)
{
	int64_t least = INT64_MAX;

	for (size_t i = 0; i < json_array_size(addresses); i++) {
		int64_t expires = json_number_of(json_array_get(addresses, i), "expires_in_s");
		if (expires < least)
			least = expires;
	}
	return least;
}

static void add_name_addresses(struct text *text, const json_t *name)
{
	const json_t *addresses = json_object_get(name, "addresses");
	size_t count = json_array_size(addresses), shown = count <= ADDRESSES + 1 ? count : ADDRESSES;
	const char *error = json_text_of(name, "last_error");
	char expires[32];

	/* A name that lives on old addresses is among the reasons. */
	if (count == 0)
		text_add(text, "no address%s%s", *error ? ": " : "", error);
	for (size_t i = 0; i < shown; i++)
		text_add(text, "%s%s", i ? ", " : "", json_text_of(json_array_get(addresses, i), "address"));
	if (shown < count)
		text_add(text, ", +%zu more", count - shown);
	if (count)
		text_add(text, " (for %s)", format_seconds(least_expiry(addresses), expires));
}

static void add_name(struct table *table, const json_t *name, const char *label, bool again)
{
	const char *state = json_text_of(name, "state");
	struct text text = { 0 };

	add_name_addresses(&text, name);
	table->failed |= text.failed;
	add_label(table, label);
	table_cell(table, TONE_PLAIN, "%s", again ? "" : json_text_of(name, "name"));
	table_cell(table, TONE_PLAIN, "%s", json_text_of(name, "family"));
	table_cell(table, tone_of_state(state), "%s", state);
	table_cell(table, TONE_PLAIN, "%s", text_of(&text));
	text_free(&text);
}

static bool in_trouble(const json_t *name)
{
	const char *state = json_text_of(name, "state");
	return strcmp(state, "failing") == 0 || strcmp(state, "stale") == 0;
}

/* Where not all have room, those in trouble come first. */
static void print_names(const struct ctl *ctl, const json_t *names)
{
	size_t count = json_array_size(names), shown = 0;
	const char *before = "";
	struct table table;

	table_init(&table, "peppw");
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < count; i++) {
			const json_t *name = json_array_get(names, i);
			if ((count > NAMES && in_trouble(name) != (round == 0)) || (count <= NAMES && round == 1) ||
			    shown == NAMES)
				continue;
			add_name(&table, name, shown ? "" : "Names", strcmp(before, json_text_of(name, "name")) == 0);
			before = json_text_of(name, "name");
			shown++;
		}
	}
	if (count)
		putc('\n', ctl->screen.file);
	ctl_print_table(ctl, &table);
	print_more(ctl, count - shown, "names");
}

void text_status(const struct ctl *ctl, const json_t *reply)
{
	print_health(ctl, reply);
	print_facts(ctl, reply);
	print_routes(ctl, json_object_get(reply, "flows"));
	print_names(ctl, json_object_get(reply, "names"));
}

static void describe_table(struct table *table, const json_t *inspect)
{
	const json_t *addresses = json_object_get(inspect, "protected");
	struct text list = { 0 };

	text_add_list(&list, addresses, SERVERS);
	table->failed |= list.failed;
	if (!json_truth_of(inspect, "loaded"))
		table_cell(table, TONE_BAD, "not loaded: nothing is protected");
	else if (strcmp(json_text_of(inspect, "mode"), "audit") == 0)
		table_cell(table, TONE_WARNING, "is in audit mode, which denies nothing, for %s", text_of(&list));
	else if (json_truth_of(inspect, "foreign"))
		table_cell(table, TONE_BAD, "changed by another program: whether it still protects is not known");
	else if (!json_truth_of(inspect, "guards"))
		table_cell(table, TONE_BAD, "loaded, but it does not guard: nothing is protected");
	else
		table_cell(table, TONE_GOOD, "still protects %s", text_of(&list));
	text_free(&list);
}

void text_not_running(const struct ctl *ctl, const json_t *inspect, const char *unknown)
{
	struct table table;

	fputs("spefw is ", ctl->screen.file);
	print_line(ctl, TONE_BAD, "not running");
	putc('\n', ctl->screen.file);
	table_init(&table, "pw");
	add_label(&table, "Table");
	if (inspect)
		describe_table(&table, inspect);
	else
		table_cell(&table, TONE_WARNING, "%s", unknown);
	if (inspect && json_truth_of(inspect, "guards")) {
		add_label(&table, "Names");
		table_cell(&table, TONE_PLAIN, "are no longer followed: their last addresses run out in time");
	}
	add_label(&table, "Start");
	table_cell(&table, TONE_PLAIN, "systemctl start spefwd");
	ctl_print_table(ctl, &table);
}
