/* SPDX-License-Identifier: GPL-2.0-or-later */
/* spefw-resolver: asks DNS servers, and reads the packets that spefwd's rules copy, for spefwd, which starts it with a
 * socket (WIRE_FD) and nothing else. What strangers write is read here and nowhere else. */
#include "log.h"
#include "resolver/channel.h"
#include "resolver/observe.h"
#include "resolver/queries.h"
#include "resolver/sandbox.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	RECORDS_A_TURN = 64, /* then the network has its turn */
	POLLED_CHANNEL = 0,
	POLLED_NFLOG,
	POLLED_SOCKETS,
};

static void take_record(const struct channel_record *record)
{
	switch (record->head.kind) {
	case WIRE_SERVERS: queries_set_servers(&record->servers); break;
	case WIRE_QUERY: queries_add(&record->query); break;
	case WIRE_WATCH_BEGIN: observe_watch_begin(); break;
	case WIRE_WATCH: observe_watch(record->watch.name); break;
	case WIRE_WATCH_END: observe_watch_end(); break;
	case WIRE_NFLOG: observe_set_nflog(record->fd); break;
	case WIRE_PING:
		/* What was copied before it is reported before its answer. */
		if (observe_fd() >= 0)
			observe_read();
		channel_send_pong(record->beat.number);
		break;
	}
}

static void take_records(void)
{
	struct channel_record record;

	for (unsigned i = 0; i < RECORDS_A_TURN && channel_receive(&record); i++)
		take_record(&record);
}

static int earlier(int a_ms, int b_ms)
{
	if (a_ms < 0 || b_ms < 0)
		return a_ms < 0 ? b_ms : a_ms;
	return a_ms < b_ms ? a_ms : b_ms;
}

static void turn(void)
{
	static struct pollfd fds[POLLED_SOCKETS + QUERIES_SOCKETS_MAX];
	size_t sockets = queries_sockets(fds + POLLED_SOCKETS);

	fds[POLLED_CHANNEL] = (struct pollfd){ .fd = WIRE_FD, .events = POLLIN };
	if (channel_waits_for_room())
		fds[POLLED_CHANNEL].events |= POLLOUT;
	fds[POLLED_NFLOG] = (struct pollfd){ .fd = observe_fd(), .events = POLLIN };
	int wait_ms = earlier(earlier(queries_timeout_ms(), channel_timeout_ms()), observe_timeout_ms());
	if (poll(fds, POLLED_SOCKETS + sockets, wait_ms) < 0) {
		if (errno != EINTR)
			channel_fail("can't wait: %m");
		return;
	}
	queries_process(fds + POLLED_SOCKETS, sockets);
	if (fds[POLLED_NFLOG].revents)
		observe_read();
	if (fds[POLLED_CHANNEL].revents & ~POLLOUT)
		take_records();
	channel_flush();
}

int main(int argc, char **argv)
{
	unsigned parts = SANDBOX_ALL;
	int type = 0;
	socklen_t size = sizeof(type);

	log_prepare();
	if (getsockopt(WIRE_FD, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET)
		channel_fail("spefwd starts it, nobody else");
#ifdef TEST_HOOK
	if (argc > 1)
		parts = (unsigned)strtoul(argv[1], NULL, 10);
#else
	(void)argc;
	(void)argv;
#endif
	queries_init(observe_aliases);
	bool landlock = sandbox_enter(parts);
	malloc_trim(0);
	channel_send_ready(landlock);
	for (;;)
		turn();
}
