/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which new connections fare otherwise under another policy: the lines that tell it, and that they are all. */
#include "core/fate_diff.h"
#include "fate_world.h"
#include "make.h"
#include "random_policy.h"

#include <errno.h>

#define SERVER "[server]\naddress = 192.0.2.25\n[gateway]\npreset = none\n"
#define BOTH "[server]\naddress = 192.0.2.25 2001:db8:2::25\n[gateway]\npreset = none\n"
#define ADMINS "[role ADM]\nmembers = 192.0.2.0/28\n"
#define FLOW(from, protocol, ports) \
	"[flow own]\nfrom = " from "\nto = SERVER\nprotocol = " protocol "\nport = " ports "\n"

/* One side of a comparison. It must not be moved. */
struct side {
	struct policy policy;
	struct names_view names;
	struct fate_side side;
};

static void make_side(struct side *side, const char *text, const char *names)
{
	make_good_policy(&side->policy, text);
	side->names = make_names(&side->policy, names);
	side->side = (struct fate_side){ &side->policy, &side->names };
}

static void free_side(struct side *side)
{
	names_view_free(&side->names);
	policy_free(&side->policy);
}

static void put_line(void *userdata, const char *line)
{
	char *text = userdata;
	size_t length = strlen(text);

	snprintf(text + length, 8192 - length, "%s\n", line);
}

static void lines_are(const char *before, const char *before_names, const char *after, const char *after_names,
		      size_t max, size_t left, const char *expected)
{
	static struct side a, b;
	struct fate_diff diff;
	char text[8192] = "";
	size_t left_out;

	make_side(&a, before, before_names);
	make_side(&b, after, after_names);
	assert_int_equal(fate_diff(&diff, &a.side, &b.side, max), 0);
	assert_null(diff.failure);
	assert_int_equal(fate_diff_lines(&diff, max, put_line, text, &left_out), 0);
	assert_string_equal(text, expected);
	assert_int_equal(left_out, left);
	fate_diff_free(&diff);
	free_side(&a);
	free_side(&b);
}

static void changes(const char *before, const char *after, const char *expected)
{
	lines_are(before, "", after, "", 64, 0, expected);
}

static void test_lines(void **state)
{
	(void)state;
	changes(SERVER, SERVER, "");
	changes(SERVER, SERVER FLOW("203.0.113.0/24", "tcp", "8470"),
		"203.0.113.0/24 -> SERVER tcp/8470: denied -> allowed\n");
	changes(SERVER ADMINS FLOW("ADM", "tcp", "443, 10000-10100"), SERVER ADMINS,
		"ADM -> SERVER tcp/443,10000-10100: allowed -> denied\n");
	/* What allows it is no matter, and what was allowed before is none. */
	changes(SERVER ADMINS FLOW("192.0.2.0/29", "tcp", "443"), SERVER ADMINS FLOW("ADM", "tcp", "443"),
		"192.0.2.8/29 -> SERVER tcp/443: denied -> allowed\n");
	changes(SERVER FLOW("ANY", "udp", "53"), SERVER, "any -> SERVER udp/53: allowed -> denied\n");
	changes(BOTH FLOW("ANY", "udp", "53"), BOTH, "any -> SERVER udp/53: allowed -> denied\n");
	changes(BOTH FLOW("0.0.0.0/0", "udp", "53"), BOTH, "any -> SERVER udp/53: allowed -> denied (IPv4)\n");
}

static void test_names(void **state)
{
	static const char text[] = SERVER FLOW("admin.example.net", "tcp", "443");

	(void)state;
	lines_are(text, "admin.example.net 203.0.113.5", text, "admin.example.net 203.0.113.6", 64, 0,
		  "admin.example.net -> SERVER tcp/443: denied -> allowed\n"
		  "203.0.113.5 -> SERVER tcp/443: allowed -> denied\n");
}

