/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configurations that were in force, what waits for confirm, and bytes as text. */
#include "make.h"

#include "core/base64.h"
#include "core/history.h"
#include "core/waiting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct history history;

static int setup(void **state)
{
	(void)state;
	allocations_left = -1;
	history = (struct history){ 0 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	allocations_left = -1;
	history_free(&history);
	return 0;
}

static void add(uint64_t files, uint64_t bytes, uint64_t keep)
{
	const struct history_entry entry = {
		.files = files, .bytes = bytes, .generation = files, .how = HISTORY_RELOAD
	};

	assert_int_equal(history_add(&history, &entry, keep), 0);
}

/* The hashes of the files, the oldest first. */
static const char *files_text(void)
{
	static char text[512];
	size_t length = 0;

	text[0] = '\0';
	for (size_t i = 0; i < history.count; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%u", i ? " " : "",
					   (unsigned)history.entries[i].files);
	return text;
}

static void test_bounds(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= 25; i++)
		add(i, 100, 2);
	assert_int_equal(history.count, HISTORY_ENTRIES_MAX);
	assert_string_equal(files_text(), "2 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25");
	add(26, 100, 0);
	assert_string_equal(files_text(), "7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26");
	/* What is large pushes out the others, but for itself and what is to be kept. */
	add(27, HISTORY_BYTES_MAX, 9);
	assert_string_equal(files_text(), "9 27");
	add(28, HISTORY_BYTES_MAX + 1, 0);
	assert_string_equal(files_text(), "28");
	for (uint64_t i = 1; i <= 30; i++) /* the same files take their room once */
		add(29 + i % 2, HISTORY_BYTES_MAX / 2, 0);
	assert_int_equal(history.count, HISTORY_ENTRIES_MAX);
}

static void test_choices(void **state)
{
	(void)state;
	assert_null(history_last(&history));
	assert_null(history_other(&history));
	assert_null(history_good(&history));
	add(1, 10, 0);
	add(2, 0, 0);
	add(3, 10, 0);
	add(4, 10, 0);
	add(3, 10, 0);
	assert_int_equal(history_last(&history)->files, 3);
	assert_int_equal(history_before(&history, 1)->files, 4);
	assert_null(history_before(&history, 5));
	assert_int_equal(history_other(&history)->files, 4);
	assert_true(history_take_back(&history, 4, HISTORY_UNDONE));
	assert_false(history_take_back(&history, 4, HISTORY_UNDONE));
	assert_int_equal(history_other(&history)->files, 1); /* of 2 nothing is kept */
	assert_int_equal(history_good(&history)->files, 3);
	assert_true(history_take_back(&history, 3, HISTORY_ROLLED_BACK));
	assert_int_equal(history_good(&history)->files, 1);
	assert_int_equal(history_why(&history, 3), HISTORY_ROLLED_BACK);
	assert_true(history_take_again(&history, 3));
	assert_false(history_take_again(&history, 3));
	assert_int_equal(history_good(&history)->files, 3);
	assert_null(history_find(&history, 2));
	history_set_bytes(&history, 2, 7);
	assert_int_equal(history_find(&history, 2)->bytes, 7);
	for (uint64_t i = 0; i < HISTORY_TAKEN_BACK_MAX; i++)
		history_take_back(&history, 100 + i, HISTORY_UNDONE);
	assert_int_equal(history.taken_back_count, HISTORY_TAKEN_BACK_MAX);
	assert_int_equal(history_why(&history, 4), HISTORY_NOT_TAKEN_BACK); /* the oldest one went */
}

static void fill(void)
{
	static char line[] = "flow a: on\n -> off";
	struct history_entry entry = {
		.files = 0xabc, .bytes = 5, .wall_s = 1700000000, .how = HISTORY_UNDO, .count = 30
	};

	strcpy(entry.by, "root (uid 0)");
	for (entry.shown = 0; entry.shown < HISTORY_LINES_MAX; entry.shown++)
		entry.lines[entry.shown] = line;
	assert_int_equal(history_add(&history, &entry, 0), 0);
	add(2, 6, 0);
	history_take_back(&history, 0xabc, HISTORY_ROLLED_BACK);
	history_take_back(&history, 0xdef, HISTORY_UNDONE);
}

