/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFT_DECODE_H
#define SPEFW_NFT_DECODE_H

/* A rule in the kernel as the terms that it was made of: what rule.c does, backwards. */

#include "core/ruleset.h"
#include "nft/encode.h"
#include "nft/expressions.h"

/* *ret gets the terms and the handle; it is one of a chain of `owner`, which gets the names. batch: begun, and used for
 * this alone; what is in it is of no use. 0; -EBADMSG: it is not just what we make of any terms, and *ret has no terms;
 * -ENOMEM. */
int nft_decode_rule(struct ruleset *owner, const struct nft_expressions *expressions, struct nft_batch *batch,
		    struct rule *ret);

#endif
