/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TIMER_H
#define SPEFW_TIMER_H

/* A timer on the event loop, by CLOCK_BOOTTIME. It fires once each time that it is set. Unit tests link timers of their
 * own, which their clock drives (tests/unit/fake_time.c). */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct timer;

/* Not set at first. `fired` may set it again, or free it. 0 or a negative errno. */
int timer_new(struct timer **ret, sd_event *event, int64_t priority, void (*fired)(void *userdata), void *userdata);
void timer_free(struct timer *timer); /* NULL: nothing */
void timer_set(struct timer *timer, int64_t after_ms);
void timer_set_at(struct timer *timer, int64_t at_ms); /* as now_ms() has it */
void timer_stop(struct timer *timer);
bool timer_is_set(const struct timer *timer);

#endif
