/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DENIAL_CAUSE_H
#define SPEFW_DENIAL_CAUSE_H

/* Why a packet is denied: the flow that comes nearest to letting it pass, and what it misses. */

#include "policy.h"

enum cause {
	CAUSE_NOTHING,    /* the policy allows it */
	CAUSE_SOURCE,     /* the flow has its port and its target, but not its source */
	CAUSE_TARGET,     /* or its source, but not its target */
	CAUSE_BOTH,       /* the flow has its port alone */
	CAUSE_OFF,        /* the flow would allow it, were it on */
	CAUSE_FLOW,       /* no flow has its port */
	CAUSE_CONNECTION, /* TCP that opens nothing, and is no part of a connection that a flow could allow */
	CAUSE_PROTOCOL,   /* no flow can name it */
	CAUSES
};

struct denial_cause {
	enum cause why;
	const struct policy_flow *flow; /* of the policy; CAUSE_FLOW, _CONNECTION, _PROTOCOL: NULL */
	const struct policy_role *role; /* the protected role that judges it; NULL: it is not ours (CAUSE_NOTHING) */
	bool inbound;                   /* the connection is opened to that role */
	struct packet opened;           /* it as its connection would be opened; of the mid-stream packet it is left */
};

/* names NULL: no name leads anywhere, which is what is known of a packet that was denied. */
struct denial_cause denial_cause_of(const struct policy *policy, const struct names_view *names,
				    const struct packet *packet);

/* For programs: "nothing", "source", "target", "both", "off", "flow", "connection", "protocol". */
const char *cause_name(enum cause why);
/* "console-in: source not in ADM", "no flow". Returns buffer. */
enum { CAUSE_TEXT_MAX = 160 };
char *denial_cause_text(const struct denial_cause *cause, char buffer[CAUSE_TEXT_MAX]);

#endif
