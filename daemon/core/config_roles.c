/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_values.h"

#include "array.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* A list of roles, and of nothing else. Whether there are such roles is seen when all sections have been read. */

static void complain_no_role(const struct value *value, const char *word, unsigned line)
{
	for (size_t i = 0; i < BUILTIN_ROLES; i++) {
		if (strcasecmp(word, builtin_roles[i]) == 0) {
			diag_error(value->diags, value->file, line, "%s is not a role: did you mean %s?", word,
				   builtin_roles[i]);
			return;
		}
	}
	diag_error(value->diags, value->file, line, "%s is not a role: %s takes names of roles, such as ADM", word,
		   value->key);
}

static bool check_role(const struct value *value, const char *word, unsigned line)
{
	if (strcasecmp(word, "ANY") == 0)
		diag_error(value->diags, value->file, line,
			   "%s is every address: %s takes roles with members of their own, such as ADM", word,
			   value->key);
	else if (!is_role_name(word))
		complain_no_role(value, word, line);
	else if (strlen(word) > CONFIG_ID_MAX)
		diag_error(value->diags, value->file, line, "role name of %zu characters: it has up to %d",
			   strlen(word), CONFIG_ID_MAX);
	else
		return true;
	return false;
}

static bool is_listed(const struct members *members, const char *word)
{
	for (size_t i = 0; i < members->count; i++)
		if (strcmp(members->items[i].text, word) == 0)
			return true;
	return false;
}

int value_roles(const struct value *value, struct members *ret)
{
	struct words words = value_words(value);

	ret->line = value->line;
	while (words_next(&words)) {
		if (!check_role(value, words.word, words.line) || is_listed(ret, words.word))
			continue;
		struct member member = { .kind = MEMBER_ROLE, .file = value->file, .line = words.line };
		member.text = config_keep_string(value->config, words.word);
		if (!member.text || ARRAY_PUSH(ret, member) < 0)
			return -ENOMEM;
	}
	return 0;
}
