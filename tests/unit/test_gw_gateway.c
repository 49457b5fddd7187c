/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The whole gateway: start, reload, repair, interfaces, names, cutting. */
#include "gw_whole.h"

#include "clock.h"
#include "core/array.h"
#include "gateway/diff.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <unistd.h>

#define SERVER "[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n"
#define GOOD SERVER "[role ADM]\nmembers = 203.0.113.0/24\n"
#define NARROW SERVER "[role ADM]\nmembers = 203.0.113.200\n"
#define EXPECTS GOOD "[flow console-in]\nexpect = 1h\n"
#define BAD "[server]\naddress = nonsense\n"
#define LICENSE "my.mailstore.com"

enum { NOW = 1000 };

static size_t health_changes;
static void *answered;

static void on_health_changed(void *userdata)
{
	(void)userdata;
	health_changes++;
}

static unsigned drops_changed;

static void on_drops_changed(void *userdata)
{
	(void)userdata;
	drops_changed++;
}

static void on_refreshed(void *userdata, void *waiter)
{
	(void)userdata;
	answered = waiter;
}

static char news[4096]; /* what happened, a line each */

static void on_happened(void *userdata, const struct happening *happening)
{
	char text[ADDR_TEXT_MAX];
	size_t length = strlen(news);

	(void)userdata;
	length += (size_t)snprintf(news + length, sizeof(news) - length, "%d %s %d %zu", happening->kind,
				   happening->text ? happening->text
				   : happening->by ? happening->by->text
						   : "",
				   happening->done, happening->count);
	for (size_t i = 0; i < happening->added_count; i++)
		length += (size_t)snprintf(news + length, sizeof(news) - length, " +%s",
					   addr_format(&happening->added[i], text));
	for (size_t i = 0; i < happening->removed_count; i++)
		length += (size_t)snprintf(news + length, sizeof(news) - length, " -%s",
					   addr_format(&happening->removed[i], text));
	snprintf(news + length, sizeof(news) - length, "\n");
}

static const struct gateway_events events = { .health_changed = on_health_changed,
					      .drops_changed = on_drops_changed,
					      .refreshed = on_refreshed,
					      .happened = on_happened };

static void start(void)
{
	gateway_run(&events);
}

static int setup(void **state)
{
	(void)state;
	gateway_set_up(GOOD, NOW);
	health_changes = 0;
	answered = NULL;
	news[0] = '\0';
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gateway_tear_down();
	return 0;
}

static int reload(const char *config, size_t *ret_cut)
{
	struct reload_result result;

	int r = reload_file(config, 0, &result);
	if (ret_cut)
		*ret_cut = result.cut.count;
	return r;
}

static void answer_license(void)
{
	answer(LICENSE, "198.51.100.77");
}

static void test_start(void **state)
{
	(void)state;
	start();
	assert_true(fake_nft.exists);
	assert_non_null(ruleset_find_chain(&fake_nft.table, "forward"));
	assert_int_equal(fake_nft.owner, FAKE_NFT_PORT);
	assert_int_equal(access(directory_path("history"), F_OK), 0);
	assert_int_equal(access(directory_path("counters"), F_OK), 0);
	assert_string_equal(reasons(), "name-unresolved: " LICENSE " is not resolved yet\n");
	assert_true(fake_resolver_asked(LICENSE, FAMILY_4));
	answer_license();
	assert_string_equal(reasons(), "");
	assert_non_null(element("name_" LICENSE "_4", "198.51.100.77"));
	assert_int_equal(gateway_uptime_ms(gateway), 0);
	assert_true(health_changes > 0);
	assert_true(gateway_socket(gateway) >= 0);
}

/* Two would write over each other's files. */
static void test_second_daemon(void **state)
{
	struct gateway *second = NULL;

	(void)state;
	start();
	size_t commits = fake_nft.calls[FAKE_NFT_COMMIT];
	assert_int_equal(gateway_make(&second, &events), -EBUSY);
	assert_null(second);
	assert_int_equal(fake_nft.calls[FAKE_NFT_COMMIT], commits);
}

static void test_bad_file(void **state)
{
	(void)state;
	directory_write("spefw.ini", BAD);
	assert_int_equal(gateway_make(&gateway, &events), -EINVAL);
	assert_null(gateway);
	assert_false(fake_nft.exists);

	/* One that was in force once is kept for such a day. */
	directory_write("spefw.ini", GOOD);
	start();
	gateway_end();
	directory_write("spefw.ini", BAD);
	start();
	assert_true(has_reason("config-refused"));
	assert_false(config_store_matches_disk(gateway_config(gateway)));
	assert_int_equal(reload(GOOD, NULL), 0);
	assert_false(has_reason("config-refused"));
}

