// SPDX-License-Identifier: GPL-2.0-or-later
#include "make.h"

#include "core/expect.h"

#include <errno.h>

/* Days of watching in no time: `now` is a number. */

#define BASE "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53\n[role ADM]\nmembers = 203.0.113.0/24\n"
#define LICENSE "[flow license-out]\nexpect = 24h\n"
#define CONSOLE "[flow console-in]\nexpect = 1h\n"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static const char *const license = "license-out", *const console = "console-in";

struct world {
	struct expect expect;
	int64_t now;
	size_t looks;
	/* Connections that are there: flow, identity, when the entry expires, whether it is open. */
	struct {
		const char *flow;
		struct expect_seen seen;
		bool open;
	} live[8];
	size_t live_count;
	uint64_t opened;
};

static void want(struct world *world, const char *text)
{
	struct policy policy;

	make_good_policy(&policy, text);
	assert_int_equal(expect_want(&world->expect, &policy), 0);
	policy_free(&policy);
}

static void look(struct world *world)
{
	expect_look_begin(&world->expect);
	for (size_t i = 0; i < world->live_count; i++)
		assert_int_equal(expect_look(&world->expect, world->live[i].flow, &world->live[i].seen,
					     world->live[i].open),
				 0);
	expect_look_end(&world->expect, world->now, true);
	world->looks++;
}

/* What the gateway does at each interval, until so much time has passed. */
static void run(struct world *world, int64_t ms)
{
	int64_t end = world->now + ms;

	while (world->now < end) {
		int64_t step = expect_interval_ms(&world->expect);
		assert_true(step > 0);
		world->now += step < end - world->now ? step : end - world->now;
		expect_pass(&world->expect, world->now, true);
		for (size_t i = 0; i < world->expect.count; i++)
			expect_opened(&world->expect.items[i], world->opened, world->now);
		if (expect_due(&world->expect, world->now))
			look(world);
	}
}

static struct world begin(const char *text)
{
	struct world world = { .now = 1000 * (int64_t)DAY };

	want(&world, text);
	expect_pass(&world.expect, world.now, true);
	look(&world);
	return world;
}

static void live(struct world *world, size_t index, const char *flow, uint32_t id, int64_t lives_ms, bool open)
{
	world->live[index].flow = flow;
	world->live[index].seen = (struct expect_seen){ id, world->now + lives_ms };
	world->live[index].open = open;
	if (index >= world->live_count)
		world->live_count = index + 1;
}

static void is(const struct world *world, const char *flow, int64_t silent_least, int64_t silent_most, bool answered,
	       bool overdue)
{
	const struct expectation *item = expect_find(&world->expect, flow);

	assert_non_null(item);
	assert_in_range(item->silent_ms, silent_least, silent_most);
	assert_int_equal(item->answered, answered);
	assert_int_equal(item->overdue, overdue);
}

static void cries_and_clears(void **state)
{
	struct world world = begin(BASE LICENSE);

	(void)state;
	run(&world, DAY - MINUTE);
	is(&world, license, DAY - MINUTE, DAY - MINUTE, false, false);
	run(&world, 2 * MINUTE);
	is(&world, license, DAY, DAY + MINUTE, false, true);
	live(&world, 0, license, 1, 10 * SECOND, false);
	world.opened++;
	run(&world, 4 * SECOND);
	world.live_count = 0;
	is(&world, license, 0, 4 * SECOND, true, false);
	run(&world, DAY - MINUTE);
	is(&world, license, DAY - MINUTE, DAY, true, false);
	run(&world, 2 * MINUTE);
	is(&world, license, DAY, DAY + 2 * MINUTE, true, true);
	expect_free(&world.expect);
}

/* The kernel keeps a connection that is aborted right after its answer for 10 s; and one may be answered late. */
static void sees_short_ones(void **state)
{
	struct world world = begin(BASE LICENSE);

	(void)state;
	for (int phase = 0; phase < 8; phase++) {
		run(&world, HOUR + phase * SECOND);
		world.opened++;
		live(&world, 0, license, 100 + (uint32_t)phase, 10 * SECOND, false);
		run(&world, 10 * SECOND);
		world.live_count = 0;
		is(&world, license, 0, 10 * SECOND, true, false);
	}
	world.opened++;
	run(&world, 2 * MINUTE);
	live(&world, 0, license, 200, 10 * SECOND, false);
	run(&world, 10 * SECOND);
	is(&world, license, 0, 10 * SECOND, true, false);
	expect_free(&world.expect);
}

