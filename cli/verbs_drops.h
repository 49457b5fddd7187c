/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_VERBS_DROPS_H
#define SPEFW_VERBS_DROPS_H

#include "ctl.h"

/* A reply after the first one of `drops --follow`. */
void text_drops_more(const struct ctl *ctl, const json_t *reply);

/* For text_drops(): of Drops(), in audit mode all that would be needed, else a few of them. */
void text_all_cures(const struct ctl *ctl, const json_t *reply);
void text_some_cures(const struct ctl *ctl, const json_t *reply);
void text_paragraph(const struct ctl *ctl, enum tone tone, const struct text *text);

#endif
