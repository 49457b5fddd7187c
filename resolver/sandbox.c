/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/sandbox.h"
#include "resolver/channel.h"
#include "resolver/queries.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	MEMORY_MAX = 64 * 1024 * 1024, /* of addresses; a tenth of it in use is much */
	CPU_S = 10,                    /* at first: spefwd gives more as time goes by */
};

static void limit(int what, rlim_t soft, rlim_t hard)
{
	const struct rlimit limit = { soft, hard };
	if (setrlimit(what, &limit) < 0)
		channel_fail("can't set a limit: %m");
}

static void limit_all(void)
{
	struct stat status;
	struct rlimit cpu;

	limit(RLIMIT_CORE, 0, 0);
	limit(RLIMIT_NPROC, 0, 0);
	limit(RLIMIT_NOFILE, QUERIES_SOCKETS_MAX, QUERIES_SOCKETS_MAX);
	limit(RLIMIT_MSGQUEUE, 0, 0);
	limit(RLIMIT_MEMLOCK, 0, 0);
	/* The log may be a file, where it is no service. */
	if (fstat(STDERR_FILENO, &status) < 0 || !S_ISREG(status.st_mode))
		limit(RLIMIT_FSIZE, 0, 0);
	if (getrlimit(RLIMIT_CPU, &cpu) == 0)
		limit(RLIMIT_CPU, CPU_S < cpu.rlim_max ? CPU_S : cpu.rlim_max, cpu.rlim_max);
#ifndef __SANITIZE_ADDRESS__ /* its shadow memory has terabytes of addresses */
	limit(RLIMIT_AS, MEMORY_MAX, MEMORY_MAX);
#endif
}

/* In the service's sandbox nobody may call capset(2). There spefwd has cleared the ambient set, so nothing is permitted
 * or effective; what is still inheritable goes only to a program that it would execute, which it can't, and by no means
 * without that program's file saying so. */
static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	static const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	syscall(SYS_capset, &header, none);
	int r = syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3 && r == 0; i++)
		r = data[i].permitted || data[i].effective ? -EPERM : 0;
	if (r < 0)
		channel_fail("capabilities can't be dropped");
}

static bool has_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return errno != ENXIO;
	close(fd);
	return true;
}

static void drop_credentials(void)
{
	/* spefwd starts it without a terminal; whoever else starts it may not. It may lead a session already. */
	if (has_terminal() && setsid() < 0 && getsid(0) != getpid())
		channel_fail("no session of its own: %m");
	limit_all();
	drop_capabilities();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		channel_fail("can't give up privileges: %m");
}

/* As in <linux/landlock.h>, which may be older than the kernel. */
struct landlock {
	uint64_t files, network, scopes;
};

static bool enter_landlock(void)
{
	enum { TRUNCATE_SINCE = 3, BIND_SINCE = 4, DEVICES_SINCE = 5, SCOPES_SINCE = 6 };
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* of the version */);

	if (version < 1)
		return false;
	struct landlock denied = {
		.files = (1u << 13) - 1, /* execute ... make a symbolic link; to link elsewhere is denied anyway */
		.network = version >= BIND_SINCE ? 1 : 0,  /* bind TCP */
		.scopes = version >= SCOPES_SINCE ? 3 : 0, /* abstract sockets, signals */
	};
	denied.files |= version >= TRUNCATE_SINCE ? 1u << 14 : 0;
	denied.files |= version >= DEVICES_SINCE ? 1u << 15 : 0;
	long fd = syscall(SYS_landlock_create_ruleset, &denied, sizeof(denied), 0);
	if (fd < 0)
		return false;
	bool entered = syscall(SYS_landlock_restrict_self, fd, 0) == 0;
	close((int)fd);
	return entered;
}

/* Whatever their arguments are. */
static const int harmless[] = {
	/* What it has open; there is nothing that could be opened. */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(recv),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(send),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(ppoll_time64),
	SCMP_SYS(close),
	SCMP_SYS(connect),
	SCMP_SYS(getsockname),
	/* Time and memory. */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_gettime64),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(getrandom),
	SCMP_SYS(futex),
	SCMP_SYS(futex_time64),
	/* Itself. */
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
#ifdef __SANITIZE_ADDRESS__ /* what it does where the process ends */
	SCMP_SYS(sigaltstack),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(sched_yield),
