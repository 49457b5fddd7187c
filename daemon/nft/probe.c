/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/socket.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the kernel can do is tried, on a scratch table that no other program meets by its name. */

enum { SHORT_MS = 100 * 1000, LONG_MS = 1000 * 1000 };

static void scratch_name(char buffer[40])
{
	snprintf(buffer, 40, "spefw-probe-%ld", (long)getpid());
}

static int put_table(struct nft_batch *batch, const char *name, uint16_t type, uint32_t flags)
{
	struct nftnl_table *table = nftnl_table_alloc();
	struct nlmsghdr *header = NULL;

	if (table && nftnl_table_set_str(table, NFTNL_TABLE_NAME, name) == 0)
		header = nft_message(batch, type, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0);
	if (header) {
		nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, flags);
		nftnl_table_nlmsg_build_payload(header, table);
		nft_message_done(batch, header);
	}
	if (table)
		nftnl_table_free(table);
	return header ? 0 : -ENOMEM;
}

static struct nftnl_set *scratch_set(const char *table)
{
	struct nftnl_set *set = nftnl_set_alloc();

	if (!set)
		return NULL;
	nftnl_set_set_u32(set, NFTNL_SET_FAMILY, NFPROTO_INET);
	nftnl_set_set_u32(set, NFTNL_SET_FLAGS, NFT_SET_TIMEOUT);
	nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, nft_key_type(KEY_IPV4));
	nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, 4);
	nftnl_set_set_u32(set, NFTNL_SET_ID, 1);
	if (nftnl_set_set_str(set, NFTNL_SET_TABLE, table) == 0 && nftnl_set_set_str(set, NFTNL_SET_NAME, "s") == 0)
		return set;
	nftnl_set_free(set);
	return NULL;
}

/* The set (first time) and its one element with this timeout. */
static int put_element(struct nft_batch *batch, const char *table, bool first, uint64_t timeout_ms)
{
	struct nftnl_set *set = scratch_set(table);
	struct nftnl_set_elem *element = set ? nftnl_set_elem_alloc() : NULL;
	struct nlmsghdr *header = NULL;

	if (element && first && (header = nft_message(batch, NFT_MSG_NEWSET, NLM_F_CREATE))) {
		nftnl_set_nlmsg_build_payload(header, set);
		nft_message_done(batch, header);
	}
	if (element) {
		nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, "\300\0\2\1", 4);
		nftnl_set_elem_set_u64(element, NFTNL_SET_ELEM_TIMEOUT, timeout_ms);
		if (!first)
			nftnl_set_elem_set_u64(element, NFTNL_SET_ELEM_EXPIRATION, timeout_ms);
		nftnl_set_elem_add(set, element);
		header = nft_message(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
	}
	if (header) {
		nftnl_set_elems_nlmsg_build_payload(header, set);
		nft_message_done(batch, header);
	}
	if (set)
		nftnl_set_free(set);
	return header ? 0 : -ENOMEM;
}

static int begin(struct nft_socket *socket, struct nft_batch *batch)
{
	return nft_batch_begin(batch, &socket->abilities, socket->sequence, 0);
}

/* Made and deleted in one transaction: nothing of it is ever there, but a kernel without the flags refuses it. */
static int probe_owner(struct nft_socket *socket, const char *name)
{
	struct nft_batch batch;
	int r = begin(socket, &batch);

	if (r == 0)
		r = put_table(&batch, name, NFT_MSG_NEWTABLE, TABLE_OWNED);
	if (r == 0)
		r = put_table(&batch, name, NFT_MSG_DELTABLE, 0);
	r = nft_commit_batch(socket, &batch, r);
	socket->abilities.owner = r == 0;
	return r == -EOPNOTSUPP || r == -EINVAL ? 0 : r;
}

static int take_expiration(struct nftnl_set_elem *element, void *userdata)
{
	*(uint64_t *)userdata = nftnl_set_elem_get_u64(element, NFTNL_SET_ELEM_EXPIRATION);
	return 0;
}

static int each_scratch(const struct nlmsghdr *header, void *userdata)
{
	struct nftnl_set *set = nftnl_set_alloc();

	if (set && nftnl_set_elems_nlmsg_parse(header, set) == 0)
		nftnl_set_elem_foreach(set, take_expiration, userdata);
	if (set)
		nftnl_set_free(set);
	return set ? MNL_CB_OK : MNL_CB_ERROR;
}

static void prepare_scratch(struct nlmsghdr *header, const void *table)
{
	mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, table);
	mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, "s");
}

/* An old kernel takes the second message for an element that is there already, and leaves its timeout alone. */
static int probe_timeout_update(struct nft_socket *socket, const char *name)
{
	struct nft_batch batch;
	uint64_t expiration = 0;

	int r = begin(socket, &batch);
	if (r == 0)
		r = put_table(&batch, name, NFT_MSG_NEWTABLE, 0);
	if (r == 0)
		r = put_element(&batch, name, true, SHORT_MS);
	r = nft_commit_batch(socket, &batch, r);
	if (r < 0)
		return r;

	r = begin(socket, &batch);
	if (r == 0)
		r = put_element(&batch, name, false, LONG_MS);
	r = nft_commit_batch(socket, &batch, r);
	if (r == 0)
		r = nft_request(socket, NFT_MSG_GETSETELEM, NLM_F_DUMP, prepare_scratch, name, each_scratch,
				&expiration, NULL);
	socket->abilities.timeout_update = r == 0 && expiration > SHORT_MS;

	int cleaned = begin(socket, &batch);
	if (cleaned == 0)
		cleaned = put_table(&batch, name, NFT_MSG_DELTABLE, 0);
	return nft_commit_batch(socket, &batch, cleaned);
}

int nft_probe(struct nft_socket *socket)
{
	const char *allowed = getenv("SPEFW_ABILITIES");
	char name[40];

	scratch_name(name);
	socket->abilities = (struct nft_abilities){ 0 };
	int r = probe_owner(socket, name);
	if (r == 0)
		r = probe_timeout_update(socket, name);
	if (allowed) {
		socket->abilities.owner &= strstr(allowed, "owner") != NULL;
		socket->abilities.timeout_update &= strstr(allowed, "timeout_update") != NULL;
	}
	socket->error[0] = '\0';
	return r;
}
