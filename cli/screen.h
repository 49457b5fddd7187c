/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_SCREEN_H
#define SPEFW_SCREEN_H

/* Text for people: made harmless, coloured, in tables as wide as the terminal. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct screen {
	FILE *file;
	unsigned width; /* columns; 0: no terminal, nothing is shortened */
	bool terminal, colour;
	bool utf8; /* by the locale: can show more than ASCII */
};

enum tone { TONE_PLAIN, TONE_STRONG, TONE_FAINT, TONE_GOOD, TONE_WARNING, TONE_BAD };

struct screen screen_of(FILE *file);

/* A copy without what could steer a terminal (control and bidirectional characters, broken UTF-8: each a '?').
 * NULL without memory. */
char *text_harmless(const char *text);
void text_print_line(FILE *file, const char *text); /* harmless */
size_t text_width(const char *text);                /* characters of harmless text */
/* Harmless, in this tone. */
void screen_text(const struct screen *screen, enum tone tone, const char *text);

/* A text that grows. After a failure it stays empty and `failed`. */
struct text {
	char *bytes; /* NULL: empty */
	size_t length, capacity;
	bool failed;
};
void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *text_of(const struct text *text);
void text_free(struct text *text);

/* In buffer, which is returned. */
char *format_seconds(int64_t seconds, char buffer[32]); /* "6d 23h", "45s" */
char *format_age(int64_t seconds, char buffer[32]);     /* "6d", "45s" */
char *format_count(int64_t count, char buffer[32]);     /* "88,120" */

/* Paragraphs: whole words, what is too long goes on below. */
enum { WRAP_WIDTH = 80 };
size_t screen_width(const struct screen *screen); /* columns; WRAP_WIDTH where it is no terminal */
/* How many bytes of harmless text go on one line: up to a space. A word that is too long stays whole. */
size_t text_line(const char *text, size_t width);
/* So many bytes of harmless text. How wide they are. */
size_t screen_bytes(const struct screen *screen, enum tone tone, const char *text, size_t count);
/* The text from this column on, further lines from `indent` on; `right` (a hint, or "") at the right, on the last line
 * or on one of its own; the end of the line. How many lines. */
size_t screen_paragraph(const struct screen *screen, size_t column, size_t indent, enum tone tone, const char *text,
			enum tone right_tone, const char *right);

/* A line that stays one where there is no terminal, to be found by grep; on one it goes on below, behind `indent`
 * columns. `column`: what stands there already. */
void screen_line(const struct screen *screen, size_t column, size_t indent, enum tone tone, const char *text);

/* "  Label   what is so                                     -> what to run": a screen of such lines. */
enum { FACTS_MAX = 16 };
struct facts {
	struct fact {
		const char *label, *next; /* not owned; next: "" */
		enum tone tone;
		char *text;
	} items[FACTS_MAX];
	size_t count;
	bool failed; /* without memory */
};
void facts_add(struct facts *facts, const char *label, enum tone tone, const struct text *text);
/* Frees what they hold. */
void facts_print(struct facts *facts, const struct screen *screen);

enum column_kind {
	COLUMN_PLAIN,
	COLUMN_RIGHT,   /* numbers */
	COLUMN_ELASTIC, /* where the terminal is narrow it goes on below itself, at spaces */
	COLUMN_WRAPPED, /* the last one only: likewise, also where there is no terminal */
};

enum { COLUMNS_MAX = 8 };

struct table {
	size_t columns;
	enum column_kind kinds[COLUMNS_MAX];
	struct cell {
		char *text;
		enum tone tone;
	} * cells;
	size_t count, capacity;
	bool failed;
};

/* kinds has one letter a column: p, r, e or w. */
void table_init(struct table *table, const char *kinds);
/* Row by row, cell by cell. */
void table_cell(struct table *table, enum tone tone, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A row of titles, one word a column. */
void table_titles(struct table *table, const char *const *titles);
/* 0 or -ENOMEM. Frees what the table holds. */
int table_print(struct table *table, const struct screen *screen);

#endif
