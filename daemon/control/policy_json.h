/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_POLICY_JSON_H
#define SPEFW_POLICY_JSON_H

/* A policy as the reply of Policy(), which `spefwctl -c` makes likewise. */

#include "core/policy.h"

#include <jansson.h>

json_t *policy_json(const struct policy *policy); /* a new reference; NULL without memory */

#endif
