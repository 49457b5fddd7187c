/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compile.h"
#include "compile_parts.h"
#include "cut_list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The whole table: sets that every table has, the chains that every packet meets, and the base chains. The flows of
 * each protected role are made by compile_role.c. */

const char *const guard_counters[] = {
	"denied-in",     "denied-out",  "denied-early", "ignored",    "invalid", "spoofed",
	"source-routed", "intercepted", "unobserved",   "mid-stream", "cut",
};
const size_t guard_counter_count = sizeof(guard_counters) / sizeof(guard_counters[0]);

enum {
	IPPROTO_ICMP_ = 1,
	IPPROTO_TCP_ = 6,
	IPPROTO_UDP_ = 17,
	IPPROTO_ICMPV6_ = 58,
	PACKET_HOST_ = 0,
	PACKET_BROADCAST_ = 1,
	PACKET_MULTICAST_ = 2,
	PLAIN_IPV4 = 0x45, /* the first byte of a header without options */
};

static void add_counters(struct compiler *c)
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

static void add_links(struct compiler *c, struct set *set, const struct interface_list *links)
{
	for (size_t i = 0; i < links->count; i++) {
		struct element element = { 0 };
		memcpy(element.first, links->names[i], strnlen(links->names[i], CONFIG_INTERFACE_MAX));
		memcpy(element.last, element.first, KEY_SIZE_MAX);
		set_add(c->out, set, &element);
	}
}

static void add_gateway_sets(struct compiler *c)
{
	for (enum family family = 0; family < FAMILIES; family++)
		add_addresses(c, ruleset_string(c->out, "gateway_%c", family_digit(family)), c->around->gateway,
			      family);
	add_addresses(c, "broadcasts_4", c->around->broadcasts, FAMILY_4);
}

static void add_nd_sets(struct compiler *c)
{
	/* Neighbour discovery and multicast listening, RFC 4861, 2710, 3810: what a gateway hears, and what it says. */
	static const uint8_t heard[] = { 131, 133, 134, 135, 136, 143 }, said[] = { 130, 133, 134, 135, 136, 137 };
	const uint8_t *const types[] = { heard, said };
	static const char *const names[] = { "nd_in", "nd_out" };

	for (int i = 0; i < 2; i++) {
		struct set *set = ruleset_set(c->out, ruleset_string(c->out, "%s", names[i]), KEY_ICMPV6_TYPE, 0);
		for (size_t t = 0; t < sizeof(heard); t++)
			set_add(c->out, set, &(struct element){ .first = { types[i][t] }, .last = { types[i][t] } });
	}
}

/* The role with the only range of this family that is guarded at all; NULL where there are several, or none. */
static const struct policy_role *guards_alone(struct compiler *c, enum family family, const struct range **ret)
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

static void add_protected_maps(struct compiler *c)
{
	static const struct {
		const char *map, *chain;
		uint8_t action;
	} kinds[] = {
		{ "protected_dst", "in", ACTION_GOTO },
		{ "protected_src", "out", ACTION_GOTO },
		{ "early", "early", ACTION_JUMP },
	};
	for (size_t k = 0; k < 3; k++) {
		if (k == 2 && !c->early)
			continue;
		for (enum family family = 0; family < FAMILIES; family++) {
			const struct range *only;
			if (k == 2 && guards_alone(c, family, &only))
				continue; /* it stands in a rule */
			const char *name = ruleset_string(c->out, "%s_%c", kinds[k].map, family_digit(family));
			struct set *map = ruleset_set(c->out, name, family_key(family), SET_INTERVAL | SET_VERDICTS);
			for (size_t r = 0; r < c->policy->role_count; r++) {
				const struct policy_role *role = &c->policy->roles[r];
				if (!role->is_protected)
					continue;
				const char *chain = ruleset_string(c->out, "%s_%s", role->name, kinds[k].chain);
				add_ranges(c, map, &role->guarded, family, kinds[k].action, chain);
			}
		}
	}
}

/* deny: the last rule is an explicit drop. Nothing may ever fall off its end: the base chains accept, for the
 * gateway's other traffic. */
