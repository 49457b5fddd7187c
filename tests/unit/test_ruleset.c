/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table as plain data, and in nft's words. */
#include "make.h"

static const struct term base = { .kind = TERM_MATCH, .name = "a" };

/* Rules are the same where all that the kernel knows of them is. */
static void test_rule_equal(void **state)
{
	struct term terms[15];
	struct rule one = { .items = terms, .count = 2 }, other;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(terms); i++)
		terms[i] = base;
	terms[2].kind = TERM_IN;
	terms[3].field = FIELD_IP_DADDR;
	terms[4].action = ACTION_DROP;
	terms[5].negate = true;
	terms[6].first[0] = 1;
	terms[7].first[KEY_SIZE_MAX - 1] = 1;
	terms[8].last[0] = 1;
	terms[9].last[KEY_SIZE_MAX - 1] = 1;
	terms[10].bits = 1;
	terms[11].rate = 1;
	terms[12].burst = 1;
	terms[13].snaplen = 1;
	terms[14].group = 1;
	assert_true(rule_equal(&one, &one));
	for (size_t i = 2; i < COUNT_OF(terms); i++) {
		struct term pair[] = { base, terms[i] };
		other = (struct rule){ .items = pair, .count = 2 };
		assert_false(rule_equal(&one, &other));
		assert_false(rule_equal(&other, &one));
	}
	other = (struct rule){ .items = terms, .count = 1 };
	assert_false(rule_equal(&one, &other));
	assert_false(rule_equal(&other, &one));
	for (int i = 0; i < 3; i++) {
		char name[] = "a";
		struct term named = base;
		named.name = i == 0 ? name : i == 1 ? "b" : NULL;
		struct term pair[] = { named, base };
		other = (struct rule){ .items = pair, .count = 2 };
		assert_int_equal(rule_equal(&one, &other), i == 0);
		assert_int_equal(rule_equal(&other, &one), i == 0);
	}
	struct term none = base, none_too = base;
	none.name = none_too.name = NULL;
	assert_true(rule_equal(&(struct rule){ .items = &none, .count = 1 },
			       &(struct rule){ .items = &none_too, .count = 1 }));
}

static void add_port(struct ruleset *ruleset, const char *set, unsigned first, unsigned last)
{
	struct element element = { .first = { (uint8_t)(first >> 8), (uint8_t)first },
				   .last = { (uint8_t)(last >> 8), (uint8_t)last } };
	set_add(ruleset, ruleset_find_set(ruleset, set), &element);
}

static void test_building(void **state)
{
	struct ruleset ruleset = { 0 };

	(void)state;
	ruleset_counter(&ruleset, ruleset_string(&ruleset, "in_%d", 7));
	ruleset_counter(&ruleset, "out");
	assert_string_equal(ruleset_string(&ruleset, "%s", ""), ""); /* no failure */
	assert_false(ruleset.failed);
	ruleset_set(&ruleset, "first", KEY_PORT, SET_INTERVAL);
	ruleset_set(&ruleset, "second", KEY_PORT, 0);
	ruleset_chain(&ruleset, "one");
	ruleset_chain(&ruleset, "two");
	assert_true(ruleset_has_counter(&ruleset, "in_7"));
	assert_true(ruleset_has_counter(&ruleset, "out"));
	assert_false(ruleset_has_counter(&ruleset, "in"));
	assert_ptr_equal(ruleset_find_set(&ruleset, "first"), &ruleset.sets.items[0]);
	assert_ptr_equal(ruleset_find_set(&ruleset, "second"), &ruleset.sets.items[1]);
	assert_null(ruleset_find_set(&ruleset, "third"));
	assert_ptr_equal(ruleset_find_chain(&ruleset, "one"), &ruleset.chains.items[0]);
	assert_ptr_equal(ruleset_find_chain(&ruleset, "two"), &ruleset.chains.items[1]);
	assert_null(ruleset_find_chain(&ruleset, "three"));

	/* Elements are sorted in all sets, whichever of them come last. */
	add_port(&ruleset, "first", 80, 80);
	add_port(&ruleset, "first", 443, 443);
	add_port(&ruleset, "first", 25, 25);
	add_port(&ruleset, "second", 2, 2);
	add_port(&ruleset, "second", 1, 1);
	assert_int_equal(ruleset_finish(&ruleset), 0);
	for (size_t s = 0; s < 2; s++)
		for (size_t i = 1; i < ruleset.sets.items[s].count; i++)
			assert_true(element_compare(&ruleset.sets.items[s].items[i - 1],
						    &ruleset.sets.items[s].items[i], 2) < 0);
	ruleset_free(&ruleset);
	assert_null(ruleset_find_set(&ruleset, "first"));
}

