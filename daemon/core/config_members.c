/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_values.h"

#include "array.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Lists of addresses, names and roles, and the files that hold them. */

enum { LABEL_MAX = 63 }; /* characters between two dots of a name, RFC 1035 */

/* One list of members while it is read, from the INI file or from a file that it names. */
struct member_reader {
	const struct value *value;
	unsigned accept;
	struct members *list;
	const char *file; /* that holds the member; owned by the config */
	unsigned line;
	bool in_file; /* not the INI file itself */
};

static void __attribute__((format(printf, 2, 3))) complain(const struct member_reader *reader, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (text)
		diag_error(reader->value->diags, reader->file, reader->line, "%s", text);
	else
		reader->value->diags->out_of_memory = true;
	free(text);
}

/* "KEY takes ...", for people. */
static const char *what_is_right(const struct member_reader *reader, char buffer[128])
{
	unsigned accept = reader->accept;

	snprintf(buffer, 128, "%s takes %s%s%s%s", reader->value->key,
		 accept & ACCEPT_RANGES ? "addresses, prefixes, ranges" : "addresses",
		 accept & ACCEPT_NAMES ? ", names" : "", accept & ACCEPT_ROLES ? ", roles" : "",
		 accept & ACCEPT_FILES                     ? ", file:PATH"
		 : accept & (ACCEPT_RANGES | ACCEPT_NAMES) ? ""
							   : " alone");
	return buffer;
}

static int add_member(const struct member_reader *reader, struct member member, const char *text)
{
	member.file = reader->file;
	member.line = reader->line;
	if (text && !(member.text = config_keep_string(reader->value->config, text)))
		return -ENOMEM;
	return ARRAY_PUSH(reader->list, member) < 0 ? -ENOMEM : 0;
}

/* Takes a word that range_parse() could read, or could at least recognise. */
static int take_range(const struct member_reader *reader, const char *word, enum range_error error,
		      const struct range *range)
{
	char right[128], text[RANGE_TEXT_MAX];
	const char *last = strchr(word, '-');

	switch (error) {
	case RANGE_HOST_BITS:
		complain(reader, "%s has host bits set: write %s", word, range_format(range, text));
		return 0;
	case RANGE_MAPPED:
		complain(reader, "%s is IPv4 in IPv6 form: write %s", word, range_format(range, text));
		return 0;
	case RANGE_REVERSED:
		complain(reader, "range %s is reversed: write %s-%.*s", word, last + 1, (int)(last - word), word);
		return 0;
	case RANGE_MIXED:
		complain(reader, "range %s has ends of two families: write one range for each", word);
		return 0;
	case RANGE_PREFIX:
		complain(reader, "%s has no valid prefix length: it is a number from 0 to %u", word,
			 strchr(word, ':') ? 128U : 32U);
		return 0;
	default: break;
	}
	if (!(reader->accept & ACCEPT_RANGES) && !range_is_host(range)) {
		complain(reader, "%s is more than one address: %s", word, what_is_right(reader, right));
		return 0;
	}
	return add_member(reader, (struct member){ .kind = MEMBER_RANGE, .range = *range }, NULL);
}

/* Words that can only be meant as addresses. */
static bool looks_like_address(const char *word)
{
	size_t length = strlen(word);

	if (strspn(word, "0123456789./-") == length || word[0] == '[')
		return true;
	return strchr(word, ':') && strspn(word, "0123456789abcdefABCDEF:./-") >= strcspn(word, "%");
}

static void complain_address(const struct member_reader *reader, const char *word)
{
	size_t length = strlen(word);

	if (word[0] == '[')
		complain(reader, "%s is not an address: write it without brackets", word);
	else if (strchr(word, '%'))
		complain(reader, "%s is not an address: write it without its zone", word);
	else if (word[0] == '-' || word[length - 1] == '-')
		complain(reader, "range %s lacks an end: write FIRST-LAST without spaces", word);
	else if (strchr(word, '-'))
		complain(reader, "%s is not a range: write both addresses in full, such as 192.0.2.1-192.0.2.20", word);
	else if (strchr(word, ':') && strcspn(word, ".") < strcspn(word, ":"))
		complain(reader, "%s is not an address: write it without the port, which goes into the key port", word);
	else if (strchr(word, ':'))
		complain(reader, "%s is not an address: an IPv6 address is such as 2001:db8::25", word);
	else
		complain(reader,
			 "%s is not an address: an IPv4 address is four numbers from 0 to 255, such as 192.0.2.25",
			 word);
}

