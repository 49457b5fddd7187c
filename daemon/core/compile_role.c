/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "compile_parts.h"
#include "array.h"
#include "hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The chains of one protected role. For each direction and protocol a map leads from the port to a chain that holds
 * the flows of this port, most specific first: O(1) in flows. */

enum direction {
	TO_ROLE,       /* new connections to the role, by inbound flows */
	FROM_ROLE,     /* new connections from it, by outbound flows */
	ROLE_ASKED,    /* mid-stream packets to the role's service ports, by inbound flows */
	ROLE_ANSWERS,  /* mid-stream packets from them */
	ROLE_ASKS,     /* mid-stream packets from the role to an outbound flow's port, by outbound flows */
	ROLE_ANSWERED, /* mid-stream packets to the role from there */
};

/* How each direction looks at a packet, and where what it does not allow goes. */
static const struct direction_form {
	const char *label;
	bool opens;         /* by flows that open the role (else: that leave it) */
	bool own_is_source; /* the role's side is the packet's source */
	bool by_source_port;
	bool mid_stream;  /* of a connection that is not tracked: it opens none, and none is counted */
	const char *deny; /* NULL: reached by jump, and the caller goes on; else: reached by goto, and ends here */
} forms[] = {
	[TO_ROLE] = { "in", true, false, false, false, NULL },
	[FROM_ROLE] = { "out", false, true, false, false, NULL },
	[ROLE_ASKED] = { "asked", true, false, false, true, "deny_in" },
	[ROLE_ANSWERS] = { "back", true, true, true, true, "deny_out" },
	[ROLE_ASKS] = { "asks", false, true, false, true, "deny_out" },
	[ROLE_ANSWERED] = { "answer", false, false, true, true, "deny_in" },
};

static const char *const protocol_labels[] = { "tcp", "udp", "icmp-echo" };

const char *flow_counter(struct compiler *c, const struct policy_flow *flow)
{
	return ruleset_string(c->out, "flow-%s", flow->id);
}

const char *ranges_set(struct compiler *c, const struct ranges *ranges, enum family family, const char *name)
{
	if (name && !ruleset_find_set(c->out, name))
		add_ranges(c, ruleset_set(c->out, name, family_key(family), SET_INTERVAL), ranges, family, ACTION_NONE,
			   NULL);
	return name;
}

const char *guarded_set(struct compiler *c, const struct policy_role *role, enum family family)
{
	return ranges_set(c, &role->guarded, family,
			  ruleset_string(c->out, "guarded_%s_%c", role->name, family_digit(family)));
}

void name_set(const char *name, char buffer[NAME_SET_MAX])
{
	const char *kind = name[0] == '*' ? "wild" : "name";
	const char *rest = name[0] == '*' ? name + 2 : name;

	if (strlen(rest) < 200) {
		snprintf(buffer, NAME_SET_MAX, "%s_%s", kind, rest);
		return;
	}
	/* The kernel takes 255 bytes; a longer name keeps its beginning and gets a hash for the rest. */
	snprintf(buffer, NAME_SET_MAX, "%s_%.180s_h%016" PRIx64, kind, rest,
		 hash_bytes(HASH_START, rest, strlen(rest)));
}

static void fill_name_set(struct ruleset *out, struct set *set, const struct name_addresses *list, enum family family)
{
	for (size_t i = 0; i < list->count; i++) {
		struct element element = { .deadline_ms = list->items[i].deadline_ms };
		memcpy(element.first, list->items[i].addr.bytes, addr_size(family));
		memcpy(element.last, element.first, KEY_SIZE_MAX);
		set_add(out, set, &element);
	}
}

static const char *name_set_of(struct compiler *c, size_t index, enum family family)
{
	char base[NAME_SET_MAX];

	name_set(c->policy->names[index].name, base);
	const char *name = ruleset_string(c->out, "%s_%c", base, family_digit(family));
	if (!name || ruleset_find_set(c->out, name))
		return name;
	struct set *set = ruleset_set(c->out, name, family_key(family), SET_TIMEOUT);
	if (index < c->around->names->count)
		fill_name_set(c->out, set, &c->around->names->names[index][family], family);
	return name;
}

