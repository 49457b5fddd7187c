/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_FAKE_TIME_H
#define SPEFW_TEST_FAKE_TIME_H

/* The clock and the timers of daemon/clock.h and daemon/timer.h, in the test's hands: days pass in milliseconds. */

#include "clock.h"
#include "timer.h"

void fake_time_reset(int64_t now_ms, int64_t wall_s);
/* Time passes, by both clocks; timers fire in the order of their times, each with now_ms() as it was set to. */
void fake_time_pass(int64_t ms);
void fake_wall_set(int64_t wall_s);  /* a step of the wall clock alone */
void fake_processor_set(int64_t ms); /* what processor_ms() gives */
int64_t fake_time_next(void);        /* when the next timer fires; INT64_MAX: none is set */
extern int fake_timers;              /* how many there are: 0 when all objects are freed */
extern int fake_timer_fails;         /* so many calls of timer_new() from now succeed, the next fails; -1: none fails */

#endif
