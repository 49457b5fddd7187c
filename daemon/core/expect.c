/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "expect.h"
#include "array.h"
#include "lines.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* The kernel keeps an answered connection that was aborted for 10 s: it must not come and go between two looks.
	 */
	INTERVAL_MS = 4 * 1000,
	INTERVAL_MIN_MS = 250,
	OPEN_MS = 130 * 1000, /* the kernel forgets an unanswered SYN after 120 s */
	OFTEN_MS = 60 * 1000, /* finer than this, nobody needs to know when the last answer was */
	GAP_MS = 60 * 1000,   /* more at once, and nobody was there to watch */
	MOVED_MS = 2 * 1000,  /* the kernel gives whole seconds */
	LINE_SIZE = CONFIG_ID_MAX + 32,
};

static const int64_t SILENT_MAX_MS = INT64_C(1000) * 60 * 60 * 24 * 3660; /* what a damaged file may hold */

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Silence up to this is as good as none: a busy flow must not make us look all the time. */
static int64_t fineness(const struct expectation *item)
{
	return !item->answered ? 0 : least(item->expect_ms / 16, OFTEN_MS);
}

/* How often to look for packets in connections that stay. */
static int64_t patience(const struct expectation *item)
{
	return least(item->expect_ms / 4, OFTEN_MS);
}

static struct expectation *find(const struct expect *expect, const char *flow)
{
	for (size_t i = 0; i < expect->count; i++)
		if (strcmp(expect->items[i].flow, flow) == 0)
			return &expect->items[i];
	return NULL;
}

const struct expectation *expect_find(const struct expect *expect, const char *flow)
{
	return find(expect, flow);
}

static int add(struct expect *expect, const char *flow, struct expectation **ret)
{
	struct expectation fresh = { .silent_ms = 0 };

	snprintf(fresh.flow, sizeof(fresh.flow), "%s", flow);
	if (ARRAY_PUSH(expect, fresh) < 0)
		return -ENOMEM;
	*ret = &expect->items[expect->count - 1];
	return 0;
}

static void drop_unwanted(struct expect *expect)
{
	size_t kept = 0;

	for (size_t i = 0; i < expect->count; i++)
		if (expect->items[i].wanted)
			expect->items[kept++] = expect->items[i];
	expect->count = kept;
}

int expect_want(struct expect *expect, const struct policy *policy)
{
	for (size_t i = 0; i < expect->count; i++)
		expect->items[i].wanted = false;
	for (size_t i = 0; i < policy->flow_count; i++) {
		const struct policy_flow *flow = &policy->flows[i];
		if (!flow->enabled || !flow->settings.expect_ms)
			continue;
		struct expectation *item = find(expect, flow->id);
		if (!item && add(expect, flow->id, &item) < 0)
			return -ENOMEM;
		item->expect_ms = flow->settings.expect_ms;
		item->wanted = true;
	}
	drop_unwanted(expect);
	return 0;
}

void expect_pass(struct expect *expect, int64_t now_ms, bool counts)
{
	int64_t passed = expect->passed_ms ? now_ms - expect->passed_ms : 0;

	for (size_t i = 0; counts && i < expect->count; i++)
		expect->items[i].silent_ms += least(passed, GAP_MS);
	expect->passed_ms = now_ms;
}

void expect_opened(struct expectation *item, uint64_t opened, int64_t now_ms)
{
	if (opened > item->opened)
		item->open_ms = now_ms + OPEN_MS;
	item->opened = opened;
}

static bool is_due(const struct expect *expect, const struct expectation *item, int64_t now_ms)
{
	if (item->silent_ms > item->expect_ms && !item->overdue)
		return true;
	if (now_ms < item->open_ms && item->silent_ms >= fineness(item))
		return true;
	return item->silent_ms >= patience(item) && now_ms - expect->looked_ms >= patience(item);
}

bool expect_due(const struct expect *expect, int64_t now_ms)
{
	for (size_t i = 0; i < expect->count; i++)
		if (!expect->looked_ms || is_due(expect, &expect->items[i], now_ms))
			return true;
	return false;
}

