/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_WATCHERS_H
#define SPEFW_WATCHERS_H

/* Calls that get each event as it comes. The events of the last moments are kept once for all of them; who reads too
 * slowly for that loses some, and is told how many. Nobody else waits for any of them. */

#include "control/server.h"

enum { WATCHERS_KEEP = 256 }; /* events */

struct watchers;

/* lost: makes the event that tells how many were lost; NULL without memory. 0 or a negative errno. */
int watchers_new(struct watchers **ret, sd_event *event, json_t *(*lost)(uint64_t count));
/* After control_free(), or where no call is left. NULL: nothing. */
void watchers_free(struct watchers *watchers);

/* The call gets what is published from now on, each as one of many replies; first (stolen) is the first of them. 0, or
 * -ENOMEM (and first is freed). The one who took the call has to tell when it has gone. */
int watchers_add(struct watchers *watchers, struct control_call *call, json_t *first);
void watchers_forget(struct watchers *watchers, const struct control_call *call);
/* control_on_room(): it can have more. */
void watchers_have_room(struct watchers *watchers);

bool watchers_any(const struct watchers *watchers);
/* The parameters of a reply (stolen; NULL: there was no memory, it counts as lost). */
void watchers_publish(struct watchers *watchers, json_t *event);

#endif
