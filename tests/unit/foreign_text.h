/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_FOREIGN_TEXT_H
#define SPEFW_TEST_FOREIGN_TEXT_H

/* For tests of foreign_judge.c: other tables as text, one line each:
 *
 *   chain NAME PLACE PRIORITY [nat] [drops] [unknown] [legacy] [ip|ip6] [of-TABLE]
 *   set NAME ADDRESSES...             (ascending; or "unknown")
 *   map NAME PORTS=VERDICT...         (likewise; accept, drop, return, jump-CHAIN, goto-CHAIN)
 *   NAME: [not] CONDITION... VERDICT  (a rule of that chain; its handle is the number of the line; "dports N" is the
 *                                     N-th set as a map of ports, "some N" as one of something that is not known)
 */

#include "make.h"

#include "core/foreign.h"

enum { TEST_ROLES = 8, TEST_FLOWS = 32 };

#define HEAD "[server]\naddress = 192.0.2.25 2001:db8:2::25\n[gateway]\npreset = none\ninterception = report\n"
#define ADMINS "[flow ping]\nenabled = no\n[role ADM]\nmembers = 203.0.113.0/24 2001:db8:3::/64\n"
#define CONSOLE ADMINS "[flow console-in]\nfrom = ADM\nto = SERVER\nprotocol = tcp\nport = 8470\n"
#define WEB "[flow web-out]\nfrom = SERVER\nto = ANY\nprotocol = tcp\nport = 443\n"

/* Free by foreign_tables_free(). */
void read_tables(struct foreign_tables *ret, const char *text);

/* Judges these tables, in one go and step by step. The policy's SERVER is behind lan, its other roles behind lan1, ...;
 * the peers of flow x come by wan and wan-x; the gateway is 192.0.2.1, 198.51.100.1 and 2001:db8:2::1. What is
 * expected: "LINE! EFFECT FLOW" for what stops a flow or intercepts it, "LINE?" for what may; +N: and so many more
 * flows. */
void assert_findings(const char *config, const char *names, unsigned effects, const char *tables, const char *expected);

#endif
