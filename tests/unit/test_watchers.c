/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who watches: calls of the test's own, which have room or not as it likes. */
#include "control/watchers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_MAX = 8192 };

struct control_call {
	bool full;
	char got[TEXT_MAX]; /* what it got, with blanks */
	size_t count;
};

static sd_event *event;
static struct watchers *watchers;
static bool no_memory;

bool control_has_room(const struct control_call *call)
{
	return !call->full;
}

void control_reply_more(struct control_call *call, json_t *parameters)
{
	json_t *value = json_object_get(parameters, "event");
	size_t length = strlen(call->got);

	if (json_is_string(value))
		snprintf(call->got + length, TEXT_MAX - length, "%s ", json_string_value(value));
	else
		snprintf(call->got + length, TEXT_MAX - length, "lost:%d ", (int)json_integer_value(value));
	call->count++;
	json_decref(parameters);
}

static json_t *make_lost(uint64_t count)
{
	return no_memory ? NULL : json_pack("{s:I}", "event", (json_int_t)count);
}

static json_t *an_event(unsigned number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	return json_pack("{s:s}", "event", text);
}

static void publish(unsigned first, unsigned last)
{
	for (unsigned i = first; i <= last; i++)
		watchers_publish(watchers, an_event(i));
}

/* Until nothing is left to do; how many turns of the loop that took. */
static unsigned settle(void)
{
	unsigned turns = 0;

	while (sd_event_run(event, 0) > 0)
		turns++;
	return turns;
}

static int setup(void **state)
{
	(void)state;
	no_memory = false;
	assert_return_code(sd_event_new(&event), 0);
	assert_int_equal(watchers_new(&watchers, event, make_lost), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	watchers_free(watchers);
	watchers_free(NULL);
	sd_event_unref(event);
	return 0;
}

static void test_each_gets_all(void **state)
{
	static struct control_call a, b;

	(void)state;
	a = b = (struct control_call){ 0 };
	publish(1, 3); /* nobody watches */
	assert_false(watchers_any(watchers));
	assert_int_equal(watchers_add(watchers, &a, an_event(0)), 0);
	assert_true(watchers_any(watchers));
	publish(4, 5);
	assert_int_equal(watchers_add(watchers, &b, an_event(0)), 0);
	publish(6, 6);
	assert_string_equal(a.got, "0 "); /* the others not before others had their turn */
	settle();
	assert_string_equal(a.got, "0 4 5 6 ");
	assert_string_equal(b.got, "0 6 ");
	watchers_forget(watchers, &a);
	publish(7, 7);
	settle();
	assert_string_equal(a.got, "0 4 5 6 ");
	assert_string_equal(b.got, "0 6 7 ");
	watchers_forget(watchers, &b);
	assert_false(watchers_any(watchers));
}

/* What a slow one loses, it is told, where it was lost; the others have all. */
static void test_slow(void **state)
{
	static struct control_call slow, quick;

	(void)state;
	slow = quick = (struct control_call){ 0 };
	assert_int_equal(watchers_add(watchers, &slow, an_event(0)), 0);
	assert_int_equal(watchers_add(watchers, &quick, an_event(0)), 0);
	slow.full = true;
	publish(1, 2);
	settle();
	for (unsigned i = 3; i <= WATCHERS_KEEP + 10; i++) {
		publish(i, i);
		settle();
	}
	assert_int_equal(quick.count, 1 + WATCHERS_KEEP + 10);
	assert_string_equal(slow.got, "0 ");
	slow.full = false;
	watchers_have_room(watchers);
	settle();
	assert_int_equal(slow.count, 2 + WATCHERS_KEEP);
	assert_memory_equal(slow.got, "0 lost:10 11 12 ", 16);
	/* All that was lost is told even where nothing comes any more. */
	slow.full = true;
	publish(1, WATCHERS_KEEP);
	watchers_publish(watchers, NULL); /* no memory for one */
	settle();
	slow.full = false;
	slow.got[0] = '\0';
	no_memory = true;
	watchers_have_room(watchers);
	settle();
	assert_string_equal(slow.got, "");
	no_memory = false;
	watchers_have_room(watchers);
	settle();
	assert_memory_equal(slow.got, "lost:1 2 3 ", 11);
	assert_memory_equal(slow.got + strlen(slow.got) - 7, "lost:1 ", 7);
}

/* A turn of the loop ends soon, however many watch. */
static void test_turns(void **state)
{
	static struct control_call calls[100];

	(void)state;
	memset(calls, 0, sizeof(calls));
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(watchers_add(watchers, &calls[i], an_event(0)), 0);
	publish(1, 10);
	assert_true(settle() >= 100 * 10 / 32);
	for (size_t i = 0; i < 100; i++)
		assert_string_equal(calls[i].got, "0 1 2 3 4 5 6 7 8 9 10 ");
	assert_int_equal(watchers_add(watchers, &calls[0], NULL), -ENOMEM);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_each_gets_all), TEST(test_slow), TEST(test_turns) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
