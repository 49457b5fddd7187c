/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The book is compiled into this test with an allocator that fails on request. */
#include "failing.h"
#include "core/addrbook.c"
#include "core/addrbook_answers.c"
#include "core/addrbook_expiry.c"
#include "failing_end.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
#define DAY (24 * (int64_t)HOUR)

static const struct book_limits limits = { 30 * SECOND, 15 * MINUTE, HOUR, 7 * DAY };
static const char *const one_name[] = { "my.mailstore.com" };
#define NAME one_name[0]

/* allow: NULL for none. */
static int want(struct addrbook *book, const char *const *names, const bool *allow, size_t count, int64_t now)
{
	struct book_name *wanted = calloc(count ? count : 1, sizeof(*wanted));

	if (!wanted)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		wanted[i] = (struct book_name){ names[i], allow && allow[i], FAMILIES_ALL };
	int r = addrbook_want(book, wanted, count, now);
	free(wanted);
	return r;
}

static struct addrbook *new_book(const char *const *names, size_t count, int64_t now)
{
	struct addrbook *book = NULL;
	assert_int_equal(addrbook_new(&book, &limits, 42), 0);
	assert_int_equal(want(book, names, NULL, count, now), 0);
	return book;
}

/* All entries; whether the addresses of any changed. */
static bool expire(struct addrbook *book, int64_t now)
{
	bool changed = false;

	for (size_t i = 0; i < addrbook_count(book); i++)
		changed |= addrbook_expire_entry(book, i, now);
	return changed;
}

static struct addr address(const char *text)
{
	struct addr addr;
	assert_true(addr_parse(text, &addr));
	return addr;
}

static struct addr numbered(unsigned number)
{
	return (struct addr){ FAMILY_4, { 198, 51, (uint8_t)(number >> 8), (uint8_t)number } };
}

/* The texts end with NULL. */
static bool answer_of(struct addrbook *book, enum book_origin origin, uint32_t ttl_s, int64_t now, ...)
{
	struct addr list[8];
	size_t count = 0;
	bool changed;
	va_list texts;

	va_start(texts, now);
	for (const char *text; (text = va_arg(texts, const char *)) != NULL;)
		list[count++] = address(text);
	va_end(texts);
	assert_int_equal(addrbook_answered(book, NAME, FAMILY_4, list, count, ttl_s, origin, now, &changed), 0);
	return changed;
}
#define answer(book, ttl_s, now, ...) answer_of(book, ORIGIN_QUERIED, ttl_s, now, __VA_ARGS__)

static struct book_entry entry_of(struct addrbook *book)
{
	struct book_entry entry;
	assert_int_equal(addrbook_find(book, NAME, FAMILY_4, &entry), 0);
	return entry;
}

static const struct book_address *find(struct addrbook *book, const char *text)
{
	struct book_entry entry = entry_of(book);
	struct addr addr = address(text);

	for (size_t i = 0; i < entry.address_count; i++)
		if (addr_compare(&entry.addresses[i].addr, &addr) == 0)
			return &entry.addresses[i];
	return NULL;
}

static void expect_state(struct addrbook *book, enum book_state expected)
{
	assert_string_equal(book_state_name(entry_of(book).state), book_state_name(expected));
}

static void take_all(struct addrbook *book, int64_t now)
{
	struct book_entry entry;
	while (addrbook_take_due(book, now, &entry))
		assert_true(entry.query_running);
}

static void states(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 5);

	(void)state;
	assert_int_equal(addrbook_count(book), 2);
	expect_state(book, BOOK_EMPTY);
	assert_false(entry_of(book).ever_answered);
	assert_int_equal(entry_of(book).next_query_ms, 5);

	assert_int_equal(addrbook_failed(book, NAME, FAMILY_4, "timeout", 10), 0);
	expect_state(book, BOOK_FAILING);
	assert_string_equal(entry_of(book).last_error, "timeout");
	assert_int_equal(entry_of(book).failures, 1);

	assert_true(answer(book, 300, 1000, "192.0.2.2", "192.0.2.1", NULL));
	expect_state(book, BOOK_FRESH);
	assert_string_equal(entry_of(book).last_error, "");
	assert_int_equal(entry_of(book).address_count, 2);
	assert_true(addr_compare(&entry_of(book).addresses[0].addr, &entry_of(book).addresses[1].addr) < 0);
	assert_int_equal(entry_of(book).last_answer_ms, 1000);

	assert_false(answer(book, 300, 2000, "192.0.2.1", NULL));
	expect_state(book, BOOK_GRACE);
	assert_false(answer(book, 300, 3000, NULL));
	expect_state(book, BOOK_GRACE);
	addrbook_failed(book, NAME, FAMILY_4, "SERVFAIL", 4000);
	expect_state(book, BOOK_STALE);

	/* The other family noticed nothing. */
	struct book_entry other = { 0 };
	assert_int_equal(addrbook_find(book, NAME, FAMILY_6, &other), 0);
	assert_int_equal(other.state, BOOK_EMPTY);
	assert_string_equal(other.last_error, "");
	assert_false(other.ever_answered);

	assert_int_equal(addrbook_find(book, "unknown.example", FAMILY_4, &other), -ENOENT);
	assert_int_equal(addrbook_failed(book, "unknown.example", FAMILY_4, "x", 0), -ENOENT);
	assert_int_equal(addrbook_query_now(book, "unknown.example", 0), -ENOENT);
	addrbook_free(book);
}

static void grace(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 0);

	(void)state;
	answer(book, 300, 0, "192.0.2.1", NULL);
	assert_int_equal(find(book, "192.0.2.1")->expires_ms, 7 * DAY);
	answer(book, 300, 5 * MINUTE, "192.0.2.2", NULL);
	assert_int_equal(find(book, "192.0.2.1")->expires_ms, 5 * MINUTE + HOUR);
	assert_false(find(book, "192.0.2.1")->in_answer);
	/* The first answer without it began the grace, not the last. */
	answer(book, 300, 10 * MINUTE, "192.0.2.2", NULL);
	assert_int_equal(find(book, "192.0.2.1")->expires_ms, 5 * MINUTE + HOUR);

	assert_false(expire(book, 5 * MINUTE + HOUR - 1));
	assert_true(expire(book, 5 * MINUTE + HOUR));
	assert_null(find(book, "192.0.2.1"));
	assert_non_null(find(book, "192.0.2.2"));

	/* Answered again in time: as if never away. */
	answer(book, 300, 2 * HOUR, "192.0.2.3", NULL);
	answer(book, 300, 2 * HOUR + 50 * MINUTE, "192.0.2.2", NULL);
	assert_true(find(book, "192.0.2.2")->in_answer);
	assert_int_equal(find(book, "192.0.2.2")->expires_ms, 2 * HOUR + 50 * MINUTE + 7 * DAY);
	addrbook_free(book);
}

static void stale(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 0);

	(void)state;
	answer(book, 300, 0, "192.0.2.1", "192.0.2.2", NULL);
	answer(book, 300, 10 * MINUTE, "192.0.2.1", NULL);
	addrbook_failed(book, NAME, FAMILY_4, "timeout", 20 * MINUTE);
	/* Failures leave nothing out: both live until stale after they were last confirmed. */
	assert_int_equal(find(book, "192.0.2.1")->expires_ms, 10 * MINUTE + 7 * DAY);
	assert_int_equal(find(book, "192.0.2.2")->expires_ms, 7 * DAY);
	assert_false(expire(book, 3 * DAY));

	/* Of the hour of grace ten minutes were gone when queries began to fail. */
	answer(book, 300, 3 * DAY, "192.0.2.1", NULL);
	expect_state(book, BOOK_GRACE);
	assert_int_equal(find(book, "192.0.2.2")->expires_ms, 3 * DAY + 50 * MINUTE);

	addrbook_failed(book, NAME, FAMILY_4, "timeout", 3 * DAY + MINUTE);
	assert_false(expire(book, 7 * DAY - 1));
	assert_true(expire(book, 7 * DAY));
	assert_null(find(book, "192.0.2.2"));
	assert_true(expire(book, 10 * DAY));
	expect_state(book, BOOK_FAILING);
	addrbook_free(book);
}

