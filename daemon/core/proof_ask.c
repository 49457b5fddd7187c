/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "array.h"
#include "proof_parts.h"

#include <string.h>

/* The judge's questions, answered for a whole box. Where the answer is not one for all of it, the box is narrowed to a
 * part for which it is, and the other parts are put aside, to be judged from the beginning. */

struct asking {
	struct prover *prover;
	struct box box;
};

static const uint8_t asked_variables[ASKED_COUNT] = {
	[ASKED_PROTOCOL] = VARIABLE_PROTOCOL,
	[ASKED_SOURCE] = VARIABLE_SOURCE,
	[ASKED_TARGET] = VARIABLE_TARGET,
	[ASKED_SOURCE_PORT] = VARIABLE_SPORT,
	[ASKED_TARGET_PORT] = VARIABLE_DPORT,
	[ASKED_SYN] = VARIABLE_TCP_FLAGS,
	[ASKED_RST] = VARIABLE_TCP_FLAGS,
	[ASKED_ICMP_TYPE] = VARIABLE_ICMP_TYPE,
	[ASKED_HOP_LIMIT] = VARIABLE_HOP_LIMIT,
	[ASKED_SOURCE_ROUTE] = VARIABLE_OPTION,
	[ASKED_SEGMENTS_LEFT] = VARIABLE_ROUTING,
	[ASKED_STATE] = VARIABLE_STATE,
	[ASKED_DNAT] = VARIABLE_DNAT,
	[ASKED_REPLY] = VARIABLE_DIRECTION,
	[ASKED_ORIGINAL] = VARIABLE_ORIGINAL,
	[ASKED_ORIGINAL_PORT] = VARIABLE_ORIGINAL_DPORT,
	[ASKED_IN] = VARIABLE_IIF,
	[ASKED_OUT] = VARIABLE_OIF,
	[ASKED_PACKET_TYPE] = VARIABLE_PACKET_TYPE,
	[ASKED_FIB] = VARIABLE_FIB,
	[ASKED_CUT_IN] = VARIABLE_CUT,
	[ASKED_CUT_OUT] = VARIABLE_CUT,
	[ASKED_CUT_FULL] = VARIABLE_CUT_FULL,
};

static void put_aside(struct asking *a, enum variable variable, uint32_t values)
{
	struct box box = a->box;

	box.values[variable] = values;
	if (ARRAY_PUSH(&a->prover->pending, box) < 0)
		a->prover->no_memory = true;
}

static unsigned answer_yes_or_no(struct asking *a, enum variable variable, uint32_t values)
{
	uint32_t in, out;

	values_split(&a->prover->space.store, a->box.values[variable], values, &in, &out);
	if (!in)
		return 0;
	if (out)
		put_aside(a, variable, out);
	a->box.values[variable] = in;
	return 1;
}

static unsigned answer_which(struct asking *a, enum variable variable, uint32_t map)
{
	struct space *space = &a->prover->space;
	uint32_t all = a->box.values[variable], some[64], *outcomes = some, none;
	size_t count = space_look_up(space, map, all, some, 64);

	if (count > 64) {
		outcomes = malloc(count * sizeof(*outcomes));
		if (!outcomes) {
			a->prover->no_memory = true;
			return 0;
		}
		space_look_up(space, map, all, outcomes, count);
	}
	none = values_without(&space->store, all, space->maps.items[map].covered);
	for (size_t i = 1; i < count; i++)
		put_aside(a, variable, values_and(&space->store, all, space->outcomes.items[outcomes[i]].values));
	unsigned answer = 0;
	if (count) {
		if (none)
			put_aside(a, variable, none);
		answer = space->outcomes.items[outcomes[0]].index;
		a->box.values[variable] = values_and(&space->store, all, space->outcomes.items[outcomes[0]].values);
	}
	if (outcomes != some)
		free(outcomes);
	return answer;
}

