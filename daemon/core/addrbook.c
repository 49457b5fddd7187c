/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "addrbook_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The entries: which names are wanted, and when a query for each is due. */

enum {
	QUERY_LOST_MS = 120 * 1000, /* longer than any resolver takes to give up */
	AT_ONCE = 32,               /* queries that may go out together */
	SPREAD_STEP_MS = 4,         /* between the further ones: 1,000 names in 8 s */
};

/* Up to a tenth less: queries that went out together drift apart. (splitmix64; nothing here is a secret.) */
static int64_t jittered(struct addrbook *book, int64_t interval_ms)
{
	uint64_t z = book->random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return interval_ms - (int64_t)(z % (uint64_t)(interval_ms / 10 + 1));
}

void entry_schedule(struct addrbook *book, struct entry *entry, int64_t interval_ms, int64_t now_ms)
{
	entry->scheduled_ms = now_ms;
	entry->next_query_ms = later(now_ms, jittered(book, most(interval_ms, INTERVAL_FLOOR_MS)));
}

/* How long an answer may stand without a new query at most: it must be renewed before it is stale, with time for a
 * failure or two. */
int64_t book_longest_interval(const struct addrbook *book)
{
	return most(least(book->limits.max_interval_ms, book->limits.stale_ms / 3), INTERVAL_FLOOR_MS);
}

static int64_t due_at(const struct entry *entry)
{
	if (entry->is_pattern || entry->unwanted)
		return INT64_MAX;
	return entry->running ? entry->lost_ms : entry->next_query_ms;
}

int addrbook_new(struct addrbook **ret, const struct book_limits *limits, uint32_t seed)
{
	struct addrbook *book = calloc(1, sizeof(*book));
	if (!book)
		return -ENOMEM;
	book->limits = *limits;
	book->random = seed;
	*ret = book;
	return 0;
}

static void free_names(struct named *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(names[i].text);
		for (size_t family = 0; family < FAMILIES; family++) {
			free(names[i].entries[family].addresses);
			free(names[i].entries[family].refused_addresses);
		}
	}
	free(names);
}

void addrbook_free(struct addrbook *book)
{
	if (!book)
		return;
	free_names(book->names, book->count);
	free(book);
}

void addrbook_set_limits(struct addrbook *book, const struct book_limits *limits)
{
	book->limits = *limits;
	for (size_t i = 0; i < addrbook_count(book); i++) {
		struct entry *entry = &book->names[i / FAMILIES].entries[i % FAMILIES];
		entry->next_query_ms =
			least(entry->next_query_ms, later(entry->scheduled_ms, book_longest_interval(book)));
		entry_update_expiry(book, entry);
	}
}

void addrbook_set_refuses(struct addrbook *book, book_refuses refuses, void *userdata)
{
	book->refuses = refuses;
	book->refuses_userdata = userdata;
}

struct named *book_find(const struct addrbook *book, const char *name)
{
	size_t low = 0, high = book->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, book->names[middle].text);
		if (order == 0)
			return &book->names[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

struct entry *book_find_entry(const struct addrbook *book, const char *name, enum family family)
{
	struct named *named = book_find(book, name);

	return named && !named->entries[family].unwanted ? &named->entries[family] : NULL;
}

bool addrbook_wants(const struct addrbook *book, const char *name)
{
	return book_find(book, name) != NULL;
}

/* The index-th of many queries that are due together. */
static int64_t spread(size_t index, int64_t now_ms)
{
	return index < AT_ONCE ? now_ms : later(now_ms, (int64_t)(index - AT_ONCE + 1) * SPREAD_STEP_MS);
}

void entry_make_due(struct entry *entry, int64_t at_ms, int64_t now_ms)
{
	entry->next_query_ms = at_ms;
	entry->scheduled_ms = now_ms;
}

/* After a query: the next one may have been wanted while it was under way. */
void entry_query_again(struct entry *entry, int64_t now_ms)
{
	if (entry->again_ms < entry->next_query_ms)
		entry_make_due(entry, most(entry->again_ms, now_ms), now_ms);
	entry->again_ms = INT64_MAX;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->text, ((const struct named *)b)->text);
}