static void refused_addresses(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 0);

	(void)state;
	assert_true(answer(book, 300, 0, "127.0.0.1", "192.168.1.1", "2001:db8::1", "192.0.2.1", "192.0.2.1", NULL));
	assert_int_equal(entry_of(book).address_count, 1);
	assert_int_equal(entry_of(book).refused, 3);
	/* Nothing but nonsense is an answer without addresses. */
	assert_false(answer(book, 300, 0, "0.0.0.0", NULL));
	expect_state(book, BOOK_GRACE);

	/* The mark shows whether the refused ones are others than before, in whatever order. */
	answer(book, 300, 0, "127.0.0.1", "10.0.0.1", "192.0.2.1", NULL);
	uint64_t mark = entry_of(book).refused_mark;
	assert_int_not_equal(mark, 0);
	answer(book, 300, 0, "192.0.2.2", "10.0.0.1", "127.0.0.1", NULL);
	assert_int_equal(entry_of(book).refused_mark, mark);
	answer(book, 300, 0, "10.0.0.2", "127.0.0.1", NULL);
	assert_int_not_equal(entry_of(book).refused_mark, mark);
	answer(book, 300, 0, "192.0.2.1", NULL);
	assert_int_equal(entry_of(book).refused_mark, 0);
	addrbook_free(book);
}

static bool refuse_listed(void *userdata, const struct addr *addr)
{
	const struct addr *listed = userdata;
	return addr_compare(addr, listed) == 0;
}

static void refused_by_callback(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 0);
	struct addr server = address("192.0.2.25");

	(void)state;
	answer(book, 300, 0, "192.0.2.25", "192.0.2.1", NULL);
	addrbook_set_refuses(book, refuse_listed, &server);
	assert_true(addrbook_recheck(book));
	assert_false(addrbook_recheck(book));
	assert_null(find(book, "192.0.2.25"));
	assert_false(answer(book, 300, 0, "192.0.2.25", "192.0.2.1", NULL));
	assert_null(find(book, "192.0.2.25"));
	assert_int_equal(entry_of(book).refused, 2);
	addrbook_free(book);
}

static void private_addresses(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 0);
	const bool yes = true, no = false;

	(void)state;
	answer(book, 600, 0, "192.0.2.1", "10.0.0.1", NULL);
	assert_int_equal(entry_of(book).address_count, 1);
	assert_true(entry_of(book).next_query_ms >= 9 * MINUTE);

	/* What was refused can come now, with a query. */
	assert_int_equal(want(book, one_name, &yes, 1, 1000), 0);
	assert_int_equal(entry_of(book).next_query_ms, 1000);
	assert_non_null(find(book, "192.0.2.1"));
	assert_true(answer(book, 600, 2000, "192.0.2.1", "10.0.0.1", NULL));
	assert_int_equal(entry_of(book).address_count, 2);

	assert_int_equal(want(book, one_name, &no, 1, 3000), 0);
	assert_null(find(book, "10.0.0.1"));
	assert_non_null(find(book, "192.0.2.1"));
	assert_true(entry_of(book).next_query_ms > MINUTE);
	addrbook_free(book);
}

static void unfit(void **state)
{
	static const struct {
		const char *text, *reason, *reason_if_private;
	} table[] = {
		{ "0.0.0.0", "unspecified", "unspecified" },
		{ "0.255.255.255", "unspecified", "unspecified" },
		{ "127.0.0.1", "loopback", "loopback" },
		{ "127.255.255.255", "loopback", "loopback" },
		{ "126.255.255.255", NULL, NULL },
		{ "128.0.0.0", NULL, NULL },
		{ "169.254.0.1", "link-local", "link-local" },
		{ "169.253.255.255", NULL, NULL },
		{ "223.255.255.255", NULL, NULL },
		{ "224.0.0.1", "multicast", "multicast" },
		{ "239.255.255.255", "multicast", "multicast" },
		{ "240.0.0.1", "reserved", "reserved" },
		{ "255.255.255.254", "reserved", "reserved" },
		{ "255.255.255.255", "broadcast", "broadcast" },
		{ "9.255.255.255", NULL, NULL },
		{ "10.0.0.0", "private", NULL },
		{ "11.0.0.0", NULL, NULL },
		{ "100.63.255.255", NULL, NULL },
		{ "100.64.0.0", "private", NULL },
		{ "100.127.255.255", "private", NULL },
		{ "100.128.0.0", NULL, NULL },
		{ "172.15.255.255", NULL, NULL },
		{ "172.16.0.0", "private", NULL },
		{ "172.31.255.255", "private", NULL },
		{ "172.32.0.0", NULL, NULL },
		{ "192.168.255.255", "private", NULL },
		{ "192.169.0.0", NULL, NULL },
		{ "192.0.2.1", NULL, NULL },
		{ "198.51.100.1", NULL, NULL },
		{ "203.0.113.1", NULL, NULL },
		{ "::", "unspecified", "unspecified" },
		{ "::1", "loopback", "loopback" },
		{ "::7f00:1", "IPv4-compatible", "IPv4-compatible" },
		{ "fe80::1", "link-local", "link-local" },
		{ "febf::1", "link-local", "link-local" },
		{ "fec0::1", "private", NULL },
		{ "ff02::1", "multicast", "multicast" },
		{ "fc00::1", "private", NULL },
		{ "fdff::1", "private", NULL },
		{ "fe00::1", NULL, NULL },
		{ "2001:db8::1", NULL, NULL },
		{ "64:ff9b::c000:201", NULL, NULL },
		{ "2606:4700::1111", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct addr addr = address(table[i].text);
		const char *without = address_unfit(&addr, false), *with = address_unfit(&addr, true);
		if (strcmp(without ? without : "fit", table[i].reason ? table[i].reason : "fit") != 0 ||
		    strcmp(with ? with : "fit", table[i].reason_if_private ? table[i].reason_if_private : "fit") != 0)
			fail_msg("%s: %s, with allow_private %s", table[i].text, without, with);
	}
	struct addr mapped = { FAMILY_6, { [10] = 0xff, 0xff, 8, 8, 8, 8 } };
	assert_string_equal(address_unfit(&mapped, true), "IPv4-mapped");
}

static void intervals(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 0);
	bool varies = false;
	int64_t first = 0;

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		answer(book, 300, 0, "192.0.2.1", NULL);
		int64_t next = entry_of(book).next_query_ms;
		assert_in_range(next, 270 * SECOND, 300 * SECOND);
		varies |= i > 0 && next != first;
		first = next;
		answer(book, 0, 0, "192.0.2.1", NULL);
		assert_in_range(entry_of(book).next_query_ms, 27 * SECOND, 30 * SECOND);
		answer(book, UINT32_MAX, 0, "192.0.2.1", NULL);
		assert_in_range(entry_of(book).next_query_ms, 13 * MINUTE + 30 * SECOND, 15 * MINUTE);
	}
	assert_true(varies);

	/* Shorter limits count at once. */
	struct book_limits shorter = { SECOND, 2 * MINUTE, MINUTE, HOUR };
	addrbook_set_limits(book, &shorter);
	assert_int_equal(entry_of(book).next_query_ms, 2 * MINUTE);
	assert_int_equal(find(book, "192.0.2.1")->expires_ms, HOUR);
	assert_true(expire(book, HOUR));
	/* An answer is renewed before it is stale, whatever its TTL. */
	struct book_limits brief = { SECOND, 15 * MINUTE, MINUTE, 9 * SECOND };
	addrbook_set_limits(book, &brief);
	answer(book, 3600, 2 * (int64_t)HOUR, "192.0.2.1", NULL);
	assert_in_range(entry_of(book).next_query_ms - 2 * (int64_t)HOUR, 2 * SECOND, 3 * SECOND);
	addrbook_free(book);
}

