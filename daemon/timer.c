/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "timer.h"
#include "clock.h"

#include <errno.h>
#include <stdlib.h>

enum {
	/* By default it may come a quarter of a second late; a SYN that was denied is sent again after one. */
	ACCURACY_USEC = 1000,
};

struct timer {
	sd_event_source *source;
	void (*fired)(void *userdata);
	void *userdata;
};

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct timer *timer = userdata;

	(void)source;
	(void)usec;
	timer->fired(timer->userdata);
	return 0;
}

int timer_new(struct timer **ret, sd_event *event, int64_t priority, void (*fired)(void *userdata), void *userdata)
{
	struct timer *timer = calloc(1, sizeof(*timer));

	if (!timer)
		return -ENOMEM;
	*timer = (struct timer){ .fired = fired, .userdata = userdata };
	int r = sd_event_add_time(event, &timer->source, CLOCK_BOOTTIME, 0, ACCURACY_USEC, on_time, timer);
	if (r >= 0)
		r = sd_event_source_set_enabled(timer->source, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(timer->source, priority);
	if (r < 0) {
		timer_free(timer);
		return r;
	}
	*ret = timer;
	return 0;
}

void timer_free(struct timer *timer)
{
	if (!timer)
		return;
	sd_event_source_disable_unref(timer->source);
	free(timer);
}

void timer_set_at(struct timer *timer, int64_t at_ms)
{
	sd_event_source_set_time(timer->source, at_ms > 0 ? (uint64_t)at_ms * 1000 : 0);
	sd_event_source_set_enabled(timer->source, SD_EVENT_ONESHOT);
}

void timer_set(struct timer *timer, int64_t after_ms)
{
	timer_set_at(timer, now_ms() + after_ms);
}

void timer_stop(struct timer *timer)
{
	sd_event_source_set_enabled(timer->source, SD_EVENT_OFF);
}

bool timer_is_set(const struct timer *timer)
{
	return sd_event_source_get_enabled(timer->source, NULL) > 0;
}
