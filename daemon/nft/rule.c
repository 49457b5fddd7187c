/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/encode.h"
#include "nft/places.h"

#include <errno.h>
#include <libnftnl/expr.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>
#include <sys/socket.h>

/* A rule's terms as the expressions of the kernel's virtual machine: the same ones, in the same order, as nft would
 * make of the rule's text (tests/golden compares them). */

uint32_t nft_verdict(enum action action)
{
	static const int32_t codes[] = {
		[ACTION_ACCEPT] = NF_ACCEPT, [ACTION_DROP] = NF_DROP,  [ACTION_RETURN] = NFT_RETURN,
		[ACTION_JUMP] = NFT_JUMP,    [ACTION_GOTO] = NFT_GOTO,
	};
	return (uint32_t)codes[action];
}

enum action nft_action(uint32_t verdict)
{
	switch ((int32_t)verdict) {
	case NF_ACCEPT: return ACTION_ACCEPT;
	case NF_DROP: return ACTION_DROP;
	case NFT_RETURN: return ACTION_RETURN;
	case NFT_JUMP: return ACTION_JUMP;
	case NFT_GOTO: return ACTION_GOTO;
	default: return ACTION_NONE;
	}
}

/* Expressions. While a rule is made, `failed` remembers that one could not be had. */
struct rule_builder {
	struct nftnl_rule *rule;
	uint8_t nfproto, l4proto; /* what has been asserted so far; 0: nothing */
	bool failed;
};

static struct nftnl_expr *expression(struct rule_builder *b, const char *name)
{
	struct nftnl_expr *expr = nftnl_expr_alloc(name);
	if (!expr)
		b->failed = true;
	else
		nftnl_rule_add_expr(b->rule, expr);
	return expr;
}

static void u32(struct nftnl_expr *expr, uint16_t attribute, uint32_t value)
{
	if (expr)
		nftnl_expr_set_u32(expr, attribute, value);
}

static void data(struct rule_builder *b, struct nftnl_expr *expr, uint16_t attribute, const void *bytes, size_t length)
{
	if (expr && nftnl_expr_set(expr, attribute, bytes, (uint32_t)length) < 0)
		b->failed = true;
}

static void text(struct rule_builder *b, struct nftnl_expr *expr, uint16_t attribute, const char *value)
{
	if (expr && nftnl_expr_set_str(expr, attribute, value) < 0)
		b->failed = true;
}

