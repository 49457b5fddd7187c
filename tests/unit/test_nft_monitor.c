/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What counts as a change that was not heard. It includes the monitor, for a queue that is not the kernel's. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>

static ssize_t fake_recv(void *buffer, size_t size);

#include <libmnl/libmnl.h>
#define mnl_socket_get_fd(socket) ((void)(socket), -1)
#include <sys/socket.h>
#define recv(fd, buffer, size, flags) ((void)(fd), fake_recv(buffer, size))
#include "../../daemon/nft/monitor.c"
#undef recv

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* A queue: each letter is what a read brings. n: a notice of another table; o: the queue ran over; i: interrupted.
 * Empty behind the last. */
static const char *queue;
static unsigned heard, unheard, others;

static ssize_t fake_recv(void *buffer, size_t size)
{
	struct nlmsghdr header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg)),
				   .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE };

	switch (*queue) {
	case 'n':
		queue++;
		assert_true(size >= header.nlmsg_len);
		memset(buffer, 0, header.nlmsg_len);
		memcpy(buffer, &header, sizeof(header));
		return header.nlmsg_len;
	case 'o':
		queue++;
		errno = ENOBUFS;
		return -1;
	case 'i':
		queue++;
		errno = EINTR;
		return -1;
	default: errno = EAGAIN; return -1;
	}
}

static void on_changed(void *userdata, const char *what)
{
	(void)userdata;
	heard += what != NULL;
	unheard += what == NULL;
}

static void on_others(void *userdata)
{
	(void)userdata;
	others++;
}

static struct nft_monitor start(const char *letters)
{
	queue = letters;
	heard = unheard = others = 0;
	return (struct nft_monitor){ .changed = on_changed, .others_changed = on_others };
}

static void test_all_is_heard(void **state)
{
	struct nft_monitor monitor = start("nninn");

	(void)state;
	assert_false(read_notices(&monitor));
	assert_int_equal(heard + unheard, 0);
	assert_string_equal(queue, "");
}

static void test_overrun_in_one_turn(void **state)
{
	struct nft_monitor monitor = start("nonn");

	(void)state;
	assert_false(read_notices(&monitor));
	assert_int_equal(unheard, 1);
	assert_false(read_notices(&monitor));
	assert_int_equal(unheard, 1);
}

/* The kernel reports the first loss alone until the queue has been empty. */
static void test_overrun_until_the_queue_is_empty(void **state)
{
	char letters[3 * READS_A_TURN];
	struct nft_monitor monitor;

	(void)state;
	memset(letters, 'n', sizeof(letters));
	letters[0] = 'o';
	letters[sizeof(letters) - 1] = '\0';
	monitor = start(letters);
	assert_true(read_notices(&monitor));
	assert_int_equal(unheard, 1);
	assert_true(read_notices(&monitor));
	assert_int_equal(unheard, 1);
	assert_false(read_notices(&monitor));
	assert_int_equal(unheard, 2);
	assert_false(read_notices(&monitor));
	assert_int_equal(unheard, 2);
}

static void test_drained(void **state)
{
	char letters[2 * READS_A_TURN + 1];
	struct nft_monitor monitor;

	(void)state;
	memset(letters, 'n', sizeof(letters));
	letters[sizeof(letters) - 1] = '\0';
	monitor = start(letters);
	assert_false(nft_monitor_drain(&monitor));
	assert_string_equal(queue, "");
	letters[0] = 'o';
	queue = letters;
	assert_true(nft_monitor_drain(&monitor));
	assert_int_equal(unheard, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_is_heard),
		cmocka_unit_test(test_overrun_in_one_turn),
		cmocka_unit_test(test_overrun_until_the_queue_is_empty),
		cmocka_unit_test(test_drained),
	};
	return cmocka_run_group_tests_name("nft_monitor", tests, NULL, NULL);
}
