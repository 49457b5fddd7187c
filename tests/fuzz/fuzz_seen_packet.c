/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel copies to us, as its netlink socket gives it: a message, the packet in it, the DNS answer in that. */
#include "core/dns_message.h"
#include "core/seen_packet.h"
#include "nflog.h"

#include <stdlib.h>
#include <string.h>

int fuzz_one(const uint8_t *data, size_t size);

struct bounds {
	const uint8_t *begin, *end;
	size_t packets;
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
	must(!packet->piece || packet->protocol == PROTOCOL_TCP);
	must(packet->protocol == PROTOCOL_TCP || packet->protocol == PROTOCOL_UDP || (!packet->source_port && !packet->target_port));
	if (packet->protocol != PROTOCOL_UDP)
		must(!seen->payload && !seen->payload_whole);
	if (!seen->payload)
		return;
	must(seen->payload > bytes && seen->payload_length <= length && seen->payload + seen->payload_length <= bytes + length);
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
		must(has_question && question.is_response && question.id == message.id && question.type == message.question_type &&
		     question.class == message.question_class && strcmp(question.name, message.question) == 0);
}

static void on_seen(void *userdata, const char *prefix, const uint8_t *bytes, size_t length)
{
	struct bounds *bounds = userdata;
	struct seen_packet seen;

	bounds->packets++;
	/* The rule's text, or none where the message has none. */
	must(!*prefix || is_within(bounds, prefix, strlen(prefix) + 1));
	must(is_within(bounds, bytes, length));
	if (!seen_packet_read(bytes, length, &seen))
		return;
	check_packet(&seen, bytes, length);
	if (seen.payload)
		check_dns(&seen);
}

int fuzz_one(const uint8_t *data, size_t size)
{
	/* A block of its own: as aligned as the daemon's, and a sanitizer sees its end. */
	uint8_t *copy = malloc(size ? size : 1);

	must(copy);
	if (size)
		memcpy(copy, data, size);
	struct bounds bounds = { copy, copy + size, 0 };
	nflog_read(copy, size, on_seen, &bounds);
	must(bounds.packets <= size / 16); /* a message has a header at least */
	free(copy);
	return 0;
}