/* What was not made is remembered, however it goes on. */
static void test_no_memory(void **state)
{
	(void)state;
	for (int what = 0; what < 7; what++) {
		struct ruleset ruleset = { 0 };
		struct set *set = ruleset_set(&ruleset, "s", KEY_PORT, 0);
		struct chain *chain = ruleset_chain(&ruleset, "c");
		struct rule *rule = chain_rule(&ruleset, chain);
		assert_false(ruleset.failed);
		ruleset.sets.capacity = ruleset.sets.count; /* the next one needs memory */
		ruleset.chains.capacity = ruleset.chains.count;
		chain->capacity = chain->count;
		struct element element = { .first = { 1 } };
		allocations_left = 0;
		switch (what) {
		case 0: assert_null(ruleset_string(&ruleset, "text")); break;
		case 1: ruleset_counter(&ruleset, "counter"); break;
		case 2: assert_null(ruleset_set(&ruleset, "t", KEY_PORT, 0)); break;
		case 3: assert_null(ruleset_chain(&ruleset, "d")); break;
		case 4: set_add(&ruleset, set, &element); break;
		case 5: assert_null(chain_rule(&ruleset, chain)); break;
		default: rule_add(&ruleset, rule, &base);
		}
		allocations_left = -1;
		assert_true(ruleset.failed);
		assert_int_equal(ruleset_finish(&ruleset), -12);
		ruleset_free(&ruleset);
	}
	/* Nor is what it would have been a part of. */
	for (int what = 0; what < 6; what++) {
		struct ruleset ruleset = { 0 };
		switch (what) {
		case 0: ruleset_counter(&ruleset, NULL); break;
		case 1: assert_null(ruleset_set(&ruleset, NULL, KEY_PORT, 0)); break;
		case 2: assert_null(ruleset_chain(&ruleset, NULL)); break;
		case 3: set_add(&ruleset, NULL, &(struct element){ 0 }); break;
		case 4: assert_null(chain_rule(&ruleset, NULL)); break;
		default: rule_add(&ruleset, NULL, &base);
		}
		assert_true(ruleset.failed);
		ruleset_free(&ruleset);
	}
	/* A string that could not be kept is freed. */
	struct ruleset ruleset = { 0 };
	allocations_left = 1;
	assert_null(ruleset_string(&ruleset, "text"));
	allocations_left = -1;
	assert_true(ruleset.failed);
	ruleset_free(&ruleset);
}

/* A chain with this rule alone. */
static void assert_terms(struct term *terms, size_t count, const char *expected)
{
	struct rule rule = { .items = terms, .count = count };
	struct chain chain = { .name = "c", .items = &rule, .count = 1 };
	struct ruleset ruleset = { .chains = { .items = &chain, .count = 1 } };
	char *text = ruleset_text(&ruleset, 0);

	assert_non_null(text);
	char *begin = strstr(text, "chain c {\n\t\t");
	assert_non_null(begin);
	begin += strlen("chain c {\n\t\t");
	begin[strcspn(begin, "\n")] = '\0';
	assert_string_equal(begin, expected);
	free(text);
}

static void assert_rule(struct term term, const char *expected)
{
	assert_terms(&term, 1, expected);
}

static struct term match(enum field field, const char *first, const char *last)
{
	struct term term = { .kind = TERM_MATCH, .field = (uint8_t)field };
	memcpy(term.first, make_addr(first).bytes, 16);
	memcpy(term.last, make_addr(last).bytes, 16);
	return term;
}

