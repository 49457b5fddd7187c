/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "foreign_text.h"

#include "core/array.h"

enum { TABLE_INET = 1, TABLE_IP = 2, TABLE_IP6 = 10 };

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
	struct foreign_chain chain = { .family = TABLE_INET, .table = strdup("t") };
	char *word;

	chain.name = strdup(strsep(&words, " "));
	chain.place = find_place(strsep(&words, " "));
	chain.priority = atoi(strsep(&words, " "));
	while ((word = strsep(&words, " "))) {
		chain.nat |= strcmp(word, "nat") == 0;
		chain.drops |= strcmp(word, "drops") == 0;
		chain.interfaces_unknown |= strcmp(word, "unknown") == 0;
		chain.legacy |= strcmp(word, "legacy") == 0;
		if (strncmp(word, "of-", 3) == 0) {
			free(chain.table);
			chain.table = strdup(word + 3);
		}
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
	struct foreign_set set = { .family = TABLE_INET, .table = strdup("t"), .known = true };
	char *word;

	set.name = strdup(strsep(&words, " "));
	while ((word = strsep(&words, " "))) {
		struct rule_condition interval;
		struct set_element element = { 0 };
		if (strcmp(word, "unknown") == 0) {
			set.known = false;
			continue;
		}
		read_interval(&interval, word);
		memcpy(element.first, interval.first, 16);
		memcpy(element.last, interval.last, 16);
		assert_int_equal(ARRAY_PUSH(&set, element), 0);
	}
	assert_int_equal(ARRAY_PUSH(&tables->sets, set), 0);
}

static void read_map(struct foreign_tables *tables, char *words)
{
	struct foreign_set map = { .family = TABLE_INET, .table = strdup("t"), .known = true };
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
		add_condition(tables, condition, *kind == 'i' ? RULE_IN_INTERFACE : RULE_OUT_INTERFACE);
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

static void read_verdict(struct foreign_tables *tables, struct foreign_rule *rule, const char *word, const char *value)
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
	struct foreign_rule rule = { .chain = find_chain(tables, chain),
				     .handle = line,
				     .exact = true,
				     .conditions = tables->conditions.count,
				     .map_field = RULE_FIELDS };
	char *word;

	rule.number = ++tables->chains.items[rule.chain].rule_count;
	assert_int_equal(ARRAY_PUSH(&tables->rules, rule), 0);
	while ((word = strsep(&words, " "))) {
		struct foreign_rule *last = &tables->rules.items[tables->rules.count - 1];
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

void read_tables(struct foreign_tables *ret, const char *text)
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

void assert_findings(const char *config, const char *names, unsigned effects, const char *tables, const char *expected)
{
	struct ranges gateway = make_ranges("192.0.2.1 198.51.100.1 2001:db8:2::1");
	char lan[TEST_ROLES][1][CONFIG_INTERFACE_MAX + 1], wan[TEST_FLOWS][2][CONFIG_INTERFACE_MAX + 1];
	struct interface_list own[TEST_ROLES], peers[TEST_FLOWS];
	struct foreign_tables others;
	struct findings findings;
	struct policy policy;

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
	struct environment environment = { .gateway = &gateway, .role_interfaces = own, .names = &view };
	const struct foreign_view foreign = { &environment, peers };
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
