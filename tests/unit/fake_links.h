/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_FAKE_LINKS_H
#define SPEFW_TEST_FAKE_LINKS_H

/* The interfaces, addresses and routes of net/links.h and the bridges of net/bridges.h, in the test's hands. Lists of
 * ranges and of names are separated by blanks. */

#include "net/bridges.h"
#include "net/links.h"

void fake_links_reset(void); /* no interfaces, no addresses, no errors */

void fake_links_set_own(const char *addresses);
/* These ranges are reached by these interfaces; "" none any more. Up to 8 such routes. */
void fake_links_set_towards(const char *ranges, const char *interfaces);
void fake_links_set_with_address(const char *interfaces);
void fake_links_set_bare_bridges(const char *interfaces);
void fake_links_set_own_packets(const char *interfaces);
void fake_links_set_defaults(const char *interfaces, const char *next_hops);
void fake_links_set_broadcasts(const char *addresses);
void fake_links_change(void); /* what links_new() was given is called */

extern int fake_links_new_error;     /* what links_new() returns; 0: it works */
extern int fake_links_error;         /* likewise, what asks for interfaces and broadcasts, from the call on that */
extern size_t fake_links_good_calls; /* so many are made before it fails */
extern bool fake_links_unread;
extern size_t fake_links_alive; /* that were made and not freed yet */

/* What links_remember() was given so far: "FIRST-RANGE=NAME,NAME; ...". */
extern char fake_links_remembered[1024];

/* bridges_look() finds these: a bridge of this name, unfiltered, with the server behind lan and the next hop behind
 * wan. "" none. */
void fake_bridges_set(const char *names);
extern int fake_bridges_error;
extern size_t fake_bridges_reads; /* calls so far */

#endif
