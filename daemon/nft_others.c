/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft_others.h"
#include "core/array.h"

#include <errno.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

enum {
	ELEMENTS_MAX = 4096, /* of a set; one with more may hold anything */
};

struct other_reading {
	struct others *out;
	struct other_set *set; /* whose elements are being read */
	struct { struct raw_element *items; size_t count, capacity; } raw;
	bool too_many, strange;
};

/* As the kernel keeps it: intervals are a start and an end. */
struct raw_element {
	struct set_element element;
	bool end;
};

static void ask_all(struct nlmsghdr *header, const void *what)
{
	(void)what;
	((struct nfgenmsg *)mnl_nlmsg_get_payload(header))->nfgen_family = NFPROTO_UNSPEC;
}

static bool is_ours(unsigned family, const char *table)
{
	return family == NFPROTO_INET && strcmp(table, TABLE_NAME) == 0;
}

/* Chains. */

static enum place place_of(unsigned family, uint32_t hook)
{
	static const enum place places[] = {
		[NF_INET_PRE_ROUTING] = PLACE_PREROUTING, [NF_INET_LOCAL_IN] = PLACE_INPUT, [NF_INET_FORWARD] = PLACE_FORWARD,
		[NF_INET_LOCAL_OUT] = PLACE_OUTPUT, [NF_INET_POST_ROUTING] = PLACE_POSTROUTING, [NF_INET_INGRESS] = PLACE_INGRESS,
	};

	if (family == NFPROTO_ARP)
		return PLACE_NONE;
	if (family == NFPROTO_NETDEV)
		return hook == 0 ? PLACE_INGRESS : PLACE_EGRESS;
	return hook < sizeof(places) / sizeof(places[0]) ? places[hook] : PLACE_NONE;
}

static int take_chain(struct others *out, const struct nftnl_chain *parsed)
{
	const char *table = nftnl_chain_get_str(parsed, NFTNL_CHAIN_TABLE), *name = nftnl_chain_get_str(parsed, NFTNL_CHAIN_NAME);
	const char *type = nftnl_chain_get_str(parsed, NFTNL_CHAIN_TYPE);
	struct other_chain chain = { .family = nftnl_chain_get_u32(parsed, NFTNL_CHAIN_FAMILY), .place = PLACE_NONE };

	if (!table || !name || is_ours(chain.family, table))
		return 0;
	if (nftnl_chain_is_set(parsed, NFTNL_CHAIN_HOOKNUM)) {
		chain.place = place_of(chain.family, nftnl_chain_get_u32(parsed, NFTNL_CHAIN_HOOKNUM));
		chain.priority = nftnl_chain_get_s32(parsed, NFTNL_CHAIN_PRIO);
		chain.nat = type && strcmp(type, "nat") == 0;
		chain.drops = nftnl_chain_is_set(parsed, NFTNL_CHAIN_POLICY) && nftnl_chain_get_u32(parsed, NFTNL_CHAIN_POLICY) == NF_DROP;
		chain.links_unknown = chain.family == NFPROTO_BRIDGE || chain.place == PLACE_INGRESS || chain.place == PLACE_EGRESS;
	}
	chain.table = strdup(table);
	chain.name = strdup(name);
	if (chain.table && chain.name && ARRAY_PUSH(&out->chains, chain) == 0)
		return 0;
	free(chain.table);
	free(chain.name);
	return -ENOMEM;
}

