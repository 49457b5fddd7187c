/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/methods_change.h"
#include "control/methods.h"
#include "control/report.h"
#include "control/report_cut.h"
#include "control/report_history.h"
#include "control/wire.h"

#include <errno.h>
#include <spefw/protocol.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIRM_MAX_S = 24 * 60 * 60 };

static void fail(struct control_call *call, json_t *what)
{
	control_fail(call, SPEFW_ERROR("Failed"), json_pack("{s:o}", "what", what));
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

/* An optional number, 0 where it is not given. False: it is none of these, and that was replied. */
static bool read_number(struct control_call *call, const json_t *parameters, const char *name, json_int_t most,
			json_int_t *ret)
{
	const json_t *value = json_object_get(parameters, name);

	*ret = json_integer_value(value);
	if (!value || json_is_null(value) || (json_is_integer(value) && *ret >= 1 && *ret <= most))
		return true;
	control_fail(call, VARLINK_SERVICE ".InvalidParameter", json_pack("{s:s}", "parameter", name));
	return false;
}

/* What both a reload and a rollback reply. */
struct change {
	struct control_call *call;
	struct gateway *gateway;
	struct diags diags;
	struct reload_result result;
	json_t *changes;
	uint64_t before; /* the generation */
};

static bool change_begin(struct change *change, struct control_call *call, struct gateway *gateway)
{
	*change = (struct change){ .call = call,
				   .gateway = gateway,
				   .changes = json_array(),
				   .before = config_store_generation(gateway_config(gateway)) };
	change->result = (struct reload_result){ .line = add_line, .userdata = change->changes };
	if (!change->changes)
		fail(call, json_string("out of memory"));
	return change->changes;
}

/* What is done already can't be reported as failed. */
static void reply_done(struct change *change)
{
	const struct config_store *config = gateway_config(change->gateway);
	const struct reload_result *result = &change->result;
	uint64_t generation = config_store_generation(config);
	json_t *reply =
		json_pack("{s:b, s:I, s:O, s:I, s:o, s:o}", "changed", generation != change->before, "generation",
			  (json_int_t)generation, "changes", change->changes, "cut", (json_int_t)result->cut.count,
			  "cut_connections", report_cut(config_store_policy(config), &result->cut), "warnings",
			  diag_list(&change->diags, DIAG_WARNING));

	if (reply && result->waits)
		json_object_set_new(reply, "confirm_s", json_integer(report_left_s(config)));
	if (reply)
		control_reply(change->call, reply);
	else
		control_hang_up(change->call);
}

static void reply_waiting(struct control_call *call, const struct config_store *config)
{
	control_fail(call, SPEFW_ERROR("ConfirmPending"),
		     json_pack("{s:o, s:I}", "by", json_printable(config_store_waiting(config)->by), "left_s",
			       (json_int_t)report_left_s(config)));
}

static void change_end(struct change *change, int r)
{
	struct control_call *call = change->call;

	if (r == 0)
		reply_done(change);
	else if (r == -EALREADY)
		reply_waiting(call, gateway_config(change->gateway));
	else if (r == -EINVAL && diags_failed(&change->diags))
		control_fail(call, SPEFW_ERROR("ConfigInvalid"),
			     json_pack("{s:o}", "errors", diag_list(&change->diags, DIAG_ERROR)));
	else
		fail(call, json_printable(change->result.what[0] ? change->result.what : strerror(-r)));
	json_decref(change->changes);
	diags_free(&change->diags);
}

void run_reload(void *userdata, struct control_call *call, json_t *parameters)
{
	const struct service *service = userdata;
	char text[PEER_TEXT_MAX];
	struct requester by = method_requester(call, text);
	struct change change;
	json_int_t confirm_s;

	if (!read_number(call, parameters, "confirm_s", CONFIRM_MAX_S, &confirm_s) ||
	    !change_begin(&change, call, service->gateway))
		return;
	change_end(&change, gateway_reload(service->gateway, &by, confirm_s * 1000, &change.diags, &change.result));
}

void run_rollback(void *userdata, struct control_call *call, json_t *parameters)
{
	const struct service *service = userdata;
	char text[PEER_TEXT_MAX];
	struct requester by = method_requester(call, text);
	struct change change;
	json_int_t confirm_s, number;

	if (!read_number(call, parameters, "confirm_s", CONFIRM_MAX_S, &confirm_s) ||
	    !read_number(call, parameters, "number", HISTORY_ENTRIES_MAX, &number) ||
	    !change_begin(&change, call, service->gateway))
		return;
	int r = gateway_rollback(service->gateway, &by, (size_t)number, confirm_s * 1000, &change.diags,
				 &change.result);
	if (r == -ENOENT) {
		control_fail(call, SPEFW_ERROR("HistoryUnknown"), json_pack("{s:I}", "number", number));
		json_decref(change.changes);
	} else {
		if (r == -ENODATA && !change.result.what[0])
			snprintf(change.result.what, sizeof(change.result.what),
				 "its files could not be kept: choose another one of spefwctl history");
		if (r == -EBADMSG && !change.result.what[0])
			snprintf(change.result.what, sizeof(change.result.what),
				 "what was kept of it is damaged: choose another one of spefwctl history");
		change_end(&change, r);
	}
}

void run_confirm(void *userdata, struct control_call *call, json_t *parameters)
{
	const struct service *service = userdata;
	char text[PEER_TEXT_MAX];
	struct requester by = method_requester(call, text);

	(void)parameters;
	int r = gateway_confirm(service->gateway, &by);
	if (r == -ENOENT)
		control_fail(call, SPEFW_ERROR("NothingToConfirm"), NULL);
	else if (r < 0)
		fail(call, json_printable(strerror(-r)));
	else
		control_reply(call, json_pack("{s:I}", "generation",
					      (json_int_t)config_store_generation(gateway_config(service->gateway))));
}

void run_history(void *userdata, struct control_call *call, json_t *parameters)
{
	const struct service *service = userdata;
	json_t *reply = report_history(gateway_config(service->gateway));

	(void)parameters;
	if (reply)
		control_reply(call, reply);
	else
		fail(call, json_string("out of memory"));
}
