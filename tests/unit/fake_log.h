/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_FAKE_LOG_H
#define SPEFW_TEST_FAKE_LOG_H

/* daemon/log.h, kept for the test instead of printed. */

#include "log.h"

#include <stdbool.h>
#include <stddef.h>

extern size_t fake_log_lines; /* since the last fake_log_reset() */

void fake_log_reset(void);
bool fake_log_has(const char *part);     /* it is in what was logged since then */
size_t fake_log_count(const char *part); /* so many lines since then have it */

#endif
