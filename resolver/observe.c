/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/observe.h"
#include "core/aliases.h"
#include "core/array.h"
#include "core/observed_queries.h"
#include "core/seen_packet.h"
#include "resolver/channel.h"
#include "resolver/nflog_read.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Of the rules that copy. */
#define PREFIX_QUERY "spefw query "
#define PREFIX_ANSWER "spefw answer "
static const char *const denial_prefixes[DENIAL_KINDS] = {
	[DENIAL_IN] = "spefw denied-in ",
	[DENIAL_OUT] = "spefw denied-out ",
	[DENIAL_EARLY] = "spefw denied-early ",
	[DENIAL_NAME] = "spefw denied-name ",
};

enum {
	MESSAGE_SIZE = 256 * 1024, /* several whole packets and their attributes */
	/* A flood must not starve others, and not use up the time that spefwd gives: after so much of it there is a
	 * pause, in which the kernel's buffer takes what comes. */
	TURN_USEC = 2000,
	PAUSE_MS = 3,
	ALIASES_MAX = 8192, /* then those of names that are not watched are forgotten */
	CLASS_IN = 1,
	/* Of denials that are but to be shown: each chain of ours copies 20 a second, and there may be very many. */
	SHOWN_A_SECOND = 100,
	SHOWN_BURST = 200,
};

struct watched {
	char name[WIRE_NAME_MAX];
};

struct names {
	struct watched *items;
	size_t count, capacity;
};

static struct {
	int fd;
	int64_t pause_end_ms; /* of CLOCK_MONOTONIC; 0: there is none */
	bool receiving_watch;
	struct names names, patterns;
	void *tree; /* of tsearch(): of `names` */
	struct names new_names, new_patterns;
	struct aliases aliases;
	struct observed_queries queries; /* of names that are watched */
	int64_t shown_ms;                /* of CLOCK_MONOTONIC: until then denials to be shown are paid for */
} observe = { .fd = -1 };

/* Which names. */

/* Of texts; struct watched begins with one. */
static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void free_names(struct names *names)
{
	free(names->items);
	*names = (struct names){ 0 };
}

static void keep_name(void *name)
{
	(void)name; /* it is in an array */
}

/* Not by qsort(), which in glibc before 2.39 wants to know how much memory the machine has, and the sandbox ends us. */
static void index_names(void)
{
	tdestroy(observe.tree, keep_name);
	observe.tree = NULL;
	for (size_t i = 0; i < observe.names.count; i++)
		if (!tsearch(&observe.names.items[i], &observe.tree, compare))
			channel_fail("out of memory");
}

void observe_watch_begin(void)
{
	free_names(&observe.new_names);
	free_names(&observe.new_patterns);
	observe.receiving_watch = true;
}

void observe_watch(const char *name)
{
	struct names *names = name[0] == '*' ? &observe.new_patterns : &observe.new_names;

	if (!observe.receiving_watch)
		channel_fail("spefwd sent a name to watch out of turn");
	struct watched watched = { "" };
	memcpy(watched.name, name, strlen(name));
	if (ARRAY_PUSH(names, watched) < 0)
		channel_fail("out of memory");
}

void observe_watch_end(void)
{
	if (!observe.receiving_watch)
		channel_fail("spefwd sent the end of the names to watch out of turn");
	observe.receiving_watch = false;
	free_names(&observe.names);
	free_names(&observe.patterns);
	observe.names = observe.new_names;
	observe.patterns = observe.new_patterns;
	observe.new_names = observe.new_patterns = (struct names){ 0 };
	index_names();
}

static bool is_watched(const char *name)
{
	return tfind(name, &observe.tree, compare);
}

/* "*.example.com" is every name below example.com. */
static bool pattern_covers(const char *pattern, const char *name)
{
	size_t suffix = strlen(pattern) - 1, length = strlen(name); /* without the star */
	return length > suffix && strcmp(name + length - suffix, pattern + 1) == 0;
}

/* Most questions are of no interest, which is found out soon. */
static bool is_wanted(const char *question, enum family family)
{
	const char *name;
	size_t position = 0;

	if (is_watched(question))
		return true;
	while ((name = aliases_next(&observe.aliases, question, family, &position)))
		if (is_watched(name))
			return true;
	for (size_t i = 0; i < observe.patterns.count; i++)
		if (pattern_covers(observe.patterns.items[i].name, question))
			return true;
	return false;
}

static void forget_unwatched_aliases(void)
{
	size_t kept = 0;

	for (size_t i = 0; i < observe.aliases.count; i++) {
		struct alias *item = &observe.aliases.items[i];
		if (is_watched(item->name)) {
			observe.aliases.items[kept++] = *item;
			continue;
		}
		free(item->name);
		free(item->alias);
	}
	observe.aliases.count = kept;
}

void observe_aliases(const char *name, enum family family, const struct dns_message *message)
{
	if (observe.aliases.count >= ALIASES_MAX)
		forget_unwatched_aliases();
	if (aliases_set(&observe.aliases, name, family, message->alias_names[0], DNS_ALIAS_TEXT_MAX, message->aliases) <
	    0)
		channel_fail("out of memory");
}

/* What was seen. */

