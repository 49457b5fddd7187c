/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is behind which port of a bridge, and whether that passes the guard by. */
#include "make.h"

#include "core/array.h"
#include "core/bridges.h"

#include <errno.h>

struct fixture {
	struct bridge_facts facts;
	struct ranges guarded, hops;
	struct bridge_findings before;
};

static void add_entry(struct fixture *f, const char *port, uint8_t hardware, uint16_t vlan)
{
	struct bridge_entry entry = { .vlan = vlan, .hardware = { 2, 0, 0, 0, 0, hardware } };

	strcpy(entry.at.bridge, "br0");
	strcpy(entry.at.port, port);
	assert_int_equal(ARRAY_PUSH(&f->facts.entries, entry), 0);
}

static void add_neighbour(struct fixture *f, const char *addr, uint8_t hardware)
{
	struct bridge_neighbour neighbour = { .addr = make_addr(addr), .hardware = { 2, 0, 0, 0, 0, hardware } };
	assert_int_equal(ARRAY_PUSH(&f->facts.neighbours, neighbour), 0);
}

static void add_port(struct fixture *f, const char *port)
{
	struct bridge_port at = { .bridge = "br0" };

	strcpy(at.port, port);
	assert_int_equal(ARRAY_PUSH(&f->facts.ports, at), 0);
}

/* The server at lan, the next hop at wan, both known, nothing filtered. */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct bridge_fact bridge = { .name = "br0" };

	assert_non_null(f);
	f->guarded = make_ranges("192.0.2.25 2001:db8:2::25");
	f->hops = make_ranges("192.0.2.254");
	f->facts.can_filter = true;
	assert_int_equal(ARRAY_PUSH(&f->facts.bridges, bridge), 0);
	add_port(f, "lan");
	add_port(f, "wan");
	add_port(f, "more");
	add_entry(f, "lan", 25, 0);
	add_entry(f, "wan", 254, 0);
	add_neighbour(f, "192.0.2.25", 25);
	add_neighbour(f, "192.0.2.254", 254);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bridge_facts_free(&f->facts);
	bridge_findings_free(&f->before);
	ranges_free(&f->guarded);
	ranges_free(&f->hops);
	free(f);
	return 0;
}

/* The reason and the remedy; "": nothing. What was found is what was found before, next time. */
static void assert_says(struct fixture *f, const char *expected)
{
	char text[2 * BRIDGE_TEXT_MAX] = "", what[BRIDGE_TEXT_MAX], remedy[BRIDGE_TEXT_MAX];
	struct bridge_findings findings;

	assert_int_equal(bridges_judge(&findings, &f->facts, &f->guarded, &f->hops, &f->before), 0);
	assert_true(findings.count <= 1);
	if (findings.count)
		sprintf(text, "%s: %s", bridge_finding_text(&findings.items[0], what),
			bridge_remedy_text(&findings, &findings.items[0], remedy));
	assert_string_equal(text, expected);
	bridge_findings_free(&f->before);
	f->before = findings;
}

#define CARRIED "bridge br0 carries what passes between 192.0.2.25 (at lan) and 192.0.2.254 (at wan) past the guard: "
#define SYSCTLS "sysctl -w net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1"

static void test_carried(void **state)
{
	struct fixture *f = *state;

	assert_says(f, CARRIED SYSCTLS);
	f->facts.can_filter = false;
	assert_says(f, CARRIED "modprobe br_netfilter; " SYSCTLS);
}

static void test_filtered(void **state)
{
	struct fixture *f = *state;
	bool *filtered = f->facts.bridges.items[0].filtered;

	filtered[FAMILY_4] = true;
	assert_says(f, "bridge br0 carries what passes between 192.0.2.25 (at lan)'s IPv6 and 192.0.2.254 (at wan) "
		       "past the guard: "
		       "sysctl -w net.bridge.bridge-nf-call-ip6tables=1");
	filtered[FAMILY_6] = true;
	assert_says(f, "");
	filtered[FAMILY_6] = false;
	ranges_free(&f->guarded);
	f->guarded = make_ranges("192.0.2.25");
	assert_says(f, ""); /* nobody's IPv6 is guarded */
}

/* Nothing of it is carried past the guard: the gateway routes, or the two are on one side, or on two wires. */
static void test_not_carried(void **state)
{
	struct fixture *f = *state;
	struct bridge_entry *hop = &f->facts.entries.items[1];

	strcpy(hop->at.port, "lan");
	assert_says(f, "");
	strcpy(hop->at.port, "wan");
	hop->vlan = 20;
	assert_says(f, "");
	hop->vlan = 0;
	strcpy(hop->at.bridge, "br1");
	assert_says(f, "");
	strcpy(hop->at.bridge, "br0");
	ranges_free(&f->hops);
	f->hops = make_ranges("198.51.100.1");
	assert_says(f, "");
	ranges_free(&f->hops);
	f->hops = make_ranges("192.0.2.254");
	f->facts.neighbours.items[0].hardware[0] = 6; /* the server is somebody else, elsewhere */
	assert_says(f, "");
}

