/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Deltas, applied to a model of the kernel that refuses what the kernel would refuse. */
#include "make.h"

#include "core/delta.h"
#include "core/ruleset_compare.h"

#include <errno.h>

#define BASE "[server]\naddress = 192.0.2.25 2001:db8:2::25\nresolvers = 192.0.2.53\n"
#define ADM "[role ADM]\nmembers = 203.0.113.0/24 admin.example.net\n"
enum { NOW = 1000000 };

/* The model: a ruleset of its own, changed op by op. What the kernel would refuse fails the test. */

static void model_set_add(struct ruleset *model, const struct set *set)
{
	assert_null(ruleset_find_set(model, set->name));
	struct set *added = ruleset_set(model, ruleset_string(model, "%s", set->name), set->type, set->flags);
	assert_non_null(added);
	added->size = set->size;
}

static size_t references(const struct ruleset *model, const char *set)
{
	size_t count = 0;
	for (size_t c = 0; c < model->chains.count; c++)
		for (size_t r = 0; r < model->chains.items[c].count; r++)
			for (size_t t = 0; t < model->chains.items[c].items[r].count; t++) {
				const struct term *term = &model->chains.items[c].items[r].items[t];
				count += (term->kind == TERM_IN || term->kind == TERM_MAP) &&
					 strcmp(term->name, set) == 0;
			}
	return count;
}

static void model_set_delete(struct ruleset *model, const char *name)
{
	struct set *set = ruleset_find_set(model, name);
	assert_non_null(set);
	assert_int_equal(references(model, name), 0); /* EBUSY */
	free(set->items);
	*set = model->sets.items[--model->sets.count];
}

static void model_chain_delete(struct ruleset *model, const char *name)
{
	struct chain *chain = ruleset_find_chain(model, name);
	assert_non_null(chain);
	assert_int_equal(chain->count, 0); /* EBUSY, from here on */
	for (size_t c = 0; c < model->chains.count; c++)
		for (size_t r = 0; r < model->chains.items[c].count; r++)
			for (size_t t = 0; t < model->chains.items[c].items[r].count; t++) {
				const struct term *term = &model->chains.items[c].items[r].items[t];
				if (term->kind == TERM_ACTION && term->name && strcmp(term->name, name) == 0)
					fail_msg("chain %s is deleted while %s leads to it", name,
						 model->chains.items[c].name);
			}
	for (size_t s = 0; s < model->sets.count; s++)
		for (size_t e = 0; e < model->sets.items[s].count; e++)
			if (model->sets.items[s].items[e].chain &&
			    strcmp(model->sets.items[s].items[e].chain, name) == 0)
				fail_msg("chain %s is deleted while map %s leads to it", name,
					 model->sets.items[s].name);
	free(chain->items);
	*chain = model->chains.items[--model->chains.count];
}

static void model_rules_flush(struct ruleset *model, const char *name)
{
	struct chain *chain = ruleset_find_chain(model, name);
	assert_non_null(chain);
	for (size_t r = 0; r < chain->count; r++)
		free(chain->items[r].items);
	chain->count = 0;
}

static void model_rule_add(struct ruleset *model, const struct op *op)
{
	struct chain *chain = ruleset_find_chain(model, op->name);
	assert_non_null(chain);
	struct rule *rule = chain_rule(model, chain);
	for (size_t t = 0; t < op->rule->count; t++) {
		struct term term = op->rule->items[t];
		if (term.kind == TERM_IN || term.kind == TERM_MAP) {
			if (!ruleset_find_set(model, term.name))
				fail_msg("a rule of %s looks into %s, which is not there", op->name, term.name);
		} else if (term.kind == TERM_COUNTER) {
			assert_true(ruleset_has_counter(model, term.name));
		} else if (term.kind == TERM_ACTION && term.name) {
			if (!ruleset_find_chain(model, term.name))
				fail_msg("a rule of %s leads to %s, which is not there", op->name, term.name);
		}
		if (term.name)
			term.name = ruleset_string(model, "%s", term.name);
		rule_add(model, rule, &term);
	}
}

