/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/foreign.h"
#include "core/array.h"
#include "nft/foreign_parts.h"
#include "nft/interval.h"

#include <assert.h>
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
	/* In all: some 40 MB. */
	NAMES_MAX = 20 * 1000,
	RULES_MAX = 100 * 1000,
	CONDITIONS_MAX = 300 * 1000,
	ALL_ELEMENTS_MAX = 256 * 1024,
};

/* Which field a set is compared with. */
struct use {
	bool used, map;
	uint8_t field; /* enum rule_field; RULE_FIELDS: none that counts */
};

struct foreign_reading {
	struct nft_socket *socket;
	unsigned effects;
	enum foreign_phase phase;
	bool requested;
	int tries;
	struct foreign_tables *out;
	struct use *uses; /* of each set */
	size_t next_set, elements;
	struct foreign_set *set; /* whose elements are being read */
	struct {
		struct raw_element *items;
		size_t count, capacity;
	} raw;
	bool too_many, strange;
};

struct raw_element {
	struct nft_edge edge;
	struct set_element element;
};

static_assert((int)FOREIGN_KEY_MAX == (int)KEY_SIZE_MAX, "an edge holds every key");

static void prepare_all(struct nlmsghdr *header, const void *what)
{
	(void)what;
	((struct nfgenmsg *)mnl_nlmsg_get_payload(header))->nfgen_family = NFPROTO_UNSPEC;
}

bool nft_is_our_table(unsigned family, const char *table)
{
	return family == NFPROTO_INET && strcmp(table, TABLE_NAME) == 0;
}

/* Chains. */

static enum place place_of(unsigned family, uint32_t hook)
{
	static const enum place places[] = {
		[NF_INET_PRE_ROUTING] = PLACE_PREROUTING,   [NF_INET_LOCAL_IN] = PLACE_INPUT,
		[NF_INET_FORWARD] = PLACE_FORWARD,          [NF_INET_LOCAL_OUT] = PLACE_OUTPUT,
		[NF_INET_POST_ROUTING] = PLACE_POSTROUTING, [NF_INET_INGRESS] = PLACE_INGRESS,
	};

	if (family == NFPROTO_ARP)
		return PLACE_NONE;
	if (family == NFPROTO_NETDEV)
		return hook == 0 ? PLACE_INGRESS : PLACE_EGRESS;
	return hook < sizeof(places) / sizeof(places[0]) ? places[hook] : PLACE_NONE;
}

