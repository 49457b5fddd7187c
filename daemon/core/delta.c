/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "delta.h"
#include "array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT_SLACK_MS = 500 }; /* what the kernel shows of a deadline is off by some ms */

/* Element pointers of one op while it grows. */
struct pick {
	const struct element **items;
	size_t count, capacity;
};

static int push(struct delta *delta, struct op op)
{
	if (ARRAY_PUSH(delta, op) < 0) {
		free(op.elements);
		return -ENOMEM;
	}
	return 0;
}

static int push_elements(struct delta *delta, enum op_kind kind, const struct set *set, struct pick *pick)
{
	if (!pick->count) {
		free(pick->items);
		return 0;
	}
	delta->elements += pick->count;
	return push(delta, (struct op){ .kind = kind,
					.name = set->name,
					.set = set,
					.elements = pick->items,
					.element_count = pick->count });
}

static int push_all_elements(struct delta *delta, enum op_kind kind, const struct set *set)
{
	struct pick pick = { 0 };
	for (size_t i = 0; i < set->count; i++) {
		if (ARRAY_PUSH(&pick, &set->items[i]) < 0) {
			free(pick.items);
			return -ENOMEM;
		}
	}
	return push_elements(delta, kind, set, &pick);
}

static int push_rules(struct delta *delta, const struct chain *chain)
{
	for (size_t i = 0; i < chain->count; i++)
		if (push(delta,
			 (struct op){
				 .kind = OP_RULE_ADD, .name = chain->name, .chain = chain, .rule = &chain->items[i] }) <
		    0)
			return -ENOMEM;
	delta->rules += chain->count;
	return 0;
}

static bool element_same(const struct element *a, const struct element *b)
{
	if (memcmp(a->last, b->last, KEY_SIZE_MAX) != 0 || a->action != b->action)
		return false;
	return a->chain == b->chain || (a->chain && b->chain && strcmp(a->chain, b->chain) == 0);
}

/* The elements of one set that go, come, or get another deadline. A changed verdict or end is both: goes and comes. */
struct set_change {
	struct pick gone, come, renewed;
};

static int compare_set(struct set_change *change, const struct set *old, struct set *new, int64_t slack_ms)
{
	size_t o = 0, n = 0;
	int r = 0;

	if (new->exact && slack_ms > EXACT_SLACK_MS)
		slack_ms = EXACT_SLACK_MS;

	while (r == 0 && (o < old->count || n < new->count)) {
		int order = o == old->count   ? 1
			    : n == new->count ? -1
					      : element_compare(&old->items[o], &new->items[n], KEY_SIZE_MAX);
		if (order < 0) {
			r = ARRAY_PUSH(&change->gone, &old->items[o++]);
		} else if (order > 0) {
			r = ARRAY_PUSH(&change->come, &new->items[n++]);
		} else {
			const struct element *was = &old->items[o++];
			struct element *is = &new->items[n++];
			if (!element_same(was, is)) {
				r = ARRAY_PUSH(&change->gone, was);
				if (r == 0)
					r = ARRAY_PUSH(&change->come, is);
			} else if (llabs(is->deadline_ms - was->deadline_ms) > slack_ms) {
				r = ARRAY_PUSH(&change->renewed, is);
			} else {
				is->deadline_ms = was->deadline_ms;
			}
		}
	}
	return r < 0 ? -ENOMEM : 0;
}

struct work {
	struct delta *delta;
	const struct ruleset *old;
	struct ruleset *new;
	const struct delta_options *options;
	struct set_change *changes; /* one a set of new */
	size_t known_sets;          /* sets of new before retired ones were entered */
};

static int add_new_objects(struct work *w)
{
	size_t at = 0;

	for (size_t i = 0; i < w->new->counters.count; i++)
		if (!ruleset_next_counter(w->old, w->new->counters.items[i], &at) &&
		    push(w->delta, (struct op){ .kind = OP_COUNTER_ADD, .name = w->new->counters.items[i] }) < 0)
			return -ENOMEM;
	at = 0;
	for (size_t i = 0; i < w->known_sets; i++) {
		const struct set *set = &w->new->sets.items[i];
		if (!ruleset_next_set(w->old, set->name, &at) &&
		    push(w->delta, (struct op){ .kind = OP_SET_ADD, .name = set->name, .set = set }) < 0)
			return -ENOMEM;
	}
	return 0;
}

static bool is_new_chain(const struct work *w, const struct chain *chain, bool base, size_t *at)
{
	return (chain->hook != HOOK_NONE) == base && !ruleset_next_chain(w->old, chain->name, at);
}