static void test_text(void **state)
{
	struct history again;
	size_t length = 0, again_length = 0;

	(void)state;
	fill();
	char *text = history_write(&history, &length);
	assert_non_null(strstr(text, "\nback 0000000000000def undone\nend "));
	assert_non_null(strstr(text, "\nchange flow a: on? -> off\n"));
	assert_int_equal(history_read(&again, text, length), 0);
	assert_int_equal(again.count, 2);
	assert_int_equal(again.entries[0].shown, HISTORY_LINES_MAX);
	assert_int_equal(again.entries[0].count, 30);
	assert_string_equal(again.entries[0].by, "root (uid 0)");
	assert_int_equal(history_why(&again, 0xabc), HISTORY_ROLLED_BACK);
	assert_int_equal(history_next_id(&again), 3);
	char *other = history_write(&again, &again_length);
	assert_int_equal(length, again_length);
	assert_memory_equal(text, other, length);
	history_free(&again);
	free(other);

	/* Any byte that is another one, and any end that is earlier, is seen. */
	for (size_t i = 0; i < length; i++) {
		text[i] ^= 1;
		assert_int_equal(history_read(&again, text, length), -EBADMSG);
		text[i] ^= 1;
		assert_int_equal(history_read(&again, text, i), -EBADMSG);
	}
	int r = -ENOMEM;
	for (long left = 0; r == -ENOMEM; left++) {
		allocations_left = left;
		r = history_read(&again, text, length);
		allocations_left = -1;
	}
	assert_int_equal(r, 0);
	history_free(&again);
	free(text);
	allocations_left = 3;
	const struct history_entry copy = history.entries[0];
	assert_int_equal(history_add(&history, &copy, 0), -ENOMEM);
	assert_int_equal(history.count, 2);
}

static const struct waiting waits = { .id = 7,
				      .files = 0xabc,
				      .before = 0xdef,
				      .by = "root (uid 0)",
				      .boot = "a-boot",
				      .since_ms = 5000,
				      .due_ms = 65000,
				      .since_wall_s = 1700000000 };

static void test_waiting_text(void **state)
{
	struct waiting again;
	size_t length;

	(void)state;
	char *text = waiting_write(&waits, &length);
	assert_int_equal(waiting_read(&again, text, length), 0);
	assert_memory_equal(&again, &waits, sizeof(waits));
	for (size_t i = 0; i < length; i++) {
		text[i] ^= 1;
		assert_int_equal(waiting_read(&again, text, length), -EBADMSG);
		text[i] ^= 1;
		assert_int_equal(waiting_read(&again, text, i), -EBADMSG);
	}
	free(text);
}

static void test_waiting_time(void **state)
{
	enum { WALL = 1700000000 };
	struct waiting endless = waits;

	(void)state;
	/* Within its boot the wall clock is nothing to it. */
	assert_int_equal(waiting_left_ms(&waits, "a-boot", 5000, 0), 60000);
	assert_int_equal(waiting_left_ms(&waits, "a-boot", 64999, WALL + 99999), 1);
	assert_int_equal(waiting_left_ms(&waits, "a-boot", 65000, WALL), 0);
	assert_int_equal(waiting_left_ms(&waits, "a-boot", 4999, WALL), 0);
	/* After another one it is all there is. */
	assert_int_equal(waiting_left_ms(&waits, "b-boot", 1, WALL), 60000);
	assert_int_equal(waiting_left_ms(&waits, "b-boot", 1, WALL + 59), 1000);
	assert_int_equal(waiting_left_ms(&waits, "b-boot", 1, WALL + 60), 0);
	assert_int_equal(waiting_left_ms(&waits, "b-boot", 1, WALL - 1), 0);
	assert_int_equal(waiting_left_ms(&waits, "b-boot", 1, INT64_MAX), 0);
	memcpy(endless.boot, "unknown", sizeof("unknown")); /* that it is the same one is not known then */
	assert_int_equal(waiting_left_ms(&endless, "unknown", 5000, WALL + 60), 0);
	endless.due_ms = INT64_MAX;
	endless.since_ms = -2;
	assert_int_equal(waiting_left_ms(&endless, "unknown", 5000, WALL), 0);
}

static void test_base64(void **state)
{
	static const char *const pairs[][2] = {
		{ "", "" },        { "f", "Zg==" },        { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "\xff\xfe\xfd\xfc", "//79/A==" }
	};
	static const char *const wrong[] = { "Z", "Zg=", "Z===", "Zg==Zg==", "Zm9 ", "Zm9v\n" };
	size_t length;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		char *text = base64_encode(pairs[i][0], strlen(pairs[i][0])),
		     *bytes = base64_decode(pairs[i][1], &length);
		assert_string_equal(text, pairs[i][1]);
		assert_int_equal(length, strlen(pairs[i][0]));
		assert_string_equal(bytes, pairs[i][0]);
		free(text);
		free(bytes);
	}
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_null(base64_decode(wrong[i], &length));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_choices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waiting_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waiting_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_base64, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
