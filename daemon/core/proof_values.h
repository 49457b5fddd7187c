/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_PROOF_VALUES_H
#define SPEFW_PROOF_VALUES_H

/* Sets of small numbers, each kept once: two sets are the same where their numbers are. The prover's numbers are the
 * classes of a field's values (proof_domain.h). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VALUES_NONE = 0 }; /* the empty set */

struct run {
	uint32_t first, last;
};

struct values_store {
	struct {
		struct run *items;
		size_t count, capacity;
	} runs;
	size_t runs_max, cuts_max; /* whoever wants less than values_begin() allows */
	struct {
		struct values_entry *items;
		size_t count, capacity;
	} sets;
	uint32_t *buckets; /* by content: index + 1 */
	size_t bucket_count;
	struct values_cut *cuts; /* what values_split() has found */
	size_t cut_count, cut_capacity;
	struct {
		struct run *items;
		size_t count, capacity;
	} scratch[2];
	bool failed; /* sticky: no memory, or more sets than a proof may have; all answers are VALUES_NONE then */
	bool full;   /* it was the latter */
};

int values_begin(struct values_store *store); /* 0 or -ENOMEM */
void values_free(struct values_store *store);

/* Runs ascending, disjoint, neighbours merged. */
uint32_t values_of(struct values_store *store, const struct run *runs, size_t count);
uint32_t values_range(struct values_store *store, uint32_t first, uint32_t last);
/* The part of a that is in b, and the part that is not. */
void values_split(struct values_store *store, uint32_t a, uint32_t b, uint32_t *ret_in, uint32_t *ret_out);
uint32_t values_and(struct values_store *store, uint32_t a, uint32_t b);
uint32_t values_without(struct values_store *store, uint32_t a, uint32_t b);
uint32_t values_or(struct values_store *store, uint32_t a, uint32_t b);

bool values_simple(const struct values_store *store, uint32_t a, uint32_t b); /* values_meet() is quick */
bool values_meet(struct values_store *store, uint32_t a, uint32_t b);         /* whether something is in both */
bool values_have(const struct values_store *store, uint32_t id, uint32_t value);
/* Its runs; valid until another set is made. */
const struct run *values_runs(const struct values_store *store, uint32_t id, size_t *ret_count);
uint32_t values_first(const struct values_store *store, uint32_t id); /* of a set that is not empty */

#endif
