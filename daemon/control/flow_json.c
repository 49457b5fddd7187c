/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/flow_json.h"
#include "control/wire.h"

json_t *endpoint_json(const struct endpoint *endpoint)
{
	json_t *list = json_array();

	for (size_t i = 0; i < endpoint->word_count; i++)
		json_array_append_new(list, json_printable(endpoint->words[i]));
	return list;
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
