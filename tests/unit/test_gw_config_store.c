/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration in force, and the one that is kept for a start with a bad file. */
#include "gw_fixture.h"

#include "fake_time.h"
#include "gateway/config_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SERVER "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53\n"
#define GOOD SERVER "[role ADM]\nmembers = 203.0.113.0/24\n"
#define OTHER SERVER "[role ADM]\nmembers = 203.0.113.0/25\n"
#define BY_FILE SERVER "[role ADM]\nmembers = file:admins.txt\n"
#define BAD "[server]\naddress = nonsense\n"

enum { NOW = 5000, WALL = 1700000000 };

static struct config_store *store;
static char path[128], state_directory[128];
static struct ranges own;
static bool another = true; /* what is reloaded means something else than what is in force */

/* Another daemon on the same files. */
static void begin(void)
{
	config_store_free(store);
	assert_int_equal(config_store_new(&store, path, state_directory), 0);
}

static int setup(void **state)
{
	(void)state;
	fake_log_reset();
	fake_time_reset(NOW, WALL);
	directory_new();
	snprintf(path, sizeof(path), "%s", directory_path("spefw.ini"));
	snprintf(state_directory, sizeof(state_directory), "%s", directory_path("state"));
	assert_int_equal(mkdir(state_directory, 0700), 0);
	own = make_ranges("192.0.2.1");
	store = NULL;
	begin();
	return 0;
}

/* Calls `see` for each file in the state directory. */
static size_t each_file(bool (*wanted)(const char *name), bool remove)
{
	DIR *listing = opendir(state_directory);
	size_t count = 0;

	assert_non_null(listing);
	for (struct dirent *entry; (entry = readdir(listing));) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || !wanted(entry->d_name))
			continue;
		count++;
		if (remove)
			assert_int_equal(unlinkat(dirfd(listing), entry->d_name, 0), 0);
	}
	closedir(listing);
	return count;
}

static bool is_any(const char *name)
{
	return name;
}

static bool is_copy(const char *name)
{
	return strncmp(name, "configuration-", strlen("configuration-")) == 0;
}

static int teardown(void **state)
{
	(void)state;
	allocations_left = -1;
	config_store_free(store);
	ranges_free(&own);
	each_file(is_any, true);
	directory_remove();
	return 0;
}

static const char *reasons(bool removed)
{
	struct health health = { 0 };

	config_store_reasons(store, &own, removed, &health);
	return reasons_text(&health);
}

static const char *remedies(void)
{
	struct health health = { 0 };

	config_store_reasons(store, &own, false, &health);
	return remedies_text(&health);
}

#define assert_reasons(removed, ...)                                 \
	do {                                                         \
		char expected_[512];                                 \
		snprintf(expected_, sizeof(expected_), __VA_ARGS__); \
		assert_string_equal(reasons(removed), expected_);    \
	} while (0)

static bool is_kept(void)
{
	return each_file(is_copy, false) > 0 && access(directory_path("state/history"), F_OK) == 0;
}

static const struct history_entry reloaded = { .how = HISTORY_RELOAD, .by = "root (uid 0)" };

/* What `members` of ADM comes to, the policy in force by it. */
static const char *admins(void)
{
	static char text[RANGE_TEXT_MAX];
	const struct policy *policy = config_store_policy(store);

	for (size_t i = 0; i < policy->role_count; i++)
		if (strcmp(policy->roles[i].name, "ADM") == 0)
			return range_format(&policy->roles[i].members.ranges.items[0], text);
	return "";
}

static void load(const char *text)
{
	directory_write("spefw.ini", text);
	assert_int_equal(config_store_load(store, &own), 0);
}

/* What a reload does. 0 or a negative errno. */
static int reload(const char *text)
{
	struct config_candidate candidate;
	struct diags diags = { 0 };

	directory_write("spefw.ini", text);
	int r = config_store_read(store, &candidate, &own, &diags);
	if (r == 0) {
		assert_false(diags_failed(&diags));
		config_store_take(store, &candidate, another);
		config_store_keep(store, &candidate.archive, &reloaded);
		config_candidate_free(&candidate);
	}
	assert_true(r != -EINVAL || diags_failed(&diags));
	diags_free(&diags);
	return r;
}

static void test_load(void **state)
{
	(void)state;
	load(GOOD);
	assert_string_equal(admins(), "203.0.113.0/24");
	assert_ptr_equal(config_store_policy(store), &config_store_file(store)->policy);
	assert_string_equal(config_store_file(store)->path, path);
	assert_true(config_store_matches_disk(store));
	assert_reasons(false, "%s", "");
	assert_int_equal(fake_log_count(""), 0);
	assert_false(is_kept()); /* whether the kernel takes it is not known yet */
	config_store_save(store);
	assert_false(is_kept());
	config_store_set_in_force(store);
	assert_true(is_kept());
	each_file(is_any, true);
	config_store_save(store); /* once is enough */
	config_store_set_in_force(store);
	assert_false(is_kept());
}

