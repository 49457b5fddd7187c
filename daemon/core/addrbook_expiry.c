/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "addrbook_parts.h"

/* Until when each address stays, and which one may not. */

enum { MARGIN_MIN_MS = 5 * 1000 };

const char *book_refuses_address(const struct addrbook *book, const struct named *named, const struct addr *addr)
{
	const char *unfit = address_unfit(addr, named->allow_private);

	return unfit ? unfit : book->refuses && book->refuses(book->refuses_userdata, addr) ? "own" : NULL;
}

/* One that answers held lives until stale after the last of them; one that answers left out until grace after
 * the first of those. While queries fail nothing is known to be left out, and grace stands still. But all live as long
 * as the server may use them, and those that no answer to us held live no longer. */
static int64_t expiry(const struct addrbook *book, const struct entry *entry, const struct book_address *address)
{
	if (address->origin == ORIGIN_OBSERVED)
		return address->held_ms;
	if (address->omitted_ms != INT64_MAX && entry->failures == 0)
		return most(later(address->omitted_ms, book->limits.grace_ms), address->held_ms);
	return most(later(address->confirmed_ms, book->limits.stale_ms), address->held_ms);
}

void entry_update_expiry(const struct addrbook *book, struct entry *entry)
{
	entry->next_expiry_ms = INT64_MAX;
	for (size_t i = 0; i < entry->count; i++) {
		entry->addresses[i].expires_ms = expiry(book, entry, &entry->addresses[i]);
		entry->next_expiry_ms = least(entry->next_expiry_ms, entry->addresses[i].expires_ms);
	}
}

/* Drops what is no longer fit; true where something was. */
bool book_recheck_named(struct addrbook *book, struct named *named)
{
	bool changed = false;

	for (size_t family = 0; family < FAMILIES; family++) {
		struct entry *entry = &named->entries[family];
		for (size_t i = entry->count; i-- > 0;) {
			if (!book_refuses_address(book, named, &entry->addresses[i].addr))
				continue;
			entry_remove_address(entry, i);
			entry->refused++;
			changed = true;
		}
		entry_update_expiry(book, entry);
	}
	return changed;
}

bool addrbook_recheck(struct addrbook *book)
{
	bool changed = false;

	for (size_t i = 0; i < book->count; i++)
		changed |= book_recheck_named(book, &book->names[i]);
	return changed;
}

/* The kernel's timeouts are renewed when they have lost half of it, so that it bounds how often that happens: the floor
 * matters where stale is a matter of minutes alone, and must not make that a matter of other minutes. */
int64_t name_margin_ms(int64_t stale_ms)
{
	return most(stale_ms / 28, MARGIN_MIN_MS); /* 6 hours for 7 days */
}

bool addrbook_expire_entry(struct addrbook *book, size_t index, int64_t now_ms)
{
	struct entry *entry = &book->names[index / FAMILIES].entries[index % FAMILIES];

	if (entry->next_expiry_ms > now_ms)
		return false;
	for (size_t i = entry->count; i-- > 0;)
		if (entry->addresses[i].expires_ms <= now_ms)
			entry_remove_address(entry, i);
	entry_update_expiry(book, entry);
	return true;
}

void addrbook_used(struct addrbook *book, const struct addr *addr, int64_t until_ms)
{
	size_t index;

	for (size_t i = 0; i < book->count; i++) {
		struct entry *entry = &book->names[i].entries[addr->family];
		if (!entry_find_address(entry, addr, &index) || entry->addresses[index].origin != ORIGIN_OBSERVED)
			continue;
		entry->addresses[index].held_ms = most(entry->addresses[index].held_ms, until_ms);
		entry_update_expiry(book, entry);
	}
}