static void open_ones_count_while_packets_pass(void **state)
{
	struct world world = begin(BASE LICENSE);

	(void)state;
	live(&world, 0, license, 1, 5 * (int64_t)DAY, true);
	world.opened++;
	run(&world, 4 * SECOND);
	is(&world, license, 0, 0, true, false);
	run(&world, 2 * HOUR); /* idle: the kernel's time runs down */
	is(&world, license, 2 * HOUR - MINUTE, 2 * HOUR, true, false);
	live(&world, 0, license, 1, 5 * (int64_t)DAY, true);
	run(&world, MINUTE);
	is(&world, license, 0, MINUTE, true, false);
	/* Data under way gives it less time; that is a packet as well. */
	run(&world, HOUR);
	live(&world, 0, license, 1, 300 * SECOND, true);
	run(&world, MINUTE);
	is(&world, license, 0, MINUTE, true, false);
	/* Forgotten by both ends, it hides nothing. */
	run(&world, DAY + MINUTE);
	is(&world, license, DAY, DAY + 2 * MINUTE, true, true);
	/* Packets more often than the kernel's seconds show add up. */
	int64_t began = world.now;
	for (int i = 0; i < 120; i++) {
		live(&world, 0, license, 1, 300 * SECOND + (world.now - began) / 100, true);
		run(&world, SECOND);
	}
	is(&world, license, 0, MINUTE + 4 * SECOND, true, false);
	expect_free(&world.expect);
}

/* Of a connection that was open when the first look came nobody knows when its last packet was. */
static void first_look(void **state)
{
	struct world world = { .now = DAY };

	(void)state;
	want(&world, BASE LICENSE CONSOLE);
	expect_pass(&world.expect, world.now, true);
	live(&world, 0, license, 1, 5 * (int64_t)DAY, true);
	live(&world, 1, console, 2, 100 * SECOND, false);
	look(&world);
	is(&world, license, 0, 0, false, false);
	is(&world, console, 0, 0, true, false);
	live(&world, 0, license, 1, 5 * (int64_t)DAY + 10 * SECOND, true);
	look(&world);
	is(&world, license, 0, 0, true, false);
	expect_free(&world.expect);
}

static void reload(struct world *world, const char *policy)
{
	char *text = expect_text(&world->expect);
	assert_non_null(text);
	expect_free(&world->expect);
	assert_int_equal(expect_from_text(&world->expect, text), 0);
	free(text);
	world->live_count = 0;
	world->opened = 0;
	want(world, policy);
	expect_pass(&world->expect, world->now, true);
	look(world);
}

static void outlives_the_daemon(void **state)
{
	struct world world = begin(BASE LICENSE CONSOLE);

	(void)state;
	run(&world, 20 * HOUR);
	is(&world, license, 20 * HOUR, 20 * HOUR, false, false);
	is(&world, console, 20 * HOUR, 20 * HOUR, false, true);
	/* The machine was off for a month, and its clock begins elsewhere: neither is silence. */
	world.now = 17 * SECOND;
	reload(&world, BASE LICENSE CONSOLE);
	is(&world, license, 20 * HOUR, 20 * HOUR, false, false);
	is(&world, console, 20 * HOUR, 20 * HOUR, false, true);
	run(&world, 4 * HOUR - MINUTE);
	is(&world, license, DAY - MINUTE, DAY - MINUTE, false, false);
	run(&world, 2 * MINUTE);
	is(&world, license, DAY, DAY + MINUTE, false, true);
	expect_free(&world.expect);
}

static void nobody_watched(void **state)
{
	struct world world = begin(BASE LICENSE);

	(void)state;
	world.now += 3 * (int64_t)DAY; /* the daemon was stopped for so long */
	expect_pass(&world.expect, world.now, true);
	is(&world, license, 0, MINUTE, false, false);
	world.now += HOUR; /* the table was not there */
	expect_pass(&world.expect, world.now, false);
	is(&world, license, 0, MINUTE, false, false);
	expect_free(&world.expect);
}

