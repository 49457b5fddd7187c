/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clock.h"
#include "core/array.h"
#include "gateway/names_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Callers that wait until names have been answered. */

/* Until each (name, family) has an answer. */
struct refresh {
	struct refresh *next;
	void *waiter;
	struct awaited {
		char *name;
		enum family family;
	} * items;
	size_t count, capacity;
};

static void refresh_free(struct refresh *refresh)
{
	for (size_t i = 0; i < refresh->count; i++)
		free(refresh->items[i].name);
	free(refresh->items);
	free(refresh);
}

static struct refresh *unlink_at(struct refresh **at)
{
	struct refresh *refresh = *at;

	*at = refresh->next;
	return refresh;
}

static void remove_at(struct refresh *refresh, size_t index)
{
	free(refresh->items[index].name);
	refresh->items[index] = refresh->items[--refresh->count];
}

static struct refresh *take_finished(struct names *names)
{
	for (struct refresh **at = &names->refreshes; *at; at = &(*at)->next)
		if (!(*at)->count)
			return unlink_at(at);
	return NULL;
}

/* The callback may do anything to those that still wait. */
static void call_finished(struct names *names)
{
	struct refresh *refresh;

	while ((refresh = take_finished(names))) {
		void *waiter = refresh->waiter;
		refresh_free(refresh);
		names->events.refreshed(names->userdata, waiter);
	}
}

void names_answered(struct names *names, const char *name, enum family family)
{
	/* A caller may have named it twice. */
	for (struct refresh *refresh = names->refreshes; refresh; refresh = refresh->next)
		for (size_t i = refresh->count; i-- > 0;)
			if (refresh->items[i].family == family && strcmp(refresh->items[i].name, name) == 0)
				remove_at(refresh, i);
	call_finished(names);
}

void names_forget_unwanted(struct names *names)
{
	struct book_entry entry;

	for (struct refresh *refresh = names->refreshes; refresh; refresh = refresh->next)
		for (size_t i = refresh->count; i-- > 0;)
			if (addrbook_find(names->book, refresh->items[i].name, refresh->items[i].family, &entry) < 0)
				remove_at(refresh, i);
	call_finished(names);
}

void names_forget_waiter(struct names *names, const void *waiter)
{
	for (struct refresh **at = &names->refreshes; *at; at = &(*at)->next)
		if ((*at)->waiter == waiter) {
			refresh_free(unlink_at(at));
			return;
		}
}

static int await(const struct names *names, struct refresh *refresh, const char *name)
{
	struct book_entry entry;

	if (name[0] == '*') /* a pattern can't be queried */
		return 0;
	for (enum family family = 0; family < FAMILIES; family++) {
		if (addrbook_find(names->book, name, family, &entry) < 0)
			continue;
		struct awaited item = { strdup(name), family };
		if (!item.name || ARRAY_PUSH(refresh, item) < 0) {
			free(item.name);
			return -ENOMEM;
		}
	}
	return 0;
}

static int await_all(const struct names *names, struct refresh *refresh, const char *const *wanted, size_t count,
		     const char **ret_unknown)
{
	struct book_entry entry;
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		*ret_unknown = wanted[i];
		r = addrbook_wants(names->book, wanted[i]) ? await(names, refresh, wanted[i]) : -ENOENT;
	}
	for (size_t i = 0; r == 0 && !count && i < addrbook_count(names->book); i += FAMILIES) {
		addrbook_entry(names->book, i, &entry);
		r = await(names, refresh, entry.name);
	}
	return r;
}

int names_refresh(struct names *names, void *waiter, const char *const *wanted, size_t count, const char **ret_unknown)
{
	struct refresh *refresh = calloc(1, sizeof(*refresh));
	int64_t now = now_ms();

	if (!refresh)
		return -ENOMEM;
	int r = await_all(names, refresh, wanted, count, ret_unknown);
	if (r < 0 || !refresh->count) {
		refresh_free(refresh);
		return r < 0 ? r : 1;
	}
	refresh->waiter = waiter;
	refresh->next = names->refreshes;
	names->refreshes = refresh;
	for (size_t i = 0; i < refresh->count; i++)
		addrbook_query_now(names->book, refresh->items[i].name, now);
	timer_set_at(names->timer, now); /* a query that fails at once must not call back from here */
	return 0;
}

void names_free_refreshes(struct names *names)
{
	while (names->refreshes)
		refresh_free(unlink_at(&names->refreshes));
}
