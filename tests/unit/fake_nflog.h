/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_FAKE_NFLOG_H
#define SPEFW_TEST_FAKE_NFLOG_H

/* The sockets of net/nflog.h, in the test's hands. */

#include "net/nflog.h"

#include <stddef.h>

enum { FAKE_NFLOG_FD = 1000 }; /* and the group: what nflog_open() returns */

extern int fake_nflog_error;      /* what it returns else, -EBUSY for one; 0: it works */
extern size_t fake_nflogs;        /* how many are open: 0 when all objects are freed */
extern size_t fake_nflog_tries;   /* calls of nflog_open() so far */
extern uint16_t fake_nflog_group; /* of the newest one */

void fake_nflog_reset(void);

#endif
