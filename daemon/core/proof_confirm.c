/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof_parts.h"

#include <string.h>

/* A difference is found by boxes, hulls and pairs. Before it is told, its packet alone goes the whole way: a proof that
 * errs there must not have a good table replaced. */

enum { ENDINGS_MAX = 16 };

/* Within limits and beyond them. */
struct endings {
	struct ending items[ENDINGS_MAX];
	size_t count;
};

static void note_ending(struct prover *p, const struct box *box, const struct ending *ending, void *context)
{
	struct endings *endings = context;

	(void)box;
	if (endings->count == ENDINGS_MAX)
		proof_fail(p, "one packet has too many ends");
	else
		endings->items[endings->count++] = *ending;
}

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

/* The packet as a box that holds nothing else, but for what is the same to all rules. */
static struct box box_of_packet(struct prover *p)
{
	const struct fate_packet *packet = &p->result->packet;
	const struct proof_headers *headers = &p->result->headers;
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
		{ VARIABLE_NEXT_HEADER, p->shown_next },
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
	struct box box = box_all(p);

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		put(p, &box, numbers[i].variable, (struct key){ 0, numbers[i].value });
	put_addr(p, &box, VARIABLE_SOURCE, &packet->source);
	put_addr(p, &box, VARIABLE_TARGET, &packet->target);
	put_addr(p, &box, VARIABLE_ORIGINAL, &packet->original);
	put_interface(p, &box, VARIABLE_IIF, p->result->in);
	put_interface(p, &box, VARIABLE_OIF, p->result->out);
	return box;
}

static struct endings run(struct prover *p, const struct program *program, const struct box *box, uint32_t chain)
{
	struct endings endings = { 0 };
	const struct walk_calls calls = { .end = note_ending, .context = &endings };
	static const struct tally no_tally;

	if (chain == NOWHERE)
		endings.items[endings.count++] = (struct ending){ .action = ACTION_ACCEPT, .chain = NOWHERE };
	else
		proof_walk(p, program, box, chain, &no_tally, &calls);
	return endings;
}

static bool differs_from_policy(struct prover *p, const struct endings *found)
{
	struct asker asker = fate_packet_asker(&p->result->packet);
	struct fate fate = policy_fate(&p->view, p->result->stage, &asker);

	for (size_t i = 0; i < found->count; i++)
		if (!outcomes_equal(p, &found->items[i], &fate))
			return true;
	return false;
}

/* Within the limits, or beyond them, on both sides. */
static bool differs_from_wanted(const struct endings *found, const struct endings *wanted)
{
	for (size_t i = 0; i < found->count; i++)
		for (size_t j = 0; j < wanted->count; j++)
			if (found->items[i].tally.limited == wanted->items[j].tally.limited &&
			    !endings_equal(&found->items[i], &wanted->items[j]))
				return true;
	return false;
}

bool proof_confirm(struct prover *p, uint32_t found, uint32_t wanted)
{
	struct box box = box_of_packet(p);
	bool differs;

	p->stage = p->result->stage;
	p->done = false; /* or no rule would be looked at */
	struct endings endings = run(p, &p->found, &box, found);
	if (p->result->is_established) {
		struct endings others = run(p, &p->wanted, &box, wanted);
		differs = differs_from_wanted(&endings, &others);
	} else {
		differs = differs_from_policy(p, &endings);
	}
	p->done = differs && !proof_stopped(p);
	return p->done;
}
