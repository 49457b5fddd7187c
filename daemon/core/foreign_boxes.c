/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "foreign_parts.h"
#include "array.h"

#include <errno.h>
#include <string.h>

/* The flows of a policy as boxes, as a base chain of another table sees them. */

enum {
	PEERS_MAX = 32, /* up to so many ranges of a flow have a box each; more are taken for all between the ends */
	TRACKED_FROM = -199, /* in chains that are earlier nothing is known of connections */
	KIND_UNICAST = 1,
	KIND_LOCAL = 2,
	SYN = 0x02,
	ACK = 0x10,
};

static bool stops(const struct judging *j)
{
	return j->effects & EFFECTS_STOP;
}
static bool is_at_gateway(const struct judging *j)
{
	return j->base->place == PLACE_INPUT || j->base->place == PLACE_OUTPUT;
}

static void set_all(struct box *box, enum rule_field field)
{
	memset(box->first[field], 0, FOREIGN_KEY_MAX);
	memset(box->last[field], 0xff, FOREIGN_KEY_MAX);
}

static void set_bytes(struct box *box, enum rule_field field, const void *first, const void *last)
{
	memcpy(box->first[field], first, rule_field_size(field));
	memcpy(box->last[field], last, rule_field_size(field));
}

static void set_byte(struct box *box, enum rule_field field, uint8_t value)
{
	set_bytes(box, field, &value, &value);
}

static void set_ports(struct box *box, enum rule_field field, const struct port_range *range)
{
	uint8_t first[] = { range->first >> 8, range->first & 0xff }, last[] = { range->last >> 8, range->last & 0xff };
	set_bytes(box, field, first, last);
}

/* One range of the protected side and one of the peer's: both directions, each interface. */
struct pair {
	const struct policy_flow *flow;
	const struct policy_role *role;
	size_t role_index;
	bool inbound;
	bool any_peer;
	const struct range *own, *peer;
	uint8_t protocol;
	const struct port_range *ports; /* NULL: it has none */
};

static void set_word(struct box *box, enum rule_field field, uint32_t value)
{
	set_bytes(box, field, &value, &value);
}

/* NULL: any. */
static void set_interface(struct box *box, enum rule_field field, const char *interface)
{
	uint8_t name[FOREIGN_KEY_MAX] = { 0 };

	set_all(box, field);
	if (!interface)
		return;
	memcpy(name, interface, strnlen(interface, FOREIGN_KEY_MAX - 1));
	set_bytes(box, field, name, name);
}

/* What is known of its connection. Where interceptions are looked for, all is open, since any packet of a flow may meet
 * them; a flow is stopped by what stops the packet that opens it, or the first answer. */
static void set_connection(const struct judging *j, struct box *box)
{
	bool tracked = j->base->place != PLACE_INGRESS &&
		       (j->base->place != PLACE_PREROUTING || j->base->priority >= TRACKED_FROM);
	uint8_t flags = box->reply ? SYN | ACK : SYN;

	set_byte(box, RULE_PACKET, 0);
	set_all(box, RULE_STATE);
	set_all(box, RULE_STATUS);
	set_all(box, RULE_TARGET_KIND);
	set_all(box, RULE_FLAGS);
	if (!stops(j))
		return;
	set_word(box, RULE_STATE, !tracked ? STATE_INVALID : box->reply ? STATE_ESTABLISHED : STATE_NEW);
	set_word(box, RULE_STATUS, 0); /* an identity DNAT, as ours is, leaves no trace there */
	set_word(box, RULE_TARGET_KIND, j->base->place == PLACE_INPUT ? KIND_LOCAL : KIND_UNICAST);
	set_byte(box, RULE_FLAGS, flags);
}

struct box make_box(const struct judging *j, const struct box_ends *ends)
{
	enum family family = (enum family)ends->source->first.family;
	struct box box = { .reply = ends->reply,
			   .family = (uint8_t)family,
			   .ways = 1,
			   .some = stops(j) && j->base->interfaces_unknown };

