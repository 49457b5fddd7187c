/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_LOG_H
#define SPEFW_LOG_H

/* Standard error, one line a message, with <N> priority prefixes where the journal reads it (JOURNAL_STREAM names this
 * very stream). Control characters become '?', errno is kept, %m works. */

#include <syslog.h>

/* Looks up what the first message would, for a process that can't do so later. */
void log_prepare(void);

void log_message(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_message(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_message(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_message(LOG_INFO, __VA_ARGS__)

#endif