static void compare(struct rule_builder *b, uint32_t op, const void *bytes, size_t length)
{
	struct nftnl_expr *expr = expression(b, "cmp");
	u32(expr, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
	u32(expr, NFTNL_EXPR_CMP_OP, op);
	data(b, expr, NFTNL_EXPR_CMP_DATA, bytes, length);
}

static void load_meta(struct rule_builder *b, uint32_t key)
{
	struct nftnl_expr *expr = expression(b, "meta");
	u32(expr, NFTNL_EXPR_META_KEY, key);
	u32(expr, NFTNL_EXPR_META_DREG, NFT_REG_1);
}

static void load_ct(struct rule_builder *b, uint32_t key, bool original)
{
	struct nftnl_expr *expr = expression(b, "ct");
	u32(expr, NFTNL_EXPR_CT_KEY, key);
	u32(expr, NFTNL_EXPR_CT_DREG, NFT_REG_1);
	if (expr && original)
		nftnl_expr_set_u8(expr, NFTNL_EXPR_CT_DIR, 0 /* IP_CT_DIR_ORIGINAL */);
}

static void load_payload_to(struct rule_builder *b, uint32_t target, uint32_t base, uint32_t offset, uint32_t length)
{
	struct nftnl_expr *expr = expression(b, "payload");
	u32(expr, NFTNL_EXPR_PAYLOAD_BASE, base);
	u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
	u32(expr, NFTNL_EXPR_PAYLOAD_LEN, length);
	u32(expr, NFTNL_EXPR_PAYLOAD_DREG, target);
}

static void load_payload(struct rule_builder *b, uint32_t base, uint32_t offset, uint32_t length)
{
	load_payload_to(b, NFT_REG_1, base, offset, length);
}

static void mask(struct rule_builder *b, const void *bits, size_t length)
{
	static const uint8_t zero[KEY_SIZE_MAX];
	struct nftnl_expr *expr = expression(b, "bitwise");
	u32(expr, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
	u32(expr, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
	u32(expr, NFTNL_EXPR_BITWISE_LEN, (uint32_t)length);
	data(b, expr, NFTNL_EXPR_BITWISE_MASK, bits, length);
	data(b, expr, NFTNL_EXPR_BITWISE_XOR, zero, length);
}

const struct nft_place nft_places[FIELDS] = {
	[FIELD_IP_SADDR] = { IN_NETWORK, 12, NFPROTO_IPV4, 0 },
	[FIELD_IP_DADDR] = { IN_NETWORK, 16, NFPROTO_IPV4, 0 },
	[FIELD_IP6_SADDR] = { IN_NETWORK, 8, NFPROTO_IPV6, 0 },
	[FIELD_IP6_DADDR] = { IN_NETWORK, 24, NFPROTO_IPV6, 0 },
	[FIELD_CT_IP_DADDR] = { IN_CT, NFT_CT_DST_IP, 0, 0 },
	[FIELD_CT_IP6_DADDR] = { IN_CT, NFT_CT_DST_IP6, 0, 0 },
	[FIELD_CT_DPORT] = { IN_CT, NFT_CT_PROTO_DST, 0, 0 },
	[FIELD_TCP_SPORT] = { IN_TRANSPORT, 0, 0, 6 },
	[FIELD_TCP_DPORT] = { IN_TRANSPORT, 2, 0, 6 },
	[FIELD_UDP_SPORT] = { IN_TRANSPORT, 0, 0, 17 },
	[FIELD_UDP_DPORT] = { IN_TRANSPORT, 2, 0, 17 },
	[FIELD_TCP_SYN_ACK] = { IN_TRANSPORT, 13, 0, 6 },
	[FIELD_TCP_RST] = { IN_TRANSPORT, 13, 0, 6 },
	[FIELD_L4PROTO] = { IN_META, NFT_META_L4PROTO, 0, 0 },
	[FIELD_ICMP_TYPE] = { IN_TRANSPORT, 0, NFPROTO_IPV4, 1 },
	[FIELD_ICMPV6_TYPE] = { IN_TRANSPORT, 0, NFPROTO_IPV6, 58 },
	[FIELD_IP6_HOPLIMIT] = { IN_NETWORK, 7, NFPROTO_IPV6, 0 },
	[FIELD_IP6_NEXTHDR] = { IN_NETWORK, 6, NFPROTO_IPV6, 0 },
	[FIELD_FIRST_BYTE] = { IN_NETWORK, 0, 0, 0 },
	[FIELD_IP_LSRR] = { IN_EXTENSION, 131, NFPROTO_IPV4, 0 },
	[FIELD_IP_SSRR] = { IN_EXTENSION, 137, NFPROTO_IPV4, 0 },
	[FIELD_ROUTING] = { IN_EXTENSION, 43, NFPROTO_IPV6, 0 },
	[FIELD_SEGMENTS_LEFT] = { IN_EXTENSION, 43, NFPROTO_IPV6, 0 },
	[FIELD_CT_STATE] = { IN_CT, NFT_CT_STATE, 0, 0 },
	[FIELD_CT_STATUS] = { IN_CT, NFT_CT_STATUS, 0, 0 },
	[FIELD_CT_DIRECTION] = { IN_CT, NFT_CT_DIRECTION, 0, 0 },
	[FIELD_IIFNAME] = { IN_META, NFT_META_IIFNAME, 0, 0 },
	[FIELD_OIFNAME] = { IN_META, NFT_META_OIFNAME, 0, 0 },
	[FIELD_PKTTYPE] = { IN_META, NFT_META_PKTTYPE, 0, 0 },
	[FIELD_FIB_LOCAL] = { IN_FIB, 0, 0, 0 },
	[FIELD_FIB_UNICAST] = { IN_FIB, 0, 0, 0 },
};

/* Whether the header or option is there, or a byte of it. */
static void load_extension(struct rule_builder *b, enum field field)
{
	struct nftnl_expr *expr = expression(b, "exthdr");
	u32(expr, NFTNL_EXPR_EXTHDR_DREG, NFT_REG_1);
	if (expr)
		nftnl_expr_set_u8(expr, NFTNL_EXPR_EXTHDR_TYPE, (uint8_t)nft_places[field].offset_or_key);
	u32(expr, NFTNL_EXPR_EXTHDR_OFFSET, field == FIELD_SEGMENTS_LEFT ? SEGMENTS_LEFT_AT : 0);
	u32(expr, NFTNL_EXPR_EXTHDR_LEN, 1);
	u32(expr, NFTNL_EXPR_EXTHDR_OP,
	    nft_places[field].nfproto == NFPROTO_IPV4 ? NFT_EXTHDR_OP_IPV4 : NFT_EXTHDR_OP_IPV6);
	u32(expr, NFTNL_EXPR_EXTHDR_FLAGS, field == FIELD_SEGMENTS_LEFT ? 0 : NFT_EXTHDR_F_PRESENT);
}

static void assert_protocol(struct rule_builder *b, uint32_t key, uint8_t wanted, uint8_t *known)
{
	if (!wanted || *known == wanted)
		return;
	load_meta(b, key);
	compare(b, NFT_CMP_EQ, &wanted, 1);
	*known = wanted;
}

static void load_field(struct rule_builder *b, enum field field, size_t size)
{
	const struct nft_place *place = &nft_places[field];

	assert_protocol(b, NFT_META_NFPROTO, place->nfproto, &b->nfproto);
	assert_protocol(b, NFT_META_L4PROTO, place->l4proto, &b->l4proto);
	switch (place->where) {
	case IN_NETWORK: load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, place->offset_or_key, (uint32_t)size); break;
	case IN_TRANSPORT: load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, place->offset_or_key, (uint32_t)size); break;
	case IN_META: load_meta(b, place->offset_or_key); break;
	case IN_CT:
		load_ct(b, place->offset_or_key,
			field == FIELD_CT_IP_DADDR || field == FIELD_CT_IP6_DADDR || field == FIELD_CT_DPORT);
		break;
	case IN_EXTENSION: load_extension(b, field); break;
	case IN_FIB: {
		struct nftnl_expr *expr = expression(b, "fib");
		u32(expr, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
		u32(expr, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
		u32(expr, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
		break;
	}
	}
}

/* The length of the prefix that the interval is, in bits, or -1. */
static int prefix_bits(const struct term *term, size_t size)
{
	size_t bit = 0, bits = size * 8;

	while (bit < bits && !((term->first[bit / 8] ^ term->last[bit / 8]) & 0x80 >> bit % 8))
		bit++;
	int length = (int)bit;
	for (; bit < bits; bit++)
		if (term->first[bit / 8] & 0x80 >> bit % 8 || !(term->last[bit / 8] & 0x80 >> bit % 8))
			return -1;
	return length;
}

static void match_interval(struct rule_builder *b, const struct term *term, size_t size)
{
	int bits = prefix_bits(term, size);
	uint32_t equal = term->negate ? NFT_CMP_NEQ : NFT_CMP_EQ;

	if (bits > 0 && bits % 8 == 0) { /* whole bytes: load no more than these */
		load_field(b, term->field, (size_t)bits / 8);
		compare(b, equal, term->first, (size_t)bits / 8);
	} else if (bits >= 0) {
		uint8_t netmask[KEY_SIZE_MAX] = { 0 };
		for (int bit = 0; bit < bits; bit++)
			netmask[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
		load_field(b, term->field, size);
		mask(b, netmask, size);
		compare(b, equal, term->first, size);
	} else {
		load_field(b, term->field, size);
		compare(b, NFT_CMP_GTE, term->first, size);
		compare(b, NFT_CMP_LTE, term->last, size);
	}
}

static void encode_match(struct rule_builder *b, const struct term *term)
{
	static const uint8_t syn = 0x02, syn_ack = 0x12, rst = 0x04, there = 1;
	static const uint32_t zero, unicast = 1, local = 2; /* RTN_UNICAST, RTN_LOCAL */
	size_t size = field_size(term->field);

	switch (term->field) {
	case FIELD_TCP_SYN_ACK:
		load_field(b, term->field, 1);
		mask(b, &syn_ack, 1);
		compare(b, term->negate ? NFT_CMP_NEQ : NFT_CMP_EQ, &syn, 1);
		break;
	case FIELD_TCP_RST:
		load_field(b, term->field, 1);
		mask(b, &rst, 1);
		compare(b, NFT_CMP_EQ, &rst, 1);
		break;
	case FIELD_CT_STATE:
	case FIELD_CT_STATUS:
		load_field(b, term->field, size);
		mask(b, &term->bits, size);
		compare(b, term->negate ? NFT_CMP_EQ : NFT_CMP_NEQ, &zero, size);
		break;
	case FIELD_IP_LSRR:
	case FIELD_IP_SSRR:
	case FIELD_ROUTING:
		load_field(b, term->field, 1);
		compare(b, NFT_CMP_EQ, &there, 1);
		break;
	case FIELD_FIB_LOCAL:
	case FIELD_FIB_UNICAST:
		load_field(b, term->field, size);
		compare(b, NFT_CMP_EQ, term->field == FIELD_FIB_LOCAL ? &local : &unicast, size);
		break;
	default:
		if (size == 1) {
			load_field(b, term->field, size);
			compare(b, term->negate ? NFT_CMP_NEQ : NFT_CMP_EQ, term->first, size);
		} else {
			match_interval(b, term, size);
		}
	}
	if (term->field == FIELD_L4PROTO && !term->negate)
		b->l4proto = term->first[0];
}

static bool is_joined(enum field field)
{
	return field >= FIELD_IP_TARGET_FIRST;
}

/* One field after the other, each in registers of its own that begin at a multiple of four bytes. */
static void load_joined(struct rule_builder *b, enum field joined)
{
	bool ipv6 = joined == FIELD_IP6_TARGET_FIRST || joined == FIELD_IP6_SOURCE_FIRST;
	bool source_first = joined == FIELD_IP_SOURCE_FIRST || joined == FIELD_IP6_SOURCE_FIRST;
	enum field source = ipv6 ? FIELD_IP6_SADDR : FIELD_IP_SADDR, target = ipv6 ? FIELD_IP6_DADDR : FIELD_IP_DADDR;
	enum field fields[] = { source_first ? source : target, source_first ? FIELD_TCP_SPORT : FIELD_TCP_DPORT,
				source_first ? target : source, source_first ? FIELD_TCP_DPORT : FIELD_TCP_SPORT };
	uint32_t at = 0; /* in words of four bytes; nft calls whole 16 bytes by their older names */

	assert_protocol(b, NFT_META_NFPROTO, nft_places[fields[0]].nfproto, &b->nfproto);
	assert_protocol(b, NFT_META_L4PROTO, 6, &b->l4proto);
	for (int i = 0; i < 4; i++) {
		const struct nft_place *place = &nft_places[fields[i]];
		uint32_t size = (uint32_t)field_size(fields[i]);
		load_payload_to(b, at % 4 ? NFT_REG32_00 + at : NFT_REG_1 + at / 4,
				place->where == IN_NETWORK ? NFT_PAYLOAD_NETWORK_HEADER : NFT_PAYLOAD_TRANSPORT_HEADER,
				place->offset_or_key, size);
		at += (size + 3) / 4;
	}
}

static void encode_lookup(struct rule_builder *b, const struct term *term)
{
	if (is_joined((enum field)term->field))
		load_joined(b, (enum field)term->field);
	else
		load_field(b, term->field, field_size(term->field));
	struct nftnl_expr *expr = expression(b, "lookup");
	u32(expr, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
	text(b, expr, NFTNL_EXPR_LOOKUP_SET, term->name);
	if (term->kind == TERM_MAP)
		u32(expr, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
	else if (term->negate)
		u32(expr, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
}

static void encode_log(struct rule_builder *b, const struct term *term)
{
	struct nftnl_expr *expr = expression(b, "log");
	text(b, expr, NFTNL_EXPR_LOG_PREFIX, term->name);
	if (!expr)
		return;
	nftnl_expr_set_u16(expr, NFTNL_EXPR_LOG_GROUP, term->group);
	if (term->snaplen)
		nftnl_expr_set_u32(expr, NFTNL_EXPR_LOG_SNAPLEN, term->snaplen);
	nftnl_expr_set_u16(expr, NFTNL_EXPR_LOG_QTHRESHOLD, 0);
}

static void encode_limit(struct rule_builder *b, const struct term *term)
{
	struct nftnl_expr *expr = expression(b, "limit");
	if (!expr)
		return;
	nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_RATE, term->rate);
	nftnl_expr_set_u64(expr, NFTNL_EXPR_LIMIT_UNIT, 1);
	u32(expr, NFTNL_EXPR_LIMIT_BURST, term->burst);
	u32(expr, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
	u32(expr, NFTNL_EXPR_LIMIT_FLAGS, 0);
}

static void encode_pin(struct rule_builder *b, const struct term *term)
{
	load_field(b, term->field, field_size(term->field));
	struct nftnl_expr *expr = expression(b, "nat");
	u32(expr, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
	u32(expr, NFTNL_EXPR_NAT_FAMILY, nft_places[term->field].nfproto);
	u32(expr, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
}

static void encode_reset(struct rule_builder *b)
{
	assert_protocol(b, NFT_META_L4PROTO, 6, &b->l4proto);
	struct nftnl_expr *expr = expression(b, "reject");
	u32(expr, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
	if (expr)
		nftnl_expr_set_u8(expr, NFTNL_EXPR_REJECT_CODE, 0);
}

/* Of the packet's own family. */
static void encode_prohibit(struct rule_builder *b)
{
	struct nftnl_expr *expr = expression(b, "reject");
	u32(expr, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
	if (expr)
		nftnl_expr_set_u8(expr, NFTNL_EXPR_REJECT_CODE, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
}

static void encode_action(struct rule_builder *b, const struct term *term)
{
	if (term->action == ACTION_RESET) {
		encode_reset(b);
		return;
	}
	if (term->action == ACTION_PROHIBIT) {
		encode_prohibit(b);
		return;
	}
	struct nftnl_expr *expr = expression(b, "immediate");
	u32(expr, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
	u32(expr, NFTNL_EXPR_IMM_VERDICT, nft_verdict(term->action));
	if (term->action == ACTION_JUMP || term->action == ACTION_GOTO)
		text(b, expr, NFTNL_EXPR_IMM_CHAIN, term->name);
}

static void encode_counter(struct rule_builder *b, const struct term *term)
{
	struct nftnl_expr *expr = expression(b, "objref");
	u32(expr, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
	text(b, expr, NFTNL_EXPR_OBJREF_IMM_NAME, term->name);
}

/* What no expressions are made of here, or would be but for others than the term says: no nearest form of it is sent.
 * Nothing that compile() makes is such. */

bool nft_has_operand(enum field field)
{
	switch (field) {
	case FIELD_TCP_SYN_ACK:
	case FIELD_TCP_RST:
	case FIELD_IP_LSRR:
	case FIELD_IP_SSRR:
	case FIELD_ROUTING:
	case FIELD_CT_STATE:
	case FIELD_CT_STATUS:
	case FIELD_FIB_LOCAL:
	case FIELD_FIB_UNICAST: return false;
	default: return !is_joined(field);
	}
}

static bool can_match(const struct term *term)
{
	enum field field = (enum field)term->field;
	size_t size = field_size(field);

	if (!nft_has_operand(field))
		return field == FIELD_CT_STATE || field == FIELD_CT_STATUS || field == FIELD_TCP_SYN_ACK ||
		       (!term->negate && !is_joined(field));
	int order = memcmp(term->first, term->last, size);
	return order == 0 || (order < 0 && size > 1 && (!term->negate || prefix_bits(term, size) >= 0));
}

static bool can_act(const struct term *term)
{
	bool leads = term->action == ACTION_JUMP || term->action == ACTION_GOTO;

	return term->action > ACTION_NONE && term->action <= ACTION_PROHIBIT && (!leads || term->name);
}

static bool can_be_said(const struct term *term)
{
	enum field field = (enum field)term->field;

	if (field >= FIELDS)
		return false;
	switch (term->kind) {
	case TERM_MATCH: return can_match(term);
	case TERM_IN: return term->name && (nft_has_operand(field) || is_joined(field));
	case TERM_MAP: return term->name && nft_has_operand(field) && !term->negate;
	case TERM_COUNTER:
	case TERM_LOG: return term->name;
	case TERM_LIMIT: return true;
	case TERM_PIN: return field == FIELD_IP_DADDR || field == FIELD_IP6_DADDR;
	case TERM_ACTION: return can_act(term);
	default: return false;
	}
}

int nft_encode_rule(const char *chain, const struct rule *rule, struct nftnl_rule **ret)
{
	static void (*const encoders[])(struct rule_builder *, const struct term *) = {
		[TERM_MATCH] = encode_match,     [TERM_IN] = encode_lookup,     [TERM_MAP] = encode_lookup,
		[TERM_COUNTER] = encode_counter, [TERM_LIMIT] = encode_limit,   [TERM_LOG] = encode_log,
		[TERM_PIN] = encode_pin,         [TERM_ACTION] = encode_action,
	};
	struct rule_builder b = { .rule = nftnl_rule_alloc() };
	bool said = true;

	if (!b.rule)
		return -ENOMEM;
	nftnl_rule_set_u32(b.rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
	b.failed |= nftnl_rule_set_str(b.rule, NFTNL_RULE_TABLE, TABLE_NAME) < 0;
	b.failed |= nftnl_rule_set_str(b.rule, NFTNL_RULE_CHAIN, chain) < 0;
	for (size_t i = 0; i < rule->count && said; i++) {
		said = can_be_said(&rule->items[i]);
		if (said)
			encoders[rule->items[i].kind](&b, &rule->items[i]);
	}
	if (said && !b.failed) {
		*ret = b.rule;
		return 0;
	}
	nftnl_rule_free(b.rule);
	return said ? -ENOMEM : -EBADMSG;
}
