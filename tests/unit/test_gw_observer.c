/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_log.h"
#include "fake_nflog.h"
#include "fake_time.h"
#include "gateway/observer.h"
#include "make.h"

#include "core/observed_queries.h"

#include <errno.h>

enum { SECOND = 1000 };

#define TEXT                                                                                     \
	"[gateway]\npreset = none\nlog_group = 5\n[server]\naddress = 192.0.2.25 2001:db8::25\n" \
	"resolvers = 192.0.2.53 2001:db8::53\n"

static char events[4096];
static struct policy policy;
static struct observer *observer;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
	size_t length = strlen(events);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(events + length, sizeof(events) - length, format, arguments);
	va_end(arguments);
}

#define assert_events(expected)                        \
	({                                             \
		assert_string_equal(events, expected); \
		events[0] = '\0';                      \
	})

static const char *family_name(enum family family)
{
	return family == FAMILY_4 ? "A" : "AAAA";
}

static bool wants(void *userdata, const char *question, enum family family)
{
	assert_ptr_equal(userdata, events);
	assert_true(family < FAMILIES);
	return strstr(question, ".example.net");
}

static void answered(void *userdata, const char *question, enum family family, const struct dns_message *message)
{
	char text[ADDR_TEXT_MAX];

	assert_ptr_equal(userdata, events);
	note("%s %s ttl %u:", question, family_name(family), message->ttl_s);
	for (size_t i = 0; i < message->address_count; i++)
		note(" %s", addr_format(&message->addresses[i], text));
	note(";");
}

static void denied(void *userdata, const struct packet *packet)
{
	char source[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX];

	assert_ptr_equal(userdata, events);
	note("denied %s %s > %s %u;", packet->protocol < PROTOCOLS ? protocol_name(packet->protocol) : "other",
	     addr_format(&packet->source, source), addr_format(&packet->target, target), packet->target_port);
}

static void lost(void *userdata)
{
	assert_ptr_equal(userdata, events);
	note("lost;");
}

static const struct observer_events callbacks = { wants, answered, denied, lost };

static int set_up(void **state)
{
	(void)state;
	fake_time_reset(1000 * SECOND, 1700000000);
	fake_nflog_reset();
	fake_log_reset();
	events[0] = '\0';
	make_good_policy(&policy, TEXT);
	if (observer_new(&observer, NULL, &callbacks, events) < 0)
		return -1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	observer_free(observer);
	policy_free(&policy);
	return fake_nflogs > 0;
}

/* One exchange; what it has that is not as usual is set by the test. */
struct exchange {
	const char *server, *resolver, *name, *addresses;
	uint16_t port, resolver_port, id;
	enum family family;
	enum protocol protocol;
	unsigned rcode;
	size_t cut; /* bytes that are missing at the end of the payload */
	size_t at;  /* of a byte of the payload that is another one */
	uint8_t byte;
};

static const struct exchange usual = { .server = "192.0.2.25",
				       .resolver = "192.0.2.53",
				       .name = "one.example.net",
				       .addresses = "198.51.100.1",
				       .port = 40000,
				       .resolver_port = 53,
				       .id = 7,
				       .protocol = PROTOCOL_UDP };

static void send_message(const struct exchange *exchange, bool reply, const char *prefix)
{
	uint8_t payload[FAKE_DNS_MAX];
	struct packet packet = { make_addr(exchange->server), make_addr(exchange->resolver),
				 exchange->protocol,          exchange->port,
				 exchange->resolver_port,     false };
	struct packet back = { packet.target,      packet.source,      packet.protocol,
			       packet.target_port, packet.source_port, false };
	size_t length = fake_dns(payload, exchange->id, exchange->name, exchange->family,
				 reply ? exchange->addresses : NULL, 300, exchange->rcode);

	if (exchange->at)
		payload[exchange->at] = exchange->byte;
	fake_nflog_packet(prefix, reply ? &back : &packet, payload, length - exchange->cut);
}

static void query(const struct exchange *exchange)
{
	send_message(exchange, false, "spefw query ");
}

static void answer(const struct exchange *exchange)
{
	send_message(exchange, true, "spefw answer ");
}

static void test_follow(void **state)
{
	struct policy other;

	(void)state;
	assert_int_equal(fake_nflogs, 0);
	observer_follow(observer, &policy);
	assert_int_equal(fake_nflog_group, 5);
	observer_follow(observer, &policy);
	assert_int_equal(fake_nflog_tries, 1);
	/* Another group, and other protected addresses. */
	make_good_policy(&other, "[gateway]\npreset = none\nlog_group = 6\n[server]\naddress = 192.0.2.77\n");
	observer_follow(observer, &other);
	assert_int_equal(fake_nflog_group, 6);
	assert_int_equal(fake_nflogs, 1);
	query(&usual);
	answer(&usual);
	assert_events("");
	struct exchange exchange = usual;
	exchange.server = "192.0.2.77";
	query(&exchange);
	answer(&exchange);
	assert_events("one.example.net A ttl 300: 198.51.100.1;");
	observer_follow(observer, &policy);
	policy_free(&other);
	assert_int_equal(fake_log_lines, 0);
}