static void test_last_good(void **state)
{
	(void)state;
	directory_write("admins.txt", "203.0.113.128/25\n");
	load(BY_FILE);
	config_store_set_in_force(store);
	assert_int_equal(unlink(directory_path("admins.txt")), 0); /* what it names is kept as well */
	begin();
	directory_write("spefw.ini", BAD);
	assert_int_equal(config_store_load(store, &own), 0);
	assert_string_equal(admins(), "203.0.113.128/25");
	assert_int_equal(fake_log_count("address"), 1); /* what is wrong */
	assert_int_equal(fake_log_count("spefw.ini can't be used: the last good configuration is in force"), 1);
	assert_false(config_store_matches_disk(store));
	assert_reasons(false, "config-refused: %s was refused: a kept copy is in force\n", path);
	assert_reasons(true, "config-refused: %s was refused\n", path);
	assert_string_equal(remedies(), "config-refused: spefwctl check\n");
	config_store_set_in_force(store);

	assert_int_equal(reload(GOOD), 0);
	assert_string_equal(admins(), "203.0.113.0/24");
	assert_reasons(false, "%s", "");
}

static void test_nothing_to_load(void **state)
{
	(void)state;
	assert_int_equal(config_store_load(store, &own), -EINVAL); /* no file at all */
	assert_int_equal(fake_log_count("last good"), 0);
	begin();
	directory_write("spefw.ini", BAD);
	assert_int_equal(config_store_load(store, &own), -EINVAL);
	directory_write("state/history", "something else");
	begin();
	assert_int_equal(config_store_load(store, &own), -EINVAL);
	assert_int_equal(fake_log_count("/state can't be read, it begins anew: Bad message"), 1);
}

static void test_reload(void **state)
{
	(void)state;
	load(GOOD);
	config_store_set_in_force(store);
	const struct policy *policy = config_store_policy(store);
	assert_int_equal(reload(OTHER), 0);
	assert_ptr_equal(config_store_policy(store), policy);
	assert_string_equal(admins(), "203.0.113.0/25");
	assert_true(config_store_matches_disk(store));

	assert_int_equal(reload(BAD), -EINVAL);
	assert_string_equal(admins(), "203.0.113.0/25");
	assert_reasons(false, "config-refused: %s was refused: the old policy stays in force\n", path);
	directory_write("spefw.ini", OTHER); /* it is as on disk again, without a reload */
	assert_true(config_store_matches_disk(store));
	assert_reasons(false, "%s", "");
	directory_write("spefw.ini", GOOD); /* nobody has judged that one */
	assert_reasons(false, "config-changed: %s was changed and is not loaded\n", path);
	assert_string_equal(remedies(), "config-changed: spefwctl reload\n");
	assert_reasons(true, "%s", "");
	directory_write("spefw.ini", BAD);
	begin(); /* that one was kept, not the first */
	assert_int_equal(config_store_load(store, &own), 0);
	assert_string_equal(admins(), "203.0.113.0/25");
}

/* What was in force before comes back by the candidate, for whoever has to compare. */
static void test_take(void **state)
{
	struct config_candidate candidate;
	struct diags diags = { 0 };

	(void)state;
	load(GOOD);
	directory_write("spefw.ini", OTHER);
	assert_int_equal(config_store_read(store, &candidate, &own, &diags), 0);
	diags_free(&diags);
	assert_string_equal(admins(), "203.0.113.0/24"); /* not yet */
	assert_int_equal(candidate.archive.count, 1);
	size_t flows = config_store_policy(store)->flow_count;
	time_t loaded_at = candidate.file.loaded_at;
	const char *old_path = config_store_file(store)->path;
	config_store_take(store, &candidate, true);
	assert_string_equal(admins(), "203.0.113.0/25");
	assert_int_equal(config_store_file(store)->loaded_at, loaded_at);
	assert_ptr_equal(candidate.file.path, old_path);
	assert_int_equal(candidate.file.policy.flow_count, flows);
	assert_false(is_kept());
	config_store_keep(store, &candidate.archive, &reloaded); /* it is in force: at once */
	assert_true(is_kept());
	config_candidate_free(&candidate);
}

