/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_HELD_H
#define SPEFW_HELD_H

/* Every address that a name has held. Its live connections are judged by these, so that a name that rotates cuts
 * nothing: what was allowed when it was opened may go on. New connections are judged by the address book alone. */

#include "addr.h"

#include <stddef.h>
#include <stdint.h>

enum { HELD_MAX = 1024 }; /* per name; beyond, the one that was seen longest ago is forgotten */

struct held_address {
	char *name; /* owned */
	struct addr addr;
	int64_t seen_s; /* wall clock; only compared with one another */
};

struct held {
	struct held_address *items; /* by name, then by address */
	size_t count, capacity;
};

/* 0 or -ENOMEM. */
int held_note(struct held *held, const char *name, const struct addr *addr, int64_t wall_s);
/* The addresses of a name: *ret_count of them, from the returned one on. */
const struct held_address *held_of(const struct held *held, const char *name, size_t *ret_count);

/* As text, a line each, and back: what can't be read is passed over. text: NULL without memory, to be freed. */
char *held_text(const struct held *held);
int held_from_text(struct held *ret, const char *text); /* 0 or -ENOMEM */
void held_free(struct held *held);

#endif