static void add_deny(struct compiler *c, const char *direction)
{
	struct chain *chain = ruleset_chain(c->out, ruleset_string(c->out, "deny_%s", direction));

	struct rule *rule = chain_rule(c->out, chain);
	rule_counter(c, rule, ruleset_string(c->out, "denied-%s", direction));
	rule = chain_rule(c->out, chain);
	rule_limited_log(c, rule, DENIAL_RATE, ruleset_string(c->out, "spefw denied-%s ", direction));
	rule = chain_rule(c->out, chain);
	rule_drop(c, rule);
}

static void add_not_new(struct compiler *c)
{
	struct chain *chain = ruleset_chain(c->out, "not_new");
	static const uint8_t errors[] = { IPPROTO_ICMP_, IPPROTO_ICMPV6_ };

	for (int i = 0; i < 2; i++) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_bits(c, rule, FIELD_CT_STATE, CT_RELATED);
		rule_byte(c, rule, FIELD_L4PROTO, errors[i]);
		rule_action(c, rule, ACTION_ACCEPT, NULL);
	}
	struct rule *rule = chain_rule(c->out, chain);
	rule_bits(c, rule, FIELD_CT_STATE, CT_INVALID);
	rule_counter(c, rule, "invalid");
	rule_drop(c, rule);
}

static void add_mid_stream(struct compiler *c)
{
	struct chain *chain = ruleset_chain(c->out, "midstream");
	struct rule *rule = chain_rule(c->out, chain);

	rule_counter(c, rule, "mid-stream");
	rule_action(c, rule, ACTION_ACCEPT, NULL);
}

/* Mid-stream packets of what was cut, first of all that is judged of mid-stream packets: the reset ends the socket that
 * sent it. The protected side comes first in the sets' elements. */
static void add_cut(struct compiler *c)
{
	static const enum field fields[2][FAMILIES] = {
		{ FIELD_IP_TARGET_FIRST, FIELD_IP6_TARGET_FIRST },
		{ FIELD_IP_SOURCE_FIRST, FIELD_IP6_SOURCE_FIRST },
	};
	static const char *const chains[] = { "cut_in", "cut_out" };

	for (int out = 0; out < 2; out++) {
		struct chain *chain = ruleset_chain(c->out, chains[out]);
		for (enum family family = 0; family < FAMILIES; family++) {
			struct rule *rule = chain_rule(c->out, chain);
			rule_in(c, rule, fields[out][family], false,
				ruleset_string(c->out, "cut_%c", family_digit(family)));
			rule_counter(c, rule, "cut");
			rule_reset(c, rule);
		}
	}
}

static void rule_intercepted(struct compiler *c, struct rule *rule)
{
	rule_counter(c, rule, "intercepted");
	rule_log(c, rule, "spefw intercepted ");
	if (c->policy->interception == INTERCEPTION_BLOCK)
		rule_drop(c, rule);
}

static void return_dns(struct compiler *c, struct chain *chain)
{
	struct rule *rule = chain_rule(c->out, chain);
	rule_tcp_port(c, rule, FIELD_TCP_DPORT, DNS_PORT);
	rule_action(c, rule, ACTION_RETURN, NULL);
}

/* What nat_except lists is meant. */
static void return_excepted(struct compiler *c, struct chain *chain, const enum field fields[FAMILIES])
{
	for (enum family family = 0; family < FAMILIES; family++) {
		if (!ranges_have(&c->policy->nat_except, family))
			continue;
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, fields[family], false, ruleset_string(c->out, "nat_except_%c", family_digit(family)));
		rule_action(c, rule, ACTION_RETURN, NULL);
	}
}

/* The server's connection was redirected by another table. To one of the gateway's own addresses it is an ordinary
 * port forward, what nat_except lists is meant, and DNS is for the network to answer; anything else is an interception.
 */
