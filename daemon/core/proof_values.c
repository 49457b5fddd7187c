/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof_values.h"
#include "array.h"

#include <errno.h>
#include <string.h>

/* A default policy needs some hundred sets, a thousand protected servers some hundred thousand. */
enum { SETS_MAX = 1 << 22, CUTS_MAX = 1 << 24, BUCKETS_START = 1 << 10, CUTS_START = 1 << 12 };

struct values_entry {
	uint32_t at, count; /* in runs */
	uint32_t hash;
};

/* a split by b; a is never the empty set, which marks a free place. */
struct values_cut {
	uint32_t a, b, in, out; /* out OUT_UNKNOWN: nobody has asked yet */
};

enum { OUT_UNKNOWN = -1 };

static uint32_t mix(uint64_t value)
{
	value *= UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(value >> 32);
}

static uint32_t hash_runs(const struct run *runs, size_t count)
{
	uint32_t hash = 1;

	for (size_t i = 0; i < count; i++)
		hash = mix((uint64_t)hash << 32 ^ ((uint64_t)runs[i].first << 20 ^ runs[i].last) ^ hash);
	return hash;
}

int values_begin(struct values_store *store)
{
	*store = (struct values_store){
		.bucket_count = BUCKETS_START, .cut_capacity = CUTS_START, .runs_max = UINT32_MAX, .cuts_max = CUTS_MAX
	};
	store->buckets = calloc(store->bucket_count, sizeof(*store->buckets));
	store->cuts = calloc(store->cut_capacity, sizeof(*store->cuts));
	if (!store->buckets || !store->cuts || ARRAY_PUSH(&store->sets, (struct values_entry){ 0 }) < 0) {
		values_free(store);
		return -ENOMEM;
	}
	return 0;
}

void values_free(struct values_store *store)
{
	free(store->runs.items);
	free(store->sets.items);
	free(store->buckets);
	free(store->cuts);
	free(store->scratch[0].items);
	free(store->scratch[1].items);
	*store = (struct values_store){ 0 };
}

static bool grow_buckets(struct values_store *store)
{
	size_t count = store->bucket_count * 2;
	uint32_t *buckets = calloc(count, sizeof(*buckets));

	if (!buckets)
		return false;
	for (size_t i = 1; i < store->sets.count; i++) {
		size_t at = store->sets.items[i].hash & (count - 1);
		while (buckets[at])
			at = (at + 1) & (count - 1);
		buckets[at] = (uint32_t)i + 1;
	}
	free(store->buckets);
	store->buckets = buckets;
	store->bucket_count = count;
	return true;
}

static uint32_t failed(struct values_store *store)
{
	store->failed = true;
	return VALUES_NONE;
}

uint32_t values_of(struct values_store *store, const struct run *runs, size_t count)
{
	uint32_t hash = hash_runs(runs, count);
	size_t at = hash & (store->bucket_count - 1);

	if (!count || store->failed)
		return VALUES_NONE;
	for (; store->buckets[at]; at = (at + 1) & (store->bucket_count - 1)) {
		const struct values_entry *entry = &store->sets.items[store->buckets[at] - 1];
		if (entry->hash == hash && entry->count == count &&
		    memcmp(&store->runs.items[entry->at], runs, count * sizeof(*runs)) == 0)
			return store->buckets[at] - 1;
	}
	struct values_entry entry = { (uint32_t)store->runs.count, (uint32_t)count, hash };
	store->full = store->sets.count >= SETS_MAX || store->runs.count + count >= store->runs_max;
	if (store->full)
		return failed(store);
	for (size_t i = 0; i < count; i++)
		if (ARRAY_PUSH(&store->runs, runs[i]) < 0)
			return failed(store);
	if (ARRAY_PUSH(&store->sets, entry) < 0)
		return failed(store);
	uint32_t id = (uint32_t)store->sets.count - 1;
	store->buckets[at] = id + 1;
	if (store->sets.count * 2 > store->bucket_count && !grow_buckets(store))
		return failed(store);
	return id;
}

