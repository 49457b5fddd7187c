/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the product means, packet by packet, written down by hand. */
#include "make.h"

#define CONFIG                                                                                                  \
	"[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n"                               \
	"[role ADM]\nmembers = 203.0.113.0/24 2001:db8:3::/64 admin.example.net\n"                              \
	"[role IH]\nmembers = 192.0.2.31 192.0.2.40/30\nprotected = yes\nephemeral_ports = 30000 50000-50001\n" \
	"[flow imap-in]\nenabled = no\n"                                                                        \
	"[flow ews-out]\nto = 198.51.100.80\n[flow icewarp-out]\nenabled = no\n"                                \
	"[flow server-to-ih]\nfrom = SERVER\nto = IH\nprotocol = tcp\nport = 8472\n"                            \
	"[flow ih-to-one]\nfrom = 192.0.2.41\nto = SERVER\nprotocol = tcp\nport = 8473\n"                       \
	"[flow log-in]\nfrom = 198.51.100.0/25\nto = 192.0.2.42\nprotocol = udp\nport = 514-515\n"              \
	"[flow near-out]\nfrom = IH\nto = 192.0.2.0/24\nprotocol = tcp\nport = 9000\n"                          \
	"[flow ih-ping]\nfrom = IH\nto = SERVER 198.51.100.0/24\nprotocol = icmp-echo\n"                        \
	"[flow special-in]\nfrom = 203.0.113.9\nto = SERVER\nprotocol = tcp\nport = 440-450\n"
#define NAMES "my.mailstore.com 198.51.100.77 2001:db8:77::1;admin.example.net 198.51.100.66"

enum { SYN, MID_STREAM };

