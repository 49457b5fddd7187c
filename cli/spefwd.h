/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_SPEFWD_H
#define SPEFW_SPEFWD_H

#include <jansson.h>

/* spefwd as a program of one errand, where no daemon runs. */

/* The spefwd beside this executable, or the installed one. The caller frees it; NULL without memory. */
char *spefwd_find(void);

/* Runs it with one or two options and waits for its end, some seconds at most. Its standard error is ours; up to 64 kB of
 * its standard output come back in *ret_output (the caller's, NUL-terminated). Its exit status, or a negative errno. */
int spefwd_run(const char *program, const char *option, const char *another, char **ret_output);

/* What `--inspect --json` tells of the table in the kernel: a new object. NULL where it tells nothing: *ret_status is then
 * its exit status or a negative errno. */
json_t *spefwd_inspect(const char *program, int *ret_status);

#endif
