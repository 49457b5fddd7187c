/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_COMPILE_PARTS_H
#define SPEFW_COMPILE_PARTS_H

/* What compile.c and compile_role.c share. All of it works on c->out, whose `failed` is sticky: the callers check once,
 * at the end. */

#include "compile.h"

/* Budgets of NFLOG copies a second; each kind of message has its own, so that a flood of one can't hide another. */
enum log_rate { DENIAL_RATE = 20, NAME_DENIAL_RATE = 10, OBSERVE_RATE = OBSERVED_A_SECOND };
enum {
	LOG_SNAPLEN = 128,     /* headers are enough */
	QUERY_SNAPLEN = 384,   /* the longest name, behind some headers of extensions */
	ANSWER_SNAPLEN = 8192, /* 256 addresses, which is all that a name may have */
};

struct compiler {
	struct ruleset *out;
	const struct policy *policy;
	const struct environment *around;
	bool early; /* early_drop in effect */
};

static inline char family_digit(enum family family)
{
	return family == FAMILY_4 ? '4' : '6';
}
static inline enum key_type family_key(enum family family)
{
	return family == FAMILY_4 ? KEY_IPV4 : KEY_IPV6;
}
static inline enum field saddr_field(enum family family)
{
	return family == FAMILY_4 ? FIELD_IP_SADDR : FIELD_IP6_SADDR;
}
static inline enum field daddr_field(enum family family)
{
	return family == FAMILY_4 ? FIELD_IP_DADDR : FIELD_IP6_DADDR;
}

bool ranges_have(const struct ranges *ranges, enum family family);
/* How many of them are of this family, and the last of these. */
size_t ranges_of(const struct ranges *ranges, enum family family, const struct range **ret_last);
/* Those of one family, each with this verdict (ACTION_NONE for a plain set). */
void add_ranges(struct compiler *c, struct set *set, const struct ranges *ranges, enum family family,
		enum action action, const char *chain);

void rule_in(struct compiler *c, struct rule *rule, enum field field, bool negate, const char *set);
void rule_map(struct compiler *c, struct rule *rule, enum field field, const char *map);
void rule_range(struct compiler *c, struct rule *rule, enum field field, const struct range *range);
void rule_byte(struct compiler *c, struct rule *rule, enum field field, uint8_t value);
void rule_tcp_port(struct compiler *c, struct rule *rule, enum field field, uint16_t port);
void rule_bits(struct compiler *c, struct rule *rule, enum field field, uint32_t bits);
void rule_opens_nothing(struct compiler *c, struct rule *rule); /* TCP that is not a SYN alone */
void rule_counter(struct compiler *c, struct rule *rule, const char *counter);
void rule_limited_log(struct compiler *c, struct rule *rule, enum log_rate rate, const char *prefix);
void rule_log(struct compiler *c, struct rule *rule, const char *prefix);
void rule_action(struct compiler *c, struct rule *rule, enum action action, const char *chain);
void rule_drop(struct compiler *c, struct rule *rule);  /* in audit mode: accept */
void rule_reset(struct compiler *c, struct rule *rule); /* likewise */

/* The interval set of this name, made at first use. */
const char *ranges_set(struct compiler *c, const struct ranges *ranges, enum family family, const char *name);
const char *flow_counter(struct compiler *c, const struct policy_flow *flow);
/* The interval set of what a role guards, made at first use. */
const char *guarded_set(struct compiler *c, const struct policy_role *role, enum family family);

void add_role(struct compiler *c, const struct policy_role *role);
void add_role_pin(struct compiler *c, struct chain *chain, const struct policy_role *role);

#endif
