/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a transaction is sent, and what of the kernel's replies counts. The kernel is played here, each release of it:
 * before Linux 6.10 nobody acknowledges the begin and the end of a batch. Everything is parsed by the test itself, not
 * by libmnl. */
#include "nft/socket.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { REPLIES_MAX = 8, ADDED = 3 };

/* What the kernel in play does. */
static struct {
	bool answers_ends; /* Linux 6.10 and later */
	int refuses;       /* the number of the message that it refuses, the batch's begin is 0; -1: none */
	int error;         /* with this */
	bool loses;        /* its replies find no room in the socket's queue */
	bool is_silent;
} kernel;

static struct {
	struct nlmsgerr items[REPLIES_MAX];
	uint32_t sequence[REPLIES_MAX];
	size_t count, next;
} replies;
static unsigned sent;

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags);

static bool is_end(const struct nlmsghdr *header)
{
	return header->nlmsg_type == NFNL_MSG_BATCH_BEGIN || header->nlmsg_type == NFNL_MSG_BATCH_END;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	const struct iovec *part = message->msg_iov;
	size_t at = 0;

	(void)fd;
	(void)flags;
	sent++;
	assert_int_equal(message->msg_iovlen, 1);
	replies.count = replies.next = 0;
	for (int number = 0; at < part->iov_len; number++) {
		struct nlmsghdr header;
		memcpy(&header, (const char *)part->iov_base + at, sizeof(header));
		at += NLMSG_ALIGN(header.nlmsg_len);
		bool refused = number == kernel.refuses, acked = header.nlmsg_flags & NLM_F_ACK;
		if (!refused && (!acked || (is_end(&header) && !kernel.answers_ends)))
			continue;
		assert_true(replies.count < REPLIES_MAX);
		replies.sequence[replies.count] = header.nlmsg_seq;
		replies.items[replies.count++] =
			(struct nlmsgerr){ .error = refused ? kernel.error : 0, .msg = header };
	}
	assert_int_equal(at, part->iov_len);
	if (kernel.is_silent)
		replies.count = 0;
	return (ssize_t)part->iov_len;
}

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags)
{
	struct nlmsghdr header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct nlmsgerr)), .nlmsg_type = NLMSG_ERROR };

	(void)fd;
	assert_true(flags & MSG_DONTWAIT);
	assert_true(size >= header.nlmsg_len);
	if (kernel.loses && replies.count) {
		replies.count = 0;
		errno = ENOBUFS;
		return -1;
	}
	if (replies.next >= replies.count) {
		errno = EAGAIN;
		return -1;
	}
	header.nlmsg_seq = replies.sequence[replies.next];
	memcpy(buffer, &header, sizeof(header));
	memcpy((char *)buffer + NLMSG_HDRLEN, &replies.items[replies.next++], sizeof(struct nlmsgerr));
	return header.nlmsg_len;
}

/* A transaction of ADDED messages between the begin and the end. */
static int commit(struct nft_socket *socket)
{
	struct op ops[ADDED];

	for (size_t i = 0; i < ADDED; i++)
		ops[i] = (struct op){ .kind = OP_TABLE_DELETE };
	replies.count = replies.next = 0;
	sent = 0;
	int r = nft_commit(socket, ops, ADDED, 0);
	assert_int_equal(sent, 1); /* two would be two transactions */
	return r;
}

static int open_socket(void **state)
{
	static struct nft_socket socket;

	memset(&kernel, 0, sizeof(kernel));
	kernel.refuses = -1;
	*state = &socket;
	return nft_open(&socket, -1);
}

static int close_socket(void **state)
{
	nft_close(*state);
	return 0;
}

static void test_no_kernel_answers_the_end(void **state)
{
	for (int answers = 0; answers < 2; answers++) {
		kernel.answers_ends = answers;
		assert_int_equal(commit(*state), 0);
		assert_int_equal(replies.count, 1); /* and nothing more is requested */
	}
}

static void test_one_batch_after_another(void **state)
{
	for (int i = 0; i < 3; i++)
		assert_int_equal(commit(*state), 0);
}

static void test_any_error_wins(void **state)
{
	struct nft_socket *socket = *state;

	kernel.error = -ENOENT;
	for (int answers = 0; answers < 2; answers++) {
		kernel.answers_ends = answers;
		/* The begin stands for a commit that fails when all messages were good. */
		for (kernel.refuses = 0; kernel.refuses <= ADDED; kernel.refuses++) {
			assert_int_equal(commit(socket), -ENOENT);
			assert_non_null(strstr(socket->error, "refused"));
		}
	}
}

static void test_silence_is_no_success(void **state)
{
	struct nft_socket *socket = *state;

	kernel.is_silent = true;
	assert_int_equal(commit(socket), -EIO);
	assert_non_null(strstr(socket->error, "did not acknowledge"));
	kernel.is_silent = false;
	kernel.loses = true;
	assert_int_equal(commit(socket), -ENOBUFS);
}

static void test_nothing_to_send(void **state)
{
	replies.count = 0;
	sent = 0;
	assert_int_equal(nft_commit(*state, NULL, 0, 0), -EINVAL);
	assert_int_equal(sent, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_kernel_answers_the_end, open_socket, close_socket),
		cmocka_unit_test_setup_teardown(test_one_batch_after_another, open_socket, close_socket),
		cmocka_unit_test_setup_teardown(test_any_error_wins, open_socket, close_socket),
		cmocka_unit_test_setup_teardown(test_silence_is_no_success, open_socket, close_socket),
		cmocka_unit_test_setup_teardown(test_nothing_to_send, open_socket, close_socket),
	};
	return cmocka_run_group_tests_name("nft_socket", tests, NULL, NULL);
}
