/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_VERBS_DROPS_H
#define SPEFW_VERBS_DROPS_H

#include "ctl.h"

/* A reply after the first one of `drops --follow`. */
void text_drops_more(const struct ctl *ctl, const json_t *reply);

#endif