/* What a denied server makes of it. */
static void asked_by(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 0);
	struct book_entry entry;

	(void)state;
	assert_int_equal(entry_of(book).queried_ms, INT64_MIN);
	assert_int_equal(addrbook_query_by(book, "other.example", FAMILY_4, 0, 0), -ENOENT);
	while (addrbook_take_due(book, 0, &entry))
		assert_int_equal(entry.queried_ms, 0);
	answer(book, 300, 10, "192.0.2.1", NULL);
	assert_int_equal(addrbook_query_by(book, NAME, FAMILY_4, 500, 20), 0);
	assert_int_equal(entry_of(book).next_query_ms, 500);
	/* Never later than it would be, and the other family is left alone: its query still runs. */
	assert_int_equal(addrbook_query_by(book, NAME, FAMILY_4, 900, 20), 0);
	assert_int_equal(entry_of(book).next_query_ms, 500);
	assert_false(addrbook_take_due(book, 499, &entry));
	assert_true(addrbook_take_due(book, 500, &entry));
	assert_int_equal(entry.family, FAMILY_4);

	/* While one is under way: the next, after an answer as after a failure. */
	assert_int_equal(addrbook_query_by(book, NAME, FAMILY_4, 1000, 510), 0);
	assert_int_equal(addrbook_query_by(book, NAME, FAMILY_4, 1100, 520), 0);
	assert_false(addrbook_take_due(book, 1000, &entry));
	answer(book, 300, 600, "192.0.2.1", NULL);
	assert_int_equal(entry_of(book).next_query_ms, 1000);
	assert_true(addrbook_take_due(book, 1000, &entry));
	assert_int_equal(addrbook_query_by(book, NAME, FAMILY_4, 1500, 1010), 0);
	assert_int_equal(addrbook_failed(book, NAME, FAMILY_4, "SERVFAIL", 1020), 0);
	assert_int_equal(entry_of(book).next_query_ms, 1500);
	/* Once. */
	assert_true(addrbook_take_due(book, 1500, &entry));
	answer(book, 300, 1510, "192.0.2.1", NULL);
	assert_true(entry_of(book).next_query_ms > 200 * SECOND);
	addrbook_free(book);
}

static void backoff(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 0);
	int64_t now = 0, previous = 0;

	(void)state;
	answer(book, 300, 0, "192.0.2.1", NULL);
	for (unsigned i = 1; i <= 20; i++) {
		addrbook_failed(book, NAME, FAMILY_4, "timeout", now);
		int64_t wait = entry_of(book).next_query_ms - now;
		assert_int_equal(entry_of(book).failures, i);
		if (i == 1)
			assert_in_range(wait, 1, 2 * SECOND);
		assert_true(wait <= 15 * MINUTE);
		/* Jitter may shrink it, growth is more than that. */
		assert_true(wait >= previous || wait >= 13 * MINUTE);
		previous = wait;
		now += wait;
	}
	assert_true(previous >= 13 * MINUTE);
	assert_true(now > 2 * (int64_t)HOUR); /* 20 queries in all that time */
	answer(book, 300, now, "192.0.2.1", NULL);

	/* Failures of queries in between, which somebody wanted, change nothing. */
	for (unsigned i = 0; i < 40; i++)
		addrbook_failed(book, NAME, FAMILY_4, "SERVFAIL", now + i * 100);
	assert_in_range(entry_of(book).next_query_ms - now, 3900, 3900 + 5900);
	addrbook_failed(book, NAME, FAMILY_4, "SERVFAIL", now);
	assert_in_range(entry_of(book).next_query_ms - now, 1, 2 * SECOND);

	/* With nothing to serve it stays eager. */
	for (unsigned i = 0; i < 40; i++)
		addrbook_failed(book, NAME, FAMILY_6, "timeout", i * (int64_t)MINUTE);
	struct book_entry other;
	addrbook_find(book, NAME, FAMILY_6, &other);
	assert_in_range(other.next_query_ms - 39 * MINUTE, 54 * SECOND, 60 * SECOND);
	addrbook_free(book);
}

static void queries(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 100);
	struct book_entry entry;

	(void)state;
	assert_int_equal(addrbook_next_event(book), 100);
	assert_false(addrbook_take_due(book, 99, &entry));
	assert_true(addrbook_take_due(book, 100, &entry));
	assert_true(addrbook_take_due(book, 100, &entry));
	assert_false(addrbook_take_due(book, 100, &entry));

	/* No answer ever comes: the entry is not lost with the query. */
	int64_t again = addrbook_next_event(book);
	assert_in_range(again, 100 + MINUTE, 100 + 5 * MINUTE);
	assert_true(addrbook_take_due(book, again, &entry));
	take_all(book, again);

	/* Urgent while one is under way: it will do, unless it fails. */
	assert_int_equal(addrbook_query_now(book, NAME, again), 0);
	assert_false(addrbook_take_due(book, again, &entry));
	addrbook_failed(book, NAME, FAMILY_4, "timeout", again + 5);
	assert_int_equal(entry_of(book).next_query_ms, again + 5);
	assert_true(addrbook_take_due(book, again + 5, &entry));
	addrbook_failed(book, NAME, FAMILY_4, "timeout", again + 6);
	assert_true(entry_of(book).next_query_ms > again + 1000);

	answer(book, 300, again + 10, "192.0.2.1", NULL);
	assert_false(entry_of(book).query_running);
	assert_int_equal(addrbook_query_now(book, NULL, again + 20), 0);
	assert_int_equal(entry_of(book).next_query_ms, again + 20);
	assert_true(addrbook_take_due(book, again + 20, &entry));
	assert_int_equal(entry.family, FAMILY_4);
	addrbook_free(book);
}

