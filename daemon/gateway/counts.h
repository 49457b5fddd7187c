/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_COUNTS_H
#define SPEFW_COUNTS_H

/* The table's counters, never falling: over restarts, new tables and other programs' resets. */

#include "core/health.h"
#include "nft/socket.h"

struct counts;

struct counts_events {
	/* Packets of the server are intercepted, and were not a short time ago. */
	void (*intercepted)(void *userdata);
};

/* socket: the table's; state: the directory; both must live as long. What is in the state directory is loaded; trouble
 * with that is logged. 0 or -ENOMEM. */
int counts_new(struct counts **ret, struct nft_socket *socket, const char *state, const struct counts_events *events,
	       void *userdata);
void counts_free(struct counts *counts); /* nothing is saved. NULL: nothing */

/* The kernel's counters now. 0 or a negative errno. */
int counts_read(struct counts *counts);
/* They are about to begin at zero. */
void counts_restart(struct counts *counts);
/* Likewise counts_read(), once a minute and at the start: for the figures of the last hour. What grew before the first
 * one is no news. */
void counts_sample(struct counts *counts);
bool counts_sampled(const struct counts *counts); /* since counts_new() */
/* To the state directory; where that fails it is logged once, and a reason of health. 0 or a negative errno. */
int counts_save(struct counts *counts);

uint64_t counts_packets(const struct counts *counts, const char *counter); /* 0: never seen */
uint64_t counts_denied(const struct counts *counts);                       /* of all kinds */
uint64_t counts_denied_last_hour(const struct counts *counts);             /* over restarts, see core/hour.h */

/* The rules that intercepted are gone: what they did until now is read, and the reason of health is gone as well. */
void counts_forget_interception(struct counts *counts);
void counts_reasons(const struct counts *counts, struct health *health);

#endif
