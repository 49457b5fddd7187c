/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/read_parts.h"
#include "core/array.h"
#include "core/compile.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

/* The sets of our table, and their elements. */

static void prepare_sets(struct nlmsghdr *header, const void *what)
{
	(void)what;
	nft_put_name(header, NFTA_SET_TABLE, TABLE_NAME);
}

static void prepare_elements(struct nlmsghdr *header, const void *what)
{
	nft_put_name(header, NFTA_SET_ELEM_LIST_TABLE, TABLE_NAME);
	nft_put_name(header, NFTA_SET_ELEM_LIST_SET, what);
}

static bool key_type_of(uint32_t number, uint32_t length, enum key_type *ret)
{
	for (enum key_type type = 0; type <= KEY_CUT_6; type++) {
		if (nft_key_type(type) == number && key_size(type) == length) {
			*ret = type;
			return true;
		}
	}
	return false;
}

/* What encode.c sends with a set: for names of interfaces how they are to be read, else nothing. */
static bool is_our_userdata(const struct nftnl_set *parsed, enum key_type type)
{
	uint32_t length = 0, order = 1;
	const uint8_t *bytes = nftnl_set_is_set(parsed, NFTNL_SET_USERDATA)
				       ? nftnl_set_get_data(parsed, NFTNL_SET_USERDATA, &length)
				       : NULL;

	if (type != KEY_INTERFACE)
		return length == 0; /* some kernels report none */
	return bytes && length == 2 + sizeof(order) && bytes[0] == NFTNL_UDATA_SET_KEYBYTEORDER &&
	       bytes[1] == sizeof(order) && memcmp(bytes + 2, &order, sizeof(order)) == 0;
}

/* Whose elements the ruleset does not know. */
static bool is_kept(enum key_type type)
{
	return type == KEY_CUT_4 || type == KEY_CUT_6 || type == KEY_PROTOCOL;
}

/* Statements, bounds, timeouts and the like in the set itself, none of which we ever give: some of them decide on
 * packets. */
static bool is_foreign_set(const struct nftnl_set *parsed, enum key_type type)
{
	static const uint16_t never[] = { NFTNL_SET_EXPR,    NFTNL_SET_EXPRESSIONS, NFTNL_SET_DESC_CONCAT,
					  NFTNL_SET_TIMEOUT, NFTNL_SET_GC_INTERVAL, NFTNL_SET_POLICY,
					  NFTNL_SET_OBJ_TYPE };
	uint32_t flags = nftnl_set_get_u32(parsed, NFTNL_SET_FLAGS),
		 known = NFT_SET_INTERVAL | NFT_SET_TIMEOUT | NFT_SET_MAP;

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (nftnl_set_is_set(parsed, never[i]))
			return true;
	if (nftnl_set_is_set(parsed, NFTNL_SET_DESC_SIZE) && !is_kept(type)) /* of those, delta compares it */
		return true;
	return flags & ~known ||
	       (flags & NFT_SET_MAP && nftnl_set_get_u32(parsed, NFTNL_SET_DATA_TYPE) != NFT_DATA_VERDICT);
}

static void add_read_set(struct ruleset *out, const struct nftnl_set *parsed, enum key_type type, uint32_t flags)
{
	struct set *set =
		ruleset_set(out, ruleset_string(out, "%s", nftnl_set_get_str(parsed, NFTNL_SET_NAME)), type,
			    (flags & NFT_SET_INTERVAL ? SET_INTERVAL : 0u) |
				    (flags & NFT_SET_TIMEOUT ? SET_TIMEOUT : 0u) |
				    (flags & NFT_SET_MAP ? SET_VERDICTS : 0u) | (is_kept(type) ? SET_KEPT : 0u));

	if (set && nftnl_set_is_set(parsed, NFTNL_SET_DESC_SIZE))
		set->size = nftnl_set_get_u32(parsed, NFTNL_SET_DESC_SIZE);
}

