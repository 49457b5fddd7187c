/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t wait_deadline_ms(unsigned timeout_s)
{
	return now_ms() + (int64_t)timeout_s * 1000;
}

int wait_until(int64_t deadline_ms, int fd, short events)
{
	struct pollfd pollfd = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = deadline_ms - now_ms();
		int n = left > 0 ? poll(&pollfd, 1, (int)left) : 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (n > 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}

bool wait_pause(int64_t deadline_ms, unsigned pause_ms)
{
	if (now_ms() + pause_ms > deadline_ms)
		return false;
	poll(NULL, 0, (int)pause_ms);
	return true;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

/* They come while it waits, and at no other moment: none is overlooked. */
static int take_signals(sigset_t *ret_waiting)
{
	static const int numbers[] = { SIGINT, SIGTERM };
	struct sigaction action = { .sa_handler = on_interrupt };
	sigset_t mask;

	sigemptyset(&mask);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sigaddset(&mask, numbers[i]);
		if (sigaction(numbers[i], &action, NULL) < 0)
			return -errno;
	}
	if (sigprocmask(SIG_BLOCK, &mask, ret_waiting) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigdelset(ret_waiting, numbers[i]);
	return 0;
}

int wait_long(int fd)
{
	static bool taken;
	static sigset_t waiting;
	struct pollfd polls[] = { { .fd = fd, .events = POLLIN }, { .fd = STDOUT_FILENO } };

	int r = taken ? 0 : take_signals(&waiting);
	if (r < 0)
		return r;
	taken = true;
	while (!interrupted) {
		int n = ppoll(polls, 2, NULL, &waiting);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && polls[0].revents)
			return 0;
		if (n > 0 && polls[1].revents & (POLLERR | POLLHUP))
			return -ECANCELED;
		if (n > 0) /* standard output is closed: whoever writes to it will see */
			polls[1].fd = -1;
	}
	return -ECANCELED;
}
