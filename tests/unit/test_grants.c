// SPDX-License-Identifier: GPL-2.0-or-later
/* Grants as a list with clocks, as the text of a file, and as a part of what a policy means. */
#include "core/delta.h"
#include "make.h"

#include <errno.h>

#define BOOT "6dd1c1a0-0000-4000-8000-000000000001"
#define OTHER_BOOT "6dd1c1a0-0000-4000-8000-000000000002"

enum { HOUR_S = 3600, HOUR_MS = HOUR_S * 1000 };

static const int64_t wall = 1700000000, boot_ms = 5000000;

static struct grant make_grant(const char *flow, const char *address, int64_t for_s)
{
	struct grant grant = { .addr = make_addr(address),
			       .by = "root (uid 0)",
			       .given_s = wall,
			       .until_s = wall + for_s,
			       .end_ms = boot_ms + for_s * 1000 };
	snprintf(grant.flow, sizeof(grant.flow), "%s", flow);
	return grant;
}

static void put(struct grant_list *list, const char *flow, const char *address, int64_t for_s)
{
	struct grant grant = make_grant(flow, address, for_s);
	assert_int_equal(grant_put(list, &grant), 0);
}

static bool has(const struct grant_list *list, const char *flow, const char *address)
{
	struct addr addr = make_addr(address);
	return grant_find(list, flow, &addr) != NULL;
}

static void list_of_grants(void **state)
{
	struct grant_list list = { 0 };
	struct addr addr = make_addr("10.32.0.50");
	struct grant taken;

	(void)state;
	put(&list, "imap-in", "10.32.0.50", HOUR_S);
	put(&list, "console-in", "2001:db8::50", HOUR_S);
	put(&list, "console-in", "10.32.0.50", HOUR_S);
	put(&list, "console-in", "10.32.0.50", 2 * HOUR_S); /* again: no second one */
	assert_int_equal(list.count, 3);
	assert_int_equal(list.items[0].end_ms, boot_ms + 2 * HOUR_MS);
	assert_string_equal(list.items[0].flow, "console-in");
	assert_int_equal(list.items[1].addr.family, FAMILY_6);
	assert_string_equal(list.items[2].flow, "imap-in");
	assert_false(has(&list, "imap-in", "2001:db8::50"));
	assert_true(grant_take(&list, "console-in", &addr, &taken));
	assert_int_equal(taken.end_ms, boot_ms + 2 * HOUR_MS);
	assert_false(grant_take(&list, "console-in", &addr, NULL));
	assert_true(has(&list, "imap-in", "10.32.0.50") && has(&list, "console-in", "2001:db8::50"));
	grants_free_list(&list);
}

static void no_more_than_so_many(void **state)
{
	struct grant_list list = { 0 };
	char address[20];

	(void)state;
	for (int i = 0; i < GRANTS_MAX; i++) {
		snprintf(address, sizeof(address), "10.0.%d.%d", i / 200, i % 200);
		put(&list, "console-in", address, HOUR_S);
	}
	struct grant more = make_grant("api-in", "10.9.9.9", HOUR_S), same = make_grant("console-in", "10.0.0.7", 60);
	assert_int_equal(grant_put(&list, &more), -ENOSPC);
	assert_int_equal(grant_put(&list, &same), 0);
	assert_int_equal(list.count, GRANTS_MAX);
	grants_free_list(&list);
}

static void ends_by_the_clock(void **state)
{
	struct grant_list list = { 0 };
	struct grant ended;

	(void)state;
	assert_true(grants_next_end(&list) == INT64_MAX);
	put(&list, "console-in", "10.32.0.50", HOUR_S);
	put(&list, "console-in", "10.32.0.51", 60);
	assert_int_equal(grants_next_end(&list), boot_ms + 60000);
	assert_false(grants_take_ended(&list, boot_ms + 59999, &ended));
	assert_true(grants_take_ended(&list, boot_ms + 60000, &ended));
	assert_int_equal(ended.addr.bytes[3], 51);
	assert_int_equal(grants_next_end(&list), boot_ms + HOUR_MS);
	/* The wall clock agrees, is set back by a year, is set forward, is set back again. */
	grants_see_clock(&list, boot_ms + 600000, wall + 600);
	assert_int_equal(grants_next_end(&list), boot_ms + HOUR_MS);
	grants_see_clock(&list, boot_ms + 600000, wall - 365 * 24 * HOUR_S);
	assert_int_equal(grants_next_end(&list), boot_ms + HOUR_MS);
	grants_see_clock(&list, boot_ms + 600000, wall + HOUR_S - 9);
	assert_int_equal(grants_next_end(&list), boot_ms + 600000 + 10000);
	grants_see_clock(&list, boot_ms + 600000, wall);
	assert_int_equal(grants_next_end(&list), boot_ms + 600000 + 10000);
	grants_see_clock(&list, boot_ms + 600000, wall + 365 * 24 * HOUR_S);
	assert_true(grants_take_ended(&list, boot_ms + 600000, &ended));
	assert_int_equal(list.count, 0);
	grants_free_list(&list);
}

