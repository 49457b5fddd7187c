/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_GW_WHOLE_H
#define SPEFW_TEST_GW_WHOLE_H

/* The whole gateway, its objects and their coordinator, on a kernel, a resolver, interfaces, connections and a clock
 * that the test has in its hands; its files are real ones. */

#include "gw_fixture.h"

#include "fake_conntrack.h"
#include "fake_helper.h"
#include "fake_links.h"
#include "fake_nflog.h"
#include "fake_nft.h"
#include "fake_resolver.h"
#include "fake_time.h"
#include "gateway/gateway.h"

enum { WALL = 1700000000, SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

extern struct gateway *gateway;   /* NULL: it does not run */
extern const struct requester by; /* root, who asks for all that is asked for */

/* All is new: an empty state directory with this file, interfaces that lead to 192.0.2.25 and 2001:db8:2::25, no table.
 * now_ms: what time it is since the boot. */
void gateway_set_up(const char *config, int64_t now_ms);
/* It ends, and nothing of it is left. */
void gateway_tear_down(void);

/* By the file that there is. What is not given of the events is ignored. */
int gateway_make(struct gateway **ret, const struct gateway_events *events);
void gateway_run(const struct gateway_events *events); /* made, and started */
void gateway_end(void);

/* Writes the file (NULL: it stays as it is), and has it read again. */
int reload_file(const char *config, int64_t confirm_ms, struct reload_result *ret);
/* DNS has this IPv4 address for the name, and no IPv6 one. */
void answer(const char *name, const char *address);

const char *reasons(void);         /* of its health, as reasons_text() */
bool has_reason(const char *text); /* such as a code */
/* The element of a set of the kernel's table; NULL: none. */
const struct element *element(const char *set_name, const char *address);
/* Opens a connection by TCP, from port 50000. */
void connect_as(const char *source, const char *target, uint16_t port);

#endif