static int byte_order(const void *a, const void *b)
{
	return *(const uint8_t *)a - *(const uint8_t *)b;
}

/* Of these variables each value is a class, by its number. */
static uint32_t byte_values(struct prover *p, const struct question *question)
{
	uint8_t bytes[16];
	struct run runs[16];
	size_t count = 0;

	if (question->count > sizeof(bytes)) {
		proof_fail(p, "a question with too many values");
		return VALUES_NONE;
	}
	memcpy(bytes, question->set, question->count);
	qsort(bytes, question->count, 1, byte_order);
	for (size_t i = 0; i < question->count; i++) {
		if (count && bytes[i] == runs[count - 1].last)
			continue;
		if (count && bytes[i] == runs[count - 1].last + 1)
			runs[count - 1].last++;
		else
			runs[count++] = (struct run){ bytes[i], bytes[i] };
	}
	return values_of(&p->space.store, runs, count);
}

static uint32_t bit_values(struct prover *p, uint32_t bits)
{
	static const uint32_t states[STATES] = { CT_INVALID, CT_ESTABLISHED, CT_RELATED, CT_NEW, CT_UNTRACKED };
	struct run runs[STATES];
	size_t count = 0;

	for (uint32_t state = 0; state < STATES; state++)
		if (bits & states[state])
			runs[count++] = (struct run){ state, state };
	for (size_t i = 1; i < count; i++) {
		if (runs[i - 1].last + 1 != runs[i].first)
			continue;
		runs[i - 1].last = runs[i].last;
		memmove(&runs[i], &runs[i + 1], (--count - i) * sizeof(*runs));
		i--;
	}
	return values_of(&p->space.store, runs, count);
}

static uint32_t flag_values(struct prover *p, enum asked asked)
{
	struct values_store *store = &p->space.store;
	static const struct run target_first[] = { { 1, 1 }, { 3, 3 } };

	switch (asked) {
	case ASKED_SYN: return p->questions.syn;
	case ASKED_RST: return p->questions.rst;
	case ASKED_SOURCE_ROUTE: return values_range(store, 1, 3);
	case ASKED_SEGMENTS_LEFT: return values_range(store, 2, 256);
	case ASKED_CUT_IN: return values_of(store, target_first, 2);
	case ASKED_CUT_OUT: return values_range(store, 2, 3);
	default: return values_range(store, 1, 1);
	}
}

static unsigned answer(void *context, const struct question *question)
{
	struct asking *a = context;
	struct prover *p = a->prover;
	enum asked asked = (enum asked)question->asked;
	enum variable variable = asked_variables[asked];

	p->steps++;
	if (proof_stopped(p))
		return 0;
	if (asked == ASKED_IPV6)
		return p->space.family == FAMILY_6;
	switch (question->kind) {
	case QUESTION_FLAG: return answer_yes_or_no(a, variable, flag_values(p, asked));
	case QUESTION_BITS: return answer_yes_or_no(a, variable, bit_values(p, question->bits));
	case QUESTION_BYTES: return answer_yes_or_no(a, variable, byte_values(p, question));
	default: break;
	}
	const struct asked_set *set = questions_find(&p->questions, question, variable_domain(variable));
	if (!set) {
		proof_fail(p, "a question that was not foreseen");
		return 0;
	}
	return set->many ? answer_which(a, variable, set->index) : answer_yes_or_no(a, variable, set->values);
}

void proof_ask(struct prover *p, const struct box *box, ask_judge *judge, ask_end *end, void *context)
{
	size_t base = p->pending.count;
	struct asking a = { .prover = p, .box = *box };
	const struct asker asker = { answer, &a };

	for (;;) {
		struct fate fate;
		judge(p, &asker, &fate, context);
		if (proof_stopped(p))
			break;
		end(p, &a.box, &fate, context);
		if (proof_stopped(p) || p->pending.count == base)
			break;
		a.box = p->pending.items[--p->pending.count];
	}
	p->pending.count = base;
}
