/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ares_query() is what c-ares 1.18 and 1.34 both have that gives the bytes of an answer; the latter calls it
 * deprecated. */
#define CARES_NO_DEPRECATED
#include "resolver/queries.h"
#include "log.h"
#include "resolver/channel.h"

#include <ares.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef TEST_HOOK
const char *test_hook(const char *name); /* NULL: an ordinary name; else what became of it (tests/system) */
#endif

enum {
	TRY_MS = 2000,    /* for the first answer of a server; c-ares lengthens it for the next tries */
	TRIES = 2,        /* of each server; spefwd asks again soon after a failure */
	EDNS_SIZE = 1232, /* what passes without fragments, as agreed in 2020 */
};

/* From WIRE_QUERY to its answer. */
struct query {
	struct query *next;
	uint32_t id;
	enum family family;
	uint64_t heard;   /* queries.heard when it began */
	bool interrupted; /* by new servers: to be asked of them */
	char name[WIRE_NAME_MAX];
};

/* Two of them: FIRST asks, and goes on to the next server where one fails. In c-ares 1.18 it then can't tell SERVFAIL
 * and REFUSED of all servers from a closed port, so that VERDICT, which takes the first response as it is, is asked for
 * the word. */
enum { FIRST, VERDICT, CHANNELS };

static struct {
	ares_channel channels[CHANNELS];
	queries_aliases learn;
	bool has_servers, interrupting;
	uint64_t heard; /* how often a server has sent anything, whatever it was */
	struct query *waiting;
	struct socket_watch {
		ares_socket_t fd;
		ares_channel *channel;
		short events;
	} sockets[QUERIES_SOCKETS_MAX];
	size_t socket_count;
} queries;

/* Sockets and time of c-ares. */

/* Each is a descriptor of its own, and there are no more of these (RLIMIT_NOFILE). */
static void on_socket_state(void *userdata, ares_socket_t fd, int readable, int writable)
{
	short events = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
	size_t at = 0;

	while (at < queries.socket_count && queries.sockets[at].fd != fd)
		at++;
	if (at == queries.socket_count && events && at < QUERIES_SOCKETS_MAX)
		queries.socket_count++;
	if (at == queries.socket_count)
		return;
	if (events)
		queries.sockets[at] = (struct socket_watch){ fd, userdata, events };
	else
		queries.sockets[at] = queries.sockets[--queries.socket_count];
}

size_t queries_sockets(struct pollfd fds[QUERIES_SOCKETS_MAX])
{
	for (size_t i = 0; i < queries.socket_count; i++)
		fds[i] = (struct pollfd){ .fd = queries.sockets[i].fd, .events = queries.sockets[i].events };
	return queries.socket_count;
}

int queries_timeout_ms(void)
{
	struct timeval longest = { .tv_sec = 24 * 60 * 60 }, wait = longest, kept;

	for (size_t i = 0; i < CHANNELS; i++)
		wait = *ares_timeout(queries.channels[i], &wait, &kept);
	/* One millisecond more than c-ares says: its own rounding must not make the loop spin until the moment is
	 * there. */
	return wait.tv_sec == longest.tv_sec ? -1 : (int)(wait.tv_sec * 1000 + wait.tv_usec / 1000 + 1);
}

/* What is done for one socket may close another one. */
static void process_socket(const struct pollfd *polled)
{
	bool failed = polled->revents & (POLLERR | POLLHUP | POLLNVAL);

	for (size_t i = 0; i < queries.socket_count; i++) {
		if (queries.sockets[i].fd != polled->fd)
			continue;
		queries.heard += (polled->revents & POLLIN) && !failed; /* connected sockets: nobody else can */
		ares_process_fd(*queries.sockets[i].channel,
				polled->revents & POLLIN || failed ? polled->fd : ARES_SOCKET_BAD,
				polled->revents & POLLOUT ? polled->fd : ARES_SOCKET_BAD);
		return;
	}
}