static int take_chain(struct foreign_tables *out, const struct nftnl_chain *parsed)
{
	const char *table = nftnl_chain_get_str(parsed, NFTNL_CHAIN_TABLE),
		   *name = nftnl_chain_get_str(parsed, NFTNL_CHAIN_NAME);
	const char *type = nftnl_chain_get_str(parsed, NFTNL_CHAIN_TYPE);
	struct foreign_chain chain = { .family = nftnl_chain_get_u32(parsed, NFTNL_CHAIN_FAMILY), .place = PLACE_NONE };

	if (!table || !name || nft_is_our_table(chain.family, table))
		return 0;
	if (out->chains.count >= NAMES_MAX) {
		out->incomplete = true;
		return 0;
	}
	if (nftnl_chain_is_set(parsed, NFTNL_CHAIN_HOOKNUM)) {
		chain.place = place_of(chain.family, nftnl_chain_get_u32(parsed, NFTNL_CHAIN_HOOKNUM));
		chain.priority = nftnl_chain_get_s32(parsed, NFTNL_CHAIN_PRIO);
		chain.nat = type && strcmp(type, "nat") == 0;
		chain.drops = nftnl_chain_is_set(parsed, NFTNL_CHAIN_POLICY) &&
			      nftnl_chain_get_u32(parsed, NFTNL_CHAIN_POLICY) == NF_DROP;
		chain.interfaces_unknown =
			chain.family == NFPROTO_BRIDGE || chain.place == PLACE_INGRESS || chain.place == PLACE_EGRESS;
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
	struct foreign_reading *reading = userdata;
	struct nftnl_chain *parsed = nftnl_chain_alloc();
	int r = parsed ? 0 : -ENOMEM;

	if (parsed && nftnl_chain_nlmsg_parse(header, parsed) == 0)
		r = take_chain(reading->out, parsed);
	else
		reading->out->incomplete = true;
	if (parsed)
		nftnl_chain_free(parsed);
	errno = -r;
	return r < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

/* Sets. */

static int take_set(struct foreign_tables *out, const struct nftnl_set *parsed)
{
	const char *table = nftnl_set_get_str(parsed, NFTNL_SET_TABLE),
		   *name = nftnl_set_get_str(parsed, NFTNL_SET_NAME);
	struct foreign_set set = { .family = nftnl_set_get_u32(parsed, NFTNL_SET_FAMILY) };

	if (!table || !name || nft_is_our_table(set.family, table))
		return 0;
	if (out->sets.count >= NAMES_MAX) {
		out->incomplete = true;
		return 0;
	}
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
	struct foreign_reading *reading = userdata;
	struct nftnl_set *parsed = nftnl_set_alloc();
	int r = parsed ? 0 : -ENOMEM;

	if (parsed && nftnl_set_nlmsg_parse(header, parsed) == 0)
		r = take_set(reading->out, parsed);
	else
		reading->out->incomplete = true;
	if (parsed)
		nftnl_set_free(parsed);
	errno = -r;
	return r < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

/* Rules. */

static int each_rule(const struct nlmsghdr *header, void *userdata)
{
	struct foreign_reading *reading = userdata;

	if (reading->out->rules.count >= RULES_MAX || reading->out->conditions.count >= CONDITIONS_MAX ||
	    reading->out->sets.count >= 2 * NAMES_MAX) {
		reading->out->incomplete = true;
		return MNL_CB_OK;
	}
	struct nftnl_rule *parsed = nftnl_rule_alloc();
	int r = parsed ? 0 : -ENOMEM;

	/* What libnftnl doesn't know it can't parse: what it does is unknown. */
	if (parsed && nftnl_rule_nlmsg_parse(header, parsed) == 0)
		r = nft_add_foreign_rule(reading->out, parsed);
	else
		reading->out->incomplete = true;
	if (parsed)
		nftnl_rule_free(parsed);
	errno = -r;
	return r < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

static void restart_chains(void *userdata)
{
	foreign_tables_free(((struct foreign_reading *)userdata)->out);
}

static void restart_sets(void *userdata)
{
	struct foreign_tables *out = ((struct foreign_reading *)userdata)->out;

	for (size_t i = 0; i < out->sets.count; i++) {
		free(out->sets.items[i].table);
		free(out->sets.items[i].name);
	}
	out->sets.count = 0;
}

static void restart_rules(void *userdata)
{
	struct foreign_tables *out = ((struct foreign_reading *)userdata)->out;
	out->rules.count = out->conditions.count = 0;
	for (size_t i = 0; i < out->chains.count; i++)
		out->chains.items[i].rule_count = 0;
	while (out->sets.count && out->sets.items[out->sets.count - 1].family == FAMILY_OF_LIST) {
		struct foreign_set *set = &out->sets.items[--out->sets.count];
		free(set->table);
		free(set->name);
		free(set->items);
	}
}

/* Elements. */

static void prepare_elements(struct nlmsghdr *header, const void *what)
{
	const struct foreign_set *set = what;

	((struct nfgenmsg *)mnl_nlmsg_get_payload(header))->nfgen_family = (uint8_t)set->family;
	mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, set->table);
	mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, set->name);
}

static void take_verdict(const struct foreign_reading *reading, struct nftnl_set_elem *parsed,
			 struct set_element *element)
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
		element->to = foreign_find_chain(reading->out, reading->set->family, reading->set->table, chain);
}

static int take_element(struct nftnl_set_elem *parsed, void *userdata)
{
	struct foreign_reading *reading = userdata;
	struct raw_element raw = { .edge.end = false };
	uint32_t length = 0;
	const void *key = nftnl_set_elem_get(parsed, NFTNL_SET_ELEM_KEY, &length);

	if (reading->raw.count >= ELEMENTS_MAX || reading->elements + reading->raw.count >= ALL_ELEMENTS_MAX) {
		reading->too_many = true;
		return 0;
	}
	if (nftnl_set_elem_is_set(parsed, NFTNL_SET_ELEM_FLAGS)) {
		uint32_t flags = nftnl_set_elem_get_u32(parsed, NFTNL_SET_ELEM_FLAGS);
		raw.edge.end = flags & NFT_SET_ELEM_INTERVAL_END;
		reading->strange |=
			(flags & ~(uint32_t)NFT_SET_ELEM_INTERVAL_END) != 0; /* catch-all, and what may come */
	}
	/* Of a longer key, as that of a concatenation, no more than the verdict counts. */
	if (key && length <= FOREIGN_KEY_MAX) {
		memcpy(raw.edge.key, key, length);
		memcpy(raw.element.first, key, length);
		memcpy(raw.element.last, key, length);
	} else {
		reading->strange = true;
	}
	if (!raw.edge.end && nftnl_set_elem_is_set(parsed, NFTNL_SET_ELEM_VERDICT))
		take_verdict(reading, parsed, &raw.element);
	return ARRAY_PUSH(&reading->raw, raw) < 0 ? -1 : 0;
}

static int each_element(const struct nlmsghdr *header, void *userdata)
{
	if (((struct foreign_reading *)userdata)->too_many)
		return MNL_CB_OK;
	struct nftnl_set *parsed = nftnl_set_alloc();
	int r = parsed ? 0 : -1;

	if (parsed && nftnl_set_elems_nlmsg_parse(header, parsed) == 0)
		r = nftnl_set_elem_foreach(parsed, take_element, userdata);
	else if (parsed)
		((struct foreign_reading *)userdata)->strange = true;
	if (parsed)
		nftnl_set_free(parsed);
	errno = ENOMEM;
	return r < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

static void restart_elements(void *userdata)
{
	struct foreign_reading *reading = userdata;

	reading->raw.count = 0;
	reading->too_many = reading->strange = false;
}

/* key_size 0: what the keys mean is not known; each element is for itself then. */
static int join_elements(struct foreign_reading *reading, size_t key_size, bool intervals)
{
	struct set_element *open = NULL;

	if (reading->raw.count)
		qsort(reading->raw.items, reading->raw.count, sizeof(*reading->raw.items), nft_edge_order);
	for (size_t i = 0; i < reading->raw.count; i++) {
		struct raw_element *raw = &reading->raw.items[i];
		if (open && intervals)
			nft_last_key(open->last, &raw->edge, key_size);
		if (open && ARRAY_PUSH(reading->set, *open) < 0)
			return -ENOMEM;
		open = raw->edge.end ? NULL : &raw->element;
	}
	if (open && intervals)
		nft_last_key(open->last, NULL, key_size);
	return open && ARRAY_PUSH(reading->set, *open) < 0 ? -ENOMEM : 0;
}

/* The first that compares something with a set, or sends it to a map, shows what its keys are. */
static int find_uses(struct foreign_reading *reading)
{
	const struct foreign_tables *tables = reading->out;

	reading->uses = calloc(tables->sets.count + 1, sizeof(*reading->uses));
	if (!reading->uses)
		return -ENOMEM;
	for (size_t i = 0; i < tables->conditions.count; i++) {
		const struct rule_condition *condition = &tables->conditions.items[i];
		struct use *use = condition->set ? &reading->uses[condition->set - 1] : NULL;
		if (use && !use->used)
			*use = (struct use){ .used = true, .field = condition->field };
	}
	for (size_t i = 0; i < tables->rules.count; i++) {
		const struct foreign_rule *rule = &tables->rules.items[i];
		struct use *use = rule->way == WAY_MAP && rule->to ? &reading->uses[rule->to - 1] : NULL;
		if (use && !use->used)
			*use = (struct use){ .used = true, .field = rule->map_field };
		if (use)
			use->map = true;
	}
	return 0;
}

/* A map of which a part is missing leads somewhere else, too. */
static int end_set(struct foreign_reading *reading, const struct use *use)
{
	size_t size = use->field == RULE_FIELDS ? 0 : rule_field_size((enum rule_field)use->field);
	bool intervals = false;

	for (size_t i = 0; i < reading->raw.count; i++)
		intervals |= reading->raw.items[i].edge.end;
	int r = join_elements(reading, size, intervals && size);
	reading->elements += reading->raw.count;
	reading->set->known = r == 0 && size && !reading->too_many && !reading->strange;
	reading->set->large = reading->too_many;
	reading->out->incomplete |= use->map && reading->too_many;
	return r;
}

/* The next set that a rule looks at. false: there is none. */
static bool next_set(struct foreign_reading *reading)
{
	for (; reading->next_set < reading->out->sets.count; reading->next_set++) {
		reading->set = &reading->out->sets.items[reading->next_set];
		if (reading->uses[reading->next_set].used && !reading->set->known)
			return true;
	}
	return false;
}

const struct foreign_request nft_foreign_requests[] = {
	[READ_CHAINS] = { NFT_MSG_GETCHAIN, prepare_all, each_chain, restart_chains },
	[READ_SETS] = { NFT_MSG_GETSET, prepare_all, each_set, restart_sets },
	[READ_RULES] = { NFT_MSG_GETRULE, prepare_all, each_rule, restart_rules },
	[READ_ELEMENTS] = { NFT_MSG_GETSETELEM, prepare_elements, each_element, restart_elements },
};

static int end_phase(struct foreign_reading *reading)
{
	int r = 0;

	reading->requested = false;
	reading->tries = 0;
	if (reading->phase == READ_ELEMENTS) {
		r = end_set(reading, &reading->uses[reading->next_set++]);
	} else {
		if (reading->phase == READ_SETS)
			foreign_sort(reading->out);
		reading->phase++;
	}
	if (r == 0 && reading->phase == READ_ELEMENTS && !reading->uses)
		r = find_uses(reading);
	if (reading->phase == READ_ELEMENTS &&
	    (r < 0 || !foreign_do_any(reading->out, reading->effects) || !next_set(reading)))
		reading->phase = READ_DONE;
	return r < 0 ? r : reading->phase != READ_DONE;
}

int nft_foreign_begin(struct foreign_reading **ret, struct nft_socket *socket, struct foreign_tables *out,
		      unsigned effects)
{
	*out = (struct foreign_tables){ 0 };
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	**ret = (struct foreign_reading){ .socket = socket, .out = out, .effects = effects };
	return 0;
}

const struct foreign_request *nft_foreign_request(const struct foreign_reading *reading,
						  const struct foreign_set **ret_set)
{
	*ret_set = reading->set;
	return &nft_foreign_requests[reading->phase];
}

int nft_foreign_end_request(struct foreign_reading *reading, int r)
{
	if (r == -E2BIG) {
		reading->too_many = true;
		reading->out->incomplete |= reading->phase != READ_ELEMENTS;
		r = 0;
	}
	if (r == -ENOENT && reading->phase == READ_ELEMENTS) { /* gone meanwhile: a notice of that is under way */
		reading->strange = true;
		r = 0;
	}
	return r == 0 ? end_phase(reading) : r;
}

int nft_foreign_some(struct foreign_reading *reading)
{
	const struct foreign_request *request = &nft_foreign_requests[reading->phase];
	int r = 0;

	if (!reading->requested) {
		request->restart(reading);
		r = nft_request_begin(reading->socket, request->type, NLM_F_DUMP, request->prepare, reading->set);
		reading->requested = true;
	}
	if (r == 0)
		r = nft_request_some(reading->socket, request->each, reading);
	if ((r == -EINTR || r == -ENOBUFS) && ++reading->tries < NFT_DUMP_TRIES) {
		reading->requested = false;
		return 1;
	}
	return nft_foreign_end_request(reading, r);
}

void nft_foreign_end(struct foreign_reading *reading)
{
	if (!reading)
		return;
	free(reading->raw.items);
	free(reading->uses);
	free(reading);
}
