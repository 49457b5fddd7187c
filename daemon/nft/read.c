/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/read.h"
#include "nft/read_parts.h"
#include "core/array.h"
#include "core/compile.h"

#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void nft_put_name(struct nlmsghdr *header, uint16_t attribute, const char *name)
{
	mnl_attr_put_strz(header, attribute, name);
}

static void prepare_table(struct nlmsghdr *header, const void *what)
{
	(void)what;
	nft_put_name(header, NFTA_TABLE_NAME, TABLE_NAME);
}
static void prepare_chains(struct nlmsghdr *header, const void *what)
{
	(void)what;
	nft_put_name(header, NFTA_CHAIN_TABLE, TABLE_NAME);
}
static void prepare_counters(struct nlmsghdr *header, const void *what)
{
	(void)what;
	nft_put_name(header, NFTA_OBJ_TABLE, TABLE_NAME);
	mnl_attr_put_u32(header, NFTA_OBJ_TYPE, htobe32(NFT_OBJECT_COUNTER));
}

static void prepare_objects(struct nlmsghdr *header, const void *what)
{
	(void)what;
	nft_put_name(header, NFTA_OBJ_TABLE, TABLE_NAME);
}
static void prepare_flowtables(struct nlmsghdr *header, const void *what)
{
	(void)what;
	nft_put_name(header, NFTA_FLOWTABLE_TABLE, TABLE_NAME);
}

/* The table itself. */

/* The number in a comment "layout N", which is all that we keep with a table; another program may have put anything
 * there. */
static int find_layout(const uint8_t *bytes, size_t length)
{
	char copy[32] = "", ours[32];
	int layout = 0;

	if (length < 2 || bytes[0] != NFTNL_UDATA_TABLE_COMMENT || bytes[1] != length - 2) /* type, length, value */
		return 0;
	snprintf(copy, sizeof(copy), "%.*s", (int)bytes[1], (const char *)bytes + 2);
	if (sscanf(copy, "layout %d", &layout) != 1)
		return 0;
	snprintf(ours, sizeof(ours), "layout %d", layout);
	return strcmp(copy, ours) == 0 && strlen(ours) + 1 == bytes[1] ? layout : 0;
}

bool nft_is_ours(const char *table, const char *name)
{
	return table && name && strcmp(table, TABLE_NAME) == 0;
}

static int each_table(const struct nlmsghdr *header, void *userdata)
{
	struct nft_table_info *info = userdata;
	struct nftnl_table *table = nftnl_table_alloc();
	uint32_t length = 0;

	if (!table)
		return MNL_CB_ERROR;
	if (nftnl_table_nlmsg_parse(header, table) == 0) {
		info->exists = true;
		info->flags = nftnl_table_get_u32(table, NFTNL_TABLE_FLAGS);
		if (nftnl_table_is_set(table, NFTNL_TABLE_OWNER))
			info->owner = nftnl_table_get_u32(table, NFTNL_TABLE_OWNER);
		const void *data = nftnl_table_is_set(table, NFTNL_TABLE_USERDATA)
					   ? nftnl_table_get_data(table, NFTNL_TABLE_USERDATA, &length)
					   : NULL;
		if (data)
			info->layout = find_layout(data, length);
	}
	nftnl_table_free(table);
	return MNL_CB_STOP;
}

int nft_read_info(struct nft_socket *socket, struct nft_table_info *ret)
{
	*ret = (struct nft_table_info){ 0 };
	int r = nft_request(socket, NFT_MSG_GETTABLE, 0, prepare_table, NULL, each_table, ret, NULL);
	return r == -ENOENT ? 0 : r;
}

/* Its counters. */

static void restart_counters(void *userdata)
{
	((struct nft_counters *)userdata)->count = 0;
}

static int each_counter(const struct nlmsghdr *header, void *userdata)
{
	struct nft_counters *counters = userdata;
	struct nftnl_obj *object = nftnl_obj_alloc();
	int r = MNL_CB_OK;

	if (!object)
		return MNL_CB_ERROR;
	if (nftnl_obj_nlmsg_parse(header, object) == 0 &&
	    nftnl_obj_get_u32(object, NFTNL_OBJ_TYPE) == NFT_OBJECT_COUNTER &&
	    nft_is_ours(nftnl_obj_get_str(object, NFTNL_OBJ_TABLE), nftnl_obj_get_str(object, NFTNL_OBJ_NAME))) {
		struct nft_counter counter = { .packets = nftnl_obj_get_u64(object, NFTNL_OBJ_CTR_PKTS),
					       .bytes = nftnl_obj_get_u64(object, NFTNL_OBJ_CTR_BYTES) };
		snprintf(counter.name, sizeof(counter.name), "%s", nftnl_obj_get_str(object, NFTNL_OBJ_NAME));
		if (ARRAY_PUSH(counters, counter) < 0) {
			errno = ENOMEM;
			r = MNL_CB_ERROR;
		}
	}
	nftnl_obj_free(object);
	return r;
}

