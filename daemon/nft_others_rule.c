/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft_others.h"
#include "core/array.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/expr.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/xt_CT.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

/* A rule's expressions back into what it asks of a packet and what it does with it. What is not understood makes the
 * rule inexact: it may then do it, for all that is known. */

enum { SLOTS = 20 }; /* registers in units of 4 bytes; the first four are the verdict's */

struct content {
	enum { HOLDS_UNKNOWN, HOLDS_HEADER, HOLDS_FIELD, HOLDS_LINK_INDEX, HOLDS_ETHERTYPE, HOLDS_LOCAL, HOLDS_VALUE } kind;
	enum rule_field field;           /* HOLDS_FIELD */
	uint32_t base, offset, length;   /* HOLDS_HEADER; length: of a value, too */
	uint8_t bytes[OTHERS_KEY_MAX];   /* HOLDS_VALUE: it; else, with masked, which bits are left */
	bool masked;
};

struct parsing {
	struct others *others;
	struct other_rule rule;
	struct content slots[SLOTS];
	unsigned table_family;
	const char *table;
	uint8_t family; /* 4 or 6, where it is known */
	int error;
};

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

static void add_condition(struct parsing *p, const struct rule_condition *condition)
{
	if (ARRAY_PUSH(&p->others->conditions, *condition) < 0)
		p->error = -ENOMEM;
	else
		p->rule.condition_count++;
}

static void add_interval(struct parsing *p, enum rule_field field, bool negate, const void *first, const void *last)
{
	struct rule_condition condition = { .field = (uint8_t)field, .negate = negate };

	memcpy(condition.first, first, rule_field_size(field));
	memcpy(condition.last, last, rule_field_size(field));
	add_condition(p, &condition);
	if (field == RULE_FAMILY && !negate)
		p->family = condition.first[0];
}

static void add_byte(struct parsing *p, enum rule_field field, bool negate, uint8_t value)
{
	add_interval(p, field, negate, &value, &value);
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
};
enum { HEADER_FIELDS = sizeof(header_fields) / sizeof(header_fields[0]) };

/* The one field that was loaded whole, or RULE_FIELDS. */
static enum rule_field whole_field(const struct parsing *p, const struct content *content)
{
	if (!content || content->masked)
		return RULE_FIELDS;
	if (content->kind == HOLDS_FIELD)
		return content->field;
	for (size_t i = 0; content->kind == HOLDS_HEADER && i < HEADER_FIELDS; i++) {
		const struct header_field *field = &header_fields[i];
		if (field->base == content->base && field->offset == content->offset && rule_field_size(field->field) == content->length &&
		    (!field->family || field->family == p->family))
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
static void equal_part(struct parsing *p, enum rule_field field, bool negate, const uint8_t *value, const uint8_t *mask, size_t count)
{
	uint8_t first[OTHERS_KEY_MAX] = { 0 }, last[OTHERS_KEY_MAX];

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

	if (content->masked && !is_prefix(content->bytes, content->length)) {
		p->rule.exact = false;
		return;
	}
	for (size_t i = 0; i < HEADER_FIELDS; i++) {
		const struct header_field *field = &header_fields[i];
		uint32_t field_end = field->offset + (uint32_t)rule_field_size(field->field);
		if (field->base != content->base || (field->family && field->family != p->family) || field->offset < content->offset || field->offset >= end)
			continue;
		uint32_t at = field->offset - content->offset, count = (end < field_end ? end : field_end) - field->offset;
		if (negate && (at != 0 || count != content->length))
			continue;
		equal_part(p, field->field, negate, value + at, content->masked ? content->bytes + at : NULL, count);
		covered += count;
	}
	p->rule.exact &= covered == content->length;
}

static void compare_equal(struct parsing *p, const struct content *content, bool negate, const uint8_t *value, uint32_t length)
{
	char name[IF_NAMESIZE] = "";
	uint8_t link[OTHERS_KEY_MAX] = { 0 };
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
			add_byte(p, RULE_FAMILY, negate, value[0] == NFPROTO_IPV4 ? 4 : value[0] == NFPROTO_IPV6 ? 6 : 0);
		else if (!content->masked && length <= rule_field_size(content->field))
			equal_part(p, content->field, negate, value, NULL, length);
		else
			p->rule.exact = false;
		return;
	case HOLDS_ETHERTYPE:
		if (length == 2)
			add_byte(p, RULE_FAMILY, negate, value[0] == 0x08 && value[1] == 0 ? 4 : value[0] == 0x86 && value[1] == 0xdd ? 6 : 0);
		return;
	case HOLDS_LOCAL:
		if (number == 2) /* RTN_LOCAL */
			add_byte(p, RULE_LOCAL, negate, 1);
		else
			p->rule.exact = false;
		return;
	case HOLDS_LINK_INDEX:
		if (length == sizeof(number) && if_indextoname(number, name)) {
			memcpy(link, name, strnlen(name, sizeof(link) - 1));
			add_interval(p, RULE_LINK, negate, link, link);
		} else {
			p->rule.exact = false;
		}
		return;
	default:
		p->rule.exact = false;
	}
}

static void take_cmp(struct parsing *p, const struct nftnl_expr *expr)
{
	uint32_t length = 0, op = nftnl_expr_get_u32(expr, NFTNL_EXPR_CMP_OP);
	const uint8_t *value = nftnl_expr_get(expr, NFTNL_EXPR_CMP_DATA, &length);
	const struct content *content = content_of(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_CMP_SREG));

