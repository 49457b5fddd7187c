/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compile_parts.h"
#include "array.h"

#include <stdlib.h>

/* For each direction and protocol of a role a map leads from the port to a chain that holds the flows of this port,
 * most specific first: O(1) in flows. */

static const struct direction_form direction_forms[] = {
	[TO_ROLE] = { "in", true, false, false, false, NULL, false },
	[FROM_ROLE] = { "out", false, true, false, false, NULL, false },
	[MIDSTREAM_IN] = { "midstream_in", true, false, false, true, "deny_in", false },
	[MIDSTREAM_OUT_REPLY] = { "midstream_out_reply", true, true, true, true, NULL, false },
	[MIDSTREAM_OUT] = { "midstream_out", false, true, false, true, "deny_out", false },
	[MIDSTREAM_IN_REPLY] = { "midstream_in_reply", false, false, true, true, "deny_in", false },
	[PIN_IN] = { "pin_in", true, false, false, false, NULL, true },
	[PIN_OUT] = { "pin_out", false, true, false, false, NULL, true },
};

static const char *const protocol_labels[] = { "tcp", "udp", "icmp-echo" };

static void list(struct compiler *c, struct flow_refs *refs, const struct policy_flow *flow)
{
	if (ARRAY_PUSH(refs, flow) < 0)
		c->out->failed = true;
}

static void list_flows(struct compiler *c, const struct policy_role *role, struct listed_flows *ret)
{
	ret->known = true;
	for (size_t i = 0; i < c->policy->flow_count; i++) {
		const struct policy_flow *flow = &c->policy->flows[i];
		if (flow_opens_role(flow, role))
			list(c, &ret->in, flow);
		if (flow_leaves_role(flow, role) && (flow->to.any || flow->to.name_count ||
						     !ranges_cover_all(&c->policy->protected_all, &flow->to.ranges)))
			list(c, &ret->out, flow);
	}
}

/* The flows that are judged for the role in this direction. A flow that goes to protected addresses alone is judged
 * where they are. */
static const struct flow_refs *flows_of(struct compiler *c, const struct policy_role *role, enum direction direction)
{
	static const struct flow_refs none;

	if (!c->listed)
		c->listed = calloc(c->policy->role_count, sizeof(*c->listed));
	if (!c->listed) {
		c->out->failed = true;
		return &none;
	}
	struct listed_flows *listed = &c->listed[role - c->policy->roles];
	if (!listed->known)
		list_flows(c, role, listed);
	return direction_forms[direction].opens ? &listed->in : &listed->out;
}

void free_listed(struct compiler *c)
{
	for (size_t r = 0; c->listed && r < c->policy->role_count; r++) {
		free(c->listed[r].in.items);
		free(c->listed[r].out.items);
	}
	free(c->listed);
}

/* The flows of one port (0: icmp-echo), in their own chain. */
static void add_port_chain(struct compiler *c, const struct policy_role *role, enum direction direction,
			   enum protocol protocol, uint16_t port, const char *name)
{
	const struct direction_form *form = &direction_forms[direction];
	struct chain *chain = ruleset_chain(c->out, name);
	const struct flow_refs *flows = flows_of(c, role, direction);
	bool named = false;

	for (size_t i = 0; i < flows->count; i++) {
		const struct policy_flow *flow = flows->items[i];
		if (!flow_has_port(flow, protocol, port))
			continue;
		if (add_flow_rules(c, chain, role, flow, form))
			return;
		named |= (direction == FROM_ROLE || direction == MIDSTREAM_OUT) && flow->to.name_count > 0;
	}
	/* The daemon gets a copy of what no named target let through: a fresh answer might cure the denial. */
	if (named)
		rule_limited_log(c, chain_rule(c->out, chain), NAME_DENIAL_RATE, "spefw denied-name ");
	if (form->deny)
		rule_action(c, chain_rule(c->out, chain), ACTION_GOTO, form->deny);
	else if (direction == FROM_ROLE && named &&
		 is_answered(c, role)) /* the next attempt may pass: it has to come */
		rule_action(c, chain_rule(c->out, chain), ACTION_GOTO, "deny_out");
	/* Sources of one family and targets of the other: a chain without rules is taken for one that was emptied. */
	else if (chain && !chain->count)
		rule_action(c, chain_rule(c->out, chain), ACTION_RETURN, NULL);
}

/* Whether a flow lets all mid-stream packets of this port pass, or all its connections be pinned: then one chain, or
 * rule, serves all such ports. */
static bool all_pass(struct compiler *c, const struct policy_role *role, enum direction direction,
		     enum protocol protocol, uint16_t port)
{
	const struct direction_form *form = &direction_forms[direction];
	const struct flow_refs *flows = flows_of(c, role, direction);

	if (!form->mid_stream && !form->pins)
		return false;
	for (size_t i = 0; i < flows->count; i++) {
		const struct policy_flow *flow = flows->items[i];
		if (flow_has_port(flow, protocol, port) && own_is_all(role, flow, form) &&
		    (form->opens ? flow->from.any : flow->to.any))
			return true;
	}
	return false;
}

/* The ports at which the set of flows may change: where one begins, and right after where one ends. */
struct edges {
	uint32_t *items;
	size_t count, capacity;
};

