/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/policy_file.h"
#include "control/change_json.h"
#include "control/wire.h"
#include "ctl.h"
#include "net/local_addresses.h"
#include "output.h"

#include <errno.h>
#include <string.h>

enum { SENT_MAX = 768 * 1024 }; /* bytes of all files: spefwd takes requests of 1 MB from root */

/* Reads and judges a configuration; what is wrong with it is reported as `check` does. copy: gets its files; or NULL.
 * False: it is not usable. */
static bool read_file(const struct ctl *ctl, const char *path, struct policy_file *ret, struct archive *copy)
{
	struct ranges own = { 0 };
	struct diags diags = { 0 };

	int r = local_addresses(&own);
	struct policy_source source = { .gateway = r == 0 ? &own : NULL, .copy = copy };
	r = policy_file_load(ret, path, &source, &diags);
	ranges_free(&own);
	if (r < 0 && !diags_failed(&diags))
		ctl_error(ctl, "%s: %s", path, strerror(-r));
	else if (r < 0)
		ctl->output->check(ctl, path, &ret->policy, &diags);
	diags_free(&diags);
	return r == 0;
}

/* Where it is asked for. Without a daemon no name has an address. */
static int add_fates(const struct ctl *ctl, json_t *reply, const struct policy *before, const struct policy *after)
{
	const struct fate_side old = { .policy = before }, new = { .policy = after };
	struct fate_diff diff;
	int r = 0;

	if (!ctl->values[OPTION_VERBOSE])
		return 0;
	r = fate_diff(&diff, &old, &new, FATE_LINES_MAX);
	if (r == 0)
		r = change_json_add_fates(reply, &diff);
	fate_diff_free(&diff);
	return r;
}

/* Of two files, without a daemon: flows and addresses. */
static int compare(const struct ctl *ctl, const char *before_path, const char *path)
{
	struct policy_file before = { 0 }, file = { 0 };
	int status = EXIT_FAILED;

	if (!read_file(ctl, before_path, &before, NULL))
		return EXIT_FAILED;
	if (read_file(ctl, path, &file, NULL)) {
		json_t *changes = json_array();
		policy_diff(&before.policy, &file.policy, change_json_add, changes);
		json_t *reply =
			json_pack("{s:o, s:o, s:s, s:o}", "path", json_printable(path), "against",
				  json_printable(before_path), "mode", mode_name(file.policy.mode), "changes", changes);
		status = reply && add_fates(ctl, reply, &before.policy, &file.policy) == 0 ? EXIT_DONE : EXIT_FAILED;
		if (status == EXIT_DONE)
			ctl->output->reply(ctl, reply);
		else
			ctl_error(ctl, "out of memory");
		json_decref(reply);
		policy_file_free(&file);
	}
	policy_file_free(&before);
	return status;
}

/* The texts of the files, the configuration first. NULL: that has been reported. */
static json_t *sent_files(const struct ctl *ctl, const struct archive *files)
{
	json_t *list = json_array();
	size_t total = 0;

	for (size_t i = 0; i < files->count; i++) {
		const struct archived *file = &files->items[i];
		json_t *text = memchr(file->bytes, '\0', file->length) ? NULL : json_stringn(file->bytes, file->length);
		json_t *path = json_string(file->path);
		total += file->length;
		if (!text || !path || total > SENT_MAX) {
			ctl_error(ctl, "%s: %s", file->path,
				  text && path ? "too large to be sent to spefwd: put the files in place, and run "
						 "spefwctl diff"
					       : "it is not text in UTF-8");
			json_decref(text);
			json_decref(path);
			json_decref(list);
			return NULL;
		}
		json_array_append_new(list, json_pack("{s:o, s:o}", "path", path, "text", text));
	}
	return list;
}

json_t *diff_parameters(const struct ctl *ctl, const struct archive *files)
{
	json_t *list = sent_files(ctl, files);
	return list ? json_pack("{s:o}", "files", list) : NULL;
}

/* spefwd opens no path of ours: it gets what stands there. */
static json_t *read_parameters(const struct ctl *ctl, const char *path)
{
	struct policy_file file = { 0 };
	struct archive files = { 0 };
	json_t *parameters = NULL;

	if (read_file(ctl, path, &file, &files)) {
		parameters = diff_parameters(ctl, &files);
		policy_file_free(&file);
	}
	archive_free(&files);
	return parameters;
}

int verb_diff(struct ctl *ctl)
{
	const char *path = ctl->argument_count ? ctl->arguments[0] : NULL;
	json_t *reply = NULL, *parameters = NULL;

	if (ctl->values[OPTION_CONFIG])
		return compare(ctl, ctl_value(ctl, OPTION_CONFIG), path ? path : SPEFW_CONFIG);
	if (path) {
		parameters = read_parameters(ctl, path);
		if (!parameters)
			return EXIT_FAILED;
	}
	if (ctl->values[OPTION_VERBOSE]) {
		parameters = parameters ? parameters : json_object();
		if (json_object_set_new(parameters, "packets", json_true()) < 0) {
			ctl_error(ctl, "out of memory");
			json_decref(parameters);
			return EXIT_FAILED;
		}
	}
	int status = ctl_call(ctl, parameters, &reply);
	if (status == EXIT_DONE)
		ctl->output->reply(ctl, reply);
	else if (status == EXIT_NOT_RUNNING)
		ctl_error(ctl,
			  "spefwd is not running (nobody listens on %s): systemctl start spefwd, or compare two files "
			  "by -c %s",
			  ctl_value(ctl, OPTION_SOCKET), SPEFW_CONFIG);
	json_decref(reply);
	return status;
}
