/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions in an administrator's words, and what becomes of each packet that is meant, written down by hand. That the
 * chains are the right ones for any policy is shown by test_compile.c. */
#include "core/drop_seen.h"
#include "core/explain.h"
#include "make.h"

#include <errno.h>

#define CONFIG                                                                                                     \
	"[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n"                                  \
	"[role ADM]\nmembers = 203.0.113.0/24 2001:db8:3::/64\n"                                                   \
	"[role IH]\nmembers = 192.0.2.31 192.0.2.40/30\nprotected = yes\n"                                         \
	"[role HELP]\nmembers = help.example.net 203.0.113.9\n[role WIDE]\nmembers = 198.51.100.0/27\n"            \
	"[role GONE]\nmembers = gone.example.net\n"                                                                \
	"[flow help-in]\nfrom = HELP WIDE GONE\nto = IH\nprotocol = tcp\nport = 5900\n"                            \
	"[flow imap-in]\nenabled = no\n[flow ews-out]\nto = graph.example.net\n[flow icewarp-out]\nenabled = no\n" \
	"[flow near-out]\nfrom = IH\nto = 192.0.2.0/24\nprotocol = tcp\nport = 9000-9010, 9100\n"                  \
	"[role NOBODY]\nmembers =\n[flow empty-in]\nfrom = NOBODY\nto = SERVER\nprotocol = tcp\nport = 9999\n"     \
	"[flow log-in]\nfrom = ANY\nto = 192.0.2.42\nprotocol = udp\nport = 514\n"
#define NAMES                                                                                                         \
	"my.mailstore.com 198.51.100.77 2001:db8:77::1;graph.example.net 198.51.100.80 198.51.100.81 2001:db8:80::1;" \
	"help.example.net 198.51.100.66"

static struct policy policy;
static struct names_view names;
static struct ruleset ruleset;
static struct explain_view view = { .policy = &policy, .names = &names };

static int make_world(void **state)
{
	(void)state;
	make_good_policy(&policy, CONFIG);
	names = make_names(&policy, NAMES);
	view.environment = make_environment(&policy, &names);
	assert_int_equal(make_ruleset(&ruleset, &policy, &names), 0);
	return packet_walks_new(&view.walks, &policy, &ruleset);
}

static int free_world(void **state)
{
	(void)state;
	packet_walks_free(view.walks);
	ruleset_free(&ruleset);
	names_view_free(&names);
	policy_free(&policy);
	return 0;
}

