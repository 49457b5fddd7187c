/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_REPORT_DIFF_H
#define SPEFW_REPORT_DIFF_H

#include "gateway/diff.h"

#include <jansson.h>

/* The reply to Diff(); changes: an array of Change. A new reference, or NULL without memory. */
json_t *report_diff(const struct gateway *gateway, const struct gateway_diff *diff, json_t *changes);

#endif