int compile_names(struct ruleset *ret, const struct ruleset *current, const struct policy *policy,
		  const struct names_view *names)
{
	*ret = (struct ruleset){ 0 };
	for (size_t i = 0; i < policy->name_count && i < names->count; i++) {
		char base[NAME_SET_MAX];
		name_set(policy->names[i].name, base);
		for (enum family family = 0; family < FAMILIES; family++) {
			const char *name = ruleset_string(ret, "%s_%c", base, family_digit(family));
			if (name && ruleset_find_set(current, name))
				fill_name_set(ret, ruleset_set(ret, name, family_key(family), SET_TIMEOUT),
					      &names->names[i][family], family);
		}
	}
	int r = ruleset_finish(ret);
	if (r < 0)
		ruleset_free(ret);
	return r;
}

/* One way in which a packet can match one side of a flow; several make alternatives, a rule each. */
struct match {
	enum { MATCH_ALL, MATCH_RANGE, MATCH_SET, MATCH_NOT_SET } kind;
	const struct range *range;
	const char *set;
	bool outside; /* and not a protected address */
};

/* Addresses make one or two; names one each, and there may be many. */
struct matches {
	struct match *items;
	size_t count, capacity;
};

static void add_match(struct compiler *c, struct matches *matches, struct match match)
{
	if (ARRAY_PUSH(matches, match) < 0)
		c->out->failed = true;
}

/* One range stands in the rule itself, several in a set. */
static void match_ranges(struct compiler *c, struct matches *matches, const struct ranges *ranges, enum family family,
			 const char *set_base, bool shared, bool outside)
{
	const struct range *only;
	size_t count = ranges_of(ranges, family, &only);

	if (count == 1 && !shared) {
		add_match(c, matches, (struct match){ .kind = MATCH_RANGE, .range = only, .outside = outside });
	} else if (count) {
		const char *name = ruleset_string(c->out, "%s_%c", set_base, family_digit(family));
		add_match(c, matches,
			  (struct match){
				  .kind = MATCH_SET, .set = ranges_set(c, ranges, family, name), .outside = outside });
	}
}

static bool ranges_cover_all(const struct ranges *wide, const struct ranges *narrow)
{
	for (size_t i = 0; i < narrow->count; i++)
		if (!ranges_cover(wide, &narrow->items[i]))
			return false;
	return true;
}

static bool ranges_touch(const struct ranges *a, const struct ranges *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (ranges_overlap(a, &b->items[i]))
			return true;
	return false;
}

static bool own_is_all(const struct policy_role *role, const struct policy_flow *flow,
		       const struct direction_form *form)
{
	return (!form->opens && flow->from.any) ||
	       ranges_cover_all(form->opens ? &flow->to.opens : &flow->from.ranges, &role->guarded);
}

/* The role's own side: nothing to look at where the flow is for all of the role. */
static void own_matches(struct compiler *c, const struct policy_role *role, const struct policy_flow *flow,
			const struct direction_form *form, enum family family, struct matches *ret)
{
	const struct endpoint *side = form->opens ? &flow->to : &flow->from;
	const struct ranges *ranges = form->opens ? &side->opens : &side->ranges;
	char base[CONFIG_ID_MAX + 8];

	ret->count = 0;
	if (own_is_all(role, flow, form)) {
		add_match(c, ret, (struct match){ .kind = MATCH_ALL });
		return;
	}
	snprintf(base, sizeof(base), "%s_%s", form->opens ? "opens" : "from", flow->id);
	match_ranges(c, ret, ranges, family, base, false, false);
}

static void peer_matches(struct compiler *c, const struct policy_flow *flow, const struct direction_form *form,
			 enum family family, struct matches *ret)
{
	const struct endpoint *side = form->opens ? &flow->from : &flow->to;
	/* A mid-stream packet that comes to the role may come from another protected address: ANY does not mean that.
	 */
	bool answered = !form->opens && !form->own_is_source;
	char base[CONFIG_ID_MAX + 16];

