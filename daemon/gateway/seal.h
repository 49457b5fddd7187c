/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_SEAL_H
#define SPEFW_SEAL_H

/* What is proven of the table: that every packet which is not of an established connection ends and is counted as
 * policy_fate() has it. What follows from that is the coordinator's to decide. */

#include "core/health.h"
#include "core/environment.h"
#include "core/ruleset.h"

struct seal;

enum seal_state {
	SEAL_NONE, /* there is no table, or nothing was proven yet */
	SEAL_EQUAL,
	SEAL_DIFFERS,  /* of one packet at least */
	SEAL_UNPROVEN, /* nobody knows: the proof could not be carried out */
	SEAL_STATES
};
extern const char *const seal_state_words[SEAL_STATES];

enum { SEAL_TEXT_MAX = 320 };

struct seal_finding {
	enum seal_state state;
	uint64_t cells;  /* that were compared */
	int64_t took_us; /* of the processor's time */
	/* SEAL_DIFFERS, of a packet; "" where it is no packet that shows it. */
	char packet[SEAL_TEXT_MAX];
	char wanted[SEAL_TEXT_MAX], found[SEAL_TEXT_MAX]; /* what becomes of it by the policy, and by the table */
	char chain[SEAL_TEXT_MAX];                        /* where the table decides on it; "": nowhere */
	size_t rule;                                      /* from 0 */
	uint64_t handle;                                  /* the kernel's, of this rule; 0: not known */
	unsigned line;                                    /* of the flow that the policy decides by; 0: none */
	unsigned found_line;                              /* of the flow that the table takes it for; 0: none */
	char why[SEAL_TEXT_MAX];                          /* in words, where it is not equal */
};

/* 0 or -ENOMEM. */
int seal_new(struct seal **ret);
void seal_free(struct seal *seal); /* NULL: nothing */

/* What the table would be, or is. The result stays until the next of these calls. wanted: what compile() makes of
 * policy and environment; NULL: it is made here. ruleset: NULL: there was no memory to find out what it would be. */
const struct seal_finding *seal_prove(struct seal *seal, const struct policy *policy,
				      const struct environment *environment, const struct ruleset *wanted,
				      const struct ruleset *ruleset);
/* What is there after the first part of a change, which must be nothing that a packet meets. Likewise. */
const struct seal_finding *seal_prove_preparation(struct seal *seal, const struct ruleset *before,
						  const struct ruleset *after);
/* Likewise of sets of names alone: these hold whom the address book has, and nobody else. */
const struct seal_finding *seal_prove_names(struct seal *seal, const struct policy *policy,
					    const struct names_view *names, const struct ruleset *sets);
/* What was read is no ground for a proof. Likewise. */
const struct seal_finding *seal_doubt(struct seal *seal, const char *why);

/* In a line: the packet, what becomes of it by the policy and by the table; else why. Returns text. */
enum { SEAL_LINE_MAX = 900 };
const char *seal_text(const struct seal_finding *finding, char text[SEAL_LINE_MAX]);

/* What was found last is of the table that the kernel has now; or of a change that was refused. True: that is news. */
bool seal_hold(struct seal *seal);
bool seal_refuse(struct seal *seal);
void seal_forget(struct seal *seal); /* there is no table any more */

struct seal_figures {
	const struct seal_finding *held;    /* of the table in the kernel; valid as long as the seal */
	const struct seal_finding *refused; /* of the last change, where that was refused; else NULL */
	uint64_t proofs;                    /* that were carried out */
	uint64_t refusals;
};
struct seal_figures seal_figures(const struct seal *seal);
/* mode: of the policy in force. */
void seal_reasons(const struct seal *seal, enum proof_mode mode, struct health *health);

#endif
