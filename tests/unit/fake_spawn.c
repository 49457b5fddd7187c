/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_spawn.h"
#include "make.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

int fake_spawn_error, fake_spawn_fd = -1;
unsigned fake_spawns, fake_spawn_cpu_s;
int64_t fake_spawn_used_ms;
bool fake_spawn_runs, fake_spawn_killed, fake_spawn_immortal, fake_spawn_inherited;
static int ended_fd, status;
static bool ended;

void fake_spawn_reset(void)
{
	assert_false(fake_spawn_runs);
	fake_spawn_error = 0;
	fake_spawns = fake_spawn_cpu_s = 0;
	fake_spawn_used_ms = 0;
	fake_spawn_killed = fake_spawn_immortal = fake_spawn_inherited = false;
}

int process_start(struct process *ret)
{
	int ends[2];

	fake_spawns++;
	if (fake_spawn_error)
		return fake_spawn_error;
	assert_false(fake_spawn_runs);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(ended_fd >= 0);
	*ret = (struct process){ .pid = 4711, .fd = ends[0], .pidfd = ended_fd };
	fake_spawn_fd = ends[1];
	fake_spawn_runs = true;
	fake_spawn_killed = ended = false;
	return 0;
}

void fake_spawn_close(void)
{
	assert_true(fake_spawn_fd >= 0);
	close(fake_spawn_fd);
	fake_spawn_fd = -1;
}

void fake_spawn_end(int wait_status)
{
	uint64_t one = 1;

	assert_true(fake_spawn_runs && !ended);
	if (fake_spawn_fd >= 0 && !fake_spawn_inherited)
		fake_spawn_close();
	ended = true;
	status = wait_status;
	assert_int_equal(write(ended_fd, &one, sizeof(one)), sizeof(one));
}

void process_kill(const struct process *process)
{
	assert_int_equal(process->pid, 4711);
	assert_true(fake_spawn_runs);
	fake_spawn_killed = true;
	if (!ended && !fake_spawn_immortal)
		fake_spawn_end(SIGKILL);
}

int process_reap(struct process *process)
{
	assert_true(fake_spawn_runs);
	if (!ended)
		fake_spawn_end(SIGKILL);
	close(process->fd);
	close(process->pidfd);
	*process = (struct process){ .fd = -1, .pidfd = -1 };
	fake_spawn_runs = false;
	return status;
}

int64_t process_cpu_ms(const struct process *process)
{
	assert_int_equal(process->pid, 4711);
	return fake_spawn_used_ms;
}

int process_allow_cpu(const struct process *process, unsigned seconds)
{
	assert_int_equal(process->pid, 4711);
	fake_spawn_cpu_s = seconds;
	return 0;
}
