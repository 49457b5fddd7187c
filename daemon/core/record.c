/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record.h"
#include "array.h"
#include "hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HOUR_S = 60 * 60, BUCKETS_FIRST = 64 };

#define NONE UINT32_MAX
#define NO_FLOW UINT16_MAX

static const uint8_t network_bits[FAMILIES] = { [FAMILY_4] = 24, [FAMILY_6] = 48 };
static const uint32_t most[RECORD_LEVELS] = { RECORD_ADDRESSES, RECORD_NETWORKS, UINT32_MAX };

void record_init(struct record *record, uint64_t seed)
{
	*record = (struct record){ .seed = seed, .newest = NONE, .oldest = NONE, .free = NONE };
	memset(record->flow_buckets, 0xff, sizeof(record->flow_buckets));
}

void record_free(struct record *record)
{
	uint64_t seed = record->seed;

	free(record->items);
	free(record->buckets);
	free(record->flows);
	record_init(record, seed);
}

/* Flows */

static size_t flow_bucket(const struct record *record, const char *name)
{
	return hash_bytes(record->seed, name, strlen(name)) % RECORD_FLOW_BUCKETS;
}

static uint16_t find_flow(const struct record *record, const char *name)
{
	uint16_t at = record->flow_buckets[flow_bucket(record, name)];

	while (at != NO_FLOW && strcmp(record->flows[at].name, name) != 0)
		at = record->flows[at].chain;
	return at;
}

const struct record_flow *record_find(const struct record *record, const char *flow)
{
	uint16_t at = find_flow(record, flow);
	return at == NO_FLOW ? NULL : &record->flows[at];
}

static uint16_t free_slot(struct record *record)
{
	for (size_t i = 0; i < record->flow_count; i++)
		if (!record->flows[i].used)
			return (uint16_t)i;
	if (record->flow_count == RECORD_FLOWS_MAX)
		return NO_FLOW;
	if (record->flow_count == record->flow_capacity) {
		struct record_flow *grown = array_grow(record->flows, &record->flow_capacity, sizeof(*record->flows));
		if (!grown)
			return NO_FLOW;
		record->flows = grown;
	}
	return (uint16_t)record->flow_count++;
}

/* A flow that it has no room for: from then on it can't be said that one was never used. */
static int want_flow(struct record *record, const char *name, uint16_t *ret)
{
	*ret = find_flow(record, name);
	if (*ret != NO_FLOW)
		return 0;
	bool full = record->flow_count == RECORD_FLOWS_MAX;
	*ret = strlen(name) <= CONFIG_ID_MAX ? free_slot(record) : NO_FLOW;
	if (*ret == NO_FLOW) {
		record->watched_ms = 0;
		return full ? -ENOSPC : -ENOMEM;
	}
	uint16_t *bucket = &record->flow_buckets[flow_bucket(record, name)];
	struct record_flow *flow = &record->flows[*ret];
	*flow = (struct record_flow){ .used = true, .chain = *bucket };
	strcpy(flow->name, name);
	*bucket = *ret;
	return 0;
}

static void drop_flow(struct record *record, uint16_t index)
{
	uint16_t *at = &record->flow_buckets[flow_bucket(record, record->flows[index].name)];

	while (*at != index)
		at = &record->flows[*at].chain;
	*at = record->flows[index].chain;
	record->flows[index].used = false;
}

static bool has_entries(const struct record_flow *flow)
{
	for (int kind = 0; kind < RECORD_KINDS; kind++)
		for (int level = 0; level < RECORD_LEVELS; level++)
			if (flow->entries[kind][level])
				return true;
	return false;
}

/* Entries: in chains by their hash, and in one list by when they were used last. */

static enum record_level level_of(const struct record_entry *entry)
{
	return !entry->prefix                                      ? RECORD_ALL
	       : entry->prefix == network_bits[entry->peer.family] ? RECORD_NETWORK
								   : RECORD_ADDRESS;
}

static void cut_to(struct addr *addr, unsigned bits)
{
	for (unsigned i = 0; i < sizeof(addr->bytes); i++) {
		unsigned kept = bits > 8 * i ? bits - 8 * i : 0;
		if (kept < 8)
			addr->bytes[i] &= (uint8_t)(0xff00 >> kept);
	}
}

static void set_level(struct record_entry *entry, enum record_level level)
{
	entry->prefix = (uint8_t)(level == RECORD_ADDRESS   ? addr_bits(entry->peer.family)
				  : level == RECORD_NETWORK ? network_bits[entry->peer.family]
							    : 0);
	cut_to(&entry->peer, entry->prefix);
	if (level == RECORD_ALL)
		entry->port = 0;
}