	ret->count = 0;
	if (side->any) {
		add_match(c, ret, (struct match){ .kind = MATCH_ALL, .outside = answered });
	} else {
		bool is_role = side->set && side->set[0] >= 'A' && side->set[0] <= 'Z';
		if (side->set)
			snprintf(base, sizeof(base), "%s%s", is_role ? "role_" : "", side->set);
		else
			snprintf(base, sizeof(base), "%s_%s", form->opens ? "from" : "to", flow->id);
		bool outside = answered && ranges_touch(&side->ranges, &c->policy->protected_all);
		if (!outside || !ranges_cover_all(&c->policy->protected_all, &side->ranges))
			match_ranges(c, ret, &side->ranges, family, base, side->set != NULL, outside);
		for (size_t i = 0; i < side->name_count; i++)
			add_match(c, ret,
				  (struct match){ .kind = MATCH_SET, .set = name_set_of(c, side->names[i], family) });
	}
	if (answered && flow->to.opens.count) {
		snprintf(base, sizeof(base), "opens_%s", flow->id);
		match_ranges(c, ret, &flow->to.opens, family, base, false, false);
	}
}

static void rule_match(struct compiler *c, struct rule *rule, enum field field, const struct match *match,
		       enum family family)
{
	if (match->kind == MATCH_RANGE)
		rule_range(c, rule, field, match->range);
	else if (match->kind == MATCH_SET)
		rule_in(c, rule, field, false, match->set);
	if (match->outside)
		rule_in(c, rule, field, true, ruleset_string(c->out, "protected_%c", family_digit(family)));
}

static void end_rule(struct compiler *c, struct rule *rule, const struct policy_flow *flow,
		     const struct direction_form *form)
{
	rule_counter(c, rule, form->mid_stream ? "mid-stream" : flow_counter(c, flow));
	rule_action(c, rule, ACTION_ACCEPT, NULL);
}

/* True where the flow allows every packet that comes here: nothing after it would be reached. */
static bool add_flow_rules(struct compiler *c, struct chain *chain, const struct policy_role *role,
			   const struct policy_flow *flow, const struct direction_form *form)
{
	struct matches own = { 0 }, peer = { 0 };
	bool all = false;

	for (enum family family = 0; family < FAMILIES && !all; family++) {
		enum field own_field = form->own_is_source ? saddr_field(family) : daddr_field(family);
		enum field peer_field = form->own_is_source ? daddr_field(family) : saddr_field(family);
		own_matches(c, role, flow, form, family, &own);
		peer_matches(c, flow, form, family, &peer);
		/* That is then so in both families. */
		all = own.count == 1 && own.items[0].kind == MATCH_ALL && peer.count >= 1 &&
		      peer.items[0].kind == MATCH_ALL && !peer.items[0].outside;
		if (all)
			end_rule(c, chain_rule(c->out, chain), flow, form);
		for (size_t o = 0; o < own.count && !all; o++) {
			for (size_t p = 0; p < peer.count; p++) {
				struct rule *rule = chain_rule(c->out, chain);
				rule_match(c, rule, own_field, &own.items[o], family);
				rule_match(c, rule, peer_field, &peer.items[p], family);
				end_rule(c, rule, flow, form);
			}
		}
	}
	free(own.items);
	free(peer.items);
	return all;
}

/* Whether the flow is judged here at all. A flow that goes to protected addresses alone is judged where they are. */
static bool flow_belongs(const struct policy_flow *flow, const struct policy_role *role, enum direction direction)
{
	switch (direction) {
	case TO_ROLE:
	case ROLE_ASKED:
	case ROLE_ANSWERS: return flow_opens_role(flow, role);
	case FROM_ROLE:
	case ROLE_ASKS:
		return flow_leaves_role(flow, role) && (flow->to.any || flow->to.ranges.count || flow->to.name_count);
	default: return flow_leaves_role(flow, role);
	}
}