static struct term number(enum field field, bool negate, unsigned first, unsigned last)
{
	struct term term = { .kind = TERM_MATCH, .field = (uint8_t)field, .negate = negate };
	if (field_size(field) == 2)
		term = (struct term){ .kind = TERM_MATCH,
				      .field = (uint8_t)field,
				      .negate = negate,
				      .first = { (uint8_t)(first >> 8), (uint8_t)first },
				      .last = { (uint8_t)(last >> 8), (uint8_t)last } };
	else
		term.first[0] = (uint8_t)first, term.last[0] = (uint8_t)last;
	return term;
}

static void test_matches(void **state)
{
	static const struct {
		enum field field;
		unsigned value;
		const char *text;
	} numbers[] = {
		{ FIELD_TCP_SPORT, 258, "tcp sport 258" },
		{ FIELD_TCP_DPORT, 65535, "tcp dport 65535" },
		{ FIELD_UDP_SPORT, 53, "udp sport 53" },
		{ FIELD_UDP_DPORT, 53, "udp dport 53" },
		{ FIELD_CT_DPORT, 8470, "ct original proto-dst 8470" },
		{ FIELD_L4PROTO, 1, "meta l4proto icmp" },
		{ FIELD_L4PROTO, 6, "meta l4proto tcp" },
		{ FIELD_L4PROTO, 17, "meta l4proto udp" },
		{ FIELD_L4PROTO, 58, "meta l4proto icmpv6" },
		{ FIELD_L4PROTO, 47, "meta l4proto 47" },
		{ FIELD_ICMP_TYPE, 8, "icmp type echo-request" },
		{ FIELD_ICMPV6_TYPE, 128, "icmpv6 type echo-request" },
		{ FIELD_ICMPV6_TYPE, 130, "icmpv6 type mld-listener-query" },
		{ FIELD_ICMPV6_TYPE, 131, "icmpv6 type mld-listener-report" },
		{ FIELD_ICMPV6_TYPE, 133, "icmpv6 type nd-router-solicit" },
		{ FIELD_ICMPV6_TYPE, 134, "icmpv6 type nd-router-advert" },
		{ FIELD_ICMPV6_TYPE, 135, "icmpv6 type nd-neighbor-solicit" },
		{ FIELD_ICMPV6_TYPE, 136, "icmpv6 type nd-neighbor-advert" },
		{ FIELD_ICMPV6_TYPE, 137, "icmpv6 type nd-redirect" },
		{ FIELD_ICMPV6_TYPE, 143, "icmpv6 type mld2-listener-report" },
		{ FIELD_ICMPV6_TYPE, 3, "icmpv6 type 3" },
		{ FIELD_IP6_HOPLIMIT, 255, "ip6 hoplimit 255" },
		{ FIELD_IP6_NEXTHDR, 6, "ip6 nexthdr tcp" },
		{ FIELD_FIRST_BYTE, 0x45, "@nh,0,8 0x45" },
		{ FIELD_SEGMENTS_LEFT, 1, "rt seg-left 1" },
		{ FIELD_CT_DIRECTION, 0, "ct direction original" },
		{ FIELD_CT_DIRECTION, 1, "ct direction reply" },
		{ FIELD_PKTTYPE, 0, "meta pkttype host" },
		{ FIELD_PKTTYPE, 1, "meta pkttype broadcast" },
		{ FIELD_PKTTYPE, 2, "meta pkttype multicast" },
	};
	static const struct {
		enum field field;
		const char *first, *last, *text;
	} addresses[] = {
		{ FIELD_IP_SADDR, "192.0.2.25", "192.0.2.25", "ip saddr 192.0.2.25" },
		{ FIELD_IP_DADDR, "192.0.2.0", "192.0.2.255", "ip daddr 192.0.2.0/24" },
		{ FIELD_IP_DADDR, "192.0.2.2", "192.0.2.3", "ip daddr 192.0.2.2/31" },
		{ FIELD_IP_DADDR, "192.0.2.1", "192.0.2.2", "ip daddr 192.0.2.1-192.0.2.2" },
		{ FIELD_IP_DADDR, "192.0.2.0", "192.0.2.254", "ip daddr 192.0.2.0-192.0.2.254" },
		{ FIELD_IP_DADDR, "192.0.2.1", "192.0.2.255", "ip daddr 192.0.2.1-192.0.2.255" },
		{ FIELD_IP_DADDR, "0.0.0.0", "255.255.255.255", "ip daddr 0.0.0.0/0" },
		{ FIELD_IP_DADDR, "128.0.0.0", "255.255.255.255", "ip daddr 128.0.0.0/1" },
		{ FIELD_CT_IP_DADDR, "192.0.2.1", "192.0.2.1", "ct original ip daddr 192.0.2.1" },
		{ FIELD_IP6_SADDR, "2001:db8::1", "2001:db8::1", "ip6 saddr 2001:db8::1" },
		{ FIELD_IP6_DADDR, "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", "ip6 daddr 2001:db8::/64" },
		{ FIELD_IP6_DADDR, "2001:db8::", "2001:db8::7fff:ffff:ffff:ffff", "ip6 daddr 2001:db8::/65" },
		{ FIELD_CT_IP6_DADDR, "::1", "::2", "ct original ip6 daddr ::1-::2" },
	};
	static const struct {
		enum field field;
		bool negate;
		const char *text;
	} words[] = {
		{ FIELD_TCP_SYN_ACK, false, "tcp flags & (syn | ack) == syn" },
		{ FIELD_TCP_SYN_ACK, true, "tcp flags & (syn | ack) != syn" },
		{ FIELD_TCP_RST, false, "tcp flags & rst == rst" },
		{ FIELD_FIB_LOCAL, false, "fib daddr type local" },
		{ FIELD_FIB_UNICAST, false, "fib daddr type unicast" },
		{ FIELD_CT_STATUS, false, "ct status dnat" },
		{ FIELD_CT_STATUS, true, "ct status ! dnat" },
		{ FIELD_IP_LSRR, false, "ip option lsrr exists" },
		{ FIELD_IP_SSRR, false, "ip option ssrr exists" },
		{ FIELD_ROUTING, false, "exthdr rt exists" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		assert_rule(number(numbers[i].field, false, numbers[i].value, numbers[i].value), numbers[i].text);
	assert_rule(number(FIELD_TCP_DPORT, true, 443, 443), "tcp dport != 443");
	assert_rule(number(FIELD_TCP_DPORT, false, 1024, 2047), "tcp dport 1024-2047");
	for (size_t i = 0; i < COUNT_OF(addresses); i++)
		assert_rule(match(addresses[i].field, addresses[i].first, addresses[i].last), addresses[i].text);
	for (size_t i = 0; i < COUNT_OF(words); i++)
		assert_rule((struct term){ .kind = TERM_MATCH,
					   .field = (uint8_t)words[i].field,
					   .negate = words[i].negate },
			    words[i].text);
	assert_rule((struct term){ .kind = TERM_MATCH, .field = FIELD_CT_STATE, .bits = CT_NEW }, "ct state new");
	assert_rule((struct term){ .kind = TERM_MATCH,
				   .field = FIELD_CT_STATE,
				   .bits = CT_INVALID | CT_ESTABLISHED | CT_RELATED },
		    "ct state invalid,established,related");
	assert_rule((struct term){ .kind = TERM_MATCH, .field = FIELD_IIFNAME, .first = "lan", .last = "lan" },
		    "iifname \"lan\"");
	assert_rule((struct term){ .kind = TERM_MATCH,
				   .field = FIELD_OIFNAME,
				   .negate = true,
				   .first = "lan",
				   .last = "lan" },
		    "oifname != \"lan\"");
}

static void test_statements(void **state)
{
	static const struct {
		struct term term;
		const char *text;
	} cases[] = {
		{ { .kind = TERM_IN, .field = FIELD_IP_SADDR, .name = "s" }, "ip saddr @s" },
		{ { .kind = TERM_IN, .field = FIELD_IP_SADDR, .negate = true, .name = "s" }, "ip saddr != @s" },
		{ { .kind = TERM_IN, .field = FIELD_IP6_TARGET_FIRST, .name = "cut" },
		  "ip6 daddr . tcp dport . ip6 saddr . tcp sport @cut" },
		{ { .kind = TERM_MAP, .field = FIELD_TCP_DPORT, .name = "m" }, "tcp dport vmap @m" },
		{ { .kind = TERM_COUNTER, .name = "c" }, "counter name \"c\"" },
		{ { .kind = TERM_LIMIT, .rate = 5, .burst = 7 }, "limit rate 5/second burst 7 packets" },
		{ { .kind = TERM_LOG, .name = "p", .group = 5 }, "log prefix \"p\" group 5" },
		{ { .kind = TERM_LOG, .name = "p", .group = 5, .snaplen = 128 },
		  "log prefix \"p\" group 5 snaplen 128" },
		{ { .kind = TERM_PIN, .field = FIELD_IP_DADDR }, "dnat ip to ip daddr" },
		{ { .kind = TERM_PIN, .field = FIELD_IP6_DADDR }, "dnat ip6 to ip6 daddr" },
		{ { .kind = TERM_ACTION, .action = ACTION_ACCEPT }, "accept" },
		{ { .kind = TERM_ACTION, .action = ACTION_DROP }, "drop" },
		{ { .kind = TERM_ACTION, .action = ACTION_RETURN }, "return" },
		{ { .kind = TERM_ACTION, .action = ACTION_JUMP, .name = "x" }, "jump x" },
		{ { .kind = TERM_ACTION, .action = ACTION_GOTO, .name = "x" }, "goto x" },
		{ { .kind = TERM_ACTION, .action = ACTION_RESET }, "reject with tcp reset" },
		{ { .kind = TERM_ACTION, .action = ACTION_PROHIBIT }, "reject with icmpx admin-prohibited" },
	};
	struct term both[] = { cases[4].term, cases[10].term };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_rule(cases[i].term, cases[i].text);
	assert_terms(both, 2, "counter name \"c\" accept");
}

static void test_table(void **state)
{
	struct ruleset ruleset = { 0 };
	struct element verdict = { .first = { 0, 80 }, .last = { 0, 90 }, .action = ACTION_JUMP, .chain = "c" };
	struct element timed = { .first = { 10, 0, 0, 1 }, .last = { 10, 0, 0, 1 }, .deadline_ms = 95999 };

	(void)state;
	ruleset_counter(&ruleset, "counted");
	set_add(&ruleset, ruleset_set(&ruleset, "verdicts", KEY_PORT, SET_VERDICTS | SET_INTERVAL), &verdict);
	verdict = (struct element){ .first = { 1, 0 }, .last = { 1, 0 }, .action = ACTION_DROP };
	set_add(&ruleset, ruleset_find_set(&ruleset, "verdicts"), &verdict);
	set_add(&ruleset, ruleset_set(&ruleset, "timed", KEY_IPV4, SET_TIMEOUT), &timed);
	ruleset_set(&ruleset, "plain", KEY_INTERFACE, 0)->size = 65536;
	struct chain *chain = ruleset_chain(&ruleset, "c");
	struct term term = { .kind = TERM_ACTION, .action = ACTION_ACCEPT };
	rule_add(&ruleset, chain_rule(&ruleset, chain), &term);
	chain = ruleset_chain(&ruleset, "f");
	chain->hook = HOOK_FORWARD;
	chain->priority = -10;
	chain = ruleset_chain(&ruleset, "p");
	chain->hook = HOOK_PREROUTING;
	chain->priority = -199;
	chain->nat = true;
	assert_int_equal(ruleset_finish(&ruleset), 0);
	char *text = ruleset_text(&ruleset, 5000);
	assert_string_equal(text, "table inet spefw {\n\tcomment \"layout 2\"\n\tcounter counted {\n\t}\n"
				  "\tmap verdicts {\n\t\ttype inet_service : verdict\n\t\tflags interval\n"
				  "\t\telements = { 80-90 : jump c,\n\t\t\t     256 : drop }\n\t}\n"
				  "\tset timed {\n\t\ttype ipv4_addr\n\t\tflags timeout\n"
				  "\t\telements = { 10.0.0.1 timeout 90s }\n\t}\n"
				  "\tset plain {\n\t\ttype ifname\n\t\tsize 65536\n\t}\n"
				  "\tchain c {\n\t\taccept\n\t}\n"
				  "\tchain f {\n\t\ttype filter hook forward priority -10; policy accept;\n\t}\n"
				  "\tchain p {\n\t\ttype nat hook prerouting priority -199; policy accept;\n\t}\n}\n");
	free(text);
	ruleset_free(&ruleset);
}

/* As the kernel has them: parts of a concatenation are padded to four bytes. */
static void test_sizes(void **state)
{
	static const size_t keys[] = {
		[KEY_IPV4] = 4,        [KEY_IPV6] = 16,    [KEY_PORT] = 2,   [KEY_INTERFACE] = 16,
		[KEY_ICMPV6_TYPE] = 1, [KEY_PROTOCOL] = 1, [KEY_CUT_4] = 16, [KEY_CUT_6] = 40,
	};
	static const struct {
		enum field field;
		size_t size;
	} fields[] = {
		{ FIELD_TCP_SYN_ACK, 1 },       { FIELD_TCP_RST, 1 },           { FIELD_IP_LSRR, 1 },
		{ FIELD_IP_SSRR, 1 },           { FIELD_ROUTING, 1 },           { FIELD_CT_STATE, 4 },
		{ FIELD_CT_STATUS, 4 },         { FIELD_FIB_LOCAL, 4 },         { FIELD_FIB_UNICAST, 4 },
		{ FIELD_IIFNAME, 16 },          { FIELD_OIFNAME, 16 },          { FIELD_PKTTYPE, 1 },
		{ FIELD_CT_DIRECTION, 1 },      { FIELD_IP_TARGET_FIRST, 16 },  { FIELD_IP_SOURCE_FIRST, 16 },
		{ FIELD_IP6_TARGET_FIRST, 40 }, { FIELD_IP6_SOURCE_FIRST, 40 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		assert_int_equal(key_size((enum key_type)i), keys[i]);
	for (size_t i = 0; i < COUNT_OF(fields); i++)
		assert_int_equal(field_size(fields[i].field), fields[i].size);
}

/* One after the other, whatever the order is; the place goes along. */
static void test_next(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	static const struct {
		const char *name;
		size_t found, next; /* found: 1 + its place */
	} steps[] = { { "a", 1, 1 }, { "b", 2, 2 }, { "d", 4, 4 }, { "c", 3, 3 },
		      { "x", 0, 3 }, { "d", 4, 4 }, { "x", 0, 4 }, { "a", 1, 1 } };
	struct ruleset r = { 0 };
	size_t set = 0, chain = 0, counter = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		ruleset_set(&r, names[i], KEY_PORT, 0);
		ruleset_chain(&r, names[i]);
		ruleset_counter(&r, names[i]);
	}
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		const char *name = steps[i].name;
		size_t found = steps[i].found;
		assert_ptr_equal(ruleset_next_set(&r, name, &set), found ? &r.sets.items[found - 1] : NULL);
		assert_ptr_equal(ruleset_next_chain(&r, name, &chain), found ? &r.chains.items[found - 1] : NULL);
		assert_int_equal(ruleset_next_counter(&r, name, &counter), found != 0);
		assert_int_equal(set, steps[i].next);
		assert_int_equal(chain, steps[i].next);
		assert_int_equal(counter, steps[i].next);
	}
	ruleset_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule_equal), cmocka_unit_test(test_building),   cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_matches),    cmocka_unit_test(test_statements), cmocka_unit_test(test_table),
		cmocka_unit_test(test_sizes),      cmocka_unit_test(test_next),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
