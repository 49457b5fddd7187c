/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flows that are expected to be used: days of silence, answers, restarts. */
#include "fake_conntrack.h"
#include "fake_time.h"
#include "gw_fixture.h"

#include "gateway/usage.h"

#include <errno.h>
#include <sys/stat.h>

#define BASE "[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53\n[role ADM]\nmembers = 203.0.113.0/24\n"
#define LICENSE "[flow license-out]\nexpect = 24h\n"
#define CONSOLE "[flow console-in]\nexpect = 1h\n"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static struct usage *usage;
static struct policy policy;
/* The coordinator's calls. */
static size_t changes, saves, counter_reads;
static uint64_t opened[2]; /* license-out, console-in */
static int view_error;
static int64_t view_cost_ms; /* processor time of a look */

static int on_held_view(void *userdata, struct names_view *ret)
{
	assert_ptr_equal(userdata, &changes);
	fake_processor_set(processor_ms() + view_cost_ms);
	*ret = (struct names_view){ 0 };
	if (view_error)
		return view_error;
	long left = allocations_left;
	allocations_left = -1;
	*ret = make_names(&policy, "my.mailstore.com 198.51.100.44");
	allocations_left = left;
	return 0;
}

static void on_read_counters(void *userdata)
{
	assert_ptr_equal(userdata, &changes);
	counter_reads++;
}

static uint64_t on_opened(void *userdata, const char *flow)
{
	assert_ptr_equal(userdata, &changes);
	assert_true(counter_reads > 0);
	return opened[strcmp(flow, "license-out") != 0];
}

static void on_changed(void *userdata)
{
	assert_ptr_equal(userdata, &changes);
	changes++;
}

static void on_save(void *userdata)
{
	assert_ptr_equal(userdata, &changes);
	saves++;
	assert_int_equal(usage_save(usage), 0);
}

static const struct usage_events events = { on_held_view, on_read_counters, on_opened, on_changed, on_save };

static void follow(const char *text)
{
	policy_free(&policy);
	make_good_policy(&policy, text);
	usage_follow(usage, &policy);
}

static void begin(void)
{
	assert_int_equal(usage_new(&usage, NULL, directory, &events, &changes), 0);
}

/* Another daemon on the same state directory. */
static void restart(const char *text)
{
	usage_free(usage);
	begin();
	follow(text);
}

static int setup(void **state)
{
	(void)state;
	fake_time_reset(INT64_C(1000000), INT64_C(1700000000));
	fake_conntrack_reset();
	fake_log_reset();
	directory_new();
	changes = saves = counter_reads = 0;
	opened[0] = opened[1] = 0;
	view_error = 0;
	view_cost_ms = 0;
	begin();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	allocations_left = -1;
	usage_free(usage);
	policy_free(&policy);
	directory_remove();
	return fake_timers;
}

static const char *reasons(void)
{
	struct health health = { 0 };

	usage_reasons(usage, &health);
	return reasons_text(&health);
}

/* A connection of a flow: one of the license server or of an administrator. */
static struct tracked connection(const char *source, const char *target, uint16_t port, uint32_t id)
{
	return (struct tracked){ .packet = { .source = make_addr(source),
					     .target = make_addr(target),
					     .protocol = PROTOCOL_TCP,
					     .source_port = 50000,
					     .target_port = port },
				 .answered = true,
				 .id = id,
				 .lives_s = 120 };
}

static struct tracked console(uint32_t id)
{
	return connection("203.0.113.7", "192.0.2.25", 8470, id);
}

static struct tracked license(uint32_t id)
{
	return connection("192.0.2.25", "198.51.100.44", 443, id);
}

/* It is opened, seen, and gone after a minute. */
static void use(const struct tracked *tracked, size_t flow)
{
	opened[flow]++;
	fake_conntrack_add(tracked);
	fake_time_pass(MINUTE);
	fake_conntrack_reset();
}

