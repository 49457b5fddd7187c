/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compile_parts.h"

/* The base chains, and what they look at before the role of a packet is known. */

enum { PLAIN_IPV4 = 0x45 }; /* the first byte of a header without options */

struct chain *base_chain(struct compiler *c, const char *name, enum hook hook, int priority)
{
	struct chain *chain = ruleset_chain(c->out, name);
	if (chain) {
		chain->hook = hook;
		chain->priority = priority;
	}
	return chain;
}

static void rule_established(struct compiler *c, struct chain *chain)
{
	struct rule *rule = chain_rule(c->out, chain);
	rule_bits(c, rule, FIELD_CT_STATE, CT_ESTABLISHED);
	rule_action(c, rule, ACTION_ACCEPT, NULL);
}

static void rule_neighbours(struct compiler *c, struct chain *chain, const char *set)
{
	struct rule *rule = chain_rule(c->out, chain);
	rule_in(c, rule, FIELD_ICMPV6_TYPE, false, set);
	rule_action(c, rule, ACTION_ACCEPT, NULL);
}

/* Across a bridge whose frames are filtered, neighbour discovery passes forward as well. A packet that was routed has a
 * lower hop limit. */
static void rule_bridged_neighbours(struct compiler *c, struct chain *chain)
{
	struct rule *rule = chain_rule(c->out, chain);
	rule_byte(c, rule, FIELD_IP6_HOPLIMIT, 255);
	rule_in(c, rule, FIELD_ICMPV6_TYPE, false, "nd_out");
	rule_action(c, rule, ACTION_ACCEPT, NULL);
}

static void rule_source_routed(struct compiler *c, struct rule *rule)
{
	rule_counter(c, rule, "source-routed");
	rule_drop(c, rule);
}

/* Targets that are not the last word: a later router, or this gateway after forward, writes another one into the
 * packet. It is looked at ahead of the fast path: its connection is that with the written target, the gateway itself
 * for one. */
void add_source_routes(struct compiler *c)
{
	static const enum field options[] = { FIELD_IP_LSRR, FIELD_IP_SSRR };
	static const uint8_t plain[] = { IPPROTO_TCP_, IPPROTO_UDP_ }, none = 0;
	struct chain *chain = ruleset_chain(c->out, "source_routes");
	struct rule *rule;

	for (int i = 0; i < 2; i++) {
		rule = chain_rule(c->out, chain);
		rule_byte(c, rule, FIELD_IP6_NEXTHDR, plain[i]);
		rule_action(c, rule, ACTION_RETURN, NULL);
	}
	for (int i = 0; i < 2; i++) {
		rule = chain_rule(c->out, chain);
		rule_add(c->out, rule, &(struct term){ .kind = TERM_MATCH, .field = (uint8_t)options[i] });
		rule_in(c, rule, FIELD_OIFNAME, false, "towards");
		rule_source_routed(c, rule);
	}
	rule = chain_rule(c->out, chain);
	rule_add(c->out, rule,
		 &(struct term){ .kind = TERM_MATCH,
				 .field = FIELD_SEGMENTS_LEFT,
				 .negate = true,
				 .first = { none },
				 .last = { none } });
	rule_in(c, rule, FIELD_OIFNAME, false, "towards");
	rule_source_routed(c, rule);
	/* Its last segment was this gateway's to write: the connection that it seems to belong to is one with the
	 * gateway. */
	rule = chain_rule(c->out, chain);
	rule_add(c->out, rule, &(struct term){ .kind = TERM_MATCH, .field = FIELD_ROUTING });
	rule_in(c, rule, FIELD_IP6_DADDR, false, "protected_6");
	rule_bits(c, rule, FIELD_CT_STATE, CT_ESTABLISHED);
	rule_in(c, rule, FIELD_CT_IP6_DADDR, false, "gateway_6");
	rule_add(c->out, rule,
		 &(struct term){
			 .kind = TERM_MATCH, .field = FIELD_CT_STATUS, .bits = CT_STATUS_DNAT, .negate = true });
	rule_source_routed(c, rule);
}

/* Every packet comes by here: those without options leave by one comparison. */
static void rule_source_routes(struct compiler *c, struct chain *chain)
{
	static const uint8_t plain = PLAIN_IPV4;
	struct rule *rule = chain_rule(c->out, chain);

	rule_add(c->out, rule,
		 &(struct term){ .kind = TERM_MATCH,
				 .field = FIELD_FIRST_BYTE,
				 .negate = true,
				 .first = { plain },
				 .last = { plain } });
	rule_action(c, rule, ACTION_JUMP, "source_routes");
}

