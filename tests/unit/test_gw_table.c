/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our table in the kernel, on a kernel and a clock that the test has in its hands. */
#include "fake_log.h"
#include "fake_nft.h"
#include "fake_time.h"
#include "core/ruleset_compare.h"
#include "fake_nft_parts.h"
#include "gateway/table.h"
#include "make.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <sys/socket.h>
#include <unistd.h>

#define BASE "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53\n"
#define NAMED BASE "[flow ftp]\nfrom = SERVER\nto = a.example.net b.example.net\nprotocol = tcp\nport = 990\n"
#define MORE NAMED "[role ADM]\nmembers = 203.0.113.0/24\n"

enum { NOW = 1000, WALL = 1700000000, SLACK = 500 };

/* What the table reported, and how many batches the kernel had by then. */
static struct {
	int changed, foreign_changed, ending, restarted, settled, settled_r;
	size_t batches_at_end, batches_at_restart;
} reported;

static void on_changed(void *userdata)
{
	assert_ptr_equal(userdata, &reported);
	reported.changed++;
}

static void on_foreign(void *userdata)
{
	assert_ptr_equal(userdata, &reported);
	reported.foreign_changed++;
}

static void on_ending(void *userdata)
{
	assert_ptr_equal(userdata, &reported);
	reported.ending++;
	reported.batches_at_end = fake_nft.batches;
}

static void on_restarted(void *userdata)
{
	assert_ptr_equal(userdata, &reported);
	reported.restarted++;
	reported.batches_at_restart = fake_nft.batches;
}

static void on_settled(void *userdata, int r)
{
	assert_ptr_equal(userdata, &reported);
	reported.settled++;
	reported.settled_r = r;
}

static int open_table(struct table **ret, int stored_fd)
{
	struct table_events events = { on_changed, on_foreign, on_ending, on_restarted, on_settled };

	memset(&reported, 0, sizeof(reported));
	return table_open(ret, NULL, stored_fd, &events, &reported);
}

static struct table *a_table(void)
{
	struct table *table = NULL;

	assert_int_equal(open_table(&table, -1), 0);
	return table;
}

/* What the judge was asked, and what it says. */
static struct {
	bool refuses_first, refuses;
	unsigned prepared, changed;
	bool unknown; /* without memory */
	struct ruleset foreseen;
} asked;

static bool may_prepare(void *userdata, const struct ruleset *before, const struct ruleset *after)
{
	assert_ptr_equal(userdata, &asked);
	assert_non_null(before);
	asked.prepared++;
	asked.unknown |= !after;
	return !asked.refuses_first;
}

static bool may_become(void *userdata, const struct ruleset *wanted, const struct ruleset *after)
{
	assert_ptr_equal(userdata, &asked);
	assert_non_null(wanted);
	asked.changed++;
	asked.unknown |= !after;
	ruleset_free(&asked.foreseen);
	long left = fake_nft_pause_failing();
	if (after)
		fake_nft_copy(&asked.foreseen, after);
	fake_nft_resume_failing(left);
	return !asked.refuses;
}

static const struct table_judge table_judge = { may_prepare, may_become, &asked };

static int reset(void **state)
{
	(void)state;
	fake_nft_reset();
	fake_time_reset(NOW, WALL);
	fake_log_reset();
	allocations_left = -1;
	memset(&asked, 0, sizeof(asked));
	return 0;
}

static int nothing_left(void **state)
{
	(void)state;
	assert_int_equal(fake_nft.open, 0);
	assert_int_equal(fake_timers, 0);
	fake_nft_reset();
	ruleset_free(&asked.foreseen);
	return 0;
}

static struct ruleset wanted_of(const char *config, const char *names)
{
	struct ruleset ruleset;
	struct policy policy;

	make_good_policy(&policy, config);
	struct names_view view = make_names(&policy, names);
	assert_int_equal(make_ruleset(&ruleset, &policy, &view), 0);
	names_view_free(&view);
	policy_free(&policy);
	return ruleset;
}

static int commit(struct table *table, const char *config, const char *names, bool *ret_replaced)
{
	struct ruleset wanted = wanted_of(config, names);
	char *text = ruleset_text(&wanted, now_ms());

	int r = table_commit(table, &wanted, SLACK, &table_judge, ret_replaced);
	if (r == 0) {
		/* what was judged is what the kernel has now */
		assert_null(ruleset_find_altered(&asked.foreseen, &fake_nft.table));
		assert_null(ruleset_find_altered(&fake_nft.table, &asked.foreseen));
		assert_int_equal(wanted.chains.count, 0);
		assert_int_equal(wanted.strings.count, 0);
		assert_true(table_current(table)->chains.count);
	} else {
		char *after = ruleset_text(&wanted, now_ms());
		assert_string_equal(after, text);
		free(after);
	}
	free(text);
	ruleset_free(&wanted);
	return r;
}

/* Compares what the kernel holds with what the policy is, whatever the order of its things. */
static void assert_kernel(const char *config, const char *names)
{
	struct ruleset wanted = wanted_of(config, names);

	for (size_t i = 0; i < wanted.counters.count; i++)
		assert_true(ruleset_has_counter(&fake_nft.table, wanted.counters.items[i]));
	for (size_t i = 0; i < wanted.sets.count; i++) {
		const struct set *set = &wanted.sets.items[i], *there = ruleset_find_set(&fake_nft.table, set->name);
		assert_non_null(there);
		assert_int_equal(there->count, set->count);
		for (size_t e = 0; e < set->count; e++)
			assert_int_equal(element_compare(&there->items[e], &set->items[e], KEY_SIZE_MAX), 0);
	}
	assert_int_equal(fake_nft.table.chains.count, wanted.chains.count);
	for (size_t i = 0; i < wanted.chains.count; i++) {
		const struct chain *chain = &wanted.chains.items[i],
				   *there = ruleset_find_chain(&fake_nft.table, chain->name);
		assert_non_null(there);
		assert_int_equal(there->count, chain->count);
		for (size_t r = 0; r < chain->count; r++)
			assert_true(rule_equal(&there->items[r], &chain->items[r]));
	}
	ruleset_free(&wanted);
}

