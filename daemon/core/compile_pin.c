/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compile_parts.h"

#include <stdlib.h>

/* interception = prevent: an identity DNAT right after connection tracking, and so before every usual nat chain. The
 * connection then counts as translated already, and no later redirect or dnat touches it. That holds for connections
 * that a flow allows, and for no others. */

static const char *const labels[] = { "pinned_out", "pinned_in" };

static void add_pinned_ports(struct compiler *c, const struct policy_role *role)
{
	add_port_map(c, role, PIN_OUT, PROTOCOL_TCP, role_ports(c, role, PIN_OUT, labels[0]));
	add_port_map(c, role, PIN_IN, PROTOCOL_TCP, role_ports(c, role, PIN_IN, labels[1]));
}

/* A rule for what the role is an end of; NULL: there are no such ports. What goes to a protected address is judged by
 * the flows to that. */
static struct rule *rule_of_role(struct compiler *c, struct chain *chain, const struct match *own, enum family family,
				 bool inbound, const char *ports)
{
	if (!ports || !ruleset_find_set(c->out, ports))
		return NULL;
	struct rule *rule = chain_rule(c->out, chain);
	rule_match(c, rule, inbound ? daddr_field(family) : saddr_field(family), own);
	if (!inbound)
		rule_in(c, rule, daddr_field(family), true,
			ruleset_string(c->out, "protected_%c", family_digit(family)));
	return rule;
}

static void add_role_pin(struct compiler *c, struct chain *chain, const struct policy_role *role, enum family family,
			 bool inbound)
{
	enum direction direction = inbound ? PIN_IN : PIN_OUT;
	const char *all = role_ports(c, role, direction, labels[inbound]);
	const char *some = ruleset_string(c->out, "%s_pin_%s_tcp", role->name, inbound ? "in" : "out");
	struct matches own = { 0 };

	match_ranges(c, &own, &role->guarded, family, ruleset_string(c->out, "guarded_%s", role->name), false);
	for (size_t i = 0; i < own.count; i++) {
		struct rule *rule = rule_of_role(c, chain, &own.items[i], family, inbound, all);
		if (rule) {
			rule_in(c, rule, FIELD_TCP_DPORT, false, all);
			rule_pin(c, rule, family);
		}
		rule = rule_of_role(c, chain, &own.items[i], family, inbound, some);
		if (rule)
			rule_map(c, rule, FIELD_TCP_DPORT, some);
	}
	free(own.items);
}

/* Whether a flow has the port of DNS: else no pin is for it. */
static bool any_dns(struct compiler *c)
{
	for (size_t r = 0; r < c->policy->role_count; r++)
		if (c->policy->roles[r].is_protected &&
		    (any_flow_at(c, &c->policy->roles[r], PIN_IN, PROTOCOL_TCP, DNS_PORT) ||
		     any_flow_at(c, &c->policy->roles[r], PIN_OUT, PROTOCOL_TCP, DNS_PORT)))
			return true;
	return false;
}

/* What goes to the gateway itself may be a port forward, and the protected machines' DNS may be redirected. */
void add_pin(struct compiler *c)
{
	static const enum field target[FAMILIES] = { FIELD_IP_DADDR, FIELD_IP6_DADDR };
	const struct policy *policy = c->policy;
	bool pins = policy->mode == MODE_ENFORCE;

	for (size_t r = 0; pins && r < policy->role_count; r++)
		if (policy->roles[r].is_protected)
			add_pinned_ports(c, &policy->roles[r]);
	struct chain *chain = base_chain(c, "pin", HOOK_PREROUTING, -199);
	if (!chain)
		return;
	chain->nat = true;
	if (!pins)
		return;

	struct rule *rule = chain_rule(c->out, chain);
	rule_add(c->out, rule, &(struct term){ .kind = TERM_MATCH, .field = FIELD_FIB_LOCAL });
	rule_action(c, rule, ACTION_RETURN, NULL);
	return_excepted(c, chain, target);
	if (any_dns(c))
		return_dns(c, chain, FIELD_TCP_DPORT);
	for (size_t r = 0; r < policy->role_count; r++)
		for (int inbound = 0; policy->roles[r].is_protected && inbound < 2; inbound++)
			for (enum family family = 0; family < FAMILIES; family++)
				add_role_pin(c, chain, &policy->roles[r], family, inbound);
}
