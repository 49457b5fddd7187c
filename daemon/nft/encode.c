/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/encode.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	MESSAGE_ROOM = 128 * 1024, /* no message is larger: a netlink attribute ends at 64 KiB */
	ELEMENTS_A_MESSAGE = 400,  /* of at most ~130 bytes each, so that their attribute stays below 64 KiB */
};

/* nft's own numbers for key types (its enum datatypes): with any other, nft can't list the set. */
uint32_t nft_key_type(enum key_type type)
{
	static const uint32_t numbers[] = { [KEY_IPV4] = 7,
					    [KEY_IPV6] = 8,
					    [KEY_PORT] = 13,
					    [KEY_INTERFACE] = 41,
					    [KEY_ICMPV6_TYPE] = 29,
					    [KEY_PROTOCOL] = 12, /* of several: six bits each */
					    [KEY_CUT_4] = 7u << 18 | 13 << 12 | 7 << 6 | 13,
					    [KEY_CUT_6] = 8u << 18 | 13 << 12 | 8 << 6 | 13 };
	return numbers[type];
}

static int batch_room(struct nft_batch *batch)
{
	if (batch->capacity - batch->length >= MESSAGE_ROOM)
		return 0;
	size_t wanted =
		batch->capacity * 2 > batch->length + MESSAGE_ROOM ? batch->capacity * 2 : batch->length + MESSAGE_ROOM;
	char *grown = realloc(batch->bytes, wanted);
	if (!grown)
		return -ENOMEM;
	batch->bytes = grown;
	batch->capacity = wanted;
	return 0;
}

struct nlmsghdr *nft_message(struct nft_batch *batch, uint16_t type, uint16_t flags)
{
	if (batch_room(batch) < 0)
		return NULL;
	return nftnl_nlmsg_build_hdr(batch->bytes + batch->length, type, NFPROTO_INET, flags, ++batch->sequence);
}

void nft_message_done(struct nft_batch *batch, const struct nlmsghdr *header)
{
	batch->last = batch->length;
	batch->length += NLMSG_ALIGN(header->nlmsg_len);
}

int nft_batch_begin(struct nft_batch *ret, const struct nft_abilities *abilities, uint32_t sequence, int64_t now_ms)
{
	*ret = (struct nft_batch){ .abilities = *abilities, .sequence = sequence, .now_ms = now_ms };
	if (batch_room(ret) < 0)
		return -ENOMEM;
	nft_message_done(ret, nftnl_batch_begin(ret->bytes, ret->sequence));
	return 0;
}

int nft_batch_end(struct nft_batch *batch)
{
	if (batch_room(batch) < 0)
		return -ENOMEM;
	if (batch->last == 0) /* nothing follows the begin */
		return -EINVAL;
	/* Before Linux 6.10 the begin and the end of a batch are never acknowledged, whatever their flags are. */
	struct nlmsghdr *last = (struct nlmsghdr *)(batch->bytes + batch->last);
	last->nlmsg_flags |= NLM_F_ACK;
	batch->acknowledged = last->nlmsg_seq;
	nft_message_done(batch, nftnl_batch_end(batch->bytes + batch->length, ++batch->sequence));
	return 0;
}

void nft_batch_free(struct nft_batch *batch)
{
	free(batch->bytes);
	*batch = (struct nft_batch){ 0 };
}

static int encode_rule_add(struct nft_batch *batch, const struct op *op)
{
	struct nftnl_rule *rule;
	int r = nft_encode_rule(op->name, op->rule, &rule);

	if (r < 0)
		return r;
	struct nlmsghdr *header = nft_message(batch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	if (header) {
		nftnl_rule_nlmsg_build_payload(header, rule);
		nft_message_done(batch, header);
	}
	nftnl_rule_free(rule);
	return header ? 0 : -ENOMEM;
}

static int encode_rules_flush(struct nft_batch *batch, const struct op *op)
{
	struct nftnl_rule *rule = nftnl_rule_alloc();
	struct nlmsghdr *header = NULL;

	if (rule && nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, TABLE_NAME) == 0 &&
	    nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, op->name) == 0)
		header = nft_message(batch, NFT_MSG_DELRULE, 0);
	if (header) {
		nftnl_rule_nlmsg_build_payload(header, rule);
		nft_message_done(batch, header);
	}
	if (rule)
		nftnl_rule_free(rule);
	return header ? 0 : -ENOMEM;
}

