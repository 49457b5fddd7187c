/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Another policy: a reload that waits for confirm, going back, and what a start makes of it. The whole gateway, as in
 * test_gw_gateway.c. */
#include "gw_whole.h"

#include "gateway/config_pieces.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define SERVER "[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n"
#define FIRST SERVER "[role ADM]\nmembers = 203.0.113.0/24\n"
#define OTHER SERVER "[role ADM]\nmembers = 203.0.113.200\n"
#define THIRD SERVER "[role ADM]\nmembers = 203.0.113.201\n"
#define BAD "[server]\naddress = nonsense\n"

enum { NOW = 5000 };

static char problem[200]; /* of the last change */

static char news[1024]; /* kinds of what happened, a letter each */

static void on_happened(void *userdata, const struct happening *happening)
{
	static const char letters[HAPPENINGS] = {
		[HAPPENED_RELOAD] = 'r',  [HAPPENED_ROLLBACK] = 'b', [HAPPENED_UNDO] = 'u', [HAPPENED_CONFIRM] = 'c',
		[HAPPENED_REFRESH] = '-', [HAPPENED_CLEAR] = 'x',    [HAPPENED_CUT] = '-',  [HAPPENED_NAME] = '-',
		[HAPPENED_REPAIR] = '-',  [HAPPENED_FOREIGN] = '-'
	};
	size_t length = strlen(news);
	bool whole = happening->kind > HAPPENED_UNDO || happening->done;

	(void)userdata;
	snprintf(news + length, sizeof(news) - length, "%c%s", letters[happening->kind], whole ? "" : "!");
}

static void start(void)
{
	gateway_run(&(struct gateway_events){ .happened = on_happened });
	gateway_watch(gateway, true);
}

static void restart(void)
{
	gateway_end();
	start();
}

static int setup(void **state)
{
	(void)state;
	gateway_set_up(FIRST, NOW);
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

/* Which of the three the kernel holds: by the one set that differs. */
static int in_kernel(void)
{
	const struct set *set = ruleset_find_set(&fake_nft.table, "role_ADM_4");

	assert_non_null(set);
	assert_int_equal(set->count, 1);
	return set->items[0].first[3] == 0 ? 1 : set->items[0].first[3] == 200 ? 2 : 3;
}

static int reload(const char *config, int64_t confirm_ms)
{
	struct reload_result result;

	int r = reload_file(config, confirm_ms, &result);
	memcpy(problem, result.what, sizeof(problem));
	return r;
}

static int rollback(size_t number, int64_t confirm_ms)
{
	struct diags diags = { 0 };
	struct reload_result result = { 0 };

	int r = gateway_rollback(gateway, &by, number, confirm_ms, &diags, &result);
	diags_free(&diags);
	return r;
}

static bool waits(void)
{
	return config_store_waiting(gateway_config(gateway)) != NULL;
}

static bool matches_disk(void)
{
	return config_store_matches_disk(gateway_config(gateway));
}

/* How each entry came, the last one first, a letter each; a capital one was taken back. */
static const char *history_text(void)
{
	const struct history *history = config_store_history(gateway_config(gateway));
	static char text[HISTORY_ENTRIES_MAX + 1];
	size_t i;

	for (i = 0; i < history->count; i++) {
		const struct history_entry *entry = history_before(history, i);
		bool back = history_why(history, entry->files);
		text[i] = (back ? "SRBU" : "srbu")[entry->how];
	}
	text[i] = '\0';
	return text;
}

static void test_undone(void **state)
{
	(void)state;
	assert_int_equal(reload(OTHER, MINUTE), 0);
	assert_true(waits());
	assert_int_equal(config_store_left_ms(gateway_config(gateway)), MINUTE);
	fake_time_pass(MINUTE - 1);
	assert_int_equal(in_kernel(), 2);
	assert_int_equal(reload(THIRD, 0), -EALREADY);
	assert_int_equal(rollback(0, 0), -EALREADY);
	assert_true(fake_log_has("reload by root (uid 0): refused, the change by root (uid 0) waits for confirm"));
	directory_write("spefw.ini", OTHER);
	fake_time_pass(1);
	assert_int_equal(in_kernel(), 1);
	assert_false(waits());
	assert_false(matches_disk());
	assert_true(has_reason("config-taken-back"));
	assert_string_equal(gateway_loaded_by(gateway), "spefwd");
	assert_string_equal(news, "ru");
	assert_string_equal(history_text(), "uRs");
	assert_int_equal(gateway_confirm(gateway, &by), -ENOENT);
	restart();
	assert_int_equal(in_kernel(), 1);
	assert_true(has_reason("config-taken-back"));
	assert_string_equal(history_text(), "uRs");
	assert_int_equal(reload(NULL, 0), 0);
	assert_int_equal(in_kernel(), 2);
	assert_false(has_reason("config-taken-back"));
	restart();
	assert_int_equal(in_kernel(), 2);
	assert_true(matches_disk());
}

/* A step of the wall clock is nothing to it. */
static void test_confirmed(void **state)
{
	(void)state;
	assert_int_equal(reload(OTHER, MINUTE), 0);
	fake_wall_set(WALL + 1000000);
	fake_time_pass(MINUTE - 1);
	assert_true(waits());
	fake_wall_set(WALL - 1000000);
	assert_int_equal(gateway_confirm(gateway, &by), 0);
	assert_string_equal(news, "rc");
	fake_time_pass(10 * MINUTE);
	assert_int_equal(in_kernel(), 2);
	assert_string_equal(history_text(), "rs");
	assert_int_equal(reload(NULL, MINUTE), 0); /* nothing changes */
	assert_false(waits());
	restart();
	assert_int_equal(in_kernel(), 2);
}

/* The kernel refuses to go back: it is tried again, and can still be confirmed. */
static void test_undo_fails(void **state)
{
	(void)state;
	assert_int_equal(reload(OTHER, MINUTE), 0);
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 1, -ENOMEM);
	fake_time_pass(MINUTE);
	assert_int_equal(in_kernel(), 2);
	assert_true(waits());
	assert_true(has_reason("undo-failed"));
	assert_string_equal(news, "ru!");
	assert_int_equal(fake_log_count("can't be undone, which is tried again"), 1);
	fake_time_pass(5 * SECOND);
	assert_int_equal(in_kernel(), 1);
	assert_false(has_reason("undo-failed"));
	assert_string_equal(news, "ru!u");

	assert_int_equal(reload(THIRD, MINUTE), 0);
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 100, -ENOMEM);
	fake_time_pass(2 * MINUTE);
	assert_true(has_reason("undo-failed"));
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 0, 0);
	assert_int_equal(gateway_confirm(gateway, &by), 0);
	assert_false(has_reason("undo-failed"));
	fake_time_pass(2 * MINUTE);
	assert_int_equal(in_kernel(), 3);
}

