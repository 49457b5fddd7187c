/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nearest.h"

#include <string.h>

/* How far away each miss is. A flow that has the port is nearer than one for another port, whomever it is for; and what
 * is farther than FAR helps nobody. */
enum { FAR = 10 };

static unsigned distance(unsigned misses)
{
	static const struct {
		unsigned miss, weight;
	} weights[] = { { MISS_OFF, 5 },    { MISS_SOURCE, 4 },   { MISS_TARGET, 4 },
			{ MISS_NAMING, 6 }, { MISS_PROTOCOL, 9 }, { MISS_PORT, 9 } };
	unsigned sum = 0;

	for (size_t i = 0; i < sizeof(weights) / sizeof(weights[0]); i++)
		sum += misses & weights[i].miss ? weights[i].weight : 0;
	return sum;
}

/* How far the port is from those of the flow; 0: it is one of them. */
static unsigned port_distance(const struct policy_flow *flow, uint16_t port)
{
	unsigned least = PORT_MAX;

	for (size_t i = 0; i < flow->port_count; i++) {
		const struct port_range *range = &flow->ports[i];
		unsigned away = port < range->first ? range->first - port : port > range->last ? port - range->last : 0;
		if (away < least)
			least = away;
	}
	return least;
}

static unsigned miss_of_target(const struct policy *policy, const struct names_view *names,
			       const struct policy_flow *flow, const struct addr *target)
{
	if (endpoint_is_target(policy, &flow->to, names, target))
		return 0;
	return endpoint_is_source(&flow->to, names, target) ? MISS_NAMING : MISS_TARGET; /* it covers it all the same */
}

unsigned flow_misses(const struct policy *policy, const struct names_view *names, const struct policy_flow *flow,
		     const struct packet *packet)
{
	/* Without a source, or a target, a flow is off until it has one: that is what it lacks. */
	unsigned misses = flow->off && strcmp(flow->off, "disabled") == 0 ? MISS_OFF : 0;

	if (!endpoint_is_source(&flow->from, names, &packet->source))
		misses |= MISS_SOURCE;
	misses |= miss_of_target(policy, names, flow, &packet->target);
	if (!(flow->protocols & 1u << packet->protocol))
		misses |= MISS_PROTOCOL;
	if (packet->protocol != PROTOCOL_ICMP_ECHO && port_distance(flow, packet->target_port))
		misses |= MISS_PORT;
	return misses;
}

/* Whether the flow is meant for such targets at all: a flow to the protected side alone is not near to a connection
 * that leaves it, nor the other way round. One that has no target yet may get one. */
static bool has_such_targets(const struct policy *policy, const struct policy_flow *flow, const struct addr *target)
{
	const struct endpoint *to = &flow->to;

	if (ranges_contains(&policy->protected_all, target))
		return to->opens.count || endpoint_is_source(to, NULL, target);
	return to->any || to->name_count || !to->ranges.count || !ranges_cover_all(&policy->protected_all, &to->ranges);
}

struct nearest policy_nearest(const struct policy *policy, const struct names_view *names, const struct packet *packet)
{
	unsigned least = FAR + 1, least_away = 0;
	struct nearest nearest = { 0 };

	for (size_t i = 0; i < policy->flow_count; i++) {
		const struct policy_flow *flow = &policy->flows[i];
		unsigned misses = flow_misses(policy, names, flow, packet);
		unsigned far = distance(misses) + (!flow->enabled && !(misses & MISS_OFF)), away = 0;
		if (packet->protocol != PROTOCOL_ICMP_ECHO)
			away = port_distance(flow, packet->target_port);
		if (!has_such_targets(policy, flow, &packet->target))
			continue;
		nearest.others |= !(misses & ~(unsigned)(MISS_SOURCE | MISS_TARGET));
		if (far > least || (far == least && away >= least_away))
			continue;
		least = far;
		least_away = away;
		nearest.flow = flow;
		nearest.misses = misses;
	}
	return nearest;
}
