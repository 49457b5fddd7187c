/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_time.h"

#include <errno.h>
#include <stdlib.h>

struct timer {
	struct timer *next;
	void (*fired)(void *userdata);
	void *userdata;
	int64_t at_ms; /* INT64_MAX: not set */
};

static struct timer *timers;
static int64_t now, wall_ms, processor;
int fake_timers, fake_timer_fails = -1;

void fake_time_reset(int64_t now_ms, int64_t wall_s)
{
	now = now_ms;
	wall_ms = wall_s * 1000;
	processor = 0;
	fake_timer_fails = -1;
}

int64_t now_ms(void)
{
	return now;
}

int64_t wall_s(void)
{
	return wall_ms / 1000;
}

int64_t processor_ms(void)
{
	return processor;
}

int64_t processor_us(void)
{
	return processor * 1000;
}

void fake_wall_set(int64_t wall_s)
{
	wall_ms = wall_s * 1000;
}

void fake_processor_set(int64_t ms)
{
	processor = ms;
}

static struct timer *first_timer(void)
{
	struct timer *first = NULL;

	for (struct timer *timer = timers; timer; timer = timer->next)
		if (!first || timer->at_ms < first->at_ms)
			first = timer;
	return first;
}

int64_t fake_time_next(void)
{
	const struct timer *first = first_timer();
	return first ? first->at_ms : INT64_MAX;
}

static void move_to(int64_t at_ms)
{
	wall_ms += at_ms - now;
	now = at_ms;
}

void fake_time_pass(int64_t ms)
{
	int64_t end = now + ms;
	struct timer *timer;

	while ((timer = first_timer()) && timer->at_ms <= end) {
		if (timer->at_ms > now)
			move_to(timer->at_ms);
		timer->at_ms = INT64_MAX;
		timer->fired(timer->userdata);
	}
	move_to(end);
}

int timer_new(struct timer **ret, sd_event *event, int64_t priority, void (*fired)(void *userdata), void *userdata)
{
	(void)event;
	(void)priority;
	if (fake_timer_fails == 0)
		return -ENOMEM;
	fake_timer_fails -= fake_timer_fails > 0;
	struct timer *timer = calloc(1, sizeof(*timer));
	if (!timer)
		return -ENOMEM;
	*timer = (struct timer){ timers, fired, userdata, INT64_MAX };
	timers = *ret = timer;
	fake_timers++;
	return 0;
}

void timer_free(struct timer *timer)
{
	struct timer **at = &timers;

	if (!timer)
		return;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	free(timer);
	fake_timers--;
}

void timer_set_at(struct timer *timer, int64_t at_ms)
{
	timer->at_ms = at_ms;
}

void timer_set(struct timer *timer, int64_t after_ms)
{
	timer->at_ms = now + after_ms;
}

void timer_stop(struct timer *timer)
{
	timer->at_ms = INT64_MAX;
}

bool timer_is_set(const struct timer *timer)
{
	return timer->at_ms != INT64_MAX;
}

void pause_ms(int64_t ms)
{
	move_to(now + ms);
}
