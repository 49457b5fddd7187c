/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/channel.h"
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	COUNTS_EVERY_MS = 100, /* losses have spefwd query again, so they are not kept for long */
	LAST_PRINTABLE = 0x7e,
};

struct kept {
	struct kept *next;
	_Alignas(struct wire_head) uint8_t record[];
};

static struct {
	struct kept *kept, **kept_end; /* in their order; kept_end NULL: none was kept yet */
	bool pong_due;
	uint64_t pong;
	struct wire_counts counts; /* not reported yet */
	int64_t counts_sent_ms;    /* 0: never */
} channel;

void channel_fail(const char *format, ...)
{
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_error("spefw-resolver ends: %s", text);
	_exit(EXIT_FAILURE);
}

static int64_t monotonic_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Sending. */

static bool send_now(const void *record)
{
	const struct wire_head *head = record;

	for (;;) {
		if (send(WIRE_FD, record, head->length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return true;
		if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
			return false;
		if (errno == EPIPE || errno == ECONNRESET)
			_exit(EXIT_SUCCESS);
		if (errno != EINTR)
			channel_fail("can't send to spefwd: %m");
	}
}

static void keep(const void *record)
{
	const struct wire_head *head = record;
	struct kept *kept = malloc(sizeof(*kept) + head->length);

	if (!kept)
		channel_fail("out of memory");
	kept->next = NULL;
	memcpy(kept->record, record, head->length);
	if (!channel.kept)
		channel.kept_end = &channel.kept;
	*channel.kept_end = kept;
	channel.kept_end = &kept->next;
}

struct wire_address channel_address(const struct addr *addr)
{
	struct wire_address address = { .family = addr->family == FAMILY_4 ? 4 : 6 };

	memcpy(address.bytes, addr->bytes, addr_size(addr->family));
	return address;
}

void channel_send_ready(bool landlock)
{
	struct wire_ready ready = { .head = { WIRE_READY, sizeof(ready) },
				    .version = WIRE_VERSION,
				    .landlock = landlock };

	if (!send_now(&ready))
		channel_fail("no room for the first record to spefwd");
}

void channel_send_pong(uint64_t number)
{
	struct wire_beat pong = { { WIRE_PONG, sizeof(pong) }, number };

	channel.pong_due = !send_now(&pong);
	channel.pong = number;
}

void channel_send_answer(const void *record)
{
	if (channel.kept || !send_now(record))
		keep(record);
}

void channel_report(const void *record)
{
	if (!channel.kept && send_now(record))
		return;
	channel.counts.dropped++;
}

void channel_offer(const void *record)
{
	if (!channel.kept)
		send_now(record);
}

void channel_count_unasked(void)
{
	channel.counts.unasked++;
}

void channel_count_lost(void)
{
	channel.counts.lost++;
}

static bool has_counts(void)
{
	return channel.counts.unasked || channel.counts.lost || channel.counts.dropped;
}

static int64_t counts_due_ms(void)
{
	return channel.counts_sent_ms ? channel.counts_sent_ms + COUNTS_EVERY_MS : 0;
}

static void flush_counts(void)
{
	int64_t now = monotonic_ms();

	if (!has_counts() || now < counts_due_ms())
		return;
	channel.counts.head = (struct wire_head){ WIRE_COUNTS, sizeof(channel.counts) };
	if (!send_now(&channel.counts))
		return;
	channel.counts = (struct wire_counts){ 0 };
	channel.counts_sent_ms = now;
}

void channel_flush(void)
{
	if (channel.pong_due)
		channel_send_pong(channel.pong);
	while (channel.kept && send_now(channel.kept->record)) {
		struct kept *sent = channel.kept;
		channel.kept = sent->next;
		free(sent);
	}
	if (!channel.kept)
		flush_counts();
}

bool channel_waits_for_room(void)
{
	/* Counts that are due now have just found no room. */
	return channel.pong_due || channel.kept || (has_counts() && monotonic_ms() >= counts_due_ms());
}

int channel_timeout_ms(void)
{
	int64_t left = counts_due_ms() - monotonic_ms();
	return has_counts() && left > 0 ? (int)left : -1;
}

/* Receiving. */

static bool is_name(const char name[WIRE_NAME_MAX])
{
	size_t length = strnlen(name, WIRE_NAME_MAX);

	if (length == 0 || length == WIRE_NAME_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if (name[i] <= ' ' || name[i] > LAST_PRINTABLE || (name[i] >= 'A' && name[i] <= 'Z'))
			return false;
	for (size_t i = length; i < WIRE_NAME_MAX; i++)
		if (name[i])
			return false;
	return true;
}

static bool are_servers(const struct wire_servers *servers)
{
	if (servers->count > WIRE_SERVERS_MAX)
		return false;
	for (uint32_t i = 0; i < servers->count; i++)
		if ((servers->items[i].address.family != 4 && servers->items[i].address.family != 6) ||
		    !servers->items[i].port)
			return false;
	return true;
}

static bool is_sound(const struct channel_record *record, size_t length)
{
	if (length < sizeof(record->head) || record->head.length != length)
		return false;
	if (record->fd >= 0 && record->head.kind != WIRE_NFLOG)
		return false;
	switch (record->head.kind) {
	case WIRE_SERVERS: return length == sizeof(record->servers) && are_servers(&record->servers);
	case WIRE_QUERY:
		return length == sizeof(record->query) && (record->query.family == 4 || record->query.family == 6) &&
		       is_name(record->query.name);
	case WIRE_WATCH: return length == sizeof(record->watch) && is_name(record->watch.name);
	case WIRE_WATCH_BEGIN:
	case WIRE_WATCH_END:
	case WIRE_NFLOG: return length == sizeof(struct wire_plain);
	case WIRE_PING: return length == sizeof(record->beat);
	default: return false;
	}
}

/* The descriptor that came with a record; -1: none. There is room for one alone: more of them are cut off. */
static int descriptor_of(struct msghdr *message)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (control && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS &&
	    control->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(control), sizeof(fd));
	return fd;
}

bool channel_receive(struct channel_record *ret)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { ret, offsetof(struct channel_record, fd) };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(sizeof(int)) /* not its padding, where another one fits in */
	};
	ssize_t length;

	memset(ret, 0, sizeof(*ret));
	do
		length = recvmsg(WIRE_FD, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (length < 0 && errno == EINTR);
	if (length < 0 && errno == EAGAIN)
		return false;
	if (length == 0 || (length < 0 && errno == ECONNRESET))
		_exit(EXIT_SUCCESS);
	if (length < 0)
		channel_fail("can't receive from spefwd: %m");
	ret->fd = descriptor_of(&message);
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || !is_sound(ret, (size_t)length))
		channel_fail("what spefwd sent makes no sense");
	return true;
}
