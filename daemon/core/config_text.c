/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_values.h"

#include "array.h"
#include "config_keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a configuration is made of, before it has a meaning: bytes, words, and texts that are kept. */

const char *const builtin_roles[BUILTIN_ROLES] = { "SERVER", "ADM", "CA" };

bool is_role_name(const char *word)
{
	return word[0] >= 'A' && word[0] <= 'Z' && !word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")];
}

bool is_flow_name(const char *word)
{
	return word[0] >= 'a' && word[0] <= 'z' && !word[strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

bool words_next(struct words *words)
{
	static const char separators[] = " \t\n,";

	for (; *words->rest && strchr(separators, *words->rest); words->rest++)
		words->next_line += *words->rest == '\n';
	if (!*words->rest)
		return false;
	words->word = words->rest;
	words->line = words->next_line;
	words->rest += strcspn(words->rest, separators);
	if (*words->rest) {
		words->next_line += *words->rest == '\n';
		*words->rest++ = '\0';
	}
	return true;
}

struct words value_words(const struct value *value)
{
	return (struct words){ .rest = value->text, .next_line = value->line };
}

const char *config_keep_string(struct config *config, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return NULL;
	if (config->string_count == config->string_capacity) {
		char **grown = array_grow(config->strings, &config->string_capacity, sizeof(*grown));

		if (!grown) {
			free(copy);
			return NULL;
		}
		config->strings = grown;
	}
	config->strings[config->string_count] = copy;
	config->string_count++;
	return copy;
}

const char *config_read_error(int error)
{
	if (error == -ENOTSUP)
		return "not a regular file";
	return strerror(-error);
}

bool config_check_text(const char *file, const char *bytes, size_t length, struct diags *diags, size_t *ret_start)
{
	unsigned line = 1;

	if (length >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0)) {
		diag_error(diags, file, 1, "this is UTF-16: save it as UTF-8");
		return false;
	}
	*ret_start = length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	for (size_t i = *ret_start; i < length; i++) {
		unsigned char byte = (unsigned char)bytes[i];
		bool line_end = byte == '\n' || (byte == '\r' && i + 1 < length && bytes[i + 1] == '\n');

		if ((byte < 0x20 && byte != '\t' && !line_end) || byte == 0x7f) {
			diag_error(diags, file, line, "byte 0x%02x: this is a binary file, write plain text", byte);
			return false;
		}
		line += byte == '\n';
	}
	return true;
}

enum config_section config_split_section(char *header, char **ret_name)
{
	char *kind = header + strspn(header, " \t");
	size_t length = strcspn(kind, " \t");
	char *name = kind + length + strspn(kind + length, " \t");

	for (size_t end = strlen(name); end > 0 && (name[end - 1] == ' ' || name[end - 1] == '\t'); end--)
		name[end - 1] = '\0';
	*ret_name = name;
	for (unsigned i = 0; i < CONFIG_SECTIONS; i++)
		if (strlen(config_section_names[i]) == length && strncmp(config_section_names[i], kind, length) == 0)
			return (enum config_section)i;
	return CONFIG_SECTIONS;
}

char *config_join(const char *const *words, size_t count, const char *last, char *buffer, size_t size)
{
	buffer[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(buffer);
		const char *separator = i == 0 ? "" : i + 1 == count ? last : ", ";

		snprintf(buffer + length, size - length, "%s%s", separator, words[i]);
	}
	return buffer;
}
