/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_RULESET_WALK_H
#define SPEFW_RULESET_WALK_H

/* The way of one packet through the chains of our table: where it ends. */

#include "policy.h"
#include "ruleset.h"

enum { WALK_CHAINS = 16 };

struct walk {
	enum action action;            /* ACTION_ACCEPT, _DROP or _RESET */
	const char *path[WALK_CHAINS]; /* chains that it came to, of the base chain that it ends in; the ruleset's */
	size_t path_count;
	const char *chain;   /* where it ends; NULL: at the end of the base chain, which accepts */
	size_t rule;         /* which rule of that chain, from 0 */
	const char *counter; /* the last one that counts it; NULL: none does */
};

/* A packet that opens a connection, and is what it seems: it comes and goes by the right interfaces, is translated by
 * nobody, and belongs to nothing that was cut. hook: HOOK_FORWARD (to this machine's prerouting first), HOOK_INPUT
 * (likewise), HOOK_OUTPUT. False: the ruleset is not known rule by rule. *ret points into the ruleset. */
bool ruleset_walk(const struct ruleset *ruleset, enum hook hook, const struct packet *packet, struct walk *ret);

#endif
