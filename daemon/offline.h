/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_OFFLINE_H
#define SPEFW_OFFLINE_H

/* What spefwd does without becoming a daemon. Each prints its result and returns the exit status. */

#include <stdbool.h>

int offline_check(const char *config_path);
int offline_inspect(bool json);
int offline_clear(const char *state); /* the state directory: grants end as well */

#endif