static void test_no_kernel(void **state)
{
	(void)state;
	fake_nft_fail(FAKE_NFT_OPEN, 0, 1, -EPERM);
	assert_int_equal(gateway_make(&gateway, &events), 0);
	assert_int_equal(gateway_start(gateway, -1), -EPERM);
	gateway_end();
	/* -EINVAL would speak of the configuration. */
	fake_nft_fail(FAKE_NFT_PROBE, 0, 1, -EINVAL);
	assert_int_equal(gateway_make(&gateway, &events), 0);
	assert_int_equal(gateway_start(gateway, -1), -EPROTO);
	gateway_end();
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 1, -EPERM);
	assert_int_equal(gateway_make(&gateway, &events), 0);
	assert_int_equal(gateway_start(gateway, -1), -EPERM);
}

/* What may pass with time is tried again, and what cannot be done meanwhile is reported. */
static void test_start_fails_for_a_while(void **state)
{
	(void)state;
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 2, -ENOMEM);
	start();
	assert_true(has_reason("table-outdated"));
	assert_false(fake_nft.exists);
	assert_int_not_equal(access(directory_path("history"), F_OK), 0); /* it was never in force */
	fake_time_pass(5 * SECOND);
	assert_true(has_reason("table-outdated"));
	fake_time_pass(5 * SECOND);
	assert_false(has_reason("table-outdated"));
	assert_true(fake_nft.exists);
	assert_int_equal(access(directory_path("history"), F_OK), 0);
	assert_int_equal(fake_log_count("is up to date again"), 1);
}

static void collect_line(void *userdata, const char *text)
{
	strncat(userdata, text, 500 - strlen(userdata));
	strncat(userdata, "\n", 500 - strlen(userdata));
}

static void test_reload(void **state)
{
	char lines[512] = "";
	struct diags diags = { 0 };
	struct reload_result result = { .line = collect_line, .userdata = lines };
	size_t cut;

	(void)state;
	start();
	answer_license();
	connect_as("203.0.113.5", "192.0.2.25", 8470);
	connect_as("203.0.113.5", "192.0.2.25", 443);
	uint64_t generation = config_store_generation(gateway_config(gateway));
	directory_write("spefw.ini", NARROW);
	assert_true(has_reason("config-changed"));
	fake_log_reset();
	assert_int_equal(gateway_reload(gateway, &by, 0, &diags, &result), 0);
	assert_non_null(strstr(lines, "ADM"));
	assert_true(fake_log_has("reload by root (uid 0): "));
	assert_true(fake_log_has(": role ADM: "));
	assert_true(fake_log_has("the policy changed: 1 connection that the policy denies was cut"));
	assert_true(fake_log_has("cut 203.0.113.5 -> SERVER tcp/8470 (console-in): source not in ADM any more"));
	assert_string_equal(gateway_loaded_by(gateway), "root (uid 0)");
	assert_int_equal(result.cut.count, 1); /* the console alone was for administrators */
	assert_int_equal(fake_conntrack_count(), 1);
	assert_int_equal(config_store_generation(gateway_config(gateway)), generation + 1);
	assert_string_equal(reasons(), "");

	/* Nothing is sent for a file of the same meaning. */
	size_t batches = fake_nft.batches;
	assert_int_equal(reload(NARROW "; a remark\n", &cut), 0);
	assert_int_equal(cut, 0);
	fake_time_pass(2 * SECOND);
	assert_int_equal(fake_nft.batches, batches);

	assert_int_equal(config_store_generation(gateway_config(gateway)), generation + 1);
	fake_log_reset();
	assert_int_equal(reload(BAD, NULL), -EINVAL);
	assert_true(fake_log_has("reload by root (uid 0): "));
	assert_true(fake_log_has("not in force: the old policy stays"));
	assert_int_equal(config_store_generation(gateway_config(gateway)), generation + 1);
	assert_int_equal(fake_nft.batches, batches);
	assert_true(has_reason("config-refused"));
}

/* Who watches is told what happens; and nobody where nobody watches. */
static void count_change(void *userdata, const struct policy_change *change)
{
	(void)change;
	++*(size_t *)userdata;
}

/* How many changes; with a 0, gateway_diff_free() must follow. */
static int foretell(const char *config, const struct archive *files, struct gateway_diff *ret, size_t *ret_changes)
{
	struct diags diags = { 0 };

	*ret_changes = 0;
	if (config)
		directory_write("spefw.ini", config);
	fake_time_pass(SECOND);
	int r = gateway_diff(gateway, files, true, &diags, count_change, ret_changes, ret);
	assert_int_equal(r == -EINVAL, diags_failed(&diags));
	diags_free(&diags);
	return r;
}

