/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/ini.h"

#include "core/config_keys.h"
#include "core/config_values.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	FILE_MAX = 64 << 20,
	INIH_NAME_MAX = 49, /* what inih keeps of a key or section; the rest is cut off without a word */
};

/* What becomes of an indented line. */
enum above { ABOVE_NOTHING, ABOVE_KEY, ABOVE_REFUSED };

struct reader {
	struct config *config;
	config_read_file read_file;
	void *userdata;
	struct diags *diags;
	int error; /* -ENOMEM, or 0 */

	int buffer_size;  /* inih's, of a line */
	char *next, *end; /* of the text; *end is NUL */
	unsigned line;
	char section[CONFIG_LINE_MAX + 1];

	/* The key whose lines are being collected. */
	enum above above;
	char key[CONFIG_LINE_MAX + 1];
	char *value;
	size_t value_length, value_capacity;
	unsigned key_line, value_line; /* its first line, and the last one that value holds */

	bool awaited; /* inih is to call the handler for this line */
	bool indented;
};

static void __attribute__((format(printf, 2, 3))) complain(struct reader *reader, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	diag_error(reader->diags, reader->config->path, reader->line, "%s", text);
}

/* Hands on the key whose last line has been seen. */
static void finish_key(struct reader *reader)
{
	if (reader->above == ABOVE_KEY && reader->error == 0)
		reader->error = config_key(reader->config, reader->section, reader->key, reader->value,
					   reader->key_line, reader->read_file, reader->userdata, reader->diags);
	reader->above = ABOVE_NOTHING;
	reader->value_length = 0;
}

/* Appends to the value, behind as many newlines as there are lines since its last text. */
static void add_value(struct reader *reader, const char *text)
{
	size_t steps = reader->line - reader->value_line, length = strlen(text);
	size_t wanted = reader->value_length + steps + length + 1;

	if (wanted > reader->value_capacity) {
		char *grown = realloc(reader->value, wanted * 2);

		if (!grown) {
			reader->error = -ENOMEM;
			return;
		}
		reader->value = grown;
		reader->value_capacity = wanted * 2;
	}
	memset(reader->value + reader->value_length, '\n', steps);
	memcpy(reader->value + reader->value_length + steps, text, length + 1);
	reader->value_length += steps + length;
	reader->value_line = reader->line;
}

/* Called by inih for a key with the text behind it, or again for an indented line. inih's own idea of the section is
 * not used: it is cut off at 49 characters. */
static int handle(void *userdata, const char *section, const char *name, const char *value)
{
	struct reader *reader = userdata;

	(void)section;
	if (!reader->awaited)
		return 1;
	reader->awaited = false;
	if (!reader->indented) {
		snprintf(reader->key, sizeof(reader->key), "%s", name);
		reader->key_line = reader->value_line = reader->line;
		reader->above = ABOVE_KEY;
	}
	add_value(reader, value);
	return 1;
}

/* The first of chars, or of a comment behind a space, or the end; as inih looks for it. */
static size_t find(const char *text, const char *chars)
{
	size_t i;

	for (i = 0; text[i] && !strchr(chars, text[i]); i++)
		if (text[i] == ';' && i > 0 && (text[i - 1] == ' ' || text[i - 1] == '\t'))
			break;
	return i;
}

static size_t trimmed_length(const char *text, size_t length)
{
	while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
		length--;
	return length;
}

/* Each of these returns whether inih may have the line. */

static bool take_section(struct reader *reader, const char *text)
{
	size_t length = find(text, "]"), rest;

	finish_key(reader);
	snprintf(reader->section, sizeof(reader->section), "%.*s", (int)length - 1, text + 1);
	if (text[length] != ']') {
		complain(reader, "section %.*s has no closing bracket: write %.*s]", (int)trimmed_length(text, length),
			 text, (int)trimmed_length(text, length), text);
	} else {
		rest = length + 1 + strspn(text + length + 1, " \t");
		if (!text[rest] || (text[rest] == ';' && rest > length + 1)) {
			if (reader->error == 0)
				reader->error =
					config_section(reader->config, reader->section, reader->line, reader->diags);
			return length - 1 <= INIH_NAME_MAX;
		}
		if (text[rest] == '#' || text[rest] == ';')
			complain(reader, "%c follows section %.*s: a comment behind it begins with a space and ;",
				 text[rest], (int)length + 1, text);
		else
			complain(reader, "more text follows section %.*s: write it into lines of its own",
				 (int)length + 1, text);
	}
	/* No telling what it was to be, nor whether its keys are right. */
	snprintf(reader->section, sizeof(reader->section), "?");
	return false;
}

