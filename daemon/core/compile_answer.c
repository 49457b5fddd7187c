/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compile_parts.h"

#include <stdlib.h>

/* [gateway] reject: what some roles are denied is answered. Counted, copied and denied it is as anything else. The
 * answers leave by our own output, on the track of what they answer: errors and resets that are related pass there. */

/* Of all roles together: resets a second, and as many errors. */
enum { ANSWER_RATE = 20 };

bool is_answered(struct compiler *c, const struct policy_role *role)
{
	return c->policy->mode == MODE_ENFORCE && policy_rejects(c->policy, role);
}

static bool any_answered(struct compiler *c)
{
	return c->policy->mode == MODE_ENFORCE && c->policy->reject_count > 0;
}

const char *denial_in(struct compiler *c)
{
	return any_answered(c) ? "refuse_in" : "deny_in";
}

const char *denial_out(struct compiler *c, const struct policy_role *role)
{
	return is_answered(c, role) ? "refuse_out" : "deny_out";
}

/* For each way in which a packet's source can be a member of such a role, a rule that goes on to `chain`, or returns
 * where there is none. */
static void rules_by_source(struct compiler *c, struct chain *in, const char *chain)
{
	for (size_t r = 0; r < c->policy->role_count; r++) {
		const struct policy_role *role = &c->policy->roles[r];
		if (!is_answered(c, role))
			continue;
		for (enum family family = 0; family < FAMILIES; family++) {
			struct matches matches = { 0 };
			match_members(c, &matches, &role->members, family,
				      ruleset_string(c->out, "role_%s", role->name));
			for (size_t i = 0; i < matches.count; i++) {
				struct rule *rule = chain_rule(c->out, in);
				rule_match(c, rule, saddr_field(family), &matches.items[i]);
				rule_action(c, rule, chain ? ACTION_JUMP : ACTION_RETURN, chain);
			}
			free(matches.items);
		}
	}
}

void return_answered(struct compiler *c, struct chain *chain)
{
	rules_by_source(c, chain, NULL);
}

/* It comes back where the rate is used up. */
static void add_answer(struct compiler *c)
{
	struct chain *chain = ruleset_chain(c->out, "answer");

	for (int tcp = 0; tcp < 2; tcp++) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_add(c->out, rule,
			 &(struct term){ .kind = TERM_MATCH,
					 .field = FIELD_L4PROTO,
					 .negate = !tcp,
					 .first = { IPPROTO_TCP_ },
					 .last = { IPPROTO_TCP_ } });
		rule_add(c->out, rule,
			 &(struct term){ .kind = TERM_LIMIT, .rate = ANSWER_RATE, .burst = 2 * ANSWER_RATE });
		rule_action(c, rule, tcp ? ACTION_RESET : ACTION_PROHIBIT, NULL);
	}
}

void add_refuse(struct compiler *c)
{
	if (!any_answered(c))
		return;
	add_answer(c);
	struct chain *chain = ruleset_chain(c->out, "refuse_in");
	rules_denied(c, chain, "in");
	rules_by_source(c, chain, "answer");
	rule_drop(c, chain_rule(c->out, chain));

	chain = ruleset_chain(c->out, "refuse_out");
	rules_denied(c, chain, "out");
	rule_action(c, chain_rule(c->out, chain), ACTION_JUMP, "answer");
	rule_drop(c, chain_rule(c->out, chain));
}
