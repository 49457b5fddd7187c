/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CURES_H
#define SPEFW_CURES_H

/* What in the INI file would allow what is denied: the fewest lines for all of it. */

#include "denial_cause.h"

enum {
	CURES_MAX = 64,        /* more are left out, and counted */
	CURE_VALUES_MAX = 256, /* of one of them, likewise */
	CURE_ANY = 16,         /* targets of one port, beyond which ANY is the shorter answer */
};

enum cure_kind {
	CURE_ADD,     /* values to the list of a key that is in the file */
	CURE_SET,     /* a key of a section that is in the file */
	CURE_SECTION, /* a section that is not in the file yet */
};

struct cure {
	enum cure_kind kind;
	char section[CONFIG_ID_MAX + 8]; /* "role ADM", "server", "flow tcp-3389-in" */
	unsigned line;                   /* of the section in the file; 0: it is not there */
	const char *key;                 /* static; NULL: a section of many keys */
	struct {
		char **items; /* owned */
		size_t count, capacity;
	} values;   /* CURE_ADD, CURE_SET: whole; in no order that matters */
	char *text; /* CURE_SECTION: its lines, each ended by a newline; else NULL. Owned */
};

/* A denial to be cured: what it misses, and from and to whom its row has seen it. */
struct cure_case {
	struct denial_cause cause;
	const struct addr *targets; /* NULL: that of cause.opened alone */
	size_t target_count;
	bool left_out; /* a scan: nobody wants that */
};

struct cures {
	struct {
		struct cure *items;
		size_t count, capacity;
	} list;
	size_t uncured; /* cases that nothing in the file would allow, that were to be left out, or that were too many
			 */
};

/* *ret_index[i]: which of the cures is that of case i; SIZE_MAX: none. 0 or -ENOMEM (*ret is empty then). */
int cures_make(struct cures *ret, const struct policy *policy, const struct cure_case *cases, size_t count,
	       size_t *ret_index);
void cures_free(struct cures *cures);
const char *cure_kind_name(enum cure_kind kind); /* "add", "set", "section" */

#endif