static void test_silence_and_answer(void **state)
{
	(void)state;
	follow(BASE CONSOLE);
	fake_time_pass(HOUR - MINUTE);
	assert_false(usage_find(usage, "console-in")->overdue);
	assert_string_equal(reasons(), "");
	assert_int_equal(changes, 0);
	fake_time_pass(2 * MINUTE);
	assert_true(usage_find(usage, "console-in")->overdue);
	assert_string_equal(reasons(), "flow-silent: flow console-in: no answered connection for more than 1h\n");
	assert_int_equal(fake_log_count("flow console-in: no answered connection for more than 1h"), 1);
	assert_int_equal(changes, 1);
	fake_time_pass(3 * (int64_t)DAY);
	assert_int_equal(fake_log_count("flow console-in"), 1);
	assert_int_equal(changes, 1);

	struct tracked answered = console(1);
	use(&answered, 1);
	assert_string_equal(reasons(), "");
	assert_int_equal(fake_log_count("flow console-in: a connection was answered again"), 1);
	assert_int_equal(changes, 2);
	assert_true(usage_find(usage, "console-in")->answered);
	assert_in_range(usage_find(usage, "console-in")->silent_ms, 0, MINUTE);
	assert_null(usage_find(usage, "license-out"));
}

static void test_what_is_no_use(void **state)
{
	struct tracked unanswered = console(1), stranger = connection("198.51.100.9", "192.0.2.25", 8470, 2),
		       other_flow = connection("198.51.100.9", "192.0.2.25", 443, 3);

	(void)state;
	follow(BASE CONSOLE);
	unanswered.answered = false;
	fake_conntrack_add(&unanswered);
	fake_conntrack_add(&stranger);
	fake_conntrack_add(&other_flow);
	opened[1]++;
	fake_time_pass(HOUR + MINUTE);
	assert_true(fake_conntrack_looks > 2);
	assert_true(usage_find(usage, "console-in")->overdue);
}

/* The license server has another address by now than when the connection was opened: it is one of the flow still. */
static void test_held_addresses(void **state)
{
	struct tracked answered = license(1), elsewhere = connection("192.0.2.25", "198.51.100.45", 443, 2);

	(void)state;
	follow(BASE LICENSE);
	fake_time_pass(DAY + HOUR);
	assert_string_equal(reasons(), "flow-silent: flow license-out: no answered connection for more than 1d\n");
	use(&elsewhere, 0); /* that is none of its addresses; another flow allows it */
	assert_true(usage_find(usage, "license-out")->overdue);
	use(&answered, 0);
	assert_string_equal(reasons(), "");
}

/* The entry of a connection that was there before tracking was: the first packet seen of it was the server's. */
static void test_picked_up(void **state)
{
	struct tracked picked_up = connection("192.0.2.25", "203.0.113.7", 50000, 1);

	(void)state;
	follow(BASE CONSOLE);
	fake_time_pass(HOUR + MINUTE);
	assert_true(usage_find(usage, "console-in")->overdue);
	picked_up.packet.source_port = 8470;
	use(&picked_up, 1);
	assert_true(usage_find(usage, "console-in")->overdue);
	picked_up.picked_up = true;
	use(&picked_up, 1);
	assert_false(usage_find(usage, "console-in")->overdue);
}

static void test_removed_table(void **state)
{
	(void)state;
	follow(BASE CONSOLE);
	fake_time_pass(30 * MINUTE + SECOND);
	usage_set_removed(usage, true);
	size_t looks = fake_conntrack_looks, reads = counter_reads;
	fake_time_pass(5 * (int64_t)DAY);
	assert_int_equal(usage_find(usage, "console-in")->silent_ms, 30 * MINUTE + SECOND);
	assert_int_equal(fake_conntrack_looks, looks);
	assert_int_equal(counter_reads, reads);
	fake_time_pass(SECOND); /* since the timer last fired */
	usage_set_removed(usage, false);
	assert_int_equal(usage_find(usage, "console-in")->silent_ms, 30 * MINUTE + SECOND);
	fake_time_pass(29 * MINUTE);
	assert_int_equal(changes, 0);
	fake_time_pass(2 * MINUTE);
	assert_int_equal(changes, 1);
}