/* What a reload would do, and nothing of it done. */
static void test_diff(void **state)
{
	static const char other[] = GOOD "[flow new]\nfrom = SERVER\nto = new.example.net\nprotocol = tcp\nport = 4\n"
					 "[gateway]\nmode = audit\n[flow console-in]\nenabled = no\n";
	struct archive files = { 0 };
	struct gateway_diff diff;
	size_t changes, cut;

	(void)state;
	start();
	connect_as("203.0.113.5", "192.0.2.25", 443);
	for (int i = 0; i < 30; i++) /* a dump may show one twice */
		connect_as("203.0.113.5", "192.0.2.25", 8470);
	gateway_read_connections(gateway);
	uint64_t generation = config_store_generation(gateway_config(gateway));
	assert_int_equal(foretell(NULL, NULL, &diff, &changes), 0);
	assert_int_equal(changes + diff.cut + diff.record.count, 0);
	assert_true(diff.has_fates);
	assert_null(diff.fates.failure);
	assert_int_equal(diff.fates.count, 0);
	gateway_diff_free(&diff);

	assert_int_equal(foretell(NARROW, NULL, &diff, &changes), 0);
	assert_int_equal(changes, 1);
	assert_int_equal(diff.cut, 1);
	assert_int_equal(diff.shown, 1);
	assert_int_equal(diff.items[0].tracked.id, 8470);
	assert_int_equal(diff.items[0].cause.why, CUT_SOURCE);
	assert_true(diff.recorded);
	assert_int_equal(diff.record.count, 1);
	assert_int_equal(diff.record.items[0]->port, 8470);
	assert_true(diff.fates.count > 0);
	for (size_t i = 0; i < diff.fates.count; i++) {
		assert_int_equal(diff.fates.items[i].before, OUTCOME_ALLOWED);
		assert_int_equal(diff.fates.items[i].after, OUTCOME_DENIED);
	}
	gateway_diff_free(&diff);
	assert_int_equal(fake_conntrack_count(), 31);
	assert_int_equal(config_store_generation(gateway_config(gateway)), generation);

	/* Other files, of which none is opened. */
	assert_int_equal(archive_add(&files, "x.ini", other, strlen(other)), 0);
	assert_int_equal(foretell(NULL, &files, &diff, &changes), 0);
	assert_int_equal(changes, 3);
	assert_int_equal(diff.cut, 0); /* in audit mode */
	assert_int_equal(diff.record.count, 1);
	assert_int_equal(diff.new_names.count, 1);
	gateway_diff_free(&diff);
	archive_free(&files);

	/* A bad file is no reason of health where it is but looked at. */
	assert_int_equal(foretell(BAD, NULL, &diff, &changes), -EINVAL);
	assert_false(has_reason("config-refused"));
	fake_conntrack_error = -EPERM;
	assert_int_equal(foretell(NARROW, NULL, &diff, &changes), -EPERM);
	fake_conntrack_error = 0;
	assert_int_equal(reload(NARROW, &cut), 0);
	assert_int_equal(cut, 30);
}

/* Each allocation of it fails in turn. */
static void test_diff_memory(void **state)
{
	(void)state;
	start();
	connect_as("203.0.113.5", "192.0.2.25", 8470);
	gateway_read_connections(gateway);
	for (long i = 0; i < 4000; i++) {
		struct gateway_diff diff;
		struct diags diags = { 0 };
		size_t changes = 0;
		directory_write("spefw.ini", NARROW);
		fake_time_pass(SECOND);
		allocations_left = i;
		int r = gateway_diff(gateway, NULL, true, &diags, count_change, &changes, &diff);
		bool enough = allocations_left > 0;
		allocations_left = -1;
		if (r == 0)
			gateway_diff_free(&diff);
		diags_free(&diags);
		if (enough) {
			assert_int_equal(r, 0);
			return;
		}
	}
	fail_msg("it takes more allocations than were tried");
}

static void test_watch(void **state)
{
	static const char *const names[] = { LICENSE };
	const char *unknown;
	bool dropped, removed;
	int waiter;

	(void)state;
	start();
	answer_license();
	connect_as("203.0.113.5", "192.0.2.25", 8470);
	assert_int_equal(gateway_refresh(gateway, &by, &waiter, names, 1, &unknown), 0);
	fake_time_pass(0);
	answer_license();
	assert_string_equal(news, "");
	gateway_watch(gateway, true);
	assert_int_equal(reload(NARROW, NULL), 0);
	assert_string_equal(news, "0 root (uid 0) 1 1\n6 the policy changed 0 0\n");
	news[0] = '\0';
	assert_int_equal(reload(BAD, NULL), -EINVAL);
	assert_string_equal(news, "0 root (uid 0) 0 0\n");
	news[0] = '\0';
	fake_nft_notice("set name_x changed by nft");
	fake_time_pass(1);
	assert_string_equal(news, "8 set name_x changed by nft 0 0\n");
	news[0] = '\0';
	assert_int_equal(gateway_refresh(gateway, &by, &waiter, names, 1, &unknown), 0);
	assert_string_equal(news, "4 root (uid 0) 0 1\n");
	news[0] = '\0';
	fake_time_pass(0);
	fake_resolver_answer(LICENSE, FAMILY_4, "198.51.100.78", 60);
	assert_string_equal(news, "7 my.mailstore.com 0 0 +198.51.100.78\n");
	news[0] = '\0';
	assert_int_equal(gateway_clear(gateway, &by, &removed, &dropped), 0);
	assert_string_equal(news, "5 root (uid 0) 1 0\n");
	news[0] = '\0';
	gateway_watch(gateway, false);
	assert_int_equal(reload(NARROW, NULL), 0);
	assert_string_equal(news, "");
}

