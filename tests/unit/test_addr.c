/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct addr addr(const char *text)
{
	struct addr parsed;

	if (!addr_parse(text, &parsed))
		fail_msg("%s is not an address", text);
	return parsed;
}

static struct range range(const char *text)
{
	struct range parsed;

	if (range_parse(text, &parsed) != RANGE_OK)
		fail_msg("%s is not a range", text);
	return parsed;
}

/* "a b c" as a list, as it is written. */
static struct ranges list_of(const char *text)
{
	struct ranges list = { 0 };
	char *copy = strdup(text), *rest = NULL;

	assert_non_null(copy);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		struct range item = range(word);

		assert_int_equal(ranges_add(&list, &item), 0);
	}
	free(copy);
	return list;
}

static void expect_list(const struct ranges *list, const char *expected)
{
	char text[1024] = "", one[RANGE_TEXT_MAX];

	for (size_t i = 0; i < list->count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			 range_format(&list->items[i], one));
	assert_string_equal(text, expected);
}

static void test_parse_address(void **state)
{
	static const struct {
		const char *text, *formatted; /* NULL: refused */
	} cases[] = {
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "192.0.2.25", "192.0.2.25" },
		{ "::", "::" },
		{ "2001:DB8::0:25", "2001:db8::25" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ "::ffff:192.0.2.1", "::ffff:192.0.2.1" },
		{ "", NULL },
		{ "192.0.2", NULL },
		{ "192.0.2.256", NULL },
		{ "192.0.2.025", NULL },
		{ "192.0.2.1.", NULL },
		{ " 192.0.2.1", NULL },
		{ "192.0.2.1 ", NULL },
		{ "0x7f.0.0.1", NULL },
		{ "2001:db8", NULL },
		{ "2001:db8::1::2", NULL },
		{ "2001:db8::10000", NULL },
		{ "fe80::1%eth0", NULL },
		{ "[::1]", NULL },
		{ "1:2:3:4:5:6:7:8:9", NULL },
		{ "example.com", NULL },
	};
	char text[ADDR_TEXT_MAX];
	struct addr parsed;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		if (addr_parse(cases[i].text, &parsed) != !!cases[i].formatted)
			fail_msg("%s is taken wrongly", cases[i].text);
		if (cases[i].formatted)
			assert_string_equal(addr_format(&parsed, text), cases[i].formatted);
	}
}

static void test_order(void **state)
{
	static const char *const ascending[] = { "0.0.0.0", "0.0.0.1", "0.0.1.0", "128.0.0.0",  "255.255.255.255",
						 "::",      "::1",     "::1:0",   "2001:db8::", "ffff::" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ascending); i++) {
		for (size_t j = 0; j < COUNT_OF(ascending); j++) {
			struct addr a = addr(ascending[i]), b = addr(ascending[j]);
			int order = addr_compare(&a, &b);

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
	}
}

