/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fate_world.h"
#include "make.h"
#include "random_policy.h"

static const char *const stages[STAGES] = { "early", "pin", "forward", "input", "output" };

static void add_addr(struct values *values, const struct addr *addr)
{
	enum family family = addr->family;
	if (values->addr_count[family] < ADDRS_MAX)
		values->addrs[family][values->addr_count[family]++] = *addr;
	else
		values->addrs[family][roll(ADDRS_MAX)] = *addr;
}

static void add_edges(struct values *values, const struct range *range)
{
	struct addr before = range->first, after = range->last;

	add_addr(values, &range->first);
	add_addr(values, &range->last);
	if (addr_previous(&before))
		add_addr(values, &before);
	if (addr_next(&after))
		add_addr(values, &after);
}

static void add_ranges(struct values *values, const struct ranges *ranges)
{
	for (size_t i = 0; ranges && i < ranges->count; i++)
		add_edges(values, &ranges->items[i]);
}

static void add_list(struct values *values, const struct name_addresses list[FAMILIES])
{
	for (int family = 0; family < FAMILIES; family++)
		for (size_t i = 0; i < list[family].count; i++)
			add_addr(values, &list[family].items[i].addr);
}

static void add_port(struct values *values, unsigned port)
{
	if (values->port_count < PORTS_MAX)
		values->ports[values->port_count++] = (uint16_t)port;
}

static void add_port_edges(struct values *values, const struct port_range *ports, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		add_port(values, ports[i].first - 1u);
		add_port(values, ports[i].first);
		add_port(values, ports[i].last);
		add_port(values, ports[i].last + 1u);
	}
}

void collect(struct values *values, const struct golden_case *g)
{
	static const char *const others[] = { "10.0.0.1", "255.255.255.255", "0.0.0.0", "fe80::1", "ff02::1", "::" };

	*values = (struct values){ 0 };
	for (size_t i = 0; i < COUNT_OF(others); i++)
		add_addr(values, &(struct addr[]){ make_addr(others[i]) }[0]);
	for (size_t r = 0; r < g->policy.role_count; r++) {
		add_ranges(values, &g->policy.roles[r].guarded);
		add_ranges(values, &g->policy.roles[r].members.ranges);
		add_port_edges(values, g->policy.roles[r].ephemeral, g->policy.roles[r].ephemeral_count);
	}
	for (size_t f = 0; f < g->policy.flow_count; f++) {
		add_ranges(values, &g->policy.flows[f].from.ranges);
		add_ranges(values, &g->policy.flows[f].to.ranges);
		add_ranges(values, &g->policy.flows[f].to.opens);
		add_port_edges(values, g->policy.flows[f].ports, g->policy.flows[f].port_count);
	}
	for (size_t n = 0; n < g->names.count; n++)
		add_list(values, g->names.names[n]);
	for (size_t i = 0; i < g->names.granted_count; i++)
		add_list(values, g->names.granted[i].addresses);
	add_ranges(values, &g->gateway);
	add_ranges(values, &g->broadcasts);
	add_ranges(values, &g->policy.nat_except);
	add_ranges(values, &g->policy.resolvers);
	add_port(values, DNS_PORT);
	for (int i = 0; i < 4; i++)
		add_port(values, roll(65536));
}

static struct addr some_addr(const struct values *values, const struct golden_case *g, enum family family)
{
	const struct ranges *protected = &g->policy.protected_all, *own = &g->gateway;

	for (int tries = 0; tries < 4; tries++) {
		const struct ranges *from = roll(2) ? protected : roll(6) ? NULL : own;
		const struct range *range = from && from->count ? &from->items[roll((unsigned)from->count)] : NULL;
		if (range && range->first.family == family)
			return roll(2) ? range->first : range->last;
		if (!from)
			break;
	}
	return values->addrs[family][roll((unsigned)values->addr_count[family])];
}

static uint16_t a_port(const struct values *values)
{
	return values->ports[roll((unsigned)values->port_count)];
}

