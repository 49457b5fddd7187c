/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <inttypes.h>
#include <string.h>

/* The verdict first, then what it goes by, a row each. */

enum { LIST_MAX = 4 };

static const char *file_name(const json_t *reply)
{
	const char *path = json_text_of(reply, "config"), *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static void add_row(struct table *table, const char *label, struct text *text)
{
	table->failed |= text->failed;
	table_cell(table, TONE_FAINT, "  %s", label);
	table_cell(table, TONE_PLAIN, "%s", text_of(text));
	text_free(text);
}

/* "tcp/443", "tcp/udp 53", "icmp-echo". */
static void add_ports(struct text *text, const json_t *flow)
{
	const char *protocol = json_text_of(flow, "protocol");
	const json_t *ports = json_object_get(flow, "ports");

	text_add(text, "%s", protocol);
	if (json_array_size(ports))
		text_add(text, "%s", strchr(protocol, '/') ? " " : "/");
	text_add_list(text, ports, LIST_MAX);
}

static void add_place(struct text *text, const json_t *reply, const json_t *of)
{
	bool built_in = json_truth_of(of, "built_in");
	int64_t line = json_number_of(of, "line");

	if (line)
		text_add(text, " (%s:%" PRId64 "%s)", file_name(reply), line, built_in ? "; built in" : "");
	else if (built_in)
		text_add(text, " (built in)");
}

static void flow_row(struct table *table, const json_t *reply, const json_t *result)
{
	const json_t *flow = json_object_get(result, "flow");
	bool allowed = strcmp(json_text_of(result, "verdict"), "allowed") == 0;
	struct text text = { 0 };

	if (!flow)
		return;
	text_add(&text, "%s: ", json_text_of(flow, "id"));
	text_add_words(&text, flow, "from", LIST_MAX);
	text_add(&text, " -> ");
	text_add_words(&text, flow, "to", LIST_MAX);
	text_add(&text, " ");
	add_ports(&text, flow);
	add_place(&text, reply, flow);
	add_row(table, allowed ? "flow" : "nearest", &text);
}

/* What was asked of: "tcp/8470". */
static void add_asked(struct text *text, const json_t *reply)
{
	int64_t port = json_number_of(reply, "port");

	text_add(text, "%s", json_text_of(reply, "protocol"));
	if (port)
		text_add(text, "/%" PRId64, port);
}

/* One end of the packets, each address once where it is the same in those that follow it. */
static void add_ends(struct text *text, const json_t *packets, const char *end)
{
	size_t shown = 0, more = 0;
	const char *before = "";

	for (size_t i = 0; i < json_array_size(packets); i++) {
		const char *address = json_text_of(json_array_get(packets, i), end);
		if (strcmp(address, before) == 0)
			continue;
		before = address;
		if (shown == LIST_MAX)
			more++;
		else
			text_add(text, "%s%s", shown++ ? ", " : "", address);
	}
	if (more)
		text_add(text, ", +%zu more", more);
}

static void packet_row(struct table *table, const json_t *reply, const json_t *result)
{
	const json_t *packets = json_object_get(result, "packets");
	struct text text = { 0 };

	add_ends(&text, packets, "source");
	text_add(&text, " -> ");
	add_ends(&text, packets, "target");
	text_add(&text, " ");
	add_asked(&text, reply);
	add_row(table, "packet", &text);
}

/* "10.32.0.50 is not in ADM (spefw.ini:15): 10.30.0.0/24, 10.31.0.0/24". */
static void add_missed_end(struct text *text, const json_t *reply, const json_t *result, const json_t *miss,
			   const char *end)
{
	const json_t *packets = json_object_get(result, "packets"), *members = json_object_get(miss, "members"),
		     *addresses = json_object_get(miss, "addresses");

	if (!json_array_size(json_object_get(miss, "has"))) {
		text_add(text, "the flow has no %s yet", end);
		return;
	}
	add_ends(text, packets, end);
	text_add(text, "%s ", json_array_size(packets) > 1 ? ": not in" : " is not in");
	text_add_words(text, miss, "has", LIST_MAX);
	add_place(text, reply, miss);
	if (json_array_size(members)) {
		text_add(text, ": ");
		text_add_words(text, miss, "members", LIST_MAX);
	}
	if (json_array_size(addresses)) {
		text_add(text, "; behind the names now: ");
		text_add_list(text, addresses, LIST_MAX);
	}
}

/* ANY, or a network around it. */
static void add_naming(struct text *text, const json_t *result, const json_t *miss)
{
	const char *role = json_text_of(result, "role");
	const json_t *has = json_object_get(miss, "has"), *members = json_object_get(miss, "members");
	bool any = strcmp(json_text(json_array_get(json_array_size(members) ? members : has, 0)), "ANY") == 0;

	text_add(text, "%s is protected: only a flow to %s itself opens it, and this one is to ", role, role);
	text_add_words(text, miss, "has", LIST_MAX);
	if (any)
		text_add(text, "%s which is every address that is not protected",
			 json_array_size(members) ? " (ANY)," : ",");
}

static void add_miss(struct text *text, const json_t *reply, const json_t *result, const json_t *miss)
{
	const char *what = json_text_of(miss, "what");

	if (strcmp(what, "source") == 0 || strcmp(what, "target") == 0) {
		add_missed_end(text, reply, result, miss, what);
	} else if (strcmp(what, "naming") == 0) {
		add_naming(text, result, miss);
	} else if (strcmp(what, "off") == 0) {
		text_add(text, "the flow is off: enabled = yes in [flow %s]",
			 json_text_of(json_object_get(result, "flow"), "id"));
	} else if (strcmp(what, "port") == 0) {
		text_add(text, "port %" PRId64 " is not its: ", json_number_of(reply, "port"));
		text_add_words(text, miss, "has", LIST_MAX);
	} else {
		text_add(text, "%s is not its protocol: ", json_text_of(reply, "protocol"));
		text_add_words(text, miss, "has", LIST_MAX);
	}
}

static void miss_rows(struct table *table, const json_t *reply, const json_t *result)
{
	const json_t *misses = json_object_get(result, "misses");

	for (size_t i = 0; i < json_array_size(misses); i++) {
		struct text text = { 0 };
		add_miss(&text, reply, result, json_array_get(misses, i));
		add_row(table, i ? "" : "misses", &text);
	}
}

/* Where the flows do not show it. */
static void why_row(struct table *table, const json_t *reply, const json_t *result)
{
	const char *reason = json_text_of(result, "reason"), *role = json_text_of(result, "role");
	struct text text = { 0 };

	if (strcmp(reason, "broadcast") == 0) {
		text_add(&text, "the broadcast address of a network with a guarded machine");
	} else if (strcmp(reason, "ignored") == 0) {
		text_add(&text, "broadcasts and multicasts of a guarded machine end here, and are no denials");
	} else if (strcmp(reason, "no_flow") == 0) {
		text_add(&text, "no flow has ");
		add_asked(&text, reply);
		text_add(&text, " %s %s", json_truth_of(result, "inbound") ? "to" : "from", role);
	} else {
		return;
	}
	add_row(table, "why", &text);
}

/* Of one packet, for a grant is for one address. */
static void grant_row(struct table *table, const json_t *reply, const json_t *result)
{
	const json_t *packets = json_object_get(result, "packets"), *misses = json_object_get(result, "misses");
	const char *miss = json_text_of(json_array_get(misses, 0), "what");
	struct text text = { 0 };

	if (!json_truth_of(result, "grantable") || !json_truth_of(reply, "names_known") ||
	    json_array_size(packets) != 1)
		return;
	text_add_grant_command(&text, json_text_of(json_object_get(result, "flow"), "id"),
			       json_text_of(json_array_get(packets, 0), miss));
	add_row(table, "try", &text);
}

/* "6 times, last 12s ago". */
static void seen_row(struct table *table, const json_t *result)
{
	const json_t *seen = json_object_get(result, "seen");
	int64_t times = json_number_of(seen, "count");
	char count[32], last[32];
	struct text text = { 0 };

	if (!seen)
		return;
	text_add(&text, "%s%s time%s%s, last %s ago", json_truth_of(seen, "at_least") ? "at least " : "",
		 format_count(times, count), times == 1 ? "" : "s",
		 json_truth_of(seen, "spread") ? ", with other ports or targets" : "",
		 format_seconds(json_number_of(seen, "last_s"), last));
	add_row(table, "seen", &text);
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length >= tail && strcmp(text + length - tail, end) == 0;
}

static void rule_row(struct table *table, const json_t *result)
{
	const json_t *chains = json_object_get(result, "chains");
	size_t count = json_array_size(chains);
	const char *last = json_text(json_array_get(chains, count - 1));
	/* It ends in the chains of what is denied, unless the rules are not the policy. */
	bool denied = strcmp(json_text_of(result, "verdict"), "denied") == 0 && !json_truth_of(result, "differs");
	bool rejected = strcmp(json_text_of(result, "effect"), "reject") == 0;
	size_t from = count - 1 - (rejected && count > 1); /* what is answered goes through one chain more */
	int64_t handle = json_number_of(result, "handle");
	struct text text = { 0 };

	if (!count || strcmp(json_text_of(result, "verdict"), "unguarded") == 0)
		return;
	text_add(&text, "table inet spefw, chain ");
	if (denied && from > 0 && !ends_with(last, "_early"))
		text_add(&text, "%s, end; ", json_text(json_array_get(chains, from - 1)));
	if (from < count - 1)
		text_add(&text, "%s; ", json_text(json_array_get(chains, from)));
	text_add(&text, "%s", last);
	if (handle)
		text_add(&text, " handle %" PRId64, handle);
	text_add(&text, "%s", ends_with(last, "_early") ? " (early_drop)" : rejected ? " (reject)" : "");
	add_row(table, "rule", &text);
}

static void note_row(struct table *table, const char *note)
{
	struct text text = { 0 };

	text_add(&text, "%s", note);
	add_row(table, "note", &text);
}

static void interfaces_row(struct table *table, const json_t *result)
{
	const json_t *interfaces = json_object_get(result, "interfaces");
	struct text text = { 0 };

	if (!json_array_size(interfaces))
		return;
	text_add(&text, "if it comes in by ");
	text_add_list(&text, interfaces, LIST_MAX);
	text_add(&text, "; from elsewhere it is dropped as spoofed");
	add_row(table, "note", &text);
}

/* "they drop it, counted by spoofed". */
static void differs_row(struct table *table, const json_t *result)
{
	const char *counter = json_text_of(result, "counter");
	struct text text = { 0 };

	if (!json_truth_of(result, "differs"))
		return;
	text_add(&text, "the rules in the kernel are not the policy: they %s it, counted by %s; see spefwctl verify",
		 json_text_of(result, "effect"), *counter ? counter : "none");
	add_row(table, "note", &text);
}

static void note_rows(struct table *table, const json_t *result)
{
	const char *hook = json_text_of(result, "hook");

	if (strcmp(hook, "output") == 0)
		note_row(table, "this gateway itself is the source");
	else if (strcmp(hook, "input") == 0)
		note_row(table, "this gateway itself is the target");
	interfaces_row(table, result);
	differs_row(table, result);
}

/* What stops it for certain, what may, and what takes it elsewhere. */
static const char *others_word(const json_t *result)
{
	static const char *const stops[] = { "drop", "reject", "policy" }, *const takes[] = { "redirect", "dnat",
											      "tproxy", "fwd",
											      "queue" };
	const json_t *others = json_object_get(result, "others");
	bool may = false, elsewhere = false;

	for (size_t i = 0; i < json_array_size(others); i++) {
		const json_t *rule = json_array_get(others, i);
		const char *does = json_text_of(rule, "does");
		for (size_t k = 0; k < sizeof(stops) / sizeof(stops[0]); k++) {
			if (strcmp(does, stops[k]) == 0 && !json_truth_of(rule, "may"))
				return ", DENIED by another table";
			may |= strcmp(does, stops[k]) == 0;
		}
		for (size_t k = 0; k < sizeof(takes) / sizeof(takes[0]); k++)
			elsewhere |= strcmp(does, takes[k]) == 0;
	}
	return may ? "; another table may deny it" : elsewhere ? "; another table takes it elsewhere" : "";
}

/* "inet f2b-table, chain forward, handle 4: reject, set addr-set-imap (fail2ban)", and what to run. */
static void other_rows(struct table *table, const json_t *rule, bool first)
{
	const char *set = json_text_of(rule, "set"), *remedy = json_text_of(rule, "remedy"),
		   *does = json_text_of(rule, "does");
	int64_t handle = json_number_of(rule, "handle");
	struct text text = { 0 }, command = { 0 };

	text_add(&text, "%s %s, chain %s", json_text_of(rule, "family"), json_text_of(rule, "table"),
		 json_text_of(rule, "chain"));
	if (handle)
		text_add(&text, ", handle %" PRId64, handle);
	text_add(&text, ": %s%s%s", json_truth_of(rule, "may") ? "may " : "",
		 strcmp(does, "policy") == 0 ? "drop at the end" : does,
		 json_truth_of(rule, "answer") ? ", of the answer" : "");
	if (*set)
		text_add(&text, ", set %s", set);
	text_add(&text, " (%s)", json_text_of(rule, "owner"));
	add_row(table, first ? "others" : "", &text);
	text_add(&command, "%s", *remedy ? remedy : json_text_of(rule, "look"));
	add_row(table, *remedy ? "try" : "see", &command);
}

static void others_rows(struct table *table, const json_t *result)
{
	static const struct {
		const char *code, *text;
	} missing[] = {
		{ "many", "other tables were not looked at, for so many packets: ask for one of them" },
		{ "failed", "other tables can't be read at present: try again, or see spefwctl doctor" },
		{ "unknown", "not all rules of other tables could be read: see spefwctl doctor" },
	};
	const json_t *others = json_object_get(result, "others");
	const char *why = json_text_of(result, "others_missing");
	struct text none = { 0 };

	for (size_t i = 0; i < json_array_size(others); i++)
		other_rows(table, json_array_get(others, i), i == 0);
	if (json_is_array(others) && !json_array_size(others) && !*why) {
		text_add(&none, "no rule of another table is in its way");
		add_row(table, "others", &none);
	}
	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
		if (strcmp(why, missing[i].code) == 0)
			note_row(table, missing[i].text);
}

/* Where they do the opposite of what the policy has. */
static const char *rules_word(const json_t *reply, const json_t *result)
{
	const char *effect = json_text_of(result, "effect");
	bool passes = strcmp(effect, "accept") == 0, audit = strcmp(json_text_of(reply, "mode"), "audit") == 0;
	bool should = audit || strcmp(json_text_of(result, "verdict"), "denied") != 0;

	if (!json_truth_of(result, "differs") || !*effect || passes == should)
		return "";
	return passes ? ", but the rules in the kernel let it pass" : ", but the rules in the kernel stop it";
}

static void print_verdict(const struct ctl *ctl, const json_t *reply, const json_t *result)
{
	const char *verdict = json_text_of(result, "verdict"), *reason = json_text_of(result, "reason"),
		   *flow = json_text_of(json_object_get(result, "flow"), "id");
	bool allowed = strcmp(verdict, "allowed") == 0, denied = strcmp(verdict, "denied") == 0;
	bool audit = strcmp(json_text_of(reply, "mode"), "audit") == 0;
	struct text text = { 0 };
	enum tone tone = allowed ? TONE_GOOD : denied ? TONE_BAD : TONE_PLAIN;

	if (json_truth_of(reply, "removed")) {
		text_add(&text, "NOT GUARDED: the table is removed, until spefwctl reload");
		text_add(&text, denied && !audit ? "; then DENIED" : "");
		tone = TONE_WARNING;
	} else if (allowed) {
		text_add(&text, "ALLOWED by spefw (%s)", flow);
	} else if (!denied) {
		text_add(&text, "NOT GUARDED: neither end is a guarded machine, spefw leaves it alone");
	} else if (audit) {
		text_add(&text, "ALLOWED, as audit denies nothing; enforce would deny it");
		tone = TONE_WARNING;
	} else {
		text_add(&text, "%s by spefw", strcmp(reason, "ignored") == 0 ? "DROPPED" : "DENIED");
	}
	text_add(&text, "%s%s", rules_word(reply, result), others_word(result));
	if (*rules_word(reply, result) || (allowed && *others_word(result)))
		tone = TONE_WARNING;
	screen_text(&ctl->screen, tone, text_of(&text));
	putc('\n', ctl->screen.file);
	text_free(&text);
}

void text_explain(const struct ctl *ctl, const json_t *reply)
{
	const json_t *results = json_object_get(reply, "results");

	for (size_t i = 0; i < json_array_size(results); i++) {
		const json_t *result = json_array_get(results, i);
		struct table table;
		if (i)
			putc('\n', ctl->screen.file);
		print_verdict(ctl, reply, result);
		table_init(&table, "pw");
		packet_row(&table, reply, result);
		why_row(&table, reply, result);
		flow_row(&table, reply, result);
		miss_rows(&table, reply, result);
		grant_row(&table, reply, result);
		seen_row(&table, result);
		rule_row(&table, result);
		others_rows(&table, result);
		note_rows(&table, result);
		ctl_print_table(ctl, &table);
	}
	if (!json_truth_of(reply, "names_known")) {
		screen_text(&ctl->screen, TONE_FAINT,
			    "By the file alone: not known: addresses of names, interfaces, broadcasts.");
		putc('\n', ctl->screen.file);
	}
}
