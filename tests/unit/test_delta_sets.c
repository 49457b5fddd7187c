/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The short way when a name has other addresses: its sets are compiled and compared alone. */
#include "make.h"

#include "core/delta.h"

#include <errno.h>

#define BASE                                                                                                           \
	"[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n[role ADM]\nmembers = 203.0.113.0/24 " \
	"admin.example.net\n"
#define MORE "[flow x]\nfrom = SERVER\nto = more.example.net\nprotocol = tcp\nport = 1\n"

static const char *const names_texts[] = {
	"",
	"my.mailstore.com 198.51.100.7",
	"my.mailstore.com 198.51.100.7 198.51.100.9 2001:db8:7::1;admin.example.net 198.51.100.66",
	"my.mailstore.com 198.51.100.8;admin.example.net 2001:db8:66::1",
	"admin.example.net 198.51.100.66 198.51.100.67 198.51.100.68",
};

static void assert_same(const struct ruleset *a, const struct ruleset *b)
{
	char *one = ruleset_text(a, 0), *other = ruleset_text(b, 0);

	assert_non_null(one);
	assert_non_null(other);
	assert_string_equal(one, other);
	free(one);
	free(other);
}

/* "-1 +2" elements; anything but elements fails. */
static void count_elements(const struct delta *delta, size_t *ret_gone, size_t *ret_come, size_t *ret_renewed)
{
	*ret_gone = *ret_come = *ret_renewed = 0;
	for (size_t i = 0; i < delta->count; i++) {
		const struct op *op = &delta->items[i];
		assert_string_equal(op->name, op->set->name);
		assert_true(op->element_count > 0);
		switch (op->kind) {
		case OP_ELEMENTS_DELETE: *ret_gone += op->element_count; break;
		case OP_ELEMENTS_ADD: *ret_come += op->element_count; break;
		case OP_ELEMENTS_RENEW: *ret_renewed += op->element_count; break;
		default: fail_msg("op %d", (int)op->kind);
		}
	}
	assert_int_equal(delta->elements, *ret_gone + *ret_come + *ret_renewed);
	assert_int_equal(delta->rules, 0);
}

static size_t count_addresses(const struct names_view *names)
{
	size_t count = 0;

	for (size_t i = 0; i < names->count; i++)
		count += names->names[i][FAMILY_4].count + names->names[i][FAMILY_6].count;
	return count;
}

/* It comes to what a new table would be. */
static void test_short_way(void **state)
{
	struct policy policy;

	(void)state;
	make_good_policy(&policy, BASE);
	for (size_t from = 0; from < COUNT_OF(names_texts); from++) {
		for (size_t to = 0; to < COUNT_OF(names_texts); to++) {
			struct names_view before = make_names(&policy, names_texts[from]),
					  after = make_names(&policy, names_texts[to]);
			struct ruleset current, whole, sets;
			struct delta delta;
			size_t gone, come, renewed;
			assert_int_equal(make_ruleset(&current, &policy, &before), 0);
			assert_int_equal(make_ruleset(&whole, &policy, &after), 0);
			assert_int_equal(compile_names(&sets, &current, &policy, &after), 0);
			assert_int_equal(sets.chains.count + sets.counters.count, 0);
			assert_int_equal(sets.sets.count, 4);
			assert_int_equal(delta_sets(&delta, &current, &sets, 0), 0);
			count_elements(&delta, &gone, &come, &renewed);
			assert_int_equal(count_addresses(&before) - gone + come, count_addresses(&after));
			assert_int_equal(renewed, 0);
			if (from == to)
				assert_int_equal(delta.count, 0);
			delta_take_sets(&current, &sets);
			assert_same(&current, &whole);
			delta_free(&delta);
			ruleset_free(&sets);
			ruleset_free(&whole);
			ruleset_free(&current);
			names_view_free(&before);
			names_view_free(&after);
		}
	}
	policy_free(&policy);
}

/* Deadlines that hardly move stay; what the table does not have yet is left to the next full compilation. */
static void test_deadlines(void **state)
{
	struct policy policy, more;
	struct ruleset current, sets;
	struct delta delta;
	size_t gone, come, renewed;

	(void)state;
	make_good_policy(&policy, BASE);
	make_good_policy(&more, BASE MORE);
	struct names_view before = make_names(&policy, "my.mailstore.com 198.51.100.7"),
			  after = make_names(&more, "more.example.net 198.51.100.1;my.mailstore.com 198.51.100.7");
	assert_int_equal(make_ruleset(&current, &policy, &before), 0);
	for (size_t i = 0; i < after.count; i++)
		for (size_t a = 0; a < after.names[i][FAMILY_4].count; a++)
			after.names[i][FAMILY_4].items[a].deadline_ms += 500;
	for (int64_t slack = 499; slack <= 500; slack++) {
		assert_int_equal(compile_names(&sets, &current, &more, &after), 0);
		assert_null(ruleset_find_set(&sets, "name_more.example.net_4"));
		assert_int_equal(delta_sets(&delta, &current, &sets, slack), 0);
		count_elements(&delta, &gone, &come, &renewed);
		assert_int_equal(gone + come, 0);
		assert_int_equal(renewed, slack == 499);
		assert_int_equal(ruleset_find_set(&sets, "name_my.mailstore.com_4")->items[0].deadline_ms,
				 slack == 499 ? 1000500 : 1000000);
		delta_free(&delta);
		ruleset_free(&sets);
	}
	ruleset_free(&current);
	names_view_free(&before);
	names_view_free(&after);
	policy_free(&policy);
	policy_free(&more);
}

