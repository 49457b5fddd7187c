/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/report_usage.h"
#include "clock.h"
#include "control/wire.h"
#include "core/array.h"
#include "gateway/gateway.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CONNECTIONS_MAX = 10000, /* of one reply, which has room for more of them */
	PEERS_MAX = 1000,
};

static void add_number(json_t *object, const char *member, int64_t number)
{
	json_object_set_new(object, member, json_integer(number));
}

static int64_t ago(int64_t when_s)
{
	int64_t now = wall_s();
	return now > when_s ? now - when_s : 0;
}

void report_use(json_t *flow, const struct gateway *gateway, const struct policy_flow *of)
{
	const struct usage *usage = gateway_usage(gateway);
	const struct record *record = usage_record(usage);
	const struct record_flow *used = record ? record_find(record, of->id) : NULL;
	char counter[CONFIG_ID_MAX + 8];

	snprintf(counter, sizeof(counter), "flow-%s", of->id);
	add_number(flow, "connections", (int64_t)usage_open(usage, of));
	add_number(flow, "attempts", (int64_t)counts_packets(gateway_counts(gateway), counter));
	if (record)
		add_number(flow, "new_24h", used ? (int64_t)record_opened(used, wall_s()) : 0);
	if (used && used->last_s)
		add_number(flow, "last_used_s", ago(used->last_s));
}

void report_recorded(json_t *reply, const struct gateway *gateway)
{
	const struct record *record = usage_record(gateway_usage(gateway));

	if (record)
		add_number(reply, "recorded_s", record_kept_s(record));
}

/* Connections */

struct listed {
	struct tracked tracked;
	const struct policy_flow *flow; /* NULL: none allows it */
	bool inbound;
};

struct listing {
	const struct policy *policy;
	const struct policy_flow *wanted; /* NULL: of all */
	struct listed *items;
	size_t count, capacity;
	bool more;
	int status;
};

static void list(void *userdata, const struct tracked *tracked, const struct judgement *judgement)
{
	struct listing *listing = userdata;
	struct listed listed = { *tracked, judgement->verdict == VERDICT_ALLOW ? judgement->flow : NULL,
				 policy_protected_role(listing->policy, &tracked->packet.target) };

	if (listing->status < 0 || (listing->wanted && listing->wanted != listed.flow))
		return;
	if (listing->count == CONNECTIONS_MAX)
		listing->more = true;
	else if (ARRAY_PUSH(listing, listed) < 0)
		listing->status = -ENOMEM;
}

static const struct addr *peer_of(const struct listed *listed)
{
	return listed->inbound ? &listed->tracked.packet.source : &listed->tracked.packet.target;
}

/* By flow, peer and port: how they are shown. */
static int order(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;
	int r = strcmp(x->flow ? x->flow->id : "", y->flow ? y->flow->id : "");

	if (r == 0)
		r = addr_compare(peer_of(x), peer_of(y));
	if (r == 0)
		r = x->tracked.packet.source_port - y->tracked.packet.source_port;
	return r ? r : (x->tracked.id > y->tracked.id) - (x->tracked.id < y->tracked.id);
}

static const char *protocol_of(const struct packet *packet)
{
	return packet->protocol < PROTOCOLS ? protocol_name(packet->protocol) : "other";
}

static json_t *ends(const struct tracked *tracked)
{
	const struct packet *packet = &tracked->packet;
	char source[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX];

	json_t *out = json_pack("{s:I, s:s, s:s, s:s}", "id", (json_int_t)tracked->id, "protocol", protocol_of(packet),
				"source", addr_format(&packet->source, source), "target",
				addr_format(&packet->target, target));
	if (packet->protocol == PROTOCOL_TCP || packet->protocol == PROTOCOL_UDP) {
		add_number(out, "source_port", packet->source_port);
		add_number(out, "target_port", packet->target_port);
	}
	return out;
}

/* By the kernel's own note of when it began, or by when it was first met. */
void report_age(json_t *out, const struct usage *usage, const struct tracked *tracked)
{
	int64_t known_s = usage_known_s(usage, tracked->id);

	if (!tracked->started_s && known_s < 0)
		return;
	add_number(out, "age_s", tracked->started_s ? ago(tracked->started_s) : known_s);
	json_object_set_new(out, "age_at_least", json_boolean(!tracked->started_s));
}

static json_t *connection(const struct usage *usage, const struct listed *listed)
{
	json_t *out = ends(&listed->tracked);
	char peer[ADDR_TEXT_MAX];

	json_object_set_new(out, "peer", json_string(addr_format(peer_of(listed), peer)));
	json_object_set_new(out, "inbound", json_boolean(listed->inbound));
	json_object_set_new(out, "state", json_string(listed->tracked.state ? listed->tracked.state : "none"));
	if (listed->flow)
		json_object_set_new(out, "flow", json_string(listed->flow->id));
	report_age(out, usage, &listed->tracked);
	if (listed->tracked.counted)
		add_number(out, "bytes", (int64_t)listed->tracked.bytes);
	return out;
}

static json_t *connection_list(const struct usage *usage, struct listing *listing)
{
	json_t *list = json_array();

	if (listing->count)
		qsort(listing->items, listing->count, sizeof(*listing->items), order);
	for (size_t i = 0; i < listing->count; i++) /* a dump may show one twice */
		if (!i || order(&listing->items[i - 1], &listing->items[i]) != 0)
			json_array_append_new(list, connection(usage, &listing->items[i]));
	return list;
}

json_t *report_connections(struct gateway *gateway, const struct policy_flow *flow, bool at_once, int *ret_error)
{
	struct listing listing = { .policy = config_store_policy(gateway_config(gateway)), .wanted = flow };
	json_t *out = NULL;

	*ret_error = gateway_list_connections(gateway, at_once, list, &listing);
	if (*ret_error == 0)
		*ret_error = listing.status;
	if (*ret_error == 0)
		out = json_pack("{s:o, s:b, s:b}", "connections", connection_list(gateway_usage(gateway), &listing),
				"more", listing.more, "removed", table_is_removed(gateway_table(gateway)));
	free(listing.items);
	return out;
}

json_t *report_cut_one(const struct tracked *tracked)
{
	return ends(tracked);
}

/* The record */

json_t *report_peer(const struct record_entry *entry)
{
	struct range peers = record_peers(entry);
	char text[RANGE_TEXT_MAX];

	json_t *out = json_pack("{s:s, s:s, s:b, s:I, s:I, s:I}", "peer", range_format(&peers, text), "protocol",
				protocol_name(entry->protocol), "denied", entry->kind == RECORD_DENIED, "first_s",
				(json_int_t)ago(entry->first_s), "last_s", (json_int_t)ago(entry->last_s), "count",
				(json_int_t)entry->count);
	if (entry->port)
		add_number(out, "port", entry->port);
	return out;
}

json_t *report_peers(const struct gateway *gateway, const struct policy_flow *flow)
{
	const struct record *record = usage_record(gateway_usage(gateway));
	const struct record_entry *entry = NULL;
	json_t *list = json_array();
	bool more = false;

	while (record && !more && (entry = record_next(record, entry))) {
		if (strcmp(record_flow_of(record, entry), flow->id) != 0)
			continue;
		more = json_array_size(list) == PEERS_MAX;
		if (!more)
			json_array_append_new(list, report_peer(entry));
	}
	json_t *out = json_pack("{s:o, s:b}", "peers", list, "more", more);
	report_recorded(out, gateway);
	return out;
}
