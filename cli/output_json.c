/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"
#include "control/wire.h"

#include <stdio.h>
#include <stdlib.h>

const char *json_text(const json_t *value)
{
	const char *text = json_string_value(value);
	return text ? text : "";
}

size_t json_word_count(const json_t *object, const char *key)
{
	int64_t more;
	char name[32];

	snprintf(name, sizeof(name), "%s_more", key);
	more = json_number_of(object, name);
	return json_array_size(json_object_get(object, key)) + (more > 0 ? (size_t)more : 0);
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
		ctl_error(ctl, "out of memory");
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
	json_t *reasons = json_pack("[{s:s, s:s}]", "code", "not-running", "text", "spefwd is not running");

	if (reasons && !inspect)
		json_array_append_new(reasons, json_pack("{s:s, s:o}", "code", "table-unknown", "text",
							 json_printable(unknown)));
	print_new(ctl, json_pack("{s:b, s:s, s:o, s:O?}", "running", 0, "health", "failed", "reasons", reasons, "table",
				 inspect));
}

static void json_error(const struct ctl *ctl, const char *error, const json_t *parameters)
{
	print_new(ctl, json_pack("{s:s, s:O?}", "error", error, "parameters", parameters));
}

static json_t *diags_of(const struct diags *diags, enum severity severity)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < diags->count; i++) {
		const struct diag *diag = &diags->items[i];
		if (diag->severity != severity)
			continue;
		json_t *item =
			json_pack("{s:o, s:i, s:o}", "file", diag->file ? json_printable(diag->file) : json_null(),
				  "line", (int)diag->line, "text", json_printable(diag->text));
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
	print_new(ctl, json_pack("{s:o}", "written", json_printable(path)));
}

const struct output output_json = {
	.reply = print_json,
	.not_running = json_not_running,
	.init = json_init,
	.check = json_check,
	.error = json_error,
};
