/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_REPORT_CUT_H
#define SPEFW_REPORT_CUT_H

/* Connections that were cut, as the JSON of CutConnection. A new reference, or NULL without memory. */

#include "gateway/cut.h"

#include <jansson.h>

/* Of one, without the count of alike ones. */
json_t *report_cut_connection(const struct policy *policy, const struct cut_connection *item);
json_t *report_cut(const struct policy *policy, const struct cut_result *result);

#endif
