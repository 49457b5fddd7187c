/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_FOREIGN_H
#define SPEFW_FOREIGN_H

/* Rules of other tables, and whether they could take one of the policy's flows out of its way: by redirecting it, by
 * handing it to another program, by hiding it from connection tracking; or stop it. nft/foreign.c reads them from the
 * kernel. */

#include "addr.h"
#include "compile.h"
#include "policy.h"

enum { FOREIGN_KEY_MAX = 16 };

/* What a rule may look at; values are in network byte order, as the kernel compares them. */
enum rule_field {
	RULE_FAMILY,   /* 1 byte, 4 or 6 */
	RULE_PROTOCOL, /* 1 byte, as in the IP header */
	RULE_SOURCE_4,
	RULE_TARGET_4,
	RULE_SOURCE_6,
	RULE_TARGET_6,
	RULE_SOURCE_PORT,
	RULE_TARGET_PORT,
	RULE_IN_INTERFACE,  /* 16 bytes: the name of the interface that the packet came in by */
	RULE_LOCAL,         /* 1 byte: whether the target is an address of this machine (fib daddr type local) */
	RULE_OUT_INTERFACE, /* 16 bytes: the name of the interface that it goes out by */
	/* 4 bytes each, in the machine's order, as the kernel has them: bits of the connection's state and status, the
	 * kind of the target. */
	RULE_STATE,
	RULE_STATUS,
	RULE_TARGET_KIND,
	RULE_FLAGS,  /* 1 byte, of TCP */
	RULE_PACKET, /* 1 byte: to whom it is addressed there (PACKET_HOST and so on); 0: us */
	RULE_FIELDS  /* something else */
};

/* Bits of connections, as the kernel has them. */
enum { STATE_INVALID = 1, STATE_ESTABLISHED = 2, STATE_RELATED = 4, STATE_NEW = 8, STATUS_DNAT = 32 };

/* One thing that must hold: the field is (negate: is not) in first..last, or in one of the set's elements. */
struct rule_condition {
	uint8_t field; /* enum rule_field */
	bool negate;
	bool masked; /* the field's bits of first are those of last */
	uint8_t first[FOREIGN_KEY_MAX], last[FOREIGN_KEY_MAX];
	size_t set; /* index of the set, and one; 0: first..last */
};

enum effect {
	EFFECT_NONE,
	EFFECT_REDIRECT, /* to this machine */
	EFFECT_DNAT,     /* to another target */
	EFFECT_TPROXY,   /* to a socket of this machine */
	EFFECT_DUP,
	EFFECT_FWD,   /* out by an interface, past everything */
	EFFECT_QUEUE, /* to a program */
	EFFECT_NOTRACK,
	EFFECT_DROP,    /* or reject */
	EFFECT_POLICY,  /* the drop at the end of a base chain */
	EFFECT_OFFLOAD, /* to a flowtable: it passes no more rules */
	EFFECT_PORT,    /* it gets another port of the same machine */
};

/* Which effects are looked for: bits 1 << enum effect. */
enum {
	EFFECTS_INTERCEPT = 1 << EFFECT_REDIRECT | 1 << EFFECT_DNAT | 1 << EFFECT_TPROXY | 1 << EFFECT_DUP |
			    1 << EFFECT_FWD | 1 << EFFECT_QUEUE | 1 << EFFECT_NOTRACK,
	EFFECTS_STOP = 1 << EFFECT_DROP | 1 << EFFECT_POLICY,
};

/* Where a packet goes from a rule. */
enum way { WAY_ON, WAY_DONE /* the base chain is through with it */, WAY_RETURN, WAY_JUMP, WAY_GOTO, WAY_MAP };

