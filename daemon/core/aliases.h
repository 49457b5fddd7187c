/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_ALIASES_H
#define SPEFW_ALIASES_H

/* The names that the CNAMEs of a wanted name led to, by its newest answer: the server may query these instead. */

#include "addr.h"

#include <stddef.h>
#include <stdint.h>

struct alias {
	char *name;    /* owned: the wanted name */
	char *alias;   /* owned: a name that it leads to */
	uint64_t hash; /* of the alias: most names that are looked for are none of them */
	enum family family;
};

struct aliases {
	struct alias *items;
	size_t count, capacity;
};

/* Those of (name, family) from now on; "" among them is passed over. size: of each text. 0, or -ENOMEM: then it has
 * none. */
int aliases_set(struct aliases *aliases, const char *name, enum family family, const char *texts, size_t size,
		size_t count);
/* The next wanted name that leads to this one, from *position on (0 at first); NULL: no more. */
const char *aliases_next(const struct aliases *aliases, const char *alias, enum family family, size_t *position);
void aliases_free(struct aliases *aliases);

#endif
