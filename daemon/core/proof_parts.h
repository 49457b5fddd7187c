/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_PROOF_PARTS_H
#define SPEFW_PROOF_PARTS_H

/* What the files of the prover share. */

#include "proof.h"
#include "proof_packet.h"
#include "proof_program.h"

/* A set of packets: of each variable, the classes that it may have. */
struct box {
	uint32_t values[VARIABLES];
};

struct boxes {
	struct box *items;
	size_t count, capacity;
};

/* What a packet has met on its way. Compared as bytes: no padding. */
struct tally {
	uint32_t flow; /* whose counter: 1 + its index in the policy; 0: none */
	uint16_t logs; /* bits 1 << enum fate_counter: the copies that belong to the counter; COUNT_FLOW: for a name's
			  sake */
	uint8_t limited;
	uint8_t odd; /* counted by what no packet may be counted by, or by two flows */
	uint8_t counts[COUNTS];
};

struct ending {
	struct tally tally;
	uint8_t action; /* enum action */
	bool pinned;
	uint32_t chain, rule; /* where; chain NOWHERE: at the end of the base chain */
};

/* The answers to questions that are asked of a box. */
struct questions {
	struct asked_set {
		const void *set;
		uint32_t bits;
		uint8_t kind, domain;
		bool many; /* of several answers: index is a map; else a predicate */
		uint32_t index;
		uint32_t values; /* once the space is closed, of a predicate */
	} * items;
	size_t count, capacity;
	uint32_t *buckets;
	size_t bucket_count;
	uint32_t syn, rst; /* predicates, then values */
};

struct prover {
	struct space space;
	struct program found, wanted; /* wanted.ruleset NULL: it is what was found */
	struct fate_view view;
	struct questions questions;
	struct boxes pending; /* asked about later */
	struct {
		struct walker *items;
		size_t count, capacity;
	} walkers;
	enum fate_stage stage;
	uint32_t next_is_protocol; /* the set of this value alone */
	uint64_t cells, steps;
	const char *failure; /* sticky: why nothing can be proven; all loops end */
	uint32_t failed_chain;
	bool no_memory;
	bool done;           /* a difference was found */
	uint32_t shown_next; /* VARIABLE_NEXT_HEADER of the packet that shows it */
	struct proof_result *result;
};

void proof_fail(struct prover *p, const char *why);
bool proof_stopped(const struct prover *p);

/* proof_questions.c: what policy and environment may ask about; several of them, one call each. 0 or -ENOMEM. */
int questions_begin(struct questions *questions, struct space *space, const struct fate_view *view);
void questions_finish(struct questions *questions, struct space *space);
void questions_free(struct questions *questions);
const struct asked_set *questions_find(const struct questions *q, const struct question *question,
				       enum domain_kind domain); /* NULL: it was not foreseen */

/* proof_ask.c: lets `judge` ask about the box; where an answer is not the same for all of it, it is taken apart, and
 * each part is judged by itself. */
typedef void ask_judge(struct prover *p, const struct asker *asker, struct fate *ret, void *context);
typedef void ask_end(struct prover *p, const struct box *box, const struct fate *fate, void *context);
void proof_ask(struct prover *p, const struct box *box, ask_judge *judge, ask_end *end, void *context);

/* proof_walk.c: the ways of a box through the rules, from the beginning of a chain on. */
struct walk_calls {
	void (*end)(struct prover *p, const struct box *box, const struct ending *ending, void *context);
	/* A goto from the base chain: true where somebody else follows it. NULL: nobody does. */
	bool (*tail)(struct prover *p, const struct box *box, uint32_t chain, const struct tally *tally, void *context);
	/* What some part of the box comes to: a chain, and a counter of the ruleset. NULL: nobody wants to know. */
	void (*enter)(uint32_t chain, void *context);
	void (*count)(uint32_t counter, void *context);
	void *context;
};
void proof_walk(struct prover *p, const struct program *program, const struct box *box, uint32_t chain,
		const struct tally *tally, const struct walk_calls *calls);

/* proof_outcome.c: whether what the rules have made of packets is what the policy makes of them. */
bool counts_equal(const struct tally *tally, const struct fate *fate, const struct policy *policy);
bool copies_equal(const struct tally *tally, const struct fate *fate);
bool actions_equal(const struct ending *ending, const struct fate *fate);
bool outcomes_equal(const struct prover *p, const struct ending *ending, const struct fate *fate); /* all of these */
bool endings_equal(const struct ending *a, const struct ending *b);
struct fate fate_of_ending(const struct prover *p, const struct ending *ending);

/* proof_packet.c: one packet by itself, from the base chain of p->stage on. Two ends: within limits and beyond them. */
enum { ENDINGS_MAX = 16 };
struct endings {
	struct ending items[ENDINGS_MAX];
	size_t count;
};
/* The packet as a box that holds nothing else; next: VARIABLE_NEXT_HEADER. */
struct box packet_box(struct prover *p, const struct fate_packet *packet, const struct proof_headers *headers,
		      uint64_t next);
/* trace: NULL, or what is found of the first end, but for .differs. */
struct endings packet_endings(struct prover *p, const struct program *program, const struct box *box,
			      struct packet_walk *trace);
bool packet_differs(const struct prover *p, const struct endings *endings, const struct fate *fate);

/* proof_confirm.c: runs the packet of the result by itself, and asks the policy about it. False: no difference is to be
 * seen, and so there is an error in the prover. */
bool proof_confirm(struct prover *p);

/* proof_box.c */
extern const uint32_t packet_states[STATES]; /* CT_* */
bool box_and(struct prover *p, const struct box *a, const struct box *b,
	     struct box *ret);                                           /* false: nothing is in both */
void box_add(struct prover *p, struct box *box, const struct box *more); /* the least box that holds both */
void box_restrict(struct prover *p, struct box *box, enum variable variable, uint64_t first, uint64_t last);
struct box box_all(struct prover *p);
/* A packet of the box, as the result's. */
void box_example(struct prover *p, const struct box *box, struct proof_result *ret);

/* proof_structure.c. The base chain that packets of the stage come to, of the ruleset; NOWHERE: there is none. */
uint32_t stage_chain(const struct ruleset *ruleset, enum fate_stage stage);
/* What is compared without a packet. False: it differs, or is not known; *result says what. */
bool structure_equal(const struct ruleset *found, const struct ruleset *wanted, struct proof_result *result);

#endif
