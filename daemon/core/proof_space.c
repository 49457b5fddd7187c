/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof_program.h"
#include "array.h"

#include <errno.h>

/* The variables of a packet and their values. */

static const uint8_t variable_domains[VARIABLES] = {
	[VARIABLE_SOURCE] = DOMAIN_ADDRESS,
	[VARIABLE_TARGET] = DOMAIN_ADDRESS,
	[VARIABLE_ORIGINAL] = DOMAIN_ADDRESS,
	[VARIABLE_SPORT] = DOMAIN_PORT,
	[VARIABLE_DPORT] = DOMAIN_PORT,
	[VARIABLE_ORIGINAL_DPORT] = DOMAIN_PORT,
	[VARIABLE_PROTOCOL] = DOMAIN_PROTOCOL,
	[VARIABLE_NEXT_HEADER] = DOMAIN_PROTOCOL,
	[VARIABLE_ICMP_TYPE] = DOMAIN_ICMP_TYPE,
	[VARIABLE_TCP_FLAGS] = DOMAIN_TCP_FLAGS,
	[VARIABLE_HOP_LIMIT] = DOMAIN_HOP_LIMIT,
	[VARIABLE_FIRST_BYTE] = DOMAIN_FIRST_BYTE,
	[VARIABLE_ROUTING] = DOMAIN_ROUTING,
	[VARIABLE_OPTION] = DOMAIN_BITS,
	[VARIABLE_STATE] = DOMAIN_STATE,
	[VARIABLE_IIF] = DOMAIN_INTERFACE,
	[VARIABLE_OIF] = DOMAIN_INTERFACE,
	[VARIABLE_PACKET_TYPE] = DOMAIN_PACKET_TYPE,
	[VARIABLE_FIB] = DOMAIN_FIB,
	[VARIABLE_CUT] = DOMAIN_BITS,
	[VARIABLE_DNAT] = DOMAIN_FLAG,
	[VARIABLE_DIRECTION] = DOMAIN_FLAG,
	[VARIABLE_CUT_FULL] = DOMAIN_FLAG,
};

enum domain_kind variable_domain(enum variable variable)
{
	return (enum domain_kind)variable_domains[variable];
}

struct domain *space_domain(struct space *space, enum variable variable)
{
	return &space->domains[variable_domains[variable]];
}

/* Of a domain with few values each value is a class, by its number: any question about it can be answered. */
static int add_each(struct domain *domain)
{
	uint32_t predicate;

	for (uint64_t value = 0; value <= domain->max.low; value++) {
		struct span span = { { 0, value }, { 0, value } };
		if (domain_add(domain, &span, 1, &predicate) < 0)
			return -ENOMEM;
	}
	return 0;
}

int space_begin(struct space *space, enum family family)
{
	static const struct {
		uint8_t size;
		bool each;
		struct key max;
	} forms[DOMAINS] = {
		[DOMAIN_PORT] = { 2, false, { 0, 65535 } },
		[DOMAIN_PROTOCOL] = { 2, true, { 0, NEXT_IS_PROTOCOL } },
		[DOMAIN_ICMP_TYPE] = { 1, true, { 0, 255 } },
		[DOMAIN_TCP_FLAGS] = { 1, false, { 0, 255 } },
		[DOMAIN_HOP_LIMIT] = { 1, true, { 0, 255 } },
		[DOMAIN_FIRST_BYTE] = { 1, true, { 0, 255 } },
		[DOMAIN_ROUTING] = { 2, true, { 0, 256 } },
		[DOMAIN_STATE] = { 1, true, { 0, STATES - 1 } },
		[DOMAIN_INTERFACE] = { 16, false, { UINT64_MAX, UINT64_MAX } },
		[DOMAIN_PACKET_TYPE] = { 1, true, { 0, 7 } },
		[DOMAIN_FIB] = { 1, true, { 0, FIB_UNICAST } },
		[DOMAIN_BITS] = { 1, true, { 0, 3 } },
		[DOMAIN_FLAG] = { 1, true, { 0, 1 } },
	};
	bool ipv6 = family == FAMILY_6;

	*space = (struct space){ .family = family };
	for (enum domain_kind kind = 0; kind < DOMAINS; kind++) {
		if (kind == DOMAIN_ADDRESS)
			domain_begin(&space->domains[kind], addr_size(family),
				     ipv6 ? (struct key){ UINT64_MAX, UINT64_MAX } : (struct key){ 0, UINT32_MAX });
		else
			domain_begin(&space->domains[kind], forms[kind].size, forms[kind].max);
		if (forms[kind].each && add_each(&space->domains[kind]) < 0)
			return -ENOMEM;
	}
	return 0;
}