/* A packet that the old rules let pass may be tracked only after the first cut. */
static void test_cut_again(void **state)
{
	(void)state;
	start();
	answer_license();
	assert_int_equal(reload(NARROW, NULL), 0);
	connect_as("203.0.113.5", "192.0.2.25", 8470);
	fake_time_pass(999);
	assert_int_equal(fake_conntrack_count(), 1);
	fake_time_pass(1);
	assert_int_equal(fake_conntrack_count(), 0);
	connect_as("203.0.113.5", "192.0.2.25", 8470); /* there is no third time */
	fake_time_pass(10 * SECOND);
	assert_int_equal(fake_conntrack_count(), 1);
}

static void test_cut_fails(void **state)
{
	size_t cut;

	(void)state;
	start();
	answer_license();
	connect_as("203.0.113.5", "192.0.2.25", 8470);
	fake_conntrack_error = -EINTR;
	assert_int_equal(reload(NARROW, &cut), 0);
	assert_int_equal(cut, 0);
	assert_true(has_reason("cut-incomplete"));
	fake_time_pass(5 * SECOND);
	assert_true(has_reason("cut-incomplete"));
	fake_conntrack_error = 0;
	fake_time_pass(5 * SECOND);
	assert_string_equal(reasons(), "");
	assert_int_equal(fake_conntrack_count(), 0);
}

static void test_reload_is_refused_by_the_kernel(void **state)
{
	(void)state;
	start();
	answer_license();
	assert_non_null(element("role_ADM_4", "203.0.113.0"));
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 1, -ENOSPC);
	assert_int_equal(reload(NARROW, NULL), -ENOSPC);
	assert_true(has_reason("change-failed"));
	assert_true(has_reason("config-changed"));
	assert_non_null(element("role_ADM_4", "203.0.113.0"));
	assert_non_null(element("name_" LICENSE "_4", "198.51.100.77"));
	assert_int_equal(reload(NARROW, NULL), 0);
	assert_string_equal(reasons(), "");
	assert_null(element("role_ADM_4", "203.0.113.0"));
}

/* What another program does is repaired, and what came through meanwhile is cut. */
static void test_repair(void **state)
{
	(void)state;
	start();
	answer_license();
	fake_time_pass(2 * SECOND);
	fake_nft_flush();
	connect_as("198.51.100.200", "192.0.2.25", 3389);
	fake_nft_notice("table deleted by nft");
	assert_false(fake_nft.exists);
	fake_time_pass(0);
	assert_true(fake_nft.exists);
	assert_non_null(element("name_" LICENSE "_4", "198.51.100.77"));
	assert_int_equal(fake_conntrack_count(), 0);
	assert_int_equal(table_figures(gateway_table(gateway)).repaired, 1);
	assert_string_equal(reasons(), "");
}

/* The kernel does not hold what it was thought to, and the notice of it has not come yet. */
static void test_change_before_the_notice(void **state)
{
	(void)state;
	start();
	answer_license();
	fake_time_pass(2 * SECOND);
	fake_nft_flush();
	connect_as("198.51.100.200", "192.0.2.25", 3389);
	assert_int_equal(reload(NARROW, NULL), 0);
	assert_true(fake_nft.exists);
	assert_int_equal(fake_conntrack_count(), 0);

	/* An answer that comes then takes the long way. */
	fake_nft_flush();
	fake_time_pass(5 * MINUTE);
	fake_resolver_answer(LICENSE, FAMILY_4, "198.51.100.78", 300);
	assert_true(fake_nft.exists);
	assert_non_null(element("name_" LICENSE "_4", "198.51.100.78"));
}