/* Sorted, each name once, with texts of its own. */
static int names_from(struct named **ret, size_t *ret_count, const struct book_name *names, size_t count)
{
	struct named *list = calloc(count ? count : 1, sizeof(*list));
	size_t filled = 0, unique = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		list[filled].allow_private = names[i].allow_private;
		list[filled].families = names[i].families;
		list[filled].text = strdup(names[i].name);
		if (!list[filled++].text) {
			free_names(list, filled);
			return -ENOMEM;
		}
	}
	qsort(list, filled, sizeof(*list), by_text);
	for (size_t i = 0; i < filled; i++) {
		if (unique > 0 && strcmp(list[unique - 1].text, list[i].text) == 0) {
			list[unique - 1].allow_private |= list[i].allow_private;
			list[unique - 1].families |= list[i].families;
			free(list[i].text);
		} else {
			list[unique++] = list[i];
		}
	}
	*ret = list;
	*ret_count = unique;
	return 0;
}

static void init_entry(struct entry *entry, int64_t at_ms, int64_t now_ms)
{
	entry->next_expiry_ms = entry->again_ms = entry->silent_ms = INT64_MAX;
	entry_make_due(entry, at_ms, now_ms);
}

int addrbook_want(struct addrbook *book, const struct book_name *names, size_t count, int64_t now_ms)
{
	struct named *list;
	size_t list_count, fresh = 0;

	if (names_from(&list, &list_count, names, count) < 0)
		return -ENOMEM;

	for (size_t i = 0; i < list_count; i++) {
		struct named *old = book_find(book, list[i].text);
		for (size_t family = 0; family < FAMILIES; family++) {
			struct entry *entry = &list[i].entries[family];
			if (!(list[i].families & 1U << family)) {
				init_entry(entry, INT64_MAX, now_ms);
				entry->unwanted = true;
				continue;
			}
			if (!old || old->entries[family].unwanted) {
				init_entry(entry, spread(fresh++, now_ms), now_ms);
				entry->is_pattern = list[i].text[0] == '*';
				continue;
			}
			*entry = old->entries[family];
			old->entries[family].addresses = NULL;
			old->entries[family].refused_addresses = NULL;
			/* What was refused until now is in no entry: only a query can bring it. */
			if (list[i].allow_private && !old->allow_private)
				entry_make_due(entry, spread(fresh++, now_ms), now_ms);
		}
		book_recheck_named(book, &list[i]);
	}
	free_names(book->names, book->count);
	book->names = list;
	book->count = list_count;
	return 0;
}

size_t addrbook_count(const struct addrbook *book)
{
	return book->count * FAMILIES;
}

static enum book_state entry_state(const struct entry *entry)
{
	bool all = true;

	if (entry->failures > 0)
		return entry->count > 0 ? BOOK_STALE : BOOK_FAILING;
	if (entry->count == 0)
		return BOOK_EMPTY;
	for (size_t i = 0; i < entry->count; i++)
		all &= entry->addresses[i].in_answer;
	if (all)
		return BOOK_FRESH;
	/* Remembered and not queried yet: the last answer that is known serves. A pattern never is queried. */
	return entry->ever_answered || entry->is_pattern ? BOOK_GRACE : BOOK_STALE;
}

