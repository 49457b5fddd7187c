/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_PROOF_PACKET_H
#define SPEFW_PROOF_PACKET_H

/* Single packets on their way through a ruleset, by the interpreter that the proof goes by: what is found of one packet
 * here is what is proven of all. */

#include "fate.h"
#include "ruleset.h"

enum { WALK_CHAINS = 16 };

struct packet_walk {
	enum action action;            /* what becomes of it, as long as no limit is reached */
	bool differs;                  /* from the fate, within limits or beyond them, as the proof has it */
	const char *path[WALK_CHAINS]; /* the chains that it comes to; the ruleset's */
	size_t path_count;
	const char *chain;   /* where it ends; NULL: at the end of the base chain, which accepts */
	size_t rule;         /* which rule of that chain, from 0 */
	const char *counter; /* the last one that counts it; NULL: none does */
};

struct packet_walks;

/* Policy and ruleset have to outlive it. Each family is prepared when its first packet comes. 0 or -ENOMEM. */
int packet_walks_new(struct packet_walks **ret, const struct policy *policy, const struct ruleset *ruleset);
void packet_walks_free(struct packet_walks *walks); /* NULL: nothing */

/* A packet with plain headers at this stage; fate: what policy_fate() says of it. *ret points into the ruleset. 0;
 * -EUCLEAN: what the ruleset does with it is not known; or -ENOMEM. */
int packet_walk(struct packet_walks *walks, enum fate_stage stage, const struct fate_packet *packet,
		const struct fate *fate, struct packet_walk *ret);

#endif
