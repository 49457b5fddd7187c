/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "array.h"
#include "proof_parts.h"

#include <string.h>

/* The rules' way of a box. A test takes it apart: what passes goes on in the rule, what does not goes on with the next
 * rule. So each end is reached by a box of its own, and together they are all of the box that came. */

enum {
	DEPTH_MAX = 16 /* the kernel's */,
	RULES_MAX = 1 << 20 /* that one packet may come by */,
	WALKERS_MAX = 1 << 20,
	IDLE_DEPTH = 3, /* so far is looked ahead */
	IDLE_OUTCOMES = 64,
	PASSED_OVER = UINT8_MAX /* no action: the next rule follows */
};

struct walker {
	struct box box;
	struct tally tally;
	uint32_t chain, rule, step; /* step: of the rule */
	uint32_t rules;             /* how many it has come by */
	uint32_t depth;
	struct {
		uint32_t chain, rule;
	} back[DEPTH_MAX]; /* where a chain's end leads to */
};

struct walking {
	struct prover *p;
	const struct program *program;
	const struct walk_calls *calls;
	struct walker w;
};

static void put_aside(struct walking *k, const struct walker *w)
{
	if (k->p->walkers.count >= WALKERS_MAX)
		proof_fail(k->p, "too many ways through the rules");
	else if (ARRAY_PUSH(&k->p->walkers, *w) < 0)
		k->p->no_memory = true;
}

static void next_rule(struct walker *w)
{
	w->rule++;
	w->step = 0;
}

/* The part of the box that goes on with the next rule. */
static void put_missed(struct walking *k, enum variable variable, uint32_t values)
{
	struct walker w = k->w;

	w.box.values[variable] = values;
	next_rule(&w);
	put_aside(k, &w);
}

/* Where one variable of a packet is another one's: a first header without extensions, and the target of a connection
 * whose first packet nobody has translated yet. */
static enum variable variable_of(const struct walking *k, enum variable variable)
{
	bool first = k->p->stage == STAGE_PIN;

	switch (variable) {
	case VARIABLE_NEXT_HEADER:
		return k->w.box.values[VARIABLE_NEXT_HEADER] == k->p->next_is_protocol ? VARIABLE_PROTOCOL : variable;
	case VARIABLE_ORIGINAL: return first ? VARIABLE_TARGET : variable;
	case VARIABLE_ORIGINAL_DPORT: return first ? VARIABLE_DPORT : variable;
	default: return variable;
	}
}

/* Where some packets of the box have extensions and others do not, they go on one after the other. */
static void part_next_header(struct walking *k)
{
	uint32_t in, out;

	values_split(&k->p->space.store, k->w.box.values[VARIABLE_NEXT_HEADER], k->p->next_is_protocol, &in, &out);
	if (!in || !out)
		return;
	struct walker w = k->w;
	w.box.values[VARIABLE_NEXT_HEADER] = out;
	put_aside(k, &w);
	k->w.box.values[VARIABLE_NEXT_HEADER] = in;
}

/* Whether something of the box may pass each test by itself. What is quickly seen is looked at first. */
static bool may_pass(const struct walking *k, const struct test *tests, uint32_t count)
{
	struct values_store *store = &k->p->space.store;
	bool simple = true;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t values = k->w.box.values[variable_of(k, (enum variable)tests[i].variable)];
		if (!values_simple(store, values, tests[i].values))
			simple = false;
		else if (!values_meet(store, values, tests[i].values))
			return false;
	}
	for (uint32_t i = 0; !simple && i < count; i++) {
		uint32_t values = k->w.box.values[variable_of(k, (enum variable)tests[i].variable)];
		if (!values_meet(store, values, tests[i].values))
			return false;
	}
	return true;
}

