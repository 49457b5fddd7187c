/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_SEEN_CONNECTIONS_H
#define SPEFW_SEEN_CONNECTIONS_H

/* The connections that were there at the last look: which ones are new, and since when each is known. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SEEN_CONNECTIONS_MAX = 262144 }; /* as many as connection tracking holds by default; of more none is new */

struct seen_connection {
	uint32_t id;      /* of its entry */
	uint32_t since_s; /* when it was first seen, in seconds of the caller's clock */
	uint32_t flow;    /* the caller's number */
	bool open;
};

struct seen_list {
	struct seen_connection *items;
	size_t count, capacity;
};

struct seen_connections {
	struct seen_list seen; /* ascending by id */
	struct seen_list next; /* what the look under way has met */
};

/* One look: begin, each connection, end. *ret_new: it was not there at the look before. 0 or -ENOMEM. */
void seen_begin(struct seen_connections *seen);
int seen_add(struct seen_connections *seen, const struct seen_connection *connection, bool *ret_new);
/* complete false: nothing of this look counts. */
void seen_end(struct seen_connections *seen, bool complete);

const struct seen_connection *seen_find(const struct seen_connections *seen, uint32_t id); /* NULL: not yet */
void seen_free(struct seen_connections *seen);

#endif