static const struct expectation {
	const char *source, *target, *protocol; /* of one packet */
	enum verdict verdict;
	const char *flow; /* that allows it, or the nearest; NULL: none */
	unsigned misses;
	const char *chain;  /* where it ends; NULL: at the end of the base chain */
	const char *before; /* the one before; NULL: any */
} table[] = {
#define ALLOW VERDICT_ALLOW
#define DENY VERDICT_DENY
	{ "203.0.113.7", "192.0.2.25:8470", NULL, ALLOW, "console-in", 0, "SERVER_in_tcp_8470", "SERVER_in" },
	{ "2001:db8:3::7", "[2001:db8:2::25]:8470", "tcp", ALLOW, "console-in", 0, "SERVER_in_tcp_8470", NULL },
	{ "203.0.113.7", "192.0.2.25", "ping", ALLOW, "ping", 0, "SERVER_in_icmp-echo", NULL },
	{ "2001:db8:3::7", "2001:db8:2::25", "icmp-echo", ALLOW, "ping", 0, "SERVER_in_icmp-echo", NULL },
	{ "192.0.2.25", "192.0.2.53:53", "udp", ALLOW, "dns-out", 0, "SERVER_out_udp_53", NULL },
	/* peers that a flow is not for */
	{ "198.51.100.7", "192.0.2.25:8470", "TCP", DENY, "console-in", MISS_SOURCE, "deny_in", "SERVER_in_tcp_8470" },
	{ "198.51.100.7", "192.0.2.25", "icmp", DENY, "ping", MISS_SOURCE, "deny_in", "SERVER_in_icmp-echo" },
	{ "192.0.2.25", "203.0.113.200:443", NULL, DENY, "ews-out", MISS_TARGET, "deny_out", "SERVER_out_tcp_443" },
	{ "192.0.2.31", "198.51.100.7:9005", NULL, DENY, "near-out", MISS_TARGET, "deny_out", NULL },
	{ "192.0.2.25", "192.0.2.53:9005", NULL, DENY, "near-out", MISS_SOURCE, "deny_out", "SERVER_out" },
	/* no flow has the port: the nearest is one that is off, of another protocol, of a port beside */
	{ "198.51.100.7", "192.0.2.25:143", NULL, DENY, "imap-in", MISS_OFF, "SERVER_early", NULL },
	{ "203.0.113.7", "192.0.2.25:8471", NULL, DENY, "console-in", MISS_PORT, "SERVER_early", NULL },
	{ "192.0.2.31", "192.0.2.53:9011", NULL, DENY, "near-out", MISS_PORT, "deny_out", "IH_out" },
	{ "192.0.2.31", "192.0.2.53:9099", NULL, DENY, "near-out", MISS_PORT, "deny_out", "IH_out" },
	{ "198.51.100.7", "192.0.2.25:443", "udp", DENY, "https-in", MISS_PROTOCOL, "deny_in", "SERVER_in" },
	{ "198.51.100.7", "192.0.2.42:514", NULL, DENY, "log-in", MISS_PROTOCOL, "IH_early", NULL },
	/* protected to protected; what ANY, or a network, covers is not named by it */
	{ "192.0.2.25", "192.0.2.31:443", NULL, DENY, "https-in", MISS_TARGET, "IH_early", NULL },
	{ "198.51.100.7", "192.0.2.25:80", NULL, DENY, "crl", MISS_NAMING, "SERVER_early", NULL },
	{ "192.0.2.31", "192.0.2.25:9000", NULL, DENY, "near-out", MISS_NAMING, "SERVER_early", NULL },
	{ "192.0.2.31", "192.0.2.41:9000", NULL, DENY, "near-out", MISS_NAMING, "IH_early", NULL },
	{ "203.0.113.9", "192.0.2.41:5900", NULL, ALLOW, "help-in", 0, "IH_in_tcp_5900", NULL },
	{ "203.0.113.7", "192.0.2.25:9999", NULL, DENY, "empty-in", MISS_SOURCE, "SERVER_early", NULL },
	/* a flow that has the port, for others on both sides, is nearer than one of another port */
	{ "192.0.2.53", "192.0.2.25:5900", NULL, DENY, "help-in", MISS_SOURCE | MISS_TARGET, "SERVER_early", NULL },
	/* too far away for any */
	{ "198.18.0.7", "192.0.2.31:22", NULL, DENY, NULL, 0, "IH_early", NULL },
	/* the gateway's own, and what is not ours */
	{ "192.0.2.1", "192.0.2.25:443", NULL, ALLOW, "https-in", 0, "SERVER_in_tcp_443", NULL },
	{ "192.0.2.1", "192.0.2.25:22", NULL, DENY, "https-in", MISS_PORT, "deny_in", "SERVER_in" },
	{ "192.0.2.25", "192.0.2.1:22", NULL, DENY, "crl", MISS_PORT, "deny_out", "SERVER_out" },
	{ "198.51.100.7", "203.0.113.1:22", NULL, VERDICT_NOT_OURS, NULL, 0, NULL, NULL },
};

static struct packet only_packet(const struct explain_question *question)
{
	assert_int_equal(question->sources.count, 1);
	assert_int_equal(question->targets.count, 1);
	return (struct packet){ .source = question->sources.items[0],
				.target = question->targets.items[0],
				.protocol = question->protocol,
				.source_port = question->port ? 50000 : 0,
				.target_port = question->port };
}

static void check(const struct expectation *wanted)
{
	struct explain_question question;
	struct explanation e;
	char why[QUESTION_WHY_MAX];

	int r = question_read(&question, &policy, &names, wanted->source, wanted->target, wanted->protocol, why);
	if (r < 0)
		fail_msg("%s %s: %s", wanted->source, wanted->target, why);
	struct packet packet = only_packet(&question);
	assert_int_equal(explain_packet(&view, &packet, &e), 0);
	const struct policy_flow *flow = e.verdict == VERDICT_ALLOW ? e.judgement.flow : e.nearest.flow;
	const char *before = e.walk.path_count > 1 ? e.walk.path[e.walk.path_count - 2] : "";
	if (e.verdict != wanted->verdict || e.nearest.misses != wanted->misses || !e.walked || e.differs ||
	    strcmp(flow ? flow->id : "", wanted->flow ? wanted->flow : "") != 0 ||
	    strcmp(e.walk.chain ? e.walk.chain : "", wanted->chain ? wanted->chain : "") != 0 ||
	    (wanted->before && strcmp(before, wanted->before) != 0))
		fail_msg("%s %s %s: verdict %d, flow %s, misses %u, chain %s after %s", wanted->source, wanted->target,
			 wanted->protocol ? wanted->protocol : "", e.verdict, flow ? flow->id : "-", e.nearest.misses,
			 e.walk.chain ? e.walk.chain : "-", before);
	question_free(&question);
}

