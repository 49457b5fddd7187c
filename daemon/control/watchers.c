/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/watchers.h"

#include <errno.h>
#include <stdlib.h>

enum { SENDS_A_TURN = 32 }; /* then others have theirs */

struct watcher {
	struct control_call *call;
	uint64_t next; /* the number of the event that it gets next */
	uint64_t lost; /* that it was not told of yet */
};

struct watchers {
	sd_event_source *sender;
	json_t *(*make_lost)(uint64_t count);
	struct watcher *items;
	size_t count, capacity;
	size_t turn; /* whose turn it is */
	/* Number n is at n % WATCHERS_KEEP, for the last of them. NULL: there was no memory for it. */
	json_t *events[WATCHERS_KEEP];
	uint64_t published;
};

static void forget_events(struct watchers *watchers)
{
	for (size_t i = 0; i < WATCHERS_KEEP; i++) {
		json_decref(watchers->events[i]);
		watchers->events[i] = NULL;
	}
}

/* What is not there any more, it has lost. */
static void skip_lost(const struct watchers *watchers, struct watcher *watcher)
{
	uint64_t first = watchers->published > WATCHERS_KEEP ? watchers->published - WATCHERS_KEEP : 0;

	if (watcher->next < first) {
		watcher->lost += first - watcher->next;
		watcher->next = first;
	}
	while (watcher->next < watchers->published && !watchers->events[watcher->next % WATCHERS_KEEP]) {
		watcher->next++;
		watcher->lost++;
	}
}

/* One reply. False: there is nothing for it, or it has no room. */
static bool send_one(const struct watchers *watchers, struct watcher *watcher)
{
	if (!control_has_room(watcher->call))
		return false;
	skip_lost(watchers, watcher);
	if (watcher->lost) {
		json_t *event = watchers->make_lost(watcher->lost);
		if (!event)
			return false;
		watcher->lost = 0;
		control_reply_more(watcher->call, event);
		return true;
	}
	if (watcher->next == watchers->published)
		return false;
	control_reply_more(watcher->call, json_incref(watchers->events[watcher->next++ % WATCHERS_KEEP]));
	return true;
}

static int on_sender(sd_event_source *source, void *userdata)
{
	struct watchers *watchers = userdata;
	size_t idle = 0;

	for (size_t sent = 0; sent < SENDS_A_TURN && idle < watchers->count;) {
		watchers->turn = watchers->turn + 1 < watchers->count ? watchers->turn + 1 : 0;
		bool did = send_one(watchers, &watchers->items[watchers->turn]);
		sent += did;
		idle = did ? 0 : idle + 1;
	}
	if (idle < watchers->count)
		sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

int watchers_new(struct watchers **ret, sd_event *event, json_t *(*lost)(uint64_t count))
{
	struct watchers *watchers = calloc(1, sizeof(*watchers));

	if (!watchers)
		return -ENOMEM;
	watchers->make_lost = lost;
	int r = sd_event_add_defer(event, &watchers->sender, on_sender, watchers);
	if (r >= 0)
		r = sd_event_source_set_enabled(watchers->sender, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(watchers->sender, CONTROL_PRIORITY);
	if (r < 0) {
		watchers_free(watchers);
		return r;
	}
	*ret = watchers;
	return 0;
}

void watchers_free(struct watchers *watchers)
{
	if (!watchers)
		return;
	sd_event_source_disable_unref(watchers->sender);
	forget_events(watchers);
	free(watchers->items);
	free(watchers);
}

int watchers_add(struct watchers *watchers, struct control_call *call, json_t *first)
{
	if (first && watchers->count == watchers->capacity) {
		size_t wanted = watchers->capacity ? watchers->capacity * 2 : 4;
		struct watcher *grown = reallocarray(watchers->items, wanted, sizeof(*grown));
		if (!grown) {
			json_decref(first);
			return -ENOMEM;
		}
		watchers->items = grown;
		watchers->capacity = wanted;
	}
	if (!first)
		return -ENOMEM;
	watchers->items[watchers->count++] = (struct watcher){ .call = call, .next = watchers->published };
	control_reply_more(call, first);
	return 0;
}

void watchers_forget(struct watchers *watchers, const struct control_call *call)
{
	for (size_t i = 0; i < watchers->count; i++) {
		if (watchers->items[i].call != call)
			continue;
		watchers->items[i] = watchers->items[--watchers->count];
		break;
	}
	if (watchers->count)
		return;
	forget_events(watchers);
	free(watchers->items);
	watchers->items = NULL;
	watchers->capacity = 0;
}

void watchers_have_room(struct watchers *watchers)
{
	sd_event_source_set_enabled(watchers->sender, SD_EVENT_ONESHOT);
}

bool watchers_any(const struct watchers *watchers)
{
	return watchers->count;
}

void watchers_publish(struct watchers *watchers, json_t *event)
{
	json_t **place = &watchers->events[watchers->published % WATCHERS_KEEP];

	if (!watchers->count) {
		json_decref(event);
		return;
	}
	json_decref(*place);
	*place = event;
	watchers->published++;
	sd_event_source_set_enabled(watchers->sender, SD_EVENT_ONESHOT);
}