static struct element *model_find(struct set *set, const struct element *element)
{
	for (size_t i = 0; i < set->count; i++)
		if (memcmp(set->items[i].first, element->first, KEY_SIZE_MAX) == 0)
			return &set->items[i];
	return NULL;
}

static void model_elements(struct ruleset *model, const struct op *op)
{
	struct set *set = ruleset_find_set(model, op->set->name);

	assert_non_null(set);
	assert_true(op->element_count > 0);
	for (size_t i = 0; i < op->element_count; i++) {
		struct element element = *op->elements[i], *there = model_find(set, &element);
		if (op->kind == OP_ELEMENTS_DELETE) {
			assert_non_null(there); /* ENOENT */
			assert_memory_equal(there->last, element.last, KEY_SIZE_MAX);
			*there = set->items[--set->count];
		} else if (op->kind == OP_ELEMENTS_RENEW) {
			assert_non_null(there);
			there->deadline_ms = element.deadline_ms;
		} else {
			for (size_t e = 0; e < set->count; e++) /* EEXIST, also of intervals that overlap */
				assert_true(memcmp(set->items[e].last, element.first, KEY_SIZE_MAX) < 0 ||
					    memcmp(set->items[e].first, element.last, KEY_SIZE_MAX) > 0);
			if (element.chain) {
				assert_non_null(ruleset_find_chain(model, element.chain));
				element.chain = ruleset_string(model, "%s", element.chain);
			}
			set_add(model, set, &element);
		}
	}
}

