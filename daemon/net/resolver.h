/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_RESOLVER_H
#define SPEFW_RESOLVER_H

/* c-ares on sd-event: queries A or AAAA of absolute names, never blocks. The answer is read by core/dns_message. */

#include "core/addr.h"
#include "core/config.h"
#include "core/dns_message.h"

#include <systemd/sd-event.h>

struct resolver;

struct resolver_answer {
	const char *name; /* as queried */
	enum family family;
	const char
		*error; /* NULL: answered, perhaps with no address; else a short reason ("SERVFAIL", "timeout", ...) */
	const struct addr *addresses; /* valid during the call */
	size_t count;
	const char (*aliases)[DNS_ALIAS_TEXT_MAX]; /* the names that CNAMEs led to, "" for odd ones; valid during the
						      call */
	size_t alias_count;
	uint32_t ttl_s; /* least of the chain; for an empty answer the negative TTL, 0 where there is none */
};

typedef void (*resolver_done)(void *userdata, const struct resolver_answer *answer);

/* servers NULL: those of resolv.conf, read again whenever it changes: queries under way then fail as "cancelled", and
 * after the last of them `changed` is called. Both functions are called from the event loop and may free the resolver.
 */
int resolver_new(struct resolver **ret, sd_event *event, const struct dns_server *servers, size_t count,
		 resolver_done done, void (*changed)(void *userdata), void *userdata);
/* DNS alone: no hosts file, no search list; name without a trailing dot. 0: `done` will be called, later and exactly
 * once (unless the resolver is freed before). -ENOMEM, -EINVAL (longer than a name can be). */
int resolver_query(struct resolver *resolver, const char *name, enum family family);
void resolver_free(struct resolver *resolver);

#endif
