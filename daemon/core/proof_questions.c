/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "array.h"
#include "flow_index.h"
#include "proof_parts.h"

#include <errno.h>
#include <string.h>

/* What policy and environment may ask about: every set of theirs is a predicate, or a map where a question has several
 * answers. A question about any other set can't be answered, and then nothing is proven. */

struct adding {
	struct questions *questions;
	struct space *space;
	struct {
		struct span *items;
		size_t count, capacity;
	} spans;
	int result;
};

static size_t place_of(const struct questions *q, const void *set, uint8_t kind, uint32_t bits, uint8_t domain)
{
	uint64_t hash = ((uint64_t)(uintptr_t)set ^ (uint64_t)kind << 56 ^ (uint64_t)domain << 50 ^ bits) *
			UINT64_C(0x9e3779b97f4a7c15);
	size_t at = (size_t)(hash >> 32) & (q->bucket_count - 1);

	for (; q->buckets[at]; at = (at + 1) & (q->bucket_count - 1)) {
		const struct asked_set *item = &q->items[q->buckets[at] - 1];
		if (item->set == set && item->kind == kind && item->bits == bits && item->domain == domain)
			break;
	}
	return at;
}

const struct asked_set *questions_find(const struct questions *q, const struct question *question,
				       enum domain_kind domain)
{
	uint32_t bits = question->kind == QUESTION_INTERFACES ? question->bits : 0;
	size_t at = place_of(q, question->set, question->kind, bits, (uint8_t)domain);

	return q->buckets[at] ? &q->items[q->buckets[at] - 1] : NULL;
}

static int grow(struct questions *q)
{
	size_t count = q->bucket_count ? q->bucket_count * 2 : 256;
	uint32_t *buckets = calloc(count, sizeof(*buckets));

	if (!buckets)
		return -ENOMEM;
	free(q->buckets);
	q->buckets = buckets;
	q->bucket_count = count;
	for (size_t i = 0; i < q->count; i++) {
		const struct asked_set *item = &q->items[i];
		q->buckets[place_of(q, item->set, item->kind, item->bits, item->domain)] = (uint32_t)i + 1;
	}
	return 0;
}

/* The entry of a set that was not there before; NULL: it was, or there is no memory. */
static struct asked_set *add(struct adding *a, const void *set, enum question_kind kind, uint32_t bits,
			     enum domain_kind domain)
{
	struct questions *q = a->questions;
	struct asked_set item = { .set = set, .bits = bits, .kind = (uint8_t)kind, .domain = (uint8_t)domain };

	if (a->result == 0 && q->count * 2 >= q->bucket_count)
		a->result = grow(q);
	if (a->result < 0)
		return NULL;
	size_t at = place_of(q, set, item.kind, bits, item.domain);
	if (q->buckets[at])
		return NULL;
	if (ARRAY_PUSH(q, item) < 0) {
		a->result = -ENOMEM;
		return NULL;
	}
	q->buckets[at] = (uint32_t)q->count;
	a->spans.count = 0;
	return &q->items[q->count - 1];
}

static void put_span(struct adding *a, struct key first, struct key last)
{
	struct span *before = a->spans.count ? &a->spans.items[a->spans.count - 1] : NULL;

	if (before && key_compare(key_next(before->last), first) == 0)
		before->last = last;
	else if (ARRAY_PUSH(&a->spans, (struct span){ first, last }) < 0)
		a->result = -ENOMEM;
}

static void put_addrs(struct adding *a, const struct addr *first, const struct addr *last)
{
	size_t size = addr_size(a->space->family);

	if (first->family == a->space->family)
		put_span(a, key_of(first->bytes, size), key_of(last->bytes, size));
}

static void end_predicate(struct adding *a, struct asked_set *item)
{
	if (domain_add(&a->space->domains[item->domain], a->spans.items, a->spans.count, &item->index) < 0)
		a->result = -ENOMEM;
}

static void add_ranges(struct adding *a, const struct ranges *ranges)
{
	struct asked_set *item = ranges ? add(a, ranges, QUESTION_RANGES, 0, DOMAIN_ADDRESS) : NULL;

	if (!item)
		return;
	for (size_t i = 0; i < ranges->count; i++)
		put_addrs(a, &ranges->items[i].first, &ranges->items[i].last);
	end_predicate(a, item);
}