static void test_packets(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++)
		check(&table[i]);
}

static void test_hooks(void **state)
{
	static const struct {
		const char *source, *target;
		enum hook hook;
	} cases[] = { { "192.0.2.1", "192.0.2.25", HOOK_OUTPUT },
		      { "192.0.2.25", "192.0.2.1", HOOK_INPUT },
		      { "2001:db8:2::25", "2001:db8:2::1", HOOK_INPUT },
		      { "192.0.2.25", "192.0.2.2", HOOK_FORWARD } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct packet packet = {
			make_addr(cases[i].source), make_addr(cases[i].target), PROTOCOL_TCP, 50000, 443, false
		};
		struct explanation e;
		assert_int_equal(explain_packet(&view, &packet, &e), 0);
		assert_int_equal(e.hook, cases[i].hook);
		assert_true(e.walked && !e.differs);
		assert_string_equal(e.walk.path[0], e.hook == HOOK_OUTPUT  ? "output"
						    : e.hook == HOOK_INPUT ? "input"
									   : "forward");
	}
}

/* What a guarded machine sends has to come by its own interfaces; what goes to broadcast addresses has rules of its
 * own.
 */
static void test_exceptions(void **state)
{
	static const struct {
		const char *source, *target;
		enum verdict verdict;
		enum exception exception;
		bool guarded;
	} cases[] = {
		{ "192.0.2.25", "224.0.0.251", DENY, EXCEPTION_IGNORED, true },
		{ "2001:db8:2::25", "ff02::fb", DENY, EXCEPTION_IGNORED, true },
		{ "192.0.2.25", "255.255.255.255", DENY, EXCEPTION_IGNORED, true },
		{ "192.0.2.25", "192.0.2.255", DENY, EXCEPTION_IGNORED, true },
		{ "198.51.100.7", "192.0.2.255", DENY, EXCEPTION_BROADCAST, false },
		{ "198.51.100.7", "224.0.0.251", VERDICT_NOT_OURS, EXCEPTION_NONE, false },
		{ "198.51.100.7", "192.0.2.254", VERDICT_NOT_OURS, EXCEPTION_NONE, false },
		{ "198.51.100.7", "192.0.2.25", DENY, EXCEPTION_NONE, false },
		{ "192.0.2.25", "239.0.0.1", DENY, EXCEPTION_IGNORED, true },
		{ "192.0.2.25", "240.0.0.1", DENY, EXCEPTION_NONE, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct packet packet = {
			make_addr(cases[i].source), make_addr(cases[i].target), PROTOCOL_UDP, 50000, 9, false
		};
		struct explanation e;
		assert_int_equal(explain_packet(&view, &packet, &e), 0);
		assert_int_equal(e.verdict, cases[i].verdict);
		assert_int_equal(e.exception, cases[i].exception);
		assert_int_equal(e.interfaces != NULL, cases[i].guarded);
		assert_false(e.differs);
	}
}

/* How many addresses each end of a question has. */
static void test_words(void **state)
{
	static const struct {
		const char *source, *target;
		size_t sources, targets;
	} cases[] = {
		{ "server", "198.51.100.7:1", 2, 1 },           { "Server", "ih:1", 2, 5 },
		{ "GRAPH.example.net.", "SERVER:65535", 3, 2 }, { "HELP", "192.0.2.31:5900", 2, 1 },
		{ "[2001:db8::1]", "server:443", 1, 2 },        { "10.0.0.1", "my.mailstore.com:1", 1, 2 },
	};
	char why[QUESTION_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct explain_question question;
		assert_int_equal(question_read(&question, &policy, &names, cases[i].source, cases[i].target, "", why),
				 0);
		assert_int_equal(question.sources.count, cases[i].sources);
		assert_int_equal(question.targets.count, cases[i].targets);
		question_free(&question);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *source, *target, *protocol, *why;
	} cases[] = {
		{ "10.0.0.1", "sever:443", NULL, "did you mean SERVER?" },
		{ "10.0.0.1", "graf.example.net:443", NULL, "did you mean graph.example.net?" },
		{ "quite-another-thing", "server:443", NULL, "write an address" },
		{ "10.0.0.1", "server", NULL, "write server:443" },
		{ "10.0.0.1", "2001:db8:2::25", NULL, "[ADDRESS]:443" },
		{ "10.0.0.1", "2001:db8:2::25::443", NULL, "[ADDRESS]:PORT" },
		{ "10.0.0.1", "[2001:db8:2::25", NULL, "[ADDRESS]:PORT" },
		{ "10.0.0.1", "[2001:db8:2::25]443", NULL, "[ADDRESS]:PORT" },
		{ "10.0.0.1", "server:0", NULL, "1 to 65535" },
		{ "10.0.0.1", "server:65536", NULL, "1 to 65535" },
		{ "10.0.0.1", "server:https", NULL, "https is not a port" },
		{ "10.0.0.1", "server:0443", NULL, "0443 is not a port" },
		{ "10.0.0.1", "server:", NULL, "there is no port behind the colon" },
		{ "10.0.0.1", "server:443", "ping", "has no port: write server" },
		{ "10.0.0.1", "server:443", "tpc", "did you mean tcp?" },
		{ "10.0.0.1", "server:443", "something", "write tcp, udp or icmp-echo" },
		{ "10.0.0.1:1000", "server:443", NULL, "write 10.0.0.1" },
		{ "10.0.0.0/8", "server:443", NULL, "more than one address" },
		{ "10.0.0.1-10.0.0.2", "server:443", NULL, "more than one address" },
		{ "::ffff:10.0.0.1", "server:443", NULL, "write 10.0.0.1" },
		{ "any", "server:443", NULL, "every address" },
		{ "ca", "server:443", NULL, "CA is every address" },
		{ "adm", "server:443", NULL,
		  "ADM has more than 16 addresses: write one of 203.0.113.0/24, 2001:db8:3::/64" },
		{ "wide", "server:443", NULL, "write one of 198.51.100.0/27" },
		{ "gone", "server:443", NULL, "no addresses at present" },
		{ "gone.example.net", "server:443", NULL, "gone.example.net has no address at present" },
		{ "10.0.0.1", "[2001:db8:2::25]:443", NULL, "no address family in common" },
		{ "", "server:443", NULL, "an address is missing" },
		{ "10.0.0.1", ":443", NULL, "an address is missing" },
	};
	char why[QUESTION_WHY_MAX], word[QUESTION_WORD_MAX + 1];
	struct explain_question question;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(question_read(&question, &policy, &names, cases[i].source, cases[i].target,
					       cases[i].protocol, why),
				 -EINVAL);
		if (!strstr(why, cases[i].why))
			fail_msg("%s %s: %s", cases[i].source, cases[i].target, why);
		question_free(&question);
	}
	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	assert_int_equal(question_read(&question, &policy, &names, word, "server:443", NULL, why), -EINVAL);
	assert_int_equal(question_read(&question, &policy, &names, "10.0.0.1", word, NULL, why), -EINVAL);
	assert_int_equal(question_read(&question, &policy, &names, "10.0.0.1", "server:443", word, why), -EINVAL);
}

