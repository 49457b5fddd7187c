/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_log.h"
#include "fake_time.h"
#include "gateway/drops.h"
#include "gw_fixture.h"
#include "make.h"

#include <errno.h>

#define TEXT "[server]\naddress = 192.0.2.25\n[role ADM]\nmembers = 10.30.0.0/24 admin.example.net\n"
#define HOUR ((int64_t)3600 * 1000)

static struct policy policy, audit;
static struct drops *drops;
static unsigned changes;

static void on_changed(void *userdata)
{
	assert_ptr_equal(userdata, &changes);
	changes++;
}

static const struct drops_events events = { on_changed };

static int set_up(void **state)
{
	(void)state;
	fake_time_reset(1000, 1700000000);
	fake_log_reset();
	directory_new();
	changes = 0;
	make_good_policy(&policy, TEXT);
	make_good_policy(&audit, TEXT "[gateway]\nmode = audit\n");
	assert_int_equal(drops_new(&drops, NULL, directory, &events, &changes), 0);
	drops_follow(drops, &policy);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	drops_free(drops);
	directory_remove();
	policy_free(&policy);
	policy_free(&audit);
	return fake_timers != 0;
}

static void deny(const char *source, const char *target, uint16_t port, uint16_t source_port, bool mid_stream)
{
	drops_add(drops, &(struct denial){ .packet = { .source = make_addr(source),
						       .target = make_addr(target),
						       .protocol = PROTOCOL_TCP,
						       .source_port = source_port,
						       .target_port = port,
						       .mid_stream = mid_stream },
					   .kind = DENIAL_IN });
}

static void test_rows_and_journal(void **state)
{
	const struct drop_table *table = drops_table(drops);

	(void)state;
	deny("10.32.0.50", "192.0.2.25", 8470, 50000, false);
	deny("10.32.0.50", "192.0.2.25", 8470, 50001, false);
	deny("10.32.0.50", "192.0.2.25", 3389, 50001, false);
	assert_int_equal(table->count, 2);
	assert_int_equal(table->items[0].count, 2);
	assert_true(table->items[0].near);
	assert_false(table->items[1].near);
	assert_false(table->items[0].audit);
	assert_int_equal(fake_log_lines, 1);
	assert_true(fake_log_has("denied 10.32.0.50 -> 192.0.2.25 tcp/8470: console-in: source not among ADM") ||
		    fake_log_has("denied 10.32.0.50 -> 192.0.2.25 tcp/8470: console-in: source not in ADM"));
	/* Both directions of a connection that is not tracked are that connection. */
	deny("192.0.2.25", "10.33.0.1", 51000, 3306, true);
	deny("10.33.0.1", "192.0.2.25", 3306, 51000, true);
	assert_int_equal(table->count, 3);
	assert_int_equal(table->items[2].count, 2);
	assert_int_equal(table->items[2].packet.target_port, 3306);
	assert_true(table->items[2].packet.mid_stream);
	assert_true(fake_log_has("denied 10.33.0.1 -> 192.0.2.25 tcp/3306: no flow"));
	drops_follow(drops, &audit);
	deny("10.32.0.51", "192.0.2.25", 8470, 50000, false);
	assert_true(fake_log_has("would deny 10.32.0.51 -> 192.0.2.25 tcp/8470"));
	assert_true(table->items[3].audit);
	/* A line an hour. */
	fake_time_pass(HOUR - 1);
	deny("10.32.0.51", "192.0.2.25", 8470, 50000, false);
	assert_int_equal(fake_log_lines, 3);
	fake_time_pass(1);
	deny("10.32.0.51", "192.0.2.25", 8470, 50000, false);
	assert_int_equal(fake_log_lines, 4);
}

static void test_lines_in_all(void **state)
{
	char source[40];

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		snprintf(source, sizeof(source), "203.0.113.%u", i % 250);
		deny(source, "192.0.2.25", (uint16_t)(9000 + i), 50000, false);
		drops_minute(drops, 0);
	}
	assert_int_equal(fake_log_lines, 60);
	fake_time_pass(HOUR);
	drops_minute(drops, 0);
	drops_minute(drops, 0);
	assert_int_equal(fake_log_lines, 61);
	assert_true(fake_log_has("packets of 190 more sources were denied in the last hour: see spefwctl drops"));
}

