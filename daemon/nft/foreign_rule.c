/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/foreign.h"
#include "core/array.h"
#include "nft/rule_parsing.h"

#include <errno.h>
#include <libnftnl/expr.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

/* A rule's expressions back into what it matches and what it does. What is not understood makes the
 * rule inexact: it may then do it, for all that is known. */

static struct content *content_of(struct parsing *p, uint32_t reg)
{
	size_t slot = reg >= NFT_REG32_00 ? reg - NFT_REG32_00 + 4 : reg * 4;
	return slot < SLOTS ? &p->slots[slot] : NULL;
}

/* Writing a register ends what was in the others that it covers. */
static struct content *load(struct parsing *p, uint32_t reg, uint32_t length)
{
	struct content *content = content_of(p, reg);

	for (uint32_t i = 0; content && i < (length + 3) / 4 && content + i < p->slots + SLOTS; i++)
		content[i] = (struct content){ .kind = HOLDS_UNKNOWN };
	return content;
}

/* Fields that stand in headers. */
static const struct header_field {
	enum rule_field field;
	uint32_t base, offset;
	uint8_t family; /* 0: any */
} header_fields[] = {
	{ RULE_SOURCE_4, NFT_PAYLOAD_NETWORK_HEADER, 12, 4 },
	{ RULE_TARGET_4, NFT_PAYLOAD_NETWORK_HEADER, 16, 4 },
	{ RULE_PROTOCOL, NFT_PAYLOAD_NETWORK_HEADER, 9, 4 },
	{ RULE_SOURCE_6, NFT_PAYLOAD_NETWORK_HEADER, 8, 6 },
	{ RULE_TARGET_6, NFT_PAYLOAD_NETWORK_HEADER, 24, 6 },
	{ RULE_SOURCE_PORT, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 0 },
	{ RULE_TARGET_PORT, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 0 },
	{ RULE_FLAGS, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 0 },
};
enum { HEADER_FIELDS = sizeof(header_fields) / sizeof(header_fields[0]) };

/* The one field that was loaded whole, or RULE_FIELDS. */
static enum rule_field whole_field(const struct parsing *p, const struct content *content)
{
	if (!content || content->masked)
		return RULE_FIELDS;
	if (content->kind == HOLDS_FIELD)
		return content->field;
	if (content->kind == HOLDS_LOCAL)
		return RULE_TARGET_KIND;
	for (size_t i = 0; content->kind == HOLDS_HEADER && i < HEADER_FIELDS; i++) {
		const struct header_field *field = &header_fields[i];
		if (field->base == content->base && field->offset == content->offset &&
		    rule_field_size(field->field) == content->length && (!field->family || field->family == p->family))
			return field->field;
	}
	return RULE_FIELDS;
}

/* The mask is a prefix of ones; *last gets what it leaves open. */
static bool is_prefix(const uint8_t *mask, size_t size)
{
	bool ended = false;

	for (size_t bit = 0; bit < size * 8; bit++) {
		bool set = mask[bit / 8] & 0x80 >> bit % 8;
		if (set && ended)
			return false;
		ended |= !set;
	}
	return true;
}

/* Loaded bytes [from, from + count) of the field are value; what follows may be anything. */
static void equal_part(struct parsing *p, enum rule_field field, bool negate, const uint8_t *value, const uint8_t *mask,
		       size_t count)
{
	uint8_t first[FOREIGN_KEY_MAX] = { 0 }, last[FOREIGN_KEY_MAX];

	memset(last, 0xff, sizeof(last));
	for (size_t i = 0; i < count; i++) {
		first[i] = value[i];
		last[i] = mask ? (uint8_t)(value[i] | ~mask[i]) : value[i];
	}
	add_interval(p, field, negate, first, last);
}

/* nft joins neighbours in a header to one comparison. */
static void compare_header(struct parsing *p, const struct content *content, bool negate, const uint8_t *value)
{
	uint32_t end = content->offset + content->length, covered = 0;

	if (content->base == NFT_PAYLOAD_TRANSPORT_HEADER && content->offset == 13 && content->length == 1) {
		uint8_t mask = content->masked ? content->bytes[0] : 0xff;
		add_bits(p, RULE_FLAGS, negate, &mask, value);
		return;
	}
	if (content->masked && !is_prefix(content->bytes, content->length)) {
		p->rule.exact = false;
		return;
	}
	for (size_t i = 0; i < HEADER_FIELDS; i++) {
		const struct header_field *field = &header_fields[i];
		uint32_t field_end = field->offset + (uint32_t)rule_field_size(field->field);
		if (field->base != content->base || (field->family && field->family != p->family) ||
		    field->offset < content->offset || field->offset >= end)
			continue;
		uint32_t at = field->offset - content->offset,
			 count = (end < field_end ? end : field_end) - field->offset;
		if (negate && (at != 0 || count != content->length))
			continue;
		equal_part(p, field->field, negate, value + at, content->masked ? content->bytes + at : NULL, count);
		covered += count;
	}
	p->rule.exact &= covered == content->length;
}

