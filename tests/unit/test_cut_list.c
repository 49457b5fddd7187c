/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is remembered of connections that were cut. */
#include "make.h"
#include "core/cut_list.h"

#include <errno.h>

#define CONFIG                                                                    \
	"[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n" \
	"[role ADM]\nmembers = 203.0.113.0/24\n"                                  \
	"[role IH]\nmembers = 192.0.2.31\nprotected = yes\n"

static struct packet tcp(const char *source, uint16_t source_port, const char *target, uint16_t target_port,
			 bool mid_stream)
{
	return (struct packet){
		make_addr(source), make_addr(target), PROTOCOL_TCP, source_port, target_port, mid_stream
	};
}

static void assert_packet(const struct packet *got, const struct packet *wanted)
{
	assert_int_equal(addr_compare(&got->source, &wanted->source), 0);
	assert_int_equal(addr_compare(&got->target, &wanted->target), 0);
	assert_int_equal(got->source_port, wanted->source_port);
	assert_int_equal(got->target_port, wanted->target_port);
	assert_int_equal(got->mid_stream, wanted->mid_stream);
	assert_int_equal(got->protocol, PROTOCOL_TCP);
}

/* The protected side comes first, whichever opened it, and the connection can be read from its entry again. */
static void test_entries(void **state)
{
	struct packet cases[] = {
		tcp("198.51.100.1", 443, "192.0.2.25", 3389, false),
		tcp("192.0.2.25", 50000, "198.51.100.1", 443, false),
		tcp("2001:db8:9::1", 443, "2001:db8:2::25", 3389, false),
	};
	struct cut_entry entries[CUT_ENTRIES_MAX];
	struct policy policy;

	(void)state;
	make_good_policy(&policy, CONFIG);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(cut_entries(&policy, &cases[i], 77, entries), 1);
		bool inbound = i != 1;
		assert_int_equal(addr_compare(&entries[0].own, inbound ? &cases[i].target : &cases[i].source), 0);
		assert_int_equal(entries[0].own_port, inbound ? cases[i].target_port : cases[i].source_port);
		assert_int_equal(entries[0].opener, inbound ? CUT_BY_PEER : CUT_BY_OWN);
		assert_int_equal(entries[0].deadline_ms, 77);
		struct packet again = cut_packet(&entries[0]);
		assert_packet(&again, &cases[i]);
	}
	/* seen from the middle on: from either side the same entry */
	struct packet there = tcp("198.51.100.1", 443, "192.0.2.25", 3389, true),
		      back = tcp("192.0.2.25", 3389, "198.51.100.1", 443, true);
	for (int way = 0; way < 2; way++) {
		assert_int_equal(cut_entries(&policy, way ? &back : &there, 1, entries), 1);
		assert_int_equal(entries[0].opener, CUT_UNKNOWN);
		assert_int_equal(entries[0].own_port, 3389);
		struct packet again = cut_packet(&entries[0]);
		assert_packet(&again, &there);
	}
	/* between two protected ones, packets of each direction are judged by the other one's flows */
	struct packet between = tcp("192.0.2.25", 50000, "192.0.2.31", 993, false);
	assert_int_equal(cut_entries(&policy, &between, 1, entries), 2);
	for (int i = 0; i < 2; i++) {
		struct packet again = cut_packet(&entries[i]);
		assert_packet(&again, &between);
	}
	assert_int_equal(addr_compare(&entries[0].own, &entries[1].peer), 0);
	struct packet neither = tcp("198.51.100.1", 1, "198.51.100.2", 2, false);
	assert_int_equal(cut_entries(&policy, &neither, 1, entries), 0);
	policy_free(&policy);
}

static struct cut_entry entry_of(unsigned host, uint16_t port, bool ipv6, int64_t deadline)
{
	struct cut_entry entry = { make_addr(ipv6 ? "2001:db8:2::25" : "192.0.2.25"),
				   make_addr(ipv6 ? "2001:db8:9::" : "198.51.100.0"),
				   3389,
				   port,
				   CUT_BY_PEER,
				   deadline,
				   false };
	entry.peer.bytes[ipv6 ? 15 : 3] = (uint8_t)host;
	return entry;
}

