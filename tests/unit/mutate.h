/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_MUTATE_H
#define SPEFW_TEST_MUTATE_H

/* Every single change of a ruleset: of a term, an operand, a verdict, the order of rules and terms, a jump, an element,
 * a set's form, a hook, a type, a priority. Link with mutate.c. */

#include "core/ruleset.h"

struct mutant {
	size_t number; /* of all mutants of the ruleset, in their order */
	const char *kind;
	const struct chain *chain; /* the changed one; NULL: a set or a counter was changed */
	size_t rule;
	const struct set *set;
	/* Values at which the change may show, as keys; the type says of what. */
	struct {
		enum key_type type;
		uint8_t bytes[KEY_SIZE_MAX];
	} edges[4];
	size_t edge_count;
};

struct mutate_calls {
	bool (*wanted)(void *context, size_t number); /* NULL: all */
	/* The ruleset is the mutant while this runs. */
	void (*try)(void *context, const struct mutant *mutant);
	void *context;
};

/* Afterwards the ruleset is as it was. Returns how many mutants there are. */
size_t mutate(struct ruleset *ruleset, const struct mutate_calls *calls);

#endif
