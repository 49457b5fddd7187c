/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "addrbook_parts.h"
#include "hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an answer, a failure or the memory of them makes of an entry. */

enum {
	RETRY_FIRST_MS = 2 * 1000,
	RETRY_NOTHING_SERVES_MS = 60 * 1000, /* retries slow down to this while there is no address at all */
	HELD_MAX_MS = 24 * 60 * 60 * 1000,   /* Windows and the usual resolvers keep no answer for longer */
	HELD_MIN_MS = 2 * 60 * 1000,         /* nor does a connection take longer to come about */
};

/* It doubles with the time that queries have failed for, and not with their number: a query that a denial or a user
 * caused in between must not delay when the end of an outage is noticed. */
static int64_t retry_interval(const struct addrbook *book, const struct entry *entry, int64_t now_ms)
{
	int64_t cap = book_longest_interval(book);
	int64_t first = least(RETRY_FIRST_MS, most(book->limits.min_interval_ms, INTERVAL_FLOOR_MS));

	if (entry->count == 0)
		cap = least(cap, RETRY_NOTHING_SERVES_MS);
	return least(later(first, most(now_ms - entry->failing_since_ms, 0)), cap);
}

void entry_remove_address(struct entry *entry, size_t index)
{
	entry->count--;
	memmove(&entry->addresses[index], &entry->addresses[index + 1],
		(entry->count - index) * sizeof(*entry->addresses));
}

