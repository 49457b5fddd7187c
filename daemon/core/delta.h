/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DELTA_H
#define SPEFW_DELTA_H

/* What has to be sent so that the kernel, which holds `old`, comes to hold `new`: the difference, in an order that
 * one batch can carry. */

#include "ruleset.h"

enum op_kind {
	OP_TABLE_DELETE,
	OP_TABLE_ADD,
	OP_TABLE_CLAIM,     /* an orphaned table gets its owner again */
	OP_COUNTER_ADD,     /* name */
	OP_SET_ADD,         /* set, without its elements */
	OP_SET_DELETE,      /* name */
	OP_CHAIN_ADD,       /* chain, without its rules */
	OP_CHAIN_DELETE,    /* name */
	OP_RULES_FLUSH,     /* name: all rules of the chain */
	OP_RULE_ADD,        /* name: the chain; rule */
	OP_ELEMENTS_ADD,    /* set; elements */
	OP_ELEMENTS_DELETE, /* set; elements (their keys count) */
	OP_ELEMENTS_RENEW,  /* set; elements: another timeout for elements that are there */
};

struct op {
	enum op_kind kind;
	const char *name;
	const struct set *set;
	const struct chain *chain;
	const struct rule *rule;
	const struct element **elements; /* owned by the op; they point into one of the two rulesets */
	size_t element_count;
};

/* Names, sets, chains, rules and elements live in the rulesets that were compared. */
struct delta {
	struct op *items;
	size_t count, capacity;
	/* The first so many are to be committed as a batch of their own, ahead of the rest: they bring what no packet
	 * meets yet. A packet that is under way in the old rules while the rest is committed may be sent on by a new
	 * element of a map, and must then find the rules of the new chain in place. */
	size_t prepare;
	size_t rules, elements; /* how many change, for reports */
};

struct delta_options {
	bool exists;            /* there is a table in the kernel; old describes it */
	bool replace;           /* it is not to be adopted: delete it and build anew, in one batch */
	bool claim;             /* it has lost its owner: the first batch makes us that */
	int64_t renew_slack_ms; /* an element's deadline is moved where it would move by more than this */
};

/* 0, -ENOMEM, or -EUCLEAN where old holds something of ours in another form: then it can only be replaced.
 * An empty delta: nothing to send. What the kernel keeps for now is entered into `new`: counters that no flow has any
 * more, sets to be retired (rules of the outgoing generation may still look into them), deadlines not worth moving, and
 * the handles of rules that stay. */
int delta_compute(struct delta *ret, const struct ruleset *old, struct ruleset *new,
		  const struct delta_options *options);

/* The difference of the sets of `new` alone, all of which old has; delta_take_sets() puts them into old once it is
 * committed. */
int delta_sets(struct delta *ret, const struct ruleset *old, struct ruleset *new, int64_t renew_slack_ms);
void delta_take_sets(struct ruleset *old, struct ruleset *new);

/* The retired sets of `current`, to be deleted by a later batch; once it is committed, delta_retired() takes them out.
 * Due before the next delta_compute() from `current`, which gives -EUCLEAN where a retired set is wanted again. */
int delta_retire(struct delta *ret, const struct ruleset *current);
void delta_retired(struct ruleset *current);

/* What these changes make of `old`, as the kernel would: so it is known before they are sent. *ret borrows what it can
 * of `old` and of what the ops point to, which have to outlive it: delta_applied_free() must follow a 0, and nothing
 * else may free it. 0; -ENOMEM; or what the kernel would answer: -ENOENT, -EEXIST, -EBUSY. */
int delta_apply(struct ruleset *ret, const struct ruleset *old, const struct op *ops, size_t count);
void delta_applied_free(struct ruleset *applied);

void delta_free(struct delta *delta);

#endif
