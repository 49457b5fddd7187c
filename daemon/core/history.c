/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "history.h"
#include "printable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const history_how_words[HISTORY_HOWS] = { "start", "reload", "rollback", "undo" };
const char *const history_why_words[HISTORY_WHYS] = { "", "undone", "rolled-back" };

static void entry_free(struct history_entry *entry)
{
	for (size_t i = 0; i < entry->shown; i++)
		free(entry->lines[i]);
	*entry = (struct history_entry){ 0 };
}

void history_free(struct history *history)
{
	for (size_t i = 0; i < history->count; i++)
		entry_free(&history->entries[i]);
	*history = (struct history){ 0 };
}

uint64_t history_next_id(const struct history *history)
{
	const struct history_entry *last = history_last(history);
	return last ? last->id + 1 : 1;
}

static int copy_entry(struct history_entry *ret, const struct history_entry *entry)
{
	*ret = *entry;
	ret->shown = 0;
	for (size_t i = 0; i < entry->shown; i++) {
		char *line = strdup(entry->lines[i]);
		if (!line) {
			entry_free(ret);
			return -ENOMEM;
		}
		line[strnlen(line, HISTORY_LINE_MAX)] = '\0';
		make_printable(line);
		ret->lines[ret->shown++] = line;
	}
	make_printable(ret->by);
	return 0;
}

int history_add(struct history *history, const struct history_entry *entry, uint64_t keep)
{
	struct history_entry copy;

	int r = copy_entry(&copy, entry);
	if (r < 0)
		return r;
	if (!copy.id)
		copy.id = history_next_id(history);
	history->entries[history->count++] = copy;
	history_trim(history, keep);
	return 0;
}

/* What entries of the same files have is there once. */
static uint64_t total_bytes(const struct history *history)
{
	uint64_t total = 0;

	for (size_t i = 0; i < history->count; i++) {
		bool again = false;
		for (size_t j = 0; j < i; j++)
			again |= history->entries[j].files == history->entries[i].files;
		total += again ? 0 : history->entries[i].bytes;
	}
	return total;
}

static bool drop_oldest(struct history *history, uint64_t keep)
{
	uint64_t last = history->entries[history->count - 1].files;

	for (size_t i = 0; i + 1 < history->count; i++) {
		const struct history_entry *entry = &history->entries[i];
		/* An older entry of files that stay for another's sake frees nothing, but counts as one. */
		if (keep && entry->files == keep && history_find(history, keep) == entry)
			continue;
		if (entry->files == last && history->count <= HISTORY_ENTRIES_MAX)
			continue;
		entry_free(&history->entries[i]);
		memmove(&history->entries[i], &history->entries[i + 1],
			(history->count - i - 1) * sizeof(*history->entries));
		history->count--;
		return true;
	}
	return false;
}

void history_trim(struct history *history, uint64_t keep)
{
	while (history->count > HISTORY_ENTRIES_MAX || total_bytes(history) > HISTORY_BYTES_MAX)
		if (!drop_oldest(history, keep))
			return;
}

const struct history_entry *history_last(const struct history *history)
{
	return history_before(history, 0);
}

const struct history_entry *history_before(const struct history *history, size_t number)
{
	return number < history->count ? &history->entries[history->count - 1 - number] : NULL;
}

const struct history_entry *history_find(const struct history *history, uint64_t files)
{
	for (size_t i = history->count; i-- > 0;)
		if (history->entries[i].files == files && history->entries[i].bytes)
			return &history->entries[i];
	return NULL;
}

/* The newest one from there on that can be gone back to. */
static const struct history_entry *find_good(const struct history *history, size_t number, uint64_t not )
{
	for (const struct history_entry *entry; (entry = history_before(history, number)); number++)
		if (entry->bytes && entry->files != not &&!history_why(history, entry->files))
			return entry;
	return NULL;
}

const struct history_entry *history_other(const struct history *history)
{
	const struct history_entry *last = history_last(history);
	return last ? find_good(history, 1, last->files) : NULL;
}

const struct history_entry *history_good(const struct history *history)
{
	return find_good(history, 0, 0);
}

void history_set_bytes(struct history *history, uint64_t files, uint64_t bytes)
{
	for (size_t i = 0; i < history->count; i++)
		if (history->entries[i].files == files)
			history->entries[i].bytes = bytes;
}

bool history_take_again(struct history *history, uint64_t files)
{
	for (size_t i = 0; i < history->taken_back_count; i++) {
		if (history->taken_back[i].files != files)
			continue;
		history->taken_back_count--;
		memmove(&history->taken_back[i], &history->taken_back[i + 1],
			(history->taken_back_count - i) * sizeof(*history->taken_back));
		return true;
	}
	return false;
}

bool history_take_back(struct history *history, uint64_t files, enum history_why why)
{
	if (history_why(history, files) == why)
		return false;
	history_take_again(history, files);
	if (history->taken_back_count == HISTORY_TAKEN_BACK_MAX)
		history_take_again(history, history->taken_back[0].files);
	history->taken_back[history->taken_back_count].files = files;
	history->taken_back[history->taken_back_count++].why = why;
	return true;
}

enum history_why history_why(const struct history *history, uint64_t files)
{
	for (size_t i = 0; i < history->taken_back_count; i++)
		if (history->taken_back[i].files == files)
			return history->taken_back[i].why;
	return HISTORY_NOT_TAKEN_BACK;
}
