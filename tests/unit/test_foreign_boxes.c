/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which packets of which flows the chains of other tables see. Tables are written as text, one line each:
 *
 *   chain NAME PLACE PRIORITY [nat] [drops] [unknown] [ip|ip6]
 *   set NAME ADDRESSES...             (ascending)
 *   map NAME PORTS=VERDICT...         (likewise; accept, drop, return, jump-CHAIN, goto-CHAIN)
 *   NAME: [not] CONDITION... VERDICT  (a rule of that chain; its handle is the number of the line; "dports N" is the
 *                                     N-th set as a map of ports, "some N" as one of something that is not known)
 */
#include "make.h"

#include "core/array.h"
#include "core/foreign.h"

enum { TABLE_INET = 1, TABLE_IP = 2, TABLE_IP6 = 10 };

enum { ROLES = 8, FLOWS = 32 };

static size_t find_chain(const struct foreign_tables *tables, const char *name)
{
	for (size_t i = 0; i < tables->chains.count; i++)
		if (strcmp(tables->chains.items[i].name, name) == 0)
			return i;
	fail_msg("no chain %s", name);
	return 0;
}

static enum place find_place(const char *word)
{
	static const char *const names[] = { "none",    "ingress", "prerouting",  "input",
					     "forward", "output",  "postrouting", "egress" };
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (strcmp(names[i], word) == 0)
			return (enum place)i;
	fail_msg("no place %s", word);
	return PLACE_NONE;
}

static void read_chain(struct foreign_tables *tables, char *words)
{
	struct other_chain chain = { .family = TABLE_INET, .table = strdup("t") };
	char *word;

	chain.name = strdup(strsep(&words, " "));
	chain.place = find_place(strsep(&words, " "));
	chain.priority = atoi(strsep(&words, " "));
	while ((word = strsep(&words, " "))) {
		chain.nat |= strcmp(word, "nat") == 0;
		chain.drops |= strcmp(word, "drops") == 0;
		chain.interfaces_unknown |= strcmp(word, "unknown") == 0;
		chain.family = strcmp(word, "ip") == 0 ? TABLE_IP : strcmp(word, "ip6") == 0 ? TABLE_IP6 : chain.family;
	}
	assert_int_equal(ARRAY_PUSH(&tables->chains, chain), 0);
}

static void read_interval(struct rule_condition *ret, char *word)
{
	char *last = strchr(word, '-');

	if (last)
		*last++ = '\0';
	memcpy(ret->first, make_addr(word).bytes, 16);
	memcpy(ret->last, make_addr(last ? last : word).bytes, 16);
}

static void read_set(struct foreign_tables *tables, char *words)
{
	struct other_set set = { .family = TABLE_INET, .table = strdup("t"), .known = true };
	char *word;

	set.name = strdup(strsep(&words, " "));
	while ((word = strsep(&words, " "))) {
		struct rule_condition interval;
		struct set_element element = { 0 };
		read_interval(&interval, word);
		memcpy(element.first, interval.first, 16);
		memcpy(element.last, interval.last, 16);
		assert_int_equal(ARRAY_PUSH(&set, element), 0);
	}
	assert_int_equal(ARRAY_PUSH(&tables->sets, set), 0);
}

static void read_map(struct foreign_tables *tables, char *words)
{
	struct other_set map = { .family = TABLE_INET, .table = strdup("t"), .known = true };
	char *word;

	map.name = strdup(strsep(&words, " "));
	while ((word = strsep(&words, " "))) {
		char *verdict = strchr(word, '=') + 1, *chain = strchr(verdict, '-');
		unsigned first = (unsigned)atoi(word), last = strchr(word, '-') && strchr(word, '-') < verdict
								      ? (unsigned)atoi(strchr(word, '-') + 1)
								      : first;
		struct set_element element = { .first = { (uint8_t)(first >> 8), (uint8_t)first },
					       .last = { (uint8_t)(last >> 8), (uint8_t)last },
					       .drops = *verdict == 'd' };
		element.way = (uint8_t)(*verdict == 'j'   ? WAY_JUMP
					: *verdict == 'g' ? WAY_GOTO
					: *verdict == 'r' ? WAY_RETURN
							  : WAY_DONE);
		if (chain)
			element.to = find_chain(tables, chain + 1) + 1;
		assert_int_equal(ARRAY_PUSH(&map, element), 0);
	}
	assert_int_equal(ARRAY_PUSH(&tables->sets, map), 0);
}

static void add_condition(struct foreign_tables *tables, struct rule_condition condition, enum rule_field field)
{
	condition.field = (uint8_t)field;
	assert_int_equal(ARRAY_PUSH(&tables->conditions, condition), 0);
	tables->rules.items[tables->rules.count - 1].condition_count++;
}

/* Bits of which one at least is set; "not": none. */
static void add_bits(struct foreign_tables *tables, enum rule_field field, bool negate, uint32_t bits)
{
	struct rule_condition condition = { .negate = !negate, .masked = true };
	uint8_t byte = (uint8_t)bits;

	memcpy(condition.first, field == RULE_FLAGS ? (void *)&byte : (void *)&bits, rule_field_size(field));
	add_condition(tables, condition, field);
}

static bool read_number_field(struct foreign_tables *tables, const char *kind, bool negate, char *word)
{
	static const struct {
		const char *name;
		enum rule_field field;
	} fields[] = {
		{ "family", RULE_FAMILY },     { "protocol", RULE_PROTOCOL }, { "sport", RULE_SOURCE_PORT },
		{ "dport", RULE_TARGET_PORT }, { "local", RULE_LOCAL },       { "packet", RULE_PACKET },
		{ "kind", RULE_TARGET_KIND },
	};

	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		struct rule_condition condition = { .negate = negate };
		unsigned first, last;
		int r;
		if (strcmp(fields[i].name, kind) != 0)
			continue;
		r = sscanf(word, "%u-%u", &first, &last);
		assert_in_range(r, 1, 2);
		last = r == 2 ? last : first;
		size_t size = rule_field_size(fields[i].field);
		for (size_t b = 0; b < size; b++) {
			condition.first[b] = (uint8_t)(first >> 8 * (size - 1 - b));
			condition.last[b] = (uint8_t)(last >> 8 * (size - 1 - b));
		}
		if (fields[i].field == RULE_TARGET_KIND) { /* in the machine's order */
			memcpy(condition.first, &first, 4);
			memcpy(condition.last, &last, 4);
		}
		add_condition(tables, condition, fields[i].field);
		return true;
	}
	return false;
}

static void read_condition(struct foreign_tables *tables, const char *kind, bool negate, char *word)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} bits[] = { { "other", 0xed },
		     { "new", STATE_NEW },
		     { "established", STATE_ESTABLISHED },
		     { "related", STATE_RELATED },
		     { "invalid", STATE_INVALID },
		     { "syn", 2 },
		     { "ack", 16 },
		     { "dnat", STATUS_DNAT } };
	struct rule_condition condition = { .negate = negate };

	if (read_number_field(tables, kind, negate, word))
		return;
	if (strcmp(kind, "from") == 0 || strcmp(kind, "to") == 0) {
		bool from = *kind == 'f', six = strchr(word, ':');
		if (*word == '@')
			condition.set = (size_t)atoi(word + 1);
		else
			read_interval(&condition, word);
		add_condition(tables, condition,
			      six    ? (from ? RULE_SOURCE_6 : RULE_TARGET_6)
			      : from ? RULE_SOURCE_4
				     : RULE_TARGET_4);
	} else if (strcmp(kind, "in") == 0 || strcmp(kind, "out") == 0) {
		memcpy(condition.first, word, strlen(word));
		memcpy(condition.last, word, strlen(word));
		add_condition(tables, condition, *kind == 'i' ? RULE_LINK : RULE_OUT_LINK);
	} else {
		for (size_t i = 0; i < COUNT_OF(bits); i++)
			if (strcmp(bits[i].name, word) == 0)
				add_bits(tables,
					 strcmp(kind, "state") == 0   ? RULE_STATE
					 : strcmp(kind, "flags") == 0 ? RULE_FLAGS
								      : RULE_STATUS,
					 negate, bits[i].bit);
	}
}

