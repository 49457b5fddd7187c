/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_PROOF_PROGRAM_H
#define SPEFW_PROOF_PROGRAM_H

/* A ruleset as packets of one family meet it: each term as tests of a packet's variables, each name looked up. What the
 * kernel asserts before it loads a field (a protocol, a connection) is a test of its own: a rule ends where one fails,
 * also where the term itself is negated. */

#include "fate.h"
#include "proof_domain.h"

/* What a packet is made of, for the prover. Of an address family that is fixed. */
enum variable {
	VARIABLE_SOURCE,
	VARIABLE_TARGET,   /* as the chain sees it: on the wire, or translated */
	VARIABLE_ORIGINAL, /* the target that its connection was opened to */
	VARIABLE_SPORT,
	VARIABLE_DPORT,
	VARIABLE_ORIGINAL_DPORT,
	VARIABLE_PROTOCOL,
	VARIABLE_ICMP_TYPE,
	VARIABLE_TCP_FLAGS,
	VARIABLE_HOP_LIMIT,
	VARIABLE_NEXT_HEADER, /* IPv6: as VARIABLE_PROTOCOL; NEXT_IS_PROTOCOL: there are no extensions */
	VARIABLE_FIRST_BYTE,
	VARIABLE_OPTION,    /* IPv4: bits, 1 a loose, 2 a strict source route */
	VARIABLE_ROUTING,   /* IPv6: 0 no routing header, else 1 + its segments left */
	VARIABLE_STATE,     /* enum packet_state */
	VARIABLE_DNAT,      /* 0, 1 */
	VARIABLE_DIRECTION, /* 0, 1 */
	VARIABLE_IIF,
	VARIABLE_OIF,
	VARIABLE_PACKET_TYPE,
	VARIABLE_FIB, /* enum fib_type */
	VARIABLE_CUT, /* bits: 1 found with the target first, 2 with the source first */
	VARIABLE_CUT_FULL,
	VARIABLES
};

enum { NEXT_IS_PROTOCOL = 256 };
enum packet_state { STATE_INVALID, STATE_ESTABLISHED, STATE_RELATED, STATE_NEW, STATE_UNTRACKED, STATES };

/* Variables that have the same values share their domain. */
enum domain_kind {
	DOMAIN_ADDRESS,
	DOMAIN_PORT,
	DOMAIN_PROTOCOL,
	DOMAIN_ICMP_TYPE,
	DOMAIN_TCP_FLAGS,
	DOMAIN_HOP_LIMIT,
	DOMAIN_FIRST_BYTE,
	DOMAIN_ROUTING,
	DOMAIN_STATE,
	DOMAIN_INTERFACE,
	DOMAIN_PACKET_TYPE,
	DOMAIN_FIB,
	DOMAIN_BITS,
	DOMAIN_FLAG,
	DOMAINS
};

/* Where a value leads: one of several outcomes, or none. */
struct outcome {
	uint32_t predicate, values; /* of the map's domain: all that leads there */
	uint32_t index;             /* a chain; of a question, the answer */
	uint8_t action;
};

struct map {
	enum domain_kind domain;
	uint32_t outcomes, outcome_count; /* in space.outcomes */
	uint32_t pieces, piece_count;     /* in space.pieces: ascending */
	uint32_t covered;                 /* once the space is closed: all that leads anywhere */
};

/* All values of all variables, in classes, for one address family. */
struct space {
	enum family family;
	struct domain domains[DOMAINS];
	struct {
		struct map *items;
		size_t count, capacity;
	} maps;
	struct {
		struct outcome *items;
		size_t count, capacity;
	} outcomes;
	struct {
		struct map_piece {
			uint32_t first, last; /* classes */
			uint32_t outcome;     /* in space.outcomes */
		} * items;
		size_t count, capacity;
	} pieces;
	uint32_t *seen; /* of each outcome: the lookup that has met it last */
	uint32_t lookups;
	struct values_store store;
};

