/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_helper.h"
#include "fake_log.h"
#include "fake_nflog.h"
#include "gateway/observer.h"
#include "make.h"

#include <errno.h>
#include <linux/netfilter.h>

#define TEXT                                                                                          \
	"[gateway]\npreset = none\nlog_group = 5\n[server]\naddress = 192.0.2.25 2001:db8::25\n"      \
	"resolvers = 192.0.2.53 2001:db8::53\n"                                                       \
	"[flow out]\nfrom = SERVER\nto = one.example.net *.example.net\nprotocol = tcp\nport = 443\n" \
	"[flow in]\nfrom = peer.example.net\nto = SERVER\nprotocol = tcp\nport = 25\n"

static char events[4096];
static struct policy policy;
static struct observer *observer;
static struct helper *helper;

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

static void answered(void *userdata, const struct dns_answer *answer)
{
	char text[ADDR_TEXT_MAX];

	assert_ptr_equal(userdata, events);
	note("%s %s ttl %u:", answer->question, family_name(answer->family), answer->ttl_s);
	for (size_t i = 0; i < answer->count; i++) {
		assert_int_equal(answer->addresses[i].family, answer->family);
		note(" %s", addr_format(&answer->addresses[i], text));
	}
	note(";");
}

static void denied(void *userdata, const struct denial *denial)
{
	static const char *const kinds[DENIAL_KINDS] = { "in", "out", "early", "name" };
	const struct packet *packet = &denial->packet;
	char source[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX];

	assert_ptr_equal(userdata, events);
	note("denied-%s %s%s %s > %s %u;", kinds[denial->kind], denial->from_gateway ? "own " : "",
	     packet->protocol < PROTOCOLS ? protocol_name(packet->protocol) : "other",
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
	fake_nflog_reset();
	fake_helper_reset();
	fake_log_reset();
	events[0] = '\0';
	make_good_policy(&policy, TEXT);
	helper = fake_helper_new();
	return observer_new(&observer, helper, &callbacks, events);
}

static int tear_down(void **state)
{
	(void)state;
	observer_free(observer);
	helper_free(helper);
	policy_free(&policy);
	return fake_nflogs > 0 || fake_helpers > 0;
}

static void test_follow(void **state)
{
	struct policy other;

	(void)state;
	/* Nothing is known yet, and it is started nevertheless. */
	fake_helper_start();
	assert_string_equal(fake_helper_sent(), "");
	observer_follow(observer, &policy);
	assert_int_equal(fake_nflog_group, 5);
	assert_string_equal(fake_helper_sent(), "begin;watch one.example.net;watch *.example.net;end;nflog 1005;");
	observer_follow(observer, &policy);
	observer_retry(observer);
	assert_int_equal(fake_nflog_tries, 1);
	assert_string_equal(fake_helper_sent(), "begin;watch one.example.net;watch *.example.net;end;");
	/* Another group, and other protected addresses. */
	make_good_policy(&other, "[gateway]\npreset = none\nlog_group = 6\n[server]\naddress = 192.0.2.77\n");
	observer_follow(observer, &other);
	assert_int_equal(fake_nflog_group, 6);
	assert_int_equal(fake_nflogs, 1);
	assert_string_equal(fake_helper_sent(), "begin;end;nflog 1006;");
	fake_helper_observe("192.0.2.25", "one.example.net", FAMILY_4, "198.51.100.1", 300);
	assert_events("");
	fake_helper_observe("192.0.2.77", "one.example.net", FAMILY_4, "198.51.100.1", 300);
	assert_events("one.example.net A ttl 300: 198.51.100.1;");
	/* Another process has to hear it all. */
	fake_helper_start();
	assert_string_equal(fake_helper_sent(), "begin;end;nflog 1006;");
	assert_int_equal(fake_nflog_tries, 2);
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
	observer_retry(observer);
	assert_int_equal(fake_nflog_tries, 2);
	assert_int_equal(fake_log_lines, 1);
	assert_true(fake_log_has("NFLOG group 5 is taken by another program: denials and DNS answers are not seen"));
	assert_string_equal(reason(HEALTH_NFLOG_TAKEN),
			    "NFLOG group 5 is taken by another program: denials and DNS answers are not seen");
	/* It fails for another reason by now: that is another reason, and no news for the log. */
	fake_nflog_error = -ENOBUFS;
	observer_retry(observer);
	assert_int_equal(fake_log_lines, 1);
	assert_string_equal(reason(HEALTH_NFLOG_FAILED),
			    "NFLOG group 5 can't be listened to: No buffer space available: denials and DNS answers "
			    "are not seen");
	fake_nflog_error = 0;
	fake_helper_start(); /* as each new process has it tried */
	assert_int_equal(fake_log_lines, 2);
	assert_true(fake_log_has("NFLOG group 5 is ours now"));
	assert_string_equal(reason(HEALTH_CODES), "");
	observer_retry(observer);
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

/* It is learned where it is for a protected machine, and wanted. */
static void test_answer(void **state)
{
	(void)state;
	observer_follow(observer, &policy);
	fake_helper_observe("192.0.2.25", "one.example.net", FAMILY_4, "198.51.100.1", 300);
	assert_events("one.example.net A ttl 300: 198.51.100.1;");
	fake_helper_observe("2001:db8::25", "two.example.net", FAMILY_6, "2001:db8:1::1 2001:db8:1::2", 0);
	assert_events("two.example.net AAAA ttl 0: 2001:db8:1::1 2001:db8:1::2;");
	fake_helper_observe("2001:db8::25", "two.example.net", FAMILY_4, "198.51.100.3", 4294967295u);
	assert_events("two.example.net A ttl 4294967295: 198.51.100.3;");
	/* Neither is nonsense: a policy may have changed a moment ago. */
	fake_helper_observe("192.0.2.26", "one.example.net", FAMILY_4, "198.51.100.1", 300);
	fake_helper_observe("192.0.2.25", "one.example.com", FAMILY_4, "198.51.100.1", 300);
	assert_events("");
}

static void test_denial(void **state)
{
	struct packet packet = { make_addr("192.0.2.25"), make_addr("198.51.100.9"), PROTOCOL_TCP, 50000, 443, false };

	(void)state;
	observer_follow(observer, &policy);
	fake_helper_deny(&packet, DENIAL_NAME, NF_INET_FORWARD);
	assert_events("denied-name tcp 192.0.2.25 > 198.51.100.9 443;");
	packet.protocol = PROTOCOL_ICMP_ECHO;
	packet.source_port = packet.target_port = 0;
	fake_helper_deny(&packet, DENIAL_OUT, NF_INET_FORWARD);
	assert_events("denied-out icmp-echo 192.0.2.25 > 198.51.100.9 0;");
	packet = (struct packet){ make_addr("2001:db8::9"), make_addr("2001:db8::25"), PROTOCOLS, 0, 0, false };
	fake_helper_deny(&packet, DENIAL_IN, NF_INET_LOCAL_OUT);
	assert_events("denied-in own other 2001:db8::9 > 2001:db8::25 0;");
	packet.target = make_addr("2001:db8::26");
	fake_helper_deny(&packet, DENIAL_EARLY, NF_INET_PRE_ROUTING);
	assert_events("");
}

static void test_counts(void **state)
{
	(void)state;
	observer_follow(observer, &policy);
	fake_helper_count(3, 0, 0);
	assert_events("");
	fake_helper_count(1, 2, 0);
	assert_events("lost;");
	/* A report that found no room is lost as well. */
	fake_helper_count(0, 0, 4);
	assert_events("lost;");
	assert_int_equal(observer_figures(observer).unsolicited, 4);
	assert_int_equal(observer_figures(observer).lost, 6);
}

/* Before it has been given any socket. */
static void test_too_early(void **state)
{
	struct wire_counts record = { { .kind = WIRE_COUNTS }, 1, 1, 1 };

	(void)state;
	fake_helper_start();
	assert_string_equal(fake_helper_give(&record, sizeof(record)),
			    "a report of packets, of which it can have none");
	assert_events("");
}

static void test_no_memory(void **state)
{
	struct observer *other;

	(void)state;
	allocations_left = 0;
	assert_int_equal(observer_new(&other, helper, &callbacks, events), -ENOMEM);
	allocations_left = -1;
	observer_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_follow), TEST(test_taken),  TEST(test_failed),    TEST(test_answer),
		TEST(test_denial), TEST(test_counts), TEST(test_too_early), TEST(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
