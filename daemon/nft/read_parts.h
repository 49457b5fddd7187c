/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFT_READ_PARTS_H
#define SPEFW_NFT_READ_PARTS_H

/* What the readers of our table share: read.c the table, its chains and the rest, read_rules.c its rules,
 * read_sets.c its sets. */

#include "core/ruleset.h"
#include "nft/interval.h"
#include "nft/socket.h"

struct raw {
	struct nft_edge edge;
	struct element element;
};

struct reading {
	struct ruleset *out;
	struct set *set; /* whose elements are being read */
	struct raw *raw;
	size_t raw_count, raw_capacity;
	int64_t now_ms;
	bool foreign;
};

/* One attribute of a request. */
void nft_put_name(struct nlmsghdr *header, uint16_t attribute, const char *name);
/* Whether something called `name` is of our table. */
bool nft_is_ours(const char *table, const char *name);
/* Whether a message that the library can't parse is about our table. */
bool nft_names_our_table(const struct nlmsghdr *header);

/* All rules, into the chains of reading->out. 0 or a negative errno. */
int nft_read_rules(struct nft_socket *socket, struct reading *reading);
/* All sets, with the elements of those that are not SET_KEPT, into reading->out. 0 or a negative errno. */
int nft_read_sets(struct nft_socket *socket, struct reading *reading);

#endif
