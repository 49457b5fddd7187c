/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DIAG_H
#define SPEFW_DIAG_H

#include <stdbool.h>
#include <stddef.h>

/* What is wrong with a configuration: collected, so that all of it is reported at once. */
enum severity { DIAG_WARNING, DIAG_ERROR };

struct diag {
	enum severity severity;
	char *file;    /* owned; NULL where no file is meant */
	unsigned line; /* 0: the file as a whole */
	char *text;    /* owned: "what is wrong: what would be right" */
};

struct diags {
	struct diag *items;
	size_t count, capacity;
	size_t errors;      /* how many of them are errors */
	bool out_of_memory; /* some could not be kept; counts as an error */
};

void diag_error(struct diags *diags, const char *file, unsigned line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void diag_warning(struct diags *diags, const char *file, unsigned line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
bool diags_failed(const struct diags *diags); /* any error, or out of memory */
void diags_sort(struct diags *diags);         /* by file (first seen first), then line; stable */
/* "FILE:LINE: text", "FILE: text" or "text", warnings with "warning: " ahead of the text. Owned by the caller; NULL
 * without memory. */
char *diag_format(const struct diag *diag);
void diags_free(struct diags *diags);

/* The candidate nearest to word, or NULL where none is near enough to be meant. */
const char *diag_nearest(const char *word, const char *const *candidates, size_t count);

#endif