/* False: no part of the box passes. */
static bool pass_tests(struct walking *k, uint32_t tests, uint32_t count)
{
	const struct test *items = &k->program->tests.items[tests];

	for (uint32_t i = 0; i < count; i++)
		if (items[i].variable == VARIABLE_NEXT_HEADER)
			part_next_header(k);
	if (!may_pass(k, items, count))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		enum variable variable = variable_of(k, (enum variable)items[i].variable);
		uint32_t in, out;
		values_split(&k->p->space.store, k->w.box.values[variable], items[i].values, &in, &out);
		if (!in) /* two tests of one variable */
			return false;
		if (out)
			put_missed(k, variable, out);
		k->w.box.values[variable] = in;
	}
	return true;
}

static bool ends(struct walking *k, enum action action, bool pinned, bool in_rule)
{
	struct ending ending = { .tally = k->w.tally,
				 .action = (uint8_t)action,
				 .pinned = pinned,
				 .chain = in_rule ? k->w.chain : NOWHERE,
				 .rule = k->w.rule };

	if (!proof_stopped(k->p)) /* the box may be empty for want of memory */
		k->calls->end(k->p, &k->w.box, &ending, k->calls->context);
	return false;
}

static bool go_back(struct walking *k)
{
	struct walker *w = &k->w;

	if (!w->depth)
		return ends(k, ACTION_ACCEPT, false, false);
	w->depth--;
	w->chain = w->back[w->depth].chain;
	w->rule = w->back[w->depth].rule;
	w->step = 0;
	return true;
}

static bool go_to(struct walking *k, uint32_t chain, bool back)
{
	struct walker *w = &k->w;

	if (chain == NOWHERE) {
		proof_fail(k->p, "a chain that is not there");
		return false;
	}
	if (back && w->depth == DEPTH_MAX) {
		proof_fail(k->p, "chains are too deep");
		return false;
	}
	if (back) {
		w->back[w->depth].chain = w->chain;
		w->back[w->depth].rule = w->rule + 1;
		w->depth++;
	} else if (!w->depth && k->calls->tail && k->calls->tail(k->p, &w->box, chain, &w->tally, k->calls->context)) {
		return false;
	}
	w->chain = chain;
	w->rule = w->step = 0;
	if (k->calls->enter)
		k->calls->enter(chain, k->calls->context);
	return true;
}

/* False: this walker has come to its end. */
static bool act(struct walking *k, uint8_t action, uint32_t chain)
{
	switch (action) {
	case ACTION_RETURN: return go_back(k);
	case ACTION_JUMP:
	case ACTION_GOTO: return go_to(k, chain, action == ACTION_JUMP);
	case ACTION_ACCEPT:
	case ACTION_DROP:
	case ACTION_RESET:
	case ACTION_PROHIBIT: return ends(k, (enum action)action, false, true);
	default: proof_fail(k->p, "a map's element without a verdict"); return false;
	}
}

/* Rules that do nothing to any part of a box need not take it apart, and outcomes of a map that come to the same in the
 * end are one: else what each of a thousand protected machines answers to each other one was a million kinds. */

static bool is_idle(struct walking *k, const struct program_rule *rule, int depth);

/* Whether what has this reach may do something to the box. */
static bool reaches(const struct walking *k, uint32_t reach)
{
	return values_meet(&k->p->space.store, k->w.box.values[VARIABLE_TARGET], reach);
}

static bool is_mixed(const struct walking *k, uint8_t variable)
{
	uint32_t next = k->p->next_is_protocol, values = k->w.box.values[VARIABLE_NEXT_HEADER];

	return variable == VARIABLE_NEXT_HEADER && values != next && values_meet(&k->p->space.store, values, next);
}

static bool may_begin(const struct walking *k, const struct program_rule *rule)
{
	const struct test *tests = &k->program->tests.items[rule->tests];

	for (uint32_t i = 0; i < rule->test_count; i++)
		if (is_mixed(k, tests[i].variable))
			return true;
	return !rule->never && may_pass(k, tests, rule->test_count);
}

/* The first rule that is not, or the number of rules. */
static uint32_t skip_idle(struct walking *k, uint32_t chain, int depth)
{
	const struct program_chain *c = &k->program->chains.items[chain];
	uint32_t r = 0;

	while (r < c->rule_count && is_idle(k, &k->program->rules.items[c->rules + r], depth))
		r++;
	return r;
}