static void add_intercept_out(struct compiler *c)
{
	static const enum field original[FAMILIES] = { FIELD_CT_IP_DADDR, FIELD_CT_IP6_DADDR };
	struct chain *chain = ruleset_chain(c->out, "intercept_out");

	return_dns(c, chain);
	for (enum family family = 0; family < FAMILIES; family++) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, original[family], false, ruleset_string(c->out, "gateway_%c", family_digit(family)));
		rule_action(c, rule, ACTION_RETURN, NULL);
	}
	return_excepted(c, chain, original);
	rule_intercepted(c, chain_rule(c->out, chain));
}

/* A connection that was opened to the server and now goes elsewhere. */
static void add_intercept_in(struct compiler *c)
{
	static const enum field original[] = { FIELD_CT_IP_DADDR, FIELD_CT_IP6_DADDR };
	struct chain *chain = ruleset_chain(c->out, "intercept_in");

	for (enum family family = 0; family < FAMILIES; family++) {
		const char *set = ruleset_string(c->out, "protected_%c", family_digit(family));
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, original[family], false, set);
		rule_in(c, rule, daddr_field(family), true, set);
		rule_intercepted(c, rule);
	}
}

/* A connection that some other machine's address was opened to, and that a socket of the gateway takes: tproxy. It
 * leaves no trace in the connection, but only it brings such a packet to input. */
static void add_intercept_here(struct compiler *c)
{
	static const enum field target[FAMILIES] = { FIELD_IP_DADDR, FIELD_IP6_DADDR };
	struct chain *chain = ruleset_chain(c->out, "intercept_here");

	for (enum family family = 0; family < FAMILIES; family++) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, daddr_field(family), false,
			ruleset_string(c->out, "protected_%c", family_digit(family)));
		rule_intercepted(c, rule);
		if (c->policy->interception != INTERCEPTION_BLOCK)
			rule_action(c, rule, ACTION_RETURN, NULL);
	}
	return_dns(c, chain);
	return_excepted(c, chain, target);
	for (enum family family = 0; family < FAMILIES; family++) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, saddr_field(family), false,
			ruleset_string(c->out, "protected_%c", family_digit(family)));
		rule_intercepted(c, rule);
	}
}

/* What says that it is the gateway's own, and came by a wire. (Own broadcasts and multicasts do come back by their
 * link, and go to nobody who is protected.) */
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

/* While no link of a role is known, its guard is left out: an empty set must never cut the server off. */
static void add_guard(struct compiler *c)
{
	struct chain *chain = ruleset_chain(c->out, "guard");
	size_t roles = 0;

	add_own_source(c, chain);
	for (size_t r = 0; r < c->policy->role_count; r++)
		roles += c->policy->roles[r].is_protected;
	for (size_t r = 0; r < c->policy->role_count; r++) {
		const struct policy_role *role = &c->policy->roles[r];
		if (!role->is_protected || !c->around->role_interfaces[r].count)
			continue;
		for (enum family family = 0; family < FAMILIES; family++) {
			if (!ranges_have(&role->guarded, family))
				continue;
			struct rule *rule = chain_rule(c->out, chain);
			if (roles == 1)
				rule_in(c, rule, saddr_field(family), false,
					ruleset_string(c->out, "protected_%c", family_digit(family)));
			else
				rule_in(c, rule, saddr_field(family), false, guarded_set(c, role, family));
			rule_in(c, rule, FIELD_IIFNAME, true, ruleset_string(c->out, "%s_interfaces", role->name));
			rule_counter(c, rule, "spoofed");
			rule_drop(c, rule);
		}
	}
	if (c->policy->interception != INTERCEPTION_OFF) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_bits(c, rule, FIELD_CT_STATUS, CT_STATUS_DNAT);
		rule_action(c, rule, ACTION_JUMP, "intercept_in");
	}
}

/* Where the destination is protected, the destination's table of flows decides. */
static void add_judge(struct compiler *c)
{
	struct chain *chain = ruleset_chain(c->out, "judge");

	for (enum family family = 0; family < FAMILIES; family++) {
		rule_map(c, chain_rule(c->out, chain), daddr_field(family),
			 ruleset_string(c->out, "protected_dst_%c", family_digit(family)));
		rule_map(c, chain_rule(c->out, chain), saddr_field(family),
			 ruleset_string(c->out, "protected_src_%c", family_digit(family)));
	}
}