/* What the kernel refuses waits for nothing. */
static void test_not_applied(void **state)
{
	(void)state;
	fake_nft_fail(FAKE_NFT_COMMIT, 0, 1, -EINVAL);
	assert_true(reload(OTHER, MINUTE) < 0);
	assert_false(waits());
	assert_int_not_equal(access(directory_path("waiting"), F_OK), 0);
	assert_int_equal(in_kernel(), 1);
	assert_int_equal(reload(BAD, MINUTE), -EINVAL);
	assert_false(waits());
	restart();
	assert_int_equal(in_kernel(), 1);
	assert_string_equal(history_text(), "s");
}

/* As a daemon leaves the directory that is killed before the kernel has it: nobody was told that it is in force. */
static void test_killed_before(void **state)
{
	(void)state;
	char *history = directory_read("history"), *generation = directory_read("generation");
	assert_int_equal(reload(OTHER, MINUTE), 0);
	char *waiting = directory_read("waiting");
	gateway_end();
	directory_write("history", history);
	directory_write("generation", generation);
	directory_write("waiting", waiting);
	start();
	assert_int_equal(in_kernel(), 1);
	assert_false(waits());
	assert_true(has_reason("config-taken-back"));
	assert_string_equal(history_text(), "s");
	assert_int_not_equal(access(directory_path("waiting"), F_OK), 0);
	/* It was undone, and killed again before that was saved. */
	gateway_end();
	directory_write("waiting", waiting);
	start();
	assert_int_equal(in_kernel(), 1);
	/* The kernel had it, and its generation was saved. */
	assert_int_equal(reload(OTHER, MINUTE), 0);
	gateway_end();
	directory_write("history", history);
	directory_write("waiting", waiting);
	start();
	assert_int_equal(in_kernel(), 1);
	assert_string_equal(history_text(), "us");
	free(history);
	free(generation);
	free(waiting);
}

/* As one leaves it that is killed after the undo, before what waited is removed; then another reload. */
static void test_killed_after(void **state)
{
	(void)state;
	assert_int_equal(reload(OTHER, MINUTE), 0);
	char *waiting = directory_read("waiting");
	fake_time_pass(MINUTE);
	assert_int_equal(in_kernel(), 1);
	assert_int_equal(reload(THIRD, 0), 0);
	gateway_end();
	directory_write("waiting", waiting);
	start();
	assert_int_equal(in_kernel(), 3);
	assert_true(matches_disk());
	assert_int_not_equal(access(directory_path("waiting"), F_OK), 0);
	free(waiting);
}

