/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "verbs_drops.h"
#include "output.h"

static bool shown;

/* One line each, also on a terminal. */
static void show(struct ctl *ctl, const json_t *reply)
{
	if (ctl->values[OPTION_JSON]) {
		json_dumpf(reply, ctl->screen.file, JSON_ENSURE_ASCII | JSON_COMPACT);
		putc('\n', ctl->screen.file);
	} else if (!shown) {
		text_drops(ctl, reply);
	} else {
		text_drops_more(ctl, reply);
	}
	shown = true;
}

int verb_drops(struct ctl *ctl)
{
	shown = false;
	return ctl->values[OPTION_FOLLOW] ? ctl_follow(ctl, NULL, show) : verb_show(ctl);
}
