/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "output.h"
#include "spefwd.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A name that could not be resolved is what the caller wanted to know. */
static bool any_error(const json_t *reply)
{
	const json_t *names = json_object_get(reply, "names");

	for (size_t i = 0; i < json_array_size(names); i++)
		if (*json_text_of(json_array_get(names, i), "last_error"))
			return true;
	return false;
}

/* As the daemon has them: in lower case, without the dot at the end. The caller's; NULL without memory. */
static char *plain_name(const char *given)
{
	char *name = strdup(given);
	size_t length = name ? strlen(name) : 0;

	for (size_t i = 0; i < length; i++)
		name[i] = (char)tolower((unsigned char)name[i]);
	if (length > 1 && name[length - 1] == '.')
		name[length - 1] = '\0';
	return name;
}

static json_t *names_wanted(const struct ctl *ctl)
{
	json_t *names = json_array();

	for (size_t i = 0; names && i < ctl->argument_count; i++) {
		char *name = plain_name(ctl->arguments[i]);
		int r = json_array_append_new(names, name ? json_string(name) : NULL);
		free(name);
		if (r < 0) {
			json_decref(names);
			return NULL;
		}
	}
	return json_pack("{s:o}", "names", names);
}

/* wanted: NULL for all. */
static bool is_wanted(const json_t *wanted, const char *name)
{
	for (size_t i = 0; i < json_array_size(wanted); i++)
		if (strcmp(json_text(json_array_get(wanted, i)), name) == 0)
			return true;
	return !wanted;
}

/* The daemon replies with all names: another one's trouble is none of the caller's. NULL without memory. */
static json_t *only_wanted(const json_t *wanted, const json_t *reply)
{
	const json_t *names = json_object_get(reply, "names");
	json_t *list = json_array();

	for (size_t i = 0; i < json_array_size(names); i++)
		if (is_wanted(wanted, json_text_of(json_array_get(names, i), "name")))
			json_array_append(list, json_array_get(names, i));
	return json_pack("{s:o}", "names", list);
}

int verb_refresh(struct ctl *ctl)
{
	json_t *parameters = NULL, *names = NULL, *reply = NULL;

	if (ctl->argument_count) {
		parameters = names_wanted(ctl);
		if (!parameters) {
			ctl_error(ctl, "the names are not valid text: spefwctl names lists those that are used");
			return EXIT_USAGE;
		}
		names = json_incref(json_object_get(parameters, "names"));
	}
	int status = ctl_need(ctl, parameters, &reply);
	json_t *wanted = status == EXIT_DONE ? only_wanted(names, reply) : NULL;
	if (wanted) {
		ctl->output->reply(ctl, wanted);
		if (any_error(wanted)) {
			ctl_error(ctl, "not every query was answered: spefwd tries again, and former answers stay in "
				       "force");
			status = EXIT_FAILED;
		}
	} else if (status == EXIT_DONE) {
		ctl_error(ctl, "out of memory");
		status = EXIT_FAILED;
	}
	json_decref(wanted);
	json_decref(reply);
	json_decref(names);
	return status;
}

static int clear_without_daemon(struct ctl *ctl)
{
	char *output = NULL;
	int r;

	if (!ctl->environment->root)
		return ctl_denied(ctl, NULL);
	json_t *before = spefwd_inspect(ctl->environment->spefwd, &r);
	bool loaded = !before || json_truth_of(before, "loaded");
	json_decref(before);
	r = spefwd_run((const char *const[]){ ctl->environment->spefwd, "--clear", NULL }, SPEFWD_TIMEOUT_S, &output);
	free(output);
	if (r < 0)
		ctl_error(ctl, "%s: %s", ctl->environment->spefwd, strerror(-r));
	if (r != 0) /* it has reported why itself */
		return EXIT_FAILED;
	json_t *reply = json_pack("{s:b}", "removed", loaded);
	ctl->output->reply(ctl, reply);
	json_decref(reply);
	return EXIT_DONE;
}

int verb_clear(struct ctl *ctl)
{
	json_t *reply = NULL;

	if (!ctl->values[OPTION_YES]) {
		ctl_error(ctl, "clear removes table inet spefw: the server is then open to everyone. If that is "
			       "meant: spefwctl clear --yes");
		return EXIT_USAGE;
	}
	int status = ctl_call(ctl, NULL, &reply);
	if (status == EXIT_NOT_RUNNING)
		return clear_without_daemon(ctl);
	if (status == EXIT_DONE)
		ctl->output->reply(ctl, reply);
	json_decref(reply);
	return status;
}