static void restart_sets(void *userdata)
{
	((struct reading *)userdata)->out->sets.count = 0;
}

static int each_set(const struct nlmsghdr *header, void *userdata)
{
	struct reading *reading = userdata;
	struct nftnl_set *parsed = nftnl_set_alloc();
	enum key_type type;

	if (!parsed)
		return MNL_CB_ERROR;
	if (nftnl_set_nlmsg_parse(header, parsed) < 0) {
		reading->foreign |= nft_names_our_table(header);
	} else if (nft_is_ours(nftnl_set_get_str(parsed, NFTNL_SET_TABLE), nftnl_set_get_str(parsed, NFTNL_SET_NAME))) {
		uint32_t flags = nftnl_set_get_u32(parsed, NFTNL_SET_FLAGS);
		if (!key_type_of(nftnl_set_get_u32(parsed, NFTNL_SET_KEY_TYPE),
				 nftnl_set_get_u32(parsed, NFTNL_SET_KEY_LEN), &type) ||
		    is_foreign_set(parsed, type)) {
			reading->foreign = true;
		} else {
			/* What nft keeps for itself in sets and elements, as comments, decides on no packet: they are
			 * another's, and are read as any. */
			reading->foreign |= !is_our_userdata(parsed, type);
			add_read_set(reading->out, parsed, type, flags);
		}
	}
	nftnl_set_free(parsed);
	return MNL_CB_OK;
}

/* A key of another size; statements, references, other flags (catch-all), and verdicts or timeouts that we never
 * give. */
static bool is_foreign_element(const struct set *set, struct nftnl_set_elem *parsed)
{
	static const uint16_t never[] = { NFTNL_SET_ELEM_EXPR, NFTNL_SET_ELEM_EXPRESSIONS, NFTNL_SET_ELEM_OBJREF,
					  NFTNL_SET_ELEM_KEY_END, NFTNL_SET_ELEM_DATA };
	uint32_t flags = nftnl_set_elem_is_set(parsed, NFTNL_SET_ELEM_FLAGS)
				 ? nftnl_set_elem_get_u32(parsed, NFTNL_SET_ELEM_FLAGS)
				 : 0,
		 length = 0;
	bool verdict = nftnl_set_elem_is_set(parsed, NFTNL_SET_ELEM_VERDICT),
	     expires = nftnl_set_elem_is_set(parsed, NFTNL_SET_ELEM_EXPIRATION);

	if (!nftnl_set_elem_get(parsed, NFTNL_SET_ELEM_KEY, &length) || length != key_size(set->type) ||
	    flags & ~(uint32_t)NFT_SET_ELEM_INTERVAL_END)
		return true;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (nftnl_set_elem_is_set(parsed, never[i]))
			return true;
	if (flags & NFT_SET_ELEM_INTERVAL_END)
		return !(set->flags & SET_INTERVAL);
	return expires != ((set->flags & SET_TIMEOUT) != 0) || verdict != ((set->flags & SET_VERDICTS) != 0) ||
	       (verdict && nft_action(nftnl_set_elem_get_u32(parsed, NFTNL_SET_ELEM_VERDICT)) == ACTION_NONE);
}

