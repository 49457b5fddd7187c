/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/spawn.h"
#include "resolver/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM "spefw-resolver"

enum { ENVIRONMENT_MAX = 3, VARIABLE_MAX = 512 };

/* Beside this program in a build, else where it is installed. */
static void find_program(char *path, size_t size)
{
	char self[3072];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length > 0) {
		self[length] = '\0';
		char *slash = strrchr(self, '/');
		snprintf(path, size, "%.*s/" PROGRAM, slash ? (int)(slash - self) : 0, self);
		if (access(path, X_OK) == 0)
			return;
	}
	snprintf(path, size, "%s/" PROGRAM, PKGLIBEXECDIR);
}

/* How it logs, and what a build for tests reports. */
static void make_environment(char variables[ENVIRONMENT_MAX][VARIABLE_MAX], char *ret[ENVIRONMENT_MAX + 1])
{
	static const char *const names[ENVIRONMENT_MAX] = { "JOURNAL_STREAM", "ASAN_OPTIONS", "UBSAN_OPTIONS" };
	size_t count = 0;

	for (size_t i = 0; i < ENVIRONMENT_MAX; i++) {
		const char *value = getenv(names[i]);
		if (!value)
			continue;
		snprintf(variables[count], VARIABLE_MAX, "%s=%s", names[i], value);
		ret[count] = variables[count];
		count++;
	}
	ret[count] = NULL;
}

/* At once: if the daemon is killed now, the next one waits for its lock and sockets, which this process has, too. */
static bool close_others(int socket)
{
	return (socket <= STDERR_FILENO + 1 || close_range(STDERR_FILENO + 1, (unsigned)socket - 1, 0) == 0) &&
	       close_range((unsigned)socket + 1, ~0u, 0) == 0;
}

/* Nothing but standard error, for what it logs, and the socket. A terminal it could drive by what it writes. */
static bool set_descriptors(int socket)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* Out of the way of the numbers that are given out here. */
	int far_null = fcntl(null, F_DUPFD_CLOEXEC, WIRE_FD + 1),
	    far_socket = fcntl(socket, F_DUPFD_CLOEXEC, WIRE_FD + 1);

	return far_null >= 0 && far_socket >= 0 && dup2(far_null, STDIN_FILENO) >= 0 &&
	       dup2(far_null, STDOUT_FILENO) >= 0 && (!isatty(STDERR_FILENO) || dup2(far_null, STDERR_FILENO) >= 0) &&
	       dup2(far_socket, WIRE_FD) >= 0 && close_range(WIRE_FD + 1, ~0u, 0) == 0;
}

/* What is blocked or ignored stays so over execve(). */
static void reset_signals(void)
{
	sigset_t none;

	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Capabilities reach the next program by the ambient set, or because it is root's. Where the latter can't be switched
 * off here, the program drops them itself. */
static bool give_up_capabilities(void)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return false;
	if (geteuid() == 0)
		prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0);
	return true;
}

/* In a session of its own it has none. Where there is none anyway it stays in ours: the scheduler gives each session a
 * share of its own, and a SYN that comes right behind an answer would find its way shut twice as often. */
static bool leave_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 && errno == ENXIO)
		return true;
	if (fd >= 0)
		close(fd);
	return setsid() >= 0;
}

static void __attribute__((noreturn))
become_resolver(const char *path, char *const environment[], int socket, pid_t parent)
{
	char *const arguments[] = { (char *)PROGRAM, NULL };

	if (!close_others(socket) || !leave_terminal() || !set_descriptors(socket) || chdir("/") < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent || !give_up_capabilities())
		_exit(PROCESS_NOT_PREPARED);
	reset_signals();
	execve(path, arguments, environment);
	_exit(PROCESS_NOT_FOUND);
}

static int open_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0); /* it is closed on exec */
	return fd < 0 ? -errno : fd;
}

int process_start(struct process *ret)
{
	char variables[ENVIRONMENT_MAX][VARIABLE_MAX], *environment[ENVIRONMENT_MAX + 1], path[4096];
	int ends[2];
	pid_t parent = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	find_program(path, sizeof(path));
	make_environment(variables, environment);
	*ret = (struct process){ .pid = fork(), .fd = ends[0], .pidfd = -1 };
	if (ret->pid == 0)
		become_resolver(path, environment, ends[1], parent);
	int r = ret->pid < 0 ? -errno : 0;
	close(ends[1]);
	/* Ours alone must not block: the other end has a file description of its own. */
	if (r == 0 && fcntl(ret->fd, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	if (r == 0) {
		ret->pidfd = open_pidfd(ret->pid);
		r = ret->pidfd < 0 ? ret->pidfd : 0;
	}
	if (r < 0 && ret->pid > 0) {
		process_kill(ret);
		process_reap(ret);
	} else if (r < 0) {
		close(ends[0]);
	}
	return r;
}

void process_kill(const struct process *process)
{
	kill(process->pid, SIGKILL); /* it was not waited for: the number is its own still */
}

int process_reap(struct process *process)
{
	int status = 0;

	while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
		;
	close(process->fd);
	if (process->pidfd >= 0)
		close(process->pidfd);
	*process = (struct process){ .fd = -1, .pidfd = -1 };
	return status;
}

int64_t process_cpu_ms(const struct process *process)
{
	struct timespec used;
	clockid_t clock;

	int r = clock_getcpuclockid(process->pid, &clock);
	if (r != 0)
		return -r;
	if (clock_gettime(clock, &used) < 0)
		return -errno;
	return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

int process_allow_cpu(const struct process *process, unsigned seconds)
{
	struct rlimit limit;

	if (prlimit(process->pid, RLIMIT_CPU, NULL, &limit) < 0)
		return -errno;
	limit.rlim_cur = seconds < limit.rlim_max ? seconds : limit.rlim_max;
	return prlimit(process->pid, RLIMIT_CPU, &limit, NULL) < 0 ? -errno : 0;
}
