/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFT_CUT_H
#define SPEFW_NFT_CUT_H

/* The connections that were cut, in the sets of our table that remember them (core/cut.h). */

#include "core/cut_list.h"
#include "nft/socket.h"

/* All: 0 or a negative errno. What is written goes in several batches, of which some may be in force after an error. */

/* *ret is finished, at most CUT_SET_SIZE entries of a family; sets that are not there hold nothing. *ret_full: the mark
 * is there. */
int nft_cut_read(struct nft_socket *socket, struct cut_list *ret, bool *ret_full, int64_t now_ms);
/* again: they are there already and get another deadline. -ENFILE: the set is full. *ret_written: the first so many are
 * in force. */
int nft_cut_add(struct nft_socket *socket, const struct cut_list *list, bool again, int64_t now_ms,
		size_t *ret_written);
/* -ENOENT: one of them is not there (any more); what the sets hold is to be read again. */
int nft_cut_delete(struct nft_socket *socket, const struct cut_list *list);
/* The mark that not all that was cut is in the sets; it goes by itself after CUT_MEMORY_MS. */
int nft_cut_mark_full(struct nft_socket *socket);
int nft_cut_unmark_full(struct nft_socket *socket); /* -ENOENT: it is gone already */

#endif