static void test_changed_on_disk(void **state)
{
	(void)state;
	directory_write("admins.txt", "203.0.113.128/25\n");
	load(BY_FILE);
	assert_reasons(false, "%s", "");
	directory_write("admins.txt", "203.0.113.0/25\n");
	assert_false(config_store_matches_disk(store));
	assert_reasons(false, "config-changed: %s was changed and is not loaded\n", path);
	directory_write("admins.txt", "203.0.113.128/25\n"); /* and back */
	assert_reasons(false, "%s", "");
	assert_int_equal(unlink(path), 0);
	assert_false(config_store_matches_disk(store));
}

static const char *missing(const char *name, const char *serves)
{
	static char text[300];

	snprintf(text, sizeof(text), "config-missing: %s is missing: %s\n", directory_path(name), serves);
	return text;
}

/* The file, or one that it names: it is missing, whatever else is to be said of it. */
static void test_missing(void **state)
{
	(void)state;
	directory_write("admins.txt", "203.0.113.128/25\n");
	load(BY_FILE);
	config_store_set_in_force(store);
	assert_int_equal(unlink(directory_path("admins.txt")), 0);
	assert_reasons(false, "%s", missing("admins.txt", "the old policy stays in force"));
	assert_int_equal(reload(BY_FILE), -EINVAL);
	assert_reasons(false, "%s", missing("admins.txt", "the old policy stays in force"));
	assert_int_equal(unlink(path), 0);
	assert_reasons(false, "%s", missing("spefw.ini", "the old policy stays in force"));
	assert_reasons(true, "%s", ""); /* nothing is in force, and that file was not asked for */

	begin();
	assert_int_equal(config_store_load(store, &own), 0);
	assert_false(config_store_matches_disk(store));
	assert_reasons(false, "%s", missing("spefw.ini", "a kept copy is in force"));
	char expected[300];
	snprintf(expected, sizeof(expected), "config-missing: put %s back, then spefwctl reload\n", path);
	assert_string_equal(remedies(), expected);
	snprintf(expected, sizeof(expected), "config-missing: %s is missing\n", path);
	assert_reasons(true, "%s", expected);

	/* Another one than what is kept, and then just that. */
	directory_write("spefw.ini", GOOD);
	assert_reasons(false, "config-kept: a kept copy of %s is in force, not as on disk\n", path);
	assert_string_equal(remedies(), "config-kept: spefwctl reload\n");
	directory_write("spefw.ini", BY_FILE);
	assert_reasons(false, "%s", missing("admins.txt", "a kept copy is in force"));
	directory_write("admins.txt", "203.0.113.128/25\n");
	assert_reasons(false, "%s", "");
	assert_true(config_store_matches_disk(store));
}

/* One more for each policy that comes into force, and for a clear; on, over restarts. */
static void test_generation(void **state)
{
	(void)state;
	load(GOOD);
	assert_int_equal(config_store_generation(store), 0);
	config_store_set_in_force(store);
	assert_int_equal(config_store_generation(store), 1);
	config_store_set_in_force(store);
	assert_int_equal(config_store_generation(store), 1);
	assert_int_equal(reload(OTHER), 0);
	assert_int_equal(config_store_generation(store), 2);
	another = false;
	assert_int_equal(reload(OTHER "; a remark\n"), 0); /* it means the same */
	another = true;
	assert_int_equal(reload(BAD), -EINVAL);
	assert_int_equal(config_store_generation(store), 2);

	begin(); /* the kept one was in force before */
	assert_int_equal(config_store_load(store, &own), 0);
	assert_int_equal(config_store_generation(store), 2);
	config_store_set_in_force(store);
	assert_int_equal(config_store_generation(store), 2);

	config_store_clear(store);
	config_store_clear(store);
	assert_int_equal(config_store_generation(store), 3);
	another = false;
	assert_int_equal(reload(OTHER), 0); /* it comes into force again */
	another = true;
	assert_int_equal(config_store_generation(store), 4);
	config_store_clear(store);
	begin();
	load(OTHER);
	config_store_set_in_force(store);
	assert_int_equal(config_store_generation(store), 6);
	begin();
	load(GOOD); /* edited while no daemon ran */
	config_store_set_in_force(store);
	assert_int_equal(config_store_generation(store), 7);
}

static void test_generation_file(void **state)
{
	static const char *const damaged[] = { "", "7\n", "7 ab", "7 ab\nx", "x ab\n", "99999999999999999999 ab\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		directory_write("state/generation", damaged[i]);
		fake_log_reset();
		begin();
		load(GOOD);
		assert_int_equal(fake_log_count("it begins at 1"), 1);
		config_store_set_in_force(store);
		assert_int_equal(config_store_generation(store), 1);
	}
	directory_hide(true);
	config_store_clear(store);
	config_store_save(store);
	assert_int_equal(fake_log_count("can't save the generation in"), 1);
	directory_hide(false);
	config_store_save(store);
	begin();
	load(GOOD);
	assert_int_equal(config_store_generation(store), 2);
}

