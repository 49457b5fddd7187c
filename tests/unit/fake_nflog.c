/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_nflog.h"
#include "core/dns_message.h"
#include "make.h"

#include <errno.h>

enum { PACKET_MAX = 4096, CLASS_IN = 1, POINTER_TO_QUESTION = 0xc00c };

struct nflog {
	nflog_seen seen;
	void (*lost)(void *userdata);
	void *userdata;
};

static struct nflog *listening;
int fake_nflog_error;
size_t fake_nflogs, fake_nflog_tries;
uint16_t fake_nflog_group;

void fake_nflog_reset(void)
{
	assert_int_equal(fake_nflogs, 0);
	fake_nflog_error = 0;
	fake_nflog_tries = 0;
}

int nflog_new(struct nflog **ret, sd_event *event, uint16_t group, nflog_seen seen, void (*lost)(void *userdata),
	      void *userdata)
{
	(void)event;
	fake_nflog_tries++;
	if (fake_nflog_error)
		return fake_nflog_error;
	struct nflog *nflog = calloc(1, sizeof(*nflog));
	if (!nflog)
		return -ENOMEM;
	*nflog = (struct nflog){ seen, lost, userdata };
	fake_nflog_group = group;
	fake_nflogs++;
	listening = *ret = nflog;
	return 0;
}

void nflog_free(struct nflog *nflog)
{
	if (!nflog)
		return;
	if (listening == nflog)
		listening = NULL;
	free(nflog);
	fake_nflogs--;
}

void fake_nflog_give(const char *prefix, const uint8_t *bytes, size_t length)
{
	assert_non_null(listening);
	listening->seen(listening->userdata, prefix, bytes, length);
}

void fake_nflog_lose(void)
{
	assert_non_null(listening);
	listening->lost(listening->userdata);
}

static uint8_t *put(uint8_t *at, uint64_t value, size_t bytes)
{
	while (bytes-- > 0)
		*at++ = (uint8_t)(value >> 8 * bytes);
	return at;
}

static size_t put_ip(uint8_t *at, const struct packet *packet, size_t behind)
{
	static const uint8_t numbers[] = { [PROTOCOL_TCP] = 6, [PROTOCOL_UDP] = 17, [PROTOCOL_ICMP_ECHO] = 1 };
	size_t size = addr_size((enum family)packet->source.family), header = size == 4 ? 20 : 40;

	memset(at, 0, header);
	if (size == 4) {
		at[0] = 0x45;
		put(at + 2, header + behind, 2);
		at[9] = numbers[packet->protocol];
	} else {
		at[0] = 0x60;
		put(at + 4, behind, 2);
		at[6] = packet->protocol == PROTOCOL_ICMP_ECHO ? 58 : numbers[packet->protocol];
	}
	memcpy(at + header - 2 * size, packet->source.bytes, size);
	memcpy(at + header - size, packet->target.bytes, size);
	return header;
}

void fake_nflog_packet(const char *prefix, const struct packet *packet, const uint8_t *payload, size_t length)
{
	uint8_t bytes[PACKET_MAX] = { 0 };
	size_t behind = packet->protocol == PROTOCOL_TCP ? 20 : 8 + length;

	assert_true(length < PACKET_MAX - 100);
	uint8_t *at = bytes + put_ip(bytes, packet, behind);
	if (packet->protocol == PROTOCOL_ICMP_ECHO) {
		*at = packet->source.family == FAMILY_4 ? 8 : 128;
	} else {
		put(at, packet->source_port, 2);
		put(at + 2, packet->target_port, 2);
	}
	if (packet->protocol == PROTOCOL_TCP) {
		at[12] = 0x50;
		at[13] = 0x02; /* SYN */
	} else if (packet->protocol == PROTOCOL_UDP) {
		put(at + 4, behind, 2);
	}
	if (length)
		memcpy(at + 8, payload, length);
	fake_nflog_give(prefix, bytes, (size_t)(at - bytes) + behind);
}

static uint8_t *put_name(uint8_t *at, const char *name)
{
	while (*name) {
		size_t length = strcspn(name, ".");
		*at++ = (uint8_t)length;
		memcpy(at, name, length);
		at += length;
		name += length + (name[length] == '.');
	}
	*at++ = 0;
	return at;
}

size_t fake_dns(uint8_t ret[FAKE_DNS_MAX], uint16_t id, const char *name, enum family family, const char *addresses,
		uint32_t ttl_s, unsigned rcode)
{
	unsigned type = family == FAMILY_4 ? DNS_TYPE_A : DNS_TYPE_AAAA, count = 0;
	char *copy = strdup(addresses ? addresses : ""), *rest = copy, *word;
	uint8_t *at = put(ret, id, 2);

	assert_non_null(copy);
	at = put(at, addresses ? 0x8180 | rcode : 0x0100, 2);
	at = put(at, 1, 2);
	at = put(at, 0, 6);
	at = put_name(at, name);
	at = put(at, type, 2);
	at = put(at, CLASS_IN, 2);
	while ((word = strsep(&rest, " "))) {
		if (!*word)
			continue;
		struct addr addr = make_addr(word);
		at = put(at, POINTER_TO_QUESTION, 2);
		at = put(at, type, 2);
		at = put(at, CLASS_IN, 2);
		at = put(at, ttl_s, 4);
		at = put(at, addr_size(family), 2);
		memcpy(at, addr.bytes, addr_size(family));
		at += addr_size(family);
		count++;
	}
	free(copy);
	put(ret + 6, count, 2);
	return (size_t)(at - ret);
}
