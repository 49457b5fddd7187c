/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"
#include "control/wire.h"

#include <stdlib.h>

const char *json_text(const json_t *value)
{
	const char *text = json_string_value(value);
	return text ? text : "";
}

const char *json_text_of(const json_t *object, const char *key)
{
	return json_text(json_object_get(object, key));
}

int64_t json_number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

bool json_truth_of(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

/* Keys in the order in which they came. Beyond ASCII all is escaped: nothing can steer a terminal. */
static void print_json(const struct ctl *ctl, const json_t *value)
{
	size_t flags = JSON_ENSURE_ASCII | (ctl->screen.terminal ? JSON_INDENT(2) : 0);

	if (!value || json_dumpf(value, ctl->screen.file, flags) < 0)
		ctl_complain(ctl, "out of memory");
	else
		putc('\n', ctl->screen.file);
}

static void print_new(const struct ctl *ctl, json_t *value)
{
	print_json(ctl, value);
	json_decref(value);
}

static void json_not_running(const struct ctl *ctl, const json_t *inspect, const char *unknown)
{
	json_t *reasons = json_pack("[s]", "spefwd is not running");

	if (reasons && !inspect)
		json_array_append_new(reasons, json_printable(unknown));
	print_new(ctl, json_pack("{s:b, s:s, s:o, s:O?}", "running", 0, "health", "failed", "reasons", reasons, "table",
				 inspect));
}

static void json_error(const struct ctl *ctl, const char *error, const json_t *parameters)
{
	print_new(ctl, json_pack("{s:s, s:O?}", "error", error, "parameters", parameters));
}

/* Paths and texts may hold bytes that JSON can't. */
static json_t *harmless_string(const char *text)
{
	char *harmless = text ? text_harmless(text) : NULL;
	json_t *value = harmless ? json_string(harmless) : text ? NULL : json_null();

	free(harmless);
	return value;
}

static json_t *diags_of(const struct diags *diags, enum severity severity)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < diags->count; i++) {
		const struct diag *diag = &diags->items[i];
		if (diag->severity != severity)
			continue;
		json_t *item = json_pack("{s:o, s:i, s:o}", "file", harmless_string(diag->file), "line",
					 (int)diag->line, "text", harmless_string(diag->text));
		if (!item || json_array_append_new(list, item) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static void json_check(const struct ctl *ctl, const char *path, const struct policy *policy, const struct diags *diags)
{
	(void)path;
	(void)policy;
	print_new(ctl, json_pack("{s:o, s:o}", "errors", diags_of(diags, DIAG_ERROR), "warnings",
				 diags_of(diags, DIAG_WARNING)));
}

static void json_init(const struct ctl *ctl, const char *path)
{
	print_new(ctl, json_pack("{s:o}", "written", harmless_string(path)));
}

const struct output output_json = {
	.status = print_json,
	.not_running = json_not_running,
	.flows = print_json,
	.names = print_json,
	.reload = print_json,
	.clear = print_json,
	.init = json_init,
	.check = json_check,
	.doctor = print_json,
	.error = json_error,
};