static void follows_the_policy(void **state)
{
	struct world world = begin(BASE LICENSE);

	(void)state;
	run(&world, 20 * HOUR);
	want(&world, BASE LICENSE CONSOLE); /* another key does nothing to it */
	is(&world, license, 20 * HOUR, 20 * HOUR, false, false);
	is(&world, console, 0, 0, false, false);
	want(&world, BASE CONSOLE "[flow license-out]\nexpect = 2h\n");
	run(&world, 4 * SECOND);
	is(&world, license, 20 * HOUR, 20 * HOUR + 4 * SECOND, false, true);
	want(&world, BASE LICENSE);
	look(&world);
	is(&world, license, 20 * HOUR, 21 * HOUR, false, false);
	assert_null(expect_find(&world.expect, console));
	want(&world, BASE "[flow license-out]\nexpect = 24h\nenabled = no\n"); /* then it begins again */
	assert_null(expect_find(&world.expect, license));
	assert_int_equal(expect_interval_ms(&world.expect), 0);
	want(&world, BASE LICENSE);
	is(&world, license, 0, 0, false, false);
	expect_free(&world.expect);
}

static void looks_are_rare(void **state)
{
	struct world world = begin(BASE LICENSE);

	(void)state;
	/* Busy: a connection each second, answered. */
	world.looks = 0;
	for (int i = 0; i < 1000; i++) {
		world.opened++;
		live(&world, 0, license, 1000 + (uint32_t)i, 120 * SECOND, false);
		run(&world, SECOND);
		is(&world, license, 0, MINUTE + 4 * SECOND, i >= 4 || world.looks, false);
	}
	assert_in_range(world.looks, 10, 20);
	/* Silent: now and then, for what stays. */
	world.live_count = 0;
	world.looks = 0;
	run(&world, DAY / 2);
	assert_in_range(world.looks, DAY / 2 / MINUTE / 2, DAY / 2 / MINUTE + 40);
	expect_free(&world.expect);
}

/* A look that failed on its way shows answers, but no silence. */
static void incomplete_looks(void **state)
{
	struct world world = begin(BASE LICENSE CONSOLE);
	struct expect_seen seen = { 7, world.now };

	(void)state;
	world.now += HOUR + MINUTE;
	for (int i = 0; i < 70; i++)
		expect_pass(&world.expect, world.now + (i + 1) * (int64_t)MINUTE, true);
	expect_look_begin(&world.expect);
	assert_int_equal(expect_look(&world.expect, license, &seen, false), 0);
	expect_look_end(&world.expect, world.now, false);
	is(&world, license, 0, 0, true, false);
	is(&world, console, HOUR, 2 * HOUR, false, false);
	look(&world);
	is(&world, console, HOUR, 2 * HOUR, false, true);
	expect_free(&world.expect);
}

static void news_for_the_disk(void **state)
{
	struct world world = begin(BASE LICENSE);

	(void)state;
	expect_saved(&world.expect);
	run(&world, 3 * HOUR);
	assert_false(expect_has_news(&world.expect)); /* older than it is: nothing is lost by that */
	expect_saved(&world.expect);
	live(&world, 0, license, 1, 10 * SECOND, false);
	world.opened++;
	run(&world, 4 * SECOND);
	assert_true(expect_has_news(&world.expect));
	expect_saved(&world.expect);
	assert_false(expect_has_news(&world.expect));
	expect_free(&world.expect);
}

