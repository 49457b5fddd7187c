/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compile_parts.h"

#include <stdlib.h>

/* The whole table, in its order; and the chains that others lead to: denials, what opens nothing, what was cut. */

void rules_denied(struct compiler *c, struct chain *chain, const char *direction)
{
	rule_counter(c, chain_rule(c->out, chain), ruleset_string(c->out, "denied-%s", direction));
	rule_limited_log(c, chain_rule(c->out, chain), DENIAL_RATE,
			 ruleset_string(c->out, "spefw denied-%s ", direction));
}

/* deny: the last rule is an explicit drop. Nothing may ever fall off its end: the base chains accept, for the
 * gateway's other traffic. */
static void add_deny(struct compiler *c, const char *direction)
{
	struct chain *chain = ruleset_chain(c->out, ruleset_string(c->out, "deny_%s", direction));

	rules_denied(c, chain, direction);
	rule_drop(c, chain_rule(c->out, chain));
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

int compile(struct ruleset *ret, const struct policy *policy, const struct environment *environment)
{
	struct compiler c = { .out = ret,
			      .policy = policy,
			      .environment = environment,
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
	add_refuse(&c);
	add_not_new(&c);
	add_cut(&c);
	if (policy->interception != INTERCEPTION_OFF) {
		add_intercept(&c);
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

	free_listed(&c);
	free(c.names.slots);
	int r = ruleset_finish(ret);
	if (r < 0)
		ruleset_free(ret);
	return r;
}
