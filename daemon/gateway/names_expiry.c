/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/array.h"
#include "gateway/names_parts.h"
#include "net/conntrack.h"

#include <errno.h>

/* The end of addresses. What was observed lives on as long as a connection uses it. */

enum { USAGE_EVERY_MS = 30 * 1000 };

/* Observed addresses whose time is over, and whether a connection uses them. */
struct ending {
	struct ending_address {
		struct addr addr;
		bool used;
	} * items; /* ascending */
	size_t count, capacity;
};

static int ending_order(const void *a, const void *b)
{
	return addr_compare(&((const struct ending_address *)a)->addr, &((const struct ending_address *)b)->addr);
}

static int find_ending(const struct names *names, int64_t now, struct ending *ret)
{
	struct book_entry entry;

	for (size_t i = 0; i < addrbook_count(names->book); i++) {
		addrbook_entry(names->book, i, &entry);
		for (size_t a = 0; entry.next_expiry_ms <= now && a < entry.address_count; a++) {
			const struct book_address *address = &entry.addresses[a];
			struct ending_address item = { .addr = address->addr };
			if (address->origin == ORIGIN_OBSERVED && address->expires_ms <= now &&
			    ARRAY_PUSH(ret, item) < 0)
				return -ENOMEM;
		}
	}
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), ending_order);
	return 0;
}

static void see_used(void *userdata, const struct tracked *tracked)
{
	struct ending *ending = userdata;
	struct ending_address key = { .addr = tracked->packet.target };
	struct ending_address *found = bsearch(&key, ending->items, ending->count, sizeof(key), ending_order);

	if (found)
		found->used = true;
}

/* Connections are not read more often than now and then: the end waits. Where they can't be read, it waits as well. */
static void renew_used(struct names *names, int64_t now)
{
	bool lately = names->usage_read_ms && now - names->usage_read_ms < USAGE_EVERY_MS;
	struct ending ending = { 0 };
	bool renewed = false;

	if (addrbook_next_event(names->book) > now)
		return;
	int r = find_ending(names, now, &ending);
	if (r == 0 && ending.count && !lately) {
		names->usage_read_ms = now;
		r = conntrack_look(&names->file->policy.protected_all, see_used, &ending);
	}
	int64_t until = lately ? names->usage_read_ms + USAGE_EVERY_MS : now + USAGE_EVERY_MS;
	for (size_t i = 0; i < ending.count; i++) {
		if (r == 0 && !lately && !ending.items[i].used)
			continue;
		addrbook_used(names->book, &ending.items[i].addr, until);
		renewed = true;
	}
	free(ending.items);
	if (renewed)
		names->events.changed(names->userdata, NULL);
}

/* That the last address of a name is gone while DNS fails is what an administrator must hear. */
void names_expire(struct names *names, int64_t now)
{
	struct book_entry entry;
	bool changed = false;

	renew_used(names, now);
	for (size_t i = 0; i < addrbook_count(names->book); i++) {
		addrbook_entry(names->book, i, &entry);
		enum book_state before = entry.state;
		if (!addrbook_expire_entry(names->book, i, now))
			continue;
		addrbook_entry(names->book, i, &entry);
		names_see_state(names, &entry, before);
		changed = true;
	}
	if (!changed)
		return;
	names->unsaved = true;
	names->events.changed(names->userdata, NULL);
}
