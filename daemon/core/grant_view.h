/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_GRANT_VIEW_H
#define SPEFW_GRANT_VIEW_H

/* What grants mean under a policy. */

#include "grant_list.h"
#include "policy.h"

/* The kernel ends a grant so much later than the daemon, which takes out an element that is still there then. */
enum { GRANT_MARGIN_MS = 1000 };

/* The side of a flow that a grant adds to. */
enum grant_side {
	GRANT_NO_SIDE, /* both sides are protected, or none is */
	GRANT_SOURCE,
	GRANT_TARGET,
};
enum grant_side flow_grant_side(const struct policy *policy, const struct policy_flow *flow);

/* Whether a grant has an effect, or else why not. It has again once that is over. */
enum grant_state {
	GRANT_IN_EFFECT,
	GRANT_FLOW_GONE, /* the policy has no such flow */
	GRANT_FLOW_OFF,
	GRANT_SIDELESS,  /* GRANT_NO_SIDE */
	GRANT_PROTECTED, /* the address is */
	GRANT_STATES
};
enum grant_state grant_state(const struct policy *policy, const char *flow, const struct addr *addr);
const char *grant_state_name(enum grant_state state); /* "in-effect", for programs */

/* Whether a grant of this flow to this address is what a connection lacks that has the flow's port, but not this side
 * of it. */
bool grant_would_help(const struct policy *policy, const struct policy_flow *flow, enum grant_side missing,
		      const struct addr *addr);

/* Adds those that have an effect to a view of this policy, which had none. 0 or -ENOMEM. */
int grants_add_to_view(const struct grant_list *list, const struct policy *policy, struct names_view *view);

#endif
