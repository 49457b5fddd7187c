/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What other tables do to one packet, whose rule it is, and the command that lets the packet pass. */
#include "foreign_text.h"

#include "core/owners.h"

#include <stdio.h>

static struct policy policy;
static struct ranges gateway;

static int setup(void **state)
{
	(void)state;
	make_good_policy(&policy, HEAD CONSOLE);
	gateway = make_ranges("192.0.2.1 198.51.100.1 2001:db8:2::1");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	policy_free(&policy);
	ranges_free(&gateway);
	return 0;
}

static char wan[2][CONFIG_INTERFACE_MAX + 1] = { "wan", "wan9" }, lan[1][CONFIG_INTERFACE_MAX + 1] = { "lan" };

static struct foreign_packet make_packet(const char *source, const char *target, uint16_t port)
{
	return (struct foreign_packet){ .source = make_addr(source),
					.target = make_addr(target),
					.protocol = 6,
					.target_port = port,
					.in = { wan, 1 },
					.out = { lan, 1 } };
}

static void explain(const struct foreign_packet *packet, const char *text, struct findings *ret)
{
	struct interface_list own[TEST_ROLES] = { 0 };
	struct names_view names = { 0 };
	struct environment environment = { .gateway = &gateway, .role_interfaces = own, .names = &names };
	struct foreign_view view = { .environment = &environment };
	struct foreign_tables tables;

	read_tables(&tables, text);
	assert_int_equal(foreign_explain(ret, &tables, &policy, &view, packet), 0);
	foreign_tables_free(&tables);
}

static void assert_explained(const struct foreign_packet *packet, const char *text, const char *expected)
{
	struct findings findings;
	char found[300] = "";

	explain(packet, text, &findings);
	for (size_t i = 0; i < findings.count; i++)
		sprintf(found + strlen(found), "%s%u%c %s", i ? ", " : "", (unsigned)findings.items[i].handle,
			findings.items[i].may ? '?' : '!', finding_word(&findings.items[i]));
	if (strcmp(found, expected) != 0)
		fail_msg("%s\nfound: %s\nexpected: %s", text, found, expected);
	findings_free(&findings);
}

static void test_packet(void **state)
{
	static const struct {
		const char *rules, *expected;
	} cases[] = {
		{ "b: drop", "2! drop" },
		{ "b: accept\nb: drop", "" },
		{ "b: from 203.0.113.7 drop", "2! drop" },
		{ "b: from 203.0.113.8 drop", "" },
		{ "b: from 203.0.113.0-203.0.113.255 to 192.0.2.25 dport 8470 drop", "2! drop" },
		{ "b: not from 203.0.113.7 sport 8471 drop", "" },
		{ "b: not from 203.0.113.7 drop", "2! drop" }, /* its answer */
		{ "b: dport 8471 drop", "" },
		{ "b: inexact drop", "2? drop" },
		{ "b: inexact accept\nb: drop", "3? drop" },
		{ "b: excess drop", "" },
		{ "b: in wan drop", "2! drop" },
		{ "b: in wan9 drop", "" },
		{ "b: in lan drop", "2! drop" }, /* its answer */
		{ "b: state established drop", "2! drop" },
		{ "b: state new accept\nb: state established accept\nb: drop", "" },
		{ "b: protocol 17 drop", "" },
		{ "b: family 6 drop", "" },
		{ "b: queue", "2! queue" },
	};
	struct foreign_packet packet = make_packet("203.0.113.7", "192.0.2.25", 8470);
	char text[300];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		snprintf(text, sizeof(text), "chain b forward 0\n%s", cases[i].rules);
		assert_explained(&packet, text, cases[i].expected);
	}
	assert_explained(&packet, "chain b forward 0 drops\nb: dport 8470 accept", "0! policy");
	assert_explained(&packet, "chain b forward 0 ip6\nb: drop", "");
	assert_explained(&packet, "chain b ingress 0 unknown\nb: drop", "2? drop");
	assert_explained(&packet, "set s 203.0.113.7\nchain b forward 0\nb: from @1 drop", "3! drop");
	assert_explained(&packet, "set s 203.0.113.9\nchain b forward 0\nb: from @1 drop", "");
	/* It may come by either of two interfaces: what stops it at one is not certain. */
	packet.in.names = wan;
	packet.in.count = 2;
	assert_explained(&packet, "chain b forward 0\nb: in wan9 drop", "2? drop");
	assert_explained(&packet, "chain b forward 0\nb: out lan drop", "2! drop");
	packet.in.count = 0;
	assert_explained(&packet, "chain b forward 0\nb: in wan9 drop", "2? drop");
}