static void observed(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 0);

	(void)state;
	answer(book, 300, 0, "192.0.2.1", NULL);
	int64_t next = entry_of(book).next_query_ms;
	assert_true(answer_of(book, ORIGIN_OBSERVED, 2 * 3600, MINUTE, "192.0.2.2", NULL));
	expect_state(book, BOOK_FRESH);
	assert_int_equal(entry_of(book).next_query_ms, next);
	assert_int_equal(find(book, "192.0.2.2")->origin, ORIGIN_OBSERVED);
	assert_true(find(book, "192.0.2.1")->in_answer);
	/* What it lacks means nothing, and it ends no failure of ours. */
	assert_false(answer_of(book, ORIGIN_OBSERVED, 60, MINUTE, NULL));
	assert_true(find(book, "192.0.2.1")->in_answer);
	addrbook_failed(book, NAME, FAMILY_4, "timeout", 2 * MINUTE);
	assert_false(answer_of(book, ORIGIN_OBSERVED, 60, 3 * MINUTE, "192.0.2.2", NULL));
	expect_state(book, BOOK_STALE);

	/* Our resolver never answers it: it lives as long as the server may use it, a day at most and two minutes at
	 * least. */
	answer(book, 300, 5 * MINUTE, "192.0.2.1", NULL);
	expect_state(book, BOOK_GRACE);
	assert_int_equal(find(book, "192.0.2.2")->expires_ms, MINUTE + 2 * HOUR);
	answer_of(book, ORIGIN_OBSERVED, UINT32_MAX, 6 * MINUTE, "192.0.2.3", NULL);
	answer_of(book, ORIGIN_OBSERVED, 0, 6 * MINUTE, "192.0.2.4", NULL);
	answer(book, 300, 7 * MINUTE, "192.0.2.1", NULL);
	assert_int_equal(find(book, "192.0.2.3")->expires_ms, 6 * MINUTE + DAY);
	assert_int_equal(find(book, "192.0.2.4")->expires_ms, 8 * MINUTE);
	/* Failures of ours make it live no longer. */
	addrbook_failed(book, NAME, FAMILY_4, "timeout", 7 * MINUTE);
	assert_int_equal(find(book, "192.0.2.4")->expires_ms, 8 * MINUTE);
	assert_true(expire(book, 8 * MINUTE));
	assert_null(find(book, "192.0.2.4"));
	addrbook_free(book);
}

/* An address of an own query stays one of it; the server's answers show how long it is in use. */
static void observed_and_asked(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 0);

	(void)state;
	answer(book, 300, 0, "192.0.2.1", "192.0.2.2", NULL);
	answer_of(book, ORIGIN_OBSERVED, 4 * 3600, MINUTE, "192.0.2.1", NULL);
	assert_int_equal(find(book, "192.0.2.1")->origin, ORIGIN_QUERIED);
	assert_int_equal(find(book, "192.0.2.1")->expires_ms, 7 * DAY);
	/* Left out: grace counts from when the server must have forgotten it. */
	answer(book, 300, 5 * MINUTE, "192.0.2.3", NULL);
	assert_int_equal(find(book, "192.0.2.1")->expires_ms, MINUTE + 4 * HOUR + HOUR);
	assert_int_equal(find(book, "192.0.2.2")->expires_ms, 5 * MINUTE + HOUR);
	answer_of(book, ORIGIN_OBSERVED, 2 * 3600, 6 * MINUTE, "192.0.2.2", NULL);
	assert_int_equal(find(book, "192.0.2.2")->origin, ORIGIN_QUERIED);
	assert_int_equal(find(book, "192.0.2.2")->expires_ms, 6 * MINUTE + 2 * HOUR + HOUR);
	/* The other way round: what our own query confirms is no longer the server's word alone. */
	answer_of(book, ORIGIN_OBSERVED, 60, 7 * MINUTE, "192.0.2.4", NULL);
	answer(book, 300, 8 * MINUTE, "192.0.2.4", NULL);
	assert_int_equal(find(book, "192.0.2.4")->origin, ORIGIN_QUERIED);
	assert_int_equal(find(book, "192.0.2.4")->expires_ms, 8 * MINUTE + 7 * DAY);
	addrbook_free(book);
}

static size_t count_of(struct addrbook *book, enum book_origin origin)
{
	struct book_entry entry = entry_of(book);
	size_t count = 0;

	for (size_t i = 0; i < entry.address_count; i++)
		count += entry.addresses[i].origin == origin;
	return count;
}

/* Addresses first, first + 1, ...: `count` of them. */
static void answer_many(struct addrbook *book, enum book_origin origin, unsigned first, size_t count, int64_t now)
{
	struct addr list[600];
	bool changed;

	for (size_t i = 0; i < count; i++)
		list[i] = (struct addr){ .family = FAMILY_4,
					 .bytes = { 198, 51, (uint8_t)((first + i) >> 8), (uint8_t)(first + i) } };
	assert_int_equal(addrbook_answered(book, NAME, FAMILY_4, list, count, 3600, origin, now, &changed), 0);
}

/* However much is observed, what we were answered stays; and it takes the place of what was observed. */
static void observed_gives_way(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 0);
	struct addr remembered = address("192.0.2.77");

	(void)state;
	assert_int_equal(addrbook_remember(book, NAME, &remembered, DAY, 0), 0);
	answer(book, 300, 0, "192.0.2.1", NULL);
	for (unsigned i = 0; i < 10; i++)
		answer_many(book, ORIGIN_OBSERVED, i * 80, 80, MINUTE + i);
	assert_int_equal(entry_of(book).address_count, BOOK_ADDRESSES_MAX);
	assert_non_null(find(book, "192.0.2.1"));
	assert_non_null(find(book, "192.0.2.77"));
	assert_int_equal(count_of(book, ORIGIN_OBSERVED), BOOK_ADDRESSES_MAX - 2);
	assert_non_null(find(book, "198.51.3.15")); /* the newest of them */
	assert_null(find(book, "198.51.0.1"));

	answer_many(book, ORIGIN_QUERIED, 1000, 200, MINUTE + 9);
	assert_int_equal(count_of(book, ORIGIN_QUERIED), 201);
	assert_non_null(find(book, "192.0.2.77"));
	answer_many(book, ORIGIN_QUERIED, 2000, 256, 2 * MINUTE);
	assert_int_equal(count_of(book, ORIGIN_QUERIED), BOOK_ADDRESSES_MAX);
	answer_many(book, ORIGIN_OBSERVED, 3000, 80, 3 * MINUTE);
	assert_int_equal(count_of(book, ORIGIN_OBSERVED), 0);
	addrbook_free(book);
}

static void observed_in_use(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 0);
	struct addr used = address("192.0.2.2"), unused = address("192.0.2.3"), queried = address("192.0.2.1"),
		    unknown = address("192.0.2.9");

	(void)state;
	answer(book, 300, 0, "192.0.2.1", NULL);
	answer_of(book, ORIGIN_OBSERVED, 60, 0, "192.0.2.2", "192.0.2.3", NULL);
	addrbook_used(book, &used, 5 * MINUTE);
	addrbook_used(book, &unknown, 5 * MINUTE);
	addrbook_used(book, &queried, 8 * DAY);
	assert_int_equal(find(book, "192.0.2.2")->expires_ms, 5 * MINUTE);
	assert_int_equal(find(book, "192.0.2.1")->expires_ms, 7 * DAY);
	assert_int_equal(entry_of(book).next_expiry_ms, 2 * MINUTE);
	addrbook_used(book, &unused, MINUTE); /* never less */
	assert_int_equal(find(book, "192.0.2.3")->expires_ms, 2 * MINUTE);
	assert_true(expire(book, 2 * MINUTE));
	assert_null(find(book, "192.0.2.3"));
	assert_non_null(find(book, "192.0.2.2"));
	assert_true(expire(book, 5 * MINUTE));
	assert_null(find(book, "192.0.2.2"));
	addrbook_free(book);
}

