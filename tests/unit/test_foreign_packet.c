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
	/* one that was not read: who is on it is not known */
	assert_remedy(IN, "set bad unknown\nchain b forward 0\nb: from @1 dport 8470 drop", "nftables",
		      "nft insert rule inet t b handle 3 ip daddr 192.0.2.25 accept");
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

/* Tables of iptables, whose chains they put their own beside. */
#define FORWARD "chain FORWARD forward 0 drops ip of-filter\n"

static void test_iptables(void **state)
{
	(void)state;
	assert_remedy(IN, FORWARD "FORWARD: from 203.0.113.9 drop\nFORWARD: state established accept", "iptables",
		      "iptables -A FORWARD -d 192.0.2.25 -j ACCEPT");
	assert_remedy(OUT, FORWARD "FORWARD: state established accept", "iptables",
		      "iptables -A FORWARD -s 192.0.2.25 -j ACCEPT");
	assert_remedy(IN, "chain FORWARD forward 0 ip of-filter\nFORWARD: inexact accept\nFORWARD: dport 8470 drop",
		      "iptables", "iptables -I FORWARD 2 -d 192.0.2.25 -j ACCEPT");
	assert_remedy(IN_6, "chain FORWARD forward 0 drops ip6 of-filter legacy\nFORWARD: state established accept",
		      "iptables", "ip6tables-legacy -A FORWARD -d 2001:db8:2::25 -j ACCEPT");
	assert_remedy(OUT, "chain PREROUTING prerouting -100 nat ip of-nat\nPREROUTING: redirect", "iptables",
		      "iptables -t nat -I PREROUTING 1 -s 192.0.2.25 -j ACCEPT");
	/* Such a table without their chains is somebody's own. */
	assert_remedy(IN, "chain forward forward 0 ip of-filter\nforward: dport 8470 drop", "nftables",
		      "nft insert rule ip filter forward handle 2 ip daddr 192.0.2.25 accept");
	assert_remedy(IN, "chain FORWARD forward 0 ip of-mine\nFORWARD: dport 8470 drop", "nftables",
		      "nft insert rule ip mine FORWARD handle 2 ip daddr 192.0.2.25 accept");
}

static void test_docker(void **state)
{
	static const char commands[] =
		"iptables -I DOCKER-USER -d 192.0.2.25 -j ACCEPT && iptables -I DOCKER-USER -s 192.0.2.25 -j ACCEPT";

	(void)state;
	assert_remedy(IN, FORWARD "chain DOCKER-USER none 0 ip of-filter\nFORWARD: state established accept", "docker",
		      commands);
	assert_remedy(IN,
		      FORWARD "chain DOCKER none 0 ip of-filter\nFORWARD: state established accept\n"
			      "FORWARD: jump DOCKER\nDOCKER: drop",
		      "docker", commands);
	assert_remedy(IN, "chain x forward 0 ip of-docker-bridges\nx: dport 8470 drop", "docker", "");
}

static void test_ufw(void **state)
{
	(void)state;
	assert_remedy(IN, FORWARD "chain ufw-user-forward none 0 ip of-filter\nFORWARD: state established accept",
		      "ufw", "ufw route allow to 192.0.2.25");
	assert_remedy(OUT, FORWARD "chain ufw-user-forward none 0 ip of-filter\nFORWARD: state established accept",
		      "ufw", "ufw route allow from 192.0.2.25");
	assert_remedy("192.0.2.25", "192.0.2.1",
		      "chain INPUT input 0 drops ip of-filter\nchain ufw-user-forward none 0 ip of-filter", "ufw",
		      "ufw allow from 192.0.2.25");
	assert_remedy("192.0.2.1", "192.0.2.25",
		      "chain OUTPUT output 0 drops ip of-filter\nchain ufw-user-forward none 0 ip of-filter", "ufw",
		      "ufw allow out to 192.0.2.25");
	assert_remedy(IN,
		      "chain PREROUTING prerouting 0 drops ip of-filter\nPREROUTING: state established accept\n"
		      "chain ufw-user-forward none 0 ip of-filter",
		      "ufw", "");
}

static void test_firewalld(void **state)
{
#define POLICY                                                               \
	"firewall-cmd --permanent --new-policy spefw; "                      \
	"firewall-cmd --permanent --policy spefw --add-ingress-zone ANY && " \
	"firewall-cmd --permanent --policy spefw --add-egress-zone ANY && "  \
	"firewall-cmd --permanent --policy spefw --add-rich-rule 'rule family="
	(void)state;
	assert_remedy(IN, "chain filter_FORWARD forward 10 of-firewalld\nfilter_FORWARD: dport 8470 drop", "firewalld",
		      POLICY "\"ipv4\" destination address=\"192.0.2.25\" accept' && firewall-cmd --reload");
	assert_remedy("2001:db8:2::25", "2001:db8:9::9",
		      "chain filter_FORWARD forward 10 of-firewalld\nfilter_FORWARD: dport 8470 drop", "firewalld",
		      POLICY "\"ipv6\" source address=\"2001:db8:2::25\" accept' && firewall-cmd --reload");
	assert_remedy(OUT, "chain nat_PRE prerouting -90 nat of-firewalld\nnat_PRE: redirect", "firewalld", "");
}

/* What the machine's own interface also leads to are its neighbours, which is no way of a peer. */
static void test_neighbours(void **state)
{
	static char both[2][CONFIG_INTERFACE_MAX + 1] = { "lan", "wan" };
	struct interface_list own[TEST_ROLES] = { { lan, 1 } }, peers[TEST_FLOWS];
	struct names_view names = { 0 };
	struct environment environment = { .gateway = &gateway, .role_interfaces = own, .names = &names };
	struct foreign_view view = { .environment = &environment, .peers = peers };
	struct foreign_tables tables;
	struct findings findings;

	(void)state;
	for (size_t i = 0; i < TEST_FLOWS; i++)
		peers[i] = (struct interface_list){ both, 2 };
	read_tables(&tables, "chain b forward 0\nchain c none 0\nb: in wan drop\nb: in lan goto c\nb: not in wan drop");
	assert_int_equal(foreign_judge(&findings, &tables, &policy, &view, EFFECTS_STOP), 0);
	assert_int_equal(findings.count, 1);
	assert_int_equal(findings.items[0].handle, 3);
	assert_false(findings.items[0].may);
	findings_free(&findings);
	foreign_tables_free(&tables);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_packet, setup, teardown),
		cmocka_unit_test_setup_teardown(test_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_diverted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nftables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_neighbours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fail2ban, setup, teardown),
		cmocka_unit_test_setup_teardown(test_iptables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_docker, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ufw, setup, teardown),
		cmocka_unit_test_setup_teardown(test_firewalld, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
