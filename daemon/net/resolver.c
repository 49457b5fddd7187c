/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ares_query() is what c-ares 1.18 and 1.34 both have that gives the bytes of an answer; the latter calls it
 * deprecated. */
#define CARES_NO_DEPRECATED
#include "net/resolver.h"

#include "core/dns_message.h"
#include "log.h"

#include <ares.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
	TRY_MS = 2000,    /* for the first answer of a server; c-ares lengthens it for the next tries */
	TRIES = 2,        /* of each server; the address book asks again soon after a failure */
	EDNS_SIZE = 1232, /* what passes without fragments, as agreed in 2020 */
	SETTLE_MS = 200,  /* programs write resolv.conf in several steps */
	LINKS_MAX = 8,    /* symbolic links from resolv.conf to the file */
	WATCHES_MAX = LINKS_MAX + 2,
	CONTENT_MAX = 16384,
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

/* Two of them: FIRST asks, and goes on to the next server where one fails. In c-ares 1.18 it then can't tell SERVFAIL
 * and REFUSED of all servers from a closed port, so that VERDICT, which takes the first response as it is, is asked for
 * the word. */
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

/* One step of the way from RESOLV_CONF to the file: a directory, and the name in it that matters ("": any). */
struct path_watch {
	sd_event_source *source;
	char name[NAME_MAX + 1];
	struct resolver *resolver;
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

	/* c-ares may answer from within ares_query(): what is done is told from the event loop, where everything is
	 * allowed. */
	struct query *finished, **finished_end;
	sd_event_source *deliver;
	bool announce;   /* changed() is to be called */
	bool delivering; /* then resolver_free() leaves the struct itself to on_deliver() */
	bool freeing;