static void model_apply(struct ruleset *model, const struct op *op)
{
	struct chain *chain;

	switch (op->kind) {
	case OP_TABLE_DELETE: ruleset_free(model); break;
	case OP_TABLE_ADD: assert_int_equal(model->chains.count, 0); break;
	case OP_COUNTER_ADD:
		assert_false(ruleset_has_counter(model, op->name));
		ruleset_counter(model, ruleset_string(model, "%s", op->name));
		break;
	case OP_SET_ADD: model_set_add(model, op->set); break;
	case OP_SET_DELETE: model_set_delete(model, op->name); break;
	case OP_CHAIN_ADD:
		assert_null(ruleset_find_chain(model, op->chain->name));
		chain = ruleset_chain(model, ruleset_string(model, "%s", op->chain->name));
		assert_non_null(chain);
		chain->hook = op->chain->hook;
		chain->priority = op->chain->priority;
		chain->nat = op->chain->nat;
		break;
	case OP_CHAIN_DELETE: model_chain_delete(model, op->name); break;
	case OP_RULES_FLUSH: model_rules_flush(model, op->name); break;
	case OP_RULE_ADD: model_rule_add(model, op); break;
	case OP_ELEMENTS_ADD:
	case OP_ELEMENTS_DELETE:
	case OP_ELEMENTS_RENEW: model_elements(model, op); break;
	default: break;
	}
	assert_false(model->failed);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The text, each set's elements sorted, and sets, chains and counters in order of their names. */
static char *canonical(const struct ruleset *ruleset, const struct ruleset *retired_in)
{
	char *all = NULL;
	size_t length = 0, count = 0;
	const char **parts =
		calloc(ruleset->counters.count + ruleset->sets.count + ruleset->chains.count + 1, sizeof(*parts));
	FILE *out = open_memstream(&all, &length);

	assert_non_null(parts);
	assert_non_null(out);
	for (size_t i = 0; i < ruleset->counters.count; i++)
		assert_true(asprintf((char **)&parts[count++], "counter %s\n", ruleset->counters.items[i]) > 0);
	for (size_t i = 0; i < ruleset->sets.count; i++) {
		const struct set *named = ruleset_find_set(retired_in, ruleset->sets.items[i].name);
		struct ruleset one = { 0 };
		if (named && named->retired) { /* what it holds is nobody's business */
			assert_true(asprintf((char **)&parts[count++], "retired %s\n", named->name) > 0);
			continue;
		}
		one.sets.items = &ruleset->sets.items[i];
		one.sets.count = 1;
		assert_int_equal(ruleset_finish(&one), 0);
		parts[count++] = ruleset_text(&one, 0);
	}
	for (size_t i = 0; i < ruleset->chains.count; i++) {
		struct ruleset one = { 0 };
		one.chains.items = &ruleset->chains.items[i];
		one.chains.count = 1;
		parts[count++] = ruleset_text(&one, 0);
	}
	qsort(parts, count, sizeof(*parts), by_name);
	for (size_t i = 0; i < count; i++) {
		fputs(parts[i], out);
		free((char *)parts[i]);
	}
	free(parts);
	assert_int_equal(fclose(out), 0);
	return all;
}

static void assert_same(const struct ruleset *model, const struct ruleset *ruleset)
{
	char *a = canonical(model, ruleset), *b = canonical(ruleset, ruleset);
	if (strcmp(a, b) != 0) {
		size_t at = 0;
		while (a[at] == b[at])
			at++;
		fail_msg("they differ:\n%.300s\n--- wanted:\n%.300s", a + (at > 80 ? at - 80 : 0),
			 b + (at > 80 ? at - 80 : 0));
	}
	free(a);
	free(b);
}

static void make(struct ruleset *ret, const char *text, const char *names_text)
{
	struct policy policy;

	make_good_policy(&policy, text);
	struct names_view names = make_names(&policy, names_text);
	assert_int_equal(make_ruleset(ret, &policy, &names), 0);
	names_view_free(&names);
	policy_free(&policy);
}

static void model_from(struct ruleset *model, struct ruleset *current)
{
	static const struct ruleset nothing;
	const struct delta_options options = { .exists = false };
	struct delta delta;

	*model = (struct ruleset){ 0 };
	assert_int_equal(delta_compute(&delta, &nothing, current, &options), 0);
	assert_int_equal(delta.items[0].kind, OP_TABLE_ADD);
	for (size_t i = 0; i < delta.count; i++)
		model_apply(model, &delta.items[i]);
	delta_free(&delta);
	assert_same(model, current);
}

/* What the first batch of a change brings meets no packet yet: no base chain, no old chain and no old set is touched.
 */
static void assert_prepares(const struct delta *delta, const struct ruleset *old)
{
	for (size_t i = 0; i < delta->prepare; i++) {
		const struct op *op = &delta->items[i];
		if (op->kind == OP_CHAIN_ADD)
			assert_int_equal(op->chain->hook, HOOK_NONE);
		if (op->kind == OP_RULE_ADD || op->kind == OP_RULES_FLUSH || op->kind == OP_CHAIN_DELETE)
			assert_null(ruleset_find_chain(old, op->name));
		if (op->kind == OP_ELEMENTS_ADD)
			assert_null(ruleset_find_set(old, op->set->name));
		assert_true(op->kind != OP_ELEMENTS_DELETE && op->kind != OP_ELEMENTS_RENEW &&
			    op->kind != OP_SET_DELETE);
	}
	for (size_t i = delta->prepare; i < delta->count;
	     i++) /* nor does a set die as long as rules may look into it */
		assert_true(delta->items[i].kind != OP_SET_DELETE && delta->items[i].kind != OP_TABLE_DELETE);
}

/* What is said ahead of a change is what the kernel then holds; its first part is nothing that a packet meets. */
static void assert_foreseen(const struct ruleset *old, const struct delta *delta, const struct ruleset *model)
{
	struct ruleset applied;

	assert_int_equal(delta_apply(&applied, old, delta->items, delta->prepare), 0);
	assert_null(ruleset_find_altered(old, &applied));
	delta_applied_free(&applied);
	assert_int_equal(delta_apply(&applied, old, delta->items, delta->count), 0);
	assert_same(model, &applied);
	delta_applied_free(&applied);
}

static void step(struct ruleset *model, const struct ruleset *old, struct ruleset *new, int64_t slack_ms,
		 struct delta *ret)
{
	const struct delta_options options = { .exists = true, .renew_slack_ms = slack_ms };

	assert_int_equal(delta_compute(ret, old, new, &options), 0);
	assert_prepares(ret, old);
	for (size_t i = 0; i < ret->count; i++)
		model_apply(model, &ret->items[i]);
	assert_same(model, new);
	assert_foreseen(old, ret, model);
}

static void retire(struct ruleset *model, struct ruleset *current)
{
	struct delta delta;

	assert_int_equal(delta_retire(&delta, current), 0);
	for (size_t i = 0; i < delta.count; i++) {
		assert_int_equal(delta.items[i].kind, OP_SET_DELETE);
		model_apply(model, &delta.items[i]);
	}
	assert_foreseen(current, &delta, model);
	delta_free(&delta);
	delta_retired(current);
	assert_same(model, current);
}

/* Every kind of change, each from every other: a walk through all pairs. */
static const struct {
	const char *text, *names;
} policies[] = {
	{ BASE ADM, "" },
	{ BASE ADM, "my.mailstore.com 198.51.100.77;admin.example.net 198.51.100.66 2001:db8::66" },
	{ BASE ADM "[flow console-in]\nport = 18470\n[flow api-in]\nenabled = no\n", "my.mailstore.com 198.51.100.78" },
	{ BASE "[role ADM]\nmembers = 203.0.113.0/25 203.0.113.192/26\n",
	  "my.mailstore.com 198.51.100.77 198.51.100.78" },
	{ BASE ADM "[flow wide-in]\nfrom = ADM\nto = SERVER\nprotocol = tcp\nport = 440-9000\n", "" },
	{ BASE ADM "[gateway]\nmode = audit\n", "" },
	{ BASE ADM "[gateway]\ninterception = off\nearly_drop = no\n", "" },
	{ BASE ADM "[gateway]\nlog_group = 7\ninterception = block\nnat_except = 10.0.0.0/8\n", "" },
	{ "[server]\naddress = 192.0.2.24/30\n" ADM "[role IH]\nmembers = 192.0.2.31\nprotected = yes\n"
	  "[flow x]\nfrom = IH 198.51.100.1 198.51.100.3\nto = SERVER IH\nprotocol = udp\nport = 1-100\n",
	  "" },
	{ "[server]\naddress = 192.0.2.26-192.0.2.40\n[gateway]\npreset = none\n", "" },
};

static void test_every_change(void **state)
{
	(void)state;
	for (size_t from = 0; from < COUNT_OF(policies); from++) {
		for (size_t to = 0; to < COUNT_OF(policies); to++) {
			struct ruleset old, new, model;
			struct delta delta;
			make(&old, policies[from].text, policies[from].names);
			make(&new, policies[to].text, policies[to].names);
			model_from(&model, &old);
			step(&model, &old, &new, 0, &delta);
			assert_int_equal(delta.count == 0, from == to); /* an unchanged policy sends nothing */
			delta_free(&delta);
			retire(&model, &new);
			ruleset_free(&old);
			ruleset_free(&new);
			ruleset_free(&model);
		}
	}
}

/* One after the other: what was retired long ago comes back. */
static void test_a_walk(void **state)
{
	struct ruleset old, new, model;
	struct delta delta;

	(void)state;
	make(&old, policies[0].text, policies[0].names);
	model_from(&model, &old);
	for (size_t i = 1; i < 3 * COUNT_OF(policies); i++) {
		size_t index = i * 7 % COUNT_OF(policies);
		make(&new, policies[index].text, policies[index].names);
		step(&model, &old, &new, 0, &delta);
		delta_free(&delta);
		retire(&model, &new);
		ruleset_free(&old);
		old = new;
	}
	ruleset_free(&old);
	ruleset_free(&model);
}

static size_t count_ops(const struct delta *delta, enum op_kind kind)
{
	size_t count = 0;
	for (size_t i = 0; i < delta->count; i++)
		count += delta->items[i].kind == kind;
	return count;
}

/* A changed address changes elements alone; a new flow, its own chains and no more. */
static void test_only_the_difference(void **state)
{
	struct ruleset old, new, model;
	struct delta delta;

	(void)state;
	make(&old, policies[0].text, "my.mailstore.com 198.51.100.77");
	model_from(&model, &old);
	make(&new, policies[0].text, "my.mailstore.com 198.51.100.77 198.51.100.78 2001:db8::1");
	step(&model, &old, &new, 0, &delta);
	assert_int_equal(delta.count, 2);
	assert_int_equal(count_ops(&delta, OP_ELEMENTS_ADD), 2);
	assert_int_equal(delta.elements, 2);
	assert_int_equal(delta.rules, 0);
	delta_free(&delta);
	ruleset_free(&old);

	make(&old, BASE ADM "[flow x]\nfrom = ADM\nto = SERVER\nprotocol = tcp\nport = 1000\n", "");
	step(&model, &new, &old, 0, &delta);
	assert_int_equal(count_ops(&delta, OP_CHAIN_ADD), 4); /* in, mid-stream in and back, its pins */
	assert_int_equal(count_ops(&delta, OP_RULES_FLUSH), 0);
	assert_int_equal(count_ops(&delta, OP_SET_ADD), 0);
	assert_int_equal(count_ops(&delta, OP_COUNTER_ADD), 1);
	delta_free(&delta);
	ruleset_free(&new);
	ruleset_free(&old);
	ruleset_free(&model);
}

/* Elements of one interval set that split and merge, in one batch. */
static void test_split_and_merge(void **state)
{
	static const char *const members[] = {
		"10.0.0.0/8",
		"10.0.0.0/9 10.128.0.0-10.255.255.254",
		"10.0.0.1-10.255.255.255",
		"10.0.0.0/24 10.0.2.0/24",
		"10.0.1.0/24",
		"10.0.0.0/22",
	};
	(void)state;
	for (size_t from = 0; from < COUNT_OF(members); from++) {
		for (size_t to = 0; to < COUNT_OF(members); to++) {
			struct ruleset old, new, model;
			struct delta delta;
			char text[300];
			snprintf(text, sizeof(text), BASE "[role ADM]\nmembers = %s\n", members[from]);
			make(&old, text, "");
			snprintf(text, sizeof(text), BASE "[role ADM]\nmembers = %s\n", members[to]);
			make(&new, text, "");
			model_from(&model, &old);
			step(&model, &old, &new, 0, &delta);
			assert_int_equal(delta.rules, 0);
			delta_free(&delta);
			ruleset_free(&old);
			ruleset_free(&new);
			ruleset_free(&model);
		}
	}
}

static void set_deadlines(struct ruleset *ruleset, const char *name, int64_t deadline_ms)
{
	struct set *set = ruleset_find_set(ruleset, name);
	assert_non_null(set);
	assert_true(set->count > 0);
	for (size_t i = 0; i < set->count; i++)
		set->items[i].deadline_ms = deadline_ms;
}

static void test_renew(void **state)
{
	static const char name[] = "name_my.mailstore.com_4";
	static const struct {
		int64_t to;
		bool moved;
	} cases[] = {
		{ NOW, false },      { NOW + 99, false },  { NOW + 100, false },
		{ NOW + 101, true }, { NOW - 100, false }, { NOW - 101, true },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ruleset old, new, model;
		struct delta delta;
		make(&old, policies[0].text, "my.mailstore.com 198.51.100.77 198.51.100.78");
		make(&new, policies[0].text, "my.mailstore.com 198.51.100.77 198.51.100.78");
		set_deadlines(&old, name, NOW);
		set_deadlines(&new, name, cases[i].to);
		model_from(&model, &old);
		step(&model, &old, &new, 100, &delta);
		assert_int_equal(count_ops(&delta, OP_ELEMENTS_RENEW), cases[i].moved);
		assert_int_equal(delta.count, cases[i].moved);
		/* What is not worth moving stays in the books as the kernel has it, so that many small steps add up. */
		assert_int_equal(ruleset_find_set(&new, name)->items[0].deadline_ms,
				 cases[i].moved ? cases[i].to : NOW);
		delta_free(&delta);
		ruleset_free(&old);
		ruleset_free(&new);
		ruleset_free(&model);
	}
}

/* Counters and sets that nothing uses any more stay for now, and are listed as unused. */
static void test_kept(void **state)
{
	struct ruleset old, new, model;
	struct delta delta;

	(void)state;
	make(&old, BASE ADM "[flow x]\nfrom = 198.51.100.1 198.51.100.3\nto = SERVER\nprotocol = udp\nport = 1\n", "");
	make(&new, BASE ADM, "");
	/* The kernel has its sets in an order of its own: one that goes may be the first. */
	struct set *gone = ruleset_find_set(&old, "from_x_4"), first = old.sets.items[0];
	old.sets.items[0] = *gone;
	*gone = first;
	model_from(&model, &old);
	step(&model, &old, &new, 0, &delta);
	assert_true(ruleset_has_counter(&new, "flow-x"));
	assert_non_null(ruleset_find_set(&new, "from_x_4"));
	assert_true(ruleset_find_set(&new, "from_x_4")->retired);
	assert_true(ruleset_find_set(&new, "SERVER_in_udp")->retired);
	assert_false(ruleset_find_set(&new, "role_ADM_4")->retired);
	assert_int_equal(count_ops(&delta, OP_SET_DELETE), 0);
	delta_free(&delta);
	/* Wanted again before it is gone: what it holds is not known, so it must not come back into use. */
	assert_int_equal(delta_compute(&delta, &new, &old, &(struct delta_options){ .exists = true }), -EUCLEAN);
	retire(&model, &new);
	assert_null(ruleset_find_set(&new, "from_x_4"));
	assert_true(ruleset_has_counter(&new, "flow-x"));
	assert_int_equal(delta_retire(&delta, &new), 0);
	assert_int_equal(delta.count, 0);
	delta_free(&delta);
	ruleset_free(&old);
	ruleset_free(&new);
	ruleset_free(&model);
}

/* Rules that are not of our making: their chains' are written again, in chains that stay. */
static void test_altered_rules(void **state)
{
	struct ruleset old, new, model;
	struct delta delta;

	(void)state;
	make(&old, policies[0].text, "");
	make(&new, policies[0].text, "");
	model_from(&model, &old);
	ruleset_find_chain(&old, "judge")->altered = true;
	ruleset_find_chain(&old, "deny_in")->altered = true;
	step(&model, &old, &new, 0, &delta);
	assert_int_equal(count_ops(&delta, OP_RULES_FLUSH), 2);
	assert_int_equal(count_ops(&delta, OP_RULE_ADD),
			 ruleset_find_chain(&new, "judge")->count + ruleset_find_chain(&new, "deny_in")->count);
	assert_int_equal(delta.count, count_ops(&delta, OP_RULES_FLUSH) + count_ops(&delta, OP_RULE_ADD));
	delta_free(&delta);
	ruleset_free(&old);
	ruleset_free(&new);
	ruleset_free(&model);
}

/* Of chains whose rules are the same; not one of the others'. */
static void test_handles_stay(void **state)
{
	const struct delta_options options = { .exists = true };
	struct ruleset old, new;
	struct delta delta;
	uint64_t handle = 100;

	(void)state;
	make(&old, policies[0].text, "");
	make(&new, policies[0].text, "");
	for (size_t c = 0; c < old.chains.count; c++)
		for (size_t i = 0; i < old.chains.items[c].count; i++)
			old.chains.items[c].items[i].handle = handle++;
	struct chain *judge = ruleset_find_chain(&old, "judge"), *deny = ruleset_find_chain(&new, "deny_in");
	judge->items[0].items[0].negate = !judge->items[0].items[0].negate;
	assert_int_equal(delta_compute(&delta, &old, &new, &options), 0);
	assert_int_equal(count_ops(&delta, OP_RULES_FLUSH), 1);
	assert_true(deny->count);
	for (size_t i = 0; i < deny->count; i++)
		assert_int_equal(deny->items[i].handle, ruleset_find_chain(&old, "deny_in")->items[i].handle);
	judge = ruleset_find_chain(&new, "judge");
	for (size_t i = 0; i < judge->count; i++)
		assert_int_equal(judge->items[i].handle, 0);
	delta_free(&delta);
	ruleset_free(&old);
	ruleset_free(&new);
}

static void test_replace(void **state)
{
	const struct delta_options options = { .exists = true, .replace = true };
	struct ruleset old, new, model;
	struct delta delta;

	(void)state;
	make(&old, policies[8].text, "");
	make(&new, policies[0].text, "");
	model_from(&model, &old);
	assert_int_equal(delta_compute(&delta, &old, &new, &options), 0);
	assert_int_equal(delta.items[0].kind, OP_TABLE_DELETE);
	assert_int_equal(delta.items[1].kind, OP_TABLE_ADD);
	assert_int_equal(delta.prepare, 0); /* all in one batch: in between there is no table */
	for (size_t i = 0; i < delta.count; i++)
		model_apply(&model, &delta.items[i]);
	assert_same(&model, &new);
	assert_null(ruleset_find_set(&new, "IH_interfaces"));
	delta_free(&delta);
	ruleset_free(&old);
	ruleset_free(&new);
	ruleset_free(&model);
}

static void test_claim(void **state)
{
	const struct delta_options options = { .exists = true, .claim = true };
	struct ruleset old, new;
	struct delta delta;

	(void)state;
	make(&old, policies[0].text, "");
	make(&new, policies[1].text, "");
	assert_int_equal(delta_compute(&delta, &old, &new, &options), 0);
	assert_int_equal(delta.items[0].kind, OP_TABLE_CLAIM);
	assert_int_equal(count_ops(&delta, OP_TABLE_CLAIM), 1);
	assert_true(delta.prepare >= 1); /* a batch with the claim comes first, whatever else it holds */
	delta_free(&delta);
	ruleset_free(&old);
	ruleset_free(&new);
}

/* A set or chain of ours in another form can't be changed: only replaced. */
static void test_other_form(void **state)
{
	const struct delta_options adopt = { .exists = true }, replace = { .exists = true, .replace = true };

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct ruleset old, new;
		struct delta delta;
		make(&old, policies[0].text, "");
		make(&new, policies[0].text, "");
		struct set *set = ruleset_find_set(&old, "protected_4");
		struct chain *chain = ruleset_find_chain(&old, i < 4 ? "forward" : "judge");
		if (i == 0)
			set->flags = 0;
		else if (i == 1)
			set->type = KEY_PORT;
		else if (i == 2)
			chain->priority = 5;
		else if (i == 3)
			chain->nat = true;
		else
			chain->hook = HOOK_INPUT;
		assert_int_equal(delta_compute(&delta, &old, &new, &adopt), -EUCLEAN);
		assert_int_equal(delta.count, 0);
		assert_int_equal(delta_compute(&delta, &old, &new, &replace), 0);
		delta_free(&delta);
		ruleset_free(&old);
		ruleset_free(&new);
	}
}

