// SPDX-License-Identifier: GPL-2.0-or-later
/* Faults on request, for spefwd under LD_PRELOAD (tests/system/faults.py). The file that SPEFW_FAULTS names is mapped;
 * the test writes there which call is to fail, and reads how many there have been:
 *
 *   64-bit words: [0] armed kind (below; 0 none)  [1] the number of the call that fails, from 1  [2] calls since it was
 *   armed, counted by the library  [3] faults that were injected. MEDDLED runs the script that SPEFW_MEDDLE names
 * instead, before a batch or a request of the cut is sent.
 *
 * The count begins again whenever word 2 is set to zero. A fault happens once, but for SYNC_FAILS. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum kind {
	NONE,
	ALLOCATION,
	REPLY_LOST,
	REPLY_NO_BUFFERS,
	DUMP_NO_BUFFERS,
	SYNC_FAILS,
	SEND_FAILS,
	CUT_FAILS,
	MEDDLED,
	ROUTES_NO_BUFFERS,
	LISTEN_FAILS
};
enum { KIND, NUMBER, CALLS, INJECTED, WORDS };

static volatile int64_t *words;

__attribute__((constructor)) static void map_words(void)
{
	const char *path = getenv("SPEFW_FAULTS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	void *mapped = mmap(NULL, WORDS * sizeof(*words), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped != MAP_FAILED)
		words = mapped;
}

static int fails(enum kind kind)
{
	if (!words || words[KIND] != (int64_t)kind || ++words[CALLS] != words[NUMBER])
		return 0;
	words[INJECTED]++;
	return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* The allocator is glibc's, by the names under which it can be called from in front of it. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

void *malloc(size_t size)
{
	return fails(ALLOCATION) ? no_memory() : __libc_malloc(size);
}
void *calloc(size_t count, size_t size)
{
	return fails(ALLOCATION) ? no_memory() : __libc_calloc(count, size);
}
void *realloc(void *old, size_t size)
{
	return fails(ALLOCATION) ? no_memory() : __libc_realloc(old, size);
}

char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = malloc(size);
	return copy ? memcpy(copy, text, size) : NULL;
}

static int is_netlink_socket(int fd, int wanted)
{
	int domain = 0, protocol = 0;
	socklen_t size = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_NETLINK &&
	       getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 && protocol == wanted;
}

static int is_netfilter_socket(int fd)
{
	return is_netlink_socket(fd, NETLINK_NETFILTER);
}

static void meddle(void)
{
	char command[512];

	snprintf(command, sizeof(command), "LD_PRELOAD= sh %s", getenv("SPEFW_MEDDLE"));
	if (fails(MEDDLED) && system(command) != 0)
		abort();
}

static int batch_fd = -1; /* the socket of the last batch, until its replies have been read */

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	int batch = is_netfilter_socket(fd);

	if (batch && fails(SEND_FAILS)) {
		errno = ENOBUFS;
		return -1;
	}
	if (batch) {
		meddle();
		batch_fd = fd;
	}
	return REAL(sendmsg)(fd, message, flags);
}

ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
	ssize_t length = REAL(recv)(fd, buffer, size, flags);

	if (fd != batch_fd || length <= 0)
		return length;
	batch_fd = -1;
	if (fails(REPLY_LOST)) {
		errno = EAGAIN;
		return -1;
	}
	if (fails(REPLY_NO_BUFFERS)) {
		errno = ENOBUFS;
		return -1;
	}
	return length;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	if ((is_netfilter_socket(fd) && fails(DUMP_NO_BUFFERS)) ||
	    (is_netlink_socket(fd, NETLINK_ROUTE) && fails(ROUTES_NO_BUFFERS))) {
		errno = ENOBUFS;
		return -1;
	}
	return REAL(recvmsg)(fd, message, flags);
}

static int is_to(const struct nlmsghdr *header, int fd, size_t size, int subsystem)
{
	return size >= sizeof(*header) && is_netfilter_socket(fd) && NFNL_SUBSYS_ID(header->nlmsg_type) == subsystem;
}

/* Requests to connection tracking: to list connections, to delete one; and of NFLOG: to be heard. */
ssize_t sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t to_size)
{
	const struct nlmsghdr *header = bytes;

	if (is_to(header, fd, size, NFNL_SUBSYS_ULOG) && fails(LISTEN_FAILS)) {
		errno = ENOBUFS;
		return -1;
	}
	if (is_to(header, fd, size, NFNL_SUBSYS_CTNETLINK)) {
		if (fails(CUT_FAILS)) {
			errno = ENOBUFS;
			return -1;
		}
		meddle();
	}
	return REAL(sendto)(fd, bytes, size, flags, to, to_size);
}

int fsync(int fd)
{
	if (words && words[KIND] == SYNC_FAILS) {
		words[INJECTED]++;
		errno = EIO;
		return -1;
	}
	return REAL(fsync)(fd);
}