void queries_process(const struct pollfd *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i].revents)
			process_socket(&fds[i]);
	for (size_t i = 0; i < CHANNELS; i++)
		ares_process_fd(queries.channels[i], ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

/* Answers. */

static void finish(struct query *query)
{
	struct query **link = &queries.waiting;

	while (*link != query)
		link = &(*link)->next;
	*link = query->next;
	free(query);
}

static void fail(struct query *query, const char *error, bool silent)
{
	struct wire_failure failure = { .head = { WIRE_FAILURE, sizeof(failure) }, .id = query->id, .silent = silent };

	snprintf(failure.error, sizeof(failure.error), "%s", error);
	channel_send_answer(&failure);
	finish(query);
}

static void answer(struct query *query, const struct dns_message *message)
{
	static union {
		struct wire_answer answer;
		uint8_t bytes[WIRE_RECORD_MAX];
	} record; /* large, and there is one thread */
	size_t length = offsetof(struct wire_answer, addresses);

	memset(&record.answer, 0, length);
	for (size_t i = 0; i < message->address_count; i++, length += sizeof(struct wire_address))
		record.answer.addresses[i] = channel_address(&message->addresses[i]);
	for (size_t i = 0; i < message->aliases; i++, length += WIRE_NAME_MAX) {
		char *alias = (char *)record.bytes + length;
		memset(alias, 0, WIRE_NAME_MAX);
		memcpy(alias, message->alias_names[i], strnlen(message->alias_names[i], WIRE_NAME_MAX - 1));
	}
	record.answer.head = (struct wire_head){ WIRE_ANSWER, (uint32_t)length };
	record.answer.id = query->id;
	record.answer.ttl_s = message->ttl_s;
	record.answer.count = (uint16_t)message->address_count;
	record.answer.alias_count = (uint16_t)message->aliases;
	record.answer.family = query->family == FAMILY_4 ? 4 : 6;
	queries.learn(query->name, query->family, message);
	channel_send_answer(&record);
	finish(query);
}

static const char *status_word(int status)
{
	switch (status) {
	case ARES_EFORMERR: return "FORMERR";
	case ARES_ESERVFAIL: return "SERVFAIL";
	case ARES_ENOTIMP: return "NOTIMP";
	case ARES_EREFUSED: return "REFUSED";
	case ARES_ETIMEOUT: return "timeout";
	case ARES_ECONNREFUSED: return "no DNS server answers";
	case ARES_EBADRESP: return "malformed answer";
	case ARES_EBADNAME:
	case ARES_EBADQUERY: return "not a DNS name";
	case ARES_ENOMEM: return "out of memory";
	case ARES_ECANCELLED:
	case ARES_EDESTRUCTION: return "cancelled";
	case ARES_EOF: return "connection lost";
	default: return ares_strerror(status);
	}
}

/* NULL: an answer. */
static const char *read_message(const struct query *query, const uint8_t *bytes, size_t length, struct dns_message *ret)
{
	if (dns_message_read(bytes, length, ret) < 0) {
		log_info("Answer about %s refused: %s", query->name, ret->reason);
		return "malformed answer";
	}
	if (ret->rcode != DNS_NOERROR && ret->rcode != DNS_NXDOMAIN)
		return dns_rcode_name(ret->rcode);
	if (!dns_message_is_for(ret, query->name, query->family))
		return "answer to another question";
	return ret->truncated ? "truncated answer" : NULL;
}

static void on_verdict(void *userdata, int status, int timeouts, unsigned char *bytes, int length)
{
	static struct dns_message message; /* large, and there is one thread */
	struct query *query = userdata;
	const char *error = NULL;
	bool silent = false;

	(void)timeouts;
	if (queries.interrupting) {
		query->interrupted = true;
		return;
	}
	if (bytes && length > 0) {
		error = read_message(query, bytes, (size_t)length, &message);
	} else if (status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND) {
		/* What c-ares knows by itself, as that .onion names are not in the DNS. */
		message.address_count = message.aliases = message.ttl_s = 0;
	} else {
		error = status_word(status);
		silent = (status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED) && query->heard == queries.heard;
	}
	if (error)
		fail(query, error, silent);
	else
		answer(query, &message);
}

static void ask(struct query *query, int channel, ares_callback callback)
{
	ares_query(queries.channels[channel], query->name, 1, query->family == FAMILY_4 ? DNS_TYPE_A : DNS_TYPE_AAAA,
		   callback, query);
}

static void on_answer(void *userdata, int status, int timeouts, unsigned char *bytes, int length)
{
	if (status == ARES_ECONNREFUSED && !queries.interrupting)
		ask(userdata, VERDICT, on_verdict);
	else
		on_verdict(userdata, status, timeouts, bytes, length);
}

/* The query may be gone after this: c-ares may answer from within. */
static void begin(struct query *query)
{
#ifdef TEST_HOOK
	const char *result = test_hook(query->name);
	if (result) {
		fail(query, result, false);
		return;
	}
#endif
	query->heard = queries.heard;
	if (queries.has_servers)
		ask(query, FIRST, on_answer);
	else
		fail(query, "no DNS server", true);
}

void queries_add(const struct wire_query *record)
{
	struct query *query = calloc(1, sizeof(*query));

	if (!query)
		channel_fail("out of memory");
	for (const struct query *other = queries.waiting; other; other = other->next)
		if (other->id == record->id)
			channel_fail("two queries of spefwd have the same number");
	*query = (struct query){ .next = queries.waiting,
				 .id = record->id,
				 .family = record->family == 4 ? FAMILY_4 : FAMILY_6 };
	memcpy(query->name, record->name, sizeof(query->name));
	queries.waiting = query;
	begin(query);
}

/* Servers, and how to ask them. */

static void open_channel(int index)
{
	/* All that c-ares would look for in files is given: it opens none. */
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS |
			 (index == VERDICT ? ARES_FLAG_NOCHECKRESP : 0),
		.timeout = TRY_MS,
		.tries = TRIES,
		.ndots = 1,
		.ednspsz = EDNS_SIZE,
		.lookups = (char[]){ "b" },
		.resolvconf_path = (char[]){ "/dev/null" },
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = &queries.channels[index],
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_EDNSPSZ |
		   ARES_OPT_LOOKUPS | ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_SORTLIST | ARES_OPT_RESOLVCONF |
		   ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE;
#ifdef ARES_OPT_QUERY_CACHE
	/* spefwd knows when to ask, and a refresh must not be answered from memory. */
	options.qcache_max_ttl = 0;
	mask |= ARES_OPT_QUERY_CACHE;
#endif
#ifdef ARES_OPT_UDP_MAX_QUERIES
	/* A malformed answer ends its connection for c-ares, with the other queries on that one. */
	options.udp_max_queries = 1;
	mask |= ARES_OPT_UDP_MAX_QUERIES;
#endif
	int status = ares_init_options(&queries.channels[index], &options, mask);
	if (status != ARES_SUCCESS)
		channel_fail("c-ares can't begin: %s", ares_strerror(status));
}

void queries_init(queries_aliases learn)
{
	queries.learn = learn;
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		channel_fail("c-ares can't begin");
	for (int i = 0; i < CHANNELS; i++)
		open_channel(i);
}

/* What begins may finish at once, and others with it. */
static void begin_interrupted(void)
{
	struct query *query = queries.waiting;

	while (query) {
		if (!query->interrupted) {
			query = query->next;
			continue;
		}
		query->interrupted = false;
		begin(query);
		query = queries.waiting;
	}
}

void queries_set_servers(const struct wire_servers *servers)
{
	struct ares_addr_port_node nodes[WIRE_SERVERS_MAX] = { 0 };

	for (uint32_t i = 0; i < servers->count; i++) {
		bool four = servers->items[i].address.family == 4;
		nodes[i].next = i + 1 < servers->count ? &nodes[i + 1] : NULL;
		nodes[i].family = four ? AF_INET : AF_INET6;
		memcpy(&nodes[i].addr, servers->items[i].address.bytes, four ? 4 : 16);
		nodes[i].udp_port = nodes[i].tcp_port = servers->items[i].port;
	}
	queries.interrupting = true;
	for (size_t i = 0; i < CHANNELS; i++)
		ares_cancel(queries.channels[i]);
	queries.interrupting = false;
	queries.has_servers = servers->count > 0;
	for (size_t i = 0; queries.has_servers && i < CHANNELS; i++)
		if (ares_set_servers_ports(queries.channels[i], nodes) != ARES_SUCCESS)
			channel_fail("c-ares doesn't take the servers");
	begin_interrupted();
}
