/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_LINES_H
#define SPEFW_LINES_H

/* Text of which each line is a record, as the state directory's files are: written to a stream in memory, read line by
 * line. */

#include <stddef.h>
#include <stdio.h>

/* Closes a stream of open_memstream(). Returns *text, to be freed; NULL where memory did not suffice for all of it. */
char *lines_end(FILE *out, char **text);

/* The first line of text, without its end, goes into line, for sscanf(), which measures all that follows. It is ""
 * where it has no room, or is incomplete at the end of a damaged file. Returns where the next one begins. */
const char *lines_next(const char *text, char *line, size_t size);

#endif
