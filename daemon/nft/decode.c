/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/decode.h"
#include "nft/places.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdlib.h>
#include <string.h>

/* The terms are a guess, which looks at no more than it takes to tell them apart; then they are made into a rule again,
 * and that must be the one that was read, attribute by attribute. So whatever is not known here, or is another
 * program's doing, can't be mistaken for a term of ours. */

struct decoding {
	const struct nft_expression *items;
	size_t count, at;
	struct ruleset *owner;
	struct rule *rule;
	uint8_t nfproto, l4proto; /* what has been asserted so far; 0: nothing */
};

/* The next but `ahead`, if it has this name; NULL: it has not. */
static const struct nft_expression *peek(const struct decoding *d, size_t ahead, const char *name)
{
	size_t at = d->at + ahead;
	return at < d->count && strcmp(d->items[at].name, name) == 0 ? &d->items[at] : NULL;
}

static const struct nft_expression *take(struct decoding *d, const char *name)
{
	const struct nft_expression *expression = peek(d, 0, name);

	d->at += expression != NULL;
	return expression;
}

/* NULL where there is none, or one of no length that nf_tables would take. */
static const char *keep(struct decoding *d, const char *name)
{
	return name && strlen(name) < NFT_NAME_MAXLEN ? ruleset_string(d->owner, "%s", name) : NULL;
}

static bool add(struct decoding *d, const struct term *term)
{
	rule_add(d->owner, d->rule, term);
	return true;
}

static bool is_at_place(const struct nft_expression *e, const struct nft_place *place)
{
	switch (place->where) {
	case IN_NETWORK:
	case IN_TRANSPORT:
		return strcmp(e->name, "payload") == 0 &&
		       nft_number(e, NFTA_PAYLOAD_BASE) == (place->where == IN_NETWORK
								    ? NFT_PAYLOAD_NETWORK_HEADER
								    : NFT_PAYLOAD_TRANSPORT_HEADER) &&
		       nft_number(e, NFTA_PAYLOAD_OFFSET) == place->offset_or_key;
	case IN_META: return strcmp(e->name, "meta") == 0 && nft_number(e, NFTA_META_KEY) == place->offset_or_key;
	case IN_CT: return strcmp(e->name, "ct") == 0 && nft_number(e, NFTA_CT_KEY) == place->offset_or_key;
	case IN_FIB: return strcmp(e->name, "fib") == 0;
	case IN_EXTENSION:
		return strcmp(e->name, "exthdr") == 0 && nft_number(e, NFTA_EXTHDR_TYPE) == place->offset_or_key;
	}
	return false;
}

/* Of several fields at one place the first; those of the same protocols as here. FIELDS: none. */
static enum field find_field(const struct decoding *d, const struct nft_expression *load)
{
	for (enum field field = 0; field < FIELD_IP_TARGET_FIRST; field++) {
		const struct nft_place *place = &nft_places[field];
		if (is_at_place(load, place) && (!place->nfproto || place->nfproto == d->nfproto) &&
		    (!place->l4proto || place->l4proto == d->l4proto))
			return field;
	}
	return FIELDS;
}

static void set_interval(struct term *term, const uint8_t *value, const uint8_t *mask, size_t loaded, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		uint8_t fixed = i >= loaded ? 0 : mask ? mask[i] : 0xff;
		term->first[i] = i < loaded ? value[i] : 0;
		term->last[i] = (uint8_t)(term->first[i] | (uint8_t)~fixed);
	}
}

/* `end` has the last value, in this attribute. */
static bool decode_range(struct decoding *d, enum field field, const struct nft_expression *end, unsigned kind,
			 const uint8_t *first, size_t size)
{
	size_t end_size = 0;
	const uint8_t *last = end ? nft_value(end, kind, &end_size) : NULL;
	struct term term = { .kind = TERM_MATCH, .field = (uint8_t)field };

	if (!last || end_size != size || size > field_size(field))
		return false;
	memcpy(term.first, first, size);
	memcpy(term.last, last, size);
	return add(d, &term);
}

/* As nft 1.1 has it; ours are two comparisons. */
static bool decode_whole_range(struct decoding *d, enum field field)
{
	const struct nft_expression *range = take(d, "range");
	size_t size = 0;
	const uint8_t *first = nft_value(range, NFTA_RANGE_FROM_DATA, &size);

	return first && decode_range(d, field, range, NFTA_RANGE_TO_DATA, first, size);
}

/* A protocol that is asserted for the sake of what comes next: that has it from its field. */
static bool is_implied(const struct decoding *d)
{
	const struct nft_expression *load = peek(d, 0, "payload");

	return peek(d, 0, "reject") ||
	       (load && (nft_number(load, NFTA_PAYLOAD_BASE) == NFT_PAYLOAD_TRANSPORT_HEADER || peek(d, 1, "payload")));
}