/* What is read of it at that time, in that boot. */
static struct grant_list reread(const struct grant_list *list, int64_t written_ms, const char *boot, int64_t now_ms,
				int64_t wall_s)
{
	char *text = grants_text(list, BOOT, written_ms);
	struct grant_list read;
	bool damaged;

	assert_non_null(text);
	assert_int_equal(grants_from_text(&read, text, boot, now_ms, wall_s, &damaged), 0);
	assert_false(damaged);
	free(text);
	return read;
}

static int64_t left_after(int64_t written_ms, const char *boot, int64_t now_ms, int64_t wall_s)
{
	struct grant_list list = { 0 };

	put(&list, "console-in", "10.32.0.50", 2 * HOUR_S);
	struct grant_list read = reread(&list, written_ms, boot, now_ms, wall_s);
	assert_int_equal(read.count, 1);
	int64_t left = read.items[0].end_ms - now_ms;
	grants_free_list(&read);
	grants_free_list(&list);
	return left;
}

/* Field by field: what lies between them is the compiler's. */
static void assert_same_grant(const struct grant *a, const struct grant *b)
{
	assert_string_equal(a->flow, b->flow);
	assert_int_equal(addr_compare(&a->addr, &b->addr), 0);
	assert_string_equal(a->by, b->by);
	assert_int_equal(a->given_s, b->given_s);
	assert_int_equal(a->until_s, b->until_s);
	assert_int_equal(a->end_ms, b->end_ms);
}

static void outlives_the_daemon(void **state)
{
	struct grant_list list = { 0 };

	(void)state;
	put(&list, "console-in", "10.32.0.50", 2 * HOUR_S);
	put(&list, "ews-out", "2001:db8::50", 60);
	struct grant_list read = reread(&list, boot_ms + 5, BOOT, boot_ms + 10000, wall + 10);
	assert_int_equal(read.count, 2);
	for (size_t i = 0; i < 2; i++)
		assert_same_grant(&read.items[i], &list.items[i]);
	grants_free_list(&read);
	grants_free_list(&list);

	/* In the same boot: whatever the wall clock is set back to, and when it was written. */
	assert_int_equal(left_after(boot_ms, BOOT, boot_ms + HOUR_MS, wall + HOUR_S), HOUR_MS);
	assert_int_equal(left_after(boot_ms, BOOT, boot_ms + HOUR_MS, 5), HOUR_MS);
	assert_int_equal(left_after(boot_ms, BOOT, boot_ms + HOUR_MS, wall + 2 * HOUR_S - 9), 10000);
	assert_true(left_after(boot_ms, BOOT, boot_ms + 3 * HOUR_MS, wall) <= 0);
	/* After a reboot, half an hour later by the wall clock. */
	assert_int_equal(left_after(boot_ms + HOUR_MS, OTHER_BOOT, 20000, wall + HOUR_S * 3 / 2), HOUR_MS / 2 + 1000);
	assert_int_equal(left_after(boot_ms + HOUR_MS, "", 20000, wall + HOUR_S * 3 / 2), HOUR_MS / 2 + 1000);
	assert_int_equal(left_after(boot_ms + HOUR_MS, OTHER_BOOT, 20000, wall + 2 * HOUR_S), 0);
	/* A clock without a battery begins in the past: what was left when it was written, and no more. */
	assert_int_equal(left_after(boot_ms + HOUR_MS, OTHER_BOOT, 20000, 100), HOUR_MS);
	assert_int_equal(left_after(boot_ms + HOUR_MS, OTHER_BOOT, 20000, wall - 5), HOUR_MS);
}