static void bring_up(struct table *table, const char *config, const char *names)
{
	bool replaced;

	assert_int_equal(table_read(table), 0);
	assert_int_equal(commit(table, config, names, &replaced), 0);
	assert_false(replaced);
	assert_true(table_is_known(table));
}

static void test_built(void **state)
{
	struct table *table = a_table();

	(void)state;
	assert_false(table_is_known(table));
	bring_up(table, NAMED, "a.example.net 198.51.100.1");
	assert_kernel(NAMED, "a.example.net 198.51.100.1");
	struct table_figures figures = table_figures(table);
	assert_int_equal(figures.commits, 1);
	assert_int_equal(figures.repaired, 0);
	assert_string_equal(figures.last_repair, "");
	assert_true(figures.owned);
	assert_int_equal(fake_nft.owner, FAKE_NFT_PORT);
	assert_int_equal(reported.ending + reported.restarted, 0);
	/* nothing to send, nothing sent */
	bool replaced;
	size_t batches = fake_nft.batches;
	assert_int_equal(commit(table, NAMED, "a.example.net 198.51.100.1", &replaced), 0);
	assert_int_equal(fake_nft.batches, batches);
	assert_int_equal(table_figures(table).commits, 1);
	table_free(table);
	assert_true(fake_nft.exists);
}

/* The next daemon takes it over: by another socket the orphan gets an owner again. */
static void test_adopted(void **state)
{
	struct table *table = a_table();

	(void)state;
	bring_up(table, NAMED, "a.example.net 198.51.100.1");
	table_free(table);
	fake_nft.owner = 0;
	table = a_table();
	bring_up(table, NAMED, "a.example.net 198.51.100.1 198.51.100.2");
	assert_kernel(NAMED, "a.example.net 198.51.100.1 198.51.100.2");
	assert_int_equal(fake_nft.owner, FAKE_NFT_PORT);
	assert_int_equal(reported.ending + reported.restarted, 0);
	table_free(table);

	/* as it was left, it is taken over without a change */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(open_table(&table, fd), 0);
	uint64_t handle = 0;
	size_t batches = fake_nft.batches;
	bring_up(table, NAMED, "a.example.net 198.51.100.1 198.51.100.2");
	assert_int_equal(fake_nft.batches, batches);
	assert_int_equal(table_rule_handle(table, "judge", 0, &handle), 0);
	assert_int_equal(handle, ruleset_find_chain(&fake_nft.table, "judge")->items[0].handle);
	assert_int_equal(fake_nft.calls[FAKE_NFT_READ_CHAIN], 0);
	assert_int_equal(mnl_socket_get_fd(table_socket(table)->writer), fd);
	table_free(table);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* What was done to the rules of an orphan is mended, and no other rule is written. */
static void test_altered_orphan(void **state)
{
	uint64_t last = 0;

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct table *table = a_table();
		fake_nft.owner = 0;
		bring_up(table, NAMED, "");
		table_free(table);
		fake_nft.owner = 0;
		struct chain *judge = ruleset_find_chain(&fake_nft.table, "judge");
		if (i == 1)
			free(judge->items[--judge->count].items);
		else if (i == 2)
			judge->items[0].count--;
		else if (i == 3)
			judge->altered = true;
		else if (i == 4)
			judge->items[0].items[0].kind = TERM_ACTION;
		last = fake_nft.handle;
		fake_log_reset();
		table = a_table();
		bring_up(table, NAMED, "");
		assert_kernel(NAMED, "");
		judge = ruleset_find_chain(&fake_nft.table, "judge");
		assert_int_equal(fake_nft.handle - last, i ? judge->count : 0);
		assert_int_equal(fake_log_has("chain judge"), i == 3);
		table_free(table);
	}
}

static void test_another_owner(void **state)
{
	struct table *table = a_table();

	(void)state;
	fake_nft.exists = true;
	fake_nft.owner = 77;
	assert_int_equal(table_read(table), -EBUSY);
	assert_false(table_is_known(table));
	assert_non_null(strstr(table_reason(table, -EBUSY), "netlink port 77"));
	assert_int_equal(fake_nft.batches, 0);
	/* the words of the last failure are not those of the next one */
	fake_nft_fail(FAKE_NFT_READ_INFO, 0, 1, -EPERM);
	assert_int_equal(table_read(table), -EPERM);
	assert_non_null(strstr(table_reason(table, -EPERM), strerror(EPERM)));
	fake_nft.owner = 0;
	fake_nft.layout = TABLE_LAYOUT;
	fake_nft.flags = TABLE_OWNED;
	assert_int_equal(table_read(table), 0);
	assert_string_equal(table_reason(table, -ENOMEM), strerror(ENOMEM));
	table_free(table);
}

