/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_GENERATION_H
#define SPEFW_GENERATION_H

/* The number of the policy in force: one more for each that comes into force, and for none at all after a clear;
 * nothing else moves it. It goes on over restarts, by a file in the state directory. */

#include <stdbool.h>
#include <stdint.h>

struct generation {
	const char *state; /* the directory; must live as long */
	uint64_t number;   /* 0: no policy ever came into force */
	uint64_t files;    /* policy_file_hash() of the policy in force; 0: there is none */
	bool unsaved, save_failed;
};

/* What the state directory has; trouble with that is logged, and counting begins anew. */
struct generation generation_load(const char *state);
/* A policy of these files is in force: another one, or (not moved) one of the same meaning. */
void generation_set(struct generation *generation, uint64_t files, bool moved);
/* To the state directory, where that is due; trouble is logged once. */
void generation_save(struct generation *generation);

#endif