/* An element that leads to another chain is another one; the name of the same chain may be another string. */
static void test_verdicts(void **state)
{
	char same[] = "first";
	const char *const chains[] = { same, "second" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(chains); i++) {
		struct ruleset current = { 0 }, sets = { 0 };
		struct element element = { .first = { 0, 80 }, .last = { 0, 80 }, .action = ACTION_JUMP };
		struct delta delta;
		size_t gone, come, renewed;
		element.chain = "first";
		set_add(&current, ruleset_set(&current, "ports", KEY_PORT, SET_VERDICTS), &element);
		element.chain = chains[i];
		set_add(&sets, ruleset_set(&sets, "ports", KEY_PORT, SET_VERDICTS), &element);
		assert_int_equal(delta_sets(&delta, &current, &sets, 0), 0);
		count_elements(&delta, &gone, &come, &renewed);
		assert_int_equal(gone, i);
		assert_int_equal(come, i);
		assert_int_equal(renewed, 0);
		delta_free(&delta);
		ruleset_free(&sets);
		ruleset_free(&current);
	}
}

/* How much changes, for reports. */
static void test_figures(void **state)
{
	static const char *const changes[] = { BASE, BASE MORE, BASE "[flow https-in]\nport = 444\n",
					       BASE "[gateway]\nmode = audit\n" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(changes) * COUNT_OF(changes) * 2; i++) {
		bool exists = i % 2;
		const struct delta_options options = { .exists = exists };
		size_t rules = 0, elements = 0;
		struct policy old_policy, new_policy;
		struct ruleset old, new;
		struct delta delta;
		make_good_policy(&old_policy, changes[i / 2 % COUNT_OF(changes)]);
		make_good_policy(&new_policy, changes[i / 2 / COUNT_OF(changes)]);
		assert_int_equal(make_ruleset(&old, &old_policy, NULL), 0);
		assert_int_equal(make_ruleset(&new, &new_policy, NULL), 0);
		assert_int_equal(delta_compute(&delta, &old, &new, &options), 0);
		for (size_t o = 0; o < delta.count; o++) {
			elements += delta.items[o].element_count;
			rules += delta.items[o].kind == OP_RULE_ADD;
			if (delta.items[o].kind == OP_RULES_FLUSH)
				rules += ruleset_find_chain(&old, delta.items[o].name)->count;
		}
		assert_int_equal(delta.rules, rules);
		assert_int_equal(delta.elements, elements);
		if (exists && i / 2 % COUNT_OF(changes) == i / 2 / COUNT_OF(changes))
			assert_int_equal(delta.count, 0);
		delta_free(&delta);
		ruleset_free(&old);
		ruleset_free(&new);
		policy_free(&old_policy);
		policy_free(&new_policy);
	}
}

static void test_no_memory(void **state)
{
	struct policy policy;
	struct ruleset current, sets;
	struct delta delta;
	int r = -ENOMEM;

	(void)state;
	make_good_policy(&policy, BASE);
	struct names_view before = make_names(&policy, names_texts[2]), after = make_names(&policy, names_texts[3]);
	assert_int_equal(make_ruleset(&current, &policy, &before), 0);
	for (long n = 0; r != 0; n++) {
		allocations_left = n;
		r = compile_names(&sets, &current, &policy, &after);
		allocations_left = -1;
		assert_true(r == 0 || (r == -ENOMEM && !sets.sets.count && !sets.strings.count));
	}
	r = -ENOMEM;
	for (long n = 0; r != 0; n++) {
		allocations_left = n;
		r = delta_sets(&delta, &current, &sets, 0);
		allocations_left = -1;
		assert_true(r == 0 || (r == -ENOMEM && !delta.count && !delta.items));
	}
	delta_free(&delta);
	ruleset_free(&sets);
	ruleset_free(&current);
	names_view_free(&before);
	names_view_free(&after);
	policy_free(&policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_way), cmocka_unit_test(test_deadlines), cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_figures),   cmocka_unit_test(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
