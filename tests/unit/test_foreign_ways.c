/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which way packets take through other tables, and what is reported of what they meet there. */
#include "foreign_text.h"

#include "core/array.h"

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
	struct interface_list own[TEST_ROLES] = { 0 };
	struct names_view names = { 0 };
	struct environment environment = { .gateway = &gateway, .role_interfaces = own, .names = &names };
	struct foreign_view view = { .environment = &environment };
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
	/* The other way round, each pass over the rules learns of one chain more: there is an end to that. */
	char text[4000] = "chain b forward 0\n";
	for (int c = 1; c <= 40; c++)
		sprintf(text + strlen(text), "chain c%d none 0\n", c);
	strcat(text, "b: jump c1\n");
	for (int c = 1; c < 40; c++)
		sprintf(text + strlen(text), "c%d: jump c%d\n", c, c + 1);
	strcat(text, "c40: drop\nb: dport 8470 drop");
	assert_findings(HEAD CONSOLE, "", EFFECTS_STOP, text, "83! drop console-in");
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
	struct interface_list own[TEST_ROLES] = { 0 };
	struct policy policy;

	(void)state;
	make_good_policy(&policy, config);
	struct names_view names = make_names(&policy, "partner.example.net 198.51.100.7 2001:db8:9::7");
	struct environment environment = { .gateway = &gateway, .role_interfaces = own, .names = &names };
	struct foreign_view view = { .environment = &environment };
	for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
		struct foreign_tables tables;
		struct findings findings;
		int r = -12;
		allocations_recover = i % 2;
		read_tables(&tables, cases[i / 2].tables);
		for (long n = 0; r != 0; n++) {
			allocations_left = n;
			r = foreign_judge(&findings, &tables, &policy, &view, cases[i / 2].effects);
			allocations_left = -1;
			assert_true(r == 0 || (r == -12 && !findings.count && !findings.items));
		}
		assert_in_range(findings.count, 1, 4);
		findings_free(&findings);
		foreign_tables_free(&tables);
	}
	allocations_recover = 0;
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
		struct foreign_chain chain = { .family = keys[i].family,
					       .table = strdup(keys[i].table),
					       .name = strdup(keys[i].name),
					       .priority = (int)i };
		struct foreign_set set = { .family = keys[i].family,
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
	static const struct {
		struct finding finding;
		const char *word, *phrase, *flows;
	} findings[] = {
		{ { .effect = EFFECT_DROP, .flow = "x", .flow_count = 1 }, "drop", "drops it", "flow x" },
		{ { .effect = EFFECT_DROP, .rejects = true, .flow = "x", .flow_count = 2 },
		  "reject",
		  "rejects it",
		  "flow x and 1 more" },
		{ { .effect = EFFECT_DROP, .may = true, .flow = "y" }, "drop", "may drop it", "flow y" },
		{ { .effect = EFFECT_DROP, .rejects = true, .may = true }, "reject", "may reject it", "flow " },
		{ { .effect = EFFECT_POLICY, .flow = "x", .flow_count = 4 },
		  "policy",
		  "drops what it does not accept, as this",
		  "flow x and 3 more" },
	};
	for (size_t i = 0; i < COUNT_OF(findings); i++) {
		char flows[FLOWS_TEXT_MAX];
		assert_string_equal(finding_word(&findings[i].finding), findings[i].word);
		assert_string_equal(finding_phrase(&findings[i].finding), findings[i].phrase);
		assert_string_equal(finding_flows(&findings[i].finding, flows), findings[i].flows);
	}
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
	struct interface_list own[TEST_ROLES] = { 0 };
	struct names_view names = { 0 };
	struct environment environment = { .gateway = &gateway, .role_interfaces = own, .names = &names };
	struct foreign_view view = { .environment = &environment };
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
		cmocka_unit_test(test_ways),           cmocka_unit_test(test_several_flows),
		cmocka_unit_test(test_base_policy),    cmocka_unit_test(test_maps),
		cmocka_unit_test(test_unknown_set),    cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_no_memory),      cmocka_unit_test(test_do_any),
		cmocka_unit_test(test_finding),        cmocka_unit_test(test_words),
		cmocka_unit_test(test_findings_equal), cmocka_unit_test(test_shown_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
