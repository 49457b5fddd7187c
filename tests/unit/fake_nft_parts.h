/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_FAKE_NFT_PARTS_H
#define SPEFW_TEST_FAKE_NFT_PARTS_H

/* Within the fake kernel: fake_nft.c has sockets, reading and notices, fake_nft_batch.c what a batch does to the table,
 * fake_nft_others.c the sets of what was cut and the tables of other programs. */

#include "fake_nft.h"

/* Counts the call; 0, or what it fails with. */
int fake_nft_begin(enum fake_nft_call call);
/* r, with a text for nft_reason() where it is an error. */
int fake_nft_error(struct nft_socket *socket, int r);
void fake_nft_must(bool worked); /* or the test ends: out of memory in earnest */
/* In between, no allocation fails on request: give back what the first one returned. */
long fake_nft_pause_failing(void);
void fake_nft_resume_failing(long left);

/* *out is the same ruleset, finished, without elements that have run out. */
void fake_nft_copy(struct ruleset *out, const struct ruleset *from);
/* All of it is in force, or nothing: 0 or a negative errno, as of nf_tables. */
int fake_nft_take(const struct op *ops, size_t count);

#endif
