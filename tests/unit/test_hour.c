/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much was denied within the last hour: samples, restarts, reboots, clocks. */
#include "core/hour.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE };

/* Written now, and read at another time, by the clock of this boot and of the wall. */
static struct hour through(const struct hour *hour, int64_t now_ms, int64_t wall_s, const char *boot, int64_t later_ms,
			   int64_t later_s)
{
	struct hour read;
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	fputs("boot b\nflow-x 1 2 3 4\n", out);
	hour_write(out, hour, "b", now_ms, wall_s);
	assert_int_equal(fclose(out), 0);
	hour_read(&read, text, boot, later_ms, later_s);
	free(text);
	return read;
}

static void test_growth(void **state)
{
	struct hour hour = { 0 };

	(void)state;
	assert_int_equal(hour_growth(&hour, 7, 0), 0);
	hour_sample(&hour, 10, 0);
	assert_int_equal(hour_growth(&hour, 12, MINUTE), 2);
	assert_int_equal(hour_growth(&hour, 9, MINUTE), 0); /* a total that fell */
	hour_sample(&hour, 99, MINUTE / 2 - 1);             /* too soon: the first one counts */
	assert_int_equal(hour.count, 1);
	for (int i = 1; i <= 200; i++)
		hour_sample(&hour, 10 + (uint64_t)i, (int64_t)i * MINUTE);
	assert_int_equal(hour_growth(&hour, 210, (int64_t)200 * MINUTE), 60);
	assert_int_equal(hour_growth(&hour, 215, (int64_t)200 * MINUTE), 65);
	assert_int_equal(hour_growth(&hour, 215, (int64_t)240 * MINUTE), 25);
	assert_int_equal(hour_growth(&hour, 215, (int64_t)270 * MINUTE), 5); /* 70 minutes stand for an hour */
	assert_int_equal(hour_growth(&hour, 215, (int64_t)280 * MINUTE), 0); /* 80 don't */
}

static void test_restart(void **state)
{
	struct hour hour = { 0 }, read;

	(void)state;
	hour_sample(&hour, 10, 100 * MINUTE);
	hour_sample(&hour, 40, 120 * MINUTE);
	/* The wall clock may be set to anything meanwhile. */
	read = through(&hour, 121 * MINUTE, 1700000000, "b", 130 * MINUTE, 5);
	assert_int_equal(read.count, 2);
	assert_int_equal(hour_growth(&read, 50, 130 * MINUTE), 40);
	assert_int_equal(hour_growth(&read, 50, 161 * MINUTE), 40);
	assert_int_equal(hour_growth(&read, 50, 180 * MINUTE), 10);
	/* A file of the future of this boot is none of it. */
	assert_int_equal(through(&hour, 121 * MINUTE, 1700000000, "b", 110 * MINUTE, 1700000000).count, 0);
}

static void test_reboot(void **state)
{
	struct hour hour = { 0 }, read;

	(void)state;
	hour_sample(&hour, 10, 100 * MINUTE);
	hour_sample(&hour, 40, 120 * MINUTE);
	/* Ten minutes pass by the wall clock until a minute after another boot. */
	read = through(&hour, 121 * MINUTE, 1700000000, "other", MINUTE, 1700000600);
	assert_int_equal(read.count, 2);
	assert_int_equal(hour_growth(&read, 50, MINUTE), 40);
	assert_int_equal(hour_growth(&read, 50, 50 * MINUTE), 10); /* the second one is an hour old */
	assert_int_equal(through(&hour, 121 * MINUTE, 1700000000, "other", MINUTE, 1700000000 + 86400).count, 0);
	assert_int_equal(through(&hour, 121 * MINUTE, 1700000000, "other", MINUTE, 1699999999).count, 0);
	assert_int_equal(through(&hour, 121 * MINUTE, INT64_MIN, "other", MINUTE, INT64_MAX).count, 0);
}

static void test_damaged(void **state)
{
	static const char *const texts[] = {
		"",
		"denied 1 2\n",
		"clock b 1\ndenied 1 2\n",
		"clock b 99999999999\ndenied 1 2\n",
		"clock b 5 5\ndenied 1\n",
		"clock b 5 5\ndenied x 1\n",
		"clock b 5 5\ndenied 6000000 1\n",
		"clock b 5 5\nclock b x\ndenied 1 2\n",
		"clock b 5 5\ndenied 1 2", /* cut off */
	};
	struct hour read;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		hour_read(&read, texts[i], "b", 5000000, 1700000000);
		assert_int_equal(read.count, 0);
	}
	hour_read(&read, "clock b 5 5\ndenied 4000000 2\ndenied 3000000 1\n", "b", 5000000, 1700000000);
	assert_int_equal(read.count, 1); /* they ascend */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_reboot),
		cmocka_unit_test(test_damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
