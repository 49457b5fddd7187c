/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof_domain.h"
#include "array.h"
#include "hash.h"

#include <errno.h>
#include <string.h>

struct key key_of(const uint8_t *bytes, size_t size)
{
	struct key key = { 0 };

	for (size_t i = 0; i < size; i++) {
		key.high = key.high << 8 | key.low >> 56;
		key.low = key.low << 8 | bytes[i];
	}
	return key;
}

void key_bytes(struct key key, size_t size, uint8_t *ret)
{
	for (size_t i = size; i-- > 0;) {
		ret[i] = (uint8_t)key.low;
		key.low = key.low >> 8 | key.high << 56;
		key.high >>= 8;
	}
}

int key_compare(struct key a, struct key b)
{
	if (a.high != b.high)
		return a.high < b.high ? -1 : 1;
	return a.low < b.low ? -1 : a.low > b.low;
}

struct key key_next(struct key key)
{
	key.low++;
	key.high += key.low == 0;
	return key;
}

void domain_begin(struct domain *domain, size_t size, struct key max)
{
	*domain = (struct domain){ .size = size, .max = max };
}

void domain_free(struct domain *domain)
{
	free(domain->predicates.items);
	free(domain->spans.items);
	free(domain->buckets);
	free(domain->points.items);
	free(domain->example);
	*domain = (struct domain){ 0 };
}

static int grow_buckets(struct domain *domain)
{
	size_t count = domain->bucket_count ? domain->bucket_count * 2 : 64;
	uint32_t *buckets = calloc(count, sizeof(*buckets));

	if (!buckets)
		return -ENOMEM;
	for (size_t i = 0; i < domain->predicates.count; i++) {
		size_t at = domain->predicates.items[i].hash & (count - 1);
		while (buckets[at])
			at = (at + 1) & (count - 1);
		buckets[at] = (uint32_t)i + 1;
	}
	free(domain->buckets);
	domain->buckets = buckets;
	domain->bucket_count = count;
	return 0;
}

static bool same_spans(const struct domain *domain, const struct predicate *predicate, const struct span *spans,
		       size_t count)
{
	return predicate->count == count &&
	       (!count || memcmp(&domain->spans.items[predicate->at], spans, count * sizeof(*spans)) == 0);
}

int domain_add(struct domain *domain, const struct span *spans, size_t count, uint32_t *ret)
{
	/* No packet has what lies beyond. */
	while (count && key_compare(spans[count - 1].first, domain->max) > 0)
		count--;
	uint64_t hash = count ? hash_bytes(HASH_START, spans, count * sizeof(*spans)) : HASH_START;
	struct predicate predicate = { .at = domain->spans.count, .count = count, .hash = hash };

	if (domain->predicates.count * 2 >= domain->bucket_count && grow_buckets(domain) < 0)
		return -ENOMEM;
	size_t at = hash & (domain->bucket_count - 1);
	for (; domain->buckets[at]; at = (at + 1) & (domain->bucket_count - 1)) {
		*ret = domain->buckets[at] - 1;
		if (domain->predicates.items[*ret].hash == hash &&
		    same_spans(domain, &domain->predicates.items[*ret], spans, count))
			return 0;
	}
	for (size_t i = 0; i < count; i++)
		if (ARRAY_PUSH(&domain->spans, spans[i]) < 0)
			return -ENOMEM;
	if (count && key_compare(spans[count - 1].last, domain->max) > 0)
		domain->spans.items[domain->spans.count - 1].last = domain->max;
	if (ARRAY_PUSH(&domain->predicates, predicate) < 0)
		return -ENOMEM;
	*ret = (uint32_t)domain->predicates.count - 1;
	domain->buckets[at] = *ret + 1;
	return 0;
}

/* The sweep: at each end of a span one predicate begins to hold, or holds no more. */
struct edge {
	struct key key;
	uint32_t predicate;
	bool ends;
};

