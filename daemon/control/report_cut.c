/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/report_cut.h"
#include "control/flow_json.h"
#include "control/wire.h"

/* The protected role that has the address; none: no member. */
static void add_role(json_t *out, const char *key, const struct policy *policy, const struct addr *addr)
{
	const struct policy_role *role = policy_protected_role(policy, addr);

	if (role)
		json_object_set_new(out, key, json_string(role->name));
}

json_t *report_cut_connection(const struct policy *policy, const struct cut_connection *item)
{
	const struct packet *packet = &item->packet;
	char source[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX];
	json_t *out = json_pack("{s:s, s:s, s:s, s:b, s:s}", "source", addr_format(&packet->source, source), "target",
				addr_format(&packet->target, target), "protocol",
				packet->protocol < PROTOCOLS ? protocol_name(packet->protocol) : "other", "had",
				item->cause.had, "why", cut_why_name(item->cause.why));

	if (!out)
		return NULL;
	endpoint_json(out, "not_in", item->cause.not_in);
	add_role(out, "source_role", policy, &packet->source);
	add_role(out, "target_role", policy, &packet->target);
	if (packet->target_port)
		json_object_set_new(out, "port", json_integer(packet->target_port));
	if (item->cause.flow[0])
		json_object_set_new(out, "flow", json_string(item->cause.flow));
	return out;
}

json_t *report_cut(const struct policy *policy, const struct cut_result *result)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < result->shown; i++) {
		json_t *one = report_cut_connection(policy, &result->items[i]);
		if (one)
			json_object_set_new(one, "count", json_integer((json_int_t)result->items[i].count));
		if (json_array_append_new(list, one) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}