static const struct expectation {
	enum protocol protocol;
	const char *source;
	uint16_t source_port;
	const char *target;
	uint16_t target_port;
	bool mid_stream;
	enum verdict verdict;
	enum reason reason;
	const char *flow; /* NULL: none */
	const char *role; /* and whether it is judged as inbound: "SERVER<" or "SERVER>" */
} table[] = {
#define TCP PROTOCOL_TCP
#define UDP PROTOCOL_UDP
#define ECHO PROTOCOL_ICMP_ECHO
#define ALLOW VERDICT_ALLOW, REASON_FLOW
#define ANSWER VERDICT_ALLOW, REASON_ANSWER
#define NO_FLOW VERDICT_DENY, REASON_NO_FLOW
#define WRONG_PEER VERDICT_DENY, REASON_WRONG_PEER
#define NOT_OURS VERDICT_NOT_OURS, REASON_FLOW, NULL, NULL
	/* the gateway's other traffic */
	{ TCP, "198.51.100.1", 1000, "203.0.113.1", 22, SYN, NOT_OURS },
	{ TCP, "192.0.2.24", 1000, "192.0.2.26", 443, SYN, NOT_OURS },
	{ UDP, "2001:db8:2::24", 53, "2001:db8:2::26", 53, SYN, NOT_OURS },
	{ TCP, "192.0.2.43", 1000, "192.0.2.39", 1, MID_STREAM, NO_FLOW, NULL, "IH>" },
	/* inbound: any source, administrators, by address, prefix and name, in both families */
	{ TCP, "198.51.100.1", 50000, "192.0.2.25", 443, SYN, ALLOW, "https-in", "SERVER<" },
	{ TCP, "2001:db8:9::1", 50000, "2001:db8:2::25", 443, SYN, ALLOW, "https-in", "SERVER<" },
	{ TCP, "10.0.0.1", 50000, "192.0.2.25", 993, SYN, ALLOW, "imaps-in", "SERVER<" },
	{ TCP, "203.0.113.200", 50000, "192.0.2.25", 8470, SYN, ALLOW, "console-in", "SERVER<" },
	{ TCP, "198.51.100.66", 50000, "192.0.2.25", 8474, SYN, ALLOW, "api-in", "SERVER<" },
	{ TCP, "2001:db8:3::77", 50000, "2001:db8:2::25", 8474, SYN, ALLOW, "api-in", "SERVER<" },
	{ TCP, "203.0.112.255", 50000, "192.0.2.25", 8470, SYN, WRONG_PEER, "console-in", "SERVER<" },
	{ TCP, "203.0.114.0", 50000, "192.0.2.25", 8470, SYN, WRONG_PEER, "console-in", "SERVER<" },
	{ TCP, "198.51.100.67", 50000, "192.0.2.25", 8470, SYN, WRONG_PEER, "console-in", "SERVER<" },
	{ ECHO, "203.0.113.5", 0, "192.0.2.25", 0, SYN, ALLOW, "ping", "SERVER<" },
	{ ECHO, "198.51.100.5", 0, "192.0.2.25", 0, SYN, WRONG_PEER, "ping", "SERVER<" },
	/* what no flow opens; a disabled one opens nothing; another protocol neither */
	{ TCP, "203.0.113.5", 50000, "192.0.2.25", 3389, SYN, NO_FLOW, NULL, "SERVER<" },
	{ TCP, "198.51.100.1", 50000, "192.0.2.25", 143, SYN, NO_FLOW, NULL, "SERVER<" },
	{ UDP, "203.0.113.5", 50000, "192.0.2.25", 443, SYN, NO_FLOW, NULL, "SERVER<" },
	{ ECHO, "203.0.113.5", 0, "192.0.2.31", 0, SYN, NO_FLOW, NULL, "IH<" },
	/* the most specific flow gets the credit, whoever else would allow it */
	{ TCP, "203.0.113.9", 50000, "192.0.2.25", 443, SYN, ALLOW, "special-in", "SERVER<" },
	{ TCP, "203.0.113.9", 50000, "192.0.2.25", 440, SYN, ALLOW, "special-in", "SERVER<" },
	{ TCP, "203.0.113.8", 50000, "192.0.2.25", 443, SYN, ALLOW, "https-in", "SERVER<" },
	{ TCP, "203.0.113.8", 50000, "192.0.2.25", 450, SYN, WRONG_PEER, "special-in", "SERVER<" },
	{ TCP, "203.0.113.9", 50000, "192.0.2.25", 451, SYN, NO_FLOW, NULL, "SERVER<" },
	/* ANY as a target never opens what is protected: crl is ANY to CA, and CA is ANY */
	{ TCP, "198.51.100.1", 50000, "192.0.2.25", 80, SYN, NO_FLOW, NULL, "SERVER<" },
	{ TCP, "192.0.2.31", 50000, "192.0.2.25", 80, SYN, NO_FLOW, NULL, "SERVER<" },
	{ TCP, "192.0.2.25", 50000, "192.0.2.31", 993, SYN, NO_FLOW, NULL, "IH<" },
	{ TCP, "192.0.2.25", 50000, "192.0.2.31", 80, SYN, NO_FLOW, NULL, "IH<" },
	/* outbound: anywhere that is not protected, one address, a name */
	{ TCP, "192.0.2.25", 50000, "198.51.100.1", 80, SYN, ALLOW, "crl", "SERVER>" },
	{ TCP, "192.0.2.25", 50000, "192.0.2.1", 993, SYN, ALLOW, "imaps-out", "SERVER>" },
	{ TCP, "2001:db8:2::25", 50000, "2001:db8:9::1", 587, SYN, ALLOW, "smtp-out", "SERVER>" },
	{ TCP, "192.0.2.25", 50000, "198.51.100.80", 443, SYN, ALLOW, "ews-out", "SERVER>" },
	{ TCP, "192.0.2.25", 50000, "198.51.100.77", 443, SYN, ALLOW, "license-out", "SERVER>" },
	{ TCP, "2001:db8:2::25", 50000, "2001:db8:77::1", 443, SYN, ALLOW, "license-out", "SERVER>" },
	{ TCP, "192.0.2.25", 50000, "198.51.100.78", 443, SYN, WRONG_PEER, "ews-out", "SERVER>" },
	{ TCP, "192.0.2.25", 50000, "198.51.100.1", 8080, SYN, NO_FLOW, NULL, "SERVER>" },
	{ UDP, "192.0.2.25", 50000, "192.0.2.53", 53, SYN, ALLOW, "dns-out", "SERVER>" },
	{ TCP, "192.0.2.25", 50000, "192.0.2.53", 53, SYN, ALLOW, "dns-out", "SERVER>" },
	{ UDP, "192.0.2.25", 50000, "192.0.2.54", 53, SYN, WRONG_PEER, "dns-out", "SERVER>" },
	{ UDP, "192.0.2.25", 50000, "192.0.2.53", 123, SYN, NO_FLOW, NULL, "SERVER>" },
	{ ECHO, "192.0.2.25", 0, "203.0.113.5", 0, SYN, NO_FLOW, NULL, "SERVER>" },
	/* a UDP packet has no answers of its own: they belong to a tracked connection, or are judged as new */
	{ UDP, "192.0.2.53", 53, "192.0.2.25", 50000, SYN, NO_FLOW, NULL, "SERVER<" },
	/* between two protected roles the target's flows decide */
	{ TCP, "192.0.2.25", 50000, "192.0.2.31", 8472, SYN, ALLOW, "server-to-ih", "IH<" },
	{ TCP, "192.0.2.25", 50000, "192.0.2.43", 8472, SYN, ALLOW, "server-to-ih", "IH<" },
	{ TCP, "192.0.2.31", 50000, "192.0.2.25", 8472, SYN, NO_FLOW, NULL, "SERVER<" },
	{ TCP, "192.0.2.41", 50000, "192.0.2.25", 8473, SYN, ALLOW, "ih-to-one", "SERVER<" },
	{ TCP, "192.0.2.40", 50000, "192.0.2.25", 8473, SYN, WRONG_PEER, "ih-to-one", "SERVER<" },
	{ TCP, "192.0.2.31", 50000, "192.0.2.25", 443, SYN, ALLOW, "https-in", "SERVER<" },
	{ ECHO, "192.0.2.43", 0, "192.0.2.25", 0, SYN, ALLOW, "ih-ping", "SERVER<" },
	{ ECHO, "192.0.2.43", 0, "198.51.100.9", 0, SYN, ALLOW, "ih-ping", "IH>" },
	/* one address of a role may be opened alone */
	{ UDP, "198.51.100.127", 50000, "192.0.2.42", 515, SYN, ALLOW, "log-in", "IH<" },
	{ UDP, "198.51.100.127", 50000, "192.0.2.41", 515, SYN, WRONG_PEER, "log-in", "IH<" },
	{ UDP, "198.51.100.128", 50000, "192.0.2.42", 515, SYN, WRONG_PEER, "log-in", "IH<" },
	{ UDP, "198.51.100.127", 50000, "192.0.2.42", 516, SYN, NO_FLOW, NULL, "IH<" },
	/* a network as a target opens what is not protected in it, and nothing else */
	{ TCP, "192.0.2.31", 50000, "192.0.2.200", 9000, SYN, ALLOW, "near-out", "IH>" },
	{ TCP, "192.0.2.31", 50000, "192.0.2.25", 9000, SYN, NO_FLOW, NULL, "SERVER<" },
	{ TCP, "192.0.2.31", 50000, "192.0.2.40", 9000, SYN, NO_FLOW, NULL, "IH<" },
	/* mid-stream packets from a service port of the protected side: answers of that inbound flow */
	{ TCP, "192.0.2.25", 8470, "203.0.113.5", 50000, MID_STREAM, ANSWER, "console-in", "SERVER>" },
	{ TCP, "192.0.2.25", 8470, "198.51.100.1", 50000, MID_STREAM, WRONG_PEER, "console-in", "SERVER>" },
	{ TCP, "192.0.2.25", 443, "198.51.100.1", 50000, MID_STREAM, ANSWER, "https-in", "SERVER>" },
	/* a revoked session can't slip out through an outbound flow that has the peer's port */
	{ TCP, "192.0.2.25", 8470, "198.51.100.1", 80, MID_STREAM, WRONG_PEER, "console-in", "SERVER>" },
	{ TCP, "192.0.2.25", 8470, "198.51.100.1", 80, SYN, ALLOW, "crl", "SERVER>" },
	/* mid-stream packets to the protected side: of the inbound flow where they go to a service port */
	{ TCP, "203.0.113.5", 50000, "192.0.2.25", 8470, MID_STREAM, ANSWER, "console-in", "SERVER<" },
	{ TCP, "198.51.100.1", 50000, "192.0.2.25", 8470, MID_STREAM, WRONG_PEER, "console-in", "SERVER<" },
	{ TCP, "198.51.100.1", 80, "192.0.2.25", 8470, MID_STREAM, WRONG_PEER, "console-in", "SERVER<" },
	/* and else answers of the outbound flow whose port they come from */
	{ TCP, "198.51.100.1", 80, "192.0.2.25", 50000, MID_STREAM, ANSWER, "crl", "SERVER<" },
	{ TCP, "198.51.100.77", 443, "192.0.2.25", 50000, MID_STREAM, ANSWER, "license-out", "SERVER<" },
	{ TCP, "198.51.100.78", 443, "192.0.2.25", 50000, MID_STREAM, WRONG_PEER, "ews-out", "SERVER<" },
	{ TCP, "198.51.100.1", 80, "192.0.2.25", 50000, SYN, NO_FLOW, NULL, "SERVER<" },
	{ TCP, "198.51.100.1", 8080, "192.0.2.25", 50000, MID_STREAM, NO_FLOW, NULL, "SERVER<" },
	/* but only to a port that the role opens its connections from */
	{ TCP, "198.51.100.1", 80, "192.0.2.25", 49152, MID_STREAM, ANSWER, "crl", "SERVER<" },
	{ TCP, "198.51.100.1", 80, "192.0.2.25", 49151, MID_STREAM, NO_FLOW, NULL, "SERVER<" },
	{ TCP, "198.51.100.1", 443, "192.0.2.25", 3389, MID_STREAM, NO_FLOW, NULL, "SERVER<" },
	{ TCP, "198.51.100.1", 443, "192.0.2.25", 0, MID_STREAM, NO_FLOW, NULL, "SERVER<" },
	{ TCP, "198.51.100.1", 9000, "192.0.2.31", 30000, MID_STREAM, WRONG_PEER, "near-out", "IH<" },
	{ TCP, "192.0.2.200", 9000, "192.0.2.31", 30000, MID_STREAM, ANSWER, "near-out", "IH<" },
	{ TCP, "192.0.2.200", 9000, "192.0.2.31", 50001, MID_STREAM, ANSWER, "near-out", "IH<" },
	{ TCP, "192.0.2.200", 9000, "192.0.2.31", 50002, MID_STREAM, NO_FLOW, NULL, "IH<" },
	{ TCP, "192.0.2.200", 9000, "192.0.2.31", 65535, MID_STREAM, NO_FLOW, NULL, "IH<" },
	/* and likewise out of it: whoever speaks first, its connection would be taken up */
	{ TCP, "192.0.2.25", 3389, "198.51.100.1", 443, MID_STREAM, NO_FLOW, NULL, "SERVER>" },
	{ TCP, "192.0.2.25", 3389, "198.51.100.1", 80, SYN, ALLOW, "crl", "SERVER>" },
	{ TCP, "192.0.2.25", 49151, "198.51.100.1", 80, MID_STREAM, NO_FLOW, NULL, "SERVER>" },
	{ TCP, "192.0.2.31", 30000, "192.0.2.200", 9000, MID_STREAM, ANSWER, "near-out", "IH>" },
	{ TCP, "192.0.2.31", 30001, "192.0.2.200", 9000, MID_STREAM, NO_FLOW, NULL, "IH>" },
	{ TCP, "192.0.2.25", 143, "198.51.100.1", 4444, MID_STREAM, NO_FLOW, NULL, "SERVER>" },
	{ TCP, "192.0.2.25", 443, "198.51.100.1", 4444, MID_STREAM, ANSWER, "https-in", "SERVER>" },
	/* mid-stream packets of what the server opened, on their way out */
	{ TCP, "192.0.2.25", 50000, "198.51.100.1", 80, MID_STREAM, ANSWER, "crl", "SERVER>" },
	{ TCP, "192.0.2.25", 50000, "198.51.100.1", 8080, MID_STREAM, NO_FLOW, NULL, "SERVER>" },
	/* mid-stream packets between two protected roles, both ways */
	{ TCP, "192.0.2.25", 50000, "192.0.2.31", 8472, MID_STREAM, ANSWER, "server-to-ih", "IH<" },
	{ TCP, "192.0.2.31", 8472, "192.0.2.25", 50000, MID_STREAM, ANSWER, "server-to-ih", "SERVER<" },
	{ TCP, "192.0.2.31", 993, "192.0.2.25", 50000, MID_STREAM, WRONG_PEER, "imaps-out", "SERVER<" },
	{ TCP, "192.0.2.31", 9000, "192.0.2.25", 50000, MID_STREAM, NO_FLOW, NULL, "SERVER<" },
	{ TCP, "192.0.2.25", 8473, "192.0.2.41", 50000, MID_STREAM, ANSWER, "ih-to-one", "IH<" },
	{ TCP, "192.0.2.25", 8473, "192.0.2.40", 50000, MID_STREAM, WRONG_PEER, "ih-to-one", "IH<" },
};