/* Classes are found by which predicates hold: a hash of these leads to candidates, and their list decides. */
struct sweep {
	struct domain *domain;
	struct {
		struct edge *items;
		size_t count, capacity;
	} edges;
	uint32_t *active; /* which hold, in no order */
	uint32_t *place;  /* of each predicate in active, + 1; 0: it does not hold */
	size_t active_count;
	uint64_t signature;
	struct {
		struct {
			uint64_t signature;
			size_t at, count; /* in members */
		} * items;
		size_t count, capacity;
	} classes;
	struct {
		uint32_t *items;
		size_t count, capacity;
	} members;         /* which predicates hold in a class, one class after the other */
	uint32_t *buckets; /* by signature: class + 1 */
	size_t bucket_count;
};

static int edge_order(const void *a, const void *b)
{
	return key_compare(((const struct edge *)a)->key, ((const struct edge *)b)->key);
}

static int collect_edges(struct sweep *s)
{
	const struct domain *domain = s->domain;

	for (size_t p = 0; p < domain->predicates.count; p++) {
		const struct predicate *predicate = &domain->predicates.items[p];
		for (size_t i = 0; i < predicate->count; i++) {
			const struct span *span = &domain->spans.items[predicate->at + i];
			struct edge begins = { span->first, (uint32_t)p, false };
			struct edge ends = { key_next(span->last), (uint32_t)p, true };
			if (ARRAY_PUSH(&s->edges, begins) < 0)
				return -ENOMEM;
			if (key_compare(span->last, domain->max) < 0 && ARRAY_PUSH(&s->edges, ends) < 0)
				return -ENOMEM;
		}
	}
	if (s->edges.count)
		qsort(s->edges.items, s->edges.count, sizeof(*s->edges.items), edge_order);
	return 0;
}