static void test_restart_meanwhile(void **state)
{
	(void)state;
	assert_int_equal(reload(OTHER, MINUTE), 0);
	fake_time_pass(10 * SECOND);
	directory_write("spefw.ini", BAD); /* whatever is on disk meanwhile */
	restart();
	assert_int_equal(in_kernel(), 2);
	assert_int_equal(config_store_left_ms(gateway_config(gateway)), MINUTE - 10 * SECOND);
	fake_time_pass(50 * SECOND);
	assert_int_equal(in_kernel(), 1);
	assert_false(waits());

	assert_int_equal(reload(THIRD, MINUTE), 0);
	gateway_end();
	fake_time_pass(MINUTE);
	start();
	assert_int_equal(in_kernel(), 1);
	assert_false(waits());
	assert_true(fake_log_has("the change by root (uid 0) is undone: it was not confirmed in time"));
	assert_string_equal(history_text(), "uRuRs");
	restart();
	assert_string_equal(history_text(), "uRuRs");
	assert_true(has_reason("config-taken-back"));
}

/* The history is damaged, but not what to go back to: that is kept again. */
static void test_damaged_history(void **state)
{
	(void)state;
	assert_int_equal(reload(OTHER, MINUTE), 0);
	gateway_end();
	directory_write("history", "damaged");
	start();
	assert_int_equal(in_kernel(), 1);
	assert_string_equal(history_text(), "u");
	assert_true(has_reason("config-taken-back"));
	directory_write("spefw.ini", BAD);
	restart();
	assert_int_equal(in_kernel(), 1);
}

/* The history is damaged and so is the file: the newest configuration that was kept serves, and none goes. */
static void test_damaged_all(void **state)
{
	char first[64];
	(void)state;
	const struct history_entry *entry = history_last(config_store_history(gateway_config(gateway)));

	snprintf(first, sizeof(first), "configuration-%016llx", (unsigned long long)entry->files);
	assert_int_equal(reload(OTHER, 0), 0);
	gateway_end();
	directory_write("history", "damaged");
	directory_write("spefw.ini", BAD);
	start();
	assert_int_equal(in_kernel(), 2);
	assert_true(has_reason("config-refused"));
	assert_int_equal(access(directory_path(first), F_OK), 0);
	entry = history_last(config_store_history(gateway_config(gateway)));
	snprintf(first, sizeof(first), "configuration-%016llx", (unsigned long long)entry->files);
	gateway_end();
	directory_write("history", "damaged");
	directory_write(first, "damaged");
	start();
	assert_int_equal(in_kernel(), 1);
}

/* Nobody knows what waited: that is said until another policy comes into force. */
static void test_damaged_waiting(void **state)
{
	(void)state;
	assert_int_equal(reload(OTHER, MINUTE), 0);
	gateway_end();
	directory_write("waiting", "damaged");
	start();
	assert_int_equal(in_kernel(), 2);
	assert_true(has_reason("confirm-unknown"));
	assert_int_equal(access(directory_path("waiting"), F_OK), -1);
	assert_int_equal(reload(THIRD, 0), 0);
	assert_false(has_reason("confirm-unknown"));
}

/* What to go back to is gone: the new one stays, and that is said. */
static void test_damaged(void **state)
{
	char name[64];

	(void)state;
	const struct history_entry *before = history_last(config_store_history(gateway_config(gateway)));
	snprintf(name, sizeof(name), "configuration-%016llx", (unsigned long long)before->files);
	assert_int_equal(reload(OTHER, MINUTE), 0);
	directory_write(name, "damaged");
	fake_time_pass(MINUTE);
	assert_int_equal(in_kernel(), 2);
	assert_true(has_reason("undo-failed: a reload that nobody confirmed can't be undone: the configuration before "
			       "can't be read"));
	restart();
	assert_int_equal(in_kernel(), 2);
	assert_true(fake_log_has("can't be undone: the configuration before is damaged"));
	assert_int_equal(reload(THIRD, 0), 0);
}

/* A disk has forgotten a bit: nothing waits that could not be undone, and with the next reload or start it is kept
 * anew.
 */
