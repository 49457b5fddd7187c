/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_FDSTORE_H
#define SPEFW_FDSTORE_H

/* The socket that owns the table outlives a killed daemon in the service manager's hands: no moment without an owner.
 */

/* The one of a daemon before this one, or -1. Call it once, before anything else takes descriptors from the manager. */
int fdstore_take(void);
void fdstore_put(int fd);

#endif