static int set_layout_comment(struct nftnl_table *table)
{
	char comment[32];
	int r = -ENOMEM;
	struct nftnl_udata_buf *buffer = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);

	if (!buffer)
		return r;
	snprintf(comment, sizeof(comment), "layout %d", TABLE_LAYOUT);
	if (nftnl_udata_put_strz(buffer, 0 /* NFTNL_UDATA_TABLE_COMMENT */, comment) &&
	    nftnl_table_set_data(table, NFTNL_TABLE_USERDATA, nftnl_udata_buf_data(buffer),
				 nftnl_udata_buf_len(buffer)) == 0)
		r = 0;
	nftnl_udata_buf_free(buffer);
	return r;
}

static int encode_table(struct nft_batch *batch, const struct op *op)
{
	bool delete = op->kind == OP_TABLE_DELETE;
	struct nftnl_table *table = nftnl_table_alloc();
	struct nlmsghdr *header = NULL;

	if (table && nftnl_table_set_str(table, NFTNL_TABLE_NAME, TABLE_NAME) == 0 &&
	    (op->kind != OP_TABLE_ADD || set_layout_comment(table) == 0))
		header = nft_message(batch, delete ? NFT_MSG_DELTABLE : NFT_MSG_NEWTABLE, delete ? 0 : NLM_F_CREATE);
	if (header) {
		if (!delete)
			nftnl_table_set_u32(table, NFTNL_TABLE_FLAGS, batch->abilities.owner ? TABLE_OWNED : 0);
		nftnl_table_nlmsg_build_payload(header, table);
		nft_message_done(batch, header);
	}
	if (table)
		nftnl_table_free(table);
	return header ? 0 : -ENOMEM;
}

static int encode_counter_add(struct nft_batch *batch, const struct op *op)
{
	struct nftnl_obj *object = nftnl_obj_alloc();
	struct nlmsghdr *header = NULL;

	if (object) {
		nftnl_obj_set_str(object, NFTNL_OBJ_TABLE, TABLE_NAME);
		nftnl_obj_set_str(object, NFTNL_OBJ_NAME, op->name);
		nftnl_obj_set_u32(object, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
		header = nft_message(batch, NFT_MSG_NEWOBJ, NLM_F_CREATE);
	}
	if (header) {
		nftnl_obj_nlmsg_build_payload(header, object);
		nft_message_done(batch, header);
	}
	if (object)
		nftnl_obj_free(object);
	return header ? 0 : -ENOMEM;
}

static int encode_chain(struct nft_batch *batch, const struct op *op)
{
	static const uint32_t hooks[] = {
		[HOOK_PREROUTING] = NF_INET_PRE_ROUTING,
		[HOOK_INPUT] = NF_INET_LOCAL_IN,
		[HOOK_FORWARD] = NF_INET_FORWARD,
		[HOOK_OUTPUT] = NF_INET_LOCAL_OUT,
	};
	bool add = op->kind == OP_CHAIN_ADD;
	struct nftnl_chain *chain = nftnl_chain_alloc();
	struct nlmsghdr *header = NULL;

	if (chain && nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, TABLE_NAME) == 0 &&
	    nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, op->name) == 0) {
		bool whole = true;
		if (add && op->chain->hook != HOOK_NONE) {
			nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hooks[op->chain->hook]);
			nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, op->chain->priority);
			nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
			whole = nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, op->chain->nat ? "nat" : "filter") == 0;
		}
		if (whole)
			header = nft_message(batch, add ? NFT_MSG_NEWCHAIN : NFT_MSG_DELCHAIN, add ? NLM_F_CREATE : 0);
	}
	if (header) {
		nftnl_chain_nlmsg_build_payload(header, chain);
		nft_message_done(batch, header);
	}
	if (chain)
		nftnl_chain_free(chain);
	return header ? 0 : -ENOMEM;
}

struct nftnl_set *nft_make_set(const char *name)
{
	struct nftnl_set *set = nftnl_set_alloc();

	if (!set)
		return NULL;
	nftnl_set_set_u32(set, NFTNL_SET_FAMILY, NFPROTO_INET);
	if (nftnl_set_set_str(set, NFTNL_SET_TABLE, TABLE_NAME) < 0 ||
	    nftnl_set_set_str(set, NFTNL_SET_NAME, name) < 0) {
		nftnl_set_free(set);
		return NULL;
	}
	return set;
}

