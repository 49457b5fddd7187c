/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/conntrack.h"
#include "gateway/gateway.h"
#include "log.h"
#include "control/report.h"
#include "state_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Flows that are expected to be used: the gateway looks at live connections where core/expect says that it is time to.
 * Nothing of it is in the table: a rule that sees answers would have to stand before the fast path, and notices of
 * connection tracking come for every connection of the gateway, or not at all. */

enum {
	STATE_MAX = 1024 * 1024, /* bytes */
	SHARE = 50, /* where there are many connections: at most a part of the processor's time in so many */
};

#define EXPECT_FILE "expect"

struct look {
	struct gateway *gateway;
	struct names_view names;
	int64_t now;
	int status;
};

static void see(void *userdata, const struct tracked *tracked)
{
	struct look *look = userdata;
	struct packet packet = tracked->packet;

	if (!tracked->answered || look->status < 0)
		return;
	packet.mid_stream = tracked->picked_up;
	struct judgement judgement = policy_judge(&look->gateway->file.policy, &look->names, &packet);
	if (judgement.verdict != VERDICT_ALLOW)
		return;
	struct expect_seen seen = { .id = tracked->id, .expires_ms = look->now + (int64_t)tracked->lives_s * 1000 };
	look->status = expect_look(&look->gateway->expect, judgement.flow->id, &seen, tracked->open);
}

/* What this thread has cost so far. By the clock, a look on a busy machine takes long, and the next ones would come too
 * late for what the kernel forgets soon. */
int64_t processor_ms(void)
{
	struct timespec spent;

	return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent) < 0
		       ? 0
		       : (int64_t)spent.tv_sec * 1000 + spent.tv_nsec / 1000000;
}

static void look(struct gateway *gateway)
{
	struct look look = { .gateway = gateway, .now = now_ms() };
	int64_t began = processor_ms();

	expect_look_begin(&gateway->expect);
	int r = gateway_names_held_view(gateway, &gateway->file.policy, &look.names);
	if (r == 0)
		r = conntrack_look(&gateway->file.policy.protected_all, see, &look);
	if (r == 0)
		r = look.status;
	names_view_free(&look.names);
	if (r < 0 && !gateway->expect_blind)
		log_error("connections can't be looked at: %s", strerror(-r));
	gateway->expect_blind = r < 0;
	expect_look_end(&gateway->expect, now_ms(), r == 0);
	gateway->expect_took_ms = processor_ms() - began;
}

static void tell(const struct expectation *item)
{
	char text[24];

	if (item->overdue)
		log_warning("flow %s: no answered connection for more than %s", item->flow,
			    duration_format(item->expect_ms, text));
	else
		log_notice("flow %s: a connection was answered again", item->flow);
}

/* A look, and what it changes is told. */
static void look_and_tell(struct gateway *gateway)
{
	struct expect *expect = &gateway->expect;
	bool changed = false;

	look(gateway);
	for (size_t i = 0; i < expect->count; i++) {
		struct expectation *item = &expect->items[i];
		if (item->overdue != item->reported)
			tell(item);
		changed |= item->overdue != item->reported;
		item->reported = item->overdue;
	}
	if (expect_has_news(expect))
		gateway_save_counts(gateway);
	if (changed)
		report_to_manager(gateway);
}

static void read_counters(struct gateway *gateway)
{
	char counter[CONFIG_ID_MAX + 8];

	gateway_count(gateway);
	for (size_t i = 0; i < gateway->expect.count; i++) {
		struct expectation *item = &gateway->expect.items[i];
		snprintf(counter, sizeof(counter), "flow-%s", item->flow);
		expect_opened(item, gateway_total(gateway, counter), now_ms());
	}
}

static void arm(struct gateway *gateway)
{
	int64_t interval = expect_interval_ms(&gateway->expect), share = gateway->expect_took_ms * SHARE;

	if (interval)
		arm_timer(gateway->expect_timer, (uint64_t)(interval > share ? interval : share) * 1000);
	else
		sd_event_source_set_enabled(gateway->expect_timer, SD_EVENT_OFF);
}

static int on_interval(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct gateway *gateway = userdata;

	(void)source;
	(void)usec;
	expect_pass(&gateway->expect, now_ms(), !gateway->cleared);
	if (!gateway->cleared) {
		read_counters(gateway);
		if (expect_due(&gateway->expect, now_ms()))
			look_and_tell(gateway);
	}
	arm(gateway);
	return 0;
}

void gateway_expect_follow(struct gateway *gateway)
{
	expect_pass(&gateway->expect, now_ms(), !gateway->cleared);
	if (expect_want(&gateway->expect, &gateway->file.policy) < 0)
		log_error("out of memory: not all flows with expect are watched");
	if (gateway->expect.count) {
		read_counters(gateway);
		look_and_tell(gateway);
	}
	arm(gateway);
}

int gateway_expect_begin(struct gateway *gateway)
{
	size_t length;
	char *text;

	int r = state_load(gateway->paths.state, EXPECT_FILE, STATE_MAX, &text, &length);
	if (r == 0) {
		r = expect_from_text(&gateway->expect, text);
		gateway->expect_saved = length > 0;
		free(text);
	}
	if (r < 0 && r != -ENOENT)
		log_warning("how long flows were silent can't be read in %s, it begins anew: %s", gateway->paths.state,
			    strerror(-r));
	return add_timer(gateway, &gateway->expect_timer, on_interval, 0);
}

int gateway_expect_save(struct gateway *gateway)
{
	struct expect *expect = &gateway->expect;

	if (!expect->count && !gateway->expect_saved)
		return 0;
	char *text = expect_text(expect);
	int r = text ? state_save(gateway->paths.state, EXPECT_FILE, text, strlen(text)) : -ENOMEM;
	if (r == 0) {
		expect_saved(expect);
		gateway->expect_saved = expect->count > 0;
	}
	free(text);
	return r;
}

void gateway_expect_end(struct gateway *gateway)
{
	sd_event_source_unref(gateway->expect_timer);
	expect_free(&gateway->expect);
}
