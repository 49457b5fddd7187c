/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char logged[64 * 1024];
static size_t length;
size_t fake_log_lines;

void fake_log_reset(void)
{
	logged[length = fake_log_lines = 0] = '\0';
}

size_t fake_log_count(const char *part)
{
	size_t count = 0;

	for (const char *line = logged; *line; line = strchr(line, '\n') + 1) {
		const char *found = strstr(line, part);
		count += found && found < strchr(line, '\n');
	}
	return count;
}

bool fake_log_has(const char *part)
{
	return strstr(logged, part);
}

void log_message(int priority, const char *format, ...)
{
	int error = errno;
	size_t room = sizeof(logged) - length - 1;
	va_list arguments;

	(void)priority;
	va_start(arguments, format);
	int more = vsnprintf(logged + length, room, format, arguments);
	va_end(arguments);
	if (more < 0 || (size_t)more >= room)
		abort(); /* a test logs more than it should */
	length += (size_t)more;
	logged[length++] = '\n';
	logged[length] = '\0';
	fake_log_lines++;
	errno = error;
}
