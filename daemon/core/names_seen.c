/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "names_seen.h"
#include "array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct seen_name {
	char *name;
	struct {
		struct addr *items; /* ascending */
		size_t count;
	} addresses[FAMILIES];
};

static void seen_name_free(struct seen_name *seen)
{
	free(seen->name);
	for (enum family family = 0; family < FAMILIES; family++)
		free(seen->addresses[family].items);
}

/* The one of this name; it is made where there is none. NULL without memory. */
static struct seen_name *find(struct names_seen *seen, const char *name)
{
	for (size_t i = 0; i < seen->count; i++)
		if (strcmp(seen->items[i].name, name) == 0)
			return &seen->items[i];
	struct seen_name new = { .name = strdup(name) };
	if (!new.name || ARRAY_PUSH(seen, new) < 0) {
		free(new.name);
		return NULL;
	}
	return &seen->items[seen->count - 1];
}

/* Both ascend: what only the one has, and only the other. */
static void split(const struct addr *old, size_t old_count, const struct name_addresses *now, struct addr *added,
		  size_t *ret_added, struct addr *removed, size_t *ret_removed)
{
	size_t o = 0, n = 0;

	*ret_added = *ret_removed = 0;
	while (o < old_count || n < now->count) {
		int order = o == old_count ? 1 : n == now->count ? -1 : addr_compare(&old[o], &now->items[n].addr);
		if (order < 0)
			removed[(*ret_removed)++] = old[o];
		if (order > 0)
			added[(*ret_added)++] = now->items[n].addr;
		o += order <= 0;
		n += order >= 0;
	}
}

static int update(struct seen_name *seen, enum family family, const struct name_addresses *now,
		  names_seen_change *change, void *userdata)
{
	size_t old_count = seen->addresses[family].count, added_count, removed_count;
	struct addr *items = calloc(now->count + 1, sizeof(*items)), *added = calloc(now->count + 1, sizeof(*added)),
		    *removed = calloc(old_count + 1, sizeof(*removed));
	int r = items && added && removed ? 0 : -ENOMEM;

	if (r == 0) {
		split(seen->addresses[family].items, old_count, now, added, &added_count, removed, &removed_count);
		if (change && (added_count || removed_count))
			change(userdata, seen->name, family, added, added_count, removed, removed_count);
		for (size_t i = 0; i < now->count; i++)
			items[i] = now->items[i].addr;
		free(seen->addresses[family].items);
		seen->addresses[family].items = items;
		seen->addresses[family].count = now->count;
		items = NULL;
	}
	free(items);
	free(added);
	free(removed);
	return r;
}

int names_seen_update(struct names_seen *seen, const struct policy *policy, const struct names_view *view,
		      names_seen_change *change, void *userdata)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < view->count; i++) {
		struct seen_name *name = find(seen, policy->names[i].name);
		if (!name)
			return -ENOMEM;
		for (enum family family = 0; r == 0 && family < FAMILIES; family++)
			r = update(name, family, &view->names[i][family], change, userdata);
	}
	return r;
}

static bool has_name(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->name_count; i++)
		if (strcmp(policy->names[i].name, name) == 0)
			return true;
	return false;
}

void names_seen_keep(struct names_seen *seen, const struct policy *policy)
{
	size_t kept = 0;

	for (size_t i = 0; i < seen->count; i++) {
		if (has_name(policy, seen->items[i].name))
			seen->items[kept++] = seen->items[i];
		else
			seen_name_free(&seen->items[i]);
	}
	seen->count = kept;
}

void names_seen_free(struct names_seen *seen)
{
	for (size_t i = 0; i < seen->count; i++)
		seen_name_free(&seen->items[i]);
	free(seen->items);
	*seen = (struct names_seen){ 0 };
}
