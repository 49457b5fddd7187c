/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_LIBRARY_FAULTS_H
#define SPEFW_LIBRARY_FAULTS_H

/* For fuzz targets. Faults of the libraries that parse what the kernel sends, and trust it, are none of the daemon's: a
 * message that they fault over is one that can't be parsed. What they had allocated by then is lost, and must not count
 * as a leak of ours.
 *
 * 	set_parsing(true);
 * 	int r = sigsetjmp(not_parsed, 1) ? -1 : parse();
 * 	set_parsing(false);
 */
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

static sigjmp_buf not_parsed;
static bool parsing;
static struct sigaction handled_before;

void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static void on_fault(int number, siginfo_t *info, void *context)
{
	if (parsing)
		siglongjmp(not_parsed, 1);
	if (handled_before.sa_flags & SA_SIGINFO)
		handled_before.sa_sigaction(number, info, context);
	else
		signal(number, SIG_DFL);
}

static void handle_faults(void)
{
	static bool done;
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };

	if (!done)
		sigaction(SIGSEGV, &action, &handled_before);
	done = true;
}

static void set_parsing(bool on)
{
	parsing = on;
	if (on && __lsan_disable)
		__lsan_disable();
	else if (!on && __lsan_enable)
		__lsan_enable();
}

#endif