int nft_read_counters(struct nft_socket *socket, struct nft_counters *ret)
{
	*ret = (struct nft_counters){ 0 };
	int r = nft_request(socket, NFT_MSG_GETOBJ, NLM_F_DUMP, prepare_counters, NULL, each_counter, ret,
			    restart_counters);
	if (r < 0 && r != -ENOENT) {
		free(ret->items);
		*ret = (struct nft_counters){ 0 };
		return r;
	}
	return 0;
}

/* Its chains. */

/* What the library can't parse is not of our making either, if it is in our table: the name of that is the first
 * attribute of every kind of message. */
bool nft_names_our_table(const struct nlmsghdr *header)
{
	const struct nfgenmsg *family = mnl_nlmsg_get_payload(header);
	const struct nlattr *attribute;

	if (mnl_nlmsg_get_payload_len(header) < sizeof(*family) || family->nfgen_family != NFPROTO_INET)
		return false;
	mnl_attr_for_each(attribute, header, sizeof(*family)) if (mnl_attr_get_type(attribute) == NFTA_CHAIN_TABLE &&
								  mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >=
									  0) return strcmp(mnl_attr_get_str(attribute),
											   TABLE_NAME) == 0;
	return false;
}

static enum hook hook_of(uint32_t number)
{
	switch (number) {
	case NF_INET_PRE_ROUTING: return HOOK_PREROUTING;
	case NF_INET_LOCAL_IN: return HOOK_INPUT;
	case NF_INET_FORWARD: return HOOK_FORWARD;
	case NF_INET_LOCAL_OUT: return HOOK_OUTPUT;
	default: return HOOK_NONE;
	}
}

/* Hooks, policies, statistics, devices, comments that we never give. */
static bool is_foreign_chain(const struct nftnl_chain *parsed)
{
	static const uint16_t never[] = { NFTNL_CHAIN_USERDATA, NFTNL_CHAIN_DEV, NFTNL_CHAIN_DEVICES,
					  NFTNL_CHAIN_PACKETS, NFTNL_CHAIN_BYTES };
	const char *type = nftnl_chain_get_str(parsed, NFTNL_CHAIN_TYPE);

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (nftnl_chain_is_set(parsed, never[i]))
			return true;
	if (nftnl_chain_is_set(parsed, NFTNL_CHAIN_FLAGS) &&
	    nftnl_chain_get_u32(parsed, NFTNL_CHAIN_FLAGS) & ~(uint32_t)NFT_CHAIN_BASE)
		return true;
	return nftnl_chain_is_set(parsed, NFTNL_CHAIN_HOOKNUM) &&
	       (hook_of(nftnl_chain_get_u32(parsed, NFTNL_CHAIN_HOOKNUM)) == HOOK_NONE ||
		nftnl_chain_get_u32(parsed, NFTNL_CHAIN_POLICY) != NF_ACCEPT || !type ||
		(strcmp(type, "filter") != 0 && strcmp(type, "nat") != 0));
}

static void restart_chains(void *userdata)
{
	((struct reading *)userdata)->out->chains.count = 0;
}

static int each_chain(const struct nlmsghdr *header, void *userdata)
{
	struct reading *reading = userdata;
	struct nftnl_chain *parsed = nftnl_chain_alloc();

	if (!parsed)
		return MNL_CB_ERROR;
	if (nftnl_chain_nlmsg_parse(header, parsed) < 0) {
		reading->foreign |= nft_names_our_table(header);
	} else if (nft_is_ours(nftnl_chain_get_str(parsed, NFTNL_CHAIN_TABLE),
			       nftnl_chain_get_str(parsed, NFTNL_CHAIN_NAME))) {
		reading->foreign |= is_foreign_chain(parsed);
		struct chain *chain =
			ruleset_chain(reading->out, ruleset_string(reading->out, "%s",
								   nftnl_chain_get_str(parsed, NFTNL_CHAIN_NAME)));
		if (chain && nftnl_chain_is_set(parsed, NFTNL_CHAIN_HOOKNUM)) {
			chain->hook = hook_of(nftnl_chain_get_u32(parsed, NFTNL_CHAIN_HOOKNUM));
			chain->priority = nftnl_chain_get_s32(parsed, NFTNL_CHAIN_PRIO);
			const char *type = nftnl_chain_get_str(parsed, NFTNL_CHAIN_TYPE);
			chain->nat = type && strcmp(type, "nat") == 0;
		}
	}
	nftnl_chain_free(parsed);
	return MNL_CB_OK;
}