static void assert_retire_tells(const struct ruleset *current)
{
	struct delta delta;

	allocations_left = 0;
	int r = delta_retire(&delta, current);
	allocations_left = -1;
	assert_int_equal(r, -ENOMEM);
	assert_null(delta.items);
}

static void test_no_memory(void **state)
{
	const struct delta_options options = { .exists = true };
	long n;

	(void)state;
	for (n = 0;; n++) {
		struct ruleset old, new;
		struct delta delta;
		make(&old, policies[8].text, "");
		make(&new, policies[1].text, policies[1].names);
		allocations_left = n;
		allocations_refused = 0;
		int r = delta_compute(&delta, &old, &new, &options);
		bool through = allocations_refused == 0;
		allocations_left = -1;
		assert_int_equal(r, through ? 0 : -ENOMEM);
		assert_int_equal(delta.count > 0, through);
		if (through)
			assert_retire_tells(&new);
		delta_free(&delta);
		ruleset_free(&old);
		ruleset_free(&new);
		if (through)
			break;
	}
	assert_in_range(n, 30, 5000);
}

static void change_kind(struct ruleset *ruleset, int kind)
{
	static const struct element more = { .first = { 1 }, .last = { 1 } };
	struct set *set = ruleset_find_set(ruleset, "name_my.mailstore.com_4");
	struct chain *chain = ruleset_find_chain(ruleset, "judge");

	switch (kind) {
	case 0: set->items[0].first[3]++; break;
	case 1: set->items[0].deadline_ms++; break;
	case 2: set_add(ruleset, set, &more); break;
	case 3: set->flags ^= SET_TIMEOUT; break;
	case 4: set->name = "another"; break;
	case 5: chain->items[0].items[0].negate ^= true; break;
	case 6: free(chain->items[--chain->count].items); break;
	case 7: chain->hook = HOOK_INPUT; break;
	case 8: chain->name = "another"; break;
	case 9: ruleset_find_set(ruleset, "protected_dst_4")->items[0].action = ACTION_ACCEPT; break;
	case 10: ruleset_find_set(ruleset, "protected_dst_4")->items[0].chain = "another"; break;
	case 11: ruleset->counters.count--; break;
	case 12: ruleset_chain(ruleset, "another")->hook = HOOK_FORWARD; break;
	/* nothing leads to what is only new */
	case 13: ruleset_chain(ruleset, "another"); break;
	case 14: ruleset_set(ruleset, "another", KEY_IPV4, 0); break;
	default: ruleset_counter(ruleset, "another"); break;
	}
}

