/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table's counters over hours, restarts and new tables. */
#include "fake_time.h"
#include "gw_fixture.h"

#include "core/array.h"
#include "gateway/counts.h"
#include "nft/read.h"

#include <errno.h>
#include <sys/stat.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND };

/* The kernel's counters. */
static struct nft_counter kernel[16];
static size_t kernel_count;
static int kernel_error;

int nft_read_counters(struct nft_socket *socket, struct nft_counters *ret)
{
	(void)socket;
	*ret = (struct nft_counters){ 0 };
	if (kernel_error)
		return kernel_error;
	ret->items = malloc(sizeof(kernel));
	if (!ret->items)
		return -ENOMEM;
	memcpy(ret->items, kernel, sizeof(kernel));
	ret->count = kernel_count;
	return 0;
}

static void pass(const char *name, uint64_t packets)
{
	size_t i = 0;

	while (i < kernel_count && strcmp(kernel[i].name, name) != 0)
		i++;
	if (i == kernel_count)
		snprintf(kernel[kernel_count++].name, sizeof(kernel[0].name), "%s", name);
	kernel[i].packets += packets;
	kernel[i].bytes += packets * 60;
}

static struct counts *counts;
static size_t interceptions;

static void on_intercepted(void *userdata)
{
	assert_ptr_equal(userdata, &interceptions);
	interceptions++;
}

static const struct counts_events events = { .intercepted = on_intercepted };

static void begin(void)
{
	assert_int_equal(counts_new(&counts, NULL, directory, &events, &interceptions), 0);
}

/* Another daemon on the same state directory. */
static void restart(void)
{
	counts_free(counts);
	begin();
}

static int setup(void **state)
{
	(void)state;
	fake_time_reset(INT64_C(1000000), INT64_C(1700000000));
	fake_log_reset();
	directory_new();
	kernel_count = 0;
	memset(kernel, 0, sizeof(kernel));
	kernel_error = 0;
	interceptions = 0;
	begin();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	allocations_left = -1;
	counts_free(counts);
	directory_remove();
	return 0;
}

static const char *reasons(void)
{
	struct health health = { 0 };

	counts_reasons(counts, &health);
	return reasons_text(&health);
}

static void sample_minutes(int minutes, const char *counter, uint64_t packets)
{
	for (int i = 0; i < minutes; i++) {
		fake_time_pass(MINUTE);
		pass(counter, packets);
		counts_sample(counts);
	}
}

static void test_interception(void **state)
{
	(void)state;
	pass("intercepted", 5); /* before this daemon was there */
	counts_sample(counts);
	assert_int_equal(interceptions, 0);
	assert_string_equal(reasons(), "");

	pass("intercepted", 1);
	assert_int_equal(counts_read(counts), 0);
	assert_int_equal(interceptions, 1);
	assert_string_equal(reasons(),
			    "intercepted: connections of the server are intercepted by another table: 6 so far\n");

	fake_time_pass(9 * MINUTE);
	pass("intercepted", 1);
	assert_int_equal(counts_read(counts), 0);
	fake_time_pass(10 * MINUTE - 1);
	assert_int_equal(counts_read(counts), 0);
	assert_int_equal(interceptions, 1); /* the same one still */
	assert_string_equal(reasons(),
			    "intercepted: connections of the server are intercepted by another table: 7 so far\n");
	fake_time_pass(1);
	assert_string_equal(reasons(), "");

	pass("intercepted", 1);
	assert_int_equal(counts_read(counts), 0);
	assert_int_equal(interceptions, 2);
	assert_int_equal(fake_log_count(""), 0); /* what intercepts is for others to report */
}

static void test_interception_is_over(void **state)
{
	(void)state;
	counts_sample(counts);
	pass("intercepted", 1);
	assert_int_equal(counts_read(counts), 0);
	pass("intercepted", 1); /* just before the rule went */
	counts_forget_interception(counts);
	assert_string_equal(reasons(), "");
	assert_int_equal(counts_read(counts), 0);
	assert_string_equal(reasons(), "");
	assert_int_equal(counts_packets(counts, "intercepted"), 2);
	assert_int_equal(interceptions, 1);
	pass("intercepted", 1);
	assert_int_equal(counts_read(counts), 0);
	assert_int_equal(interceptions, 2);
}

