/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

/* What happens, one event a line, for people and for programs alike. */
static void show(struct ctl *ctl, const json_t *reply)
{
	if (!ctl->values[OPTION_JSON]) {
		text_event(ctl, reply);
		return;
	}
	if (json_dumpf(reply, ctl->screen.file, JSON_COMPACT | JSON_ENSURE_ASCII) < 0)
		ctl_error(ctl, "out of memory");
	putc('\n', ctl->screen.file);
}

int verb_watch(struct ctl *ctl)
{
	return ctl_follow(ctl, NULL, show);
}