static void compare_equal(struct parsing *p, const struct content *content, bool negate, const uint8_t *value,
			  uint32_t length)
{
	char name[IF_NAMESIZE] = "";
	uint8_t link[FOREIGN_KEY_MAX] = { 0 };
	uint32_t number = 0;

	if (length <= sizeof(number))
		memcpy(&number, value, length);
	switch (content->kind) {
	case HOLDS_HEADER:
		if (length == content->length)
			compare_header(p, content, negate, value);
		else
			p->rule.exact = false;
		return;
	case HOLDS_FIELD:
		if (content->field == RULE_FAMILY)
			add_byte(p, RULE_FAMILY, negate,
				 value[0] == NFPROTO_IPV4   ? 4
				 : value[0] == NFPROTO_IPV6 ? 6
							    : 0);
		else if (content->masked && length == sizeof(number))
			add_bits(p, content->field, negate, content->bytes, value);
		else if (!content->masked && length <= rule_field_size(content->field))
			equal_part(p, content->field, negate, value, NULL, length);
		else
			p->rule.exact = false;
		return;
	case HOLDS_ETHERTYPE:
		if (length == 2)
			add_byte(p, RULE_FAMILY, negate,
				 value[0] == 0x08 && value[1] == 0      ? 4
				 : value[0] == 0x86 && value[1] == 0xdd ? 6
									: 0);
		return;
	case HOLDS_LOCAL:
		if (number == 2) /* RTN_LOCAL */
			add_byte(p, RULE_LOCAL, negate, 1);
		else if (length == sizeof(number))
			add_interval(p, RULE_TARGET_KIND, negate, value, value);
		else
			p->rule.exact = false;
		return;
	case HOLDS_WAY_BACK: /* none is number 0, and no name */
		p->rule.excess |= !negate;
		p->rule.exact &= memcmp(value, link, length) == 0;
		return;
	case HOLDS_LINK_INDEX:
		if (length == sizeof(number) && if_indextoname(number, name)) {
			memcpy(link, name, strnlen(name, sizeof(link) - 1));
			add_interval(p, content->field, negate, link, link);
		} else {
			p->rule.exact = false;
		}
		return;
	default: p->rule.exact = false;
	}
}

static void take_cmp(struct parsing *p, const struct nftnl_expr *expr)
{
	uint32_t length = 0, op = nftnl_expr_get_u32(expr, NFTNL_EXPR_CMP_OP);
	const uint8_t *value = nftnl_expr_get(expr, NFTNL_EXPR_CMP_DATA, &length);
	const struct content *content = content_of(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_CMP_SREG));

	if (!value || !content || !length || length > FOREIGN_KEY_MAX) {
		p->rule.exact = false;
		return;
	}
	if (op == NFT_CMP_EQ || op == NFT_CMP_NEQ) {
		compare_equal(p, content, op == NFT_CMP_NEQ, value, length);
		return;
	}
	enum rule_field field = whole_field(p, content);
	if (field == RULE_FIELDS || field == RULE_FAMILY || field == RULE_FLAGS || rule_field_size(field) != length ||
	    op == NFT_CMP_LT || op == NFT_CMP_GT) {
		p->rule.exact = false;
		return;
	}
	uint8_t least[FOREIGN_KEY_MAX] = { 0 }, most[FOREIGN_KEY_MAX];
	memset(most, 0xff, sizeof(most));
	add_interval(p, field, false, op == NFT_CMP_GTE ? value : least, op == NFT_CMP_LTE ? value : most);
}