static void test_unobserved(void **state)
{
	(void)state;
	pass("unobserved", 100);
	counts_sample(counts);
	assert_int_equal(fake_log_count("more DNS queries"), 0);
	for (int i = 0; i < 5; i++) {
		fake_time_pass(MINUTE);
		pass("unobserved", 1);
		counts_sample(counts);
	}
	assert_int_equal(fake_log_count("more DNS queries of the server, or answers to it, than are looked at"), 1);
	assert_string_equal(reasons(), "unobserved: more DNS packets of the server than are looked at (1000 a second): "
				       "105 so far were not: names and patterns may lack addresses\n");
	fake_time_pass(10 * MINUTE);
	assert_string_equal(reasons(), "");
	pass("unobserved", 1);
	counts_sample(counts);
	assert_int_equal(fake_log_count("more DNS queries"), 2);
	assert_int_equal(interceptions, 0);
}

static void test_last_hour(void **state)
{
	(void)state;
	assert_false(counts_sampled(counts));
	pass("denied-in", 1000); /* by the daemon before */
	assert_int_equal(counts_denied_last_hour(counts), 0);
	counts_sample(counts);
	assert_true(counts_sampled(counts));
	assert_int_equal(counts_denied_last_hour(counts), 0);
	sample_minutes(30, "denied-out", 2);
	assert_int_equal(counts_denied_last_hour(counts), 60);
	pass("spoofed", 3); /* not in a sample yet */
	assert_int_equal(counts_read(counts), 0);
	assert_int_equal(counts_denied_last_hour(counts), 63);
	sample_minutes(3 * 60, "denied-early", 1);
	assert_int_equal(counts_denied_last_hour(counts), 60);
	sample_minutes(59, "flow-https-in", 1); /* no denials */
	assert_int_equal(counts_denied_last_hour(counts), 1);
	sample_minutes(1, "flow-https-in", 1);
	assert_int_equal(counts_denied_last_hour(counts), 0);
}

/* What was denied within the hour stays known, with what came while no daemon ran. */
static void test_last_hour_over_restarts(void **state)
{
	(void)state;
	counts_sample(counts);
	sample_minutes(30, "denied-in", 2);
	assert_int_equal(counts_denied_last_hour(counts), 60);
	assert_int_equal(counts_save(counts), 0);
	fake_time_pass(5 * MINUTE);
	pass("denied-in", 7);
	restart();
	assert_false(counts_sampled(counts));
	assert_int_equal(counts_denied_last_hour(counts), 60);
	counts_sample(counts);
	assert_int_equal(counts_denied_last_hour(counts), 67);
	for (int i = 0; i < 100; i++) { /* many starts are not many minutes */
		assert_int_equal(counts_save(counts), 0);
		restart();
		counts_sample(counts);
	}
	assert_int_equal(counts_denied_last_hour(counts), 67);
	sample_minutes(25, "flow-https-in", 1);
	assert_int_equal(counts_denied_last_hour(counts), 67);
	sample_minutes(15, "flow-https-in", 1); /* the first quarter is over */
	assert_int_equal(counts_denied_last_hour(counts), 7 + 15 * 2);

	/* What came in a gap of hours is of nobody knows when. */
	assert_int_equal(counts_save(counts), 0);
	fake_time_pass(3 * 60 * MINUTE);
	pass("denied-in", 1000);
	restart();
	counts_sample(counts);
	assert_int_equal(counts_denied_last_hour(counts), 0);
	/* Counters that begin anew, since their file is damaged, have no hour. */
	pass("denied-in", 5);
	sample_minutes(1, "denied-in", 1);
	assert_int_equal(counts_save(counts), 0);
	directory_write("counters", "damaged");
	restart();
	assert_int_equal(counts_denied_last_hour(counts), 0);
}

static void test_all_kinds_of_denials(void **state)
{
	static const char *const kinds[] = { "denied-in", "denied-out",    "denied-early", "invalid",
					     "spoofed",   "source-routed", "cut" };
	uint64_t expected = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		pass(kinds[i], 1 << i);
		expected += 1 << i;
	}
	pass("intercepted", 1000);
	pass("mid-stream", 1000);
	assert_int_equal(counts_read(counts), 0);
	assert_int_equal(counts_denied(counts), expected);
	assert_int_equal(counts_packets(counts, "cut"), 1 << 6);
	assert_int_equal(counts_packets(counts, "no-such"), 0);
}

