/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFT_INSPECT_H
#define SPEFW_NFT_INSPECT_H

/* One look at the table in the kernel, without a daemon. */

#include "nft/read.h"

struct nft_inspection {
	struct nft_table_info info;
	bool guards;  /* protected addresses lead to their flows, be it in audit mode */
	bool audit;   /* it guards, and denies nothing */
	bool foreign; /* it holds what is not of our making: whether it guards is not known */
	struct ruleset table;
	char error[NFT_ERROR_MAX]; /* why it could not be read */
};

/* 0, also where there is no table; or a negative errno. ruleset_free(&ret->table) must follow in any case. */
int nft_inspect(struct nft_inspection *ret);

#endif
