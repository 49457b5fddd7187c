/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CONFIG_KEYS_H
#define SPEFW_CONFIG_KEYS_H

/* The table of all keys: what is read, checked, taken over into the policy, compared, shown and documented comes of it.
 * What a kind of value can do is in config_types.c. */

#include "config.h"

/* How a reload reports that the value is another one. */
enum config_change {
	CHANGE_RESOLVED, /* not by itself: by what the policy makes of it, as members of a role */
	CHANGE_VALUES,   /* "KEY: OLD -> NEW"; of a flow "flow ID: KEY NEW, was OLD" */
};

enum {
	KEY_LIST = 1 << 0,     /* may go on in indented lines */
	KEY_REQUIRED = 1 << 1, /* may not be empty */
};

struct config_key {
	enum config_section section;
	const char *name;
	enum value_type type;
	unsigned flags;
	unsigned accept; /* members: enum member_accept */
	const char *const *choices;
	unsigned choice_count;
	int64_t least, most;  /* numbers, and durations in ms */
	int64_t initial;      /* the default, where it is a number: choices, yes or no, numbers, ms */
	const char *standard; /* how the default is called where it can't be written; mdoc where it begins with a dot */
	const char *example;  /* of a value, for messages */
	size_t offset;        /* of the field in struct config, config_name, config_role or config_flow */
	size_t line_offset;   /* of the field beside it that holds the line; 0 = none */
	bool in_policy;
	size_t policy_offset; /* in_policy: of the field in struct policy or policy_flow */
	enum config_change change;
	const char *json;   /* the member of a flow's JSON that has the policy's value; NULL: none has */
	const char *manual; /* for spefw.ini(5), mdoc: what it means; bounds and default are added */
};

extern const struct config_key config_keys[];
extern const size_t config_key_count;
extern const char *const config_section_names[CONFIG_SECTIONS];

/* The key of the section behind this one (NULL: the first) in the order of the table; NULL behind the last. */
const struct config_key *config_key_next(enum config_section section, const struct config_key *key);
bool config_section_has_name(enum config_section section);
/* NULL where the section has no such key. */
const struct config_key *config_key_find(enum config_section section, const char *name);
bool config_is_key(const char *word); /* of any section */

#endif
