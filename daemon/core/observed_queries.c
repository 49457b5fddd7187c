/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "observed_queries.h"
#include "array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct observed_query {
	struct observed_question question;
	int64_t sent_ms;
	unsigned wrong; /* answers to its port that were not its own */
};

static bool same_way(const struct observed_question *a, const struct observed_question *b)
{
	return a->port == b->port && a->resolver_port == b->resolver_port &&
	       addr_compare(&a->server, &b->server) == 0 && addr_compare(&a->resolver, &b->resolver) == 0;
}

static bool same_question(const struct observed_question *a, const struct observed_question *b)
{
	return a->id == b->id && a->type == b->type && a->class == b->class && same_way(a, b) &&
	       strcmp(a->name, b->name) == 0;
}

static void remove_at(struct observed_queries *queries, size_t at)
{
	queries->count--;
	memmove(&queries->items[at], &queries->items[at + 1], (queries->count - at) * sizeof(*queries->items));
}

/* They stand in the order of their times. */
static void forget_old(struct observed_queries *queries, int64_t now_ms)
{
	size_t old = 0;

	while (old < queries->count && queries->items[old].sent_ms <= now_ms - OBSERVED_QUERY_MS)
		old++;
	if (!old)
		return;
	queries->count -= old;
	memmove(queries->items, queries->items + old, queries->count * sizeof(*queries->items));
}

/* A server that sends queries without end takes the place of its own queries alone. */
static void make_room(struct observed_queries *queries, const struct addr *server)
{
	size_t at = 0;

	if (queries->count < OBSERVED_QUERIES_MAX)
		return;
	while (at < queries->count && addr_compare(&queries->items[at].question.server, server) != 0)
		at++;
	remove_at(queries, at < queries->count ? at : 0);
}

int observed_queries_add(struct observed_queries *queries, const struct observed_question *question, int64_t now_ms)
{
	struct observed_query query = { .question = *question, .sent_ms = now_ms };

	forget_old(queries, now_ms);
	for (size_t i = 0; i < queries->count; i++) {
		if (!same_question(&queries->items[i].question, question))
			continue;
		query.wrong = queries->items[i].wrong;
		remove_at(queries, i);
		break;
	}
	make_room(queries, &question->server);
	return ARRAY_PUSH(queries, query) < 0 ? -ENOMEM : 0;
}

static void count_wrong(struct observed_queries *queries, const struct observed_question *question)
{
	for (size_t i = queries->count; i-- > 0;)
		if (same_way(&queries->items[i].question, question) && ++queries->items[i].wrong == OBSERVED_WRONG_MAX)
			remove_at(queries, i);
}

bool observed_queries_take(struct observed_queries *queries, const struct observed_question *question, int64_t now_ms)
{
	forget_old(queries, now_ms);
	for (size_t i = 0; i < queries->count; i++) {
		if (!same_question(&queries->items[i].question, question))
			continue;
		remove_at(queries, i);
		return true;
	}
	count_wrong(queries, question);
	return false;
}

void observed_queries_free(struct observed_queries *queries)
{
	free(queries->items);
	*queries = (struct observed_queries){ 0 };
}