static void observed_remembered(void **state)
{
	static const char *const pattern[] = { "*.example.net" };
	struct addrbook *book = new_book(one_name, 1, 0);
	struct addr first = address("192.0.2.1"), second = address("192.0.2.2"), third = address("192.0.2.3");
	struct book_entry entry;

	(void)state;
	assert_int_equal(addrbook_remember_observed(book, NAME, &first, HOUR, 0), 0);
	assert_int_equal(addrbook_remember_observed(book, NAME, &second, INT64_MAX, 0), 0);
	assert_int_equal(addrbook_remember_observed(book, NAME, &third, 0, 0), 0);
	assert_int_equal(addrbook_remember_observed(book, NAME, &third, INT64_MIN, 0), 0);
	assert_int_equal(addrbook_remember_observed(book, "unknown.example", &third, HOUR, 0), -ENOENT);
	assert_int_equal(entry_of(book).address_count, 2);
	assert_int_equal(find(book, "192.0.2.1")->origin, ORIGIN_OBSERVED);
	assert_int_equal(find(book, "192.0.2.1")->expires_ms, HOUR);
	assert_int_equal(find(book, "192.0.2.2")->expires_ms, DAY);
	addrbook_free(book);

	/* A pattern has nothing else than what was observed. */
	book = new_book(pattern, 1, 0);
	assert_int_equal(addrbook_remember(book, pattern[0], &first, 7 * DAY - HOUR, 0), 0);
	assert_int_equal(addrbook_remember(book, pattern[0], &second, 0, 0), 0);
	assert_int_equal(addrbook_find(book, pattern[0], FAMILY_4, &entry), 0);
	assert_int_equal(entry.address_count, 2);
	assert_int_equal(entry.addresses[0].origin, ORIGIN_OBSERVED);
	assert_int_equal(entry.addresses[0].expires_ms, HOUR);
	assert_int_equal(entry.addresses[1].expires_ms, DAY);
	addrbook_free(book);

	/* It is older than what is observed at the same time, and gives way to that. */
	book = new_book(one_name, 1, 1000);
	for (unsigned i = 0; i < BOOK_ADDRESSES_MAX; i++) {
		struct addr addr = numbered(i);
		assert_int_equal(addrbook_remember_observed(book, NAME, &addr, HOUR, 1000), 0);
	}
	answer_many(book, ORIGIN_OBSERVED, 3000, 1, 1000);
	assert_non_null(find(book, "198.51.11.184"));
	assert_int_equal(entry_of(book).address_count, BOOK_ADDRESSES_MAX);
	addrbook_free(book);
}

static void asks_by(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 0);
	struct book_entry entry;

	(void)state;
	assert_true(addrbook_queries_by(book, "unknown.example", FAMILY_4, 0));
	assert_true(addrbook_queries_by(book, NAME, FAMILY_4, 0)); /* it never was queried */
	assert_true(addrbook_take_due(book, 0, &entry));
	assert_false(addrbook_queries_by(book, NAME, FAMILY_4,
					 HOUR)); /* that one is under way, and none after it is wanted */
	addrbook_query_by(book, NAME, FAMILY_4, MINUTE, 0);
	assert_true(addrbook_queries_by(book, NAME, FAMILY_4, MINUTE));
	assert_false(addrbook_queries_by(book, NAME, FAMILY_4, MINUTE - 1));
	answer(book, 3600, 0, "192.0.2.1", NULL);
	assert_true(addrbook_queries_by(book, NAME, FAMILY_4, MINUTE));
	assert_false(addrbook_queries_by(book, NAME, FAMILY_4, MINUTE - 1));
	addrbook_free(book);
}

static void remembered(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 1000);
	struct addr first = address("192.0.2.1"), second = address("192.0.2.2"), loopback = address("127.0.0.1");

	(void)state;
	assert_int_equal(addrbook_remember(book, NAME, &first, DAY, 1000), 0);
	assert_int_equal(addrbook_remember(book, NAME, &second, 7 * DAY, 1000), 0);
	assert_int_equal(addrbook_remember(book, NAME, &second, INT64_MAX, 1000), 0);
	assert_int_equal(addrbook_remember(book, NAME, &loopback, 0, 1000), 0);
	assert_int_equal(addrbook_remember(book, "unknown.example", &first, 0, 1000), -ENOENT);
	assert_int_equal(entry_of(book).address_count, 1);
	assert_int_equal(find(book, "192.0.2.1")->origin, ORIGIN_REMEMBERED);
	assert_int_equal(find(book, "192.0.2.1")->expires_ms, 1000 + 6 * DAY);
	expect_state(book, BOOK_STALE);
	assert_int_equal(entry_of(book).next_query_ms, 1000);

	/* An age of the future is none. */
	assert_int_equal(addrbook_remember(book, NAME, &second, INT64_MIN, 1000), 0);
	assert_int_equal(find(book, "192.0.2.2")->expires_ms, 1000 + 7 * DAY);

	answer(book, 300, 2000, "192.0.2.2", NULL);
	assert_int_equal(find(book, "192.0.2.1")->expires_ms, 2000 + HOUR);
	assert_int_equal(find(book, "192.0.2.2")->origin, ORIGIN_QUERIED);

	/* What was remembered may turn out to be the gateway's own. */
	addrbook_set_refuses(book, refuse_listed, &first);
	assert_true(addrbook_recheck(book));
	assert_null(find(book, "192.0.2.1"));
	assert_int_equal(addrbook_remember(book, NAME, &first, 0, 2000), 0);
	assert_null(find(book, "192.0.2.1"));
	assert_int_equal(entry_of(book).address_count, 1);
	addrbook_free(book);
}

/* A machine has started again: its clock began again, and all that is remembered is older than that. */
static void remembered_from_before(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 2000);
	struct addr old = address("192.0.2.1"), gone = address("192.0.2.2");

	(void)state;
	assert_int_equal(addrbook_remember(book, NAME, &old, 6 * DAY, 2000), 0);
	assert_int_equal(addrbook_remember(book, NAME, &gone, 7 * DAY - MINUTE, 2000), 0);
	assert_int_equal(addrbook_next_event(book), 2000);
	take_all(book, 2000);
	/* DNS is not there: each serves until it is stale, and no longer. */
	for (int64_t now = 3000; now < MINUTE; now += 10 * SECOND)
		addrbook_failed(book, NAME, FAMILY_4, "timeout", now);
	expect_state(book, BOOK_STALE);
	assert_false(expire(book, 2000 + MINUTE - 1));
	assert_true(expire(book, 2000 + MINUTE));
	assert_null(find(book, "192.0.2.2"));
	assert_non_null(find(book, "192.0.2.1"));
	assert_int_equal(entry_of(book).next_expiry_ms, 2000 + DAY);

	/* It is there, and names others: what was left out stays for grace, as after any other answer. */
	answer(book, 300, 12 * (int64_t)HOUR, "192.0.2.3", NULL);
	assert_int_equal(find(book, "192.0.2.1")->expires_ms, 13 * (int64_t)HOUR);
	assert_true(expire(book, 13 * (int64_t)HOUR));
	assert_int_equal(entry_of(book).address_count, 1);
	expect_state(book, BOOK_FRESH);
	addrbook_free(book);
}

/* An outage lasts, a day at a time: what the last answer left out was in its grace, and goes on with it. */
static void grace_stands_still(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 0);

	(void)state;
	answer(book, 300, 0, "192.0.2.1", "192.0.2.2", NULL);
	int64_t now = MINUTE;
	answer(book, 300, now, "192.0.2.1", NULL);
	/* Of an hour, ten minutes pass between outages: 50, 40 ... are left after each. */
	for (int64_t left = 50; left >= 20; left -= 10) {
		now += 10 * MINUTE;
		addrbook_failed(book, NAME, FAMILY_4, "timeout", now);
		assert_false(expire(book, now + DAY - 1));
		now += DAY;
		answer(book, 300, now, "192.0.2.1", NULL);
		assert_int_equal(find(book, "192.0.2.2")->expires_ms, now + left * MINUTE);
	}
	assert_true(expire(book, now + 20 * MINUTE));
	assert_null(find(book, "192.0.2.2"));
	assert_non_null(find(book, "192.0.2.1"));
	addrbook_free(book);
}

