/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_FLOW_JSON_H
#define SPEFW_FLOW_JSON_H

/* Parts of a policy as JSON, for all that reports flows. New references; NULL without memory. */

#include "core/policy.h"

#include <jansson.h>

/* The first words, as written, by this key, and how many there are besides by KEY_more; endpoint NULL: none. */
void endpoint_json(json_t *out, const char *key, const struct endpoint *endpoint);
void members_json(json_t *out, const struct endpoint *members); /* of a role, by "members" */
json_t *ports_json(const struct policy_flow *flow);             /* "443", "10000-10100" */
json_t *flow_json(const struct policy_flow *flow);              /* Flow, without what only a running daemon knows */
json_t *ranges_json(const struct ranges *ranges);
json_t *roles_json(const struct policy *policy); /* []Role */

#endif
