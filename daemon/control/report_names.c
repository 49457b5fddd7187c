/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/report.h"
#include "control/wire.h"
#include "clock.h"
#include "gateway/gateway.h"

#include <string.h>

/* What is known of the names of the policy. */

static bool uses_name(const struct endpoint *endpoint, size_t index)
{
	for (size_t i = 0; i < endpoint->name_count; i++)
		if (endpoint->names[i] == index)
			return true;
	return false;
}

static json_t *flows_of_name(const struct policy *policy, const char *name)
{
	json_t *list = json_array();
	size_t index = 0;

	while (index < policy->name_count && strcmp(policy->names[index].name, name) != 0)
		index++;
	for (size_t i = 0; i < policy->flow_count; i++)
		if (policy->flows[i].enabled &&
		    (uses_name(&policy->flows[i].from, index) || uses_name(&policy->flows[i].to, index)))
			json_array_append_new(list, json_string(policy->flows[i].id));
	return list;
}

static json_int_t seconds_until(int64_t when_ms, int64_t now)
{
	if (when_ms == INT64_MAX) /* never: a pattern is not queried */
		return 0;
	return when_ms > now ? (when_ms - now + 999) / 1000 : 0;
}

/* What the newest answer held and the name may not have, and the section of the file that would let it in. */
static json_t *refused_list(const struct names *names, const struct book_entry *entry)
{
	json_t *list = json_array();
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < entry->refused_count; i++) {
		const struct book_refused *refused = &entry->refused_addresses[i];
		const struct policy_flow *flow = names_private_flow(names, entry->name, refused);
		json_t *one =
			json_pack("{s:s, s:s}", "address", addr_format(&refused->addr, text), "why", refused->why);
		if (flow)
			json_object_set_new(one, "allow", json_sprintf("flow %s", flow->id));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *report_name(const struct names *names, const struct policy *policy, const struct book_entry *entry,
			   int64_t now)
{
	json_t *addresses = json_array();
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < entry->address_count; i++) {
		const struct book_address *address = &entry->addresses[i];
		json_array_append_new(addresses,
				      json_pack("{s:s, s:I, s:s, s:b}", "address", addr_format(&address->addr, text),
						"expires_in_s", seconds_until(address->expires_ms, now), "origin",
						book_origin_name(address->origin), "in_answer", address->in_answer));
	}
	json_t *out =
		json_pack("{s:o, s:s, s:s, s:o, s:I, s:o, s:I, s:o, s:o}", "name", json_printable(entry->name),
			  "family", entry->family == FAMILY_4 ? "ipv4" : "ipv6", "state", book_state_name(entry->state),
			  "addresses", addresses, "next_query_in_s", seconds_until(entry->next_query_ms, now),
			  "last_error", json_printable(entry->last_error), "refused", (json_int_t)entry->refused,
			  "refused_addresses", refused_list(names, entry), "flows", flows_of_name(policy, entry->name));
	if (entry->ever_answered)
		json_object_set_new(out, "last_answer_s", json_integer((now - entry->last_answer_ms) / 1000));
	return out;
}

json_t *report_name_list(const struct gateway *gateway)
{
	const struct names *names = gateway_names(gateway);
	const struct policy *policy = config_store_policy(gateway_config(gateway));
	json_t *list = json_array();
	struct book_entry entry;
	int64_t now = now_ms();

	for (size_t i = 0; i < names_count(names); i++) {
		names_entry(names, i, &entry);
		if (entry.unwanted)
			continue;
		json_array_append_new(list, report_name(names, policy, &entry, now));
	}
	return list;
}

json_t *report_names(const struct gateway *gateway)
{
	return json_pack("{s:o}", "names", report_name_list(gateway));
}
