/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/policy_file.h"
#include "control/report_explain.h"
#include "control/wire.h"
#include "core/compile.h"
#include "ctl.h"
#include "net/local_addresses.h"
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int report_invalid(const struct ctl *ctl, const char *why)
{
	json_t *parameters = json_pack("{s:o}", "what", json_printable(why));

	ctl_error(ctl, "%s", why);
	ctl->output->error(ctl, SPEFW_ERROR("QuestionInvalid"), parameters);
	json_decref(parameters);
	return EXIT_FAILED;
}

static int answer(const struct ctl *ctl, const char *path, const struct explain_view *view)
{
	struct explain_context context = { .config = path };
	struct explain_question question;
	char why[QUESTION_WHY_MAX];
	int status = EXIT_DONE;

	int r = question_read(&question, view->policy, NULL, ctl->arguments[0], ctl->arguments[1],
			      ctl->argument_count > 2 ? ctl->arguments[2] : NULL, why);
	json_t *reply = r == 0 ? report_explain(view, &question, &context) : NULL;
	if (reply && report_explain_fold(reply) == 0) {
		ctl->output->reply(ctl, reply);
	} else if (r == -EINVAL) {
		status = report_invalid(ctl, why);
	} else {
		ctl_error(ctl, "out of memory");
		status = EXIT_FAILED;
	}
	json_decref(reply);
	question_free(&question);
	return status;
}

/* The ruleset that spefwd would make of it, without names and interfaces, on this machine. */
static int explain_policy(const struct ctl *ctl, const char *path, const struct policy *policy)
{
	struct interface_list *interfaces = calloc(policy->role_count + 1, sizeof(*interfaces));
	struct names_view none = { 0 };
	struct ranges own = { 0 };
	struct ruleset ruleset = { 0 };
	struct packet_walks *walks = NULL;
	int status = EXIT_FAILED;

	if (local_addresses(&own) < 0)
		ranges_free(&own);
	struct environment environment = { .gateway = &own, .role_interfaces = interfaces, .names = &none };
	if (!interfaces || compile(&ruleset, policy, &environment) < 0 ||
	    packet_walks_new(&walks, policy, &ruleset) < 0)
		ctl_error(ctl, "out of memory");
	else
		status = answer(ctl, path, &(struct explain_view){ policy, &environment, NULL, walks });
	packet_walks_free(walks);
	ruleset_free(&ruleset);
	ranges_free(&own);
	free(interfaces);
	return status;
}

static int explain_file(const struct ctl *ctl, const char *path)
{
	struct policy_file file = { 0 };
	struct diags diags = { 0 };
	int status = EXIT_FAILED;

	int r = ctl_read_policy(path, &file, &diags);
	if (r == 0)
		status = explain_policy(ctl, path, &file.policy);
	else if (diags.errors)
		ctl_error(ctl, "%s is not usable: see spefwctl check %s", path, path);
	else
		ctl_error(ctl, "%s: %s", path, strerror(-r));
	if (r == 0)
		policy_file_free(&file);
	diags_free(&diags);
	return status;
}

int verb_explain(struct ctl *ctl)
{
	json_t *reply = NULL;

	if (ctl->argument_count < 2 || !*ctl->arguments[0] || !*ctl->arguments[1]) {
		ctl_error(ctl, "from where, and to where? spefwctl explain %s SERVER:443",
			  ctl->argument_count && *ctl->arguments[0] ? ctl->arguments[0] : "203.0.113.7");
		return EXIT_USAGE;
	}
	if (ctl->values[OPTION_CONFIG])
		return explain_file(ctl, ctl_value(ctl, OPTION_CONFIG));
	json_t *parameters = json_pack("{s:o, s:o}", "source", json_printable(ctl->arguments[0]), "target",
				       json_printable(ctl->arguments[1]));
	if (parameters && ctl->argument_count > 2)
		json_object_set_new(parameters, "protocol", json_printable(ctl->arguments[2]));
	int status = ctl_call(ctl, parameters, &reply);
	if (status == EXIT_DONE)
		ctl->output->reply(ctl, reply);
	else if (status == EXIT_NOT_RUNNING)
		ctl_error(ctl,
			  "spefwd is not running (nobody listens on %s): systemctl start spefwd, or explain the file "
			  "alone by -c %s",
			  ctl_value(ctl, OPTION_SOCKET), SPEFW_CONFIG);
	json_decref(reply);
	return status;
}