static struct packet packet_of(const struct expectation *e)
{
	return (struct packet){ .source = make_addr(e->source),
				.target = make_addr(e->target),
				.protocol = e->protocol,
				.source_port = e->source_port,
				.target_port = e->target_port,
				.mid_stream = e->mid_stream };
}

static void test_table(void **state)
{
	static const char *const verdicts[] = { "not ours", "allow", "deny" };
	static const char *const reasons[] = { "flow", "answer", "no flow", "wrong peer" };
	struct policy policy;
	size_t wrong = 0;

	(void)state;
	make_good_policy(&policy, CONFIG);
	struct names_view names = make_names(&policy, NAMES);
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		const struct expectation *e = &table[i];
		struct packet packet = packet_of(e);
		struct judgement j = policy_judge(&policy, &names, &packet);
		char role[CONFIG_ID_MAX + 2] = "";
		if (j.role)
			snprintf(role, sizeof(role), "%s%c", j.role->name, j.inbound ? '<' : '>');
		if (j.verdict == e->verdict && (j.verdict == VERDICT_NOT_OURS || j.reason == e->reason) &&
		    strcmp(j.flow ? j.flow->id : "", e->flow ? e->flow : "") == 0 &&
		    strcmp(role, e->role ? e->role : "") == 0)
			continue;
		wrong++;
		print_error("%s %s:%u -> %s:%u%s: %s, %s, %s, %s instead of %s, %s, %s, %s\n",
			    protocol_name(e->protocol), e->source, e->source_port, e->target, e->target_port,
			    e->mid_stream ? " mid-stream" : "", verdicts[j.verdict], reasons[j.reason],
			    j.flow ? j.flow->id : "-", role, verdicts[e->verdict], reasons[e->reason],
			    e->flow ? e->flow : "-", e->role ? e->role : "");
	}
	assert_int_equal(wrong, 0);
	names_view_free(&names);
	policy_free(&policy);
}