static void test_neighbours(void **state)
{
	static const struct {
		const char *address, *next;
	} cases[] = {
		{ "0.0.0.0", "0.0.0.1" },
		{ "192.0.2.255", "192.0.3.0" },
		{ "127.255.255.255", "128.0.0.0" },
		{ "255.255.255.254", "255.255.255.255" },
		{ "::", "::1" },
		{ "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::" },
		{ "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "8000::" },
	};
	static const char *const last[] = { "255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" };
	static const char *const first[] = { "0.0.0.0", "::" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct addr a = addr(cases[i].address), b = addr(cases[i].next), moved = a;

		assert_true(addr_next(&moved));
		assert_int_equal(addr_compare(&moved, &b), 0);
		assert_true(addr_previous(&moved));
		assert_int_equal(addr_compare(&moved, &a), 0);
	}
	for (size_t i = 0; i < FAMILIES; i++) {
		struct addr a = addr(last[i]), moved = a;

		assert_false(addr_next(&moved));
		assert_int_equal(addr_compare(&moved, &a), 0);
		a = moved = addr(first[i]);
		assert_false(addr_previous(&moved));
		assert_int_equal(addr_compare(&moved, &a), 0);
	}
}

static void test_parse_range(void **state)
{
	static const struct {
		const char *text;
		enum range_error error;
		const char *formatted; /* where *ret is set */
	} cases[] = {
		{ "192.0.2.1", RANGE_OK, "192.0.2.1" },
		{ "192.0.2.1/32", RANGE_OK, "192.0.2.1" },
		{ "192.0.2.0/24", RANGE_OK, "192.0.2.0/24" },
		{ "192.0.2.0/31", RANGE_OK, "192.0.2.0/31" },
		{ "128.0.0.0/1", RANGE_OK, "128.0.0.0/1" },
		{ "0.0.0.0/0", RANGE_OK, "0.0.0.0/0" },
		{ "::/0", RANGE_OK, "::/0" },
		{ "2001:db8::/33", RANGE_OK, "2001:db8::/33" },
		{ "2001:db8::1/128", RANGE_OK, "2001:db8::1" },
		{ "192.0.2.0-192.0.2.255", RANGE_OK, "192.0.2.0/24" },
		{ "192.0.2.1-192.0.2.254", RANGE_OK, "192.0.2.1-192.0.2.254" },
		{ "192.0.2.1-192.0.2.2", RANGE_OK, "192.0.2.1-192.0.2.2" },
		{ "192.0.2.1-192.0.2.1", RANGE_OK, "192.0.2.1" },
		{ "0.0.0.0-255.255.255.255", RANGE_OK, "0.0.0.0/0" },
		{ "0.0.0.1-255.255.255.255", RANGE_OK, "0.0.0.1-255.255.255.255" },
		{ "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", RANGE_OK, "::/0" },
		{ "2001:db8::-2001:db8::1", RANGE_OK, "2001:db8::/127" },
		{ "192.0.2.1/24", RANGE_HOST_BITS, "192.0.2.0/24" },
		{ "192.0.2.1/0", RANGE_HOST_BITS, "0.0.0.0/0" },
		{ "192.0.2.129/25", RANGE_HOST_BITS, "192.0.2.128/25" },
		{ "2001:db8::1/64", RANGE_HOST_BITS, "2001:db8::/64" },
		{ "2001:db8::3/127", RANGE_HOST_BITS, "2001:db8::2/127" },
		{ "192.0.2.2-192.0.2.1", RANGE_REVERSED, NULL },
		{ "2001:db8::2-2001:db8::1", RANGE_REVERSED, NULL },
		{ "192.0.2.1-2001:db8::1", RANGE_MIXED, NULL },
		{ "2001:db8::1-192.0.2.1", RANGE_MIXED, NULL },
		{ "192.0.2.0/33", RANGE_PREFIX, NULL },
		{ "192.0.2.0/999", RANGE_PREFIX, NULL },
		{ "192.0.2.0/4294967320", RANGE_PREFIX, NULL },
		{ "2001:db8::/129", RANGE_PREFIX, NULL },
		{ "192.0.2.0/", RANGE_PREFIX, NULL },
		{ "192.0.2.0/-1", RANGE_PREFIX, NULL },
		{ "192.0.2.0/024", RANGE_PREFIX, NULL },
		{ "192.0.2.0/24x", RANGE_PREFIX, NULL },
		{ "192.0.2.0/255.255.255.0", RANGE_PREFIX, NULL },
		{ "::ffff:192.0.2.1", RANGE_MAPPED, "192.0.2.1" },
		{ "::ffff:192.0.2.0/120", RANGE_MAPPED, "192.0.2.0/24" },
		{ "::ffff:0:0/96", RANGE_MAPPED, "0.0.0.0/0" },
		{ "::ffff:192.0.2.1-::ffff:192.0.2.9", RANGE_MAPPED, "192.0.2.1-192.0.2.9" },
		/* one end alone is in IPv4's form */
		{ "::ffff:255.255.255.255-::1:0:0:0", RANGE_OK, "::ffff:255.255.255.255-::1:0:0:0" },
		{ "::fffe:ffff:ffff-::ffff:0:1", RANGE_OK, "::fffe:ffff:ffff-::ffff:0.0.0.1" },
		{ "", RANGE_SYNTAX, NULL },
		{ "-", RANGE_SYNTAX, NULL },
		{ "/24", RANGE_SYNTAX, NULL },
		{ "192.0.2.1-", RANGE_SYNTAX, NULL },
		{ "-192.0.2.1", RANGE_SYNTAX, NULL },
		{ "192.0.2.1-20", RANGE_SYNTAX, NULL },
		{ "192.0.2.0/24-192.0.3.0/24", RANGE_PREFIX, NULL },
		{ "192.0.2.1-192.0.2.2-192.0.2.3", RANGE_SYNTAX, NULL },
		{ "192.0.2.1 - 192.0.2.2", RANGE_SYNTAX, NULL },
		{ "mail-1.example.com", RANGE_SYNTAX, NULL },
		{ "ANY", RANGE_SYNTAX, NULL },
		{ "00000000000000000000000000000000000000000000000000192.0.2.1", RANGE_SYNTAX, NULL },
	};
	char text[RANGE_TEXT_MAX];
	struct range parsed;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		if (range_parse(cases[i].text, &parsed) != cases[i].error)
			fail_msg("%s is taken wrongly", cases[i].text);
		if (cases[i].formatted)
			assert_string_equal(range_format(&parsed, text), cases[i].formatted);
	}
}

