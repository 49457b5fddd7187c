/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel copies to us, as its netlink socket gives it: a message, the packet in it, the DNS query or answer in
 * that, and which answers had a query. */
#include "core/dns_message.h"
#include "core/observed_queries.h"
#include "core/seen_packet.h"
#include "resolver/nflog_read.h"

#include <stdlib.h>
#include <string.h>

int fuzz_one(const uint8_t *data, size_t size);

enum { STEP_MS = 100 }; /* from packet to packet */

struct bounds {
	const uint8_t *begin, *end;
	size_t packets;
	struct observed_queries queries;
};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static bool is_within(const struct bounds *bounds, const void *bytes, size_t length)
{
	const uint8_t *first = bytes;
	return first >= bounds->begin && first <= bounds->end && length <= (size_t)(bounds->end - first);
}

static void check_packet(const struct seen_packet *seen, const uint8_t *bytes, size_t length)
{
	const struct packet *packet = &seen->packet;

	must(packet->source.family == packet->target.family && packet->source.family < FAMILIES);
	must(packet->protocol <= PROTOCOLS);
	must(!packet->mid_stream || packet->protocol == PROTOCOL_TCP);
	must(packet->protocol == PROTOCOL_TCP || packet->protocol == PROTOCOL_UDP ||
	     (!packet->source_port && !packet->target_port));
	if (packet->protocol != PROTOCOL_UDP)
		must(!seen->payload && !seen->payload_whole);
	if (!seen->payload)
		return;
	must(seen->payload > bytes && seen->payload_length <= length &&
	     seen->payload + seen->payload_length <= bytes + length);
}

static void check_dns(const struct seen_packet *seen)
{
	static struct dns_message message;
	struct dns_question question;

	bool has_question = dns_question_read(seen->payload, seen->payload_length, &question) == 0;
	must(!has_question || strlen(question.name) < sizeof(question.name));
	if (!seen->payload_whole || dns_message_read(seen->payload, seen->payload_length, &message) < 0)
		return;
	must(message.address_count <= DNS_ADDRESSES_MAX);
	/* Both readers see the same question. */
	if (message.question_type)
		must(has_question && question.is_response && question.id == message.id &&
		     question.type == message.question_type && question.class == message.question_class &&
		     strcmp(question.name, message.question) == 0);
}

/* An answer counts once, and not before its query. */
static void pair(struct bounds *bounds, const struct seen_packet *seen)
{
	const struct packet *packet = &seen->packet;
	int64_t now_ms = (int64_t)bounds->packets * STEP_MS;
	struct dns_question question;
	struct observed_question key;

	if (dns_question_read(seen->payload, seen->payload_length, &question) < 0 ||
	    strlen(question.name) >= sizeof(key.name))
		return;
	bool reply = question.is_response;
	key = (struct observed_question){
		.server = reply ? packet->target : packet->source,
		.port = reply ? packet->target_port : packet->source_port,
		.resolver = reply ? packet->source : packet->target,
		.resolver_port = reply ? packet->source_port : packet->target_port,
		.id = question.id,
		.type = question.type,
		.class = question.class,
	};
	memcpy(key.name, question.name, strlen(question.name) + 1);
	size_t before = bounds->queries.count;
	if (!reply)
		must(observed_queries_add(&bounds->queries, &key, now_ms) == 0);
	else if (observed_queries_take(&bounds->queries, &key, now_ms))
		must(bounds->queries.count < before && !observed_queries_take(&bounds->queries, &key, now_ms));
	must(bounds->queries.count <= OBSERVED_QUERIES_MAX && bounds->queries.count <= before + 1);
}

static void on_seen(void *userdata, const struct nflog_copy *copy)
{
	struct bounds *bounds = userdata;
	struct seen_packet seen;

	bounds->packets++;
	/* The rule's text, or none where the message has none. */
	must(!*copy->prefix || is_within(bounds, copy->prefix, strlen(copy->prefix) + 1));
	must(is_within(bounds, copy->bytes, copy->length));
	if (!seen_packet_read(copy->bytes, copy->length, &seen))
		return;
	check_packet(&seen, copy->bytes, copy->length);
	if (!seen.payload)
		return;
	check_dns(&seen);
	pair(bounds, &seen);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	/* A block of its own: as aligned as the daemon's, and a sanitizer sees its end. */
	uint8_t *copy = malloc(size ? size : 1);

	must(copy);
	if (size)
		memcpy(copy, data, size);
	struct bounds bounds = { copy, copy + size, 0, { 0 } };
	nflog_read(copy, size, on_seen, &bounds);
	must(bounds.packets <= size / 16); /* a message has a header at least */
	observed_queries_free(&bounds.queries);
	free(copy);
	return 0;
}