static void add_name(struct adding *a, const struct name_addresses name[FAMILIES])
{
	struct asked_set *item = add(a, name, QUESTION_NAME, 0, DOMAIN_ADDRESS);
	const struct name_addresses *list = &name[a->space->family];

	if (!item)
		return;
	for (size_t i = 0; i < list->count; i++)
		put_addrs(a, &list->items[i].addr, &list->items[i].addr);
	end_predicate(a, item);
}

static struct key port_key(uint16_t port)
{
	return (struct key){ 0, port };
}

static void add_ports(struct adding *a, const struct port_range *ports, size_t count)
{
	struct asked_set *item = add(a, ports, QUESTION_PORTS, 0, DOMAIN_PORT);

	if (!item)
		return;
	for (size_t i = 0; i < count; i++)
		put_span(a, port_key(ports[i].first), port_key(ports[i].last));
	end_predicate(a, item);
}

static int name_order(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

static void add_interfaces(struct adding *a, const struct interface_list *list, bool lo)
{
	uint8_t(*names)[16] = calloc(list ? list->count + 1 : 1, sizeof(*names));
	struct asked_set *item = list && names ? add(a, list, QUESTION_INTERFACES, lo, DOMAIN_INTERFACE) : NULL;
	size_t count = 0;

	if (!names)
		a->result = -ENOMEM;
	for (size_t i = 0; item && i < list->count; i++)
		memcpy(names[count++], list->names[i], strnlen(list->names[i], 15));
	if (item && lo)
		memcpy(names[count++], "lo", 2);
	if (count)
		qsort(names, count, sizeof(*names), name_order);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || memcmp(names[i - 1], names[i], 16) != 0)
			put_span(a, key_of(names[i], 16), key_of(names[i], 16));
	if (item)
		end_predicate(a, item);
	free(names);
}

/* Ranges by the role that guards them, those of a role in their order. */
static int role_order(const void *a, const void *b)
{
	const struct role_range *x = a, *y = b;

	if (x->role != y->role)
		return x->role < y->role ? -1 : 1;
	return addr_compare(&x->range.first, &y->range.first);
}

static void add_roles(struct adding *a, const struct flow_index *index)
{
	struct asked_set *item = add(a, index->guarded, QUESTION_ROLE, 0, DOMAIN_ADDRESS);
	struct role_range *sorted = item ? malloc((index->guarded_count + 1) * sizeof(*sorted)) : NULL;

	if (!item)
		return;
	if (!sorted || space_add_map(a->space, DOMAIN_ADDRESS, &item->index) < 0) {
		free(sorted);
		a->result = -ENOMEM;
		return;
	}
	item->many = true;
	memcpy(sorted, index->guarded, index->guarded_count * sizeof(*sorted));
	qsort(sorted, index->guarded_count, sizeof(*sorted), role_order);
	for (size_t i = 0; a->result == 0 && i < index->guarded_count;) {
		size_t from = i;
		a->spans.count = 0;
		for (; i < index->guarded_count && sorted[i].role == sorted[from].role; i++)
			put_addrs(a, &sorted[i].range.first, &sorted[i].range.last);
		a->result = space_add_outcome(a->space, item->index, a->spans.items, a->spans.count, 0,
					      sorted[from].role + 1);
	}
	free(sorted);
}

static void add_segments(struct adding *a, const struct flow_list *list)
{
	struct asked_set *item = list->segment_count ? add(a, list->segments, QUESTION_SEGMENT, 0, DOMAIN_PORT) : NULL;

	if (!item)
		return;
	item->many = true;
	if (space_add_map(a->space, DOMAIN_PORT, &item->index) < 0)
		a->result = -ENOMEM;
	for (size_t i = 0; a->result == 0 && i < list->segment_count; i++) {
		const struct port_range *ports = &list->segments[i].ports;
		struct span span = { port_key(ports->first), port_key(ports->last) };
		a->result = space_add_outcome(a->space, item->index, &span, 1, 0, (uint32_t)i + 1);
	}
}

