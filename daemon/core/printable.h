/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_PRINTABLE_H
#define SPEFW_PRINTABLE_H

#include <stddef.h>

/* Text that came from outside, for terminals, JSON and the journal, none of which may be upset by it: paths, names of
 * interfaces, of other programs' tables and chains, what was written in a file. */

/* In place: each byte that is no part of a visible character of UTF-8 becomes '?', also those of a character that is
 * incomplete at the end, or that hides text or turns its direction. The length stays. */
void make_printable(char *text);

/* "s", unless there is one of them. */
static inline const char *plural(size_t count)
{
	return count == 1 ? "" : "s";
}

#endif