/* Without addresses a name opens nothing, and a view that is older than the policy is no danger. */
static void test_no_names(void **state)
{
	static const struct names_view empty;
	struct packet packet = { make_addr("192.0.2.25"), make_addr("198.51.100.77"), PROTOCOL_TCP, 50000, 443, false };
	struct policy policy;

	(void)state;
	make_good_policy(&policy, CONFIG);
	assert_int_equal(policy_judge(&policy, NULL, &packet).verdict, VERDICT_DENY);
	assert_int_equal(policy_judge(&policy, &empty, &packet).verdict, VERDICT_DENY);
	assert_int_equal(policy_judge(&policy, &empty, &packet).reason, REASON_WRONG_PEER);
	policy_free(&policy);
}

/* A connection is judged alike from both sides: where its SYN is allowed, so are all its packets, and where the SYN is
 * denied, no mid-stream packet passes as one of it. */
static void test_both_directions(void **state)
{
	struct policy policy;

	(void)state;
	make_good_policy(&policy, CONFIG);
	struct names_view names = make_names(&policy, NAMES);
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		struct packet there = packet_of(&table[i]);
		if (there.protocol != PROTOCOL_TCP || there.mid_stream || there.source_port != 50000)
			continue;
		struct packet middle = there;
		middle.mid_stream = true;
		struct packet back = { there.target,      there.source,      PROTOCOL_TCP,
				       there.target_port, there.source_port, true };
		enum verdict wanted = policy_judge(&policy, &names, &there).verdict;
		if (policy_judge(&policy, &names, &middle).verdict != wanted ||
		    policy_judge(&policy, &names, &back).verdict != wanted)
			fail_msg("%s -> %s:%u: its mid-stream packets are judged otherwise", table[i].source,
				 table[i].target, there.target_port);
	}
	names_view_free(&names);
	policy_free(&policy);
}