/* Fields without an operand, of which several are at one place. */
static bool decode_plain(struct decoding *d, struct term *term, const uint8_t *mask, const uint8_t *value)
{
	uint32_t word = 0;

	switch (term->field) {
	case FIELD_CT_STATE:
	case FIELD_CT_STATUS:
		memcpy(&term->bits, mask, sizeof(term->bits));
		term->negate = !term->negate;
		break;
	case FIELD_TCP_SYN_ACK: term->field = *mask == 0x04 ? FIELD_TCP_RST : FIELD_TCP_SYN_ACK; break;
	case FIELD_FIB_LOCAL:
		memcpy(&word, value, sizeof(word));
		term->field = word == 1 ? FIELD_FIB_UNICAST : FIELD_FIB_LOCAL; /* RTN_UNICAST */
		break;
	default: break;
	}
	return add(d, term);
}

static bool needs_mask(enum field field)
{
	return field == FIELD_CT_STATE || field == FIELD_CT_STATUS || field == FIELD_TCP_SYN_ACK;
}

static bool decode_comparison(struct decoding *d, enum field field)
{
	const struct nft_expression *masking = take(d, "bitwise"), *cmp = take(d, "cmp");
	size_t mask_size = 0, loaded = 0, size = field_size(field);
	const uint8_t *mask = masking ? nft_value(masking, NFTA_BITWISE_MASK, &mask_size) : NULL,
		      *value = cmp ? nft_value(cmp, NFTA_CMP_DATA, &loaded) : NULL;
	struct term term = { .kind = TERM_MATCH, .field = (uint8_t)field };

	if (!value || !loaded || loaded > size || (masking && (!mask || mask_size != loaded)))
		return false;
	uint32_t op = nft_number(cmp, NFTA_CMP_OP);
	term.negate = op == NFT_CMP_NEQ;
	if (op == NFT_CMP_GTE)
		return decode_range(d, field, take(d, "cmp"), NFTA_CMP_DATA, value, loaded);
	if (!nft_has_operand(field))
		return loaded == size && !mask == !needs_mask(field) && decode_plain(d, &term, mask, value);
	if (field == FIELD_L4PROTO && !term.negate) {
		d->l4proto = *value;
		if (is_implied(d))
			return true;
	}
	set_interval(&term, value, mask, loaded, size);
	return add(d, &term);
}

static bool decode_lookup(struct decoding *d, enum field field)
{
	const struct nft_expression *e = take(d, "lookup");

	if (!e)
		return false;
	return add(d, &(struct term){ .kind = nft_has(e, NFTA_LOOKUP_DREG) ? TERM_MAP : TERM_IN,
				      .field = (uint8_t)field,
				      .negate = nft_number(e, NFTA_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV,
				      .name = keep(d, nft_word(e, NFTA_LOOKUP_SET)) });
}

/* Address, port, address, port. */
static bool decode_joined(struct decoding *d, enum field first)
{
	static const struct {
		enum field first, joined;
	} all[] = { { FIELD_IP_DADDR, FIELD_IP_TARGET_FIRST },
		    { FIELD_IP_SADDR, FIELD_IP_SOURCE_FIRST },
		    { FIELD_IP6_DADDR, FIELD_IP6_TARGET_FIRST },
		    { FIELD_IP6_SADDR, FIELD_IP6_SOURCE_FIRST } };

	while (take(d, "payload"))
		;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].first == first)
			return decode_lookup(d, all[i].joined);
	return false;
}

/* What begins with something of a packet in a register. */
static bool decode_loaded(struct decoding *d)
{
	const struct nft_expression *load = &d->items[d->at++];

	if (strcmp(load->name, "meta") == 0 && nft_number(load, NFTA_META_KEY) == NFT_META_NFPROTO) {
		const struct nft_expression *cmp = take(d, "cmp");
		size_t size = 0;
		const uint8_t *value = cmp ? nft_value(cmp, NFTA_CMP_DATA, &size) : NULL;
		d->nfproto = size == 1 ? *value : 0;
		return d->nfproto;
	}
	enum field field = find_field(d, load);
	if (field == FIELD_ROUTING && nft_number(load, NFTA_EXTHDR_OFFSET) == SEGMENTS_LEFT_AT)
		field = FIELD_SEGMENTS_LEFT;
	if (field == FIELDS)
		return false;
	if (peek(d, 0, "payload"))
		return decode_joined(d, field);
	if (peek(d, 0, "lookup"))
		return decode_lookup(d, field);
	if (take(d, "nat"))
		return (field == FIELD_IP_DADDR || field == FIELD_IP6_DADDR) &&
		       add(d, &(struct term){ .kind = TERM_PIN, .field = (uint8_t)field });
	return peek(d, 0, "range") ? decode_whole_range(d, field) : decode_comparison(d, field);
}

