/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export.h"
#include "output.h"
#include "control/policy_json.h"
#include "control/wire.h"

#include <string.h>

enum { DOCUMENT_VERSION = 1 };

/* Of the status, what has a place of its own in the document. */
static const char *const placed[] = { "mode", "server", "config", "flows", "names", "generation", "proof" };

static json_t *begin(const struct export_made *made, const json_t *policy, const char *source)
{
	return json_pack("{s:s, s:i, s:{s:s, s:s, s:o, s:s}, s:O*, s:O*}", "format", "spefw-export", "version",
			 DOCUMENT_VERSION, "made", "at", made->at, "by", made->by, "host", json_printable(made->host),
			 "source", source, "server", json_object_get(policy, "server"), "roles",
			 json_object_get(policy, "roles"));
}

static void add_configuration(json_t *document, const json_t *policy, json_t *configuration)
{
	static const char *const members[] = { "mode", "generation", "settings" };

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		json_t *value = json_object_get(policy, members[i]);
		if (value)
			json_object_set(configuration, members[i], value);
	}
	json_object_set_new(document, "configuration", configuration);
}

static json_t *find_flow(const json_t *flows, const char *id)
{
	for (size_t i = 0; i < json_array_size(flows); i++)
		if (strcmp(json_text_of(json_array_get(flows, i), "id"), id) == 0)
			return json_array_get(flows, i);
	return NULL;
}

/* With what is known of their use. Both lists have one order, unless a reload came between them. */
static json_t *merged_flows(const json_t *policy, const json_t *live)
{
	const json_t *flows = json_object_get(policy, "flows");
	json_t *list = json_array();

	for (size_t i = 0; i < json_array_size(flows); i++) {
		json_t *flow = json_copy(json_array_get(flows, i)), *other = json_array_get(live, i);
		const char *id = json_text_of(flow, "id");
		if (strcmp(json_text_of(other, "id"), id) != 0)
			other = find_flow(live, id);
		if (other)
			json_object_update_missing(flow, other);
		json_array_append_new(list, flow);
	}
	return list;
}

static void set_known(json_t *document, const char *key, json_t *value)
{
	if (value)
		json_object_set(document, key, value);
}

json_t *export_document(const struct export_made *made, const struct export_replies *replies)
{
	const json_t *policy = replies->policy, *status = replies->status;
	json_t *document = begin(made, policy, "daemon"), *rest = json_copy(replies->status),
	       *configuration = json_copy(json_object_get(status, "config"));

	if (!document || !rest) {
		json_decref(document);
		json_decref(rest);
		json_decref(configuration);
		return NULL;
	}
	add_configuration(document, policy, configuration ? configuration : json_object());
	json_object_set_new(document, "flows", merged_flows(policy, json_object_get(replies->flows, "flows")));
	set_known(document, "names", json_object_get(status, "names"));
	set_known(document, "proof", json_object_get(status, "proof"));
	set_known(document, "history", json_object_get(replies->history, "entries"));
	json_t *warnings = export_warnings(json_object_get(replies->config, "files"));
	if (warnings)
		json_object_set_new(document, "warnings", warnings);
	for (size_t i = 0; i < sizeof(placed) / sizeof(placed[0]); i++)
		json_object_del(rest, placed[i]);
	json_object_set_new(document, "status", rest);
	return document;
}

json_t *export_document_of_file(const struct export_made *made, const struct policy *policy, const struct diags *diags,
				const char *path)
{
	json_t *parts = policy_json(policy), *document = parts ? begin(made, parts, "file") : NULL;

	if (document) {
		add_configuration(document, parts, json_pack("{s:o}", "path", json_printable(path)));
		json_object_set(document, "flows", json_object_get(parts, "flows"));
		json_object_set_new(document, "warnings", export_warnings_of(diags));
	}
	json_decref(parts);
	return document;
}
