/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When health is written for spefw-notify, by a clock of the test's own. */
#include "fake_time.h"
#include "gw_fixture.h"

#include "gateway/notice.h"

#include <sys/stat.h>
#include <unistd.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND };

static struct notice *notice;
static char path[96];

static int now_code;
static const char *now_text;

static void look(void *userdata, struct health *ret)
{
	assert_ptr_equal(userdata, path);
	*ret = (struct health){ 0 };
	if (now_code >= 0)
		health_add(ret, (enum health_code)now_code, "%s", now_text);
}

static int setup(void **state)
{
	(void)state;
	fake_time_reset(1000, 1700000000);
	fake_log_reset();
	directory_new();
	snprintf(path, sizeof(path), "%s", directory_path("sock.health"));
	assert_int_equal(notice_new(&notice, NULL, path, look, path), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	notice_free(notice);
	notice_free(NULL);
	assert_int_equal(fake_timers, 0);
	directory_remove();
	return 0;
}

static void set(int code, const char *text)
{
	struct health health;

	now_code = code;
	now_text = text;
	look(path, &health);
	notice_health(notice, &health);
	health_free(&health);
}

/* Without its first line; it is gone then. NULL: there is none. */
static const char *take(void)
{
	static char text[4096];
	char *bytes = directory_read("sock.health");

	if (!bytes)
		return NULL;
	assert_memory_equal(bytes, "spefw-health 1\n", 15);
	snprintf(text, sizeof(text), "%s", bytes + 15);
	free(bytes);
	unlink(path);
	return text;
}

/* A start is told once it has settled, and once more a minute later. */
static void test_start(void **state)
{
	struct stat info;

	(void)state;
	set(HEALTH_NAME_UNRESOLVED, "a");
	fake_time_pass(14 * SECOND);
	set(-1, "");
	assert_null(take());
	fake_time_pass(SECOND);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0640);
	assert_string_equal(take(), "");
	fake_time_pass(MINUTE - 1);
	assert_null(take());
	fake_time_pass(1);
	assert_string_equal(take(), "");
	set(-1, "");
	fake_time_pass(60 * MINUTE);
	assert_null(take());
	assert_int_equal(fake_time_next(), INT64_MAX);
}

static void begin(void)
{
	set(-1, "");
	fake_time_pass(2 * MINUTE);
	assert_string_equal(take(), "");
}

static void test_changes(void **state)
{
	(void)state;
	begin();
	set(HEALTH_NAME_STALE, "for 1m");
	fake_time_pass(15 * SECOND);
	assert_string_equal(take(), "name-stale for 1m\n");
	/* Other words of the same code are no news; another code is. */
	fake_time_pass(2 * MINUTE);
	take();
	set(HEALTH_NAME_STALE, "for 3m");
	fake_time_pass(5 * MINUTE);
	assert_null(take());
	set(HEALTH_NAME_EMPTY, "b");
	fake_time_pass(15 * SECOND);
	assert_string_equal(take(), "name-empty b\n");
	/* Nobody waits to hear that the server is open. */
	set(HEALTH_NAME_STALE, "for 9m");
	fake_time_pass(5 * SECOND);
	set(HEALTH_TABLE_REMOVED, "removed");
	fake_time_pass(SECOND);
	assert_string_equal(take(), "table-removed removed\n");
}

/* However often it changes, it is not written often, and what it is in the end is told. */
static void test_flapping(void **state)
{
	size_t written = 0;

	(void)state;
	begin();
	for (int i = 0; i < 300; i++) {
		set(i % 2 ? -1 : HEALTH_NAME_STALE, "x");
		fake_time_pass(SECOND);
		written += take() != NULL;
	}
	assert_true(written <= 300 / 15 + 2);
	set(HEALTH_NAME_EMPTY, "the last");
	fake_time_pass(15 * SECOND);
	assert_string_equal(take(), "name-empty the last\n");
	/* What lasted for a moment alone is never told. */
	fake_time_pass(2 * MINUTE);
	take();
	set(HEALTH_NAME_STALE, "x");
	fake_time_pass(10 * SECOND);
	set(HEALTH_NAME_EMPTY, "the last");
	fake_time_pass(10 * MINUTE);
	assert_null(take());
}

static void test_no_room(void **state)
{
	(void)state;
	begin();
	fake_log_reset();
	set(HEALTH_NAME_STALE, "x");
	directory_hide(true);
	fake_time_pass(5 * MINUTE);
	assert_int_equal(fake_log_count("can't be written"), 1);
	directory_hide(false);
	fake_time_pass(MINUTE);
	assert_string_equal(take(), "name-stale x\n");
	/* Without memory it is tried again. */
	fake_time_pass(2 * MINUTE);
	take();
	set(-1, "");
	memstream_fails = true;
	fake_time_pass(15 * SECOND);
	memstream_fails = false;
	assert_null(take());
	fake_time_pass(MINUTE);
	assert_string_equal(take(), "");
}

/* The end is written at once, but where nothing was before it nobody was told that it had begun. */
static void test_stop(void **state)
{
	struct health health = { 0 };

	(void)state;
	health_add(&health, HEALTH_STOPPED, "over");
	set(HEALTH_NAME_STALE, "x");
	notice_stop(notice, &health);
	fake_time_pass(2 * MINUTE);
	assert_null(take());
	begin();
	notice_stop(notice, &health);
	assert_string_equal(take(), "stopped over\n");
	fake_time_pass(2 * MINUTE);
	assert_null(take());
	fake_log_reset();
	directory_hide(true);
	notice_stop(notice, &health);
	directory_hide(false);
	assert_int_equal(fake_log_count("can't be written"), 1);
	health_free(&health);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_start), TEST(test_changes), TEST(test_flapping),
					    TEST(test_no_room), TEST(test_stop) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
