/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_GATEWAY_FOREIGN_PARTS_H
#define SPEFW_GATEWAY_FOREIGN_PARTS_H

/* What the files of foreign share: one look at the tables of others, which are read once and judged as often as needed.
 * It goes on in small parts, and what it judges by is a copy, but for the policy: whoever changes that ends the look.
 */

#include "gateway/foreign.h"
#include "timer.h"

enum {
	SLICE_MS = 10,
	PAUSE_MS = 5,        /* all that waits has its turn in a pause, a reply of many parts among it */
	FIRST_SLICE_MS = 50, /* what most gateways have is judged at once */
	PRIORITY = SD_EVENT_PRIORITY_NORMAL + 10, /* that of clients: neither of the two waits for the other's end */
};

struct look;

/* 0 or a negative errno; then *ret is NULL. */
int look_new(struct look **ret, const struct foreign_events *events, void *userdata, const struct policy *policy);
void look_free(struct look *look); /* NULL: nothing */
/* A part of it. 1: there is more; 0: they are read; or a negative errno. */
int look_read(struct look *look);
/* Once they are read: what has these effects on the policy's flows, or what becomes of the packet (else NULL), into
 * found, which stays the caller's. As look_read(). */
int look_judge(struct look *look, unsigned effects, const struct foreign_packet *packet, struct findings *found);

/* foreign_explain.c */
struct explanations;
int explanations_new(struct explanations **ret, sd_event *event, const struct foreign_events *events, void *userdata);
void explanations_free(struct explanations *explanations); /* NULL: nothing */
/* NULL: those that wait go on waiting until there is one again. */
void explanations_set_policy(struct explanations *explanations, const struct policy *policy);
struct explanations *foreign_explanations(struct foreign *foreign);

#endif
