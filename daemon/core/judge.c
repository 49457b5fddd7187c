/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy.h"

#include <stdlib.h>
#include <string.h>

/* The meaning of the product. The compile files make rules of it that mean the same. */

static bool list_holds(const struct name_addresses *list, const struct addr *addr)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = addr_compare(&list->items[middle].addr, addr);
		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static bool names_hold(const struct endpoint *endpoint, const struct names_view *names, const struct addr *addr)
{
	for (size_t i = 0; names && i < endpoint->name_count; i++)
		if (endpoint->names[i] < names->count &&
		    list_holds(&names->names[endpoint->names[i]][addr->family], addr))
			return true;
	return false;
}

static int granted_order(const void *key, const void *item)
{
	size_t endpoint = ((const struct endpoint *)key)->granted;
	const struct granted_addresses *granted = item;

	return (endpoint > granted->endpoint) - (endpoint < granted->endpoint);
}

const struct granted_addresses *names_view_granted(const struct names_view *view, const struct endpoint *endpoint)
{
	if (!view || !view->granted_count || !endpoint->granted)
		return NULL;
	return bsearch(endpoint, view->granted, view->granted_count, sizeof(*view->granted), granted_order);
}

static bool is_granted(const struct endpoint *endpoint, const struct names_view *names, const struct addr *addr)
{
	const struct granted_addresses *granted = names_view_granted(names, endpoint);
	return granted && list_holds(&granted->addresses[addr->family], addr);
}

bool endpoint_is_source(const struct endpoint *endpoint, const struct names_view *names, const struct addr *addr)
{
	return endpoint->any || ranges_contains(&endpoint->ranges, addr) || names_hold(endpoint, names, addr) ||
	       is_granted(endpoint, names, addr);
}

bool endpoint_is_target(const struct policy *policy, const struct endpoint *endpoint, const struct names_view *names,
			const struct addr *addr)
{
	if (ranges_contains(&policy->protected_all, addr))
		return ranges_contains(&endpoint->opens, addr);
	return endpoint_is_source(endpoint, names, addr);
}

bool flow_opens_role(const struct policy_flow *flow, const struct policy_role *role)
{
	return flow->enabled && ranges_overlap_any(&flow->to.opens, &role->guarded);
}

bool flow_leaves_role(const struct policy_flow *flow, const struct policy_role *role)
{
	return flow->enabled && (flow->from.any || ranges_overlap_any(&flow->from.ranges, &role->guarded));
}

bool flow_has_port(const struct policy_flow *flow, enum protocol protocol, uint16_t port)
{
	if (!(flow->protocols & 1u << protocol))
		return false;
	if (protocol == PROTOCOL_ICMP_ECHO)
		return true;
	for (size_t i = 0; i < flow->port_count; i++)
		if (port >= flow->ports[i].first && port <= flow->ports[i].last)
			return true;
	return false;
}

static bool role_is_ephemeral(const struct policy_role *role, uint16_t port)
{
	for (size_t i = 0; i < role->ephemeral_count; i++)
		if (port >= role->ephemeral[i].first && port <= role->ephemeral[i].last)
			return true;
	return false;
}

const struct policy_role *policy_protected_role(const struct policy *policy, const struct addr *addr)
{
	for (size_t i = 0; i < policy->role_count; i++)
		if (policy->roles[i].is_protected && ranges_contains(&policy->roles[i].guarded, addr))
			return &policy->roles[i];
	return NULL;
}

const struct policy_flow *policy_flow(const struct policy *policy, const char *id)
{
	for (size_t i = 0; i < policy->flow_count; i++)
		if (strcmp(policy->flows[i].id, id) == 0)
			return &policy->flows[i];
	return NULL;
}

/* A connection as it was, or would be, opened: from whom, to whom, to which port. */
struct connection {
	const struct addr *source, *target;
	enum protocol protocol;
	uint16_t port;
};

/* The flow that allows the connection, or else one that opens its port for others, among those that open (or else
 * leave) the role. */