static void test_restarts(void **state)
{
	struct tracked answered = console(1);

	(void)state;
	follow(BASE CONSOLE LICENSE);
	fake_time_pass(40 * MINUTE);
	assert_int_equal(usage_save(usage), 0);
	restart(BASE CONSOLE LICENSE);
	assert_int_equal(usage_find(usage, "console-in")->silent_ms, 40 * MINUTE);
	fake_time_pass(21 * MINUTE);
	assert_int_equal(changes, 1);
	/* An answer ends a silence that is on disk: it must not come back with a daemon that is killed. */
	assert_int_equal(saves, 0);
	use(&answered, 1);
	assert_int_equal(saves, 1);
	fake_time_pass(10 * MINUTE);
	answered.id = 2;
	use(&answered, 1);
	assert_int_equal(saves, 1); /* the silence on disk is shorter than this one was */
	restart(BASE CONSOLE LICENSE);
	assert_in_range(usage_find(usage, "console-in")->silent_ms, 0, MINUTE);
	assert_in_range(usage_find(usage, "license-out")->silent_ms, HOUR, HOUR + 3 * MINUTE); /* as of the save */
	assert_int_equal(fake_log_count("can't"), 0);
}

static void test_unreadable_connections(void **state)
{
	(void)state;
	follow(BASE CONSOLE);
	fake_conntrack_error = -EPERM;
	fake_time_pass(2 * HOUR);
	assert_int_equal(fake_log_count("connections can't be read"), 1);
	/* What was not seen is no silence. */
	assert_string_equal(reasons(), "connections-unreadable: connections can't be read: which flows are used is not "
				       "known\n");
	fake_conntrack_error = 0;
	fake_time_pass(MINUTE);
	assert_string_equal(reasons(), "flow-silent: flow console-in: no answered connection for more than 1h\n");
	view_error = -ENOMEM;
	fake_time_pass(HOUR);
	assert_int_equal(fake_log_count("connections can't be read: Cannot allocate memory"), 1);
	assert_true(usage_find(usage, "console-in")->overdue);
}

static void test_nothing_expected(void **state)
{
	(void)state;
	follow(BASE);
	fake_time_pass(DAY);
	assert_int_equal(counter_reads, 0);
	assert_int_equal(usage_save(usage), 0);
	assert_null(directory_read("expect"));

	follow(BASE CONSOLE);
	fake_time_pass(2 * HOUR);
	assert_int_equal(usage_save(usage), 0);
	char *text = directory_read("expect");
	assert_non_null(strstr(text, "console-in "));
	free(text);
	follow(BASE); /* not expected any more */
	restart(BASE);
	fake_time_pass(2 * HOUR);
	assert_string_equal(reasons(), "");
	assert_int_equal(usage_save(usage), 0);
	text = directory_read("expect");
	assert_string_equal(text, "");
	free(text);
	assert_int_equal(remove(directory_path("expect")), 0);
	assert_int_equal(usage_save(usage), 0); /* there is nothing of it on disk, and nothing to save */
	assert_null(directory_read("expect"));
}

static const struct policy_flow *flow_of(const char *id)
{
	return policy_flow(&policy, id);
}

static uint64_t opened_24h(const char *id)
{
	const struct record_flow *flow = record_find(usage_record(usage), id);
	return flow ? record_opened(flow, wall_s()) : 0;
}

/* Seconds since the last use; -1: never. */
static int64_t last_used(const char *id)
{
	const struct record_flow *flow = record_find(usage_record(usage), id);
	return flow ? wall_s() - flow->last_s : -1;
}