	if (!value || !content || !length || length > OTHERS_KEY_MAX) {
		p->rule.exact = false;
		return;
	}
	if (op == NFT_CMP_EQ || op == NFT_CMP_NEQ) {
		compare_equal(p, content, op == NFT_CMP_NEQ, value, length);
		return;
	}
	enum rule_field field = whole_field(p, content);
	if (field == RULE_FIELDS || field == RULE_FAMILY || rule_field_size(field) != length || op == NFT_CMP_LT || op == NFT_CMP_GT) {
		p->rule.exact = false;
		return;
	}
	uint8_t least[OTHERS_KEY_MAX] = { 0 }, most[OTHERS_KEY_MAX];
	memset(most, 0xff, sizeof(most));
	add_interval(p, field, false, op == NFT_CMP_GTE ? value : least, op == NFT_CMP_LTE ? value : most);
}

static void take_range(struct parsing *p, const struct nftnl_expr *expr)
{
	uint32_t length = 0, to_length = 0;
	const void *first = nftnl_expr_get(expr, NFTNL_EXPR_RANGE_FROM_DATA, &length);
	const void *last = nftnl_expr_get(expr, NFTNL_EXPR_RANGE_TO_DATA, &to_length);
	enum rule_field field = whole_field(p, content_of(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_RANGE_SREG)));

	if (first && last && field != RULE_FIELDS && field != RULE_FAMILY && length == to_length && rule_field_size(field) == length)
		add_interval(p, field, nftnl_expr_get_u32(expr, NFTNL_EXPR_RANGE_OP) == NFT_RANGE_NEQ, first, last);
	else
		p->rule.exact = false;
}

static void take_meta(struct parsing *p, const struct nftnl_expr *expr)
{
	if (!nftnl_expr_is_set(expr, NFTNL_EXPR_META_DREG))
		return; /* it sets a mark, or the like */
	uint32_t key = nftnl_expr_get_u32(expr, NFTNL_EXPR_META_KEY);
	struct content *content = load(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_META_DREG), key == NFT_META_IIFNAME ? OTHERS_KEY_MAX : 4);

	if (!content)
		return;
	content->kind = HOLDS_FIELD;
	switch (key) {
	case NFT_META_NFPROTO: content->field = RULE_FAMILY; break;
	case NFT_META_L4PROTO: content->field = RULE_PROTOCOL; break;
	case NFT_META_IIFNAME: content->field = RULE_LINK; break;
	case NFT_META_IIF: content->kind = HOLDS_LINK_INDEX; break;
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
	if (content && length <= OTHERS_KEY_MAX)
		*content = (struct content){ .kind = HOLDS_HEADER, .base = nftnl_expr_get_u32(expr, NFTNL_EXPR_PAYLOAD_BASE),
					     .offset = nftnl_expr_get_u32(expr, NFTNL_EXPR_PAYLOAD_OFFSET), .length = length };
}

