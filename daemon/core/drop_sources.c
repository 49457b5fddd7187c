/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "drop_sources.h"
#include "array.h"

#include <errno.h>

static bool is_recent(int64_t when_ms, int64_t now_ms)
{
	return now_ms - when_ms < DROP_HOUR_MS;
}

static struct drop_source *find(struct drop_sources *sources, const struct addr *addr)
{
	for (size_t i = 0; i < sources->count; i++)
		if (addr_compare(&sources->items[i].addr, addr) == 0)
			return &sources->items[i];
	return NULL;
}

/* Room for one more: NULL without memory. */
static struct drop_source *add(struct drop_sources *sources, int64_t now_ms)
{
	struct drop_source *least = NULL;

	if (sources->count < DROP_SOURCES)
		return ARRAY_PUSH(sources, (struct drop_source){ 0 }) < 0 ? NULL : &sources->items[sources->count - 1];
	for (size_t i = 0; i < sources->count; i++)
		if (!least || sources->items[i].last_ms < least->last_ms)
			least = &sources->items[i];
	if (least && is_recent(least->last_ms, now_ms)) {
		sources->forgot = true;
		sources->forgot_ms = now_ms;
	}
	return least;
}

/* The ring has the times of the last lines: there is room where the oldest of them was an hour ago. */
static bool take_line(struct drop_sources *sources, int64_t now_ms)
{
	if (sources->line_count == DROP_LINES && is_recent(sources->lines[sources->line], now_ms))
		return false;
	sources->lines[sources->line] = now_ms;
	sources->line = (sources->line + 1) % DROP_LINES;
	if (sources->line_count < DROP_LINES)
		sources->line_count++;
	return true;
}

bool drop_sources_add(struct drop_sources *sources, const struct addr *source, int64_t now_ms)
{
	struct drop_source *known = find(sources, source);

	if (known && is_recent(known->logged_ms, now_ms)) {
		known->last_ms = now_ms;
		return false;
	}
	if (!known)
		known = add(sources, now_ms);
	if (!known)
		return false;
	*known = (struct drop_source){ *source, now_ms, now_ms };
	if (take_line(sources, now_ms))
		return true;
	sources->unlogged++;
	return false;
}

unsigned drop_sources_unlogged(struct drop_sources *sources, int64_t now_ms)
{
	unsigned count = sources->unlogged;

	if (!count || !take_line(sources, now_ms))
		return 0;
	sources->unlogged = 0;
	return count;
}

size_t drop_sources_hour(const struct drop_sources *sources, int64_t now_ms,
			 bool (*is)(void *userdata, const struct addr *addr), void *userdata, size_t *ret_is,
			 bool *ret_more)
{
	size_t count = 0;

	*ret_is = 0;
	for (size_t i = 0; i < sources->count; i++) {
		if (!is_recent(sources->items[i].last_ms, now_ms))
			continue;
		count++;
		*ret_is += is(userdata, &sources->items[i].addr);
	}
	*ret_more = sources->forgot && is_recent(sources->forgot_ms, now_ms);
	return count;
}

int drop_sources_restore(struct drop_sources *sources, const struct drop_source *source)
{
	if (sources->count == DROP_SOURCES || find(sources, &source->addr))
		return 0;
	return ARRAY_PUSH(sources, *source) < 0 ? -ENOMEM : 0;
}

void drop_sources_free(struct drop_sources *sources)
{
	free(sources->items);
	*sources = (struct drop_sources){ 0 };
}