static int add_new_chains(struct work *w, bool base)
{
	for (size_t i = 0, at = 0; i < w->new->chains.count; i++) {
		const struct chain *chain = &w->new->chains.items[i];
		if (is_new_chain(w, chain, base, &at) &&
		    push(w->delta, (struct op){ .kind = OP_CHAIN_ADD, .name = chain->name, .chain = chain }) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int add_rules_of_new_chains(struct work *w, bool base)
{
	for (size_t i = 0, at = 0; i < w->new->chains.count; i++)
		if (is_new_chain(w, &w->new->chains.items[i], base, &at) &&
		    push_rules(w->delta, &w->new->chains.items[i]) < 0)
			return -ENOMEM;
	return 0;
}

static int fill_new_sets(struct work *w)
{
	for (size_t i = 0, at = 0; i < w->known_sets; i++)
		if (!ruleset_next_set(w->old, w->new->sets.items[i].name, &at) &&
		    push_all_elements(w->delta, OP_ELEMENTS_ADD, &w->new->sets.items[i]) < 0)
			return -ENOMEM;
	return 0;
}

static int flush_old_rules(struct work *w)
{
	for (size_t i = 0, at = 0; i < w->old->chains.count; i++) {
		const struct chain *old = &w->old->chains.items[i];
		const struct chain *new = ruleset_next_chain(w->new, old->name, &at);
		if (new &&chain_rules_equal(old, new))
			continue;
		if (push(w->delta, (struct op){ .kind = OP_RULES_FLUSH, .name = old->name }) < 0)
			return -ENOMEM;
		w->delta->rules += old->count;
	}
	return 0;
}

static int change_elements(struct work *w)
{
	for (size_t i = 0, at = 0; i < w->known_sets; i++) {
		struct set *new = &w->new->sets.items[i];
		const struct set *old = ruleset_next_set(w->old, new->name, &at);
		if (!old)
			continue;
		if (compare_set(&w->changes[i], old, new, w->options->renew_slack_ms) < 0)
			return -ENOMEM;
	}
	/* Whatever goes, goes first: a map's element may hold on to a chain, and an interval may take another's place.
	 */
	for (size_t i = 0; i < w->known_sets; i++) {
		struct pick gone = w->changes[i].gone;
		w->changes[i].gone = (struct pick){ 0 };
		if (push_elements(w->delta, OP_ELEMENTS_DELETE, &w->new->sets.items[i], &gone) < 0)
			return -ENOMEM;
	}
	for (size_t i = w->known_sets; i < w->new->sets.count; i++) {
		const struct set *old = ruleset_find_set(w->old, w->new->sets.items[i].name);
		if (old->flags & SET_VERDICTS && push_all_elements(w->delta, OP_ELEMENTS_DELETE, old) < 0)
			return -ENOMEM;
	}
	for (size_t i = 0; i < w->known_sets; i++) {
		struct pick come = w->changes[i].come, renewed = w->changes[i].renewed;
		w->changes[i].come = w->changes[i].renewed = (struct pick){ 0 };
		if (push_elements(w->delta, OP_ELEMENTS_ADD, &w->new->sets.items[i], &come) < 0) {
			free(renewed.items);
			return -ENOMEM;
		}
		if (push_elements(w->delta, OP_ELEMENTS_RENEW, &w->new->sets.items[i], &renewed) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Rules that stay have the handles that they had. */
static void keep_handles(const struct chain *old, struct chain *new)
{
	for (size_t i = 0; i < new->count; i++)
		new->items[i].handle = old->items[i].handle;
}

static int add_changed_rules(struct work *w)
{
	for (size_t i = 0, at = 0; i < w->new->chains.count; i++) {
		struct chain *new = &w->new->chains.items[i];
		const struct chain *old = ruleset_next_chain(w->old, new->name, &at);
		if (old && chain_rules_equal(old, new))
			keep_handles(old, new);
		else if (old && push_rules(w->delta, new) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int delete_old_chains(struct work *w)
{
	for (size_t i = 0, at = 0; i < w->old->chains.count; i++)
		if (!ruleset_next_chain(w->new, w->old->chains.items[i].name, &at) &&
		    push(w->delta, (struct op){ .kind = OP_CHAIN_DELETE, .name = w->old->chains.items[i].name }) < 0)
			return -ENOMEM;
	return 0;
}

/* What the kernel keeps although the new ruleset no longer has it. */
static int keep_old_objects(struct work *w)
{
	size_t at = 0;

	for (size_t i = 0; i < w->old->counters.count; i++)
		if (!ruleset_next_counter(w->new, w->old->counters.items[i], &at))
			ruleset_counter(w->new, ruleset_string(w->new, "%s", w->old->counters.items[i]));
	at = 0;
	for (size_t i = 0; i < w->old->sets.count; i++) {
		const struct set *old = &w->old->sets.items[i];
		if (ruleset_next_set(w->new, old->name, &at))
			continue;
		struct set *kept = ruleset_set(w->new, ruleset_string(w->new, "%s", old->name), old->type, old->flags);
		if (kept)
			kept->retired = true;
	}
	return w->new->failed ? -ENOMEM : 0;
}

static bool same_forms(const struct ruleset *old, const struct ruleset *new)
{
	size_t at = 0;

	for (size_t i = 0; i < new->sets.count; i++) {
		const struct set *set = ruleset_next_set(old, new->sets.items[i].name, &at);
		/* Of a retired set nobody knows what it holds: nothing of that may come back into use. */
		if (set && (set->retired || set->type != new->sets.items[i].type ||
			    set->flags != new->sets.items[i].flags || set->size != new->sets.items[i].size))
			return false;
	}
	at = 0;
	for (size_t i = 0; i < new->chains.count; i++) {
		const struct chain *is = &new->chains.items[i];
		const struct chain *was = ruleset_next_chain(old, is->name, &at);
		if (was && (was->hook != is->hook || was->priority != is->priority || was->nat != is->nat))
			return false;
	}
	return true;
}

static int build_anew(struct work *w, bool replace)
{
	if ((replace && push(w->delta, (struct op){ .kind = OP_TABLE_DELETE }) < 0) ||
	    push(w->delta, (struct op){ .kind = OP_TABLE_ADD }) < 0)
		return -ENOMEM;
	int r = add_new_objects(w);
	for (int base = 0; r == 0 && base < 2; base++)
		r = add_new_chains(w, base);
	if (r == 0)
		r = fill_new_sets(w);
	for (int base = 0; r == 0 && base < 2; base++)
		r = add_rules_of_new_chains(w, base);
	return r;
}

static int change_table(struct work *w)
{
	int r = keep_old_objects(w);
	if (r == 0 && w->options->claim)
		r = push(w->delta, (struct op){ .kind = OP_TABLE_CLAIM });
	if (r == 0)
		r = add_new_objects(w);
	if (r == 0)
		r = add_new_chains(w, false);
	if (r == 0)
		r = fill_new_sets(w);
	if (r == 0)
		r = add_rules_of_new_chains(w, false);
	w->delta->prepare = w->delta->count;
	if (r == 0)
		r = add_new_chains(w, true);
	if (r == 0)
		r = flush_old_rules(w);
	if (r == 0)
		r = change_elements(w);
	if (r == 0)
		r = add_changed_rules(w);
	if (r == 0)
		r = add_rules_of_new_chains(w, true);
	if (r == 0)
		r = delete_old_chains(w);
	return r;
}

static void free_changes(struct work *w)
{
	for (size_t i = 0; w->changes && i < w->known_sets; i++) {
		free(w->changes[i].gone.items);
		free(w->changes[i].come.items);
		free(w->changes[i].renewed.items);
	}
	free(w->changes);
}

int delta_compute(struct delta *ret, const struct ruleset *old, struct ruleset *new,
		  const struct delta_options *options)
{
	static const struct ruleset nothing;
	bool anew = !options->exists || options->replace;
	struct work w = { .delta = ret,
			  .old = anew ? &nothing : old,
			  .new = new,
			  .options = options,
			  .known_sets = new->sets.count };

	*ret = (struct delta){ 0 };
	if (!same_forms(w.old, new))
		return -EUCLEAN;
	w.changes = calloc(new->sets.count + 1, sizeof(*w.changes));
	if (!w.changes)
		return -ENOMEM;
	int r = anew ? build_anew(&w, options->exists && options->replace) : change_table(&w);
	free_changes(&w);
	if (r < 0)
		delta_free(ret);
	return r;
}

int delta_sets(struct delta *ret, const struct ruleset *old, struct ruleset *new, int64_t renew_slack_ms)
{
	struct delta_options options = { .exists = true, .renew_slack_ms = renew_slack_ms };
	struct work w = { .delta = ret, .old = old, .new = new, .options = &options, .known_sets = new->sets.count };

	*ret = (struct delta){ 0 };
	w.changes = calloc(new->sets.count + 1, sizeof(*w.changes));
	int r = w.changes ? change_elements(&w) : -ENOMEM;
	free_changes(&w);
	if (r < 0)
		delta_free(ret);
	return r;
}

void delta_take_sets(struct ruleset *old, struct ruleset *new)
{
	for (size_t i = 0, at = 0; i < new->sets.count; i++) {
		struct set *from = &new->sets.items[i], *to = ruleset_next_set(old, from->name, &at);
		struct element *items = to->items;
		to->items = from->items;
		from->items = items;
		size_t capacity = to->capacity;
		to->capacity = from->capacity;
		from->capacity = capacity;
		to->count = from->count;
	}
}

int delta_retire(struct delta *ret, const struct ruleset *current)
{
	*ret = (struct delta){ 0 };
	for (size_t i = 0; i < current->sets.count; i++) {
		if (current->sets.items[i].retired &&
		    push(ret, (struct op){ .kind = OP_SET_DELETE, .name = current->sets.items[i].name }) < 0) {
			delta_free(ret);
			return -ENOMEM;
		}
	}
	return 0;
}

void delta_retired(struct ruleset *current)
{
	size_t kept = 0;
	for (size_t i = 0; i < current->sets.count; i++) {
		if (current->sets.items[i].retired)
			free(current->sets.items[i].items);
		else
			current->sets.items[kept++] = current->sets.items[i];
	}
	current->sets.count = kept;
}

void delta_free(struct delta *delta)
{
	for (size_t i = 0; i < delta->count; i++)
		free(delta->items[i].elements);
	free(delta->items);
	*delta = (struct delta){ 0 };
}