/* One part of a name, up to its dot. */
static bool check_label(const struct member_reader *reader, const char *name, const char *label, size_t length)
{
	size_t good = strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789-_");

	if (good < length && (unsigned char)label[good] >= 0x80)
		complain(reader, "name %s holds letters beyond ASCII: write it in its xn-- form", name);
	else if (good < length && label[good] == ':')
		complain(reader, "name %s holds ':': write the host name alone, a port goes into the key port", name);
	else if (good < length && label[good] == '*')
		complain(reader,
			 "name %s holds a star: it may only stand for the whole first part, as in *.example.com", name);
	else if (good < length)
		complain(reader, "name %s holds '%c': a name is letters, digits, hyphens and underscores between dots",
			 name, label[good]);
	else if (length == 0)
		complain(reader, "name %s has an empty part: write one dot between its parts", name);
	else if (length > LABEL_MAX)
		complain(reader, "name %s has a part of %zu characters: they have up to %d", name, length, LABEL_MAX);
	else
		return true;
	return false;
}

static bool check_name(const struct member_reader *reader, const char *name)
{
	const char *label = strncmp(name, "*.", 2) == 0 ? name + 2 : name;

	for (;; label += strcspn(label, ".") + 1) {
		size_t length = strcspn(label, ".");

		if (!check_label(reader, name, label, length))
			return false;
		if (label[length])
			continue;
		if (!label[strspn(label, "0123456789")] || !label[strspn(label, "0123456789-")]) {
			complain(reader, "name %s ends in a number: it is neither an address nor a name", name);
			return false;
		}
		return true;
	}
}

static void normalise_name(char *word)
{
	size_t length = strlen(word);

	if (length && word[length - 1] == '.')
		word[--length] = '\0';
	for (char *c = word; *c; c++)
		*c = (char)tolower((unsigned char)*c);
}

bool config_take_name(const struct config *config, char *name, unsigned line, struct diags *diags)
{
	struct value value = { .diags = diags };
	struct member_reader reader = { .value = &value, .file = config->path, .line = line };
	struct range range;

	normalise_name(name);
	if (range_parse(name, &range) != RANGE_SYNTAX) {
		complain(&reader, "%s is an address: [name NAME] is for names of DNS", name);
		return false;
	}
	return check_name(&reader, name);
}

static int take_name(const struct member_reader *reader, char *word)
{
	char right[128];

	normalise_name(word);
	if (!(reader->accept & ACCEPT_NAMES)) {
		complain(reader, "%s is a name: %s", word, what_is_right(reader, right));
		return 0;
	}
	if (!check_name(reader, word))
		return 0;
	if (word[0] == '*' && !(reader->accept & ACCEPT_STAR)) {
		complain(reader, "%s holds a star: only the target of a flow (to) may, write single names", word);
		return 0;
	}
	if (word[0] == '*' && !strchr(word + 2, '.'))
		diag_warning(reader->value->diags, reader->file, reader->line,
			     "%s is every name of a whole top-level domain: write *.example.%s", word, word + 2);
	return add_member(reader, (struct member){ .kind = MEMBER_NAME }, word);
}

static int take_role(const struct member_reader *reader, const char *word)
{
	bool any = strcmp(word, "any") == 0 || strcmp(word, "ANY") == 0;
	char right[128];

	if (!(reader->accept & ACCEPT_ROLES))
		complain(reader, "%s is %s: %s", word, any ? "every address" : "a role", what_is_right(reader, right));
	else if (any)
		return add_member(reader, (struct member){ .kind = MEMBER_ANY }, NULL);
	else if (strlen(word) > CONFIG_ID_MAX)
		complain(reader, "role name of %zu characters: it has up to %d", strlen(word), CONFIG_ID_MAX);
	else
		return add_member(reader, (struct member){ .kind = MEMBER_ROLE }, word);
	return 0;
}

static void complain_word(const struct member_reader *reader, const char *word)
{
	const struct config *config = reader->value->config;
	const char *meant = strcasecmp(word, "ANY") == 0 ? "ANY" : NULL;
	char right[128];

	for (size_t i = 0; i < BUILTIN_ROLES; i++)
		if (strcasecmp(word, builtin_roles[i]) == 0)
			meant = builtin_roles[i];
	for (size_t i = 0; i < config->role_count; i++)
		if (strcasecmp(word, config->roles[i].name) == 0)
			meant = config->roles[i].name;

	if (!(reader->accept & (ACCEPT_NAMES | ACCEPT_ROLES)))
		complain(reader, "%s is not an address: %s", word, what_is_right(reader, right));
	else if (!(reader->accept & ACCEPT_ROLES))
		complain(reader, "%s is neither an address nor a name: a name holds a dot", word);
	else if (meant)
		complain(reader, "%s is not a role: did you mean %s?", word, meant);
	else
		complain(reader,
			 "%s is neither an address, a name nor a role: a name holds a dot, a role is in capitals",
			 word);
}

static int take_file(const struct member_reader *reader, const char *path);