/* Entries go when nobody sends: that proves nothing. What is seen elsewhere does. */
static void test_before(void **state)
{
	struct fixture *f = *state;

	assert_says(f, CARRIED SYSCTLS);
	f->facts.entries.count = 0;
	assert_says(f, CARRIED SYSCTLS);
	f->facts.neighbours.count = 0;
	assert_says(f, CARRIED SYSCTLS);
	add_entry(f, "wan", 254, 0);
	assert_says(f, CARRIED SYSCTLS);
	add_entry(f, "wan", 25, 0);
	assert_says(f, "");
	f->facts.entries.count = 0;
	assert_says(f, "");
}

static void test_before_ends(void **state)
{
	struct fixture *f = *state;

	assert_says(f, CARRIED SYSCTLS);
	f->facts.entries.count = 0;
	f->facts.ports.count = 1; /* wan is none any more */
	assert_says(f, "");
	f->facts.ports.count = 3;
	add_entry(f, "lan", 25, 0);
	add_entry(f, "wan", 254, 0);
	assert_says(f, CARRIED SYSCTLS);
	f->facts.entries.count = 0;
	ranges_free(&f->hops);
	assert_says(f, "");
}

/* Each bridge is reported once, whatever else is there, and in whichever order. */
static void test_two_bridges(void **state)
{
	struct fixture *f = *state;
	struct bridge_findings findings;
	struct bridge_fact second = { .name = "br1", .filtered = { true, false } };

	assert_int_equal(ARRAY_PUSH(&f->facts.bridges, second), 0);
	add_entry(f, "more", 99, 0); /* somebody else */
	add_entry(f, "a", 26, 0);
	add_entry(f, "b", 254, 0);
	strcpy(f->facts.entries.items[3].at.bridge, "br1");
	strcpy(f->facts.entries.items[4].at.bridge, "br1");
	add_neighbour(f, "2001:db8:2::25", 26);
	add_neighbour(f, "198.51.100.99", 99);
	assert_int_equal(bridges_judge(&findings, &f->facts, &f->guarded, &f->hops, NULL), 0);
	assert_int_equal(findings.count, 2);
	assert_string_equal(findings.items[0].guarded.at.bridge, "br0");
	assert_string_equal(findings.items[1].guarded.at.bridge, "br1");
	assert_string_equal(findings.items[1].hop.at.port, "b");
	assert_true(findings.items[0].unfiltered[FAMILY_4] && findings.items[0].unfiltered[FAMILY_6]);
	assert_false(findings.items[1].unfiltered[FAMILY_4]);
	bridge_findings_free(&findings);
	/* Of the second one alone it is remembered, when both have gone silent but one. */
	f->facts.entries.count = 0;
	assert_int_equal(bridges_judge(&findings, &f->facts, &f->guarded, &f->hops, NULL), 0);
	assert_int_equal(findings.count, 0);
	bridge_findings_free(&findings);
}

/* A next hop that moved to another port, or into another VLAN, is not where it was. */
static void test_moved(void **state)
{
	struct fixture *f = *state;

	for (int what = 0; what < 3; what++) {
		f->facts.entries.count = 0;
		add_entry(f, "lan", 25, 0);
		add_entry(f, "wan", 254, 0);
		assert_says(f, CARRIED SYSCTLS);
		f->facts.entries.count = 0;
		add_entry(f, "more", 99, 0);
		if (what == 0) {
			add_entry(f, "wan", 254, 0); /* still there */
			assert_says(f, CARRIED SYSCTLS);
		} else {
			add_entry(f, what == 1 ? "lan" : "wan", 254, what == 2 ? 7 : 0);
			assert_says(f, "");
		}
	}
}

static void test_no_memory(void **state)
{
	struct fixture *f = *state;
	struct bridge_findings findings;
	int r = -ENOMEM;

	assert_says(f, CARRIED SYSCTLS);
	for (int known = 0; known < 2; known++, r = -ENOMEM) {
		for (long n = 0; r != 0; n++) {
			allocations_left = n;
			r = bridges_judge(&findings, &f->facts, &f->guarded, &f->hops, known ? &f->before : NULL);
			allocations_left = -1;
			assert_true(r == 0 || (r == -ENOMEM && !findings.count && !findings.items));
		}
		assert_int_equal(findings.count, 1);
		bridge_findings_free(&findings);
		f->facts.entries.count = 0;
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(test_carried),     TEST(test_filtered),    TEST(test_not_carried),
					    TEST(test_before),      TEST(test_before_ends), TEST(test_no_memory),
					    TEST(test_two_bridges), TEST(test_moved) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