/* What the policy takes a mid-stream packet for; from both sides the same. */
static void test_opened(void **state)
{
	static const struct {
		const char *source;
		uint16_t source_port;
		const char *target;
		uint16_t target_port;
		bool known, inbound;
	} cases[] = {
		{ "198.51.100.1", 443, "192.0.2.25", 8470, true, true }, /* whether it is allowed does not matter */
		{ "198.51.100.1", 443, "192.0.2.25", 50000, true, false },
		{ "198.51.100.1", 4444, "192.0.2.25", 50000, true, false },
		{ "198.51.100.1", 443, "192.0.2.25", 3389, false, false },
		{ "198.51.100.1", 443, "192.0.2.26", 443, false, false },
	};
	struct policy policy;

	(void)state;
	make_good_policy(&policy, CONFIG);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct packet in = { make_addr(cases[i].source), make_addr(cases[i].target), PROTOCOL_TCP,
				     cases[i].source_port,       cases[i].target_port,       true };
		struct packet out = { in.target, in.source, PROTOCOL_TCP, in.target_port, in.source_port, true };
		struct packet wanted = cases[i].inbound ? in : out, got;
		for (int way = 0; way < 2; way++) {
			got = way ? out : in;
			assert_int_equal(policy_opened(&policy, &got, &got), cases[i].known);
			if (!cases[i].known)
				continue;
			assert_int_equal(addr_compare(&got.source, &wanted.source), 0);
			assert_int_equal(addr_compare(&got.target, &wanted.target), 0);
			assert_int_equal(got.source_port, wanted.source_port);
			assert_int_equal(got.target_port, wanted.target_port);
			assert_false(got.mid_stream);
		}
	}
	policy_free(&policy);
}