static void test_replaced(void **state)
{
	static const struct {
		uint32_t flags;
		int layout;
		bool foreign;
		const char *logged;
	} cases[] = {
		{ TABLE_OWNED | NFT_TABLE_F_DORMANT, TABLE_LAYOUT, false, "put to sleep" },
		{ TABLE_OWNED | 0x100, TABLE_LAYOUT, false, "flags of another program" },
		{ TABLE_OWNED, TABLE_LAYOUT + 1, false, "another layout" },
		{ 0, TABLE_LAYOUT, false, "can't be owned" },
		{ TABLE_OWNED, TABLE_LAYOUT, true, "not of our making" },
	};
	struct table *table;
	bool replaced;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		fake_log_reset();
		fake_nft.exists = true;
		fake_nft.flags = cases[i].flags;
		fake_nft.owner = 0;
		fake_nft.layout = cases[i].layout;
		fake_nft.foreign = cases[i].foreign;
		table = a_table();
		assert_int_equal(table_read(table), 0);
		assert_true(fake_log_has(cases[i].logged));
		size_t batches = fake_nft.batches;
		assert_int_equal(commit(table, NAMED, "", &replaced), 0);
		assert_true(replaced);
		assert_kernel(NAMED, "");
		assert_int_equal(fake_nft.batches, batches + 1);
		assert_int_equal(reported.ending, 1);
		assert_int_equal(reported.restarted, 1);
		assert_int_equal(reported.batches_at_end, batches);
		assert_int_equal(reported.batches_at_restart, batches + 1);
		/* and is then known as it is */
		assert_int_equal(commit(table, MORE, "", &replaced), 0);
		assert_false(replaced);
		assert_int_equal(reported.ending, 1);
		table_free(table);
	}
	/* what was found at first does not count any more where it is read again */
	fake_nft.flags |= NFT_TABLE_F_DORMANT;
	table = a_table();
	assert_int_equal(table_read(table), 0);
	fake_nft_flush();
	bring_up(table, NAMED, "");
	assert_int_equal(reported.ending, 0);
	table_free(table);
	/* where no table can be owned, one without an owner is as it should be */
	fake_nft.abilities.owner = false;
	fake_nft.flags = fake_nft.owner = 0;
	table = a_table();
	bring_up(table, NAMED, "");
	assert_false(table_figures(table).owned);
	assert_int_equal(fake_nft.owner, 0);
	table_free(table);
}

/* A set of ours in another form shows only when it is compared. */
static void test_another_form(void **state)
{
	struct table *table = a_table();
	bool replaced;

	(void)state;
	bring_up(table, NAMED, "");
	ruleset_find_set(&fake_nft.table, "name_a.example.net_4")->flags = SET_INTERVAL;
	assert_int_equal(table_read(table), 0);
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 1, -ENOBUFS);
	assert_int_equal(commit(table, NAMED, "", &replaced), -ENOBUFS);
	assert_false(replaced);
	assert_false(table_is_known(table));
	assert_int_equal(reported.ending, 1);
	assert_int_equal(reported.restarted, 0);
	assert_int_equal(table_read(table), 0);
	assert_int_equal(commit(table, NAMED, "", &replaced), 0);
	assert_true(replaced);
	assert_int_equal(reported.ending, 2);
	assert_int_equal(reported.restarted, 1);
	assert_kernel(NAMED, "");
	table_free(table);
}

/* The rules of a new chain are in force before anything leads there. */
static void test_two_batches(void **state)
{
	struct table *table = a_table();
	bool replaced;

	(void)state;
	bring_up(table, BASE, "");
	size_t batches = fake_nft.batches;
	assert_int_equal(commit(table, MORE, "", &replaced), 0);
	assert_int_equal(fake_nft.batches, batches + 2);
	assert_int_equal(table_figures(table).commits, 2);
	assert_kernel(MORE, "");
	/* the second one fails: what the kernel holds is not known */
	fake_nft_fail(FAKE_NFT_COMMIT, 1, 1, -EBUSY);
	assert_int_equal(table_read(table), 0);
	assert_int_equal(commit(table, MORE "[flow x]\nfrom = ADM\nto = SERVER\nprotocol = tcp\nport = 77\n", "",
				&replaced),
			 -EBUSY);
	assert_int_equal(fake_nft.batches, batches + 3);
	assert_false(table_is_known(table));
	assert_int_equal(table_figures(table).commits, 2);
	table_free(table);
}

static int64_t deadline_of(const struct ruleset *ruleset, const char *set)
{
	return ruleset_find_set(ruleset, set)->items[0].deadline_ms;
}

static int commit_until(struct table *table, int64_t deadline_ms)
{
	struct ruleset wanted = wanted_of(NAMED, "a.example.net 198.51.100.1");
	bool replaced;

	ruleset_find_set(&wanted, "name_a.example.net_4")->items[0].deadline_ms = deadline_ms;
	return table_commit(table, &wanted, SLACK, &table_judge, &replaced);
}

static void test_slack(void **state)
{
	struct table *table = a_table();

	(void)state;
	assert_int_equal(table_read(table), 0);
	assert_int_equal(commit_until(table, 50000), 0);
	size_t batches = fake_nft.batches;
	assert_int_equal(commit_until(table, 50000 + SLACK), 0);
	assert_int_equal(fake_nft.batches, batches);
	assert_int_equal(deadline_of(table_current(table), "name_a.example.net_4"), 50000);
	assert_int_equal(commit_until(table, 50001 + SLACK), 0);
	assert_int_equal(fake_nft.batches, batches + 1);
	assert_int_equal(deadline_of(&fake_nft.table, "name_a.example.net_4"), 50001 + SLACK);
	table_free(table);
}

static void test_retired(void **state)
{
	struct table *table = a_table();
	bool replaced;

	(void)state;
	bring_up(table, MORE, "a.example.net 198.51.100.1");
	assert_int_equal(commit(table, BASE, "", &replaced), 0);
	assert_non_null(ruleset_find_set(&fake_nft.table, "name_a.example.net_4"));
	fake_time_pass(999);
	assert_non_null(ruleset_find_set(&fake_nft.table, "name_a.example.net_4"));
	assert_int_equal(reported.settled, 0);
	/* another change begins the second again, and what was left behind before it goes first */
	assert_int_equal(commit(table, NAMED, "b.example.net 198.51.100.2", &replaced), 0);
	assert_false(replaced);
	assert_kernel(NAMED, "b.example.net 198.51.100.2");
	assert_int_equal(commit(table, BASE, "", &replaced), 0);
	fake_time_pass(999);
	assert_int_equal(reported.settled, 0);
	fake_time_pass(1);
	assert_int_equal(reported.settled, 1);
	assert_int_equal(reported.settled_r, 0);
	assert_null(ruleset_find_set(&fake_nft.table, "name_a.example.net_4"));
	assert_null(ruleset_find_set(table_current(table), "name_a.example.net_4"));
	assert_true(table_is_known(table));
	fake_time_pass(60000);
	assert_int_equal(reported.settled, 1);
	table_free(table);
}

