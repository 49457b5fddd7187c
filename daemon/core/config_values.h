/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CONFIG_VALUES_H
#define SPEFW_CONFIG_VALUES_H

/* Readers of single values, for config_types.c alone. All of them complain to value->diags and return 0, or -ENOMEM;
 * after a complaint *ret holds what was right, or is untouched. */

#include "config.h"

struct value {
	struct config *config;
	const char *key;
	char *text;       /* lists are cut into words in place */
	const char *file; /* where it is written; owned by the config */
	unsigned line;    /* of the first line of text; each '\n' in it is one more */
	config_read_file read_file;
	void *userdata;
	struct diags *diags;
};

/* What a list of members may hold. */
enum member_accept {
	ACCEPT_HOSTS = 1 << 0,  /* single addresses */
	ACCEPT_RANGES = 1 << 1, /* also prefixes and ranges */
	ACCEPT_NAMES = 1 << 2,
	ACCEPT_STAR = 1 << 3,  /* also *.example.com */
	ACCEPT_ROLES = 1 << 4, /* role names and any */
	ACCEPT_FILES = 1 << 5, /* file:PATH */
};

/* Walks over the words of a list, which is cut in place. value_words() begins; another text begins with { .rest = text
 * }. */
struct words {
	char *rest;
	unsigned next_line;
	char *word;
	unsigned line; /* of word */
};

struct words value_words(const struct value *value);
bool words_next(struct words *words);

int value_members(const struct value *value, unsigned accept, struct members *ret);
int value_roles(const struct value *value, struct members *ret);
int value_ports(const struct value *value, struct ports *ret);
int value_interfaces(const struct value *value, struct config_interfaces *ret);
int value_dns_servers(const struct value *value, struct dns_servers *ret);
int value_choice(const struct value *value, const char *const *choices, unsigned count, unsigned *ret);
int value_number(const struct value *value, unsigned most, uint16_t *ret);
int value_duration(const struct value *value, int64_t least_ms, int64_t most_ms, int64_t *ret_ms);

/* Whether word is a role's name, [A-Z][A-Z0-9_]*, or a flow's, [a-z][a-z0-9-]*; of any length. */
bool is_role_name(const char *word);
bool is_flow_name(const char *word);

/* Makes a DNS name as an administrator may write it what it is kept as: lower case, without the trailing dot. Complains
 * and returns false where it is none; "*.example.com" is one. */
bool config_take_name(const struct config *config, char *name, unsigned line, struct diags *diags);

/* What is between the brackets, cut in place: "role  ADM" is CONFIG_ROLE and "ADM"; CONFIG_SECTIONS where no section is
 * called so. *ret_name points into header, "" where there is none. */
enum config_section config_split_section(char *header, char **ret_name);

/* "a, b or c", with last " or ". Returns buffer. */
char *config_join(const char *const *words, size_t count, const char *last, char *buffer, size_t size);

/* Whether bytes are text; complains if not. *ret_start is where it begins, behind a byte order mark. */
bool config_check_text(const char *file, const char *bytes, size_t length, struct diags *diags, size_t *ret_start);
/* What a negative errno of a config_read_file means, for people. */
const char *config_read_error(int error);

/* Keeps a copy of text as long as the config lives; NULL without memory. */
const char *config_keep_string(struct config *config, const char *text);

#endif