/* Told soon, and not for each. */
static void test_changes(void **state)
{
	(void)state;
	fake_time_pass(10000);
	assert_int_equal(changes, 0);
	for (int i = 0; i < 100; i++)
		deny("10.32.0.50", "192.0.2.25", 8470, 50000, false);
	assert_int_equal(changes, 0);
	fake_time_pass(1000);
	assert_int_equal(changes, 1);
	fake_time_pass(10000);
	assert_int_equal(changes, 1);
	deny("10.32.0.50", "192.0.2.25", 8470, 50000, false);
	fake_time_pass(1000);
	assert_int_equal(changes, 2);
}

static void test_unseen(void **state)
{
	(void)state;
	drops_begin(drops, 1000, false);
	assert_int_equal(drops_unseen(drops, 1000), 0);
	deny("10.32.0.50", "192.0.2.25", 8470, 50000, false);
	deny("10.32.0.50", "192.0.2.25", 8470, 50000, false);
	/* Copies that came sooner than the counters were read, and more counted than copied. */
	assert_int_equal(drops_unseen(drops, 1001), 0);
	assert_int_equal(drops_unseen(drops, 1002), 0);
	assert_int_equal(drops_unseen(drops, 1010), 8);
	assert_int_equal(drops_unseen(drops, 0), 0);
}

/* A burst is told of for an hour, and not for as long as the daemon lives. */
static void test_unseen_hour(void **state)
{
	(void)state;
	drops_begin(drops, 1000, false);
	assert_int_equal(drops_unseen_hour(drops, 1000), 0);
	fake_time_pass(HOUR / 60);
	assert_int_equal(drops_unseen_hour(drops, 1900), 900);
	for (unsigned minute = 0; minute < 59; minute++) {
		drops_minute(drops, 1900);
		assert_int_equal(drops_unseen_hour(drops, 1900), 900);
		fake_time_pass(HOUR / 60);
	}
	fake_time_pass(HOUR / 60);
	drops_minute(drops, 1900);
	assert_int_equal(drops_unseen_hour(drops, 1900), 0);
	assert_int_equal(drops_unseen(drops, 1900), 900);
	assert_int_equal(drops_unseen_hour(drops, 1905), 5);
}

static void test_hour(void **state)
{
	struct names_view names = make_names(&policy, "admin.example.net 198.51.100.9");

	(void)state;
	deny("10.32.0.50", "192.0.2.25", 8470, 50000, false);
	deny("10.30.0.50", "192.0.2.25", 3389, 50000, false);
	deny("198.51.100.9", "192.0.2.25", 3389, 50000, false);
	struct drops_hour hour = drops_hour(drops, &names);
	assert_int_equal(hour.sources, 3);
	assert_int_equal(hour.administrators, 2);
	assert_false(hour.more);
	assert_int_equal(drops_hour(drops, NULL).administrators, 1);
	fake_time_pass(HOUR);
	assert_int_equal(drops_hour(drops, &names).sources, 0);
	/* Whose those were that came before it began is not known, for an hour. */
	drops_begin(drops, 1000, true);
	assert_true(drops_hour(drops, &names).more);
	fake_time_pass(HOUR);
	assert_false(drops_hour(drops, &names).more);
	names_view_free(&names);
}

/* For an hour after the mode changed, some were denied and some were not. */
static void test_both_modes(void **state)
{
	(void)state;
	assert_false(drops_hour(drops, NULL).both_modes);
	drops_follow(drops, &policy);
	assert_false(drops_hour(drops, NULL).both_modes);
	drops_follow(drops, &audit);
	fake_time_pass(HOUR - 1);
	assert_true(drops_hour(drops, NULL).both_modes);
	fake_time_pass(1);
	assert_false(drops_hour(drops, NULL).both_modes);
}

static void start_again(const struct policy *with, uint64_t denied, bool late)
{
	drops_free(drops);
	assert_int_equal(drops_new(&drops, NULL, directory, &events, &changes), 0);
	drops_begin(drops, denied, late);
	drops_follow(drops, with);
}

