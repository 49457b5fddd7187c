/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compile_parts.h"

#include <string.h>

/* Guards: forged sources, and connections that another table intercepts. */

/* It is counted once. */
static void rule_intercepted(struct compiler *c, struct rule *rule)
{
	rule_counter(c, rule, "intercepted");
	rule_log(c, rule, "spefw intercepted ");
	if (c->policy->interception == INTERCEPTION_BLOCK)
		rule_drop(c, rule);
	else
		rule_action(c, rule, ACTION_RETURN, NULL);
}

static const enum field original[FAMILIES] = { FIELD_CT_IP_DADDR, FIELD_CT_IP6_DADDR };

static const char *protected_set(struct compiler *c, enum family family)
{
	return ruleset_string(c->out, "protected_%c", family_digit(family));
}

/* What nat_except lists is meant. */
void return_excepted(struct compiler *c, struct chain *chain, const enum field fields[FAMILIES])
{
	for (enum family family = 0; family < FAMILIES; family++) {
		if (!ranges_have(&c->policy->nat_except, family))
			continue;
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, fields[family], false, ruleset_string(c->out, "nat_except_%c", family_digit(family)));
		rule_action(c, rule, ACTION_RETURN, NULL);
	}
}

/* DNS queries of a protected machine are for the network to answer. port: of the query as it was sent. */
void return_dns(struct compiler *c, struct chain *chain, enum field port)
{
	for (enum family family = 0; family < FAMILIES; family++) {
		struct rule *rule = chain_rule(c->out, chain);
		if (port == FIELD_CT_DPORT) /* nft knows what the port is by that alone */
			rule_byte(c, rule, FIELD_L4PROTO, IPPROTO_TCP_);
		rule_port(c, rule, port, DNS_PORT);
		rule_in(c, rule, saddr_field(family), false, protected_set(c, family));
		rule_action(c, rule, ACTION_RETURN, NULL);
	}
}

/* A TCP connection of or to a protected address was given another target by another table. To one of the gateway's own
 * addresses it is an ordinary port forward, what nat_except lists is meant, and between protected addresses it is where
 * it was to go; anything else is an interception. */
void add_intercept(struct compiler *c)
{
	struct chain *chain = ruleset_chain(c->out, "intercept");

	for (enum family family = 0; family < FAMILIES; family++) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, original[family], false, ruleset_string(c->out, "gateway_%c", family_digit(family)));
		rule_action(c, rule, ACTION_RETURN, NULL);
		rule = chain_rule(c->out, chain);
		rule_in(c, rule, original[family], false, protected_set(c, family));
		rule_in(c, rule, daddr_field(family), false, protected_set(c, family));
		rule_action(c, rule, ACTION_RETURN, NULL);
	}
	return_excepted(c, chain, original);
	return_dns(c, chain, FIELD_CT_DPORT);
	for (enum family family = 0; family < FAMILIES; family++) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, original[family], false, protected_set(c, family));
		rule_intercepted(c, rule);
		rule = chain_rule(c->out, chain);
		rule_in(c, rule, saddr_field(family), false, protected_set(c, family));
		rule_intercepted(c, rule);
	}
}

/* A connection that some other machine's address was opened to, and that a socket of the gateway takes: tproxy. It
 * leaves no trace in the connection, but only it brings such a packet to input. */
void add_intercept_here(struct compiler *c)
{
	static const enum field target[FAMILIES] = { FIELD_IP_DADDR, FIELD_IP6_DADDR };
	struct chain *chain = ruleset_chain(c->out, "intercept_here");

	return_excepted(c, chain, target);
	return_dns(c, chain, FIELD_TCP_DPORT);
	for (enum family family = 0; family < FAMILIES; family++) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, daddr_field(family), false, protected_set(c, family));
		rule_intercepted(c, rule);
		rule = chain_rule(c->out, chain);
		rule_in(c, rule, saddr_field(family), false, protected_set(c, family));
		rule_intercepted(c, rule);
	}
}

void rule_translated(struct compiler *c, struct chain *chain)
{
	if (c->policy->interception == INTERCEPTION_OFF)
		return;
	struct rule *rule = chain_rule(c->out, chain);
	rule_byte(c, rule, FIELD_L4PROTO, IPPROTO_TCP_);
	rule_bits(c, rule, FIELD_CT_STATUS, CT_STATUS_DNAT);
	rule_action(c, rule, ACTION_JUMP, "intercept");
}

/* A source that is the gateway's own, on a packet that came by a wire. (Own broadcasts and multicasts do come back by
 * their interface, and go to no protected address.) */
static void add_own_source(struct compiler *c, struct chain *chain)
{
	for (enum family family = 0; family < FAMILIES; family++) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, saddr_field(family), false,
			ruleset_string(c->out, "gateway_%c", family_digit(family)));
		rule_in(c, rule, daddr_field(family), false,
			ruleset_string(c->out, "protected_%c", family_digit(family)));
		rule_in(c, rule, FIELD_IIFNAME, true, "own_interfaces");
		rule_counter(c, rule, "spoofed");
		rule_drop(c, rule);
	}
}

static bool same_interfaces(const struct interface_list *a, const struct interface_list *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++)
		if (strcmp(a->names[i], b->names[i]) != 0)
			return false;
	return a->count == b->count;
}

/* Whether one rule serves all protected roles, since they are behind the same interfaces. *ret: the first of them. */
static bool are_together(struct compiler *c, const struct policy_role **ret)
{
	const struct interface_list *first = NULL;

	for (size_t r = 0; r < c->policy->role_count; r++) {
		const struct interface_list *interfaces = &c->environment->role_interfaces[r];
		if (!c->policy->roles[r].is_protected)
			continue;
		if (first && !same_interfaces(first, interfaces))
			return false;
		if (!first) {
			first = interfaces;
			*ret = &c->policy->roles[r];
		}
	}
	return first != NULL;
}

/* While no interface of a role is known, its guard is left out: an empty set must never cut the server off. */
static void add_role_guard(struct compiler *c, struct chain *chain, const struct policy_role *role, bool all)
{
	if (!role->is_protected || !c->environment->role_interfaces[role - c->policy->roles].count)
		return;
	for (enum family family = 0; family < FAMILIES; family++) {
		if (!ranges_have(all ? &c->policy->protected_all : &role->guarded, family))
			continue;
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, saddr_field(family), false,
			all ? protected_set(c, family) : guarded_set(c, role, family));
		rule_in(c, rule, FIELD_IIFNAME, true, ruleset_string(c->out, "%s_interfaces", role->name));
		rule_counter(c, rule, "spoofed");
		rule_drop(c, rule);
	}
}

void add_guard(struct compiler *c)
{
	struct chain *chain = ruleset_chain(c->out, "guard");
	const struct policy_role *first;

	add_own_source(c, chain);
	if (are_together(c, &first))
		add_role_guard(c, chain, first, true);
	else
		for (size_t r = 0; r < c->policy->role_count; r++)
			add_role_guard(c, chain, &c->policy->roles[r], false);
	rule_translated(c, chain);
}