static bool keep_even(void *userdata, const struct cut_entry *entry)
{
	(*(size_t *)userdata)++;
	return entry->peer_port % 2 == 0;
}

/* Ten thousand in any order, some of them three times: each is found, none twice, and both families are counted. */
static void test_list(void **state)
{
	struct cut_list list = { 0 };
	size_t calls = 0;

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		unsigned n = i * 7919 % 10000;
		struct cut_entry entry = entry_of(n % 200, (uint16_t)(n / 200), n % 3 == 0, n);
		assert_int_equal(cut_list_add(&list, &entry), 0);
		if (n % 10 == 0) {
			entry.deadline_ms += 5; /* the latest one counts, whenever it was added */
			entry.opener = CUT_UNKNOWN;
			assert_int_equal(cut_list_add(&list, &entry), 0);
			entry.deadline_ms -= 2;
			entry.opener = CUT_BY_OWN;
			assert_int_equal(cut_list_add(&list, &entry), 0);
		}
	}
	cut_list_finish(&list);
	assert_int_equal(list.count, 10000);
	assert_int_equal(cut_list_count(&list, FAMILY_6), 3334);
	assert_int_equal(cut_list_count(&list, FAMILY_4), 6666);
	for (unsigned n = 0; n < 10000; n++) {
		struct cut_entry entry = entry_of(n % 200, (uint16_t)(n / 200), n % 3 == 0, 0);
		const struct cut_entry *found = cut_list_find(&list, &entry);
		assert_non_null(found);
		assert_int_equal(found->deadline_ms, n % 10 ? n : n + 5);
		assert_int_equal(found->opener, n % 10 ? CUT_BY_PEER : CUT_UNKNOWN);
		entry.own_port = 3388;
		assert_null(cut_list_find(&list, &entry));
	}
	assert_int_equal(cut_list_filter(&list, keep_even, &calls), 5000);
	assert_int_equal(calls, 10000);
	struct cut_entry odd = entry_of(1, 1, false, 0), even = entry_of(1, 2, false, 0);
	even.peer = list.items[0].peer;
	even.peer_port = list.items[0].peer_port;
	assert_null(cut_list_find(&list, &odd));
	assert_ptr_equal(cut_list_find(&list, &even), &list.items[0]);
	cut_list_free(&list);
	cut_list_finish(&list);
	assert_null(cut_list_find(&list, &odd));
}

static void test_words(void **state)
{
	(void)state;
	for (int at = 0; at < 2 * CUT_OPENERS; at++) {
		struct cut_entry entry = { .opener = (enum cut_opener)(at / 2), .on_request = at % 2 }, back = { 0 };
		cut_take_comment(&back, cut_comment(&entry));
		assert_int_equal(back.opener, entry.opener);
		assert_int_equal(back.on_request, entry.on_request);
	}
	for (int at = 0; at < 2; at++) {
		struct cut_entry entry = { .opener = CUT_BY_OWN, .on_request = true };
		cut_take_comment(&entry, at ? "" : "inbound ");
		assert_int_equal(entry.opener, CUT_UNKNOWN);
		assert_false(entry.on_request);
	}
}

static void test_no_memory(void **state)
{
	struct cut_list list = { 0 };
	struct cut_entry entry = entry_of(1, 1, false, 1);

	(void)state;
	allocations_left = 0;
	assert_int_equal(cut_list_add(&list, &entry), -ENOMEM);
	allocations_left = -1;
	assert_int_equal(list.count, 0);
	assert_int_equal(cut_list_add(&list, &entry), 0);
	cut_list_finish(&list);
	assert_non_null(cut_list_find(&list, &entry));
	cut_list_free(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