static void take_range(struct parsing *p, const struct nftnl_expr *expr)
{
	uint32_t length = 0, to_length = 0;
	const void *first = nftnl_expr_get(expr, NFTNL_EXPR_RANGE_FROM_DATA, &length);
	const void *last = nftnl_expr_get(expr, NFTNL_EXPR_RANGE_TO_DATA, &to_length);
	enum rule_field field = whole_field(p, content_of(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_RANGE_SREG)));

	if (first && last && field != RULE_FIELDS && field != RULE_FAMILY && length == to_length &&
	    rule_field_size(field) == length)
		add_interval(p, field, nftnl_expr_get_u32(expr, NFTNL_EXPR_RANGE_OP) == NFT_RANGE_NEQ, first, last);
	else
		p->rule.exact = false;
}

static void take_meta(struct parsing *p, const struct nftnl_expr *expr)
{
	if (!nftnl_expr_is_set(expr, NFTNL_EXPR_META_DREG))
		return; /* it sets a mark, or the like */
	uint32_t key = nftnl_expr_get_u32(expr, NFTNL_EXPR_META_KEY);
	struct content *content = load(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_META_DREG),
				       key == NFT_META_IIFNAME || key == NFT_META_OIFNAME ? FOREIGN_KEY_MAX : 4);

	if (!content)
		return;
	content->kind = HOLDS_FIELD;
	switch (key) {
	case NFT_META_NFPROTO: content->field = RULE_FAMILY; break;
	case NFT_META_L4PROTO: content->field = RULE_PROTOCOL; break;
	case NFT_META_IIFNAME: content->field = RULE_IN_INTERFACE; break;
	case NFT_META_OIFNAME: content->field = RULE_OUT_INTERFACE; break;
	case NFT_META_IIF:
		content->kind = HOLDS_LINK_INDEX;
		content->field = RULE_IN_INTERFACE;
		break;
	case NFT_META_OIF:
		content->kind = HOLDS_LINK_INDEX;
		content->field = RULE_OUT_INTERFACE;
		break;
	case NFT_META_PKTTYPE: content->field = RULE_PACKET; break;
	case NFT_META_PROTOCOL: content->kind = HOLDS_ETHERTYPE; break;
	default: content->kind = HOLDS_UNKNOWN;
	}
}

static void take_payload(struct parsing *p, const struct nftnl_expr *expr)
{
	if (!nftnl_expr_is_set(expr, NFTNL_EXPR_PAYLOAD_DREG))
		return; /* it writes */
	uint32_t length = nftnl_expr_get_u32(expr, NFTNL_EXPR_PAYLOAD_LEN);
	struct content *content = load(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_PAYLOAD_DREG), length);
	if (content && length <= FOREIGN_KEY_MAX)
		*content = (struct content){ .kind = HOLDS_HEADER,
					     .base = nftnl_expr_get_u32(expr, NFTNL_EXPR_PAYLOAD_BASE),
					     .offset = nftnl_expr_get_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET),
					     .length = length };
}

/* Of the status, the box knows one bit. */
static bool knows_bits(enum rule_field field, const uint8_t *mask)
{
	static const uint32_t known = STATUS_DNAT;
	return field == RULE_STATE || memcmp(mask, &known, sizeof(known)) == 0;
}

static void take_ct(struct parsing *p, const struct nftnl_expr *expr)
{
	if (!nftnl_expr_is_set(expr, NFTNL_EXPR_CT_DREG))
		return; /* it sets a mark, or the like */
	uint32_t key = nftnl_expr_get_u32(expr, NFTNL_EXPR_CT_KEY);
	struct content *content = load(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_CT_DREG), FOREIGN_KEY_MAX);

	if (content && (key == NFT_CT_STATE || key == NFT_CT_STATUS))
		*content = (struct content){ .kind = HOLDS_FIELD,
					     .field = key == NFT_CT_STATE ? RULE_STATE : RULE_STATUS };
}

static void take_limit(struct parsing *p, const struct nftnl_expr *expr)
{
	p->rule.excess |= nftnl_expr_get_u32(expr, NFTNL_EXPR_LIMIT_FLAGS) & NFT_LIMIT_F_INV;
	p->rule.exact = false;
}

/* Packets of the flows have no extension header of IPv6. */
static void take_exthdr(struct parsing *p, const struct nftnl_expr *expr)
{
	uint32_t flags = nftnl_expr_get_u32(expr, NFTNL_EXPR_EXTHDR_FLAGS);

	memset(p->slots, 0, sizeof(p->slots));
	p->rule.excess |=
		nftnl_expr_get_u32(expr, NFTNL_EXPR_EXTHDR_OP) == NFT_EXTHDR_OP_IPV6 && !(flags & NFT_EXTHDR_F_PRESENT);
	p->rule.exact = false;
}