/* A Windows server's broadcasts are not denials that anybody should look at. */
static void add_noise(struct compiler *c)
{
	struct chain *chain = ruleset_chain(c->out, "noise");

	for (enum family family = 0; family < FAMILIES; family++) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, saddr_field(family), false,
			ruleset_string(c->out, "protected_%c", family_digit(family)));
		rule_counter(c, rule, "ignored");
		rule_drop(c, rule);
	}
}

/* A named set of what a role guards: the shared one where no other role guards anything. */
static const char *role_set(struct compiler *c, const struct policy_role *role, enum family family)
{
	for (size_t r = 0; r < c->policy->role_count; r++)
		if (c->policy->roles[r].is_protected && &c->policy->roles[r] != role)
			return guarded_set(c, role, family);
	return ruleset_string(c->out, "protected_%c", family_digit(family));
}

/* No link is known of the role, or none matters: then no rule looks at it. */
static void rule_own_interfaces(struct compiler *c, struct rule *rule, const struct policy_role *role, bool negate)
{
	if (c->around->role_interfaces[role - c->policy->roles].count)
		rule_in(c, rule, FIELD_IIFNAME, negate, ruleset_string(c->out, "%s_interfaces", role->name));
}

/* The role's own address in a connection that was opened to one of its resolvers, whatever a redirection has made of
 * that. (The resolver may be a protected machine as well: only the direction tells who asks.) */
static struct rule *rule_to_resolver(struct compiler *c, struct chain *chain, const struct policy_role *role,
				     bool reply, enum family family)
{
	enum field own = reply ? daddr_field(family) : saddr_field(family);
	static const enum field original[FAMILIES] = { FIELD_CT_IP_DADDR, FIELD_CT_IP6_DADDR };
	struct rule *rule = chain_rule(c->out, chain);
	const char *set = ruleset_string(c->out, "resolvers_%c", family_digit(family));

	rule_in(c, rule, own, false, role_set(c, role, family));
	rule_in(c, rule, original[family], false, ranges_set(c, &c->policy->resolvers, family, set));
	rule_byte(c, rule, FIELD_CT_DIRECTION, reply);
	return rule;
}

/* Queries, by the role's own links alone: one that somebody else made up would make his own answer count. */
static void add_queries(struct compiler *c, struct chain *chain, const struct policy_role *role, enum family family)
{
	struct rule *rule = rule_to_resolver(c, chain, role, false, family);

	rule_own_interfaces(c, rule, role, false);
	rule_action(c, rule, ACTION_GOTO, ruleset_string(c->out, "%s_queries", role->name));
}

/* Where answers may come from. */
enum answerer { BY_RESOLVER_LINK, BY_ANY_REDIRECTED, BY_GATEWAY };

static void add_answers(struct compiler *c, struct chain *chain, const struct policy_role *role, enum family family,
			enum answerer answerer)
{
	struct rule *rule = rule_to_resolver(c, chain, role, true, family);

	if (answerer == BY_RESOLVER_LINK)
		rule_in(c, rule, FIELD_IIFNAME, false, "resolver_interfaces");
	else if (answerer == BY_ANY_REDIRECTED)
		rule_bits(c, rule, FIELD_CT_STATUS, CT_STATUS_DNAT);
	/* There the role itself would say what it may reach. */
	if (answerer != BY_GATEWAY)
		rule_own_interfaces(c, rule, role, true);
	rule_action(c, rule, ACTION_GOTO, ruleset_string(c->out, "%s_answers", role->name));
}

/* What is copied of one kind, and counted where it is more than the daemon reads. Each protected role has a share of
 * its own. */
static void add_copies(struct compiler *c, const struct policy_role *role, const char *kind, const char *prefix,
		       uint32_t snaplen)
{
	struct chain *chain = ruleset_chain(c->out, ruleset_string(c->out, "%s_%s", role->name, kind));
	struct rule *rule = chain_rule(c->out, chain);

	rule_add(c->out, rule, &(struct term){ .kind = TERM_LIMIT, .rate = OBSERVE_RATE, .burst = 2 * OBSERVE_RATE });
	rule_add(c->out, rule,
		 &(struct term){ .kind = TERM_LOG, .name = prefix, .group = c->policy->log_group, .snaplen = snaplen });
	rule_action(c, rule, ACTION_RETURN, NULL);
	rule_counter(c, chain_rule(c->out, chain), "unobserved");
}