static const struct policy_flow *find_flow(const struct policy *policy, const struct names_view *names,
					   const struct policy_role *role, bool opens,
					   const struct connection *connection, bool *ret_allowed)
{
	const struct policy_flow *near = NULL;

	*ret_allowed = false;
	for (size_t i = 0; i < policy->flow_count; i++) {
		const struct policy_flow *flow = &policy->flows[i];
		if (!(opens ? flow_opens_role(flow, role) : flow_leaves_role(flow, role)) ||
		    !flow_has_port(flow, connection->protocol, connection->port))
			continue;
		if (endpoint_is_source(&flow->from, names, connection->source) &&
		    endpoint_is_target(policy, &flow->to, names, connection->target)) {
			*ret_allowed = true;
			return flow;
		}
		if (!near)
			near = flow;
	}
	return near;
}

static bool is_service_port(const struct policy *policy, const struct policy_role *role, uint16_t port)
{
	for (size_t i = 0; i < policy->flow_count; i++)
		if (flow_opens_role(&policy->flows[i], role) && flow_has_port(&policy->flows[i], PROTOCOL_TCP, port))
			return true;
	return false;
}

/* What a packet is to the flows of a role. A SYN opens a connection. A mid-stream packet of a lost one is a mid-stream
 * packet of an inbound connection where the role's end has a service port, and only else of an outbound one: where the
 * role's end has a port that its machine opens connections from. So both directions of one connection are judged alike,
 * and a revoked one can't pass for another. */
enum mid_stream_kind { AS_OPENED, AS_ANSWER, AS_NOTHING };

static enum mid_stream_kind mid_stream_kind(const struct policy *policy, const struct policy_role *role, bool inbound,
					    const struct packet *packet)
{
	uint16_t own = inbound ? packet->target_port : packet->source_port;

	if (!packet->mid_stream || packet->protocol != PROTOCOL_TCP)
		return AS_OPENED;
	if (is_service_port(policy, role, own))
		return inbound ? AS_OPENED : AS_ANSWER;
	if (!role_is_ephemeral(role, own))
		return AS_NOTHING;
	return inbound ? AS_ANSWER : AS_OPENED;
}

/* The role whose flows judge the packet: where the target is protected, its own. */
static const struct policy_role *judging_role(const struct policy *policy, const struct packet *packet,
					      bool *ret_inbound)
{
	const struct policy_role *role = policy_protected_role(policy, &packet->target);

	*ret_inbound = role != NULL;
	return role ? role : policy_protected_role(policy, &packet->source);
}

struct judgement policy_judge(const struct policy *policy, const struct names_view *names, const struct packet *packet)
{
	struct judgement result = { .verdict = VERDICT_NOT_OURS };

	result.role = judging_role(policy, packet, &result.inbound);
	if (!result.role)
		return result;

	enum mid_stream_kind kind = mid_stream_kind(policy, result.role, result.inbound, packet);
	bool answer = kind == AS_ANSWER, allowed = false;
	struct connection connection = { &packet->source, &packet->target, packet->protocol, packet->target_port };
	if (answer)
		connection =
			(struct connection){ &packet->target, &packet->source, packet->protocol, packet->source_port };
	if (kind != AS_NOTHING)
		result.flow = find_flow(policy, names, result.role, result.inbound != answer, &connection, &allowed);
	result.verdict = allowed ? VERDICT_ALLOW : VERDICT_DENY;
	result.reason = !allowed             ? (result.flow ? REASON_WRONG_PEER : REASON_NO_FLOW)
			: packet->mid_stream ? REASON_ANSWER
					     : REASON_FLOW;
	return result;
}

bool policy_opened(const struct policy *policy, const struct packet *packet, struct packet *ret)
{
	bool inbound;
	const struct policy_role *role = judging_role(policy, packet, &inbound);
	enum mid_stream_kind kind = role ? mid_stream_kind(policy, role, inbound, packet) : AS_NOTHING;

	if (kind == AS_NOTHING)
		return false;
	struct packet opened = { packet->source,      packet->target,      packet->protocol,
				 packet->source_port, packet->target_port, false };
	if (kind == AS_ANSWER)
		opened = (struct packet){ packet->target,      packet->source,      packet->protocol,
					  packet->target_port, packet->source_port, false };
	*ret = opened;
	return true;
}

void names_view_free(struct names_view *view)
{
	for (size_t i = 0; view->names && i < view->count; i++) /* a view may have had no memory */
		for (int family = 0; family < FAMILIES; family++)
			free(view->names[i][family].items);
	free(view->names);
	for (size_t i = 0; i < view->granted_count; i++)
		for (int family = 0; family < FAMILIES; family++)
			free(view->granted[i].addresses[family].items);
	free(view->granted);
	*view = (struct names_view){ 0 };
}
