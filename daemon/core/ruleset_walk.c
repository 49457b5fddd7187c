/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ruleset_walk.h"

#include <string.h>

enum { DEPTH_MAX = 16, HOP_LIMIT = 64 };

struct walker {
	const struct ruleset *ruleset;
	const struct packet *packet;
	enum hook hook;
	bool unknown;
	struct walk *walk;
};

static uint8_t protocol_byte(const struct packet *packet)
{
	switch (packet->protocol) {
	case PROTOCOL_TCP: return IPPROTO_TCP_;
	case PROTOCOL_UDP: return IPPROTO_UDP_;
	default: return packet->source.family == FAMILY_4 ? IPPROTO_ICMP_ : IPPROTO_ICMPV6_;
	}
}

static bool put_port(uint16_t port, uint8_t ret[KEY_SIZE_MAX])
{
	ret[0] = (uint8_t)(port >> 8);
	ret[1] = (uint8_t)port;
	return true;
}

static bool put_addr(const struct addr *addr, enum family family, uint8_t ret[KEY_SIZE_MAX])
{
	memcpy(ret, addr->bytes, addr_size(family));
	return addr->family == family;
}

/* The bytes of a field; false where the packet has no such field, and no term about it matches. */
static bool load(const struct packet *p, enum field field, uint8_t ret[KEY_SIZE_MAX])
{
	bool tcp = p->protocol == PROTOCOL_TCP, udp = p->protocol == PROTOCOL_UDP, ipv6 = p->source.family == FAMILY_6;

	memset(ret, 0, KEY_SIZE_MAX);
	switch (field) {
	case FIELD_IP_SADDR: return put_addr(&p->source, FAMILY_4, ret);
	case FIELD_IP6_SADDR: return put_addr(&p->source, FAMILY_6, ret);
	case FIELD_IP_DADDR:
	case FIELD_CT_IP_DADDR: return put_addr(&p->target, FAMILY_4, ret);
	case FIELD_IP6_DADDR:
	case FIELD_CT_IP6_DADDR: return put_addr(&p->target, FAMILY_6, ret);
	case FIELD_CT_DPORT: return put_port(p->target_port, ret) && (tcp || udp);
	case FIELD_TCP_SPORT: return put_port(p->source_port, ret) && tcp;
	case FIELD_UDP_SPORT: return put_port(p->source_port, ret) && udp;
	case FIELD_TCP_DPORT: return put_port(p->target_port, ret) && tcp;
	case FIELD_UDP_DPORT: return put_port(p->target_port, ret) && udp;
	case FIELD_TCP_SYN_ACK: ret[0] = 1; return tcp;
	case FIELD_TCP_RST: return tcp;
	case FIELD_L4PROTO: ret[0] = protocol_byte(p); return true;
	case FIELD_ICMP_TYPE: ret[0] = ICMP_ECHO_REQUEST; return !ipv6 && !tcp && !udp;
	case FIELD_ICMPV6_TYPE: ret[0] = ICMPV6_ECHO_REQUEST; return ipv6 && !tcp && !udp;
	case FIELD_IP6_HOPLIMIT: ret[0] = HOP_LIMIT; return ipv6;
	case FIELD_IP6_NEXTHDR: ret[0] = protocol_byte(p); return ipv6;
	case FIELD_FIRST_BYTE: ret[0] = ipv6 ? 0x60 : 0x45; return true;
	case FIELD_CT_DIRECTION:
	case FIELD_PKTTYPE: return true; /* of who opens it; to this host */
	default: return false;           /* options, further headers */
	}
}

static bool matches(const struct walker *w, const struct term *term)
{
	uint8_t value[KEY_SIZE_MAX];

	switch (term->field) {
	case FIELD_CT_STATE: return term->bits & CT_NEW;
	case FIELD_CT_STATUS: return term->negate;
	case FIELD_FIB_LOCAL: return (w->hook == HOOK_INPUT) != term->negate;
	case FIELD_FIB_UNICAST: return (w->hook != HOOK_INPUT) != term->negate;
	case FIELD_TCP_SYN_ACK:
	case FIELD_TCP_RST: return load(w->packet, (enum field)term->field, value) && value[0] != term->negate;
	default: break;
	}
	if (!load(w->packet, (enum field)term->field, value))
		return false;
	size_t size = field_size((enum field)term->field);
	return (memcmp(value, term->first, size) >= 0 && memcmp(value, term->last, size) <= 0) != term->negate;
}

static const struct element *find(const struct set *set, const uint8_t *key)
{
	size_t size = key_size(set->type), low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (memcmp(key, set->items[middle].first, size) < 0)
			high = middle;
		else if (memcmp(key, set->items[middle].last, size) > 0)
			low = middle + 1;
		else
			return &set->items[middle];
	}
	return NULL;
}

