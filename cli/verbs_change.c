/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "output.h"
#include "spefwd.h"

#include <stdlib.h>
#include <string.h>

int verb_reload(struct ctl *ctl)
{
	json_t *reply = NULL;
	int status = ctl_need(ctl, SPEFW_METHOD("Reload"), NULL, LONG_PATIENCE_S, &reply);

	if (status == EXIT_DONE)
		ctl->output->reload(ctl, reply);
	json_decref(reply);
	return status;
}

/* A name that could not be resolved is what the caller wanted to know. */
static bool any_error(const json_t *reply)
{
	const json_t *names = json_object_get(reply, "names");

	for (size_t i = 0; i < json_array_size(names); i++)
		if (*json_text_of(json_array_get(names, i), "last_error"))
			return true;
	return false;
}

static json_t *names_wanted(const struct ctl *ctl)
{
	json_t *names = json_array();

	for (size_t i = 0; names && i < ctl->argument_count; i++) {
		if (json_array_append_new(names, json_string(ctl->arguments[i])) < 0) {
			json_decref(names);
			return NULL;
		}
	}
	return json_pack("{s:o}", "names", names);
}

static bool is_wanted(const struct ctl *ctl, const char *name)
{
	for (size_t i = 0; i < ctl->argument_count; i++)
		if (strcmp(ctl->arguments[i], name) == 0)
			return true;
	return ctl->argument_count == 0;
}

/* The daemon replies with all names: another one's troubles are not what was asked for. NULL without memory. */
static json_t *only_wanted(const struct ctl *ctl, const json_t *reply)
{
	const json_t *names = json_object_get(reply, "names");
	json_t *list = json_array();

	for (size_t i = 0; i < json_array_size(names); i++)
		if (is_wanted(ctl, json_text_of(json_array_get(names, i), "name")))
			json_array_append(list, json_array_get(names, i));
	return json_pack("{s:o}", "names", list);
}

int verb_refresh(struct ctl *ctl)
{
	json_t *parameters = NULL, *reply = NULL;

	if (ctl->argument_count) {
		parameters = names_wanted(ctl);
		if (!parameters) {
			ctl_complain(ctl, "the names are not valid text: spefwctl names lists those that are used");
			return EXIT_USAGE;
		}
	}
	int status = ctl_need(ctl, SPEFW_METHOD("Refresh"), parameters, LONG_PATIENCE_S, &reply);
	json_t *wanted = status == EXIT_DONE ? only_wanted(ctl, reply) : NULL;
	if (wanted) {
		ctl->output->names(ctl, wanted);
		if (any_error(wanted)) {
			ctl_complain(ctl, "not every query was answered: spefwd goes on asking, and what it knew stays "
					  "in force");
			status = EXIT_FAILED;
		}
	} else if (status == EXIT_DONE) {
		ctl_complain(ctl, "out of memory");
		status = EXIT_FAILED;
	}
	json_decref(wanted);
	json_decref(reply);
	return status;
}

static int clear_without_daemon(struct ctl *ctl)
{
	char *output = NULL;
	int r;

	if (!ctl->world->root) {
		ctl_complain(ctl, "spefwd is not running, and removing the table is for root alone: run spefwctl clear "
				  "--yes as root");
		return EXIT_PERMISSION;
	}
	json_t *before = spefwd_inspect(ctl->world->spefwd, &r);
	bool loaded = !before || json_truth_of(before, "loaded");
	json_decref(before);
	r = spefwd_run((const char *const[]){ ctl->world->spefwd, "--clear", NULL }, SPEFWD_PATIENCE_S, &output);
	free(output);
	if (r < 0)
		ctl_complain(ctl, "%s: %s", ctl->world->spefwd, strerror(-r));
	if (r != 0) /* else it has said why itself */
		return EXIT_FAILED;
	json_t *reply = json_pack("{s:b}", "removed", loaded);
	ctl->output->clear(ctl, reply);
	json_decref(reply);
	return EXIT_DONE;
}

int verb_clear(struct ctl *ctl)
{
	json_t *reply = NULL;

	if (!ctl->yes) {
		ctl_complain(ctl, "clear removes table inet spefw: the server is then open to everyone. If that is "
				  "meant: spefwctl clear --yes");
		return EXIT_USAGE;
	}
	int status = ctl_call(ctl, SPEFW_METHOD("Clear"), NULL, PATIENCE_S, &reply);
	if (status == EXIT_NOT_RUNNING)
		return clear_without_daemon(ctl);
	if (status == EXIT_DONE)
		ctl->output->clear(ctl, reply);
	json_decref(reply);
	return status;
}
