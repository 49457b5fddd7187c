/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/gateway.h"
#include "control/report.h"
#include "control/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The methods of org.spefw.Gateway. */

#define NAMED(name) "org.spefw.Gateway." name

static void reply_or_fail(struct control_call *call, json_t *reply)
{
	if (reply)
		control_reply(call, reply);
	else
		control_fail(call, NAMED("Failed"), json_pack("{s:s}", "what", "out of memory"));
}

/* Of what is done already. */
static void reply_or_hang_up(struct control_call *call, json_t *reply)
{
	if (reply)
		control_reply(call, reply);
	else
		control_hang_up(call);
}

static void run_status(void *userdata, struct control_call *call, json_t *parameters)
{
	(void)parameters;
	reply_or_fail(call, report_status(userdata));
}

static void run_flows(void *userdata, struct control_call *call, json_t *parameters)
{
	(void)parameters;
	reply_or_fail(call, report_flows(userdata));
}

static void run_names(void *userdata, struct control_call *call, json_t *parameters)
{
	(void)parameters;
	reply_or_fail(call, report_names(userdata));
}

static void add_line(void *userdata, const char *text)
{
	json_array_append_new(userdata, json_printable(text));
}

static json_t *diag_list(const struct diags *diags, enum severity severity)
{
	json_t *list = json_array();
	for (size_t i = 0; i < diags->count; i++) {
		char *text = diags->items[i].severity == severity ? diag_format(&diags->items[i]) : NULL;
		if (text)
			json_array_append_new(list, json_printable(text));
		free(text);
	}
	return list;
}

static void run_reload(void *userdata, struct control_call *call, json_t *parameters)
{
	struct gateway *gateway = userdata;
	struct diags diags = { 0 };
	json_t *changes = json_array();
	struct reload_result result = { .line = add_line, .userdata = changes };
	uint64_t before = gateway->generation;

	(void)parameters;
	int r = gateway_reload(gateway, &diags, &result);
	if (r == 0)
		reply_or_hang_up(call,
				 json_pack("{s:b, s:I, s:O, s:I, s:o}", "changed",
					   gateway->generation != before || json_array_size(changes) > 0, "generation",
					   (json_int_t)gateway->generation, "changes", changes, "cut",
					   (json_int_t)result.cut, "warnings", diag_list(&diags, DIAG_WARNING)));
	else if (r == -EINVAL && diags_failed(&diags))
		control_fail(call, NAMED("ConfigInvalid"), json_pack("{s:o}", "errors", diag_list(&diags, DIAG_ERROR)));
	else
		control_fail(call, NAMED("Failed"),
			     json_pack("{s:o}", "what",
				       json_printable(gateway->failure[0] ? gateway->failure : strerror(-r))));
	json_decref(changes);
	diags_free(&diags);
}

static void run_refresh(void *userdata, struct control_call *call, json_t *parameters)
{
	json_t *list = json_object_get(parameters, "names");
	size_t count = json_is_array(list) ? json_array_size(list) : 0;
	const char **names = calloc(count + 1, sizeof(*names));
	const char *unknown = "";
	bool valid = !list || json_is_null(list) || json_is_array(list);

	for (size_t i = 0; names && i < count; i++) {
		names[i] = json_string_value(json_array_get(list, i));
		valid &= names[i] != NULL;
	}
	if (!valid) {
		control_fail(call, "org.varlink.service.InvalidParameter", json_pack("{s:s}", "parameter", "names"));
	} else {
		int r = names ? gateway_names_refresh(userdata, call, names, count, &unknown) : -ENOMEM;
		if (r == -ENOENT)
			control_fail(call, NAMED("NameUnknown"), json_pack("{s:s}", "name", unknown));
		else if (r < 0)
			control_fail(call, NAMED("Failed"), json_pack("{s:s}", "what", strerror(-r)));
	}
	free(names);
}

static void run_clear(void *userdata, struct control_call *call, json_t *parameters)
{
	struct gateway *gateway = userdata;
	bool removed;

	(void)parameters;
	int r = gateway_clear(gateway, &removed);
	if (r == 0)
		reply_or_hang_up(call, json_pack("{s:b}", "removed", removed));
	else
		control_fail(call, NAMED("Failed"), json_pack("{s:o}", "what", json_printable(gateway->nft.error)));
}

const struct control_method gateway_methods[] = {
	{ NAMED("Status"), false, run_status },
	{ NAMED("Flows"), false, run_flows },
	{ NAMED("Names"), false, run_names },
	{ NAMED("Reload"), true, run_reload },
	{ NAMED("Refresh"), true, run_refresh },
	{ NAMED("Clear"), true, run_clear },
	{ NULL, false, NULL },
};
