/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clock.h"

#include <time.h>
#include <unistd.h>

static int64_t read_ms(clockid_t clock)
{
	struct timespec now;

	return clock_gettime(clock, &now) < 0 ? 0 : (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t now_ms(void)
{
	return read_ms(CLOCK_BOOTTIME);
}

int64_t wall_s(void)
{
	return (int64_t)time(NULL);
}

int64_t processor_ms(void)
{
	return read_ms(CLOCK_THREAD_CPUTIME_ID);
}

int64_t processor_us(void)
{
	struct timespec now;

	return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) < 0 ? 0
								: (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void pause_ms(int64_t ms)
{
	usleep((useconds_t)ms * 1000);
}
