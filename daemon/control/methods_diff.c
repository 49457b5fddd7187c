/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/methods_diff.h"
#include "control/change_json.h"
#include "control/methods.h"
#include "control/report_diff.h"
#include "control/wire.h"

#include <errno.h>
#include <spefw/protocol.h>
#include <stdlib.h>
#include <string.h>

static void fail(struct control_call *call, const char *what)
{
	control_fail(call, SPEFW_ERROR("Failed"), json_pack("{s:s}", "what", what));
}

/* Texts that were sent, so that no path of a client is opened. 1: files are there; 0: none is meant; -EINVAL: the
 * parameter is not as it should be; -ENOMEM. */
static int read_files(const json_t *parameters, struct archive *ret)
{
	const json_t *files = json_object_get(parameters, "files"), *file;
	size_t index;
	int r = 0;

	if (!files || json_is_null(files))
		return 0;
	if (!json_array_size(files))
		return -EINVAL;
	json_array_foreach(files, index, file)
	{
		const char *path = json_string_value(json_object_get(file, "path"));
		const json_t *text = json_object_get(file, "text");
		if (!path || !json_is_string(text))
			return -EINVAL;
		r = archive_add(ret, path, json_string_value(text), json_string_length(text));
		if (r < 0)
			return r;
	}
	return 1;
}

static void fail_invalid(struct control_call *call, const struct diags *diags)
{
	json_t *errors = json_array();

	for (size_t i = 0; i < diags->count; i++) {
		char *text = diags->items[i].severity == DIAG_ERROR ? diag_format(&diags->items[i]) : NULL;
		if (text)
			json_array_append_new(errors, json_printable(text));
		free(text);
	}
	control_fail(call, SPEFW_ERROR("ConfigInvalid"), json_pack("{s:o}", "errors", errors));
}

static void answer(const struct service *service, struct control_call *call, const struct archive *files, bool packets)
{
	struct diags diags = { 0 };
	struct gateway_diff diff;
	json_t *changes = json_array(), *reply = NULL;

	int r = changes ? gateway_diff(service->gateway, files, packets, &diags, change_json_add, changes, &diff)
			: -ENOMEM;
	if (r == 0) {
		reply = report_diff(service->gateway, &diff, changes);
		gateway_diff_free(&diff);
	}
	if (reply)
		control_reply(call, reply);
	else if (r == -EBUSY)
		control_fail(call, SPEFW_ERROR("Busy"), json_pack("{s:s}", "what", "this was looked at a moment ago"));
	else if (r == -EINVAL && diags_failed(&diags))
		fail_invalid(call, &diags);
	else
		fail(call, r < 0 ? strerror(-r) : "out of memory");
	json_decref(changes);
	diags_free(&diags);
}

static void fail_parameter(struct control_call *call, const char *name)
{
	control_fail(call, VARLINK_SERVICE ".InvalidParameter", json_pack("{s:s}", "parameter", name));
}

void run_diff(void *userdata, struct control_call *call, json_t *parameters)
{
	const struct service *service = userdata;
	const json_t *packets = json_object_get(parameters, "packets");
	struct archive files = { 0 };

	int r = read_files(parameters, &files);
	if (r == 1 && control_call_peer(call).uid != control_limits_default().root)
		control_fail(call, SPEFW_ERROR("PermissionDenied"),
			     json_pack("{s:s}", "what", "Diff of other files is for root alone"));
	else if (r == -EINVAL)
		fail_parameter(call, "files");
	else if (r < 0)
		fail(call, strerror(-r));
	else if (packets && !json_is_boolean(packets) && !json_is_null(packets))
		fail_parameter(call, "packets");
	else
		answer(service, call, r == 1 ? &files : NULL, json_is_true(packets));
	archive_free(&files);
}