static void add_resolver_interfaces(struct compiler *c)
{
	struct set *set = ruleset_set(c->out, "resolver_interfaces", KEY_INTERFACE, 0);

	if (c->around->resolvers)
		add_links(c, set, c->around->resolvers);
}

static bool is_observed(struct compiler *c)
{
	bool wanted = false;

	for (size_t i = 0; i < c->policy->name_count; i++)
		wanted |= c->policy->names[i].observed;
	return c->policy->observe && wanted && c->policy->resolvers.count;
}

static void add_role_observe(struct compiler *c, const struct policy_role *role)
{
	for (enum family family = 0; family < FAMILIES; family++) {
		if (!ranges_have(&c->policy->resolvers, family) || !ranges_have(&role->guarded, family))
			continue;
		/* Pointers to chains don't last. */
		add_queries(c, ruleset_find_chain(c->out, "observe"), role, family);
		add_answers(c, ruleset_find_chain(c->out, "observe"), role, family, BY_RESOLVER_LINK);
		add_answers(c, ruleset_find_chain(c->out, "observe"), role, family, BY_ANY_REDIRECTED);
		add_queries(c, ruleset_find_chain(c->out, "observe_in"), role, family);
		add_answers(c, ruleset_find_chain(c->out, "observe_out"), role, family, BY_GATEWAY);
	}
}

/* What the protected roles ask their resolvers, and the answers, seen before the fast path: through the gateway, to it
 * and from it. False: nobody to learn from or for. */
static bool add_observe(struct compiler *c)
{
	if (!is_observed(c))
		return false;
	add_resolver_interfaces(c);
	for (size_t r = 0; r < c->policy->role_count; r++) {
		if (!c->policy->roles[r].is_protected)
			continue;
		add_copies(c, &c->policy->roles[r], "queries", "spefw query ", QUERY_SNAPLEN);
		add_copies(c, &c->policy->roles[r], "answers", "spefw answer ", ANSWER_SNAPLEN);
	}
	ruleset_chain(c->out, "observe");
	ruleset_chain(c->out, "observe_in");
	ruleset_chain(c->out, "observe_out");
	for (size_t r = 0; r < c->policy->role_count; r++)
		if (c->policy->roles[r].is_protected)
			add_role_observe(c, &c->policy->roles[r]);
	return true;
}

static void rule_observe(struct compiler *c, struct chain *chain, bool observe, const char *target)
{
	static const uint8_t port[] = { DNS_PORT >> 8, DNS_PORT & 0xff };
	struct term term = { .kind = TERM_MATCH, .field = FIELD_CT_DPORT };

	if (!observe)
		return;
	memcpy(term.first, port, sizeof(port));
	memcpy(term.last, port, sizeof(port));
	struct rule *rule = chain_rule(c->out, chain);
	rule_byte(c, rule, FIELD_L4PROTO, IPPROTO_UDP_);
	rule_add(c->out, rule, &term);
	rule_action(c, rule, ACTION_JUMP, target);
}

static struct chain *base_chain(struct compiler *c, const char *name, enum hook hook, int priority)
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

/* Across a bridge whose frames are filtered, neighbours speak by forward as well. What was routed has lost of its hop
 * limit. */
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
static void add_source_routes(struct compiler *c)
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

static void add_base_chains(struct compiler *c)
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
		rule_byte(c, rule, FIELD_L4PROTO, 6);
		rule_add(c->out, rule, &(struct term){ .kind = TERM_MATCH, .field = FIELD_FIB_UNICAST });
		rule_action(c, rule, ACTION_JUMP, "intercept_here");
	}
	static const uint8_t types[] = { PACKET_BROADCAST_, PACKET_MULTICAST_ };
	for (int i = 0; i < 2; i++) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_byte(c, rule, FIELD_PKTTYPE, types[i]);
		rule_action(c, rule, ACTION_GOTO, "noise");
	}
	rule_action(c, chain_rule(c->out, chain), ACTION_GOTO, "judge");

	chain = base_chain(c, "output", HOOK_OUTPUT, 0);
	rule_observe(c, chain, observe, "observe_out");
	rule_established(c, chain);
	rule_reset_passes(c, chain);
	rule_neighbours(c, chain, "nd_out");
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
static void add_early(struct compiler *c)
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

