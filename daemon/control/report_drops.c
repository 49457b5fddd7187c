/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/report_drops.h"
#include "clock.h"
#include "control/flow_json.h"
#include "control/wire.h"
#include "core/cures.h"
#include "core/drop_table.h"
#include "core/grant_view.h"
#include "core/health.h"
#include "gateway/granting.h"

#include <stdlib.h>
#include <string.h>

struct table_of_drops {
	const struct policy *policy;
	const struct drop *drops[2 * DROP_ROWS];
	struct cure_case cases[2 * DROP_ROWS];
	size_t cure_of[2 * DROP_ROWS];
	size_t count, all;
	struct cures cures;
};

/* A stranger that tries many ports or machines of ours is looking for an open one. */
static bool is_scan(const struct drop *drop, const struct denial_cause *cause)
{
	return drop->spread && cause->inbound && !cause->flow;
}

static struct cure_case case_of(const struct policy *policy, const struct names_view *names, const struct drop *drop)
{
	struct cure_case one = { .cause = denial_cause_of(policy, names, &drop->packet) };

	if (drop->many_targets && !drop->many_ports && !drop->spread->more_targets) {
		one.targets = drop->spread->targets;
		one.target_count = drop->spread->target_count;
	} else if (drop->many_targets && !drop->many_ports) {
		one.targets = drop->spread->targets;
		one.target_count = DROP_TARGETS; /* and more: any */
	}
	one.left_out = drop->many_ports || is_scan(drop, &one.cause);
	return one;
}

/* One side of it: an address, and the role where it is a protected one. */
static void add_side(json_t *out, const struct policy *policy, const struct addr *addr, const char *key,
		     const char *role_key)
{
	const struct policy_role *role = policy_protected_role(policy, addr);
	char text[ADDR_TEXT_MAX];

	json_object_set_new(out, key, json_string(addr_format(addr, text)));
	if (role)
		json_object_set_new(out, role_key, json_string(role->name));
}

static void add_cause(json_t *out, const struct denial_cause *cause)
{
	const struct policy_flow *flow = cause->flow;
	const struct endpoint *side = cause->why == CAUSE_SOURCE   ? &flow->from
				      : cause->why == CAUSE_TARGET ? &flow->to
								   : NULL;

	json_object_set_new(out, "why", json_string(cause_name(cause->why)));
	if (flow)
		json_object_set_new(out, "flow", json_string(flow->id));
	if (flow && flow->off)
		json_object_set_new(out, "off", json_string(flow->off));
	if (!side)
		return;
	endpoint_json(out, "not_in", side);
	json_object_set_new(out, "by_name",
			    json_boolean(side->name_count && !side->ranges.count &&
					 (side->name_count == side->word_count || side->more_words)));
}

/* Of one peer alone: a grant is for one address. */
static bool is_grantable(const struct policy *policy, const struct drop *drop, const struct denial_cause *cause)
{
	if (cause->why == CAUSE_SOURCE)
		return grant_would_help(policy, cause->flow, GRANT_SOURCE, &cause->opened.source);
	return cause->why == CAUSE_TARGET && !drop->many_targets &&
	       grant_would_help(policy, cause->flow, GRANT_TARGET, &cause->opened.target);
}

static json_t *report_row(const struct policy *policy, const struct drop *drop, const struct cure_case *one,
			  size_t cure, int64_t now)
{
	static const char *const kinds[] = { "in", "out", "early" };
	const struct packet *packet = &drop->packet;
	bool ports = packet->protocol == PROTOCOL_TCP || packet->protocol == PROTOCOL_UDP;
	json_t *out = json_object();

	add_side(out, policy, &packet->source, "source", "source_role");
	add_side(out, policy, &packet->target, "target", "target_role");
	json_object_set_new(out, "targets", json_integer(drop_targets(drop)));
	json_object_set_new(out, "more_targets", json_boolean(drop->spread && drop->spread->more_targets));
	json_object_set_new(out, "protocol",
			    json_string(packet->protocol < PROTOCOLS ? protocol_name(packet->protocol) : "other"));
	if (ports)
		json_object_set_new(out, "port", json_integer(packet->target_port));
	json_object_set_new(out, "ports", json_integer(drop->many_ports || !drop->spread ? drop_ports(drop) : ports));
	json_object_set_new(out, "count", json_integer((json_int_t)drop->count));
	json_object_set_new(out, "first_s", json_integer((now - drop->first_ms) / 1000));
	json_object_set_new(out, "last_s", json_integer((now - drop->last_ms) / 1000));
	json_object_set_new(out, "kind", json_string(kinds[drop->kind]));
	json_object_set_new(out, "mid_stream", json_boolean(packet->mid_stream));
	json_object_set_new(out, "from_gateway", json_boolean(drop->from_gateway));
	json_object_set_new(out, "audit", json_boolean(drop->audit));
	json_object_set_new(out, "scan", json_boolean(is_scan(drop, &one->cause)));
	add_cause(out, &one->cause);
	json_object_set_new(out, "grantable", json_boolean(is_grantable(policy, drop, &one->cause)));
	if (cure != SIZE_MAX)
		json_object_set_new(out, "cure", json_integer((json_int_t)cure));
	return out;
}

