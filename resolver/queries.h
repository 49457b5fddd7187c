/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_QUERIES_H
#define SPEFW_QUERIES_H

/* c-ares: asks A or AAAA of absolute names. The answer is read by core/dns_message, and sent to spefwd. */

#include "resolver/wire.h"

#include <poll.h>
#include <stddef.h>

enum { QUERIES_SOCKETS_MAX = 1024 };

/* An answer about `name`, before it is sent. */
typedef void (*queries_aliases)(const char *name, enum family family, const struct dns_message *message);

/* Opens what c-ares reads when it begins: before all rights are gone. */
void queries_init(queries_aliases learn);

void queries_set_servers(const struct wire_servers *servers);
void queries_add(const struct wire_query *query);

/* Fills in the sockets to be polled; of count that many. */
size_t queries_sockets(struct pollfd fds[QUERIES_SOCKETS_MAX]);
int queries_timeout_ms(void); /* -1: nothing is under way */
void queries_process(const struct pollfd *fds, size_t count);

#endif
