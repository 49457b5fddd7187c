/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_GRANT_LIST_H
#define SPEFW_GRANT_LIST_H

/* Grants: an address is on the unprotected side of a flow for a while. Within one boot a grant ends by CLOCK_BOOTTIME,
 * and sooner where the wall clock comes to its end sooner; after a reboot by the wall clock, but never later than after
 * what was left of it when it was last written: a clock that is set back, or that begins anew, prolongs nothing. */

#include "addr.h"
#include "config.h"

#include <stddef.h>
#include <stdint.h>

enum {
	GRANTS_MAX = 256,
	GRANT_SHORTEST_S = 60,
	GRANT_LONGEST_S = 30 * 24 * 3600,
	GRANT_BY_MAX = 64, /* bytes of who gave it */
};

struct grant {
	char flow[CONFIG_ID_MAX + 1];
	struct addr addr;
	char by[GRANT_BY_MAX];
	int64_t given_s, until_s; /* wall clock: when it was given, or last changed; and its end */
	int64_t end_ms;           /* CLOCK_BOOTTIME */
};

struct grant_list {
	struct grant *items; /* by flow, then by address */
	size_t count, capacity;
};

const struct grant *grant_find(const struct grant_list *list, const char *flow, const struct addr *addr); /* or NULL */
/* Puts it in, instead of the one of the same flow and address. 0, -ENOMEM, or -ENOSPC: there are GRANTS_MAX others. */
int grant_put(struct grant_list *list, const struct grant *grant);
/* Takes it out. False: there is none. ret may be NULL. */
bool grant_take(struct grant_list *list, const char *flow, const struct addr *addr, struct grant *ret);

/* Lets the wall clock shorten them. True where it has. */
bool grants_see_clock(struct grant_list *list, int64_t now_ms, int64_t wall_s);
/* Takes out one that is over, *ret. False: none is. */
bool grants_take_ended(struct grant_list *list, int64_t now_ms, struct grant *ret);
/* When the next one ends, CLOCK_BOOTTIME; INT64_MAX: there is none. */
int64_t grants_next_end(const struct grant_list *list);

/* As text, a line each with a checksum of its own, and back. boot: which one this is (one word; "": not
 * known); after another one, what is left is reckoned as above. text: NULL without memory, to be freed. What is damaged
 * or out of bounds is passed over: *ret_damaged. 0 or -ENOMEM. */
char *grants_text(const struct grant_list *list, const char *boot, int64_t now_ms);
int grants_from_text(struct grant_list *ret, const char *text, const char *boot, int64_t now_ms, int64_t wall_s,
		     bool *ret_damaged);
void grants_free_list(struct grant_list *list);

#endif
