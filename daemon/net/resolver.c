/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ares_query() is what c-ares 1.18 and 1.34 both have that gives the bytes of an answer; the latter calls it
 * deprecated. */
#define CARES_NO_DEPRECATED
#include "net/resolver.h"
#include "net/resolv_conf.h"

#include "core/dns_message.h"
#include "log.h"

#include <ares.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum {
	TRY_MS = 2000,    /* for the first answer of a server; c-ares lengthens it for the next tries */
	TRIES = 2,        /* of each server; the address book queries again soon after a failure */
	EDNS_SIZE = 1232, /* what passes without fragments, as agreed in 2020 */
	SERVER_TEXT_MAX = ADDR_TEXT_MAX + 9, /* "[address]:65535," */
};

static_assert(sizeof(((struct dns_message *)0)->question) > CONFIG_NAME_MAX, "a question holds every name");

/* From resolver_query() to the call of done. */
struct query {
	struct query *next;
	struct resolver *resolver;
	char name[CONFIG_NAME_MAX + 1];
	enum family family;
	const char *error;
	struct addr *addresses;
	char (*aliases)[DNS_ALIAS_TEXT_MAX];
	size_t alias_count;
	size_t count;
	uint32_t ttl_s;
};

/* Two of them: FIRST queries, and goes on to the next server where one fails. In c-ares 1.18 SERVFAIL
 * and REFUSED of all servers then look like a closed port, so that VERDICT, which takes the first response as it is, is
 * queried for the reason. */
enum { FIRST, VERDICT, CHANNELS };

struct channel {
	ares_channel handle; /* NULL: no server */
	struct resolver *resolver;
};

struct socket_watch {
	struct socket_watch *next;
	ares_socket_t fd;
	sd_event_source *source;
	struct channel *channel;
};

struct resolver {
	sd_event *event;
	resolver_done done;
	void (*changed)(void *userdata);
	void *userdata;

	struct channel channels[CHANNELS];
	char *servers; /* as c-ares reads them; NULL: those of resolv.conf */
	struct socket_watch *sockets;
	sd_event_source *timer;

	/* c-ares may answer from within ares_query(): what is done is reported from the event loop, where everything is
	 * allowed. */
	struct query *finished, **finished_end;
	sd_event_source *deliver;
	bool announce;   /* changed() is to be called */
	bool delivering; /* then resolver_free() leaves the struct itself to on_deliver() */
	bool freeing;
	struct resolv_conf *resolv_conf; /* NULL: its servers were given */
};

/* Sockets and time of c-ares on the event loop. */

