/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFT_OTHERS_H
#define SPEFW_NFT_OTHERS_H

/* The tables of other programs, as far as their rules may matter to ours (libnftnl). */

#include "core/foreign.h"
#include "nft/socket.h"

#include <libnftnl/rule.h>

/* All chains, sets and rules of all tables but ours, up to a bound (then ret->incomplete); elements of sets only where some
 * rule does one of these deeds. 0 or a negative errno; then *ret is empty. others_free() must follow. */
int nft_read_others(struct nft_socket *socket, struct others *ret, unsigned deeds);

/* The same in parts, over a socket that asks nothing else meanwhile; *out is of use once nft_others_some() gave 0. begin: 0 or
 * -ENOMEM. some: 1 there is more, 0 that was all, or a negative errno. others_free() and nft_others_end() must follow. */
struct others_reading;
int nft_others_begin(struct others_reading **ret, struct nft_socket *socket, struct others *out, unsigned deeds);
int nft_others_some(struct others_reading *reading);
void nft_others_end(struct others_reading *reading); /* NULL is fine */

/* One rule of them into others (nft_others_rule.c); its chain and sets are there already. 0 or -ENOMEM. */
int nft_take_other_rule(struct others *others, const struct nftnl_rule *rule);

#endif