int space_begin(struct space *space, enum family family); /* 0 or -ENOMEM; then space_free() too */
/* An outcome of the map that was begun last, for these spans: its index goes up one by one. 0 or -ENOMEM. */
int space_add_map(struct space *space, enum domain_kind domain, uint32_t *ret);
int space_add_outcome(struct space *space, uint32_t map, const struct span *spans, size_t count, uint8_t action,
		      uint32_t index);
int space_close(struct space *space); /* after all predicates and maps were added; 0 or -ENOMEM */
void space_free(struct space *space);

/* The outcomes that some of these values lead to, each once: at most max are put into ret; how many there are. */
size_t space_look_up(struct space *space, uint32_t map, uint32_t values, uint32_t *ret, size_t max);

struct domain *space_domain(struct space *space, enum variable variable);
enum domain_kind variable_domain(enum variable variable);

/* A predicate of the space, by which a variable is tested. */
struct test {
	uint8_t variable; /* enum variable */
	bool negate;
	uint32_t predicate; /* of the variable's domain */
	/* Once the space is closed: */
	uint32_t values; /* the classes that pass */
	uint32_t uses;   /* how many tests of the program are the same */
};

enum step_kind {
	STEP_TESTS, /* all of them, or the rule ends */
	STEP_MAP,   /* likewise; then by the map */
	STEP_COUNTER,
	STEP_LIMIT, /* either way */
	STEP_LOG,
	STEP_PIN, /* likewise after its tests */
	STEP_ACTION,
	STEP_NEVER,  /* no packet of this family passes */
	STEP_UNKNOWN /* nothing can be said of it */
};

struct step {
	uint8_t kind;     /* enum step_kind */
	uint8_t action;   /* enum action */
	uint8_t variable; /* of a map */
	uint32_t index;   /* the chain of a jump or goto, the counter, the space's map; NOWHERE: there is none of this
			     name */
	uint32_t tests, test_count;
	const char *text; /* of a log, its prefix; of what is unknown, why */
};

enum { NOWHERE = UINT32_MAX };

struct program_rule {
	uint32_t steps, step_count;
	uint32_t tests, test_count; /* all that stand ahead of the first step that is more than tests, in any order */
	uint32_t lead;              /* this step, whose tests are among them */
	bool never;                 /* no packet of this family passes them */
	uint32_t reach;             /* of VARIABLE_TARGET: to packets with no other one it does nothing */
};

enum { BLOCK_RULES = 32 };

struct program_chain {
	uint32_t rules, rule_count;
	const struct chain *chain;
};

struct program {
	const struct ruleset *ruleset;
	struct {
		struct program_chain *items; /* index: that of the ruleset */
		size_t count, capacity;
	} chains;
	struct {
		struct program_rule *items;
		size_t count, capacity;
	} rules;
	struct {
		struct step *items;
		size_t count, capacity;
	} steps;
	struct {
		struct test *items;
		size_t count, capacity;
	} tests;
	struct {
		struct program_set {
			const struct set *set;
			uint32_t predicate, map;                       /* NOWHERE: not made yet */
			enum domain_kind predicate_domain, map_domain; /* of whose values */
		} * items;
		size_t count, capacity;
	} sets;
	uint32_t *blocks;        /* of so many rules one after the other: what they reach together */
	uint8_t *counters;       /* of each of the ruleset's: enum fate_counter; COUNTS: no packet's */
	uint32_t *counter_flows; /* 1 + the flow */
};

/* Adds to the space what the ruleset looks at. 0 or -ENOMEM. The ruleset has to live as long. */
int program_begin(struct program *program, struct space *space, const struct ruleset *ruleset,
		  const struct policy *policy);
/* Once the space is closed. */
int program_finish(struct program *program, struct space *space);
void program_free(struct program *program);
/* What its rules reach, a part of program_finish(); 0 or -ENOMEM. */
int program_find_reach(struct program *program, struct space *space);

#endif
