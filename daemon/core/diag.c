/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diag.h"

#include "array.h"
#include "printable.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEPT_MAX = 10000, /* a wrong file of megabytes must not cost gigabytes of complaints */
	WORD_MAX = 40,    /* longer words are nobody's misspelling of a key */
};

static void keep(struct diags *diags, enum severity severity, const char *file, unsigned line, char *text)
{
	struct diag diag = { severity, file ? strdup(file) : NULL, line, text };

	if (!text || (file && !diag.file) || ARRAY_PUSH(diags, diag) < 0) {
		diags->out_of_memory = true;
		free(diag.file);
		free(text);
		return;
	}
	/* It quotes what was written. */
	if (diag.file)
		make_printable(diag.file);
	make_printable(text);
}

static void __attribute__((format(printf, 5, 0)))
add(struct diags *diags, enum severity severity, const char *file, unsigned line, const char *format, va_list arguments)
{
	char *text = NULL;

	if (severity == DIAG_ERROR)
		diags->errors++;
	if (diags->count > KEPT_MAX)
		return;
	if (diags->count == KEPT_MAX) {
		keep(diags, severity, NULL, 0,
		     strdup("too much is wrong to list all of it: put the above right first"));
		return;
	}
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	keep(diags, severity, file, line, text);
}

void diag_error(struct diags *diags, const char *file, unsigned line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(diags, DIAG_ERROR, file, line, format, arguments);
	va_end(arguments);
}

void diag_warning(struct diags *diags, const char *file, unsigned line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(diags, DIAG_WARNING, file, line, format, arguments);
	va_end(arguments);
}

bool diags_failed(const struct diags *diags)
{
	return diags->errors > 0 || diags->out_of_memory;
}

static bool same_file(const struct diag *a, const struct diag *b)
{
	return a->file && b->file ? strcmp(a->file, b->file) == 0 : a->file == b->file;
}

/* By insertion: nearly all come in order already, and a sort that needs no memory can't fail. */
void diags_sort(struct diags *diags)
{
	for (size_t i = 1; i < diags->count; i++) {
		struct diag diag = diags->items[i];
		size_t place = i;

		while (place > 0 && !same_file(&diags->items[place - 1], &diag))
			place--;
		if (place == 0)
			continue; /* the first of its file stays behind those before */
		while (place > 0 && same_file(&diags->items[place - 1], &diag) &&
		       diags->items[place - 1].line > diag.line)
			place--;
		memmove(&diags->items[place + 1], &diags->items[place], (i - place) * sizeof(diag));
		diags->items[place] = diag;
	}
}

char *diag_format(const struct diag *diag)
{
	const char *kind = diag->severity == DIAG_WARNING ? "warning: " : "";
	char *text;
	int r;

	if (!diag->file)
		r = asprintf(&text, "%s%s", kind, diag->text);
	else if (!diag->line)
		r = asprintf(&text, "%s: %s%s", diag->file, kind, diag->text);
	else
		r = asprintf(&text, "%s:%u: %s%s", diag->file, diag->line, kind, diag->text);
	return r < 0 ? NULL : text;
}

void diags_free(struct diags *diags)
{
	for (size_t i = 0; i < diags->count; i++) {
		free(diags->items[i].file);
		free(diags->items[i].text);
	}
	free(diags->items);
	*diags = (struct diags){ 0 };
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static bool same_letter(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* How many letters are missing, too many, wrong or swapped with their neighbour; case does not count.
 * Both words are at most WORD_MAX long. */
static unsigned typing_errors(const char *a, const char *b)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *older = rows[0], *previous = rows[1], *row = rows[2];
	size_t b_length = strlen(b);

	for (size_t j = 0; j <= b_length; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; a[i - 1]; i++) {
		unsigned *spare = older;

		older = previous;
		previous = row;
		row = spare;
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_length; j++) {
			row[j] = least(previous[j - 1] + !same_letter(a[i - 1], b[j - 1]),
				       least(previous[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]))
				row[j] = least(row[j], older[j - 2] + 1);
		}
	}
	return row[b_length];
}

const char *diag_nearest(const char *word, const char *const *candidates, size_t count)
{
	size_t length = strlen(word);
	unsigned best = (unsigned)(length + 2) / 3 + 1;
	const char *nearest = NULL, *begun = NULL;

	if (length == 0 || length > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		const char *candidate = candidates[i];
		unsigned errors;

		if (strlen(candidate) > WORD_MAX)
			continue;
		errors = typing_errors(word, candidate);
		if (errors < best && errors < strlen(candidate)) {
			best = errors;
			nearest = candidate;
		}
		if (!begun && length >= 3 && strncmp(word, candidate, length) == 0)
			begun = candidate;
	}
	return nearest ? nearest : begun;
}
