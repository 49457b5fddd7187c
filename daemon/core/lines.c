// SPDX-License-Identifier: GPL-2.0-or-later
#include "lines.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

char *lines_end(FILE *out, char **text)
{
	bool failed = ferror(out);

	if (fclose(out) == 0 && !failed)
		return *text;
	free(*text);
	return *text = NULL;
}

const char *lines_next(const char *text, char *line, size_t size)
{
	size_t length = strcspn(text, "\n");
	bool whole = text[length] == '\n' && length < size;

	memcpy(line, text, whole ? length : 0);
	line[whole ? length : 0] = '\0';
	return text + length + (text[length] == '\n');
}