uint32_t values_range(struct values_store *store, uint32_t first, uint32_t last)
{
	return values_of(store, &(struct run){ first, last }, 1);
}

const struct run *values_runs(const struct values_store *store, uint32_t id, size_t *ret_count)
{
	*ret_count = store->sets.items[id].count;
	return &store->runs.items[store->sets.items[id].at];
}

uint32_t values_first(const struct values_store *store, uint32_t id)
{
	return store->runs.items[store->sets.items[id].at].first;
}

bool values_have(const struct values_store *store, uint32_t id, uint32_t value)
{
	const struct values_entry *entry = &store->sets.items[id];
	size_t low = entry->at, high = entry->at + entry->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (value < store->runs.items[middle].first)
			high = middle;
		else if (value > store->runs.items[middle].last)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

static void put_run(struct values_store *store, int side, uint32_t first, uint32_t last)
{
	if (ARRAY_PUSH(&store->scratch[side], (struct run){ first, last }) < 0)
		store->failed = true;
}

bool values_simple(const struct values_store *store, uint32_t a, uint32_t b)
{
	return a == b || store->sets.items[a].count <= 1 || store->sets.items[b].count <= 1;
}

/* Most sets are one run, most questions are about them: these are answered without remembering it. */
bool values_meet(struct values_store *store, uint32_t a, uint32_t b)
{
	const struct values_entry *x = &store->sets.items[a], *y = &store->sets.items[b];

	if (x->count > 1 && y->count > 1)
		return a == b || values_and(store, a, b);
	if (x->count > 1) {
		const struct values_entry *swap = x;
		x = y;
		y = swap;
	}
	if (!x->count || !y->count)
		return false;
	struct run run = store->runs.items[x->at], only = store->runs.items[y->at];
	if (y->count == 1)
		return only.first <= run.last && run.first <= only.last;
	size_t low = y->at, high = y->at + y->count;
	while (low < high) { /* the first that does not end before it begins */
		size_t middle = low + (high - low) / 2;
		if (store->runs.items[middle].last < run.first)
			low = middle + 1;
		else
			high = middle;
	}
	return low < y->at + y->count && store->runs.items[low].first <= run.last;
}

/* The runs of a, piece by piece: within b, or not. */
static void split_runs(struct values_store *store, uint32_t a, uint32_t b)
{
	const struct values_entry *x = &store->sets.items[a], *y = &store->sets.items[b];
	const struct run *other = &store->runs.items[y->at];
	size_t at = 0, high = y->count;

	/* a is often small, b large: what lies before a is skipped by halving. */
	while (x->count && at < high) {
		size_t middle = at + (high - at) / 2;
		if (other[middle].last < store->runs.items[x->at].first)
			at = middle + 1;
		else
			high = middle;
	}
	for (size_t i = 0; i < x->count; i++) {
		struct run run = store->runs.items[x->at + i];
		bool left = true;
		while (left && at < y->count && other[at].first <= run.last) {
			if (other[at].last < run.first) {
				at++;
				continue;
			}
			uint32_t first = other[at].first > run.first ? other[at].first : run.first,
				 last = other[at].last < run.last ? other[at].last : run.last;
			if (first > run.first)
				put_run(store, 1, run.first, first - 1);
			put_run(store, 0, first, last);
			left = last < run.last;
			run.first = last + 1;
		}
		if (left)
			put_run(store, 1, run.first, run.last);
	}
}

static bool grow_cuts(struct values_store *store)
{
	size_t capacity = store->cut_capacity * 2;
	struct values_cut *cuts = capacity <= store->cuts_max ? calloc(capacity, sizeof(*cuts)) : NULL;

	store->full = capacity > store->cuts_max;
	if (!cuts)
		return false;
	for (size_t i = 0; i < store->cut_capacity; i++) {
		const struct values_cut *cut = &store->cuts[i];
		if (!cut->a)
			continue;
		size_t at = mix((uint64_t)cut->a << 32 | cut->b) & (capacity - 1);
		while (cuts[at].a)
			at = (at + 1) & (capacity - 1);
		cuts[at] = *cut;
	}
	free(store->cuts);
	store->cuts = cuts;
	store->cut_capacity = capacity;
	return true;
}

static struct values_cut *find_cut(const struct values_store *store, uint32_t a, uint32_t b)
{
	size_t at = mix((uint64_t)a << 32 | b) & (store->cut_capacity - 1);

	while (store->cuts[at].a && (store->cuts[at].a != a || store->cuts[at].b != b))
		at = (at + 1) & (store->cut_capacity - 1);
	return &store->cuts[at];
}

static void remember(struct values_store *store, struct values_cut *cut, struct values_cut value)
{
	bool more = !cut->a;

	*cut = value;
	if (more && ++store->cut_count * 2 > store->cut_capacity && !grow_cuts(store))
		store->failed = true;
}

void values_split(struct values_store *store, uint32_t a, uint32_t b, uint32_t *ret_in, uint32_t *ret_out)
{
	*ret_in = *ret_out = VALUES_NONE;
	if (!a || store->failed)
		return;
	if (a == b) {
		*ret_in = a;
		return;
	}
	if (!values_meet(store, a, b)) {
		*ret_out = a;
		return;
	}
	struct values_cut *cut = find_cut(store, a, b);
	if (cut->a && cut->out != (uint32_t)OUT_UNKNOWN) {
		*ret_in = cut->in;
		*ret_out = cut->out;
		return;
	}
	store->scratch[0].count = store->scratch[1].count = 0;
	split_runs(store, a, b);
	*ret_in = values_of(store, store->scratch[0].items, store->scratch[0].count);
	*ret_out = values_of(store, store->scratch[1].items, store->scratch[1].count);
	remember(store, cut, (struct values_cut){ a, b, *ret_in, *ret_out });
}

/* What is left over is not made: of a large set, and each of its parts, that would be much. */
uint32_t values_and(struct values_store *store, uint32_t a, uint32_t b)
{
	if (!a || !b || store->failed)
		return VALUES_NONE;
	if (a == b)
		return a;
	struct values_cut *cut = find_cut(store, a, b);
	if (cut->a)
		return cut->in;
	bool swap = store->sets.items[a].count > store->sets.items[b].count;
	store->scratch[0].count = store->scratch[1].count = 0;
	split_runs(store, swap ? b : a, swap ? a : b);
	uint32_t in = values_of(store, store->scratch[0].items, store->scratch[0].count);
	remember(store, cut, (struct values_cut){ a, b, in, (uint32_t)OUT_UNKNOWN });
	return in;
}

uint32_t values_without(struct values_store *store, uint32_t a, uint32_t b)
{
	uint32_t in, out;

	values_split(store, a, b, &in, &out);
	return out;
}

static void append_run(struct values_store *store, struct run run)
{
	struct run *last = store->scratch[0].count ? &store->scratch[0].items[store->scratch[0].count - 1] : NULL;

	if (last && (uint64_t)run.first <= (uint64_t)last->last + 1) {
		if (run.last > last->last)
			last->last = run.last;
		return;
	}
	put_run(store, 0, run.first, run.last);
}

uint32_t values_or(struct values_store *store, uint32_t a, uint32_t b)
{
	if (a == b || !b)
		return a;
	if (!a)
		return b;
	const struct values_entry *x = &store->sets.items[a], *y = &store->sets.items[b];
	size_t i = 0, j = 0;

	store->scratch[0].count = 0;
	while (i < x->count || j < y->count) {
		const struct run *p = &store->runs.items[x->at], *q = &store->runs.items[y->at];
		bool from_a = j == y->count || (i < x->count && p[i].first <= q[j].first);
		append_run(store, from_a ? p[i++] : q[j++]);
	}
	return values_of(store, store->scratch[0].items, store->scratch[0].count);
}