/* *ret_index: where the address is (true), or belongs. */
bool entry_find_address(const struct entry *entry, const struct addr *addr, size_t *ret_index)
{
	size_t low = 0, high = entry->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = addr_compare(addr, &entry->addresses[middle].addr);
		if (order == 0) {
			*ret_index = middle;
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*ret_index = low;
	return false;
}

static int reserve(struct entry *entry, size_t more)
{
	size_t needed = more > BOOK_ADDRESSES_MAX - entry->count ? BOOK_ADDRESSES_MAX : entry->count + more;

	if (needed <= entry->capacity)
		return 0;
	struct book_address *grown = realloc(entry->addresses, needed * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	entry->addresses = grown;
	entry->capacity = needed;
	return 0;
}

/* Of those that were observed alone (observed) or of the others, the one that was confirmed longest ago; NULL: none. */
static const struct book_address *oldest_of(const struct entry *entry, bool observed)
{
	const struct book_address *oldest = NULL;

	for (size_t i = 0; i < entry->count; i++)
		if ((entry->addresses[i].origin == ORIGIN_OBSERVED) == observed &&
		    (!oldest || entry->addresses[i].confirmed_ms < oldest->confirmed_ms))
			oldest = &entry->addresses[i];
	return oldest;
}

/* Room for one more where the cap is reached: the one confirmed longest ago goes, but none as new as this. What was
 * observed gives way before all others, and takes the place of none of them. */
static bool make_room(struct entry *entry, const struct book_address *address)
{
	bool observed = address->origin == ORIGIN_OBSERVED;

	if (entry->count < BOOK_ADDRESSES_MAX)
		return true;
	const struct book_address *oldest = oldest_of(entry, true);
	if (!oldest && !observed)
		oldest = oldest_of(entry, false);
	if (!oldest ||
	    (oldest->confirmed_ms >= address->confirmed_ms && (observed || oldest->origin != ORIGIN_OBSERVED)))
		return false;
	entry_remove_address(entry, (size_t)(oldest - entry->addresses));
	entry->refused++;
	return true;
}

/* Enough capacity was reserved. */
static bool insert_address(struct entry *entry, const struct book_address *address)
{
	size_t index;

	if (!make_room(entry, address)) {
		entry->refused++;
		return false;
	}
	entry_find_address(entry, &address->addr, &index);
	memmove(&entry->addresses[index + 1], &entry->addresses[index],
		(entry->count - index) * sizeof(*entry->addresses));
	entry->addresses[index] = *address;
	entry->count++;
	return true;
}

/* Until when the server may use an address of an answer that it got. */
static int64_t held_until(uint32_t ttl_s, int64_t now_ms)
{
	return later(now_ms, least(most((int64_t)ttl_s * 1000, HELD_MIN_MS), HELD_MAX_MS));
}

static struct book_address answered_address(const struct addr *addr, uint32_t ttl_s, enum book_origin origin,
					    int64_t now_ms)
{
	return (struct book_address){
		.addr = *addr,
		.origin = origin,
		.confirmed_ms = now_ms,
		.held_ms = origin == ORIGIN_OBSERVED ? held_until(ttl_s, now_ms) : now_ms,
		.omitted_ms = INT64_MAX,
		.in_answer = true,
	};
}

static bool fits(const struct addrbook *book, const struct named *named, enum family family, const struct addr *addr)
{
	return addr->family == family && !book_refuses_address(book, named, addr);
}

/* The sum over some addresses shows whether they are the same as before. */
static uint64_t mark_of(const struct addr *addr)
{
	uint64_t of_family = hash_bytes(HASH_START, &addr->family, sizeof(addr->family));
	return hash_bytes(of_family, addr->bytes, addr_size((enum family)addr->family));
}

/* An answer that the server got changes nothing of an address that we were answered, but how long it may be used. */
static void confirm(struct book_address *known, uint32_t ttl_s, enum book_origin origin, int64_t now_ms)
{
	int64_t held_ms = known->held_ms;

	if (origin == ORIGIN_OBSERVED && known->origin != ORIGIN_OBSERVED) {
		known->held_ms = most(held_ms, held_until(ttl_s, now_ms));
		if (known->omitted_ms != INT64_MAX)
			known->omitted_ms = most(known->omitted_ms, known->held_ms);
		return;
	}
	*known = answered_address(&known->addr, ttl_s, origin, now_ms);
	known->held_ms = most(known->held_ms, held_ms);
}

/* Where there is no memory it is counted alone. */
static void note_refused(struct entry *entry, const struct addr *addr, const char *why)
{
	entry->refused++;
	entry->refused_mark += mark_of(addr);
	if (!entry->refused_addresses)
		entry->refused_addresses = calloc(BOOK_REFUSED_MAX, sizeof(*entry->refused_addresses));
	if (entry->refused_addresses && entry->refused_count < BOOK_REFUSED_MAX)
		entry->refused_addresses[entry->refused_count++] = (struct book_refused){ *addr, why };
}

/* The known ones first: what is confirmed must not give way to what is new in the same answer. */
static bool merge(const struct addrbook *book, const struct named *named, struct entry *entry, enum family family,
		  const struct addr *addresses, size_t count, uint32_t ttl_s, enum book_origin origin, int64_t now_ms)
{
	bool changed = false;
	size_t index;

	entry->refused_mark = 0;
	entry->refused_count = 0;
	for (size_t i = 0; i < count; i++)
		if (fits(book, named, family, &addresses[i]) && entry_find_address(entry, &addresses[i], &index))
			confirm(&entry->addresses[index], ttl_s, origin, now_ms);
	for (size_t i = 0; i < count; i++) {
		const char *why = addresses[i].family == family ? book_refuses_address(book, named, &addresses[i])
								: "of the other family";
		if (why) {
			note_refused(entry, &addresses[i], why);
		} else if (!entry_find_address(entry, &addresses[i], &index)) {
			struct book_address address = answered_address(&addresses[i], ttl_s, origin, now_ms);
			changed |= insert_address(entry, &address);
		}
	}
	return changed;
}

/* Before an answer is merged: nothing is in it yet, and grace goes on where it stood when queries began to fail. */
static void begin_answer(struct entry *entry, int64_t now_ms)
{
	int64_t outage = entry->failures > 0 ? most(now_ms - entry->failing_since_ms, 0) : 0;

	for (size_t i = 0; i < entry->count; i++) {
		struct book_address *address = &entry->addresses[i];
		address->in_answer = false;
		if (address->omitted_ms != INT64_MAX)
			address->omitted_ms = later(address->omitted_ms, outage);
	}
	entry->failures = 0;
	entry->silent_ms = INT64_MAX;
	entry->running = entry->retry_at_once = false;
	entry->ever_answered = true;
	entry->last_answer_ms = now_ms;
	entry->error[0] = '\0';
}

static void end_answer(struct entry *entry, int64_t now_ms)
{
	for (size_t i = 0; i < entry->count; i++) {
		struct book_address *address = &entry->addresses[i];
		if (!address->in_answer && address->omitted_ms == INT64_MAX)
			address->omitted_ms = most(now_ms, address->held_ms);
	}
}

int addrbook_answered(struct addrbook *book, const char *name, enum family family, const struct addr *addresses,
		      size_t count, uint32_t ttl_s, enum book_origin origin, int64_t now_ms, bool *ret_changed)
{
	struct named *named = book_find(book, name);
	struct entry *entry = book_find_entry(book, name, family);

	*ret_changed = false;
	if (!entry)
		return -ENOENT;
	if (reserve(entry, count) < 0)
		return -ENOMEM;

	if (origin == ORIGIN_QUERIED)
		begin_answer(entry, now_ms);
	*ret_changed = merge(book, named, entry, family, addresses, count, ttl_s, origin, now_ms);
	if (origin == ORIGIN_QUERIED) {
		end_answer(entry, now_ms);
		int64_t ttl_ms = most((int64_t)ttl_s * 1000, book->limits.min_interval_ms);
		entry_schedule(book, entry, least(ttl_ms, book_longest_interval(book)), now_ms);
		entry_query_again(entry, now_ms);
	}
	entry_update_expiry(book, entry);
	return 0;
}

int addrbook_failed(struct addrbook *book, const char *name, enum family family, const char *error, int64_t now_ms)
{
	struct entry *entry = book_find_entry(book, name, family);

	if (!entry)
		return -ENOENT;
	if (entry->failures == 0)
		entry->failing_since_ms = now_ms;
	if (entry->failures < UINT32_MAX)
		entry->failures++;
	snprintf(entry->error, sizeof(entry->error), "%s", error);
	entry->silent_ms = INT64_MAX;
	entry_schedule(book, entry, retry_interval(book, entry, now_ms), now_ms);
	if (entry->retry_at_once)
		entry_make_due(entry, now_ms, now_ms);
	entry_query_again(entry, now_ms);
	entry->running = entry->retry_at_once = false;
	entry_update_expiry(book, entry);
	return 0;
}

int addrbook_failed_silently(struct addrbook *book, const char *name, enum family family, const char *error,
			     int64_t now_ms)
{
	struct entry *entry = book_find_entry(book, name, family);
	int64_t silent_ms = entry && entry->silent_ms != INT64_MAX ? entry->silent_ms : now_ms;

	int r = addrbook_failed(book, name, family, error, now_ms);
	if (r == 0 && entry)
		entry->silent_ms = silent_ms;
	return r;
}

static int remember(struct addrbook *book, struct named *named, const struct book_address *address)
{
	struct entry *entry = &named->entries[address->addr.family];
	size_t index;

	if (entry_find_address(entry, &address->addr, &index))
		return 0;
	if (book_refuses_address(book, named, &address->addr)) {
		entry->refused++;
		return 0;
	}
	if (reserve(entry, 1) < 0)
		return -ENOMEM;
	insert_address(entry, address);
	entry_update_expiry(book, entry);
	return 0;
}

int addrbook_remember(struct addrbook *book, const char *name, const struct addr *addr, int64_t age_ms, int64_t now_ms)
{
	struct named *named = book_find(book, name);
	int64_t confirmed_ms = later(now_ms, age_ms > 0 ? -age_ms : 0);
	struct book_address address = { .addr = *addr,
					.origin = ORIGIN_REMEMBERED,
					.confirmed_ms = confirmed_ms,
					.held_ms = confirmed_ms,
					.omitted_ms = INT64_MAX };

	if (!book_find_entry(book, name, addr->family))
		return -ENOENT;
	/* An age from a file may be any number. */
	if (age_ms >= book->limits.stale_ms)
		return 0;
	if (named->text[0] == '*')
		return addrbook_remember_observed(book, name, addr, book->limits.stale_ms - most(age_ms, 0), now_ms);
	return remember(book, named, &address);
}

int addrbook_remember_observed(struct addrbook *book, const char *name, const struct addr *addr, int64_t left_ms,
			       int64_t now_ms)
{
	struct named *named = book_find(book, name);
	struct book_address address = { .addr = *addr,
					.origin = ORIGIN_OBSERVED,
					.confirmed_ms = now_ms - 1,
					.held_ms = later(now_ms, least(left_ms, HELD_MAX_MS)),
					.omitted_ms = INT64_MAX };

	if (!book_find_entry(book, name, addr->family))
		return -ENOENT;
	return left_ms > 0 ? remember(book, named, &address) : 0;
}
