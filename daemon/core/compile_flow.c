/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compile_parts.h"
#include "array.h"

#include <stdio.h>
#include <stdlib.h>

/* The rules of one flow in a direction: its two sides as matches, and a rule for each pair of them. */

const char *flow_counter(struct compiler *c, const struct policy_flow *flow)
{
	return ruleset_string(c->out, "flow-%s", flow->id);
}

const char *ranges_set(struct compiler *c, const struct ranges *ranges, enum family family, const char *name)
{
	if (name && !made_set(c, name))
		add_ranges(c, ruleset_set(c->out, name, family_key(family), SET_INTERVAL), ranges, family, ACTION_NONE,
			   NULL);
	return name;
}

const char *guarded_set(struct compiler *c, const struct policy_role *role, enum family family)
{
	return ranges_set(c, &role->guarded, family,
			  ruleset_string(c->out, "guarded_%s_%c", role->name, family_digit(family)));
}

static void add_match(struct compiler *c, struct matches *matches, struct match match)
{
	if (ARRAY_PUSH(matches, match) < 0)
		c->out->failed = true;
}

/* One range stands in the rule itself, several in a set. */
void match_ranges(struct compiler *c, struct matches *matches, const struct ranges *ranges, enum family family,
		  const char *set_base, bool shared)
{
	const struct range *only;
	size_t count = ranges_of(ranges, family, &only);

	if (count == 1 && !shared) {
		add_match(c, matches, (struct match){ .kind = MATCH_RANGE, .range = only });
	} else if (count) {
		const char *name = ruleset_string(c->out, "%s_%c", set_base, family_digit(family));
		add_match(c, matches, (struct match){ .kind = MATCH_SET, .set = ranges_set(c, ranges, family, name) });
	}
}

static void match_names(struct compiler *c, struct matches *matches, const struct endpoint *side, enum family family)
{
	for (size_t i = 0; i < side->name_count; i++)
		if (c->policy->names[side->names[i]].families & 1U << family)
			add_match(c, matches,
				  (struct match){ .kind = MATCH_SET, .set = name_set_of(c, side->names[i], family) });
}

void match_members(struct compiler *c, struct matches *matches, const struct endpoint *members, enum family family,
		   const char *set_base)
{
	match_ranges(c, matches, &members->ranges, family, set_base, true);
	match_names(c, matches, members, family);
}

bool own_is_all(const struct policy_role *role, const struct policy_flow *flow, const struct direction_form *form)
{
	return (!form->opens && flow->from.any) ||
	       ranges_cover_all(form->opens ? &flow->to.opens : &flow->from.ranges, &role->guarded);
}

/* The role's own side: nothing to look at where the flow is for all of the role. */
static void own_matches(struct compiler *c, const struct policy_role *role, const struct policy_flow *flow,
			const struct direction_form *form, enum family family, struct matches *ret)
{
	const struct endpoint *side = form->opens ? &flow->to : &flow->from;
	const struct ranges *ranges = form->opens ? &side->opens : &side->ranges;
	char base[CONFIG_ID_MAX + 8];

	ret->count = 0;
	if (own_is_all(role, flow, form)) {
		add_match(c, ret, (struct match){ .kind = MATCH_ALL });
		return;
	}
	snprintf(base, sizeof(base), "%s_%s", form->opens ? "opens" : "from", flow->id);
	match_ranges(c, ret, ranges, family, base, false);
}

static void peer_matches(struct compiler *c, const struct policy_flow *flow, const struct direction_form *form,
			 enum family family, struct matches *ret)
{
	const struct endpoint *side = form->opens ? &flow->from : &flow->to;
	char base[CONFIG_ID_MAX + 16];

	ret->count = 0;
	if (side->any) {
		add_match(c, ret, (struct match){ .kind = MATCH_ALL });
		return;
	}
	bool is_role = side->set && side->set[0] >= 'A' && side->set[0] <= 'Z';
	if (side->set)
		snprintf(base, sizeof(base), "%s%s", is_role ? "role_" : "", side->set);
	else
		snprintf(base, sizeof(base), "%s_%s", form->opens ? "from" : "to", flow->id);
	/* Targets that are protected are judged elsewhere. */
	if (form->opens || !ranges_cover_all(&c->policy->protected_all, &side->ranges))
		match_ranges(c, ret, &side->ranges, family, base, side->set != NULL);
	match_names(c, ret, side, family);
	const char *granted = granted_set_of(c, flow, side, family);
	if (granted)
		add_match(c, ret, (struct match){ .kind = MATCH_SET, .set = granted });
}

void rule_match(struct compiler *c, struct rule *rule, enum field field, const struct match *match)
{
	if (match->kind == MATCH_RANGE)
		rule_range(c, rule, field, match->range);
	else if (match->kind == MATCH_SET)
		rule_in(c, rule, field, false, match->set);
}

static void end_rule(struct compiler *c, struct rule *rule, const struct policy_flow *flow,
		     const struct direction_form *form, enum family family)
{
	if (form->pins) {
		rule_pin(c, rule, family);
		return;
	}
	rule_counter(c, rule, form->mid_stream ? "mid-stream" : flow_counter(c, flow));
	rule_action(c, rule, ACTION_ACCEPT, NULL);
}

/* True where the flow allows every packet that comes here: nothing after it would be reached. */
bool add_flow_rules(struct compiler *c, struct chain *chain, const struct policy_role *role,
		    const struct policy_flow *flow, const struct direction_form *form)
{
	struct matches own = { 0 }, peer = { 0 };
	bool all = false;

	for (enum family family = 0; family < FAMILIES && !all; family++) {
		enum field own_field = form->own_is_source ? saddr_field(family) : daddr_field(family);
		enum field peer_field = form->own_is_source ? daddr_field(family) : saddr_field(family);
		own_matches(c, role, flow, form, family, &own);
		peer_matches(c, flow, form, family, &peer);
		/* That is then so in both families. */
		all = own.count == 1 && own.items[0].kind == MATCH_ALL && peer.count == 1 &&
		      peer.items[0].kind == MATCH_ALL;
		if (all)
			end_rule(c, chain_rule(c->out, chain), flow, form, family);
		for (size_t o = 0; o < own.count && !all; o++) {
			for (size_t p = 0; p < peer.count; p++) {
				struct rule *rule = chain_rule(c->out, chain);
				rule_match(c, rule, own_field, &own.items[o]);
				rule_match(c, rule, peer_field, &peer.items[p]);
				end_rule(c, rule, flow, form, family);
			}
		}
	}
	free(own.items);
	free(peer.items);
	return all;
}
