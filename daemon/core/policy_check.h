/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_POLICY_CHECK_H
#define SPEFW_POLICY_CHECK_H

/* What a policy complains of while it is made: what contradicts itself (errors) and what is legal but unwise
 * (warnings). The files that make a policy alone call these. */

#include "policy.h"

void complain_unknown_role(struct diags *diags, const struct config *config, const struct member *member);
/* A protected role has addresses, and only addresses. members NULL: none written. */
void check_protected_role(struct diags *diags, const struct config *config, const struct policy_role *role,
			  const struct members *members);
/* No address is in two protected roles. 0 or -ENOMEM. */
int check_protected_overlap(struct diags *diags, const struct config *config, const struct policy *policy);
/* written NULL: nothing written of it. */
void check_builtin_flow(struct diags *diags, const struct config *config, const struct builtin_flow *builtin,
			const struct config_flow *written);
void check_custom_flow(struct diags *diags, const struct config *config, const struct config_flow *flow);
/* Roles of [gateway] reject that are not there, or that are ANY. */
void check_rejected(struct diags *diags, const struct config *config, const struct policy *policy);
/* A target network that holds protected addresses does not open them. */
void warn_covered(struct diags *diags, const struct policy *policy, const struct members *members);
/* policy_warnings.c: what is legal but unwise, with what to write instead. 0 or -ENOMEM. */
int warn_unwise(struct diags *diags, const struct config *config, const struct policy *policy);
/* policy_vendor.c, as a part of it: where the policy is not as the vendor of the guarded product says. */
void warn_vendor(struct diags *diags, const struct config *config, const struct policy *policy);

#endif