static void take_connlimit(struct parsing *p, const struct nftnl_expr *expr)
{
	p->rule.excess |= nftnl_expr_get_u32(expr, NFTNL_EXPR_CONNLIMIT_FLAGS) & NFT_CONNLIMIT_F_INV;
	p->rule.exact = false;
}

static void take_bitwise(struct parsing *p, const struct nftnl_expr *expr)
{
	uint32_t length = 0, xor_length = 0;
	const uint8_t *mask = nftnl_expr_get(expr, NFTNL_EXPR_BITWISE_MASK, &length);
	const uint8_t *flip = nftnl_expr_get(expr, NFTNL_EXPR_BITWISE_XOR, &xor_length);
	const struct content *source = content_of(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_BITWISE_SREG));
	static const uint8_t zero[FOREIGN_KEY_MAX];
	struct content masked = { .kind = HOLDS_UNKNOWN };

	if (source && source->kind == HOLDS_HEADER && !source->masked && mask && length == source->length &&
	    length <= FOREIGN_KEY_MAX && flip && xor_length == length && memcmp(flip, zero, length) == 0) {
		masked = *source;
		masked.masked = true;
		memcpy(masked.bytes, mask, length);
	}
	bool bits =
		source && source->kind == HOLDS_FIELD && (source->field == RULE_STATE || source->field == RULE_STATUS);
	if (bits && !source->masked && mask && length == 4 && flip && xor_length == 4 && memcmp(flip, zero, 4) == 0 &&
	    knows_bits(source->field, mask)) {
		masked = *source;
		masked.masked = true;
		memcpy(masked.bytes, mask, length);
	}
	struct content *target = load(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_BITWISE_DREG),
				      nftnl_expr_get_u32(expr, NFTNL_EXPR_BITWISE_LEN));
	if (target)
		*target = masked;
}

static void take_fib(struct parsing *p, const struct nftnl_expr *expr)
{
	struct content *content = load(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_FIB_DREG), 4);
	uint32_t flags = nftnl_expr_get_u32(expr, NFTNL_EXPR_FIB_FLAGS),
		 result = nftnl_expr_get_u32(expr, NFTNL_EXPR_FIB_RESULT);

	if (content && flags == NFTA_FIB_F_DADDR && result == NFT_FIB_RESULT_ADDRTYPE)
		content->kind = HOLDS_LOCAL;
	else if (content && flags & NFTA_FIB_F_SADDR &&
		 (result == NFT_FIB_RESULT_OIF || result == NFT_FIB_RESULT_OIFNAME))
		content->kind = HOLDS_WAY_BACK;
}

static void take_lookup(struct parsing *p, const struct nftnl_expr *expr)
{
	const char *name = nftnl_expr_get_str(expr, NFTNL_EXPR_LOOKUP_SET);
	enum rule_field field = whole_field(p, content_of(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_LOOKUP_SREG)));
	size_t set = name ? foreign_find_set(p->tables, p->table_family, p->table, name) : 0;

	if (field == RULE_FAMILY || field == RULE_STATUS) /* its numbers are others; it is never one bit alone */
		field = RULE_FIELDS;
	if (nftnl_expr_is_set(expr, NFTNL_EXPR_LOOKUP_DREG)) {
		uint32_t target = nftnl_expr_get_u32(expr, NFTNL_EXPR_LOOKUP_DREG);
		if (target == NFT_REG_VERDICT) {
			p->rule.way = WAY_MAP;
			p->rule.map_field = (uint8_t)field;
			p->rule.to = set;
		} else {
			load(p, target, FOREIGN_KEY_MAX);
			p->rule.exact = false; /* what is not in the map goes no further */
		}
		return;
	}
	bool negate = nftnl_expr_is_set(expr, NFTNL_EXPR_LOOKUP_FLAGS) &&
		      nftnl_expr_get_u32(expr, NFTNL_EXPR_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV;
	if (field == RULE_FIELDS || !set)
		p->rule.exact = false;
	else
		add_condition(p, &(struct rule_condition){ .field = (uint8_t)field, .negate = negate, .set = set });
}

