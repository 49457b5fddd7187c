/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_FLOW_JSON_H
#define SPEFW_FLOW_JSON_H

/* Parts of a policy as JSON, for all that reports flows. New references; NULL without memory. */

#include "core/policy.h"

#include <jansson.h>

json_t *endpoint_json(const struct endpoint *endpoint); /* as written */
json_t *ports_json(const struct policy_flow *flow);     /* "443", "10000-10100" */

#endif
