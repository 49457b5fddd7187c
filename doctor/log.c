/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"
#include "core/printable.h"

#include <stdarg.h>
#include <stdio.h>

/* What the parts shared with spefwd log: to people, who have asked for findings. Warnings are for them as well, what a
 * service notes is not. */
void log_message(int priority, const char *format, ...)
{
	char line[512];
	va_list arguments;

	if (priority > LOG_WARNING)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	make_printable(line);
	fprintf(stderr, "spefw-doctor: %s\n", line);
}