static void test_own_address(void **state)
{
	struct ranges moved = make_ranges("192.0.2.1 192.0.2.25");
	bool changed;

	(void)state;
	load(GOOD);
	config_store_set_in_force(store);
	assert_int_equal(config_store_leave_out(store, &own, &changed), 0);
	assert_false(changed);
	ranges_free(&own);
	own = moved;
	assert_int_equal(config_store_leave_out(store, &own, &changed), 0);
	assert_true(changed);
	assert_int_equal(config_store_policy(store)->roles[0].guarded.count, 0);
	assert_reasons(false, "own-address: 192.0.2.25 is this gateway's own address: it is not guarded\n");
	assert_int_equal(reload(GOOD), -EINVAL);        /* nobody may save that again */
	assert_false(config_store_matches_disk(store)); /* though it reads the same */

	begin(); /* at the start, the last good one serves, without that address */
	assert_int_equal(config_store_load(store, &own), 0);
	assert_int_equal(fake_log_count("192.0.2.25 is this gateway's own address"), 1);
	assert_int_equal(config_store_policy(store)->roles[0].guarded.count, 0);
	assert_reasons(false,
		       "config-refused: %s was refused: a kept copy is in force\n"
		       "own-address: 192.0.2.25 is this gateway's own address: it is not guarded\n",
		       path);
	ranges_free(&own);
	own = make_ranges("192.0.2.1");
	assert_int_equal(config_store_leave_out(store, &own, &changed), 0);
	assert_true(changed);
	assert_int_equal(config_store_policy(store)->roles[0].guarded.count, 1);
}

static void test_unwritable_state(void **state)
{
	(void)state;
	load(GOOD);
	assert_int_equal(rmdir(state_directory), 0);
	config_store_set_in_force(store);
	config_store_save(store);
	config_store_save(store);
	assert_int_equal(fake_log_count("can't keep the configuration in"), 1);
	assert_reasons(false, "config-unsaved: the configuration can't be kept in %s for a start with a bad file\n",
		       state_directory);
	assert_int_equal(reload(OTHER), 0);
	assert_int_equal(fake_log_count("can't keep the configuration in"), 1);
	assert_int_equal(mkdir(state_directory, 0700), 0);
	config_store_save(store);
	assert_true(is_kept());
	assert_reasons(false, "%s", "");
	begin();
	directory_write("spefw.ini", BAD);
	assert_int_equal(config_store_load(store, &own), 0);
	assert_string_equal(admins(), "203.0.113.0/25"); /* the newest */
}

static void test_warnings(void **state)
{
	struct diags diags = { 0 };

	(void)state;
	diag_warning(&diags, "a.ini", 3, "unwise");
	diag_error(&diags, "a.ini", 4, "wrong");
	diags_log(&diags);
	diags_free(&diags);
	assert_int_equal(fake_log_count("a.ini:3: "), 1);
	assert_int_equal(fake_log_count("a.ini:4: wrong"), 1);
}

static void test_without_memory(void **state)
{
	struct config_store *fresh = NULL;
	struct config_candidate candidate;
	struct diags diags = { 0 };
	long left = 0;
	int r = -ENOMEM;

	(void)state;
	allocations_left = 0;
	assert_int_equal(config_store_new(&fresh, path, state_directory), -ENOMEM);
	directory_write("spefw.ini", GOOD);
	for (; r < 0; left++) { /* each allocation fails in turn */
		allocations_left = -1;
		begin();
		allocations_left = left;
		r = config_store_load(store, &own);
		allocations_left = -1;
	}
	assert_true(left > 50);
	config_store_set_in_force(store);
	directory_write("spefw.ini", OTHER);
	for (r = -ENOMEM, left = 0; r < 0; left++) {
		allocations_left = left;
		r = config_store_read(store, &candidate, &own, &diags);
		allocations_left = -1;
		diags_free(&diags);
		assert_string_equal(admins(), "203.0.113.0/24");
	}
	allocations_left = 0;
	config_store_take(store, &candidate, true); /* needs none */
	allocations_left = -1;
	memstream_fails = true;
	config_store_keep(store, &candidate.archive, &reloaded);
	memstream_fails = false;
	assert_int_equal(fake_log_count("out of memory: the configuration is not kept in"), 1);
	assert_reasons(false, "config-unsaved: the configuration can't be kept in %s for a start with a bad file\n",
		       state_directory);
	config_store_keep(store, &candidate.archive, &reloaded);
	assert_reasons(false, "%s", "");
	config_candidate_free(&candidate);
	config_store_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_load, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_good, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_to_load, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_take, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changed_on_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_generation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_generation_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unwritable_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_warnings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