struct foreign_rule {
	size_t chain; /* index of its chain */
	uint64_t handle;
	size_t number;     /* its place among all rules of the chain, from 1; 0: unknown */
	size_t conditions; /* index of the first, and how many */
	size_t condition_count;
	bool exact;      /* the conditions are all that it looks at */
	bool excess;     /* it means what no ordinary packet is: too many, or from where no way leads back */
	bool rejects;    /* EFFECT_DROP: with an answer */
	bool has_target; /* EFFECT_DNAT: to this address; else to an unknown one */
	struct addr target;
	uint8_t effect;    /* enum effect */
	uint8_t way;       /* enum way */
	uint8_t map_field; /* WAY_MAP: enum rule_field */
	size_t to; /* WAY_JUMP, WAY_GOTO: index of the chain, and one; WAY_MAP: of the set, and one; 0: unknown */
};

struct set_element {
	uint8_t first[FOREIGN_KEY_MAX], last[FOREIGN_KEY_MAX];
	uint8_t way; /* WAY_JUMP, ...; of a map */
	bool drops;  /* WAY_DONE: by a drop */
	size_t to;
};

enum { FOREIGN_FAMILY_IP = 2, FOREIGN_FAMILY_IP6 = 10 }; /* as the kernel numbers them */
enum { FAMILY_OF_LIST = 0xffff };                        /* a set that stands for a list in a rule; behind all others */

struct foreign_set {
	unsigned family; /* as the kernel numbers them */
	char *table, *name;
	bool known; /* its elements are here, ascending and disjoint */
	bool large; /* or are too many to be read */
	struct set_element *items;
	size_t count, capacity;
};

enum place {
	PLACE_NONE /* no base chain */,
	PLACE_INGRESS,
	PLACE_PREROUTING,
	PLACE_INPUT,
	PLACE_FORWARD,
	PLACE_OUTPUT,
	PLACE_POSTROUTING,
	PLACE_EGRESS
};

struct foreign_chain {
	unsigned family;
	char *table, *name;
	enum place place;
	int priority;
	bool nat;                /* of type nat: it sees the packets that open connections alone */
	bool interfaces_unknown; /* interfaces have other names there: ports of a bridge, devices below one */
	bool drops;              /* what comes to the end of a base chain */
	bool legacy;             /* of iptables-legacy: rules have numbers, not handles */
	size_t rule_count;       /* all of them, also those that are not kept */
};

struct foreign_tables {
	struct {
		struct foreign_chain *items;
		size_t count, capacity;
	} chains;
	struct {
		struct foreign_rule *items;
		size_t count, capacity;
	} rules; /* those of one chain in their order */
	struct {
		struct rule_condition *items;
		size_t count, capacity;
	} conditions;
	struct {
		struct foreign_set *items;
		size_t count, capacity;
	} sets;
	bool incomplete; /* there is more than was read, or could be */
};

/* Whose rule it is: core/owners.h. */
enum owner { OWNER_NFTABLES, OWNER_IPTABLES, OWNER_FIREWALLD, OWNER_DOCKER, OWNER_FAIL2BAN, OWNER_UFW, OWNERS };

/* What a rule meets of the connections that protected machines accept, and of those that they open. */
enum {
	MEETS_OPENING_IN = 1,
	MEETS_OPENING_OUT = 2,
	MEETS_ANSWER_OUT = 4, /* of what they accept */
	MEETS_ANSWER_IN = 8,
};

struct finding {
	char *table, *chain; /* owned */
	char *set;           /* owned: the named set by which the rule knows the peer; NULL: none */
	unsigned family;
	uint64_t handle;
	size_t number; /* of the rule in its chain; 0: unknown, or the end of the chain */
	enum effect effect;
	bool rejects; /* EFFECT_DROP: with an answer */
	enum owner owner;
	enum place place;
	char flow[CONFIG_ID_MAX + 1]; /* the first one that it meets; "": of a packet */
	char last_flow[CONFIG_ID_MAX + 1];
	size_t flow_count; /* how many there are, about */
	bool may;          /* EFFECT_DROP, EFFECT_POLICY: some of it, or under conditions that can't be known */
	bool legacy;
	bool listed;   /* the peer is known to be in that set */
	bool unread;   /* the rule goes by a set that is too large to read */
	uint8_t meets; /* MEETS_... */
	/* The protected side of what it meets first, by family; and the peers that the rule speaks of. */
	bool has_own[FAMILIES], has_peer;
	struct range own[FAMILIES], peer;
	size_t base, rule; /* their order: base chains, and the rules of each as they were read */
	/* Of what may come by several interfaces: how many of these ways were stopped, one after the other. */
	size_t ways_of, last_way, ways;
};

