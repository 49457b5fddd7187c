/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compile_parts.h"

/* interception = prevent: an identity DNAT right after connection tracking, and so before every usual nat chain. The
 * connection then counts as translated already, and no later redirect or dnat touches it. That holds for connections
 * that a flow allows, and for no others. */

static const char *const labels[] = { "pinned_out", "pinned_in" };

static void add_pinned_ports(struct compiler *c, const struct policy_role *role)
{
	add_port_map(c, role, PIN_OUT, PROTOCOL_TCP, role_ports(c, role, PIN_OUT, labels[0]));
	add_port_map(c, role, PIN_IN, PROTOCOL_TCP, role_ports(c, role, PIN_IN, labels[1]));
}

static void add_family(struct compiler *c, struct chain *chain, enum family family, const char *ports)
{
	struct rule *rule = chain_rule(c->out, chain);

	rule_in(c, rule, FIELD_TCP_DPORT, false, ports);
	rule_pin(c, rule, family);
}

static const char *role_chain_name(struct compiler *c, const struct policy_role *role, bool inbound)
{
	return ruleset_string(c->out, "%s_pin_%s", role->name, inbound ? "in" : "out");
}

/* The set of ports of which all connections are pinned, and the map of those of which some are; NULL: none. */
static const char *pinned_ports(struct compiler *c, const struct policy_role *role, bool inbound, bool all)
{
	const char *name = all ? role_ports(c, role, inbound ? PIN_IN : PIN_OUT, labels[inbound])
			       : ruleset_string(c->out, "%s_pin_%s_tcp", role->name, inbound ? "in" : "out");
	return name && made_set(c, name) ? name : NULL;
}

static bool has_pins(struct compiler *c, const struct policy_role *role, bool inbound)
{
	return pinned_ports(c, role, inbound, true) || pinned_ports(c, role, inbound, false);
}

/* What is pinned of the role's connections in this direction. */
static void add_role_chain(struct compiler *c, const struct policy_role *role, bool inbound)
{
	const char *all = pinned_ports(c, role, inbound, true), *some = pinned_ports(c, role, inbound, false);

	if (!all && !some)
		return;
	struct chain *chain = ruleset_chain(c->out, role_chain_name(c, role, inbound));
	for (enum family family = 0; family < FAMILIES; family++)
		if (all && ranges_have(&role->guarded, family))
			add_family(c, chain, family, all);
	if (some)
		rule_map(c, chain_rule(c->out, chain), FIELD_TCP_DPORT, some);
}

/* Where an address leads, of each protected role: to what is pinned there, or to nothing. */
static void add_map(struct compiler *c, struct chain *chain, enum family family, bool inbound)
{
	const char *name = ruleset_string(c->out, "pin_%s_%c", inbound ? "dst" : "src", family_digit(family));
	struct set *map = ruleset_set(c->out, name, family_key(family), SET_INTERVAL | SET_VERDICTS);

	for (size_t r = 0; r < c->policy->role_count; r++) {
		const struct policy_role *role = &c->policy->roles[r];
		const char *to = role->is_protected ? role_chain_name(c, role, inbound) : NULL;
		bool pins = to && has_pins(c, role, inbound);
		if (to)
			add_ranges(c, map, &role->guarded, family, pins ? ACTION_GOTO : ACTION_RETURN,
				   pins ? to : NULL);
	}
	rule_map(c, chain_rule(c->out, chain), inbound ? daddr_field(family) : saddr_field(family), name);
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

	for (size_t r = 0; pins && r < policy->role_count; r++) {
		if (!policy->roles[r].is_protected)
			continue;
		add_pinned_ports(c, &policy->roles[r]);
		add_role_chain(c, &policy->roles[r], true);
		add_role_chain(c, &policy->roles[r], false);
	}
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
	/* What goes to a protected address is judged by the flows to that. */
	for (int inbound = 1; inbound >= 0; inbound--)
		for (enum family family = 0; family < FAMILIES; family++)
			add_map(c, chain, family, inbound);
}
