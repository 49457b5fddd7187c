/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_GATEWAY_GRANTS_H
#define SPEFW_GATEWAY_GRANTS_H

/* The grants that there are: kept in the state directory, over restarts and reboots, and each with its end. */

#include "core/grant_list.h"
#include "core/health.h"

#include <systemd/sd-event.h>

/* In the state directory. */
#define GRANTS_FILE "grants"

struct grants;

struct grants_events {
	/* At least one is over, grants_take_due() has to follow; or ends sooner than was known. */
	void (*due)(void *userdata);
};

/* Loads what is in state, the directory, which must live as long; trouble with that is logged, and so is what ended
 * meanwhile. 0 or a negative errno. */
int grants_new(struct grants **ret, sd_event *event, const char *state, const struct grants_events *events,
	       void *userdata);
void grants_free(struct grants *grants); /* saves them once more. NULL: nothing */

const struct grant_list *grants_list(const struct grants *grants);

/* Puts in what is given, whose times this finds out, for so many seconds; and saves it: what the kernel gets is known
 * after a kill. *ret: as it is now; *ret_before: the one that it stands for, by "" for none. 0, -ENOMEM or -ENOSPC. */
int grants_give(struct grants *grants, const struct grant *given, int64_t for_s, struct grant *ret,
		struct grant *ret_before);
/* Undoes that: the one from before is there again, or none. */
void grants_undo(struct grants *grants, const struct grant *given, const struct grant *before);
/* False: there is none. */
bool grants_revoke(struct grants *grants, const char *flow, const struct addr *addr, struct grant *ret);
void grants_revoke_all(struct grants *grants);
/* Takes out one that is over. False: none is (any more), and what is left is saved. */
bool grants_take_due(struct grants *grants, struct grant *ret);

/* Looks at the wall clock, and saves what is left of each, and what could not be saved. Once a minute. */
void grants_minute(struct grants *grants);
void grants_reasons(const struct grants *grants, struct health *health);

#endif
