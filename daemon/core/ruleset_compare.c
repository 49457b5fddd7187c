/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ruleset_compare.h"

#include <string.h>

static bool same_element(const struct element *a, const struct element *b)
{
	return memcmp(a->first, b->first, KEY_SIZE_MAX) == 0 && memcmp(a->last, b->last, KEY_SIZE_MAX) == 0 &&
	       a->deadline_ms == b->deadline_ms && a->action == b->action && !a->chain == !b->chain &&
	       (!a->chain || strcmp(a->chain, b->chain) == 0);
}

static bool same_set(const struct set *a, const struct set *b)
{
	if (a->type != b->type || a->flags != b->flags || a->size != b->size || a->count != b->count)
		return false;
	for (size_t i = 0; a->items != b->items && i < a->count; i++)
		if (!same_element(&a->items[i], &b->items[i]))
			return false;
	return true;
}

static bool same_chain(const struct chain *a, const struct chain *b)
{
	return a->hook == b->hook && a->priority == b->priority && a->nat == b->nat && chain_rules_equal(a, b);
}

const char *ruleset_find_altered(const struct ruleset *before, const struct ruleset *after)
{
	for (size_t i = 0, at = 0; i < before->sets.count; i++) {
		const struct set *set = &before->sets.items[i], *is = ruleset_next_set(after, set->name, &at);
		if (!is || !same_set(set, is))
			return set->name;
	}
	for (size_t i = 0, at = 0; i < before->chains.count; i++) {
		const struct chain *chain = &before->chains.items[i], *is = ruleset_next_chain(after, chain->name, &at);
		/* Rules that are not of our making can't be compared; they are in the way of any proof. */
		if (!is || (!chain->altered && !same_chain(chain, is)))
			return chain->name;
	}
	for (size_t i = 0, at = 0; i < before->counters.count; i++)
		if (!ruleset_next_counter(after, before->counters.items[i], &at))
			return before->counters.items[i];
	for (size_t i = 0; i < after->chains.count; i++) {
		const struct chain *chain = &after->chains.items[i];
		if (chain->hook != HOOK_NONE && !ruleset_find_chain(before, chain->name))
			return chain->name;
	}
	return NULL;
}
