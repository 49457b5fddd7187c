/* SPDX-License-Identifier: GPL-2.0-or-later */
/* policy_fate() and the compiled ruleset say the same of every packet, where it ends and what counts it: shown for the
 * golden policies and for random ones, with random packets and those at every edge, in an interpreter of rulesets
 * (vm.c). SPEFW_SEED, SPEFW_ROUNDS and SPEFW_PACKETS in the environment change the dice. */
#include "../golden/case.h"
#include "core/delta.h"
#include "core/fate.h"
#include "core/flow_index.h"
#include "fate_world.h"
#include "make.h"
#include "random_policy.h"
#include "vm.h"

#include <errno.h>
#include <glob.h>

static const char *const chains[STAGES] = { "early", "pin", "forward", "input", "output" };

struct tally {
	size_t policies, packets, reasons[FATE_REASONS], pinned, copied, answered, intercepted;
};

static void count_fate(struct tally *tally, const struct fate *fate)
{
	tally->packets++;
	tally->reasons[fate->reason]++;
	tally->pinned += fate->pinned;
	tally->copied += fate->copied;
	tally->answered += fate->at_a_rate;
	tally->intercepted += fate->counts[COUNT_INTERCEPTED] > 0;
}

static bool compare_at(const struct ruleset *ruleset, const struct fate_view *view, const struct fate_packet *packet,
		       enum fate_stage stage, struct tally *tally)
{
	static const struct vm_result accepted = { .action = ACTION_ACCEPT, .fell_through = true };
	struct asker asker = fate_packet_asker(packet);
	struct fate fate = policy_fate(view, stage, &asker);
	struct vm_packet vm_packet = vm_packet_of(packet, stage);

	count_fate(tally, &fate);
	for (int limited = 0; limited < 2; limited++) {
		vm_packet.limited = limited;
		struct vm_result vm = ruleset_find_chain(ruleset, chains[stage])
					      ? vm_run(ruleset, chains[stage], &vm_packet)
					      : accepted;
		const char *what = difference(&fate, &vm, limited);
		if (!what)
			continue;
		describe(packet, stage, &fate, &vm, what);
		return false;
	}
	return true;
}

/* The policy of one case, on a ruleset. */
static bool compare(const struct golden_case *g, const struct ruleset *ruleset, unsigned packets, struct tally *tally)
{
	static struct values values;
	struct fate_view view;
	size_t bad = 0;

	fate_view_init(&view, &g->policy, &g->environment);
	collect(&values, g);
	for (unsigned i = 0; i < packets && bad < 5; i++) {
		struct fate_packet packet = random_packet(&values, g);
		for (enum fate_stage stage = 0; stage < STAGES; stage++)
			bad += !compare_at(ruleset, &view, &packet, stage, tally);
	}
	tally->policies++;
	return !bad;
}

static unsigned setting(const char *name, unsigned standard)
{
	const char *text = getenv(name);
	return text ? (unsigned)strtoul(text, NULL, 0) : standard;
}

static void test_goldens(void **state)
{
	struct tally tally = { 0 };
	char pattern[4096];
	size_t bad = 0;
	glob_t found;

	(void)state;
	random_seed(getenv("SPEFW_SEED") ? strtoull(getenv("SPEFW_SEED"), NULL, 0) : 0x5eed5eed5eed5eed);
	snprintf(pattern, sizeof(pattern), "%s/tests/golden/*.conf", getenv("srcdir") ? getenv("srcdir") : ".");
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		static struct golden_case golden;
		golden_case_make(&golden, found.gl_pathv[i]);
		if (!compare(&golden, &golden.ruleset, setting("SPEFW_PACKETS", 3000), &tally)) {
			print_error("in %s\n", found.gl_pathv[i]);
			bad++;
		}
		golden_case_free(&golden);
	}
	globfree(&found);
	assert_int_equal(bad, 0);
	assert_true(tally.policies >= 20);
}