static int take_element(struct nftnl_set_elem *parsed, void *userdata)
{
	struct reading *reading = userdata;
	struct raw raw = { .edge.end = false };
	uint32_t length = 0;
	const void *key = nftnl_set_elem_get(parsed, NFTNL_SET_ELEM_KEY, &length);

	if (is_foreign_element(reading->set, parsed)) {
		reading->foreign = true;
		return 0;
	}
	reading->foreign |= nftnl_set_elem_is_set(parsed, NFTNL_SET_ELEM_USERDATA);
	memcpy(raw.edge.key, key, length);
	memcpy(raw.element.first, key, length);
	memcpy(raw.element.last, key, length);
	if (nftnl_set_elem_is_set(parsed, NFTNL_SET_ELEM_FLAGS))
		raw.edge.end = nftnl_set_elem_get_u32(parsed, NFTNL_SET_ELEM_FLAGS) & NFT_SET_ELEM_INTERVAL_END;
	if (reading->set->flags & SET_VERDICTS && !raw.edge.end &&
	    nftnl_set_elem_is_set(parsed, NFTNL_SET_ELEM_VERDICT)) {
		const char *chain = nftnl_set_elem_get_str(parsed, NFTNL_SET_ELEM_CHAIN);
		raw.element.action = nft_action(nftnl_set_elem_get_u32(parsed, NFTNL_SET_ELEM_VERDICT));
		raw.element.chain = chain ? ruleset_string(reading->out, "%s", chain) : NULL;
	}
	if (reading->set->flags & SET_TIMEOUT && nftnl_set_elem_is_set(parsed, NFTNL_SET_ELEM_EXPIRATION))
		raw.element.deadline_ms =
			reading->now_ms + (int64_t)nftnl_set_elem_get_u64(parsed, NFTNL_SET_ELEM_EXPIRATION);

	if (reading->raw_count == reading->raw_capacity) {
		void *grown = array_grow(reading->raw, &reading->raw_capacity, sizeof(*reading->raw));
		if (!grown)
			return -1;
		reading->raw = grown;
	}
	reading->raw[reading->raw_count++] = raw;
	return 0;
}

static void restart_elements(void *userdata)
{
	((struct reading *)userdata)->raw_count = 0;
}

static int each_element(const struct nlmsghdr *header, void *userdata)
{
	struct reading *reading = userdata;
	struct nftnl_set *parsed = nftnl_set_alloc();
	int r = MNL_CB_OK;

	if (!parsed)
		return MNL_CB_ERROR;
	if (nftnl_set_elems_nlmsg_parse(header, parsed) < 0) {
		reading->foreign = true;
	} else if (nftnl_set_elem_foreach(parsed, take_element, reading) < 0) {
		errno = ENOMEM;
		r = MNL_CB_ERROR;
	}
	nftnl_set_free(parsed);
	return r;
}

static void join_intervals(struct reading *reading)
{
	size_t size = key_size(reading->set->type);
	struct element *open = NULL;

	if (reading->raw_count)
		qsort(reading->raw, reading->raw_count, sizeof(*reading->raw), nft_edge_order);
	for (size_t i = 0; i < reading->raw_count; i++) {
		struct raw *raw = &reading->raw[i];
		/* We send each start with its end; only the last interval may have none. */
		reading->foreign |= raw->edge.end == !open;
		if (open) {
			nft_last_key(open->last, &raw->edge, size);
			set_add(reading->out, reading->set, open);
			open = NULL;
		}
		if (!raw->edge.end)
			open = &raw->element;
	}
	if (open) {
		nft_last_key(open->last, NULL, size);
		set_add(reading->out, reading->set, open);
	}
}

static int read_elements(struct nft_socket *socket, struct reading *reading)
{
	for (size_t i = 0; i < reading->out->sets.count; i++) {
		reading->set = &reading->out->sets.items[i];
		if (reading->set->flags & SET_KEPT)
			continue;
		reading->raw_count = 0;
		int r = nft_request(socket, NFT_MSG_GETSETELEM, NLM_F_DUMP, prepare_elements, reading->set->name,
				    each_element, reading, restart_elements);
		if (r < 0)
			return r;
		if (reading->set->flags & SET_INTERVAL) {
			join_intervals(reading);
			continue;
		}
		for (size_t e = 0; e < reading->raw_count; e++)
			set_add(reading->out, reading->set, &reading->raw[e].element);
	}
	return 0;
}

int nft_read_sets(struct nft_socket *socket, struct reading *reading)
{
	int r = nft_request(socket, NFT_MSG_GETSET, NLM_F_DUMP, prepare_sets, NULL, each_set, reading, restart_sets);
	return r < 0 ? r : read_elements(socket, reading);
}