static bool decode_counter(struct decoding *d)
{
	return add(d, &(struct term){ .kind = TERM_COUNTER,
				      .name = keep(d, nft_word(&d->items[d->at++], NFTA_OBJREF_IMM_NAME)) });
}

static bool decode_limit(struct decoding *d)
{
	const struct nft_expression *e = &d->items[d->at++];

	return add(d, &(struct term){ .kind = TERM_LIMIT,
				      .rate = nft_number(e, NFTA_LIMIT_RATE),
				      .burst = nft_number(e, NFTA_LIMIT_BURST) });
}

static bool decode_log(struct decoding *d)
{
	const struct nft_expression *e = &d->items[d->at++];

	return add(d, &(struct term){ .kind = TERM_LOG,
				      .group = (uint16_t)nft_number(e, NFTA_LOG_GROUP),
				      .snaplen = nft_number(e, NFTA_LOG_SNAPLEN),
				      .name = keep(d, nft_word(e, NFTA_LOG_PREFIX)) });
}

static bool decode_reject(struct decoding *d)
{
	bool reset = nft_number(&d->items[d->at++], NFTA_REJECT_TYPE) == NFT_REJECT_TCP_RST;

	return add(d, &(struct term){ .kind = TERM_ACTION, .action = reset ? ACTION_RESET : ACTION_PROHIBIT });
}

static bool decode_action(struct decoding *d)
{
	const struct nft_expression *e = &d->items[d->at++];
	const struct nlattr *code = nft_in_verdict(e, NFTA_IMMEDIATE_DATA, NFTA_VERDICT_CODE),
			    *chain = nft_in_verdict(e, NFTA_IMMEDIATE_DATA, NFTA_VERDICT_CHAIN);
	struct term term = { .kind = TERM_ACTION };

	if (!code || mnl_attr_validate(code, MNL_TYPE_U32) < 0)
		return false;
	term.action = (uint8_t)nft_action(be32toh(mnl_attr_get_u32(code)));
	if (term.action == ACTION_JUMP || term.action == ACTION_GOTO) {
		if (chain && mnl_attr_validate(chain, MNL_TYPE_NUL_STRING) >= 0)
			term.name = keep(d, mnl_attr_get_str(chain));
	}
	return term.action != ACTION_NONE && add(d, &term);
}

static bool guess_terms(struct decoding *d)
{
	static const struct {
		const char *name;
		bool (*decode)(struct decoding *d);
	} decoders[] = {
		{ "meta", decode_loaded },      { "payload", decode_loaded }, { "ct", decode_loaded },
		{ "fib", decode_loaded },       { "exthdr", decode_loaded },  { "objref", decode_counter },
		{ "limit", decode_limit },      { "log", decode_log },        { "reject", decode_reject },
		{ "immediate", decode_action },
	};

	while (d->at < d->count) {
		size_t i = 0, count = sizeof(decoders) / sizeof(decoders[0]);
		while (i < count && strcmp(decoders[i].name, d->items[d->at].name) != 0)
			i++;
		if (i == count || !decoders[i].decode(d))
			return false;
	}
	return true;
}

/* Every name that a term must have is there. */
static bool is_whole(const struct rule *rule)
{
	for (size_t i = 0; i < rule->count; i++) {
		const struct term *term = &rule->items[i];
		bool named = term->kind == TERM_IN || term->kind == TERM_MAP || term->kind == TERM_COUNTER ||
			     term->kind == TERM_LOG || term->action == ACTION_JUMP || term->action == ACTION_GOTO;
		if (named && !term->name)
			return false;
	}
	return true;
}

/* 0, -EBADMSG or -ENOMEM */
static int prove(const struct decoding *d, const struct nft_expressions *read, struct nft_batch *batch)
{
	struct op op = { .kind = OP_RULE_ADD, .name = read->chain, .rule = d->rule };
	struct nft_expressions made;

	batch->length = batch->last = 0;
	int r = nft_batch_add(batch, &op, 1);
	if (r < 0)
		return r;
	bool equal = nft_take_apart((const struct nlmsghdr *)(batch->bytes + batch->last), &made) &&
		     nft_expressions_equal(read, &made);
	return equal ? 0 : -EBADMSG;
}

int nft_decode_rule(struct ruleset *owner, const struct nft_expressions *expressions, struct nft_batch *batch,
		    struct rule *ret)
{
	struct decoding d = { .items = expressions->items, .count = expressions->count, .owner = owner, .rule = ret };

	ret->handle = expressions->handle;
	bool named = expressions->chain && strlen(expressions->chain) < NFT_NAME_MAXLEN;
	int r = named && guess_terms(&d) ? 0 : -EBADMSG;
	if (owner->failed)
		return -ENOMEM;
	if (r == 0)
		r = is_whole(ret) ? prove(&d, expressions, batch) : -EBADMSG;
	if (r == -EBADMSG)
		ret->count = 0;
	return r;
}
