/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof_program.h"

#include <errno.h>
#include <stdlib.h>

/* What rules reach: long chains are gone through without a look at each rule. A rule that is taken to reach more than
 * it does costs time, no more. */

struct reaching {
	struct program *program;
	struct space *space;
	uint32_t all;
	struct {
		bool known, under_way;
		uint32_t reach;
	} * chains;
};

static uint32_t reach_of_chain(struct reaching *r, uint32_t chain, int depth);

/* Where a map leads to nothing but chains that return: what these reach. */
static uint32_t reach_of_map(struct reaching *r, const struct map *map, int depth)
{
	uint32_t reach = VALUES_NONE;

	for (uint32_t i = 0; i < map->outcome_count && reach != r->all; i++) {
		const struct outcome *outcome = &r->space->outcomes.items[map->outcomes + i];
		uint32_t more = outcome->action == ACTION_JUMP ? reach_of_chain(r, outcome->index, depth) : r->all;
		reach = more == r->all ? r->all : values_or(&r->space->store, reach, more);
	}
	return reach;
}

static uint32_t reach_of_rule(struct reaching *r, const struct program_rule *rule, int depth)
{
	uint32_t reach = r->all;

	if (rule->never || rule->lead == rule->step_count)
		return VALUES_NONE;
	for (uint32_t i = 0; i < rule->test_count; i++) {
		const struct test *test = &r->program->tests.items[rule->tests + i];
		if (test->variable == VARIABLE_TARGET)
			reach = values_and(&r->space->store, reach, test->values);
	}
	const struct step *step = &r->program->steps.items[rule->steps + rule->lead];
	if (step->kind != STEP_MAP)
		return reach;
	return values_and(&r->space->store, reach, reach_of_map(r, &r->space->maps.items[step->index], depth));
}

static uint32_t reach_of_chain(struct reaching *r, uint32_t chain, int depth)
{
	enum { DEPTH_MAX = 8 };

	if (chain == NOWHERE || depth > DEPTH_MAX)
		return r->all;
	const struct program_chain *c = &r->program->chains.items[chain];
	if (c->chain->altered || r->chains[chain].under_way)
		return r->all;
	if (r->chains[chain].known)
		return r->chains[chain].reach;
	r->chains[chain].under_way = true;
	uint32_t reach = VALUES_NONE;
	for (uint32_t i = 0; i < c->rule_count; i++) {
		struct program_rule *rule = &r->program->rules.items[c->rules + i];
		rule->reach = reach_of_rule(r, rule, depth + 1);
		if (reach != r->all)
			reach = rule->reach == r->all ? r->all : values_or(&r->space->store, reach, rule->reach);
	}
	r->chains[chain].under_way = false;
	r->chains[chain].known = true;
	return r->chains[chain].reach = reach;
}

int program_find_reach(struct program *program, struct space *space)
{
	struct reaching r = { .program = program,
			      .space = space,
			      .all = space_domain(space, VARIABLE_TARGET)->all,
			      .chains = calloc(program->chains.count + 1, sizeof(*r.chains)) };

	program->blocks = calloc(program->rules.count / BLOCK_RULES + 1, sizeof(*program->blocks));
	if (!r.chains || !program->blocks) {
		free(r.chains);
		return -ENOMEM;
	}
	for (size_t i = 0; i < program->rules.count; i++)
		program->rules.items[i].reach = r.all;
	for (size_t i = 0; i < program->chains.count; i++)
		reach_of_chain(&r, (uint32_t)i, 0);
	for (size_t i = 0; i < program->rules.count; i++) {
		uint32_t *block = &program->blocks[i / BLOCK_RULES];
		if (*block != r.all)
			*block = values_or(&space->store, *block, program->rules.items[i].reach);
	}
	free(r.chains);
	return space->store.failed ? -ENOMEM : 0;
}
