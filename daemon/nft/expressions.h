/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFT_EXPRESSIONS_H
#define SPEFW_NFT_EXPRESSIONS_H

/* A message with a rule (NFT_MSG_NEWRULE), be it as the kernel lists it or as it is sent: its expressions, attribute by
 * attribute, and whether two of them mean the same. Nothing is copied: all points into the message. */

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NFT_EXPRESSIONS_MAX = 64, /* of a rule; none of ours has half as many */
	NFT_ATTRIBUTES_MAX = 16,  /* their kinds; those of the expressions that we use are below */
};

struct nft_expression {
	const char *name;
	const struct nlattr *attributes[NFT_ATTRIBUTES_MAX]; /* by kind; NULL: not there */
};

struct nft_expressions {
	const char *table, *chain; /* NULL: not said */
	uint64_t handle;           /* 0: not said */
	size_t count;
	struct nft_expression items[NFT_EXPRESSIONS_MAX];
};

/* False: it holds what no rule of ours has. What could be read until then is there. */
bool nft_take_apart(const struct nlmsghdr *header, struct nft_expressions *ret);
/* Whether they are the same but for what the kernel adds to a rule, or leaves out of it, because it means nothing; and
 * `read` may have one expression for a range, where `made` has two comparisons. */
bool nft_expressions_equal(const struct nft_expressions *read, const struct nft_expressions *made);

/* Of an attribute that is not there or of another size: 0, NULL. Numbers come in network byte order. */
bool nft_has(const struct nft_expression *expression, unsigned kind);
uint32_t nft_number(const struct nft_expression *expression, unsigned kind);  /* of 1, 2, 4 or 8 bytes */
const char *nft_word(const struct nft_expression *expression, unsigned kind); /* as long as the message */
/* What an attribute with a value (NFTA_DATA_VALUE) holds. */
const uint8_t *nft_value(const struct nft_expression *expression, unsigned kind, size_t *ret_size);
/* An attribute in the verdict (NFTA_VERDICT_*) of one that holds it; NULL: none. */
const struct nlattr *nft_in_verdict(const struct nft_expression *expression, unsigned kind, unsigned inner);

#endif
