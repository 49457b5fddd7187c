/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor_parts.h"
#include "array.h"
#include "printable.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The list of troubles, and their texts. */

const char *gravity_word(enum gravity gravity)
{
	static const char *const words[] = { "serious", "warning", "note" };
	return words[gravity];
}

static char *format_text(struct troubles *troubles, const char *format, va_list arguments)
{
	char *text;

	if (vasprintf(&text, format, arguments) >= 0) {
		make_printable(text);
		return text;
	}
	troubles->failed = true;
	return NULL;
}

struct trouble *trouble_add(struct troubles *troubles, enum gravity gravity, const char *check, const char *format, ...)
{
	struct trouble trouble = { .gravity = gravity, .check = check };
	va_list arguments;

	va_start(arguments, format);
	trouble.what = format_text(troubles, format, arguments);
	va_end(arguments);
	if (trouble.what && ARRAY_PUSH(troubles, trouble) == 0)
		return &troubles->items[troubles->count - 1];
	free(trouble.what);
	troubles->failed = true;
	return NULL;
}

void trouble_text(struct troubles *troubles, char **text, const char *format, ...)
{
	va_list arguments;

	if (!text)
		return;
	va_start(arguments, format);
	*text = format_text(troubles, format, arguments);
	va_end(arguments);
}

void troubles_add(struct troubles *troubles, enum gravity gravity, const char *check, const char *what,
		  const char *evidence, const char *remedy)
{
	struct trouble *trouble = trouble_add(troubles, gravity, check, "%s", what);

	EVIDENCE(troubles, trouble, "%s", evidence);
	if (remedy)
		REMEDY(troubles, trouble, "%s", remedy);
}

static int gravity_order(const void *a, const void *b)
{
	const struct trouble *x = a, *y = b;
	return (int)x->gravity - (int)y->gravity;
}

/* Stable: the order of the checks stays. */
void troubles_sort(struct troubles *troubles)
{
	for (size_t i = 1; i < troubles->count; i++) {
		struct trouble one = troubles->items[i];
		size_t at = i;
		for (; at > 0 && gravity_order(&troubles->items[at - 1], &one) > 0; at--)
			troubles->items[at] = troubles->items[at - 1];
		troubles->items[at] = one;
	}
}

void troubles_free(struct troubles *troubles)
{
	for (size_t i = 0; i < troubles->count; i++) {
		free(troubles->items[i].what);
		free(troubles->items[i].evidence);
		free(troubles->items[i].remedy);
	}
	free(troubles->items);
	*troubles = (struct troubles){ 0 };
}