static bool take_key(struct reader *reader, const char *text)
{
	size_t length = find(text, "=:");
	int name_length = (int)trimmed_length(text, length);
	struct range range;

	finish_key(reader);
	reader->above = ABOVE_REFUSED;
	if (text[length] == '=' && name_length == 0)
		complain(reader, "there is no key ahead of =: write KEY = VALUE");
	else if (text[length] == '=' && name_length > INIH_NAME_MAX)
		complain(reader, "key of %d characters: no key has more than %d", name_length, INIH_NAME_MAX);
	else if (text[length] == '=')
		return reader->awaited = true;
	else if (range_parse(text, &range) == RANGE_OK)
		complain(reader, "%s stands alone: indent it, to go on with the list above", text);
	else if (text[length] == ':' && name_length &&
		 strspn(text, "abcdefghijklmnopqrstuvwxyz_") == (size_t)name_length)
		complain(reader, ": stands behind %.*s: write %.*s = VALUE", name_length, text, name_length, text);
	else
		complain(reader, "%.60s is neither [section] nor key = value: a list goes on in indented lines", text);
	return false;
}

/* Whether an indented line is a key that inih would take for more of the list above. */
static bool looks_like_key(const char *text, size_t *ret_length)
{
	char word[32];
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
	char separator = text[length + strspn(text + length, " \t")];

	*ret_length = length;
	if (!length || separator == '=')
		return length > 0;
	snprintf(word, sizeof(word), "%.*s", (int)length, text);
	return separator == ':' && length < sizeof(word) && config_is_key(word);
}

static bool take_indented(struct reader *reader, const char *text)
{
	size_t length;

	if (text[0] == '[' && find(text, "]") < strlen(text) && !strchr(text, ':')) {
		complain(reader, "section %.*s is indented: begin it at the start of the line",
			 (int)find(text, "]") + 1, text);
		take_section(reader, text); /* so that its keys are judged, too */
		return false;
	}
	if (looks_like_key(text, &length)) {
		complain(reader, "key %.*s is indented: begin it at the start of the line", (int)length, text);
		finish_key(reader);
		reader->above = ABOVE_REFUSED;
		return false;
	}
	if (reader->above == ABOVE_NOTHING) {
		complain(reader, "indented, but there is no list above: begin keys at the start of the line");
		reader->above = ABOVE_REFUSED;
		return false;
	}
	return reader->awaited = reader->above == ABOVE_KEY;
}

static void refuse_long_line(struct reader *reader, const char *text, size_t length)
{
	complain(reader, "line of %zu bytes: it has up to %d, a list goes on in indented lines", length,
		 CONFIG_LINE_MAX);
	if (reader->indented || *text == ';' || *text == '#')
		return;
	finish_key(reader);
	reader->above = ABOVE_REFUSED;
	if (*text == '[')
		snprintf(reader->section, sizeof(reader->section), "?");
}

/* Whether inih may have the line as it is. What it may not have it gets as an empty one. */
static bool take_line(struct reader *reader, const char *line, size_t length)
{
	const char *text = line + strspn(line, " \t");

	reader->indented = text > line;
	if (length > CONFIG_LINE_MAX || length >= (size_t)reader->buffer_size) {
		refuse_long_line(reader, text, length);
		return false;
	}
	if (!*text || *text == ';' || *text == '#')
		return false;
	if (reader->indented)
		return take_indented(reader, text);
	return *text == '[' ? take_section(reader, text) : take_key(reader, text);
}

