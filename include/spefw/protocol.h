/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_PROTOCOL_H
#define SPEFW_PROTOCOL_H

/* What spefwd and spefwctl have to agree on. RUNSTATEDIR and SYSCONFDIR come from the Makefile. */

#define SPEFW_SOCKET RUNSTATEDIR "/control.sock"
#define SPEFW_CONFIG SYSCONFDIR "/spefw/spefw.ini"

#define SPEFW_INTERFACE "org.spefw.Gateway"
#define SPEFW_METHOD(name) SPEFW_INTERFACE "." name
#define SPEFW_ERROR(name) SPEFW_INTERFACE "." name
#define VARLINK_SERVICE "org.varlink.service"

enum {
	/* Bytes of one reply, its NUL included: what spefwd queues at most and spefwctl reads at most. */
	SPEFW_REPLY_MAX = 8 * 1024 * 1024,
};

/* Exit status of spefwctl. */
enum {
	EXIT_DONE = 0,   /* done, or healthy */
	EXIT_FAILED = 1, /* the request failed; status: degraded or failed */
	EXIT_USAGE = 2,
	EXIT_NOT_RUNNING = 3,
	EXIT_PERMISSION = 4,
};

#endif
