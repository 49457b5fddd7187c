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
	/* Both sides spoke; TCP: its handshake was completed. A SYN alone is none, nor is one that was refused: the
	 * kernel deletes its entry at the RST. */
	bool answered;
	bool open;         /* TCP: established, and not being closed */
	uint32_t id;       /* of its entry */
	uint32_t lives_s;  /* how long its entry stays without another packet */
	const char *state; /* TCP: as connection tracking names it, "established"; else "answered" or "unanswered" */
	bool counted;      /* the kernel counts bytes (nf_conntrack_acct) */
	uint64_t bytes;    /* of both directions */
	int64_t started_s; /* wall clock, where the kernel notes it (nf_conntrack_timestamp); 0: it does not */
};

/* Shows each connection of these addresses (normalised) to `see`; where a dump is begun again, more than once. 0 or a
 * negative errno. */
int conntrack_look(const struct ranges *addresses, void (*see)(void *userdata, const struct tracked *tracked),
		   void *userdata);

/* Calls `cut` for each connection of these addresses (normalised), calls `ready` once, and deletes the entries of
 * those for which it returned true. 0 or a negative errno; *ret_cut is how many were deleted. */
int conntrack_cut(const struct ranges *addresses, bool (*cut)(void *userdata, const struct tracked *tracked),
		  void (*ready)(void *userdata), void *userdata, size_t *ret_cut);

#endif