static void take_bitwise(struct parsing *p, const struct nftnl_expr *expr)
{
	uint32_t length = 0, xor_length = 0;
	const uint8_t *mask = nftnl_expr_get(expr, NFTNL_EXPR_BITWISE_MASK, &length);
	const uint8_t *flip = nftnl_expr_get(expr, NFTNL_EXPR_BITWISE_XOR, &xor_length);
	const struct content *source = content_of(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_BITWISE_SREG));
	static const uint8_t zero[OTHERS_KEY_MAX];
	struct content masked = { .kind = HOLDS_UNKNOWN };

	if (source && source->kind == HOLDS_HEADER && !source->masked && mask && length == source->length && length <= OTHERS_KEY_MAX &&
	    flip && xor_length == length && memcmp(flip, zero, length) == 0) {
		masked = *source;
		masked.masked = true;
		memcpy(masked.bytes, mask, length);
	}
	struct content *target = load(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_BITWISE_DREG), nftnl_expr_get_u32(expr, NFTNL_EXPR_BITWISE_LEN));
	if (target)
		*target = masked;
}

static void take_fib(struct parsing *p, const struct nftnl_expr *expr)
{
	struct content *content = load(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_FIB_DREG), 4);
	bool target = nftnl_expr_get_u32(expr, NFTNL_EXPR_FIB_FLAGS) == NFTA_FIB_F_DADDR;

	if (content && target && nftnl_expr_get_u32(expr, NFTNL_EXPR_FIB_RESULT) == NFT_FIB_RESULT_ADDRTYPE)
		content->kind = HOLDS_LOCAL;
}

static void take_lookup(struct parsing *p, const struct nftnl_expr *expr)
{
	const char *name = nftnl_expr_get_str(expr, NFTNL_EXPR_LOOKUP_SET);
	enum rule_field field = whole_field(p, content_of(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_LOOKUP_SREG)));
	size_t set = name ? others_find_set(p->others, p->table_family, p->table, name) : 0;

	if (field == RULE_FAMILY) /* its numbers are others */
		field = RULE_FIELDS;
	if (nftnl_expr_is_set(expr, NFTNL_EXPR_LOOKUP_DREG)) {
		uint32_t target = nftnl_expr_get_u32(expr, NFTNL_EXPR_LOOKUP_DREG);
		if (target == NFT_REG_VERDICT) {
			p->rule.way = WAY_MAP;
			p->rule.map_field = (uint8_t)field;
			p->rule.to = set;
		} else {
			load(p, target, OTHERS_KEY_MAX);
			p->rule.exact = false; /* what is not in the map goes no further */
		}
		return;
	}
	bool negate = nftnl_expr_is_set(expr, NFTNL_EXPR_LOOKUP_FLAGS) && nftnl_expr_get_u32(expr, NFTNL_EXPR_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV;
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
		if (content && value && length <= OTHERS_KEY_MAX) {
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
	default: p->rule.way = WAY_DONE;
	}
	p->rule.to = chain ? others_find_chain(p->others, p->table_family, p->table, chain) : 0;
}

/* What the rule does. */

static void set_target(struct parsing *p, uint8_t family, const void *bytes)
{
	p->rule.has_target = true;
	p->rule.target = (struct addr){ .family = family == 4 ? FAMILY_4 : FAMILY_6 };
	memcpy(p->rule.target.bytes, bytes, family == 4 ? 4 : 16);
}

static void do_deed(struct parsing *p, enum deed deed, enum way way)
{
	p->rule.deed = (uint8_t)deed;
	if (p->rule.way == WAY_ON)
		p->rule.way = (uint8_t)way;
}

