/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof.h"
#include "array.h"
#include "compile.h"
#include "proof_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The proof: for each family and stage all packets are one box, which the rules take apart; what becomes of each part
 * is compared with what the policy makes of it. */

/* Beyond these, nothing is proven. A thousand protected servers need a tenth. */
enum { STEPS_MAX = 1 << 30, ARRIVALS_MAX = 1 << 20, STRAYS_MAX = 1 << 16 };

void proof_fail(struct prover *p, const char *why)
{
	if (!p->failure)
		p->failure = why;
}

bool proof_stopped(const struct prover *p)
{
	return p->failure || p->no_memory || p->done || p->space.store.failed || p->steps > STEPS_MAX;
}

static void report(struct prover *p, const struct box *box, const struct ending *ending, const struct fate *fate)
{
	struct proof_result *result = p->result;

	p->done = true;
	result->state = PROOF_DIFFERS;
	result->has_packet = true;
	result->stage = p->stage;
	box_example(p, box, result);
	result->wanted = *fate;
	result->found = fate_of_ending(p, ending);
	result->chain = ending->chain == NOWHERE ? NULL : p->found.chains.items[ending->chain].chain->name;
	result->rule = ending->chain == NOWHERE ? 0 : ending->rule;
	snprintf(result->text, sizeof(result->text), "%s",
		 !actions_equal(ending, fate)                          ? "another verdict"
		 : !counts_equal(&ending->tally, fate, p->view.policy) ? "counted otherwise"
								       : "copied otherwise");
}

/* One box against the policy, to the end */

struct comparing {
	const struct ending *ending;
	const struct fate
		*before;         /* what stands around the flows has made of it; NULL: the policy begins at the stage */
	const struct pair *pair; /* where it is one */
};

static void ask_stage(struct prover *p, const struct asker *asker, struct fate *ret, void *context)
{
	const struct comparing *c = context;

	if (!c->before) {
		*ret = policy_fate(&p->view, p->stage, asker);
		return;
	}
	*ret = *c->before;
	fate_of_ours(&p->view, asker, ret);
}

static void compare_end(struct prover *p, const struct box *box, const struct fate *fate, void *context)
{
	const struct comparing *c = context;

	p->cells++;
	if (!outcomes_equal(p, c->ending, fate))
		report(p, box, c->ending, fate);
}

static void compare(struct prover *p, const struct box *box, const struct ending *ending, void *context)
{
	struct comparing c = { .ending = ending };

	(void)context;
	proof_ask(p, box, ask_stage, compare_end, &c);
}

/* Packets of many kinds come from the base chains to the same chain, and there only the flows matter. What has become
 * of them so far, on both sides, is a pair: what still becomes of them is looked at once for all packets of a pair, and
 * for no more than the least box around them. Where that box shows a difference, it counts where one of the packets has
 * it. */

struct pair {
	uint32_t chain; /* the rules go on here */
	struct tally tally;
	bool decided; /* the policy's side is at its end */
	struct fate fate;
	struct box hull;
	struct {
		struct arrival {
			struct box box;
			enum fate_stage stage;
			struct tally tally; /* so far */
			struct fate fate;
		} * items;
		size_t count, capacity;
	} arrivals;
};

struct pairs {
	struct pair *items;
	size_t count, capacity;
	size_t arrivals, strays;
};

struct arriving {
	struct pairs *pairs;
	uint32_t chain;
	const struct tally *tally;
	bool decided; /* of the last that was asked about */
};

static bool same_fate(const struct fate *a, const struct fate *b)
{
	return a->action == b->action && memcmp(a->counts, b->counts, sizeof(a->counts)) == 0 &&
	       a->at_a_rate == b->at_a_rate && a->copied == b->copied && a->pinned == b->pinned && a->flow == b->flow;
}

/* Where both sides have counted and copied the same so far, it is no matter what: they only add to it. */
static bool is_balanced(const struct prover *p, const struct arriving *a, const struct fate *fate)
{
	return !a->decided && fate->action == ACTION_ACCEPT && !fate->flow && !a->tally->flow &&
	       counts_equal(a->tally, fate, p->view.policy) && copies_equal(a->tally, fate);
}

static struct pair *find_pair(struct prover *p, const struct arriving *a, const struct fate *fate)
{
	struct pairs *pairs = a->pairs;
	struct pair pair = { .chain = a->chain, .decided = a->decided };

