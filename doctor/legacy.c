/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor/doctor.h"
#include "core/array.h"
#include "nft/rule_parsing.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h> /* the kernel's headers give way to it, not the other way round */

#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The tables of iptables-legacy, by the kernel's own interface. The list of their names is root's alone, and only what
 * stands there is requested: a request for another one would make it. */

enum {
	TABLE_MAX = 64 << 20, /* bytes */
	TABLES_MAX = 16,
	ALIGNMENT = __alignof__(struct _xt_align), /* of entries, matches and targets */
	GET_INFO = IPT_SO_GET_INFO,
	GET_ENTRIES = IPT_SO_GET_ENTRIES, /* the same numbers for IPv6 */
};
static_assert(IPT_SO_GET_INFO == IP6T_SO_GET_INFO && IPT_SO_GET_ENTRIES == IP6T_SO_GET_ENTRIES, "one interface");
static_assert(sizeof(struct ipt_getinfo) == sizeof(struct ip6t_getinfo), "one interface");
static_assert(offsetof(struct ipt_get_entries, entrytable) == offsetof(struct ip6t_get_entries, entrytable),
	      "one interface");

/* As the kernel gave it: its entries one behind the other. */
struct legacy_table {
	struct legacy_table *next;
	enum family family;
	struct ipt_getinfo info;
	struct ipt_get_entries *reply;
};

/* The one that is being read. */
struct legacy {
	enum family family;
	struct ipt_getinfo info;
	const uint8_t *entries;
	struct foreign_tables *out;
	struct {
		struct start {
			uint32_t offset;
			size_t chain;
		} * items;
		size_t count, capacity;
	} starts; /* of chains */
};

struct entry {
	uint32_t offset, target_offset, next_offset, matches_offset;
	const struct xt_entry_target *target;
};

static const char *target_name(const struct entry *entry)
{
	return entry->target->u.user.name;
}

static bool read_entry(const struct legacy *legacy, uint32_t offset, struct entry *ret)
{
	size_t size = legacy->family == FAMILY_4 ? sizeof(struct ipt_entry) : sizeof(struct ip6t_entry);
	const void *at = legacy->entries + offset;

	if (offset > legacy->info.size || legacy->info.size - offset < size || offset % ALIGNMENT)
		return false;
	*ret = (struct entry){ .offset = offset, .matches_offset = (uint32_t)size };
	ret->target_offset = legacy->family == FAMILY_4 ? ((const struct ipt_entry *)at)->target_offset
							: ((const struct ip6t_entry *)at)->target_offset;
	ret->next_offset = legacy->family == FAMILY_4 ? ((const struct ipt_entry *)at)->next_offset
						      : ((const struct ip6t_entry *)at)->next_offset;
	ret->target = (const struct xt_entry_target *)(legacy->entries + offset + ret->target_offset);
	return ret->target_offset >= size && ret->target_offset % ALIGNMENT == 0 &&
	       ret->next_offset >= ret->target_offset + sizeof(*ret->target) &&
	       ret->next_offset <= legacy->info.size - offset && ret->target->u.target_size >= sizeof(*ret->target) &&
	       ret->target->u.target_size <= ret->next_offset - ret->target_offset &&
	       memchr(ret->target->u.user.name, '\0', sizeof(ret->target->u.user.name));
}

/* Chains: those of the hooks, and those that begin with an error target, which has their name. */

static const char *error_name(const struct entry *entry)
{
	const struct xt_error_target *error = (const void *)entry->target;

	if (strcmp(target_name(entry), XT_ERROR_TARGET) != 0 || entry->target->u.target_size < sizeof(*error) ||
	    !memchr(error->errorname, '\0', sizeof(error->errorname)))
		return NULL;
	return error->errorname;
}

static int hook_of(const struct legacy *legacy, uint32_t offset, const unsigned *of)
{
	for (int hook = 0; hook < NF_INET_NUMHOOKS; hook++)
		if (legacy->info.valid_hooks & 1u << hook && of[hook] == offset)
			return hook;
	return -1;
}

