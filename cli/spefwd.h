/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_SPEFWD_H
#define SPEFW_SPEFWD_H

#include <jansson.h>

/* Programs that do one thing and end: spefwd where no daemon runs, spefw-doctor. */

/* The program of this name beside this executable, or the one that is installed in this folder. The caller frees it;
 * NULL without memory. */
char *spefwd_find(const char *name, const char *folder);

enum { SPEFWD_TIMEOUT_S = 10, DOCTOR_TIMEOUT_S = 60 };

/* Runs a program (arguments[0] is its path; ends with NULL) and waits for its end, timeout_s at most. Its standard
 * error is ours; up to 512 kB of its standard output come back in *ret_output (the caller's, NUL-terminated). Its exit
 * status, or a negative errno. */
int spefwd_run(const char *const *arguments, unsigned timeout_s, char **ret_output);

/* What `--inspect --json` prints of the table in the kernel: a new object. NULL where it prints none: *ret_status is
 * then its exit status or a negative errno. */
json_t *spefwd_inspect(const char *program, int *ret_status);

#endif