/* Whose they were is known after a restart, and nothing is said to be uncertain that is not. */
static void test_restart(void **state)
{
	(void)state;
	drops_begin(drops, 1000, false);
	deny("10.32.0.50", "192.0.2.25", 8470, 50000, false);
	deny("10.30.0.50", "192.0.2.25", 3389, 50000, false);
	drops_save(drops, 1002);
	start_again(&policy, 1002, true);
	struct drops_hour hour = drops_hour(drops, NULL);
	assert_int_equal(hour.sources, 2);
	assert_int_equal(hour.administrators, 1);
	assert_false(hour.more || hour.both_modes);
	assert_int_equal(drops_unseen_hour(drops, 1002), 0);
	/* The journal has them. */
	unsigned lines = fake_log_lines;
	deny("10.32.0.50", "192.0.2.25", 8470, 50000, false);
	assert_int_equal(fake_log_lines, lines);
	/* Five that were not copied, and then three while none ran. */
	drops_minute(drops, 1008);
	start_again(&audit, 1011, true);
	assert_int_equal(drops_unseen_hour(drops, 1011), 8);
	assert_int_equal(drops_unseen(drops, 1011), 0);
	hour = drops_hour(drops, NULL);
	assert_int_equal(hour.sources, 2);
	assert_true(hour.both_modes && !hour.more);
	drops_save(drops, 1011);
	start_again(&audit, 1011, false);
	assert_true(drops_hour(drops, NULL).both_modes);
	for (unsigned minute = 0; minute <= 60; minute++) {
		fake_time_pass(HOUR / 60);
		drops_minute(drops, 1011);
	}
	start_again(&audit, 1011, false);
	hour = drops_hour(drops, NULL);
	assert_true(hour.sources == 0 && !hour.both_modes && !hour.more);
	assert_int_equal(drops_unseen_hour(drops, 1011), 0);
}

/* What is not known stays so for its hour, over restarts too. */
static void test_restart_unknown(void **state)
{
	(void)state;
	drops_begin(drops, 1000, true);
	drops_save(drops, 1000);
	start_again(&policy, 1000, true);
	assert_true(drops_hour(drops, NULL).more);
	fake_time_pass(HOUR);
	assert_false(drops_hour(drops, NULL).more);
	/* The counters began anew, and a file that is no such file. */
	start_again(&policy, 10, true);
	assert_true(drops_hour(drops, NULL).more);
	directory_write("denials", "damaged\n");
	start_again(&policy, 1000, true);
	assert_true(drops_hour(drops, NULL).more);
	/* Nowhere to save it: that is logged once. */
	directory_hide(true);
	unsigned lines = fake_log_lines;
	drops_save(drops, 1001);
	drops_save(drops, 1002);
	assert_int_equal(fake_log_lines, lines + 1);
	directory_hide(false);
	memstream_fails = true;
	drops_save(drops, 1003);
	memstream_fails = false;
	drops_save(drops, 1003);
	free(directory_read("denials"));
}

static void test_no_memory(void **state)
{
	struct drops *other;

	(void)state;
	fake_timer_fails = 0;
	assert_int_equal(drops_new(&other, NULL, directory, &events, &changes), -ENOMEM);
	fake_timer_fails = -1;
	allocations_left = 0;
	assert_int_equal(drops_new(&other, NULL, directory, &events, &changes), -ENOMEM);
	for (long left = 0; left < 4; left++) {
		allocations_left = left;
		deny("10.32.0.50", "192.0.2.25", 8470, 50000, false);
	}
	allocations_left = -1;
	assert_int_equal(drops_table(drops)->serial, 4);
	drops_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_rows_and_journal), TEST(test_lines_in_all), TEST(test_changes),
		TEST(test_unseen),           TEST(test_hour),         TEST(test_unseen_hour),
		TEST(test_both_modes),       TEST(test_restart),      TEST(test_restart_unknown),
		TEST(test_no_memory)
	};
	return cmocka_run_group_tests_name("gw_drops", tests, NULL, NULL);
}