static int add_chain(struct legacy *legacy, uint32_t offset, const char *name, int hook)
{
	static const enum place places[] = { PLACE_PREROUTING, PLACE_INPUT, PLACE_FORWARD, PLACE_OUTPUT,
					     PLACE_POSTROUTING };
	static const struct {
		const char *table;
		int priority;
	} tables[] = { { "raw", -300 }, { "mangle", -150 }, { "nat", -100 }, { "filter", 0 }, { "security", 50 } };
	struct foreign_chain chain = { .family = legacy->family == FAMILY_4 ? FOREIGN_FAMILY_IP : FOREIGN_FAMILY_IP6,
				       .table = strdup(legacy->info.name),
				       .name = strdup(name),
				       .place = hook < 0 ? PLACE_NONE : places[hook],
				       .legacy = true,
				       .nat = strcmp(legacy->info.name, "nat") == 0 };
	struct start start = { offset, legacy->out->chains.count };

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (strcmp(tables[i].table, legacy->info.name) == 0)
			chain.priority = tables[i].priority;
	if (!chain.table || !chain.name || ARRAY_PUSH(&legacy->out->chains, chain) < 0) {
		free(chain.table);
		free(chain.name);
		return -ENOMEM;
	}
	return ARRAY_PUSH(&legacy->starts, start) < 0 ? -ENOMEM : 0;
}

static int find_chains(struct legacy *legacy)
{
	static const char *const hooks[] = { "PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING" };
	struct entry entry;
	int r = 0;

	for (uint32_t offset = 0; offset < legacy->info.size && r == 0; offset += entry.next_offset) {
		if (!read_entry(legacy, offset, &entry))
			return -EBADMSG;
		int hook = hook_of(legacy, offset, legacy->info.hook_entry);
		const char *name = error_name(&entry);
		if (hook >= 0)
			r = add_chain(legacy, offset, hooks[hook], hook);
		else if (name && offset + entry.next_offset < legacy->info.size) /* the last one ends the table */
			r = add_chain(legacy, offset + entry.next_offset, name, -1);
	}
	return r;
}