static void test_damaged_before(void **state)
{
	char name[64];

	(void)state;
	const struct history_entry *before = history_last(config_store_history(gateway_config(gateway)));
	snprintf(name, sizeof(name), "configuration-%016llx", (unsigned long long)before->files);
	char *text = directory_read(name);
	text[strlen(text) / 2] ^= 1;
	directory_write(name, text);
	assert_true(reload(OTHER, MINUTE) < 0);
	assert_non_null(strstr(problem, "what to go back to is damaged in /"));
	assert_non_null(strstr(problem, "reload without --confirm"));
	assert_int_equal(in_kernel(), 1);
	assert_false(waits());
	assert_int_equal(reload(FIRST, 0), 0);
	assert_int_equal(reload(OTHER, MINUTE), 0);
	fake_time_pass(MINUTE);
	assert_int_equal(in_kernel(), 1);
	directory_write(name, text);
	directory_write("spefw.ini", FIRST);
	restart();
	directory_write("spefw.ini", BAD);
	restart();
	assert_int_equal(in_kernel(), 1);
	free(text);
}

static void test_clear(void **state)
{
	bool removed, dropped;

	(void)state;
	assert_int_equal(reload(OTHER, MINUTE), 0);
	assert_int_equal(gateway_clear(gateway, &by, &removed, &dropped), 0);
	assert_true(dropped);
	assert_false(waits());
	fake_time_pass(2 * MINUTE);
	assert_false(fake_nft.exists);
	assert_true(reload(OTHER, MINUTE) < 0);
	assert_non_null(strstr(problem, "reload without --confirm"));
	restart();
	assert_int_equal(in_kernel(), 1);
	assert_int_equal(gateway_clear(gateway, &by, &removed, &dropped), 0);
	assert_false(dropped);
	assert_int_equal(reload(NULL, 0), 0);
	assert_int_equal(in_kernel(), 2);
}

static void test_rollback(void **state)
{
	(void)state;
	assert_int_equal(rollback(0, 0), -ENOENT);
	assert_int_equal(rollback(1, 0), -ENOENT);
	assert_int_equal(reload(OTHER, 0), 0);
	assert_int_equal(reload(THIRD, 0), 0);
	assert_int_equal(rollback(0, 0), 0);
	assert_int_equal(in_kernel(), 2);
	assert_true(has_reason("config-taken-back"));
	assert_int_equal(rollback(0, 0), 0); /* on, not to and fro */
	assert_int_equal(in_kernel(), 1);
	assert_int_equal(rollback(0, 0), -ENOENT);
	assert_string_equal(history_text(), "bBRRs");
	restart();
	assert_int_equal(in_kernel(), 1);
	assert_true(has_reason("config-taken-back: "));
	assert_int_equal(rollback(2, MINUTE), 0); /* THIRD: which may be gone back to by its number */
	assert_int_equal(in_kernel(), 3);
	assert_true(matches_disk());
	fake_time_pass(MINUTE);
	assert_int_equal(in_kernel(), 1);
	assert_string_equal(history_text(), "uBbBRRs");
}

/* A copy of the policy in force, piece by piece. */
static void test_pieces(void **state)
{
	struct config_pieces *pieces;
	struct config_piece piece;

	(void)state;
	directory_write("admins.txt", "203.0.113.5\n");
	assert_int_equal(reload(SERVER "[role ADM]\nmembers = file:admins.txt\n", 0), 0);
	int fd = config_store_open(gateway_config(gateway));
	assert_true(fd >= 0);
	assert_int_equal(config_pieces_new(&pieces, fd), 0);
	assert_int_equal(config_pieces_next(pieces, &piece), 0);
	assert_string_equal(piece.path, directory_path("spefw.ini"));
	assert_string_equal(piece.bytes, SERVER "[role ADM]\nmembers = file:admins.txt\n");
	assert_false(piece.last);
	assert_int_equal(reload(FIRST, 0), 0); /* it goes on with what it began */
	assert_int_equal(config_pieces_next(pieces, &piece), 0);
	assert_string_equal(piece.path, directory_path("admins.txt"));
	assert_string_equal(piece.bytes, "203.0.113.5\n");
	assert_int_equal(piece.file, 1);
	assert_true(piece.last);
	config_pieces_free(pieces);

	directory_write("damaged", "spefw-archive 1\n5 0000000000000000 /a\nabcd\n\nend 1\n");
	fd = open(directory_path("damaged"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(config_pieces_new(&pieces, fd), 0);
	assert_int_equal(config_pieces_next(pieces, &piece), -EBADMSG);
	config_pieces_free(pieces);
	directory_write("damaged", "spefw-archive 1\nend 0\n");
	assert_int_equal(config_pieces_new(&pieces, open(directory_path("damaged"), O_RDONLY | O_CLOEXEC)), -EBADMSG);
	config_pieces_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_undone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_confirmed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_undo_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_applied, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_before, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_after, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_history, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_before, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clear, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rollback, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