static void damage_is_passed_over(void **state)
{
	struct grant_list list = { 0 }, read;
	bool damaged;

	(void)state;
	put(&list, "console-in", "10.32.0.50", 2 * HOUR_S);
	put(&list, "console-in", "10.32.0.51", 2 * HOUR_S);
	char *text = grants_text(&list, BOOT, boot_ms), *line = strchr(text, '\n') + 1;
	size_t length = strlen(text), begin = (size_t)(line - text), end = (size_t)(strchr(line, '\n') - text);
	for (size_t i = begin; i < end; i++) {
		text[i] ^= 1; /* another digit: another address, or another end */
		assert_int_equal(grants_from_text(&read, text, BOOT, boot_ms, wall, &damaged), 0);
		assert_true(damaged);
		assert_false(has(&read, "console-in", "10.32.0.50"));
		assert_true(read.count == 1 && has(&read, "console-in", "10.32.0.51"));
		grants_free_list(&read);
		text[i] ^= 1;
	}
	for (size_t i = 0; i < length; i++) {
		char cut = text[i];
		text[i] = '\0';
		assert_int_equal(grants_from_text(&read, text, BOOT, boot_ms, wall, &damaged), 0);
		assert_true(damaged || i == begin || i == end + 1);
		assert_true(read.count < 2);
		grants_free_list(&read);
		text[i] = cut;
	}
	/* Not known of which boot it is: what is left counts. */
	text[0] = '?';
	assert_int_equal(grants_from_text(&read, text, BOOT, boot_ms + HOUR_MS, wall + HOUR_S, &damaged), 0);
	assert_true(damaged);
	assert_int_equal(read.items[0].end_ms, boot_ms + 2 * HOUR_MS + 1000);
	grants_free_list(&read);
	grants_free_list(&list);
	free(text);
}

#define CONFIG                                                                                                         \
	"[server]\naddress = 192.0.2.25 2001:db8:2::25\n[role ADM]\nmembers = 10.30.0.0/24\n"                          \
	"[role IH]\nprotected = yes\nmembers = 192.0.2.31\n[flow api-in]\nenabled = no\n"                              \
	"[flow ews-out]\nto = 203.0.113.7\n[flow between]\nfrom = IH\nto = SERVER\nprotocol = tcp\nport = 8471\n"      \
	"[flow mixed]\nfrom = IH 10.9.0.1\nto = SERVER\nprotocol = tcp\nport = 8472\n[flow out-too]\nfrom = IH\nto = " \
	"SERVER 10.9.0.2\n"                                                                                            \
	"protocol = tcp\nport = 8473\n"

static enum grant_state state_of(const struct policy *policy, const char *flow, const char *address)
{
	struct addr addr = make_addr(address);
	return grant_state(policy, flow, &addr);
}

static void which_side(void **state)
{
	static const struct {
		const char *flow;
		enum grant_side side;
	} cases[] = { { "console-in", GRANT_SOURCE }, { "imap-in", GRANT_SOURCE },  { "ews-out", GRANT_TARGET },
		      { "crl", GRANT_TARGET },        { "between", GRANT_NO_SIDE }, { "mixed", GRANT_SOURCE },
		      { "out-too", GRANT_TARGET },    { "ping", GRANT_SOURCE } };
	struct policy policy;

	(void)state;
	make_good_policy(&policy, CONFIG);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct policy_flow *flow = policy_flow(&policy, cases[i].flow);
		assert_non_null(flow);
		if (flow_grant_side(&policy, flow) != cases[i].side)
			fail_msg("%s: %d", cases[i].flow, flow_grant_side(&policy, flow));
	}
	assert_int_equal(state_of(&policy, "console-in", "10.32.0.50"), GRANT_IN_EFFECT);
	assert_int_equal(state_of(&policy, "console-out", "10.32.0.50"), GRANT_FLOW_GONE);
	assert_int_equal(state_of(&policy, "api-in", "10.32.0.50"), GRANT_FLOW_OFF);
	assert_int_equal(state_of(&policy, "between", "10.32.0.50"), GRANT_SIDELESS);
	assert_int_equal(state_of(&policy, "console-in", "192.0.2.31"), GRANT_PROTECTED);
	policy_free(&policy);
}

static enum verdict judge(const struct policy *policy, const struct names_view *view, const char *source,
			  const char *target, uint16_t port)
{
	struct packet packet = { make_addr(source), make_addr(target), PROTOCOL_TCP, 50000, port, false };
	return policy_judge(policy, view, &packet).verdict;
}

