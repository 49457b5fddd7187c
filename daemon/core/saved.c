/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "saved.h"
#include "ruleset.h"

#include <stdbool.h>
#include <string.h>

struct scanner {
	const char *at, *end;
	unsigned line;
};

struct token {
	const char *text;
	size_t length;
	bool quoted;
	unsigned line;
};

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("_-./\\", c));
}

/* Blanks, comments, and a backslash that continues a line. */
static void skip(struct scanner *s)
{
	for (; s->at < s->end; s->at++) {
		if (*s->at == '#')
			while (s->at + 1 < s->end && s->at[1] != '\n')
				s->at++;
		else if (*s->at == '\n')
			s->line++;
		else if (*s->at != ' ' && *s->at != '\t' && *s->at != '\r' &&
			 !(*s->at == '\\' && s->at + 1 < s->end && s->at[1] == '\n'))
			return;
	}
}

static bool next_token(struct scanner *s, struct token *ret)
{
	skip(s);
	if (s->at == s->end)
		return false;
	*ret = (struct token){ .text = s->at, .line = s->line };
	if (*s->at == '"') {
		ret->quoted = true;
		ret->text++;
		for (s->at++; s->at < s->end && *s->at != '"' && *s->at != '\n'; s->at++)
			;
		ret->length = (size_t)(s->at - ret->text);
		s->at += s->at < s->end && *s->at == '"';
		return true;
	}
	if (!is_word(*s->at))
		s->at++;
	else
		while (s->at < s->end && is_word(*s->at))
			s->at++;
	ret->length = (size_t)(s->at - ret->text);
	return true;
}

static bool is(const struct token *token, const char *word)
{
	return !token->quoted && token->length == strlen(word) && memcmp(token->text, word, token->length) == 0;
}

unsigned saved_scan(const char *text, size_t length,
		    void (*include)(void *userdata, const char *pattern, size_t length), void *userdata)
{
	struct scanner scanner = { .at = text, .end = text + length, .line = 1 };
	struct token one, two = { 0 }, three = { 0 };
	unsigned found = 0;

	while (next_token(&scanner, &one)) {
		if (!found && is(&three, "table") && is(&two, "inet") && is(&one, TABLE_NAME))
			found = three.line;
		if (is(&two, "include") && one.quoted)
			include(userdata, one.text, one.length);
		three = two;
		two = one;
	}
	return found;
}