static void read_verdict(struct foreign_tables *tables, struct other_rule *rule, const char *word, const char *value)
{
	rule->way = WAY_DONE;
	if (strcmp(word, "jump") == 0 || strcmp(word, "goto") == 0) {
		rule->way = *word == 'j' ? WAY_JUMP : WAY_GOTO;
		rule->to = find_chain(tables, value) + 1;
	} else if (strcmp(word, "return") == 0) {
		rule->way = WAY_RETURN;
	} else if (strcmp(word, "dports") == 0 || strcmp(word, "some") == 0) {
		rule->way = WAY_MAP;
		rule->to = (size_t)atoi(value);
		rule->map_field = *word == 'd' ? RULE_TARGET_PORT : RULE_FIELDS;
	} else if (strcmp(word, "accept") != 0) {
		for (enum effect effect = EFFECT_REDIRECT; effect <= EFFECT_PORT; effect++)
			if (strcmp(effect_word(effect), word) == 0)
				rule->effect = (uint8_t)effect;
		assert_int_not_equal(rule->effect, EFFECT_NONE);
		rule->way = rule->effect == EFFECT_DROP ? WAY_DONE : WAY_ON;
		rule->has_target = value != NULL;
		if (value)
			rule->target = make_addr(value);
	}
}

static void read_rule(struct foreign_tables *tables, const char *chain, char *words, unsigned line)
{
	struct other_rule rule = { .chain = find_chain(tables, chain),
				   .handle = line,
				   .exact = true,
				   .conditions = tables->conditions.count,
				   .map_field = RULE_FIELDS };
	char *word;

	assert_int_equal(ARRAY_PUSH(&tables->rules, rule), 0);
	while ((word = strsep(&words, " "))) {
		struct other_rule *last = &tables->rules.items[tables->rules.count - 1];
		bool negate = strcmp(word, "not") == 0, verdict = false;
		char *kind = negate ? strsep(&words, " ") : word;
		last->exact &= strcmp(kind, "inexact") != 0;
		last->excess |= strcmp(kind, "excess") == 0;
		if (strcmp(kind, "inexact") == 0 || strcmp(kind, "excess") == 0)
			continue;
		static const char *const verdicts[] = { "accept",   "return", "jump",   "goto",   "drop",
							"redirect", "dnat",   "tproxy", "queue",  "notrack",
							"offload",  "fwd",    "dup",    "dports", "some" };
		for (size_t i = 0; i < COUNT_OF(verdicts); i++)
			verdict |= strcmp(kind, verdicts[i]) == 0;
		char *value = strsep(&words, " ");
		if (verdict)
			read_verdict(tables, last, kind, value);
		else
			read_condition(tables, kind, negate, value);
	}
}

static void read_tables(struct foreign_tables *ret, const char *text)
{
	char *copy = strdup(text), *rest = copy, *line;

	*ret = (struct foreign_tables){ 0 };
	for (unsigned number = 1; (line = strsep(&rest, "\n")); number++) {
		char *word = strsep(&line, " ");
		if (strcmp(word, "chain") == 0)
			read_chain(ret, line);
		else if (strcmp(word, "set") == 0)
			read_set(ret, line);
		else if (strcmp(word, "map") == 0)
			read_map(ret, line);
		else if (*word) {
			word[strlen(word) - 1] = '\0';
			read_rule(ret, word, line, number);
		}
	}
	free(copy);
}

#define HEAD "[server]\naddress = 192.0.2.25 2001:db8:2::25\n[gateway]\npreset = none\ninterception = report\n"
#define ADMINS "[flow ping]\nenabled = no\n[role ADM]\nmembers = 203.0.113.0/24 2001:db8:3::/64\n"
#define CONSOLE ADMINS "[flow console-in]\nfrom = ADM\nto = SERVER\nprotocol = tcp\nport = 8470\n"
#define WEB "[flow web-out]\nfrom = SERVER\nto = ANY\nprotocol = tcp\nport = 443\n"

static void findings_text(const struct findings *findings, char text[600])
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *f = &findings->items[i];
		sprintf(text + strlen(text), "%s%u%c %s %s", i ? ", " : "", (unsigned)f->handle, f->may ? '?' : '!',
			effect_word(f->effect), f->flow);
		if (f->flow_count > 1)
			sprintf(text + strlen(text), "+%zu", f->flow_count - 1);
	}
}

/* "LINE! EFFECT FLOW" of what stops a flow or intercepts it, "LINE?" of what may; +N: and so many more flows. */
static void assert_findings(const char *config, const char *names, unsigned effects, const char *tables,
			    const char *expected)
{
	struct ranges gateway = make_ranges("192.0.2.1 198.51.100.1 2001:db8:2::1");
	char lan[ROLES][1][CONFIG_INTERFACE_MAX + 1], wan[FLOWS][2][CONFIG_INTERFACE_MAX + 1];
	struct interface_list own[ROLES], peers[FLOWS];
	struct foreign_tables others;
	struct findings findings;
	struct policy policy;

	/* SERVER is behind lan, the other roles behind lan1, ...; the peers of flow x come by wan and wan-x. */
	make_good_policy(&policy, config);
	for (size_t i = 0; i < policy.role_count; i++) {
		sprintf(lan[i][0], i ? "lan%zu" : "lan", i);
		own[i] = (struct interface_list){ lan[i], 1 };
	}
	for (size_t i = 0; i < policy.flow_count; i++) {
		strcpy(wan[i][0], "wan");
		sprintf(wan[i][1], "wan-%.9s", policy.flows[i].id);
		peers[i] = (struct interface_list){ wan[i], 2 };
	}
	struct names_view view = make_names(&policy, names);
	struct environment around = { .gateway = &gateway, .role_interfaces = own, .names = &view };
	const struct foreign_view foreign = { &around, peers };
	read_tables(&others, tables);
	/* In one go, and step by step. */
	for (size_t steps = 1; steps <= 1000000; steps += 999999) {
		struct judging *judging;
		char text[600] = "";
		int r, parts = 1;
		assert_int_equal(foreign_judge_begin(&judging, &findings, &others, &policy, &foreign, effects), 0);
		while ((r = foreign_judge_some(judging, steps)) > 0)
			parts++;
		assert_int_equal(r, 0);
		assert_in_range(parts, 1, 10000); /* 65,535 ports are no 65,535 boxes */
		foreign_judge_end(judging);
		assert_false(findings.incomplete);
		findings_text(&findings, text);
		if (strcmp(text, expected) != 0)
			fail_msg("%s\nfound: %s\nexpected: %s", tables, text, expected);
		findings_free(&findings);
	}
	foreign_tables_free(&others);
	names_view_free(&view);
	policy_free(&policy);
	ranges_free(&gateway);
}

struct one_case {
	const char *rule, *expected;
};

/* Each rule by itself, in a base chain b. */
static void assert_each(const char *config, const char *names, unsigned effects, const char *base,
			const struct one_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char text[300];
		snprintf(text, sizeof(text), "chain b %s\nb: %s", base, cases[i].rule);
		assert_findings(config, names, effects, text, cases[i].expected);
	}
}
#define EACH(config, names, effects, base, ...)                                  \
	do {                                                                     \
		static const struct one_case each[] = { __VA_ARGS__ };           \
		assert_each(config, names, effects, base, each, COUNT_OF(each)); \
	} while (0)
