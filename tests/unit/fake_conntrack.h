/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_FAKE_CONNTRACK_H
#define SPEFW_TEST_FAKE_CONNTRACK_H

/* The connections of net/conntrack.h, in the test's hands. */

#include "net/conntrack.h"

extern int fake_conntrack_error;    /* what the next calls return; 0: they work */
extern size_t fake_conntrack_looks; /* calls of conntrack_look() so far */

void fake_conntrack_reset(void);
void fake_conntrack_add(const struct tracked *tracked);
size_t fake_conntrack_count(void);

#endif
