/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "array.h"
#include "fate_diff_parts.h"

#include <errno.h>
#include <string.h>

/* Roles and names are predicates of the space: so whether some addresses are theirs is seen without a look at them. */

static int add_name(struct ranges *all, const struct names_view *names, size_t name)
{
	int r = 0;

	for (enum family family = 0; names && name < names->count && family < FAMILIES; family++) {
		const struct name_addresses *list = &names->names[name][family];
		for (size_t i = 0; i < list->count && r == 0; i++) {
			struct range range = range_of(&list->items[i].addr);
			r = ranges_add(all, &range);
		}
	}
	return r;
}

static int add_members(struct ranges *all, const struct policy_role *role, const struct names_view *names)
{
	int r = ranges_add_all(all, role->is_protected ? &role->guarded : &role->members.ranges);

	for (size_t i = 0; !role->is_protected && i < role->members.name_count && r == 0; i++)
		r = add_name(all, names, role->members.names[i]);
	return r;
}

/* Mostly it is at the same place. */
static bool is_named(const struct naming *naming, const char *name, size_t place)
{
	if (place < naming->named.count && strcmp(naming->named.items[place].name, name) == 0)
		return true;
	for (size_t i = 0; i < naming->named.count; i++)
		if (strcmp(naming->named.items[i].name, name) == 0)
			return true;
	return false;
}

static int put_named(struct naming *naming, struct space *space, const char *name, struct ranges *ranges)
{
	struct domain *domain = &space->domains[DOMAIN_ADDRESS];
	struct naming_item item = { .name = name };
	size_t size = addr_size(space->family), count = 0;

	ranges_normalise(ranges);
	struct span *spans = calloc(ranges->count + 1, sizeof(*spans));
	for (size_t i = 0; spans && i < ranges->count; i++)
		if (ranges->items[i].first.family == space->family)
			spans[count++] = (struct span){ key_of(ranges->items[i].first.bytes, size),
							key_of(ranges->items[i].last.bytes, size) };
	item.is_of_family = count == ranges->count;
	int r = spans && domain_add(domain, spans, count, &item.predicate) == 0 && ARRAY_PUSH(&naming->named, item) == 0
			? 0
			: -ENOMEM;
	free(spans);
	return r;
}

int naming_add(struct naming *naming, struct space *space, const struct fate_side *side)
{
	const struct policy *policy = side->policy;
	size_t known = naming->named.count;
	int r = 0;

	for (size_t i = 0; i < policy->role_count + policy->name_count && r == 0; i++) {
		const struct policy_role *role = i < policy->role_count ? &policy->roles[i] : NULL;
		size_t name = role ? 0 : i - policy->role_count;
		const char *text = role ? role->name : policy->names[name].name;
		struct ranges ranges = { 0 };
		if (known && is_named(naming, text, i))
			continue;
		r = role ? add_members(&ranges, role, side->names) : add_name(&ranges, side->names, name);
		if (r == 0)
			r = put_named(naming, space, text, &ranges);
		ranges_free(&ranges);
	}
	return r;
}

void naming_free(struct naming *naming)
{
	free(naming->named.items);
	free(naming->values.items);
	*naming = (struct naming){ 0 };
}

static const struct naming_item *find_named(const struct naming *naming, const struct domain *domain, uint32_t values)
{
	for (size_t i = 0; i < naming->named.count; i++)
		if (domain->predicates.items[naming->named.items[i].predicate].values == values)
			return &naming->named.items[i];
	return NULL;
}

static int put_ranges(struct prover *p, uint32_t values, struct fate_addresses *ret)
{
	const struct domain *domain = &p->space.domains[DOMAIN_ADDRESS];
	size_t size = addr_size(p->space.family), found = 0;
	bool before = false;

	for (size_t i = 0; i < domain->points.count; i++) {
		struct span span = domain_span(domain, i);
		struct range range = { { .family = ret->family }, { .family = ret->family } };
		bool now = values_have(&p->space.store, values, domain->points.items[i].class) != ret->but;
		found += now && !before;
		if (now && found <= FATE_RANGES_MAX) {
			key_bytes(span.first, size, range.first.bytes);
			key_bytes(span.last, size, range.last.bytes);
			if (ranges_add(&ret->ranges, &range) < 0)
				return -ENOMEM;
		}
		before = now;
	}
	ranges_normalise(&ret->ranges);
	ret->more = found - ret->ranges.count;
	return 0;
}

static int describe(const struct naming *naming, struct prover *p, uint32_t values, struct fate_addresses *ret)
{
	const struct domain *domain = &p->space.domains[DOMAIN_ADDRESS];
	uint32_t others = values_without(&p->space.store, domain->all, values);
	const struct naming_item *named = find_named(naming, domain, values);

	ret->any = !others;
	if (!named && others && (named = find_named(naming, domain, others)))
		ret->but = true;
	if (named) {
		ret->name = named->name;
		ret->is_of_family = named->is_of_family;
	} else if (others) { /* which are fewer ranges where the first and the last address are none of them */
		ret->but = !values_have(&p->space.store, others, domain->points.items[0].class) &&
			   !values_have(&p->space.store, others, domain->points.items[domain->points.count - 1].class);
	}
	return p->space.store.failed ? -ENOMEM : put_ranges(p, values, ret);
}

int addresses_put(struct naming *naming, struct prover *p, uint32_t values, struct fate_diff *diff, size_t *ret_index)
{
	struct fate_addresses addresses = { .family = (uint8_t)p->space.family };

	for (size_t i = 0; i < naming->values.count; i++) {
		if (naming->values.items[i] != values)
			continue;
		*ret_index = naming->first + i;
		return 0;
	}
	*ret_index = diff->addresses.count;
	if (ARRAY_PUSH(&naming->values, values) < 0)
		return -ENOMEM;
	int r = describe(naming, p, values, &addresses);
	if (r == 0 && ARRAY_PUSH(&diff->addresses, addresses) < 0)
		r = -ENOMEM;
	if (r < 0)
		ranges_free(&addresses.ranges);
	return r;
}
