/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_REPORT_OTHERS_H
#define SPEFW_REPORT_OTHERS_H

/* What other programs' tables do to one packet, as a part of the reply of Explain. */

#include "core/foreign.h"

#include <jansson.h>

/* In out, the result for that packet. */
void report_others(json_t *out, const struct findings *findings);

#endif