static void take_nat(struct parsing *p, const struct nftnl_expr *expr)
{
	if (nftnl_expr_get_u32(expr, NFTNL_EXPR_NAT_TYPE) != NFT_NAT_DNAT) {
		do_deed(p, DEED_NONE, WAY_DONE);
		return;
	}
	/* With a port alone it goes to whom it went. */
	bool elsewhere = nftnl_expr_is_set(expr, NFTNL_EXPR_NAT_REG_ADDR_MIN);
	do_deed(p, elsewhere ? DEED_DNAT : DEED_NONE, WAY_DONE);
	const struct content *content = elsewhere ? content_of(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_NAT_REG_ADDR_MIN)) : NULL;
	uint32_t family = nftnl_expr_get_u32(expr, NFTNL_EXPR_NAT_FAMILY);
	bool one = !nftnl_expr_is_set(expr, NFTNL_EXPR_NAT_REG_ADDR_MAX) ||
		   nftnl_expr_get_u32(expr, NFTNL_EXPR_NAT_REG_ADDR_MAX) == nftnl_expr_get_u32(expr, NFTNL_EXPR_NAT_REG_ADDR_MIN);
	if (one && content && content->kind == HOLDS_VALUE && content->length == (family == NFPROTO_IPV4 ? 4 : 16))
		set_target(p, family == NFPROTO_IPV4 ? 4 : 6, content->bytes);
}

/* Targets and matches of iptables, which come as they are. */

static void take_xt_dnat(struct parsing *p, uint32_t revision, const uint8_t *info, uint32_t length)
{
	struct nf_nat_ipv4_multi_range_compat old;
	struct nf_nat_range range;

	if (revision == 0 && length >= sizeof(old)) {
		memcpy(&old, info, sizeof(old));
		do_deed(p, old.range[0].flags & NF_NAT_RANGE_MAP_IPS ? DEED_DNAT : DEED_NONE, WAY_DONE);
		if (old.range[0].min_ip == old.range[0].max_ip)
			set_target(p, 4, &old.range[0].min_ip);
	} else if (revision > 0 && length >= sizeof(range)) {
		memcpy(&range, info, sizeof(range));
		do_deed(p, range.flags & NF_NAT_RANGE_MAP_IPS ? DEED_DNAT : DEED_NONE, WAY_DONE);
		if (memcmp(&range.min_addr, &range.max_addr, sizeof(range.min_addr)) == 0)
			set_target(p, p->table_family == NFPROTO_IPV6 ? 6 : 4, &range.min_addr);
	} else {
		do_deed(p, DEED_DNAT, WAY_DONE);
	}
}

static void take_target(struct parsing *p, const struct nftnl_expr *expr)
{
	static const struct { const char *name; enum deed deed; enum way way; } targets[] = {
		{ "REDIRECT", DEED_REDIRECT, WAY_DONE }, { "TPROXY", DEED_TPROXY, WAY_DONE }, { "TEE", DEED_DUP, WAY_ON },
		{ "NFQUEUE", DEED_QUEUE, WAY_DONE }, { "NOTRACK", DEED_NOTRACK, WAY_ON }, { "REJECT", DEED_NONE, WAY_DONE },
		{ "SNAT", DEED_NONE, WAY_DONE }, { "MASQUERADE", DEED_NONE, WAY_DONE },
	};
	const char *name = nftnl_expr_get_str(expr, NFTNL_EXPR_TG_NAME);
	uint32_t length = 0;
	const uint8_t *info = nftnl_expr_get(expr, NFTNL_EXPR_TG_INFO, &length);

	if (name && strcmp(name, "DNAT") == 0 && info)
		take_xt_dnat(p, nftnl_expr_get_u32(expr, NFTNL_EXPR_TG_REV), info, length);
	if (name && strcmp(name, "CT") == 0 && info && length >= sizeof(uint16_t)) {
		uint16_t flags;
		memcpy(&flags, info, sizeof(flags));
		do_deed(p, flags & XT_CT_NOTRACK ? DEED_NOTRACK : DEED_NONE, WAY_ON);
	}
	for (size_t i = 0; name && i < sizeof(targets) / sizeof(targets[0]); i++)
		if (strcmp(name, targets[i].name) == 0)
			do_deed(p, targets[i].deed, targets[i].way);
}

static void add_port_interval(struct parsing *p, enum rule_field field, bool negate, const uint16_t ports[2])
{
	uint16_t first = htons(ports[0]), last = htons(ports[1]);

	if (ports[0] != 0 || ports[1] != UINT16_MAX || negate)
		add_interval(p, field, negate, &first, &last);
}