/* The flows of one port (0: icmp-echo), in their own chain. */
static void add_port_chain(struct compiler *c, const struct policy_role *role, enum direction direction,
			   enum protocol protocol, uint16_t port, const char *name)
{
	const struct direction_form *form = &forms[direction];
	struct chain *chain = ruleset_chain(c->out, name);
	bool named = false;

	for (size_t i = 0; i < c->policy->flow_count; i++) {
		const struct policy_flow *flow = &c->policy->flows[i];
		if (!flow_belongs(flow, role, direction) || !flow_has_port(flow, protocol, port))
			continue;
		if (add_flow_rules(c, chain, role, flow, form))
			return;
		named |= (direction == FROM_ROLE || direction == ROLE_ASKS) && flow->to.name_count > 0;
	}
	/* The daemon gets a copy of what no named target let through: a fresh answer might cure the denial. */
	if (named)
		rule_limited_log(c, chain_rule(c->out, chain), NAME_DENIAL_RATE, "spefw denied-name ");
	if (form->deny)
		rule_action(c, chain_rule(c->out, chain), ACTION_GOTO, form->deny);
}

/* Whether a flow lets all mid-stream packets of this port pass: then one chain serves all such ports. */
static bool all_mid_stream_pass(struct compiler *c, const struct policy_role *role, enum direction direction,
				enum protocol protocol, uint16_t port)
{
	const struct direction_form *form = &forms[direction];

