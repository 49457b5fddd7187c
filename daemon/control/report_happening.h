/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_REPORT_HAPPENING_H
#define SPEFW_REPORT_HAPPENING_H

/* What happens, as replies of Watch(). Each is a new reference, or NULL without memory. */

#include "core/health.h"
#include "gateway/happening.h"

#include <jansson.h>

/* before NULL: what health was is not known, somebody begins to watch. codes_before: by health_mask(). */
json_t *report_health_event(const struct health *health, const char *before, uint64_t codes_before);
json_t *report_happening(const struct policy *policy, const struct happening *happening);
json_t *report_denials(const json_t *drops); /* a reply of Drops() */
json_t *report_lost(uint64_t count);

#endif
