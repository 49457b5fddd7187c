/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compile_parts.h"

#include <string.h>

/* Copies of the DNS queries of the protected roles, and of the answers. */

/* A named set of what a role guards: the shared one where no other role guards anything. */
static const char *role_set(struct compiler *c, const struct policy_role *role, enum family family)
{
	for (size_t r = 0; r < c->policy->role_count; r++)
		if (c->policy->roles[r].is_protected && &c->policy->roles[r] != role)
			return guarded_set(c, role, family);
	return ruleset_string(c->out, "protected_%c", family_digit(family));
}

/* Where no interface of the role is known, or none matters, no rule looks at it. */
static void rule_own_interfaces(struct compiler *c, struct rule *rule, const struct policy_role *role, bool negate)
{
	if (c->environment->role_interfaces[role - c->policy->roles].count)
		rule_in(c, rule, FIELD_IIFNAME, negate, ruleset_string(c->out, "%s_interfaces", role->name));
}

/* The role's own address in a connection that was opened to one of its resolvers, whatever a redirection has made of
 * that. (The resolver may be a protected machine as well: only the direction shows who sent the query.) */
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

/* Queries, by the role's own interfaces alone: a forged one would make a forged answer count. */
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
	/* An answer from the role itself would let it choose what it may reach. */
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

	if (c->environment->resolvers)
		add_interfaces(c, set, c->environment->resolvers);
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

/* Queries of the protected roles to their resolvers, and the answers, copied before the fast path: through the gateway,
 * to it and from it. False: nobody to learn from or for. */
bool add_observe(struct compiler *c)
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

void rule_observe(struct compiler *c, struct chain *chain, bool observe, const char *target)
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