#endif
};

static int allow_sockets(scmp_filter_ctx filter)
{
	static const int families[] = { AF_INET, AF_INET6 }, types[] = { SOCK_DGRAM, SOCK_STREAM },
			 protocols[] = { 0, IPPROTO_UDP, IPPROTO_TCP };
	int r = 0;

	for (size_t f = 0; f < 2; f++)
		for (size_t t = 0; t < 2; t++)
			for (size_t p = 0; p < 3 && r == 0; p++)
				r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
						     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[f], 0),
						     SCMP_A1(SCMP_CMP_MASKED_EQ,
							     (uint32_t) ~(SOCK_CLOEXEC | SOCK_NONBLOCK),
							     (scmp_datum_t)types[t]),
						     SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)protocols[p], 0));
	return r;
}

/* What c-ares does with its own. */
static int allow_options(scmp_filter_ctx filter)
{
	static const int options[] = { TCP_NODELAY, TCP_FASTOPEN_CONNECT };
	int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(getsockopt), 2, SCMP_A1(SCMP_CMP_EQ, SOL_SOCKET, 0),
				 SCMP_A2(SCMP_CMP_EQ, SO_ERROR, 0));

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2,
				     SCMP_A1(SCMP_CMP_EQ, IPPROTO_TCP, 0),
				     SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)options[i], 0));
	return r;
}

/* Flags of standard error and of the socket to spefwd are not set: spefwd has the former as well. A descriptor behind
 * them has one of these bits; the kernel looks at 32 of the argument's 64, where a comparison would look at all. */
static int allow_set_flags(scmp_filter_ctx filter, int call)
{
	int r = 0;

	for (scmp_datum_t bit = WIRE_FD + 1; bit < QUERIES_SOCKETS_MAX && r == 0; bit *= 2)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 2, SCMP_A0(SCMP_CMP_MASKED_EQ, bit, bit),
				     SCMP_A1(SCMP_CMP_EQ, F_SETFL, 0));
	return r;
}

static int allow_flags(scmp_filter_ctx filter)
{
	static const int calls[] = { SCMP_SYS(fcntl), SCMP_SYS(fcntl64) }, commands[] = { F_GETFD, F_SETFD, F_GETFL };
	int r = 0;

	for (size_t i = 0; i < 2 && r == 0; i++) {
		for (size_t c = 0; c < sizeof(commands) / sizeof(commands[0]) && r == 0; c++)
			r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 1,
					     SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)commands[c], 0));
		if (r == 0)
			r = allow_set_flags(filter, calls[i]);
	}
	return r;
}

static int allow_some(scmp_filter_ctx filter)
{
	static const int memory[] = { SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect) };
	int r = allow_sockets(filter);

	if (r == 0)
		r = allow_options(filter);
	if (r == 0)
		r = allow_flags(filter);
	for (size_t i = 0; i < sizeof(memory) / sizeof(memory[0]) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, memory[i], 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return r;
}

/* Whatever else it calls ends it. */
static void enter_seccomp(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r;

	/* The kernel, or the service's sandbox, may not know of it: there is one thread, so it is the same. */
	if (!filter)
		filter = seccomp_init(SCMP_ACT_KILL_THREAD);
	r = filter ? 0 : -ENOMEM;
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, harmless[i], 0);
	if (r == 0)
		r = allow_some(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	if (r < 0)
		channel_fail("no seccomp filter: %s", strerror(-r));
}

bool sandbox_enter(unsigned parts)
{
	bool landlock = false;

	if (parts & SANDBOX_CREDENTIALS)
		drop_credentials();
	if (parts & SANDBOX_LANDLOCK)
		landlock = enter_landlock();
	if (parts & SANDBOX_SECCOMP)
		enter_seccomp();
	return landlock;
}