static void test_clear(void **state)
{
	bool dropped, removed = false;

	(void)state;
	start();
	size_t before = health_changes;
	fake_resolver_fail(LICENSE, FAMILY_4, "SERVFAIL");
	fake_resolver_fail(LICENSE, FAMILY_6, "SERVFAIL");
	assert_true(has_reason("name-failing"));
	fake_time_pass(1 * SECOND); /* once for all names that change */
	assert_int_equal(health_changes, before + 1);
	uint64_t generation = config_store_generation(gateway_config(gateway));
	size_t told = health_changes;
	assert_int_equal(gateway_clear(gateway, &by, &removed, &dropped), 0);
	assert_int_equal(health_changes, told + 1); /* at once */
	assert_true(removed);
	assert_false(fake_nft.exists);
	assert_int_equal(config_store_generation(gateway_config(gateway)), generation + 1);
	fake_log_reset();
	assert_int_equal(gateway_clear(gateway, &by, &removed, &dropped), 0);
	assert_false(removed);
	assert_int_equal(fake_log_count("was removed"), 0);
	assert_int_equal(fake_log_count("was not there: the server is not guarded"), 1);
	assert_int_equal(config_store_generation(gateway_config(gateway)), generation + 1);
	/* Of a name that no flow in force has, nothing is said; nor of a file that waits for the next reload. */
	directory_write("spefw.ini", NARROW);
	assert_string_equal(reasons(), "table-removed: the table was removed on request: nothing is guarded until "
				       "the next reload\n");
	/* Nothing brings it back but a reload. */
	fake_links_change();
	fake_time_pass(10 * MINUTE);
	fake_nft_notice("table added by nft");
	fake_time_pass(1);
	gateway_repair_last(gateway);
	assert_false(fake_nft.exists);
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 1, -ENOMEM);
	assert_int_equal(reload(GOOD, NULL), -ENOMEM);
	assert_true(has_reason("table-removed"));
	assert_int_equal(reload(GOOD, NULL), 0);
	assert_true(fake_nft.exists);
	assert_int_equal(config_store_generation(gateway_config(gateway)), generation + 2);
	assert_int_equal(fake_log_count(": the table is loaded again"), 1);
	assert_int_equal(fake_log_count("nothing changed"), 0);
	assert_false(has_reason("table-removed"));
	fake_nft_fail(FAKE_NFT_READ_INFO, 0, 1, -EIO);
	assert_int_equal(gateway_clear(gateway, &by, &removed, &dropped), -EIO);
	assert_false(has_reason("table-removed"));
}

/* A protected address that becomes the gateway's own would lock it. */
static void test_own_address(void **state)
{
	(void)state;
	start();
	answer_license();
	assert_non_null(element("protected_4", "192.0.2.25"));
	fake_links_set_own("192.0.2.1 192.0.2.25 2001:db8:2::1");
	fake_links_change();
	assert_null(element("protected_4", "192.0.2.25"));
	assert_true(has_reason("own-address"));
	assert_int_equal(fake_log_count("it is left out"), 1);
	connect_as("198.51.100.200", "192.0.2.25", 3389);
	fake_links_set_own("192.0.2.1 2001:db8:2::1");
	fake_links_change();
	assert_non_null(element("protected_4", "192.0.2.25"));
	assert_false(has_reason("own-address"));
	assert_int_equal(fake_conntrack_count(), 0); /* what was opened meanwhile is in nobody's policy */
}

static void test_own_address_without_memory(void **state)
{
	(void)state;
	start();
	answer_license();
	fake_links_set_own("192.0.2.1 192.0.2.25 2001:db8:2::1");
	allocations_left = 0;
	fake_links_change();
	fake_links_change();
	allocations_left = -1;
	assert_true(has_reason("interfaces-unread"));
	assert_int_equal(fake_log_count("is not followed yet"), 1);
	assert_non_null(element("protected_4", "192.0.2.25"));
	fake_time_pass(5 * SECOND);
	assert_false(has_reason("interfaces-unread"));
	assert_null(element("protected_4", "192.0.2.25"));
}

/* An interface that comes up makes names be queried, and the spoof guard know it. */
static void test_interfaces(void **state)
{
	(void)state;
	start();
	answer_license();
	fake_time_pass(10 * SECOND);
	assert_false(fake_resolver_asked(LICENSE, FAMILY_4));
	fake_links_set_towards("192.0.2.25 2001:db8:2::25", "lan vlan7");
	fake_links_change();
	assert_true(fake_resolver_asked(LICENSE, FAMILY_4));
	const struct set *set = ruleset_find_set(&fake_nft.table, "SERVER_interfaces");
	assert_non_null(set);
	assert_int_equal(set->count, 2);
}

/* What the kernel's table has is not lost with the state directory. */
static void test_restart_without_state(void **state)
{
	(void)state;
	start();
	answer_license();
	fake_links_set_towards("192.0.2.25 2001:db8:2::25", "lan vlan7");
	fake_links_change();
	gateway_end();
	assert_int_equal(unlink(directory_path("addresses")), 0);
	assert_int_equal(unlink(directory_path("held")), 0);
	fake_links_set_towards("192.0.2.25 2001:db8:2::25", "lan");
	fake_nft.owner = 0; /* its socket was closed */
	size_t commits = fake_nft.batches;
	fake_links_remembered[0] = '\0';
	start();
	assert_non_null(element("name_" LICENSE "_4", "198.51.100.77"));
	assert_non_null(strstr(fake_links_remembered, "vlan7"));
	assert_true(fake_nft.batches > commits);
	struct book_entry entry;
	names_entry(gateway_names(gateway), 0, &entry);
	assert_int_equal(entry.address_count, 1);
}