static void damaged_files(void **state)
{
	static const char *const texts[] = {
		"",
		"\n\n",
		"license-out",
		"license-out 5",
		"license-out 5 1",
		"license-out x 1\n",
		"license-out -5 1\n",
		" 5 1\n",
		"a-flow-with-a-name-that-is-longer-than-any-can-be 5 1\n",
		"\x01\xff\n\n\n",
	};
	struct expect expect;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		assert_int_equal(expect_from_text(&expect, texts[i]), 0);
		assert_null(expect_find(&expect, license));
		expect_free(&expect);
	}
	assert_int_equal(expect_from_text(&expect,
					  "license-out 99999999999999999999 1\nlicense-out 5 1\ncrl 7 0\nlicense-o"),
			 0);
	assert_int_equal(expect.count, 2);
	assert_int_equal(expect_find(&expect, "crl")->silent_ms, 7);
	expect_pass(&expect, 1, true);
	expect_pass(&expect, INT64_MAX / 2, true); /* no overflow */
	assert_true(expect_find(&expect, license)->answered);
	assert_false(expect_find(&expect, "crl")->answered);
	expect_free(&expect);
	/* No silence at all is some. */
	assert_int_equal(expect_from_text(&expect, "license-out 0 1\n"), 0);
	assert_non_null(expect_find(&expect, license));
	expect_free(&expect);
}

/* When a look is due, to the millisecond. */
static void bounds(void **state)
{
	struct world world = begin(BASE LICENSE);
	struct expectation *item = &world.expect.items[0];
	int64_t begun = world.now;

	(void)state;
	/* For as long as a connection that was opened may be answered. */
	assert_false(expect_due(&world.expect, begun));
	expect_opened(item, 0, begun);
	assert_false(expect_due(&world.expect, begun));
	expect_opened(item, 1, begun);
	assert_true(expect_due(&world.expect, begun));
	assert_true(expect_due(&world.expect, begun + 130 * SECOND - 1));
	assert_false(expect_due(&world.expect, begun + 130 * SECOND));
	/* Once it was, only where a minute was silent since. */
	item->answered = true;
	expect_pass(&world.expect, begun + MINUTE - 1, true);
	assert_false(expect_due(&world.expect, begun + MINUTE - 1));
	expect_pass(&world.expect, begun + MINUTE, true);
	assert_true(expect_due(&world.expect, begun + MINUTE));
	/* Without any that was opened: each minute, for those that stay. */
	item->open_ms = 0;
	assert_true(expect_due(&world.expect, begun + MINUTE));
	world.expect.looked_ms = begun + 1;
	assert_false(expect_due(&world.expect, begun + MINUTE));
	assert_true(expect_due(&world.expect, begun + MINUTE + 1));
	item->silent_ms = MINUTE - 1;
	assert_false(expect_due(&world.expect, begun + MINUTE + 1));
	/* When it is overdue, until a look has shown that. */
	world.expect.looked_ms = begun + MINUTE;
	item->silent_ms = DAY;
	assert_false(expect_due(&world.expect, begun + MINUTE + 1));
	item->silent_ms = DAY + 1;
	assert_true(expect_due(&world.expect, begun + MINUTE + 1));
	item->overdue = true;
	assert_false(expect_due(&world.expect, begun + MINUTE + 1));
	expect_free(&world.expect);

	/* More than a minute at once, and nobody was there to watch. */
	world = begin(BASE LICENSE);
	expect_pass(&world.expect, world.now + HOUR, true);
	assert_int_equal(world.expect.items[0].silent_ms, MINUTE);
	expect_pass(&world.expect, world.now + HOUR + MINUTE + 1, true);
	assert_int_equal(world.expect.items[0].silent_ms, 2 * MINUTE);
	expect_pass(&world.expect, world.now + HOUR + 2 * MINUTE, true);
	assert_int_equal(world.expect.items[0].silent_ms, 3 * MINUTE - 1);
	expect_free(&world.expect);
}

