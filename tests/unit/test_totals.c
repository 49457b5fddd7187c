// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/totals.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void see(struct totals *totals, const char *name, uint64_t packets, uint64_t bytes)
{
	assert_int_equal(totals_see(totals, name, packets, bytes), 0);
}

static void is(const struct totals *totals, const char *name, uint64_t packets, uint64_t bytes)
{
	const struct total *total = totals_find(totals, name);

	assert_non_null(total);
	assert_int_equal(total->packets, packets);
	assert_int_equal(total->bytes, bytes);
}

static void grows(void **state)
{
	struct totals totals = { 0 };

	(void)state;
	assert_null(totals_find(&totals, "a"));
	see(&totals, "a", 5, 500);
	is(&totals, "a", 5, 500);
	see(&totals, "a", 5, 500);
	is(&totals, "a", 5, 500);
	see(&totals, "a", 7, 640);
	see(&totals, "b", 1, 40);
	is(&totals, "a", 7, 640);
	is(&totals, "b", 1, 40);
	totals_free(&totals);
}

/* Another program may have added it to our table. */
static void long_names(void **state)
{
	struct totals totals = { 0 };
	char name[] = "a-counter-with-a-name-of-more-than-63-characters-of-another-program", fits[64] = "";

	(void)state;
	memcpy(fits, name, sizeof(fits) - 1);
	for (int i = 0; i < 3; i++) {
		see(&totals, name, 5, 500);
		see(&totals, fits, 5, 500);
	}
	assert_int_equal(totals.count, 1);
	is(&totals, fits, 5, 500);
	totals_free(&totals);
}

static void survives_a_reset(void **state)
{
	struct totals totals = { 0 };

	(void)state;
	see(&totals, "a", 100, 6000);
	see(&totals, "a", 0, 0);
	is(&totals, "a", 100, 6000);
	see(&totals, "a", 3, 180);
	is(&totals, "a", 103, 6180);
	/* A reset that was caught up with by one of the two shows in the other. */
	see(&totals, "a", 4, 100);
	is(&totals, "a", 107, 6280);
	see(&totals, "a", 2, 5000);
	is(&totals, "a", 109, 11280);
	totals_free(&totals);
}

static void begins_anew_with_a_table(void **state)
{
	struct totals totals = { 0 };

	(void)state;
	see(&totals, "a", 10, 1000);
	totals_restart(&totals);
	/* More than before, and yet all of it is new. */
	see(&totals, "a", 50, 5000);
	is(&totals, "a", 60, 6000);
	totals_free(&totals);
}

static void reload(struct totals *totals, const char *boot_then, const char *boot_now)
{
	char *text = totals_text(totals, boot_then);
	assert_non_null(text);
	totals_free(totals);
	assert_int_equal(totals_from_text(totals, text, boot_now), 0);
	free(text);
}

static void outlives_the_daemon(void **state)
{
	struct totals totals = { 0 };

	(void)state;
	see(&totals, "denied-in", 10, 1000);
	see(&totals, "flow-https-in", UINT64_MAX - 1, UINT64_MAX);
	reload(&totals, "boot-1", "boot-1");
	is(&totals, "denied-in", 10, 1000);
	is(&totals, "flow-https-in", UINT64_MAX - 1, UINT64_MAX);
	/* The kernel went on counting meanwhile. */
	see(&totals, "denied-in", 12, 1200);
	is(&totals, "denied-in", 12, 1200);
	/* Killed, and the kernel's counter was reset by somebody. */
	reload(&totals, "boot-1", "boot-1");
	see(&totals, "denied-in", 1, 100);
	is(&totals, "denied-in", 13, 1300);
	totals_free(&totals);
}

static void outlives_the_machine(void **state)
{
	struct totals totals = { 0 };

	(void)state;
	see(&totals, "denied-in", 10, 1000);
	reload(&totals, "boot-1", "boot-2");
	is(&totals, "denied-in", 10, 1000);
	/* A new boot's counter shows more than the old one's ever did: none of it was counted before. */
	see(&totals, "denied-in", 11, 1100);
	is(&totals, "denied-in", 21, 2100);
	reload(&totals, "boot-2", "boot-2");
	see(&totals, "denied-in", 11, 1100);
	is(&totals, "denied-in", 21, 2100);
	totals_free(&totals);
}

static void damaged_text(void **state)
{
	static const char text[] = "boot here\na 1 2 1 2\n\n \nb 1 2 3\nc one two three four\na 9 9 9 9\n d 1 1 1 1\n"
				   "boot elsewhere 1 2 3\n\001\377\n-\ne 5 6 5 6\nf 7 8 7 8";
	struct totals totals;

	(void)state;
	assert_int_equal(totals_from_text(&totals, text, "here"), 0);
	is(&totals, "a", 1, 2);
	is(&totals, "e", 5, 6);
	assert_null(totals_find(&totals, "b"));
	assert_null(totals_find(&totals, "c"));
	assert_null(totals_find(&totals, "f")); /* cut off: its last number may lack digits */
	totals_free(&totals);

	assert_int_equal(totals_from_text(&totals, "", "here"), 0);
	assert_int_equal(totals.count, 0);
	totals_free(&totals);
	assert_int_equal(totals_from_text(&totals, "a 5 5 5 5\n", "here"), 0);
	see(&totals, "a", 6, 6); /* without the boot it is not known what was seen */
	is(&totals, "a", 11, 11);
	totals_free(&totals);
}

static void every_truncation(void **state)
{
	struct totals totals = { 0 };

	(void)state;
	see(&totals, "denied-in", 123456, 654321);
	see(&totals, "denied-out", 77, 88);
	char *text = totals_text(&totals, "0f0e0d0c");
	totals_free(&totals);
	assert_non_null(text);
	for (size_t length = strlen(text); length-- > 0;) {
		text[length] = '\0';
		assert_int_equal(totals_from_text(&totals, text, "0f0e0d0c"), 0);
		for (size_t i = 0; i < totals.count; i++)
			is(&totals, totals.items[i].name, i ? 77 : 123456, i ? 88 : 654321);
		totals_free(&totals);
	}
	free(text);
}

static void long_text(void **state)
{
	struct totals totals;
	enum { LINES = 200000 };
	char *text = malloc(LINES * 16), *end = text;

	(void)state;
	assert_non_null(text);
	/* The reader's time must grow with the text, not with its square: garbage must not hold up a start. */
	for (int i = 0; i < LINES; i++)
		end += sprintf(end, "x%d 1 1\n", i);
	strcpy(end, "a 1 1 1 1\n");
	assert_int_equal(totals_from_text(&totals, text, "here"), 0);
	assert_int_equal(totals.count, 1);
	totals_free(&totals);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows),
		cmocka_unit_test(long_names),
		cmocka_unit_test(survives_a_reset),
		cmocka_unit_test(begins_anew_with_a_table),
		cmocka_unit_test(outlives_the_daemon),
		cmocka_unit_test(outlives_the_machine),
		cmocka_unit_test(damaged_text),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(long_text),
	};
	return cmocka_run_group_tests_name("totals", tests, NULL, NULL);
}