static void show(const struct named *named, enum family family, struct book_entry *ret)
{
	const struct entry *entry = &named->entries[family];

	*ret = (struct book_entry){
		.name = named->text,
		.family = family,
		.allow_private = named->allow_private,
		.unwanted = entry->unwanted,
		.state = entry_state(entry),
		.ever_answered = entry->ever_answered,
		.addresses = entry->addresses,
		.address_count = entry->count,
		.next_query_ms = due_at(entry),
		.next_expiry_ms = entry->next_expiry_ms,
		.queried_ms = entry->ever_queried ? entry->queried_ms : INT64_MIN,
		.query_running = entry->running,
		.last_answer_ms = entry->last_answer_ms,
		.last_error = entry->error,
		.failures = entry->failures,
		.refused = entry->refused,
		.silent_ms = entry->failures ? entry->silent_ms : INT64_MAX,
		.refused_addresses = entry->refused_addresses,
		.refused_count = entry->refused_count,
		.refused_mark = entry->refused_mark,
	};
}

void addrbook_entry(const struct addrbook *book, size_t index, struct book_entry *ret)
{
	show(&book->names[index / FAMILIES], (enum family)(index % FAMILIES), ret);
}

int addrbook_find(const struct addrbook *book, const char *name, enum family family, struct book_entry *ret)
{
	if (!book_find_entry(book, name, family))
		return -ENOENT;
	show(book_find(book, name), family, ret);
	return 0;
}

const char *book_state_name(enum book_state state)
{
	static const char *const names[] = { "fresh", "grace", "stale", "failing", "empty" };
	return names[state];
}

const char *book_refused_text(const struct book_refused *refused)
{
	return strcmp(refused->why, "own") == 0 ? "the server's or this gateway's own" : refused->why;
}

const char *book_origin_name(enum book_origin origin)
{
	static const char *const names[] = { "queried", "observed", "remembered" };
	return names[origin];
}

int64_t addrbook_next_event(const struct addrbook *book)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < addrbook_count(book); i++) {
		const struct entry *entry = &book->names[i / FAMILIES].entries[i % FAMILIES];
		next = least(next, least(due_at(entry), entry->next_expiry_ms));
	}
	return next;
}

bool addrbook_take_due(struct addrbook *book, int64_t now_ms, struct book_entry *ret)
{
	struct entry *best = NULL;
	size_t best_index = 0;

	/* The one that waits longest, so that none starves. */
	for (size_t i = 0; i < addrbook_count(book); i++) {
		struct entry *entry = &book->names[i / FAMILIES].entries[i % FAMILIES];
		if (due_at(entry) > now_ms || (best && due_at(entry) >= due_at(best)))
			continue;
		best = entry;
		best_index = i;
	}
	if (!best)
		return false;
	best->running = true;
	best->retry_at_once = false;
	best->ever_queried = true;
	best->queried_ms = now_ms;
	best->again_ms = INT64_MAX;
	best->lost_ms = later(now_ms, QUERY_LOST_MS);
	addrbook_entry(book, best_index, ret);
	return true;
}

int addrbook_query_now(struct addrbook *book, const char *name, int64_t now_ms)
{
	struct named *named = name ? book_find(book, name) : book->names;
	size_t count = name ? 1 : book->count;

	if (name && !named)
		return -ENOENT;
	for (size_t i = 0; i < count * FAMILIES; i++) {
		struct entry *entry = &named[i / FAMILIES].entries[i % FAMILIES];
		entry_make_due(entry, least(entry->next_query_ms, spread(i, now_ms)), now_ms);
		entry->retry_at_once = entry->running;
	}
	return 0;
}

bool addrbook_queries_by(const struct addrbook *book, const char *name, enum family family, int64_t at_ms)
{
	const struct entry *entry = book_find_entry(book, name, family);

	if (!entry)
		return true;
	return (entry->running ? entry->again_ms : entry->next_query_ms) <= at_ms;
}

int addrbook_query_by(struct addrbook *book, const char *name, enum family family, int64_t at_ms, int64_t now_ms)
{
	struct entry *entry = book_find_entry(book, name, family);

	if (!entry)
		return -ENOENT;
	if (entry->running)
		entry->again_ms = least(entry->again_ms, at_ms);
	else if (at_ms < entry->next_query_ms)
		entry_make_due(entry, at_ms, now_ms);
	return 0;
}
