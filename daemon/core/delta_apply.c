/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "array.h"
#include "delta.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What changes make of a ruleset. A large part of it stays as it was, and is borrowed: the elements of a set, or the
 * rules of a chain, are its own where they have a capacity, else somebody else's. The terms of rules, and names, are
 * always somebody else's. */

static void *copy_items(const void *items, size_t count, size_t size)
{
	void *copy = calloc(count + 1, size);

	if (copy && count)
		memcpy(copy, items, count * size);
	return copy;
}

static int own_elements(struct set *set)
{
	if (set->capacity)
		return 0;
	struct element *items = copy_items(set->items, set->count, sizeof(*items));
	if (!items)
		return -ENOMEM;
	set->items = items;
	set->capacity = set->count + 1;
	return 0;
}

static int own_rules(struct chain *chain)
{
	if (chain->capacity)
		return 0;
	struct rule *items = copy_items(chain->items, chain->count, sizeof(*items));
	if (!items)
		return -ENOMEM;
	chain->items = items;
	chain->capacity = chain->count + 1;
	return 0;
}

static void drop_elements(struct set *set)
{
	if (set->capacity)
		free(set->items);
	set->items = NULL;
	set->count = set->capacity = 0;
}

static void drop_rules(struct chain *chain)
{
	if (chain->capacity)
		free(chain->items);
	chain->items = NULL;
	chain->count = chain->capacity = 0;
	chain->altered = false;
}

void delta_applied_free(struct ruleset *applied)
{
	for (size_t i = 0; i < applied->sets.count; i++)
		drop_elements(&applied->sets.items[i]);
	for (size_t i = 0; i < applied->chains.count; i++)
		drop_rules(&applied->chains.items[i]);
	free(applied->counters.items);
	free(applied->sets.items);
	free(applied->chains.items);
	*applied = (struct ruleset){ 0 };
}

/* All is borrowed. 0 or -ENOMEM. */
static int borrow(struct ruleset *ret, const struct ruleset *old)
{
	*ret = (struct ruleset){ 0 };
	ret->counters.items = copy_items(old->counters.items, old->counters.count, sizeof(*ret->counters.items));
	ret->sets.items = copy_items(old->sets.items, old->sets.count, sizeof(*ret->sets.items));
	ret->chains.items = copy_items(old->chains.items, old->chains.count, sizeof(*ret->chains.items));
	if (!ret->counters.items || !ret->sets.items || !ret->chains.items)
		return -ENOMEM;
	ret->counters.count = old->counters.count;
	ret->counters.capacity = old->counters.count + 1;
	ret->sets.count = old->sets.count;
	ret->sets.capacity = old->sets.count + 1;
	ret->chains.count = old->chains.count;
	ret->chains.capacity = old->chains.count + 1;
	for (size_t i = 0; i < ret->sets.count; i++)
		ret->sets.items[i].capacity = 0;
	for (size_t i = 0; i < ret->chains.count; i++)
		ret->chains.items[i].capacity = 0;
	return 0;
}

/* Where the next one is looked for: changes come in the order that the ruleset has. */
struct places {
	size_t set, chain;
};

static int add_counter(struct ruleset *out, const char *name)
{
	return ARRAY_PUSH(&out->counters, name) < 0 ? -ENOMEM : 0;
}

static int add_set(struct ruleset *out, const struct set *set)
{
	struct set added = *set;

	added.items = NULL;
	added.count = added.capacity = 0;
	return ARRAY_PUSH(&out->sets, added) < 0 ? -ENOMEM : 0;
}

static int delete_set(struct ruleset *out, const char *name)
{
	struct set *set = ruleset_find_set(out, name), *end = out->sets.items + out->sets.count;

	if (!set)
		return -ENOENT;
	drop_elements(set);
	memmove(set, set + 1, (size_t)(end - set - 1) * sizeof(*set));
	out->sets.count--;
	return 0;
}

static int add_chain(struct ruleset *out, const struct chain *chain)
{
	struct chain added = *chain;

	added.items = NULL;
	added.count = added.capacity = 0;
	added.altered = false;
	return ARRAY_PUSH(&out->chains, added) < 0 ? -ENOMEM : 0;
}

static int delete_chain(struct ruleset *out, const char *name)
{
	struct chain *chain = ruleset_find_chain(out, name), *end = out->chains.items + out->chains.count;

	if (!chain)
		return -ENOENT;
	drop_rules(chain);
	memmove(chain, chain + 1, (size_t)(end - chain - 1) * sizeof(*chain));
	out->chains.count--;
	return 0;
}

static int flush_rules(struct ruleset *out, const char *name, struct places *places)
{
	struct chain *chain = ruleset_next_chain(out, name, &places->chain);

	if (!chain)
		return -ENOENT;
	drop_rules(chain);
	return 0;
}

