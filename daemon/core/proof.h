/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_PROOF_H
#define SPEFW_PROOF_H

/* Whether a ruleset does with every packet what policy_fate() says: verdict and counters, at each stage, for all
 * packets that are not of an established connection; these have to fare as in the ruleset that is wanted. doc/proof.md
 * has the argument. What is not about packets (hooks, priorities, types of sets, limits, logs) is compared literally
 * with the ruleset that is wanted. Pure, and bounded: what is too large for it is not proven. */

#include "fate.h"
#include "ruleset.h"

enum proof_state {
	PROOF_EQUAL,
	PROOF_DIFFERS,
	PROOF_FAILED /* nothing is proven: something is not known, or too large */
};

enum { PROOF_TEXT_MAX = 200, PROOF_INTERFACE_MAX = 17 };

struct proof_result {
	enum proof_state state;
	uint64_t cells; /* classes of packets that were compared */

	/* PROOF_DIFFERS, and PROOF_FAILED: */
	char text[PROOF_TEXT_MAX]; /* why, in words; of a literal difference, which */
	const char *chain;         /* where; the ruleset's. NULL: at the end of a base chain, or nowhere */
	size_t rule;               /* of that chain, from 0 */

	/* PROOF_DIFFERS: */
	bool has_packet;     /* else the difference is literal */
	bool is_established; /* the packet is of an established connection */
	enum fate_stage stage;
	struct fate_packet packet; /* its interfaces are the next two */
	char in[PROOF_INTERFACE_MAX], out[PROOF_INTERFACE_MAX];
	struct proof_headers {
		uint8_t first_byte, tcp_flags;
		uint8_t options;   /* IPv4: 1 a loose, 2 a strict source route */
		uint8_t extension; /* IPv6: the first header of extensions; 0: none */
		uint16_t routing;  /* IPv6: 1 + the segments left; 0: no routing header */
	} headers;                 /* what the packet has only in part */
	struct fate wanted, found; /* of found: action, counts, copied, pinned; and flow, where one is counted */
};

/* wanted: what compile() makes of policy and environment; NULL: it is made here. 0 or -ENOMEM (then PROOF_FAILED, too).
 * *ret points into policy and found. */
int proof_run(struct proof_result *ret, const struct policy *policy, const struct environment *environment,
	      const struct ruleset *found, const struct ruleset *wanted);

#endif
