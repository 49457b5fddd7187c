/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "grant_list.h"
#include "array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ADJUSTED_MS = 1000 };

static int compare(const struct grant *grant, const char *flow, const struct addr *addr)
{
	int order = strcmp(grant->flow, flow);
	return order ? order : addr_compare(&grant->addr, addr);
}

static size_t position(const struct grant_list *list, const char *flow, const struct addr *addr)
{
	size_t at = 0;

	while (at < list->count && compare(&list->items[at], flow, addr) < 0)
		at++;
	return at;
}

const struct grant *grant_find(const struct grant_list *list, const char *flow, const struct addr *addr)
{
	size_t at = position(list, flow, addr);
	return at < list->count && compare(&list->items[at], flow, addr) == 0 ? &list->items[at] : NULL;
}

int grant_put(struct grant_list *list, const struct grant *grant)
{
	size_t at = position(list, grant->flow, &grant->addr);

	if (at < list->count && compare(&list->items[at], grant->flow, &grant->addr) == 0) {
		list->items[at] = *grant;
		return 0;
	}
	if (list->count == GRANTS_MAX)
		return -ENOSPC;
	if (ARRAY_PUSH(list, *grant) < 0)
		return -ENOMEM;
	memmove(&list->items[at + 1], &list->items[at], (list->count - 1 - at) * sizeof(*list->items));
	list->items[at] = *grant;
	return 0;
}

static void remove_at(struct grant_list *list, size_t at, struct grant *ret)
{
	if (ret)
		*ret = list->items[at];
	list->count--;
	memmove(&list->items[at], &list->items[at + 1], (list->count - at) * sizeof(*list->items));
}

bool grant_take(struct grant_list *list, const char *flow, const struct addr *addr, struct grant *ret)
{
	const struct grant *found = grant_find(list, flow, addr);

	if (found)
		remove_at(list, (size_t)(found - list->items), ret);
	return found;
}

bool grants_see_clock(struct grant_list *list, int64_t now_ms, int64_t wall_s)
{
	bool changed = false;

	for (size_t i = 0; i < list->count; i++) {
		struct grant *grant = &list->items[i];
		/* The last second is counted whole, and one more is no news: the clocks need not tick together, and one
		 * of them is adjusted all the time. */
		int64_t left_s = grant->until_s > wall_s ? grant->until_s - wall_s + 1 : 0;
		if (left_s >= GRANT_LONGEST_S || now_ms + left_s * 1000 + ADJUSTED_MS >= grant->end_ms)
			continue;
		grant->end_ms = now_ms + left_s * 1000;
		changed = true;
	}
	return changed;
}

bool grants_take_ended(struct grant_list *list, int64_t now_ms, struct grant *ret)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].end_ms > now_ms)
			continue;
		remove_at(list, i, ret);
		return true;
	}
	return false;
}

int64_t grants_next_end(const struct grant_list *list)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].end_ms < next)
			next = list->items[i].end_ms;
	return next;
}

void grants_free_list(struct grant_list *list)
{
	free(list->items);
	*list = (struct grant_list){ 0 };
}
