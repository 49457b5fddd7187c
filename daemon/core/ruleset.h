/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_RULESET_H
#define SPEFW_RULESET_H

/* The one table as plain data: what compile.c makes of a policy, delta.c compares, ruleset_text.c prints in nft's
 * words, and nft/encode.c sends. It is also what nft/read.c finds in the kernel. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_NAME "spefw"
/* What the table's comment begins with; a table of another layout is replaced, not adopted. */
#define TABLE_LAYOUT 2

enum { KEY_SIZE_MAX = 16 };

enum key_type {
	KEY_IPV4,
	KEY_IPV6,
	KEY_PORT,
	KEY_INTERFACE,
	KEY_ICMPV6_TYPE,
	KEY_PROTOCOL,
	KEY_CUT_4,
	KEY_CUT_6, /* address . port . address . port */
};

enum set_flags {
	SET_INTERVAL = 1,
	SET_TIMEOUT = 2,
	SET_VERDICTS = 4, /* a map to verdicts */
	SET_KEPT = 8,     /* its elements are no part of the ruleset, which neither holds nor compares nor changes them
			     (cut.h) */
};

enum action {
	ACTION_NONE,
	ACTION_ACCEPT,
	ACTION_DROP,
	ACTION_RETURN,
	ACTION_JUMP,
	ACTION_GOTO,
	ACTION_RESET,   /* TCP, answered by a RST */
	ACTION_PROHIBIT /* answered by an ICMP error, of either family: administratively prohibited */
};

/* Keys are in network byte order, as the kernel compares them. first == last without SET_INTERVAL. */
struct element {
	uint8_t first[KEY_SIZE_MAX], last[KEY_SIZE_MAX];
	int64_t deadline_ms; /* SET_TIMEOUT: CLOCK_BOOTTIME; else 0 */
	const char *chain;   /* SET_VERDICTS with jump or goto; lives as long as the ruleset */
	uint8_t action;      /* enum action; SET_VERDICTS */
};

struct set {
	const char *name;
	enum key_type type;
	unsigned flags;        /* enum set_flags */
	uint32_t size;         /* it holds no more; 0: any number */
	bool exact;            /* SET_TIMEOUT: deadlines are kept to the second, whatever the slack */
	bool retired;          /* no rule uses it any more: to be deleted by the next batch */
	struct element *items; /* ascending, disjoint, once ruleset_finish() has run */
	size_t count, capacity;
};

/* What a rule looks at. The order is that of the table in ruleset_text.c. */
enum field {
	FIELD_IP_SADDR,
	FIELD_IP_DADDR,
	FIELD_IP6_SADDR,
	FIELD_IP6_DADDR,
	FIELD_CT_IP_DADDR,
	FIELD_CT_IP6_DADDR,
	FIELD_CT_DPORT, /* ct original ... daddr, proto-dst */
	FIELD_TCP_SPORT,
	FIELD_TCP_DPORT,
	FIELD_UDP_SPORT,
	FIELD_UDP_DPORT,
	FIELD_TCP_SYN_ACK, /* tcp flags & (syn | ack) == (or !=) syn; no operand */
	FIELD_TCP_RST,     /* tcp flags & rst == rst; no operand */
	FIELD_L4PROTO,     /* 1 byte */
	FIELD_ICMP_TYPE,
	FIELD_ICMPV6_TYPE,
	FIELD_IP6_HOPLIMIT, /* 1 byte */
	FIELD_IP6_NEXTHDR,  /* 1 byte */
	FIELD_FIRST_BYTE,   /* of the packet: version and, in IPv4, the header's length */
	FIELD_IP_LSRR,
	FIELD_IP_SSRR,       /* there is a loose, a strict source route; no operand */
	FIELD_ROUTING,       /* IPv6: there is a routing header; no operand */
	FIELD_SEGMENTS_LEFT, /* 1 byte, of that header */
	FIELD_CT_STATE,      /* any of these bits, host order 32 bit in bits */
	FIELD_CT_STATUS,     /* likewise; negate: none of them */
	FIELD_CT_DIRECTION,  /* 1 byte: 0 original, 1 reply */
	FIELD_IIFNAME,
	FIELD_OIFNAME,
	FIELD_PKTTYPE,     /* 1 byte */
	FIELD_FIB_LOCAL,   /* fib daddr type local; no operand */
	FIELD_FIB_UNICAST, /* fib daddr type unicast: some other machine's address; no operand */
	/* TCP, address . port . address . port: the target first, or the source. For TERM_IN alone. */
	FIELD_IP_TARGET_FIRST,
	FIELD_IP_SOURCE_FIRST,
	FIELD_IP6_TARGET_FIRST,
	FIELD_IP6_SOURCE_FIRST,
	FIELDS
};

enum { CT_INVALID = 1, CT_ESTABLISHED = 2, CT_RELATED = 4, CT_NEW = 8, CT_UNTRACKED = 64 }; /* NF_CT_STATE_BIT() */
enum { CT_STATUS_DNAT = 0x20 };                                                             /* IPS_DST_NAT */

