/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_RESOLVER_H
#define SPEFW_RESOLVER_H

/* Queries for A or AAAA of absolute names, by spefw-resolver. They never block, and outlive its death. */

#include "core/addr.h"
#include "core/config.h"
#include "core/dns_message.h"
#include "net/helper.h"

#include <systemd/sd-event.h>

struct resolver;

struct resolver_answer {
	const char *name; /* as queried */
	enum family family;
	const char
		*error; /* NULL: answered, perhaps with no address; else a short reason ("SERVFAIL", "timeout", ...) */
	bool silent;    /* an error: no server has sent anything since it was queried, or there is none */
	const struct addr *addresses; /* valid during the call */
	size_t count;
	const char (*aliases)[DNS_ALIAS_TEXT_MAX]; /* the names that CNAMEs led to, "" for odd ones; valid during the
						      call */
	size_t alias_count;
	uint32_t ttl_s; /* least of the chain; for an empty answer the negative TTL, 0 where there is none */
};

struct resolver_events {
	/* A query is answered, or has failed. */
	void (*done)(void *userdata, const struct resolver_answer *answer);
	/* The system's servers are others now, and what waits is asked of them. May be NULL. */
	void (*servers_changed)(void *userdata);
};

/* Queries have nobody to go to before resolver_set_servers(), and fail. Both events come from the event loop and may
 * free the resolver. helper has no other resolver, and lives as long. 0 or a negative errno. */
int resolver_new(struct resolver **ret, sd_event *event, struct helper *helper, const struct resolver_events *events,
		 void *userdata);
void resolver_free(struct resolver *resolver); /* NULL: nothing */
/* Whom to query from now on; what waits is asked of them anew. NULL: the system's, which are followed. 0 or a negative
 * errno: then as before. */
int resolver_set_servers(struct resolver *resolver, const struct dns_server *servers, size_t count);
/* Whom it queries now; valid until they change. */
const struct dns_server *resolver_servers(const struct resolver *resolver, size_t *ret_count);
/* DNS alone: no hosts file, no search list; name without a trailing dot. 0: `done` will be called, later and exactly
 * once (unless the resolver is freed before). -ENOMEM, -EINVAL (longer than a name can be). */
int resolver_query(struct resolver *resolver, const char *name, enum family family);

#endif