/* The chain that begins at an offset, and one; 0: none. */
static size_t chain_at(const struct legacy *legacy, uint32_t offset)
{
	size_t low = 0, high = legacy->starts.count; /* ascending */

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (legacy->starts.items[middle].offset == offset)
			return legacy->starts.items[middle].chain + 1;
		if (legacy->starts.items[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

/* What a rule looks at. */

static void take_address(struct parsing *p, enum rule_field field, bool negate, const void *address, const void *mask)
{
	size_t size = rule_field_size(field);
	const uint8_t *value = address, *bits = mask;
	uint8_t first[FOREIGN_KEY_MAX], last[FOREIGN_KEY_MAX];
	bool open = false;

	for (size_t i = 0; i < size; i++) {
		first[i] = value[i] & bits[i];
		last[i] = (uint8_t)(first[i] | ~bits[i]);
	}
	/* A mask that is no prefix is taken for the range between its ends. */
	for (size_t bit = 0; bit < size * 8; bit++) {
		bool set = bits[bit / 8] & 0x80 >> bit % 8;
		p->rule.exact &= !(set && open);
		open |= !set;
	}
	if (bits[0] || memcmp(bits, bits + 1, size - 1) != 0 || negate)
		add_interval(p, field, negate, first, last);
}

/* A name, or the beginning of one. */
static void take_link(struct parsing *p, enum rule_field field, bool negate, const char *name,
		      const unsigned char *mask)
{
	uint8_t first[FOREIGN_KEY_MAX], last[FOREIGN_KEY_MAX];

	for (size_t i = 0; i < FOREIGN_KEY_MAX; i++) {
		first[i] = mask[i] ? (uint8_t)name[i] : 0;
		last[i] = mask[i] ? (uint8_t)name[i] : 0xff;
	}
	if (mask[0])
		add_interval(p, field, negate, first, last);
}

static void take_protocol(struct parsing *p, bool negate, uint16_t protocol)
{
	uint8_t byte = (uint8_t)protocol;

	if (protocol)
		add_byte(p, RULE_PROTOCOL, negate, byte);
}

static void take_header_4(struct parsing *p, const struct ipt_ip *ip)
{
	take_address(p, RULE_SOURCE_4, ip->invflags & IPT_INV_SRCIP, &ip->src, &ip->smsk);
	take_address(p, RULE_TARGET_4, ip->invflags & IPT_INV_DSTIP, &ip->dst, &ip->dmsk);
	take_link(p, RULE_IN_INTERFACE, ip->invflags & IPT_INV_VIA_IN, ip->iniface, ip->iniface_mask);
	take_link(p, RULE_OUT_INTERFACE, ip->invflags & IPT_INV_VIA_OUT, ip->outiface, ip->outiface_mask);
	take_protocol(p, ip->invflags & IPT_INV_PROTO, ip->proto);
	p->rule.exact &= !(ip->flags & IPT_F_FRAG);
}

static void take_header_6(struct parsing *p, const struct ip6t_ip6 *ip)
{
	take_address(p, RULE_SOURCE_6, ip->invflags & IP6T_INV_SRCIP, &ip->src, &ip->smsk);
	take_address(p, RULE_TARGET_6, ip->invflags & IP6T_INV_DSTIP, &ip->dst, &ip->dmsk);
	take_link(p, RULE_IN_INTERFACE, ip->invflags & IP6T_INV_VIA_IN, ip->iniface, ip->iniface_mask);
	take_link(p, RULE_OUT_INTERFACE, ip->invflags & IP6T_INV_VIA_OUT, ip->outiface, ip->outiface_mask);
	if (ip->flags & IP6T_F_PROTO)
		take_protocol(p, ip->invflags & IP6T_INV_PROTO, ip->proto);
	p->rule.exact &= !(ip->flags & IP6T_F_TOS);
}

static void take_matches(struct parsing *p, const uint8_t *at, uint32_t length)
{
	while (length >= sizeof(struct xt_entry_match)) {
		const struct xt_entry_match *match = (const void *)at;
		if (match->u.match_size < sizeof(*match) || match->u.match_size % ALIGNMENT ||
		    match->u.match_size > length || !memchr(match->u.user.name, '\0', sizeof(match->u.user.name)))
			break;
		xt_take_match(p, match->u.user.name, match->u.user.revision, match->data,
			      match->u.match_size - (uint32_t)sizeof(*match));
		at += match->u.match_size;
		length -= match->u.match_size;
	}
	p->rule.exact &= length == 0;
}

static void take_verdict(struct parsing *p, const struct legacy *legacy, const struct entry *entry, bool is_goto)
{
	const struct xt_standard_target *standard = (const void *)entry->target;

	if (entry->target->u.target_size < sizeof(*standard)) {
		p->rule.exact = false;
		return;
	}
	if (standard->verdict >= 0 && (uint32_t)standard->verdict != entry->offset + entry->next_offset) {
		p->rule.way = is_goto ? WAY_GOTO : WAY_JUMP;
		p->rule.to = chain_at(legacy, (uint32_t)standard->verdict);
	} else if (standard->verdict == XT_RETURN) {
		p->rule.way = WAY_RETURN;
	} else if (standard->verdict == -NF_DROP - 1) {
		do_effect(p, EFFECT_DROP, WAY_DONE);
	} else if (standard->verdict < 0) {
		p->rule.way = WAY_DONE;
	}
}

static int take_rule(const struct legacy *legacy, const struct entry *entry, size_t chain, uint64_t number)
{
	struct parsing p = { .tables = legacy->out,
			     .table_family = legacy->family == FAMILY_4 ? FOREIGN_FAMILY_IP : FOREIGN_FAMILY_IP6,
			     .table = legacy->info.name,
			     .rule = { .chain = chain,
				       .handle = number,
				       .number = number,
				       .conditions = legacy->out->conditions.count,
				       .exact = true,
				       .map_field = RULE_FIELDS } };
	const void *at = legacy->entries + entry->offset;
	const uint8_t *info = (const uint8_t *)entry->target + sizeof(*entry->target);
	bool four = legacy->family == FAMILY_4;
	bool is_goto = four ? ((const struct ipt_entry *)at)->ip.flags & IPT_F_GOTO
			    : ((const struct ip6t_entry *)at)->ipv6.flags & IP6T_F_GOTO;

	add_byte(&p, RULE_FAMILY, false, four ? 4 : 6);
	if (four)
		take_header_4(&p, &((const struct ipt_entry *)at)->ip);
	else
		take_header_6(&p, &((const struct ip6t_entry *)at)->ipv6);
	take_matches(&p, legacy->entries + entry->offset + entry->matches_offset,
		     entry->target_offset - entry->matches_offset);
	if (!*target_name(entry))
		take_verdict(&p, legacy, entry, is_goto);
	else
		xt_take_target(&p, target_name(entry), entry->target->u.user.revision, info,
			       entry->target->u.target_size - (uint32_t)sizeof(*entry->target));
	if (p.error == 0 && (p.rule.effect != EFFECT_NONE || p.rule.way != WAY_ON))
		p.error = ARRAY_PUSH(&legacy->out->rules, p.rule) < 0 ? -ENOMEM : 0;
	return p.error;
}

/* The last rule of a hook's chain is its policy. */
static bool take_policy(const struct legacy *legacy, const struct entry *entry, size_t chain)
{
	const struct xt_standard_target *standard = (const void *)entry->target;

	if (hook_of(legacy, entry->offset, legacy->info.underflow) < 0 ||
	    entry->target->u.target_size < sizeof(*standard))
		return false;
	legacy->out->chains.items[chain].drops = standard->verdict == -NF_DROP - 1;
	return true;
}

static int take_rules(const struct legacy *legacy)
{
	size_t chain = 0;
	uint64_t number = 0;
	struct entry entry;
	int r = 0;

	for (uint32_t offset = 0; offset < legacy->info.size && r == 0; offset += entry.next_offset) {
		if (!read_entry(legacy, offset, &entry))
			return -EBADMSG;
		size_t begins = chain_at(legacy, offset);
		if (offset == 0 && !begins) /* the kernel's begins with a hook's chain */
			return -EBADMSG;
		if (begins) {
			chain = begins - 1;
			number = 0;
		}
		if (!error_name(&entry) && !take_policy(legacy, &entry, chain))
			r = take_rule(legacy, &entry, chain, ++number);
	}
	return r;
}

static int read_table(const struct legacy_table *table, struct foreign_tables *out)
{
	struct legacy legacy = { .family = table->family,
				 .info = table->info,
				 .entries = (const uint8_t *)table->reply->entrytable,
				 .out = out };
	int r = find_chains(&legacy);

	if (r == 0)
		r = take_rules(&legacy);
	free(legacy.starts.items);
	return r;
}

int doctor_read_legacy(const struct legacy_table *tables, struct foreign_tables *ret)
{
	int r = 0;

	*ret = (struct foreign_tables){ 0 };
	for (; tables && r == 0; tables = tables->next)
		r = read_table(tables, ret);
	return r;
}

/* From the kernel. */

static int take_table(int socket, const char *name, struct legacy_table *table)
{
	int level = table->family == FAMILY_4 ? IPPROTO_IP : IPPROTO_IPV6;
	socklen_t size = sizeof(table->info);

	memcpy(table->info.name, name, strnlen(name, sizeof(table->info.name) - 1));
	if (getsockopt(socket, level, GET_INFO, &table->info, &size) < 0)
		return -errno;
	if (table->info.size > TABLE_MAX)
		return -EFBIG;
	size = (socklen_t)(offsetof(struct ipt_get_entries, entrytable) + table->info.size);
	table->reply = calloc(1, size);
	if (!table->reply)
		return -ENOMEM;
	memcpy(table->reply->name, table->info.name, sizeof(table->reply->name));
	table->reply->size = table->info.size;
	/* -EAGAIN: it was changed in between, which is reported as such. */
	return getsockopt(socket, level, GET_ENTRIES, table->reply, &size) < 0 ? -errno : 0;
}

void doctor_free_legacy(struct legacy_table *tables)
{
	while (tables) {
		struct legacy_table *next = tables->next;
		free(tables->reply);
		free(tables);
		tables = next;
	}
}

int doctor_take_legacy(enum family family, struct legacy_table **ret)
{
	FILE *names = fopen(family == FAMILY_4 ? "/proc/net/ip_tables_names" : "/proc/net/ip6_tables_names", "re");
	char name[XT_TABLE_MAXNAMELEN + 1];
	int r = 0;

	*ret = NULL;
	if (!names)
		return errno == ENOENT ? 0 : -errno;
	int fd = socket(family == FAMILY_4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (fd < 0)
		r = -errno;
	for (int i = 0; i < TABLES_MAX && r == 0 && fgets(name, sizeof(name), names); i++) {
		struct legacy_table *table = calloc(1, sizeof(*table));
		if (!table) {
			r = -ENOMEM;
			break;
		}
		*table = (struct legacy_table){ .next = *ret, .family = family };
		*ret = table;
		name[strcspn(name, "\n")] = '\0';
		r = take_table(fd, name, table);
	}
	if (fd >= 0)
		close(fd);
	fclose(names);
	if (r < 0) {
		doctor_free_legacy(*ret);
		*ret = NULL;
	}
	return r;
}
