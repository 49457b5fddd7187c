/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_nft_parts.h"
#include "clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Copies of rulesets */

static const char *copy_name(struct ruleset *out, const char *name)
{
	return name ? ruleset_string(out, "%s", name) : NULL;
}

static struct element copy_element(struct ruleset *out, const struct element *element)
{
	struct element copy = *element;

	copy.chain = copy_name(out, element->chain);
	return copy;
}

/* Without what has run out. */
static void copy_set(struct ruleset *out, const struct set *set, int64_t now_ms)
{
	struct set *copy = ruleset_set(out, copy_name(out, set->name), set->type, set->flags);

	copy->size = set->size;
	for (size_t i = 0; i < set->count; i++) {
		struct element element = copy_element(out, &set->items[i]);
		if (!(set->flags & SET_TIMEOUT) || element.deadline_ms > now_ms)
			set_add(out, copy, &element);
	}
}

static void copy_rule(struct ruleset *out, struct chain *chain, const struct rule *rule)
{
	struct rule *copy = chain_rule(out, chain);

	copy->handle = rule->handle;
	for (size_t i = 0; i < rule->count; i++) {
		struct term term = rule->items[i];
		term.name = copy_name(out, term.name);
		rule_add(out, copy, &term);
	}
}

static void copy_chain(struct ruleset *out, const struct chain *chain)
{
	struct chain *copy = ruleset_chain(out, copy_name(out, chain->name));

	copy->hook = chain->hook;
	copy->priority = chain->priority;
	copy->nat = chain->nat;
	copy->altered = chain->altered;
	for (size_t i = 0; i < chain->count; i++)
		copy_rule(out, copy, &chain->items[i]);
}

void fake_nft_copy(struct ruleset *out, const struct ruleset *from)
{
	*out = (struct ruleset){ 0 };
	for (size_t i = 0; i < from->counters.count; i++)
		ruleset_counter(out, copy_name(out, from->counters.items[i]));
	for (size_t i = 0; i < from->sets.count; i++)
		copy_set(out, &from->sets.items[i], now_ms());
	for (size_t i = 0; i < from->chains.count; i++)
		copy_chain(out, &from->chains.items[i]);
	fake_nft_must(ruleset_finish(out) == 0);
}

/* Transactions: a draft of the table becomes the table where nothing was refused. */

struct draft {
	bool exists, replaced; /* another table than the one that was there */
	uint32_t flags, owner;
	int layout;
	struct ruleset table;
};

static bool refers(const struct term *term, enum term_kind kind, const char *name)
{
	return term->kind == kind && term->name && strcmp(term->name, name) == 0;
}

static bool is_used(const struct ruleset *table, const char *name, bool chain)
{
	for (size_t c = 0; c < table->chains.count; c++)
		for (size_t r = 0; r < table->chains.items[c].count; r++)
			for (size_t t = 0; t < table->chains.items[c].items[r].count; t++) {
				const struct term *term = &table->chains.items[c].items[r].items[t];
				if (chain ? refers(term, TERM_ACTION, name)
					  : refers(term, TERM_IN, name) || refers(term, TERM_MAP, name))
					return true;
			}
	for (size_t s = 0; chain && s < table->sets.count; s++)
		for (size_t e = 0; e < table->sets.items[s].count; e++)
			if (table->sets.items[s].items[e].chain &&
			    strcmp(table->sets.items[s].items[e].chain, name) == 0)
				return true;
	return false;
}

static int change_table(struct draft *draft, enum op_kind kind)
{
	if (kind == OP_TABLE_DELETE || kind == OP_TABLE_CLAIM)
		if (!draft->exists)
			return -ENOENT;
	if (kind == OP_TABLE_DELETE) {
		ruleset_free(&draft->table);
		*draft = (struct draft){ .replaced = true };
		return 0;
	}
	if (!draft->exists)
		draft->layout = TABLE_LAYOUT;
	draft->exists = true;
	if (fake_nft.abilities.owner) {
		draft->flags = TABLE_OWNED;
		draft->owner = FAKE_NFT_PORT;
	}
	return 0;
}

static int change_set(struct draft *draft, const struct op *op)
{
	struct set *set = ruleset_find_set(&draft->table, op->name);

	if (op->kind == OP_SET_DELETE) {
		if (!set || is_used(&draft->table, op->name, false))
			return set ? -EBUSY : -ENOENT;
		free(set->items);
		*set = draft->table.sets.items[--draft->table.sets.count];
		return 0;
	}
	if (set)
		return set->type == op->set->type && set->flags == op->set->flags ? 0 : -EEXIST;
	struct set empty = *op->set;
	empty.count = 0;
	copy_set(&draft->table, &empty, 0);
	return 0;
}