static int64_t now_usec(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t boottime_ms(void)
{
	return now_usec(CLOCK_BOOTTIME) / 1000;
}

static enum family family_of(const struct observed_question *question)
{
	return question->type == DNS_TYPE_A ? FAMILY_4 : FAMILY_6;
}

/* The question of a query or of an answer, where it is one for a name that is wanted. */
static bool read_question(const struct seen_packet *seen, bool reply, struct observed_question *ret)
{
	const struct packet *packet = &seen->packet;
	struct dns_question question;

	*ret = (struct observed_question){
		.server = reply ? packet->target : packet->source,
		.port = reply ? packet->target_port : packet->source_port,
		.resolver = reply ? packet->source : packet->target,
		.resolver_port = reply ? packet->source_port : packet->target_port,
	};
	if (packet->protocol != PROTOCOL_UDP || !seen->payload ||
	    dns_question_read(seen->payload, seen->payload_length, &question) < 0 || question.is_response != reply ||
	    question.class != CLASS_IN || (question.type != DNS_TYPE_A && question.type != DNS_TYPE_AAAA) ||
	    strlen(question.name) >= sizeof(ret->name))
		return false;
	ret->id = question.id;
	ret->type = question.type;
	ret->class = question.class;
	memcpy(ret->name, question.name, strlen(question.name) + 1);
	return is_wanted(ret->name, family_of(ret));
}

static void take_query(const struct seen_packet *seen)
{
	struct observed_question question;

	if (read_question(seen, false, &question) &&
	    observed_queries_add(&observe.queries, &question, boottime_ms()) < 0)
		channel_fail("out of memory");
}

static void report_answer(const struct observed_question *question, const struct dns_message *message)
{
	static union {
		struct wire_observed observed;
		uint8_t bytes[sizeof(struct wire_observed) + WIRE_ADDRESSES_MAX * sizeof(struct wire_address)];
	} record;
	size_t length = sizeof(record.observed) + message->address_count * sizeof(struct wire_address);

	record.observed = (struct wire_observed){
		.head = { WIRE_OBSERVED, (uint32_t)length },
		.server = channel_address(&question->server),
		.resolver = channel_address(&question->resolver),
		.ttl_s = message->ttl_s,
		.count = (uint16_t)message->address_count,
		.family = family_of(question) == FAMILY_4 ? 4 : 6,
	};
	memcpy(record.observed.question, question->name, strlen(question->name));
	for (size_t i = 0; i < message->address_count; i++)
		record.observed.addresses[i] = channel_address(&message->addresses[i]);
	channel_report(&record);
}

/* Anybody could have sent it. It counts where it answers a query that was seen, and that no answer was seen for. */
static void take_answer(const struct seen_packet *seen)
{
	static struct dns_message message; /* large, and there is one thread */
	struct observed_question question;

	if (!read_question(seen, true, &question))
		return;
	if (!observed_queries_take(&observe.queries, &question, boottime_ms())) {
		channel_count_unasked();
		return;
	}
	if (seen->payload_whole && dns_message_read(seen->payload, seen->payload_length, &message) == 0 &&
	    message.rcode == DNS_NOERROR && message.address_count > 0)
		report_answer(&question, &message);
}

/* What exceeds it is in the kernel's counters alone. */
static bool may_show(void)
{
	int64_t now = now_usec(CLOCK_MONOTONIC) / 1000;

	if (observe.shown_ms < now)
		observe.shown_ms = now;
	if (observe.shown_ms - now >= SHOWN_BURST * 1000 / SHOWN_A_SECOND)
		return false;
	observe.shown_ms += 1000 / SHOWN_A_SECOND;
	return true;
}

static void take_denial(const struct packet *packet, enum denial_kind kind, uint8_t hook)
{
	struct wire_denial denial = {
		.head = { WIRE_DENIAL, sizeof(denial) },
		.source = channel_address(&packet->source),
		.target = channel_address(&packet->target),
		.source_port = packet->source_port,
		.target_port = packet->target_port,
		.protocol = (uint8_t)packet->protocol,
		.mid_stream = packet->mid_stream,
		.hook = hook,
		.kind = (uint8_t)kind,
	};

	if (hook >= NF_INET_NUMHOOKS)
		return;
	if (kind == DENIAL_NAME)
		channel_report(&denial);
	else if (may_show())
		channel_offer(&denial);
}

static void on_seen(void *userdata, const struct nflog_copy *copy)
{
	struct seen_packet seen;

	(void)userdata;
	if (!seen_packet_read(copy->bytes, copy->length, &seen))
		return;
	if (strcmp(copy->prefix, PREFIX_QUERY) == 0)
		take_query(&seen);
	else if (strcmp(copy->prefix, PREFIX_ANSWER) == 0)
		take_answer(&seen);
	for (enum denial_kind kind = 0; kind < DENIAL_KINDS; kind++)
		if (strcmp(copy->prefix, denial_prefixes[kind]) == 0)
			take_denial(&seen.packet, kind, copy->hook);
}

/* The socket. */

void observe_set_nflog(int fd)
{
	if (observe.fd >= 0)
		close(observe.fd);
	observe.fd = fd;
	observe.pause_end_ms = 0;
}

int observe_timeout_ms(void)
{
	int64_t left = observe.pause_end_ms - now_usec(CLOCK_MONOTONIC) / 1000;

	if (left <= 0)
		observe.pause_end_ms = 0;
	return observe.fd >= 0 && observe.pause_end_ms ? (int)left : -1;
}

int observe_fd(void)
{
	return observe_timeout_ms() < 0 ? observe.fd : -1;
}

void observe_read(void)
{
	static _Alignas(struct nlmsghdr) char buffer[MESSAGE_SIZE];
	/* Of its own time: who had to wait for the processor needs no pause. */
	int64_t end = now_usec(CLOCK_THREAD_CPUTIME_ID) + TURN_USEC;

	do {
		ssize_t length = recv(observe.fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		if (length > 0)
			nflog_read(buffer, (size_t)length, on_seen, NULL);
		else if (length < 0 && errno == ENOBUFS)
			channel_count_lost();
		else if (length == 0 || errno != EINTR)
			return;
	} while (now_usec(CLOCK_THREAD_CPUTIME_ID) < end);
	observe.pause_end_ms = now_usec(CLOCK_MONOTONIC) / 1000 + PAUSE_MS;
}