static void take_immediate(struct parsing *p, const struct nftnl_expr *expr)
{
	uint32_t length = 0;

	if (!nftnl_expr_is_set(expr, NFTNL_EXPR_IMM_VERDICT)) {
		const void *value = nftnl_expr_get(expr, NFTNL_EXPR_IMM_DATA, &length);
		struct content *content = load(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_IMM_DREG), length);
		if (content && value && length <= FOREIGN_KEY_MAX) {
			content->kind = HOLDS_VALUE;
			content->length = length;
			memcpy(content->bytes, value, length);
		}
		return;
	}
	const char *chain = nftnl_expr_get_str(expr, NFTNL_EXPR_IMM_CHAIN);
	switch ((int32_t)nftnl_expr_get_u32(expr, NFTNL_EXPR_IMM_VERDICT)) {
	case NFT_JUMP: p->rule.way = WAY_JUMP; break;
	case NFT_GOTO: p->rule.way = WAY_GOTO; break;
	case NFT_RETURN: p->rule.way = WAY_RETURN; break;
	case NFT_CONTINUE: return;
	case NF_DROP: p->rule.effect = EFFECT_DROP; /* fall through */
	default: p->rule.way = WAY_DONE;
	}
	p->rule.to = chain ? foreign_find_chain(p->tables, p->table_family, p->table, chain) : 0;
}

/* What the rule does. */

static void take_nat(struct parsing *p, const struct nftnl_expr *expr)
{
	if (nftnl_expr_get_u32(expr, NFTNL_EXPR_NAT_TYPE) != NFT_NAT_DNAT) {
		do_effect(p, EFFECT_NONE, WAY_DONE);
		return;
	}
	/* With a port alone it goes to whom it went. */
	bool elsewhere = nftnl_expr_is_set(expr, NFTNL_EXPR_NAT_REG_ADDR_MIN),
	     port = nftnl_expr_is_set(expr, NFTNL_EXPR_NAT_REG_PROTO_MIN);
	do_effect(p, elsewhere ? EFFECT_DNAT : port ? EFFECT_PORT : EFFECT_NONE, WAY_DONE);
	const struct content *content =
		elsewhere ? content_of(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_NAT_REG_ADDR_MIN)) : NULL;
	uint32_t family = nftnl_expr_get_u32(expr, NFTNL_EXPR_NAT_FAMILY);
	bool one = !nftnl_expr_is_set(expr, NFTNL_EXPR_NAT_REG_ADDR_MAX) ||
		   nftnl_expr_get_u32(expr, NFTNL_EXPR_NAT_REG_ADDR_MAX) ==
			   nftnl_expr_get_u32(expr, NFTNL_EXPR_NAT_REG_ADDR_MIN);
	if (one && content && content->kind == HOLDS_VALUE && content->length == (family == NFPROTO_IPV4 ? 4 : 16))
		set_target(p, family == NFPROTO_IPV4 ? 4 : 6, content->bytes);
}

static void take_target(struct parsing *p, const struct nftnl_expr *expr)
{
	uint32_t length = 0;
	const uint8_t *info = nftnl_expr_get(expr, NFTNL_EXPR_TG_INFO, &length);

	xt_take_target(p, nftnl_expr_get_str(expr, NFTNL_EXPR_TG_NAME), nftnl_expr_get_u32(expr, NFTNL_EXPR_TG_REV),
		       info, length);
}

static void take_match(struct parsing *p, const struct nftnl_expr *expr)
{
	uint32_t length = 0;
	const uint8_t *info = nftnl_expr_get(expr, NFTNL_EXPR_MT_INFO, &length);

	xt_take_match(p, nftnl_expr_get_str(expr, NFTNL_EXPR_MT_NAME), nftnl_expr_get_u32(expr, NFTNL_EXPR_MT_REV),
		      info, length);
}

