/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NETWORK_H
#define SPEFW_NETWORK_H

/* This gateway's interfaces, addresses, routes and bridges, as far as the policy needs them. */

#include "core/health.h"
#include "net/environment.h"

#include <systemd/sd-event.h>

struct network;

/* changed: called from the event loop, once for a burst of changes. 0 or a negative errno, logged. */
int network_new(struct network **ret, sd_event *event, void (*changed)(void *userdata), void *userdata);
void network_free(struct network *network); /* NULL: nothing */

/* This gateway's own addresses, normalised; valid until the next change. */
const struct ranges *network_own_addresses(const struct network *network);
/* 0 or a negative errno; environment_free() must follow in any case. */
int network_environment(struct network *network, const struct policy *policy, struct environment_store *ret);
/* Likewise, with the interfaces of the flows' peers. */
int network_environment_of_others(struct network *network, const struct policy *policy, struct environment_store *ret);
/* The interfaces that a table found in the kernel has for each role: while one is down, nothing else knows that it
 * leads there. 0 or a negative errno. */
int network_remember(struct network *network, const struct policy *policy, const struct ruleset *found);

/* Also of bridges, which are read for it, but not more often than once a second: nothing notifies when they learn an
 * address. What is new is logged. */
void network_reasons(struct network *network, const struct policy *policy, struct health *health);

#endif
