/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clock.h"
#include "gateway/usage_parts.h"
#include "log.h"
#include "state_file.h"
#include "timer.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum {
	STATE_MAX = 1024 * 1024, /* bytes */
	SHARE = 50,      /* where there are many connections: at most a part of the processor's time in so many */
	ASKED_SHARE = 4, /* for those who ask: likewise */
	/* The kernel keeps an answered UDP exchange for 30 s, and a TCP connection that is closed for longer. */
	READ_MS = 25 * 1000,
	FIRST_MS = 1000, /* a reload does not wait for it */
	MANY = 1000,     /* connections in a list: what it needed is given back later, when the reply is sent */
};

#define USAGE_FILE "expect"

/* One reading of the live connections. */
struct reading {
	struct usage *usage;
	struct names_view names;
	size_t *open; /* of each flow */
	int64_t now;
	bool count_new;
	int status;
	see_connection *list; /* NULL: nobody asks */
	size_t listed;
	void *userdata;
};

/* As it was opened: *ret. */
static struct judgement judge(const struct reading *reading, const struct tracked *tracked, struct packet *ret)
{
	const struct policy *policy = reading->usage->policy;

	*ret = tracked->packet;
	ret->mid_stream = tracked->picked_up;
	struct judgement judgement = policy_judge(policy, &reading->names, ret);
	if (ret->mid_stream && judgement.verdict == VERDICT_ALLOW)
		policy_opened(policy, ret, ret);
	return judgement;
}

static int expect(struct usage *usage, const struct tracked *tracked, const char *flow, int64_t now)
{
	struct expect_seen seen = { .id = tracked->id, .expires_ms = now + (int64_t)tracked->lives_s * 1000 };

	return usage->expect.count ? expect_look(&usage->expect, flow, &seen, tracked->open) : 0;
}

/* One that is closed stays for a while, and is none that is used. */
static int note(struct reading *reading, const struct tracked *tracked, const struct policy_flow *flow)
{
	struct usage *usage = reading->usage;
	struct seen_connection seen = { .id = tracked->id,
					.since_s = (uint32_t)(reading->now / 1000),
					.flow = (uint32_t)(flow - usage->policy->flows),
					.open = tracked->open || tracked->packet.protocol != PROTOCOL_TCP };
	bool is_new;

	int r = seen_add(&usage->seen, &seen, &is_new);
	is_new &= reading->count_new;
	if (r == 0 && (is_new || seen.open))
		r = usage_note(usage, flow->id, &tracked->packet, is_new);
	return r;
}

static void see(void *userdata, const struct tracked *tracked)
{
	struct reading *reading = userdata;
	struct tracked as_opened = *tracked;

	if (reading->status < 0 || (!tracked->answered && !reading->list))
		return;
	struct judgement judgement = judge(reading, tracked, &as_opened.packet);
	if (reading->list) {
		reading->list(reading->userdata, &as_opened, &judgement);
		reading->listed++;
	}
	if (!tracked->answered || judgement.verdict != VERDICT_ALLOW)
		return;
	reading->status = expect(reading->usage, tracked, judgement.flow->id, reading->now);
	if (reading->status == 0)
		reading->status = note(reading, &as_opened, judgement.flow);
}

static int count_open(struct usage *usage)
{
	const struct seen_list *list = &usage->seen.seen;
	size_t *open = calloc(usage->policy->flow_count + 1, sizeof(*open));

	if (!open)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].flow < usage->policy->flow_count)
			open[list->items[i].flow] += list->items[i].open;
	free(usage->open);
	usage->open = open;
	usage->open_count = usage->policy->flow_count;
	usage->open_known = true;
	return 0;
}

/* list NULL, or it gets all of them.
 *
 * Its cost is in processor time. By the clock, it takes long on a busy machine, and the next ones would come too late
 * for what the kernel forgets soon. */
