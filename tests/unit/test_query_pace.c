/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/query_pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOUR (60 * 60 * 1000)

/* A denial every `every` ms, of `names` names each: how many queries there are in the minute that has most of them. */
static unsigned worst_minute(int64_t every, unsigned names, int64_t length, unsigned *ret_all)
{
	static int64_t times[1000000];
	struct query_pace pace = { 0 };
	unsigned count = 0, worst = 0, first = 0;

	for (int64_t now = 1; now < length; now += every)
		for (unsigned i = 0; i < names; i++)
			if (query_pace_take(&pace, now))
				times[count++] = now;
	for (unsigned i = 0; i < count; i++) {
		while (times[first] <= times[i] - 60 * 1000)
			first++;
		if (i - first + 1 > worst)
			worst = i - first + 1;
	}
	*ret_all = count;
	return worst;
}

static void test_bound(void **state)
{
	unsigned all;

	(void)state;
	assert_in_range(worst_minute(1, 1, HOUR, &all), PACE_A_MINUTE / 2, PACE_A_MINUTE);
	assert_in_range(all, 3600, 3600 + PACE_A_MINUTE);
	assert_in_range(worst_minute(200, 41, HOUR, &all), PACE_A_MINUTE / 2, PACE_A_MINUTE);
	assert_in_range(worst_minute(59999, 1000, HOUR, &all), PACE_A_MINUTE / 2, PACE_A_MINUTE);
	assert_in_range(worst_minute(10 * 60 * 1000, 1000, HOUR, &all), PACE_A_MINUTE / 2, PACE_A_MINUTE);
	/* Who stays below it is never refused. */
	assert_int_equal(worst_minute(PACE_STEP_MS, 1, HOUR, &all), 60 * 1000 / PACE_STEP_MS);
	assert_int_equal(all, (HOUR - 1 + PACE_STEP_MS - 1) / PACE_STEP_MS);
}

static void test_exhausted(void **state)
{
	struct query_pace pace = { 0 };
	int64_t now = 5;

	(void)state;
	for (int i = 0; i < PACE_AHEAD_MS / PACE_STEP_MS; i++)
		assert_true(query_pace_take(&pace, now));
	assert_false(query_pace_exhausted(&pace, now)); /* nobody missed anything */
	assert_false(query_pace_take(&pace, now));
	assert_true(query_pace_exhausted(&pace, now));
	assert_int_equal(pace.refused, 1);
	assert_false(query_pace_take(&pace, now + PACE_STEP_MS - 1));
	assert_true(query_pace_take(&pace, now + PACE_STEP_MS));
	assert_true(query_pace_exhausted(&pace, now + PACE_STEP_MS));
	assert_false(query_pace_exhausted(&pace, now + PACE_STEP_MS - 1 + 60 * 1000));
	assert_int_equal(pace.refused, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_bound), cmocka_unit_test(test_exhausted) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
