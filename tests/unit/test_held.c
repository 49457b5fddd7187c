// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/held.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct addr parse(const char *text)
{
	struct addr addr;
	assert_true(addr_parse(text, &addr));
	return addr;
}

static void note(struct held *held, const char *name, const char *address, int64_t wall_s)
{
	struct addr addr = parse(address);
	assert_int_equal(held_note(held, name, &addr, wall_s), 0);
}

static bool has(const struct held *held, const char *name, const char *address)
{
	struct addr addr = parse(address);
	size_t count;
	const struct held_address *items = held_of(held, name, &count);

	for (size_t i = 0; i < count; i++)
		if (addr_compare(&items[i].addr, &addr) == 0)
			return true;
	return false;
}

static size_t count_of(const struct held *held, const char *name)
{
	size_t count;
	held_of(held, name, &count);
	return count;
}

static void remembers(void **state)
{
	struct held held = { 0 };

	(void)state;
	assert_int_equal(count_of(&held, "a.example"), 0);
	note(&held, "b.example", "192.0.2.2", 1);
	note(&held, "a.example", "2001:db8::1", 2);
	note(&held, "a.example", "192.0.2.1", 3);
	note(&held, "b.example", "192.0.2.2", 4); /* again: no second one */
	note(&held, "ab.example", "192.0.2.9", 5);
	assert_int_equal(count_of(&held, "a.example"), 2);
	assert_int_equal(count_of(&held, "b.example"), 1);
	assert_int_equal(count_of(&held, "ab.example"), 1);
	assert_int_equal(count_of(&held, "c.example"), 0);
	assert_int_equal(count_of(&held, ""), 0);
	assert_true(has(&held, "a.example", "2001:db8::1") && has(&held, "a.example", "192.0.2.1"));
	assert_false(has(&held, "a.example", "192.0.2.2"));
	/* An address is not that of the other family with the same bytes. */
	note(&held, "f.example", "0.0.0.0", 1);
	note(&held, "f.example", "::", 1);
	assert_int_equal(count_of(&held, "f.example"), 2);
	/* Within a name they ascend: a bisection relies on it. */
	for (size_t i = 1; i < held.count; i++)
		assert_true(strcmp(held.items[i - 1].name, held.items[i].name) < 0 ||
			    (strcmp(held.items[i - 1].name, held.items[i].name) == 0 &&
			     addr_compare(&held.items[i - 1].addr, &held.items[i].addr) < 0));
	held_free(&held);
}

static void forgets_the_oldest(void **state)
{
	struct held held = { 0 };
	char text[40];

	(void)state;
	note(&held, "other.example", "192.0.2.1", 0);
	for (int i = 0; i < HELD_MAX; i++) {
		snprintf(text, sizeof(text), "198.18.%d.%d", i / 256, i % 256);
		note(&held, "busy.example", text, 1000 + i);
	}
	assert_int_equal(count_of(&held, "busy.example"), HELD_MAX);
	note(&held, "busy.example", "198.18.0.0", 9000); /* the first one is seen again: now the second is the oldest */
	note(&held, "busy.example", "203.0.113.1", 9001);
	assert_int_equal(count_of(&held, "busy.example"), HELD_MAX);
	assert_true(has(&held, "busy.example", "198.18.0.0") && has(&held, "busy.example", "203.0.113.1"));
	assert_false(has(&held, "busy.example", "198.18.0.1"));
	assert_true(has(&held, "busy.example", "198.18.0.2"));
	assert_int_equal(count_of(&held, "other.example"), 1);
	held_free(&held);
}

static void outlives_the_daemon(void **state)
{
	struct held held = { 0 };

	(void)state;
	note(&held, "a.example", "192.0.2.1", 1700000000);
	note(&held, "a.example", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 1700000001);
	note(&held, "z.example", "255.255.255.255", -1);
	char *text = held_text(&held);
	assert_non_null(text);
	held_free(&held);
	assert_int_equal(held_from_text(&held, text), 0);
	assert_int_equal(held.count, 3);
	assert_true(has(&held, "a.example", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"));
	assert_int_equal(held.items[0].seen_s, 1700000000);
	char *again = held_text(&held);
	assert_string_equal(text, again);
	free(text);
	free(again);
	held_free(&held);
}

static void damaged_text(void **state)
{
	struct held held;
	char *line = malloc(5000);

	(void)state;
	assert_non_null(line);
	assert_int_equal(held_from_text(&held, "\n\na.example\na.example 192.0.2.1\na.example 192.0.2.300 5\na.example "
					       "192.0.2.1 x\n"
					       "b.example 192.0.2.1 5\n\001\377 \n 1\nc.example 192.0.2.7 1"),
			 0);
	assert_int_equal(held.count, 1); /* the last one was cut off: its address or second may lack digits */
	assert_true(has(&held, "b.example", "192.0.2.1"));
	held_free(&held);

	memset(line, 'a', 4000);
	strcpy(line + 4000, " 192.0.2.1 5\nb.example 192.0.2.2 5\n");
	assert_int_equal(held_from_text(&held, line), 0);
	assert_int_equal(held.count, 1); /* not a name that was cut out of a longer one */
	assert_true(has(&held, "b.example", "192.0.2.2"));
	held_free(&held);
	free(line);
}

static void long_text(void **state)
{
	struct held held = { 0 };
	enum { NAMES = 400, EACH = 100 };
	char address[40], name[40];

	(void)state;
	/* As many as a busy gateway has: reading must not take time by the square of it. */
	for (int n = 0; n < NAMES; n++) {
		snprintf(name, sizeof(name), "n%03d.example", n);
		for (int i = 0; i < EACH; i++) {
			snprintf(address, sizeof(address), "198.18.%d.%d", i / 256, i % 256);
			note(&held, name, address, i);
		}
	}
	char *text = held_text(&held);
	assert_non_null(text);
	held_free(&held);
	assert_int_equal(held_from_text(&held, text), 0);
	assert_int_equal(held.count, NAMES * EACH);
	free(text);
	held_free(&held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remembers),           cmocka_unit_test(forgets_the_oldest),
		cmocka_unit_test(outlives_the_daemon), cmocka_unit_test(damaged_text),
		cmocka_unit_test(long_text),
	};
	return cmocka_run_group_tests_name("held", tests, NULL, NULL);
}
