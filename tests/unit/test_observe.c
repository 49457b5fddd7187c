/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How spefw-resolver reads its NFLOG socket, with a clock, a socket and a channel of the test's. What it makes of the
 * packets is seen in tests/system/resolver.py. */
#include "resolver/channel.h"
#include "resolver/observe.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { TURN_USEC = 2000, PAUSE_MS = 3 };

static int64_t clock_usec, usec_a_message;
static unsigned denials, shown, unasked, lost;
static const char *prefix;
/* What recv() gives, one after the other: 0 a denial, else an errno; the last one again and again. */
static const int *script;
static size_t script_at, script_count;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
ssize_t __wrap_recv(int fd, void *bytes, size_t length, int flags);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	(void)clock;
	*ret = (struct timespec){ .tv_sec = clock_usec / 1000000, .tv_nsec = clock_usec % 1000000 * 1000 };
	return 0;
}

static size_t put_attribute(uint8_t *at, uint16_t type, const void *bytes, size_t length)
{
	struct nlattr attribute = { (uint16_t)(NLA_HDRLEN + length), type };

	memcpy(at, &attribute, sizeof(attribute));
	memcpy(at + NLA_HDRLEN, bytes, length);
	return NLA_ALIGN(attribute.nla_len);
}

static size_t put_denial(uint8_t *bytes)
{
	static const uint8_t syn[40] = {
		0x45,      [3] = 40,   [9] = 6,  [12] = 192, [14] = 2,  [15] = 25,   [16] = 198,
		[17] = 51, [18] = 100, [19] = 9, [21] = 9,   [23] = 80, [32] = 0x50, [33] = 2
	};
	struct nlmsghdr header = { .nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET };
	size_t length = NLMSG_HDRLEN + sizeof(struct nfgenmsg);

	memset(bytes, 0, 256);
	length += put_attribute(bytes + length, NFULA_PREFIX, prefix, strlen(prefix) + 1);
	length += put_attribute(bytes + length, NFULA_PAYLOAD, syn, sizeof(syn));
	header.nlmsg_len = (uint32_t)length;
	memcpy(bytes, &header, sizeof(header));
	return length;
}

ssize_t __wrap_recv(int fd, void *bytes, size_t length, int flags)
{
	int what = script[script_at < script_count ? script_at++ : script_count - 1];

	assert_true(fd >= 0 && length >= 65536 && flags & MSG_DONTWAIT);
	clock_usec += usec_a_message;
	errno = what;
	return what ? -1 : (ssize_t)put_denial(bytes);
}

struct wire_address channel_address(const struct addr *addr)
{
	struct wire_address address = { .family = 4 };

	memcpy(address.bytes, addr->bytes, 4);
	return address;
}

static void check(const struct wire_denial *denial, bool name)
{
	assert_int_equal(denial->head.kind, WIRE_DENIAL);
	assert_int_equal(denial->target_port, 80);
	assert_int_equal(denial->kind == DENIAL_NAME, name);
}

void channel_report(const void *record)
{
	check(record, true);
	denials++;
}

void channel_offer(const void *record)
{
	check(record, false);
	shown++;
}

void channel_count_unasked(void)
{
	unasked++;
}

void channel_count_lost(void)
{
	lost++;
}

void channel_fail(const char *format, ...)
{
	fail_msg("%s", format);
	abort();
}

static int set_up(void **state)
{
	(void)state;
	clock_usec = 1000 * 1000000LL;
	usec_a_message = 0;
	denials = shown = unasked = lost = 0;
	prefix = "spefw denied-name ";
	observe_set_nflog(dup(STDERR_FILENO));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	observe_set_nflog(-1);
	assert_int_equal(observe_fd(), -1);
	assert_int_equal(observe_timeout_ms(), -1);
	return 0;
}

static void read_some(const int *what, size_t count)
{
	script = what;
	script_count = count;
	script_at = 0;
	observe_read();
}

/* All that is there, whatever comes between. */
static void all_of_it(void **state)
{
	static const int what[] = { 0, ENOBUFS, 0, EINTR, ENOBUFS, 0, EAGAIN };

	(void)state;
	read_some(what, sizeof(what) / sizeof(what[0]));
	assert_int_equal(denials, 3);
	assert_int_equal(lost, 2);
	assert_int_equal(unasked, 0);
	assert_true(observe_fd() >= 0);
	assert_int_equal(observe_timeout_ms(), -1);
}

/* There is always more: it stops, rests, and goes on. */
static void without_end(void **state)
{
	static const int what[] = { 0 };

	(void)state;
	usec_a_message = 500;
	read_some(what, 1);
	assert_int_equal(denials, TURN_USEC / 500);
	assert_int_equal(observe_fd(), -1);
	assert_int_equal(observe_timeout_ms(), PAUSE_MS);
	clock_usec += PAUSE_MS * 1000 - 1;
	assert_int_equal(observe_fd(), -1);
	assert_int_equal(observe_timeout_ms(), 1);
	clock_usec++;
	assert_true(observe_fd() >= 0);
	assert_int_equal(observe_timeout_ms(), -1);
	read_some(what, 1);
	assert_int_equal(denials, 2 * TURN_USEC / 500);
}

/* What is but shown is bounded: a burst, and then so many a second; what a name might cure is not. */
static void bounded_rate(void **state)
{
	static const int some[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, EAGAIN };
	static const char *const prefixes[] = { "spefw denied-in ", "spefw denied-out ", "spefw denied-early " };

	(void)state;
	for (int i = 0; i < 60; i++) {
		prefix = prefixes[i % 3];
		read_some(some, sizeof(some) / sizeof(some[0]));
	}
	assert_int_equal(shown, 200);
	clock_usec += 100 * 1000;
	for (int i = 0; i < 3; i++)
		read_some(some, sizeof(some) / sizeof(some[0]));
	assert_int_equal(shown, 210);
	prefix = "spefw denied-name ";
	for (int i = 0; i < 60; i++)
		read_some(some, sizeof(some) / sizeof(some[0]));
	assert_int_equal(denials, 600);
	assert_int_equal(shown, 210);
	prefix = "spefw denied";
	read_some(some, sizeof(some) / sizeof(some[0]));
	assert_int_equal(denials + shown, 810);
}

/* A socket that was taken away needs no pause, and a new one begins at once. */
static void another_socket(void **state)
{
	static const int what[] = { 0 };

	(void)state;
	usec_a_message = TURN_USEC;
	read_some(what, 1);
	assert_int_equal(observe_fd(), -1);
	observe_set_nflog(-1);
	assert_int_equal(observe_timeout_ms(), -1);
	observe_set_nflog(dup(STDERR_FILENO));
	assert_true(observe_fd() >= 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = { TEST(all_of_it), TEST(without_end), TEST(bounded_rate),
					    TEST(another_socket) };

	return cmocka_run_group_tests_name("observe", tests, NULL, NULL);
}