static void test_altered(void **state)
{
	enum { KINDS = 16, HARMLESS = 13 };
	const char *names = "my.mailstore.com 198.51.100.77 198.51.100.79";

	(void)state;
	for (int kind = 0; kind < KINDS; kind++) {
		struct ruleset before, after;
		make(&before, BASE ADM, names);
		make(&after, BASE ADM, names);
		assert_null(ruleset_find_altered(&before, &after));
		change_kind(&after, kind);
		assert_int_equal(ruleset_find_altered(&before, &after) == NULL, kind >= HARMLESS);
		ruleset_free(&before);
		ruleset_free(&after);
	}
}

/* Without memory, or where the kernel would refuse a change, nothing is left of it. */
static void test_not_applied(void **state)
{
	const struct delta_options options = { .exists = true };
	struct ruleset old, new, applied;
	struct delta delta;
	unsigned long refused;
	long left = 0;
	int r;

	(void)state;
	make(&old, policies[1].text, policies[1].names);
	make(&new, policies[7].text, policies[7].names);
	assert_int_equal(delta_compute(&delta, &old, &new, &options), 0);
	do {
		refused = allocations_refused;
		allocations_left = left++;
		r = delta_apply(&applied, &old, delta.items, delta.count);
		allocations_left = -1;
		if (r < 0) {
			assert_int_equal(r, -ENOMEM);
			assert_int_equal(applied.chains.count + applied.sets.count, 0);
		}
	} while (allocations_refused != refused);
	assert_int_equal(r, 0);
	assert_true(left > 3);
	delta_applied_free(&applied);
	/* twice is once too much */
	struct op *ops = calloc(2 * delta.count, sizeof(*ops));
	assert_non_null(ops);
	for (size_t i = 0; i < 2 * delta.count; i++)
		ops[i] = delta.items[i % delta.count];
	assert_int_equal(delta_apply(&applied, &old, ops, 2 * delta.count), -EEXIST);
	free(ops);
	delta_free(&delta);
	ruleset_free(&old);
	ruleset_free(&new);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_change),
		cmocka_unit_test(test_a_walk),
		cmocka_unit_test(test_only_the_difference),
		cmocka_unit_test(test_split_and_merge),
		cmocka_unit_test(test_renew),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_altered_rules),
		cmocka_unit_test(test_handles_stay),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_other_form),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_altered),
		cmocka_unit_test(test_not_applied),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
