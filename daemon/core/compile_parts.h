/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_COMPILE_PARTS_H
#define SPEFW_COMPILE_PARTS_H

/* What the files of the compiler share. All of it works on c->out, whose `failed` is sticky: the callers check once,
 * at the end. */

#include "compile.h"

/* Budgets of NFLOG copies a second; each kind of message has its own, so that a flood of one can't hide another. */
enum log_rate { DENIAL_RATE = 20, NAME_DENIAL_RATE = 10, OBSERVE_RATE = OBSERVED_A_SECOND };
enum {
	LOG_SNAPLEN = 128,     /* headers are enough */
	QUERY_SNAPLEN = 384,   /* the longest name, behind some headers of extensions */
	ANSWER_SNAPLEN = 8192, /* 256 addresses, which is all that a name may have */
};

/* In the policy's order. */
struct flow_refs {
	const struct policy_flow **items;
	size_t count, capacity;
};

struct compiler {
	struct ruleset *out;
	const struct policy *policy;
	const struct environment *environment;
	bool early; /* early_drop in effect */
	struct listed_flows {
		bool known;
		struct flow_refs in, out; /* that open it; that leave it for what is not protected */
	} * listed;                       /* one a role; NULL: none was asked for yet */
	struct {
		uint32_t *slots; /* 1 + which of out->sets; 0: free */
		size_t size;     /* a power of two */
		size_t sets;     /* so many of them have a slot */
	} names;
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
void rule_port(struct compiler *c, struct rule *rule, enum field field, uint16_t port);
void rule_bits(struct compiler *c, struct rule *rule, enum field field, uint32_t bits);
void rule_opens_nothing(struct compiler *c, struct rule *rule); /* TCP that is not a SYN alone */
void rule_counter(struct compiler *c, struct rule *rule, const char *counter);
void rule_limited_log(struct compiler *c, struct rule *rule, enum log_rate rate, const char *prefix);
void rule_log(struct compiler *c, struct rule *rule, const char *prefix);
void rule_action(struct compiler *c, struct rule *rule, enum action action, const char *chain);
void rule_pin(struct compiler *c, struct rule *rule, enum family family); /* that of the packet */
void rule_drop(struct compiler *c, struct rule *rule);                    /* in audit mode: accept */
void rule_reset(struct compiler *c, struct rule *rule);                   /* likewise */

/* What the compiler has made so far, without a look at all of it. NULL: there is none of this name. */
struct set *made_set(struct compiler *c, const char *name);
/* The interval set of this name, made at first use. */
const char *ranges_set(struct compiler *c, const struct ranges *ranges, enum family family, const char *name);
const char *flow_counter(struct compiler *c, const struct policy_flow *flow);
/* The interval set of what a role guards, made at first use. */
const char *guarded_set(struct compiler *c, const struct policy_role *role, enum family family);

void add_role(struct compiler *c, const struct policy_role *role);

/* Which packets a map of ports is for. Mid-stream packets belong to connections that are not tracked: as far as ports
 * show, they go the way of the connection's first packet, or are replies. */
enum direction {
	TO_ROLE,             /* new connections to the role, by inbound flows */
	FROM_ROLE,           /* new connections from it, by outbound flows */
	MIDSTREAM_IN,        /* mid-stream packets to the role's service ports, by inbound flows */
	MIDSTREAM_OUT_REPLY, /* the replies to them, whoever gets them */
	MIDSTREAM_OUT,       /* mid-stream packets from the role to an outbound flow's port, by outbound flows */
	MIDSTREAM_IN_REPLY,  /* the replies to them, but of protected machines: those are MIDSTREAM_OUT_REPLY of theirs
			      */
	PIN_IN,              /* as TO_ROLE and FROM_ROLE: what other nat chains leave alone */
	PIN_OUT,
};

/* How each direction looks at a packet, and where what it does not allow goes. */
struct direction_form {
	const char *label;
	bool opens;         /* by flows that open the role (else: that leave it) */
	bool own_is_source; /* the role's side is the packet's source */
	bool by_source_port;
	bool mid_stream;  /* of a connection that is not tracked: it opens none, and none is counted */
	const char *deny; /* NULL: reached by jump, and the caller goes on; else: reached by goto, and ends here */
	bool pins;        /* in a nat chain */
};

/* One way in which a packet can match one side of a flow; several make alternatives, a rule each. */
struct match {
	enum { MATCH_ALL, MATCH_RANGE, MATCH_SET } kind;
	const struct range *range;
	const char *set;
};

/* Addresses make one or two; names one each, and there may be many. */
struct matches {
	struct match *items;
	size_t count, capacity;
};

/* compile_role.c */
/* Of a set of the role's TCP ports in this direction. */
const char *role_ports(struct compiler *c, const struct policy_role *role, enum direction direction, const char *label);

/* compile_ports.c */
const char *add_echo_chain(struct compiler *c, const struct policy_role *role, enum direction direction);
bool any_flow_at(struct compiler *c, const struct policy_role *role, enum direction direction, enum protocol protocol,
		 uint16_t port);
bool any_flow_of(struct compiler *c, const struct policy_role *role, enum direction direction, enum protocol protocol);
/* Whether TCP connections to the role may come from protected machines. Neither a name nor a grant has such. */
bool any_flow_between(struct compiler *c, const struct policy_role *role);
void free_listed(struct compiler *c);
bool any_port_range(struct compiler *c, const struct policy_role *role, enum direction direction);
void add_ports(struct compiler *c, const char *set_name, unsigned flags, uint16_t first, uint16_t last,
	       enum action action, const char *chain);
bool add_port_map(struct compiler *c, const struct policy_role *role, enum direction direction, enum protocol protocol,
		  const char *ports);
void rule_port_map(struct compiler *c, struct chain *chain, const struct policy_role *role, enum direction direction,
		   enum protocol protocol);

/* compile_flow.c */
void match_ranges(struct compiler *c, struct matches *matches, const struct ranges *ranges, enum family family,
		  const char *set_base, bool shared);
/* An endpoint's addresses, those of its names included; what it has of ranges is in a set that flows share. */
void match_members(struct compiler *c, struct matches *matches, const struct endpoint *members, enum family family,
		   const char *set_base);
bool own_is_all(const struct policy_role *role, const struct policy_flow *flow, const struct direction_form *form);
void rule_match(struct compiler *c, struct rule *rule, enum field field, const struct match *match);
bool add_flow_rules(struct compiler *c, struct chain *chain, const struct policy_role *role,
		    const struct policy_flow *flow, const struct direction_form *form);

/* compile_answer.c */
bool is_answered(struct compiler *c, const struct policy_role *role);
/* The chain that ends what is denied of connections to protected addresses, and of those from this role. */
const char *denial_in(struct compiler *c);
const char *denial_out(struct compiler *c, const struct policy_role *role);
void return_answered(struct compiler *c, struct chain *chain); /* early: what is to be answered goes on */
void add_refuse(struct compiler *c);

/* compile_names.c */
const char *name_set_of(struct compiler *c, size_t index, enum family family);
/* NULL: it is granted nothing. */
const char *granted_set_of(struct compiler *c, const struct policy_flow *flow, const struct endpoint *side,
			   enum family family);

/* compile_sets.c */
void add_counters(struct compiler *c);
void add_interfaces(struct compiler *c, struct set *set, const struct interface_list *interfaces);
const struct policy_role *guards_alone(struct compiler *c, enum family family, const struct range **ret);
void add_shared_sets(struct compiler *c);

/* compile.c */
void rules_denied(struct compiler *c, struct chain *chain, const char *direction); /* counts and copies */

/* compile_base.c */
struct chain *base_chain(struct compiler *c, const char *name, enum hook hook, int priority);
void add_source_routes(struct compiler *c);
void add_base_chains(struct compiler *c);
void add_early(struct compiler *c);

/* compile_guards.c */
void return_excepted(struct compiler *c, struct chain *chain, const enum field fields[FAMILIES]);
void return_dns(struct compiler *c, struct chain *chain, enum field port);
void rule_translated(struct compiler *c, struct chain *chain);
void add_intercept(struct compiler *c);
void add_intercept_here(struct compiler *c);
void add_guard(struct compiler *c);

/* compile_pin.c */
void add_pin(struct compiler *c);

/* compile_observe.c */
bool add_observe(struct compiler *c);
void rule_observe(struct compiler *c, struct chain *chain, bool observe, const char *target);

#endif