struct fate_packet random_packet(const struct values *values, const struct golden_case *g)
{
	static const uint8_t protocols[] = { 6, 6, 6, 6, 17, 17, 1, 58, 132, 50 }, hops[] = { 1, 64, 254, 255 };
	static const uint8_t types[] = { 0, 3, 8, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 143, 144 };
	static const char *const interfaces[] = { "lan", "lan", "wan", "lo", "dmz", "br0", "vrf" };
	static const uint32_t states[] = { CT_NEW, CT_NEW, CT_NEW, CT_RELATED, CT_INVALID, CT_UNTRACKED };
	enum family family = roll(2);
	struct fate_packet p = {
		.source = some_addr(values, g, family),
		.target = some_addr(values, g, family),
		.original = some_addr(values, g, family),
		.protocol = protocols[roll(COUNT_OF(protocols))],
		.source_port = a_port(values),
		.target_port = a_port(values),
		.original_port = a_port(values),
		.syn = roll(2),
		.rst = roll(4) == 0,
		.icmp_type = types[roll(COUNT_OF(types))],
		.hop_limit = hops[roll(COUNT_OF(hops))],
		.packet_type = (uint8_t)(roll(2) ? 0 : roll(4)),
		.fib = (uint8_t)roll(3),
		.source_route = family == FAMILY_4 && roll(8) == 0,
		.segments_left = family == FAMILY_6 && roll(8) == 0,
		.state = states[roll(COUNT_OF(states))],
		.dnat = roll(3) == 0,
		.reply = roll(4) == 0,
		.in = interfaces[roll(COUNT_OF(interfaces))],
		.out = interfaces[roll(COUNT_OF(interfaces))],
		.cut_in = roll(8) == 0,
		.cut_out = roll(8) == 0,
		.cut_full = roll(6) == 0,
	};
	if (roll(4) == 0)
		p.original_port = DNS_PORT;
	if (roll(8) == 0 && g->policy.resolvers.count) {
		struct addr resolver = g->policy.resolvers.items[roll((unsigned)g->policy.resolvers.count)].first;
		if (resolver.family == family)
			p.original = resolver;
		p.original_port = DNS_PORT;
		p.protocol = 17;
	}
	return p;
}

struct vm_packet vm_packet_of(const struct fate_packet *p, enum fate_stage stage)
{
	struct vm_packet out = {
		.ipv6 = p->source.family == FAMILY_6,
		.protocol = p->protocol,
		.source_port = p->source_port,
		.target_port = p->target_port,
		.syn = p->syn,
		.rst = p->rst,
		.icmp_type = p->icmp_type,
		.hop_limit = p->hop_limit,
		.ip_option = p->source_route ? (p->target_port & 1 ? 131 : 137) : 0,
		.routing = p->segments_left,
		.segments_left = p->segments_left ? (uint8_t)(1 + p->target_port % 255) : 0,
		.state = stage < STAGE_FORWARD ? CT_INVALID : p->state, /* not tracked yet: invalid, for the kernel */
		.status = p->dnat ? CT_STATUS_DNAT : 0,
		.reply = p->reply,
		.original_port = p->original_port,
		.interface = stage == STAGE_OUTPUT ? NULL : p->in,
		.way_out = stage == STAGE_FORWARD || stage == STAGE_OUTPUT ? p->out : NULL,
		.packet_type = p->packet_type,
		.to_local = p->fib == FIB_LOCAL,
		.to_other = p->fib == FIB_UNICAST,
		.cut_in = p->cut_in,
		.cut_out = p->cut_out,
		.cut_full = p->cut_full,
	};
	memcpy(out.source, p->source.bytes, 16);
	memcpy(out.target, p->target.bytes, 16);
	memcpy(out.original, p->original.bytes, 16);
	return out;
}

static size_t counted(const struct vm_result *vm, const char *counter)
{
	size_t count = 0;
	for (size_t i = 0; i < vm->counter_count; i++)
		count += strcmp(vm->counters[i], counter) == 0;
	return count;
}

static bool is_copied(const struct vm_result *vm, const char *prefix)
{
	for (size_t i = 0; i < vm->log_count; i++)
		if (strcmp(vm->logs[i], prefix) == 0)
			return true;
	return false;
}