static void free_rules(struct chain *chain)
{
	for (size_t i = 0; i < chain->count; i++)
		free(chain->items[i].items);
	chain->count = 0;
	chain->altered = false;
}

static int change_chain(struct draft *draft, const struct op *op)
{
	struct chain *chain = ruleset_find_chain(&draft->table, op->name);

	if (op->kind == OP_CHAIN_ADD) {
		struct chain empty = *op->chain;
		empty.count = 0;
		if (!chain)
			copy_chain(&draft->table, &empty);
		return 0;
	}
	if (!chain)
		return -ENOENT;
	if (op->kind == OP_RULES_FLUSH) {
		free_rules(chain);
		return 0;
	}
	if (is_used(&draft->table, op->name, true))
		return -EBUSY;
	free_rules(chain);
	free(chain->items);
	*chain = draft->table.chains.items[--draft->table.chains.count];
	return 0;
}

static int add_rule(struct draft *draft, const struct op *op)
{
	struct chain *chain = ruleset_find_chain(&draft->table, op->name);

	if (!chain)
		return -ENOENT;
	for (size_t i = 0; i < op->rule->count; i++) {
		const struct term *term = &op->rule->items[i];
		bool set = term->kind == TERM_IN || term->kind == TERM_MAP,
		     jump = term->kind == TERM_ACTION && term->name;
		if ((set && !ruleset_find_set(&draft->table, term->name)) ||
		    (jump && !ruleset_find_chain(&draft->table, term->name)) ||
		    (term->kind == TERM_COUNTER && !ruleset_has_counter(&draft->table, term->name)))
			return -ENOENT;
	}
	copy_rule(&draft->table, chain, op->rule);
	chain->items[chain->count - 1].handle = ++fake_nft.handle;
	return 0;
}

static struct element *find_element(const struct set *set, const struct element *element)
{
	for (size_t i = 0; i < set->count; i++)
		if (element_compare(&set->items[i], element, KEY_SIZE_MAX) == 0)
			return &set->items[i];
	return NULL;
}

static int change_elements(struct draft *draft, const struct op *op)
{
	struct set *set = ruleset_find_set(&draft->table, op->set->name);

	if (!set)
		return -ENOENT;
	for (size_t i = 0; i < op->element_count; i++) {
		struct element *found = find_element(set, op->elements[i]);
		if (op->kind == OP_ELEMENTS_DELETE) {
			if (!found)
				return -ENOENT;
			*found = set->items[--set->count];
		} else if (found) {
			if (op->kind == OP_ELEMENTS_RENEW)
				found->deadline_ms = op->elements[i]->deadline_ms;
			else if (found->action != op->elements[i]->action)
				return -EEXIST;
		} else {
			struct element element = copy_element(&draft->table, op->elements[i]);
			set_add(&draft->table, set, &element);
		}
	}
	return ruleset_finish(&draft->table);
}

static int take_op(struct draft *draft, const struct op *op)
{
	if (!draft->exists && op->kind > OP_TABLE_CLAIM)
		return -ENOENT;
	switch (op->kind) {
	case OP_TABLE_DELETE:
	case OP_TABLE_ADD:
	case OP_TABLE_CLAIM: return change_table(draft, op->kind);
	case OP_COUNTER_ADD:
		if (!ruleset_has_counter(&draft->table, op->name))
			ruleset_counter(&draft->table, copy_name(&draft->table, op->name));
		return 0;
	case OP_SET_ADD:
	case OP_SET_DELETE: return change_set(draft, op);
	case OP_CHAIN_ADD:
	case OP_CHAIN_DELETE:
	case OP_RULES_FLUSH: return change_chain(draft, op);
	case OP_RULE_ADD: return add_rule(draft, op);
	case OP_ELEMENTS_ADD:
	case OP_ELEMENTS_DELETE:
	case OP_ELEMENTS_RENEW: return change_elements(draft, op);
	}
	return -EINVAL;
}

int fake_nft_take(const struct op *ops, size_t count)
{
	struct draft draft = {
		.exists = fake_nft.exists, .flags = fake_nft.flags, .owner = fake_nft.owner, .layout = fake_nft.layout
	};
	int r = 0;

	fake_nft_copy(&draft.table, &fake_nft.table);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = take_op(&draft, &ops[i]);
	fake_nft_must(!draft.table.failed);
	if (r < 0) {
		ruleset_free(&draft.table);
		return r;
	}
	if (draft.replaced)
		fake_nft_flush();
	ruleset_free(&fake_nft.table);
	fake_nft.table = draft.table;
	fake_nft.exists = draft.exists;
	fake_nft.flags = draft.flags;
	fake_nft.owner = draft.owner;
	fake_nft.layout = draft.layout;
	fake_nft.batches++;
	return 0;
}