/* What is open, new, and was used last, without anything that is expected. */
static void test_use(void **state)
{
	struct tracked first = console(1), second = console(2), udp = console(3), unanswered = console(4),
		       denied = connection("198.51.100.9", "192.0.2.25", 8470, 5);

	(void)state;
	first.open = second.open = denied.open = true;
	unanswered.answered = false;
	udp.packet = (struct packet){ .source = make_addr("192.0.2.25"),
				      .target = make_addr("192.0.2.53"),
				      .protocol = PROTOCOL_UDP,
				      .source_port = 50000,
				      .target_port = 53 };
	follow(BASE);
	assert_false(usage_knows_open(usage));
	assert_int_equal(last_used("console-in"), -1);
	fake_conntrack_add(&first);
	fake_conntrack_add(&second);
	fake_conntrack_add(&udp);
	fake_conntrack_add(&unanswered);
	fake_conntrack_add(&denied);
	fake_time_pass(2 * SECOND);
	assert_true(usage_knows_open(usage));
	assert_int_equal(usage_open(usage, flow_of("console-in")), 2);
	assert_int_equal(usage_open(usage, flow_of("dns-out")), 1);
	assert_int_equal(usage_open(usage, flow_of("api-in")), 0);
	assert_int_equal(opened_24h("console-in"), 2);
	assert_int_equal(usage_known_s(usage, 1), 1);
	assert_int_equal(usage_known_s(usage, 5), -1);
	fake_time_pass(10 * MINUTE);
	assert_int_equal(opened_24h("console-in"), 2); /* they are the same */
	assert_in_range(last_used("console-in"), 0, 25);
	assert_int_equal(usage_known_s(usage, 1), 601);
	assert_in_range(fake_conntrack_looks, 23, 26);

	/* One is closed: its entry stays for two minutes, and is no use. */
	fake_conntrack_reset();
	first.open = false;
	fake_conntrack_add(&first);
	fake_time_pass(MINUTE);
	assert_int_equal(usage_open(usage, flow_of("console-in")), 0);
	assert_in_range(last_used("console-in"), 60, 86);
	fake_conntrack_reset();
	fake_time_pass(DAY);
	assert_int_equal(opened_24h("console-in"), 0);
	assert_in_range(last_used("console-in"), 86460, 86490);
	fake_time_pass(89 * (int64_t)DAY);
	assert_int_equal(last_used("console-in"), -1);
	assert_int_equal(record_kept_s(usage_record(usage)), RECORD_KEPT_S);
	/* One that comes and goes between two readings, but for what the kernel keeps of it. */
	fake_conntrack_add(&first);
	fake_time_pass(MINUTE);
	assert_int_equal(opened_24h("console-in"), 1);
}

static void test_refresh(void **state)
{
	struct tracked first = console(1);

	(void)state;
	usage_refresh(usage); /* there is no policy yet */
	follow(BASE);
	first.open = true;
	fake_conntrack_add(&first);
	usage_refresh(usage);
	assert_int_equal(usage_open(usage, flow_of("console-in")), 1);
	fake_conntrack_reset();
	usage_refresh(usage);
	assert_int_equal(usage_open(usage, flow_of("console-in")), 0);
	/* Where it costs much it is not done again at once. */
	view_cost_ms = 2 * SECOND;
	usage_refresh(usage);
	size_t looks = fake_conntrack_looks;
	fake_time_pass(7 * SECOND);
	usage_refresh(usage);
	assert_int_equal(fake_conntrack_looks, looks);
	fake_time_pass(2 * SECOND);
	usage_refresh(usage);
	assert_int_equal(fake_conntrack_looks, looks + 1);
	/* And by itself even later. */
	fake_time_pass(99 * SECOND);
	assert_int_equal(fake_conntrack_looks, looks + 1);
	fake_time_pass(2 * SECOND);
	assert_int_equal(fake_conntrack_looks, looks + 2);
	/* A reload: what is open is not known until the next reading. */
	follow(BASE);
	assert_false(usage_knows_open(usage));
	assert_int_equal(usage_open(usage, flow_of("console-in")), 0);
	usage_set_removed(usage, true);
	looks = fake_conntrack_looks;
	fake_time_pass(DAY);
	usage_refresh(usage);
	assert_int_equal(fake_conntrack_looks, looks);
}

struct listed {
	size_t count;
	struct tracked tracked;
	struct judgement judgement;
};

static void see(void *userdata, const struct tracked *tracked, const struct judgement *judgement)
{
	struct listed *listed = userdata;

	listed->count++;
	listed->tracked = *tracked;
	listed->judgement = *judgement;
}