static void test_minute(void **state)
{
	(void)state;
	fake_nflog_error = -EBUSY;
	start();
	answer_license();
	assert_true(has_reason("nflog-taken"));
	fake_nft_count("denied-in", 7, 700);
	fake_nflog_error = 0;
	size_t changes = health_changes;
	fake_time_pass(MINUTE);
	assert_false(has_reason("nflog-taken"));
	assert_true(health_changes > changes);
	assert_int_equal(counts_denied_last_hour(gateway_counts(gateway)), 7);
	char *saved = directory_read("counters");
	assert_non_null(saved);
	assert_non_null(strstr(saved, "denied-in"));
	free(saved);
	fake_nft_count("denied-in", 9, 900);
	assert_int_equal(gateway_read_counters(gateway), 0);
	assert_int_equal(counts_packets(gateway_counts(gateway), "denied-in"), 9);
	gateway_end(); /* the last word of the counters is saved */
	saved = directory_read("counters");
	assert_non_null(saved);
	assert_non_null(strstr(saved, "denied-in 9"));
	free(saved);
}

/* What was cut and may live again is forgotten within a minute. */
static void test_cut_is_allowed_again(void **state)
{
	(void)state;
	directory_write("spefw.ini", GOOD "[flow kerio-out]\nto = a.example.net\n");
	start();
	fake_resolver_empty_all(300);
	connect_as("192.0.2.25", "198.51.100.9", 4040);
	assert_int_equal(reload(GOOD "[flow kerio-out]\nto = a.example.net\nenabled = no\n", NULL), 0);
	assert_int_equal(fake_nft.cut.count, 1);
	assert_int_equal(cut_figures(gateway_cut(gateway)).remembered, 1);
	assert_int_equal(reload(GOOD "[flow kerio-out]\nto = a.example.net\n", NULL), 0);
	assert_int_equal(fake_nft.cut.count, 1);
	fake_time_pass(SECOND);
	while (!fake_resolver_asked("a.example.net", FAMILY_4))
		fake_time_pass(SECOND);
	fake_resolver_answer("a.example.net", FAMILY_4, "198.51.100.9", 300);
	fake_time_pass(MINUTE);
	assert_int_equal(fake_nft.cut.count, 0);
}

/* A rule that redirects all that a nat chain sees. */
static int redirect_all(struct foreign_tables *out)
{
	struct foreign_chain chain = { .family = 2,
				       .table = strdup("nat"),
				       .name = strdup("squid"),
				       .place = PLACE_PREROUTING,
				       .priority = -100,
				       .nat = true };
	struct foreign_rule rule = {
		.handle = 7, .exact = true, .effect = EFFECT_REDIRECT, .way = WAY_ON, .map_field = RULE_FIELDS
	};

	assert_int_equal(ARRAY_PUSH(&out->chains, chain), 0);
	assert_int_equal(ARRAY_PUSH(&out->rules, rule), 0);
	return 0;
}

/* Another program's rule that intercepts: it is found, what it does is counted, and both are over when it goes. */
static void test_interception(void **state)
{
	(void)state;
	directory_write("spefw.ini", GOOD "[gateway]\ninterception = report\n");
	start();
	answer_license();
	fake_nft.foreign_tables = redirect_all;
	fake_nft_foreign_notice();
	fake_time_pass(3 * SECOND);
	assert_true(foreign_findings(gateway_foreign(gateway))->count > 0);
	assert_true(has_reason("foreign-rule"));
	fake_nft_count("intercepted", 3, 300);
	fake_time_pass(MINUTE);
	assert_true(has_reason("intercepted"));
	assert_int_equal(fake_log_count("are intercepted: flow"), 1);
	fake_nft.foreign_tables = NULL;
	fake_nft_foreign_notice();
	fake_time_pass(3 * SECOND);
	assert_string_equal(reasons(), "");
	/* One that is not found is remembered for a while. */
	fake_nft_count("intercepted", 5, 500);
	fake_time_pass(MINUTE);
	assert_true(has_reason("intercepted"));
	assert_int_equal(fake_log_count("another table redirects them"), 1);
	fake_time_pass(10 * MINUTE);
	assert_false(has_reason("intercepted"));
}

