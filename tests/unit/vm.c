/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vm.h"

#include <string.h>

enum { DEPTH_MAX = 16 }; /* of jumps, as the kernel has it */

struct vm {
	const struct ruleset *ruleset;
	const struct vm_packet *packet;
	struct vm_result result;
};

static void put_name(uint8_t ret[16], const char *name)
{
	strncpy((char *)ret, name ? name : "", 15);
}

static bool is_tracked(const struct vm_packet *p)
{
	return !(p->state & (CT_INVALID | CT_UNTRACKED));
}

/* The bytes of a field; false where the packet has no such thing, and so nothing matches. */
static bool load(const struct vm_packet *p, enum field field, uint8_t ret[16])
{
	bool tcp = p->protocol == 6, udp = p->protocol == 17;

	memset(ret, 0, 16);
	switch (field) {
	case FIELD_IP_SADDR:
	case FIELD_IP6_SADDR: memcpy(ret, p->source, 16); return p->ipv6 == (field == FIELD_IP6_SADDR);
	case FIELD_IP_DADDR:
	case FIELD_IP6_DADDR: memcpy(ret, p->target, 16); return p->ipv6 == (field == FIELD_IP6_DADDR);
	case FIELD_CT_IP_DADDR:
	case FIELD_CT_IP6_DADDR:
		memcpy(ret, p->original, 16);
		return is_tracked(p) && p->ipv6 == (field == FIELD_CT_IP6_DADDR);
	case FIELD_CT_DPORT:
		ret[0] = (uint8_t)(p->original_port >> 8);
		ret[1] = (uint8_t)p->original_port;
		return is_tracked(p);
	case FIELD_TCP_SPORT:
	case FIELD_UDP_SPORT:
		ret[0] = (uint8_t)(p->source_port >> 8);
		ret[1] = (uint8_t)p->source_port;
		return field == FIELD_TCP_SPORT ? tcp : udp;
	case FIELD_TCP_DPORT:
	case FIELD_UDP_DPORT:
		ret[0] = (uint8_t)(p->target_port >> 8);
		ret[1] = (uint8_t)p->target_port;
		return field == FIELD_TCP_DPORT ? tcp : udp;
	case FIELD_TCP_SYN_ACK: ret[0] = p->syn; return tcp;
	case FIELD_TCP_RST: ret[0] = p->rst; return tcp;
	case FIELD_L4PROTO: ret[0] = p->protocol; return true;
	case FIELD_ICMP_TYPE: ret[0] = p->icmp_type; return !p->ipv6 && p->protocol == 1;
	case FIELD_ICMPV6_TYPE: ret[0] = p->icmp_type; return p->ipv6 && p->protocol == 58;
	case FIELD_IP6_HOPLIMIT: ret[0] = p->hop_limit; return p->ipv6;
	case FIELD_IP6_NEXTHDR: ret[0] = p->extension ? p->extension : p->routing ? 43 : p->protocol; return p->ipv6;
	case FIELD_FIRST_BYTE: ret[0] = p->ipv6 ? 0x60 : p->ip_option ? 0x46 : 0x45; return true;
	case FIELD_IP_LSRR:
	case FIELD_IP_SSRR: ret[0] = p->ip_option == (field == FIELD_IP_LSRR ? 131 : 137); return !p->ipv6;
	case FIELD_ROUTING: ret[0] = p->routing; return p->ipv6;
	case FIELD_SEGMENTS_LEFT: ret[0] = p->segments_left; return p->ipv6 && p->routing;
	case FIELD_OIFNAME: put_name(ret, p->way_out); return true;
	case FIELD_CT_DIRECTION: ret[0] = p->reply; return is_tracked(p);
	case FIELD_IIFNAME: put_name(ret, p->interface); return true;
	case FIELD_PKTTYPE: ret[0] = p->packet_type; return true;
	case FIELD_FIB_LOCAL: ret[0] = p->to_local; return true;
	case FIELD_FIB_UNICAST: ret[0] = p->to_other; return true;
	default: return false;
	}
}

/* Without an operand: it is so, or it is not. */
static bool is_flag(enum field field)
{
	return field == FIELD_TCP_SYN_ACK || field == FIELD_TCP_RST || field == FIELD_FIB_LOCAL ||
	       field == FIELD_FIB_UNICAST || field == FIELD_IP_LSRR || field == FIELD_IP_SSRR || field == FIELD_ROUTING;
}

static bool match(const struct vm *vm, const struct term *term)
{
	uint8_t value[16];

	if (term->field == FIELD_CT_STATE)
		return ((vm->packet->state & term->bits) != 0) != term->negate;
	if (term->field == FIELD_CT_STATUS)
		return is_tracked(vm->packet) && ((vm->packet->status & term->bits) != 0) != term->negate;
	if (!load(vm->packet, (enum field)term->field, value))
		return false;
	if (is_flag((enum field)term->field))
		return (value[0] != 0) != term->negate;
	size_t size = field_size((enum field)term->field);
	bool inside = memcmp(value, term->first, size) >= 0 && memcmp(value, term->last, size) <= 0;
	return inside != term->negate;
}