/* With bc_forwarding, what is sent to a network's broadcast address from afar reaches each machine in it. A bridge's
 * own broadcasts are no packets for this host. */
static void rule_broadcasts(struct compiler *c, struct chain *chain)
{
	struct rule *rule = chain_rule(c->out, chain);

	rule_in(c, rule, FIELD_IP_DADDR, false, "broadcasts_4");
	rule_byte(c, rule, FIELD_PKTTYPE, PACKET_HOST_);
	rule_action(c, rule, ACTION_GOTO, "deny_in");
}

/* That reset leaves by our own output, on the track of the connection that it denies; to one of the gateway's own
 * sockets it comes in again. Of what comes from elsewhere, connection tracking takes no RST for related. */
static void rule_reset_passes(struct compiler *c, struct chain *chain)
{
	struct rule *rule = chain_rule(c->out, chain);
	rule_bits(c, rule, FIELD_CT_STATE, CT_RELATED);
	rule_add(c->out, rule, &(struct term){ .kind = TERM_MATCH, .field = FIELD_TCP_RST });
	rule_action(c, rule, ACTION_ACCEPT, NULL);
}

void add_base_chains(struct compiler *c)
{
	bool observe = add_observe(c);
	struct chain *chain = base_chain(c, "forward", HOOK_FORWARD, 0);
	rule_observe(c, chain, observe, "observe");
	rule_source_routes(c, chain);
	rule_established(c, chain);
	rule_bridged_neighbours(c, chain);
	rule_action(c, chain_rule(c->out, chain), ACTION_JUMP, "guard");
	rule_broadcasts(c, chain);
	rule_action(c, chain_rule(c->out, chain), ACTION_GOTO, "judge");

	chain = base_chain(c, "input", HOOK_INPUT, 0);
	rule_observe(c, chain, observe, "observe_in");
	rule_established(c, chain);
	rule_reset_passes(c, chain);
	rule_neighbours(c, chain, "nd_in");
	rule_action(c, chain_rule(c->out, chain), ACTION_JUMP, "guard");
	if (c->policy->interception != INTERCEPTION_OFF) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_byte(c, rule, FIELD_L4PROTO, IPPROTO_TCP_);
		rule_add(c->out, rule, &(struct term){ .kind = TERM_MATCH, .field = FIELD_FIB_UNICAST });
		rule_action(c, rule, ACTION_JUMP, "intercept_here");
	}
	static const uint8_t types[] = { PACKET_BROADCAST_, PACKET_MULTICAST_ };
	for (int i = 0; i < 2; i++) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_byte(c, rule, FIELD_PKTTYPE, types[i]);
		rule_action(c, rule, ACTION_JUMP, "noise");
	}
	rule_action(c, chain_rule(c->out, chain), ACTION_GOTO, "judge");

	chain = base_chain(c, "output", HOOK_OUTPUT, 0);
	rule_observe(c, chain, observe, "observe_out");
	rule_established(c, chain);
	rule_reset_passes(c, chain);
	rule_neighbours(c, chain, "nd_out");
	rule_translated(c, chain);
	rule_action(c, chain_rule(c->out, chain), ACTION_GOTO, "judge");
}

/* A flood's SYNs come by here: with one address, a comparison takes less time than a map of intervals. */
static void add_early_syn(struct compiler *c)
{
	struct chain *chain = ruleset_chain(c->out, "early_syn");

	for (enum family family = 0; family < FAMILIES; family++) {
		struct rule *rule = chain_rule(c->out, chain);
		const struct range *only;
		const struct policy_role *role = guards_alone(c, family, &only);
		if (role) {
			rule_range(c, rule, daddr_field(family), only);
			rule_action(c, rule, ACTION_JUMP, ruleset_string(c->out, "%s_early", role->name));
		} else {
			rule_map(c, rule, daddr_field(family),
				 ruleset_string(c->out, "early_%c", family_digit(family)));
		}
	}
}

/* A SYN to a port that no flow opens is gone before connection tracking begins. Every packet of the gateway comes by
 * here: all but SYNs leave by one rule. In audit mode the chain is there and empty, as that of pin below. */
void add_early(struct compiler *c)
{
	if (c->early)
		add_early_syn(c);
	struct chain *chain = base_chain(c, "early", HOOK_PREROUTING, -310);
	if (c->early) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_add(c->out, rule, &(struct term){ .kind = TERM_MATCH, .field = FIELD_TCP_SYN_ACK });
		rule_action(c, rule, ACTION_JUMP, "early_syn");
	}
}