	if (is_balanced(p, a, fate)) {
		pair.fate.action = ACTION_ACCEPT;
	} else {
		pair.tally = *a->tally;
		pair.fate = *fate;
	}
	for (size_t i = 0; i < pairs->count; i++) {
		struct pair *known = &pairs->items[i];
		if (known->chain == pair.chain && known->decided == pair.decided &&
		    memcmp(&known->tally, &pair.tally, sizeof(pair.tally)) == 0 && same_fate(&known->fate, &pair.fate))
			return known;
	}
	if (ARRAY_PUSH(pairs, pair) < 0) {
		p->no_memory = true;
		return NULL;
	}
	return &pairs->items[pairs->count - 1];
}

static void ask_around(struct prover *p, const struct asker *asker, struct fate *ret, void *context)
{
	struct arriving *a = context;

	a->decided = fate_around(&p->view, p->stage, asker, ret);
}

static void arrive(struct prover *p, const struct box *box, const struct fate *fate, void *context)
{
	struct arriving *a = context;
	struct pair *pair = find_pair(p, a, fate);

	if (!pair)
		return;
	if (++a->pairs->arrivals > ARRIVALS_MAX) {
		proof_fail(p, "too many kinds of packets");
		return;
	}
	if (pair->arrivals.count)
		box_add(p, &pair->hull, box);
	else
		pair->hull = *box;
	if (ARRAY_PUSH(&pair->arrivals, (struct arrival){ *box, p->stage, *a->tally, *fate }) < 0)
		p->no_memory = true;
}

static bool defer(struct prover *p, const struct box *box, uint32_t chain, const struct tally *tally, void *context)
{
	struct arriving a = { .pairs = context, .chain = chain, .tally = tally };

	proof_ask(p, box, ask_around, arrive, &a);
	return true;
}

struct settling {
	struct pairs *pairs;
	const struct pair *pair;
	const struct ending *ending;
};

static void ask_pair(struct prover *p, const struct asker *asker, struct fate *ret, void *context)
{
	const struct settling *s = context;

	*ret = s->pair->fate;
	if (!s->pair->decided)
		fate_of_ours(&p->view, asker, ret);
}

/* What is counted of the packet is what was counted before it arrived, too. */
static void report_arrival(struct prover *p, const struct pair *pair, const struct arrival *arrival,
			   const struct box *box, const struct ending *ending, const struct fate *fate)
{
	struct ending whole = *ending;
	struct fate wanted = *fate;

	p->stage = arrival->stage;
	for (int c = 0; c < COUNTS; c++) {
		whole.tally.counts[c] += arrival->tally.counts[c] - pair->tally.counts[c];
		wanted.counts[c] += arrival->fate.counts[c] - pair->fate.counts[c];
	}
	whole.tally.logs |= arrival->tally.logs;
	wanted.copied |= arrival->fate.copied;
	report(p, box, &whole, &wanted);
}

static void settle_end(struct prover *p, const struct box *box, const struct fate *fate, void *context)
{
	const struct settling *s = context;
	struct box real;

	p->cells++;
	if (outcomes_equal(p, s->ending, fate))
		return;
	for (size_t i = 0; i < s->pair->arrivals.count; i++) {
		const struct arrival *arrival = &s->pair->arrivals.items[i];
		if (!box_and(p, &arrival->box, box, &real))
			continue;
		report_arrival(p, s->pair, arrival, &real, s->ending, fate);
		return;
	}
	p->steps += s->pair->arrivals.count;
	if (++s->pairs->strays > STRAYS_MAX)
		proof_fail(p, "too many packets that only seem to differ");
}

static void settle(struct prover *p, const struct box *box, const struct ending *ending, void *context)
{
	struct settling *s = context;

	s->ending = ending;
	proof_ask(p, box, ask_pair, settle_end, s);
}

static void settle_pairs(struct prover *p, struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->count && !proof_stopped(p); i++) {
		struct settling s = { .pairs = pairs, .pair = &pairs->items[i] };
		struct walk_calls calls = { .end = settle, .context = &s };
		proof_walk(p, &p->found, &s.pair->hull, s.pair->chain, &s.pair->tally, &calls);
	}
}

static void free_pairs(struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++)
		free(pairs->items[i].arrivals.items);
	free(pairs->items);
}

/* Stages */

static void no_interface(struct prover *p, struct box *box, enum variable variable, bool none)
{
	uint32_t class = domain_class(space_domain(&p->space, variable), (struct key){ 0, 0 });
	uint32_t values = values_range(&p->space.store, class, class);

	box->values[variable] = none ? values : values_without(&p->space.store, box->values[variable], values);
}

