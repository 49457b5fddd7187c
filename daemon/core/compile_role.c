/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compile_parts.h"

#include <stdlib.h>

/* The chains of one protected role: what comes to it, what leaves it, mid-stream packets, early drop. */

static void rules_echo(struct compiler *c, struct chain *chain, const char *echo_chain)
{
	static const enum field fields[] = { FIELD_ICMP_TYPE, FIELD_ICMPV6_TYPE };
	static const uint8_t requests[] = { ICMP_ECHO_REQUEST, ICMPV6_ECHO_REQUEST };

	for (enum family family = 0; family < FAMILIES; family++) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_byte(c, rule, fields[family], requests[family]);
		rule_action(c, rule, ACTION_JUMP, echo_chain);
	}
}

static void rule_not_new(struct compiler *c, struct chain *chain)
{
	struct rule *rule = chain_rule(c->out, chain);
	rule_bits(c, rule, FIELD_CT_STATE, CT_INVALID | CT_RELATED);
	rule_action(c, rule, ACTION_JUMP, "not_new");
}

/* The kernel keeps a set of single ports as a bitmap, where looking up a flood's SYNs takes less time than among
 * intervals. No set can be changed from the one to the other: with ranges it has another name. */
const char *role_ports(struct compiler *c, const struct policy_role *role, enum direction direction, const char *label)
{
	return ruleset_string(c->out, "%s_%s_tcp%s", role->name, label,
			      any_port_range(c, role, direction) ? "_ranges" : "");
}

static void rule_mid_stream(struct compiler *c, struct chain *chain, const char *mid_stream)
{
	struct rule *rule = chain_rule(c->out, chain);
	rule_opens_nothing(c, rule);
	rule_action(c, rule, ACTION_GOTO, mid_stream);
}

/* Mid-stream packets of outbound flows pass only where all that was cut is in the sets. */
static void rule_unless_full(struct compiler *c, struct chain *chain, const char *deny)
{
	struct rule *rule = chain_rule(c->out, chain);
	rule_in(c, rule, FIELD_L4PROTO, false, "cut_full");
	rule_action(c, rule, ACTION_GOTO, deny);
}

static const char *ephemeral_set(struct compiler *c, const struct policy_role *role)
{
	const char *name = ruleset_string(c->out, "%s_ephemeral", role->name);

	if (name && !made_set(c, name))
		for (size_t i = 0; i < role->ephemeral_count; i++)
			add_ports(c, name, SET_INTERVAL, role->ephemeral[i].first, role->ephemeral[i].last, ACTION_NONE,
				  NULL);
	return name;
}

/* Mid-stream packets that come to the role: to a service port they are those of an inbound connection, and to no other
 * one. */
static const char *add_mid_stream_in(struct compiler *c, const struct policy_role *role)
{
	bool original = add_port_map(c, role, MIDSTREAM_IN, PROTOCOL_TCP, NULL),
	     reply = add_port_map(c, role, MIDSTREAM_IN_REPLY, PROTOCOL_TCP, NULL);
	const char *name = ruleset_string(c->out, "%s_midstream_in", role->name);
	const char *ephemeral = ephemeral_set(c, role);
	struct chain *chain = ruleset_chain(c->out, name);

	rule_action(c, chain_rule(c->out, chain), ACTION_JUMP, "cut_in");
	if (original)
		rule_port_map(c, chain, role, MIDSTREAM_IN, PROTOCOL_TCP);
	rule_unless_full(c, chain, "deny_in");
	for (enum family family = 0; family < FAMILIES; family++) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, FIELD_TCP_DPORT, false, ephemeral);
		rule_map(c, rule, saddr_field(family), ruleset_string(c->out, "replies_%c", family_digit(family)));
	}
	if (reply) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, FIELD_TCP_DPORT, false, ephemeral);
		rule_map(c, rule, FIELD_TCP_SPORT, ruleset_string(c->out, "%s_midstream_in_reply_tcp", role->name));
	}
	rule_action(c, chain_rule(c->out, chain), ACTION_GOTO, "deny_in");
	return name;
}

