/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clock.h"
#include "core/unfit.h"
#include "gateway/names_parts.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the names have, and what they have ever held. */

/* Every address that a name has now, it has held; but what the server alone was answered is not remembered, and stays
 * in the book as long as a connection uses it. */
void names_note_held(struct names *names, const struct book_entry *entry)
{
	int64_t now_s = wall_s();

	for (size_t i = 0; i < entry->address_count; i++)
		if (entry->addresses[i].origin != ORIGIN_OBSERVED &&
		    held_note(&names->held, entry->name, &entry->addresses[i].addr, now_s) < 0)
			log_error("out of memory: an address that %s has held is forgotten", entry->name);
}

void names_note_all_held(struct names *names)
{
	struct book_entry entry;

	for (size_t i = 0; i < addrbook_count(names->book); i++) {
		addrbook_entry(names->book, i, &entry);
		names_note_held(names, &entry);
	}
}

void names_remember(struct names *names, const char *name, const struct addr *addr, int64_t age_ms)
{
	if (addrbook_remember(names->book, name, addr, age_ms, now_ms()) == -ENOMEM)
		log_error("out of memory: an address of %s in the kernel is forgotten", name);
}

/* The kernel must not drop what the book still has: grace may be longer than stale, and count from an observed TTL's
 * end. */
static int64_t deadline(const struct book_address *address, int64_t stale_ms, int64_t margin_ms)
{
	int64_t stale_end = address->origin == ORIGIN_OBSERVED ? 0 : address->confirmed_ms + stale_ms;
	return (address->expires_ms > stale_end ? address->expires_ms : stale_end) + margin_ms;
}

/* A connection to an address of a family that the name may not have is denied, whatever it has held. */
static bool has_family(const struct policy_name *name, enum family family)
{
	return name->families & 1U << family;
}

/* What was observed while a name was a target alone is not believed of it when it has become a source. */
static bool counts(const struct policy_name *name, const struct book_address *address)
{
	return name->observed || address->origin != ORIGIN_OBSERVED;
}

/* The book refuses these by the policy in force; the one that is looked at may protect more. */
static bool is_protected(const struct policy *policy, const struct addr *addr)
{
	return ranges_contains(&policy->protected_all, addr);
}

static int view_of(const struct policy *policy, const struct policy_name *name, const struct book_entry *entry,
		   struct name_addresses *ret)
{
	int64_t stale_ms = policy->stale_ms, margin_ms = name_margin_ms(stale_ms);

	ret->items = calloc(entry->address_count + 1, sizeof(*ret->items));
	if (!ret->items)
		return -ENOMEM;
	for (size_t i = 0; i < entry->address_count; i++)
		if (counts(name, &entry->addresses[i]) && !is_protected(policy, &entry->addresses[i].addr))
			ret->items[ret->count++] =
				(struct name_address){ entry->addresses[i].addr,
						       deadline(&entry->addresses[i], stale_ms, margin_ms) };
	return 0;
}

static int new_view(const struct policy *policy, struct names_view *ret)
{
	*ret = (struct names_view){ .names = calloc(policy->name_count + 1, sizeof(*ret->names)),
				    .count = policy->name_count };
	return ret->names ? 0 : -ENOMEM;
}

int names_view(const struct names *names, const struct policy *policy, struct names_view *ret)
{
	struct book_entry entry;

	if (new_view(policy, ret) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < policy->name_count; i++)
		for (enum family family = 0; family < FAMILIES; family++)
			if (has_family(&policy->names[i], family) &&
			    addrbook_find(names->book, policy->names[i].name, family, &entry) == 0 &&
			    view_of(policy, &policy->names[i], &entry, &ret->names[i][family]) < 0)
				return -ENOMEM;
	return 0;
}

/* What the name has held, and what it has now: both ascend. */
static int held_view_of(const struct policy *policy, const struct policy_name *name, const struct held_address *held,
			size_t count, const struct book_entry *entry, struct name_addresses *ret)
{
	size_t h = 0, b = 0;

	ret->items = calloc(count + entry->address_count + 1, sizeof(*ret->items));
	if (!ret->items)
		return -ENOMEM;
	while (h < count || b < entry->address_count) {
		int order = h == count                  ? 1
			    : b == entry->address_count ? -1
							: addr_compare(&held[h].addr, &entry->addresses[b].addr);
		const struct addr *addr = order > 0 ? &entry->addresses[b].addr : &held[h].addr;
		if (addr->family == entry->family && !is_protected(policy, addr) &&
		    (order <= 0 || counts(name, &entry->addresses[b])))
			ret->items[ret->count++].addr = *addr;
		h += order <= 0;
		b += order >= 0;
	}
	return 0;
}

int names_held_view(struct names *names, const struct policy *policy, struct names_view *ret)
{
	if (new_view(policy, ret) < 0)
		return -ENOMEM;
	names_note_all_held(names); /* what came from the elements of an adopted table is in no file yet */
	for (size_t i = 0; i < policy->name_count; i++) {
		size_t count;
		const struct held_address *held = held_of(&names->held, policy->names[i].name, &count);
		for (enum family family = 0; family < FAMILIES; family++) {
			struct book_entry entry = { .family = family };
			if (!has_family(&policy->names[i], family))
				continue;
			addrbook_find(names->book, policy->names[i].name, family, &entry);
			if (held_view_of(policy, &policy->names[i], held, count, &entry, &ret->names[i][family]) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

static bool uses(const struct endpoint *endpoint, const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < endpoint->name_count; i++)
		if (strcmp(policy->names[endpoint->names[i]].name, name) == 0)
			return true;
	return false;
}

const struct policy_flow *names_private_flow(const struct names *names, const char *name,
					     const struct book_refused *refused)
{
	const struct policy *policy = names->file ? &names->file->policy : NULL;

	if (!policy || !address_unfit(&refused->addr, false) || address_unfit(&refused->addr, true) ||
	    strcmp(refused->why, "private") != 0)
		return NULL;
	for (size_t i = 0; i < policy->flow_count; i++) {
		const struct policy_flow *flow = &policy->flows[i];
		if (flow->enabled && (uses(&flow->from, policy, name) || uses(&flow->to, policy, name)))
			return flow;
	}
	return NULL;
}
