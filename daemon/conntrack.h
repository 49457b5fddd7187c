/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CONNTRACK_H
#define SPEFW_CONNTRACK_H

/* The kernel's tracked connections, read and cut (libnetfilter_conntrack). */

#include "core/addr.h"
#include "core/policy.h"

/* One connection as it was opened: its source before SNAT, its target after DNAT. */
struct tracked {
	struct packet packet; /* protocol PROTOCOLS: one that no flow can name */
	bool picked_up;       /* TCP: its entry was made by a packet from the middle of it, sent by either side */
};

/* Asks `cut` about each connection of these addresses (normalised), and deletes the entries of those for which it
 * says yes. 0 or a negative errno; *ret_cut is how many were deleted. */
int conntrack_cut(const struct ranges *addresses, bool (*cut)(void *userdata, const struct tracked *tracked), void *userdata, size_t *ret_cut);

#endif
