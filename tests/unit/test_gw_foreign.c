/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of other programs: when they are read, and what is reported of them. */
#include "fake_time.h"
#include "fake_links.h"
#include "gw_fixture.h"

#include "core/array.h"
#include "gateway/foreign.h"
#include "nft/foreign.h"

#include <errno.h>

#define CONFIG(gateway)                                                                              \
	"[server]\naddress = 192.0.2.25\nresolvers = 192.0.2.53\n[gateway]\n" gateway "[role ADM]\n" \
	"members = 203.0.113.0/24\n"
#define REPORT CONFIG("interception = report\n")

enum { SECOND = 1000, MINUTE = 60 * SECOND };
/* They are looked at again in some minutes, though nothing has changed, and not before. */
#define assert_idle() assert_in_range(fake_time_next() - now_ms(), 3 * MINUTE, 5 * MINUTE)

/* The kernel: a chain with so many rules that redirect everything, one with so many that drop it, or perhaps, given in
 * so many parts. */
static struct {
	size_t rules, drops, may_drop, parts;
	bool incomplete;
	int open_error, begin_error, error; /* of nft_open_reader(), nft_foreign_begin(), the last part */
	int64_t cost_ms;                    /* processor time of a part */
	size_t begun, sockets, readings;    /* readings so far; what is open now */
} kernel;

struct foreign_reading {
	struct foreign_tables *out;
	size_t part;
};

int nft_open_reader(struct nft_socket *ret)
{
	*ret = (struct nft_socket){ 0 };
	if (kernel.open_error)
		return kernel.open_error;
	kernel.sockets++;
	ret->sequence = 1;
	return 0;
}

void nft_close(struct nft_socket *socket)
{
	kernel.sockets -= socket->sequence;
}

int nft_foreign_begin(struct foreign_reading **ret, struct nft_socket *socket, struct foreign_tables *out,
		      unsigned effects)
{
	struct foreign_reading *reading = kernel.begin_error ? NULL : calloc(1, sizeof(*reading));

	assert_int_equal(socket->sequence, 1);
	assert_int_equal(effects, EFFECTS_INTERCEPT | EFFECTS_STOP);
	kernel.begun++;
	if (!reading)
		return -ENOMEM;
	reading->out = out;
	kernel.readings++;
	*ret = reading;
	return 0;
}

static void fill(struct foreign_tables *out)
{
	struct foreign_chain chain = { .family = 2,
				       .table = strdup("nat"),
				       .name = strdup("squid"),
				       .place = PLACE_PREROUTING,
				       .priority = -100,
				       .nat = true };

	assert_int_equal(ARRAY_PUSH(&out->chains, chain), 0);
	for (size_t i = 0; i < kernel.rules; i++) {
		struct foreign_rule rule = { .handle = i + 1,
					     .exact = true,
					     .effect = EFFECT_REDIRECT,
					     .way = WAY_ON,
					     .map_field = RULE_FIELDS };
		assert_int_equal(ARRAY_PUSH(&out->rules, rule), 0);
	}
	struct foreign_chain filter = {
		.family = 2, .table = strdup("filter"), .name = strdup("FORWARD"), .place = PLACE_FORWARD
	};
	assert_int_equal(ARRAY_PUSH(&out->chains, filter), 0);
	for (size_t i = 0; i < kernel.drops + kernel.may_drop; i++) {
		struct foreign_rule rule = { .chain = 1,
					     .handle = i + 1,
					     .number = i + 1,
					     .exact = i < kernel.drops,
					     .effect = EFFECT_DROP,
					     .way = WAY_DONE,
					     .map_field = RULE_FIELDS };
		assert_int_equal(ARRAY_PUSH(&out->rules, rule), 0);
	}
	out->incomplete = kernel.incomplete;
}

int nft_foreign_some(struct foreign_reading *reading)
{
	fake_processor_set(processor_ms() + kernel.cost_ms);
	if (++reading->part < kernel.parts)
		return 1;
	if (kernel.error)
		return kernel.error;
	long left = allocations_left;
	allocations_left = -1;
	fill(reading->out);
	allocations_left = left;
	return 0;
}

