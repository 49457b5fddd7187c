/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFT_OTHERS_H
#define SPEFW_NFT_OTHERS_H

/* The tables of other programs, as far as their rules may matter to ours (libnftnl). */

#include "core/others.h"
#include "nft_socket.h"

#include <libnftnl/rule.h>

/* All chains, sets and rules of all tables but ours; elements of sets only where some rule does one of these deeds. 0 or a
 * negative errno; then *ret is empty. others_free() must follow. */
int nft_read_others(struct nft_socket *socket, struct others *ret, unsigned deeds);

/* One rule of them into others (nft_others_rule.c); its chain and sets are there already. 0 or -ENOMEM. */
int nft_take_other_rule(struct others *others, const struct nftnl_rule *rule);

#endif