/* From one to the other: what is prepared changes nothing for any packet, and in the end the table is the new one. */
static void check_change(const struct golden_case *old, const struct golden_case *new)
{
	struct delta_options options = { .exists = true };
	struct ruleset prepared, changed, wanted;
	struct tally tally = { 0 };
	struct delta delta, rest;

	assert_int_equal(compile(&wanted, &new->policy, &new->environment), 0);
	int r = delta_compute(&delta, &old->ruleset, &wanted, &options);
	if (r == -EUCLEAN) {
		options.replace = true;
		r = delta_compute(&delta, &old->ruleset, &wanted, &options);
	}
	assert_int_equal(r, 0);
	assert_int_equal(delta_apply(&prepared, &old->ruleset, delta.items, delta.prepare), 0);
	if (!compare(old, &prepared, setting("SPEFW_PACKETS", 30), &tally))
		fail_msg("while it is prepared");
	assert_int_equal(delta_apply(&changed, &old->ruleset, delta.items, delta.count), 0);
	if (!compare(new, &changed, setting("SPEFW_PACKETS", 30), &tally))
		fail_msg("after the change");
	delta_retired(&wanted);
	options.replace = false;
	assert_int_equal(delta_compute(&rest, &changed, &wanted, &options), 0);
	assert_int_equal(rest.count, 0);
	delta_free(&rest);
	delta_applied_free(&changed);
	delta_applied_free(&prepared);
	delta_free(&delta);
	ruleset_free(&wanted);
}

static void test_random(void **state)
{
	static struct golden_case cases[2];
	struct tally tally = { 0 };

	(void)state;
	random_seed(getenv("SPEFW_SEED") ? strtoull(getenv("SPEFW_SEED"), NULL, 0) : 0x5eed5eed5eed5eed);
	for (unsigned i = setting("SPEFW_ROUNDS", 300); i > 0; i--) {
		char *text = random_config(true);
		struct golden_case *g = &cases[i % 2], *before = &cases[(i + 1) % 2];
		golden_case_free(g);
		free(make_policy(&g->policy, text));
		if (g->policy.role_count) {
			random_environment(g);
			assert_int_equal(compile(&g->ruleset, &g->policy, &g->environment), 0);
			if (!compare(g, &g->ruleset, setting("SPEFW_PACKETS", 1000), &tally))
				fail_msg("in the policy of\n%s", text);
			if (before->policy.role_count)
				check_change(before, g);
		}
		free(text);
	}
	golden_case_free(&cases[0]);
	golden_case_free(&cases[1]);
	print_message("%zu policies, %zu packets: pinned %zu, copied %zu, answered %zu, intercepted %zu; by reason:",
		      tally.policies, tally.packets, tally.pinned, tally.copied, tally.answered, tally.intercepted);
	for (int i = 0; i < FATE_REASONS; i++)
		print_message(" %zu", tally.reasons[i]);
	print_message("\n");
	/* The dice must have shown something of everything. */
	if (getenv("SPEFW_ROUNDS"))
		return;
	for (int i = 0; i < FATE_REASONS; i++)
		assert_true(tally.reasons[i] > 100);
	assert_true(tally.pinned > 500 && tally.copied > 100 && tally.answered > 1000 && tally.intercepted > 1000);
}

static void test_changes(void **state)
{
	enum { CASES_MAX = 64 };
	static struct golden_case cases[CASES_MAX];
	char pattern[4096];
	glob_t found;

	(void)state;
	snprintf(pattern, sizeof(pattern), "%s/tests/golden/*.conf", getenv("srcdir") ? getenv("srcdir") : ".");
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_true(found.gl_pathc <= CASES_MAX);
	for (size_t i = 0; i < found.gl_pathc; i++)
		golden_case_make(&cases[i], found.gl_pathv[i]);
	for (size_t from = 0; from < found.gl_pathc; from++)
		for (size_t to = 0; to < found.gl_pathc; to++)
			check_change(&cases[from], &cases[to]);
	for (size_t i = 0; i < found.gl_pathc; i++)
		golden_case_free(&cases[i]);
	globfree(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goldens),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
