/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "screen.h"
#include "core/printable.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* By the environment alone: setlocale() would read files for it. */
static bool is_utf8(void)
{
	static const char *const variables[] = { "LC_ALL", "LC_CTYPE", "LANG" };
	const char *locale = NULL;

	for (size_t i = 0; i < 3 && !(locale && *locale); i++)
		locale = getenv(variables[i]);
	return locale && (strcasestr(locale, "UTF-8") || strcasestr(locale, "UTF8"));
}

struct screen screen_of(FILE *file)
{
	struct screen screen = { .file = file, .utf8 = is_utf8() };
	struct winsize size;
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	int fd = fileno(file);

	if (fd < 0 || !isatty(fd))
		return screen;
	screen.terminal = true;
	screen.width = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
	screen.colour = !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
	return screen;
}

char *text_harmless(const char *text)
{
	char *copy = strdup(text);

	if (copy)
		make_printable(copy);
	return copy;
}

static void print_harmless(FILE *file, const char *text)
{
	char *harmless = text_harmless(text);

	fputs(harmless ? harmless : "?", file);
	free(harmless);
}

void text_print_line(FILE *file, const char *text)
{
	print_harmless(file, text);
	putc('\n', file);
}

size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static const char *tone_begin(const struct screen *screen, enum tone tone)
{
	static const char *const codes[] = { "", "\033[1m", "\033[2m", "\033[1;32m", "\033[1;33m", "\033[1;31m" };
	return screen->colour ? codes[tone] : "";
}

static const char *tone_end(const struct screen *screen, enum tone tone)
{
	return screen->colour && tone != TONE_PLAIN ? "\033[0m" : "";
}

void screen_text(const struct screen *screen, enum tone tone, const char *text)
{
	fputs(tone_begin(screen, tone), screen->file);
	print_harmless(screen->file, text);
	fputs(tone_end(screen, tone), screen->file);
}

static void text_fail(struct text *text)
{
	free(text->bytes);
	*text = (struct text){ .failed = true };
}

void text_add(struct text *text, const char *format, ...)
{
	char *more = NULL;
	va_list arguments;

	if (text->failed)
		return;
	va_start(arguments, format);
	int length = vasprintf(&more, format, arguments);
	va_end(arguments);
	if (length < 0) {
		text_fail(text);
		return;
	}
	if (text->length + (size_t)length + 1 > text->capacity) {
		size_t wanted = 2 * (text->length + (size_t)length + 1);
		char *grown = realloc(text->bytes, wanted);
		if (!grown) {
			free(more);
			text_fail(text);
			return;
		}
		text->bytes = grown;
		text->capacity = wanted;
	}
	memcpy(text->bytes + text->length, more, (size_t)length + 1);
	text->length += (size_t)length;
	free(more);
}

const char *text_of(const struct text *text)
{
	return text->bytes ? text->bytes : "";
}

void text_free(struct text *text)
{
	free(text->bytes);
	*text = (struct text){ 0 };
}

static const struct {
	int64_t length;
	char letter;
} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };

static size_t unit_of(int64_t seconds)
{
	size_t i = 0;

	while (units[i].length > 1 && seconds < units[i].length)
		i++;
	return i;
}

char *format_age(int64_t seconds, char buffer[32])
{
	size_t i = unit_of(seconds);

	snprintf(buffer, 32, "%" PRId64 "%c", seconds < 0 ? 0 : seconds / units[i].length, units[i].letter);
	return buffer;
}

char *format_seconds(int64_t seconds, char buffer[32])
{
	if (seconds < 0)
		seconds = 0;
	size_t i = unit_of(seconds);
	int64_t rest = i < 3 ? seconds % units[i].length / units[i + 1].length : 0;
	int n = snprintf(buffer, 32, "%" PRId64 "%c", seconds / units[i].length, units[i].letter);
	if (rest && n > 0 && n < 24)
		snprintf(buffer + n, 32 - (size_t)n, " %" PRId64 "%c", rest, units[i + 1].letter);
	return buffer;
}

char *format_count(int64_t count, char buffer[32])
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%" PRId64, count < 0 ? 0 : count);
	char *to = buffer;

	for (int i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return buffer;
}
