/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_FAKE_RESOLVER_H
#define SPEFW_TEST_FAKE_RESOLVER_H

/* The resolver of net/resolver.h, in the test's hands: it sees what was queried when, and answers or fails when it
 * wants. Names are as in the query. Link with fake_time.c. */

#include "net/resolver.h"

struct fake_query {
	char name[256];
	enum family family;
	int64_t asked_ms;
};

extern int fake_resolver_error;                /* what resolver_new() and _set_servers() return; 0: they work */
extern int fake_resolver_query_error;          /* likewise resolver_query() */
extern size_t fake_resolvers;                  /* how many there are: 0 when all objects are freed */
extern size_t fake_resolver_queries;           /* that were sent so far, also of resolvers that were freed since */
extern bool fake_resolver_system;              /* the system's servers are queried */
extern struct dns_server fake_resolver_server; /* else this is the first one that is */

void fake_resolver_reset(void);

/* Queries that wait, the oldest first; NULL: there are no more. Valid until the next call of anything. */
const struct fake_query *fake_resolver_query(size_t index);
size_t fake_resolver_waiting(void);
bool fake_resolver_asked(const char *name, enum family family); /* it waits */

/* Addresses separated by blanks, "" for none. The test fails where nobody waits for it. */
void fake_resolver_answer(const char *name, enum family family, const char *addresses, uint32_t ttl_s);
/* Likewise, by way of CNAMEs to these names, separated by blanks. */
void fake_resolver_answer_by(const char *name, enum family family, const char *aliases, const char *addresses,
			     uint32_t ttl_s);
void fake_resolver_fail(const char *name, enum family family, const char *error);
/* No server sends anything: "timeout". */
void fake_resolver_silence(const char *name, enum family family);
/* All that wait now. */
void fake_resolver_fail_all(const char *error);
void fake_resolver_empty_all(uint32_t ttl_s); /* none of them has an address */
/* The system's servers are others; what waits goes on waiting. */
void fake_resolver_change(void);

#endif
