/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DENIAL_H
#define SPEFW_DENIAL_H

/* One packet that was denied, or in audit mode would be, as a rule of ours copied it. */

#include "core/policy.h"

/* By the rule that copied it, as its prefix has it. */
enum denial_kind {
	DENIAL_IN,    /* by the flows to a protected role; this and the next two: each denied packet is one of them */
	DENIAL_OUT,   /* by those from one */
	DENIAL_EARLY, /* ahead of connection tracking: no flow opens its port */
	DENIAL_NAME,  /* no name of a flow led to its target: it is denied for good, and copied again, after that */
	DENIAL_KINDS
};

struct denial {
	struct packet packet;
	enum denial_kind kind;
	bool from_gateway; /* a program on the gateway sent it */
};

#endif