/* Nobody is there to resolve names. */
static void test_file_alone(void **state)
{
	static const struct names_view none;
	struct environment environment = *view.environment;
	struct explain_view alone = { &policy, &environment, NULL, view.walks };
	struct packet packet = { make_addr("192.0.2.25"), make_addr("198.51.100.80"), PROTOCOL_TCP, 50000, 443, false };
	struct explain_question question;
	struct explanation e;
	char why[QUESTION_WHY_MAX];

	(void)state;
	assert_int_equal(question_read(&question, &policy, NULL, "server", "graph.example.net:443", NULL, why),
			 -EINVAL);
	assert_non_null(strstr(why, "names have no addresses here"));
	question_free(&question);
	assert_int_equal(question_read(&question, &policy, NULL, "gone", "server:443", NULL, why), -EINVAL);
	assert_non_null(strstr(why, "here, where the file alone is read"));
	question_free(&question);
	environment.names = &none;
	assert_int_equal(explain_packet(&alone, &packet, &e), 0);
	assert_int_equal(e.verdict, VERDICT_DENY);
	assert_int_equal(e.nearest.misses, MISS_TARGET);
	assert_true(e.differs); /* these rules have the addresses */
	alone.walks = NULL;
	assert_int_equal(explain_packet(&alone, &packet, &e), 0);
	assert_false(e.walked);
	assert_false(e.differs);
}