static void test_retiring_fails(void **state)
{
	struct table *table = a_table();
	bool replaced;

	(void)state;
	bring_up(table, NAMED, "");
	assert_int_equal(commit(table, BASE, "", &replaced), 0);
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 1, -EBUSY);
	fake_time_pass(1000);
	assert_int_equal(reported.settled, 1);
	assert_int_equal(reported.settled_r, -EBUSY);
	assert_false(table_is_known(table));
	/* what is not known is left alone, and no failure */
	bring_up(table, BASE, "");
	size_t batches = fake_nft.batches;
	fake_nft_notice("set deleted x");
	fake_time_pass(1000);
	assert_int_equal(reported.settled, 2);
	assert_int_equal(reported.settled_r, 0);
	assert_int_equal(fake_nft.batches, batches);
	/* before a change it fails that change, and nothing of it is sent */
	bring_up(table, NAMED, "");
	assert_int_equal(commit(table, BASE, "", &replaced), 0);
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 1, -ENOENT);
	batches = fake_nft.batches;
	assert_int_equal(commit(table, MORE, "", &replaced), -ENOENT);
	assert_false(table_is_known(table));
	assert_int_equal(fake_nft.batches, batches);
	table_free(table);
}

static struct ruleset sets_of(struct table *table, const char *names)
{
	struct ruleset wanted;
	struct policy policy;

	make_good_policy(&policy, NAMED);
	struct names_view view = make_names(&policy, names);
	assert_int_equal(compile_names(&wanted, table_current(table), &policy, &view), 0);
	names_view_free(&view);
	policy_free(&policy);
	return wanted;
}

static void test_sets(void **state)
{
	struct table *table = a_table();

	(void)state;
	bring_up(table, NAMED, "a.example.net 198.51.100.1;b.example.net 198.51.100.9");
	size_t batches = fake_nft.batches;
	struct ruleset wanted = sets_of(table, "a.example.net 198.51.100.2 198.51.100.3;b.example.net 198.51.100.9");
	assert_int_equal(table_commit_sets(table, &wanted, SLACK, &table_judge), 0);
	assert_int_equal(wanted.sets.count, 0);
	assert_int_equal(fake_nft.batches, batches + 1);
	assert_kernel(NAMED, "a.example.net 198.51.100.2 198.51.100.3;b.example.net 198.51.100.9");
	assert_int_equal(ruleset_find_set(table_current(table), "name_a.example.net_4")->count, 2);
	assert_int_equal(table_figures(table).commits, 1);
	/* the same again is nothing to send */
	wanted = sets_of(table, "a.example.net 198.51.100.2 198.51.100.3;b.example.net 198.51.100.9");
	assert_int_equal(table_commit_sets(table, &wanted, SLACK, &table_judge), 0);
	assert_int_equal(fake_nft.batches, batches + 1);
	/* another program has deleted one of them */
	ruleset_find_set(&fake_nft.table, "name_a.example.net_4")->count = 1;
	wanted = sets_of(table, "");
	assert_int_equal(table_commit_sets(table, &wanted, SLACK, &table_judge), -ENOENT);
	assert_true(wanted.sets.count);
	ruleset_free(&wanted);
	assert_false(table_is_known(table));
	assert_non_null(strstr(table_reason(table, -ENOENT), strerror(ENOENT)));
	bring_up(table, NAMED, "");
	assert_kernel(NAMED, "");
	table_free(table);
}

/* A failed change: what was wanted stays the caller's (commit() looks at that), and the next one goes by what the
 * kernel holds, be the change in force or not. */
static void test_commit_fails(void **state)
{
	bool replaced;

	(void)state;
	for (int late = 0; late < 2; late++) {
		struct table *table = a_table();
		bring_up(table, BASE, "");
		fake_nft.fails_late = late;
		fake_nft_fail(FAKE_NFT_COMMIT, late, 1, -EIO);
		assert_int_equal(commit(table, MORE, "", &replaced), -EIO);
		assert_false(table_is_known(table));
		assert_non_null(strstr(table_reason(table, -EIO), "fake kernel refused"));
		bring_up(table, MORE, "");
		assert_kernel(MORE, "");
		table_free(table);
		fake_nft_flush();
	}
	struct table *table = a_table();
	bring_up(table, BASE, "");
	fake_nft_fail(FAKE_NFT_READ_TABLE, 0, 1, -EINTR);
	assert_int_equal(table_read(table), -EINTR);
	assert_false(table_is_known(table));
	bring_up(table, BASE, "");
	table_free(table);
}

/* The table is gone before any notice of it. */
static void test_faster_than_its_notice(void **state)
{
	struct table *table = a_table();
	bool replaced;

	(void)state;
	bring_up(table, NAMED, "");
	fake_nft_flush();
	assert_int_equal(commit(table, MORE, "", &replaced), -ENOENT);
	assert_false(table_is_known(table));
	bring_up(table, MORE, "");
	assert_kernel(MORE, "");
	table_free(table);
}