static void run_chain(struct walker *w, const char *name, unsigned depth);

/* True where the chain is left. */
static bool act(struct walker *w, enum action action, const char *to, const char *chain, size_t rule, unsigned depth)
{
	if (action == ACTION_RETURN)
		return true;
	if (action == ACTION_JUMP || action == ACTION_GOTO) {
		run_chain(w, to, depth + (action == ACTION_JUMP));
		return action == ACTION_GOTO || w->unknown || w->walk->action != ACTION_NONE;
	}
	w->walk->action = action;
	w->walk->chain = chain;
	w->walk->rule = rule;
	return true;
}

/* A term that looks something up: whether the rule goes on. *ret is the element of a map. Of interfaces the packet has
 * the right one. */
static bool look_up(struct walker *w, const struct term *term, const struct element **ret)
{
	const struct set *set = ruleset_find_set(w->ruleset, term->name);
	uint8_t value[KEY_SIZE_MAX];

	*ret = NULL;
	if (set && set->flags & SET_KEPT)
		return term->negate;
	if (set && set->type == KEY_INTERFACE)
		return !term->negate && w->hook != HOOK_OUTPUT;
	if (!set || key_size(set->type) != field_size((enum field)term->field)) {
		w->unknown = true;
		return false;
	}
	if (!load(w->packet, (enum field)term->field, value))
		return false;
	*ret = find(set, value);
	return (*ret != NULL) != term->negate;
}

/* Whether the rule goes on after this term; *ret_left: the chain is left. */
static bool run_term(struct walker *w, const struct term *term, const char *chain, size_t rule, unsigned depth,
		     bool *ret_left)
{
	const struct element *element;

	switch (term->kind) {
	case TERM_MATCH: return matches(w, term);
	case TERM_IN: return look_up(w, term, &element);
	case TERM_MAP:
		if (!look_up(w, term, &element) || !element)
			return false;
		*ret_left = act(w, (enum action)element->action, element->chain, chain, rule, depth);
		return !*ret_left;
	case TERM_COUNTER: w->walk->counter = term->name; return true;
	case TERM_ACTION:
		*ret_left = act(w, (enum action)term->action, term->name, chain, rule, depth);
		return !*ret_left;
	default: return true; /* copies, and what is pinned to the target that it has */
	}
}

static void run_chain(struct walker *w, const char *name, unsigned depth)
{
	const struct chain *chain = name ? ruleset_find_chain(w->ruleset, name) : NULL;

	if (!chain || chain->altered || depth > DEPTH_MAX) {
		w->unknown = true;
		return;
	}
	if (w->walk->path_count < WALK_CHAINS)
		w->walk->path[w->walk->path_count++] = chain->name;
	for (size_t r = 0; r < chain->count; r++) {
		bool left = false;
		for (size_t t = 0; t < chain->items[r].count; t++)
			if (!run_term(w, &chain->items[r].items[t], chain->name, r, depth, &left))
				break;
		if (left || w->unknown)
			return;
	}
}

/* The base chains of a hook by their priority: of ours, no two have the same. */
static const struct chain *next_base(const struct ruleset *ruleset, enum hook hook, const struct chain *after)
{
	const struct chain *next = NULL;

	for (size_t i = 0; i < ruleset->chains.count; i++) {
		const struct chain *chain = &ruleset->chains.items[i];
		if (chain->hook == hook && (!after || chain->priority > after->priority) &&
		    (!next || chain->priority < next->priority))
			next = chain;
	}
	return next;
}

bool ruleset_walk(const struct ruleset *ruleset, enum hook hook, const struct packet *packet, struct walk *ret)
{
	const enum hook hooks[] = { hook == HOOK_OUTPUT ? HOOK_NONE : HOOK_PREROUTING, hook };
	struct walker w = { .ruleset = ruleset, .packet = packet, .hook = hook, .walk = ret };
	bool any = false;

	*ret = (struct walk){ .action = ACTION_NONE };
	for (int i = 0; i < 2; i++) {
		const struct chain *base = NULL;
		while (hooks[i] != HOOK_NONE && (ret->action == ACTION_NONE || ret->action == ACTION_ACCEPT) &&
		       (base = next_base(ruleset, hooks[i], base))) {
			*ret = (struct walk){ .action = ACTION_NONE };
			run_chain(&w, base->name, 0);
			any = i == 1 || ret->action == ACTION_DROP;
		}
	}
	if (ret->action == ACTION_NONE)
		ret->action = ACTION_ACCEPT;
	return any && !w.unknown;
}
