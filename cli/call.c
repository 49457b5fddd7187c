/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client.h"
#include "ctl.h"
#include "output.h"
#include "control/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What went wrong on the way, and what to do. */
static int fail_call(const struct ctl *ctl, int error)
{
	switch (-error) {
	case ENOENT:
	case ECONNREFUSED: return EXIT_NOT_RUNNING;
	case EACCES:
	case EPERM:
		ctl_error(ctl, "%s: permission denied: run it as root, or join the group spefw",
			  ctl_value(ctl, OPTION_SOCKET));
		return EXIT_PERMISSION;
	case ETIMEDOUT:
		ctl_error(ctl, "spefwd has not answered for %us: see journalctl -u spefwd", ctl->verb->timeout_s);
		return EXIT_FAILED;
	case ECONNRESET:
		ctl_error(ctl, "spefwd closed the connection without a reply: try again, or see journalctl -u spefwd");
		return EXIT_FAILED;
	case EBADMSG:
	case EMSGSIZE:
		ctl_error(ctl, "what answers on %s is not spefwd: is it the right socket?",
			  ctl_value(ctl, OPTION_SOCKET));
		return EXIT_FAILED;
	default: ctl_error(ctl, "%s: %s", ctl_value(ctl, OPTION_SOCKET), strerror(-error)); return EXIT_FAILED;
	}
}

static void report_invalid(const struct ctl *ctl, const json_t *parameters)
{
	const json_t *errors = json_object_get(parameters, "errors");

	for (size_t i = 0; i < json_array_size(errors); i++)
		text_print_line(ctl->environment->err, json_text(json_array_get(errors, i)));
	ctl_error(ctl,
		  "nothing was changed, the policy before is still in force: correct the file, see spefwctl check");
}

static int fail_reply(const struct ctl *ctl, const struct wire_reply *reply)
{
	const char *what = json_text_of(reply->parameters, "what");

	if (strcmp(reply->error, SPEFW_ERROR("PermissionDenied")) == 0) {
		ctl_error(ctl, "permission denied%s%s: run it as root", *what ? ": " : "", what);
		return EXIT_PERMISSION;
	}
	if (strcmp(reply->error, SPEFW_ERROR("ConfigInvalid")) == 0)
		report_invalid(ctl, reply->parameters);
	else if (strcmp(reply->error, SPEFW_ERROR("NameUnknown")) == 0)
		ctl_error(ctl, "no flow uses the name %s: spefwctl names lists those that are used",
			  json_text_of(reply->parameters, "name"));
	else if (strcmp(reply->error, VARLINK_SERVICE ".MethodNotFound") == 0)
		ctl_error(ctl, "the running spefwd does not know this verb: is it older? restart it: systemctl "
			       "restart spefwd");
	else
		ctl_error(ctl, "%s", *what ? what : reply->error);
	return EXIT_FAILED;
}

int ctl_call(struct ctl *ctl, json_t *parameters, json_t **ret)
{
	struct wire_reply reply;
	json_t *message;

	int r = client_call(ctl_value(ctl, OPTION_SOCKET), ctl->verb->method, parameters, ctl->verb->timeout_s,
			    &message);
	if (r < 0)
		return fail_call(ctl, r);
	r = wire_read_reply(message, &reply);
	if (r < 0) {
		r = fail_call(ctl, r);
	} else if (reply.error) {
		r = fail_reply(ctl, &reply);
		ctl->output->error(ctl, reply.error, reply.parameters);
	} else {
		*ret = reply.parameters ? json_incref(reply.parameters) : json_object();
		if (!*ret)
			r = fail_call(ctl, -ENOMEM);
	}
	json_decref(message);
	return r;
}

int ctl_need(struct ctl *ctl, json_t *parameters, json_t **ret)
{
	int status = ctl_call(ctl, parameters, ret);

	if (status == EXIT_NOT_RUNNING)
		ctl_error(ctl, "spefwd is not running (nobody listens on %s): systemctl start spefwd",
			  ctl_value(ctl, OPTION_SOCKET));
	return status;
}