static void test_list(void **state)
{
	struct tracked picked_up = connection("192.0.2.25", "203.0.113.7", 50000, 1);
	struct listed listed = { 0 };

	(void)state;
	follow(BASE);
	picked_up.packet.source_port = 8470;
	picked_up.picked_up = true;
	fake_conntrack_add(&picked_up);
	view_cost_ms = SECOND;
	assert_int_equal(usage_list(usage, false, see, &listed), 0);
	assert_int_equal(listed.count, 1);
	assert_int_equal(listed.tracked.packet.target_port, 8470); /* as it was opened */
	assert_int_equal(addr_compare(&listed.tracked.packet.source, &picked_up.packet.target), 0);
	assert_string_equal(listed.judgement.flow->id, "console-in");
	assert_int_equal(usage_list(usage, false, see, &listed), -EBUSY);
	listed.count = 0;
	assert_int_equal(usage_list(usage, true, see, &listed), 0);
	assert_int_equal(listed.count, 1);
	fake_time_pass(11 * SECOND);
	fake_conntrack_error = -EPERM;
	assert_int_equal(usage_list(usage, false, see, &listed), -EPERM);
	assert_int_equal(listed.count, 1);
	assert_int_equal(opened_24h("console-in"), 1); /* one reading for both */
}

static void test_record_is_kept(void **state)
{
	struct tracked first = console(1), second = console(2);

	(void)state;
	first.open = second.open = true;
	follow(BASE);
	assert_int_equal(usage_save_record(usage, true), 0);
	assert_null(directory_read("record")); /* nothing is to be saved */
	fake_conntrack_add(&first);
	fake_time_pass(MINUTE);
	assert_int_equal(usage_save_record(usage, true), 0);
	/* In the same boot, what was open was counted. */
	restart(BASE);
	fake_time_pass(MINUTE);
	assert_int_equal(opened_24h("console-in"), 1);
	assert_int_equal(usage_open(usage, flow_of("console-in")), 1);
	fake_conntrack_add(&second);
	fake_time_pass(MINUTE);
	assert_int_equal(opened_24h("console-in"), 2);
	assert_int_equal(usage_save_record(usage, true), 0);
	char *text = directory_read("record"), *boot = strstr(text, "boot ");
	assert_non_null(strstr(text, "allowed console-in 203.0.113.7/32 tcp 8470 "));
	*strchr(boot, '\n') = '\0'; /* another boot, or none that is known */
	directory_write("record", text);
	free(text);
}

static void test_pace_of_saving(void **state)
{
	struct tracked first = console(1);

	(void)state;
	first.open = true;
	follow(BASE);
	fake_conntrack_add(&first);
	fake_time_pass(MINUTE);
	assert_int_equal(usage_save_record(usage, false), 0);
	assert_int_equal(remove(directory_path("record")), 0);
	fake_time_pass(30 * SECOND);
	assert_int_equal(usage_save_record(usage, false), 0);
	assert_null(directory_read("record"));
	fake_time_pass(31 * SECOND);
	directory_hide(true);
	assert_int_equal(usage_save_record(usage, false), -ENOENT);
	assert_int_equal(usage_save_record(usage, true), -ENOENT);
	assert_int_equal(fake_log_count("can't save the record of who used what in"), 1);
	assert_non_null(strstr(reasons(), "state-unsaved: the record of who used what can't be saved in"));
	directory_hide(false);
	assert_int_equal(usage_save_record(usage, true), 0);
	assert_string_equal(reasons(), "");
	assert_int_equal(remove(directory_path("record")), 0);
	assert_int_equal(usage_save_record(usage, true), 0); /* nothing is new */
	assert_null(directory_read("record"));
}

#define NO_RECORD "[gateway]\nrecord = no\n"