static void test_modes(void **state)
{
	static const char audit[] = "[server]\naddress = 192.0.2.25\n[gateway]\npreset = none\nmode = audit\n";
	static const char reject[] = "[server]\naddress = 192.0.2.25\n[gateway]\npreset = none\nreject = ADM\n" ADMINS;

	(void)state;
	changes(SERVER, audit,
		"any -> SERVER all protocols: denied -> denied, but let through (audit)\n"
		"SERVER -> any but SERVER all protocols: denied -> denied, but let through (audit)\n");
	/* icmp-in opens the rest. */
	changes(SERVER ADMINS, reject, "ADM -> SERVER tcp, udp, other protocols: denied -> denied with an answer\n");
}

/* What opens something comes first. */
static void test_bound(void **state)
{
	static const char before[] = SERVER FLOW("203.0.113.0/24", "tcp", "443"),
			  after[] = SERVER FLOW("198.51.100.0/24", "tcp", "443");

	(void)state;
	lines_are(before, "", after, "", 1, 1, "198.51.100.0/24 -> SERVER tcp/443: denied -> allowed\n");
	lines_are(before, "", after, "", 0, 2, "");
}

/* Then what closes something, and then the rest. */
static void test_order(void **state)
{
	(void)state;
	changes(BOTH FLOW("203.0.113.7", "tcp", "443"), BOTH FLOW("2001:db8:9::/64", "tcp", "443"),
		"2001:db8:9::/64 -> SERVER tcp/443: denied -> allowed\n"
		"203.0.113.7 -> SERVER tcp/443: allowed -> denied\n");
	changes("[server]\naddress = 192.0.2.25\n[gateway]\npreset = none\n" FLOW("203.0.113.7", "tcp", "443"),
		"[server]\naddress = 192.0.2.26\n[gateway]\npreset = none\n" FLOW("203.0.113.7", "tcp", "443"),
		"any but 192.0.2.26, 203.0.113.7 -> 192.0.2.25 tcp/443: denied -> not guarded\n"
		"any but SERVER -> 192.0.2.25 tcp/0-442,444-65535: denied -> not guarded\n"
		"any but SERVER -> 192.0.2.25 udp, icmp-echo, other protocols: denied -> not guarded\n"
		"192.0.2.25 -> any but 192.0.2.25-192.0.2.26 all protocols: denied -> not guarded\n"
		"any but 192.0.2.25, 203.0.113.7 -> SERVER tcp/443: not guarded -> denied\n"
		"any but 192.0.2.25 -> SERVER tcp/0-442,444-65535: not guarded -> denied\n"
		"any but 192.0.2.25 -> SERVER udp, icmp-echo, other protocols: not guarded -> denied\n"
		"SERVER -> any but 192.0.2.25-192.0.2.26 all protocols: not guarded -> denied\n"
		"203.0.113.7 -> SERVER tcp/443: not guarded -> allowed\n"
		"203.0.113.7 -> 192.0.2.25 tcp/443: allowed -> not guarded\n");
}

/* Of many ranges the first ones are shown. */
static void test_many(void **state)
{
	static char before[50000], text[49000];
	static struct side a, b;
	struct fate_diff diff;

	(void)state;
	for (unsigned i = 0; i < FATE_RANGES_MAX + 6; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "\n 198.51.%u.%u", i / 100, i % 100 * 2);
	snprintf(before, sizeof(before), SERVER "[flow own]\nfrom =%s\nto = SERVER\nprotocol = tcp\nport = 443\n",
		 text);
	changes(SERVER, before,
		"198.51.0.0, 198.51.0.2, 198.51.0.4, 198.51.0.6 and 1026 more -> SERVER tcp/443: denied -> allowed\n");
	changes(before, SERVER FLOW("ANY", "tcp", "443"),
		"any but 198.51.0.0, 198.51.0.2, 198.51.0.4, 198.51.0.6 and 1026 more -> SERVER tcp/443: denied -> "
		"allowed\n");
	make_side(&a, SERVER, "");
	make_side(&b, before, "");
	assert_int_equal(fate_diff(&diff, &a.side, &b.side, 1), 0);
	assert_int_equal(diff.count, 1);
	const struct fate_addresses *sources = &diff.addresses.items[diff.items[0].source];
	assert_int_equal(sources->ranges.count, FATE_RANGES_MAX);
	assert_int_equal(sources->more, 6);
	fate_diff_free(&diff);
	free_side(&a);
	free_side(&b);
}

