/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TOTALS_H
#define SPEFW_TOTALS_H

/* Counters that only grow: the kernel's begin anew with a new table, and anybody may reset them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct total {
	char name[64];
	uint64_t packets, bytes;           /* ever */
	uint64_t seen_packets, seen_bytes; /* the value of the kernel's counter last time */
};

struct totals {
	struct total *items;
	size_t count, capacity;
};

/* The kernel's value now. A counter that went back was reset: all of its value is new. One whose name is too long is
 * passed over. 0 or -ENOMEM. */
int totals_see(struct totals *totals, const char *name, uint64_t packets, uint64_t bytes);
/* The kernel's counters are about to begin at zero. */
void totals_restart(struct totals *totals);
const struct total *totals_find(const struct totals *totals, const char *name); /* NULL: never seen */

/* boot: the identity of this boot. The kernel's last values count only in the same boot: another one began at zero.
 * text: NULL without memory, to be freed. What can't be read is passed over. */
char *totals_text(const struct totals *totals, const char *boot);
int totals_from_text(struct totals *ret, const char *text, const char *boot); /* 0 or -ENOMEM */
void totals_free(struct totals *totals);

#endif
