/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The record of who used what, and the connections that were there at the last look. They are included, for an
 * allocator that fails on request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing.h"
#include "core/record.c"
#include "core/record_text.c"
#include "core/seen_connections.c"
#include "failing_end.h"

enum { DAY_S = 24 * 60 * 60, NOW_S = 1700000000, SEED = 7 };

static struct record record;

static int setup(void **state)
{
	(void)state;
	record_init(&record, SEED);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	allocations_left = -1;
	record_free(&record);
	return 0;
}

static struct record_peer peer(const char *address, uint16_t port)
{
	struct record_peer made = { .protocol = PROTOCOL_TCP, .port = port };

	assert_true(addr_parse(address, &made.addr));
	return made;
}

static struct record_peer numbered(uint32_t number)
{
	struct record_peer made = { .addr.family = FAMILY_4, .protocol = PROTOCOL_TCP, .port = 443 };

	for (int i = 0; i < 4; i++)
		made.addr.bytes[i] = (uint8_t)(number >> (24 - 8 * i));
	return made;
}

static void use(const char *flow, const char *address, bool opened, int64_t now_s)
{
	struct record_peer made = peer(address, 443);
	assert_int_equal(record_connection(&record, flow, &made, opened, now_s), 0);
}

/* "flow peer port kind count first last", the most recent first, in hours ago. */
static const char *entries(int64_t now_s)
{
	static char text[4096];
	size_t length = 0;

	text[0] = '\0';
	for (const struct record_entry *at = NULL; (at = record_next(&record, at)) && length < sizeof(text) - 200;) {
		struct range peers = record_peers(at);
		char buffer[RANGE_TEXT_MAX];
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s %s %u %s %llu %lld %lld\n",
					   record_flow_of(&record, at), range_format(&peers, buffer), at->port,
					   kinds[at->kind], (unsigned long long)at->count,
					   (long long)(now_s - at->first_s) / 3600,
					   (long long)(now_s - at->last_s) / 3600);
	}
	return text;
}

static void test_uses(void **state)
{
	struct record_peer stranger = peer("203.0.113.9", 8470);

	(void)state;
	assert_null(record_next(&record, NULL));
	assert_null(record_find(&record, "imap-in"));
	use("imap-in", "203.0.113.7", true, NOW_S);
	use("imap-in", "2001:db8::7", true, NOW_S + 3600);
	use("imap-in", "203.0.113.7", true, NOW_S + 7200);
	use("imap-in", "203.0.113.7", false, NOW_S + 10800); /* it is open still */
	use("ews-out", "203.0.113.7", true, NOW_S + 10800);
	assert_int_equal(record_denied(&record, "console-in", &stranger, 3, NOW_S + 10800), 0);
	assert_int_equal(record_denied(&record, NULL, &stranger, 2, NOW_S + 10800), 0);
	assert_int_equal(record_denied(&record, NULL, &stranger, 2, NOW_S + 14400), 0);
	assert_string_equal(entries(NOW_S + 14400), " 203.0.113.9 8470 denied 4 1 0\n"
						    "console-in 203.0.113.9 8470 denied 3 1 1\n"
						    "ews-out 203.0.113.7 443 allowed 1 1 1\n"
						    "imap-in 203.0.113.7 443 allowed 2 4 1\n"
						    "imap-in 2001:db8::7 443 allowed 1 3 3\n");
	assert_int_equal(record_find(&record, "imap-in")->last_s, NOW_S + 10800);
	assert_int_equal(record_opened(record_find(&record, "imap-in"), NOW_S + 10800), 3);
	assert_int_equal(record_find(&record, "console-in")->last_s, 0); /* a denial is no use */
	assert_int_equal(record_opened(record_find(&record, "console-in"), NOW_S + 10800), 0);
}