struct findings {
	struct finding *items;
	size_t count, capacity;
	bool incomplete; /* not all of it was looked at: it was too much, or of an unknown kind */
};

/* Once all chains and sets are there, and before anything refers to them by index. */
void foreign_sort(struct foreign_tables *tables);
size_t foreign_find_chain(const struct foreign_tables *tables, unsigned family, const char *table,
			  const char *name); /* index and one; 0: none */
size_t foreign_find_set(const struct foreign_tables *tables, unsigned family, const char *table,
			const char *name);     /* likewise */
size_t rule_field_size(enum rule_field field); /* bytes */
void foreign_tables_free(struct foreign_tables *tables);

/* Whether any rule has one of these effects at all: where none has, nothing else needs to be known. */
bool foreign_do_any(const struct foreign_tables *tables, unsigned effects);

/* environment: as for compile(). peers: one a policy flow, the interfaces by which its peers come, for drops alone. */
struct foreign_view {
	const struct environment *environment;
	const struct interface_list *peers; /* NULL: unknown */
};
/* The rules that could do one of these effects to a flow of the policy, each once. What `interception = prevent`
 * outruns is no finding. Of EFFECTS_STOP, what would only stop some peers of ANY is none either: that is what block
 * lists do. 0 or -ENOMEM. */
int foreign_judge(struct findings *ret, const struct foreign_tables *tables, const struct policy *policy,
		  const struct foreign_view *view, unsigned effects);

/* The same in parts. All that is given, and what it points to, must stay as it is until the end; out is the caller's.
 */
struct judging;
int foreign_judge_begin(struct judging **ret, struct findings *out, const struct foreign_tables *tables,
			const struct policy *policy, const struct foreign_view *view,
			unsigned effects); /* 0 or -ENOMEM; *ret is then as it was */
/* About so many steps more, of some 50 ns each. 1: there are more; 0: that was all, or all that it may take
 * (out->incomplete); or -ENOMEM. */
int foreign_judge_some(struct judging *judging, size_t steps);
void foreign_judge_end(struct judging *judging); /* NULL is fine */

/* One packet that opens a connection, and the first answer to it. */
struct foreign_packet {
	struct addr source, target;        /* of one family */
	uint8_t protocol;                  /* as in the IP header */
	uint16_t source_port, target_port; /* of TCP and UDP; source_port 0: any that a client may take */
	/* The interfaces that it may come by, and leave by. None: any, or not known. */
	struct interface_list in, out;
	bool pinned; /* TCP of a flow that `interception = prevent` keeps from translation */
};
/* What other tables do to it: which rules stop it, or its answer, or take it out of its way. Each once; what the first
 * of them does may keep it from the others. Of the view the gateway's own addresses count. 0 or -ENOMEM. */
int foreign_explain(struct findings *ret, const struct foreign_tables *tables, const struct policy *policy,
		    const struct foreign_view *view, const struct foreign_packet *packet);
/* Likewise in parts; packet must stay as it is, too. */
int foreign_explain_begin(struct judging **ret, struct findings *out, const struct foreign_tables *tables,
			  const struct policy *policy, const struct foreign_view *view,
			  const struct foreign_packet *packet);

void findings_free(struct findings *findings);
void finding_free(struct finding *finding);
bool findings_equal(const struct findings *a, const struct findings *b);

const char *effect_word(enum effect effect);               /* "redirect", as nft has it */
const char *finding_word(const struct finding *finding);   /* likewise, "reject" */
const char *finding_phrase(const struct finding *finding); /* what it does to a flow, as "may drop it" */
enum { FLOWS_TEXT_MAX = CONFIG_ID_MAX + 40 };
char *finding_flows(const struct finding *finding,
		    char buffer[FLOWS_TEXT_MAX]); /* "flow imap-in and 3 more"; returns buffer */
const char *table_family(unsigned family);        /* "inet" */

#endif