void nft_foreign_end(struct foreign_reading *reading)
{
	kernel.readings -= reading != NULL;
	free(reading);
}

static struct foreign *foreign;
static struct policy policy;
static size_t changes, gone;
static int environment_error;
static struct ranges own;

static int on_environment(void *userdata, const struct policy *given, struct environment_store *ret,
			  struct ranges *ret_own)
{
	assert_ptr_equal(userdata, &changes);
	assert_ptr_equal(given, &policy);
	*ret = (struct environment_store){ .roles = calloc(policy.role_count, sizeof(*ret->roles)),
					   .count = policy.role_count };
	*ret_own = (struct ranges){ 0 };
	if (!ret->roles)
		return -ENOMEM;
	return environment_error ? environment_error : ranges_add_all(ret_own, &own);
}

static void on_changed(void *userdata)
{
	assert_ptr_equal(userdata, &changes);
	changes++;
}

static void on_gone(void *userdata)
{
	assert_ptr_equal(userdata, &changes);
	assert_int_equal(foreign_findings(foreign)->count, 0);
	gone++;
}

static struct {
	void *waiter;
	int r;
	size_t count;
	uint64_t handle;
	size_t calls;
} explained;

static void on_explained(void *userdata, void *waiter, int r, const struct findings *findings)
{
	assert_ptr_equal(userdata, &changes);
	explained.waiter = waiter;
	explained.r = r;
	explained.count = findings->count;
	explained.handle = findings->count ? findings->items[0].handle : 0;
	explained.calls++;
}

static const struct foreign_events events = { on_environment, on_changed, on_gone, on_explained };

