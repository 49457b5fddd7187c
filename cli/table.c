/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "screen.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2, ELASTIC_LEAST = 8, WRAPPED_LEAST = 16 };

void table_init(struct table *table, const char *kinds)
{
	*table = (struct table){ .columns = strlen(kinds) };
	for (size_t i = 0; i < table->columns && i < COLUMNS_MAX; i++)
		table->kinds[i] = kinds[i] == 'r'   ? COLUMN_RIGHT
				  : kinds[i] == 'e' ? COLUMN_ELASTIC
				  : kinds[i] == 'w' ? COLUMN_WRAPPED
						    : COLUMN_PLAIN;
}

static void add_cell(struct table *table, enum tone tone, const char *text)
{
	char *harmless = text_harmless(text);

	if (harmless && table->count == table->capacity) {
		size_t wanted = table->capacity ? 2 * table->capacity : 64;
		struct cell *grown = reallocarray(table->cells, wanted, sizeof(*grown));
		if (!grown) {
			free(harmless);
			harmless = NULL;
		} else {
			table->cells = grown;
			table->capacity = wanted;
		}
	}
	if (harmless)
		table->cells[table->count++] = (struct cell){ .text = harmless, .tone = tone };
	else
		table->failed = true;
}

void table_cell(struct table *table, enum tone tone, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	int length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0) {
		table->failed = true;
		return;
	}
	add_cell(table, tone, text);
	free(text);
}

void table_titles(struct table *table, const char *const *titles)
{
	for (size_t i = 0; i < table->columns; i++)
		add_cell(table, TONE_STRONG, titles[i]);
}

static size_t sum(const size_t *widths, size_t columns)
{
	size_t total = GAP * (columns - 1);

	for (size_t i = 0; i < columns; i++)
		total += widths[i];
	return total;
}

/* Takes from the widest elastic column, one character at a time, until all fits or none can give. */
static void shrink(const struct table *table, size_t *widths, size_t limit)
{
	while (sum(widths, table->columns) > limit) {
		size_t widest = table->columns;
		for (size_t i = 0; i < table->columns; i++)
			if (table->kinds[i] == COLUMN_ELASTIC && widths[i] > ELASTIC_LEAST &&
			    (widest == table->columns || widths[i] > widths[widest]))
				widest = i;
		if (widest == table->columns)
			return;
		widths[widest]--;
	}
}

static void measure(const struct table *table, const struct screen *screen, size_t *widths)
{
	size_t last = table->columns - 1;
	bool wrapped = table->kinds[last] == COLUMN_WRAPPED;

	memset(widths, 0, COLUMNS_MAX * sizeof(*widths));
	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns, width = text_width(table->cells[i].text);
		if (width > widths[column])
			widths[column] = width;
	}
	if (wrapped) {
		size_t limit = screen->width ? screen->width : WRAP_WIDTH;
		widths[last] = WRAPPED_LEAST;
		shrink(table, widths, limit);
		size_t others = sum(widths, table->columns) - widths[last];
		widths[last] = limit > others + WRAPPED_LEAST ? limit - others : WRAPPED_LEAST;
	} else if (screen->width) {
		shrink(table, widths, screen->width);
	}
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

/* How many bytes of text go on one line: up to a space, or else as many as fit. */
static size_t line_of(const char *text, size_t width)
{
	size_t fits = bytes_of(text, width), at = fits;

	if (!text[fits])
		return fits;
	while (at > 0 && text[at] != ' ')
		at--;
	return at ? at : fits;
}

static void print_bytes(const struct screen *screen, enum tone tone, const char *text, size_t count)
{
	char *part = strndup(text, count);

	screen_text(screen, tone, part ? part : "?");
	free(part);
}

static void print_wrapped(const struct screen *screen, const struct cell *cell, size_t indent, size_t width)
{
	const char *text = cell->text;

	for (;;) {
		size_t count = line_of(text, width);
		print_bytes(screen, cell->tone, text, count);
		text += count;
		while (*text == ' ')
			text++;
		if (!*text)
			return;
		fprintf(screen->file, "\n%*s", (int)indent, "");
	}
}

static void print_short(const struct screen *screen, const struct cell *cell, size_t width)
{
	if (text_width(cell->text) <= width) {
		screen_text(screen, cell->tone, cell->text);
		return;
	}
	print_bytes(screen, cell->tone, cell->text, bytes_of(cell->text, width - 3));
	screen_text(screen, cell->tone, "...");
}

/* Nothing but spaces to come: the line ends without them. */
static bool rest_is_empty(const struct table *table, const struct cell *row, size_t from)
{
	for (size_t i = from; i < table->columns; i++)
		if (row[i].text[0])
			return false;
	return true;
}

static void print_row(const struct table *table, const struct screen *screen, const struct cell *row,
		      const size_t *widths)
{
	size_t indent = 0;

	for (size_t i = 0; i < table->columns && !rest_is_empty(table, row, i); i++) {
		size_t width = text_width(row[i].text);
		int pad = width < widths[i] ? (int)(widths[i] - width) : 0;
		if (table->kinds[i] == COLUMN_RIGHT)
			fprintf(screen->file, "%*s", pad, "");
		if (table->kinds[i] == COLUMN_WRAPPED)
			print_wrapped(screen, &row[i], indent, widths[i]);
		else
			print_short(screen, &row[i], widths[i]);
		if (!rest_is_empty(table, row, i + 1))
			fprintf(screen->file, "%*s", (table->kinds[i] == COLUMN_RIGHT ? 0 : pad) + GAP, "");
		indent += widths[i] + GAP;
	}
	putc('\n', screen->file);
}

int table_print(struct table *table, const struct screen *screen)
{
	size_t widths[COLUMNS_MAX];
	int r = table->failed ? -ENOMEM : 0;

	if (r == 0 && table->count) {
		measure(table, screen, widths);
		for (size_t i = 0; i + table->columns <= table->count; i += table->columns)
			print_row(table, screen, &table->cells[i], widths);
	}
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i].text);
	free(table->cells);
	*table = (struct table){ 0 };
	return r;
}
