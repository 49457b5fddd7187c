/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char all[64 * 1024];
static size_t length;
size_t fake_log_lines;

void fake_log_reset(void)
{
	all[0] = '\0';
	length = fake_log_lines = 0;
}

bool fake_log_has(const char *part)
{
	return strstr(all, part);
}

void log_message(int priority, const char *format, ...)
{
	va_list arguments;

	(void)priority;
	fake_log_lines++;
	if (length + 1024 > sizeof(all))
		fake_log_reset();
	va_start(arguments, format);
	int more = vsnprintf(all + length, 1000, format, arguments);
	va_end(arguments);
	length += more < 1000 ? (size_t)more : 999;
	all[length++] = '\n';
	all[length] = '\0';
}
