/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "array.h"
#include "proof_parts.h"

#include <stdio.h>
#include <string.h>

/* Boxes, and a packet of one as an example. */

bool box_and(struct prover *p, const struct box *a, const struct box *b, struct box *ret)
{
	for (enum variable v = 0; v < VARIABLES; v++) {
		ret->values[v] = values_and(&p->space.store, a->values[v], b->values[v]);
		if (!ret->values[v])
			return false;
	}
	return true;
}

void box_add(struct prover *p, struct box *box, const struct box *more)
{
	for (enum variable v = 0; v < VARIABLES; v++)
		box->values[v] = values_or(&p->space.store, box->values[v], more->values[v]);
}

void box_restrict(struct prover *p, struct box *box, enum variable variable, uint64_t first, uint64_t last)
{
	uint32_t values = values_range(&p->space.store, (uint32_t)first, (uint32_t)last);

	box->values[variable] = values_and(&p->space.store, box->values[variable], values);
}

struct box box_all(struct prover *p)
{
	struct box box;

	for (enum variable v = 0; v < VARIABLES; v++)
		box.values[v] = space_domain(&p->space, v)->all;
	return box;
}

/* The first of these values that the box has; else an example of its own. */
static struct key choose(struct prover *p, const struct box *box, enum variable variable, const struct key *liked,
			 size_t count)
{
	const struct domain *domain = space_domain(&p->space, variable);

	for (size_t i = 0; i < count; i++)
		if (values_have(&p->space.store, box->values[variable], domain_class(domain, liked[i])))
			return liked[i];
	return domain_example(domain, values_first(&p->space.store, box->values[variable]));
}

static struct key choose_number(struct prover *p, const struct box *box, enum variable variable)
{
	return choose(p, box, variable, NULL, 0);
}

static struct addr choose_addr(struct prover *p, const struct box *box, enum variable variable, const struct addr *as)
{
	static const char *const texts[FAMILIES][3] = { { "203.0.113.77", "198.51.100.77", "1.2.3.4" },
							{ "2001:db8:ffff::77", "2001:db9::77", "fd99::77" } };
	enum family family = p->space.family;
	size_t size = addr_size(family), count = 0;
	struct key liked[4];
	struct addr addr = { .family = (uint8_t)family };

	if (as)
		liked[count++] = key_of(as->bytes, size);
	for (size_t i = 0; i < 3; i++)
		if (addr_parse(texts[family][i], &addr))
			liked[count++] = key_of(addr.bytes, size);
	memset(addr.bytes, 0, sizeof(addr.bytes));
	key_bytes(choose(p, box, variable, liked, count), size, addr.bytes);
	return addr;
}

static uint16_t choose_port(struct prover *p, const struct box *box, enum variable variable, uint16_t as)
{
	const struct key liked[] = { { 0, as }, { 0, 50000 }, { 0, 12345 }, { 0, 1 } };
	size_t skip = as ? 0 : 1;

	return (uint16_t)choose(p, box, variable, liked + skip, 4 - skip).low;
}

static void choose_interface(struct prover *p, const struct box *box, enum variable variable,
			     char ret[PROOF_INTERFACE_MAX])
{
	static const char *const names[] = { "eth7", "other0" };
	struct key liked[2];
	uint8_t bytes[16] = { 0 };

	for (size_t i = 0; i < 2; i++) {
		strncpy((char *)bytes, names[i], sizeof(bytes));
		liked[i] = key_of(bytes, sizeof(bytes));
	}
	key_bytes(choose(p, box, variable, liked, 2), sizeof(bytes), bytes);
	snprintf(ret, PROOF_INTERFACE_MAX, "%.16s", (const char *)bytes);
}

static uint8_t choose_protocol(struct prover *p, const struct box *box)
{
	const struct key liked[] = { { 0, IPPROTO_TCP_ },
				     { 0, IPPROTO_UDP_ },
				     { 0, p->space.family == FAMILY_4 ? IPPROTO_ICMP_ : IPPROTO_ICMPV6_ },
				     { 0, 47 } };

	return (uint8_t)choose(p, box, VARIABLE_PROTOCOL, liked, 4).low;
}

static uint8_t choose_hop_limit(struct prover *p, const struct box *box)
{
	const struct key liked = { 0, 64 };

	return (uint8_t)choose(p, box, VARIABLE_HOP_LIMIT, &liked, 1).low;
}

const uint32_t packet_states[STATES] = { CT_INVALID, CT_ESTABLISHED, CT_RELATED, CT_NEW, CT_UNTRACKED };

void box_example(struct prover *p, const struct box *box, struct proof_result *ret)
{
	static const struct key likely_state = { 0, STATE_NEW };
	struct fate_packet *packet = &ret->packet;

	choose_interface(p, box, VARIABLE_IIF, ret->in);
	choose_interface(p, box, VARIABLE_OIF, ret->out);
	*packet = (struct fate_packet){
		.source = choose_addr(p, box, VARIABLE_SOURCE, NULL),
		.target = choose_addr(p, box, VARIABLE_TARGET, NULL),
		.protocol = choose_protocol(p, box),
		.source_port = choose_port(p, box, VARIABLE_SPORT, 0),
		.target_port = choose_port(p, box, VARIABLE_DPORT, 0),
		.icmp_type = (uint8_t)choose_number(p, box, VARIABLE_ICMP_TYPE).low,
		.hop_limit = choose_hop_limit(p, box),
		.packet_type = (uint8_t)choose_number(p, box, VARIABLE_PACKET_TYPE).low,
		.fib = (uint8_t)choose_number(p, box, VARIABLE_FIB).low,
		.source_route = choose_number(p, box, VARIABLE_OPTION).low > 0,
		.segments_left = choose_number(p, box, VARIABLE_ROUTING).low > 1,
		.state = packet_states[choose(p, box, VARIABLE_STATE, &likely_state, 1).low],
		.dnat = choose_number(p, box, VARIABLE_DNAT).low,
		.reply = choose_number(p, box, VARIABLE_DIRECTION).low,
		.in = ret->in,
		.out = ret->out,
		.cut_full = choose_number(p, box, VARIABLE_CUT_FULL).low,
	};
	uint64_t flags = choose_number(p, box, VARIABLE_TCP_FLAGS).low, cut = choose_number(p, box, VARIABLE_CUT).low;
	static const struct key extensions[] = { { 0, NEXT_IS_PROTOCOL }, { 0, 43 }, { 0, 60 }, { 0, 51 } };
	uint64_t next = choose(p, box, VARIABLE_NEXT_HEADER, extensions, 4).low;
	p->shown_next = (uint32_t)next;
	ret->headers = (struct proof_headers){
		.first_byte = (uint8_t)choose_number(p, box, VARIABLE_FIRST_BYTE).low,
		.tcp_flags = (uint8_t)flags,
		.options = (uint8_t)choose_number(p, box, VARIABLE_OPTION).low,
		.extension = (uint8_t)(next == NEXT_IS_PROTOCOL ? 0 : next),
		.routing = (uint16_t)choose_number(p, box, VARIABLE_ROUTING).low,
	};
	packet->syn = (flags & 0x12) == 0x02;
	packet->rst = (flags & 0x04) != 0;
	packet->cut_in = cut & 1;
	packet->cut_out = cut & 2;
	packet->original = choose_addr(p, box, VARIABLE_ORIGINAL, &packet->target);
	packet->original_port = choose_port(p, box, VARIABLE_ORIGINAL_DPORT, packet->target_port);
}
