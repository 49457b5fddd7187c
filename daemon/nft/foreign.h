/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFT_OTHERS_H
#define SPEFW_NFT_OTHERS_H

/* The tables of other programs, as far as their rules may matter to ours (libnftnl). */

#include "core/foreign.h"
#include "nft/socket.h"

#include <libnftnl/rule.h>

/* All chains, sets and rules of all tables but ours, up to a bound (then out->incomplete); elements of sets only where
 * some rule does one of these effects. In parts, over a socket with no other request meanwhile; *out is of use once
 * nft_foreign_some() gave 0. begin: 0 or -ENOMEM. some: 1 there is more, 0 that was all, or a negative errno.
 * foreign_tables_free() and nft_foreign_end() must follow. */
struct foreign_reading;
int nft_foreign_begin(struct foreign_reading **ret, struct nft_socket *socket, struct foreign_tables *out,
		      unsigned effects);
int nft_foreign_some(struct foreign_reading *reading);
void nft_foreign_end(struct foreign_reading *reading); /* NULL is fine */

/* One rule of them into others (foreign_rule.c); its chain and sets are there already. 0 or -ENOMEM. */
int nft_add_foreign_rule(struct foreign_tables *tables, const struct nftnl_rule *rule);

#endif
