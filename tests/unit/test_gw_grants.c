/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Grants in the whole gateway: on a kernel, interfaces, connections and a clock that the test has in its hands; its
 * files are real ones. */
#include "gw_whole.h"

#include "gateway/granting.h"
#include "gateway/grants.h"
#include "state_file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define GOOD                                                                                               \
	"[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n[role ADM]\n"              \
	"members = 203.0.113.0/24 console.example.net\n[flow api-in]\nenabled = no\n[flow ews-out]\nto = " \
	"203.0.113.200\n"
#define CONSOLE_OFF GOOD "[flow console-in]\nenabled = no\n"
#define GUARDS_PEER GOOD "[role IH]\nprotected = yes\nmembers = 10.32.0.50\n"
#define PEER "10.32.0.50"

enum { NOW = 1000000, HOUR_S = 3600 };

static struct grant_result result;
static char news[1000];

static void on_happened(void *userdata, const struct happening *happening)
{
	size_t length = strlen(news);

	(void)userdata;
	if (happening->kind == HAPPENED_GRANT)
		snprintf(news + length, sizeof(news) - length, "%s %s %s\n", happening->grant->flow, happening->text,
			 happening->by ? happening->by->text : "-");
	if (happening->kind == HAPPENED_CUT)
		snprintf(news + length, sizeof(news) - length, "cut %zu, %s: %s\n", happening->cut->count,
			 happening->text, happening->cut->items[0].cause.flow);
}

static void start(void)
{
	gateway_run(&(struct gateway_events){ .happened = on_happened });
	gateway_watch(gateway, true);
	answer("console.example.net", "198.51.100.9");
	answer("my.mailstore.com", "198.51.100.77");
}

static int setup(void **state)
{
	(void)state;
	gateway_set_up(GOOD, NOW);
	news[0] = '\0';
	start();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gateway_tear_down();
	return 0;
}

static int grant(const char *flow, const char *address, int64_t for_s)
{
	struct addr addr = make_addr(address);
	return gateway_grant(gateway, &by, flow, &addr, for_s, &result);
}

static int take_back(const char *flow, const char *address)
{
	struct addr addr = make_addr(address);
	return gateway_revoke(gateway, &by, flow, &addr, &result);
}

static void reload(const char *config)
{
	struct reload_result done;

	assert_int_equal(reload_file(config, 0, &done), 0);
}

/* How long the kernel would let it in, ms; -1: it does not. */
static int64_t kernel_left(const char *set_name, const char *address)
{
	const struct set *set = ruleset_find_set(&fake_nft.table, set_name);
	struct addr addr = make_addr(address);

	for (size_t i = 0; set && !set->retired && i < set->count; i++)
		if (memcmp(set->items[i].first, addr.bytes, addr_size(addr.family)) == 0)
			return set->items[i].deadline_ms - now_ms();
	return -1;
}

/* Whether a rule looks into the set: what is in one that none does lets nobody in. */
static bool is_used(const char *set_name)
{
	for (size_t c = 0; c < fake_nft.table.chains.count; c++) {
		const struct chain *chain = &fake_nft.table.chains.items[c];
		for (size_t r = 0; r < chain->count; r++)
			for (size_t t = 0; t < chain->items[r].count; t++)
				if (chain->items[r].items[t].kind == TERM_IN &&
				    strcmp(chain->items[r].items[t].name, set_name) == 0)
					return true;
	}
	return false;
}

static bool is_let_in(void)
{
	return is_used("grant_console-in_4") && kernel_left("grant_console-in_4", PEER) > 0;
}

static void connect_peer(uint16_t port)
{
	connect_as(PEER, "192.0.2.25", port);
}