/* The server's own answer opens its way at once. */
static void test_observed(void **state)
{
	(void)state;
	start();
	answer_license();
	fake_helper_start();
	fake_helper_count(1, 0, 0); /* without a query */
	assert_int_equal(observer_figures(gateway_observer(gateway)).unsolicited, 1);
	fake_helper_observe("192.0.2.26", LICENSE, FAMILY_4, "198.51.100.99", 300);
	fake_helper_observe("192.0.2.25", "other.example.net", FAMILY_4, "198.51.100.99", 300);
	assert_null(element("name_" LICENSE "_4", "198.51.100.99"));
	assert_int_equal(names_figures(gateway_names(gateway)).learned, 0);
	fake_helper_observe("192.0.2.25", LICENSE, FAMILY_4, "198.51.100.99", 300);
	assert_non_null(element("name_" LICENSE "_4", "198.51.100.99"));
	assert_int_equal(names_figures(gateway_names(gateway)).learned, 1);
	/* What no name may have is refused, whoever reports it. */
	fake_helper_observe("192.0.2.25", LICENSE, FAMILY_4, "192.0.2.25 192.0.2.1 10.0.0.1 127.0.0.1", 300);
	assert_null(element("name_" LICENSE "_4", "192.0.2.25"));
	assert_null(element("name_" LICENSE "_4", "192.0.2.1"));
	assert_null(element("name_" LICENSE "_4", "10.0.0.1"));
	assert_null(element("name_" LICENSE "_4", "127.0.0.1"));
}

/* Another spefw-resolver knows no aliases: all names are queried for it. That it ended is a reason. */
static void test_resolver_restarted(void **state)
{
	(void)state;
	start();
	answer_license();
	fake_helper_start();
	assert_string_equal(fake_helper_sent(), "begin;watch " LICENSE ";end;nflog 1005;");
	fake_time_pass(6 * SECOND);
	assert_false(fake_resolver_asked(LICENSE, FAMILY_4));
	fake_helper_fails = true;
	assert_true(has_reason("resolver"));
	fake_helper_fails = false;
	size_t before = health_changes;
	fake_helper_start();
	assert_true(health_changes > before);
	assert_false(has_reason("resolver"));
	assert_string_equal(fake_helper_sent(), "begin;watch " LICENSE ";end;nflog 1005;");
	assert_true(fake_resolver_asked(LICENSE, FAMILY_4));
	assert_true(fake_resolver_asked(LICENSE, FAMILY_6));
	/* Another policy: other names. */
	assert_int_equal(reload(GOOD "[flow more]\nfrom = SERVER\nto = more.example.net\nprotocol = tcp\nport = 4\n",
				NULL),
			 0);
	assert_non_null(strstr(fake_helper_sent(), "watch more.example.net;"));
}

static void test_denial(void **state)
{
	struct packet packet = { .source = make_addr("192.0.2.25"),
				 .target = make_addr("198.51.100.99"),
				 .protocol = PROTOCOL_TCP,
				 .source_port = 50000,
				 .target_port = 443 };

	(void)state;
	start();
	answer_license();
	fake_time_pass(31 * SECOND);
	assert_false(fake_resolver_asked(LICENSE, FAMILY_4));
	fake_helper_deny(&packet, DENIAL_OUT, NF_INET_FORWARD);
	fake_time_pass(1);
	assert_false(fake_resolver_asked(LICENSE, FAMILY_4));
	fake_helper_deny(&packet, DENIAL_NAME, NF_INET_FORWARD);
	fake_time_pass(1);
	assert_true(fake_resolver_asked(LICENSE, FAMILY_4));
	fake_resolver_answer(LICENSE, FAMILY_4, "198.51.100.77", 300);
	fake_time_pass(31 * SECOND);
	fake_helper_count(0, 1, 0);
	fake_time_pass(SECOND);
	assert_true(fake_resolver_asked(LICENSE, FAMILY_4));
}

/* Who answers with the server's own address, or this gateway's, would make it deny nobody, or lock it. */
static void test_own_addresses_of_names(void **state)
{
	(void)state;
	start();
	fake_resolver_answer(LICENSE, FAMILY_4, "192.0.2.25 192.0.2.1 198.51.100.77", 300);
	fake_resolver_answer(LICENSE, FAMILY_6, "2001:db8:2::25", 300);
	assert_non_null(element("name_" LICENSE "_4", "198.51.100.77"));
	assert_null(element("name_" LICENSE "_4", "192.0.2.25"));
	assert_null(element("name_" LICENSE "_4", "192.0.2.1"));
	assert_null(element("name_" LICENSE "_6", "2001:db8:2::25"));
	assert_int_equal(fake_log_count("own: refused"), 3);
}