static void test_hours(void **state)
{
	const struct record_flow *flow;
	int64_t hour = NOW_S - NOW_S % 3600;

	(void)state;
	for (int i = 0; i < 48; i++)
		use("imap-in", "203.0.113.7", true, hour + i * 3600);
	flow = record_find(&record, "imap-in");
	assert_int_equal(record_opened(flow, hour + 47 * 3600), 24);
	assert_int_equal(record_opened(flow, hour + 48 * 3600 - 1), 24);
	assert_int_equal(record_opened(flow, hour + 48 * 3600), 23);
	assert_int_equal(record_opened(flow, hour + 70 * 3600), 1);
	assert_int_equal(record_opened(flow, hour + 71 * 3600), 0);
	/* The clock is set back by two hours: nothing that was counted is lost, or counted twice. */
	use("imap-in", "203.0.113.7", true, hour + 45 * 3600);
	assert_int_equal(record_opened(flow, hour + 45 * 3600), 25);
	use("imap-in", "203.0.113.7", true, hour + 48 * 3600);
	assert_int_equal(record_opened(flow, hour + 48 * 3600), 25);
	use("imap-in", "203.0.113.7", true, hour - 1000 * 3600); /* and by weeks */
	assert_int_equal(record_opened(flow, hour - 1000 * 3600), 1);
	use("imap-in", "203.0.113.7", true, 0);
	use("imap-in", "203.0.113.7", true, 5);
	assert_int_equal(record_opened(flow, 5), 2);
}

/* A flow's peers: by address, then by network, then all together. */
static void test_folding(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < RECORD_ADDRESSES; i++) {
		struct record_peer one = numbered(0x0a000000 + i * 256);
		assert_int_equal(record_connection(&record, "imap-in", &one, true, NOW_S), 0);
	}
	assert_int_equal(record.used, RECORD_ADDRESSES);
	use("imap-in", "203.0.113.7", true, NOW_S);
	use("imap-in", "203.0.113.200", true, NOW_S);
	use("imap-in", "10.0.1.0", true, NOW_S); /* one of the first stays by itself */
	use("imap-in", "2001:db8:7:1::1", true, NOW_S);
	use("imap-in", "2001:db8:7:2::1", true, NOW_S);
	assert_int_equal(record.used, RECORD_ADDRESSES + 2);
	assert_non_null(strstr(entries(NOW_S), "imap-in 2001:db8:7::/48 443 allowed 2 0 0\n"
					       "imap-in 10.0.1.0 443 allowed 2 0 0\n"
					       "imap-in 203.0.113.0/24 443 allowed 2 0 0\n"));
	use("smtp-out", "203.0.113.7", true, NOW_S); /* another flow has addresses of its own */
	struct record_peer denied = peer("203.0.113.7", 443);
	assert_int_equal(record_denied(&record, "imap-in", &denied, 1, NOW_S), 0);
	assert_non_null(strstr(entries(NOW_S), "imap-in 203.0.113.7 443 denied 1 0 0\nsmtp-out 203.0.113.7 443 "));
	size_t before = record.used;
	for (uint32_t i = 0; i < 3 * RECORD_NETWORKS; i++) {
		struct record_peer one = numbered(0x0b000000 + i * 256);
		assert_int_equal(record_connection(&record, "imap-in", &one, true, NOW_S), 0);
	}
	assert_int_equal(record.used, before + RECORD_NETWORKS - 2 + 1);
	assert_non_null(strstr(entries(NOW_S), "imap-in 0.0.0.0/0 0 allowed 4098 0 0\n"));
	assert_int_equal(record_opened(record_find(&record, "imap-in"), NOW_S),
			 5 + RECORD_ADDRESSES + 3 * RECORD_NETWORKS);
}

