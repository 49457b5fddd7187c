/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_REPORT_HISTORY_H
#define SPEFW_REPORT_HISTORY_H

/* Which configurations were in force, and what waits for confirm, as JSON. NULL without memory. */

#include "gateway/config_store.h"

#include <jansson.h>

json_t *report_history(const struct config_store *config);
json_int_t report_left_s(const struct config_store *config); /* whole seconds, rounded up */
json_t *report_waiting(const struct config_store *config);   /* NULL also where nothing waits */

#endif