static uint64_t label(uint32_t predicate)
{
	uint64_t x = (predicate + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Neighbouring spans of one predicate end and begin at one key: in which order is no matter, for it is counted. */
static void toggle(struct sweep *s, uint32_t predicate)
{
	s->signature ^= label(predicate);
	if (s->place[predicate]) {
		uint32_t last = s->active[--s->active_count];
		s->active[s->place[predicate] - 1] = last;
		s->place[last] = s->place[predicate];
		s->place[predicate] = 0;
	} else {
		s->active[s->active_count++] = predicate;
		s->place[predicate] = (uint32_t)s->active_count;
	}
}

static int grow_classes(struct sweep *s)
{
	size_t count = s->bucket_count ? s->bucket_count * 2 : 64;
	uint32_t *buckets = calloc(count, sizeof(*buckets));

	if (!buckets)
		return -ENOMEM;
	for (size_t i = 0; i < s->classes.count; i++) {
		size_t at = s->classes.items[i].signature & (count - 1);
		while (buckets[at])
			at = (at + 1) & (count - 1);
		buckets[at] = (uint32_t)i + 1;
	}
	free(s->buckets);
	s->buckets = buckets;
	s->bucket_count = count;
	return 0;
}

static bool is_class(const struct sweep *s, uint32_t class)
{
	if (s->classes.items[class].signature != s->signature || s->classes.items[class].count != s->active_count)
		return false;
	for (size_t i = 0; i < s->active_count; i++)
		if (!s->place[s->members.items[s->classes.items[class].at + i]])
			return false;
	return true;
}

/* The class of what holds now. */
static int find_class(struct sweep *s, uint32_t *ret)
{
	if (s->classes.count * 2 >= s->bucket_count && grow_classes(s) < 0)
		return -ENOMEM;
	size_t at = s->signature & (s->bucket_count - 1);
	for (; s->classes.count && s->buckets[at]; at = (at + 1) & (s->bucket_count - 1)) {
		*ret = s->buckets[at] - 1;
		if (is_class(s, *ret))
			return 0;
	}
	*ret = (uint32_t)s->classes.count;
	__typeof__(*s->classes.items) class = { s->signature, s->members.count, s->active_count };
	for (size_t i = 0; i < s->active_count; i++)
		if (ARRAY_PUSH(&s->members, s->active[i]) < 0)
			return -ENOMEM;
	if (ARRAY_PUSH(&s->classes, class) < 0)
		return -ENOMEM;
	s->buckets[at] = *ret + 1;
	return 0;
}

static int sweep(struct sweep *s)
{
	struct domain *domain = s->domain;
	struct cut_point point = { 0 };
	size_t i = 0;

	for (;;) {
		for (; i < s->edges.count && key_compare(s->edges.items[i].key, point.first) == 0; i++)
			toggle(s, s->edges.items[i].predicate);
		if (find_class(s, &point.class) < 0 || ARRAY_PUSH(&domain->points, point) < 0)
			return -ENOMEM;
		if (i == s->edges.count)
			return 0;
		point.first = s->edges.items[i].key;
	}
}

/* Of each class the widest interval, for an example. */
static int find_examples(struct sweep *s)
{
	struct domain *domain = s->domain;

	domain->class_count = (uint32_t)s->classes.count;
	domain->example = malloc(domain->class_count * sizeof(*domain->example));
	if (!domain->example)
		return -ENOMEM;
	for (size_t i = domain->points.count; i-- > 0;)
		domain->example[domain->points.items[i].class] = (uint32_t)i;
	return 0;
}

/* A counting sort of the members by predicate: each gets its classes, ascending. */
static int fill_predicates(struct sweep *s, struct values_store *store)
{
	struct domain *domain = s->domain;
	size_t predicates = domain->predicates.count, members = s->members.count;
	size_t *at = calloc(predicates + 1, sizeof(*at));
	struct run *runs = calloc(members + 1, sizeof(*runs));
	int r = at && runs ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < members; i++)
		at[s->members.items[i] + 1]++;
	for (size_t p = 0; r == 0 && p < predicates; p++)
		at[p + 1] += at[p];
	for (size_t c = 0; r == 0 && c < s->classes.count; c++)
		for (size_t i = 0; i < s->classes.items[c].count; i++)
			runs[at[s->members.items[s->classes.items[c].at + i]]++] =
				(struct run){ (uint32_t)c, (uint32_t)c };
	for (size_t p = 0, from = 0; r == 0 && p < predicates; from = at[p++]) {
		size_t count = 0;
		for (size_t i = from; i < at[p]; i++) {
			if (count && runs[from + count - 1].last + 1 == runs[i].first)
				runs[from + count - 1].last = runs[i].last;
			else
				runs[from + count++] = runs[i];
		}
		domain->predicates.items[p].values = values_of(store, &runs[from], count);
	}
	free(at);
	free(runs);
	return r == 0 && !store->failed ? 0 : -ENOMEM;
}

int domain_close(struct domain *domain, struct values_store *store)
{
	struct sweep s = { .domain = domain };
	int r = -ENOMEM;

	s.active = calloc(domain->predicates.count + 1, sizeof(*s.active));
	s.place = calloc(domain->predicates.count + 1, sizeof(*s.place));
	if (s.active && s.place && collect_edges(&s) == 0 && sweep(&s) == 0 && find_examples(&s) == 0)
		r = fill_predicates(&s, store);
	free(s.active);
	free(s.place);
	free(s.edges.items);
	free(s.classes.items);
	free(s.members.items);
	free(s.buckets);
	if (r == 0)
		domain->all = values_range(store, 0, domain->class_count - 1);
	return r;
}

uint32_t domain_class(const struct domain *domain, struct key key)
{
	size_t low = 0, high = domain->points.count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (key_compare(domain->points.items[middle].first, key) <= 0)
			low = middle;
		else
			high = middle;
	}
	return domain->points.items[low].class;
}

struct span domain_span(const struct domain *domain, size_t point)
{
	struct span span = { domain->points.items[point].first, domain->max };

	if (point + 1 < domain->points.count) {
		struct key next = domain->points.items[point + 1].first;
		span.last = (struct key){ next.high - (next.low == 0), next.low - 1 };
	}
	return span;
}

struct key domain_example(const struct domain *domain, uint32_t class)
{
	return domain->points.items[domain->example[class]].first;
}