/* A million peers of a hundred flows: what it takes is bounded, and what was used last is there. */
static void test_bounds(void **state)
{
	char flow[16];

	(void)state;
	for (uint32_t i = 0; i < 1000000; i++) {
		struct record_peer one = numbered(i * 2654435761U);
		snprintf(flow, sizeof(flow), "flow-%u", i % 100);
		assert_int_equal(record_connection(&record, flow, &one, true, NOW_S + i / 1000), 0);
	}
	assert_int_equal(record.used, RECORD_ENTRIES_MAX);
	size_t bytes = sizeof(record) + record.capacity * sizeof(*record.items) +
		       record.bucket_count * sizeof(*record.buckets) + record.flow_capacity * sizeof(*record.flows);
	assert_in_range(bytes, 1, RECORD_TEXT_MAX);
	struct record_peer last = numbered(999999 * 2654435761U);
	const struct record_entry *newest = record_next(&record, NULL);
	struct range peers = record_peers(newest);
	assert_true(range_contains(&peers, &last.addr));
	char *text = record_text(&record, "boot");
	assert_non_null(text);
	assert_in_range(strlen(text), 1, RECORD_TEXT_MAX);
	free(text);
	/* The flow's own figures did not go with its peers. */
	assert_int_equal(record_opened(record_find(&record, "flow-0"), NOW_S + 1000), 10000);
}

/* The longest lines that there are. */
static void test_longest_text(void **state)
{
	char flow[CONFIG_ID_MAX + 1] = "f123456789012345678901234567890123456789", address[64];

	(void)state;
	for (uint32_t i = 0; i < RECORD_FLOWS_MAX; i++) {
		snprintf(flow + 34, 7, "%06u", i);
		for (uint32_t k = 0; k < 10; k++) {
			snprintf(address, sizeof(address), "ffff:eeee:dddd:cccc:bbbb:aaaa:%04x:%04x", 0x9000 + k,
				 0x9000 + i);
			struct record_peer one = peer(address, 65535);
			assert_int_equal(record_connection(&record, flow, &one, true, NOW_S), 0);
		}
		struct record_flow *at = (struct record_flow *)record_find(&record, flow);
		for (int h = 0; h < RECORD_HOURS; h++)
			at->hours[h] = 1000000;
	}
	for (uint32_t at = record.newest; at != NONE; at = record.items[at].older)
		record.items[at].count = UINT64_MAX;
	assert_int_equal(record.used, RECORD_ENTRIES_MAX);
	char *text = record_text(&record, "01234567-89ab-cdef-0123-456789abcdef");
	print_message("the longest text has %zu bytes\n", strlen(text));
	assert_in_range(strlen(text), 1, RECORD_TEXT_MAX);
	free(text);
}

static void test_age(void **state)
{
	(void)state;
	use("imap-in", "203.0.113.7", true, NOW_S);
	use("crl", "203.0.113.8", true, NOW_S + DAY_S);
	record_pass(&record, 1000, NOW_S + 90 * DAY_S);
	assert_int_equal(record.used, 2);
	record_pass(&record, 1500, NOW_S + 90 * DAY_S + 1);
	assert_int_equal(record.used, 1);
	assert_null(record_find(&record, "imap-in"));
	assert_non_null(record_find(&record, "crl"));
	assert_int_equal(record_kept_s(&record), 2);
	record_pass(&record, INT64_C(1000) * 1000 * DAY_S, NOW_S);
	assert_int_equal(record_kept_s(&record), RECORD_KEPT_S);
	use("imap-in", "203.0.113.7", true, NOW_S + 91 * DAY_S); /* in the slot and the place that are free */
	assert_int_equal(record.flow_count, 2);
	assert_int_equal(record.count, 2);
	record_pass(&record, 0, NOW_S + 1000 * (int64_t)DAY_S);
	assert_int_equal(record.used, 0);
	assert_null(record_next(&record, NULL));
}

/* More flows than there is room for: then it can't be said of any that it was never used. */
static void test_many_flows(void **state)
{
	char flow[24];

	(void)state;
	record_pass(&record, 5000, NOW_S);
	for (int i = 0; i <= RECORD_FLOWS_MAX; i++) {
		assert_int_equal(record_kept_s(&record), 5);
		snprintf(flow, sizeof(flow), "flow-%d", i);
		use(flow, "203.0.113.7", true, NOW_S);
	}
	assert_int_equal(record_kept_s(&record), 0);
	assert_null(record_find(&record, flow));
	assert_int_equal(record.flow_count, RECORD_FLOWS_MAX);
}

static char *text_of(void)
{
	char *text = record_text(&record, "this");
	assert_non_null(text);
	return text;
}