/* What else there may be in a table: objects, of which ours are counters; flowtables. */

static bool is_our_counter(const char *name)
{
	for (size_t i = 0; i < guard_counter_count; i++)
		if (strcmp(name, guard_counters[i]) == 0)
			return true;
	return strncmp(name, "flow-", 5) == 0 && strlen(name) - 5 <= CONFIG_ID_MAX;
}

static int each_object(const struct nlmsghdr *header, void *userdata)
{
	struct reading *reading = userdata;
	const struct nlattr *attribute;
	bool counter = false;

	if (!nft_names_our_table(header))
		return MNL_CB_OK;
	mnl_attr_for_each(attribute, header, sizeof(struct nfgenmsg))
	{
		uint16_t type = mnl_attr_get_type(attribute);
		counter |= type == NFTA_OBJ_TYPE && mnl_attr_validate(attribute, MNL_TYPE_U32) >= 0 &&
			   be32toh(mnl_attr_get_u32(attribute)) == NFT_OBJECT_COUNTER;
		reading->foreign |= type == NFTA_OBJ_USERDATA;
		if (type == NFTA_OBJ_NAME)
			reading->foreign |= mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) < 0 ||
					    !is_our_counter(mnl_attr_get_str(attribute));
	}
	reading->foreign |= !counter;
	return MNL_CB_OK;
}

static int each_flowtable(const struct nlmsghdr *header, void *userdata)
{
	((struct reading *)userdata)->foreign |= nft_names_our_table(header);
	return MNL_CB_OK;
}

static int read_rest(struct nft_socket *socket, struct reading *reading)
{
	int r = nft_request(socket, NFT_MSG_GETOBJ, NLM_F_DUMP, prepare_objects, NULL, each_object, reading, NULL);
	if (r == 0 || r == -ENOENT)
		r = nft_request(socket, NFT_MSG_GETFLOWTABLE, NLM_F_DUMP, prepare_flowtables, NULL, each_flowtable,
				reading, NULL);
	return r == -ENOENT ? 0 : r;
}

/* The number of the generation of this network namespace's tables, which each change of any of them raises. */

static void prepare_nothing(struct nlmsghdr *header, const void *what)
{
	(void)header;
	(void)what;
}

static int each_generation(const struct nlmsghdr *header, void *userdata)
{
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, header, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attribute) == NFTA_GEN_ID && mnl_attr_validate(attribute, MNL_TYPE_U32) >= 0) {
			*(uint32_t *)userdata = be32toh(mnl_attr_get_u32(attribute));
			return MNL_CB_STOP;
		}
	}
	errno = EBADMSG;
	return MNL_CB_ERROR;
}

static int read_generation(struct nft_socket *socket, uint32_t *ret)
{
	return nft_request(socket, NFT_MSG_GETGEN, 0, prepare_nothing, NULL, each_generation, ret, NULL);
}

static int read_once(struct nft_socket *socket, struct ruleset *ret, int64_t now_ms, bool *ret_foreign)
{
	struct reading reading = { .out = ret, .now_ms = now_ms };
	struct nft_counters counters = { 0 };

	*ret = (struct ruleset){ 0 };
	int r = nft_request(socket, NFT_MSG_GETCHAIN, NLM_F_DUMP, prepare_chains, NULL, each_chain, &reading,
			    restart_chains);
	if (r == 0)
		r = nft_read_rules(socket, &reading);
	if (r == 0)
		r = nft_read_sets(socket, &reading);
	if (r == 0)
		r = read_rest(socket, &reading);
	if (r == 0)
		r = nft_read_counters(socket, &counters);
	for (size_t i = 0; r == 0 && i < counters.count; i++)
		ruleset_counter(ret, ruleset_string(ret, "%s", counters.items[i].name));
	free(counters.items);
	free(reading.raw);
	if (r == 0)
		r = ruleset_finish(ret);
	if (r < 0)
		ruleset_free(ret);
	*ret_foreign = reading.foreign;
	return r;
}

/* Each list is of one moment by itself; that of one generation they are all of the same. */
int nft_read_table(struct nft_socket *socket, struct ruleset *ret, int64_t now_ms, struct nft_table_state *ret_state)
{
	uint32_t before = 0, after = 0;
	int r = 0;

	*ret = (struct ruleset){ 0 };
	*ret_state = (struct nft_table_state){ .torn = true };
	for (int tries = 0; r == 0 && ret_state->torn && tries < NFT_READ_TRIES; tries++) {
		ruleset_free(ret);
		r = read_generation(socket, &before);
		if (r == 0)
			r = read_once(socket, ret, now_ms, &ret_state->foreign);
		if (r == 0)
			r = read_generation(socket, &after);
		ret_state->torn = before != after;
	}
	if (r < 0)
		ruleset_free(ret);
	return r;
}
