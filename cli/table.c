/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "screen.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2, WRAPPED_LEAST = 16 };

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

static bool gives_way(const struct table *table, size_t column)
{
	return table->kinds[column] == COLUMN_ELASTIC || table->kinds[column] == COLUMN_WRAPPED;
}

static size_t longest_word(const char *text)
{
	size_t longest = 0;

	while (*text) {
		size_t width = 0;
		for (; *text && *text != ' '; text++)
			width += (*text & 0xc0) != 0x80;
		text += strspn(text, " ");
		longest = width > longest ? width : longest;
	}
	return longest;
}

/* Takes from the widest column that gives way, one character at a time, until all fits or none can give. */
static void shrink(const struct table *table, size_t *widths, const size_t *least, size_t limit)
{
	while (sum(widths, table->columns) > limit) {
		size_t widest = table->columns;
		for (size_t i = 0; i < table->columns; i++)
			if (gives_way(table, i) && widths[i] > least[i] &&
			    (widest == table->columns || widths[i] > widths[widest]))
				widest = i;
		if (widest == table->columns)
			return;
		widths[widest]--;
	}
}

static void measure(const struct table *table, const struct screen *screen, size_t *widths)
{
	size_t least[COLUMNS_MAX] = { 0 }, last = table->columns - 1;
	bool wrapped = table->kinds[last] == COLUMN_WRAPPED;

	memset(widths, 0, COLUMNS_MAX * sizeof(*widths));
	for (size_t i = 0; i < table->count; i++) {
		size_t column = i % table->columns, width = text_width(table->cells[i].text),
		       longest = longest_word(table->cells[i].text);
		if (width > widths[column])
			widths[column] = width;
		if (longest > least[column])
			least[column] = longest;
	}
	size_t word = least[last];
	if (wrapped && least[last] < WRAPPED_LEAST && widths[last] > WRAPPED_LEAST)
		least[last] = WRAPPED_LEAST;
	if (wrapped || screen->width)
		shrink(table, widths, least, screen_width(screen));
	/* Rather than beyond the edge it is narrower than one likes to read. */
	if (wrapped) {
		least[last] = word;
		shrink(table, widths, least, screen_width(screen));
	}
}

static bool is_empty(const char *const *rest, size_t from, size_t columns)
{
	for (size_t i = from; i < columns; i++)
		if (rest[i][0])
			return false;
	return true;
}

/* The next line of a row: of each cell as much as its column has room for, nothing behind the last one. */
static void print_line(const struct table *table, const struct screen *screen, const struct cell *row,
		       const size_t *widths, const char **rest)
{
	int pad = 0;

	for (size_t i = 0; i < table->columns && !is_empty(rest, i, table->columns); i++) {
		size_t count = text_line(rest[i], widths[i]);
		char *part = strndup(rest[i], count);
		size_t width = part ? text_width(part) : 1;
		int room = width < widths[i] ? (int)(widths[i] - width) : 0;
		bool right = table->kinds[i] == COLUMN_RIGHT;
		fprintf(screen->file, "%*s", count ? pad + (right ? room : 0) : 0, "");
		screen_text(screen, row[i].tone, part ? part : "?");
		pad = count ? GAP + (right ? 0 : room) : pad + (int)widths[i] + GAP;
		free(part);
		rest[i] += count;
		rest[i] += strspn(rest[i], " ");
	}
	putc('\n', screen->file);
}

static void print_row(const struct table *table, const struct screen *screen, const struct cell *row,
		      const size_t *widths)
{
	const char *rest[COLUMNS_MAX];

	for (size_t i = 0; i < table->columns; i++)
		rest[i] = row[i].text;
	do
		print_line(table, screen, row, widths, rest);
	while (!is_empty(rest, 0, table->columns));
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