static int take_member(const struct member_reader *reader, char *word)
{
	struct range range;
	enum range_error error;
	size_t length = strlen(word);

	if (strncmp(word, "file:", 5) == 0)
		return take_file(reader, word + 5);
	length -= word[length - 1] == '.';
	if (length > CONFIG_NAME_MAX) { /* nothing else is that long */
		complain(reader, "name of %zu characters: a name has up to %d", length, CONFIG_NAME_MAX);
		return 0;
	}
	error = range_parse(word, &range);
	if (error != RANGE_SYNTAX)
		return take_range(reader, word, error, &range);
	if (looks_like_address(word))
		complain_address(reader, word);
	else if (is_role_name(word) || strcmp(word, "any") == 0)
		return take_role(reader, word);
	else if (strchr(word, '.') && word[strcspn(word, ".") + 1])
		return take_name(reader, word);
	else
		complain_word(reader, word);
	return 0;
}

/* One line of a file of members. */
static int take_line(const struct member_reader *reader, char *text)
{
	struct words words = { .rest = text };
	char *word;

	for (char *c = text; *c; c++) {
		if (*c == '#' && (c == text || isspace((unsigned char)c[-1]))) {
			*c = '\0';
			break;
		}
	}
	if (!words_next(&words))
		return 0;
	word = words.word;
	if (words_next(&words)) {
		complain(reader, "more than one member in a line: write one a line%s",
			 words.word[0] == ';' ? ", comments begin with #" : "");
		return 0;
	}
	return take_member(reader, word);
}

/* The lines of a file of members; bytes has room for a NUL behind length. */
static int take_lines(struct member_reader *reader, char *bytes, size_t length)
{
	size_t start;
	int r = 0;

	if (!config_check_text(reader->file, bytes, length, reader->value->diags, &start))
		return 0;
	bytes[length] = '\0';
	for (char *line = bytes + start; line < bytes + length && r == 0;) {
		char *end = line + strcspn(line, "\r\n");
		char *next = *end == '\r' ? end + 2 : end + 1;

		*end = '\0';
		reader->line++;
		r = take_line(reader, line);
		line = next;
	}
	return r;
}

/* A relative path begins where the INI file is. */
static char *path_of_file(const struct config *config, const char *path)
{
	const char *slash = strrchr(config->path, '/');
	char *full;

	if (path[0] == '/' || !slash)
		return strdup(path);
	return asprintf(&full, "%.*s/%s", (int)(slash - config->path), config->path, path) < 0 ? NULL : full;
}

static int read_members(const struct member_reader *reader, const char *path)
{
	const struct value *value = reader->value;
	struct member_reader inner = *reader;
	char *bytes = NULL, *grown;
	size_t length = 0;
	int r;

	inner.in_file = true;
	inner.line = 0;
	inner.file = config_keep_string(value->config, path);
	if (!inner.file)
		return -ENOMEM;
	r = value->read_file ? value->read_file(value->userdata, path, &bytes, &length) : -ENOENT;
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		if (r == -ENOENT)
			complain(reader, "file %s is missing: check its path, or put it back", path);
		else
			complain(reader, "file %s can't be read: %s: check its path and permissions", path,
				 config_read_error(r));
		return 0;
	}
	grown = realloc(bytes, length + 1);
	r = grown ? take_lines(&inner, grown, length) : -ENOMEM;
	free(grown ? grown : bytes);
	return r;
}

static int take_file(const struct member_reader *reader, const char *path)
{
	char right[128], *full;
	int r;

	if (!(reader->accept & ACCEPT_FILES)) {
		complain(reader, "file:%.60s is a file: %s", path, what_is_right(reader, right));
		return 0;
	}
	if (reader->in_file) {
		complain(reader, "file:%.60s within a file: write its members here, or name it in the INI file", path);
		return 0;
	}
	if (!*path) {
		complain(reader, "file: names no file: write file:PATH");
		return 0;
	}
	full = path_of_file(reader->value->config, path);
	if (!full)
		return -ENOMEM;
	r = read_members(reader, full);
	free(full);
	return r;
}

int value_members(const struct value *value, unsigned accept, struct members *ret)
{
	struct member_reader reader = { .value = value, .accept = accept, .list = ret, .file = value->file };
	struct words words = value_words(value);
	struct member *trimmed;
	int r = 0;

	ret->line = value->line;
	while (r == 0 && words_next(&words)) {
		reader.line = words.line;
		r = take_member(&reader, words.word);
	}
	/* A list of 100,000 has grown by doubling; it does not grow again. */
	trimmed = ret->count ? realloc(ret->items, ret->count * sizeof(*ret->items)) : NULL;
	if (trimmed) {
		ret->items = trimmed;
		ret->capacity = ret->count;
	}
	return r;
}
