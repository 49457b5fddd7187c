/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_SANDBOX_H
#define SPEFW_SANDBOX_H

/* Gives up every right that the process has and does not need: whoever takes it over by what it reads can ask DNS
 * servers, read the copied packets and write to spefwd. */

#include <stdbool.h>

enum { SANDBOX_CREDENTIALS = 1, SANDBOX_LANDLOCK = 2, SANDBOX_SECCOMP = 4, SANDBOX_ALL = 7 };

/* parts: SANDBOX_ALL, but for a test. Where one of them can't be had the process ends, but for Landlock, which not each
 * kernel has: true where it is in force. */
bool sandbox_enter(unsigned parts);

#endif
