/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/policy_json.h"
#include "control/flow_json.h"
#include "control/wire.h"
#include "core/config_types.h"

enum { ROLES_TOLD = 8 }; /* the first protected ones: each flow tells whether it concerns them */

/* What has one value as it is written. */
static void add_settings(json_t *list, const struct policy *policy, enum config_section section)
{
	char text[VALUE_TEXT_MAX];

	for (const struct config_key *key = NULL; (key = config_key_next(section, key));) {
		if (!key->in_policy || !value_methods(key)->text)
			continue;
		value_methods(key)->text(key, policy, text);
		json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "section", config_section_names[section],
						      "key", key->name, "value", json_printable(text)));
	}
}

static json_t *settings_json(const struct policy *policy)
{
	json_t *list = json_array();

	add_settings(list, policy, CONFIG_SERVER);
	add_settings(list, policy, CONFIG_GATEWAY);
	add_settings(list, policy, CONFIG_DNS);
	return list;
}

static json_t *placed_flow(const struct policy *policy, const struct policy_flow *flow)
{
	json_t *out = flow_json(flow), *inbound = json_array(), *outbound = json_array();
	size_t told = 0;

	for (size_t i = 0; i < policy->role_count && told < ROLES_TOLD; i++) {
		const struct policy_role *role = &policy->roles[i];
		if (!role->is_protected)
			continue;
		told++;
		bool opens = flow_opens_role(flow, role);
		if (opens)
			json_array_append_new(inbound, json_string(role->name));
		/* ANY is also the role that it opens. */
		if (!opens && flow_leaves_role(flow, role))
			json_array_append_new(outbound, json_string(role->name));
	}
	json_object_set_new(out, "inbound", inbound);
	json_object_set_new(out, "outbound", outbound);
	return out;
}

json_t *policy_json(const struct policy *policy)
{
	const struct policy_flow *flow;
	json_t *flows = json_array();

	for (size_t at = 0; (flow = policy_listed_flow(policy, &at));)
		json_array_append_new(flows, placed_flow(policy, flow));
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "mode", mode_name(policy->mode), "server",
			 ranges_json(&policy->roles[0].guarded), "settings", settings_json(policy), "roles",
			 roles_json(policy), "flows", flows);
}
