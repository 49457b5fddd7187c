/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "held.h"
#include "array.h"
#include "lines.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 256, LINE_SIZE = NAME_SIZE + ADDR_TEXT_MAX + 24 };

static int compare(const struct held_address *item, const char *name, const struct addr *addr)
{
	int order = strcmp(item->name, name);
	return order ? order : addr_compare(&item->addr, addr);
}

static size_t position(const struct held *held, const char *name, const struct addr *addr)
{
	size_t low = 0, high = held->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(&held->items[middle], name, addr) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void remove_at(struct held *held, size_t at)
{
	free(held->items[at].name);
	held->count--;
	memmove(&held->items[at], &held->items[at + 1], (held->count - at) * sizeof(*held->items));
}

static void forget_oldest(struct held *held, const char *name)
{
	size_t count;
	const struct held_address *first = held_of(held, name, &count), *oldest = first;

	if (count < HELD_MAX)
		return;
	for (size_t i = 1; i < count; i++)
		if (first[i].seen_s < oldest->seen_s)
			oldest = &first[i];
	remove_at(held, (size_t)(oldest - held->items));
}

int held_note(struct held *held, const char *name, const struct addr *addr, int64_t wall_s)
{
	size_t at = position(held, name, addr);

	if (at < held->count && compare(&held->items[at], name, addr) == 0) {
		held->items[at].seen_s = wall_s;
		return 0;
	}
	struct held_address item = { .name = strdup(name), .addr = *addr, .seen_s = wall_s };
	if (!item.name || ARRAY_PUSH(held, item) < 0) {
		free(item.name);
		return -ENOMEM;
	}
	held->count--; /* its place is not at the end */
	forget_oldest(held, name);
	at = position(held, name, addr);
	memmove(&held->items[at + 1], &held->items[at], (held->count - at) * sizeof(*held->items));
	held->items[at] = item;
	held->count++;
	return 0;
}

const struct held_address *held_of(const struct held *held, const char *name, size_t *ret_count)
{
	static const struct addr lowest;
	size_t first = position(held, name, &lowest), end = first;

	while (end < held->count && strcmp(held->items[end].name, name) == 0)
		end++;
	*ret_count = end - first;
	return held->count ? &held->items[first] : NULL;
}

char *held_text(const struct held *held)
{
	char *text = NULL, address[ADDR_TEXT_MAX];
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	for (size_t i = 0; i < held->count; i++)
		fprintf(out, "%s %s %" PRId64 "\n", held->items[i].name, addr_format(&held->items[i].addr, address),
			held->items[i].seen_s);
	return lines_end(out, &text);
}

int held_from_text(struct held *ret, const char *text)
{
	*ret = (struct held){ 0 };
	while (*text) {
		char line[LINE_SIZE], name[NAME_SIZE], address[ADDR_TEXT_MAX];
		struct addr addr;
		int64_t seen_s;
		text = lines_next(text, line, sizeof(line));
		if (sscanf(line, "%255[^ ] %45[^ ] %" SCNd64, name, address, &seen_s) == 3 &&
		    addr_parse(address, &addr) && held_note(ret, name, &addr, seen_s) < 0) {
			held_free(ret);
			return -ENOMEM;
		}
	}
	return 0;
}

void held_free(struct held *held)
{
	for (size_t i = 0; i < held->count; i++)
		free(held->items[i].name);
	free(held->items);
	*held = (struct held){ 0 };
}