static void read_again(const char *text, const char *boot, bool same)
{
	bool same_boot;

	record_free(&record);
	assert_int_equal(record_from_text(&record, text, boot, &same_boot), 0);
	assert_int_equal(same_boot, same);
}

static void test_text(void **state)
{
	struct record_peer echo = peer("203.0.113.9", 0);

	(void)state;
	for (uint32_t i = 0; i < 300; i++) {
		struct record_peer one = numbered(0x0a000000 + i * 256);
		assert_int_equal(record_connection(&record, "imap-in", &one, true, NOW_S + i), 0);
	}
	use("ews-out", "2001:db8::7", true, NOW_S);
	use("ews-out", "2001:db8::7", true, NOW_S + 30 * 3600);
	echo.protocol = PROTOCOL_ICMP_ECHO;
	assert_int_equal(record_denied(&record, NULL, &echo, 7, NOW_S + 30 * 3600), 0);
	record_pass(&record, 123456, NOW_S);
	char *text = text_of(), *before = strdup(entries(NOW_S + 30 * 3600));
	read_again(text, "this", true);
	assert_string_equal(entries(NOW_S + 30 * 3600), before);
	assert_int_equal(record_kept_s(&record), 123);
	assert_int_equal(record_opened(record_find(&record, "ews-out"), NOW_S + 30 * 3600), 1);
	assert_int_equal(record_opened(record_find(&record, "imap-in"), NOW_S + 3600), 300);
	assert_int_equal(record_find(&record, "imap-in")->entries[RECORD_ALLOWED][RECORD_ADDRESS], RECORD_ADDRESSES);
	assert_int_equal(record_find(&record, "imap-in")->entries[RECORD_ALLOWED][RECORD_NETWORK],
			 300 - RECORD_ADDRESSES);
	char *again = text_of();
	assert_string_equal(again, text);
	free(again);
	read_again(text, "another", false);
	free(before);
	free(text);
}

/* A flipped bit costs its line; what is cut off costs the rest. */
static void test_damaged_text(void **state)
{
	(void)state;
	use("imap-in", "203.0.113.7", true, NOW_S);
	use("imap-in", "203.0.113.8", true, NOW_S);
	char *text = text_of(), *digit = strstr(text, "113.7") + 4;
	*digit = '6';
	read_again(text, "this", true);
	assert_string_equal(entries(NOW_S), "imap-in 203.0.113.8 443 allowed 1 0 0\n");
	*digit = '7';
	*strstr(text, "allowed imap-in 203.0.113.8") = '\0';
	read_again(text, "this", true);
	assert_string_equal(entries(NOW_S), "imap-in 203.0.113.7 443 allowed 1 0 0\n");
	text[12] ^= 1; /* another version */
	read_again(text, "this", false);
	assert_int_equal(record.used + record.flow_count, 0);
	read_again("", "this", false);
	free(text);
}

/* Lines with a right checksum that this program would not write. */
static void test_odd_lines(void **state)
{
	static const char *const lines[] = {
		"allowed imap-in 203.0.113.7/33 tcp 443 1 1 1",
		"allowed imap-in 203.0.113.7/23 tcp 443 1 1 1",
		"allowed imap-in 203.0.113/24 tcp 443 1 1 1",
		"allowed imap-in 203.0.113.7/32 tcp 65536 1 1 1",
		"allowed imap-in 203.0.113.7/32 sctp 443 1 1 1",
		"granted imap-in 203.0.113.7/32 tcp 443 1 1 1",
		"allowed imap-in 203.0.113.7/32 tcp 443 -1 1 1",
		"allowed imap-in 203.0.113.7/32 tcp 443 1 1",
		"flow imap-in 0 1 ,1",
		"flow imap-in 1 -1 ,1",
		"flow imap-in 1 9223372036854775807 ,1",
		"flow imap-in 1 1",
		"",
	};
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	put(out, HEADER);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		put(out, "%s", lines[i]);
	put(out, "allowed a 203.0.113.7/24 tcp 443 1 1 1"); /* host bits go */
	put(out, "allowed a 203.0.113.0/24 tcp 443 2 2 2"); /* it is there already */
	put(out, "flow a 1 2 ,5,x");
	fclose(out);
	read_again(text, "this", false);
	assert_string_equal(entries(3601), "a 203.0.113.0/24 443 allowed 1 1 1\n");
	assert_int_equal(record_opened(record_find(&record, "a"), 7200), 5);
	assert_null(record_find(&record, "imap-in"));
	free(text);
}