/* The first packet of a connection, which nobody has translated yet; it may be one that another connection expects. */
static void first_of_connection(struct prover *p, struct box *box)
{
	box_restrict(p, box, VARIABLE_STATE, STATE_RELATED, STATE_NEW);
	box_restrict(p, box, VARIABLE_DNAT, 0, 0);
	box_restrict(p, box, VARIABLE_DIRECTION, 0, 0);
}

/* Packets as the stage has them. An IPv4 header without room for options has none, and no packet has both kinds of
 * source routes. In IPv6 the first header is the protocol, or one of extensions. */
static size_t stage_boxes(struct prover *p, enum fate_stage stage, bool established, struct box ret[3])
{
	/* Fragments are whole again. */
	static const struct run others[] = { { 0, 0 }, { 51, 51 }, { 60, 60 } };
	bool ipv6 = p->space.family == FAMILY_6;
	struct box box = box_all(p);
	uint32_t first_byte = ipv6 ? 0x60 : 0x45;

	no_interface(p, &box, VARIABLE_IIF, stage == STAGE_OUTPUT);
	no_interface(p, &box, VARIABLE_OIF, stage != STAGE_OUTPUT && stage != STAGE_FORWARD);
	p->next_is_protocol = values_range(&p->space.store, NEXT_IS_PROTOCOL, NEXT_IS_PROTOCOL);
	box_restrict(p, &box, VARIABLE_FIRST_BYTE, first_byte, first_byte | 0xf);
	box_restrict(p, &box, VARIABLE_PROTOCOL, 0, 255);
	box_restrict(p, &box, VARIABLE_OPTION, 0, 2);
	if (stage == STAGE_EARLY) /* nothing is known of connections there */
		box_restrict(p, &box, VARIABLE_STATE, STATE_INVALID, STATE_INVALID);
	else if (stage == STAGE_PIN)
		first_of_connection(p, &box);
	else if (established)
		box_restrict(p, &box, VARIABLE_STATE, STATE_ESTABLISHED, STATE_ESTABLISHED);
	else
		box.values[VARIABLE_STATE] =
			values_without(&p->space.store, box.values[VARIABLE_STATE],
				       values_range(&p->space.store, STATE_ESTABLISHED, STATE_ESTABLISHED));
	ret[0] = ret[1] = ret[2] = box;
	if (!ipv6) {
		box_restrict(p, &ret[0], VARIABLE_FIRST_BYTE, 0x45, 0x45);
		box_restrict(p, &ret[0], VARIABLE_OPTION, 0, 0);
		box_restrict(p, &ret[1], VARIABLE_FIRST_BYTE, 0x46, 0x4f);
		return 2;
	}
	ret[0].values[VARIABLE_NEXT_HEADER] = p->next_is_protocol;
	box_restrict(p, &ret[0], VARIABLE_ROUTING, 0, 0);
	box_restrict(p, &ret[1], VARIABLE_NEXT_HEADER, 43, 43);
	box_restrict(p, &ret[1], VARIABLE_ROUTING, 1, 256);
	ret[2].values[VARIABLE_NEXT_HEADER] = values_of(&p->space.store, others, 3);
	return 3;
}

static const struct tally no_tally;

static void prove_stage(struct prover *p, enum fate_stage stage, struct pairs *pairs)
{
	uint32_t chain = stage_chain(p->found.ruleset, stage);
	struct walk_calls calls = { .end = compare, .tail = stage >= STAGE_FORWARD ? defer : NULL, .context = pairs };
	const struct ending accepted = { .action = ACTION_ACCEPT, .chain = NOWHERE };
	struct box boxes[3];
	size_t count = stage_boxes(p, stage, false, boxes);

	p->stage = stage;
	for (size_t i = 0; i < count && !proof_stopped(p); i++) {
		if (chain == NOWHERE)
			compare(p, &boxes[i], &accepted, NULL);
		else
			proof_walk(p, &p->found, &boxes[i], chain, &no_tally, &calls);
	}
}

/* Packets of established connections fare as in the ruleset that is wanted. */

struct both {
	const struct ending *found;
	uint32_t chain; /* of the wanted ruleset */
};

/* Beyond a limit both are compared as well, but not the one side within it with the other beyond it. */
static void compare_endings(struct prover *p, const struct box *box, const struct ending *wanted, void *context)
{
	const struct both *both = context;

	if (wanted->tally.limited != both->found->tally.limited)
		return;
	p->cells++;
	if (endings_equal(both->found, wanted))
		return;
	struct fate fate = fate_of_ending(p, wanted);
	report(p, box, both->found, &fate);
	p->result->is_established = true;
}

