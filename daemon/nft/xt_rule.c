/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/rule_parsing.h"
#include "core/array.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/xt_CT.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_state.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

/* Targets and matches of iptables, which come as they are. */

static void take_xt_dnat(struct parsing *p, uint32_t revision, const uint8_t *info, uint32_t length)
{
	struct nf_nat_ipv4_multi_range_compat old;
	struct nf_nat_range range;

	if (revision == 0 && length >= sizeof(old)) {
		memcpy(&old, info, sizeof(old));
		do_effect(p, old.range[0].flags & NF_NAT_RANGE_MAP_IPS ? EFFECT_DNAT : EFFECT_PORT, WAY_DONE);
		if (old.range[0].min_ip == old.range[0].max_ip)
			set_target(p, 4, &old.range[0].min_ip);
	} else if (revision > 0 && length >= sizeof(range)) {
		memcpy(&range, info, sizeof(range));
		do_effect(p, range.flags & NF_NAT_RANGE_MAP_IPS ? EFFECT_DNAT : EFFECT_PORT, WAY_DONE);
		if (memcmp(range.min_addr.all, range.max_addr.all, sizeof(range.min_addr.all)) == 0)
			set_target(p, p->table_family == NFPROTO_IPV6 ? 6 : 4, &range.min_addr);
	} else {
		do_effect(p, EFFECT_DNAT, WAY_DONE);
	}
}

void xt_take_target(struct parsing *p, const char *name, uint32_t revision, const uint8_t *info, uint32_t length)
{
	static const struct {
		const char *name;
		enum effect effect;
		enum way way;
	} targets[] = {
		{ "REDIRECT", EFFECT_REDIRECT, WAY_DONE },
		{ "TPROXY", EFFECT_TPROXY, WAY_DONE },
		{ "TEE", EFFECT_DUP, WAY_ON },
		{ "NFQUEUE", EFFECT_QUEUE, WAY_DONE },
		{ "NOTRACK", EFFECT_NOTRACK, WAY_ON },
		{ "REJECT", EFFECT_DROP, WAY_DONE },
		{ "SNAT", EFFECT_NONE, WAY_DONE },
		{ "MASQUERADE", EFFECT_NONE, WAY_DONE },
	};

	p->rule.rejects |= name && strcmp(name, "REJECT") == 0;
	if (name && strcmp(name, "DNAT") == 0 && info)
		take_xt_dnat(p, revision, info, length);
	if (name && strcmp(name, "CT") == 0 && info && length >= sizeof(uint16_t)) {
		uint16_t flags;
		memcpy(&flags, info, sizeof(flags));
		do_effect(p, flags & XT_CT_NOTRACK ? EFFECT_NOTRACK : EFFECT_NONE, WAY_ON);
	}
	for (size_t i = 0; name && i < sizeof(targets) / sizeof(targets[0]); i++)
		if (strcmp(name, targets[i].name) == 0)
			do_effect(p, targets[i].effect, targets[i].way);
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
	p->rule.exact &= !match.option;
	if (match.flg_mask)
		add_bits(p, RULE_FLAGS, match.invflags & XT_TCP_INV_FLAGS, &match.flg_mask, &match.flg_cmp);
	add_port_interval(p, RULE_SOURCE_PORT, match.invflags & XT_TCP_INV_SRCPT, match.spts);
	add_port_interval(p, RULE_TARGET_PORT, match.invflags & XT_TCP_INV_DSTPT, match.dpts);
}

static int element_order(const void *a, const void *b)
{
	return memcmp(a, b, FOREIGN_KEY_MAX);
}

/* The list becomes a set of its own. */
static void take_xt_multiport(struct parsing *p, const uint8_t *info, uint32_t length)
{
	struct foreign_set set = { .family = FAMILY_OF_LIST, .known = true };
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
		uint16_t first = match.ports[i],
			 last = match.pflags[i] && i + 1u < match.count ? match.ports[++i] : first;
		struct set_element element = { .first = { first >> 8, first & 0xff },
					       .last = { last >> 8, last & 0xff } };
		if (ARRAY_PUSH(&set, element) < 0)
			p->error = -ENOMEM;
	}
	if (set.count)
		qsort(set.items, set.count, sizeof(*set.items), element_order);
	set.table = strdup("");
	set.name = strdup("");
	if (!set.table || !set.name || ARRAY_PUSH(&p->tables->sets, set) < 0) {
		free(set.table);
		free(set.name);
		free(set.items);
		p->error = -ENOMEM;
		return;
	}
	add_condition(p, &(struct rule_condition){ .field = match.flags == XT_MULTIPORT_SOURCE ? RULE_SOURCE_PORT
											       : RULE_TARGET_PORT,
						   .negate = match.invert,
						   .set = p->tables->sets.count });
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

/* Of the ways to look at a connection, its state alone is known. */
static void take_xt_conntrack(struct parsing *p, uint32_t revision, const uint8_t *info, uint32_t length)
{
	enum { KNOWN = STATE_INVALID | STATE_ESTABLISHED | STATE_RELATED | STATE_NEW };
	struct xt_conntrack_mtinfo2 match;

	if (revision < 2 || length < sizeof(match)) {
		p->rule.exact = false;
		return;
	}
	memcpy(&match, info, sizeof(match));
	if (match.match_flags & XT_CONNTRACK_STATE && !(match.state_mask & ~KNOWN))
		add_word_bits(p, RULE_STATE, !(match.invert_flags & XT_CONNTRACK_STATE), match.state_mask);
	else
		p->rule.exact = false;
	p->rule.exact &= match.match_flags == XT_CONNTRACK_STATE;
}

static void take_xt_state(struct parsing *p, const uint8_t *info, uint32_t length)
{
	struct xt_state_info match;

	if (length < sizeof(match)) {
		p->rule.exact = false;
		return;
	}
	memcpy(&match, info, sizeof(match));
	add_word_bits(p, RULE_STATE, true, match.statemask);
}

void xt_take_match(struct parsing *p, const char *name, uint32_t revision, const uint8_t *info, uint32_t length)
{
	/* The last ones are extension headers of IPv6: packets of the flows have none. */
	static const char *const limits[] = {
		"hashlimit", "connlimit", "recent", "rpfilter", "rt", "hbh", "dst", "frag"
	};

	if (!name || !info) {
		p->rule.exact = false;
		return;
	}
	if (strcmp(name, "tcp") == 0 || strcmp(name, "udp") == 0)
		take_xt_ports(p, info, length, name[0] == 't');
	else if (strcmp(name, "multiport") == 0)
		take_xt_multiport(p, info, length);
	else if (strcmp(name, "addrtype") == 0)
		take_xt_addrtype(p, revision, info, length);
	else if (strcmp(name, "conntrack") == 0)
		take_xt_conntrack(p, revision, info, length);
	else if (strcmp(name, "state") == 0)
		take_xt_state(p, info, length);
	else if (strcmp(name, "comment") != 0)
		p->rule.exact = false;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		p->rule.excess |= strcmp(name, limits[i]) == 0;
}