static void test_changed_by_others(void **state)
{
	struct table *table = a_table();

	(void)state;
	bring_up(table, NAMED, "");
	fake_time_pass(5000);
	fake_nft_notice("rule added to chain forward, by nft");
	fake_nft_notice("set deleted cut_4, by evil");
	assert_int_equal(reported.changed, 0); /* other notices that are waiting come first */
	assert_false(table_is_known(table));
	assert_int_not_equal(fake_nft.monitor_priority, SD_EVENT_PRIORITY_NORMAL);
	assert_true(fake_log_has("rule added to chain forward, by nft: it is repaired"));
	fake_time_pass(0);
	assert_int_equal(reported.changed, 1);
	struct table_figures figures = table_figures(table);
	assert_int_equal(figures.repaired, 2);
	assert_string_equal(figures.last_repair, "set deleted cut_4, by evil");
	bring_up(table, NAMED, "");
	fake_time_pass(999);
	assert_int_not_equal(fake_nft.monitor_priority, SD_EVENT_PRIORITY_NORMAL);
	fake_time_pass(1);
	assert_int_equal(fake_nft.monitor_priority, SD_EVENT_PRIORITY_NORMAL);
	assert_int_equal(reported.changed, 1);
	/* it was repaired for another reason by then */
	fake_nft_notice("table deleted");
	bring_up(table, NAMED, "");
	fake_time_pass(0);
	assert_int_equal(reported.changed, 1);
	/* lost ones are no repair that counts */
	fake_nft_notice(NULL);
	fake_time_pass(0);
	assert_int_equal(reported.changed, 2);
	assert_int_equal(reported.foreign_changed, 1);
	assert_true(fake_log_has("notices of changes were lost"));
	figures = table_figures(table);
	assert_int_equal(figures.repaired, 3);
	assert_string_equal(figures.last_repair, "table deleted");
	fake_nft_foreign_notice();
	assert_int_equal(reported.foreign_changed, 2);
	table_free(table);
}

static void test_drained(void **state)
{
	struct table *table = a_table();

	(void)state;
	bring_up(table, NAMED, "");
	assert_false(table_drain(table));
	fake_nft_queue_notice("table deleted");
	assert_true(table_is_known(table));
	assert_true(table_drain(table));
	assert_false(table_is_known(table));
	assert_false(table_drain(table));
	table_free(table);
}

static void test_removed(void **state)
{
	struct table *table = a_table();
	bool removed;

	(void)state;
	bring_up(table, NAMED, "");
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 1, -EPERM);
	assert_int_equal(table_remove(table, &removed), -EPERM);
	assert_false(table_is_removed(table));
	assert_true(table_is_known(table));
	assert_int_equal(reported.restarted, 0);
	reported.ending = 0;
	assert_int_equal(table_remove(table, &removed), 0);
	assert_true(removed);
	assert_true(table_is_removed(table));
	assert_false(table_is_known(table));
	assert_false(fake_nft.exists);
	assert_int_equal(reported.ending, 1);
	assert_int_equal(reported.batches_at_end, 1);
	assert_int_equal(reported.restarted, 1);
	assert_int_equal(reported.batches_at_restart, 2);
	assert_int_equal(table_current(table)->chains.count, 0);
	assert_int_equal(table_figures(table).commits, 2);
	assert_true(fake_log_has("removed on request"));
	/* whoever builds one of that name now */
	fake_nft_notice("table changed");
	fake_time_pass(0);
	assert_int_equal(reported.changed, 0);
	assert_int_equal(table_figures(table).repaired, 0);
	fake_time_pass(1000);
	assert_int_equal(reported.settled_r, 0);
	assert_int_equal(table_remove(table, &removed), 0);
	assert_false(removed);
	assert_int_equal(reported.ending, 1);
	/* a failed reload leaves it removed, one that works does not */
	bool replaced;
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 1, -EPERM);
	assert_int_equal(table_read(table), 0);
	assert_int_equal(commit(table, NAMED, "", &replaced), -EPERM);
	assert_true(table_is_removed(table));
	bring_up(table, NAMED, "");
	assert_false(table_is_removed(table));
	fake_nft_notice("table changed");
	fake_time_pass(0);
	assert_int_equal(reported.changed, 1);
	fake_nft_fail(FAKE_NFT_READ_INFO, 0, 1, -EINTR);
	assert_int_equal(table_remove(table, &removed), -EINTR);
	assert_false(table_is_removed(table));
	table_free(table);
}

static void assert_reason(const struct table *table, int code, const char *text)
{
	struct health health = { 0 };

	table_reasons(table, true, &health);
	assert_int_equal(health.reasons.count, code >= 0);
	if (code >= 0) {
		assert_int_equal(health.reasons.items[0].code, code);
		assert_non_null(strstr(health.reasons.items[0].text, text));
	}
	health_free(&health);
}