/* More cells than are kept at a time, which are one class in the end. */
static void test_merged(void **state)
{
	static char roles[8000], to[1000], ports[4000], text[20000];

	(void)state;
	for (unsigned i = 1; i <= 120; i++) {
		snprintf(roles + strlen(roles), sizeof(roles) - strlen(roles),
			 "[role S%u]\nmembers = 10.0.0.%u\nprotected = yes\n", i, i);
		snprintf(to + strlen(to), sizeof(to) - strlen(to), "\n S%u", i);
	}
	for (unsigned i = 0; i < 300; i++)
		snprintf(ports + strlen(ports), sizeof(ports) - strlen(ports), "\n %u", 1000 + 2 * i);
	snprintf(text, sizeof(text), SERVER "%s[flow own]\nfrom = 203.0.113.7\nto =%s\nprotocol = tcp\nport =%s\n",
		 roles, to, ports);
	changes(SERVER, text,
		"any but 192.0.2.25, 203.0.113.7 -> 10.0.0.1-10.0.0.120 tcp/1000,1002,1004,1006,1008,1010,1012,1014 "
		"and 292 more: not guarded -> denied\n"
		"any but SERVER -> 10.0.0.1-10.0.0.120 tcp/0-999,1001,1003,1005,1007,1009,1011,1013 and 293 more: "
		"not guarded -> denied\n"
		"any but SERVER -> 10.0.0.1-10.0.0.120 udp, icmp-echo, other protocols: not guarded -> denied\n"
		"10.0.0.1-10.0.0.120 -> any but 10.0.0.1-10.0.0.120, 192.0.2.25 all protocols: not guarded -> denied\n"
		"203.0.113.7 -> 10.0.0.1-10.0.0.120 tcp/1000,1002,1004,1006,1008,1010,1012,1014 and 292 more: "
		"not guarded -> allowed\n");
}

/* Too much to compare in the time that anybody's question may take. */
static void test_too_much(void **state)
{
	static char text[2][300000];
	static struct side sides[2];
	struct fate_diff diff;

	(void)state;
	random_seed(1);
	for (int s = 0; s < 2; s++) {
		snprintf(text[s], sizeof(text[s]), SERVER);
		for (size_t at = strlen(SERVER), i = 0; i < 300; i++) {
			at += (size_t)snprintf(text[s] + at, sizeof(text[s]) - at,
					       "[flow f%zu]\nto = SERVER\nprotocol = tcp\nport = 443\nfrom =", i);
			for (int host = 0; host < 40; host++) {
				unsigned number = roll(20000);
				at += (size_t)snprintf(text[s] + at, sizeof(text[s]) - at, "\n 10.0.%u.%u",
						       number / 256, number % 256);
			}
			at += (size_t)snprintf(text[s] + at, sizeof(text[s]) - at, "\n");
		}
		make_side(&sides[s], text[s], "");
	}
	assert_int_equal(fate_diff(&diff, &sides[0].side, &sides[1].side, FATE_LINES_MAX), 0);
	assert_string_equal(diff.failure, "too much to compare");
	assert_int_equal(diff.count + diff.left + diff.addresses.count, 0);
	fate_diff_free(&diff);
	free_side(&sides[0]);
	free_side(&sides[1]);
}

/* All that differs, and nothing else, is in a class. */

static bool has(const struct fate_diff *diff, size_t index, const struct addr *addr)
{
	const struct fate_addresses *addresses = &diff->addresses.items[index];

	assert_int_equal(addresses->more, 0);
	return addresses->family == addr->family && ranges_contains(&addresses->ranges, addr) != addresses->but;
}

