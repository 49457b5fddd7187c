/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/flow_json.h"
#include "control/wire.h"

#include <stdio.h>

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