static void judged_for_that_alone(void **state)
{
	struct policy policy;

	(void)state;
	make_good_policy(&policy, CONFIG);
	struct names_view view = make_names(&policy, "");
	make_grants(&policy, &view,
		    "console-in 10.32.0.50;console-in 2001:db8::50;ews-out 203.0.113.200;api-in 10.32.0.50;"
		    "console-in 192.0.2.31;between 10.32.0.50;gone 10.32.0.50");
	assert_int_equal(view.granted_count, 2);
	assert_int_equal(judge(&policy, &view, "10.32.0.50", "192.0.2.25", 8470), VERDICT_ALLOW);
	assert_int_equal(judge(&policy, &view, "2001:db8::50", "2001:db8:2::25", 8470), VERDICT_ALLOW);
	assert_int_equal(judge(&policy, &view, "192.0.2.25", "203.0.113.200", 443), VERDICT_ALLOW);
	assert_int_equal(judge(&policy, &view, "10.32.0.51", "192.0.2.25", 8470), VERDICT_DENY);
	assert_int_equal(judge(&policy, &view, "10.32.0.50", "192.0.2.25", 8471), VERDICT_DENY);
	assert_int_equal(judge(&policy, &view, "10.32.0.50", "192.0.2.31", 8470), VERDICT_DENY);
	assert_int_equal(judge(&policy, &view, "192.0.2.25", "10.32.0.50", 8470), VERDICT_DENY);
	assert_int_equal(judge(&policy, &view, "192.0.2.31", "192.0.2.25", 8470), VERDICT_DENY);
	assert_int_equal(judge(&policy, NULL, "10.32.0.50", "192.0.2.25", 8470), VERDICT_DENY);
	names_view_free(&view);
	policy_free(&policy);
}

static void compile_until(const struct policy *policy, int64_t end_ms, struct ruleset *ret)
{
	struct names_view view = make_names(policy, "");

	make_grants(policy, &view, "console-in 10.32.0.50");
	view.granted[0].addresses[FAMILY_4].items[0].deadline_ms = end_ms;
	assert_int_equal(make_ruleset(ret, policy, &view), 0);
	names_view_free(&view);
}

/* The slack of names, of hours, is none for grants. */
static void deadlines_are_kept(void **state)
{
	static const struct {
		int64_t by_ms;
		size_t changes;
	} cases[] = { { 100, 0 }, { 2000, 1 }, { -2000, 1 } };
	const struct delta_options options = { .exists = true, .renew_slack_ms = 3 * HOUR_MS };
	struct policy policy;

	(void)state;
	make_good_policy(&policy, CONFIG);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ruleset old, new;
		struct delta delta;
		compile_until(&policy, HOUR_MS, &old);
		compile_until(&policy, HOUR_MS + cases[i].by_ms, &new);
		assert_int_equal(delta_compute(&delta, &old, &new, &options), 0);
		assert_int_equal(delta.count, cases[i].changes);
		if (delta.count)
			assert_int_equal(delta.items[0].kind, OP_ELEMENTS_RENEW);
		delta_free(&delta);
		ruleset_free(&old);
		ruleset_free(&new);
	}
	policy_free(&policy);
}

/* Each allocation fails in its turn. */
static void without_memory(void **state)
{
	struct grant_list list = { 0 }, read;
	struct policy policy;
	bool damaged;
	long failing = -1;
	int r = -ENOMEM;

	(void)state;
	make_good_policy(&policy, CONFIG);
	while (r < 0) {
		struct names_view view = { 0 };
		char *text = NULL;
		read = (struct grant_list){ 0 };
		allocations_left = ++failing;
		struct grant grant = make_grant("console-in", "10.32.0.50", 60);
		r = grant_put(&list, &grant);
		if (r == 0) {
			text = grants_text(&list, BOOT, boot_ms);
			r = text ? grants_from_text(&read, text, BOOT, boot_ms, wall, &damaged) : -ENOMEM;
		}
		if (r == 0)
			r = grants_add_to_view(&read, &policy, &view);
		allocations_left = -1;
		assert_true(r == 0 || r == -ENOMEM);
		names_view_free(&view);
		grants_free_list(&read);
		grants_free_list(&list);
		free(text);
	}
	assert_true(failing >= 4);
	policy_free(&policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_of_grants),        cmocka_unit_test(no_more_than_so_many),
		cmocka_unit_test(ends_by_the_clock),     cmocka_unit_test(outlives_the_daemon),
		cmocka_unit_test(damage_is_passed_over), cmocka_unit_test(which_side),
		cmocka_unit_test(judged_for_that_alone), cmocka_unit_test(deadlines_are_kept),
		cmocka_unit_test(without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