static bool is_known(const struct walking *k, uint32_t chain)
{
	return chain != NOWHERE && !k->program->chains.items[chain].chain->altered;
}

static bool is_idle_jump(struct walking *k, uint8_t action, uint32_t chain, int depth)
{
	return action == ACTION_JUMP && depth && is_known(k, chain) &&
	       skip_idle(k, chain, depth - 1) == k->program->chains.items[chain].rule_count;
}

static bool is_idle(struct walking *k, const struct program_rule *rule, int depth)
{
	uint32_t outcomes[IDLE_OUTCOMES];

	k->p->steps++;
	if (!reaches(k, rule->reach) || !may_begin(k, rule) || rule->lead == rule->step_count)
		return true;
	const struct step *step = &k->program->steps.items[rule->steps + rule->lead];
	if (step->kind != STEP_MAP || is_mixed(k, step->variable))
		return false;
	uint32_t values = k->w.box.values[variable_of(k, (enum variable)step->variable)];
	size_t count = space_look_up(&k->p->space, step->index, values, outcomes, IDLE_OUTCOMES);
	if (count > IDLE_OUTCOMES)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct outcome *outcome = &k->p->space.outcomes.items[outcomes[i]];
		if (!is_idle_jump(k, outcome->action, outcome->index, depth))
			return false;
	}
	return true;
}

/* The chain that a goto comes to in the end. */
static uint32_t destination(struct walking *k, uint32_t chain)
{
	for (int i = 0; i < IDLE_DEPTH && is_known(k, chain); i++) {
		const struct program_chain *c = &k->program->chains.items[chain];
		uint32_t r = skip_idle(k, chain, IDLE_DEPTH);
		const struct program_rule *rule = &k->program->rules.items[c->rules + r];
		if (r == c->rule_count || rule->test_count || rule->step_count != 1)
			break;
		const struct step *step = &k->program->steps.items[rule->steps];
		if (step->kind != STEP_ACTION || step->action != ACTION_GOTO)
			break;
		chain = step->index;
	}
	return chain;
}

/* A way on from a map. */
struct way {
	uint32_t values, index;
	uint8_t action; /* or PASSED_OVER */
};

static int way_order(const void *a, const void *b)
{
	const struct way *x = a, *y = b;

	if (x->action != y->action)
		return x->action < y->action ? -1 : 1;
	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return x->values < y->values ? -1 : x->values > y->values;
}

/* Two and two: one after the other would make large sets over and over. */
static uint32_t unite(struct values_store *store, struct way *ways, size_t count)
{
	for (; count > 1; count = (count + 1) / 2)
		for (size_t i = 0; i < count; i += 2)
			ways[i / 2].values =
				i + 1 < count ? values_or(store, ways[i].values, ways[i + 1].values) : ways[i].values;
	return ways[0].values;
}

/* Where somebody wants to know each chain, nothing is taken together. Returns how many ways there are. */
static size_t merge_ways(struct walking *k, enum variable variable, struct way *ways, size_t count)
{
	size_t merged = 0;

	if (k->calls->enter || k->calls->tail || k->w.depth + IDLE_DEPTH >= DEPTH_MAX)
		return count;
	for (size_t i = 0; i < count && !proof_stopped(k->p); i++) {
		k->w.box.values[variable] = ways[i].values;
		if (is_idle_jump(k, ways[i].action, ways[i].index, IDLE_DEPTH))
			ways[i] = (struct way){ .values = ways[i].values, .action = PASSED_OVER };
		else if (ways[i].action == ACTION_GOTO)
			ways[i].index = destination(k, ways[i].index);
	}
	qsort(ways, count, sizeof(*ways), way_order);
	for (size_t i = 0; i < count;) {
		size_t from = i;
		while (i < count && ways[i].action == ways[from].action && ways[i].index == ways[from].index)
			i++;
		struct way way = ways[from];
		way.values = unite(&k->p->space.store, &ways[from], i - from);
		ways[merged++] = way;
	}
	return merged;
}