static void given_and_ended(void **state)
{
	(void)state;
	assert_int_equal(grant("console-in", PEER, 2 * HOUR_S), 0);
	assert_string_equal(result.before.flow, "");
	assert_true(fake_log_has("grant by root (uid 0): console-in from " PEER " for 2h"));
	assert_true(is_let_in());
	assert_int_equal(kernel_left("grant_console-in_4", PEER), 2 * HOUR + GRANT_MARGIN_MS);
	connect_peer(8470);
	connect_peer(443);
	fake_time_pass(2 * HOUR - SECOND);
	assert_true(is_let_in());
	assert_int_equal(fake_conntrack_count(), 2);
	size_t reads = fake_nft.calls[FAKE_NFT_READ_TABLE];
	fake_time_pass(SECOND);
	assert_false(is_used("grant_console-in_4"));
	assert_int_equal(gateway_grants(gateway)->count, 0);
	assert_int_equal(fake_conntrack_count(), 1);
	assert_true(fake_log_has("a grant has ended: console-in from " PEER ", granted by root (uid 0)"));
	assert_true(fake_log_has("a grant has ended: 1 connection that the policy denies was cut"));
	assert_true(fake_log_has("cut " PEER " -> SERVER tcp/8470 (console-in): "));
	assert_string_equal(news, "console-in given root (uid 0)\nconsole-in ended -\ncut 1, a grant has ended: "
				  "console-in\n");
	fake_time_pass(5 * SECOND);
	assert_null(ruleset_find_set(&fake_nft.table, "grant_console-in_4"));
	/* The kernel had not dropped the element by itself. */
	assert_int_equal(fake_nft.calls[FAKE_NFT_READ_TABLE], reads);
}

static void one_of_two_ends(void **state)
{
	(void)state;
	assert_int_equal(grant("console-in", PEER, 60), 0);
	assert_int_equal(grant("console-in", "10.32.0.51", 120), 0);
	assert_int_equal(grant("ews-out", "203.0.113.201", 120), 0);
	fake_time_pass(60 * SECOND);
	assert_int_equal(kernel_left("grant_console-in_4", PEER), -1);
	assert_int_equal(kernel_left("grant_console-in_4", "10.32.0.51"), 60 * SECOND + GRANT_MARGIN_MS);
	assert_true(is_used("grant_ews-out_4"));
	fake_time_pass(60 * SECOND);
	assert_false(is_used("grant_console-in_4") || is_used("grant_ews-out_4"));
}

static void prolonged_and_shortened(void **state)
{
	(void)state;
	assert_int_equal(grant("console-in", PEER, HOUR_S), 0);
	fake_time_pass(30 * MINUTE);
	assert_int_equal(grant("console-in", PEER, HOUR_S), 0);
	assert_int_equal(result.before_left_ms, 30 * MINUTE);
	assert_true(fake_log_has("for 1h, prolonged: 30m were left"));
	assert_int_equal(kernel_left("grant_console-in_4", PEER), HOUR + GRANT_MARGIN_MS);
	assert_int_equal(grant("console-in", PEER, 60), 0);
	assert_true(fake_log_has("for 1m, shortened: 1h were left"));
	assert_int_equal(kernel_left("grant_console-in_4", PEER), MINUTE + GRANT_MARGIN_MS);
	assert_int_equal(gateway_grants(gateway)->count, 1);
	fake_time_pass(MINUTE);
	assert_false(is_used("grant_console-in_4"));
}

static void revoked(void **state)
{
	(void)state;
	assert_int_equal(take_back("console-in", PEER), -ENOENT);
	assert_int_equal(grant("console-in", PEER, HOUR_S), 0);
	connect_peer(8470);
	assert_int_equal(take_back("console-in", "10.32.0.51"), -ENOENT);
	assert_int_equal(take_back("imap-in", PEER), -ENOENT);
	assert_int_equal(take_back("console-in", PEER), 0);
	assert_int_equal(result.cut.count, 1);
	assert_false(is_used("grant_console-in_4"));
	assert_int_equal(fake_conntrack_count(), 0);
	assert_true(fake_log_has("revoke by root (uid 0): console-in from " PEER ", granted by root (uid 0)"));
}

static void refused(void **state)
{
	static const struct {
		const char *flow, *address;
		int64_t for_s;
		const char *why;
	} cases[] = {
		{ "console-in", PEER, 59, "a grant is for 1m to 30d" },
		{ "console-in", PEER, 30 * 24 * HOUR_S + 1, "a grant is for 1m to 30d" },
		{ "console-in", PEER, -1, "a grant is for 1m to 30d" },
		{ "api-in", PEER, HOUR_S, "flow api-in is off (disabled)" },
		{ "console-in", "192.0.2.25", HOUR_S, "192.0.2.25 is protected" },
		{ "console-in", "203.0.113.9", HOUR_S, "203.0.113.9 is in flow console-in already" },
		{ "console-in", "198.51.100.9", HOUR_S,
		  "198.51.100.9 is in flow console-in already" },                /* by its name */
		{ "imap-in", PEER, HOUR_S, PEER " is in flow imap-in already" }, /* from ANY */
		{ "crl", PEER, HOUR_S, PEER " is in flow crl already" },
		{ "console-in", "127.0.0.1", HOUR_S, "127.0.0.1 is loopback" },
		{ "console-in", "224.0.0.1", HOUR_S, "224.0.0.1 is multicast" },
		{ "console-in", "::", HOUR_S, ":: is unspecified" },
	};

	(void)state;
	size_t commits = fake_nft.calls[FAKE_NFT_COMMIT];
	assert_int_equal(grant("console", PEER, HOUR_S), -ENOENT);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		if (grant(cases[i].flow, cases[i].address, cases[i].for_s) != -EINVAL ||
		    strncmp(result.why, cases[i].why, strlen(cases[i].why)) != 0)
			fail_msg("%s %s: %s", cases[i].flow, cases[i].address, result.why);
	}
	assert_int_equal(gateway_grants(gateway)->count, 0);
	assert_int_equal(fake_nft.calls[FAKE_NFT_COMMIT], commits);
	/* This gateway's own address is judged as any. */
	assert_int_equal(grant("console-in", "192.0.2.1", HOUR_S), 0);
}