static void take_xt_ports(struct parsing *p, const uint8_t *info, uint32_t length, bool tcp)
{
	struct xt_tcp match = { .option = 0 };
	struct xt_udp udp;

	add_byte(p, RULE_PROTOCOL, false, tcp ? 6 : 17);
	if (length < (tcp ? sizeof(match) : sizeof(udp))) {
		p->rule.exact = false;
		return;
	}
	if (tcp) {
		memcpy(&match, info, sizeof(match));
	} else {
		memcpy(&udp, info, sizeof(udp));
		memcpy(match.spts, udp.spts, sizeof(match.spts));
		memcpy(match.dpts, udp.dpts, sizeof(match.dpts));
		match.invflags = udp.invflags; /* the same bits */
	}
	p->rule.exact &= !match.flg_mask && !match.option;
	add_port_interval(p, RULE_SOURCE_PORT, match.invflags & XT_TCP_INV_SRCPT, match.spts);
	add_port_interval(p, RULE_TARGET_PORT, match.invflags & XT_TCP_INV_DSTPT, match.dpts);
}

static int element_order(const void *a, const void *b)
{
	return memcmp(a, b, OTHERS_KEY_MAX);
}

/* The list becomes a set of its own. */
static void take_xt_multiport(struct parsing *p, const uint8_t *info, uint32_t length)
{
	struct other_set set = { .family = FAMILY_OF_LIST, .known = true };
	struct xt_multiport_v1 match;

	if (length < sizeof(match)) {
		p->rule.exact = false;
		return;
	}
	memcpy(&match, info, sizeof(match));
	if (match.flags == XT_MULTIPORT_EITHER || match.count > XT_MULTI_PORTS) {
		p->rule.exact = false;
		return;
	}
	for (unsigned i = 0; i < match.count; i++) {
		uint16_t first = match.ports[i], last = match.pflags[i] && i + 1u < match.count ? match.ports[++i] : first;
		struct set_element element = { .first = { first >> 8, first & 0xff }, .last = { last >> 8, last & 0xff } };
		if (ARRAY_PUSH(&set, element) < 0)
			p->error = -ENOMEM;
	}
	if (set.count)
		qsort(set.items, set.count, sizeof(*set.items), element_order);
	set.table = strdup("");
	set.name = strdup("");
	if (!set.table || !set.name || ARRAY_PUSH(&p->others->sets, set) < 0) {
		free(set.table);
		free(set.name);
		free(set.items);
		p->error = -ENOMEM;
		return;
	}
	add_condition(p, &(struct rule_condition){ .field = match.flags == XT_MULTIPORT_SOURCE ? RULE_SOURCE_PORT : RULE_TARGET_PORT,
						   .negate = match.invert, .set = p->others->sets.count });
}

static void take_xt_addrtype(struct parsing *p, uint32_t revision, const uint8_t *info, uint32_t length)
{
	struct xt_addrtype_info_v1 match;
	bool inverted;

	if (length < sizeof(match)) {
		p->rule.exact = false;
		return;
	}
	memcpy(&match, info, sizeof(match));
	if (revision == 0) {
		struct xt_addrtype_info old;
		memcpy(&old, info, length < sizeof(old) ? length : sizeof(old));
		inverted = length >= sizeof(old) && old.invert_dest;
	} else {
		inverted = match.flags & XT_ADDRTYPE_INVERT_DEST;
		p->rule.exact &= !(match.flags & ~(uint32_t)(XT_ADDRTYPE_INVERT_DEST | XT_ADDRTYPE_INVERT_SOURCE));
	}
	p->rule.exact &= !match.source;
	if (match.dest == XT_ADDRTYPE_LOCAL)
		add_byte(p, RULE_LOCAL, inverted, 1);
	else if (match.dest)
		p->rule.exact = false;
}