/* What was left out, since it is the gateway's own, is no longer guarded, and still a member of its role. */
static void test_left_out(void **state)
{
	struct ranges gateway = make_ranges("192.0.2.31");
	struct packet in = { make_addr("198.51.100.1"), make_addr("192.0.2.31"), PROTOCOL_TCP, 50000, 22, false };
	struct packet on = { make_addr("192.0.2.25"), make_addr("192.0.2.31"), PROTOCOL_TCP, 50000, 8472, false };
	struct policy policy;
	bool changed;

	(void)state;
	make_good_policy(&policy, CONFIG);
	assert_int_equal(policy_judge(&policy, NULL, &in).verdict, VERDICT_DENY);
	assert_int_equal(policy_leave_out(&policy, &gateway, &changed), 0);
	assert_int_equal(policy_judge(&policy, NULL, &in).verdict, VERDICT_NOT_OURS);
	assert_int_equal(policy_judge(&policy, NULL, &on).verdict, VERDICT_ALLOW);
	on.target_port = 22;
	assert_int_equal(policy_judge(&policy, NULL, &on).verdict, VERDICT_DENY);
	ranges_free(&gateway);
	policy_free(&policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),  cmocka_unit_test(test_no_names), cmocka_unit_test(test_both_directions),
		cmocka_unit_test(test_opened), cmocka_unit_test(test_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