static void reloads(void **state)
{
	struct addr addr = make_addr(PEER);

	(void)state;
	assert_int_equal(grant("console-in", PEER, HOUR_S), 0);
	connect_peer(8470);
	reload(GOOD "[flow imap-in]\nenabled = no\n");
	assert_true(is_let_in());
	assert_int_equal(fake_conntrack_count(), 1);
	reload(CONSOLE_OFF);
	assert_false(is_used("grant_console-in_4"));
	assert_int_equal(fake_conntrack_count(), 0);
	assert_int_equal(grant_state(config_store_policy(gateway_config(gateway)), "console-in", &addr),
			 GRANT_FLOW_OFF);
	fake_time_pass(10 * MINUTE);
	reload(GOOD);
	assert_int_equal(kernel_left("grant_console-in_4", PEER), 50 * MINUTE + GRANT_MARGIN_MS);
	assert_true(is_let_in());
	reload(GUARDS_PEER);
	assert_false(is_used("grant_console-in_4"));
	reload(GOOD);
	assert_true(is_let_in());
	/* It ends by its time also while it is without effect. */
	reload(CONSOLE_OFF);
	fake_time_pass(HOUR);
	reload(GOOD);
	assert_false(is_used("grant_console-in_4"));
	assert_int_equal(gateway_grants(gateway)->count, 0);
}

static void restarts(void **state)
{
	(void)state;
	assert_int_equal(grant("console-in", PEER, HOUR_S), 0);
	gateway_end();
	fake_time_pass(20 * MINUTE);
	start();
	assert_true(is_let_in());
	assert_int_equal(kernel_left("grant_console-in_4", PEER), 40 * MINUTE + GRANT_MARGIN_MS);
	/* The wall clock was set back meanwhile: that prolongs nothing. */
	gateway_end();
	fake_time_pass(10 * MINUTE);
	fake_wall_set(WALL - 100 * HOUR_S);
	start();
	assert_int_equal(kernel_left("grant_console-in_4", PEER), 30 * MINUTE + GRANT_MARGIN_MS);
	connect_peer(8470);
	gateway_end();
	fake_time_pass(30 * MINUTE);
	start();
	assert_false(is_used("grant_console-in_4"));
	assert_true(fake_log_has("a grant ended while spefwd did not run: console-in, " PEER));
	assert_int_equal(fake_conntrack_count(), 0);
}

/* As if the file had been written before a reboot: the kernel is empty, CLOCK_BOOTTIME begins anew. */
static void reboot(int64_t off_s, int64_t wall_step_s)
{
	char boot[STATE_BOOT_MAX], *text;
	struct grant_list list;
	bool damaged;

	gateway_end();
	state_boot_id(boot);
	text = directory_read(GRANTS_FILE);
	assert_int_equal(grants_from_text(&list, text, boot, now_ms(), wall_s(), &damaged), 0);
	assert_false(damaged);
	free(text);
	text = grants_text(&list, "another-boot", now_ms());
	directory_write(GRANTS_FILE, text);
	free(text);
	grants_free_list(&list);
	fake_nft_reset();
	fake_conntrack_reset();
	fake_time_reset(20 * SECOND, wall_s() + off_s + wall_step_s);
	start();
}

