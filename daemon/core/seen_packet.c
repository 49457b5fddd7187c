/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "seen_packet.h"

#include <string.h>

enum {
	IPV4_HEADER = 20,
	IPV6_HEADER = 40,
	TCP_HEADER = 20,
	UDP_HEADER = 8,
	ICMP_HEADER = 4,
	EXTENSIONS_MAX = 8,
	NEXT_HOP_BY_HOP = 0,
	NEXT_ROUTING = 43,
	NEXT_FRAGMENT = 44,
	NEXT_DESTINATION = 60,
	NEXT_ICMP = 1,
	NEXT_TCP = 6,
	NEXT_UDP = 17,
	NEXT_ICMPV6 = 58,
	ECHO_REQUEST = 8,
	ECHO_REQUEST_6 = 128,
	SYN = 0x02,
	ACK = 0x10,
};

static uint16_t get16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void take_udp(const uint8_t *bytes, size_t length, struct seen_packet *ret)
{
	size_t announced = get16(bytes + 4), there = length - UDP_HEADER;

	if (announced < UDP_HEADER)
		return;
	ret->payload = bytes + UDP_HEADER;
	ret->payload_length = announced - UDP_HEADER < there ? announced - UDP_HEADER : there;
	ret->payload_whole = ret->payload_length == announced - UDP_HEADER;
}

static bool read_transport(const uint8_t *bytes, size_t length, uint8_t protocol, struct seen_packet *ret)
{
	struct packet *packet = &ret->packet;
	bool is_6 = packet->source.family == FAMILY_6;

	if (protocol == NEXT_TCP && length >= TCP_HEADER) {
		packet->protocol = PROTOCOL_TCP;
		packet->mid_stream = (bytes[13] & (SYN | ACK)) != SYN;
	} else if (protocol == NEXT_UDP && length >= UDP_HEADER) {
		packet->protocol = PROTOCOL_UDP;
		take_udp(bytes, length, ret);
	} else if (protocol == (is_6 ? NEXT_ICMPV6 : NEXT_ICMP) && length >= ICMP_HEADER) {
		if (bytes[0] == (is_6 ? ECHO_REQUEST_6 : ECHO_REQUEST))
			packet->protocol = PROTOCOL_ICMP_ECHO;
		return true;
	} else {
		return protocol != NEXT_TCP && protocol != NEXT_UDP;
	}
	packet->source_port = get16(bytes);
	packet->target_port = get16(bytes + 2);
	return true;
}

static void take_addresses(const uint8_t *source, const uint8_t *target, enum family family, struct packet *packet)
{
	packet->source.family = packet->target.family = (uint8_t)family;
	memcpy(packet->source.bytes, source, addr_size(family));
	memcpy(packet->target.bytes, target, addr_size(family));
}

static bool read_ipv4(const uint8_t *bytes, size_t length, struct seen_packet *ret)
{
	size_t header = (bytes[0] & 0xfu) * 4;

	if (header < IPV4_HEADER || length < header)
		return false;
	take_addresses(bytes + 12, bytes + 16, FAMILY_4, &ret->packet);
	if (get16(bytes + 6) & 0x1fff) /* a later fragment */
		return true;
	return read_transport(bytes + header, length - header, bytes[9], ret);
}

static bool read_ipv6(const uint8_t *bytes, size_t length, struct seen_packet *ret)
{
	uint8_t next = bytes[6];
	size_t at = IPV6_HEADER;

	if (length < IPV6_HEADER)
		return false;
	take_addresses(bytes + 8, bytes + 24, FAMILY_6, &ret->packet);
	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		bool fragment = next == NEXT_FRAGMENT;
		if (!fragment && next != NEXT_HOP_BY_HOP && next != NEXT_ROUTING && next != NEXT_DESTINATION)
			return read_transport(bytes + at, length - at, next, ret);
		if (length - at < 8)
			return false;
		if (fragment && get16(bytes + at + 2) & 0xfff8)
			return true;
		size_t size = fragment ? 8 : (bytes[at + 1] + 1u) * 8;
		next = bytes[at];
		if (length - at < size)
			return false;
		at += size;
	}
	return false;
}

bool seen_packet_read(const uint8_t *bytes, size_t length, struct seen_packet *ret)
{
	*ret = (struct seen_packet){ .packet = { .protocol = PROTOCOLS } };
	if (length < IPV4_HEADER)
		return false;
	switch (bytes[0] >> 4) {
	case 4: return read_ipv4(bytes, length, ret);
	case 6: return read_ipv6(bytes, length, ret);
	default: return false;
	}
}