static void arm_timer(struct resolver *resolver)
{
	struct timeval longest = { .tv_sec = 24 * 60 * 60 }, wait = longest, kept;
	uint64_t now;

	for (size_t i = 0; i < CHANNELS; i++)
		if (resolver->channels[i].handle)
			wait = *ares_timeout(resolver->channels[i].handle, &wait, &kept);
	if (wait.tv_sec == longest.tv_sec) {
		sd_event_source_set_enabled(resolver->timer, SD_EVENT_OFF);
		return;
	}
	sd_event_now(resolver->event, CLOCK_MONOTONIC, &now);
	/* One millisecond more than c-ares gives: its own rounding must not make the loop spin until the moment is
	 * there. */
	sd_event_source_set_time(resolver->timer,
				 now + (uint64_t)wait.tv_sec * 1000000 + (uint64_t)wait.tv_usec + 1000);
	sd_event_source_set_enabled(resolver->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t time, void *userdata)
{
	struct resolver *resolver = userdata;

	(void)source;
	(void)time;
	for (size_t i = 0; i < CHANNELS; i++)
		if (resolver->channels[i].handle)
			ares_process_fd(resolver->channels[i].handle, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm_timer(resolver);
	return 0;
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct socket_watch *watch = userdata;
	struct channel *channel = watch->channel;
	bool failed = events & (EPOLLERR | EPOLLHUP);

	(void)source;
	/* The watch may be gone after this. */
	ares_process_fd(channel->handle, events & EPOLLIN || failed ? fd : ARES_SOCKET_BAD,
			events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
	arm_timer(channel->resolver);
	return 0;
}

static void forget_socket(struct socket_watch **link)
{
	struct socket_watch *watch = *link;

	*link = watch->next;
	sd_event_source_disable_unref(watch->source);
	free(watch);
}

/* There is no way to report this failure to c-ares: the query then runs into its timeout. */
static void watch_socket(struct channel *channel, ares_socket_t fd, uint32_t events)
{
	struct resolver *resolver = channel->resolver;
	struct socket_watch *watch = calloc(1, sizeof(*watch));

	if (!watch || sd_event_add_io(resolver->event, &watch->source, fd, events, on_socket, watch) < 0) {
		log_error("out of memory: a DNS query will fail");
		free(watch);
		return;
	}
	watch->fd = fd;
	watch->channel = channel;
	watch->next = resolver->sockets;
	resolver->sockets = watch;
}

static void on_socket_state(void *userdata, ares_socket_t fd, int readable, int writable)
{
	struct channel *channel = userdata;
	uint32_t events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0);
	struct socket_watch **link = &channel->resolver->sockets;

	while (*link && (*link)->fd != fd)
		link = &(*link)->next;
	if (!events && *link)
		forget_socket(link);
	else if (events && *link)
		sd_event_source_set_io_events((*link)->source, events);
	else if (events)
		watch_socket(channel, fd, events);
}

/* Answers. */

static void free_query(struct query *query)
{
	free(query->addresses);
	free(query->aliases);
	free(query);
}

static void finish(struct query *query, const char *error)
{
	struct resolver *resolver = query->resolver;

	if (resolver->freeing) {
		free_query(query);
		return;
	}
	query->error = error;
	query->next = NULL;
	*resolver->finished_end = query;
	resolver->finished_end = &query->next;
	sd_event_source_set_enabled(resolver->deliver, SD_EVENT_ONESHOT);
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

/* NULL: an answer, its addresses are in the query. */
static const char *read_message(struct query *query, const uint8_t *bytes, size_t length)
{
	struct dns_message message;

	if (dns_message_read(bytes, length, &message) < 0) {
		log_info("a DNS answer for %s was refused: %s", query->name, message.reason);
		return "malformed answer";
	}
	if (message.rcode != DNS_NOERROR && message.rcode != DNS_NXDOMAIN)
		return dns_rcode_name(message.rcode);
	if (!dns_message_is_for(&message, query->name, query->family))
		return "answer to another question";
	if (message.truncated)
		return "truncated answer";
	if (message.address_count > 0) {
		query->addresses = malloc(message.address_count * sizeof(*query->addresses));
		if (!query->addresses)
			return "out of memory";
		memcpy(query->addresses, message.addresses, message.address_count * sizeof(*query->addresses));
	}
	query->count = message.address_count;
	if (message.aliases > 0) { /* without memory for them the addresses still count */
		query->aliases = malloc(message.aliases * sizeof(*query->aliases));
		if (query->aliases)
			memcpy(query->aliases, message.alias_names, message.aliases * sizeof(*query->aliases));
		query->alias_count = query->aliases ? message.aliases : 0;
	}
	query->ttl_s = message.ttl_s;
	return NULL;
}

static void on_verdict(void *userdata, int status, int timeouts, unsigned char *bytes, int length)
{
	struct query *query = userdata;
	bool answered = status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND;

	(void)timeouts;
	if (bytes && length > 0 && !query->resolver->freeing)
		finish(query, read_message(query, bytes, (size_t)length));
	else if (answered) /* what c-ares knows by itself, as that .onion names are not in the DNS */
		finish(query, NULL);
	else
		finish(query, status_word(status));
}

static void query_channel(struct channel *channel, struct query *query, ares_callback callback)
{
	ares_query(channel->handle, query->name, 1, query->family == FAMILY_4 ? DNS_TYPE_A : DNS_TYPE_AAAA, callback,
		   query);
}

static void on_answer(void *userdata, int status, int timeouts, unsigned char *bytes, int length)
{
	struct query *query = userdata;
	struct channel *verdict = &query->resolver->channels[VERDICT];

	if (status == ARES_ECONNREFUSED && verdict->handle)
		query_channel(verdict, query, on_verdict);
	else
		on_verdict(userdata, status, timeouts, bytes, length);
}

static void report(struct resolver *resolver, const struct query *query)
{
	struct resolver_answer answer = {
		.name = query->name,
		.family = query->family,
		.error = query->error,
		.addresses = query->addresses,
		.count = query->count,
		.aliases = (const char(*)[DNS_ALIAS_TEXT_MAX])query->aliases,
		.alias_count = query->alias_count,
		.ttl_s = query->ttl_s,
	};

	resolver->done(resolver->userdata, &answer);
}

static int on_deliver(sd_event_source *source, void *userdata)
{
	struct resolver *resolver = userdata;
	struct query *list = resolver->finished, *next;
	bool announce = resolver->announce;

	(void)source;
	resolver->finished = NULL;
	resolver->finished_end = &resolver->finished;
	resolver->announce = false;
	resolver->delivering = true;
	for (; list; list = next) {
		next = list->next;
		if (!resolver->freeing)
			report(resolver, list);
		free_query(list);
	}
	if (!resolver->freeing && announce && resolver->changed)
		resolver->changed(resolver->userdata);
	resolver->delivering = false;
	if (resolver->freeing)
		free(resolver);
	return 0;
}

/* The channel: servers and how to query them. */

static int open_channel(struct channel *channel, int flags)
{
	struct resolver *resolver = channel->resolver;
	char no_file[] = "/dev/null", file[] = RESOLV_CONF;
	/* Lookups are given so that c-ares reads no nsswitch.conf; queries never use the hosts file. */
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS | flags,
		.timeout = TRY_MS,
		.tries = TRIES,
		.ednspsz = EDNS_SIZE,
		.lookups = (char[]){ "b" },
		.resolvconf_path = resolver->servers ? no_file : file,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = channel,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ | ARES_OPT_LOOKUPS |
		   ARES_OPT_RESOLVCONF | ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE;
#ifdef ARES_OPT_QUERY_CACHE
	/* The address book knows when to query, and a refresh must not be answered from memory. */
	options.qcache_max_ttl = 0;
	mask |= ARES_OPT_QUERY_CACHE;
#endif
#ifdef ARES_OPT_UDP_MAX_QUERIES
	/* A malformed answer ends its connection for c-ares, with the other queries on that one. */
	options.udp_max_queries = 1;
	mask |= ARES_OPT_UDP_MAX_QUERIES;
#endif

	int status = ares_init_options(&channel->handle, &options, mask);
	if (status == ARES_SUCCESS && resolver->servers) {
		status = ares_set_servers_ports_csv(channel->handle, resolver->servers);
		if (status != ARES_SUCCESS)
			ares_destroy(channel->handle);
	}
	if (status == ARES_SUCCESS)
		return 0;
	channel->handle = NULL;
	return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
}

/* Every query under way finishes. */
static void close_channels(struct resolver *resolver)
{
	for (size_t i = 0; i < CHANNELS; i++) {
		/* Not to be queried because of what the other one ends. */
		ares_channel handle = resolver->channels[i].handle;
		resolver->channels[i].handle = NULL;
		if (handle)
			ares_destroy(handle);
	}
	while (resolver->sockets)
		forget_socket(&resolver->sockets);
}

static int open_channels(struct resolver *resolver)
{
	int status = 0;

	for (size_t i = 0; i < CHANNELS; i++)
		resolver->channels[i].resolver = resolver;
	if (resolver->servers && !*resolver->servers)
		return 0;
	status = open_channel(&resolver->channels[FIRST], 0);
	if (status == 0)
		status = open_channel(&resolver->channels[VERDICT], ARES_FLAG_NOCHECKRESP);
	if (status < 0)
		close_channels(resolver);
	return status;
}

static void reopen(struct resolver *resolver)
{
	close_channels(resolver);
	int status = open_channels(resolver);
	if (status < 0)
		log_error("the DNS servers of %s can't be queried: %s", RESOLV_CONF, strerror(-status));
	arm_timer(resolver);
}

static void on_resolv_conf(void *userdata)
{
	struct resolver *resolver = userdata;

	log_notice("%s has changed: its DNS servers are queried from now on", RESOLV_CONF);
	reopen(resolver);
	resolver->announce = true;
	sd_event_source_set_enabled(resolver->deliver, SD_EVENT_ONESHOT);
}

/* What the daemon calls. */

static int format_servers(struct resolver *resolver, const struct dns_server *servers, size_t count)
{
	char address[ADDR_TEXT_MAX], *end;

	resolver->servers = end = malloc(count * SERVER_TEXT_MAX + 1);
	if (!end)
		return -ENOMEM;
	*end = '\0';
	for (size_t i = 0; i < count; i++) {
		bool brackets = servers[i].addr.family == FAMILY_6;
		end += snprintf(end, SERVER_TEXT_MAX + 1, "%s%s%s%s:%u", i ? "," : "", brackets ? "[" : "",
				addr_format(&servers[i].addr, address), brackets ? "]" : "", servers[i].port);
	}
	return 0;
}

static int add_sources(struct resolver *resolver)
{
	/* An accuracy of 1 ms: the default may come a quarter of a second late. */
	int status = sd_event_add_time(resolver->event, &resolver->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, resolver);
	if (status >= 0)
		status = sd_event_source_set_enabled(resolver->timer, SD_EVENT_OFF);
	if (status >= 0)
		status = sd_event_add_defer(resolver->event, &resolver->deliver, on_deliver, resolver);
	if (status >= 0)
		status = sd_event_source_set_enabled(resolver->deliver, SD_EVENT_OFF);
	return status;
}

int resolver_new(struct resolver **ret, sd_event *event, const struct dns_server *servers, size_t count,
		 resolver_done done, void (*changed)(void *userdata), void *userdata)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));
	int status;

	if (!resolver)
		return -ENOMEM;
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
		free(resolver);
		return -ENOMEM;
	}
	resolver->event = sd_event_ref(event);
	resolver->done = done;
	resolver->changed = changed;
	resolver->userdata = userdata;
	resolver->finished_end = &resolver->finished;

	status = add_sources(resolver);
	if (status >= 0 && servers)
		status = format_servers(resolver, servers, count);
	if (status >= 0 && !servers)
		status = resolv_conf_new(&resolver->resolv_conf, event, on_resolv_conf, resolver);
	if (status >= 0)
		status = open_channels(resolver);
	/* A file that can't be read now may be readable later. */
	if (status == -EINVAL && !servers) {
		log_error("the DNS servers of %s can't be queried until it changes: %s", RESOLV_CONF,
			  strerror(-status));
		status = 0;
	}
	if (status < 0) {
		resolver_free(resolver);
		return status;
	}
	*ret = resolver;
	return 0;
}