/* interception = prevent: an identity DNAT right after connection tracking, and so before every usual nat chain. The
 * connection then counts as translated already, and no later redirect or dnat touches it. What goes to the gateway
 * itself may be a port forward, and DNS may be redirected. */
static void add_pin(struct compiler *c)
{
	static const enum field target[FAMILIES] = { FIELD_IP_DADDR, FIELD_IP6_DADDR };
	struct chain *chain = base_chain(c, "pin", HOOK_PREROUTING, -199);
	if (!chain)
		return;
	chain->nat = true;
	if (c->policy->mode == MODE_AUDIT)
		return;

	struct rule *rule = chain_rule(c->out, chain);
	rule_add(c->out, rule, &(struct term){ .kind = TERM_MATCH, .field = FIELD_FIB_LOCAL });
	rule_action(c, rule, ACTION_RETURN, NULL);
	return_excepted(c, chain, target);
	for (size_t r = 0; r < c->policy->role_count; r++)
		if (c->policy->roles[r].is_protected)
			add_role_pin(c, chain, &c->policy->roles[r]);
}

static void add_link_sets(struct compiler *c)
{
	static char lo[][CONFIG_INTERFACE_MAX + 1] = { "lo" };
	const struct interface_list loopback = { lo, 1 };

	for (size_t r = 0; r < c->policy->role_count; r++) {
		const struct interface_list *links = &c->around->role_interfaces[r];
		if (!c->policy->roles[r].is_protected || !links->count)
			continue;
		add_links(c,
			  ruleset_set(c->out, ruleset_string(c->out, "%s_interfaces", c->policy->roles[r].name),
				      KEY_INTERFACE, 0),
			  links);
	}
	add_links(c, ruleset_set(c->out, "towards", KEY_INTERFACE, 0), &c->around->towards);
	struct set *own = ruleset_set(c->out, "own_interfaces", KEY_INTERFACE, 0);
	add_links(c, own, &loopback);
	add_links(c, own, &c->around->own_interfaces);
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

static void add_shared_sets(struct compiler *c)
{
	struct set *set;

	for (enum family family = 0; family < FAMILIES; family++) {
		set = ruleset_set(c->out, ruleset_string(c->out, "protected_%c", family_digit(family)),
				  family_key(family), SET_INTERVAL);
		add_ranges(c, set, &c->policy->protected_all, family, ACTION_NONE, NULL);
	}
	add_gateway_sets(c);
	add_link_sets(c);
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

int compile(struct ruleset *ret, const struct policy *policy, const struct environment *around)
{
	struct compiler c = { .out = ret,
			      .policy = policy,
			      .around = around,
			      .early = policy->early_drop && policy->mode == MODE_ENFORCE };

	*ret = (struct ruleset){ 0 };
	add_counters(&c);
	add_shared_sets(&c);
	add_mid_stream(&c);
	for (size_t r = 0; r < policy->role_count; r++)
		if (policy->roles[r].is_protected)
			add_role(&c, &policy->roles[r]);
	add_deny(&c, "in");
	add_deny(&c, "out");
	add_not_new(&c);
	add_cut(&c);
	if (policy->interception != INTERCEPTION_OFF) {
		add_intercept_out(&c);
		add_intercept_in(&c);
		add_intercept_here(&c);
	}
	add_guard(&c);
	add_judge(&c);
	add_noise(&c);
	add_source_routes(&c);
	add_base_chains(&c);
	if (policy->early_drop)
		add_early(&c);
	if (policy->interception == INTERCEPTION_PREVENT)
		add_pin(&c);

	int r = ruleset_finish(ret);
	if (r < 0)
		ruleset_free(ret);
	return r;
}