static const char *add_mid_stream_out(struct compiler *c, const struct policy_role *role)
{
	bool reply = add_port_map(c, role, MIDSTREAM_OUT_REPLY, PROTOCOL_TCP, NULL),
	     original = add_port_map(c, role, MIDSTREAM_OUT, PROTOCOL_TCP, NULL);
	const char *name = ruleset_string(c->out, "%s_midstream_out", role->name);
	const char *ephemeral = original ? ephemeral_set(c, role) : NULL;
	struct chain *chain = ruleset_chain(c->out, name);

	rule_action(c, chain_rule(c->out, chain), ACTION_JUMP, "cut_out");
	if (reply) {
		rule_port_map(c, chain, role, MIDSTREAM_OUT_REPLY, PROTOCOL_TCP);
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, FIELD_TCP_SPORT, false, role_ports(c, role, TO_ROLE, "open"));
		rule_action(c, rule, ACTION_GOTO, "deny_out");
	}
	if (original) {
		rule_unless_full(c, chain, "deny_out");
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, FIELD_TCP_SPORT, false, ephemeral);
		rule_map(c, rule, FIELD_TCP_DPORT, ruleset_string(c->out, "%s_midstream_out_tcp", role->name));
	}
	rule_action(c, chain_rule(c->out, chain), ACTION_GOTO, "deny_out");
	return name;
}

/* What one protected machine sends another as the reply of a connection that was opened to it. */
static void add_replies(struct compiler *c, const struct policy_role *role)
{
	if (!any_flow_between(c, role))
		return;
	struct chain *chain = ruleset_chain(c->out, ruleset_string(c->out, "%s_replies", role->name));
	rule_port_map(c, chain, role, MIDSTREAM_OUT_REPLY, PROTOCOL_TCP);
	rule_action(c, chain_rule(c->out, chain), ACTION_GOTO, "deny_in");
}

static void add_in(struct compiler *c, const struct policy_role *role)
{
	const char *open = role_ports(c, role, TO_ROLE, "open");
	bool tcp = add_port_map(c, role, TO_ROLE, PROTOCOL_TCP, open);
	bool udp = add_port_map(c, role, TO_ROLE, PROTOCOL_UDP, NULL);
	const char *echo = add_echo_chain(c, role, TO_ROLE);
	const char *mid_stream = add_mid_stream_in(c, role);
	struct chain *chain = ruleset_chain(c->out, ruleset_string(c->out, "%s_in", role->name));

	rule_not_new(c, chain);
	rule_mid_stream(c, chain, mid_stream);
	if (tcp)
		rule_port_map(c, chain, role, TO_ROLE, PROTOCOL_TCP);
	if (udp)
		rule_port_map(c, chain, role, TO_ROLE, PROTOCOL_UDP);
	if (echo)
		rules_echo(c, chain, echo);
	rule_action(c, chain_rule(c->out, chain), ACTION_GOTO, denial_in(c));
}

static void add_out(struct compiler *c, const struct policy_role *role)
{
	bool tcp = add_port_map(c, role, FROM_ROLE, PROTOCOL_TCP, NULL);
	bool udp = add_port_map(c, role, FROM_ROLE, PROTOCOL_UDP, NULL);
	const char *echo = add_echo_chain(c, role, FROM_ROLE);
	const char *mid_stream = add_mid_stream_out(c, role);
	struct chain *chain = ruleset_chain(c->out, ruleset_string(c->out, "%s_out", role->name));

	rule_not_new(c, chain);
	rule_mid_stream(c, chain, mid_stream);
	if (tcp)
		rule_port_map(c, chain, role, FROM_ROLE, PROTOCOL_TCP);
	if (udp)
		rule_port_map(c, chain, role, FROM_ROLE, PROTOCOL_UDP);
	if (echo)
		rules_echo(c, chain, echo);
	rule_action(c, chain_rule(c->out, chain), ACTION_GOTO, denial_out(c, role));
}

static void add_role_early(struct compiler *c, const struct policy_role *role)
{
	const char *open = role_ports(c, role, TO_ROLE, "open");
	struct chain *chain = ruleset_chain(c->out, ruleset_string(c->out, "%s_early", role->name));

	if (open && made_set(c, open)) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, FIELD_TCP_DPORT, false, open);
		rule_action(c, rule, ACTION_RETURN, NULL);
	}
	return_answered(c, chain);
	rule_counter(c, chain_rule(c->out, chain), "denied-early");
	rule_limited_log(c, chain_rule(c->out, chain), DENIAL_RATE, "spefw denied-early ");
	rule_drop(c, chain_rule(c->out, chain));
}

void add_role(struct compiler *c, const struct policy_role *role)
{
	add_in(c, role);
	add_out(c, role);
	add_replies(c, role);
	if (c->early)
		add_role_early(c, role);
}