/* inih's reader of lines. num is the size of its buffer, less where it skips the rest of a line it found too long:
 * later versions think so of one that fills the buffer, and must not skip what follows. */
static char *read_line(char *buffer, int num, void *stream)
{
	struct reader *reader = stream;
	char *line = reader->next, *end;
	size_t length;

	if (!reader->buffer_size)
		reader->buffer_size = num;
	if (num < reader->buffer_size) {
		snprintf(buffer, (size_t)num, "\n");
		return buffer;
	}
	if (reader->awaited) { /* what passed here and then not there would have been lost without a word */
		complain(reader, "the line can't be read: write KEY = VALUE");
		reader->awaited = false;
	}
	if (line >= reader->end || reader->error < 0)
		return NULL;
	length = strcspn(line, "\r\n");
	end = line + length;
	reader->next = *end == '\r' ? end + 2 : end + 1;
	*end = '\0';
	reader->line++;
	if (!take_line(reader, line, length))
		snprintf(buffer, (size_t)num, "\n");
	else
		/* inih 55 leaves the comment in an indented line, later versions take it out. */
		snprintf(buffer, (size_t)num, "%.*s", (int)(reader->indented ? find(line, "") : length), line);
	return buffer;
}

static int read_text(struct reader *reader, char *bytes, size_t length)
{
	size_t start;
	int r;

	if (!config_check_text(reader->config->path, bytes, length, reader->diags, &start))
		return 0;
	bytes[length] = '\0';
	reader->next = bytes + start;
	reader->end = bytes + length;
	r = ini_parse_stream(read_line, reader, handle, reader);
	finish_key(reader);
	free(reader->value);
	if (r == -2 || reader->error < 0)
		return -ENOMEM;
	config_finish(reader->config, reader->diags);
	return 0;
}

int config_load(struct config *ret, const char *path, config_read_file read_file, void *userdata, struct diags *diags)
{
	struct reader reader = { .config = ret, .read_file = read_file, .userdata = userdata, .diags = diags };
	char *bytes = NULL, *grown;
	size_t length = 0;
	int r = config_init(ret, path);

	if (r < 0)
		return r;
	r = read_file(userdata, path, &bytes, &length);
	if (r < 0) {
		if (r == -ENOENT)
			diag_error(diags, path, 0, "missing: check its path, or put it back");
		else if (r != -ENOMEM)
			diag_error(diags, path, 0, "can't be read: %s: check its path and permissions",
				   config_read_error(r));
		return r;
	}
	grown = realloc(bytes, length + 1);
	r = grown ? read_text(&reader, grown, length) : -ENOMEM;
	free(grown ? grown : bytes);
	diags_sort(diags);
	return r;
}

/* Reads fd to its end. size is what it is expected to hold; it may grow meanwhile. */
static int read_all(int fd, size_t size, char **ret_bytes, size_t *ret_length)
{
	size_t capacity = size + 1, length = 0;
	char *bytes = malloc(capacity);

	while (bytes) {
		ssize_t n = read(fd, bytes + length, capacity - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || length + (size_t)n > FILE_MAX) {
			int error = n < 0 ? -errno : -EFBIG;

			free(bytes);
			return error;
		}
		if (n == 0) {
			*ret_bytes = bytes;
			*ret_length = length;
			return 0;
		}
		length += (size_t)n;
		if (length == capacity) {
			char *grown = realloc(bytes, capacity *= 2);

			if (!grown)
				free(bytes);
			bytes = grown;
		}
	}
	return -ENOMEM;
}

int config_read_disk(void *userdata, const char *path, char **ret_bytes, size_t *ret_length)
{
	struct stat status;
	int fd, r;

	(void)userdata;
	/* Not blocking: a FIFO put in its place must not hold up the daemon. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0)
		r = -errno;
	else if (S_ISDIR(status.st_mode))
		r = -EISDIR;
	else if (!S_ISREG(status.st_mode))
		r = -ENOTSUP;
	else if (status.st_size > FILE_MAX)
		r = -EFBIG;
	else
		r = read_all(fd, (size_t)status.st_size, ret_bytes, ret_length);
	close(fd);
	return r;
}
