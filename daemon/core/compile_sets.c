/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compile_parts.h"
#include "cut_list.h"
#include "hash.h"

#include <stdlib.h>
#include <string.h>

/* Counters, and the sets and maps that every table has. */

const char *const guard_counters[] = {
	"denied-in",     "denied-out",  "denied-early", "ignored",    "invalid", "spoofed",
	"source-routed", "intercepted", "unobserved",   "mid-stream", "cut",
};

const size_t guard_counter_count = sizeof(guard_counters) / sizeof(guard_counters[0]);

/* Where the name is, or would be: there are free slots. */
static uint32_t *slot_of(struct compiler *c, const char *name)
{
	size_t at = (size_t)hash_bytes(HASH_START, name, strlen(name)) & (c->names.size - 1);

	while (c->names.slots[at] && strcmp(c->out->sets.items[c->names.slots[at] - 1].name, name) != 0)
		at = (at + 1) & (c->names.size - 1);
	return &c->names.slots[at];
}

static bool grow_slots(struct compiler *c)
{
	size_t size = c->names.size ? 4 * c->names.size : 256;
	uint32_t *slots = calloc(size, sizeof(*slots));

	if (!slots) {
		c->out->failed = true;
		return false;
	}
	free(c->names.slots);
	c->names.slots = slots;
	c->names.size = size;
	c->names.sets = 0;
	return true;
}

struct set *made_set(struct compiler *c, const char *name)
{
	while (2 * c->out->sets.count >= c->names.size)
		if (!grow_slots(c))
			return NULL;
	for (; c->names.sets < c->out->sets.count; c->names.sets++)
		*slot_of(c, c->out->sets.items[c->names.sets].name) = (uint32_t)c->names.sets + 1;
	uint32_t slot = *slot_of(c, name);
	return slot ? &c->out->sets.items[slot - 1] : NULL;
}

void add_counters(struct compiler *c)
{
	for (size_t i = 0; i < c->policy->flow_count; i++)
		if (c->policy->flows[i].enabled)
			ruleset_counter(c->out, flow_counter(c, &c->policy->flows[i]));
	for (size_t i = 0; i < guard_counter_count; i++)
		ruleset_counter(c->out, ruleset_string(c->out, "%s", guard_counters[i]));
}

/* One by one: packets that are none of ours look them up as well, and a hash is quickest. */
static void add_addresses(struct compiler *c, const char *name, const struct ranges *ranges, enum family family)
{
	struct set *set = ruleset_set(c->out, name, family_key(family), 0);

	for (size_t i = 0; ranges && i < ranges->count; i++) {
		const struct range *range = &ranges->items[i];
		struct addr addr = range->first;
		if (addr.family != family)
			continue;
		do {
			struct element element = { 0 };
			memcpy(element.first, addr.bytes, addr_size(family));
			memcpy(element.last, addr.bytes, addr_size(family));
			set_add(c->out, set, &element);
		} while (addr_compare(&addr, &range->last) < 0 && addr_next(&addr));
	}
}

void add_interfaces(struct compiler *c, struct set *set, const struct interface_list *interfaces)
{
	for (size_t i = 0; i < interfaces->count; i++) {
		struct element element = { 0 };
		memcpy(element.first, interfaces->names[i], strnlen(interfaces->names[i], CONFIG_INTERFACE_MAX));
		memcpy(element.last, element.first, KEY_SIZE_MAX);
		set_add(c->out, set, &element);
	}
}

static void add_gateway_sets(struct compiler *c)
{
	for (enum family family = 0; family < FAMILIES; family++)
		add_addresses(c, ruleset_string(c->out, "gateway_%c", family_digit(family)), c->environment->gateway,
			      family);
	add_addresses(c, "broadcasts_4", c->environment->broadcasts, FAMILY_4);
}

static void add_nd_sets(struct compiler *c)
{
	/* Neighbour discovery and multicast listening, RFC 4861, 2710, 3810: what a gateway receives, and what it
	 * sends. */
	static const uint8_t in[] = { 131, 133, 134, 135, 136, 143 }, out[] = { 130, 133, 134, 135, 136, 137 };
	const uint8_t *const types[] = { in, out };
	static const char *const names[] = { "nd_in", "nd_out" };

	for (int i = 0; i < 2; i++) {
		struct set *set = ruleset_set(c->out, ruleset_string(c->out, "%s", names[i]), KEY_ICMPV6_TYPE, 0);
		for (size_t t = 0; t < sizeof(in); t++)
			set_add(c->out, set, &(struct element){ .first = { types[i][t] }, .last = { types[i][t] } });
	}
}