static int each_chain(const struct nlmsghdr *header, void *userdata)
{
	struct other_reading *reading = userdata;
	struct nftnl_chain *parsed = nftnl_chain_alloc();
	int r = parsed ? 0 : -ENOMEM;

	if (parsed && nftnl_chain_nlmsg_parse(header, parsed) == 0)
		r = take_chain(reading->out, parsed);
	if (parsed)
		nftnl_chain_free(parsed);
	errno = -r;
	return r < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

/* Sets. */

static int take_set(struct others *out, const struct nftnl_set *parsed)
{
	const char *table = nftnl_set_get_str(parsed, NFTNL_SET_TABLE), *name = nftnl_set_get_str(parsed, NFTNL_SET_NAME);
	struct other_set set = { .family = nftnl_set_get_u32(parsed, NFTNL_SET_FAMILY) };

	if (!table || !name || is_ours(set.family, table))
		return 0;
	set.table = strdup(table);
	set.name = strdup(name);
	if (set.table && set.name && ARRAY_PUSH(&out->sets, set) == 0)
		return 0;
	free(set.table);
	free(set.name);
	return -ENOMEM;
}

static int each_set(const struct nlmsghdr *header, void *userdata)
{
	struct other_reading *reading = userdata;
	struct nftnl_set *parsed = nftnl_set_alloc();
	int r = parsed ? 0 : -ENOMEM;

	if (parsed && nftnl_set_nlmsg_parse(header, parsed) == 0)
		r = take_set(reading->out, parsed);
	if (parsed)
		nftnl_set_free(parsed);
	errno = -r;
	return r < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

/* Rules. */

static int each_rule(const struct nlmsghdr *header, void *userdata)
{
	struct other_reading *reading = userdata;
	struct nftnl_rule *parsed = nftnl_rule_alloc();
	int r = parsed ? 0 : -ENOMEM;

	/* What libnftnl doesn't know it can't parse: neither can we tell what it does. */
	if (parsed && nftnl_rule_nlmsg_parse(header, parsed) == 0)
		r = nft_take_other_rule(reading->out, parsed);
	if (parsed)
		nftnl_rule_free(parsed);
	errno = -r;
	return r < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

static void restart_chains(void *userdata)
{
	others_free(((struct other_reading *)userdata)->out);
}

static void restart_sets(void *userdata)
{
	struct others *out = ((struct other_reading *)userdata)->out;

	for (size_t i = 0; i < out->sets.count; i++) {
		free(out->sets.items[i].table);
		free(out->sets.items[i].name);
	}
	out->sets.count = 0;
}

static void restart_rules(void *userdata)
{
	struct others *out = ((struct other_reading *)userdata)->out;
	out->rules.count = out->conditions.count = 0;
	while (out->sets.count && out->sets.items[out->sets.count - 1].family == FAMILY_OF_LIST) {
		struct other_set *set = &out->sets.items[--out->sets.count];
		free(set->table);
		free(set->name);
		free(set->items);
	}
}

/* Elements. */

static void ask_elements(struct nlmsghdr *header, const void *what)
{
	const struct other_set *set = what;

	((struct nfgenmsg *)mnl_nlmsg_get_payload(header))->nfgen_family = (uint8_t)set->family;
	mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, set->table);
	mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, set->name);
}

static void take_verdict(const struct other_reading *reading, struct nftnl_set_elem *parsed, struct set_element *element)
{
	const char *chain = nftnl_set_elem_get_str(parsed, NFTNL_SET_ELEM_CHAIN);

	switch ((int32_t)nftnl_set_elem_get_u32(parsed, NFTNL_SET_ELEM_VERDICT)) {
	case NFT_JUMP: element->way = WAY_JUMP; break;
	case NFT_GOTO: element->way = WAY_GOTO; break;
	case NFT_RETURN: element->way = WAY_RETURN; break;
	case NFT_CONTINUE: element->way = WAY_ON; break;
	case NF_DROP: element->drops = true; /* fall through */
	default: element->way = WAY_DONE;
	}
	if (chain)
		element->to = others_find_chain(reading->out, reading->set->family, reading->set->table, chain);
}

static int take_element(struct nftnl_set_elem *parsed, void *userdata)
{
	struct other_reading *reading = userdata;
	struct raw_element raw = { .end = false };
	uint32_t length = 0;
	const void *key = nftnl_set_elem_get(parsed, NFTNL_SET_ELEM_KEY, &length);

	if (reading->raw.count >= ELEMENTS_MAX) {
		reading->too_many = true;
		return 0;
	}
	if (nftnl_set_elem_is_set(parsed, NFTNL_SET_ELEM_FLAGS)) {
		uint32_t flags = nftnl_set_elem_get_u32(parsed, NFTNL_SET_ELEM_FLAGS);
		raw.end = flags & NFT_SET_ELEM_INTERVAL_END;
		reading->strange |= (flags & ~(uint32_t)NFT_SET_ELEM_INTERVAL_END) != 0; /* catch-all, and what may come */
	}
	/* Of a longer key, as that of a concatenation, no more than the verdict counts. */
	if (key && length <= OTHERS_KEY_MAX) {
		memcpy(raw.element.first, key, length);
		memcpy(raw.element.last, key, length);
	} else {
		reading->strange = true;
	}
	if (!raw.end && nftnl_set_elem_is_set(parsed, NFTNL_SET_ELEM_VERDICT))
		take_verdict(reading, parsed, &raw.element);
	return ARRAY_PUSH(&reading->raw, raw) < 0 ? -1 : 0;
}

static int each_element(const struct nlmsghdr *header, void *userdata)
{
	struct nftnl_set *parsed = nftnl_set_alloc();
	int r = parsed ? 0 : -1;

	if (parsed && nftnl_set_elems_nlmsg_parse(header, parsed) == 0)
		r = nftnl_set_elem_foreach(parsed, take_element, userdata);
	if (parsed)
		nftnl_set_free(parsed);
	errno = ENOMEM;
	return r < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

static void restart_elements(void *userdata)
{
	struct other_reading *reading = userdata;

	reading->raw.count = 0;
	reading->too_many = reading->strange = false;
}

/* An end that stands where another interval begins belongs to the one before. */
static int raw_order(const void *a, const void *b)
{
	const struct raw_element *x = a, *y = b;
	int order = memcmp(x->element.first, y->element.first, OTHERS_KEY_MAX);
	return order ? order : (int)y->end - (int)x->end;
}

static void key_before(uint8_t *key, size_t size)
{
	for (size_t i = size; i-- > 0;)
		if (key[i]-- != 0)
			return;
}

/* key_size 0: what the keys mean is not known; each element is for itself then. */
static int join_elements(struct other_reading *reading, size_t key_size, bool intervals)
{
	struct set_element *open = NULL;

	if (reading->raw.count)
		qsort(reading->raw.items, reading->raw.count, sizeof(*reading->raw.items), raw_order);
	for (size_t i = 0; i < reading->raw.count; i++) {
		struct raw_element *raw = &reading->raw.items[i];
		if (open && intervals) {
			memcpy(open->last, raw->element.first, key_size);
			key_before(open->last, key_size);
		}
		if (open && ARRAY_PUSH(reading->set, *open) < 0)
			return -ENOMEM;
		open = raw->end ? NULL : &raw->element;
	}
	if (open && intervals)
		memset(open->last, 0xff, key_size);
	return open && ARRAY_PUSH(reading->set, *open) < 0 ? -ENOMEM : 0;
}

/* Which field a rule compares with the set; RULE_FIELDS: none that counts. */
static enum rule_field field_of_set(const struct others *others, size_t index, bool *ret_used)
{
	*ret_used = false;
	for (size_t i = 0; i < others->conditions.count; i++) {
		if (others->conditions.items[i].set == index + 1) {
			*ret_used = true;
			return (enum rule_field)others->conditions.items[i].field;
		}
	}
	for (size_t i = 0; i < others->rules.count; i++) {
		if (others->rules.items[i].way == WAY_MAP && others->rules.items[i].to == index + 1) {
			*ret_used = true;
			return (enum rule_field)others->rules.items[i].map_field;
		}
	}
	return RULE_FIELDS;
}

static int read_set(struct nft_socket *socket, struct other_reading *reading, size_t index)
{
	bool used;
	enum rule_field field = field_of_set(reading->out, index, &used);
	size_t size = field == RULE_FIELDS ? 0 : rule_field_size(field);

	reading->set = &reading->out->sets.items[index];
	if (!used || reading->set->known)
		return 0;
	int r = nft_ask(socket, NFT_MSG_GETSETELEM, NLM_F_DUMP, ask_elements, reading->set, each_element, reading, restart_elements);
	if (r == -ENOENT) /* gone meanwhile: a notice of that is under way */
		return 0;
	bool intervals = false;
	for (size_t i = 0; i < reading->raw.count; i++)
		intervals |= reading->raw.items[i].end;
	if (r == 0)
		r = join_elements(reading, size, intervals && size);
	reading->set->known = r == 0 && size && !reading->too_many && !reading->strange;
	return r;
}

int nft_read_others(struct nft_socket *socket, struct others *ret, unsigned deeds)
{
	struct other_reading reading = { .out = ret };

	*ret = (struct others){ 0 };
	int r = nft_ask(socket, NFT_MSG_GETCHAIN, NLM_F_DUMP, ask_all, NULL, each_chain, &reading, restart_chains);
	if (r == 0)
		r = nft_ask(socket, NFT_MSG_GETSET, NLM_F_DUMP, ask_all, NULL, each_set, &reading, restart_sets);
	if (r == 0) {
		others_sort(ret);
		r = nft_ask(socket, NFT_MSG_GETRULE, NLM_F_DUMP, ask_all, NULL, each_rule, &reading, restart_rules);
	}
	if (r == 0 && others_do_any(ret, deeds))
		for (size_t i = 0; i < ret->sets.count && r == 0; i++)
			r = read_set(socket, &reading, i);
	free(reading.raw.items);
	if (r < 0)
		others_free(ret);
	return r;
}