static const char *reason(enum health_code expected)
{
	static char text[200];
	struct health health = { 0 };

	observer_reasons(observer, &health);
	text[0] = '\0';
	if (health.reasons.count) {
		assert_int_equal(health.reasons.count, 1);
		assert_int_equal(health.reasons.items[0].code, expected);
		snprintf(text, sizeof(text), "%s", health.reasons.items[0].text);
	}
	health_free(&health);
	return text;
}

/* Another program listens: logged once, a reason, tried again, and logged when that is over. */
static void test_taken(void **state)
{
	(void)state;
	assert_string_equal(reason(HEALTH_CODES), "");
	fake_nflog_error = -EBUSY;
	observer_follow(observer, &policy);
	observer_follow(observer, &policy);
	assert_int_equal(fake_nflog_tries, 2);
	assert_int_equal(fake_log_lines, 1);
	assert_true(fake_log_has("NFLOG group 5 is taken by another program: denials and DNS answers are not seen"));
	assert_string_equal(reason(HEALTH_NFLOG_TAKEN),
			    "NFLOG group 5 is taken by another program: denials and DNS answers are not seen: choose "
			    "another log_group");
	/* It fails for another reason by now: that is another reason, and no news for the log. */
	fake_nflog_error = -ENOBUFS;
	observer_follow(observer, &policy);
	assert_int_equal(fake_log_lines, 1);
	assert_string_equal(reason(HEALTH_NFLOG_FAILED),
			    "NFLOG group 5 can't be listened to: No buffer space available: denials and DNS answers "
			    "are not seen");
	fake_nflog_error = 0;
	observer_follow(observer, &policy);
	assert_int_equal(fake_log_lines, 2);
	assert_true(fake_log_has("NFLOG group 5 is ours now"));
	assert_string_equal(reason(HEALTH_CODES), "");
	observer_follow(observer, &policy);
	assert_int_equal(fake_nflog_tries, 4);
	assert_int_equal(fake_log_lines, 2);
}

static void test_failed(void **state)
{
	(void)state;
	fake_nflog_error = -ENOBUFS;
	observer_follow(observer, &policy);
	assert_true(fake_log_has("can't listen to NFLOG group 5: No buffer space available"));
	assert_int_equal(fake_log_lines, 1);
}

/* An answer is believed once, where it fits a query. */
static void test_answer(void **state)
{
	struct exchange exchange = usual;

	(void)state;
	observer_follow(observer, &policy);
	query(&usual);
	assert_events("");
	answer(&usual);
	assert_events("one.example.net A ttl 300: 198.51.100.1;");
	answer(&usual);
	assert_events("");
	assert_int_equal(observer_figures(observer).unsolicited, 1);
	/* The other family, over IPv6, in another case. */
	exchange = (struct exchange){ "2001:db8::25",
				      "2001:db8::53",
				      "TWO.Example.Net",
				      "2001:db8:1::1 2001:db8:1::2",
				      40001,
				      53,
				      8,
				      FAMILY_6,
				      PROTOCOL_UDP,
				      0,
				      0,
				      0,
				      0 };
	query(&exchange);
	answer(&exchange);
	assert_events("two.example.net AAAA ttl 300: 2001:db8:1::1 2001:db8:1::2;");
	/* Too late. */
	query(&usual);
	fake_time_pass(OBSERVED_QUERY_MS);
	answer(&usual);
	assert_events("");
	assert_int_equal(observer_figures(observer).unsolicited, 2);
	query(&usual);
	fake_time_pass(OBSERVED_QUERY_MS - 1);
	answer(&usual);
	assert_events("one.example.net A ttl 300: 198.51.100.1;");
}

