/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Built into a spefw-resolver for tests/system/resolver.py, and nowhere else: a query for "hook-THING.test" tries the
 * thing from within the process, as somebody who took it over would. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

const char *test_hook(const char *name);

static long try_open(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static long try_stat(void)
{
	struct stat status;
	return stat("/etc/passwd", &status);
}

static long try_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
}

static long try_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long try_raw(void)
{
	return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
}

static long try_bind(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? fd : bind(fd, (struct sockaddr *)&address, sizeof(address));
}

static long try_device(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? fd : setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2);
}

static long try_congestion(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? fd : setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

/* Others may have the same file description, spefwd for one. */
static long try_flags(void)
{
	/* Of 64 bits the kernel takes the lower half for the descriptor. */
	unsigned long long upper = sizeof(long) == 8 ? 1ULL << 32 : 0;
	return syscall(SYS_fcntl, (unsigned long)(upper + STDERR_FILENO), F_SETFL, O_NONBLOCK);
}

static long try_shell(void)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)"exit 42", NULL };
	return execv("/bin/sh", argv);
}

static long try_kill(void)
{
	return kill(getppid(), 0);
}

static long try_fork(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return pid < 0 ? pid : waitpid(pid, NULL, 0);
}

static long try_prctl(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long try_peek(void)
{
	return syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}

static long try_limit(void)
{
	const struct rlimit none = { 0, 0 };
	return setrlimit(RLIMIT_CORE, &none);
}

static long try_namespace(void)
{
	return unshare(CLONE_FS);
}

static long try_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static long try_turn_to_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return page == MAP_FAILED ? -1 : mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static long try_memory(void)
{
	return mmap(NULL, 1 << 27, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

/* Something that it may do, lest all of this could be wrong. */
static long try_dns(void)
{
	return socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

const char *test_hook(const char *name)
{
	static const struct {
		const char *name;
		long (*act)(void);
	} things[] = {
		{ "hook-open.test", try_open },       { "hook-stat.test", try_stat },
		{ "hook-netlink.test", try_netlink }, { "hook-unix.test", try_unix },
		{ "hook-raw.test", try_raw },         { "hook-bind.test", try_bind },
		{ "hook-device.test", try_device },   { "hook-congestion.test", try_congestion },
		{ "hook-flags.test", try_flags },     { "hook-shell.test", try_shell },
		{ "hook-kill.test", try_kill },       { "hook-fork.test", try_fork },
		{ "hook-prctl.test", try_prctl },     { "hook-peek.test", try_peek },
		{ "hook-limit.test", try_limit },     { "hook-namespace.test", try_namespace },
		{ "hook-code.test", try_code },       { "hook-turn-to-code.test", try_turn_to_code },
		{ "hook-memory.test", try_memory },   { "hook-dns.test", try_dns },
	};

	for (size_t i = 0; i < sizeof(things) / sizeof(things[0]); i++)
		if (strcmp(name, things[i].name) == 0)
			return things[i].act() < 0 ? strerror(errno) : "done";
	return NULL;
}