/* Also what the map has nothing of. NULL: no memory. The caller frees it. */
static struct way *find_ways(struct walking *k, const struct step *step, enum variable variable, size_t *ret_count)
{
	struct space *space = &k->p->space;
	uint32_t all = k->w.box.values[variable], some[64], *outcomes = some;
	size_t count = space_look_up(space, step->index, all, some, 64);
	struct way *ways = malloc((count + 1) * sizeof(*ways));

	if (count > 64 && (outcomes = malloc(count * sizeof(*outcomes))))
		space_look_up(space, step->index, all, outcomes, count);
	for (size_t i = 0; ways && outcomes && i < count; i++) {
		const struct outcome *outcome = &space->outcomes.items[outcomes[i]];
		ways[i] = (struct way){ values_and(&space->store, all, outcome->values), outcome->index,
					outcome->action };
	}
	uint32_t missed = values_without(&space->store, all, space->maps.items[step->index].covered);
	if (ways && missed)
		ways[count++] = (struct way){ .values = missed, .action = PASSED_OVER };
	if (!ways || !outcomes) {
		k->p->no_memory = true;
		free(ways);
		ways = NULL;
	}
	if (outcomes != some)
		free(outcomes);
	*ret_count = ways ? merge_ways(k, variable, ways, count) : 0;
	return ways;
}

static bool follow_map(struct walking *k, const struct step *step)
{
	bool goes_on = false;
	size_t count;

	if (step->variable == VARIABLE_NEXT_HEADER)
		part_next_header(k);
	enum variable variable = variable_of(k, (enum variable)step->variable);
	struct walker here = k->w;
	struct way *ways = find_ways(k, step, variable, &count);
	for (size_t i = 0; i < count && !proof_stopped(k->p); i++) {
		k->w = here;
		k->w.box.values[variable] = ways[i].values;
		goes_on = true;
		if (ways[i].action == PASSED_OVER)
			next_rule(&k->w);
		else
			goes_on = act(k, ways[i].action, ways[i].index);
		if (goes_on && i + 1 < count) {
			put_aside(k, &k->w);
			goes_on = false;
		}
	}
	free(ways);
	return goes_on;
}

static void count(struct walking *k, uint32_t index)
{
	struct tally *tally = &k->w.tally;

	if (index == NOWHERE) {
		proof_fail(k->p, "a counter that is not there");
		return;
	}
	if (k->calls->count)
		k->calls->count(index, k->calls->context);
	uint8_t counter = k->program->counters[index];
	uint32_t flow = k->program->counter_flows[index];
	if (counter == COUNTS || (counter == COUNT_FLOW && tally->flow && tally->flow != flow)) {
		tally->odd = 1;
		return;
	}
	if (counter == COUNT_FLOW)
		tally->flow = flow;
	tally->counts[counter]++;
}

/* A copy belongs to a counter: who is counted there is copied, as far as the limit allows. Of queries and answers only
 * those are counted that are not copied. */
static void note_log(struct walking *k, const char *prefix)
{
	static const struct {
		const char *prefix;
		enum fate_counter counter;
	} logs[] = {
		{ "spefw denied-in ", COUNT_DENIED_IN },       { "spefw denied-out ", COUNT_DENIED_OUT },
		{ "spefw denied-early ", COUNT_DENIED_EARLY }, { "spefw intercepted ", COUNT_INTERCEPTED },
		{ "spefw query ", COUNT_UNOBSERVED },          { "spefw answer ", COUNT_UNOBSERVED },
		{ "spefw denied-name ", COUNT_FLOW },
	};

	for (size_t i = 0; prefix && i < sizeof(logs) / sizeof(logs[0]); i++) {
		if (strcmp(logs[i].prefix, prefix) != 0)
			continue;
		if (logs[i].counter == COUNT_UNOBSERVED)
			k->w.tally.counts[COUNT_UNOBSERVED]++;
		else
			k->w.tally.logs |= (uint16_t)(1U << logs[i].counter);
	}
}