	set_byte(&box, RULE_FAMILY, family == FAMILY_4 ? 4 : 6);
	set_byte(&box, RULE_PROTOCOL, ends->protocol);
	set_bytes(&box, family == FAMILY_4 ? RULE_SOURCE_4 : RULE_SOURCE_6, ends->source->first.bytes,
		  ends->source->last.bytes);
	set_bytes(&box, family == FAMILY_4 ? RULE_TARGET_4 : RULE_TARGET_6, ends->target->first.bytes,
		  ends->target->last.bytes);
	set_all(&box, RULE_SOURCE_PORT);
	set_all(&box, RULE_TARGET_PORT);
	if (ends->source_ports)
		set_ports(&box, RULE_SOURCE_PORT, ends->source_ports);
	if (ends->target_ports)
		set_ports(&box, RULE_TARGET_PORT, ends->target_ports);
	set_interface(&box, RULE_IN_INTERFACE, ends->from_gateway ? "" : ends->in);
	set_interface(&box, RULE_OUT_INTERFACE, ends->out);
	set_byte(&box, RULE_LOCAL, j->base->place == PLACE_INPUT);
	set_connection(j, &box);
	return box;
}

void number_ways(struct boxes *boxes, size_t first)
{
	for (size_t i = first; i < boxes->count; i++) {
		boxes->items[i].ways = boxes->count - first;
		boxes->items[i].first_way = first;
		boxes->items[i].way = i;
	}
}

static int add_box(struct judging *j, struct boxes *boxes, const struct pair *pair, bool reply, const char *in,
		   const char *out)
{
	static const struct port_range high_ports = { 1024, UINT16_MAX },
				       usual_ports = { 49152, 60999 }; /* a client's; of Windows and of Linux */
	bool from_own = pair->inbound == reply;
	const struct port_range *clients = !pair->ports ? NULL : stops(j) ? &usual_ports : &high_ports;
	struct box box = make_box(j, &(struct box_ends){ .source = from_own ? pair->own : pair->peer,
							 .target = from_own ? pair->peer : pair->own,
							 .protocol = pair->protocol,
							 .source_ports = reply ? pair->ports : clients,
							 .target_ports = reply ? clients : pair->ports,
							 .reply = reply,
							 .from_gateway = j->base->place == PLACE_OUTPUT,
							 .in = in,
							 .out = out });

	box.flow = pair->flow;
	box.inbound = pair->inbound;
	box.any_peer = pair->any_peer;
	if (!from_own && !j->base->interfaces_unknown)
		box.neighbours = &j->view->environment->role_interfaces[pair->role_index];
	if (is_at_gateway(j))
		box.holes[from_own] = stops(j) ? NULL : &pair->role->guarded;
	else
		box.holes[from_own] = from_own ? &j->not_targets : &j->not_sources[pair->role_index];
	return ARRAY_PUSH(boxes, box) < 0 ? -ENOMEM : 0;
}

static bool has_interface(const struct interface_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->names[i], name) == 0)
			return true;
	return false;
}

/* Peers by the interfaces of the protected machine itself are neighbours, whose packets don't pass: those of the
 * others, or any. */
static const char *peer_way(const struct interface_list *peers, const struct interface_list *own, size_t index)
{
	for (size_t i = 0; peers && i < peers->count; i++)
		if ((!own || !has_interface(own, peers->names[i])) && index-- == 0)
			return peers->names[i];
	return NULL;
}

static size_t count_peer_ways(const struct interface_list *peers, const struct interface_list *own)
{
	size_t count = 0;

	while (peer_way(peers, own, count))
		count++;
	return count ? count : 1;
}

/* By each interface of the one side and each of the other; a side without any is open. */
static int add_ways(struct judging *j, struct boxes *boxes, const struct pair *pair, bool reply,
		    const struct interface_list *own, const struct interface_list *peers)
{
	bool from_own = pair->inbound == reply,
	     goes_out = stops(j) && (j->base->place == PLACE_FORWARD || j->base->place == PLACE_POSTROUTING);
	bool own_counts = own && own->count && (from_own || goes_out), peers_count = !from_own || goes_out;
	size_t own_ways = own_counts ? own->count : 1, ways = peers_count ? count_peer_ways(peers, own) : 1;
	size_t first = boxes->count;
	int r = 0;

	for (size_t o = 0; o < own_ways; o++) {
		for (size_t p = 0; p < ways && r == 0; p++) {
			const char *at_own = own_counts ? own->names[o] : NULL;
			const char *at_peer = peers_count ? peer_way(peers, own, p) : NULL;
			r = add_box(j, boxes, pair, reply, from_own ? at_own : at_peer, from_own ? at_peer : at_own);
		}
	}
	number_ways(boxes, first);
	return r;
}

