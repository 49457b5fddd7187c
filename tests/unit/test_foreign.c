/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules of other tables: which of them could meet a flow. */
#include "make.h"

#include "core/array.h"
#include "core/foreign.h"

#include <errno.h>

#define CONFIG(gateway)                                                           \
	"[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n" \
	"[gateway]\nnat_except = 198.51.100.99\n" gateway "[role ADM]\nmembers = 203.0.113.0/24 2001:db8:3::/64\n"

enum { INET = 1, IP = 2 };

static char link_lan[1][CONFIG_INTERFACE_MAX + 1] = { "lan" };

/* Building. */

static size_t add_chain(struct foreign_tables *tables, const char *name, enum place place, bool nat, int priority)
{
	struct foreign_chain chain = { .family = INET,
				       .table = strdup("t"),
				       .name = strdup(name),
				       .place = place,
				       .priority = priority,
				       .nat = nat };
	assert_int_equal(ARRAY_PUSH(&tables->chains, chain), 0);
	return tables->chains.count - 1;
}

static struct foreign_rule *add_rule(struct foreign_tables *tables, size_t chain, enum effect effect, enum way way)
{
	struct foreign_rule rule = { .chain = chain,
				     .handle = tables->rules.count + 1,
				     .conditions = tables->conditions.count,
				     .exact = true,
				     .effect = (uint8_t)effect,
				     .way = (uint8_t)way,
				     .map_field = RULE_FIELDS };
	assert_int_equal(ARRAY_PUSH(&tables->rules, rule), 0);
	return &tables->rules.items[tables->rules.count - 1];
}

/* To the last rule. */
static void add_condition(struct foreign_tables *tables, enum rule_field field, bool negate, const void *first,
			  const void *last)
{
	struct rule_condition condition = { .field = (uint8_t)field, .negate = negate };
	memcpy(condition.first, first, rule_field_size(field));
	memcpy(condition.last, last, rule_field_size(field));
	assert_int_equal(ARRAY_PUSH(&tables->conditions, condition), 0);
	tables->rules.items[tables->rules.count - 1].condition_count++;
}

static void add_port(struct foreign_tables *tables, uint16_t port)
{
	uint8_t bytes[] = { port >> 8, port & 0xff };
	add_condition(tables, RULE_TARGET_PORT, false, bytes, bytes);
}

static void add_addresses(struct foreign_tables *tables, enum rule_field field, bool negate, const char *first,
			  const char *last)
{
	add_condition(tables, field, negate, make_addr(first).bytes, make_addr(last).bytes);
}

static void add_link(struct foreign_tables *tables, bool negate, const char *name)
{
	uint8_t bytes[16] = { 0 };
	memcpy(bytes, name, strlen(name));
	add_condition(tables, RULE_IN_INTERFACE, negate, bytes, bytes);
}

static int judge(struct findings *ret, const struct foreign_tables *tables, const char *config)
{
	struct ranges gateway = make_ranges("192.0.2.1 198.51.100.1 2001:db8:2::1");
	struct names_view names = { 0 };
	struct interface_list interfaces[8] = { { link_lan, 1 } };
	struct environment environment = { .gateway = &gateway, .role_interfaces = interfaces, .names = &names };
	struct policy policy;

	make_good_policy(&policy, config);
	struct foreign_view view = { .environment = &environment };
	int r = foreign_judge(ret, tables, &policy, &view, EFFECTS_INTERCEPT);
	policy_free(&policy);
	ranges_free(&gateway);
	return r;
}

/* The handles of what is found, as "1 3"; the tables are freed. */
static void assert_found(struct foreign_tables *tables, const char *config, const char *expected)
{
	struct findings findings;
	char text[200] = "";

	assert_int_equal(judge(&findings, tables, config), 0);
	for (size_t i = 0; i < findings.count; i++)
		sprintf(text + strlen(text), "%s%d", i ? " " : "", (int)findings.items[i].handle);
	assert_string_equal(text, expected);
	findings_free(&findings);
	foreign_tables_free(tables);
}

#define REPORT CONFIG("interception = report\n")

