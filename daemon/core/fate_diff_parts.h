/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_FATE_DIFF_PARTS_H
#define SPEFW_FATE_DIFF_PARTS_H

/* What the files of the comparison of fates share. */

#include "fate_diff.h"
#include "proof_parts.h"

/* fate_addresses.c: sets of classes of addresses, by the name of what has just these. Of one family. */
struct naming {
	struct {
		struct naming_item {
			const char *name;
			bool is_of_family;
			uint32_t predicate; /* of addresses */
		} * items;
		size_t count, capacity;
	} named;
	size_t first; /* of the diff's addresses: those before are another family's */
	struct {
		uint32_t *items; /* of each from there on */
		size_t count, capacity;
	} values;
};

/* Before the space is closed: the roles and names of a policy, but those that are there by their name. 0 or -ENOMEM. */
int naming_add(struct naming *naming, struct space *space, const struct fate_side *side);
void naming_free(struct naming *naming);
/* *ret_index: which of the diff's addresses these are. 0 or -ENOMEM. */
int addresses_put(struct naming *naming, struct prover *p, uint32_t values, struct fate_diff *diff, size_t *ret_index);

#endif
