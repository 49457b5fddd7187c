/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "seen_connections.h"
#include "array.h"

#include <errno.h>
#include <stdlib.h>

static int by_id(const void *a, const void *b)
{
	uint32_t x = ((const struct seen_connection *)a)->id, y = ((const struct seen_connection *)b)->id;
	return x < y ? -1 : x > y;
}

const struct seen_connection *seen_find(const struct seen_connections *seen, uint32_t id)
{
	const struct seen_connection key = { .id = id };

	return seen->seen.count ? bsearch(&key, seen->seen.items, seen->seen.count, sizeof(key), by_id) : NULL;
}

void seen_begin(struct seen_connections *seen)
{
	seen->next.count = 0;
}

int seen_add(struct seen_connections *seen, const struct seen_connection *connection, bool *ret_new)
{
	const struct seen_connection *before = seen_find(seen, connection->id);
	struct seen_connection now = *connection;

	*ret_new = !before && seen->next.count < SEEN_CONNECTIONS_MAX;
	if (before)
		now.since_s = before->since_s;
	if (seen->next.count == SEEN_CONNECTIONS_MAX)
		return 0;
	return ARRAY_PUSH(&seen->next, now) < 0 ? -ENOMEM : 0;
}

/* What many connections have needed is given back with them. */
static void shrink(struct seen_list *list)
{
	if (list->capacity > 1024 && list->count < list->capacity / 8) {
		free(list->items);
		*list = (struct seen_list){ 0 };
	}
}

void seen_end(struct seen_connections *seen, bool complete)
{
	struct seen_list list = seen->next;
	size_t kept = 0;

	if (!complete)
		return;
	if (list.count)
		qsort(list.items, list.count, sizeof(*list.items), by_id);
	for (size_t i = 0; i < list.count; i++) /* a dump may show one twice */
		if (!kept || list.items[kept - 1].id != list.items[i].id)
			list.items[kept++] = list.items[i];
	list.count = kept;
	seen->next = seen->seen;
	seen->seen = list;
	seen->next.count = kept;
	shrink(&seen->next);
	seen->next.count = 0;
}

void seen_free(struct seen_connections *seen)
{
	free(seen->seen.items);
	free(seen->next.items);
	*seen = (struct seen_connections){ 0 };
}