static void test_failure(void **state)
{
	struct table *table = a_table();
	char longer[300];
	bool removed;

	(void)state;
	assert_reason(table, -1, "");
	assert_string_equal(table_failure(table), "");
	table_set_failure(table, NULL);
	assert_int_equal(fake_log_lines, 0);
	table_set_failure(table, "can't bring the kernel up to date: x");
	assert_reason(table, HEALTH_TABLE_OUTDATED, "up to date: x");
	assert_int_equal(fake_log_lines, 1);
	table_set_failure(table, "can't bring the kernel up to date: x");
	assert_int_equal(fake_log_lines, 1);
	bring_up(table, NAMED, "");
	assert_reason(table, HEALTH_CHANGE_FAILED, "up to date: x");
	assert_string_equal(table_failure(table), "can't bring the kernel up to date: x");
	table_set_failure(table, NULL);
	assert_int_equal(fake_log_lines, 2);
	assert_true(fake_log_has("up to date again"));
	assert_reason(table, -1, "");
	/* cut to its size, it is no news either */
	memset(longer, 'y', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	table_set_failure(table, longer);
	table_set_failure(table, longer);
	assert_int_equal(fake_log_lines, 3);
	assert_int_equal(table_remove(table, &removed), 0);
	assert_reason(table, HEALTH_TABLE_REMOVED, "nothing is guarded until the next reload");
	table_free(table);
}

static void test_opening_fails(void **state)
{
	static const enum fake_nft_call calls[] = { FAKE_NFT_OPEN, FAKE_NFT_PROBE, FAKE_NFT_MONITOR };
	struct table *table = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(calls); i++) {
		fake_log_reset();
		fake_nft_fail(calls[i], 0, 1, -EPERM);
		assert_int_equal(open_table(&table, -1), -EPERM);
		assert_true(fake_log_has("can't use nftables"));
		assert_true(fake_log_has(strerror(EPERM)));
		assert_int_equal(fake_nft.open, 0);
		assert_int_equal(fake_timers, 0);
	}
	for (int timer = 0; timer < 2; timer++) {
		fake_timer_fails = timer;
		assert_int_equal(open_table(&table, -1), -ENOMEM);
		assert_int_equal(fake_nft.open, 0);
		assert_int_equal(fake_timers, 0);
	}
	fake_timer_fails = -1;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	allocations_left = 0;
	assert_int_equal(open_table(&table, fd), -ENOMEM);
	assert_int_equal(open_table(&table, -1), -ENOMEM);
	allocations_left = -1;
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_null(table);
	table_free(NULL);
}

/* Without memory a change is not made, or what the kernel holds is not known: never half of it. */
static void test_without_memory(void **state)
{
	struct table *table = a_table();
	unsigned long refused;
	long left = 0;
	int r;

	(void)state;
	bring_up(table, BASE, "");
	do {
		struct ruleset wanted = wanted_of(MORE, "a.example.net 198.51.100.1");
		bool replaced;
		refused = allocations_refused;
		allocations_left = left++;
		r = table_commit(table, &wanted, SLACK, &table_judge, &replaced);
		allocations_left = -1;
		ruleset_free(&wanted);
		assert_true(r == 0 || r == -ENOMEM);
		if (r < 0) {
			assert_true(table_is_known(table));
			assert_kernel(BASE, "");
		}
	} while (allocations_refused != refused);
	assert_int_equal(r, 0);
	assert_true(left > 3);
	assert_kernel(MORE, "a.example.net 198.51.100.1");

	left = 0;
	do {
		struct ruleset wanted = sets_of(table, "a.example.net 198.51.100.2");
		refused = allocations_refused;
		allocations_left = left++;
		r = table_commit_sets(table, &wanted, SLACK, &table_judge);
		allocations_left = -1;
		if (r < 0) {
			assert_int_equal(r, -ENOMEM);
			assert_true(table_is_known(table));
			assert_kernel(MORE, "a.example.net 198.51.100.1");
			ruleset_free(&wanted);
		}
	} while (allocations_refused != refused);
	assert_int_equal(r, 0);
	assert_kernel(MORE, "a.example.net 198.51.100.2");

	/* retired sets stay until there is some */
	bool replaced;
	assert_int_equal(commit(table, BASE, "", &replaced), 0);
	allocations_left = 0;
	fake_time_pass(1000);
	allocations_left = -1;
	assert_int_equal(reported.settled_r, -ENOMEM);
	assert_true(table_is_known(table));
	assert_non_null(ruleset_find_set(&fake_nft.table, "name_a.example.net_4"));
	table_free(table);
}

static const struct chain *kernel_chain(const char *name)
{
	const struct chain *chain = ruleset_find_chain(&fake_nft.table, name);

	assert_non_null(chain);
	assert_true(chain->count > 1);
	return chain;
}

/* Known once the chain was read, and as long as its rules stay. */
static void test_handles(void **state)
{
	struct table *table = a_table();
	uint64_t handle = 0, first;
	bool replaced;

	(void)state;
	assert_int_equal(table_rule_handle(table, "judge", 0, &handle), -ENOENT);
	bring_up(table, NAMED, "");
	const struct chain *judge = kernel_chain("judge");
	for (size_t i = 0; i < judge->count; i++) {
		assert_int_equal(table_rule_handle(table, "judge", i, &handle), 0);
		assert_true(handle);
		assert_int_equal(handle, judge->items[i].handle);
	}
	first = judge->items[0].handle;
	assert_int_equal(table_rule_handle(table, "judge", TABLE_LAST_RULE, &handle), 0);
	assert_int_equal(handle, judge->items[judge->count - 1].handle);
	assert_int_equal(fake_nft.calls[FAKE_NFT_READ_CHAIN], 1);
	assert_int_equal(table_rule_handle(table, "judge", judge->count, &handle), -ENOENT);
	assert_int_equal(table_rule_handle(table, "nobody", 0, &handle), -ENOENT);
	/* another policy, in which these rules stay */
	assert_int_equal(commit(table, MORE, "", &replaced), 0);
	assert_int_equal(table_rule_handle(table, "judge", 0, &handle), 0);
	assert_int_equal(handle, first);
	assert_int_equal(fake_nft.calls[FAKE_NFT_READ_CHAIN], 1);
	table_free(table);
}