	if (!form->mid_stream || direction == ROLE_ANSWERED)
		return false;
	for (size_t i = 0; i < c->policy->flow_count; i++) {
		const struct policy_flow *flow = &c->policy->flows[i];
		if (flow_belongs(flow, role, direction) && flow_has_port(flow, protocol, port) &&
		    own_is_all(role, flow, form) && (form->opens ? flow->from.any : flow->to.any))
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
	size_t capacity = 0;

	*ret = (struct edges){ 0 };
	for (size_t i = 0; i < c->policy->flow_count; i++)
		capacity += 2 * c->policy->flows[i].port_count;
	ret->items = malloc((capacity + 1) * sizeof(*ret->items));
	if (!ret->items) {
		c->out->failed = true;
		return;
	}
	for (size_t i = 0; i < c->policy->flow_count; i++) {
		const struct policy_flow *flow = &c->policy->flows[i];
		if (!flow_belongs(flow, role, direction) || !(flow->protocols & 1u << protocol))
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

static bool any_flow_at(struct compiler *c, const struct policy_role *role, enum direction direction,
			enum protocol protocol, uint16_t port)
{
	for (size_t i = 0; i < c->policy->flow_count; i++)
		if (flow_belongs(&c->policy->flows[i], role, direction) &&
		    flow_has_port(&c->policy->flows[i], protocol, port))
			return true;
	return false;
}

static bool any_port_range(struct compiler *c, const struct policy_role *role, enum direction direction)
{
	for (size_t i = 0; i < c->policy->flow_count; i++) {
		const struct policy_flow *flow = &c->policy->flows[i];
		if (!flow_belongs(flow, role, direction) || !(flow->protocols & 1u << PROTOCOL_TCP))
			continue;
		for (size_t p = 0; p < flow->port_count; p++)
			if (flow->ports[p].first != flow->ports[p].last)
				return true;
	}
	return false;
}

static void add_ports(struct compiler *c, const char *set_name, unsigned flags, uint16_t first, uint16_t last,
		      enum action action, const char *chain)
{
	struct element element = { .first = { first >> 8, first & 0xff },
				   .last = { last >> 8, last & 0xff },
				   .action = action,
				   .chain = chain };
	struct set *set = set_name ? ruleset_find_set(c->out, set_name) : NULL;

	if (!set)
		set = ruleset_set(c->out, set_name, KEY_PORT, flags);
	set_add(c->out, set, &element);
}

/* The map of a direction and protocol, with its chains. ports: also a plain set of all its ports, or NULL. False: no
 * flow, no map. */
static bool add_port_map(struct compiler *c, const struct policy_role *role, enum direction direction,
			 enum protocol protocol, const char *ports)
{
	const struct direction_form *form = &forms[direction];
	const char *map = ruleset_string(c->out, "%s_%s_%s", role->name, form->label, protocol_labels[protocol]);
	unsigned flags = ports && any_port_range(c, role, direction) ? SET_INTERVAL : 0;
	struct edges edges;

	collect_edges(c, role, direction, protocol, &edges);
	for (size_t i = 0; i + 1 < edges.count; i++) {
		uint16_t first = (uint16_t)edges.items[i], last = (uint16_t)(edges.items[i + 1] - 1);
		if (!any_flow_at(c, role, direction, protocol, first))
			continue;
		const char *chain = "midstream";
		if (!all_mid_stream_pass(c, role, direction, protocol, first)) {
			chain = first == last ? ruleset_string(c->out, "%s_%u", map, first)
					      : ruleset_string(c->out, "%s_%u-%u", map, first, last);
			add_port_chain(c, role, direction, protocol, first, chain);
		}
		add_ports(c, map, SET_INTERVAL | SET_VERDICTS, first, last, form->deny ? ACTION_GOTO : ACTION_JUMP,
			  chain);
		if (ports)
			add_ports(c, ports, flags, first, last, ACTION_NONE, NULL);
	}
	free(edges.items);
	return edges.count > 0;
}

static void rule_port_map(struct compiler *c, struct chain *chain, const struct policy_role *role,
			  enum direction direction, enum protocol protocol)
{
	enum field field = protocol == PROTOCOL_UDP          ? FIELD_UDP_DPORT
			   : forms[direction].by_source_port ? FIELD_TCP_SPORT
							     : FIELD_TCP_DPORT;
	rule_map(c, chain_rule(c->out, chain), field,
		 ruleset_string(c->out, "%s_%s_%s", role->name, forms[direction].label, protocol_labels[protocol]));
}

static void rules_echo(struct compiler *c, struct chain *chain, const char *echo_chain)
{
	static const enum field fields[] = { FIELD_ICMP_TYPE, FIELD_ICMPV6_TYPE };
	static const uint8_t requests[] = { 8, 128 };

	for (enum family family = 0; family < FAMILIES; family++) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_byte(c, rule, fields[family], requests[family]);
		rule_action(c, rule, ACTION_JUMP, echo_chain);
	}
}

static void rule_not_new(struct compiler *c, struct chain *chain)
{
	struct rule *rule = chain_rule(c->out, chain);
	rule_bits(c, rule, FIELD_CT_STATE, CT_INVALID | CT_RELATED);
	rule_action(c, rule, ACTION_JUMP, "not_new");
}

/* The kernel keeps a set of single ports as a bitmap, where looking up a flood's SYNs takes less time than among
 * intervals. No set can be changed from the one to the other: with ranges it has another name. */
static const char *role_ports(struct compiler *c, const struct policy_role *role, enum direction direction)
{
	return ruleset_string(c->out, "%s_%s_tcp%s", role->name, direction == TO_ROLE ? "open" : "reach",
			      any_port_range(c, role, direction) ? "_ranges" : "");
}

static const char *add_echo_chain(struct compiler *c, const struct policy_role *role, enum direction direction)
{
	if (!any_flow_at(c, role, direction, PROTOCOL_ICMP_ECHO, 0))
		return NULL;
	const char *name = ruleset_string(c->out, "%s_%s_icmp-echo", role->name, forms[direction].label);
	add_port_chain(c, role, direction, PROTOCOL_ICMP_ECHO, 0, name);
	return name;
}

static void rule_mid_stream(struct compiler *c, struct chain *chain, const char *mid_stream)
{
	struct rule *rule = chain_rule(c->out, chain);
	rule_opens_nothing(c, rule);
	rule_action(c, rule, ACTION_GOTO, mid_stream);
}

/* Mid-stream packets of outbound flows pass only where all that was cut is in the sets. */
static void rule_unless_full(struct compiler *c, struct chain *chain, const char *deny)
{
	struct rule *rule = chain_rule(c->out, chain);
	rule_in(c, rule, FIELD_L4PROTO, false, "cut_full");
	rule_action(c, rule, ACTION_GOTO, deny);
}

static const char *ephemeral_set(struct compiler *c, const struct policy_role *role)
{
	const char *name = ruleset_string(c->out, "%s_ephemeral", role->name);

	if (name && !ruleset_find_set(c->out, name))
		for (size_t i = 0; i < role->ephemeral_count; i++)
			add_ports(c, name, SET_INTERVAL, role->ephemeral[i].first, role->ephemeral[i].last, ACTION_NONE,
				  NULL);
	return name;
}

/* Mid-stream packets that come to the role: to a service port they are those of an inbound connection, and to no other
 * one. */
static const char *add_mid_stream_in(struct compiler *c, const struct policy_role *role)
{
	bool asked = add_port_map(c, role, ROLE_ASKED, PROTOCOL_TCP, NULL),
	     answered = add_port_map(c, role, ROLE_ANSWERED, PROTOCOL_TCP, NULL);
	const char *name = ruleset_string(c->out, "%s_midstream_in", role->name);
	const char *ephemeral = answered ? ephemeral_set(c, role) : NULL;
	struct chain *chain = ruleset_chain(c->out, name);

	rule_action(c, chain_rule(c->out, chain), ACTION_JUMP, "cut_in");
	if (asked)
		rule_port_map(c, chain, role, ROLE_ASKED, PROTOCOL_TCP);
	if (answered) {
		rule_unless_full(c, chain, "deny_in");
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, FIELD_TCP_DPORT, false, ephemeral);
		rule_map(c, rule, FIELD_TCP_SPORT, ruleset_string(c->out, "%s_answer_tcp", role->name));
	}
	rule_action(c, chain_rule(c->out, chain), ACTION_GOTO, "deny_in");
	return name;
}

static void rule_intercepted_out(struct compiler *c, struct chain *chain)
{
	if (c->policy->interception == INTERCEPTION_OFF)
		return;
	struct rule *rule = chain_rule(c->out, chain);
	rule_byte(c, rule, FIELD_L4PROTO, 6);
	rule_bits(c, rule, FIELD_CT_STATUS, CT_STATUS_DNAT);
	rule_action(c, rule, ACTION_JUMP, "intercept_out");
}

static const char *add_mid_stream_out(struct compiler *c, const struct policy_role *role)
{
	bool back = add_port_map(c, role, ROLE_ANSWERS, PROTOCOL_TCP, NULL),
	     asks = add_port_map(c, role, ROLE_ASKS, PROTOCOL_TCP, NULL);
	const char *name = ruleset_string(c->out, "%s_midstream_out", role->name);
	const char *ephemeral = asks ? ephemeral_set(c, role) : NULL;
	struct chain *chain = ruleset_chain(c->out, name);

	rule_action(c, chain_rule(c->out, chain), ACTION_JUMP, "cut_out");
	if (back)
		rule_port_map(c, chain, role, ROLE_ANSWERS, PROTOCOL_TCP);
	rule_intercepted_out(c, chain);
	if (asks) {
		rule_unless_full(c, chain, "deny_out");
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, FIELD_TCP_SPORT, false, ephemeral);
		rule_map(c, rule, FIELD_TCP_DPORT, ruleset_string(c->out, "%s_asks_tcp", role->name));
	}
	rule_action(c, chain_rule(c->out, chain), ACTION_GOTO, "deny_out");
	return name;
}

