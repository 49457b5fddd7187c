/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/report_diff.h"
#include "clock.h"
#include "control/change_json.h"
#include "control/report_cut.h"
#include "control/report_usage.h"
#include "control/wire.h"

static json_t *cut_list(const struct gateway *gateway, const struct gateway_diff *diff)
{
	json_t *list = json_array();

	for (size_t i = 0; i < diff->shown; i++) {
		const struct foreseen *item = &diff->items[i];
		const struct cut_connection cut = { .packet = item->tracked.packet, .cause = item->cause };
		json_t *out = report_cut_connection(&diff->candidate.file.policy, &cut);
		report_age(out, gateway_usage(gateway), &item->tracked);
		if (cut.packet.source_port)
			json_object_set_new(out, "source_port", json_integer(cut.packet.source_port));
		if (item->tracked.counted)
			json_object_set_new(out, "bytes", json_integer((json_int_t)item->tracked.bytes));
		json_array_append_new(list, out);
	}
	return list;
}

/* The name that the flow has for the peer, of all that names have held; NULL: none. */
static const char *name_of(const struct policy *policy, const struct names_view *held, const char *flow_id,
			   const struct addr *peer)
{
	const struct policy_flow *flow = policy_flow(policy, flow_id);

	for (int side = 0; flow && side < 2; side++) {
		const struct endpoint *end = side ? &flow->from : &flow->to;
		for (size_t i = 0; i < end->name_count && end->names[i] < held->count; i++) {
			const struct name_addresses *list = &held->names[end->names[i]][peer->family];
			for (size_t a = 0; a < list->count; a++)
				if (addr_compare(&list->items[a].addr, peer) == 0)
					return policy->names[end->names[i]].name;
		}
	}
	return NULL;
}

static json_t *denied_list(const struct gateway *gateway, const struct gateway_diff *diff)
{
	const struct policy *policy = config_store_policy(gateway_config(gateway));
	const struct record *record = usage_record(gateway_usage(gateway));
	const struct record_effect *effect = &diff->record;
	json_t *list = json_array();

	for (size_t i = 0; i < effect->shown; i++) {
		const struct record_entry *entry = effect->items[i];
		const char *flow = record_flow_of(record, entry),
			   *name = name_of(policy, &diff->held_before, flow, &entry->peer);
		json_t *out = report_peer(entry);
		json_object_set_new(out, "flow", json_string(flow));
		if (name)
			json_object_set_new(out, "name", json_printable(name));
		json_array_append_new(list, out);
	}
	return list;
}

static json_t *new_names(const struct gateway_diff *diff)
{
	const struct policy *policy = &diff->candidate.file.policy;
	json_t *list = json_array();

	for (size_t i = 0; i < diff->new_names.count; i++)
		json_array_append_new(list, json_printable(policy->names[diff->new_names.items[i]].name));
	return list;
}

json_t *report_diff(const struct gateway *gateway, const struct gateway_diff *diff, json_t *changes)
{
	const struct config_store *config = gateway_config(gateway);
	const struct policy_file *file = &diff->candidate.file;
	json_t *out = json_pack("{s:o, s:I, s:b, s:s, s:O, s:I, s:o, s:o}", "path", json_printable(file->path),
				"generation", (json_int_t)config_store_generation(config), "removed",
				table_is_removed(gateway_table(gateway)), "mode", mode_name(file->policy.mode),
				"changes", changes, "cut", (json_int_t)diff->cut, "cut_connections",
				cut_list(gateway, diff), "new_names", new_names(diff));

	if (out && diff->has_fates && change_json_add_fates(out, &diff->fates) < 0) {
		json_decref(out);
		return NULL;
	}
	if (!out || !diff->recorded)
		return out;
	json_object_set_new(out, "denied", json_integer((json_int_t)diff->record.count));
	json_object_set_new(out, "denied_peers", denied_list(gateway, diff));
	json_object_set_new(out, "unjudged", json_integer((json_int_t)diff->record.unjudged));
	report_recorded(out, gateway);
	return out;
}
