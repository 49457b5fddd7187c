/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "flow_index.h"

#include <stdlib.h>
#include <string.h>

/* The flows of one role in one direction, while they are collected. */
struct collected {
	uint32_t *items;
	size_t count, capacity;
};

enum { OUT, IN, BETWEEN, DIRECTIONS };

struct building {
	const struct policy *policy;
	struct flow_index *index;
	struct collected (*flows)[DIRECTIONS]; /* one a role */
	struct collected between_any;          /* those of ANY that open something, which all roles have */
};

static int push(struct collected *list, uint32_t flow)
{
	if (list->count && list->items[list->count - 1] == flow)
		return 0;
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 16;
		uint32_t *grown = realloc(list->items, capacity * sizeof(*grown));
		if (!grown)
			return -1;
		list->items = grown;
		list->capacity = capacity;
	}
	list->items[list->count++] = flow;
	return 0;
}

static int range_order(const void *a, const void *b)
{
	return addr_compare(&((const struct role_range *)a)->range.first, &((const struct role_range *)b)->range.first);
}

static int list_guarded(struct building *b)
{
	const struct policy *policy = b->policy;
	size_t count = 0;

	for (size_t r = 0; r < policy->role_count; r++)
		count += policy->roles[r].is_protected ? policy->roles[r].guarded.count : 0;
	b->index->guarded = calloc(count + 1, sizeof(*b->index->guarded));
	if (!b->index->guarded)
		return -1;
	for (size_t r = 0; r < policy->role_count; r++)
		for (size_t i = 0; policy->roles[r].is_protected && i < policy->roles[r].guarded.count; i++)
			b->index->guarded[b->index->guarded_count++] =
				(struct role_range){ policy->roles[r].guarded.items[i], (uint32_t)r };
	qsort(b->index->guarded, count, sizeof(*b->index->guarded), range_order);
	return 0;
}