static uint32_t set_flags(const struct set *set)
{
	return (set->flags & SET_INTERVAL ? NFT_SET_INTERVAL : 0u) | (set->flags & SET_TIMEOUT ? NFT_SET_TIMEOUT : 0u) |
	       (set->flags & SET_VERDICTS ? NFT_SET_MAP : 0u);
}

/* An interface's name is a string, in the machine's own order: without this, nft lists it reversed, as "". */
static int set_byte_order(struct nftnl_set *set, enum key_type type)
{
	struct nftnl_udata_buf *buffer = type == KEY_INTERFACE ? nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN) : NULL;

	if (!buffer)
		return type == KEY_INTERFACE ? -ENOMEM : 0;
	int r = nftnl_udata_put_u32(buffer, NFTNL_UDATA_SET_KEYBYTEORDER, 1 /* nft's BYTEORDER_HOST_ENDIAN */) &&
				nftnl_set_set_data(set, NFTNL_SET_USERDATA, nftnl_udata_buf_data(buffer),
						   nftnl_udata_buf_len(buffer)) == 0
			? 0
			: -ENOMEM;
	nftnl_udata_buf_free(buffer);
	return r;
}

static int encode_set(struct nft_batch *batch, const struct op *op)
{
	bool add = op->kind == OP_SET_ADD;
	struct nftnl_set *set = nft_make_set(op->name);
	bool whole = set && (!add || set_byte_order(set, op->set->type) == 0);
	struct nlmsghdr *header =
		whole ? nft_message(batch, add ? NFT_MSG_NEWSET : NFT_MSG_DELSET, add ? NLM_F_CREATE : 0) : NULL;

	if (header) {
		if (add) {
			nftnl_set_set_u32(set, NFTNL_SET_FLAGS, set_flags(op->set));
			nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, nft_key_type(op->set->type));
			nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, (uint32_t)key_size(op->set->type));
			if (op->set->flags & SET_VERDICTS) {
				nftnl_set_set_u32(set, NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
				nftnl_set_set_u32(set, NFTNL_SET_DATA_LEN, 0);
			}
			if (op->set->size)
				nftnl_set_set_u32(set, NFTNL_SET_DESC_SIZE, op->set->size);
			nftnl_set_set_u32(set, NFTNL_SET_ID, batch->sequence);
		}
		nftnl_set_nlmsg_build_payload(header, set);
		nft_message_done(batch, header);
	}
	if (set)
		nftnl_set_free(set);
	return header ? 0 : -ENOMEM;
}

/* The key after the last one of an interval; false where there is none: the interval is open at its end. */
static bool key_after(const uint8_t *last, size_t size, uint8_t *ret)
{
	memcpy(ret, last, size);
	for (size_t i = size; i-- > 0;)
		if (++ret[i] != 0)
			return true;
	return false;
}

enum element_use { ELEMENT_ADD, ELEMENT_DELETE, ELEMENT_UPDATE };

/* Without intervals only one value is sent, and an element has no answers to give. */
static bool can_be_said(const struct set *set, const struct element *element, enum element_use use)
{
	int order = memcmp(element->first, element->last, key_size(set->type));
	bool leads = element->action == ACTION_JUMP || element->action == ACTION_GOTO;

	if (order > 0 || (order < 0 && !(set->flags & SET_INTERVAL)))
		return false;
	if (use == ELEMENT_DELETE || !(set->flags & SET_VERDICTS))
		return true;
	return element->action > ACTION_NONE && element->action <= ACTION_GOTO && (!leads || element->chain);
}

static int add_start(struct nft_batch *batch, struct nftnl_set *out, const struct set *set,
		     const struct element *element, enum element_use use)
{
	if (!can_be_said(set, element, use))
		return -EBADMSG;
	struct nftnl_set_elem *elem = nftnl_set_elem_alloc();
	if (!elem)
		return -ENOMEM;
	nftnl_set_elem_add(out, elem);
	int r = nftnl_set_elem_set(elem, NFTNL_SET_ELEM_KEY, element->first, (uint32_t)key_size(set->type));
	if (r == 0 && set->flags & SET_VERDICTS && use != ELEMENT_DELETE) {
		nftnl_set_elem_set_u32(elem, NFTNL_SET_ELEM_VERDICT, nft_verdict(element->action));
		if (element->chain)
			r = nftnl_set_elem_set_str(elem, NFTNL_SET_ELEM_CHAIN, element->chain);
	}
	if (r == 0 && set->flags & SET_TIMEOUT && use != ELEMENT_DELETE) {
		int64_t left = element->deadline_ms - batch->now_ms;
		nftnl_set_elem_set_u64(elem, NFTNL_SET_ELEM_TIMEOUT, (uint64_t)(left > 0 ? left : 1));
		if (use == ELEMENT_UPDATE) /* with the expiration alone an element would become permanent */
			nftnl_set_elem_set_u64(elem, NFTNL_SET_ELEM_EXPIRATION, (uint64_t)(left > 0 ? left : 1));
	}
	return r < 0 ? -ENOMEM : 0;
}