static void test_handles_fail(void **state)
{
	struct table *table = a_table();
	uint64_t handle = 0;
	bool removed;

	(void)state;
	bring_up(table, NAMED, "");
	fake_nft_fail(FAKE_NFT_READ_CHAIN, 0, 1, -EPERM);
	assert_int_equal(table_rule_handle(table, "judge", 0, &handle), -EPERM);
	assert_non_null(strstr(table_reason(table, -EPERM), strerror(EPERM)));
	/* another program was faster than its notice */
	struct chain *judge = ruleset_find_chain(&fake_nft.table, "judge");
	judge->count--;
	assert_int_equal(table_rule_handle(table, "judge", 0, &handle), -ESTALE);
	judge->count++;
	judge->items[0].items[0].negate = !judge->items[0].items[0].negate;
	assert_int_equal(table_rule_handle(table, "judge", 0, &handle), -ESTALE);
	judge->items[0].items[0].negate = !judge->items[0].items[0].negate;
	judge->altered = true;
	assert_int_equal(table_rule_handle(table, "judge", 0, &handle), -ESTALE);
	judge->altered = false;
	assert_int_equal(table_rule_handle(table, "judge", 0, &handle), 0);
	fake_nft_notice("a rule was deleted");
	assert_int_equal(table_rule_handle(table, "judge", 0, &handle), -ESTALE);
	assert_int_equal(table_remove(table, &removed), 0);
	assert_int_equal(table_rule_handle(table, "judge", 0, &handle), -ENOENT);
	table_free(table);
}

/* What the judge is against is not sent. */
static void test_judged(void **state)
{
	struct table *table = a_table();
	bool replaced;

	(void)state;
	asked.refuses = true;
	assert_int_equal(table_read(table), 0);
	assert_false(table_guards(table));
	assert_int_equal(commit(table, BASE, "", &replaced), -ECANCELED);
	assert_false(fake_nft.exists);
	assert_false(table_is_known(table));
	asked.refuses = false;
	assert_int_equal(commit(table, BASE, "", &replaced), 0);
	assert_int_equal(asked.prepared, 0); /* a new table is one batch */
	assert_int_equal(asked.changed, 2);
	assert_true(table_guards(table));

	size_t batches = fake_nft.batches;
	asked.refuses_first = true;
	assert_int_equal(commit(table, MORE, "", &replaced), -ECANCELED);
	asked.refuses_first = false;
	asked.refuses = true;
	assert_int_equal(asked.changed, 2);
	assert_int_equal(commit(table, MORE, "", &replaced), -ECANCELED);
	assert_int_equal(asked.prepared, 2);
	assert_int_equal(asked.changed, 3);
	assert_int_equal(fake_nft.batches, batches);
	assert_true(table_is_known(table));
	assert_kernel(BASE, "");
	asked.refuses = false;
	assert_int_equal(commit(table, MORE, "", &replaced), 0);
	assert_kernel(MORE, "");
	/* also where nothing is to be sent */
	asked.refuses = true;
	assert_int_equal(commit(table, MORE, "", &replaced), -ECANCELED);

	/* sets of names alone */
	struct ruleset wanted = sets_of(table, "a.example.net 198.51.100.2");
	assert_int_equal(table_commit_sets(table, &wanted, SLACK, &table_judge), -ECANCELED);
	assert_kernel(MORE, "");
	asked.refuses = false;
	assert_int_equal(table_commit_sets(table, &wanted, SLACK, &table_judge), 0);
	assert_kernel(MORE, "a.example.net 198.51.100.2");
	const struct set *set = ruleset_find_set(&asked.foreseen, "name_a.example.net_4");
	assert_int_equal(set->count, 1);
	assert_null(ruleset_find_set(&asked.foreseen, "protected_4")); /* no other one was looked at */
	assert_false(asked.unknown);

	table_free(table);
}

/* What other programs made of a table does not stay because what is wanted is refused: it is what it was, again. */
static void test_goes_back(void **state)
{
	struct table *table = a_table();
	bool replaced;

	(void)state;
	bring_up(table, NAMED, "a.example.net 198.51.100.1");
	asked.refuses = true;

	/* nobody changed it, whatever the notice said */
	size_t batches = fake_nft.batches;
	fake_nft_notice(NULL);
	assert_int_equal(table_read(table), 0);
	assert_int_equal(commit(table, MORE, "", &replaced), -ECANCELED);
	assert_true(table_is_known(table));
	assert_int_equal(fake_nft.batches, batches);
	assert_kernel(NAMED, "a.example.net 198.51.100.1");

	/* a chain without its rules */
	fake_nft_notice("rules deleted from chain deny_in, by nft");
	struct chain *chain = ruleset_find_chain(&fake_nft.table, "deny_in");
	while (chain->count)
		free(chain->items[--chain->count].items);
	assert_int_equal(table_read(table), 0);
	assert_true(table_guards(table)); /* it will */
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 1, -EPERM);
	assert_int_equal(commit(table, MORE, "", &replaced), -EPERM);
	assert_false(table_is_known(table));
	fake_nft_fail(FAKE_NFT_READ_TABLE, 0, 1, -EPERM);
	assert_int_equal(table_read(table), -EPERM);
	assert_int_equal(table_read(table), 0);
	assert_int_equal(commit(table, MORE, "", &replaced), -ECANCELED);
	assert_false(replaced);
	assert_true(table_is_known(table));
	assert_true(table_guards(table));
	assert_kernel(NAMED, "a.example.net 198.51.100.1");
	assert_true(fake_log_has("is what it was before other programs changed it"));

	/* without any, and one that is put to sleep */
	for (int i = 0; i < 2; i++) {
		fake_nft_notice("table deleted, by nft");
		if (i == 0)
			fake_nft_flush();
		else
			fake_nft.flags |= NFT_TABLE_F_DORMANT;
		reported.restarted = 0;
		assert_int_equal(table_read(table), 0);
		assert_int_equal(commit(table, MORE, "", &replaced), -ECANCELED);
		assert_int_equal(replaced, i);
		assert_int_equal(reported.restarted, i);
		assert_true(table_is_known(table));
		assert_kernel(NAMED, "a.example.net 198.51.100.1");
		assert_false(fake_nft.flags & NFT_TABLE_F_DORMANT);
	}

	/* what is known is changed by the difference, as ever */
	asked.refuses = false;
	assert_int_equal(commit(table, MORE, "", &replaced), 0);
	assert_kernel(MORE, "");
	bool removed;
	assert_int_equal(table_remove(table, &removed), 0);
	assert_false(table_guards(table));
	asked.refuses = true;
	assert_int_equal(table_read(table), 0);
	assert_int_equal(commit(table, MORE, "", &replaced), -ECANCELED);
	assert_false(fake_nft.exists);
	assert_false(table_is_known(table));
	table_free(table);
}