/* Rules come chain by chain: the last one that was found is right for most. */
static int add_rule(struct ruleset *out, const struct op *op, struct chain **last, struct places *places)
{
	if (!*last || strcmp((*last)->name, op->name) != 0)
		*last = ruleset_next_chain(out, op->name, &places->chain);
	if (!*last)
		return -ENOENT;
	int r = own_rules(*last);
	struct rule rule = *op->rule;
	rule.handle = 0;
	if (r == 0 && ARRAY_PUSH(*last, rule) < 0)
		r = -ENOMEM;
	return r;
}

static int by_first(const void *a, const void *b)
{
	return element_compare(a, b, KEY_SIZE_MAX);
}

static struct element *find_element(const struct set *set, const struct element *element)
{
	return set->count ? bsearch(element, set->items, set->count, sizeof(*element), by_first) : NULL;
}

/* Both ascend. */
static int delete_elements(struct set *set, const struct op *op)
{
	size_t kept = 0, gone = 0;

	for (size_t i = 0; i < set->count; i++) {
		if (gone < op->element_count && by_first(&set->items[i], op->elements[gone]) == 0)
			gone++;
		else
			set->items[kept++] = set->items[i];
	}
	set->count = kept;
	return gone == op->element_count ? 0 : -ENOENT;
}

static int add_elements(struct set *set, const struct op *op)
{
	struct element *items = malloc((set->count + op->element_count + 1) * sizeof(*items));
	size_t count = 0, old = 0, new = 0;
	int r = 0;

	if (!items)
		return -ENOMEM;
	while (r == 0 && (old < set->count || new < op->element_count)) {
		int order = old == set->count          ? 1
			    : new == op->element_count ? -1
						       : by_first(&set->items[old], op->elements[new]);
		if (order == 0)
			r = -EEXIST;
		items[count++] = order < 0 ? set->items[old++] : *op->elements[new ++];
	}
	if (set->capacity)
		free(set->items);
	set->items = items;
	set->count = count;
	set->capacity = count + 1;
	return r;
}

static int renew_elements(struct set *set, const struct op *op)
{
	for (size_t i = 0; i < op->element_count; i++) {
		struct element *found = find_element(set, op->elements[i]);
		if (!found)
			return -ENOENT;
		found->deadline_ms = op->elements[i]->deadline_ms;
	}
	return 0;
}

static int change_elements(struct ruleset *out, const struct op *op, struct places *places)
{
	struct set *set = ruleset_next_set(out, op->set->name, &places->set);

	if (!set)
		return -ENOENT;
	if (op->kind == OP_ELEMENTS_ADD)
		return add_elements(set, op);
	int r = own_elements(set);
	if (r < 0)
		return r;
	return op->kind == OP_ELEMENTS_DELETE ? delete_elements(set, op) : renew_elements(set, op);
}

static int apply_one(struct ruleset *out, const struct op *op, struct chain **last, struct places *places)
{
	if (op->kind != OP_RULE_ADD)
		*last = NULL; /* chains may move */
	switch (op->kind) {
	case OP_TABLE_DELETE: delta_applied_free(out); return 0;
	case OP_TABLE_ADD:
	case OP_TABLE_CLAIM: return 0;
	case OP_COUNTER_ADD: return add_counter(out, op->name);
	case OP_SET_ADD: return add_set(out, op->set);
	case OP_SET_DELETE: return delete_set(out, op->name);
	case OP_CHAIN_ADD: return add_chain(out, op->chain);
	case OP_CHAIN_DELETE: return delete_chain(out, op->name);
	case OP_RULES_FLUSH: return flush_rules(out, op->name, places);
	case OP_RULE_ADD: return add_rule(out, op, last, places);
	default: return change_elements(out, op, places);
	}
}

static int name_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Whether one of these is there twice: each begins with its name. 0, -EEXIST or -ENOMEM. */
static int find_twice(const void *items, size_t count, size_t size)
{
	const char **names = count ? calloc(count, sizeof(*names)) : NULL;
	int r = 0;

	if (!count)
		return 0;
	if (!names)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		memcpy(&names[i], (const char *)items + i * size, sizeof(*names));
	qsort(names, count, sizeof(*names), name_order);
	for (size_t i = 1; i < count; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			r = -EEXIST;
	free(names);
	return r;
}

/* Added to what there was already, for one: looked at once, not with each. */
static int check_names(const struct ruleset *out)
{
	_Static_assert(offsetof(struct set, name) == 0 && offsetof(struct chain, name) == 0, "names first");

	int r = find_twice(out->sets.items, out->sets.count, sizeof(*out->sets.items));
	if (r == 0)
		r = find_twice(out->chains.items, out->chains.count, sizeof(*out->chains.items));
	if (r == 0)
		r = find_twice(out->counters.items, out->counters.count, sizeof(*out->counters.items));
	return r;
}

int delta_apply(struct ruleset *ret, const struct ruleset *old, const struct op *ops, size_t count)
{
	struct places places = { 0 };
	struct chain *last = NULL;

	int r = borrow(ret, old);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = apply_one(ret, &ops[i], &last, &places);
	if (r == 0 && count)
		r = check_names(ret);
	if (r < 0)
		delta_applied_free(ret);
	return r;
}
