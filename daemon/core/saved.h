/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_SAVED_H
#define SPEFW_SAVED_H

/* The text of a saved ruleset: whether it holds our table, and which files it includes. */

#include <stddef.h>

/* `include` is called for each `include "PATTERN"`, outside of comments, with what stands between the quotes (not
 * terminated). The first line with `table inet spefw`, from 1 on; 0: none. Any bytes will do. */
unsigned saved_scan(const char *text, size_t length,
		    void (*include)(void *userdata, const char *pattern, size_t length), void *userdata);

#endif
