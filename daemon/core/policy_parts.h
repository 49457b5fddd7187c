/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_POLICY_PARTS_H
#define SPEFW_POLICY_PARTS_H

/* What the files that make a policy share. Their functions return 0 or -ENOMEM; what the user
 * did wrong is in the diags. */

#include "policy.h"
#include "policy_check.h"

/* One role on its way from what was written to a set of addresses. */
struct role_source {
	const char *name;
	const struct members *members; /* NULL: none written */
	const struct ports *ephemeral; /* NULL: likewise */
	bool is_protected, allow_private;
	unsigned line;
	enum { ROLE_UNSEEN, ROLE_OPEN, ROLE_DONE } progress;
	bool opening; /* add_opened() is inside it: a role that is a member of itself has been complained about, and
			 must end */
};

struct builder {
	struct policy *policy;
	const struct config *config;
	struct diags *diags;
	struct role_source *sources; /* one a policy role, same index */
};

/* policy_roles.c */
int policy_find_role(const struct builder *b, const char *name);
int endpoint_from_members(struct builder *b, struct endpoint *endpoint, const struct members *members);
void endpoint_allow_private(struct policy *policy, const struct endpoint *endpoint);
int policy_make_ports(const struct port_range *ports, size_t count, struct port_range **ret, size_t *ret_count);
int policy_make_roles(struct builder *b);

/* policy_flows.c */
/* What is written of a flow that was made of this configuration; NULL: nothing. */
const struct config_flow *policy_written_flow(const struct config *config, const struct policy_flow *flow);
int policy_make_flows(struct builder *b);

#endif