/* Each limit against the others. */
static void odd_limits(void **state)
{
	static const struct {
		struct book_limits limits;
		uint32_t ttl_s;
		int64_t least_ms, most_ms; /* until the next query after an answer */
	} table[] = {
		{ { 30 * SECOND, 15 * MINUTE, HOUR, 7 * DAY }, 29, 27 * SECOND, 30 * SECOND },
		{ { 30 * SECOND, 15 * MINUTE, HOUR, 7 * DAY }, 31, 27900, 31 * SECOND },
		{ { 10 * MINUTE, 10 * MINUTE, HOUR, 7 * DAY }, 60, 9 * MINUTE, 10 * MINUTE },
		{ { 10 * MINUTE, 10 * MINUTE, HOUR, 7 * DAY }, 3600, 9 * MINUTE, 10 * MINUTE },
		/* Stale before it would be queried again: queried sooner. */
		{ { 10 * MINUTE, 10 * MINUTE, HOUR, 30 * SECOND }, 60, 9 * SECOND, 10 * SECOND },
		{ { HOUR, DAY, 0, 3 * SECOND }, 0, 900, 1 * SECOND },
		/* Never without a pause. */
		{ { 0, 0, 0, 0 }, 0, 90, 100 },
		{ { 0, INT64_MAX, INT64_MAX, INT64_MAX },
		  UINT32_MAX,
		  UINT32_MAX * (int64_t)900,
		  UINT32_MAX * (int64_t)1000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct addrbook *book = new_book(one_name, 1, 0);
		int64_t least_seen = INT64_MAX, most_seen = 0;
		addrbook_set_limits(book, &table[i].limits);
		for (unsigned n = 0; n < 500; n++) {
			answer(book, table[i].ttl_s, DAY, "192.0.2.1", NULL);
			int64_t wait = entry_of(book).next_query_ms - DAY;
			least_seen = wait < least_seen ? wait : least_seen;
			most_seen = wait > most_seen ? wait : most_seen;
		}
		if (least_seen < table[i].least_ms || most_seen > table[i].most_ms)
			fail_msg("limits %zu: %lld to %lld ms", i, (long long)least_seen, (long long)most_seen);
		/* The jitter is used to nearly its whole width. */
		int64_t width = table[i].most_ms - table[i].least_ms;
		assert_true(most_seen - least_seen >= width * 9 / 10);
		/* And what the limits give for the end can't overflow. */
		answer(book, 0, 2 * DAY, NULL);
		assert_true(entry_of(book).next_expiry_ms >= 2 * DAY);
		addrbook_failed(book, NAME, FAMILY_4, "timeout", 3 * DAY);
		assert_true(entry_of(book).next_query_ms > 3 * DAY);
		addrbook_free(book);
	}
}

static void cap(void **state)
{
	struct addrbook *book = new_book(one_name, 1, 0);
	struct addr list[300];
	bool changed;

	(void)state;
	for (unsigned i = 0; i < 300; i++)
		list[i] = numbered(i);
	assert_int_equal(addrbook_answered(book, NAME, FAMILY_4, list, 300, 60, ORIGIN_QUERIED, 0, &changed), 0);
	assert_true(changed);
	assert_int_equal(entry_of(book).address_count, BOOK_ADDRESSES_MAX);
	assert_int_equal(entry_of(book).refused, 44);
	/* The same again: those that are known stay, none is swapped. */
	assert_int_equal(addrbook_answered(book, NAME, FAMILY_4, list, 300, 60, ORIGIN_QUERIED, MINUTE, &changed), 0);
	assert_false(changed);

	/* What is answered now comes in, what was confirmed longest ago goes; what is in this answer stays. */
	assert_int_equal(addrbook_answered(book, NAME, FAMILY_4, list + 200, 100, 60, ORIGIN_QUERIED, 2 * MINUTE,
					   &changed),
			 0);
	assert_true(changed);
	assert_int_equal(entry_of(book).address_count, BOOK_ADDRESSES_MAX);
	for (unsigned i = 200; i < 300; i++) {
		char text[ADDR_TEXT_MAX];
		assert_non_null(find(book, addr_format(&list[i], text)));
	}
	addrbook_free(book);
}

static void wanted_names(void **state)
{
	static const char *const names[] = { "c.example", "a.example", "*.b.example", "a.example", "b.example" };
	static const char *const fewer[] = { "b.example", "d.example" };
	static const bool allow[] = { false, false, false, true, false };
	struct addrbook *book = NULL;
	struct book_entry entry;
	struct addr private = address("10.1.1.1"), public = address("192.0.2.1");
	bool changed;

	(void)state;
	assert_int_equal(addrbook_new(&book, &limits, 1), 0);
	assert_int_equal(addrbook_next_event(book), INT64_MAX);
	assert_false(addrbook_take_due(book, INT64_MAX, &entry));
	assert_int_equal(want(book, names, allow, 5, 0), 0);
	assert_int_equal(addrbook_count(book), 8);
	/* A pattern is never queried; it learns from what is observed. */
	assert_int_equal(addrbook_find(book, "*.b.example", FAMILY_4, &entry), 0);
	assert_int_equal(entry.next_query_ms, INT64_MAX);
	assert_int_equal(addrbook_query_now(book, "*.b.example", 0), 0);
	for (int queries = 0; queries < 6; queries++) {
		assert_true(addrbook_take_due(book, 0, &entry));
		assert_int_not_equal(entry.name[0], '*');
	}
	assert_false(addrbook_take_due(book, 0, &entry));
	assert_int_equal(addrbook_answered(book, "*.b.example", FAMILY_4, &public, 1, 60, ORIGIN_OBSERVED, 0, &changed),
			 0);
	assert_true(changed);
	assert_int_equal(addrbook_find(book, "*.b.example", FAMILY_4, &entry), 0);
	assert_int_equal(entry.state, BOOK_FRESH);
	assert_int_equal(entry.address_count, 1);
	/* Named twice, allowed once. */
	assert_int_equal(addrbook_answered(book, "a.example", FAMILY_4, &private, 1, 60, ORIGIN_QUERIED, 0, &changed),
			 0);
	assert_true(changed);
	assert_int_equal(addrbook_answered(book, "b.example", FAMILY_4, &public, 1, 60, ORIGIN_QUERIED, 0, &changed),
			 0);

	assert_int_equal(want(book, fewer, allow, 2, 10), 0);
	assert_int_equal(addrbook_count(book), 4);
	assert_int_equal(addrbook_find(book, "a.example", FAMILY_4, &entry), -ENOENT);
	assert_int_equal(addrbook_find(book, "b.example", FAMILY_4, &entry), 0);
	assert_int_equal(entry.address_count, 1);
	assert_true(entry.next_query_ms > 10);
	assert_int_equal(addrbook_find(book, "d.example", FAMILY_4, &entry), 0);
	assert_int_equal(entry.next_query_ms, 10);
	/* A late answer for what nobody wants is harmless. */
	assert_int_equal(addrbook_answered(book, "a.example", FAMILY_4, &public, 1, 60, ORIGIN_QUERIED, 20, &changed),
			 -ENOENT);
	assert_int_equal(want(book, NULL, NULL, 0, 30), 0);
	assert_int_equal(addrbook_count(book), 0);
	addrbook_free(book);
}

/* 1,000 names: some queries at once, then a trickle, in any window of a tenth of a second. */
static void many_names(void **state)
{
	static char texts[1000][32];
	const char *names[1000];
	unsigned together = 0, total = 0;
	struct book_entry entry;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(texts[i], sizeof(texts[i]), "host%u.example", i * 7919 % 1000);
		names[i] = texts[i];
	}
	struct addrbook *book = new_book(names, 1000, 0);
	assert_true(addrbook_take_due(book, 0, &entry));
	for (together = 1; addrbook_take_due(book, 0, &entry);)
		together++;
	assert_int_equal(together, 32);
	total = together;
	/* New limits make none of them come sooner, at whatever time. */
	struct addrbook *later_book = new_book(names, 1000, DAY);
	addrbook_set_limits(later_book, &limits);
	while (addrbook_take_due(later_book, DAY, &entry))
		together--;
	assert_int_equal(together, 0);
	addrbook_free(later_book);
	for (int64_t now = 100; now <= 8 * SECOND; now += 100) {
		for (together = 0; addrbook_take_due(book, now, &entry);)
			together++;
		assert_in_range(together, 0, 64);
		total += together;
	}
	assert_int_equal(total, 2000);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(addrbook_find(book, texts[i], FAMILY_6, &entry), 0);
	addrbook_free(book);
}

