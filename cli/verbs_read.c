/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl.h"
#include "output.h"
#include "spefwd.h"

#include <string.h>

/* What the kernel holds, asked of spefwd itself; NULL, with the reason in buffer, where nobody can tell. */
static json_t *inspect(const struct ctl *ctl, char *buffer, size_t size)
{
	int status;

	if (!ctl->world->root) {
		snprintf(buffer, size, "root can tell whether the table still protects: run spefwctl status as root");
		return NULL;
	}
	json_t *table = spefwd_inspect(ctl->world->spefwd, &status);
	if (!table && status < 0)
		snprintf(buffer, size, "whether the table still protects is not known: %s: %s", ctl->world->spefwd,
			 strerror(-status));
	else if (!table)
		snprintf(buffer, size,
			 "whether the table still protects is not known: %s --inspect failed with status %d",
			 ctl->world->spefwd, status);
	return table;
}

static int status_without_daemon(const struct ctl *ctl)
{
	char unknown[256] = "";
	json_t *table = inspect(ctl, unknown, sizeof(unknown));

	ctl->output->not_running(ctl, table, unknown);
	ctl_complain(ctl, "spefwd is not running (nobody listens on %s): systemctl start spefwd", ctl->socket);
	json_decref(table);
	return EXIT_NOT_RUNNING;
}

int verb_status(struct ctl *ctl)
{
	json_t *reply = NULL;
	int status = ctl_call(ctl, SPEFW_METHOD("Status"), NULL, PATIENCE_S, &reply);

	if (status == EXIT_NOT_RUNNING)
		return status_without_daemon(ctl);
	if (status != EXIT_DONE)
		return status;
	ctl->output->status(ctl, reply);
	if (strcmp(json_text_of(reply, "health"), "ok") != 0)
		status = EXIT_FAILED;
	json_decref(reply);
	return status;
}

int verb_flows(struct ctl *ctl)
{
	json_t *reply = NULL;
	int status = ctl_need(ctl, SPEFW_METHOD("Flows"), NULL, PATIENCE_S, &reply);

	if (status == EXIT_DONE)
		ctl->output->flows(ctl, reply);
	json_decref(reply);
	return status;
}

int verb_names(struct ctl *ctl)
{
	json_t *reply = NULL;
	int status = ctl_need(ctl, SPEFW_METHOD("Names"), NULL, PATIENCE_S, &reply);

	if (status == EXIT_DONE)
		ctl->output->names(ctl, reply);
	json_decref(reply);
	return status;
}
