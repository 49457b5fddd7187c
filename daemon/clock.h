/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CLOCK_H
#define SPEFW_CLOCK_H

/* What time it is. Unit tests link a clock of their own (tests/unit/fake_time.c). */

#include <stdint.h>

int64_t now_ms(void);       /* CLOCK_BOOTTIME: nobody sets it, and it goes on while the machine sleeps */
int64_t wall_s(void);       /* CLOCK_REALTIME, for what outlives a boot */
int64_t processor_ms(void); /* what this thread has cost so far */
int64_t processor_us(void);
void pause_ms(int64_t ms); /* nothing else happens meanwhile */

#endif