static void add_flow(struct adding *a, const struct policy_flow *flow)
{
	add_ranges(a, &flow->from.ranges);
	add_ranges(a, &flow->to.ranges);
	add_ranges(a, &flow->to.opens);
}

static void add_policy(struct adding *a, const struct fate_view *view)
{
	const struct policy *policy = view->policy;
	const struct names_view *names = view->environment->names;

	add_ranges(a, &policy->protected_all);
	add_ranges(a, &policy->nat_except);
	add_ranges(a, &policy->resolvers);
	add_roles(a, policy->index);
	for (size_t i = 0; i < policy->flow_count; i++)
		if (policy->flows[i].enabled)
			add_flow(a, &policy->flows[i]);
	for (size_t i = 0; names && i < names->count; i++)
		add_name(a, names->names[i]);
	for (size_t i = 0; names && i < names->granted_count; i++)
		add_name(a, names->granted[i].addresses);
	for (size_t i = 0; i < policy->role_count; i++) {
		const struct policy_role *role = &policy->roles[i];
		if (policy_rejects(policy, role))
			add_ranges(a, &role->members.ranges);
		if (!role->is_protected)
			continue;
		add_ports(a, role->ephemeral, role->ephemeral_count);
		for (enum protocol protocol = 0; protocol < PROTOCOLS; protocol++) {
			add_segments(a, &policy->index->roles[i].in[protocol]);
			add_segments(a, &policy->index->roles[i].out[protocol]);
		}
		if (!policy->index->roles[i].between_shared)
			add_segments(a, &policy->index->roles[i].between);
	}
	if (policy->index)
		add_segments(a, &policy->index->between_any);
	add_ports(a, &fate_dns_port, 1);
}

static void add_environment(struct adding *a, const struct fate_view *view)
{
	const struct environment *environment = view->environment;

	add_ranges(a, environment->gateway);
	add_ranges(a, environment->broadcasts);
	add_interfaces(a, &environment->towards, false);
	add_interfaces(a, &environment->own_interfaces, true);
	add_interfaces(a, environment->resolvers, false);
	for (size_t i = 0; i < view->policy->role_count; i++)
		if (view->policy->roles[i].is_protected)
			add_interfaces(a, &environment->role_interfaces[i], false);
}

static void add_flags(struct adding *a, unsigned mask, unsigned value, uint32_t *ret)
{
	a->spans.count = 0;
	for (unsigned flags = 0; flags < 256; flags++)
		if ((flags & mask) == value)
			put_span(a, port_key((uint16_t)flags), port_key((uint16_t)flags));
	if (domain_add(&a->space->domains[DOMAIN_TCP_FLAGS], a->spans.items, a->spans.count, ret) < 0)
		a->result = -ENOMEM;
}

/* Which packet has no interface is known, too: its name is empty. */
static void add_no_interface(struct adding *a)
{
	uint32_t predicate;
	struct span span = { { 0, 0 }, { 0, 0 } };

	if (domain_add(&a->space->domains[DOMAIN_INTERFACE], &span, 1, &predicate) < 0)
		a->result = -ENOMEM;
}

int questions_begin(struct questions *questions, struct space *space, const struct fate_view *view)
{
	struct adding a = { .questions = questions, .space = space };

	add_flags(&a, 0x12, 0x02, &questions->syn);
	add_flags(&a, 0x04, 0x04, &questions->rst);
	add_no_interface(&a);
	add_policy(&a, view);
	add_environment(&a, view);
	free(a.spans.items);
	return a.result;
}

void questions_finish(struct questions *questions, struct space *space)
{
	const struct domain *flags = &space->domains[DOMAIN_TCP_FLAGS];

	questions->syn = flags->predicates.items[questions->syn].values;
	questions->rst = flags->predicates.items[questions->rst].values;
	for (size_t i = 0; i < questions->count; i++) {
		struct asked_set *item = &questions->items[i];
		if (!item->many)
			item->values = space->domains[item->domain].predicates.items[item->index].values;
	}
}

void questions_free(struct questions *questions)
{
	free(questions->items);
	free(questions->buckets);
	*questions = (struct questions){ 0 };
}