/* Packets of the pair as the base chain sees them: what passes, or what the gateway itself has with the server. */
static int add_pair(struct judging *j, struct boxes *boxes, const struct pair *pair)
{
	const struct interface_list *own =
		j->base->interfaces_unknown ? NULL : &j->view->environment->role_interfaces[pair->role_index];
	const struct interface_list *peers =
		stops(j) && !j->base->interfaces_unknown && !is_at_gateway(j) && j->view->peers && pair->flow
			? &j->view->peers[pair->flow - j->policy->flows]
			: NULL;
	int r = 0;

	for (int reply = 0; reply < (j->base->nat ? 1 : 2) && r == 0; reply++) {
		bool from_own = pair->inbound == (reply != 0);
		if ((j->base->place == PLACE_INPUT && !from_own) || (j->base->place == PLACE_OUTPUT && from_own))
			continue;
		if (j->base->place == PLACE_OUTPUT)
			r = add_box(j, boxes, pair, reply, NULL, NULL);
		else
			r = add_ways(j, boxes, pair, reply, own, peers);
	}
	return r;
}

static int add_ports(struct judging *j, struct boxes *boxes, struct pair *pair)
{
	static const uint8_t numbers[] = { [PROTOCOL_TCP] = 6, [PROTOCOL_UDP] = 17 };
	int r = 0;

	for (enum protocol protocol = 0; protocol < PROTOCOLS && r == 0; protocol++) {
		if (!(pair->flow->protocols & 1u << protocol))
			continue;
		if (protocol == PROTOCOL_ICMP_ECHO) {
			pair->protocol = pair->own->first.family == FAMILY_4 ? 1 : 58;
			pair->ports = NULL;
			r = add_pair(j, boxes, pair);
			continue;
		}
		pair->protocol = numbers[protocol];
		for (size_t i = 0; i < pair->flow->port_count && r == 0; i++) {
			pair->ports = &pair->flow->ports[i];
			r = add_pair(j, boxes, pair);
		}
	}
	return r;
}

/* A range of peers, where the base chain sees any of it. Of what the gateway itself has with the server, only what is
 * meant for it counts: that it takes nothing from ANY is what a gateway is like. */
static int add_peer(struct judging *j, struct boxes *boxes, struct pair *pair, const struct range *peer)
{
	bool is_gateway = range_is_host(peer) && ranges_contains(j->view->environment->gateway, &peer->first);

	/* Protected machines as targets are inbound, and none talks to itself. */
	if (!pair->inbound && ranges_cover(&j->policy->protected_all, peer))
		return 0;
	if (stops(j) && is_gateway != is_at_gateway(j))
		return 0;
	struct pair whole = *pair; /* theirs keeps no pointer to a range that goes */
	whole.peer = peer;
	return add_ports(j, boxes, &whole);
}

/* Who is behind names is known by the addresses that they have now. */
static int add_named(struct judging *j, struct boxes *boxes, struct pair *pair, const struct endpoint *peer)
{
	const struct names_view *names = j->view->environment->names;
	int r = 0;

	for (size_t i = 0; i < peer->name_count && r == 0; i++) {
		if (peer->names[i] >= names->count)
			continue;
		const struct name_addresses *addresses = &names->names[peer->names[i]][pair->own->first.family];
		for (size_t a = 0; a < addresses->count && a < PEERS_MAX && r == 0; a++) {
			struct range range = range_of(&addresses->items[a].addr);
			r = add_peer(j, boxes, pair, &range);
		}
	}
	return r;
}

static bool all_names_known(const struct judging *j, const struct endpoint *peer)
{
	const struct names_view *names = j->view->environment->names;

	for (size_t i = 0; i < peer->name_count; i++)
		if (peer->names[i] >= names->count ||
		    names->names[peer->names[i]][FAMILY_4].count + names->names[peer->names[i]][FAMILY_6].count == 0)
			return false;
	return true;
}