/* As in headers, and as the kernel has them. */
enum { IPPROTO_ICMP_ = 1, IPPROTO_TCP_ = 6, IPPROTO_UDP_ = 17, IPPROTO_ICMPV6_ = 58 };
enum { ICMP_ECHO_REQUEST = 8, ICMPV6_ECHO_REQUEST = 128 };
enum { PACKET_HOST_ = 0, PACKET_BROADCAST_ = 1, PACKET_MULTICAST_ = 2 };

enum term_kind {
	TERM_MATCH,   /* field == (negate: !=) first..last */
	TERM_IN,      /* field in (negate: not in) the set `name` */
	TERM_MAP,     /* field vmap the map `name` */
	TERM_COUNTER, /* the named counter `name` */
	TERM_LIMIT,   /* at most rate a second, with a burst */
	TERM_LOG,     /* NFLOG to group with prefix `name`; snaplen 0: whole packets */
	TERM_PIN,     /* dnat to the packet's own target address; of the family of `field` (IP_DADDR or IP6_DADDR) */
	TERM_ACTION,  /* action, with `name` as chain for jump and goto */
};

struct term {
	uint8_t kind;   /* enum term_kind */
	uint8_t field;  /* enum field */
	uint8_t action; /* enum action */
	bool negate;
	uint8_t first[KEY_SIZE_MAX], last[KEY_SIZE_MAX]; /* TERM_MATCH */
	uint32_t bits;                                   /* FIELD_CT_STATE, FIELD_CT_STATUS */
	uint32_t rate, burst;                            /* TERM_LIMIT */
	uint32_t snaplen;                                /* TERM_LOG */
	uint16_t group;
	const char *name; /* lives as long as the ruleset */
};

struct rule {
	struct term *items;
	size_t count, capacity;
	uint64_t handle; /* the kernel's; 0: not known, or not there yet */
};

enum hook { HOOK_NONE, HOOK_PREROUTING, HOOK_INPUT, HOOK_FORWARD, HOOK_OUTPUT };

struct chain {
	const char *name;
	enum hook hook; /* HOOK_NONE: not a base chain */
	int priority;
	bool nat;     /* a base chain of type nat; else filter */
	bool altered; /* as read from the kernel: some of the rules are not of our making; they have no terms */
	struct rule *items;
	size_t count, capacity;
};

struct ruleset {
	struct {
		const char **items;
		size_t count, capacity;
	} counters;
	struct {
		struct set *items;
		size_t count, capacity;
	} sets;
	struct {
		struct chain *items;
		size_t count, capacity;
	} chains;
	struct {
		char **items;
		size_t count, capacity;
	} strings;   /* owns every name above */
	bool failed; /* sticky: an allocation failed while it was built; the ruleset is of no use */
};

/* Builders. They return what was made, or NULL without memory (then failed is set); a printf format makes the name.
 * Pointers to sets and chains are valid until the next one is added: indices are for keeps. */
const char *ruleset_string(struct ruleset *ruleset, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ruleset_counter(struct ruleset *ruleset, const char *name);
struct set *ruleset_set(struct ruleset *ruleset, const char *name, enum key_type type, unsigned flags);
struct chain *ruleset_chain(struct ruleset *ruleset, const char *name);
void set_add(struct ruleset *ruleset, struct set *set, const struct element *element);
struct rule *chain_rule(struct ruleset *ruleset, struct chain *chain);
void rule_add(struct ruleset *ruleset, struct rule *rule, const struct term *term);

struct set *ruleset_find_set(const struct ruleset *ruleset, const char *name);     /* NULL: none */
struct chain *ruleset_find_chain(const struct ruleset *ruleset, const char *name); /* NULL: none */
bool ruleset_has_counter(const struct ruleset *ruleset, const char *name);
/* The same for one name after the other of another ruleset, which has its things in much the same order: it is looked
 * for at *at first, which becomes the place behind what was found. */
struct set *ruleset_next_set(const struct ruleset *ruleset, const char *name, size_t *at);
struct chain *ruleset_next_chain(const struct ruleset *ruleset, const char *name, size_t *at);
bool ruleset_next_counter(const struct ruleset *ruleset, const char *name, size_t *at);

/* Sorts the elements of all sets. 0, or -ENOMEM where anything failed before. */
int ruleset_finish(struct ruleset *ruleset);
void ruleset_free(struct ruleset *ruleset);

size_t key_size(enum key_type type);                                                /* bytes */
size_t field_size(enum field field);                                                /* bytes of the operand */
int element_compare(const struct element *a, const struct element *b, size_t size); /* by first */
bool rule_equal(const struct rule *a, const struct rule *b);                        /* whatever their handles are */
bool chain_rules_equal(const struct chain *a, const struct chain *b);

/* The ruleset as nft would read it ("table inet spefw { ... }"). now_ms: for timeouts. The caller frees it; NULL
 * without memory. */
char *ruleset_text(const struct ruleset *ruleset, int64_t now_ms);

#endif