static void test_no_memory(void **state)
{
	struct record_peer one = peer("203.0.113.7", 443);
	bool same_boot;

	(void)state;
	for (long left = 0; left < 3; left++) {
		record_free(&record);
		allocations_left = left;
		assert_int_equal(record_connection(&record, "imap-in", &one, true, NOW_S), -ENOMEM);
		allocations_left = -1;
		assert_int_equal(record.used, 0);
	}
	assert_int_equal(record_connection(&record, "imap-in", &one, true, NOW_S), 0);
	/* Without memory for more buckets the chains are longer. */
	for (uint32_t i = 0; i < BUCKETS_FIRST - 1; i++) {
		struct record_peer more = numbered(i);
		assert_int_equal(record_connection(&record, "imap-in", &more, true, NOW_S), 0);
	}
	char *text = text_of();
	struct record_peer more = numbered(1000);
	allocations_left = 0;
	assert_int_equal(record_connection(&record, "imap-in", &more, true, NOW_S), -ENOMEM);
	allocations_left = -1;
	assert_int_equal(record_connection(&record, "imap-in", &more, true, NOW_S), 0);
	record_free(&record);
	allocations_left = 4;
	assert_int_equal(record_from_text(&record, text, "this", &same_boot), -ENOMEM);
	allocations_left = -1;
	assert_int_equal(record.used, 0);
	free(text);
}

static bool look(struct seen_connections *seen, uint32_t id, uint32_t since_s)
{
	struct seen_connection one = { .id = id, .since_s = since_s };
	bool is_new;

	assert_int_equal(seen_add(seen, &one, &is_new), 0);
	return is_new;
}

static void test_seen(void **state)
{
	struct seen_connections seen = { 0 };
	struct seen_connection one = { .id = 9 };
	bool is_new;

	(void)state;
	assert_null(seen_find(&seen, 7));
	seen_begin(&seen);
	assert_true(look(&seen, 7, 10));
	assert_true(look(&seen, 3, 10));
	assert_true(look(&seen, 7, 10)); /* shown twice */
	seen_end(&seen, true);
	assert_int_equal(seen.seen.count, 2);
	seen_begin(&seen);
	assert_false(look(&seen, 7, 20));
	assert_true(look(&seen, 5, 20));
	seen_end(&seen, false); /* incomplete: as if it had not been */
	assert_null(seen_find(&seen, 5));
	seen_begin(&seen);
	assert_true(look(&seen, 5, 30));
	assert_false(look(&seen, 7, 30));
	seen_end(&seen, true);
	assert_null(seen_find(&seen, 3));
	assert_int_equal(seen_find(&seen, 7)->since_s, 10);
	assert_int_equal(seen_find(&seen, 5)->since_s, 30);
	/* Of what has no room none is new, at no look. */
	seen_begin(&seen);
	for (uint32_t id = 0; id < SEEN_CONNECTIONS_MAX; id++)
		look(&seen, id, 40);
	assert_false(look(&seen, SEEN_CONNECTIONS_MAX, 40));
	seen_end(&seen, true);
	assert_int_equal(seen.seen.count, SEEN_CONNECTIONS_MAX);
	for (int i = 0; i < 3; i++) {
		seen_begin(&seen);
		seen_end(&seen, true);
	}
	assert_in_range(seen.seen.capacity + seen.next.capacity, 0, 2048);
	seen_free(&seen);
	allocations_left = 0;
	assert_int_equal(seen_add(&seen, &one, &is_new), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_uses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folding, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_longest_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_age, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_flows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seen, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