int64_t expect_interval_ms(const struct expect *expect)
{
	int64_t interval = INTERVAL_MS;

	for (size_t i = 0; i < expect->count; i++)
		interval = least(interval, expect->items[i].expect_ms / 8);
	return !expect->count ? 0 : interval < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : interval;
}

static int by_id(const void *a, const void *b)
{
	uint32_t x = ((const struct expect_seen *)a)->id, y = ((const struct expect_seen *)b)->id;
	return x < y ? -1 : x > y;
}

void expect_look_begin(struct expect *expect)
{
	expect->next.count = 0;
}

int expect_look(struct expect *expect, const char *flow, const struct expect_seen *connection, bool open)
{
	struct expectation *item = find(expect, flow);
	struct expect_seen now = *connection;

	if (!item)
		return 0;
	const struct expect_seen *before =
		expect->seen.count ? bsearch(&now, expect->seen.items, expect->seen.count, sizeof(now), by_id) : NULL;
	bool used =
		before ? llabs(now.expires_ms - before->expires_ms) > MOVED_MS
		       /* What stood open when the first look came may be from long ago; what is closed goes soon. */
		       : expect->looked_ms || !open;
	if (used) {
		item->silent_ms = 0;
		item->open_ms = 0;
		item->answered = true;
	} else if (before) { /* many small moves are a large one */
		now.expires_ms = before->expires_ms;
	}
	return ARRAY_PUSH(&expect->next, now) < 0 ? -ENOMEM : 0;
}

void expect_look_end(struct expect *expect, int64_t now_ms, bool complete)
{
	for (size_t i = 0; i < expect->count; i++) {
		struct expectation *item = &expect->items[i];
		if (complete || item->silent_ms <= item->expect_ms)
			item->overdue = item->silent_ms > item->expect_ms;
	}
	if (!complete) /* what was not met is not gone */
		return;
	struct expect_seen_list seen = expect->next;
	if (seen.count)
		qsort(seen.items, seen.count, sizeof(*seen.items), by_id);
	expect->next = expect->seen;
	expect->seen = seen;
	expect->looked_ms = now_ms;
}

bool expect_has_news(const struct expect *expect)
{
	for (size_t i = 0; i < expect->count; i++)
		if (expect->items[i].silent_ms + fineness(&expect->items[i]) < expect->items[i].saved_ms)
			return true;
	return false;
}

void expect_saved(struct expect *expect)
{
	for (size_t i = 0; i < expect->count; i++)
		expect->items[i].saved_ms = expect->items[i].silent_ms;
}

char *expect_text(const struct expect *expect)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	for (size_t i = 0; i < expect->count; i++)
		fprintf(out, "%s %" PRId64 " %d\n", expect->items[i].flow, expect->items[i].silent_ms,
			expect->items[i].answered);
	return lines_end(out, &text);
}

int expect_from_text(struct expect *ret, const char *text)
{
	*ret = (struct expect){ 0 };
	while (*text) {
		char line[LINE_SIZE], flow[CONFIG_ID_MAX + 1];
		struct expectation *item;
		int64_t silent;
		int answered;
		_Static_assert(CONFIG_ID_MAX == 40, "the format below has it");
		text = lines_next(text, line, sizeof(line));
		if (sscanf(line, "%40[^ ] %" SCNd64 " %d", flow, &silent, &answered) != 3 || silent < 0 ||
		    find(ret, flow))
			continue;
		if (add(ret, flow, &item) < 0) {
			expect_free(ret);
			return -ENOMEM;
		}
		item->silent_ms = least(silent, SILENT_MAX_MS);
		item->saved_ms = item->silent_ms;
		item->answered = answered;
	}
	return 0;
}

void expect_free(struct expect *expect)
{
	free(expect->items);
	free(expect->seen.items);
	free(expect->next.items);
	*expect = (struct expect){ 0 };
}