static void test_no_record(void **state)
{
	struct tracked first = console(1);
	struct record_peer stranger = { make_addr("198.51.100.9"), PROTOCOL_TCP, 8470 };

	(void)state;
	first.open = true;
	follow(BASE);
	fake_conntrack_add(&first);
	fake_time_pass(MINUTE);
	assert_int_equal(usage_denied(usage, "console-in", &stranger, 3), 0);
	assert_int_equal(usage_save_record(usage, true), 0);
	char *text = directory_read("record");
	assert_non_null(strstr(text, "denied console-in 198.51.100.9/32 tcp 8470 "));
	free(text);
	follow(BASE NO_RECORD);
	assert_null(usage_record(usage));
	assert_null(directory_read("record"));
	fake_time_pass(MINUTE);
	assert_int_equal(usage_open(usage, flow_of("console-in")), 1); /* that is no memory */
	assert_int_equal(usage_denied(usage, "console-in", &stranger, 3), 0);
	assert_int_equal(usage_save_record(usage, true), 0);
	assert_null(directory_read("record"));
	/* One of former times goes at the start. */
	directory_write("record", "x");
	restart(BASE NO_RECORD);
	assert_null(directory_read("record"));
	follow(BASE);
	assert_non_null(usage_record(usage));
	assert_int_equal(record_kept_s(usage_record(usage)), 0);
	assert_int_equal(mkdir(directory_path("record"), 0700), 0);
	restart(BASE);
	assert_int_equal(fake_log_count("the record of who used what can't be read in"), 1);
	follow(BASE NO_RECORD);
	assert_int_equal(fake_log_count("the record of who used what can't be removed from"), 1);
	assert_int_equal(rmdir(directory_path("record")), 0);
}

/* Where there are many connections, a look takes at most a fiftieth of the processor's time. */
static void test_pace(void **state)
{
	(void)state;
	follow(BASE CONSOLE);
	assert_int_equal(fake_time_next(), now_ms() + 4 * SECOND);
	view_cost_ms = 2 * SECOND;
	follow(BASE CONSOLE);
	assert_int_equal(fake_time_next(), now_ms() + 100 * SECOND);
	view_cost_ms = 0;
	follow(BASE CONSOLE);
	assert_int_equal(fake_time_next(), now_ms() + 4 * SECOND);
}

static void test_unwritable_state(void **state)
{
	char expected[200];

	(void)state;
	follow(BASE CONSOLE);
	directory_hide(true);
	for (int i = 0; i < 3; i++)
		assert_int_equal(usage_save(usage), -ENOENT);
	assert_int_equal(fake_log_count("can't save how long flows were silent in"), 1);
	snprintf(expected, sizeof(expected), "state-unsaved: how long flows were silent can't be saved in %s\n",
		 directory);
	assert_string_equal(reasons(), expected);
	directory_hide(false);
	assert_int_equal(usage_save(usage), 0);
	assert_string_equal(reasons(), "");
}

static void test_unreadable_state(void **state)
{
	(void)state;
	assert_int_equal(mkdir(directory_path("expect"), 0700), 0);
	restart(BASE CONSOLE);
	assert_int_equal(fake_log_count("how long flows were silent can't be read in"), 1);
	assert_int_equal(usage_find(usage, "console-in")->silent_ms, 0);
}

static void test_without_memory(void **state)
{
	struct usage *fresh = NULL;
	struct tracked answered = console(1);

	(void)state;
	for (allocations_left = 0; allocations_left < 2;) {
		long left = allocations_left;
		assert_int_equal(usage_new(&fresh, NULL, directory, &events, &changes), -ENOMEM);
		allocations_left = left + 1;
	}
	allocations_left = -1;
	make_good_policy(&policy, BASE CONSOLE);
	allocations_left = 0;
	usage_follow(usage, &policy);
	allocations_left = -1;
	assert_int_equal(fake_log_count("out of memory: not all flows with expect are watched"), 1);
	usage_follow(usage, &policy);
	/* A look that has no room for what it sees shows no silence. */
	fake_conntrack_add(&answered);
	allocations_left = 0;
	opened[1]++;
	fake_time_pass(2 * HOUR);
	allocations_left = -1;
	assert_int_equal(fake_log_count("connections can't be read"), 1);
	assert_false(usage_find(usage, "console-in")->overdue);
	memstream_fails = true;
	assert_int_equal(usage_save(usage), -ENOMEM);
	memstream_fails = false;
	usage_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_silence_and_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_use, setup, teardown),
		cmocka_unit_test_setup_teardown(test_held_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_picked_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed_table, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restarts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable_connections, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_expected, setup, teardown),
		cmocka_unit_test_setup_teardown(test_use, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refresh, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_record_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pace_of_saving, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unwritable_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
