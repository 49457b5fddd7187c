/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NEAREST_H
#define SPEFW_NEAREST_H

/* The flow that comes nearest to a connection that no flow allows, and what exactly it lacks. */

#include "policy.h"

/* What a flow misses; several may hold at once. */
enum miss {
	MISS_OFF = 1,    /* it is off: flow->off */
	MISS_SOURCE = 2, /* the source is none of its */
	MISS_TARGET = 4, /* the target is none of its */
	MISS_NAMING = 8, /* the target is protected, and the flow covers it (as ANY does) without naming it */
	MISS_PROTOCOL = 16,
	MISS_PORT = 32,
};

struct nearest {
	const struct policy_flow *flow; /* NULL: none is near */
	unsigned misses;                /* enum miss */
	bool others;                    /* a flow has this port, though for other ends of the connection */
};

/* What this flow lacks for a new connection that touches a protected address; 0: it allows it. */
unsigned flow_misses(const struct policy *policy, const struct names_view *names, const struct policy_flow *flow,
		     const struct packet *packet);
/* Among flows that lack as little, the one with the nearest port, and then the most specific one. */
struct nearest policy_nearest(const struct policy *policy, const struct names_view *names, const struct packet *packet);

#endif
