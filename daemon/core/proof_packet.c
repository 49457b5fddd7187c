/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof_packet.h"
#include "proof_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One packet by itself: a box with one value for each variable. */

static void put(struct prover *p, struct box *box, enum variable variable, struct key key)
{
	uint32_t class = domain_class(space_domain(&p->space, variable), key);

	box->values[variable] = values_range(&p->space.store, class, class);
}

static void put_addr(struct prover *p, struct box *box, enum variable variable, const struct addr *addr)
{
	put(p, box, variable, key_of(addr->bytes, addr_size((enum family)addr->family)));
}

static void put_interface(struct prover *p, struct box *box, enum variable variable, const char *name)
{
	uint8_t bytes[16] = { 0 };

	if (name)
		memcpy(bytes, name, strnlen(name, sizeof(bytes)));
	put(p, box, variable, key_of(bytes, sizeof(bytes)));
}

static uint64_t state_of(const struct fate_packet *packet)
{
	uint64_t state = 0;

	while (state + 1 < STATES && packet_states[state] != packet->state)
		state++;
	return state;
}

struct box packet_box(struct prover *p, const struct fate_packet *packet, const struct proof_headers *headers,
		      uint64_t next)
{
	const struct {
		enum variable variable;
		uint64_t value;
	} numbers[] = {
		{ VARIABLE_SPORT, packet->source_port },
		{ VARIABLE_DPORT, packet->target_port },
		{ VARIABLE_ORIGINAL_DPORT, packet->original_port },
		{ VARIABLE_PROTOCOL, packet->protocol },
		{ VARIABLE_ICMP_TYPE, packet->icmp_type },
		{ VARIABLE_TCP_FLAGS, headers->tcp_flags },
		{ VARIABLE_HOP_LIMIT, packet->hop_limit },
		{ VARIABLE_NEXT_HEADER, next },
		{ VARIABLE_FIRST_BYTE, headers->first_byte },
		{ VARIABLE_OPTION, headers->options },
		{ VARIABLE_ROUTING, headers->routing },
		{ VARIABLE_STATE, state_of(packet) },
		{ VARIABLE_DNAT, packet->dnat },
		{ VARIABLE_DIRECTION, packet->reply },
		{ VARIABLE_PACKET_TYPE, packet->packet_type },
		{ VARIABLE_FIB, packet->fib },
		{ VARIABLE_CUT, (packet->cut_in ? 1U : 0U) | (packet->cut_out ? 2U : 0U) },
		{ VARIABLE_CUT_FULL, packet->cut_full },
	};
	struct box box = { { 0 } };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		put(p, &box, numbers[i].variable, (struct key){ 0, numbers[i].value });
	put_addr(p, &box, VARIABLE_SOURCE, &packet->source);
	put_addr(p, &box, VARIABLE_TARGET, &packet->target);
	put_addr(p, &box, VARIABLE_ORIGINAL, &packet->original);
	put_interface(p, &box, VARIABLE_IIF, packet->in);
	put_interface(p, &box, VARIABLE_OIF, packet->out);
	return box;
}

struct tracing {
	struct endings endings;
	const struct ruleset *ruleset;
	struct packet_walk *walk; /* NULL, or what is found of the first end */
};

static void note_ending(struct prover *p, const struct box *box, const struct ending *ending, void *context)
{
	struct tracing *t = context;

	(void)box;
	if (t->endings.count == ENDINGS_MAX)
		proof_fail(p, "one packet has too many ends");
	else
		t->endings.items[t->endings.count++] = *ending;
}

static void note_chain(uint32_t chain, void *context)
{
	struct tracing *t = context;

	if (t->walk && !t->endings.count && t->walk->path_count < WALK_CHAINS)
		t->walk->path[t->walk->path_count++] = t->ruleset->chains.items[chain].name;
}

static void note_counter(uint32_t counter, void *context)
{
	struct tracing *t = context;

	if (t->walk && !t->endings.count)
		t->walk->counter = t->ruleset->counters.items[counter];
}

/* The first end is within the limits: what is beyond them is put aside until then. */
static void tell_end(const struct tracing *t)
{
	const struct ending *end = &t->endings.items[0];
	struct packet_walk *walk = t->walk;

	walk->action = (enum action)end->action;
	if (end->chain == NOWHERE)
		return;
	walk->chain = t->ruleset->chains.items[end->chain].name;
	walk->rule = end->rule;
}

