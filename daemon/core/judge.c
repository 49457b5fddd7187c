/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fate.h"
#include "flow_index.h"
#include "judge_parts.h"

#include <stdlib.h>
#include <string.h>

/* The meaning of the product. The compile files make rules of it that mean the same. */

bool ask_flag(const struct asker *asker, enum asked asked)
{
	return asker->answer(asker->context, &(struct question){ .asked = (uint8_t)asked, .kind = QUESTION_FLAG }) != 0;
}

bool ask_byte(const struct asker *asker, enum asked asked, const uint8_t *byte)
{
	struct question question = { .asked = (uint8_t)asked, .kind = QUESTION_BYTES, .set = byte, .count = 1 };
	return asker->answer(asker->context, &question) != 0;
}

bool ask_ranges(const struct asker *asker, enum asked asked, const struct ranges *ranges)
{
	struct question question = { .asked = (uint8_t)asked, .kind = QUESTION_RANGES, .set = ranges };
	return ranges->count && asker->answer(asker->context, &question);
}

const struct policy_role *ask_role(const struct asker *asker, enum asked asked, const struct policy *policy)
{
	if (!policy->index) /* an empty policy */
		return NULL;
	struct question question = { .asked = (uint8_t)asked,
				     .kind = QUESTION_ROLE,
				     .set = policy->index->guarded,
				     .count = policy->index->guarded_count };
	unsigned answer = asker->answer(asker->context, &question);

	return answer ? &policy->roles[answer - 1] : NULL;
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

static bool ask_addresses(const struct asker *asker, enum asked asked, const struct name_addresses addresses[FAMILIES])
{
	struct question question = { .asked = (uint8_t)asked, .kind = QUESTION_NAME, .set = addresses };
	return (addresses[FAMILY_4].count || addresses[FAMILY_6].count) && asker->answer(asker->context, &question);
}

bool ask_endpoint(const struct asker *asker, enum asked asked, const struct endpoint *endpoint,
		  const struct names_view *names)
{
	if (endpoint->any || ask_ranges(asker, asked, &endpoint->ranges))
		return true;
	for (size_t i = 0; names && i < endpoint->name_count; i++)
		if (endpoint->names[i] < names->count && ask_addresses(asker, asked, names->names[endpoint->names[i]]))
			return true;
	const struct granted_addresses *granted = names_view_granted(names, endpoint);
	return granted && ask_addresses(asker, asked, granted->addresses);
}

/* The flows of the list that have the port; an empty segment where there is none. */
static struct port_segment ask_segment(const struct asker *asker, enum asked asked, const struct flow_list *list)
{
	struct question question = {
		.asked = (uint8_t)asked, .kind = QUESTION_SEGMENT, .set = list->segments, .count = list->segment_count
	};
	unsigned answer = list->segment_count ? asker->answer(asker->context, &question) : 0;

	return answer ? list->segments[answer - 1] : (struct port_segment){ .count = 0 };
}

bool ask_open(const struct asker *asker, const struct policy *policy, const struct policy_role *role)
{
	const struct role_flows *flows = &policy->index->roles[role - policy->roles];
	return ask_segment(asker, ASKED_TARGET_PORT, &flows->in[PROTOCOL_TCP]).count > 0;
}

static unsigned answer_addr(void *context, const struct question *question)
{
	return question_of_addr(question, context);
}

bool endpoint_is_source(const struct endpoint *endpoint, const struct names_view *names, const struct addr *addr)
{
	const struct asker asker = { answer_addr, (void *)addr };
	return ask_endpoint(&asker, ASKED_SOURCE, endpoint, names);
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

const struct policy_role *policy_protected_role(const struct policy *policy, const struct addr *addr)
{
	const struct asker asker = { answer_addr, (void *)addr };
	return ask_role(&asker, ASKED_SOURCE, policy);
}

const struct policy_flow *policy_flow(const struct policy *policy, const char *id)
{
	for (size_t i = 0; i < policy->flow_count; i++)
		if (strcmp(policy->flows[i].id, id) == 0)
			return &policy->flows[i];
	return NULL;
}

const struct policy_flow *policy_listed_flow(const struct policy *policy, size_t *at)
{
	while (*at < builtin_flow_count) {
		const struct policy_flow *flow = policy_flow(policy, builtin_flows[(*at)++].id);
		if (flow)
			return flow;
	}
	while (*at - builtin_flow_count < policy->flow_count) {
		const struct policy_flow *flow = &policy->flows[(*at)++ - builtin_flow_count];
		if (flow->section == SECTION_CUSTOM)
			return flow;
	}
	return NULL;
}

/* What is judged: a packet by questions, and what is known of it so far. */
struct judging {
	const struct policy *policy;
	const struct names_view *names;
	const struct asker *asker;
	const struct policy_role *role; /* the role whose flows judge it: where the target is protected, the target's */
	bool inbound;
};

/* A connection as it was, or would be, opened: which of the packet's ends opened it, and which flows of the other end's
 * port there are. */
struct connection {
	enum asked source, target;
	bool opens;            /* its target is protected; else its source alone is */
	const uint32_t *flows; /* those that have its port, the most specific first */
	size_t flow_count;
};

static struct connection connection_of(const struct flow_list *list, struct port_segment segment, bool answer,
				       bool opens)
{
	return (struct connection){ .source = answer ? ASKED_TARGET : ASKED_SOURCE,
				    .target = answer ? ASKED_SOURCE : ASKED_TARGET,
				    .opens = opens,
				    .flows = segment.count ? list->flows + segment.flow : NULL,
				    .flow_count = segment.count };
}

static bool find_role(struct judging *j)
{
	j->role = ask_role(j->asker, ASKED_TARGET, j->policy);
	j->inbound = j->role != NULL;
	if (!j->role)
		j->role = ask_role(j->asker, ASKED_SOURCE, j->policy);
	return j->role != NULL;
}

static const struct role_flows *flows_of(const struct judging *j, const struct policy_role *role)
{
	return &j->policy->index->roles[role - j->policy->roles];
}

/* A packet that opens a connection. */
static struct connection as_opened(const struct judging *j, enum protocol protocol)
{
	const struct role_flows *flows = flows_of(j, j->role);
	const struct flow_list *list = j->inbound ? &flows->in[protocol] : &flows->out[protocol];
	struct port_segment segment = { .count = 0 };

	if (protocol != PROTOCOL_ICMP_ECHO)
		segment = ask_segment(j->asker, ASKED_TARGET_PORT, list);
	else if (list->segment_count)
		segment = list->segments[0];
	return connection_of(list, segment, false, j->inbound);
}

static bool is_ephemeral(const struct judging *j, enum asked port)
{
	struct question question = { .asked = (uint8_t)port,
				     .kind = QUESTION_PORTS,
				     .set = j->role->ephemeral,
				     .count = j->role->ephemeral_count };
	return j->asker->answer(j->asker->context, &question) != 0;
}

enum mid_stream { PIECE_OF_INBOUND, PIECE_OF_OUTBOUND, PIECE_OF_NOTHING };

/* A mid-stream packet of a lost connection. It is one of an inbound connection where the role's end has a service port,
 * and only else of an outbound one: where the role's end has a port that its machine opens connections from. So both
 * directions of one connection are judged alike, and a revoked one can't pass for another. */
static enum mid_stream as_mid_stream(const struct judging *j, struct connection *ret)
{
	const struct role_flows *flows = flows_of(j, j->role);
	enum asked own = j->inbound ? ASKED_TARGET_PORT : ASKED_SOURCE_PORT;
	const struct flow_list *list = &flows->in[PROTOCOL_TCP];
	struct port_segment segment = ask_segment(j->asker, own, list);

	*ret = connection_of(list, segment, !j->inbound, true);
	if (segment.count)
		return PIECE_OF_INBOUND;
	if (!is_ephemeral(j, own))
		return PIECE_OF_NOTHING;
	if (!j->inbound) {
		*ret = as_opened(j, PROTOCOL_TCP);
		return PIECE_OF_OUTBOUND;
	}
	/* The answer of another protected machine is of a connection that was opened to that one. */
	bool peer = ask_ranges(j->asker, ASKED_SOURCE, &j->policy->protected_all);
	list = peer ? &flows->between : &flows->out[PROTOCOL_TCP];
	*ret = connection_of(list, ask_segment(j->asker, ASKED_SOURCE_PORT, list), true, peer);
	return PIECE_OF_OUTBOUND;
}

/* The flow that allows the connection, or else the first that has its port for others. */
static const struct policy_flow *find_flow(const struct judging *j, const struct connection *connection,
					   bool *ret_allowed)
{
	const struct policy_flow *near = NULL;

	*ret_allowed = false;
	for (size_t i = 0; i < connection->flow_count; i++) {
		const struct policy_flow *flow = &j->policy->flows[connection->flows[i]];
		if (ask_endpoint(j->asker, connection->source, &flow->from, j->names) &&
		    (connection->opens ? ask_ranges(j->asker, connection->target, &flow->to.opens)
				       : ask_endpoint(j->asker, connection->target, &flow->to, j->names))) {
			*ret_allowed = true;
			return flow;
		}
		if (!near)
			near = flow;
	}
	return near;
}

static bool any_to_names(const struct policy *policy, const struct connection *connection)
{
	for (size_t i = 0; i < connection->flow_count; i++)
		if (policy->flows[connection->flows[i]].to.name_count)
			return true;
	return false;
}

struct judgement judge_asked(const struct policy *policy, const struct names_view *names, const struct asker *asker,
			     enum protocol protocol, bool mid_stream)
{
	struct judging j = { .policy = policy, .names = names, .asker = asker };
	struct connection connection = { .flow_count = 0 };
	enum mid_stream piece = PIECE_OF_NOTHING;
	bool allowed;

	if (!find_role(&j))
		return (struct judgement){ .verdict = VERDICT_NOT_OURS };
	if (!mid_stream)
		connection = as_opened(&j, protocol);
	else if ((piece = as_mid_stream(&j, &connection)) == PIECE_OF_NOTHING)
		connection.flow_count = 0;
	const struct policy_flow *flow = find_flow(&j, &connection, &allowed);
	return (struct judgement){ .verdict = allowed ? VERDICT_ALLOW : VERDICT_DENY,
				   .reason = !allowed     ? (flow ? REASON_WRONG_PEER : REASON_NO_FLOW)
					     : mid_stream ? REASON_ANSWER
							  : REASON_FLOW,
				   .inbound = j.inbound,
				   .role = j.role,
				   .flow = flow,
				   .to_names = !j.inbound && (!mid_stream || piece == PIECE_OF_OUTBOUND) &&
					       any_to_names(policy, &connection),
				   .opened_by_role = piece == PIECE_OF_OUTBOUND };
}

/* Another protected machine's answer is none of an outbound flow to ANY; but that is the flow which comes nearest. */
static void find_near(const struct policy *policy, const struct asker *asker, struct judgement *judgement)
{
	const struct flow_list *list = &policy->index->roles[judgement->role - policy->roles].out[PROTOCOL_TCP];
	struct port_segment segment = ask_segment(asker, ASKED_SOURCE_PORT, list);

	if (!segment.count)
		return;
	judgement->flow = &policy->flows[list->flows[segment.flow]];
	judgement->reason = REASON_WRONG_PEER;
}

struct judgement policy_judge(const struct policy *policy, const struct names_view *names, const struct packet *packet)
{
	struct fate_packet facts = fate_packet_of(packet);
	struct asker asker = fate_packet_asker(&facts);
	bool mid_stream = packet->mid_stream && packet->protocol == PROTOCOL_TCP;
	struct judgement judgement = judge_asked(policy, names, &asker, packet->protocol, mid_stream);

	if (judgement.verdict == VERDICT_DENY && judgement.opened_by_role && judgement.inbound)
		find_near(policy, &asker, &judgement);
	return judgement;
}

bool policy_opened(const struct policy *policy, const struct packet *packet, struct packet *ret)
{
	struct fate_packet facts = fate_packet_of(packet);
	struct asker asker = fate_packet_asker(&facts);
	struct judging j = { .policy = policy, .asker = &asker };
	struct connection connection = { .source = ASKED_SOURCE };

	if (!find_role(&j) || (packet->mid_stream && packet->protocol == PROTOCOL_TCP &&
			       as_mid_stream(&j, &connection) == PIECE_OF_NOTHING))
		return false;
	struct packet opened = { packet->source,      packet->target,      packet->protocol,
				 packet->source_port, packet->target_port, false };
	if (connection.source == ASKED_TARGET)
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
