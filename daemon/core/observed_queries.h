/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_OBSERVED_QUERIES_H
#define SPEFW_OBSERVED_QUERIES_H

/* The queries that protected machines were seen to send to their resolvers, until each is answered. An answer that
 * anybody could have made up counts only where it fits one of them, and that one only once. Pure: the time is a
 * parameter, milliseconds of CLOCK_BOOTTIME. */

#include "addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	OBSERVED_QUERIES_MAX = 512, /* that wait for an answer; of wanted names alone, so this is a lot */
	OBSERVED_QUERY_MS =
		10 * 1000, /* how long an answer may take: a client has repeated its query by then, or given up */
	OBSERVED_WRONG_MAX =
		16, /* answers that fit but for id or question; then somebody is guessing, and the query is forgotten */
	OBSERVED_NAME_MAX = 254, /* bytes, with NUL: a host name that an administrator may write */
};

/* A query, or the question of an answer. Where the gateway has redirected the query, the resolver is who got it: both
 * directions have that one where they are copied, and the rules that copy them have looked at the resolver that the
 * server's query was for. */
struct observed_question {
	struct addr server, resolver;
	uint16_t port, resolver_port; /* the server's, the resolver's */
	uint16_t id, type, class;     /* of the message */
	char name[OBSERVED_NAME_MAX]; /* lower case, no trailing dot */
};

struct observed_queries {
	struct observed_query *items;
	size_t count, capacity;
};

/* One that was sent: the same one again has its time anew. Where there is no room, the oldest of the same server gives
 * way, or else the oldest. 0 or -ENOMEM. */
int observed_queries_add(struct observed_queries *queries, const struct observed_question *question, int64_t now_ms);

/* Whether the answer to this question was waited for: it is not any more. */
bool observed_queries_take(struct observed_queries *queries, const struct observed_question *question, int64_t now_ms);

void observed_queries_free(struct observed_queries *queries);

#endif