static void test_restarts(void **state)
{
	(void)state;
	pass("denied-in", 10);
	counts_sample(counts);
	assert_int_equal(counts_save(counts), 0);
	restart(); /* the table stayed */
	assert_int_equal(counts_packets(counts, "denied-in"), 10);
	pass("denied-in", 1);
	assert_int_equal(counts_read(counts), 0);
	assert_int_equal(counts_packets(counts, "denied-in"), 11);

	counts_restart(counts); /* a new table, which had more packets than the old one before it was first read */
	kernel_count = 0;
	memset(kernel, 0, sizeof(kernel));
	pass("denied-in", 20);
	assert_int_equal(counts_read(counts), 0);
	assert_int_equal(counts_packets(counts, "denied-in"), 31);
	assert_int_equal(fake_log_count(""), 0);
}

static void test_another_boot(void **state)
{
	(void)state;
	pass("denied-in", 10);
	counts_sample(counts);
	assert_int_equal(counts_save(counts), 0);
	char *text = directory_read("counters");
	assert_non_null(text);
	assert_int_equal(strncmp(text, "boot ", 5), 0);
	text[5] ^= 1; /* the identity of this boot is another one now */
	directory_write("counters", text);
	free(text);
	restart();
	assert_int_equal(counts_read(counts), 0);
	assert_int_equal(counts_packets(counts, "denied-in"), 20);
}

static void test_unreadable_kernel(void **state)
{
	(void)state;
	kernel_error = -EIO;
	assert_int_equal(counts_read(counts), -EIO);
	counts_sample(counts);
	assert_false(counts_sampled(counts));
	assert_int_equal(counts_denied_last_hour(counts), 0);
	kernel_error = 0;
	pass("intercepted", 1); /* the start is over all the same */
	counts_sample(counts);
	assert_true(counts_sampled(counts));
	assert_int_equal(interceptions, 1);
	kernel_error = -EIO;
	sample_minutes(5, "denied-in", 1); /* minutes that nobody saw are no minutes */
	kernel_error = 0;
	sample_minutes(1, "denied-in", 1);
	assert_int_equal(counts_denied_last_hour(counts), 6);
}

static void test_unwritable_state(void **state)
{
	char expected[200];

	(void)state;
	counts_sample(counts);
	directory_hide(true);
	for (int i = 0; i < 3; i++)
		assert_int_equal(counts_save(counts), -ENOENT);
	assert_int_equal(fake_log_count("can't save the counters in"), 1);
	snprintf(expected, sizeof(expected), "state-unsaved: the counters can't be saved in %s\n", directory);
	assert_string_equal(reasons(), expected);
	directory_hide(false);
	assert_int_equal(counts_save(counts), 0);
	assert_string_equal(reasons(), "");

	/* As on a full disk: the file of before stays. */
	assert_int_equal(mkdir(directory_path(".counters.new"), 0700), 0);
	pass("denied-in", 1);
	assert_int_equal(counts_read(counts), 0);
	assert_true(counts_save(counts) < 0);
	assert_int_equal(fake_log_count("can't save the counters in"), 2);
	restart();
	assert_int_equal(counts_packets(counts, "denied-in"), 0);
}

static void test_unreadable_state(void **state)
{
	(void)state;
	assert_int_equal(mkdir(directory_path("counters"), 0700), 0);
	restart();
	assert_int_equal(fake_log_count("can't be read, they begin anew"), 1);
	assert_int_equal(counts_packets(counts, "denied-in"), 0);
	pass("denied-in", 4);
	assert_int_equal(counts_read(counts), 0);
	assert_int_equal(counts_packets(counts, "denied-in"), 4);
}

static void test_without_memory(void **state)
{
	struct counts *fresh = NULL;

	(void)state;
	pass("denied-in", 4);
	counts_sample(counts);
	assert_int_equal(counts_save(counts), 0);
	allocations_left = 0;
	assert_int_equal(counts_new(&fresh, NULL, directory, &events, &interceptions), -ENOMEM);
	allocations_left = 1; /* what is in the state directory can't be loaded: it guards all the same */
	assert_int_equal(counts_new(&fresh, NULL, directory, &events, &interceptions), 0);
	allocations_left = -1;
	assert_int_equal(fake_log_count("they begin anew"), 1);
	assert_int_equal(counts_packets(fresh, "denied-in"), 0);
	allocations_left = 1; /* the list, but no room for a counter */
	assert_int_equal(counts_read(fresh), -ENOMEM);
	allocations_left = -1;
	memstream_fails = true;
	assert_int_equal(counts_save(fresh), -ENOMEM);
	memstream_fails = false;
	assert_int_equal(fake_log_count("can't save the counters in"), 1);
	counts_free(fresh);
	counts_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_interception, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interception_is_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unobserved, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_hour, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_hour_over_restarts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_kinds_of_denials, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restarts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_boot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unwritable_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
