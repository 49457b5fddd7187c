/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "client.h"
#include "ctl.h"
#include "output.h"
#include "wait.h"
#include "control/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FETCH_TIMEOUT_S = 2, BUSY_MS = 200, COLLECTED_MAX = 512 * 1024 * 1024 };

/* What went wrong on the way, and what to do. */
static int fail_call(const struct ctl *ctl, int error)
{
	const char *socket = ctl_value(ctl, OPTION_SOCKET);

	switch (-error) {
	case ENOENT:
	case ECONNREFUSED: return EXIT_NOT_RUNNING;
	case EACCES:
	case EPERM: return ctl_denied(ctl, ctl->verb->root ? NULL : "join the group spefw: usermod -aG spefw USER");
	case ETIMEDOUT:
		ctl_error(ctl, "spefwd has not answered for %us: see journalctl -u spefwd", ctl->verb->timeout_s);
		return EXIT_FAILED;
	case ECONNRESET:
		ctl_error(ctl, "spefwd closed the connection without a reply: try again, or see journalctl -u spefwd");
		return EXIT_FAILED;
	case EBADMSG:
	case EMSGSIZE:
		ctl_error(ctl, "what answers on %s is not spefwd: is it the right socket?", socket);
		return EXIT_FAILED;
	default: ctl_error(ctl, "%s: %s", socket, strerror(-error)); return EXIT_FAILED;
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

void ctl_unknown(const struct ctl *ctl, const char *argument, const char *what, const char *word, const char *hint)
{
	char *nearest = list_nearest(ctl, argument, word);

	word = *word ? word : "''";
	if (nearest)
		ctl_error(ctl, "%s %s: did you mean %s?", what, word, nearest);
	else
		ctl_error(ctl, "%s %s: %s", what, word, hint);
	free(nearest);
}

static void report_name(const struct ctl *ctl, const json_t *parameters)
{
	ctl_unknown(ctl, "NAME", "no flow uses the name", json_text_of(parameters, "name"),
		    "spefwctl names lists those that are used");
}

static void report_old_daemon(const struct ctl *ctl, const json_t *parameters)
{
	(void)parameters;
	ctl_error(ctl, "the running spefwd does not know this verb: is it older? restart it: systemctl restart spefwd");
}

static void report_flow(const struct ctl *ctl, const json_t *parameters)
{
	ctl_unknown(ctl, "FLOW", "there is no flow", json_text_of(parameters, "flow"), "spefwctl flows lists them");
}

static void report_busy(const struct ctl *ctl, const json_t *parameters)
{
	ctl_error(ctl, "%s: try again in a second", json_text_of(parameters, "what"));
}

static void report_connection(const struct ctl *ctl, const json_t *parameters)
{
	ctl_error(ctl, "there is no connection %lld (any more): spefwctl connections shows those that are there",
		  (long long)json_number_of(parameters, "id"));
}

static void report_grant(const struct ctl *ctl, const json_t *parameters)
{
	ctl_error(ctl, "%s has no grant of %s: spefwctl grants lists those that there are",
		  json_text_of(parameters, "address"), json_text_of(parameters, "flow"));
}

static void report_parameter(const struct ctl *ctl, const json_t *parameters)
{
	(void)parameters;
	ctl_error(ctl, "spefwd does not take these arguments: see spefwctl %s --help", ctl->verb->name);
}

static void report_waiting(const struct ctl *ctl, const json_t *parameters)
{
	const char *by = json_text_of(parameters, "by");
	int64_t left_s = json_number_of(parameters, "left_s");
	char left[32];

	if (left_s > 0)
		ctl_error(ctl, "the change by %s waits for confirm: spefwctl confirm, or wait %s until it is undone",
			  by, format_seconds(left_s, left));
	else
		ctl_error(ctl, "the change by %s is to be undone, see spefwctl status: spefwctl confirm keeps it", by);
}

static void report_nothing_waits(const struct ctl *ctl, const json_t *parameters)
{
	(void)parameters;
	ctl_error(ctl, "nothing waits for confirm: it was confirmed or undone before, see spefwctl history");
}

static void report_history(const struct ctl *ctl, const json_t *parameters)
{
	int64_t number = json_number_of(parameters, "number");

	if (number)
		ctl_error(ctl, "there is no configuration %lld in the history: see spefwctl history",
			  (long long)number);
	else
		ctl_error(ctl, "there is no earlier configuration to go back to: see spefwctl history");
}

/* The daemon's own words, which say what the kernel or the system refused. */
static void report_failed(const struct ctl *ctl, const json_t *parameters)
{
	const char *what = json_text_of(parameters, "what");

	if (*what)
		ctl_error(ctl, "%s", what);
	else
		ctl_error(ctl, "spefwd could not do that: see journalctl -u spefwd");
}

/* An error of the daemon, in an administrator's words. Others are as Failed. */
static const struct {
	const char *error;
	void (*report)(const struct ctl *ctl, const json_t *parameters);
} replies[] = {
	{ SPEFW_ERROR("ConfigInvalid"), report_invalid },
	{ SPEFW_ERROR("NameUnknown"), report_name },
	{ SPEFW_ERROR("FlowUnknown"), report_flow },
	{ SPEFW_ERROR("Busy"), report_busy },
	{ SPEFW_ERROR("ConfirmPending"), report_waiting },
	{ SPEFW_ERROR("NothingToConfirm"), report_nothing_waits },
	{ SPEFW_ERROR("HistoryUnknown"), report_history },
	{ SPEFW_ERROR("ConnectionUnknown"), report_connection },
	{ SPEFW_ERROR("GrantUnknown"), report_grant },
	{ VARLINK_SERVICE ".MethodNotFound", report_old_daemon },
	{ VARLINK_SERVICE ".InvalidParameter", report_parameter },
};

static int fail_reply(const struct ctl *ctl, const struct wire_reply *reply)
{
	if (strcmp(reply->error, SPEFW_ERROR("PermissionDenied")) == 0)
		return ctl_denied(ctl, NULL);
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
		if (strcmp(replies[i].error, reply->error) == 0) {
			replies[i].report(ctl, reply->parameters);
			return EXIT_FAILED;
		}
	report_failed(ctl, reply->parameters);
	return EXIT_FAILED;
}

/* EXIT_DONE, and *ret is the caller's; or it has been reported. */
static int take_reply(const struct ctl *ctl, const json_t *message, bool *ret_continues, json_t **ret)
{
	struct wire_reply reply;

	int r = wire_read_reply(message, &reply);
	if (r < 0)
		return fail_call(ctl, r);
	*ret_continues = reply.continues;
	if (reply.error) {
		r = fail_reply(ctl, &reply);
		ctl->output->error(ctl, reply.error, reply.parameters);
		return r;
	}
	*ret = reply.parameters ? json_incref(reply.parameters) : json_object();
	return *ret ? EXIT_DONE : fail_call(ctl, -ENOMEM);
}

static void report_not_running(const struct ctl *ctl)
{
	ctl_error(ctl, "spefwd is not running (nobody listens on %s): systemctl start spefwd",
		  ctl_value(ctl, OPTION_SOCKET));
}

struct following {
	struct ctl *ctl;
	void (*show)(struct ctl *ctl, const json_t *reply);
	int status;
	bool began;
};

static bool on_reply(void *userdata, json_t *message)
{
	struct following *following = userdata;
	bool continues = false;
	json_t *reply = NULL;

	following->status = take_reply(following->ctl, message, &continues, &reply);
	following->began = true;
	if (following->status == EXIT_DONE)
		following->show(following->ctl, reply);
	json_decref(reply);
	/* Each at once; and where it can't be written, that is reported at the end. */
	return fflush(following->ctl->environment->out) == 0 && following->status == EXIT_DONE && continues;
}

int ctl_follow(struct ctl *ctl, json_t *parameters, void (*show)(struct ctl *ctl, const json_t *reply))
{
	struct following following = { .ctl = ctl, .show = show };

	int r = client_follow(ctl_value(ctl, OPTION_SOCKET), ctl->verb->method, parameters, ctl->verb->timeout_s,
			      on_reply, &following);
	if (r == -ECANCELED)
		return EXIT_DONE;
	if (r == -ECONNRESET && following.began) {
		ctl_error(ctl, "spefwd has ended, or closed the connection: see journalctl -u spefwd");
		return EXIT_NOT_RUNNING;
	}
	if (r < 0)
		following.status = fail_call(ctl, r);
	if (following.status == EXIT_NOT_RUNNING)
		report_not_running(ctl);
	return following.status;
}

struct collecting {
	struct ctl *ctl;
	json_t *list;
	size_t bytes; /* of all texts, about */
	int status;
};

static bool on_piece(void *userdata, json_t *message)
{
	struct collecting *collecting = userdata;
	bool continues = false;
	json_t *reply = NULL;

	collecting->status = take_reply(collecting->ctl, message, &continues, &reply);
	if (collecting->status != EXIT_DONE)
		return false;
	collecting->bytes += json_string_length(json_object_get(reply, "text")) +
			     json_string_length(json_object_get(reply, "base64"));
	/* It takes the reply in any case. */
	int r = json_array_append_new(collecting->list, reply) < 0 ? -ENOMEM
		: collecting->bytes > COLLECTED_MAX                ? -EMSGSIZE
								   : 0;
	if (r < 0)
		collecting->status = fail_call(collecting->ctl, r);
	return r == 0 && continues;
}

int ctl_collect(struct ctl *ctl, const char *method, json_t *parameters, json_t **ret)
{
	struct collecting collecting = { .ctl = ctl, .list = json_array() };

	int r = collecting.list ? client_follow(ctl_value(ctl, OPTION_SOCKET), method, parameters, ctl->verb->timeout_s,
						on_piece, &collecting)
				: -ENOMEM;
	if (r < 0)
		collecting.status = fail_call(ctl, r);
	if (collecting.status == EXIT_NOT_RUNNING)
		report_not_running(ctl);
	if (collecting.status == EXIT_DONE)
		*ret = collecting.list;
	else
		json_decref(collecting.list);
	return collecting.status;
}

static bool is_busy(const json_t *message)
{
	struct wire_reply reply;

	return wire_read_reply(message, &reply) == 0 && reply.error && strcmp(reply.error, SPEFW_ERROR("Busy")) == 0;
}

/* What somebody has just had done, and costs much, is to be had in a moment: for as long as the verb may take. */
static int call_when_free(const struct ctl *ctl, const char *method, json_t *parameters, json_t **ret)
{
	int64_t deadline = wait_deadline_ms(ctl->verb->timeout_s);
	int r;

	for (;;) {
		r = client_call(ctl_value(ctl, OPTION_SOCKET), method, json_incref(parameters), ctl->verb->timeout_s,
				ret);
		if (r < 0 || !is_busy(*ret) || !wait_pause(deadline, BUSY_MS))
			break;
		json_decref(*ret);
	}
	json_decref(parameters);
	return r;
}

int ctl_call_method(struct ctl *ctl, const char *method, json_t *parameters, json_t **ret)
{
	json_t *message;
	bool continues;

	int r = call_when_free(ctl, method, parameters, &message);
	if (r < 0)
		return fail_call(ctl, r);
	r = take_reply(ctl, message, &continues, ret);
	json_decref(message);
	return r;
}

int ctl_call(struct ctl *ctl, json_t *parameters, json_t **ret)
{
	return ctl_call_method(ctl, ctl->verb->method, parameters, ret);
}

json_t *ctl_fetch(const struct ctl *ctl, const char *method)
{
	struct wire_reply reply;
	json_t *message = NULL, *parameters = NULL;

	if (client_call(ctl_value(ctl, OPTION_SOCKET), method, NULL, FETCH_TIMEOUT_S, &message) == 0 &&
	    wire_read_reply(message, &reply) == 0 && !reply.error)
		parameters = json_incref(reply.parameters);
	json_decref(message);
	return parameters;
}

int ctl_need_method(struct ctl *ctl, const char *method, json_t *parameters, json_t **ret)
{
	int status = ctl_call_method(ctl, method, parameters, ret);

	if (status == EXIT_NOT_RUNNING)
		report_not_running(ctl);
	return status;
}

int ctl_need(struct ctl *ctl, json_t *parameters, json_t **ret)
{
	return ctl_need_method(ctl, ctl->verb->method, parameters, ret);
}