int resolver_query(struct resolver *resolver, const char *name, enum family family)
{
	struct query *query = calloc(1, sizeof(*query));

	if (!query)
		return -ENOMEM;
	if (strlen(name) > CONFIG_NAME_MAX) {
		free(query);
		return -EINVAL;
	}
	strcpy(query->name, name);
	query->family = family;
	query->resolver = resolver;
	/* There may have been no memory for it when resolv.conf changed. */
	if (!resolver->channels[FIRST].handle)
		open_channels(resolver);
	if (!resolver->channels[FIRST].handle) {
		finish(query, "no DNS server");
		return 0;
	}
	query_channel(&resolver->channels[FIRST], query, on_answer);
	arm_timer(resolver);
	return 0;
}

void resolver_free(struct resolver *resolver)
{
	struct query *next;

	if (!resolver)
		return;
	resolver->freeing = true;
	close_channels(resolver);
	for (struct query *query = resolver->finished; query; query = next) {
		next = query->next;
		free_query(query);
	}
	resolv_conf_free(resolver->resolv_conf);
	sd_event_source_disable_unref(resolver->timer);
	sd_event_source_disable_unref(resolver->deliver);
	sd_event_unref(resolver->event);
	free(resolver->servers);
	ares_library_cleanup();
	if (!resolver->delivering)
		free(resolver);
}