/* Where interceptions are looked for, a name may be anywhere; of very many ranges the ends have to do. */
static int add_peers(struct judging *j, struct boxes *boxes, struct pair *pair)
{
	const struct endpoint *peer = pair->inbound ? &pair->flow->from : &pair->flow->to;
	enum family family = (enum family)pair->own->first.family;
	struct range all = range_all(family);
	const struct range *first = NULL, *last = NULL;
	size_t count = 0;
	int r = 0;

	pair->any_peer = peer->any || (peer->name_count && !(stops(j) && all_names_known(j, peer)));
	if (pair->any_peer)
		return add_peer(j, boxes, pair, &all);
	if (peer->name_count)
		r = add_named(j, boxes, pair, peer);
	for (size_t i = 0; i < peer->ranges.count; i++) {
		if (peer->ranges.items[i].first.family != family)
			continue;
		first = first ? first : &peer->ranges.items[i];
		last = &peer->ranges.items[i];
		count++;
	}
	if (count > PEERS_MAX) {
		all = (struct range){ first->first, last->last };
		pair->any_peer = true;
		return r < 0 ? r : add_peer(j, boxes, pair, &all);
	}
	for (const struct range *range = first; count && range <= last && r == 0; range++)
		r = add_peer(j, boxes, pair, range);
	return r;
}

static bool sees_family(const struct judging *j, enum family family)
{
	return j->base->family != (family == FAMILY_4 ? FOREIGN_FAMILY_IP6 : FOREIGN_FAMILY_IP);
}

static int add_flow(struct judging *j, struct boxes *boxes, const struct policy_flow *flow, size_t role_index,
		    bool inbound)
{
	const struct policy_role *role = &j->policy->roles[role_index];
	const struct ranges *side = inbound ? &flow->to.opens : &flow->from.ranges;
	struct pair pair = { .flow = flow, .role = role, .role_index = role_index, .inbound = inbound };
	struct ranges own = { 0 };

	int r = ranges_add_all(&own, &role->guarded);
	if (r == 0 && (inbound || !flow->from.any))
		r = ranges_intersect(&own, side);
	for (size_t i = 0; i < own.count && r == 0; i++) {
		pair.own = &own.items[i];
		if (sees_family(j, (enum family)pair.own->first.family))
			r = add_peers(j, boxes, &pair);
	}
	ranges_free(&own);
	return r;
}

/* Connections to ports of a protected role that no flow opens. */
static int add_closed_ports(struct judging *j, struct boxes *boxes, const struct pair *whole)
{
	struct port_range closed = { 1, 0 };
	struct pair pair = *whole;
	int r = 0;

	pair.ports = &closed;
	for (unsigned port = 1; port <= UINT16_MAX && r == 0; port++) {
		bool open = false;
		for (size_t f = 0; f < j->policy->flow_count && !open; f++)
			open = flow_opens_role(&j->policy->flows[f], pair.role) &&
			       flow_has_port(&j->policy->flows[f], PROTOCOL_TCP, (uint16_t)port);
		if (!open)
			closed.last = (uint16_t)port;
		if ((open || port == UINT16_MAX) && closed.first <= closed.last)
			r = add_box(j, boxes, &pair, false, NULL, NULL);
		if (open)
			closed = (struct port_range){ (uint16_t)(port + 1), 0 };
	}
	return r;
}

static int add_closed(struct judging *j, struct boxes *boxes)
{
	int r = 0;

	for (size_t i = 0; i < j->policy->role_count && r == 0; i++) {
		const struct policy_role *role = &j->policy->roles[i];
		for (size_t g = 0; role->is_protected && g < role->guarded.count && r == 0; g++) {
			struct range all = range_all((enum family)role->guarded.items[g].first.family);
			struct pair pair = { .role = role,
					     .role_index = i,
					     .inbound = true,
					     .any_peer = true,
					     .own = &role->guarded.items[g],
					     .peer = &all,
					     .protocol = 6 };
			r = add_closed_ports(j, boxes, &pair);
		}
	}
	return r;
}

int add_boxes(struct judging *j, struct boxes *boxes)
{
	int r = 0;

	if (j->effects & 1 << EFFECT_PORT)
		return j->base->nat && j->base->place == PLACE_PREROUTING ? add_closed(j, boxes) : 0;
	for (size_t i = 0; i < j->policy->role_count && r == 0; i++) {
		const struct policy_role *role = &j->policy->roles[i];
		for (size_t f = 0; role->is_protected && f < j->policy->flow_count && r == 0; f++) {
			const struct policy_flow *flow = &j->policy->flows[f];
			if (flow_opens_role(flow, role))
				r = add_flow(j, boxes, flow, i, true);
			if (r == 0 && flow_leaves_role(flow, role))
				r = add_flow(j, boxes, flow, i, false);
		}
	}
	return r;
}