static void test_refresh(void **state)
{
	const char *const names[] = { LICENSE }, *const unknown[] = { "no.example.net" };
	const char *ret_unknown = NULL;
	int waiter, gone;

	(void)state;
	start();
	answer_license();
	assert_int_equal(gateway_refresh(gateway, &by, &waiter, unknown, 1, &ret_unknown), -ENOENT);
	assert_string_equal(ret_unknown, "no.example.net");
	assert_int_equal(gateway_refresh(gateway, &by, &waiter, names, 1, &ret_unknown), 0);
	assert_int_equal(gateway_refresh(gateway, &by, &gone, names, 1, &ret_unknown), 0);
	gateway_forget_waiter(gateway, &gone);
	assert_null(answered);
	fake_time_pass(0);
	answer_license();
	assert_ptr_equal(answered, &waiter);
}

static void test_silent_flow(void **state)
{
	(void)state;
	directory_write("spefw.ini", EXPECTS);
	start();
	answer_license();
	fake_time_pass(HOUR / 2);
	assert_false(has_reason("flow-silent"));
	fake_time_pass(HOUR);
	assert_true(has_reason("flow-silent"));
	assert_non_null(usage_find(gateway_usage(gateway), "console-in"));
	connect_as("203.0.113.5", "192.0.2.25", 8470);
	fake_nft_count("flow-console-in", 1, 60);
	fake_time_pass(5 * MINUTE);
	assert_false(has_reason("flow-silent"));
	char *saved = directory_read("expect");
	assert_non_null(saved);
	free(saved);
}

/* Before the daemon ends: who flushes once may flush twice. */
static void test_last_repairs(void **state)
{
	(void)state;
	start();
	answer_license();
	fake_time_pass(2 * SECOND);
	size_t batches = fake_nft.batches;
	gateway_repair_last(gateway);
	assert_int_equal(fake_nft.batches, batches);
	fake_nft_flush();
	connect_as("198.51.100.200", "192.0.2.25", 3389);
	fake_nft_queue_notice("table deleted by nft");
	gateway_repair_last(gateway);
	assert_true(fake_nft.exists);
	assert_int_equal(fake_conntrack_count(), 0);
	/* What hinders it would not pass: it ends all the same. */
	fake_nft_flush();
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 1000, -ENOMEM);
	fake_nft_queue_notice("table deleted by nft");
	int64_t before = now_ms();
	gateway_repair_last(gateway);
	assert_false(fake_nft.exists);
	assert_true(now_ms() - before < 6 * SECOND);
}

/* A state directory that takes nothing is reported, and brought up to date once it does. */
static void test_state_directory(void **state)
{
	(void)state;
	start();
	answer_license();
	fake_time_pass(2 * SECOND);
	assert_int_equal(unlink(directory_path("history")), 0);
	directory_hide(true);
	fake_resolver_error = 0;
	fake_time_pass(MINUTE);
	directory_hide(false);
	directory_write("spefw.ini", NARROW);
	struct diags diags = { 0 };
	struct reload_result result = { 0 };
	assert_true(has_reason("state-unsaved"));
	assert_int_equal(gateway_reload(gateway, &by, 0, &diags, &result), 0);
	diags_free(&diags);
	assert_int_equal(access(directory_path("history"), F_OK), 0);
	fake_time_pass(MINUTE);
	assert_false(has_reason("state-unsaved"));
}

/* Names of a new policy that can't be followed yet. */
static void test_names_not_followed(void **state)
{
	(void)state;
	start();
	answer_license();
	fake_resolver_error = -ENOMEM;
	assert_int_equal(reload(GOOD "[dns]\nservers = 192.0.2.54\n", NULL), 0);
	assert_true(has_reason("names-not-followed"));
	fake_time_pass(5 * SECOND);
	assert_true(has_reason("names-not-followed"));
	fake_resolver_error = 0;
	fake_time_pass(5 * SECOND);
	assert_false(has_reason("names-not-followed"));
}

/* Each allocation of a start fails in turn: it starts, or fails with an error, and leaks nothing. */
static void test_memory(void **state)
{
	(void)state;
	for (long i = 0; i < 4000; i += i < 40 ? 1 : 37) {
		allocations_left = i;
		int r = gateway_make(&gateway, &events);
		if (r == 0)
			r = gateway_start(gateway, -1);
		bool enough = allocations_left > 0;
		allocations_left = -1;
		gateway_end();
		fake_nft_reset();
		if (enough) {
			assert_int_equal(r, 0);
			return;
		}
	}
	fail_msg("it takes more allocations than were tried");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_daemon, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_start_fails_for_a_while, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_diff, setup, teardown),
		cmocka_unit_test_setup_teardown(test_diff_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reload_is_refused_by_the_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repair, setup, teardown),
		cmocka_unit_test_setup_teardown(test_change_before_the_notice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clear, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_address_without_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interfaces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart_without_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_minute, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_is_allowed_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interception, setup, teardown),
		cmocka_unit_test_setup_teardown(test_observed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resolver_restarted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_denial, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_addresses_of_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refresh, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silent_flow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_repairs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state_directory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_not_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
