/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/usage.h"
#include "clock.h"
#include "log.h"
#include "net/conntrack.h"
#include "state_file.h"
#include "timer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	STATE_MAX = 1024 * 1024, /* bytes */
	SHARE = 50, /* where there are many connections: at most a part of the processor's time in so many */
};

#define USAGE_FILE "expect"

struct usage {
	const char *state;
	struct usage_events events;
	void *userdata;
	const struct policy *policy; /* in force; NULL: none yet */
	struct expect expect;        /* when flows were last used */
	struct timer *timer;
	int64_t took_ms; /* processor time of the last reading of connections */
	bool removed;    /* there is no table */
	bool on_disk;    /* the state directory has something of it */
	bool save_failed;
	bool connections_unreadable;
};

/* One reading of the live connections. */
struct reading {
	struct usage *usage;
	struct names_view names;
	int64_t now;
	int status;
};

static void see(void *userdata, const struct tracked *tracked)
{
	struct reading *reading = userdata;
	struct packet packet = tracked->packet;

	if (!tracked->answered || reading->status < 0)
		return;
	packet.mid_stream = tracked->picked_up;
	struct judgement judgement = policy_judge(reading->usage->policy, &reading->names, &packet);
	if (judgement.verdict != VERDICT_ALLOW)
		return;
	struct expect_seen seen = { .id = tracked->id, .expires_ms = reading->now + (int64_t)tracked->lives_s * 1000 };
	reading->status = expect_look(&reading->usage->expect, judgement.flow->id, &seen, tracked->open);
}

/* Its cost is in processor time. By the clock, it takes long on a busy machine, and the next ones would come too late
 * for what the kernel forgets soon. */
static void read_connections(struct usage *usage)
{
	struct reading reading = { .usage = usage, .now = now_ms() };
	int64_t began = processor_ms();

	expect_look_begin(&usage->expect);
	int r = usage->events.held_view(usage->userdata, &reading.names);
	if (r == 0)
		r = conntrack_look(&usage->policy->protected_all, see, &reading);
	if (r == 0)
		r = reading.status;
	names_view_free(&reading.names);
	if (r < 0 && !usage->connections_unreadable)
		log_error("connections can't be read: %s", strerror(-r));
	usage->connections_unreadable = r < 0;
	expect_look_end(&usage->expect, now_ms(), r == 0);
	usage->took_ms = processor_ms() - began;
}

static void log_change(const struct expectation *item)
{
	char text[24];

	if (item->overdue)
		log_warning("flow %s: no answered connection for more than %s", item->flow,
			    duration_format(item->expect_ms, text));
	else
		log_notice("flow %s: a connection was answered again", item->flow);
}

static void look_and_report(struct usage *usage)
{
	struct expect *expect = &usage->expect;
	bool changed = false;

	read_connections(usage);
	for (size_t i = 0; i < expect->count; i++) {
		struct expectation *item = &expect->items[i];
		if (item->overdue != item->reported)
			log_change(item);
		changed |= item->overdue != item->reported;
		item->reported = item->overdue;
	}
	if (expect_has_news(expect))
		usage->events.save(usage->userdata);
	if (changed)
		usage->events.changed(usage->userdata);
}

static void read_counters(struct usage *usage)
{
	usage->events.read_counters(usage->userdata);
	for (size_t i = 0; i < usage->expect.count; i++) {
		struct expectation *item = &usage->expect.items[i];
		expect_opened(item, usage->events.opened(usage->userdata, item->flow), now_ms());
	}
}

static void set_timer(struct usage *usage)
{
	int64_t interval = expect_interval_ms(&usage->expect), share = usage->took_ms * SHARE;

	if (interval)
		timer_set(usage->timer, interval > share ? interval : share);
	else
		timer_stop(usage->timer);
}

static void on_interval(void *userdata)
{
	struct usage *usage = userdata;

	expect_pass(&usage->expect, now_ms(), !usage->removed);
	if (!usage->removed) {
		read_counters(usage);
		if (expect_due(&usage->expect, now_ms()))
			look_and_report(usage);
	}
	set_timer(usage);
}

void usage_follow(struct usage *usage, const struct policy *policy)
{
	usage->policy = policy;
	expect_pass(&usage->expect, now_ms(), !usage->removed);
	if (expect_want(&usage->expect, policy) < 0)
		log_error("out of memory: not all flows with expect are watched");
	if (usage->expect.count) {
		read_counters(usage);
		look_and_report(usage);
	}
	set_timer(usage);
}

void usage_set_removed(struct usage *usage, bool removed)
{
	expect_pass(&usage->expect, now_ms(), !usage->removed);
	usage->removed = removed;
}

static void load(struct usage *usage)
{
	size_t length;
	char *text;

	int r = state_load(usage->state, USAGE_FILE, STATE_MAX, &text, &length);
	if (r == 0) {
		r = expect_from_text(&usage->expect, text);
		usage->on_disk = length > 0;
		free(text);
	}
	if (r < 0 && r != -ENOENT)
		log_warning("how long flows were silent can't be read in %s, it begins anew: %s", usage->state,
			    strerror(-r));
}

int usage_new(struct usage **ret, sd_event *event, const char *state, const struct usage_events *events, void *userdata)
{
	struct usage *usage = calloc(1, sizeof(*usage));

	if (!usage)
		return -ENOMEM;
	*usage = (struct usage){ .state = state, .events = *events, .userdata = userdata };
	int r = timer_new(&usage->timer, event, SD_EVENT_PRIORITY_NORMAL, on_interval, usage);
	if (r < 0) {
		free(usage);
		return r;
	}
	load(usage);
	*ret = usage;
	return 0;
}

void usage_free(struct usage *usage)
{
	if (!usage)
		return;
	timer_free(usage->timer);
	expect_free(&usage->expect);
	free(usage);
}

static int save(struct usage *usage)
{
	struct expect *expect = &usage->expect;

	if (!expect->count && !usage->on_disk)
		return 0;
	char *text = expect_text(expect);
	int r = text ? state_save(usage->state, USAGE_FILE, text, strlen(text)) : -ENOMEM;
	if (r == 0) {
		expect_saved(expect);
		usage->on_disk = expect->count > 0;
	}
	free(text);
	return r;
}

int usage_save(struct usage *usage)
{
	int r = save(usage);

	if (r < 0 && !usage->save_failed)
		log_error("can't save how long flows were silent in %s: %s", usage->state, strerror(-r));
	usage->save_failed = r < 0;
	return r;
}

const struct expectation *usage_find(const struct usage *usage, const char *flow)
{
	return expect_find(&usage->expect, flow);
}

void usage_reasons(const struct usage *usage, struct health *health)
{
	char text[24];

	for (size_t i = 0; i < usage->expect.count; i++) {
		const struct expectation *item = &usage->expect.items[i];
		if (item->overdue)
			health_add(health, HEALTH_FLOW_SILENT, "flow %s: no answered connection for more than %s",
				   item->flow, duration_format(item->expect_ms, text));
	}
	if (usage->connections_unreadable)
		health_add(health, HEALTH_CONNECTIONS_UNREADABLE,
			   "connections can't be read: whether expected flows are used is not known");
	if (usage->save_failed) {
		health_add(health, HEALTH_STATE_UNSAVED, "how long flows were silent can't be saved in %s",
			   usage->state);
		health_fill(health, usage->state);
	}
}