static int edge_order(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static void collect_edges(struct compiler *c, const struct policy_role *role, enum direction direction,
			  enum protocol protocol, struct edges *ret)
{
	const struct flow_refs *flows = flows_of(c, role, direction);
	size_t capacity = 0;

	*ret = (struct edges){ 0 };
	for (size_t i = 0; i < flows->count; i++)
		capacity += 2 * flows->items[i]->port_count;
	ret->items = malloc((capacity + 1) * sizeof(*ret->items));
	if (!ret->items) {
		c->out->failed = true;
		return;
	}
	for (size_t i = 0; i < flows->count; i++) {
		const struct policy_flow *flow = flows->items[i];
		if (!(flow->protocols & 1u << protocol))
			continue;
		for (size_t p = 0; p < flow->port_count; p++) {
			ret->items[ret->count++] = flow->ports[p].first;
			ret->items[ret->count++] = flow->ports[p].last + 1u;
		}
	}
	qsort(ret->items, ret->count, sizeof(*ret->items), edge_order);
	size_t unique = 0;
	for (size_t i = 0; i < ret->count; i++)
		if (!unique || ret->items[unique - 1] != ret->items[i])
			ret->items[unique++] = ret->items[i];
	ret->count = unique;
}

bool any_flow_at(struct compiler *c, const struct policy_role *role, enum direction direction, enum protocol protocol,
		 uint16_t port)
{
	const struct flow_refs *flows = flows_of(c, role, direction);

	for (size_t i = 0; i < flows->count; i++)
		if (flow_has_port(flows->items[i], protocol, port))
			return true;
	return false;
}

bool any_flow_of(struct compiler *c, const struct policy_role *role, enum direction direction, enum protocol protocol)
{
	const struct flow_refs *flows = flows_of(c, role, direction);

	for (size_t i = 0; i < flows->count; i++)
		if (flows->items[i]->protocols & 1u << protocol)
			return true;
	return false;
}

bool any_flow_between(struct compiler *c, const struct policy_role *role)
{
	const struct flow_refs *flows = flows_of(c, role, MIDSTREAM_OUT_REPLY);

	for (size_t i = 0; i < flows->count; i++) {
		const struct policy_flow *flow = flows->items[i];
		if (flow->protocols & 1u << PROTOCOL_TCP &&
		    (flow->from.any || ranges_overlap_any(&flow->from.ranges, &c->policy->protected_all)))
			return true;
	}
	return false;
}

bool any_port_range(struct compiler *c, const struct policy_role *role, enum direction direction)
{
	const struct flow_refs *flows = flows_of(c, role, direction);

	for (size_t i = 0; i < flows->count; i++) {
		const struct policy_flow *flow = flows->items[i];
		if (!(flow->protocols & 1u << PROTOCOL_TCP))
			continue;
		for (size_t p = 0; p < flow->port_count; p++)
			if (flow->ports[p].first != flow->ports[p].last)
				return true;
	}
	return false;
}

void add_ports(struct compiler *c, const char *set_name, unsigned flags, uint16_t first, uint16_t last,
	       enum action action, const char *chain)
{
	struct element element = { .first = { first >> 8, first & 0xff },
				   .last = { last >> 8, last & 0xff },
				   .action = action,
				   .chain = chain };
	struct set *set = set_name ? made_set(c, set_name) : NULL;

	if (!set)
		set = ruleset_set(c->out, set_name, KEY_PORT, flags);
	set_add(c->out, set, &element);
}

/* The map of a direction and protocol, with its chains. ports: also a plain set of all its ports, or NULL; where it
 * pins, of those where all connections pass, and the map is of the others. False: no flow, nothing was made. */
bool add_port_map(struct compiler *c, const struct policy_role *role, enum direction direction, enum protocol protocol,
		  const char *ports)
{
	const struct direction_form *form = &direction_forms[direction];
	const char *map = ruleset_string(c->out, "%s_%s_%s", role->name, form->label, protocol_labels[protocol]);
	unsigned flags = ports && any_port_range(c, role, direction) ? SET_INTERVAL : 0;
	struct edges edges;

	collect_edges(c, role, direction, protocol, &edges);
	for (size_t i = 0; i + 1 < edges.count; i++) {
		uint16_t first = (uint16_t)edges.items[i], last = (uint16_t)(edges.items[i + 1] - 1);
		if (!any_flow_at(c, role, direction, protocol, first))
			continue;
		if (direction == PIN_OUT && first == DNS_PORT && last == DNS_PORT)
			continue;
		const char *chain = "midstream";
		bool all = all_pass(c, role, direction, protocol, first);
		if (ports && (all || !form->pins))
			add_ports(c, ports, flags, first, last, ACTION_NONE, NULL);
		if (all && form->pins)
			continue;
		if (!all) {
			chain = first == last ? ruleset_string(c->out, "%s_%u", map, first)
					      : ruleset_string(c->out, "%s_%u-%u", map, first, last);
			add_port_chain(c, role, direction, protocol, first, chain);
		}
		add_ports(c, map, SET_INTERVAL | SET_VERDICTS, first, last, form->deny ? ACTION_GOTO : ACTION_JUMP,
			  chain);
	}
	free(edges.items);
	return edges.count > 0;
}

void rule_port_map(struct compiler *c, struct chain *chain, const struct policy_role *role, enum direction direction,
		   enum protocol protocol)
{
	enum field field = protocol == PROTOCOL_UDP                    ? FIELD_UDP_DPORT
			   : direction_forms[direction].by_source_port ? FIELD_TCP_SPORT
								       : FIELD_TCP_DPORT;
	rule_map(c, chain_rule(c->out, chain), field,
		 ruleset_string(c->out, "%s_%s_%s", role->name, direction_forms[direction].label,
				protocol_labels[protocol]));
}

const char *add_echo_chain(struct compiler *c, const struct policy_role *role, enum direction direction)
{
	if (!any_flow_at(c, role, direction, PROTOCOL_ICMP_ECHO, 0))
		return NULL;
	const char *name = ruleset_string(c->out, "%s_%s_icmp-echo", role->name, direction_forms[direction].label);
	add_port_chain(c, role, direction, PROTOCOL_ICMP_ECHO, 0, name);
	return name;
}