int space_add_map(struct space *space, enum domain_kind domain, uint32_t *ret)
{
	struct map map = { .domain = domain, .outcomes = (uint32_t)space->outcomes.count };

	*ret = (uint32_t)space->maps.count;
	return ARRAY_PUSH(&space->maps, map) < 0 ? -ENOMEM : 0;
}

int space_add_outcome(struct space *space, uint32_t map, const struct span *spans, size_t count, uint8_t action,
		      uint32_t index)
{
	struct outcome outcome = { .action = action, .index = index };

	if (domain_add(&space->domains[space->maps.items[map].domain], spans, count, &outcome.predicate) < 0 ||
	    ARRAY_PUSH(&space->outcomes, outcome) < 0)
		return -ENOMEM;
	space->maps.items[map].outcome_count++;
	return 0;
}

static int piece_order(const void *a, const void *b)
{
	uint32_t x = ((const struct map_piece *)a)->first, y = ((const struct map_piece *)b)->first;

	return x < y ? -1 : x > y;
}

/* The outcomes' runs, one after the other. */
static int close_map(struct space *space, struct map *map)
{
	struct map_piece *pieces;

	map->pieces = (uint32_t)space->pieces.count;
	for (uint32_t o = map->outcomes; o < map->outcomes + map->outcome_count; o++) {
		struct outcome *outcome = &space->outcomes.items[o];
		size_t count;
		outcome->values = space->domains[map->domain].predicates.items[outcome->predicate].values;
		const struct run *runs = values_runs(&space->store, outcome->values, &count);
		for (size_t i = 0; i < count; i++)
			if (ARRAY_PUSH(&space->pieces, (struct map_piece){ runs[i].first, runs[i].last, o }) < 0)
				return -ENOMEM;
	}
	map->piece_count = (uint32_t)space->pieces.count - map->pieces;
	pieces = &space->pieces.items[map->pieces];
	if (!map->piece_count)
		return 0;
	qsort(pieces, map->piece_count, sizeof(*pieces), piece_order);
	struct run *runs = malloc(map->piece_count * sizeof(*runs));
	size_t count = 0;
	for (uint32_t i = 0; runs && i < map->piece_count; i++) {
		if (count && runs[count - 1].last + 1 == pieces[i].first)
			runs[count - 1].last = pieces[i].last;
		else
			runs[count++] = (struct run){ pieces[i].first, pieces[i].last };
	}
	map->covered = runs ? values_of(&space->store, runs, count) : VALUES_NONE;
	free(runs);
	return runs ? 0 : -ENOMEM;
}

int space_close(struct space *space)
{
	if (values_begin(&space->store) < 0)
		return -ENOMEM;
	for (enum domain_kind kind = 0; kind < DOMAINS; kind++)
		if (domain_close(&space->domains[kind], &space->store) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < space->maps.count; i++)
		if (close_map(space, &space->maps.items[i]) < 0)
			return -ENOMEM;
	space->seen = calloc(space->outcomes.count + 1, sizeof(*space->seen));
	return space->seen && !space->store.failed ? 0 : -ENOMEM;
}

void space_free(struct space *space)
{
	for (enum domain_kind kind = 0; kind < DOMAINS; kind++)
		domain_free(&space->domains[kind]);
	free(space->maps.items);
	free(space->outcomes.items);
	free(space->pieces.items);
	free(space->seen);
	values_free(&space->store);
	*space = (struct space){ 0 };
}

size_t space_look_up(struct space *space, uint32_t map, uint32_t values, uint32_t *ret, size_t max)
{
	const struct map *m = &space->maps.items[map];
	const struct map_piece *pieces = &space->pieces.items[m->pieces];
	size_t run_count, found = 0, at = 0;
	const struct run *runs = values_runs(&space->store, values, &run_count);

	space->lookups++;
	for (size_t i = 0; i < run_count; i++) {
		size_t high = m->piece_count;
		while (at < high) {
			size_t middle = at + (high - at) / 2;
			if (pieces[middle].last < runs[i].first)
				at = middle + 1;
			else
				high = middle;
		}
		for (; at < m->piece_count && pieces[at].first <= runs[i].last; at++) {
			uint32_t outcome = pieces[at].outcome;
			if (space->seen[outcome] != space->lookups) {
				space->seen[outcome] = space->lookups;
				if (found < max)
					ret[found] = outcome;
				found++;
			}
			if (pieces[at].last > runs[i].last)
				break;
		}
	}
	return found;
}