static size_t bucket_of(const struct record *record, const struct record_entry *entry)
{
	const uint16_t numbers[] = { entry->flow, entry->port,     entry->prefix,
				     entry->kind, entry->protocol, entry->peer.family };
	uint64_t hash = hash_bytes(record->seed, numbers, sizeof(numbers));

	hash = hash_bytes(hash, entry->peer.bytes, sizeof(entry->peer.bytes));
	return (size_t)(hash % record->bucket_count);
}

static bool same_key(const struct record_entry *a, const struct record_entry *b)
{
	return a->flow == b->flow && a->port == b->port && a->prefix == b->prefix && a->kind == b->kind &&
	       a->protocol == b->protocol && addr_compare(&a->peer, &b->peer) == 0;
}

static uint32_t find_entry(const struct record *record, const struct record_entry *key)
{
	uint32_t at = record->bucket_count ? record->buckets[bucket_of(record, key)] : NONE;

	while (at != NONE && !same_key(&record->items[at], key))
		at = record->items[at].chain;
	return at;
}

static void unlink_entry(struct record *record, uint32_t at)
{
	const struct record_entry *entry = &record->items[at];

	*(entry->newer == NONE ? &record->newest : &record->items[entry->newer].older) = entry->older;
	*(entry->older == NONE ? &record->oldest : &record->items[entry->older].newer) = entry->newer;
}

static void link_newest(struct record *record, uint32_t at)
{
	struct record_entry *entry = &record->items[at];

	entry->newer = NONE;
	entry->older = record->newest;
	*(record->newest == NONE ? &record->oldest : &record->items[record->newest].newer) = at;
	record->newest = at;
}

static uint32_t *count_of(struct record *record, const struct record_entry *entry)
{
	return &record->flows[entry->flow].entries[entry->kind][level_of(entry)];
}

static void drop_entry(struct record *record, uint32_t at)
{
	struct record_entry *entry = &record->items[at];
	uint32_t *link = &record->buckets[bucket_of(record, entry)];

	while (*link != at)
		link = &record->items[*link].chain;
	*link = entry->chain;
	unlink_entry(record, at);
	--*count_of(record, entry);
	entry->chain = record->free;
	record->free = at;
	record->used--;
}

/* Without memory the chains are longer. */
static int grow_buckets(struct record *record)
{
	size_t wanted = record->bucket_count ? 2 * record->bucket_count : BUCKETS_FIRST;
	uint32_t *grown = calloc(wanted, sizeof(*grown));

	if (!grown)
		return record->bucket_count ? 0 : -ENOMEM;
	free(record->buckets);
	record->buckets = grown;
	record->bucket_count = wanted;
	memset(grown, 0xff, wanted * sizeof(*grown));
	for (uint32_t at = record->newest; at != NONE; at = record->items[at].older) {
		uint32_t *bucket = &grown[bucket_of(record, &record->items[at])];
		record->items[at].chain = *bucket;
		*bucket = at;
	}
	return 0;
}

static int make_room(struct record *record, uint32_t *ret)
{
	if (record->used >= record->bucket_count && grow_buckets(record) < 0)
		return -ENOMEM;
	if (record->used == RECORD_ENTRIES_MAX)
		drop_entry(record, record->oldest);
	if (record->free != NONE) {
		*ret = record->free;
		record->free = record->items[*ret].chain;
		return 0;
	}
	if (ARRAY_PUSH(record, (struct record_entry){ 0 }) < 0)
		return -ENOMEM;
	*ret = (uint32_t)(record->count - 1);
	return 0;
}

static int add_entry(struct record *record, const struct record_entry *key, uint32_t *ret)
{
	int r = make_room(record, ret);

	if (r < 0)
		return r;
	uint32_t *bucket = &record->buckets[bucket_of(record, key)];
	record->items[*ret] = *key;
	record->items[*ret].chain = *bucket;
	*bucket = *ret;
	link_newest(record, *ret);
	record->used++;
	++*count_of(record, key);
	return 0;
}

/* The entry that stands for a peer: one that is there already, or a new one of the first level that has room. */
static int want_entry(struct record *record, struct record_entry key, uint32_t *ret)
{
	struct record_entry fresh = key;
	bool placed = false;

	for (enum record_level level = 0; level < RECORD_LEVELS; level++) {
		set_level(&key, level);
		*ret = find_entry(record, &key);
		if (*ret != NONE)
			return 0;
		if (!placed && *count_of(record, &key) < most[level]) {
			fresh = key;
			placed = true;
		}
	}
	return add_entry(record, &fresh, ret);
}