/* Chains of each place, for what passes, and for what the gateway itself sends or gets. */
static void test_places(void **state)
{
	static const struct {
		const char *source, *target;
		bool seen[7]; /* by ingress, prerouting, input, forward, output, postrouting, egress */
		bool answer_seen[7];
	} cases[] = {
		{ "203.0.113.7", "192.0.2.25", { 1, 1, 0, 1, 0, 1, 1 }, { 1, 1, 0, 1, 0, 1, 1 } },
		{ "192.0.2.25", "198.51.100.1", { 1, 1, 1, 0, 0, 0, 0 }, { 0, 0, 0, 0, 1, 1, 1 } },
		{ "192.0.2.1", "192.0.2.25", { 0, 0, 0, 0, 1, 1, 1 }, { 1, 1, 1, 0, 0, 0, 0 } },
	};
	static const char *const places[] = { "ingress", "prerouting",  "input", "forward",
					      "output",  "postrouting", "egress" };
	char text[100];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct foreign_packet packet = make_packet(cases[i].source, cases[i].target, 8470);
		for (size_t p = 0; p < COUNT_OF(places); p++) {
			snprintf(text, sizeof(text), "chain b %s 0\nb: dport 8470 drop", places[p]);
			assert_explained(&packet, text, cases[i].seen[p] ? "2! drop" : "");
			snprintf(text, sizeof(text), "chain b %s 0\nb: sport 8470 drop", places[p]);
			assert_explained(&packet, text, cases[i].answer_seen[p] ? "2! drop" : "");
		}
	}
}

/* What takes it out of its way. */
static void test_diverted(void **state)
{
	static const char redirect[] = "chain b prerouting -100 nat\nb: dport 443 redirect";
	struct foreign_packet packet = make_packet("192.0.2.25", "203.0.113.200", 443);

	(void)state;
	assert_explained(&packet, redirect, "2! redirect");
	packet.protocol = 17;
	assert_explained(&packet, redirect, "2! redirect");
	packet.protocol = 6;
	policy.interception = INTERCEPTION_PREVENT;
	assert_explained(&packet, redirect, "2! redirect"); /* not of a flow */
	packet.pinned = true;
	assert_explained(&packet, redirect, "");
	policy.interception = INTERCEPTION_OFF;
	assert_explained(&packet, redirect, "2! redirect");
	packet.protocol = 1;
	assert_explained(&packet, "chain b prerouting -100 nat\nb: dnat 192.0.2.7", "2! dnat");
}

/* The remedy of the one finding. */
static void assert_remedy(const char *source, const char *target, const char *text, const char *owner,
			  const char *expected)
{
	struct foreign_packet packet = make_packet(source, target, 8470);
	char remedy[REMEDY_MAX];
	struct findings findings;

	explain(&packet, text, &findings);
	assert_int_equal(findings.count, 1);
	assert_string_equal(owner_word(findings.items[0].owner), owner);
	assert_int_equal(owner_remedy(&findings.items[0], remedy), *expected != '\0');
	assert_string_equal(remedy, expected);
	findings_free(&findings);
}

#define IN "203.0.113.7", "192.0.2.25"
#define OUT "192.0.2.25", "203.0.113.7"
#define IN_6 "2001:db8:3::7", "2001:db8:2::25"

static void test_nftables(void **state)
{
	(void)state;
	assert_remedy(IN, "chain b forward 0\nb: dport 8470 drop", "nftables",
		      "nft insert rule inet t b handle 2 ip daddr 192.0.2.25 accept");
	assert_remedy(OUT, "chain b forward 0\nb: dport 8470 drop", "nftables",
		      "nft insert rule inet t b handle 2 ip saddr 192.0.2.25 accept");
	assert_remedy(IN_6, "chain b forward 0\nb: dport 8470 drop", "nftables",
		      "nft insert rule inet t b handle 2 ip6 daddr 2001:db8:2::25 accept");
	/* the opening and the answer */
	assert_remedy(IN, "chain b forward 0 drops", "nftables",
		      "nft add rule inet t b ip daddr 192.0.2.25 accept && nft add rule inet t b ip saddr 192.0.2.25 "
		      "accept");
	assert_remedy(IN, "set bad 203.0.113.6-203.0.113.7\nchain b forward 0\nb: from @1 drop", "nftables",
		      "nft delete element inet t bad { 203.0.113.6/31 }");
	/* a list in the rule has no name */
	assert_remedy(IN, "set __set0 203.0.113.7\nchain b forward 0\nb: from @1 drop", "nftables",
		      "nft insert rule inet t b handle 3 ip daddr 192.0.2.25 accept");
	/* Names that a shell would read as something else are in no command. */
	assert_remedy(IN, "chain b;reboot forward 0\nb;reboot: dport 8470 drop", "nftables", "");
	assert_remedy(IN, "chain -b forward 0\n-b: dport 8470 drop", "nftables", "");
	assert_remedy(IN, "set $(x) 203.0.113.7\nchain b forward 0\nb: from @1 drop", "nftables", "");
}

static void test_fail2ban(void **state)
{
	(void)state;
	assert_remedy(IN,
		      "set addr-set-imap 203.0.113.7\nchain f2b-chain forward -1\nf2b-chain: dport 8470 from @1 drop",
		      "fail2ban", "fail2ban-client set imap unbanip 203.0.113.7");
	assert_remedy(IN_6,
		      "chain f2b-imap none 0\nchain FORWARD forward 0\nFORWARD: jump f2b-imap\nf2b-imap: from "
		      "2001:db8:3::7 drop",
		      "fail2ban", "fail2ban-client set imap unbanip 2001:db8:3::7");
	assert_remedy(IN, "chain f2b-chain forward -1\nf2b-chain: dport 8470 drop", "fail2ban", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_packet, setup, teardown),
		cmocka_unit_test_setup_teardown(test_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_diverted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nftables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fail2ban, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
