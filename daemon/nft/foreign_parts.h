/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFT_FOREIGN_PARTS_H
#define SPEFW_NFT_FOREIGN_PARTS_H

/* What foreign.c shares with foreign_recorded.c: a reading goes from phase to phase, each of which requests something
 * of the kernel; that of the elements once for each set that counts. */

#include "nft/foreign.h"

enum foreign_phase { READ_CHAINS, READ_SETS, READ_RULES, READ_ELEMENTS, READ_DONE };

struct foreign_request {
	uint16_t type;
	void (*prepare)(struct nlmsghdr *header, const void *set); /* set: whose elements */
	int (*each)(const struct nlmsghdr *header, void *reading); /* takes one message of the reply */
	void (*restart)(void *reading);                            /* forgets what was taken */
};
extern const struct foreign_request nft_foreign_requests[]; /* by phase */

/* The one whose reply comes next. */
const struct foreign_request *nft_foreign_request(const struct foreign_reading *reading,
						  const struct foreign_set **ret_set);
/* How its reply ended: 0, -E2BIG (there is more, which is not known) or another negative errno. As
 * nft_foreign_some(). */
int nft_foreign_end_request(struct foreign_reading *reading, int r);

bool nft_is_our_table(unsigned family, const char *table);

#endif
