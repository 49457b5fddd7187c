/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compile_parts.h"
#include "hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The sets of DNS names, and of what flows are granted: what they are called, and what is in them. */

void name_set(const char *name, char buffer[NAME_SET_MAX])
{
	const char *kind = name[0] == '*' ? "wild" : "name";
	const char *rest = name[0] == '*' ? name + 2 : name;

	if (strlen(rest) < 200) {
		snprintf(buffer, NAME_SET_MAX, "%s_%s", kind, rest);
		return;
	}
	/* The kernel takes 255 bytes; a longer name keeps its beginning and gets a hash for the rest. */
	snprintf(buffer, NAME_SET_MAX, "%s_%.180s_h%016" PRIx64, kind, rest,
		 hash_bytes(HASH_START, rest, strlen(rest)));
}

static void fill_set(struct ruleset *out, struct set *set, const struct name_addresses *list, enum family family)
{
	for (size_t i = 0; i < list->count; i++) {
		struct element element = { .deadline_ms = list->items[i].deadline_ms };
		memcpy(element.first, list->items[i].addr.bytes, addr_size(family));
		memcpy(element.last, element.first, KEY_SIZE_MAX);
		set_add(out, set, &element);
	}
}

const char *name_set_of(struct compiler *c, size_t index, enum family family)
{
	char base[NAME_SET_MAX];

	name_set(c->policy->names[index].name, base);
	const char *name = ruleset_string(c->out, "%s_%c", base, family_digit(family));
	if (!name || made_set(c, name))
		return name;
	struct set *set = ruleset_set(c->out, name, family_key(family), SET_TIMEOUT);
	if (index < c->environment->names->count)
		fill_set(c->out, set, &c->environment->names->names[index][family], family);
	return name;
}

const char *granted_set_of(struct compiler *c, const struct policy_flow *flow, const struct endpoint *side,
			   enum family family)
{
	const struct granted_addresses *granted = names_view_granted(c->environment->names, side);

	if (!granted || !granted->addresses[family].count)
		return NULL;
	const char *name = ruleset_string(c->out, "grant_%s_%c", flow->id, family_digit(family));
	if (!name || made_set(c, name))
		return name;
	struct set *set = ruleset_set(c->out, name, family_key(family), SET_TIMEOUT);
	if (set)
		set->exact = true;
	fill_set(c->out, set, &granted->addresses[family], family);
	return name;
}

int compile_names(struct ruleset *ret, const struct ruleset *current, const struct policy *policy,
		  const struct names_view *names)
{
	*ret = (struct ruleset){ 0 };
	for (size_t i = 0; i < policy->name_count && i < names->count; i++) {
		char base[NAME_SET_MAX];
		name_set(policy->names[i].name, base);
		for (enum family family = 0; family < FAMILIES; family++) {
			const char *name = ruleset_string(ret, "%s_%c", base, family_digit(family));
			if (name && ruleset_find_set(current, name))
				fill_set(ret, ruleset_set(ret, name, family_key(family), SET_TIMEOUT),
					 &names->names[i][family], family);
		}
	}
	int r = ruleset_finish(ret);
	if (r < 0)
		ruleset_free(ret);
	return r;
}