static json_t *report_cure(const struct cure *cure)
{
	json_t *out = json_pack("{s:s, s:s}", "does", cure_kind_name(cure->kind), "section", cure->section);
	json_t *values = json_array(), *lines = json_array();

	if (cure->line)
		json_object_set_new(out, "line", json_integer(cure->line));
	if (cure->key)
		json_object_set_new(out, "key", json_string(cure->key));
	for (size_t i = 0; i < cure->values.count; i++)
		json_array_append_new(values, json_printable(cure->values.items[i]));
	for (const char *at = cure->text; at && *at; at += strcspn(at, "\n") + 1)
		json_array_append_new(lines, json_stringn(at, strcspn(at, "\n")));
	json_object_set_new(out, "values", values);
	json_object_set_new(out, "lines", lines);
	return out;
}

/* Why there may be no copies at all. */
static json_t *report_no_copies(struct gateway *gateway)
{
	static const enum health_code codes[] = { HEALTH_NFLOG_TAKEN, HEALTH_NFLOG_FAILED, HEALTH_RESOLVER,
						  HEALTH_TABLE_REMOVED, HEALTH_TABLE_OUTDATED };
	json_t *list = json_array();
	struct health health;

	gateway_reasons(gateway, &health);
	for (size_t i = 0; i < health.reasons.count; i++) {
		const struct health_reason *reason = &health.reasons.items[i];
		for (size_t c = 0; c < sizeof(codes) / sizeof(codes[0]); c++)
			if (reason->code == codes[c])
				json_array_append_new(list,
						      json_pack("{s:s, s:s}", "code", health_kinds[reason->code].name,
								"text", reason->text));
	}
	health_free(&health);
	return list;
}

static json_t *report_table(struct gateway *gateway, const struct table_of_drops *table, bool complete)
{
	const struct drops *drops = gateway_drops(gateway);
	json_t *rows = json_array(), *cures = json_array();
	int64_t now = now_ms();
	uint64_t unseen;

	for (size_t i = 0; i < table->count; i++)
		json_array_append_new(rows, report_row(table->policy, table->drops[i], &table->cases[i],
						       table->cure_of[i], now));
	for (size_t i = 0; i < table->cures.list.count; i++)
		json_array_append_new(cures, report_cure(&table->cures.list.items[i]));
	unseen = gateway_drops_unseen_hour(gateway);
	return json_pack("{s:o, s:s, s:o, s:I, s:I, s:I, s:b, s:b, s:I, s:o, s:I, s:o}", "rows", rows, "mode",
			 mode_name(table->policy->mode), "path",
			 json_printable(config_store_file(gateway_config(gateway))->path), "copies",
			 (json_int_t)drops_table(drops)->serial, "unseen", (json_int_t)unseen, "unseen_all",
			 (json_int_t)gateway_drops_unseen(gateway), "sampled", unseen > 0, "complete", complete,
			 "recorded_s", (json_int_t)((now - drops_begun_ms(drops)) / 1000), "cures", cures, "uncured",
			 (json_int_t)table->cures.uncured, "reasons", report_no_copies(gateway));
}

json_t *report_drops(struct gateway *gateway, uint64_t since, size_t most, uint64_t *ret_serial)
{
	struct table_of_drops *table = calloc(1, sizeof(*table));
	const struct drop_table *drops = drops_table(gateway_drops(gateway));
	struct names_view names = { 0 };
	json_t *reply = NULL;

	if (!table)
		return NULL;
	table->policy = config_store_policy(gateway_config(gateway));
	if (most > 2 * DROP_ROWS)
		most = 2 * DROP_ROWS;
	table->count = drop_table_since(drops, since, table->drops, most, &table->all);
	int r = gateway_view(gateway, table->policy, &names);
	for (size_t i = 0; r == 0 && i < table->count; i++)
		table->cases[i] = case_of(table->policy, &names, table->drops[i]);
	if (r == 0)
		r = cures_make(&table->cures, table->policy, table->cases, table->count, table->cure_of);
	if (r == 0) {
		gateway_read_counters(gateway);
		reply = report_table(gateway, table, table->all == table->count && drops->lost_serial <= since);
		*ret_serial = drops->serial;
	}
	cures_free(&table->cures);
	names_view_free(&names);
	free(table);
	return reply;
}

void report_denied_sources(const struct gateway *gateway, json_t *denied)
{
	struct names_view names = { 0 };

	if (gateway_view(gateway, config_store_policy(gateway_config(gateway)), &names) < 0)
		names = (struct names_view){ 0 };
	struct drops_hour hour = drops_hour(gateway_drops(gateway), &names);
	names_view_free(&names);
	json_object_set_new(denied, "last_hour_sources", json_integer((json_int_t)hour.sources));
	json_object_set_new(denied, "last_hour_administrators", json_integer((json_int_t)hour.administrators));
	json_object_set_new(denied, "both_modes", json_boolean(hour.both_modes));
	json_object_set_new(denied, "sampled", json_boolean(hour.more || gateway_drops_unseen_hour(gateway) > 0));
}