static void take_match(struct parsing *p, const struct nftnl_expr *expr)
{
	const char *name = nftnl_expr_get_str(expr, NFTNL_EXPR_MT_NAME);
	uint32_t length = 0, revision = nftnl_expr_get_u32(expr, NFTNL_EXPR_MT_REV);
	const uint8_t *info = nftnl_expr_get(expr, NFTNL_EXPR_MT_INFO, &length);

	if (!name || !info)
		p->rule.exact = false;
	else if (strcmp(name, "tcp") == 0 || strcmp(name, "udp") == 0)
		take_xt_ports(p, info, length, name[0] == 't');
	else if (strcmp(name, "multiport") == 0)
		take_xt_multiport(p, info, length);
	else if (strcmp(name, "addrtype") == 0)
		take_xt_addrtype(p, revision, info, length);
	else if (strcmp(name, "comment") != 0)
		p->rule.exact = false;
}

static void take_queue(struct parsing *p, const struct nftnl_expr *expr) { (void)expr; do_deed(p, DEED_QUEUE, WAY_DONE); }
static void take_redir(struct parsing *p, const struct nftnl_expr *expr) { (void)expr; do_deed(p, DEED_REDIRECT, WAY_DONE); }
static void take_tproxy(struct parsing *p, const struct nftnl_expr *expr) { (void)expr; do_deed(p, DEED_TPROXY, WAY_ON); }
static void take_dup(struct parsing *p, const struct nftnl_expr *expr) { (void)expr; do_deed(p, DEED_DUP, WAY_ON); }
static void take_fwd(struct parsing *p, const struct nftnl_expr *expr) { (void)expr; do_deed(p, DEED_FWD, WAY_DONE); }
static void take_notrack(struct parsing *p, const struct nftnl_expr *expr) { (void)expr; do_deed(p, DEED_NOTRACK, WAY_ON); }
static void take_end(struct parsing *p, const struct nftnl_expr *expr) { (void)expr; do_deed(p, DEED_NONE, WAY_DONE); }
static void take_nothing(struct parsing *p, const struct nftnl_expr *expr) { (void)p; (void)expr; }

static int take_expression(struct nftnl_expr *expr, void *userdata)
{
	static const struct { const char *name; void (*take)(struct parsing *, const struct nftnl_expr *); } kinds[] = {
		{ "cmp", take_cmp }, { "range", take_range }, { "meta", take_meta }, { "payload", take_payload }, { "bitwise", take_bitwise },
		{ "fib", take_fib }, { "lookup", take_lookup }, { "immediate", take_immediate }, { "nat", take_nat }, { "redir", take_redir },
		{ "tproxy", take_tproxy }, { "dup", take_dup }, { "fwd", take_fwd }, { "queue", take_queue }, { "notrack", take_notrack },
		{ "match", take_match }, { "target", take_target }, { "masq", take_end }, { "reject", take_end },
		{ "counter", take_nothing }, { "log", take_nothing }, { "objref", take_nothing }, { "flow_offload", take_nothing },
	};
	struct parsing *p = userdata;
	const char *name = nftnl_expr_get_str(expr, NFTNL_EXPR_NAME);

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

int nft_take_other_rule(struct others *others, const struct nftnl_rule *rule)
{
	const char *table = nftnl_rule_get_str(rule, NFTNL_RULE_TABLE), *chain = nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN);
	unsigned family = nftnl_rule_get_u32(rule, NFTNL_RULE_FAMILY);
	size_t conditions = others->conditions.count;
	size_t of = table && chain ? others_find_chain(others, family, table, chain) : 0;

	if (!of) /* ours, or of a chain that came meanwhile: a notice of that is under way */
		return 0;
	struct parsing p = { .others = others, .table_family = family, .table = table,
			     .rule = { .chain = of - 1, .handle = nftnl_rule_get_u64(rule, NFTNL_RULE_HANDLE), .conditions = conditions,
				       .exact = true, .map_field = RULE_FIELDS } };
	begin_family(&p);
	/* Iterating does not alter the rule; the library's types don't say so. */
	nftnl_expr_foreach((struct nftnl_rule *)rule, take_expression, &p);
	if (p.error == 0 && (p.rule.deed != DEED_NONE || p.rule.way != WAY_ON))
		p.error = ARRAY_PUSH(&others->rules, p.rule) < 0 ? -ENOMEM : 0;
	else
		others->conditions.count = conditions;
	return p.error;
}
