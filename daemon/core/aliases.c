/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "aliases.h"
#include "array.h"
#include "hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const char *text)
{
	return hash_bytes(HASH_START, text, strlen(text));
}

static void free_alias(struct alias *item)
{
	free(item->name);
	free(item->alias);
	*item = (struct alias){ 0 };
}

static void forget(struct aliases *aliases, const char *name, enum family family)
{
	size_t kept = 0;

	for (size_t i = 0; i < aliases->count; i++) {
		struct alias *item = &aliases->items[i];
		if (item->family != family || strcmp(item->name, name) != 0)
			aliases->items[kept++] = *item;
		else
			free_alias(item);
	}
	aliases->count = kept;
}

int aliases_set(struct aliases *aliases, const char *name, enum family family, const char *texts, size_t size,
		size_t count)
{
	forget(aliases, name, family);
	size_t others = aliases->count;
	for (size_t i = 0; i < count; i++) {
		const char *text = texts + i * size;
		if (!text[0])
			continue;
		struct alias item = {
			.name = strdup(name), .alias = strdup(text), .hash = hash_of(text), .family = family
		};
		if (!item.name || !item.alias || ARRAY_PUSH(aliases, item) < 0) {
			free_alias(&item);
			while (aliases->count > others)
				free_alias(&aliases->items[--aliases->count]);
			return -ENOMEM;
		}
	}
	return 0;
}

const char *aliases_next(const struct aliases *aliases, const char *alias, enum family family, size_t *position)
{
	uint64_t hash = hash_of(alias);

	while (*position < aliases->count) {
		const struct alias *item = &aliases->items[(*position)++];
		if (item->hash == hash && item->family == family && strcmp(item->alias, alias) == 0)
			return item->name;
	}
	return NULL;
}

void aliases_free(struct aliases *aliases)
{
	for (size_t i = 0; i < aliases->count; i++)
		free_alias(&aliases->items[i]);
	free(aliases->items);
	*aliases = (struct aliases){ 0 };
}
