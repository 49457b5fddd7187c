/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/expressions.h"

#include <endian.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

static const struct nlattr *inner(const struct nlattr *outer, unsigned kind)
{
	const struct nlattr *attribute, *found = NULL;

	if (!outer)
		return NULL;
	mnl_attr_for_each_nested(attribute, outer) if (mnl_attr_get_type(attribute) == kind) found = attribute;
	return found;
}

static const char *word_of(const struct nlattr *attribute)
{
	if (!attribute || mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) < 0)
		return NULL;
	const char *word = mnl_attr_get_str(attribute);
	return strlen(word) + 1 == mnl_attr_get_payload_len(attribute) ? word : NULL;
}

/* Nothing was left over when its attributes were walked through. */
static bool is_at_end(const struct nlattr *at, const struct nlattr *outer)
{
	return (const char *)at >= (const char *)mnl_attr_get_payload(outer) + mnl_attr_get_payload_len(outer);
}

/* Two attributes of one kind, or one that is not known here, are nothing of ours. */
static bool take_attributes(struct nft_expression *expression, const struct nlattr *data)
{
	const struct nlattr *attribute;

	mnl_attr_for_each_nested(attribute, data)
	{
		uint16_t kind = mnl_attr_get_type(attribute);
		if (kind >= NFT_ATTRIBUTES_MAX || expression->attributes[kind])
			return false;
		expression->attributes[kind] = attribute;
	}
	return is_at_end(attribute, data);
}

static bool take_expressions(struct nft_expressions *out, const struct nlattr *list)
{
	const struct nlattr *element;

	mnl_attr_for_each_nested(element, list)
	{
		struct nft_expression expression = { .name = word_of(inner(element, NFTA_EXPR_NAME)) };
		const struct nlattr *data = inner(element, NFTA_EXPR_DATA);

		if (mnl_attr_get_type(element) != NFTA_LIST_ELEM || !expression.name || !data ||
		    out->count == NFT_EXPRESSIONS_MAX || !take_attributes(&expression, data))
			return false;
		out->items[out->count++] = expression;
	}
	return is_at_end(element, list);
}

bool nft_take_apart(const struct nlmsghdr *header, struct nft_expressions *ret)
{
	const struct nlattr *attribute;
	bool ours = true;

	ret->table = ret->chain = NULL;
	ret->handle = 0;
	ret->count = 0;
	if (header->nlmsg_len % MNL_ALIGNTO != 0) /* libmnl would read on to the next multiple */
		return false;
	mnl_attr_for_each(attribute, header, sizeof(struct nfgenmsg))
	{
		switch (mnl_attr_get_type(attribute)) {
		case NFTA_RULE_TABLE: ret->table = word_of(attribute); break;
		case NFTA_RULE_CHAIN: ret->chain = word_of(attribute); break;
		case NFTA_RULE_HANDLE:
			if (mnl_attr_validate(attribute, MNL_TYPE_U64) >= 0)
				ret->handle = be64toh(mnl_attr_get_u64(attribute));
			break;
		case NFTA_RULE_EXPRESSIONS: ours &= take_expressions(ret, attribute); break;
		case NFTA_RULE_POSITION: /* the rule before it */
		case NFTA_RULE_PAD: break;
		default: ours = false; /* a comment, among others */
		}
	}
	return ours;
}

bool nft_has(const struct nft_expression *expression, unsigned kind)
{
	return expression->attributes[kind];
}

static uint32_t number_of(const struct nlattr *attribute)
{
	const uint8_t *bytes = attribute ? mnl_attr_get_payload(attribute) : NULL;
	size_t size = attribute ? mnl_attr_get_payload_len(attribute) : 0;
	uint64_t number = 0;

	if (size > sizeof(number))
		return 0;
	for (size_t i = 0; i < size; i++)
		number = number << 8 | bytes[i];
	return (uint32_t)number;
}

uint32_t nft_number(const struct nft_expression *expression, unsigned kind)
{
	return number_of(expression->attributes[kind]);
}

const char *nft_word(const struct nft_expression *expression, unsigned kind)
{
	return word_of(expression->attributes[kind]);
}

const uint8_t *nft_value(const struct nft_expression *expression, unsigned kind, size_t *ret_size)
{
	const struct nlattr *value = inner(expression->attributes[kind], NFTA_DATA_VALUE);

	*ret_size = value ? mnl_attr_get_payload_len(value) : 0;
	return value ? mnl_attr_get_payload(value) : NULL;
}

const struct nlattr *nft_in_verdict(const struct nft_expression *expression, unsigned kind, unsigned inner_kind)
{
	return inner(inner(expression->attributes[kind], NFTA_DATA_VERDICT), inner_kind);
}

/* What may be said or not, and means the same: kernels and libraries differ in that. */
static const struct {
	const char *expression;
	uint16_t kind;
	uint32_t value;
} defaults[] = {
	{ "bitwise", NFTA_BITWISE_OP, NFT_BITWISE_BOOL },
	{ "lookup", NFTA_LOOKUP_FLAGS, 0 },
	{ "log", NFTA_LOG_QTHRESHOLD, 0 },
	{ "log", NFTA_LOG_SNAPLEN, 0 },
	{ "nat", NFTA_NAT_FLAGS, NF_NAT_RANGE_MAP_IPS },
	{ "nat", NFTA_NAT_REG_ADDR_MAX, NFT_REG_1 },
	{ "reject", NFTA_REJECT_ICMP_CODE, 0 },
};

