/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CHANGE_JSON_H
#define SPEFW_CHANGE_JSON_H

/* Differences of two policies as JSON: type Change of the interface. */

#include "core/fate_diff.h"
#include "core/policy_diff.h"

#include <jansson.h>

/* For policy_diff(); userdata is a JSON array. */
void change_json_add(void *userdata, const struct policy_change *change);

/* Adds what Diff() has of packets: packets, and packets_more or packets_unknown. 0 or -ENOMEM. */
int change_json_add_fates(json_t *reply, const struct fate_diff *diff);

#endif