static void test_every_prefix(void **state)
{
	(void)state;
	for (int family = 0; family < FAMILIES; family++) {
		for (unsigned length = 0; length <= addr_bits((enum family)family); length++) {
			char text[RANGE_TEXT_MAX], again[RANGE_TEXT_MAX];
			struct range prefix, parsed;

			snprintf(text, sizeof(text), "%s/%u", family == FAMILY_4 ? "0.0.0.0" : "::", length);
			prefix = range(text);
			assert_int_equal(range_prefix_length(&prefix), length);
			assert_int_equal(range_is_host(&prefix), length == addr_bits((enum family)family));
			assert_int_equal(range_parse(range_format(&prefix, again), &parsed), RANGE_OK);
			assert_memory_equal(&parsed, &prefix, sizeof(prefix));
			if (addr_next(&prefix.first) && length < addr_bits((enum family)family))
				assert_int_equal(range_prefix_length(&prefix),
						 length + 1 == addr_bits((enum family)family) ? (int)length + 1 : -1);
		}
	}
}

static void test_longest_text(void **state)
{
	static const char text[] =
		"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.253-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
	char buffer[RANGE_TEXT_MAX];
	struct range parsed = range(text);

	(void)state;
	assert_string_equal(range_format(&parsed, buffer),
			    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffd-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static void test_contains(void **state)
{
	struct range net = range("192.0.2.0/24"), all = range_all(FAMILY_6);
	struct addr inside = addr("192.0.2.255"), below = addr("192.0.1.255"), above = addr("192.0.3.0"),
		    other = addr("c000:200::");

	(void)state;
	assert_true(range_contains(&net, &net.first));
	assert_true(range_contains(&net, &inside));
	assert_false(range_contains(&net, &below));
	assert_false(range_contains(&net, &above));
	assert_false(range_contains(&net, &other));
	assert_true(range_contains(&all, &other));
	assert_false(range_contains(&all, &inside));
	assert_int_equal(range_prefix_length(&all), 0);
	net = range_of(&inside);
	assert_true(range_is_host(&net));
}

static void test_normalise(void **state)
{
	static const struct {
		const char *list, *expected;
	} cases[] = {
		{ "", "" },
		{ "192.0.2.1", "192.0.2.1" },
		{ "192.0.2.1 192.0.2.1 192.0.2.1", "192.0.2.1" },
		{ "192.0.2.2 192.0.2.1", "192.0.2.1-192.0.2.2" },
		{ "192.0.2.128/25 192.0.2.0/25", "192.0.2.0/24" },
		{ "192.0.2.3 192.0.2.1", "192.0.2.1 192.0.2.3" },
		{ "10.0.0.0/8 10.1.0.0/16 10.255.255.255", "10.0.0.0/8" },
		{ "10.0.0.1-10.0.0.5 10.0.0.3-10.0.0.9", "10.0.0.1-10.0.0.9" },
		{ "255.255.255.255 ::", "255.255.255.255 ::" },
		{ ":: 255.255.255.255 0.0.0.0", "0.0.0.0 255.255.255.255 ::" },
		{ "0.0.0.0/1 128.0.0.0/1 ::/1 8000::/1", "0.0.0.0/0 ::/0" },
		{ "255.255.255.254 255.255.255.255 255.255.255.255", "255.255.255.254/31" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff::/16", "ffff::/16" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ranges list = list_of(cases[i].list);

		ranges_normalise(&list);
		expect_list(&list, cases[i].expected);
		ranges_normalise(&list);
		expect_list(&list, cases[i].expected);
		ranges_free(&list);
	}
}

static void test_subtract_and_intersect(void **state)
{
	static const struct {
		const char *list, *other, *difference, *common;
	} cases[] = {
		{ "", "", "", "" },
		{ "", "10.0.0.0/8", "", "" },
		{ "10.0.0.0/8", "", "10.0.0.0/8", "" },
		{ "10.0.0.0/8", "10.0.0.0/8", "", "10.0.0.0/8" },
		{ "10.0.0.0/8", "0.0.0.0/0", "", "10.0.0.0/8" },
		{ "10.0.0.0/8", "::/0", "10.0.0.0/8", "" },
		{ "10.0.0.0/30", "10.0.0.0", "10.0.0.1-10.0.0.3", "10.0.0.0" },
		{ "10.0.0.0/30", "10.0.0.3", "10.0.0.0-10.0.0.2", "10.0.0.3" },
		{ "10.0.0.0/30", "10.0.0.1 10.0.0.3", "10.0.0.0 10.0.0.2", "10.0.0.1 10.0.0.3" },
		{ "10.0.0.1-10.0.0.5 10.0.0.8-10.0.0.9", "10.0.0.4-10.0.0.8", "10.0.0.1-10.0.0.3 10.0.0.9",
		  "10.0.0.4/31 10.0.0.8" },
		{ "10.0.0.1 10.0.0.3 10.0.0.5", "10.0.0.2-10.0.0.4", "10.0.0.1 10.0.0.5", "10.0.0.3" },
		{ "0.0.0.0/0", "0.0.0.0", "0.0.0.1-255.255.255.255", "0.0.0.0" },
		{ "0.0.0.0/0", "255.255.255.255", "0.0.0.0-255.255.255.254", "255.255.255.255" },
		{ "0.0.0.0/0 ::/0", "0.0.0.0/0", "::/0", "0.0.0.0/0" },
		{ "0.0.0.0/0 ::/0", "10.0.0.0/8 ::/1", "0.0.0.0-9.255.255.255 11.0.0.0-255.255.255.255 8000::/1",
		  "10.0.0.0/8 ::/1" },
		{ "::/0", ":: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
		  ":: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ranges list = list_of(cases[i].list), other = list_of(cases[i].other),
			      common = list_of(cases[i].list);

		assert_int_equal(ranges_subtract(&list, &other), 0);
		expect_list(&list, cases[i].difference);
		assert_int_equal(ranges_intersect(&common, &other), 0);
		expect_list(&common, cases[i].common);
		ranges_free(&list);
		ranges_free(&other);
		ranges_free(&common);
	}
}

/* A list over sixteen addresses at the end of a family, by the bits of a number. */
static struct ranges list_of_bits(enum family family, bool at_end, unsigned bits)
{
	struct ranges list = { 0 };
	struct range all = range_all(family);
	struct addr at = at_end ? all.last : all.first;

	for (unsigned i = 0; at_end && i < 15; i++)
		addr_previous(&at);
	for (unsigned i = 0; i < 16; i++, addr_next(&at)) {
		struct range one = range_of(&at);

		if (bits >> i & 1)
			assert_int_equal(ranges_add(&list, &one), 0);
	}
	ranges_normalise(&list);
	return list;
}

/* The set operations against the same done on bits, at both ends of both families. */
static void test_against_bits(void **state)
{
	unsigned seed = 12345;

	(void)state;
	for (unsigned round = 0; round < 4000; round++) {
		enum family family = round & 1 ? FAMILY_6 : FAMILY_4;
		bool at_end = round & 2;
		unsigned a, b;

		seed = seed * 1103515245 + 12345;
		a = seed >> 15 & 0xffff;
		seed = seed * 1103515245 + 12345;
		b = seed >> 15 & 0xffff;

		struct ranges left = list_of_bits(family, at_end, a), right = list_of_bits(family, at_end, b);
		struct ranges common = list_of_bits(family, at_end, a), joined = list_of_bits(family, at_end, a);
		struct ranges difference = list_of_bits(family, at_end, a & ~b),
			      both = list_of_bits(family, at_end, a & b);
		struct ranges either = list_of_bits(family, at_end, a | b);

		for (size_t i = 0; i < right.count; i++) {
			assert_int_equal(ranges_overlap(&left, &right.items[i]),
					 ranges_overlap(&both, &right.items[i]));
			assert_int_equal(ranges_cover(&left, &right.items[i]), ranges_cover(&both, &right.items[i]));
			assert_int_equal(ranges_contains(&left, &right.items[i].first),
					 ranges_contains(&both, &right.items[i].first));
		}
		assert_int_equal(ranges_subtract(&left, &right), 0);
		assert_true(ranges_equal(&left, &difference));
		assert_int_equal(ranges_intersect(&common, &right), 0);
		assert_true(ranges_equal(&common, &both));
		assert_int_equal(ranges_add_all(&joined, &right), 0);
		ranges_normalise(&joined);
		assert_true(ranges_equal(&joined, &either));
		if (a != (a | b))
			assert_false(ranges_equal(&common, &either));

		struct ranges *all[] = { &left, &right, &common, &joined, &difference, &both, &either };
		for (size_t i = 0; i < COUNT_OF(all); i++)
			ranges_free(all[i]);
	}
}

static void test_lookup(void **state)
{
	struct ranges list = list_of("10.0.0.0/8 192.0.2.1-192.0.2.9 2001:db8::/32"), none = { 0 };
	struct addr address;
	struct range item;

	(void)state;
	address = addr("10.255.255.255");
	assert_true(ranges_contains(&list, &address));
	address = addr("11.0.0.0");
	assert_false(ranges_contains(&list, &address));
	address = addr("2001:db8:ffff::");
	assert_true(ranges_contains(&list, &address));
	address = addr("2001:db9::");
	assert_false(ranges_contains(&list, &address));
	assert_false(ranges_contains(&none, &address));
	item = range("192.0.2.2-192.0.2.9");
	assert_true(ranges_cover(&list, &item));
	assert_true(ranges_overlap(&list, &item));
	item = range("192.0.2.9-192.0.2.10");
	assert_false(ranges_cover(&list, &item));
	assert_true(ranges_overlap(&list, &item));
	item = range("11.0.0.0-192.0.2.0");
	assert_false(ranges_overlap(&list, &item));
	assert_false(ranges_overlap(&none, &item));
	item = range("0.0.0.0/0");
	assert_false(ranges_cover(&list, &item));
	assert_true(ranges_overlap(&list, &item));
	ranges_free(&list);
}

static void test_add_itself(void **state)
{
	struct ranges list = list_of("10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7 10.0.0.8");

	(void)state;
	assert_int_equal(ranges_add_all(&list, &list), 0);
	assert_int_equal(list.count, 16);
	ranges_normalise(&list);
	expect_list(&list, "10.0.0.1-10.0.0.8");
	ranges_free(&list);
	assert_null(list.items);
	ranges_free(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_address),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_parse_range),
		cmocka_unit_test(test_every_prefix),
		cmocka_unit_test(test_longest_text),
		cmocka_unit_test(test_contains),
		cmocka_unit_test(test_normalise),
		cmocka_unit_test(test_subtract_and_intersect),
		cmocka_unit_test(test_against_bits),
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_add_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
