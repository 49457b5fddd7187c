/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parts of the table that a role has, or has not. */
#include "make.h"

#define HEAD "[gateway]\npreset = none\n[server]\naddress = 192.0.2.25 2001:db8:2::25\n[flow ping]\nenabled = no\n"
#define IN "[flow web-in]\nfrom = 198.51.100.0/24\nto = SERVER\nprotocol = tcp\nport = 443\n"
#define OUT "[flow mail-out]\nfrom = SERVER\nto = any\nprotocol = tcp\nport = 25\n"
#define UDP_IN "[flow log-in]\nfrom = 198.51.100.0/24\nto = SERVER\nprotocol = udp\nport = 514\n"

static size_t count_pins(const struct ruleset *ruleset)
{
	size_t count = 0;

	for (size_t c = 0; c < ruleset->chains.count; c++)
		for (size_t r = 0; r < ruleset->chains.items[c].count; r++) {
			const struct rule *rule = &ruleset->chains.items[c].items[r];
			count += rule->items[rule->count - 1].kind == TERM_PIN;
		}
	return count;
}

/* What no other table may translate: connections of flows, and of no family that they have no address of. */
static void test_pins(void **state)
{
	static const struct {
		const char *config;
		size_t pins;
	} cases[] = {
		{ HEAD, 0 },
		{ HEAD IN, 1 },
		{ HEAD OUT, 2 },
		{ HEAD IN OUT, 3 },
		{ HEAD UDP_IN, 0 },
		{ HEAD UDP_IN OUT, 2 },
		{ "[gateway]\ninterception = report\npreset = none\n[server]\naddress = 192.0.2.25\n" IN OUT, 0 },
		{ "[gateway]\nmode = audit\npreset = none\n[server]\naddress = 192.0.2.25\n" IN OUT, 0 },
		{ "[gateway]\npreset = none\n[server]\naddress = 192.0.2.25\n" IN OUT, 2 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct policy policy;
		struct ruleset ruleset;
		make_good_policy(&policy, cases[i].config);
		assert_int_equal(make_ruleset(&ruleset, &policy, NULL), 0);
		assert_int_equal(count_pins(&ruleset), cases[i].pins);
		ruleset_free(&ruleset);
		policy_free(&policy);
	}
}

/* Sets outlive reloads, and a later version: their names are kept. */
static void test_set_names(void **state)
{
	char name[260], set[NAME_SET_MAX], expected[300];
	static const struct {
		const char *config, *set;
	} cases[] = {
		{ HEAD
		  "[role ZONE]\nmembers = 198.51.100.1 198.51.100.3\n[flow x]\nfrom = ZONE\nto = SERVER\nprotocol = "
		  "tcp\nport = 1\n",
		  "role_ZONE_4" },
		{ HEAD "[role A]\nmembers = 198.51.100.1 198.51.100.3\n[flow x]\nfrom = A\nto = SERVER\nprotocol = "
		       "tcp\nport = 1\n",
		  "role_A_4" },
		{ HEAD "[flow x]\nfrom = 198.51.100.1 198.51.100.3\nto = SERVER\nprotocol = tcp\nport = 1\n",
		  "from_x_4" },
		{ HEAD "[flow x]\nfrom = SERVER\nto = 2001:db8:9::1 2001:db8:9::3\nprotocol = tcp\nport = 1\n",
		  "to_x_6" },
		{ "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53 192.0.2.55\n", "resolvers_4" },
		{ "[server]\naddress = 192.0.2.25\ntime_servers = 192.0.2.53 192.0.2.55\n", "time_servers_4" },
		{ HEAD "[flow x]\nfrom = SERVER\nto = a.example.net\nprotocol = tcp\nport = 1\n",
		  "name_a.example.net_6" },
	};

	(void)state;
	memset(name, 'a', sizeof(name));
	name[199] = '\0';
	name_set(name, set);
	snprintf(expected, sizeof(expected), "name_%s", name);
	assert_string_equal(set, expected);
	name[199] = 'a';
	name[200] = '\0';
	name_set(name, set);
	name[180] = '\0';
	snprintf(expected, sizeof(expected), "name_%s_h96245ce14f7a5b0d", name);
	assert_string_equal(set, expected);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct policy policy;
		struct ruleset ruleset;
		make_good_policy(&policy, cases[i].config);
		assert_int_equal(make_ruleset(&ruleset, &policy, NULL), 0);
		if (!ruleset_find_set(&ruleset, cases[i].set))
			fail_msg("no set %s", cases[i].set);
		ruleset_free(&ruleset);
		policy_free(&policy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_pins), cmocka_unit_test(test_set_names) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