static int add_end(struct nftnl_set *out, const struct set *set, const struct element *element)
{
	uint8_t after[KEY_SIZE_MAX] = { 0 };
	struct nftnl_set_elem *elem;

	if (!(set->flags & SET_INTERVAL) || !key_after(element->last, key_size(set->type), after))
		return 0;
	elem = nftnl_set_elem_alloc();
	if (!elem)
		return -ENOMEM;
	nftnl_set_elem_add(out, elem);
	nftnl_set_elem_set_u32(elem, NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
	return nftnl_set_elem_set(elem, NFTNL_SET_ELEM_KEY, after, (uint32_t)key_size(set->type)) < 0 ? -ENOMEM : 0;
}

/* A handful of elements at a time: libnftnl's own form of them is large. */
static int encode_some(struct nft_batch *batch, const struct set *set, const struct element *const *elements,
		       size_t count, enum element_use use)
{
	struct nftnl_set *out = nft_make_set(set->name);
	struct nlmsghdr *header = NULL;
	int r = out ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++) {
		r = add_start(batch, out, set, elements[i], use);
		if (r == 0)
			r = add_end(out, set, elements[i]);
	}
	if (r == 0) {
		bool add = use != ELEMENT_DELETE;
		header = nft_message(batch, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0);
		r = header ? 0 : -ENOMEM;
	}
	if (r == 0) {
		nftnl_set_elems_nlmsg_build_payload(header, out);
		nft_message_done(batch, header);
	}
	if (out)
		nftnl_set_free(out);
	return r;
}

static int encode_elements(struct nft_batch *batch, const struct op *op, enum element_use use)
{
	size_t step = ELEMENTS_A_MESSAGE / (op->set->flags & SET_INTERVAL ? 2 : 1);

	for (size_t i = 0; i < op->element_count; i += step) {
		size_t count = op->element_count - i < step ? op->element_count - i : step;
		int r = encode_some(batch, op->set, op->elements + i, count, use);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Kernels that can't move a timeout in place get the element again; in this order no packet misses it. */
static int encode_renew(struct nft_batch *batch, const struct op *op)
{
	if (batch->abilities.timeout_update)
		return encode_elements(batch, op, ELEMENT_UPDATE);
	int r = encode_elements(batch, op, ELEMENT_ADD);
	if (r == 0)
		r = encode_elements(batch, op, ELEMENT_DELETE);
	return r < 0 ? r : encode_elements(batch, op, ELEMENT_ADD);
}

static int encode_op(struct nft_batch *batch, const struct op *op)
{
	switch (op->kind) {
	case OP_TABLE_ADD:
	case OP_TABLE_CLAIM:
	case OP_TABLE_DELETE: return encode_table(batch, op);
	case OP_COUNTER_ADD: return encode_counter_add(batch, op);
	case OP_SET_ADD:
	case OP_SET_DELETE: return encode_set(batch, op);
	case OP_CHAIN_ADD:
	case OP_CHAIN_DELETE: return encode_chain(batch, op);
	case OP_RULES_FLUSH: return encode_rules_flush(batch, op);
	case OP_RULE_ADD: return encode_rule_add(batch, op);
	case OP_ELEMENTS_ADD: return encode_elements(batch, op, ELEMENT_ADD);
	case OP_ELEMENTS_DELETE: return encode_elements(batch, op, ELEMENT_DELETE);
	case OP_ELEMENTS_RENEW: return encode_renew(batch, op);
	}
	return -EINVAL;
}

int nft_batch_add(struct nft_batch *batch, const struct op *ops, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int r = encode_op(batch, &ops[i]);
		if (r < 0)
			return r;
	}
	return 0;
}
