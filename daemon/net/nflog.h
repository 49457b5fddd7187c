/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFLOG_H
#define SPEFW_NFLOG_H

/* The socket that our rules copy packets to by NFLOG (libmnl). It is made here, and read by spefw-resolver. */

#include <stdint.h>

/* The copies of this group come to it from now on: a descriptor, or a negative errno. -EBUSY: another program listens
 * to the group. nflog_close() must follow. */
int nflog_open(uint16_t group);
void nflog_close(int fd, uint16_t group); /* the group is free at once, whoever has a copy of the descriptor */

#endif