#define DROPS "2! drop console-in"
#define MAY_DROP "2? drop console-in"
#define QUEUES "2! queue console-in"

/* A flow is stopped by what stops the packet that opens it, or the first answer. */
static void test_opening_and_answer(void **state)
{
	(void)state;
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "forward 0", { "drop", DROPS }, { "dport 8470 drop", DROPS },
	     { "dport 8469 drop", "" }, { "dport 8471 drop", "" }, { "dport 8470-8471 drop", DROPS },
	     { "sport 8470 drop", DROPS }, { "sport 8469 drop", "" }, { "dport 1-8469 drop", "" },
	     /* clients of Windows and of Linux */
	     { "sport 49152-60999 drop", DROPS }, { "dport 49152-60999 drop", DROPS },
	     { "sport 49152-49152 drop", MAY_DROP }, { "sport 60999 dport 8470 drop", MAY_DROP },
	     { "sport 61000-65535 drop", "" }, { "sport 8471-49151 drop", "" }, { "protocol 6 drop", DROPS },
	     { "protocol 17 drop", "" }, { "protocol 1 drop", "" }, { "family 4 drop", DROPS },
	     { "family 6 drop", DROPS }, { "family 5 drop", "" }, { "state new drop", DROPS },
	     { "state established drop", DROPS }, { "state related drop", "" }, { "state invalid drop", "" },
	     { "state new dport 8470 drop", DROPS }, { "state established dport 8470 drop", "" },
	     { "not state established dport 8470 drop", DROPS }, { "not state new dport 8470 drop", "" },
	     { "not state new sport 8470 drop", DROPS }, { "status dnat drop", "" }, { "not status dnat drop", DROPS },
	     { "kind 1 drop", DROPS }, { "kind 2 drop", "" }, { "kind 0 drop", "" }, { "local 0 drop", DROPS },
	     { "local 1 drop", "" }, { "packet 0 drop", DROPS }, { "packet 1 drop", "" },
	     { "flags syn dport 8470 drop", DROPS }, { "flags ack dport 8470 drop", "" },
	     { "not flags ack dport 8470 drop", DROPS }, { "flags ack sport 8470 drop", DROPS },
	     { "flags syn sport 8470 drop", DROPS }, { "not flags syn drop", "" }, { "flags other drop", "" },
	     { "not flags other drop", DROPS });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "forward 0 ip", { "family 6 drop", "" }, { "family 4 drop", DROPS });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "forward 0 ip6", { "family 4 drop", "" }, { "family 6 drop", DROPS });
}