static void intervals(void **state)
{
	static const struct {
		const char *expected;
		int64_t interval;
	} cases[] = { { "24h", 4 * SECOND }, { "32s", 4 * SECOND }, { "31s", 3875 }, { "2s", 250 }, { "1s", 250 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[300];
		snprintf(text, sizeof(text), BASE "[flow license-out]\nexpect = %s\n", cases[i].expected);
		struct world world = begin(text);
		assert_int_equal(expect_interval_ms(&world.expect), cases[i].interval);
		expect_free(&world.expect);
	}
	struct world world = begin(BASE);
	assert_int_equal(expect_interval_ms(&world.expect), 0);
	expect_free(&world.expect);
}

/* A packet passed where the time to live moved by more than two seconds, by one step or by many. */
static void small_moves(void **state)
{
	(void)state;
	for (int way = -1; way <= 1; way += 2) {
		struct world world = begin(BASE LICENSE);
		live(&world, 0, license, 1, HOUR, true);
		look(&world);
		world.expect.items[0].silent_ms = 5;
		world.live[0].seen.expires_ms += way * 2 * SECOND;
		look(&world);
		assert_int_equal(world.expect.items[0].silent_ms, 5);
		world.live[0].seen.expires_ms += way;
		look(&world);
		assert_int_equal(world.expect.items[0].silent_ms, 0);
		expect_free(&world.expect);
	}
}

/* What an answer ended is written where it was silent for long. */
static void news(void **state)
{
	struct world world = begin(BASE LICENSE);
	struct expectation *item = &world.expect.items[0];

	(void)state;
	item->saved_ms = 10;
	assert_true(expect_has_news(&world.expect));
	item->silent_ms = 9;
	assert_true(expect_has_news(&world.expect));
	item->silent_ms = 10;
	assert_false(expect_has_news(&world.expect));
	item->answered = true; /* a minute more or less is no news */
	item->silent_ms = 0;
	item->saved_ms = MINUTE;
	assert_false(expect_has_news(&world.expect));
	item->saved_ms = MINUTE + 1;
	assert_true(expect_has_news(&world.expect));
	expect_saved(&world.expect);
	assert_false(expect_has_news(&world.expect));
	expect_free(&world.expect);
}

/* Lists of each length, so that each is full once: nobody looks behind the last one. */
static void lists_of_each_length(void **state)
{
	char text[1200] = BASE;

	(void)state;
	for (size_t count = 1; count <= 18; count++) {
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "[flow %s]\nexpect = 2h\n",
			 builtin_flows[count - 1].id);
		struct world world = begin(text);
		assert_int_equal(world.expect.count, count);
		world.expect.items = realloc(world.expect.items, count * sizeof(*world.expect.items));
		assert_non_null(world.expect.items);
		world.expect.capacity = count;
		run(&world, MINUTE);
		for (size_t i = 0; i < count; i++) {
			assert_true(world.expect.items[i].silent_ms > 0);
			world.expect.items[i].saved_ms = DAY;
		}
		assert_true(expect_has_news(&world.expect));
		expect_saved(&world.expect);
		assert_false(expect_has_news(&world.expect));
		want(&world, text);
		assert_int_equal(world.expect.count, count);
		char *lines = expect_text(&world.expect);
		assert_non_null(lines);
		free(lines);
		expect_free(&world.expect);
	}
}

static void without_memory(void **state)
{
	struct policy policy;
	struct expect expect = { 0 };
	struct expect_seen seen = { 1, 1 };

	(void)state;
	make_good_policy(&policy, BASE LICENSE);
	allocations_left = 0;
	assert_int_equal(expect_want(&expect, &policy), -ENOMEM);
	assert_int_equal(expect_from_text(&expect, "crl 1 1\n"), -ENOMEM);
	allocations_left = -1;
	assert_int_equal(expect_want(&expect, &policy), 0);
	expect_look_begin(&expect);
	allocations_left = 0;
	assert_int_equal(expect_look(&expect, license, &seen, false), -ENOMEM);
	allocations_left = -1;
	expect_free(&expect);
	policy_free(&policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cries_and_clears),
		cmocka_unit_test(sees_short_ones),
		cmocka_unit_test(open_ones_count_while_packets_pass),
		cmocka_unit_test(first_look),
		cmocka_unit_test(outlives_the_daemon),
		cmocka_unit_test(nobody_watched),
		cmocka_unit_test(follows_the_policy),
		cmocka_unit_test(looks_are_rare),
		cmocka_unit_test(incomplete_looks),
		cmocka_unit_test(news_for_the_disk),
		cmocka_unit_test(damaged_files),
		cmocka_unit_test(bounds),
		cmocka_unit_test(lists_of_each_length),
		cmocka_unit_test(intervals),
		cmocka_unit_test(small_moves),
		cmocka_unit_test(news),
		cmocka_unit_test(without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