/* Every interval keeps its bounds, whatever the dice: up to a tenth less, and never more. */
static void expect_interval(struct addrbook *book, int64_t now, bool fails, int64_t interval)
{
	int64_t least = INT64_MAX, most = 0;
	bool changed;

	for (unsigned i = 0; i < 4000; i++) {
		if (fails)
			assert_int_equal(addrbook_failed(book, NAME, FAMILY_4, "timeout", now), 0);
		else
			assert_int_equal(addrbook_answered(book, NAME, FAMILY_4, NULL, 0, 0, ORIGIN_QUERIED, now,
							   &changed),
					 0);
		int64_t next = entry_of(book).next_query_ms - now;
		least = next < least ? next : least;
		most = next > most ? next : most;
	}
	assert_in_range(most, interval - interval / 500, interval);
	assert_in_range(least, interval - interval / 10, interval - interval / 10 + interval / 500);
}

static void bounds(void **state)
{
	static const struct book_limits brief = { 0, MINUTE, HOUR, 7 * DAY };
	struct addrbook *book = new_book(one_name, 1, 0);
	struct book_entry entry;

	(void)state;
	/* A query that nothing is heard of is lost after two minutes, and made again. */
	take_all(book, 0);
	assert_false(addrbook_take_due(book, 2 * MINUTE - 1, &entry));
	assert_true(addrbook_take_due(book, 2 * MINUTE, &entry));
	/* The first retry comes after two seconds; while nothing serves, the last ones each minute. */
	expect_interval(book, 5 * MINUTE, true, 2 * SECOND);
	expect_interval(book, 5 * MINUTE + 58 * SECOND, true, MINUTE);
	expect_interval(book, 5 * MINUTE + HOUR, true, MINUTE);
	/* The limits that it has already make the next one come no sooner. */
	answer(book, 300, 3 * (int64_t)HOUR - MINUTE, "192.0.2.1", NULL);
	int64_t next = entry_of(book).next_query_ms;
	addrbook_set_limits(book, &limits);
	assert_int_equal(entry_of(book).next_query_ms, next);
	/* It never spins. */
	addrbook_set_limits(book, &brief);
	expect_interval(book, 3 * (int64_t)HOUR, false, 100);
	addrbook_free(book);
	addrbook_free(NULL);

	/* What the server was answered it may use for two minutes at least, for a day at most. */
	static const struct {
		uint32_t ttl_s;
		int64_t held_ms;
	} cases[] = { { 0, 2 * MINUTE }, { 120, 2 * MINUTE }, { 121, 121 * SECOND }, { 86399, 86399 * SECOND },
		      { 86400, DAY },    { 86401, DAY },      { UINT32_MAX, DAY } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		book = new_book(one_name, 1, 0);
		answer_of(book, ORIGIN_OBSERVED, cases[i].ttl_s, 1000, "192.0.2.1", NULL);
		assert_int_equal(find(book, "192.0.2.1")->expires_ms, 1000 + cases[i].held_ms);
		addrbook_free(book);
	}
	/* What is left of that, be it a millisecond, outlives the daemon; so does an answer that is not stale yet. */
	for (int64_t left = -1; left <= 1; left++) {
		struct addr addr = address("192.0.2.1");
		book = new_book(one_name, 1, 1000);
		assert_int_equal(addrbook_remember_observed(book, NAME, &addr, left, 1000), 0);
		assert_int_equal(entry_of(book).address_count, left > 0);
		if (left > 0)
			assert_int_equal(find(book, "192.0.2.1")->expires_ms, 1000 + left);
		assert_int_equal(addrbook_remember_observed(book, "other.example", &addr, left, 1000), -ENOENT);
		addrbook_free(book);
		book = new_book(one_name, 1, 30 * DAY);
		assert_int_equal(addrbook_remember(book, NAME, &addr, 7 * DAY - left, 30 * DAY), 0);
		assert_int_equal(entry_of(book).address_count, left > 0);
		addrbook_free(book);
	}
	assert_string_equal(book_origin_name(ORIGIN_QUERIED), "queried");
	assert_string_equal(book_origin_name(ORIGIN_OBSERVED), "observed");
	assert_string_equal(book_origin_name(ORIGIN_REMEMBERED), "remembered");
}

/* Each step fails at its first, second ... allocation until it does not, and until then nothing has changed. */
static void without_memory(void **state)
{
	static const char *const more[] = { "a.example", "b.example", "my.mailstore.com" };
	static const bool allow[3];
	struct addrbook *book = NULL;
	struct addr list[40];
	bool changed;
	int status;

	(void)state;
	for (unsigned i = 0; i < 40; i++)
		list[i] = numbered(i);
	allocations_left = 0;
	assert_int_equal(addrbook_new(&book, &limits, 1), -ENOMEM);
	allocations_left = -1;
	book = new_book(one_name, 1, 0);
	answer(book, 300, 0, "192.0.2.1", NULL);

	long steps = 0;
	do {
		allocations_left = steps;
		status = want(book, more, allow, 3, 100);
		allocations_left = -1;
		if (status == 0)
			break;
		assert_int_equal(status, -ENOMEM);
		assert_int_equal(addrbook_count(book), 2);
		assert_non_null(find(book, "192.0.2.1"));
	} while (steps++ < 100);
	assert_int_equal(status, 0);
	assert_true(steps >= 3);
	assert_non_null(find(book, "192.0.2.1"));

	addrbook_failed(book, NAME, FAMILY_4, "timeout", 200);
	struct book_entry before = entry_of(book);
	allocations_left = 0;
	assert_int_equal(addrbook_answered(book, NAME, FAMILY_4, list, 40, 60, ORIGIN_QUERIED, 300, &changed), -ENOMEM);
	assert_int_equal(addrbook_remember(book, NAME, &list[0], 0, 300), -ENOMEM);
	allocations_left = -1;
	assert_false(changed);
	struct book_entry after = entry_of(book);
	assert_int_equal(after.state, before.state);
	assert_int_equal(after.failures, before.failures);
	assert_int_equal(after.next_query_ms, before.next_query_ms);
	assert_int_equal(after.address_count, before.address_count);
	assert_int_equal(after.refused, before.refused);
	assert_string_equal(after.last_error, "timeout");
	addrbook_free(book);
}

/* 30 days of three names: one rotates through eight addresses, four at a time; one moves once a day; one has an
 * outage of three days and one of ten. Every rule is checked at every event. */

enum { ROTATING, MOVING, BROKEN, WORLD };
static const char *const world_names[WORLD] = { "broken.example", "moving.example", "rotating.example" };

static int world_of(const char *name)
{
	return name[0] == 'r' ? ROTATING : name[0] == 'm' ? MOVING : BROKEN;
}