static int read_connections(struct usage *usage, see_connection *list, void *userdata)
{
	struct reading reading = { .usage = usage,
				   .now = now_ms(),
				   .count_new = usage->read_ms || !usage->resumed,
				   .list = list,
				   .userdata = userdata };
	int64_t began = processor_ms();

	expect_look_begin(&usage->expect);
	seen_begin(&usage->seen);
	int r = usage->events.held_view(usage->userdata, &reading.names);
	if (r == 0)
		r = conntrack_look(&usage->policy->protected_all, see, &reading);
	if (r == 0)
		r = reading.status;
	names_view_free(&reading.names);
	seen_end(&usage->seen, r == 0);
	if (r == 0)
		r = count_open(usage);
	if (r < 0 && !usage->connections_unreadable)
		log_error("connections can't be read: %s", strerror(-r));
	usage->connections_unreadable = r < 0;
	if (usage->expect.count)
		expect_look_end(&usage->expect, now_ms(), r == 0);
	usage_pass_record(usage);
	usage->took_ms = processor_ms() - began;
	usage->read_ms = now_ms();
	if (reading.listed > MANY)
		usage->trim_ms = usage->read_ms + READ_MS;
	return r;
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

static int look_and_report(struct usage *usage, see_connection *list, void *userdata)
{
	struct expect *expect = &usage->expect;
	bool changed = false;

	int r = read_connections(usage, list, userdata);
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
	return r;
}

static void read_counters(struct usage *usage)
{
	usage->events.read_counters(usage->userdata);
	for (size_t i = 0; i < usage->expect.count; i++) {
		struct expectation *item = &usage->expect.items[i];
		expect_opened(item, usage->events.opened(usage->userdata, item->flow), now_ms());
	}
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Of the reading that is due whatever happens. */
static int64_t next_reading(const struct usage *usage)
{
	int64_t now = now_ms(), at = usage->read_ms + READ_MS;

	if (usage->removed)
		return READ_MS;
	return !usage->open_known ? FIRST_MS : at > now ? at - now : 0;
}

static void set_timer(struct usage *usage)
{
	int64_t interval = expect_interval_ms(&usage->expect), share = usage->took_ms * SHARE,
		reading = next_reading(usage);

	interval = interval ? least(interval, reading) : reading;
	timer_set(usage->timer, interval > share ? interval : share);
}

static void on_interval(void *userdata)
{
	struct usage *usage = userdata;

	expect_pass(&usage->expect, now_ms(), !usage->removed);
	if (usage->trim_ms && now_ms() >= usage->trim_ms) {
		malloc_trim(0);
		usage->trim_ms = 0;
	}
	if (usage->removed) {
		usage_pass_record(usage);
	} else {
		if (usage->expect.count)
			read_counters(usage);
		if (!usage->open_known || now_ms() - usage->read_ms >= READ_MS ||
		    (usage->expect.count && expect_due(&usage->expect, now_ms())))
			look_and_report(usage, NULL, NULL);
	}
	set_timer(usage);
}

void usage_follow(struct usage *usage, const struct policy *policy)
{
	usage->policy = policy;
	usage->open_known = false;
	usage_follow_record(usage);
	expect_pass(&usage->expect, now_ms(), !usage->removed);
	if (expect_want(&usage->expect, policy) < 0)
		log_error("out of memory: not all flows with expect are watched");
	if (usage->expect.count) {
		read_counters(usage);
		look_and_report(usage, NULL, NULL);
	}
	set_timer(usage);
}

void usage_refresh(struct usage *usage)
{
	if (!usage->policy || usage->removed || now_ms() - usage->read_ms < usage->took_ms * ASKED_SHARE)
		return;
	look_and_report(usage, NULL, NULL);
	set_timer(usage);
}

bool usage_knows_open(const struct usage *usage)
{
	return usage->open_known;
}

size_t usage_open(const struct usage *usage, const struct policy_flow *flow)
{
	size_t index = usage->open_known ? (size_t)(flow - usage->policy->flows) : usage->open_count;
	return index < usage->open_count ? usage->open[index] : 0;
}

int usage_list(struct usage *usage, bool at_once, see_connection *list, void *userdata)
{
	if (!usage->policy || (!at_once && now_ms() < usage->list_free_ms))
		return -EBUSY;
	int r = look_and_report(usage, list, userdata);
	usage->list_free_ms = usage->read_ms + usage->took_ms * ASKED_SHARE;
	set_timer(usage);
	return r;
}

int64_t usage_known_s(const struct usage *usage, uint32_t id)
{
	const struct seen_connection *seen = seen_find(&usage->seen, id);
	return seen ? now_ms() / 1000 - seen->since_s : -1;
}

void usage_set_removed(struct usage *usage, bool removed)
{
	expect_pass(&usage->expect, now_ms(), !usage->removed);
	usage->removed = removed;
	usage->open_known = false;
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
	record_init(&usage->record, 0);
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
	record_free(&usage->record);
	seen_free(&usage->seen);
	free(usage->open);
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
			   "connections can't be read: which flows are used is not known");
	if (usage->save_failed) {
		health_add(health, HEALTH_STATE_UNSAVED, "how long flows were silent can't be saved in %s",
			   usage->state);
		health_fill(health, usage->state);
	}
	if (usage->record_save_failed) {
		health_add(health, HEALTH_STATE_UNSAVED, "the record of who used what can't be saved in %s",
			   usage->state);
		health_fill(health, usage->state);
	}
}
