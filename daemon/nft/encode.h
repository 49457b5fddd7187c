/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFT_ENCODE_H
#define SPEFW_NFT_ENCODE_H

/* A delta as netlink messages (libnftnl): one transaction in one buffer. */

#include "core/delta.h"

#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

/* Table flags: owned by one netlink socket, and there to stay when that is closed. Older headers lack the latter. */
enum { TABLE_OWNED = 0x2 | 0x4 };

/* What this kernel can do. Probed once (probe.c); tests override it. */
struct nft_abilities {
	bool owner; /* a table can be owned: no other program can change it, and it stays when its owner dies, Linux 6.9
		     */
	bool timeout_update; /* an element's timeout can be changed in place, Linux 6.12 */
};

struct nft_batch {
	char *bytes;
	size_t length, capacity;
	size_t last;           /* where the last message begins */
	uint32_t acknowledged; /* of a finished batch: the sequence number that the kernel acknowledges, once all of it
				  is in force */
	uint32_t sequence;     /* the last message's */
	struct nft_abilities abilities;
	int64_t now_ms; /* CLOCK_BOOTTIME, for timeouts */
};

/* All return 0 or a negative errno (-ENOMEM; -EINVAL: the end of an empty batch; -EBADMSG: a rule or an element that no
 * message says, see below); the batch is then only good for nft_batch_free(). */
int nft_batch_begin(struct nft_batch *ret, const struct nft_abilities *abilities, uint32_t sequence, int64_t now_ms);
int nft_batch_add(struct nft_batch *batch, const struct op *ops, size_t count);
int nft_batch_end(struct nft_batch *batch); /* the kernel acknowledges the last message before it, and no other */
void nft_batch_free(struct nft_batch *batch);

/* Room for one message more, begun (NULL without memory), and closed once its payload is there. */
struct nlmsghdr *nft_message(struct nft_batch *batch, uint16_t type, uint16_t flags);
void nft_message_done(struct nft_batch *batch, const struct nlmsghdr *header);

/* A set of our table, by name; NULL without memory. nftnl_set_free() is the caller's. */
struct nftnl_set *nft_make_set(const char *name);

/* One rule; nftnl_rule_free() is the caller's. 0; -ENOMEM; -EBADMSG: one of its terms has a form that can't be said as
 * it is, such as a range of a field that is compared with one value. */
int nft_encode_rule(const char *chain, const struct rule *rule, struct nftnl_rule **ret);
uint32_t nft_verdict(enum action action);  /* as the kernel counts them */
enum action nft_action(uint32_t verdict);  /* the other way; ACTION_NONE: none of ours */
uint32_t nft_key_type(enum key_type type); /* as nft counts them */

#endif