static void test_conditions(void **state)
{
	struct foreign_tables o = { 0 };
	size_t pre = add_chain(&o, "pre", PLACE_PREROUTING, true, -100);

	(void)state;
	add_rule(&o, pre, EFFECT_REDIRECT,
		 WAY_ON); /* 1: everything; WAY_ON, so that the next ones have something to meet */
	add_rule(&o, pre, EFFECT_REDIRECT, WAY_ON); /* 2 */
	add_port(&o, 443);
	add_rule(&o, pre, EFFECT_REDIRECT, WAY_ON); /* no flow has it */
	add_port(&o, 8080);
	add_rule(&o, pre, EFFECT_REDIRECT, WAY_ON); /* 4: from the server */
	add_addresses(&o, RULE_SOURCE_4, false, "192.0.2.16", "192.0.2.31");
	add_rule(&o, pre, EFFECT_REDIRECT, WAY_ON); /* no flow is from there to there */
	add_addresses(&o, RULE_SOURCE_4, false, "203.0.113.1", "203.0.113.1");
	add_addresses(&o, RULE_TARGET_4, false, "198.51.100.7", "198.51.100.7");
	add_rule(&o, pre, EFFECT_REDIRECT, WAY_ON); /* what the gateway translates, and its own addresses */
	add_addresses(&o, RULE_TARGET_4, false, "198.51.100.99", "198.51.100.99");
	add_rule(&o, pre, EFFECT_REDIRECT, WAY_ON);
	add_addresses(&o, RULE_TARGET_4, false, "198.51.100.1", "198.51.100.1");
	add_rule(&o, pre, EFFECT_REDIRECT, WAY_ON); /* to the gateway */
	add_condition(&o, RULE_LOCAL, false, "\1", "\1");
	add_rule(&o, pre, EFFECT_REDIRECT, WAY_ON); /* 9: and not to it */
	add_condition(&o, RULE_LOCAL, true, "\1", "\1");
	add_rule(&o, pre, EFFECT_REDIRECT, WAY_ON); /* a contradiction */
	add_condition(&o, RULE_FAMILY, false, "\6", "\6");
	add_addresses(&o, RULE_SOURCE_4, false, "192.0.2.25", "192.0.2.25");
	add_rule(&o, pre, EFFECT_REDIRECT, WAY_ON); /* neighbours of the server */
	add_link(&o, false, "lan");
	add_addresses(&o, RULE_SOURCE_4, true, "192.0.2.25", "192.0.2.25");
	add_condition(&o, RULE_FAMILY, false, "\4", "\4");
	add_rule(&o, pre, EFFECT_REDIRECT,
		 WAY_ON); /* the server's packets come by no other interface, and it has no console */
	add_link(&o, true, "lan");
	add_addresses(&o, RULE_SOURCE_4, false, "192.0.2.25", "192.0.2.25");
	add_rule(&o, pre, EFFECT_REDIRECT, WAY_ON); /* DNS is no channel */
	add_port(&o, 53);
	add_rule(&o, pre, EFFECT_REDIRECT, WAY_ON); /* of the loopback interface nothing of ours comes */
	add_link(&o, false, "lo");
	add_rule(&o, pre, EFFECT_DNAT, WAY_ON); /* a port forward to the server, for all but the server itself */
	o.rules.items[o.rules.count - 1].has_target = true;
	o.rules.items[o.rules.count - 1].target = make_addr("192.0.2.25");
	add_addresses(&o, RULE_TARGET_4, false, "192.0.2.0", "192.0.2.255");
	add_link(&o, false, "wan");
	add_rule(&o, pre, EFFECT_DNAT, WAY_ON); /* 16: to another */
	o.rules.items[o.rules.count - 1].has_target = true;
	o.rules.items[o.rules.count - 1].target = make_addr("192.0.2.26");
	add_addresses(&o, RULE_TARGET_4, false, "192.0.2.0", "192.0.2.255");
	add_link(&o, false, "wan");
	assert_found(&o, REPORT, "1 2 4 9 16");
}

/* What comes first may take it all. */
static void test_order(void **state)
{
	static const struct {
		bool exact, all;
		const char *found;
	} cases[] = { { true, true, "" }, { false, true, "2" }, { true, false, "2" } };

	(void)state;
	for (size_t way = WAY_DONE; way <= WAY_RETURN; way++) {
		for (size_t i = 0; i < COUNT_OF(cases); i++) {
			struct foreign_tables o = { 0 };
			size_t pre = add_chain(&o, "pre", PLACE_PREROUTING, true, -100);
			add_rule(&o, pre, EFFECT_NONE, (enum way)way)->exact = cases[i].exact;
			add_addresses(&o, RULE_SOURCE_4, false, "192.0.2.25",
				      cases[i].all ? "192.0.2.25" : "192.0.2.30");
			if (!cases[i].all)
				add_port(&o, 80);
			add_rule(&o, pre, EFFECT_REDIRECT, WAY_DONE);
			add_addresses(&o, RULE_SOURCE_4, false, "192.0.2.25", "192.0.2.25");
			assert_found(&o, REPORT, cases[i].found);
		}
	}
}

