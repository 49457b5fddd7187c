/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFT_INTERVAL_H
#define SPEFW_NFT_INTERVAL_H

/* The elements of a set as the kernel lists them: an interval is two, its start, and its end, which is the first key
 * beyond it. */

#include "core/ruleset.h"

/* What a struct has to begin with that keeps such an element. */
struct nft_edge {
	uint8_t key[KEY_SIZE_MAX];
	bool end;
};

/* For qsort(). An end that stands where another interval begins belongs to the one before. */
int nft_edge_order(const void *a, const void *b);
/* The last key of the interval that goes up to `next`, the edge behind its start; NULL: to the end of all keys. size:
 * bytes of a key. */
void nft_last_key(uint8_t *ret, const struct nft_edge *next, size_t size);

#endif