/* Each thing that makes it another question, and what is counted of that. */
static void test_other_answers(void **state)
{
	static const struct {
		struct exchange other;
		uint64_t unsolicited;
	} table[] = {
		{ { "192.0.2.25", "192.0.2.53", "one.example.net", "198.51.100.9", 40000, 53, 8, 0, 1, 0, 0, 0, 0 },
		  1 },
		{ { "192.0.2.25", "192.0.2.53", "one.example.net", "198.51.100.9", 40001, 53, 7, 0, 1, 0, 0, 0, 0 },
		  1 },
		{ { "192.0.2.25", "192.0.2.53", "one.example.net", "198.51.100.9", 40000, 54, 7, 0, 1, 0, 0, 0, 0 },
		  1 },
		{ { "192.0.2.25", "192.0.2.54", "one.example.net", "198.51.100.9", 40000, 53, 7, 0, 1, 0, 0, 0, 0 },
		  1 },
		{ { "192.0.2.25", "192.0.2.53", "two.example.net", "198.51.100.9", 40000, 53, 7, 0, 1, 0, 0, 0, 0 },
		  1 },
		{ { "192.0.2.25", "192.0.2.53", "one.example.com", "198.51.100.9", 40000, 53, 7, 0, 1, 0, 0, 0, 0 },
		  0 },
		{ { "192.0.2.26", "192.0.2.53", "one.example.net", "198.51.100.9", 40000, 53, 7, 0, 1, 0, 0, 0, 0 },
		  0 },
		{ { "192.0.2.25", "192.0.2.53", "one.example.net", "198.51.100.9", 40000, 53, 7, 0, 0, 0, 0, 0, 0 },
		  0 },
		/* a query in the place of an answer; another class, another type */
		{ { "192.0.2.25", "192.0.2.53", "one.example.net", "", 40000, 53, 7, 0, 1, 0, 0, 2, 1 }, 0 },
		{ { "192.0.2.25", "192.0.2.53", "one.example.net", "", 40000, 53, 7, 0, 1, 0, 0, 32, 3 }, 0 },
		{ { "192.0.2.25", "192.0.2.53", "one.example.net", "", 40000, 53, 7, 0, 1, 0, 0, 30, 15 }, 0 },
	};

	(void)state;
	observer_follow(observer, &policy);
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		uint64_t before = observer_figures(observer).unsolicited;
		query(&usual);
		answer(&table[i].other);
		assert_events("");
		assert_int_equal(observer_figures(observer).unsolicited - before, table[i].unsolicited);
		answer(&usual);
		assert_events("one.example.net A ttl 300: 198.51.100.1;");
	}
}

/* It answers the query, and brings nothing. */
static void test_empty_answers(void **state)
{
	struct exchange exchanges[] = { usual, usual, usual, usual };

	(void)state;
	observer_follow(observer, &policy);
	exchanges[0].addresses = "";
	exchanges[1].rcode = 3;
	exchanges[2].cut = 4;
	exchanges[3].at = 44; /* the length of its address */
	exchanges[3].byte = 77;
	for (size_t i = 0; i < COUNT_OF(exchanges); i++) {
		query(&usual);
		answer(&exchanges[i]);
		assert_events("");
		assert_int_equal(observer_figures(observer).unsolicited, i);
		answer(&usual); /* it was waited for once */
		assert_events("");
	}
}

static void test_other_packets(void **state)
{
	static const uint8_t nonsense[64] = { 0x45 };
	struct packet packet = { make_addr("192.0.2.25"), make_addr("198.51.100.9"), PROTOCOL_TCP, 50000, 443, false };

	(void)state;
	observer_follow(observer, &policy);
	fake_nflog_packet("spefw denied-name ", &packet, NULL, 0);
	assert_events("denied tcp 192.0.2.25 > 198.51.100.9 443;");
	packet.protocol = PROTOCOL_ICMP_ECHO;
	fake_nflog_packet("spefw denied-name ", &packet, NULL, 0);
	assert_events("denied icmp-echo 192.0.2.25 > 198.51.100.9 0;");
	fake_nflog_packet("spefw denied ", &packet, NULL, 0);
	fake_nflog_packet("spefw query ", &packet, NULL, 0);
	fake_nflog_packet("spefw answer ", &packet, NULL, 0);
	fake_nflog_give("spefw denied-name ", nonsense, 3);
	assert_events("");
	fake_nflog_lose();
	fake_nflog_lose();
	assert_events("lost;lost;");
	assert_int_equal(observer_figures(observer).lost, 2);
	assert_int_equal(observer_figures(observer).unsolicited, 0);
}

static void test_no_memory(void **state)
{
	struct observer *other;

	(void)state;
	allocations_left = 0;
	assert_int_equal(observer_new(&other, NULL, &callbacks, events), -ENOMEM);
	observer_follow(observer, &policy);
	allocations_left = -1;
	assert_string_equal(reason(HEALTH_NFLOG_FAILED), "NFLOG group 5 can't be listened to: Cannot allocate memory: "
							 "denials and DNS answers are not "
							 "seen");
	observer_follow(observer, &policy);
	fake_log_reset();
	uint8_t payload[FAKE_DNS_MAX];
	struct packet packet = { make_addr("192.0.2.25"), make_addr("192.0.2.53"), PROTOCOL_UDP, 40000, 53, false };
	size_t length = fake_dns(payload, 7, "one.example.net", FAMILY_4, NULL, 0, 0);
	allocations_left = 0;
	fake_nflog_packet("spefw query ", &packet, payload, length);
	allocations_left = -1;
	assert_true(fake_log_has("out of memory: an answer for one.example.net will not be learned"));
	answer(&usual);
	assert_events("");
	observer_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_follow),        TEST(test_taken),         TEST(test_failed),        TEST(test_answer),
		TEST(test_other_answers), TEST(test_empty_answers), TEST(test_other_packets), TEST(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