static void add_in(struct compiler *c, const struct policy_role *role)
{
	const char *open = role_ports(c, role, TO_ROLE);
	bool tcp = add_port_map(c, role, TO_ROLE, PROTOCOL_TCP, open);
	bool udp = add_port_map(c, role, TO_ROLE, PROTOCOL_UDP, NULL);
	const char *echo = add_echo_chain(c, role, TO_ROLE);
	const char *mid_stream = add_mid_stream_in(c, role);
	struct chain *chain = ruleset_chain(c->out, ruleset_string(c->out, "%s_in", role->name));

	rule_not_new(c, chain);
	rule_mid_stream(c, chain, mid_stream);
	if (tcp)
		rule_port_map(c, chain, role, TO_ROLE, PROTOCOL_TCP);
	if (udp)
		rule_port_map(c, chain, role, TO_ROLE, PROTOCOL_UDP);
	if (echo)
		rules_echo(c, chain, echo);
	rule_action(c, chain_rule(c->out, chain), ACTION_GOTO, "deny_in");
}

static void add_out(struct compiler *c, const struct policy_role *role)
{
	const char *reach = c->policy->interception == INTERCEPTION_PREVENT && c->policy->mode == MODE_ENFORCE
				    ? role_ports(c, role, FROM_ROLE)
				    : NULL;
	bool tcp = add_port_map(c, role, FROM_ROLE, PROTOCOL_TCP, reach);
	bool udp = add_port_map(c, role, FROM_ROLE, PROTOCOL_UDP, NULL);
	const char *echo = add_echo_chain(c, role, FROM_ROLE);
	const char *mid_stream = add_mid_stream_out(c, role);
	struct chain *chain = ruleset_chain(c->out, ruleset_string(c->out, "%s_out", role->name));

	rule_not_new(c, chain);
	rule_mid_stream(c, chain, mid_stream);
	rule_intercepted_out(c, chain);
	if (tcp)
		rule_port_map(c, chain, role, FROM_ROLE, PROTOCOL_TCP);
	if (udp)
		rule_port_map(c, chain, role, FROM_ROLE, PROTOCOL_UDP);
	if (echo)
		rules_echo(c, chain, echo);
	rule_action(c, chain_rule(c->out, chain), ACTION_GOTO, "deny_out");
}