static bool is_in(const struct fate_diff *diff, const struct fate_class *class, const struct fate_packet *p)
{
	bool ipv6 = p->source.family == FAMILY_6, ports = p->protocol == 6 || p->protocol == 17, at = !ports;
	enum protocol protocol = p->protocol == 6    ? PROTOCOL_TCP
				 : p->protocol == 17 ? PROTOCOL_UDP
				 : p->protocol == (ipv6 ? 58 : 1) && p->icmp_type == (ipv6 ? 128 : 8)
					 ? PROTOCOL_ICMP_ECHO
					 : (enum protocol)PROTOCOL_OTHERS;

	for (size_t i = 0; ports && i < class->port_count; i++)
		at |= p->target_port >= class->ports[i].first && p->target_port <= class->ports[i].last;
	return at && class->protocols & 1U << protocol && has(diff, class->source, &p->source) &&
	       has(diff, class->target, &p->target);
}

struct tally {
	size_t packets, differ, classes, pairs;
};

static void check_packet(const struct fate_diff *diff, const struct fate_view *a, const struct fate_view *b,
			 enum fate_stage stage, const struct fate_packet *packet, struct tally *tally)
{
	struct asker asker = fate_packet_asker(packet);
	const struct fate_class *class = NULL;
	struct fate ignored;

	if (fate_around(a, stage, &asker, &ignored) || fate_around(b, stage, &asker, &ignored))
		return;
	struct fate one = policy_fate(a, stage, &asker), other = policy_fate(b, stage, &asker);
	enum fate_outcome before = fate_outcome(&one), after = fate_outcome(&other);
	for (size_t i = 0; i < diff->count; i++) {
		if (!is_in(diff, &diff->items[i], packet))
			continue;
		assert_null(class);
		class = &diff->items[i];
	}
	tally->packets++;
	tally->differ += before != after;
	if (before == after) {
		assert_null(class);
		return;
	}
	assert_non_null(class);
	assert_int_equal(class->before, before);
	assert_int_equal(class->after, after);
}

static struct fate_packet first_packet(const struct values *values, const struct golden_case *g)
{
	struct fate_packet p = random_packet(values, g);

	p.state = CT_NEW;
	p.syn = p.protocol == 6;
	p.packet_type = PACKET_HOST_;
	p.dnat = p.reply = p.rst = p.source_route = p.segments_left = false;
	p.cut_in = p.cut_out = p.cut_full = false;
	return p;
}

/* The first or last address of these, or beside what they are not. */
static struct addr edge_of(const struct fate_addresses *addresses, bool last)
{
	const struct range *range = &addresses->ranges.items[last ? addresses->ranges.count - 1 : 0];
	struct addr addr = last ? range->last : range->first;

	if (addresses->but && !(last ? addr_next(&addr) : addr_previous(&addr))) {
		addr = last ? range->first : range->last;
		assert_true(last ? addr_previous(&addr) : addr_next(&addr));
	}
	return addr;
}

/* A packet at each corner of a class fares as the class says. */
static void check_corners(const struct fate_diff *diff, const struct fate_class *class, const struct fate_view *a,
			  const struct fate_view *b)
{
	for (unsigned corner = 0; corner < 1U << 5; corner++) {
		const struct fate_addresses *sources = &diff->addresses.items[class->source],
					    *targets = &diff->addresses.items[class->target];
		enum protocol protocol = corner / 8;
		struct fate_packet p = { .source = edge_of(sources, corner & 1),
					 .target = edge_of(targets, corner & 2),
					 .state = CT_NEW };
		bool ipv6 = p.source.family == FAMILY_6;
		p.protocol = protocol == PROTOCOL_TCP ? 6 : protocol == PROTOCOL_UDP ? 17 : ipv6 ? 58 : 1;
		p.icmp_type = protocol != PROTOCOL_ICMP_ECHO ? 3 : ipv6 ? 128 : 8;
		p.syn = protocol == PROTOCOL_TCP;
		p.target_port = corner & 4 ? class->ports[class->port_count - 1].last : class->ports[0].first;
		if (!(class->protocols & 1U << protocol))
			continue;
		struct asker asker = fate_packet_asker(&p);
		struct fate one = { .action = ACTION_ACCEPT, .reason = FATE_NOT_OURS }, other = one;
		fate_of_ours(a, &asker, &one);
		fate_of_ours(b, &asker, &other);
		assert_true(is_in(diff, class, &p));
		assert_int_equal(class->before, fate_outcome(&one));
		assert_int_equal(class->after, fate_outcome(&other));
		assert_int_not_equal(class->before, class->after);
	}
}