const char *difference(const struct fate *fate, const struct vm_result *vm, bool limited)
{
	enum action action = limited && fate->at_a_rate ? ACTION_DROP : (enum action)fate->action;
	char name[FATE_COUNTER_MAX];
	size_t all = 0;

	if (vm->error)
		return vm->error;
	if (vm->action != action)
		return "it ends otherwise";
	if (!limited && is_copied(vm, "spefw denied-name ") != fate->for_name)
		return "it is copied for a name, or is not";
	if (vm->pinned != fate->pinned)
		return "it is pinned, or is not";
	for (enum fate_counter counter = 0; counter < COUNTS; counter++) {
		size_t count = fate->counts[counter] + (counter == COUNT_UNOBSERVED && limited && fate->copied);
		if (count && counted(vm, fate_counter(counter, fate->flow, name)) != count)
			return "it is counted otherwise";
		all += count;
	}
	return vm->counter_count == all ? NULL : "it is counted by more";
}

void describe(const struct fate_packet *p, enum fate_stage stage, const struct fate *fate, const struct vm_result *vm,
	      const char *what)
{
	char source[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX], original[ADDR_TEXT_MAX], name[FATE_COUNTER_MAX];

	print_error("%s: protocol %u %s:%u -> %s:%u (original %s:%u%s%s) state %u%s%s type %u hops %u packet %u fib %u "
		    "in %s out %s%s%s%s%s%s: %s\n",
		    stages[stage], p->protocol, addr_format(&p->source, source), p->source_port,
		    addr_format(&p->target, target), p->target_port, addr_format(&p->original, original),
		    p->original_port, p->dnat ? ", dnat" : "", p->reply ? ", reply" : "", p->state,
		    p->syn ? " syn" : "", p->rst ? " rst" : "", p->icmp_type, p->hop_limit, p->packet_type, p->fib,
		    p->in, p->out, p->source_route ? " source route" : "", p->segments_left ? " segments left" : "",
		    p->cut_in ? " cut in" : "", p->cut_out ? " cut out" : "", p->cut_full ? " cut full" : "", what);
	print_error("policy: action %d reason %d%s, counted by", fate->action, fate->reason,
		    fate->pinned ? ", pinned" : "");
	for (enum fate_counter counter = 0; counter < COUNTS; counter++)
		for (unsigned n = fate->counts[counter]; n > 0; n--)
			print_error(" %s", fate_counter(counter, fate->flow, name));
	print_error("; ruleset: action %d%s, counted by", vm->action, vm->pinned ? ", pinned" : "");
	for (size_t i = 0; i < vm->counter_count; i++)
		print_error(" %s", vm->counters[i]);
	print_error("\n");
}

static void give(struct interface_list *list, const char *name)
{
	list->names = realloc(list->names, (list->count + 1) * sizeof(*list->names));
	assert_non_null(list->names);
	memset(list->names[list->count], 0, sizeof(*list->names));
	snprintf(list->names[list->count++], sizeof(*list->names), "%s", name);
}

void random_environment(struct golden_case *g)
{
	bool changed;

	g->gateway = make_ranges(roll(2) ? "10.0.0.1 fd00::1" : "10.0.0.1 10.0.0.20 fd00::1 fd00::14");
	g->broadcasts = make_ranges(roll(3) ? "10.0.0.31" : "");
	assert_int_equal(policy_leave_out(&g->policy, &g->gateway, &changed), 0);
	g->names = random_names(&g->policy);
	add_random_grants(&g->policy, &g->names);
	g->interfaces = calloc(g->policy.role_count + 1, sizeof(*g->interfaces));
	assert_non_null(g->interfaces);
	for (size_t r = 0; r < g->policy.role_count; r++)
		for (unsigned n = 0, of = roll(4); n < 2 && g->policy.roles[r].is_protected; n++)
			if (of >> n & 1)
				give(&g->interfaces[r], n ? "dmz" : "lan");
	if (roll(3))
		give(&g->towards, "lan");
	if (roll(2))
		give(&g->own_interfaces, roll(2) ? "br0" : "vrf");
	if (roll(3))
		give(&g->resolvers, roll(2) ? "wan" : "dmz");
	g->environment = (struct environment){ .gateway = &g->gateway,
					       .role_interfaces = g->interfaces,
					       .names = &g->names,
					       .towards = g->towards,
					       .own_interfaces = g->own_interfaces,
					       .broadcasts = roll(6) ? &g->broadcasts : NULL,
					       .resolvers = roll(6) ? &g->resolvers : NULL };
}
