/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "output.h"
#include "spefwd.h"

#include <string.h>

/* What the kernel holds, by spefwd itself; NULL, with the reason in buffer, where that is not known. */
static json_t *inspect(const struct ctl *ctl, char *buffer, size_t size)
{
	int status;

	if (!ctl->environment->root) {
		snprintf(buffer, size, "only root can see whether its table still guards: sudo spefwctl status");
		return NULL;
	}
	json_t *table = spefwd_inspect(ctl->environment->spefwd, &status);
	if (!table && status < 0)
		snprintf(buffer, size, "whether its table still guards is not known: %s: %s", ctl->environment->spefwd,
			 strerror(-status));
	else if (!table)
		snprintf(buffer, size,
			 "whether its table still guards is not known: %s --inspect failed with status %d",
			 ctl->environment->spefwd, status);
	return table;
}

int verb_show(struct ctl *ctl)
{
	json_t *reply = NULL;
	int status = ctl_need(ctl, NULL, &reply);

	if (status == EXIT_DONE)
		ctl->output->reply(ctl, reply);
	json_decref(reply);
	return status;
}

static int status_without_daemon(const struct ctl *ctl)
{
	char unknown[256] = "";
	json_t *table = inspect(ctl, unknown, sizeof(unknown));

	/* For people, the screen has what to do. */
	ctl->output->not_running(ctl, table, unknown);
	if (ctl->values[OPTION_JSON])
		ctl_error(ctl, "spefwd is not running (nobody listens on %s): systemctl start spefwd",
			  ctl_value(ctl, OPTION_SOCKET));
	json_decref(table);
	return EXIT_NOT_RUNNING;
}

int verb_verify(struct ctl *ctl)
{
	json_t *reply = NULL;
	int status = ctl_need(ctl, NULL, &reply);

	if (status == EXIT_DONE)
		ctl->output->reply(ctl, reply);
	if (status == EXIT_DONE && !proof_is(json_object_get(reply, "proof"), "equal"))
		status = EXIT_FAILED;
	json_decref(reply);
	return status;
}

int verb_status(struct ctl *ctl)
{
	json_t *reply = NULL;
	int status = ctl_call(ctl, NULL, &reply);

	if (status == EXIT_NOT_RUNNING)
		return status_without_daemon(ctl);
	if (status != EXIT_DONE)
		return status;
	ctl->output->reply(ctl, reply);
	if (strcmp(json_text_of(reply, "health"), "ok") != 0)
		status = EXIT_FAILED;
	json_decref(reply);
	return status;
}