struct endings packet_endings(struct prover *p, const struct program *program, const struct box *box,
			      struct packet_walk *trace)
{
	struct tracing t = { .ruleset = program->ruleset, .walk = trace };
	const struct walk_calls calls = {
		.end = note_ending, .enter = note_chain, .count = note_counter, .context = &t
	};
	static const struct tally no_tally;
	uint32_t chain = stage_chain(program->ruleset, p->stage);

	if (chain == NOWHERE)
		t.endings.items[t.endings.count++] = (struct ending){ .action = ACTION_ACCEPT, .chain = NOWHERE };
	else
		proof_walk(p, program, box, chain, &no_tally, &calls);
	if (trace && t.endings.count)
		tell_end(&t);
	return t.endings;
}

bool packet_differs(const struct prover *p, const struct endings *endings, const struct fate *fate)
{
	for (size_t i = 0; i < endings->count; i++)
		if (!outcomes_equal(p, &endings->items[i], fate))
			return true;
	return false;
}

/* For packets that somebody asks about */

struct packet_walks {
	const struct policy *policy;
	const struct ruleset *ruleset;
	bool is_known; /* which base chain is for which stage */
	struct prover provers[FAMILIES];
	bool ready[FAMILIES];
};

static bool is_of_a_stage(const struct ruleset *ruleset, size_t chain)
{
	for (enum fate_stage stage = 0; stage < STAGES; stage++)
		if (stage_chain(ruleset, stage) == chain)
			return true;
	return false;
}

static bool bases_are_known(const struct ruleset *ruleset)
{
	for (size_t i = 0; i < ruleset->chains.count; i++)
		if (ruleset->chains.items[i].hook != HOOK_NONE && !is_of_a_stage(ruleset, i))
			return false;
	return true;
}

int packet_walks_new(struct packet_walks **ret, const struct policy *policy, const struct ruleset *ruleset)
{
	struct packet_walks *walks = calloc(1, sizeof(*walks));

	*ret = walks;
	if (!walks)
		return -ENOMEM;
	*walks = (struct packet_walks){ .policy = policy, .ruleset = ruleset, .is_known = bases_are_known(ruleset) };
	return 0;
}

static void end(struct prover *p)
{
	free(p->walkers.items);
	program_free(&p->found);
	space_free(&p->space);
}

void packet_walks_free(struct packet_walks *walks)
{
	for (enum family family = 0; walks && family < FAMILIES; family++)
		end(&walks->provers[family]);
	free(walks);
}

static int prepare(struct packet_walks *walks, enum family family)
{
	struct prover *p = &walks->provers[family];

	end(p); /* where there was no memory before */
	*p = (struct prover){ .view = { .policy = walks->policy } };
	int r = space_begin(&p->space, family);
	if (r == 0)
		r = program_begin(&p->found, &p->space, walks->ruleset, walks->policy);
	if (r == 0)
		r = space_close(&p->space);
	if (r == 0)
		r = program_finish(&p->found, &p->space);
	if (r == 0)
		p->next_is_protocol = values_range(&p->space.store, NEXT_IS_PROTOCOL, NEXT_IS_PROTOCOL);
	walks->ready[family] = r == 0;
	return r;
}

static struct proof_headers plain_headers(const struct fate_packet *packet)
{
	bool tcp = packet->protocol == IPPROTO_TCP_;

	return (struct proof_headers){
		.first_byte = packet->source.family == FAMILY_6 ? 0x60 : 0x45,
		.tcp_flags = tcp ? (uint8_t)((packet->syn ? 0x02 : 0x10) | (packet->rst ? 0x04 : 0)) : 0,
	};
}

/* A store that lacked memory once has nothing to say any more. */
static int error_of(struct packet_walks *walks, struct prover *p)
{
	if (!p->no_memory && !p->space.store.failed)
		return proof_stopped(p) ? -EUCLEAN : 0;
	walks->ready[p->space.family] = false;
	return -ENOMEM;
}

int packet_walk(struct packet_walks *walks, enum fate_stage stage, const struct fate_packet *packet,
		const struct fate *fate, struct packet_walk *ret)
{
	enum family family = (enum family)packet->source.family;
	struct proof_headers headers = plain_headers(packet);
	struct prover *p = &walks->provers[family];
	int r = !walks->is_known ? -EUCLEAN : walks->ready[family] ? 0 : prepare(walks, family);

	*ret = (struct packet_walk){ .action = ACTION_NONE };
	if (r < 0)
		return r;
	p->stage = stage;
	p->failure = NULL;
	p->steps = 0;
	struct box box = packet_box(p, packet, &headers, NEXT_IS_PROTOCOL);
	struct endings endings = packet_endings(p, &p->found, &box, ret);
	ret->differs = packet_differs(p, &endings, fate);
	return error_of(walks, p);
}