/* The role with the only range of this family that is guarded at all; NULL where there are several, or none. */
const struct policy_role *guards_alone(struct compiler *c, enum family family, const struct range **ret)
{
	const struct policy_role *found = NULL;

	for (size_t r = 0; r < c->policy->role_count; r++) {
		const struct policy_role *role = &c->policy->roles[r];
		const struct range *last;
		size_t count = role->is_protected ? ranges_of(&role->guarded, family, &last) : 0;
		if (count > 1 || (count && found))
			return NULL;
		if (count) {
			found = role;
			*ret = last;
		}
	}
	return found;
}

/* Replies of a machine to which no protected one opens connections are denied at once: where there are a thousand of
 * them, a chain for each would be a million ways through the rules. */
static const char *chain_of_role(struct compiler *c, const struct policy_role *role, const char *label)
{
	if (strcmp(label, "replies") == 0 && !any_flow_between(c, role))
		return "deny_in";
	return ruleset_string(c->out, "%s_%s", role->name, label);
}

static void add_protected_maps(struct compiler *c)
{
	static const struct {
		const char *map, *chain;
		uint8_t action;
	} kinds[] = {
		{ "protected_dst", "in", ACTION_GOTO },
		{ "protected_src", "out", ACTION_GOTO },
		{ "replies", "replies", ACTION_GOTO },
		{ "early", "early", ACTION_JUMP },
	};
	for (size_t k = 0; k < 4; k++) {
		bool early = k == 3;
		if (early && !c->early)
			continue;
		for (enum family family = 0; family < FAMILIES; family++) {
			const struct range *only;
			if (early && guards_alone(c, family, &only))
				continue; /* it stands in a rule */
			const char *name = ruleset_string(c->out, "%s_%c", kinds[k].map, family_digit(family));
			struct set *map = ruleset_set(c->out, name, family_key(family), SET_INTERVAL | SET_VERDICTS);
			for (size_t r = 0; r < c->policy->role_count; r++) {
				const struct policy_role *role = &c->policy->roles[r];
				if (!role->is_protected)
					continue;
				add_ranges(c, map, &role->guarded, family, kinds[k].action,
					   chain_of_role(c, role, kinds[k].chain));
			}
		}
	}
}

static void add_interface_sets(struct compiler *c)
{
	static char lo[][CONFIG_INTERFACE_MAX + 1] = { "lo" };
	const struct interface_list loopback = { lo, 1 };

	for (size_t r = 0; r < c->policy->role_count; r++) {
		const struct interface_list *interfaces = &c->environment->role_interfaces[r];
		if (!c->policy->roles[r].is_protected || !interfaces->count)
			continue;
		add_interfaces(c,
			       ruleset_set(c->out, ruleset_string(c->out, "%s_interfaces", c->policy->roles[r].name),
					   KEY_INTERFACE, 0),
			       interfaces);
	}
	add_interfaces(c, ruleset_set(c->out, "towards", KEY_INTERFACE, 0), &c->environment->towards);
	struct set *own = ruleset_set(c->out, "own_interfaces", KEY_INTERFACE, 0);
	add_interfaces(c, own, &loopback);
	add_interfaces(c, own, &c->environment->own_interfaces);
}

/* What they hold is not the policy's: see cut.h. An element of cut_full: not all that was cut is in the others. */
static void add_cut_sets(struct compiler *c)
{
	static const struct {
		const char *name;
		enum key_type type;
		uint32_t size;
	} sets[] = {
		{ "cut_4", KEY_CUT_4, CUT_SET_SIZE },
		{ "cut_6", KEY_CUT_6, CUT_SET_SIZE },
		{ "cut_full", KEY_PROTOCOL, 0 },
	};

	for (size_t i = 0; i < 3; i++) {
		struct set *set = ruleset_set(c->out, ruleset_string(c->out, "%s", sets[i].name), sets[i].type,
					      SET_TIMEOUT | SET_KEPT);
		if (set)
			set->size = sets[i].size;
	}
}

void add_shared_sets(struct compiler *c)
{
	struct set *set;

	for (enum family family = 0; family < FAMILIES; family++) {
		set = ruleset_set(c->out, ruleset_string(c->out, "protected_%c", family_digit(family)),
				  family_key(family), SET_INTERVAL);
		add_ranges(c, set, &c->policy->protected_all, family, ACTION_NONE, NULL);
	}
	add_gateway_sets(c);
	add_interface_sets(c);
	add_nd_sets(c);
	add_cut_sets(c);
	for (enum family family = 0; family < FAMILIES; family++) {
		if (!ranges_have(&c->policy->nat_except, family))
			continue;
		set = ruleset_set(c->out, ruleset_string(c->out, "nat_except_%c", family_digit(family)),
				  family_key(family), SET_INTERVAL);
		add_ranges(c, set, &c->policy->nat_except, family, ACTION_NONE, NULL);
	}
	add_protected_maps(c);
}