static void check_pair(const struct golden_case *before, const struct golden_case *after, unsigned packets,
		       struct tally *tally)
{
	static struct values values[2];
	struct fate_view a, b;
	struct fate_diff diff;

	fate_view_init(&a, &before->policy, &before->environment);
	fate_view_init(&b, &after->policy, &after->environment);
	assert_int_equal(fate_diff(&diff, &(struct fate_side){ &before->policy, &before->names },
				   &(struct fate_side){ &after->policy, &after->names }, SIZE_MAX),
			 0);
	assert_null(diff.failure);
	assert_int_equal(diff.left, 0);
	collect(&values[0], before);
	collect(&values[1], after);
	for (size_t i = 0; i < diff.count; i++)
		check_corners(&diff, &diff.items[i], &a, &b);
	for (unsigned i = 0; i < packets; i++) {
		struct fate_packet packet = first_packet(&values[i % 2], i % 2 ? after : before);
		check_packet(&diff, &a, &b, STAGE_FORWARD + i % 3, &packet, tally);
	}
	tally->pairs++;
	tally->classes += diff.count;
	fate_diff_free(&diff);
}

static void test_all_that_differs(void **state)
{
	static struct golden_case cases[2];
	const char *rounds = getenv("SPEFW_ROUNDS");
	struct tally tally = { 0 };

	(void)state;
	random_seed(getenv("SPEFW_SEED") ? strtoull(getenv("SPEFW_SEED"), NULL, 0) : 0x5eed5eed5eed5eed);
	for (unsigned long i = rounds ? strtoul(rounds, NULL, 0) : 60; i > 0; i--) {
		char *text = random_config(true);
		struct golden_case *g = &cases[i % 2], *before = &cases[(i + 1) % 2];
		golden_case_free(g);
		free(make_policy(&g->policy, text));
		if (g->policy.role_count)
			random_environment(g);
		if (g->policy.role_count && before->policy.role_count)
			check_pair(before, g, 500, &tally);
		free(text);
	}
	golden_case_free(&cases[0]);
	golden_case_free(&cases[1]);
	print_message("%zu pairs, %zu classes, %zu packets of which %zu differ\n", tally.pairs, tally.classes,
		      tally.packets, tally.differ);
	if (!rounds)
		assert_true(tally.pairs > 20 && tally.differ > 1000 && tally.packets - tally.differ > 1000);
}

static void test_no_memory(void **state)
{
	static struct side a, b;
	struct fate_diff diff = { 0 };
	char text[8192] = "";
	size_t left;
	int r = -ENOMEM;

	(void)state;
	make_side(&a, SERVER, "");
	make_side(&b, SERVER FLOW("203.0.113.0/24", "tcp", "8470"), "");
	for (long n = 0; r == -ENOMEM; n++) {
		allocations_left = n;
		r = fate_diff(&diff, &a.side, &b.side, 64);
		allocations_left = -1;
		assert_null(diff.failure);
		assert_int_equal(diff.count, r == 0);
	}
	assert_int_equal(diff.count, 1);
	r = -ENOMEM;
	for (long n = 0; r == -ENOMEM; n++) {
		assert_string_equal(text, "");
		allocations_left = n;
		r = fate_diff_lines(&diff, 64, put_line, text, &left);
		allocations_left = -1;
	}
	assert_string_equal(text, "203.0.113.0/24 -> SERVER tcp/8470: denied -> allowed\n");
	fate_diff_free(&diff);
	free_side(&a);
	free_side(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_merged),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_all_that_differs),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
