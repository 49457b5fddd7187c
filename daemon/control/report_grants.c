/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/report_grants.h"
#include "clock.h"
#include "control/wire.h"
#include "gateway/granting.h"

#include <string.h>
#include <time.h>

static json_t *utc_time(int64_t seconds)
{
	time_t when = (time_t)seconds;
	struct tm parts;
	char text[32] = "";

	if (gmtime_r(&when, &parts))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	return json_string(text);
}

/* What is left tells when it ends by the wall clock as it is now. */
json_t *report_grant(const struct policy *policy, const struct grant *grant)
{
	const struct policy_flow *flow = policy_flow(policy, grant->flow);
	enum grant_side side = flow ? flow_grant_side(policy, flow) : GRANT_NO_SIDE;
	int64_t now = wall_s(), left_ms = grant->end_ms - now_ms(), left_s = left_ms > 0 ? (left_ms + 999) / 1000 : 0;
	char address[ADDR_TEXT_MAX];

	json_t *out = json_pack("{s:s, s:s, s:o, s:I, s:I, s:o, s:s}", "flow", grant->flow, "address",
				addr_format(&grant->addr, address), "by", json_printable(grant->by), "given_s",
				(json_int_t)(now > grant->given_s ? now - grant->given_s : 0), "left_s",
				(json_int_t)left_s, "until", utc_time(now + left_s), "state",
				grant_state_name(grant_state(policy, grant->flow, &grant->addr)));
	if (side != GRANT_NO_SIDE)
		json_object_set_new(out, "side", json_string(side == GRANT_SOURCE ? "source" : "target"));
	return out;
}

json_t *report_grant_list(const struct gateway *gateway)
{
	const struct policy *policy = config_store_policy(gateway_config(gateway));
	const struct grant_list *grants = gateway_grants(gateway);
	json_t *list = json_array();

	for (size_t i = 0; i < grants->count; i++)
		json_array_append_new(list, report_grant(policy, &grants->items[i]));
	return list;
}

json_t *report_granted(const struct gateway *gateway, const struct policy_flow *flow)
{
	const struct policy *policy = config_store_policy(gateway_config(gateway));
	const struct grant_list *grants = gateway_grants(gateway);
	char address[ADDR_TEXT_MAX];
	json_t *list = json_array();

	for (size_t i = 0; i < grants->count; i++) {
		const struct grant *grant = &grants->items[i];
		if (strcmp(grant->flow, flow->id) != 0 ||
		    grant_state(policy, grant->flow, &grant->addr) != GRANT_IN_EFFECT)
			continue;
		json_array_append_new(list, json_string(addr_format(&grant->addr, address)));
	}
	return list;
}