static bool is_default(const char *expression, unsigned kind, const struct nlattr *attribute)
{
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		if (strcmp(defaults[i].expression, expression) == 0 && defaults[i].kind == kind)
			return number_of(attribute) == defaults[i].value;
	return false;
}

/* Attributes that are names, or hold one: the library sends some of them without the NUL that the kernel puts behind.
 */
static bool holds_name(const char *expression, unsigned kind)
{
	static const struct {
		const char *expression;
		uint16_t kind;
	} all[] = { { "immediate", NFTA_IMMEDIATE_DATA },
		    { "log", NFTA_LOG_PREFIX },
		    { "lookup", NFTA_LOOKUP_SET },
		    { "objref", NFTA_OBJREF_IMM_NAME } };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(all[i].expression, expression) == 0 && all[i].kind == kind)
			return true;
	return false;
}

static size_t size_without_nul(const struct nlattr *attribute)
{
	const char *bytes = mnl_attr_get_payload(attribute);
	size_t size = mnl_attr_get_payload_len(attribute);

	return size && bytes[size - 1] == '\0' ? size - 1 : size;
}

static bool same_attribute(const struct nlattr *a, const struct nlattr *b, bool name);

static bool same_attributes_in(const struct nlattr *a, const struct nlattr *b, bool name)
{
	const struct nlattr *in_a, *in_b = mnl_attr_get_payload(b);
	const char *end = (const char *)in_b + mnl_attr_get_payload_len(b);

	mnl_attr_for_each_nested(in_a, a)
	{
		if (!mnl_attr_ok(in_b, (int)(end - (const char *)in_b)) || !same_attribute(in_a, in_b, name))
			return false;
		in_b = mnl_attr_next(in_b);
	}
	return is_at_end(in_a, a) && is_at_end(in_b, b);
}

/* The library marks attributes that hold others, the kernel does not. */
static bool same_attribute(const struct nlattr *a, const struct nlattr *b, bool name)
{
	size_t size = mnl_attr_get_payload_len(a);

	if (mnl_attr_get_type(a) != mnl_attr_get_type(b))
		return false;
	if ((a->nla_type | b->nla_type) & NLA_F_NESTED)
		return same_attributes_in(a, b, name);
	if (name && size_without_nul(a) == size_without_nul(b))
		size = size_without_nul(a);
	else if (size != mnl_attr_get_payload_len(b))
		return false;
	return memcmp(mnl_attr_get_payload(a), mnl_attr_get_payload(b), size) == 0;
}

static bool same_expression(const struct nft_expression *a, const struct nft_expression *b)
{
	if (strcmp(a->name, b->name) != 0)
		return false;
	for (unsigned kind = 0; kind < NFT_ATTRIBUTES_MAX; kind++) {
		const struct nlattr *in_a = a->attributes[kind], *in_b = b->attributes[kind];
		if (!in_a && !in_b)
			continue;
		if (!(in_a && in_b ? same_attribute(in_a, in_b, holds_name(a->name, kind))
				   : is_default(a->name, kind, in_a ? in_a : in_b)))
			return false;
	}
	return true;
}

static bool same_value(const struct nft_expression *a, unsigned kind_a, const struct nft_expression *b, unsigned kind_b)
{
	size_t size_a, size_b;
	const uint8_t *value_a = nft_value(a, kind_a, &size_a), *value_b = nft_value(b, kind_b, &size_b);

	return value_a && value_b && size_a == size_b && memcmp(value_a, value_b, size_a) == 0;
}

static bool is_comparison(const struct nft_expression *e, uint32_t op, uint32_t from)
{
	return strcmp(e->name, "cmp") == 0 && nft_number(e, NFTA_CMP_OP) == op && nft_number(e, NFTA_CMP_SREG) == from;
}

/* `ends`: two of them. nft 1.1 sends what one of these says. */
static bool is_range_of(const struct nft_expression *range, const struct nft_expression *ends)
{
	uint32_t from = nft_number(range, NFTA_RANGE_SREG);

	for (unsigned kind = NFTA_RANGE_TO_DATA + 1; kind < NFT_ATTRIBUTES_MAX; kind++)
		if (range->attributes[kind])
			return false;
	return strcmp(range->name, "range") == 0 && nft_has(range, NFTA_RANGE_OP) &&
	       nft_number(range, NFTA_RANGE_OP) == NFT_RANGE_EQ && is_comparison(&ends[0], NFT_CMP_GTE, from) &&
	       is_comparison(&ends[1], NFT_CMP_LTE, from) &&
	       same_value(range, NFTA_RANGE_FROM_DATA, &ends[0], NFTA_CMP_DATA) &&
	       same_value(range, NFTA_RANGE_TO_DATA, &ends[1], NFTA_CMP_DATA);
}

bool nft_expressions_equal(const struct nft_expressions *read, const struct nft_expressions *made)
{
	size_t m = 0;

	for (size_t r = 0; r < read->count; r++) {
		if (m + 1 < made->count && is_range_of(&read->items[r], &made->items[m]))
			m += 2;
		else if (m < made->count && same_expression(&read->items[r], &made->items[m]))
			m++;
		else
			return false;
	}
	return m == made->count;
}