static bool is_out(int64_t now)
{
	return (now >= 5 * DAY && now < 8 * DAY) || (now >= 15 * DAY && now < 25 * DAY);
}

static void reply(struct addrbook *book, const struct book_entry *entry, int64_t now, unsigned *turn)
{
	struct addr list[4];
	size_t count = 0;
	bool changed;

	switch (world_of(entry->name)) {
	case ROTATING:
		for (; count < 4; count++)
			list[count] = numbered((*turn * 4 + (unsigned)count) % 8);
		*turn += entry->family == FAMILY_4;
		break;
	case MOVING: list[count++] = numbered(100 + (unsigned)(now / DAY)); break;
	case BROKEN:
		if (is_out(now)) {
			assert_int_equal(addrbook_failed(book, entry->name, entry->family, "SERVFAIL", now), 0);
			return;
		}
		list[count++] = numbered(200);
	}
	for (size_t i = 0; i < count; i++)
		list[i].family = FAMILY_4;
	assert_int_equal(addrbook_answered(book, entry->name, entry->family, list,
					   entry->family == FAMILY_4 ? count : 0, 300, ORIGIN_QUERIED, now, &changed),
			 0);
}

static void check_world(const struct addrbook *book, int64_t now)
{
	struct book_entry entry;

	addrbook_find(book, "rotating.example", FAMILY_4, &entry);
	if (now > 10 * MINUTE)
		assert_int_equal(entry.address_count, 8);

	addrbook_find(book, "moving.example", FAMILY_4, &entry);
	assert_true(entry.address_count <= 2);
	/* An hour of grace and at most one interval after it moved, the old address is gone. */
	if (now % DAY > HOUR + 5 * MINUTE)
		assert_int_equal(entry.address_count, 1);

	addrbook_find(book, "broken.example", FAMILY_4, &entry);
	if (now > 15 * DAY + 7 * DAY && now < 25 * DAY)
		assert_int_equal(entry.state, BOOK_FAILING);
	else if (now > 10 * MINUTE && (now < 22 * DAY - 5 * MINUTE || now > 25 * DAY + MINUTE))
		assert_int_equal(entry.address_count, 1);
	assert_int_equal(addrbook_find(book, "moving.example", FAMILY_6, &entry), 0);
	assert_int_equal(entry.address_count, 0);
	assert_int_equal(entry.failures, 0);
}

static void thirty_days(void **state)
{
	struct addrbook *book = new_book(world_names, WORLD, 0);
	unsigned turn = 0, events = 0, queries = 0;
	struct book_entry entry;
	int64_t now;

	(void)state;
	for (now = 0; now < 30 * DAY; now = addrbook_next_event(book)) {
		expire(book, now);
		while (addrbook_take_due(book, now, &entry)) {
			reply(book, &entry, now, &turn);
			queries++;
		}
		check_world(book, now);
		/* Every event is dealt with: time goes on. */
		assert_true(addrbook_next_event(book) > now);
		events++;
	}
	/* Every 285 s or so while answered: 36,400 for four entries, 10,300 for two in 17 of the days. For 13 days
	 * these two fail: every 14 minutes while an address serves, once a minute while none does (16 of the 26 days).
	 */
	assert_in_range(queries, 65000, 76000);
	assert_true(events <= queries + 40);
	addrbook_free(book);
}

/* A name of one family: the other one is nobody's. */
static void test_family(void **state)
{
	struct addr four[] = { address("192.0.2.1") }, six[] = { address("2001:db8::1") };
	struct book_name name = { NAME, false, FAMILIES_ALL };
	struct addrbook *book = NULL;
	struct book_entry entry;
	bool changed;

	(void)state;
	assert_int_equal(addrbook_new(&book, &limits, 42), 0);
	assert_int_equal(addrbook_want(book, &name, 1, 1000), 0);
	assert_int_equal(addrbook_answered(book, NAME, FAMILY_4, four, 1, 60, ORIGIN_QUERIED, 1000, &changed), 0);
	assert_int_equal(addrbook_answered(book, NAME, FAMILY_6, six, 1, 60, ORIGIN_QUERIED, 1000, &changed), 0);

	name.families = 1U << FAMILY_4; /* what it had is gone with it */
	assert_int_equal(addrbook_want(book, &name, 1, 2000), 0);
	assert_true(addrbook_wants(book, NAME));
	assert_int_equal(addrbook_find(book, NAME, FAMILY_4, &entry), 0);
	assert_int_equal(entry.address_count, 1);
	assert_int_equal(addrbook_find(book, NAME, FAMILY_6, &entry), -ENOENT);
	assert_int_equal(addrbook_answered(book, NAME, FAMILY_6, six, 1, 60, ORIGIN_OBSERVED, 2000, &changed), -ENOENT);
	assert_int_equal(addrbook_failed(book, NAME, FAMILY_6, "timeout", 2000), -ENOENT);
	assert_int_equal(addrbook_remember(book, NAME, &six[0], 0, 2000), -ENOENT);
	assert_int_equal(addrbook_remember_observed(book, NAME, &six[0], 1000, 2000), -ENOENT);
	assert_int_equal(addrbook_query_by(book, NAME, FAMILY_6, 2000, 2000), -ENOENT);
	assert_true(addrbook_queries_by(book, NAME, FAMILY_6, 2000));
	assert_int_equal(addrbook_query_now(book, NAME, 2000), 0);
	assert_true(addrbook_take_due(book, 2000, &entry));
	assert_int_equal(entry.family, FAMILY_4);
	assert_false(addrbook_take_due(book, 3000, &entry));
	addrbook_entry(book, 1, &entry);
	assert_true(entry.unwanted && !entry.address_count);

	/* Two policies while one takes the place of the other: what either wants; and back, from the beginning. */
	const struct book_name two[] = { { NAME, false, 1U << FAMILY_4 }, { NAME, true, 1U << FAMILY_6 } };
	assert_int_equal(addrbook_want(book, two, 2, 4000), 0);
	assert_int_equal(addrbook_find(book, NAME, FAMILY_6, &entry), 0);
	assert_int_equal(entry.address_count, 0);
	assert_int_equal(entry.next_query_ms, 4000);
	addrbook_free(book);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_family),
		cmocka_unit_test(states),
		cmocka_unit_test(grace),
		cmocka_unit_test(stale),
		cmocka_unit_test(refused_addresses),
		cmocka_unit_test(refused_by_callback),
		cmocka_unit_test(private_addresses),
		cmocka_unit_test(unfit),
		cmocka_unit_test(intervals),
		cmocka_unit_test(asked_by),
		cmocka_unit_test(backoff),
		cmocka_unit_test(queries),
		cmocka_unit_test(observed),
		cmocka_unit_test(observed_and_asked),
		cmocka_unit_test(observed_gives_way),
		cmocka_unit_test(observed_in_use),
		cmocka_unit_test(observed_remembered),
		cmocka_unit_test(asks_by),
		cmocka_unit_test(remembered),
		cmocka_unit_test(remembered_from_before),
		cmocka_unit_test(grace_stands_still),
		cmocka_unit_test(odd_limits),
		cmocka_unit_test(cap),
		cmocka_unit_test(wanted_names),
		cmocka_unit_test(bounds),
		cmocka_unit_test(many_names),
		cmocka_unit_test(without_memory),
		cmocka_unit_test(thirty_days),
	};

	int failed = cmocka_run_group_tests_name("addrbook", tests, NULL, NULL);
	if (blocks_in_use)
		print_error("%ld blocks of memory were not freed\n", blocks_in_use);
	return failed || blocks_in_use;
}