static int setup(void **state)
{
	(void)state;
	fake_time_reset(INT64_C(1000000), INT64_C(1700000000));
	fake_log_reset();
	memset(&kernel, 0, sizeof(kernel));
	memset(&explained, 0, sizeof(explained));
	fake_links_reset();
	kernel.parts = 1;
	changes = gone = 0;
	environment_error = 0;
	own = make_ranges("192.0.2.1");
	make_good_policy(&policy, REPORT);
	assert_int_equal(foreign_new(&foreign, NULL, &events, &changes), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	allocations_left = -1;
	foreign_free(foreign);
	policy_free(&policy);
	ranges_free(&own);
	assert_int_equal(kernel.sockets, 0);
	assert_int_equal(kernel.readings, 0);
	return fake_timers;
}

static const char *reasons(void)
{
	struct health health = { 0 };

	foreign_reasons(foreign, &health);
	return reasons_text(&health);
}

#define RULE(handle)                                                                                             \
	"foreign-rule: flow license-out and 16 more: table ip nat, chain squid, handle " handle " redirects it " \
	"to this gateway\n"
#define BLOCKED(handle) \
	"blocked: flow license-out and 18 more: table ip filter, chain FORWARD, handle " handle " drops it\n"
#define NOT_KNOWN ": whether they stop or intercept flows is not known\n"
#define UNREAD "foreign-unread: the rules of other tables are not looked at yet" NOT_KNOWN
#define UNREADABLE "foreign-unreadable: the rules of other tables can't be read" NOT_KNOWN

static void test_findings_come_and_go(void **state)
{
	(void)state;
	assert_string_equal(reasons(), UNREAD);
	foreign_set_changed(foreign); /* before anybody wants them read */
	assert_int_equal(fake_time_next(), INT64_MAX);
	foreign_read(foreign, &policy);
	assert_string_equal(reasons(), "");
	assert_int_equal(changes, 1);

	kernel.rules = 2;
	foreign_set_changed(foreign);
	fake_time_pass(MINUTE);
	assert_string_equal(reasons(), RULE("1") RULE("2"));
	assert_int_equal(changes, 2);
	assert_int_equal(fake_log_count("table ip nat, chain squid, handle"), 2);
	assert_int_equal(foreign_findings(foreign)->count, 2);

	foreign_set_changed(foreign); /* something else in them */
	fake_time_pass(MINUTE);
	assert_int_equal(changes, 2);
	assert_int_equal(fake_log_count(""), 2);

	kernel.rules = 1;
	foreign_set_changed(foreign);
	fake_time_pass(MINUTE);
	assert_string_equal(reasons(), RULE("1"));
	assert_int_equal(fake_log_count(
				 "gone: flow license-out and 16 more: table ip nat, chain squid, handle 2 redirects"),
			 1);
	assert_int_equal(gone, 0);

	kernel.rules = 0;
	foreign_set_changed(foreign);
	fake_time_pass(MINUTE);
	assert_string_equal(reasons(), "");
	assert_int_equal(fake_log_count("gone: "), 2);
	assert_int_equal(gone, 1);
	assert_int_equal(changes, 4);
	assert_int_equal(kernel.begun, 5);
}

static void test_many_findings(void **state)
{
	(void)state;
	kernel.rules = 4;
	foreign_read(foreign, &policy);
	assert_string_equal(reasons(), RULE("1") RULE("2") RULE("3") RULE("4"));
	kernel.rules = 7;
	kernel.incomplete = true;
	foreign_read(foreign, &policy);
	foreign_read(foreign, &policy);
	assert_string_equal(reasons(),
			    RULE("1") RULE("2") RULE("3") RULE(
				    "4") "foreign-rule: 3 more rules of other tables could intercept flows\n"
					 "foreign-incomplete: other tables have too many rules, or rules of an "
					 "unknown kind: whether they stop or intercept flows is not wholly known\n");
	assert_int_equal(fake_log_count("other tables have too many rules"), 1);
	assert_int_equal(changes, 2);
}

static void test_text_is_bounded(void **state)
{
	char name[301], text[FINDING_TEXT_MAX];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[300] = '\0';
	struct finding finding = { .table = name, .chain = name, .family = 1, .handle = 7, .effect = EFFECT_DNAT };
	memset(finding.flow, 'f', sizeof(finding.flow) - 1);
	assert_ptr_equal(finding_text(&finding, text), text);
	assert_true(strlen(text) < FINDING_TEXT_MAX - 1);
	assert_non_null(strstr(text, "handle 7 "));
}

static void test_unreadable(void **state)
{
	(void)state;
	kernel.rules = 1;
	foreign_read(foreign, &policy);
	kernel.error = -EINTR;
	foreign_set_changed(foreign);
	fake_time_pass(MINUTE);
	assert_string_equal(reasons(), RULE("1") UNREADABLE); /* what was found last still counts */
	assert_int_equal(fake_log_count("the rules of other tables can't be read: Interrupted system call"), 1);
	assert_int_equal(changes, 2);
	assert_in_range(kernel.begun, 20, 35); /* it is tried again every two seconds, and no more often */
	kernel.error = 0;
	fake_time_pass(3 * SECOND);
	assert_string_equal(reasons(), RULE("1"));
	assert_int_equal(changes, 3);
	assert_idle();
}

static void test_other_errors(void **state)
{
	int *const errors[] = { &kernel.open_error, &kernel.begin_error, &environment_error };

	(void)state;
	foreign_read(foreign, &policy);
	for (size_t i = 0; i < COUNT_OF(errors); i++) {
		*errors[i] = -ENOMEM;
		foreign_read(foreign, &policy);
		assert_string_equal(reasons(), UNREADABLE);
		*errors[i] = 0;
		fake_time_pass(3 * SECOND);
		assert_string_equal(reasons(), "");
	}
	assert_int_equal(fake_log_count("can't be read: Cannot allocate memory"), 3);
}

/* Large tables are read and judged between other events. */
static void test_slices(void **state)
{
	(void)state;
	kernel.parts = 100;
	kernel.cost_ms = 4;
	kernel.rules = 1;
	foreign_read(foreign, &policy);
	assert_int_equal(processor_ms(), 52); /* the first slice is the longest */
	assert_string_equal(reasons(), UNREAD);
	assert_int_equal(fake_time_next(), now_ms() + 5);
	fake_time_pass(5);
	assert_int_equal(processor_ms(), 64);
	fake_time_pass(SECOND);
	assert_int_equal(processor_ms(), 400);
	assert_string_equal(reasons(), RULE("1"));
	assert_int_equal(changes, 1);
	assert_int_equal(kernel.begun, 1);
	assert_idle();
	/* And they have at most a twentieth of the time. */
	foreign_set_changed(foreign);
	assert_in_range(fake_time_next() - now_ms(), 7 * SECOND, 8 * SECOND);
}

/* A look that is under way is seen to its end, however often the tables change; then they are read once more. */
static void test_changes_meanwhile(void **state)
{
	(void)state;
	kernel.parts = 1000;
	kernel.cost_ms = 4;
	foreign_read(foreign, &policy);
	for (int i = 0; i < 100; i++) {
		foreign_set_changed(foreign);
		fake_time_pass(10);
	}
	assert_int_equal(kernel.begun, 1);
	fake_time_pass(2 * SECOND);
	assert_int_equal(changes, 1);
	kernel.parts = 1;
	kernel.rules = 1;
	fake_time_pass(10 * SECOND);
	assert_int_equal(kernel.begun, 2);
	assert_string_equal(reasons(), RULE("1"));
}

static void test_look_longer_than_pause(void **state)
{
	(void)state;
	kernel.parts = 3000;
	kernel.cost_ms = 4;
	foreign_read(foreign, &policy);
	foreign_set_changed(foreign);
	fake_time_pass(4 * SECOND);
	assert_int_equal(kernel.begun, 1);
	assert_int_equal(kernel.readings, 1);
	fake_time_pass(SECOND + SECOND / 2);
	assert_int_equal(changes, 1);
	fake_time_pass(2 * SECOND);
	assert_int_equal(kernel.begun, 2);
}

static void test_when(void **state)
{
	(void)state;
	foreign_read(foreign, &policy);
	foreign_set_changed(foreign); /* a burst: once, and not sooner than two seconds after the last time */
	fake_time_pass(SECOND);
	foreign_set_changed(foreign);
	assert_int_equal(fake_time_next(), now_ms() + SECOND);
	fake_time_pass(SECOND);
	assert_int_equal(kernel.begun, 2);
	assert_idle();
	fake_time_pass(MINUTE);
	foreign_set_changed(foreign); /* after a while: soon */
	fake_time_pass(199);
	assert_int_equal(kernel.begun, 2);
	fake_time_pass(1);
	assert_int_equal(kernel.begun, 3);
	fake_time_pass(MINUTE);
	for (int i = 0; i < 3; i++) { /* changes without end don't put it off */
		foreign_set_changed(foreign);
		fake_time_pass(100);
	}
	assert_int_equal(kernel.begun, 4);
}

static void test_cancel(void **state)
{
	(void)state;
	kernel.parts = 100;
	kernel.cost_ms = 4;
	foreign_read(foreign, &policy);
	foreign_cancel(foreign);
	assert_int_equal(kernel.readings + kernel.sockets, 0);
	assert_string_equal(reasons(), UNREAD);
	fake_time_pass(MINUTE);
	assert_int_equal(changes, 0);
	assert_string_equal(reasons(), UNREAD);

	kernel.parts = 1;
	foreign_read(foreign, &policy);
	assert_string_equal(reasons(), "");
	foreign_cancel(foreign); /* nothing is under way: they were read by another policy all the same */
	assert_string_equal(reasons(), UNREAD);
	foreign_set_changed(foreign);
	fake_time_pass(MINUTE);
	assert_string_equal(reasons(), "");
	assert_int_equal(changes, 2);

	kernel.parts = 100; /* read again while a look is under way: that one ends */
	foreign_read(foreign, &policy);
	kernel.parts = 1;
	kernel.cost_ms = 0;
	foreign_read(foreign, &policy);
	assert_int_equal(kernel.readings + kernel.sockets, 0);
	assert_string_equal(reasons(), "");
}

/* What stops flows is looked for whatever is done about interception. */
static void test_interception_off(void **state)
{
	(void)state;
	kernel.rules = kernel.drops = 1;
	foreign_read(foreign, &policy);
	assert_int_equal(foreign_findings(foreign)->count, 1);
	foreign_cancel(foreign);
	policy_free(&policy);
	make_good_policy(&policy, CONFIG("interception = off\n"));
	foreign_read(foreign, &policy);
	assert_string_equal(reasons(), BLOCKED("1"));
	assert_int_equal(foreign_findings(foreign)->count, 0);
	assert_int_equal(gone, 1);
}

/* What is certain is a reason, and news; what is not is shown alone. */
static void test_blocks(void **state)
{
	(void)state;
	assert_int_equal(foreign_looked_ms(foreign), -1);
	kernel.may_drop = 1;
	foreign_read(foreign, &policy);
	assert_string_equal(reasons(), "");
	assert_int_equal(foreign_blocks(foreign)->count, 1);
	assert_true(foreign_blocks(foreign)->items[0].may);
	assert_int_equal(fake_log_count(""), 0);
	fake_time_pass(7 * SECOND);
	assert_int_equal(foreign_looked_ms(foreign), 7 * SECOND);

	kernel.drops = 1;
	foreign_set_changed(foreign);
	fake_time_pass(MINUTE);
	assert_string_equal(reasons(), BLOCKED("1"));
	assert_int_equal(fake_log_count("table ip filter, chain FORWARD, handle 1 drops it"), 1);
	assert_int_equal(foreign_blocks(foreign)->items[0].owner, OWNER_IPTABLES);
	kernel.drops = 6;
	kernel.may_drop = 0;
	foreign_set_changed(foreign);
	fake_time_pass(MINUTE);
	assert_string_equal(reasons(), BLOCKED("1"));
	kernel.drops = 0;
	foreign_set_changed(foreign);
	fake_time_pass(MINUTE);
	assert_string_equal(reasons(), "");
	assert_int_equal(fake_log_count("gone: "), 1);
	assert_int_equal(gone, 0);
	/* And when nothing is known to have changed. */
	size_t begun = kernel.begun;
	kernel.drops = 1;
	fake_time_pass(5 * MINUTE);
	assert_int_equal(kernel.begun, begun + 1);
	assert_string_equal(reasons(), BLOCKED("1"));
}

/* With both at once, what cannot be told of either is said once. */
static void test_all_at_once(void **state)
{
	(void)state;
	kernel.rules = kernel.drops = 1;
	kernel.incomplete = true;
	foreign_read(foreign, &policy);
	assert_string_equal(reasons(),
			    BLOCKED("1")
				    RULE("1") "foreign-incomplete: other tables have too many rules, or rules of an "
					      "unknown kind: whether they stop or intercept flows is not wholly "
					      "known\n");
	assert_int_equal(fake_log_count("other tables have too many rules"), 1);
}

static struct foreign_packet packet_to(const char *target)
{
	return (struct foreign_packet){
		.source = make_addr("203.0.113.7"), .target = make_addr(target), .protocol = 6, .target_port = 8470
	};
}

static void test_explain(void **state)
{
	struct foreign_packet packet = packet_to("192.0.2.25");
	int waiters[20];

	(void)state;
	kernel.drops = 2;
	assert_int_equal(foreign_explain_packet(foreign, &packet, &waiters[0]), 0);
	fake_time_pass(0);
	assert_int_equal(explained.calls, 0); /* there is no policy yet */
	foreign_read(foreign, &policy);
	fake_time_pass(0);
	assert_int_equal(explained.calls, 1);
	assert_ptr_equal(explained.waiter, &waiters[0]);
	assert_int_equal(explained.r, 0);
	assert_int_equal(explained.count, 1);
	assert_int_equal(explained.handle, 1);
	assert_int_equal(kernel.readings + kernel.sockets, 0);

	/* Those that wait together share a reading; more than so many don't wait. */
	size_t begun = kernel.begun;
	for (int i = 0; i < 16; i++)
		assert_int_equal(foreign_explain_packet(foreign, &packet, &waiters[i]), 0);
	assert_int_equal(foreign_explain_packet(foreign, &packet, &waiters[16]), -EBUSY);
	foreign_forget_waiter(foreign, &waiters[3]);
	fake_time_pass(SECOND);
	assert_int_equal(explained.calls, 16);
	assert_ptr_equal(explained.waiter, &waiters[15]);
	assert_int_equal(kernel.begun, begun + 1);

	kernel.error = -EIO;
	assert_int_equal(foreign_explain_packet(foreign, &packet, &waiters[0]), 0);
	fake_time_pass(SECOND);
	assert_int_equal(explained.r, -EIO);
	assert_int_equal(explained.count, 0);
	kernel.error = 0;
	kernel.open_error = -EMFILE;
	assert_int_equal(foreign_explain_packet(foreign, &packet, &waiters[0]), 0);
	fake_time_pass(SECOND);
	assert_int_equal(explained.r, -EMFILE);
	kernel.open_error = 0;
	fake_links_error = -EIO;
	assert_int_equal(foreign_explain_packet(foreign, &packet, &waiters[0]), -EIO);
	fake_links_error = 0;
}

/* Large tables are read for it between other events, the same again not at once, and by another policy anew. */
static void test_explain_slices(void **state)
{
	struct foreign_packet packet = packet_to("192.0.2.25");
	int waiter;

	(void)state;
	foreign_read(foreign, &policy);
	kernel.parts = 100;
	kernel.cost_ms = 4;
	kernel.drops = 1;
	assert_int_equal(foreign_explain_packet(foreign, &packet, &waiter), 0);
	fake_time_pass(0);
	assert_int_equal(processor_ms(), 52);
	assert_int_equal(kernel.readings, 1);
	assert_int_equal(foreign_explain_packet(foreign, &packet, &waiter), 0); /* too late for this look */
	foreign_cancel(foreign);
	assert_int_equal(kernel.readings, 0);
	fake_time_pass(MINUTE);
	assert_int_equal(explained.calls, 0);
	kernel.parts = 1;
	foreign_read(foreign, &policy);
	kernel.parts = 100;
	fake_time_pass(SECOND);
	assert_int_equal(explained.calls, 2);
	assert_int_equal(explained.count, 1);
	assert_int_equal(foreign_explain_packet(foreign, &packet, &waiter), 0);
	assert_in_range(fake_time_next() - now_ms(), SECOND / 2, 2 * SECOND);
	fake_time_pass(5 * SECOND);
	assert_int_equal(explained.calls, 3);
	assert_int_equal(foreign_explain_packet(foreign, &packet, &waiter), 0); /* nobody hears of it any more */
}

static void test_without_memory(void **state)
{
	struct foreign *fresh = NULL;

	(void)state;
	for (long left = 0; left < 6; left++) {
		allocations_left = left;
		assert_int_equal(foreign_new(&fresh, NULL, &events, &changes), -ENOMEM);
	}
	allocations_left = -1;
	assert_int_equal(fake_timers, 4);
	kernel.rules = 1;
	unsigned long refused = 1;
	long left = 0;
	for (; refused; left++) { /* each allocation of a look fails in turn */
		allocations_refused = 0;
		allocations_left = left;
		foreign_read(foreign, &policy);
		allocations_left = -1;
		refused = allocations_refused;
		assert_string_equal(reasons(), refused ? UNREADABLE : RULE("1"));
	}
	assert_true(left > 5);
	foreign_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_findings_come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_findings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_text_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_look_longer_than_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(test_when, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interception_off, setup, teardown),
		cmocka_unit_test_setup_teardown(test_blocks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_explain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_explain_slices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