/* A name of very many addresses on both ends is more than one wants to read. */
static void test_bounds(void **state)
{
	static const char *const texts[] = { "[server]\naddress = 192.0.2.16/28\n[flow own]\nfrom = "
					     "many.example.net\nto = SERVER\nprotocol = tcp\nport = 1\n" };
	struct policy own;
	struct explain_question question;
	char why[QUESTION_WHY_MAX], text[2000];
	size_t at = (size_t)snprintf(text, sizeof(text), "many.example.net");

	(void)state;
	for (int i = 1; i <= 17; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, " 198.51.100.%d", i);
	make_good_policy(&own, texts[0]);
	struct names_view many = make_names(&own, text);
	assert_int_equal(question_read(&question, &own, &many, "many.example.net", "server:1", NULL, why), -EINVAL);
	assert_non_null(strstr(why, "272 pairs"));
	question_free(&question);
	assert_int_equal(question_read(&question, &own, &many, "198.51.100.1", "server:1", NULL, why), 0);
	assert_int_equal(question.targets.count, QUESTION_ROLE_MAX);
	question_free(&question);
	names_view_free(&many);
	policy_free(&own);
}

static void add_drop(struct drop_table *drops, const char *source, const char *target, enum protocol protocol,
		     uint16_t port, int64_t now)
{
	struct denial denial = { .packet = { make_addr(source), make_addr(target), protocol, 50000, port, false } };

	assert_non_null(drop_table_add(drops, &denial, false, false, now));
}

static void assert_seen(const struct drop_table *drops, const char *source, const char *target, enum protocol protocol,
			uint16_t port, uint64_t count, int64_t last, bool spread)
{
	struct packet packet = { make_addr(source), make_addr(target), protocol, 40000, port, false };
	struct drop_seen seen;

	assert_int_equal(drop_seen(drops, &packet, &seen), count > 0);
	assert_int_equal(seen.count, count);
	assert_int_equal(seen.last_ms, last);
	assert_int_equal(seen.spread, spread);
}

static void test_seen(void **state)
{
	static const char own[] = "192.0.2.25", other[] = "192.0.2.31", who[] = "198.51.100.7",
			  scanner[] = "198.51.100.8";
	struct drop_table drops = { 0 };

	(void)state;
	for (int i = 1; i <= 6; i++)
		add_drop(&drops, who, own, PROTOCOL_TCP, 22, 100 * i);
	add_drop(&drops, who, own, PROTOCOL_ICMP_ECHO, 0, 5);
	for (uint16_t port = 1; port <= 40; port++)
		add_drop(&drops, scanner, own, PROTOCOL_TCP, port, port);
	assert_seen(&drops, who, own, PROTOCOL_TCP, 22, 6, 600, false);
	assert_seen(&drops, who, own, PROTOCOL_ICMP_ECHO, 0, 1, 5, false);
	assert_seen(&drops, who, own, PROTOCOL_TCP, 23, 0, 0, false);
	assert_seen(&drops, who, own, PROTOCOL_UDP, 22, 0, 0, false);
	assert_seen(&drops, who, other, PROTOCOL_TCP, 22, 0, 0, false);
	assert_seen(&drops, "198.51.100.9", own, PROTOCOL_TCP, 22, 0, 0, false);
	assert_seen(&drops, scanner, own, PROTOCOL_TCP, 22, 40, 40, true);
	assert_seen(&drops, scanner, own, PROTOCOL_TCP, 41, 0, 0, false);
	assert_seen(&drops, scanner, own, PROTOCOL_UDP, 22, 0, 0, false);
	assert_seen(&drops, scanner, other, PROTOCOL_TCP, 22, 0, 0, false);
	drop_table_free(&drops);
}

static void test_no_memory(void **state)
{
	char why[QUESTION_WHY_MAX];
	struct explain_question question;
	int r = -ENOMEM;

	(void)state;
	for (long i = 0; r != 0; i++) {
		assert_true(i < 100);
		allocations_left = i;
		r = question_read(&question, &policy, &names, "server", "ih:443", NULL, why);
		allocations_left = -1;
		assert_true(r == 0 || r == -ENOMEM);
		question_free(&question);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets),   cmocka_unit_test(test_hooks),      cmocka_unit_test(test_words),
		cmocka_unit_test(test_refused),   cmocka_unit_test(test_bounds),     cmocka_unit_test(test_file_alone),
		cmocka_unit_test(test_no_memory), cmocka_unit_test(test_exceptions), cmocka_unit_test(test_seen),
	};

	return cmocka_run_group_tests(tests, make_world, free_world);
}