static void walk_wanted(struct prover *p, const struct box *box, const struct ending *ending, void *context)
{
	struct both both = { .found = ending, .chain = *(const uint32_t *)context };
	const struct walk_calls calls = { .end = compare_endings, .context = &both };

	proof_walk(p, &p->wanted, box, both.chain, &no_tally, &calls);
}

static void compare_established(struct prover *p, enum fate_stage stage)
{
	uint32_t found = stage_chain(p->found.ruleset, stage), wanted = stage_chain(p->wanted.ruleset, stage);
	const struct walk_calls calls = { .end = walk_wanted, .context = &wanted };
	struct box boxes[3];
	size_t count = stage_boxes(p, stage, true, boxes);

	p->stage = stage;
	for (size_t i = 0; i < count && found != NOWHERE && wanted != NOWHERE && !proof_stopped(p); i++)
		proof_walk(p, &p->found, &boxes[i], found, &no_tally, &calls);
}

/* One family */

static int prepare(struct prover *p, enum family family, const struct ruleset *found, const struct ruleset *wanted)
{
	int r = space_begin(&p->space, family);

	if (r == 0)
		r = questions_begin(&p->questions, &p->space, &p->view);
	if (r == 0)
		r = program_begin(&p->found, &p->space, found, p->view.policy);
	if (r == 0 && wanted != found)
		r = program_begin(&p->wanted, &p->space, wanted, p->view.policy);
	if (r == 0)
		r = space_close(&p->space);
	if (r == 0)
		r = program_finish(&p->found, &p->space);
	if (r == 0 && wanted != found)
		r = program_finish(&p->wanted, &p->space);
	if (r == 0)
		questions_finish(&p->questions, &p->space);
	return r;
}

/* What only seems to differ is no difference, and nothing is proven then. */
static void confirm(struct prover *p)
{
	if (proof_confirm(p))
		return;
	*p->result = (struct proof_result){ .state = PROOF_FAILED, .cells = p->result->cells };
	if (proof_stopped(p))
		return;
	proof_fail(p, "a packet seemed to fare otherwise, but does not by itself");
	p->failed_chain = NOWHERE;
}

static int prove_family(struct proof_result *result, const struct fate_view *view, enum family family,
			const struct ruleset *found, const struct ruleset *wanted)
{
	struct prover p = { .view = *view, .result = result };
	struct pairs pairs = { 0 };
	int r = prepare(&p, family, found, wanted);

	for (enum fate_stage stage = 0; r == 0 && stage < STAGES && !proof_stopped(&p); stage++)
		prove_stage(&p, stage, &pairs);
	if (r == 0 && !proof_stopped(&p))
		settle_pairs(&p, &pairs);
	for (enum fate_stage stage = STAGE_FORWARD; r == 0 && wanted != found && stage < STAGES && !proof_stopped(&p);
	     stage++)
		compare_established(&p, stage);
	if (p.done)
		confirm(&p);
	result->cells += p.cells;
	if (r == 0 && !p.done && proof_stopped(&p)) {
		result->state = PROOF_FAILED;
		snprintf(result->text, sizeof(result->text), "%s", p.failure ? p.failure : "too much for one proof");
		result->chain = p.failure && p.failed_chain < found->chains.count
					? found->chains.items[p.failed_chain].name
					: NULL;
		r = p.no_memory || (p.space.store.failed && !p.space.store.full) ? -ENOMEM : 0;
	}
	free_pairs(&pairs);
	free(p.pending.items);
	free(p.walkers.items);
	questions_free(&p.questions);
	program_free(&p.found);
	program_free(&p.wanted);
	space_free(&p.space);
	return r;
}

int proof_run(struct proof_result *ret, const struct policy *policy, const struct environment *environment,
	      const struct ruleset *found, const struct ruleset *wanted)
{
	struct ruleset compiled = { 0 };
	struct fate_view view;
	int r = 0;

	*ret = (struct proof_result){ .state = PROOF_EQUAL };
	fate_view_init(&view, policy, environment);
	if (!wanted) {
		r = compile(&compiled, policy, environment);
		wanted = &compiled;
	}
	if (r == 0 && structure_equal(found, wanted, ret))
		for (enum family family = 0; family < FAMILIES && r == 0 && ret->state == PROOF_EQUAL; family++)
			r = prove_family(ret, &view, family, found, wanted);
	if (r < 0) {
		ret->state = PROOF_FAILED;
		snprintf(ret->text, sizeof(ret->text), "out of memory");
	}
	ruleset_free(&compiled);
	return r;
}
