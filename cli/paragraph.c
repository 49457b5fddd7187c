/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "screen.h"

#include <stdlib.h>
#include <string.h>

/* LEAST: so narrow no terminal is. RIGHT_EDGE: on a wide one, what stands at the right stays near the text. */
enum { LEAST = 16, GAP = 2, RIGHT_EDGE = 80 };

size_t screen_width(const struct screen *screen)
{
	return screen->width ? screen->width : WRAP_WIDTH;
}

/* Bytes of the first `width` characters. */
static size_t bytes_of(const char *text, size_t width)
{
	const char *at = text;

	while (*at && width--) {
		at++;
		while ((*at & 0xc0) == 0x80)
			at++;
	}
	return (size_t)(at - text);
}

size_t text_line(const char *text, size_t width)
{
	size_t fits = bytes_of(text, width), at = fits;

	if (!text[fits])
		return fits;
	while (at > 0 && text[at] != ' ')
		at--;
	return at ? at : strcspn(text, " ");
}

size_t screen_bytes(const struct screen *screen, enum tone tone, const char *text, size_t count)
{
	char *part = strndup(text, count);
	size_t width = part ? text_width(part) : 1;

	screen_text(screen, tone, part ? part : "?");
	free(part);
	return width;
}

/* Where it ends; counts further lines. */
static size_t print_words(const struct screen *screen, size_t column, size_t indent, enum tone tone, const char *text,
			  size_t *lines)
{
	size_t width = screen_width(screen);

	for (;;) {
		size_t room = width > column + LEAST ? width - column : LEAST;
		size_t count = text_line(text, room);
		column += screen_bytes(screen, tone, text, count);
		text += count;
		text += strspn(text, " ");
		if (!*text)
			return column;
		fprintf(screen->file, "\n%*s", (int)indent, "");
		column = indent;
		++*lines;
	}
}

static void print_right(const struct screen *screen, size_t column, size_t indent, enum tone tone, const char *text,
			size_t *lines)
{
	size_t width = screen_width(screen), wide = text_width(text), edge = width < RIGHT_EDGE ? width : RIGHT_EDGE;

	if (column + GAP + wide > width) {
		putc('\n', screen->file);
		column = 0;
		++*lines;
	}
	/* A line of its own is not broken if it fits in any way: it may be a command, to be copied. */
	if (!column && indent + wide > width && wide <= width)
		indent = width - wide;
	if (column + GAP + wide <= edge)
		fprintf(screen->file, "%*s", (int)(edge - wide - column), "");
	else
		fprintf(screen->file, "%*s", (int)(column ? GAP : indent), "");
	print_words(screen, column ? column + GAP : indent, indent, tone, text, lines);
}

size_t screen_paragraph(const struct screen *screen, size_t column, size_t indent, enum tone tone, const char *text,
			enum tone right_tone, const char *right)
{
	char *harmless = text_harmless(text), *harmless_right = text_harmless(right);
	size_t lines = 1;

	column = print_words(screen, column, indent, tone, harmless ? harmless : "?", &lines);
	if (harmless_right && *harmless_right)
		print_right(screen, column, indent, right_tone, harmless_right, &lines);
	putc('\n', screen->file);
	free(harmless);
	free(harmless_right);
	return lines;
}

void screen_line(const struct screen *screen, size_t column, size_t indent, enum tone tone, const char *text)
{
	if (screen->width) {
		screen_paragraph(screen, column, indent, tone, text, TONE_PLAIN, "");
		return;
	}
	screen_text(screen, tone, text);
	putc('\n', screen->file);
}

void facts_add(struct facts *facts, const char *label, enum tone tone, const struct text *text)
{
	facts->failed |= text->failed;
	if (facts->count == FACTS_MAX)
		return;
	struct fact *fact = &facts->items[facts->count++];
	*fact = (struct fact){ .label = label, .tone = tone, .text = strdup(text_of(text)), .next = "" };
	facts->failed |= !fact->text;
}

void facts_print(struct facts *facts, const struct screen *screen)
{
	size_t indent = 0;

	for (size_t i = 0; i < facts->count; i++)
		if (strlen(facts->items[i].label) > indent)
			indent = strlen(facts->items[i].label);
	indent += 2 * GAP;
	for (size_t i = 0; i < facts->count; i++) {
		struct fact *fact = &facts->items[i];
		int pad = (int)(indent - GAP - strlen(fact->label));
		fprintf(screen->file, "%*s", GAP, "");
		screen_text(screen, TONE_STRONG, fact->label);
		fprintf(screen->file, "%*s", pad, "");
		screen_paragraph(screen, indent, indent, fact->tone, fact->text ? fact->text : "?", TONE_FAINT,
				 fact->next);
		free(fact->text);
	}
	*facts = (struct facts){ .failed = facts->failed };
}