static void reboots(void **state)
{
	(void)state;
	assert_int_equal(grant("console-in", PEER, 2 * HOUR_S), 0);
	fake_time_pass(30 * MINUTE);
	reboot(30 * 60, 0);
	assert_true(is_let_in());
	/* The clocks need not tick together: a second more at most. */
	assert_int_equal(kernel_left("grant_console-in_4", PEER), HOUR + SECOND + GRANT_MARGIN_MS);
	/* No clock that goes on without power: it is 1970 again. What was left at the end is left. */
	reboot(0, -wall_s());
	assert_int_equal(kernel_left("grant_console-in_4", PEER), HOUR + SECOND + GRANT_MARGIN_MS);
	fake_time_pass(20 * MINUTE);
	/* The time comes from the network: 10 minutes are left by it. */
	fake_wall_set(WALL + 2 * HOUR_S - 10 * 60);
	fake_time_pass(MINUTE);
	assert_true(kernel_left("grant_console-in_4", PEER) <= 10 * MINUTE + 2 * SECOND);
	fake_time_pass(10 * MINUTE);
	assert_false(is_used("grant_console-in_4"));

	assert_int_equal(grant("console-in", PEER, HOUR_S), 0);
	reboot(2 * HOUR_S, 0);
	assert_int_equal(gateway_grants(gateway)->count, 0);
	assert_false(is_used("grant_console-in_4"));
}

static void clock_steps(void **state)
{
	(void)state;
	assert_int_equal(grant("console-in", PEER, HOUR_S), 0);
	fake_wall_set(WALL - 365 * 24 * HOUR_S);
	fake_time_pass(HOUR - SECOND);
	assert_true(is_let_in());
	fake_time_pass(SECOND);
	assert_false(is_used("grant_console-in_4"));
	/* Set forward, past its end: seen within a minute. */
	assert_int_equal(grant("console-in", PEER, HOUR_S), 0);
	fake_wall_set(wall_s() + 2 * HOUR_S);
	fake_time_pass(MINUTE);
	assert_false(is_used("grant_console-in_4"));
}

/* While the machine sleeps, the kernel's timeouts stand still, and CLOCK_BOOTTIME does not. */
static void suspend(void **state)
{
	(void)state;
	assert_int_equal(grant("console-in", PEER, HOUR_S), 0);
	struct set *set = ruleset_find_set(&fake_nft.table, "grant_console-in_4");
	set->items[0].deadline_ms += 3 * HOUR;
	fake_time_pass(3 * HOUR);
	assert_false(is_used("grant_console-in_4"));
	assert_int_equal(gateway_grants(gateway)->count, 0);
}

static void clear_ends_all(void **state)
{
	bool removed, dropped;

	(void)state;
	assert_int_equal(grant("console-in", PEER, HOUR_S), 0);
	assert_int_equal(grant("ews-out", "203.0.113.201", HOUR_S), 0);
	assert_int_equal(gateway_clear(gateway, &by, &removed, &dropped), 0);
	assert_int_equal(gateway_grants(gateway)->count, 0);
	assert_int_equal(grant("console-in", PEER, HOUR_S), -ENODEV);
	reload(GOOD);
	assert_false(is_used("grant_console-in_4") || is_used("grant_ews-out_4"));
	gateway_end();
	start();
	assert_int_equal(gateway_grants(gateway)->count, 0);
}

static void full_disk(void **state)
{
	(void)state;
	directory_hide(true);
	assert_int_equal(grant("console-in", PEER, HOUR_S), 0);
	assert_true(is_let_in());
	assert_true(has_reason("grants-unsaved: "));
	assert_int_equal(fake_log_count("can't save the grants in "), 1);
	fake_time_pass(MINUTE);
	assert_true(has_reason("grants-unsaved: "));
	assert_int_equal(fake_log_count("can't save the grants in "), 1);
	directory_hide(false);
	fake_time_pass(MINUTE);
	assert_false(has_reason("grants-unsaved: "));
	gateway_end();
	start();
	assert_true(is_let_in());
}

/* Revoked where that can't be saved, it has not come back after a kill: rather none is left. */
static void revoked_on_a_full_disk(void **state)
{
	char room[80];

	(void)state;
	snprintf(room, sizeof(room), "%s", directory_path(".grants.new")); /* where it would be written */
	assert_int_equal(grant("console-in", PEER, 10 * HOUR_S), 0);
	assert_int_equal(mkdir(room, 0700), 0);
	assert_int_equal(grant("console-in", PEER, 20 * HOUR_S), 0);
	assert_true(has_reason("grants-unsaved: "));
	assert_false(has_reason("after a restart there are none"));
	char *before = directory_read(GRANTS_FILE);
	assert_int_equal(grant("console-in", PEER, HOUR_S), 0); /* shortened: likewise */
	assert_true(has_reason("after a restart there are none"));
	directory_write(GRANTS_FILE, before);
	free(before);
	assert_int_equal(take_back("console-in", PEER), 0);
	assert_true(has_reason("after a restart there are none"));
	gateway_end();
	start();
	assert_int_equal(gateway_grants(gateway)->count, 0);
	assert_false(is_let_in());
	assert_int_equal(rmdir(room), 0);
	assert_int_equal(grant("console-in", PEER, HOUR_S), 0);
	assert_false(has_reason("grants-unsaved: "));
	gateway_end();
	start();
	assert_true(is_let_in());
}