static int note(struct record *record, uint16_t flow, const struct record_peer *peer, enum record_kind kind,
		uint64_t count, int64_t now_s)
{
	struct record_entry key = { .peer = peer->addr,
				    .port = peer->port,
				    .protocol = (uint8_t)peer->protocol,
				    .kind = (uint8_t)kind,
				    .flow = flow,
				    .first_s = now_s };
	uint32_t at;

	int r = want_entry(record, key, &at);
	if (r < 0)
		return r;
	struct record_entry *entry = &record->items[at];
	entry->count += count;
	entry->last_s = now_s;
	unlink_entry(record, at);
	link_newest(record, at);
	return 0;
}

/* A clock that was set back goes on in the hour that it had reached, unless that is far off. */
static void note_opened(struct record_flow *flow, int64_t now_s)
{
	int64_t hour = now_s / HOUR_S;

	if (hour >= flow->hour + RECORD_HOURS || hour <= flow->hour - RECORD_HOURS) {
		memset(flow->hours, 0, sizeof(flow->hours));
		flow->hour = hour;
	}
	while (flow->hour < hour)
		flow->hours[++flow->hour % RECORD_HOURS] = 0;
	uint32_t *count = &flow->hours[flow->hour % RECORD_HOURS];
	*count += *count < UINT32_MAX;
}

int record_connection(struct record *record, const char *flow, const struct record_peer *peer, bool opened,
		      int64_t now_s)
{
	uint16_t at;

	int r = want_flow(record, flow, &at);
	if (r < 0)
		return r == -ENOSPC ? 0 : r;
	record->flows[at].last_s = now_s;
	if (opened)
		note_opened(&record->flows[at], now_s);
	return note(record, at, peer, RECORD_ALLOWED, opened, now_s);
}

int record_denied(struct record *record, const char *flow, const struct record_peer *peer, uint64_t packets,
		  int64_t now_s)
{
	uint16_t at;

	int r = want_flow(record, flow ? flow : "", &at);
	if (r < 0)
		return r == -ENOSPC ? 0 : r;
	return note(record, at, peer, RECORD_DENIED, packets, now_s);
}

void record_pass(struct record *record, int64_t watched_ms, int64_t now_s)
{
	int64_t limit = INT64_C(1000) * RECORD_KEPT_S;

	record->watched_ms += watched_ms < limit - record->watched_ms ? watched_ms : limit - record->watched_ms;
	while (record->oldest != NONE && record->items[record->oldest].last_s < now_s - RECORD_KEPT_S)
		drop_entry(record, record->oldest);
	for (size_t i = 0; i < record->flow_count; i++) {
		const struct record_flow *flow = &record->flows[i];
		if (flow->used && flow->last_s < now_s - RECORD_KEPT_S && !has_entries(flow))
			drop_flow(record, (uint16_t)i);
	}
}

uint64_t record_opened(const struct record_flow *flow, int64_t now_s)
{
	int64_t hour = now_s / HOUR_S, first = hour - RECORD_HOURS;
	uint64_t sum = 0;

	for (int64_t at = flow->hour; at > first && at > flow->hour - RECORD_HOURS && at >= 0; at--)
		sum += flow->hours[at % RECORD_HOURS];
	return sum;
}

int64_t record_kept_s(const struct record *record)
{
	return record->watched_ms / 1000;
}

const struct record_entry *record_next(const struct record *record, const struct record_entry *entry)
{
	uint32_t at = entry ? entry->older : record->newest;
	return at == NONE ? NULL : &record->items[at];
}

const char *record_flow_of(const struct record *record, const struct record_entry *entry)
{
	return record->flows[entry->flow].name;
}

struct range record_peers(const struct record_entry *entry)
{
	struct range range = { entry->peer, entry->peer };

	for (unsigned i = 0; i < addr_size(entry->peer.family); i++) {
		unsigned kept = entry->prefix > 8 * i ? entry->prefix - 8 * i : 0;
		if (kept < 8)
			range.last.bytes[i] |= (uint8_t)(0xff >> kept);
	}
	return range;
}

int record_put(struct record *record, const char *flow, const struct record_entry *entry)
{
	struct record_entry fresh = *entry;
	uint32_t at;

	set_level(&fresh, level_of(entry));
	int r = want_flow(record, flow, &fresh.flow);
	if (r < 0 || find_entry(record, &fresh) != NONE)
		return r == -ENOMEM ? r : 0;
	return add_entry(record, &fresh, &at);
}

int record_put_flow(struct record *record, const struct record_flow *flow)
{
	uint16_t at;
	int r = want_flow(record, flow->name, &at);

	if (r < 0)
		return r == -ENOSPC ? 0 : r;
	struct record_flow *to = &record->flows[at];
	to->last_s = flow->last_s;
	to->hour = flow->hour;
	memcpy(to->hours, flow->hours, sizeof(to->hours));
	return 0;
}