/* The first that does not end before the address. */
static size_t guarded_from(const struct flow_index *index, const struct addr *addr)
{
	size_t low = 0, high = index->guarded_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (addr_compare(&index->guarded[middle].range.last, addr) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int flow_index_role(const struct flow_index *index, const struct addr *addr)
{
	size_t at = guarded_from(index, addr);

	return at < index->guarded_count && range_contains(&index->guarded[at].range, addr)
		       ? (int)index->guarded[at].role
		       : -1;
}

/* The flow goes to each role that guards some of these addresses. */
static int collect_ranges(struct building *b, const struct ranges *ranges, int direction, uint32_t flow)
{
	const struct flow_index *index = b->index;

	for (size_t i = 0; i < ranges->count; i++) {
		const struct range *range = &ranges->items[i];
		for (size_t at = guarded_from(index, &range->first);
		     at < index->guarded_count && addr_compare(&index->guarded[at].range.first, &range->last) <= 0;
		     at++)
			if (push(&b->flows[index->guarded[at].role][direction], flow) < 0)
				return -1;
	}
	return 0;
}

static bool may_leave(const struct policy *policy, const struct policy_flow *flow)
{
	return flow->to.any || flow->to.name_count || !ranges_cover_all(&policy->protected_all, &flow->to.ranges);
}

/* It leaves each role that one of its sources is in. */
static int collect_sources(struct building *b, const struct policy_flow *flow, uint32_t number)
{
	if (!flow->from.any)
		return collect_ranges(b, &flow->from.ranges, OUT, number);
	for (size_t r = 0; r < b->policy->role_count; r++)
		if (b->policy->roles[r].is_protected && push(&b->flows[r][OUT], number) < 0)
			return -1;
	return 0;
}

static int collect_flow(struct building *b, uint32_t number)
{
	const struct policy_flow *flow = &b->policy->flows[number];

	if (!flow->enabled)
		return 0;
	if (collect_ranges(b, &flow->to.opens, IN, number) < 0)
		return -1;
	if (flow->to.opens.count && (flow->from.any ? push(&b->between_any, number)
						    : collect_ranges(b, &flow->from.ranges, BETWEEN, number)) < 0)
		return -1;
	return may_leave(b->policy, flow) ? collect_sources(b, flow, number) : 0;
}

static int edge_order(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* A flow's port ranges; of echo requests the one port 0. */
static const struct port_range *ports_of(const struct policy_flow *flow, enum protocol protocol, size_t *ret_count)
{
	static const struct port_range none;

	if (!(flow->protocols & 1u << protocol)) {
		*ret_count = 0;
		return &none;
	}
	*ret_count = protocol == PROTOCOL_ICMP_ECHO ? 1 : flow->port_count;
	return protocol == PROTOCOL_ICMP_ECHO ? &none : flow->ports;
}

/* Where the set of flows may change: where ports begin, and right after where they end. NULL without memory. */
static uint32_t *port_edges(const struct policy *policy, const struct collected *flows, enum protocol protocol,
			    size_t *ret_count)
{
	size_t capacity = 1, count = 0, unique = 0, n;

	for (size_t f = 0; f < flows->count; f++) {
		ports_of(&policy->flows[flows->items[f]], protocol, &n);
		capacity += 2 * n;
	}
	uint32_t *edges = malloc(capacity * sizeof(*edges));
	if (!edges)
		return NULL;
	for (size_t f = 0; f < flows->count; f++) {
		const struct port_range *ports = ports_of(&policy->flows[flows->items[f]], protocol, &n);
		for (size_t i = 0; i < n; i++) {
			edges[count++] = ports[i].first;
			edges[count++] = ports[i].last + 1u;
		}
	}
	qsort(edges, count, sizeof(*edges), edge_order);
	for (size_t i = 0; i < count; i++)
		if (!unique || edges[unique - 1] != edges[i])
			edges[unique++] = edges[i];
	*ret_count = unique;
	return edges;
}

static size_t segment_at(const struct flow_list *list, uint32_t port)
{
	size_t low = 0, high = list->segment_count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (list->segments[middle].ports.first <= port)
			low = middle;
		else
			high = middle;
	}
	return low;
}

const uint32_t *flow_list_at(const struct flow_list *list, uint16_t port, size_t *ret_count)
{
	const struct port_segment *segment = list->segment_count ? &list->segments[segment_at(list, port)] : NULL;
	bool has = segment && segment->ports.first <= port && port <= segment->ports.last;

	*ret_count = has ? segment->count : 0;
	return has ? list->flows + segment->flow : NULL;
}

/* Twice over the flows: how many each segment has, and then which. */
static int fill_segments(const struct policy *policy, const struct collected *flows, enum protocol protocol,
			 struct flow_list *list)
{
	uint32_t total = 0;
	size_t n;

	for (int fill = 0; fill < 2; fill++) {
		for (size_t f = 0; f < flows->count; f++) {
			const struct port_range *ports = ports_of(&policy->flows[flows->items[f]], protocol, &n);
			for (size_t i = 0; i < n; i++) {
				for (size_t s = segment_at(list, ports[i].first);
				     s < list->segment_count && list->segments[s].ports.first <= ports[i].last; s++) {
					struct port_segment *segment = &list->segments[s];
					if (fill)
						list->flows[segment->flow + segment->count] = flows->items[f];
					segment->count++;
				}
			}
		}
		for (size_t s = 0; !fill && s < list->segment_count; s++) {
			list->segments[s].flow = total;
			total += list->segments[s].count;
			list->segments[s].count = 0;
		}
		if (!fill && !(list->flows = malloc((total + 1) * sizeof(*list->flows))))
			return -1;
	}
	return 0;
}

static int make_list(const struct policy *policy, const struct collected *flows, enum protocol protocol,
		     struct flow_list *list)
{
	size_t count, kept = 0;
	uint32_t *edges = port_edges(policy, flows, protocol, &count);

	if (edges && count)
		list->segments = calloc(count, sizeof(*list->segments));
	if (!edges || (count && !list->segments)) {
		free(edges);
		return -1;
	}
	for (size_t i = 0; i + 1 < count; i++)
		list->segments[list->segment_count++].ports =
			(struct port_range){ (uint16_t)edges[i], (uint16_t)(edges[i + 1] - 1) };
	free(edges);
	if (fill_segments(policy, flows, protocol, list) < 0)
		return -1;
	for (size_t s = 0; s < list->segment_count; s++) /* between two flows there may be ports of none */
		if (list->segments[s].count)
			list->segments[kept++] = list->segments[s];
	list->segment_count = kept;
	return 0;
}

/* Both ascend, and no flow is in both. */
static int merge(const struct collected *a, const struct collected *b, struct collected *ret)
{
	size_t i = 0, j = 0;
	int r = 0;

	*ret = (struct collected){ 0 };
	while (r == 0 && (i < a->count || j < b->count)) {
		bool from_a = j == b->count || (i < a->count && a->items[i] < b->items[j]);
		r = push(ret, from_a ? a->items[i++] : b->items[j++]);
	}
	return r;
}

/* With a thousand protected roles most are opened to ANY: a list each would be a million flows. */
static int make_between(struct building *b, size_t role)
{
	struct role_flows *flows = &b->index->roles[role];
	const struct collected *own = &b->flows[role][BETWEEN];
	struct collected all;

	if (!b->policy->roles[role].is_protected)
		return 0;
	if (!own->count) {
		flows->between = b->index->between_any;
		flows->between_shared = true;
		return 0;
	}
	int r = merge(&b->between_any, own, &all);
	if (r == 0)
		r = make_list(b->policy, &all, PROTOCOL_TCP, &flows->between);
	free(all.items);
	return r;
}

static int make_lists(struct building *b)
{
	if (make_list(b->policy, &b->between_any, PROTOCOL_TCP, &b->index->between_any) < 0)
		return -1;
	for (size_t r = 0; r < b->index->role_count; r++) {
		struct role_flows *flows = &b->index->roles[r];
		for (enum protocol p = 0; p < PROTOCOLS; p++)
			if (make_list(b->policy, &b->flows[r][IN], p, &flows->in[p]) < 0 ||
			    make_list(b->policy, &b->flows[r][OUT], p, &flows->out[p]) < 0)
				return -1;
		if (make_between(b, r) < 0)
			return -1;
	}
	return 0;
}

struct flow_index *flow_index_new(const struct policy *policy)
{
	struct building b = { .policy = policy, .index = calloc(1, sizeof(*b.index)) };
	int r = -1;

	if (!b.index)
		return NULL;
	b.index->roles = calloc(policy->role_count + 1, sizeof(*b.index->roles));
	b.index->role_count = b.index->roles ? policy->role_count : 0;
	b.flows = calloc(policy->role_count + 1, sizeof(*b.flows));
	if (b.index->roles && b.flows)
		r = list_guarded(&b);
	for (size_t i = 0; r == 0 && i < policy->flow_count; i++)
		r = collect_flow(&b, (uint32_t)i);
	if (r == 0)
		r = make_lists(&b);
	for (size_t i = 0; b.flows && i < policy->role_count; i++)
		for (int direction = 0; direction < DIRECTIONS; direction++)
			free(b.flows[i][direction].items);
	free(b.flows);
	free(b.between_any.items);
	if (r < 0) {
		flow_index_free(b.index);
		return NULL;
	}
	return b.index;
}

static void free_list(struct flow_list *list)
{
	free(list->segments);
	free(list->flows);
}

void flow_index_free(struct flow_index *index)
{
	if (!index)
		return;
	for (size_t r = 0; r < index->role_count; r++) {
		for (enum protocol p = 0; p < PROTOCOLS; p++) {
			free_list(&index->roles[r].in[p]);
			free_list(&index->roles[r].out[p]);
		}
		if (!index->roles[r].between_shared)
			free_list(&index->roles[r].between);
	}
	free_list(&index->between_any);
	free(index->roles);
	free(index->guarded);
	free(index);
}