/* Jump comes back, goto does not; what a chain accepts does not come back either; loops end. */
static void test_chains(void **state)
{
	static const struct {
		enum way way, inner;
		const char *found;
	} cases[] = {
		{ WAY_JUMP, WAY_ON, "2 3" }, { WAY_GOTO, WAY_ON, "2" },     { WAY_JUMP, WAY_RETURN, "3" },
		{ WAY_JUMP, WAY_DONE, "" },  { WAY_JUMP, WAY_JUMP, "2 3" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct foreign_tables o = { 0 };
		size_t inner = add_chain(&o, "inner", PLACE_NONE, false, 0),
		       pre = add_chain(&o, "pre", PLACE_PREROUTING, true, -100);
		struct foreign_rule *rule = add_rule(&o, inner, EFFECT_NONE, cases[i].inner);
		rule->to = cases[i].inner == WAY_JUMP ? inner + 1 : 0;
		add_rule(&o, inner, EFFECT_REDIRECT, WAY_ON);
		add_port(&o, 443);
		add_rule(&o, pre, EFFECT_REDIRECT, WAY_ON);
		add_port(&o, 80);
		/* The jump is ahead of it in its chain. */
		struct foreign_rule last = o.rules.items[2];
		o.rules.items[2] = (struct foreign_rule){
			.chain = pre, .handle = 9, .exact = true, .way = (uint8_t)cases[i].way, .to = inner + 1
		};
		assert_int_equal(ARRAY_PUSH(&o.rules, last), 0);
		assert_found(&o, REPORT, cases[i].found);
	}
}

static void test_sets(void **state)
{
	struct foreign_tables o = { 0 };
	struct foreign_set set = { .family = INET, .table = strdup("t"), .name = strdup("s"), .known = true };
	size_t pre = add_chain(&o, "pre", PLACE_PREROUTING, true, -100),
	       effect = add_chain(&o, "to", PLACE_NONE, false, 0);

	(void)state;
	for (unsigned i = 0; i < 3; i++) { /* 22, 143, 443 */
		static const uint16_t ports[] = { 22, 143, 443 };
		struct set_element element = { .first = { ports[i] >> 8, ports[i] & 0xff },
					       .last = { ports[i] >> 8, ports[i] & 0xff },
					       .way = i == 2 ? WAY_JUMP : WAY_DONE,
					       .to = i == 2 ? effect + 1 : 0 };
		assert_int_equal(ARRAY_PUSH(&set, element), 0);
	}
	assert_int_equal(ARRAY_PUSH(&o.sets, set), 0);
	struct foreign_rule *map = add_rule(&o, pre, EFFECT_NONE, WAY_MAP);
	map->map_field = RULE_TARGET_PORT;
	map->to = 1;
	add_rule(&o, pre, EFFECT_REDIRECT, WAY_ON); /* the map took it */
	add_port(&o, 143);
	add_rule(&o, effect, EFFECT_REDIRECT, WAY_ON); /* 3 */
	add_port(&o, 443);
	add_rule(&o, effect, EFFECT_REDIRECT, WAY_ON); /* nothing else comes here */
	add_port(&o, 80);
	add_rule(&o, pre, EFFECT_REDIRECT, WAY_ON); /* 5: 443 came back */
	add_port(&o, 443);
	assert_found(&o, REPORT, "3 5");
}

static void test_prevent(void **state)
{
	static const struct {
		const char *config;
		int priority;
		enum place place;
		const char *found;
	} cases[] = {
		{ CONFIG(""), -100, PLACE_PREROUTING, "" },
		{ CONFIG(""), -198, PLACE_PREROUTING, "" },
		{ CONFIG(""), -199, PLACE_PREROUTING, "1" },
		{ CONFIG(""), -100, PLACE_OUTPUT, "1" },
		{ CONFIG("mode = audit\n"), -100, PLACE_PREROUTING, "1" },
		{ CONFIG("interception = block\n"), -100, PLACE_PREROUTING, "1" },
		{ CONFIG("interception = off\n"), -199, PLACE_PREROUTING, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct foreign_tables o = { 0 };
		add_rule(&o, add_chain(&o, "base", cases[i].place, true, cases[i].priority), EFFECT_REDIRECT, WAY_DONE);
		assert_found(&o, cases[i].config, cases[i].found);
	}
}

static void test_places(void **state)
{
	/* Rules for the server's packets, for those to it, for none of them. */
	static const struct {
		enum place place;
		const char *found;
	} cases[] = {
		{ PLACE_NONE, "" },       { PLACE_INGRESS, "1 2" }, { PLACE_PREROUTING, "1 2" },  { PLACE_INPUT, "1" },
		{ PLACE_FORWARD, "1 2" }, { PLACE_OUTPUT, "2" },    { PLACE_POSTROUTING, "1 2" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct foreign_tables o = { 0 };
		size_t base = add_chain(&o, "base", cases[i].place, false, 0);
		add_rule(&o, base, EFFECT_QUEUE, WAY_ON);
		add_addresses(&o, RULE_SOURCE_6, false, "2001:db8:2::25", "2001:db8:2::25");
		add_rule(&o, base, EFFECT_QUEUE, WAY_ON);
		add_addresses(&o, RULE_TARGET_6, false, "2001:db8:2::25", "2001:db8:2::25");
		add_rule(&o, base, EFFECT_QUEUE, WAY_ON);
		add_addresses(&o, RULE_TARGET_6, false, "2001:db8:2::26", "2001:db8:2::26");
		add_addresses(&o, RULE_SOURCE_6, false, "2001:db8:4::26", "2001:db8:4::26");
		assert_found(&o, REPORT, cases[i].found);
	}
}

/* Drops. */

static char link_wan[1][CONFIG_INTERFACE_MAX + 1] = { "wan" };

/* "HANDLE! " for one that stops a flow, "HANDLE? " for one that may; 0 is the policy. The tables are freed. */
static void assert_drops(struct foreign_tables *tables, const char *config, const char *expected)
{
	struct ranges gateway = make_ranges("192.0.2.1 198.51.100.1 2001:db8:2::1");
	struct interface_list interfaces[8] = { { link_lan, 1 } }, peers[64];
	struct names_view names = { 0 };
	struct environment environment = { .gateway = &gateway, .role_interfaces = interfaces, .names = &names };
	struct foreign_view view = { &environment, peers };
	struct findings findings;
	struct policy policy;
	char text[200] = "";

	for (size_t i = 0; i < COUNT_OF(peers); i++)
		peers[i] = (struct interface_list){ link_wan, 1 };
	make_good_policy(&policy, config);
	assert_int_equal(foreign_judge(&findings, tables, &policy, &view, EFFECTS_STOP), 0);
	for (size_t i = 0; i < findings.count; i++)
		sprintf(text + strlen(text), "%d%s ", (int)findings.items[i].handle, findings.items[i].may ? "?" : "!");
	assert_string_equal(text, expected);
	findings_free(&findings);
	policy_free(&policy);
	ranges_free(&gateway);
	foreign_tables_free(tables);
}

static void add_state(struct foreign_tables *tables, bool some, uint32_t bits)
{
	struct rule_condition condition = { .field = RULE_STATE, .negate = some, .masked = true };
	memcpy(condition.first, &bits, sizeof(bits));
	assert_int_equal(ARRAY_PUSH(&tables->conditions, condition), 0);
	tables->rules.items[tables->rules.count - 1].condition_count++;
}

static void test_drops(void **state)
{
	struct foreign_tables o = { 0 };
	size_t forward = add_chain(&o, "forward", PLACE_FORWARD, false, 0);

	(void)state;
	add_rule(&o, forward, EFFECT_DROP, WAY_DONE); /* invalid packets */
	add_state(&o, true, STATE_INVALID);
	add_rule(&o, forward, EFFECT_DROP, WAY_DONE); /* some peers of ANY */
	add_addresses(&o, RULE_SOURCE_4, false, "198.18.0.0", "198.19.255.255");
	add_rule(&o, forward, EFFECT_DROP, WAY_DONE)->excess = true;
	add_rule(&o, forward, EFFECT_DROP, WAY_DONE)->exact = false; /* 4: who knows */
	add_port(&o, 143);
	add_rule(&o, forward, EFFECT_DROP, WAY_DONE); /* 5 */
	add_port(&o, 443);
	add_state(&o, true, STATE_NEW);
	add_rule(&o, forward, EFFECT_DROP, WAY_DONE); /* no interface that peers come by */
	add_link(&o, false, "adm");
	add_rule(&o, forward, EFFECT_DROP, WAY_DONE); /* 7: some of ADM */
	add_port(&o, 8470);
	add_addresses(&o, RULE_SOURCE_4, false, "203.0.113.0", "203.0.113.99");
	add_rule(&o, forward, EFFECT_NONE, WAY_DONE); /* what is accepted, even if in doubt, is not stopped for sure */
	add_port(&o, 993);
	o.rules.items[o.rules.count - 1].exact = false;
	add_rule(&o, forward, EFFECT_DROP, WAY_DONE); /* 9 */
	add_port(&o, 993);
	add_rule(&o, forward, EFFECT_DROP, WAY_DONE); /* 443 is gone already */
	add_port(&o, 443);
	assert_drops(&o, REPORT, "4? 5! 7? 9? ");
}

static void test_policies(void **state)
{
	static const struct {
		enum place place;
		bool accept;
		const char *found;
	} cases[] = {
		{ PLACE_FORWARD, false, "0! " },
		{ PLACE_FORWARD, true, "" },
		{ PLACE_PREROUTING, false, "0? " /* where it goes is not known yet */ },
		{ PLACE_POSTROUTING, false, "0! " },
		{ PLACE_INPUT, false, "" },
		{ PLACE_OUTPUT, false, "" },
		{ PLACE_NONE, false, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct foreign_tables o = { 0 };
		size_t base = add_chain(&o, "base", cases[i].place, false, 0);
		o.chains.items[base].drops = true;
		add_rule(&o, base, EFFECT_NONE, WAY_DONE);
		add_link(&o, false, cases[i].accept ? "lan" : "adm");
		add_rule(&o, base, EFFECT_NONE, WAY_DONE);
		uint8_t name[16] = { 0 };
		memcpy(name, cases[i].accept ? "lan" : "adm", 3);
		add_condition(&o, RULE_OUT_INTERFACE, false, name, name);
		assert_drops(&o, REPORT, cases[i].found);
	}
	/* The gateway's own name server. */
	struct foreign_tables o = { 0 };
	size_t base = add_chain(&o, "base", PLACE_INPUT, false, 0);
	o.chains.items[base].drops = true;
	assert_drops(&o,
		     "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.1\n[role ADM]\nmembers = 203.0.113.0/24\n",
		     "0! ");
	/* A chain of the other family sees nothing of it. */
	base = add_chain(&o, "base", PLACE_FORWARD, false, 0);
	o.chains.items[base].drops = true;
	o.chains.items[base].family = FOREIGN_FAMILY_IP6;
	assert_drops(&o,
		     "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53\n[role ADM]\nmembers = 203.0.113.0/24\n",
		     "");
}

static void test_drops_by_jumps(void **state)
{
	struct foreign_tables o = { 0 };
	size_t blocks = add_chain(&o, "blocks", PLACE_NONE, false, 0),
	       lets = add_chain(&o, "lets", PLACE_NONE, false, 0);
	size_t forward = add_chain(&o, "forward", PLACE_FORWARD, false, 0);

	(void)state;
	add_rule(&o, forward, EFFECT_NONE, WAY_JUMP)->to = blocks + 1; /* some of ANY */
	add_addresses(&o, RULE_SOURCE_4, false, "198.18.0.1", "198.18.0.1");
	add_rule(&o, blocks, EFFECT_DROP, WAY_DONE); /* 2 */
	add_rule(&o, forward, EFFECT_NONE, WAY_JUMP)->to = lets + 1;
	add_rule(&o, lets, EFFECT_NONE, WAY_DONE); /* what comes here is accepted: mail, wholly; 443 of some */
	add_port(&o, 143);
	add_rule(&o, lets, EFFECT_NONE, WAY_DONE);
	add_port(&o, 443);
	add_addresses(&o, RULE_SOURCE_4, false, "198.18.0.0", "198.18.0.255");
	add_rule(&o, forward, EFFECT_DROP, WAY_DONE); /* 6: not met */
	add_port(&o, 143);
	add_rule(&o, forward, EFFECT_DROP, WAY_DONE); /* 7: all but some */
	add_port(&o, 443);
	add_condition(&o, RULE_FAMILY, false, "\4", "\4");
	add_addresses(&o, RULE_TARGET_4, false, "192.0.2.25", "192.0.2.25");
	add_rule(&o, forward, EFFECT_NONE, WAY_GOTO)->to = blocks + 1; /* 993, wholly: 2 becomes sure */
	add_port(&o, 993);
	assert_drops(&o, REPORT, "2! 7? ");
}

/* Nothing is missed: packets of flows through random chains, one by one. */

static uint64_t seed = 1;

static unsigned roll(unsigned sides)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % sides;
}

struct probe {
	uint8_t values[RULE_FIELDS][16];
};

static bool holds(const struct foreign_tables *o, const struct foreign_rule *rule, const struct probe *probe)
{
	for (size_t i = 0; i < rule->condition_count; i++) {
		const struct rule_condition *condition = &o->conditions.items[rule->conditions + i];
		size_t size = rule_field_size((enum rule_field)condition->field);
		const uint8_t *value = probe->values[condition->field];
		bool inside = memcmp(value, condition->first, size) >= 0 && memcmp(value, condition->last, size) <= 0;
		if (inside == condition->negate)
			return false;
	}
	return rule->exact || roll(2);
}

/* False: the base chain is left. */
static bool run(const struct foreign_tables *o, size_t chain, const struct probe *probe, bool *reached, int depth)
{
	for (size_t i = 0; i < o->rules.count && depth < 16; i++) {
		const struct foreign_rule *rule = &o->rules.items[i];
		if (rule->chain != chain || !holds(o, rule, probe))
			continue;
		reached[i] |= rule->effect != EFFECT_NONE;
		if (rule->way == WAY_DONE)
			return false;
		if (rule->way == WAY_RETURN)
			return true;
		if (rule->way == WAY_JUMP || rule->way == WAY_GOTO) {
			if (!run(o, rule->to - 1, probe, reached, depth + 1))
				return false;
			if (rule->way == WAY_GOTO)
				return true;
		}
	}
	return true;
}

static void random_rules(struct foreign_tables *o)
{
	static const char *const addresses[] = { "192.0.2.0",    "192.0.2.25",  "192.0.2.26",
						 "198.51.100.7", "203.0.113.5", "203.0.113.255" };
	static const char *const interfaces[] = { "lan", "wan" };
	static const uint16_t ports[] = { 80, 143, 443, 8470 };
	size_t chains[3];

	for (unsigned i = 0; i < 3; i++)
		chains[i] = add_chain(o, (const char *[]){ "a", "b", "c" }[i], i == 2 ? PLACE_PREROUTING : PLACE_NONE,
				      true, -100);
	for (unsigned i = 0; i < 12; i++) {
		static const enum way ways[] = { WAY_ON, WAY_ON, WAY_DONE, WAY_RETURN, WAY_JUMP, WAY_GOTO };
		size_t chain = i < 4 ? 0 : i < 8 ? 1 : 2;
		enum way way = ways[roll(COUNT_OF(ways))];
		if (chain == 0 && (way == WAY_JUMP || way == WAY_GOTO))
			way = WAY_ON;
		struct foreign_rule *rule = add_rule(o, chains[chain], roll(3) ? EFFECT_NONE : EFFECT_REDIRECT, way);
		rule->to = way == WAY_JUMP || way == WAY_GOTO ? chains[roll((unsigned)chain)] + 1 : 0;
		rule->exact = roll(4) != 0;
		for (unsigned c = roll(3); c > 0; c--) {
			unsigned low = roll(COUNT_OF(addresses)),
				 high = low + roll((unsigned)COUNT_OF(addresses) - low);
			switch (roll(3)) {
			case 0:
				add_addresses(o, roll(2) ? RULE_SOURCE_4 : RULE_TARGET_4, roll(3) == 0, addresses[low],
					      addresses[high]);
				break;
			case 1: add_port(o, ports[roll(COUNT_OF(ports))]); break;
			default: add_link(o, roll(3) == 0, interfaces[roll(2)]);
			}
		}
	}
}

static void random_probe(struct probe *probe)
{
	static const uint16_t in_ports[] = { 143, 443, 8470 }, out_ports[] = { 80, 143, 443 };
	bool inbound = roll(2);
	const char *peer = inbound ? (const char *[]){ "203.0.113.5", "203.0.113.255" }[roll(2)]
				   : (const char *[]){ "198.51.100.7", "203.0.113.5" }[roll(2)];
	uint16_t port = inbound ? in_ports[roll(3)] : out_ports[roll(3)];

	memset(probe, 0, sizeof(*probe));
	memcpy(probe->values[RULE_SOURCE_4], make_addr(inbound ? peer : "192.0.2.25").bytes, 4);
	memcpy(probe->values[RULE_TARGET_4], make_addr(inbound ? "192.0.2.25" : peer).bytes, 4);
	probe->values[RULE_TARGET_PORT][0] = port >> 8;
	probe->values[RULE_TARGET_PORT][1] = port & 0xff;
	memcpy(probe->values[RULE_IN_INTERFACE], inbound ? "wan" : "lan", 3);
}

static void test_nothing_is_missed(void **state)
{
	unsigned reached_ever = 0, quiet = 0;

	(void)state;
	for (unsigned round = 0; round < 400; round++) {
		struct foreign_tables o = { 0 };
		struct findings findings;
		bool reached[16] = { false };
		struct probe probe;

		random_rules(&o);
		for (unsigned i = 0; i < 60; i++) {
			random_probe(&probe);
			run(&o, 2, &probe, reached, 0);
		}
		assert_int_equal(judge(&findings, &o, REPORT), 0);
		for (size_t i = 0; i < o.rules.count; i++) {
			bool found = false;
			for (size_t f = 0; f < findings.count; f++)
				found |= findings.items[f].handle == o.rules.items[i].handle;
			if (reached[i] && !found)
				fail_msg("round %u: rule %zu was reached, and is not reported", round, i + 1);
			reached_ever += reached[i];
			quiet += !found && o.rules.items[i].effect != EFFECT_NONE;
		}
		findings_free(&findings);
		foreign_tables_free(&o);
	}
	assert_true(reached_ever > 200);
	assert_true(quiet > 200);
}

/* In parts of so many steps. *ret_parts: how many there were. */
static void judge_in_parts(struct findings *ret, const struct foreign_tables *tables, const char *config,
			   unsigned effects, size_t steps, size_t *ret_parts)
{
	struct ranges gateway = make_ranges("192.0.2.1 198.51.100.1 2001:db8:2::1");
	struct names_view names = { 0 };
	struct interface_list interfaces[8] = { { link_lan, 1 } };
	struct environment environment = { .gateway = &gateway, .role_interfaces = interfaces, .names = &names };
	struct foreign_view view = { .environment = &environment };
	struct judging *judging;
	struct policy policy;
	int r;

	make_good_policy(&policy, config);
	assert_int_equal(foreign_judge_begin(&judging, ret, tables, &policy, &view, effects), 0);
	for (*ret_parts = 1; (r = foreign_judge_some(judging, steps)) > 0;)
		++*ret_parts;
	assert_int_equal(r, 0);
	foreign_judge_end(judging);
	policy_free(&policy);
	ranges_free(&gateway);
}

static void test_in_parts(void **state)
{
	size_t one, many, sum = 0;

	(void)state;
	for (unsigned round = 0; round < 100; round++) {
		struct foreign_tables o = { 0 };
		struct findings whole, parts;

		random_rules(&o);
		judge_in_parts(&whole, &o, REPORT, EFFECTS_INTERCEPT | EFFECTS_STOP, SIZE_MAX / 2, &one);
		judge_in_parts(&parts, &o, REPORT, EFFECTS_INTERCEPT | EFFECTS_STOP, 1, &many);
		assert_int_equal(one, 1);
		sum += many;
		assert_true(findings_equal(&whole, &parts));
		findings_free(&whole);
		findings_free(&parts);
		foreign_tables_free(&o);
	}
	assert_true(sum > 100 * 100);
}

enum { PART = 100 * 1000, PARTS_MAX = 200 }; /* of the budget, and a few */

/* Chains that jump to the next one twice: no budget is enough for all the ways. And one of them is enough for all base
 * chains. */
static void test_budget(void **state)
{
	struct foreign_tables o = { 0 };
	struct findings findings;
	size_t parts, next;

	(void)state;
	for (int base = 0; base < 20; base++) {
		size_t chain = add_chain(&o, "base", PLACE_FORWARD, false, base);
		for (int depth = 0; depth < 15; depth++, chain = next) {
			next = add_chain(&o, "further", PLACE_NONE, false, 0);
			for (int twice = 0; twice < 2; twice++)
				add_rule(&o, chain, EFFECT_NONE, WAY_JUMP)->to = next + 1;
		}
		add_rule(&o, chain, EFFECT_NOTRACK, WAY_ON);
	}
	judge_in_parts(&findings, &o, REPORT, EFFECTS_INTERCEPT, PART, &parts);
	assert_true(findings.incomplete);
	assert_in_range(parts, 100, PARTS_MAX);
	findings_free(&findings);
	foreign_tables_free(&o);
}

/* More rules that intercept than anybody reads. */
static void test_many_findings(void **state)
{
	struct foreign_tables o = { 0 };
	struct findings findings;
	size_t chain = add_chain(&o, "pre", PLACE_PREROUTING, true, -100), parts;

	(void)state;
	for (int i = 0; i < 1001; i++)
		add_rule(&o, chain, EFFECT_REDIRECT, WAY_ON);
	judge_in_parts(&findings, &o, REPORT, EFFECTS_INTERCEPT, PART, &parts);
	assert_int_equal(findings.count, 1000);
	assert_true(findings.incomplete);
	findings_free(&findings);
	foreign_tables_free(&o);
}

/* Many rules with a large set, and a large map: looked at wholly, by few steps. */
static void test_large_sets(void **state)
{
	struct foreign_tables o = { 0 };
	struct foreign_set set = { .family = INET, .table = strdup("t"), .name = strdup("bad"), .known = true };
	struct findings findings;
	size_t parts;

	(void)state;
	for (uint32_t i = 0; i < 4000; i++) {
		struct set_element element = { .first = { 10, (uint8_t)(i >> 8), (uint8_t)i, 1 }, .way = WAY_DONE };
		memcpy(element.last, element.first, 4);
		assert_int_equal(ARRAY_PUSH(&set, element), 0);
	}
	assert_int_equal(ARRAY_PUSH(&o.sets, set), 0);
	size_t chain = add_chain(&o, "pass", PLACE_FORWARD, false, 0);
	for (int i = 0; i < 1000; i++) {
		add_rule(&o, chain, EFFECT_QUEUE, WAY_DONE);
		add_condition(&o, RULE_TARGET_4, false, "\300\0\2\31", "\300\0\2\31"); /* 192.0.2.25 */
		add_condition(&o, RULE_SOURCE_4, false, "\300\0\2\31", "\300\0\2\31");
		o.conditions.items[o.conditions.count - 1].set = 1;
		if (i >= 4)
			continue;
		struct foreign_rule *rule = add_rule(&o, chain, EFFECT_NONE, WAY_MAP);
		rule->to = 1;
		rule->map_field = RULE_TARGET_4;
		add_condition(&o, RULE_PROTOCOL, false, "\6", "\6");
	}
	judge_in_parts(&findings, &o, REPORT, EFFECTS_INTERCEPT, PART, &parts);
	assert_false(findings.incomplete);
	assert_in_range(findings.count, 1, 1000);
	assert_in_range(parts, 1, PARTS_MAX / 4);
	findings_free(&findings);
	foreign_tables_free(&o);
}

static void test_no_memory(void **state)
{
	bool done = false;

	(void)state;
	for (long n = 0; !done; n++) {
		struct foreign_tables o = { 0 };
		struct findings findings = { 0 };
		struct ranges gateway = make_ranges("192.0.2.1");
		struct names_view names = { 0 };
		struct interface_list interfaces[8] = { { link_lan, 1 } };
		struct environment environment = { .gateway = &gateway,
						   .role_interfaces = interfaces,
						   .names = &names };
		struct policy policy;

		make_good_policy(&policy, REPORT);
		random_rules(&o);
		allocations_left = n;
		int r = foreign_judge(&findings, &o, &policy, &(struct foreign_view){ .environment = &environment },
				      EFFECTS_INTERCEPT);
		allocations_left = -1;
		done = r == 0;
		assert_true(r == 0 || (r == -ENOMEM && !findings.count && !findings.items));
		findings_free(&findings);
		foreign_tables_free(&o);
		policy_free(&policy);
		ranges_free(&gateway);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conditions),     cmocka_unit_test(test_order),
		cmocka_unit_test(test_chains),         cmocka_unit_test(test_sets),
		cmocka_unit_test(test_prevent),        cmocka_unit_test(test_places),
		cmocka_unit_test(test_drops),          cmocka_unit_test(test_policies),
		cmocka_unit_test(test_drops_by_jumps), cmocka_unit_test(test_nothing_is_missed),
		cmocka_unit_test(test_in_parts),       cmocka_unit_test(test_budget),
		cmocka_unit_test(test_large_sets),     cmocka_unit_test(test_many_findings),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