	struct path_watch watches[WATCHES_MAX];
	size_t watch_count;
	sd_event_source *settle;
	char *content; /* of resolv.conf when last read; NULL: it could not be */
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
	/* One millisecond more than c-ares says: its own rounding must not make the loop spin until the moment is
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

/* c-ares can't be told that this failed: the query then runs into its timeout. */
static void watch_socket(struct channel *channel, ares_socket_t fd, uint32_t events)
{
	struct resolver *resolver = channel->resolver;
	struct socket_watch *watch = calloc(1, sizeof(*watch));

	if (!watch || sd_event_add_io(resolver->event, &watch->source, fd, events, on_socket, watch) < 0) {
		log_error("Cannot watch a socket of the resolver: out of memory");
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
		log_info("Answer about %s refused: %s", query->name, message.reason);
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

static void ask_channel(struct channel *channel, struct query *query, ares_callback callback)
{
	ares_query(channel->handle, query->name, 1, query->family == FAMILY_4 ? DNS_TYPE_A : DNS_TYPE_AAAA, callback,
		   query);
}

static void on_answer(void *userdata, int status, int timeouts, unsigned char *bytes, int length)
{
	struct query *query = userdata;
	struct channel *verdict = &query->resolver->channels[VERDICT];

	if (status == ARES_ECONNREFUSED && verdict->handle)
		ask_channel(verdict, query, on_verdict);
	else
		on_verdict(userdata, status, timeouts, bytes, length);
}

static void tell(struct resolver *resolver, const struct query *query)
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
			tell(resolver, list);
		free_query(list);
	}
	if (!resolver->freeing && announce && resolver->changed)
		resolver->changed(resolver->userdata);
	resolver->delivering = false;
	if (resolver->freeing)
		free(resolver);
	return 0;
}

/* The channel: servers and how to ask them. */

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
	/* The address book knows when to ask, and a refresh must not be answered from memory. */
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
		/* Not to be asked by what the other one ends. */
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

/* Following resolv.conf. */

static char *read_content(void)
{
	char *content = calloc(1, CONTENT_MAX + 1), *shorter;
	size_t length = 0;
	/* Whatever is in its place must not hold up the loop. */
	int fd = open(RESOLV_CONF, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t got = -1;

	/* c-ares goes on without a word, as if there were none. */
	if (fd < 0 && errno != ENOENT)
		log_warning("%s can't be read, the DNS server of this machine is asked: %s", RESOLV_CONF,
			    strerror(errno));
	while (content && fd >= 0 && length < CONTENT_MAX &&
	       (got = read(fd, content + length, CONTENT_MAX - length)) > 0)
		length += (size_t)got;
	if (fd >= 0)
		close(fd);
	if (got < 0) {
		free(content);
		return NULL;
	}
	shorter = realloc(content, length + 1);
	return shorter ? shorter : content;
}

static bool same_content(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static int on_path(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
	struct path_watch *watch = userdata;
	uint64_t now;

	(void)source;
	if (event->len > 0 && *watch->name && strcmp(event->name, watch->name) != 0)
		return 0;
	/* Not postponed by further events: a file that is written all the time is read now and then, not never. */
	int enabled = SD_EVENT_OFF;
	sd_event_source_get_enabled(watch->resolver->settle, &enabled);
	if (enabled != SD_EVENT_OFF)
		return 0;
	sd_event_now(watch->resolver->event, CLOCK_MONOTONIC, &now);
	sd_event_source_set_time(watch->resolver->settle, now + SETTLE_MS * 1000);
	sd_event_source_set_enabled(watch->resolver->settle, SD_EVENT_ONESHOT);
	return 0;
}

static int watch_path(struct resolver *resolver, const char *path, const char *name)
{
	struct path_watch *watch = &resolver->watches[resolver->watch_count];

	if (resolver->watch_count == WATCHES_MAX)
		return -ELOOP;
	snprintf(watch->name, sizeof(watch->name), "%s", name);
	watch->resolver = resolver;
	int status = sd_event_add_inotify(resolver->event, &watch->source, path,
					  IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
						  IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB,
					  on_path, watch);
	if (status >= 0)
		resolver->watch_count++;
	return status;
}

/* Watches the directory of path for its last name; where the directory is not there yet (as /run/systemd/resolve early
 * in boot), the nearest one that is, for the next step towards it. path is cut. */
static int watch_name(struct resolver *resolver, char *path)
{
	for (;;) {
		char *slash = strrchr(path, '/');
		if (!slash || !slash[1])
			return -EINVAL;
		char name[NAME_MAX + 1];
		snprintf(name, sizeof(name), "%s", slash + 1);
		slash[slash == path ? 1 : 0] = '\0';
		int status = watch_path(resolver, path, name);
		if (status != -ENOENT || slash == path)
			return status;
	}
}

/* The path that the link at path leads to, in place; false: it is no link. */
static bool follow_link(char path[PATH_MAX])
{
	char target[PATH_MAX], joined[PATH_MAX];
	ssize_t length = readlink(path, target, sizeof(target) - 1);

	if (length <= 0)
		return false;
	target[length] = '\0';
	/* A slash at the end would hide the last name. */
	while (length > 1 && target[length - 1] == '/')
		target[--length] = '\0';
	char *slash = strrchr(path, '/');
	int directory = *target == '/' || !slash ? 0 : (int)(slash - path) + 1;
	int size = snprintf(joined, sizeof(joined), "%.*s%s", directory, path, target);
	if (size < 0 || (size_t)size >= sizeof(joined))
		return false;
	memcpy(path, joined, (size_t)size + 1);
	return true;
}

static void forget_watches(struct resolver *resolver)
{
	while (resolver->watch_count > 0)
		sd_event_source_disable_unref(resolver->watches[--resolver->watch_count].source);
}

/* Every directory on the way, and the file itself: where it is a bind mount (ip netns, containers), its directory
 * hears nothing of it. */
static void watch_paths(struct resolver *resolver)
{
	char path[PATH_MAX] = RESOLV_CONF, cut[PATH_MAX];
	int status = 0;

	forget_watches(resolver);
	for (unsigned links = 0; links <= LINKS_MAX && status >= 0; links++) {
		memcpy(cut, path, sizeof(cut));
		status = watch_name(resolver, cut);
		if (!follow_link(path))
			break;
	}
	if (status >= 0) {
		status = watch_path(resolver, path, "");
		/* Of one that may not be read its directory tells, and also when it may be. */
		status = status == -EACCES ? 0 : status;
	}
	if (status < 0 && status != -ENOENT)
		log_warning("Changes of %s will not be noticed: %s", RESOLV_CONF, strerror(-status));
}

static void reopen(struct resolver *resolver)
{
	close_channels(resolver);
	int status = open_channels(resolver);
	if (status < 0)
		log_error("Cannot ask the DNS servers of %s: %s", RESOLV_CONF, strerror(-status));
	arm_timer(resolver);
}

static int on_settle(sd_event_source *source, uint64_t time, void *userdata)
{
	struct resolver *resolver = userdata;

	(void)source;
	(void)time;
	/* The links may lead elsewhere now. Watch first, read then: what comes in between is an event. */
	watch_paths(resolver);
	char *content = read_content();
	bool same = same_content(content, resolver->content);
	free(resolver->content);
	resolver->content = content;
	if (same)
		return 0;

	log_notice("%s has changed", RESOLV_CONF);
	reopen(resolver);
	resolver->announce = true;
	sd_event_source_set_enabled(resolver->deliver, SD_EVENT_ONESHOT);
	return 0;
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
	struct {
		sd_event_source **source;
		sd_event_time_handler_t handler;
	} timers[] = { { &resolver->timer, on_timer }, { &resolver->settle, on_settle } };
	int status = 0;

	for (size_t i = 0; i < 2 && status >= 0; i++) {
		/* An accuracy of 1 ms: the default may come a quarter of a second late. */
		status = sd_event_add_time(resolver->event, timers[i].source, CLOCK_MONOTONIC, 0, 1000,
					   timers[i].handler, resolver);
		if (status >= 0)
			status = sd_event_source_set_enabled(*timers[i].source, SD_EVENT_OFF);
	}
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
	if (status >= 0 && !servers) {
		watch_paths(resolver);
		resolver->content = read_content();
	}
	if (status >= 0)
		status = open_channels(resolver);
	/* A file that can't be read now may be readable later. */
	if (status == -EINVAL && !servers) {
		log_error("Cannot ask the DNS servers of %s", RESOLV_CONF);
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
	ask_channel(&resolver->channels[FIRST], query, on_answer);
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
	forget_watches(resolver);
	sd_event_source_disable_unref(resolver->timer);
	sd_event_source_disable_unref(resolver->settle);
	sd_event_source_disable_unref(resolver->deliver);
	sd_event_unref(resolver->event);
	free(resolver->servers);
	free(resolver->content);
	ares_library_cleanup();
	if (!resolver->delivering)
		free(resolver);
}