static const struct element *find(const struct set *set, const uint8_t *key)
{
	size_t size = key_size(set->type);

	for (size_t i = 0; i < set->count; i++)
		if (memcmp(key, set->items[i].first, size) >= 0 && memcmp(key, set->items[i].last, size) <= 0)
			return &set->items[i];
	return NULL;
}

/* What the kernel holds beside the ruleset. */
static bool is_in_kept(const struct vm *vm, const struct term *term)
{
	const struct vm_packet *p = vm->packet;
	bool tcp = p->protocol == 6;

	switch (term->field) {
	case FIELD_L4PROTO: return (tcp && p->cut_full) != term->negate;
	case FIELD_IP_TARGET_FIRST:
	case FIELD_IP6_TARGET_FIRST:
		return tcp && p->ipv6 == (term->field == FIELD_IP6_TARGET_FIRST) && p->cut_in != term->negate;
	default: return tcp && p->ipv6 == (term->field == FIELD_IP6_SOURCE_FIRST) && p->cut_out != term->negate;
	}
}

static void run_chain(struct vm *vm, const char *name, int depth);

/* True where the chain is left. */
static bool act(struct vm *vm, enum action action, const char *chain, int depth)
{
	switch (action) {
	case ACTION_JUMP: run_chain(vm, chain, depth + 1); return vm->result.action != ACTION_NONE || vm->result.error;
	case ACTION_GOTO: run_chain(vm, chain, depth); return true;
	case ACTION_RETURN: return true;
	case ACTION_RESET:
		if (vm->packet->protocol != 6) /* the kernel asserts it first */
			return false;
		vm->result.action = action;
		return true;
	default: vm->result.action = action; return true;
	}
}

static const struct set *set_of(struct vm *vm, const struct term *term)
{
	const struct set *set = ruleset_find_set(vm->ruleset, term->name);

	if (!set)
		vm->result.error = term->name;
	else if (key_size(set->type) != field_size((enum field)term->field) ||
		 (term->kind == TERM_MAP) != ((set->flags & SET_VERDICTS) != 0))
		vm->result.error = "a set of another form";
	else
		return set;
	return NULL;
}

/* Whether the rule goes on after this term; *ret_left: the chain is left. */
static bool run_term(struct vm *vm, const struct term *term, int depth, bool *ret_left)
{
	const struct element *element;
	const struct set *set;
	uint8_t value[16];

	switch (term->kind) {
	case TERM_MATCH: return match(vm, term);
	case TERM_IN:
	case TERM_MAP:
		set = set_of(vm, term);
		if (set && set->flags & SET_KEPT)
			return is_in_kept(vm, term);
		if (!set || !load(vm->packet, (enum field)term->field, value))
			return false;
		element = find(set, value);
		if (term->kind == TERM_IN)
			return (element != NULL) != term->negate;
		if (!element)
			return false;
		*ret_left = act(vm, (enum action)element->action, element->chain, depth);
		return !*ret_left;
	case TERM_COUNTER:
		if (!ruleset_has_counter(vm->ruleset, term->name))
			vm->result.error = term->name;
		if (vm->result.counter_count < VM_COUNTERS)
			vm->result.counters[vm->result.counter_count++] = term->name;
		return true;
	case TERM_LOG:
		if (vm->result.log_count < VM_COUNTERS)
			vm->result.logs[vm->result.log_count++] = term->name;
		return true;
	case TERM_ACTION: *ret_left = act(vm, (enum action)term->action, term->name, depth); return !*ret_left;
	case TERM_LIMIT: return !vm->packet->limited;
	case TERM_PIN:
		if (vm->packet->ipv6 != (term->field == FIELD_IP6_DADDR)) /* the kernel asserts it first */
			return false;
		vm->result.pinned = true;
		vm->result.action = ACTION_ACCEPT;
		*ret_left = true;
		return false;
	default: vm->result.error = "an unknown term"; return false;
	}
}

static void run_chain(struct vm *vm, const char *name, int depth)
{
	const struct chain *chain = name ? ruleset_find_chain(vm->ruleset, name) : NULL;

	if (!chain || depth > DEPTH_MAX) {
		vm->result.error = chain ? "too deep" : name ? name : "no chain";
		return;
	}
	for (size_t r = 0; r < chain->count; r++) {
		bool left = false;
		for (size_t t = 0; t < chain->items[r].count; t++)
			if (!run_term(vm, &chain->items[r].items[t], depth, &left))
				break;
		if (left || vm->result.error)
			return;
	}
}

struct vm_result vm_run(const struct ruleset *ruleset, const char *base_chain, const struct vm_packet *packet)
{
	struct vm vm = { ruleset, packet, { .action = ACTION_NONE } };

	run_chain(&vm, base_chain, 0);
	if (vm.result.action == ACTION_NONE) {
		vm.result.action = ACTION_ACCEPT;
		vm.result.fell_through = true;
	}
	return vm.result;
}