/* Before connection tracking has seen a packet, nothing is known of its connection. */
static void test_tracking(void **state)
{
	(void)state;
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "prerouting -200", { "state new drop", "" },
	     { "state established drop", "" }, { "state invalid drop", DROPS }, { "not state invalid drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "prerouting -199", { "state new drop", DROPS },
	     { "state established drop", DROPS }, { "state invalid drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "ingress 0", { "state new drop", "" }, { "state invalid drop", DROPS });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "forward -300", { "state new drop", DROPS }, { "state invalid drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_INTERCEPT, "prerouting -200", { "state new queue", QUEUES },
	     { "state related queue", QUEUES }, { "state invalid queue", QUEUES }, { "status dnat queue", QUEUES },
	     { "not flags syn queue", QUEUES }, { "flags syn queue", QUEUES }, { "flags other queue", QUEUES },
	     { "kind 3 queue", QUEUES }, { "packet 3 queue", "" });
}

static void test_addresses(void **state)
{
	(void)state;
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "forward 0", { "from 203.0.113.0-203.0.113.255 drop", DROPS },
	     { "from 203.0.112.0-203.0.114.255 drop", DROPS }, { "from 203.0.113.0-203.0.113.254 drop", MAY_DROP },
	     { "from 203.0.113.1-203.0.113.255 drop", MAY_DROP }, { "from 203.0.113.255 drop", MAY_DROP },
	     { "from 203.0.112.255 drop", "" }, { "from 203.0.114.0 drop", "" },
	     { "from 2001:db8:3::-2001:db8:3::ffff:ffff:ffff:ffff drop", DROPS },
	     { "from 2001:db8:3::1 drop", MAY_DROP }, { "from 2001:db8:3:1:: drop", "" },
	     { "to 192.0.2.25 drop", DROPS }, { "to 192.0.2.26 drop", "" }, { "to 192.0.2.24 drop", "" },
	     { "to 2001:db8:2::25 drop", DROPS }, { "to 2001:db8:2::26 drop", "" }, { "from 192.0.2.25 drop", DROPS },
	     { "from 2001:db8:2::25 drop", DROPS }, { "to 203.0.113.9 drop", MAY_DROP },
	     { "not from 203.0.113.0-203.0.113.255 to 192.0.2.25 drop", "" },
	     { "not from 203.0.113.0-203.0.113.254 to 192.0.2.25 drop", MAY_DROP },
	     { "not from 198.51.100.0-198.51.100.255 to 192.0.2.25 drop", DROPS },
	     { "from 203.0.113.0-203.0.113.255 to 203.0.113.0-203.0.113.255 drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_INTERCEPT, "prerouting -300", { "from 203.0.113.255 queue", QUEUES },
	     { "from 203.0.114.0 queue", "" });
}

/* That some peers of ANY are stopped is what block lists do. */
static void test_some_of_any(void **state)
{
	static const char config[] = HEAD ADMINS "[flow web-in]\nfrom = ANY\nto = SERVER\nprotocol = tcp\nport = 443\n";

	(void)state;
	EACH(config, "", EFFECTS_STOP, "forward 0", { "drop", "2! drop web-in" }, { "from 198.51.100.7 drop", "" },
	     { "to 198.51.100.7 drop", "" }, { "from 198.51.100.7 dport 443 drop", "" },
	     { "from 0.0.0.0-255.255.255.255 drop", "2! drop web-in" }, { "from 0.0.0.0-127.255.255.255 drop", "" },
	     { "from 198.51.100.7 sport 50000 drop", "2? drop web-in" },
	     { "inexact from 198.51.100.7 drop", "2? drop web-in" }, { "inexact drop", "2? drop web-in" });
	assert_findings(config, "", EFFECTS_STOP,
			"set bad 198.18.0.0-198.18.0.255 198.51.100.7\nchain b forward 0\nb: from @1 drop", "");
	assert_findings(config, "", EFFECTS_STOP,
			"set all 0.0.0.0-99.255.255.255 100.0.0.0-255.255.255.255\nchain b forward 0\nb: from @1 drop",
			"3! drop web-in");
	assert_findings(config, "", EFFECTS_STOP,
			"set all 0.0.0.0-99.255.255.255 100.0.0.1-255.255.255.255\nchain b forward 0\nb: to 192.0.2.25 "
			"from @1 drop",
			"");
	assert_findings(config, "", EFFECTS_STOP,
			"set most 0.0.0.0-99.255.255.255\nchain b forward 0\nb: not from @1 to 192.0.2.25 drop", "");
	/* Where another part of it is met as well, it is not some peers alone. */
	assert_findings(config, "", EFFECTS_STOP,
			"chain c none 0\nchain b forward 0\nb: from 198.51.100.7 jump c\nc: drop", "");
	assert_findings(config, "", EFFECTS_STOP, "chain c none 0\nchain b forward 0\nb: sport 50000 jump c\nc: drop",
			"4? drop web-in");
}

/* Who is behind a name is known by the addresses that it has now. */
static void test_names(void **state)
{
	static const char config[] =
		HEAD ADMINS "[flow x]\nfrom = SERVER\nto = partner.example.net\nprotocol = tcp\nport = 443\n";
	char names[1000] = "partner.example.net";

	(void)state;
	EACH(config, "", EFFECTS_STOP, "forward 0", { "to 198.51.100.7 drop", "" }, { "drop", "2! drop x" });
	EACH(config, "partner.example.net 198.51.100.7 198.51.100.9", EFFECTS_STOP, "forward 0",
	     { "to 198.51.100.7 drop", "2! drop x" }, { "to 198.51.100.8 drop", "" },
	     { "to 198.51.100.9 drop", "2! drop x" }, { "family 6 drop", "" }, { "family 4 drop", "2! drop x" });
	EACH(config, "partner.example.net 2001:db8:9::7", EFFECTS_STOP, "forward 0", { "family 4 drop", "" },
	     { "to 2001:db8:9::7 drop", "2! drop x" });
	EACH(config, "partner.example.net 198.51.100.7", EFFECTS_INTERCEPT, "prerouting -300",
	     { "to 198.51.100.8 dport 443 redirect", "2! redirect x" });
	/* One that has the gateway's own address. */
	EACH(config, "partner.example.net 192.0.2.1 198.51.100.7", EFFECTS_STOP, "forward 0",
	     { "to 192.0.2.1 drop", "" }, { "to 198.51.100.7 drop", "2! drop x" });
	EACH(config, "partner.example.net 192.0.2.1 198.51.100.7", EFFECTS_STOP, "input 0", { "drop", "2! drop x" },
	     { "to 198.51.100.7 drop", "" });
	for (int i = 1; i <= 32; i++)
		sprintf(names + strlen(names), " 198.51.100.%d", i + 100);
	EACH(config, names, EFFECTS_STOP, "forward 0", { "to 198.51.100.101 drop", "2! drop x" },
	     { "to 198.51.100.132 drop", "2! drop x" }, { "to 198.51.100.133 drop", "" });
}

/* Of many members the ends have to do: nothing is missed. */
static void test_many_ranges(void **state)
{
	for (int count = 32; count <= 33; count++) {
		char config[2000] = HEAD "[flow console-in]\nfrom = ADM\nto = SERVER\nprotocol = tcp\nport = 8470\n"
					 "[flow ping]\nenabled = no\n[role ADM]\nmembers =";
		(void)state;
		for (int i = 0; i < count; i++)
			sprintf(config + strlen(config), "\n 203.0.113.%d", 2 * i + 1);
		strcat(config, "\n");
		const char *between = count > 32 ? "2! redirect console-in" : "";
		char last[100];
		snprintf(last, sizeof(last), "chain b prerouting -300\nb: from 203.0.113.%d redirect", 2 * count - 1);
		assert_findings(config, "", EFFECTS_INTERCEPT, "chain b prerouting -300\nb: from 203.0.113.1 redirect",
				"2! redirect console-in");
		assert_findings(config, "", EFFECTS_INTERCEPT, last, "2! redirect console-in");
		assert_findings(config, "", EFFECTS_INTERCEPT, "chain b prerouting -300\nb: from 203.0.113.2 redirect",
				between);
		assert_findings(config, "", EFFECTS_INTERCEPT, "chain b prerouting -300\nb: from 203.0.113.66 redirect",
				"");
		assert_findings(config, "", EFFECTS_INTERCEPT, "chain b prerouting -300\nb: from 203.0.113.0 redirect",
				"");
	}
}

static void test_interfaces(void **state)
{
	(void)state;
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "forward 0", { "in wan drop", DROPS }, { "in wan-console-i drop", DROPS },
	     { "in lan drop", DROPS }, { "in lo drop", "" }, { "in wan-x drop", "" }, { "out lan drop", DROPS },
	     { "out wan-console-i drop", DROPS }, { "in lan out lan drop", "" }, { "in wan out wan drop", "" },
	     { "in wan out lan sport 8470 drop", "" }, { "in lan out wan sport 8470 drop", DROPS },
	     { "not in wan not in wan-console-i not in lan drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "postrouting 0", { "in wan out lan drop", DROPS },
	     { "out wan9 drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "prerouting 0", { "in wan drop", DROPS }, { "out lan drop", MAY_DROP });
	/* Ports of a bridge have other names. */
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "forward 0 unknown", { "in wan drop", MAY_DROP },
	     { "in eth7 drop", MAY_DROP }, { "drop", MAY_DROP });
	EACH(HEAD CONSOLE, "", EFFECTS_INTERCEPT, "prerouting -300", { "in lan from 192.0.2.25 queue", QUEUES },
	     { "in wan from 192.0.2.25 queue", "" }, { "in lo to 192.0.2.25 queue", "" },
	     { "in wan7 from 203.0.113.7 queue", QUEUES }, { "in lan from 203.0.113.7 queue", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_INTERCEPT, "prerouting -300 unknown",
	     { "in eth7 from 192.0.2.25 queue", QUEUES }, { "in lan from 203.0.113.7 queue", QUEUES },
	     { "in lo from 203.0.113.7 queue", "" });
	/* Each flow's peers come by interfaces of their own; each role is behind its own. */
	EACH(HEAD CONSOLE WEB "[role IH]\nmembers = 192.0.2.31\nprotected = yes\n"
			      "[flow ih-out]\nfrom = IH\nto = ANY\nprotocol = tcp\nport = 25\n",
	     "", EFFECTS_STOP, "forward 0", { "in wan-console-i drop", DROPS },
	     { "in wan-web-out drop", "2! drop web-out" }, { "in wan-ih-out drop", "2! drop ih-out" },
	     { "in wan-dns-out drop", "" }, { "in lan from 192.0.2.31 drop", "" },
	     { "in lan3 from 192.0.2.31 drop", "2! drop ih-out" }, { "in lan3 from 192.0.2.25 drop", "" },
	     { "out lan3 drop", "2! drop ih-out" }, { "drop", DROPS "+2" });
}

/* What the gateway itself has with the server: of that, only what is meant for it counts. */
static void test_at_gateway(void **state)
{
	static const char config[] = "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.1\n[gateway]\n"
				     "preset = none\ninterception = report\n" ADMINS;

	(void)state;
	EACH(config, "", EFFECTS_STOP, "input 0", { "drop", "2! drop dns-out" }, { "dport 53 drop", "2! drop dns-out" },
	     { "protocol 17 drop", "2! drop dns-out" }, { "protocol 6 drop", "2! drop dns-out" },
	     { "protocol 1 drop", "" }, { "sport 53 drop", "" }, { "in lan drop", "2! drop dns-out" },
	     { "in wan drop", "" }, { "local 1 drop", "2! drop dns-out" }, { "local 0 drop", "" },
	     { "kind 2 drop", "2! drop dns-out" }, { "kind 1 drop", "" }, { "state established drop", "" },
	     { "flags syn drop", "2! drop dns-out" }, { "out wan drop", "2? drop dns-out" });
	EACH(config, "", EFFECTS_STOP, "output 0", { "drop", "2! drop dns-out" },
	     { "sport 53 drop", "2! drop dns-out" }, { "dport 53 drop", "" }, { "in lan drop", "" },
	     { "state established drop", "2! drop dns-out" }, { "state new drop", "" },
	     { "out lan drop", "2? drop dns-out" });
	EACH(config, "", EFFECTS_STOP, "forward 0", { "drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "input 0", { "drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_STOP, "output 0", { "drop", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_INTERCEPT, "input 0", { "sport 8470 queue", QUEUES }, { "sport 8471 queue", "" },
	     { "local 1 queue", QUEUES }, { "local 0 queue", "" });
	EACH(HEAD CONSOLE, "", EFFECTS_INTERCEPT, "output 0", { "dport 8470 queue", QUEUES },
	     { "dport 8471 queue", "" }, { "local 1 queue", "" }, { "in lan queue", "" });
	EACH(HEAD WEB, "", EFFECTS_INTERCEPT, "input 0", { "to 192.0.2.1 queue", "2! queue web-out" },
	     { "to 192.0.2.25 queue", "" });
}

/* Pings have no ports and no flags. */
static void test_ping(void **state)
{
	static const char config[] = HEAD ADMINS "[flow up]\nfrom = ADM\nto = SERVER\nprotocol = icmp-echo\n";

	(void)state;
	EACH(config, "", EFFECTS_STOP, "forward 0", { "drop", "2! drop up" }, { "protocol 1 drop", "2! drop up" },
	     { "protocol 58 drop", "2! drop up" }, { "protocol 58 family 4 drop", "" },
	     { "protocol 1 family 6 drop", "" }, { "dport 0-65535 drop", "" }, { "sport 0-65535 drop", "" },
	     { "not dport 5 drop", "" }, { "flags syn drop", "" });
}

/* What takes a flow out of its way, and what does it no harm. */
static void test_intercepting(void **state)
{
	(void)state;
	EACH(HEAD CONSOLE, "", EFFECTS_INTERCEPT, "prerouting -300", { "redirect", "2! redirect console-in" },
	     { "dnat", "2! dnat console-in" }, { "tproxy", "2! tproxy console-in" }, { "dup", "2! dup console-in" },
	     { "fwd", "2! fwd console-in" }, { "queue", QUEUES }, { "notrack", "2! notrack console-in" },
	     { "drop", "" }, { "offload", "" }, { "excess queue", QUEUES }, { "inexact queue", QUEUES },
	     /* an answer opens no connection of its own */
	     { "from 192.0.2.25 redirect", "" }, { "from 192.0.2.25 dnat", "" }, { "from 192.0.2.25 tproxy", "" },
	     { "sport 8470 queue", QUEUES }, { "dport 8470 tproxy", "2! tproxy console-in" },
	     /* a port forward to the server */
	     { "dnat 192.0.2.25", "" }, { "dnat 192.0.2.26", "2! dnat console-in" },
	     { "sport 1023 dport 8470 queue", "" }, { "sport 1024 dport 8470 queue", QUEUES },
	     { "dport 1023 sport 8470 queue", "" }, { "sport 65535 dport 8470 queue", QUEUES });
	EACH(HEAD CONSOLE, "", EFFECTS_INTERCEPT, "prerouting -300 nat", { "from 192.0.2.25 queue", "" },
	     { "dport 8470 queue", QUEUES });
	EACH(HEAD CONSOLE, "", 1 << EFFECT_OFFLOAD, "forward 0", { "offload", "2! offload console-in" },
	     { "queue", "" }, { "drop", "" });
	EACH(HEAD WEB, "", EFFECTS_INTERCEPT, "prerouting -300", { "dnat 192.0.2.25", "2! dnat web-out" });
}

/* DNS is no channel of the vendor's, nor is what is not TCP. */
static void test_dns_is_no_channel(void **state)
{
#define OUT(protocol, port) HEAD ADMINS "[flow x]\nfrom = SERVER\nto = ANY\nprotocol = " protocol "\nport = " port "\n"
#define IN(protocol, port) HEAD ADMINS "[flow x]\nfrom = ANY\nto = SERVER\nprotocol = " protocol "\nport = " port "\n"
	static const struct {
		const char *config;
		bool found;
	} cases[] = {
		{ OUT("tcp", "53"), false },   { OUT("tcp", "53-54"), true }, { OUT("tcp", "309"), true },
		{ OUT("tcp", "52"), true },    { OUT("tcp", "54"), true },    { IN("tcp", "53"), true },
		{ OUT("udp", "5000"), false }, { IN("udp", "5000"), false },  { OUT("tcp", "5000"), true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_findings(cases[i].config, "", EFFECTS_INTERCEPT, "chain b prerouting -300\nb: redirect",
				cases[i].found ? "2! redirect x" : "");
		assert_findings(cases[i].config, "", EFFECTS_INTERCEPT, "chain b prerouting -300\nb: queue",
				"2! queue x");
	}
}

/* Of what passes through, no end is the gateway or loopback; what it translates on purpose is left out; another
 * protected machine is opened by its name alone. */
static void test_never_passing(void **state)
{
	static const char out[] =
		HEAD "nat_except = 198.51.100.99\n" ADMINS WEB "[role IH]\nmembers = 192.0.2.31\nprotected = yes\n";
	static const char in[] =
		HEAD "nat_except = 198.51.100.99\n" ADMINS "[role IH]\nmembers = 192.0.2.31\nprotected = yes\n"
		     "[flow x]\nfrom = ANY\nto = SERVER\nprotocol = tcp\nport = 443\n";

	(void)state;
	EACH(out, "", EFFECTS_INTERCEPT, "prerouting -300", { "to 198.51.100.98 redirect", "2! redirect web-out" },
	     { "to 198.51.100.99 redirect", "" }, { "to 198.51.100.99-198.51.100.100 redirect", "2! redirect web-out" },
	     { "to 198.51.100.1 redirect", "" }, { "to 192.0.2.1 redirect", "" }, { "to 2001:db8:2::1 redirect", "" },
	     { "to 2001:db8:2::2 redirect", "2! redirect web-out" }, { "to 127.0.0.0-127.255.255.255 redirect", "" },
	     { "to 126.255.255.255 redirect", "2! redirect web-out" },
	     { "to 128.0.0.0 redirect", "2! redirect web-out" }, { "to ::1 redirect", "" },
	     { "to ::2 redirect", "2! redirect web-out" }, { "to 192.0.2.31 redirect", "" },
	     { "to 192.0.2.25 redirect", "" }, { "to 192.0.2.32 redirect", "2! redirect web-out" });
	EACH(in, "", EFFECTS_INTERCEPT, "prerouting -300", { "from 198.51.100.99 redirect", "2! redirect x" },
	     { "from 192.0.2.1 redirect", "" }, { "from 127.0.0.1 redirect", "" }, { "from ::1 redirect", "" },
	     { "from 192.0.2.25 to 192.0.2.25 redirect", "" }, { "from 192.0.2.31 redirect", "2! redirect x" },
	     { "from 192.0.2.24 redirect", "2! redirect x" });
}

/* Ports of a protected machine that no flow opens, and what leads to them by another number. */
static void test_closed_ports(void **state)
{
	static const char config[] =
		HEAD CONSOLE "[flow first]\nfrom = ANY\nto = SERVER\nprotocol = tcp\nport = 1, 8472\n"
			     "[flow last]\nfrom = ANY\nto = SERVER\nprotocol = tcp\nport = 65535\n"
			     "[flow udp]\nfrom = ANY\nto = SERVER\nprotocol = udp\nport = 5000\n"
			     "[flow other]\nfrom = SERVER\nto = ANY\nprotocol = tcp\nport = 6000\n";
#define PORT "2! port "

	(void)state;
	EACH(config, "", 1 << EFFECT_PORT, "prerouting -100 nat", { "dport 80 dnat 192.0.2.25", PORT },
	     { "dport 80 dnat 192.0.2.26", "" }, { "dport 80 dnat", "" }, { "dport 1 dnat 192.0.2.25", "" },
	     { "dport 2 dnat 192.0.2.25", PORT }, { "dport 8469 dnat 192.0.2.25", PORT },
	     { "dport 8470 dnat 192.0.2.25", "" }, { "dport 8471 dnat 192.0.2.25", PORT },
	     { "dport 8472 dnat 192.0.2.25", "" }, { "dport 8473 dnat 192.0.2.25", PORT },
	     { "dport 65534 dnat 192.0.2.25", PORT }, { "dport 65535 dnat 192.0.2.25", "" },
	     { "dport 5000 dnat 192.0.2.25", PORT }, { "dport 6000 dnat 192.0.2.25", PORT },
	     { "protocol 17 dport 80 dnat 192.0.2.25", "" }, { "dport 80 redirect", "" }, { "dport 80 queue", "" },
	     { "to 192.0.2.25 dport 80 dnat 192.0.2.25", PORT }, { "to 192.0.2.26 dport 80 dnat 192.0.2.25", "" },
	     { "to 2001:db8:2::25 dport 80 dnat 2001:db8:2::25", PORT }, { "sport 1 dport 80 dnat 192.0.2.25", "" });
	EACH(config, "", 1 << EFFECT_PORT, "prerouting -100", { "dport 80 dnat 192.0.2.25", "" });
	EACH(config, "", 1 << EFFECT_PORT, "output -100 nat", { "dport 80 dnat 192.0.2.25", "" });
	/* Whatever chains are there before it. */
	assert_findings(config, "", 1 << EFFECT_PORT,
			"chain a prerouting -300\nchain b input 0 nat\nchain c prerouting -100 nat\na: dport 80 dnat "
			"192.0.2.25\n"
			"b: dport 80 dnat 192.0.2.25\nc: dport 80 dnat 192.0.2.25",
			"6! port ");
	/* Nothing is open there, and no pin keeps the ports of that. */
	EACH("[server]\naddress = 192.0.2.25\n[gateway]\npreset = none\n" ADMINS, "", 1 << EFFECT_PORT,
	     "prerouting -100 nat", { "dport 1 dnat 192.0.2.25", PORT }, { "dport 65535 dnat 192.0.2.25", PORT });
}

/* What is taken by a rule goes no further; in doubt it does. */
static void test_ways(void **state)
{
	static const struct {
		const char *rules, *expected;
	} cases[] = {
		{ "b: accept\nb: drop", "" },
		{ "b: dport 8470 accept\nb: drop", "4! drop console-in" /* the answer */ },
		{ "b: dport 8470 accept\nb: sport 8470 accept\nb: drop", "" },
		{ "b: from 203.0.113.7 accept\nb: to 192.0.2.25 dport 8470 drop", "4? drop console-in" },
		{ "b: inexact accept\nb: drop", "4? drop console-in" },
		{ "b: from 203.0.113.7 drop\nb: to 192.0.2.25 drop", "3? drop console-in, 4! drop console-in" },
		{ "b: drop\nb: drop", "3! drop console-in" },
		{ "b: inexact drop\nb: drop", "3? drop console-in, 4! drop console-in" },
		{ "b: return\nb: drop", "" },
		{ "b: inexact return\nb: drop", "4? drop console-in" },
		{ "b: jump c\nb: drop\nc: return\nc: drop", "4! drop console-in" },
		{ "b: jump c\nb: drop\nc: accept", "" },
		{ "b: jump c\nb: drop\nc: drop", "5! drop console-in" },
		{ "b: goto c\nb: drop\nc: dport 1 accept", "" },
		{ "b: inexact goto c\nb: drop\nc: dport 1 accept", "4! drop console-in" },
		{ "b: inexact goto c\nb: drop\nc: accept", "4? drop console-in" },
		{ "b: inexact jump c\nb: drop\nc: drop", "4! drop console-in, 5? drop console-in" },
		{ "b: inexact jump c\nb: drop\nc: inexact accept", "4? drop console-in" },
		{ "b: excess jump c\nc: drop", "" },
		{ "b: excess goto c\nb: drop\nc: drop", "4! drop console-in" },
		{ "b: excess accept\nb: drop", "" },
		{ "b: from 203.0.113.7 jump c\nc: dport 8470 drop", "4? drop console-in" },
		{ "b: from 203.0.113.7 jump c\nc: from 203.0.113.8 drop", "" },
		{ "b: not from 203.0.113.7 jump c\nc: to 192.0.2.25 drop", "4? drop console-in" },
		{ "b: jump c\nb: queue\nc: jump b\nc: drop", "6! drop console-in" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[300];
		snprintf(text, sizeof(text), "chain b forward 0\nchain c none 0\n%s", cases[i].rules);
		assert_findings(HEAD CONSOLE, "", EFFECTS_STOP, text, cases[i].expected);
	}
}

/* Rules are reported in their order, each once, with the first flow that it stops for sure, whichever flow finds it. */
static void test_several_flows(void **state)
{
	static const char config[] =
		HEAD CONSOLE WEB "[flow mail-out]\nfrom = SERVER\nto = 198.51.100.25\nprotocol = tcp\nport = 25\n"
				 "[flow api]\nfrom = ADM\nto = SERVER\nprotocol = tcp\nport = 8474\n";

	(void)state;
	assert_findings(config, "", EFFECTS_STOP,
			"chain b forward 0\nb: dport 443 drop\nb: dport 25-8474 drop\nb: dport 8470 drop\nb: to "
			"198.51.100.25 drop",
			"2! drop web-out, 3! drop mail-out+2");
	assert_findings(config, "", EFFECTS_STOP,
			"chain b forward 0\nb: inexact dport 8470 drop\nb: inexact dport 25-8474 drop\nb: dport "
			"8470-8474 drop\nb: inexact drop",
			"2? drop console-in, 3? drop mail-out+3, 4! drop console-in+1, 5? drop mail-out+3");
	assert_findings(config, "", EFFECTS_STOP,
			"chain b forward 0\nb: from 203.0.113.7 dport 8470 drop\nb: from 203.0.113.7 drop\nb: dport "
			"8474 "
			"drop\nchain a forward 1\na: drop",
			"2? drop console-in, 3? drop console-in+1, 4! drop api, 6! drop mail-out+3");
	/* May be for the first one, is for sure for a later one: that is the one to name. */
	assert_findings(config, "", EFFECTS_STOP,
			"chain b forward 0\nb: inexact dport 8470 accept\nb: dport 8470-8474 drop", "3! drop api+1");
}

/* The drop at the end of a base chain. */
static void test_base_policy(void **state)
{
	static const struct {
		const char *rules, *expected;
	} cases[] = {
		{ "", "0! policy console-in" },
		{ "b: dport 8470 accept", "0! policy console-in" },
		{ "b: dport 8470 accept\nb: sport 8470 accept", "" },
		{ "b: accept", "" },
		{ "b: inexact accept", "0? policy console-in" },
		{ "b: drop", "3! drop console-in" },
		{ "b: return", "0! policy console-in" },
		{ "b: jump c\nc: return", "0! policy console-in" },
		{ "b: goto c\nc: return", "0! policy console-in" },
		{ "b: jump c\nc: accept", "" },
		{ "b: goto c\nc: inexact accept", "0? policy console-in" },
		{ "b: from 203.0.113.7 accept\nb: sport 8470 accept\nb: family 6 accept", "0? policy console-in" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[300];
		snprintf(text, sizeof(text), "chain b forward 0 drops\nchain c none 0\n%s", cases[i].rules);
		assert_findings(HEAD CONSOLE, "", EFFECTS_STOP, text, cases[i].expected);
		assert_findings(HEAD CONSOLE, "", EFFECTS_INTERCEPT, text, "");
	}
}

/* A map sends each port its own way. */
static void test_maps(void **state)
{
	static const struct {
		const char *map, *rules, *expected;
	} cases[] = {
		{ "22=drop 8470=drop", "b: dports 1", "5! drop console-in" },
		{ "22=drop 8469=drop 8471=drop", "b: dports 1", "" },
		{ "8000-8469=drop 8471-9000=drop", "b: dports 1", "" },
		{ "8000-8470=drop", "b: dports 1", "5! drop console-in" },
		{ "8470=accept", "b: dports 1\nb: dport 8470 drop", "" },
		{ "8471=accept", "b: dports 1\nb: dport 8470 drop", "6! drop console-in" },
		{ "8470=return", "b: dports 1\nb: dport 8470 drop", "" },
		{ "8470=jump-c", "b: dports 1\nc: drop", "6! drop console-in" },
		{ "8470=jump-c", "b: dports 1\nc: dport 8470 drop", "6! drop console-in" },
		{ "8470=jump-c", "b: dports 1\nc: dport 8471 drop", "" },
		{ "8000-9000=jump-c", "b: dports 1\nc: dport 8470 drop", "6! drop console-in" },
		{ "8470=jump-c", "b: dports 1\nb: dport 8470 drop\nc: accept", "" },
		{ "8470=jump-c", "b: dports 1\nb: dport 8470 drop\nc: return", "6! drop console-in" },
		{ "8470=goto-c", "b: dports 1\nb: dport 8470 drop\nc: return", "" },
		{ "8470=goto-c", "b: from 203.0.113.7 dports 1\nb: dport 8470 drop\nc: return", "6! drop console-in" },
		{ "8470=drop", "b: from 203.0.113.7 dports 1", "5? drop console-in" },
		{ "8470=drop", "b: inexact dports 1", "5? drop console-in" },
		{ "8470=drop", "b: from 198.51.100.1 dports 1", "" },
		/* only a part of the map's value is of the flow: answers go to the client's ports */
		{ "50000=jump-c", "b: from 192.0.2.25 dports 1\nc: drop", "6? drop console-in" },
		{ "50000=jump-c", "b: from 192.0.2.25 dports 1\nc: dport 50001 drop", "" },
		/* of something that is not known, any may be */
		{ "1=drop", "b: some 1", "5? drop console-in" },
		{ "1=accept", "b: some 1\nb: drop", "6? drop console-in" },
		{ "1=jump-c", "b: some 1\nc: dport 8470 drop", "6? drop console-in" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[300];
		snprintf(text, sizeof(text), "chain b forward 0\nchain c none 0\nmap m %s\n\n%s", cases[i].map,
			 cases[i].rules);
		assert_findings(HEAD CONSOLE, "", EFFECTS_STOP, text, cases[i].expected);
	}
	/* Some of ANY is no more than that, whichever way it is looked up. */
	static const char any[] = HEAD ADMINS "[flow x]\nfrom = ANY\nto = SERVER\nprotocol = tcp\nport = 443\n";
	assert_findings(any, "", EFFECTS_STOP, "chain b forward 0\nmap m 443=drop\nb: from 198.51.100.7 dports 1", "");
	assert_findings(any, "", EFFECTS_STOP, "chain b forward 0\nmap m 443=drop\nb: dports 1", "3! drop x");
	assert_findings(any, "", EFFECTS_STOP, "chain b forward 0\nmap m 50000=drop\nb: from 192.0.2.25 dports 1",
			"3? drop x");
	assert_findings(any, "", EFFECTS_STOP,
			"chain b forward 0\nchain c none 0\nmap m 443=jump-c\nb: from 198.51.100.7 dports 1\nc: drop",
			"");
}

/* Of a set whose elements are not known any may be in it. */
static void test_unknown_set(void **state)
{
	static const char text[] = "set s 198.51.100.1\nchain b forward 0\nb: from @1 drop\nb: not from @1 drop\nb: to "
				   "192.0.2.26 from @1 drop";
	struct ranges gateway = make_ranges("192.0.2.1");
	struct interface_list own[ROLES] = { 0 };
	struct names_view names = { 0 };
	struct environment around = { .gateway = &gateway, .role_interfaces = own, .names = &names };
	struct foreign_view view = { .around = &around };
	struct foreign_tables tables;
	struct findings findings;
	struct policy policy;

	(void)state;
	read_tables(&tables, text);
	tables.sets.items[0].known = false;
	make_good_policy(&policy, HEAD CONSOLE);
	assert_int_equal(foreign_judge(&findings, &tables, &policy, &view, EFFECTS_STOP), 0);
	assert_int_equal(findings.count, 2);
	assert_true(findings.items[0].may && findings.items[1].may);
	findings_free(&findings);
	foreign_tables_free(&tables);
	policy_free(&policy);
	ranges_free(&gateway);
}

/* Chains that lead to a drop are found through as many jumps as the kernel allows; what nests deeper may do anything,
 * and there is an end of it. */
static void test_nesting(void **state)
{
	static const struct {
		int depth;
		const char *expected;
	} cases[] = { { 1, "3! drop console-in" },
		      { 15, "17! drop console-in" },
		      { 16, "18! drop console-in" },
		      { 17, "" },
		      { 40, "" } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[4000] = "chain b forward 0\n";
		for (int c = 1; c <= cases[i].depth; c++)
			sprintf(text + strlen(text), "chain c%d none 0\n", c);
		sprintf(text + strlen(text), "c%d: drop\n", cases[i].depth);
		for (int c = cases[i].depth; c > 1; c--)
			sprintf(text + strlen(text), "c%d: jump c%d\n", c - 1, c);
		strcat(text, "b: jump c1");
		assert_findings(HEAD CONSOLE, "", EFFECTS_STOP, text, cases[i].expected);
	}
}

/* Each allocation fails in its turn: nothing is left over, and nothing is half. */
static void test_no_memory(void **state)
{
	static const struct {
		unsigned effects;
		const char *tables;
	} cases[] = {
		{ EFFECTS_STOP, "chain b forward 0 drops\nb: from 203.0.113.7 drop\nb: dport 8470 drop" },
		{ EFFECTS_INTERCEPT, "chain b prerouting -300\nb: queue\nb: redirect\nb: dnat" },
		{ 1 << EFFECT_PORT, "chain b prerouting -100 nat\nb: dport 80 dnat 192.0.2.25" },
	};
	static const char config[] = HEAD ADMINS
		"[flow x]\nfrom = SERVER\nto = partner.example.net 198.51.100.1\nprotocol = tcp\nport = 443 445\n"
		"[role IH]\nmembers = 192.0.2.31\nprotected = yes\n";
	struct ranges gateway = make_ranges("192.0.2.1 2001:db8:2::1");
	struct interface_list own[ROLES] = { 0 };
	struct policy policy;

	(void)state;
	make_good_policy(&policy, config);
	struct names_view names = make_names(&policy, "partner.example.net 198.51.100.7 2001:db8:9::7");
	struct environment around = { .gateway = &gateway, .role_interfaces = own, .names = &names };
	struct foreign_view view = { .around = &around };
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct foreign_tables tables;
		struct findings findings;
		int r = -12;
		read_tables(&tables, cases[i].tables);
		for (long n = 0; r != 0; n++) {
			allocations_left = n;
			r = foreign_judge(&findings, &tables, &policy, &view, cases[i].effects);
			allocations_left = -1;
			assert_true(r == 0 || (r == -12 && !findings.count && !findings.items));
		}
		assert_in_range(findings.count, 1, 4);
		findings_free(&findings);
		foreign_tables_free(&tables);
	}
	/* A view that is older than the policy has no addresses for its names: these may be anywhere. */
	struct foreign_tables tables;
	struct findings findings;
	read_tables(&tables, "chain b forward 0\nb: to 198.51.100.1 drop\nb: drop");
	size_t count = names.count;
	names.count = 0;
	assert_int_equal(foreign_judge(&findings, &tables, &policy, &view, EFFECTS_STOP), 0);
	assert_int_equal(findings.count, 1);
	assert_int_equal(findings.items[0].handle, 3);
	names.count = count;
	findings_free(&findings);
	foreign_tables_free(&tables);
	names_view_free(&names);
	policy_free(&policy);
	ranges_free(&gateway);
}

/* Nothing needs to be known where no rule does what is looked for. */
static void test_do_any(void **state)
{
	static const struct {
		const char *tables;
		bool intercept, stop;
	} cases[] = {
		{ "chain b forward 0\nb: accept", false, false },
		{ "chain b forward 0\nb: drop", false, true },
		{ "chain b forward 0\nb: accept\nb: drop", false, true },
		{ "chain b forward 0\nb: queue", true, false },
		{ "chain b forward 0\nb: accept\nb: redirect", true, false },
		{ "chain b forward 0 drops", false, true },
		{ "chain a forward 0\nchain b forward 0 drops", false, true },
		{ "chain b forward 0\nmap m 1=drop\nb: dports 1", false, true },
		{ "chain b forward 0\nb: offload", false, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct foreign_tables tables;
		read_tables(&tables, cases[i].tables);
		assert_int_equal(foreign_do_any(&tables, EFFECTS_INTERCEPT), cases[i].intercept);
		assert_int_equal(foreign_do_any(&tables, EFFECTS_STOP), cases[i].stop);
		assert_false(foreign_do_any(&tables, 0));
		foreign_tables_free(&tables);
	}
}

/* Chains and sets are found by family, table and name. */
static void test_finding(void **state)
{
	static const struct {
		unsigned family;
		const char *table, *name;
	} keys[] = { { 10, "t", "b" }, { 2, "t", "b" }, { 2, "u", "a" }, { 2, "t", "a" }, { 1, "z", "z" } };
	struct foreign_tables tables = { 0 };

	(void)state;
	assert_int_equal(foreign_find_chain(&tables, 2, "t", "a"), 0);
	assert_int_equal(foreign_find_set(&tables, 2, "t", "a"), 0);
	foreign_sort(&tables);
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		struct other_chain chain = { .family = keys[i].family,
					     .table = strdup(keys[i].table),
					     .name = strdup(keys[i].name),
					     .priority = (int)i };
		struct other_set set = { .family = keys[i].family,
					 .table = strdup(keys[i].table),
					 .name = strdup(keys[i].name),
					 .known = i == 3 };
		assert_int_equal(ARRAY_PUSH(&tables.chains, chain), 0);
		assert_int_equal(ARRAY_PUSH(&tables.sets, set), 0);
	}
	foreign_sort(&tables);
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		size_t at = foreign_find_chain(&tables, keys[i].family, keys[i].table, keys[i].name);
		assert_in_range(at, 1, COUNT_OF(keys));
		assert_int_equal(tables.chains.items[at - 1].priority, i);
		at = foreign_find_set(&tables, keys[i].family, keys[i].table, keys[i].name);
		assert_in_range(at, 1, COUNT_OF(keys));
		assert_int_equal(tables.sets.items[at - 1].known, i == 3);
	}
	assert_int_equal(foreign_find_chain(&tables, 2, "t", "c"), 0);
	assert_int_equal(foreign_find_chain(&tables, 2, "v", "a"), 0);
	assert_int_equal(foreign_find_set(&tables, 5, "t", "a"), 0);
	foreign_tables_free(&tables);
}

static void test_words(void **state)
{
	static const struct {
		unsigned family;
		const char *word;
	} families[] = { { 0, "unknown" }, { 1, "inet" },   { 2, "ip" },   { 3, "arp" },
			 { 5, "netdev" },  { 7, "bridge" }, { 10, "ip6" }, { 11, "unknown" } };
	static const size_t sizes[RULE_FIELDS] = { 1, 1, 4, 4, 16, 16, 2, 2, 16, 1, 16, 4, 4, 4, 1, 1 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(families); i++)
		assert_string_equal(table_family(families[i].family), families[i].word);
	for (size_t i = 0; i < RULE_FIELDS; i++)
		assert_int_equal(rule_field_size((enum rule_field)i), sizes[i]);
	assert_string_equal(effect_phrase(EFFECT_DROP), "drops it");
}

/* Findings are new ones where anything that is shown of them differs. */
static void test_findings_equal(void **state)
{
	char table[] = "t", chain[] = "c", other_table[] = "u", other_chain[] = "d";
	struct finding one[2] = {
		{ .table = table, .chain = chain, .family = 1, .handle = 1, .effect = EFFECT_QUEUE, .flow = "x" }
	};
	struct findings a = { .items = one, .count = 2 };

	(void)state;
	one[1] = one[0];
	for (int what = 0; what < 9; what++) {
		struct finding other[2] = { one[0], one[1] };
		struct findings b = { .items = other, .count = 2 };
		switch (what) {
		case 0: other[1].family = 2; break;
		case 1: other[1].handle = 2; break;
		case 2: other[1].effect = EFFECT_DUP; break;
		case 3: other[0].table = other_table; break;
		case 4: other[1].chain = other_chain; break;
		case 5: strcpy(other[0].flow, "y"); break;
		case 6: b.count = 1; break;
		case 7: b.incomplete = true; break;
		default: break;
		}
		assert_int_equal(findings_equal(&a, &b), what == 8);
		assert_int_equal(findings_equal(&b, &a), what == 8);
	}
}

/* Names of other programs' tables do no harm where they are shown. */
static void test_shown_names(void **state)
{
	struct foreign_tables tables;
	struct ranges gateway = make_ranges("192.0.2.1");
	struct interface_list own[ROLES] = { 0 };
	struct names_view names = { 0 };
	struct environment around = { .gateway = &gateway, .role_interfaces = own, .names = &names };
	struct foreign_view view = { .around = &around };
	struct findings findings;
	struct policy policy;

	(void)state;
	read_tables(&tables, "chain b forward 0\nb: drop");
	free(tables.chains.items[0].table);
	tables.chains.items[0].table = strdup(" ~\x1f\x7f\x80z");
	make_good_policy(&policy, HEAD CONSOLE);
	assert_int_equal(foreign_judge(&findings, &tables, &policy, &view, EFFECTS_STOP), 0);
	assert_int_equal(findings.count, 1);
	assert_string_equal(findings.items[0].table, " ~???z");
	assert_string_equal(findings.items[0].chain, "b");
	findings_free(&findings);
	foreign_tables_free(&tables);
	policy_free(&policy);
	ranges_free(&gateway);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opening_and_answer),
		cmocka_unit_test(test_tracking),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_some_of_any),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_many_ranges),
		cmocka_unit_test(test_interfaces),
		cmocka_unit_test(test_at_gateway),
		cmocka_unit_test(test_ping),
		cmocka_unit_test(test_intercepting),
		cmocka_unit_test(test_dns_is_no_channel),
		cmocka_unit_test(test_never_passing),
		cmocka_unit_test(test_closed_ports),
		cmocka_unit_test(test_ways),
		cmocka_unit_test(test_base_policy),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_several_flows),
		cmocka_unit_test(test_unknown_set),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_do_any),
		cmocka_unit_test(test_finding),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_findings_equal),
		cmocka_unit_test(test_shown_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
