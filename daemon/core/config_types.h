/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CONFIG_TYPES_H
#define SPEFW_CONFIG_TYPES_H

/* What a kind of value can do, whatever the key. */

#include "config_keys.h"
#include "config_values.h"
#include "policy.h"

enum {
	VALUE_TEXT_MAX = 400, /* bytes of a value as text, with its NUL */
	LISTED_MAX = 6,       /* networks of a value that its text names; the rest are counted */
};

/* A NULL function has nothing to do. Fields are those of the configuration, objects those of the policy that the
 * section of the key is about: struct policy itself, or a policy_flow. */
struct value_methods {
	const char *syntax; /* for the manual, mdoc; NULL: made of the choices or members that the key accepts */
	/* 0 or -ENOMEM; complains to value->diags. */
	int (*read)(const struct value *value, const struct config_key *key, void *field);
	void (*set_default)(const struct config_key *key, void *field); /* NULL: it is all zero */
	void (*release)(void *field);
	int (*copy)(const struct config_key *key, struct policy *policy, const void *field); /* 0 or -ENOMEM */
	void (*release_copy)(const struct config_key *key, struct policy *policy);
	bool (*equal)(const struct config_key *key, const void *object, const void *other);
	/* As it is written; "" where there is none, for which the key has a word (standard). */
	void (*text)(const struct config_key *key, const void *object, char text[VALUE_TEXT_MAX]);
	/* For the manual: a sentence, and the default where the key has no word of its own for it. */
	void (*bounds)(const struct config_key *key, char text[VALUE_TEXT_MAX]);
	void (*default_text)(const struct config_key *key, char text[VALUE_TEXT_MAX]);
};

const struct value_methods *value_methods(const struct config_key *key);
/* Refuses # and ; where they can't be part of it, and reads. As read(). */
int value_read(const struct value *value, const struct config_key *key, void *field);

#endif
