/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/flow_json.h"
#include "control/wire.h"
#include "core/config_types.h"
#include "core/policy_diff.h"

#include <stdio.h>
#include <string.h>

void endpoint_json(json_t *out, const char *key, const struct endpoint *endpoint)
{
	json_t *list = json_array();
	char more[32];

	for (size_t i = 0; endpoint && i < endpoint->word_count; i++)
		json_array_append_new(list, json_printable(endpoint->words[i]));
	json_object_set_new(out, key, list);
	if (!endpoint || !endpoint->more_words)
		return;
	snprintf(more, sizeof(more), "%s_more", key);
	json_object_set_new(out, more, json_integer((json_int_t)endpoint->more_words));
}

void members_json(json_t *out, const struct endpoint *members)
{
	if (members && members->any)
		json_object_set_new(out, "members", json_pack("[s]", "ANY"));
	else
		endpoint_json(out, "members", members);
}

json_t *ports_json(const struct policy_flow *flow)
{
	json_t *list = json_array();

	for (size_t i = 0; i < flow->port_count; i++) {
		const struct port_range *range = &flow->ports[i];
		json_array_append_new(list, range->first == range->last
						    ? json_sprintf("%u", range->first)
						    : json_sprintf("%u-%u", range->first, range->last));
	}
	return list;
}

/* The keys that a flow's JSON has as they are, by the table of keys; no member where the key has no value. */
static void add_values(json_t *out, const struct policy_flow *flow)
{
	char text[VALUE_TEXT_MAX];

	for (const struct config_key *key = NULL; (key = config_key_next(CONFIG_FLOW, key));) {
		if (!key->json)
			continue;
		value_methods(key)->text(key, flow, text);
		if (key->type == VALUE_YES_NO)
			json_object_set_new(out, key->json, json_boolean(strcmp(text, "yes") == 0));
		else if (*text)
			json_object_set_new(out, key->json, json_printable(text));
	}
}

json_t *flow_json(const struct policy_flow *flow)
{
	char protocols[24];

	json_t *out = json_pack("{s:s, s:s, s:s, s:o}", "id", flow->id, "section", section_name(flow->section),
				"protocol", protocols_text(flow->protocols, protocols), "ports", ports_json(flow));
	endpoint_json(out, "from", &flow->from);
	endpoint_json(out, "to", &flow->to);
	add_values(out, flow);
	if (flow->off)
		json_object_set_new(out, "off", json_string(flow->off));
	if (flow->line)
		json_object_set_new(out, "line", json_integer(flow->line));
	if (flow->purpose)
		json_object_set_new(out, "purpose", json_string(flow->purpose));
	return out;
}

json_t *ranges_json(const struct ranges *ranges)
{
	json_t *list = json_array();
	char text[RANGE_TEXT_MAX];

	for (size_t i = 0; i < ranges->count; i++)
		json_array_append_new(list, json_string(range_format(&ranges->items[i], text)));
	return list;
}

json_t *roles_json(const struct policy *policy)
{
	json_t *list = json_array();

	for (size_t i = 0; i < policy->role_count; i++) {
		const struct policy_role *role = &policy->roles[i];
		json_t *out = json_pack("{s:s, s:b, s:I}", "name", role->name, "protected", role->is_protected, "count",
					(json_int_t)(role->members.ranges.count + role->members.name_count));
		members_json(out, &role->members);
		json_array_append_new(list, out);
	}
	return list;
}
