/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_REPORT_GRANTS_H
#define SPEFW_REPORT_GRANTS_H

#include "gateway/gateway.h"
#include "core/grant_view.h"

#include <jansson.h>

/* All of these return NULL without memory. */
json_t *report_grant(const struct policy *policy, const struct grant *grant);
json_t *report_grant_list(const struct gateway *gateway);
/* The addresses that a flow is granted, and that have an effect. */
json_t *report_granted(const struct gateway *gateway, const struct policy_flow *flow);

#endif
