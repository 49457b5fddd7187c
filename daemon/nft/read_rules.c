/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/read.h"
#include "nft/read_parts.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

/* The rules of our table. */

struct handles {
	uint64_t *items;
	size_t wanted, count;
};

static void prepare_rules(struct nlmsghdr *header, const void *chain)
{
	nft_put_name(header, NFTA_RULE_TABLE, TABLE_NAME);
	nft_put_name(header, NFTA_RULE_CHAIN, chain);
}

static void restart_handles(void *userdata)
{
	((struct handles *)userdata)->count = 0;
}

static int each_handle(const struct nlmsghdr *header, void *userdata)
{
	struct handles *handles = userdata;
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, header, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attribute) != NFTA_RULE_HANDLE || mnl_attr_validate(attribute, MNL_TYPE_U64) < 0)
			continue;
		if (handles->count < handles->wanted)
			handles->items[handles->count] = be64toh(mnl_attr_get_u64(attribute));
		handles->count++;
		break;
	}
	return MNL_CB_OK;
}

int nft_read_handles(struct nft_socket *socket, const char *chain, uint64_t *ret, size_t count)
{
	struct handles handles = { .items = ret, .wanted = count };

	int r = nft_request(socket, NFT_MSG_GETRULE, NLM_F_DUMP, prepare_rules, chain, each_handle, &handles,
			    restart_handles);
	if (r == 0 && handles.count != count)
		r = -ESTALE;
	return r == -ENOENT ? -ESTALE : r;
}
