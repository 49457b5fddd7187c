/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"
#include "core/printable.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048 };

/* The variable is inherited by whatever a unit starts, and stderr may have been redirected since: only where both
 * numbers are those of stderr does the journal read what is written here (systemd.exec(5)). */
static bool journal_reads(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &status) == 0 &&
	       device == (unsigned long long)status.st_dev && inode == (unsigned long long)status.st_ino;
}

static int prefixes = -1; /* whether they are wanted; -1: not known yet */

void log_prepare(void)
{
	prefixes = journal_reads();
}

void log_message(int priority, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	size_t start = 0;
	int saved_errno = errno;
	va_list arguments;

	if (prefixes < 0)
		log_prepare();
	if (prefixes)
		start = (size_t)snprintf(line, sizeof(line), "<%d>", LOG_PRI(priority));

	errno = saved_errno; /* for %m */
	va_start(arguments, format);
	int written = vsnprintf(line + start, sizeof(line) - start - 1, format, arguments);
	va_end(arguments);

	size_t length = start + (written > 0 ? (size_t)written : 0);
	if (length > sizeof(line) - 2)
		length = sizeof(line) - 2;
	/* Text from the network or a file must not forge a second line or drive a terminal. */
	line[length] = '\0';
	make_printable(line + start);
	line[length++] = '\n';

	/* One write a message, so that lines of several writers do not mix. A failure could not be logged anywhere. */
	if (write(STDERR_FILENO, line, length) < 0) {
	}
	errno = saved_errno;
}