/* A table that was found at the start, and what is wanted is refused: it stays, and its names are renewed. */
static void test_found_and_kept(void **state)
{
	struct table *table = a_table();
	bool replaced;

	(void)state;
	bring_up(table, NAMED, "a.example.net 198.51.100.1");
	table_free(table);
	table = a_table();
	asked.refuses = true;
	fake_nft.owner = 0;
	assert_int_equal(table_read(table), 0);
	assert_true(table_guards(table));
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 1, -EPERM);
	assert_int_equal(commit(table, MORE, "", &replaced), -EPERM);
	assert_false(table_is_known(table));
	/* what is wanted has a set of another form: it would take a new table */
	ruleset_find_set(&fake_nft.table, "gateway_4")->size = 99;
	assert_int_equal(table_read(table), 0);
	assert_int_equal(commit(table, NAMED "; anew\n", "", &replaced), -ECANCELED);
	assert_true(table_is_known(table));
	assert_false(replaced);
	ruleset_find_set(&fake_nft.table, "gateway_4")->size = 0;
	table_free(table);
	table = a_table();
	fake_nft.owner = 0;
	assert_int_equal(table_read(table), 0);
	assert_int_equal(commit(table, MORE, "", &replaced), -ECANCELED);
	assert_true(table_is_known(table));
	assert_int_equal(fake_nft.owner, FAKE_NFT_PORT); /* it is claimed as it is */
	size_t batches = fake_nft.batches;
	assert_int_equal(commit(table, MORE, "", &replaced), -ECANCELED);
	assert_int_equal(fake_nft.batches, batches);
	asked.refuses = false;
	struct ruleset wanted = sets_of(table, "a.example.net 198.51.100.2");
	assert_int_equal(table_commit_sets(table, &wanted, SLACK, &table_judge), 0);
	assert_kernel(NAMED, "a.example.net 198.51.100.2");
	assert_int_equal(commit(table, MORE, "", &replaced), 0);
	assert_kernel(MORE, "");
	table_free(table);

	/* one that is not known to guard, or not known as a whole */
	for (int i = 0; i < 3; i++) {
		struct chain *chain = ruleset_find_chain(&fake_nft.table, "forward");
		size_t count = chain->count;
		table = a_table();
		chain->altered = i == 0;
		chain->count = i < 2 ? 0 : count;
		fake_nft.torn = i == 2;
		assert_int_equal(table_read(table), 0);
		assert_int_equal(table_guards(table), i == 2);
		asked.refuses = true;
		assert_int_equal(commit(table, MORE, "", &replaced), -ECANCELED);
		assert_false(table_is_known(table));
		chain->altered = fake_nft.torn = false;
		chain->count = count;
		table_free(table);
	}

	/* one that can't be adopted, by its looks */
	for (int i = 0; i < 3; i++) {
		struct chain *chain = ruleset_find_chain(&fake_nft.table, "forward");
		size_t count = chain->count;
		table = a_table();
		fake_nft.layout = TABLE_LAYOUT - 1;
		chain->count = i == 1 ? 0 : count;
		if (i == 2)
			fake_nft_fail(FAKE_NFT_READ_TABLE, 0, 1, -EPERM);
		assert_int_equal(table_read(table), 0);
		assert_int_equal(table_guards(table), i == 0);
		chain->count = count;
		table_free(table);
	}
}

static void test_looked_at(void **state)
{
	struct table *table = a_table();
	struct ruleset found;
	bool torn = true;

	(void)state;
	assert_int_equal(table_look(table, &found, &torn), -ENOENT);
	bring_up(table, NAMED, "a.example.net 198.51.100.1");
	assert_int_equal(table_look(table, &found, &torn), 0);
	assert_false(torn);
	assert_null(ruleset_find_altered(table_current(table), &found));
	ruleset_free(&found);
	assert_true(table_is_known(table));
	fake_nft.torn = true;
	assert_int_equal(table_look(table, &found, &torn), 0);
	assert_true(torn);
	assert_false(table_is_torn(table)); /* that is of table_read() */
	ruleset_free(&found);
	fake_nft.foreign = true;
	assert_int_equal(table_look(table, &found, &torn), -EUCLEAN);
	fake_nft.foreign = false;
	fake_nft.flags |= NFT_TABLE_F_DORMANT;
	assert_int_equal(table_look(table, &found, &torn), -EUCLEAN);
	fake_nft.flags &= ~(uint32_t)NFT_TABLE_F_DORMANT;
	fake_nft_fail(FAKE_NFT_READ_TABLE, 0, 1, -EPERM);
	assert_int_equal(table_look(table, &found, &torn), -EPERM);
	/* somebody has changed it, and there was no notice */
	table_suspect(table);
	assert_false(table_is_known(table));
	fake_time_pass(0);
	assert_int_equal(reported.changed, 1);
	assert_int_equal(table_read(table), 0);
	assert_true(table_is_torn(table));
	table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_built, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_adopted, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_altered_orphan, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_another_owner, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_replaced, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_another_form, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_two_batches, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_slack, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_retired, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_retiring_fails, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_sets, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_commit_fails, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_faster_than_its_notice, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_changed_by_others, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_drained, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_handles, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_handles_fail, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_removed, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_failure, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_opening_fails, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_without_memory, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_looked_at, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_judged, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_goes_back, reset, nothing_left),
		cmocka_unit_test_setup_teardown(test_found_and_kept, reset, nothing_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