/* Beyond the limit the next rule follows. Where nothing but copies depends on it, both ways are one. */
static void limit(struct walking *k, const struct program_rule *rule)
{
	for (uint32_t s = k->w.step + 1; s < rule->step_count; s++) {
		if (k->program->steps.items[rule->steps + s].kind == STEP_LOG)
			continue;
		struct walker beyond = k->w;
		beyond.tally.limited = 1;
		next_rule(&beyond);
		put_aside(k, &beyond);
		return;
	}
}

/* False: this walker has come to its end. */
static bool take_step(struct walking *k, const struct program_rule *rule, const struct step *step)
{
	switch (step->kind) {
	case STEP_MAP: return follow_map(k, step);
	case STEP_ACTION: return act(k, step->action, step->index);
	case STEP_PIN: return ends(k, ACTION_ACCEPT, true, true);
	case STEP_NEVER: next_rule(&k->w); return true;
	case STEP_COUNTER: count(k, step->index); break;
	case STEP_LOG: note_log(k, step->text); break;
	case STEP_LIMIT: limit(k, rule); break;
	case STEP_TESTS: break;
	default: proof_fail(k->p, step->text ? step->text : "a term of an unknown kind"); return false;
	}
	k->w.step++;
	return true;
}

/* The tests ahead of all else are taken together. */
static bool begin_rule(struct walking *k, const struct program_rule *rule)
{
	if (++k->w.rules > RULES_MAX) {
		proof_fail(k->p, "a way without an end");
		return false;
	}
	if (rule->never || !pass_tests(k, rule->tests, rule->test_count)) {
		next_rule(&k->w);
		return true;
	}
	k->w.step = rule->lead;
	if (rule->lead == rule->step_count)
		return true;
	return take_step(k, rule, &k->program->steps.items[rule->steps + rule->lead]);
}

/* Past the rules that do nothing to the box. Where somebody wants to know each chain, they are not skipped. */
static void skip_rules(struct walking *k, const struct program_chain *chain)
{
	struct walker *w = &k->w;

	while (!k->calls->enter && w->step == 0 && w->rule < chain->rule_count) {
		uint32_t at = chain->rules + w->rule;
		if (at % BLOCK_RULES == 0 && w->rule + BLOCK_RULES <= chain->rule_count &&
		    !reaches(k, k->program->blocks[at / BLOCK_RULES]))
			w->rule += BLOCK_RULES;
		else if (!reaches(k, k->program->rules.items[at].reach))
			w->rule++;
		else
			break;
	}
}

static bool go_on(struct walking *k)
{
	struct walker *w = &k->w;
	const struct program_chain *chain = &k->program->chains.items[w->chain];

	k->p->failed_chain = w->chain;
	k->p->steps++;
	if (chain->chain->altered) {
		proof_fail(k->p, "a chain with rules of another program's making");
		return false;
	}
	skip_rules(k, chain);
	if (w->rule >= chain->rule_count)
		return go_back(k);
	const struct program_rule *rule = &k->program->rules.items[chain->rules + w->rule];
	if (w->step == 0 && rule->step_count)
		return begin_rule(k, rule);
	if (w->step >= rule->step_count) {
		next_rule(w);
		return true;
	}
	const struct step *step = &k->program->steps.items[rule->steps + w->step];
	if (!pass_tests(k, step->tests, step->test_count)) {
		next_rule(w);
		return true;
	}
	return take_step(k, rule, step);
}

static void walk_to_end(struct walking *k)
{
	while (!proof_stopped(k->p) && go_on(k))
		;
}

void proof_walk(struct prover *p, const struct program *program, const struct box *box, uint32_t chain,
		const struct tally *tally, const struct walk_calls *calls)
{
	size_t base = p->walkers.count;
	struct walking k = {
		.p = p, .program = program, .calls = calls, .w = { .box = *box, .tally = *tally, .chain = chain }
	};

	if (calls->enter)
		calls->enter(chain, calls->context);
	for (;;) {
		walk_to_end(&k);
		if (proof_stopped(p) || p->walkers.count == base)
			break;
		k.w = p->walkers.items[--p->walkers.count];
	}
	p->walkers.count = base;
}
