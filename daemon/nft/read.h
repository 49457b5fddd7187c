/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFT_READ_H
#define SPEFW_NFT_READ_H

/* What is in the kernel: our table as a ruleset. */

#include "core/ruleset.h"
#include "nft/socket.h"

struct nft_table_info {
	bool exists;
	uint32_t flags; /* NFT_TABLE_F_* */
	uint32_t owner; /* port id; 0: none */
	int layout;     /* of the comment; 0: none of ours */
};

struct nft_counter {
	char name[128];
	uint64_t packets, bytes;
};

struct nft_counters {
	struct nft_counter *items;
	size_t count, capacity;
};

/* All: 0 or a negative errno; a table that is not there is no error (info.exists false, or an empty list). */
int nft_read_info(struct nft_socket *socket, struct nft_table_info *ret);
struct nft_table_state {
	/* It holds something that is not of our making, or that was altered beyond what can be compared. Of rules that
	 * is said by their chain (altered). */
	bool foreign;
	/* Tables were changed by somebody while this one was read, each time that it was tried: what was read may be of
	 * several moments. */
	bool torn;
};
/* The table is read within one generation of the kernel's tables, if that can be had. */
enum { NFT_READ_TRIES = 5 };
int nft_read_table(struct nft_socket *socket, struct ruleset *ret, int64_t now_ms, struct nft_table_state *ret_state);
/* *ret has this chain alone, and of that its rules alone; none where the kernel has no such chain. ruleset_free() is
 * the caller's. */
int nft_read_chain(struct nft_socket *socket, const char *name, struct ruleset *ret);
int nft_read_counters(struct nft_socket *socket, struct nft_counters *ret); /* free(ret->items) is the caller's */

#endif