static void add_role_early(struct compiler *c, const struct policy_role *role)
{
	const char *open = role_ports(c, role, TO_ROLE);
	struct chain *chain = ruleset_chain(c->out, ruleset_string(c->out, "%s_early", role->name));

	if (open && ruleset_find_set(c->out, open)) {
		struct rule *rule = chain_rule(c->out, chain);
		rule_in(c, rule, FIELD_TCP_DPORT, false, open);
		rule_action(c, rule, ACTION_RETURN, NULL);
	}
	rule_counter(c, chain_rule(c->out, chain), "denied-early");
	rule_limited_log(c, chain_rule(c->out, chain), DENIAL_RATE, "spefw denied-early ");
	rule_drop(c, chain_rule(c->out, chain));
}

void add_role(struct compiler *c, const struct policy_role *role)
{
	add_in(c, role);
	add_out(c, role);
	if (c->early)
		add_role_early(c, role);
}

void add_role_pin(struct compiler *c, struct chain *chain, const struct policy_role *role)
{
	bool dns = any_flow_at(c, role, FROM_ROLE, PROTOCOL_TCP, DNS_PORT);

	for (int inbound = 0; inbound < 2; inbound++) {
		const char *ports = role_ports(c, role, inbound ? TO_ROLE : FROM_ROLE);
		if (!ports || !ruleset_find_set(c->out, ports))
			continue;
		for (enum family family = 0; family < FAMILIES; family++) {
			enum field own = inbound ? daddr_field(family) : saddr_field(family);
			struct matches matches = { 0 };
			match_ranges(c, &matches, &role->guarded, family,
				     ruleset_string(c->out, "guarded_%s", role->name), false, false);
			for (size_t i = 0; i < matches.count; i++) {
				struct rule *rule;
				if (dns && !inbound) {
					rule = chain_rule(c->out, chain);
					rule_match(c, rule, own, &matches.items[i], family);
					rule_tcp_port(c, rule, FIELD_TCP_DPORT, DNS_PORT);
					rule_action(c, rule, ACTION_RETURN, NULL);
				}
				rule = chain_rule(c->out, chain);
				rule_match(c, rule, own, &matches.items[i], family);
				rule_in(c, rule, FIELD_TCP_DPORT, false, ports);
				rule_add(c->out, rule,
					 &(struct term){ .kind = TERM_PIN, .field = daddr_field(family) });
			}
			free(matches.items);
		}
	}
}