static void take_queue(struct parsing *p, const struct nftnl_expr *expr)
{
	(void)expr;
	do_effect(p, EFFECT_QUEUE, WAY_DONE);
}
static void take_redir(struct parsing *p, const struct nftnl_expr *expr)
{
	(void)expr;
	do_effect(p, EFFECT_REDIRECT, WAY_DONE);
}
static void take_tproxy(struct parsing *p, const struct nftnl_expr *expr)
{
	(void)expr;
	do_effect(p, EFFECT_TPROXY, WAY_ON);
}
static void take_dup(struct parsing *p, const struct nftnl_expr *expr)
{
	(void)expr;
	do_effect(p, EFFECT_DUP, WAY_ON);
}
static void take_fwd(struct parsing *p, const struct nftnl_expr *expr)
{
	(void)expr;
	do_effect(p, EFFECT_FWD, WAY_DONE);
}
static void take_notrack(struct parsing *p, const struct nftnl_expr *expr)
{
	(void)expr;
	do_effect(p, EFFECT_NOTRACK, WAY_ON);
}
static void take_offload(struct parsing *p, const struct nftnl_expr *expr)
{
	(void)expr;
	do_effect(p, EFFECT_OFFLOAD, WAY_ON);
}
static void take_reject(struct parsing *p, const struct nftnl_expr *expr)
{
	(void)expr;
	p->rule.rejects = true;
	do_effect(p, EFFECT_DROP, WAY_DONE);
}
static void take_end(struct parsing *p, const struct nftnl_expr *expr)
{
	(void)expr;
	do_effect(p, EFFECT_NONE, WAY_DONE);
}
static void take_nothing(struct parsing *p, const struct nftnl_expr *expr)
{
	(void)p;
	(void)expr;
}

static int take_expression(struct nftnl_expr *expr, void *userdata)
{
	static const struct {
		const char *name;
		void (*take)(struct parsing *, const struct nftnl_expr *);
	} kinds[] = {
		{ "cmp", take_cmp },
		{ "range", take_range },
		{ "meta", take_meta },
		{ "payload", take_payload },
		{ "bitwise", take_bitwise },
		{ "fib", take_fib },
		{ "lookup", take_lookup },
		{ "immediate", take_immediate },
		{ "nat", take_nat },
		{ "redir", take_redir },
		{ "tproxy", take_tproxy },
		{ "dup", take_dup },
		{ "fwd", take_fwd },
		{ "queue", take_queue },
		{ "notrack", take_notrack },
		{ "match", take_match },
		{ "target", take_target },
		{ "masq", take_end },
		{ "reject", take_reject },
		{ "ct", take_ct },
		{ "limit", take_limit },
		{ "connlimit", take_connlimit },
		{ "exthdr", take_exthdr },
		{ "counter", take_nothing },
		{ "log", take_nothing },
		{ "objref", take_nothing },
		{ "flow_offload", take_offload },
	};
	struct parsing *p = userdata;
	const char *name = nftnl_expr_get_str(expr, NFTNL_EXPR_NAME);

	if (p->error < 0)
		return p->error;
	for (size_t i = 0; name && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(name, kinds[i].name) == 0) {
			kinds[i].take(p, expr);
			return p->error;
		}
	}
	/* It may load a register, or not let the packet on. */
	memset(p->slots, 0, sizeof(p->slots));
	p->rule.exact = false;
	return 0;
}

static void begin_family(struct parsing *p)
{
	if (p->table_family == NFPROTO_IPV4)
		add_byte(p, RULE_FAMILY, false, 4);
	else if (p->table_family == NFPROTO_IPV6)
		add_byte(p, RULE_FAMILY, false, 6);
}

int nft_add_foreign_rule(struct foreign_tables *tables, const struct nftnl_rule *rule)
{
	const char *table = nftnl_rule_get_str(rule, NFTNL_RULE_TABLE),
		   *chain = nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN);
	unsigned family = nftnl_rule_get_u32(rule, NFTNL_RULE_FAMILY);
	size_t conditions = tables->conditions.count;
	size_t of = table && chain ? foreign_find_chain(tables, family, table, chain) : 0;

	if (!of) /* ours, or of a chain that came meanwhile: a notice of that is under way */
		return 0;
	struct parsing p = { .tables = tables,
			     .table_family = family,
			     .table = table,
			     .rule = { .chain = of - 1,
				       .handle = nftnl_rule_get_u64(rule, NFTNL_RULE_HANDLE),
				       .number = ++tables->chains.items[of - 1].rule_count,
				       .conditions = conditions,
				       .exact = true,
				       .map_field = RULE_FIELDS } };
	begin_family(&p);
	/* Iterating does not alter the rule; the library's types are not const. */
	nftnl_expr_foreach((struct nftnl_rule *)rule, take_expression, &p);
	if (p.error == 0 && (p.rule.effect != EFFECT_NONE || p.rule.way != WAY_ON))
		p.error = ARRAY_PUSH(&tables->rules, p.rule) < 0 ? -ENOMEM : 0;
	else
		tables->conditions.count = conditions;
	return p.error;
}