/* Nothing is granted that the kernel did not take, and it is not found in the file either. */
static void kernel_refuses(void **state)
{
	(void)state;
	assert_int_equal(grant("ews-out", "203.0.113.201", HOUR_S), 0);
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 1, -ENOMEM);
	assert_int_equal(grant("console-in", PEER, HOUR_S), -ENOMEM);
	assert_int_equal(gateway_grants(gateway)->count, 1);
	fake_time_pass(10 * SECOND);
	assert_false(is_used("grant_console-in_4"));
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 1, -ENOMEM);
	assert_int_equal(grant("ews-out", "203.0.113.201", 60), -ENOMEM);
	fake_time_pass(10 * SECOND);
	assert_true(kernel_left("grant_ews-out_4", "203.0.113.201") > HOUR - MINUTE);
	gateway_end();
	start();
	assert_int_equal(gateway_grants(gateway)->count, 1);

	/* A revoke goes on until the kernel takes it. */
	assert_int_equal(grant("console-in", PEER, HOUR_S), 0);
	connect_peer(8470);
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 1, -ENOMEM);
	assert_int_equal(take_back("console-in", PEER), -ENOMEM);
	assert_true(has_reason("table-outdated") || has_reason("change-failed"));
	fake_time_pass(10 * SECOND);
	assert_false(is_used("grant_console-in_4"));
	assert_int_equal(fake_conntrack_count(), 0);
}

/* What a kill leaves behind at any moment is known, or ends by itself. */
static void killed_before_the_commit(void **state)
{
	(void)state;
	assert_int_equal(grant("console-in", PEER, HOUR_S), 0);
	char *before = directory_read(GRANTS_FILE);
	assert_int_equal(take_back("console-in", PEER), 0);
	char *after = directory_read(GRANTS_FILE);
	gateway_end();
	directory_write(GRANTS_FILE, before); /* it was saved, and the kernel did not get it */
	start();
	assert_true(is_let_in());
	gateway_end();
	directory_write(GRANTS_FILE, after); /* likewise, of a revoke */
	start();
	assert_false(is_used("grant_console-in_4"));
	free(before);
	free(after);
}

/* A damaged file gives nobody anything. */
static void damaged_file(void **state)
{
	(void)state;
	assert_int_equal(grant("console-in", PEER, HOUR_S), 0);
	gateway_end();
	char *text = directory_read(GRANTS_FILE);
	*strstr(text, PEER) = '2';
	directory_write(GRANTS_FILE, text);
	free(text);
	start();
	assert_int_equal(gateway_grants(gateway)->count, 0);
	assert_true(fake_log_has("are not whole: those that can't be read have ended"));
}

/* No more than so many, and then one more where there is room again. */
static void full(void **state)
{
	char address[20];

	(void)state;
	for (int i = 0; i < GRANTS_MAX; i++) {
		snprintf(address, sizeof(address), "10.33.%d.%d", i / 100, i % 100);
		assert_int_equal(grant("console-in", address, HOUR_S), 0);
	}
	assert_int_equal(grant("console-in", PEER, HOUR_S), -EINVAL);
	assert_string_equal(result.why, "there are 256 grants already: revoke one");
	assert_int_equal(take_back("console-in", address), 0);
	assert_int_equal(grant("console-in", PEER, HOUR_S), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(given_and_ended),
		TEST(one_of_two_ends),
		TEST(prolonged_and_shortened),
		TEST(revoked),
		TEST(refused),
		TEST(reloads),
		TEST(restarts),
		TEST(reboots),
		TEST(clock_steps),
		TEST(suspend),
		TEST(clear_ends_all),
		TEST(full_disk),
		TEST(revoked_on_a_full_disk),
		TEST(kernel_refuses),
		TEST(damaged_file),
		TEST(killed_before_the_commit),
		TEST(full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
