/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_PEER_H
#define SPEFW_PEER_H

/* Who is at the other end of the control socket, for the journal and for watchers. */

#include <sys/types.h>

enum { PEER_TEXT_MAX = 64 };

/* As the kernel noted it when the connection was opened. */
struct control_peer {
	uid_t uid;
	pid_t pid; /* may have ended since, and be another process by now; 0: not known */
};

/* "root (uid 0)", or "uid 1000" where /etc/passwd does not have it. No other source is asked: it could be on the
 * network, and the daemon would wait for it. In buffer, which is returned; fit to print. */
const char *peer_text(uid_t uid, char buffer[PEER_TEXT_MAX]);
/* The same by another file, for tests. */
const char *peer_text_by(const char *passwd, uid_t uid, char buffer[PEER_TEXT_MAX]);

#endif
