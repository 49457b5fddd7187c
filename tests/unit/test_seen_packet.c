/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets as the kernel copies them: whole, cut, and made up. */
#include "core/seen_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 512, TCP = 6, UDP = 17, ICMP = 1, ICMPV6 = 58, FRAGMENT = 44 };

struct bytes {
	uint8_t at[ROOM];
	size_t length;
};

static void put(struct bytes *to, const void *what, size_t length)
{
	assert_true(to->length + length <= ROOM);
	memcpy(to->at + to->length, what, length);
	to->length += length;
}

#define PUT(to, ...) put(to, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* From 192.0.2.25 to 198.51.100.7. fragment: the field of flags and offset. options: octets behind the header. */
static void put_ipv4(struct bytes *to, uint8_t protocol, uint16_t fragment, size_t options)
{
	uint8_t header[20] = { (uint8_t)(0x45 + options / 4),
			       0,
			       0,
			       0,
			       0,
			       7,
			       (uint8_t)(fragment >> 8),
			       (uint8_t)fragment,
			       64,
			       protocol,
			       0,
			       0,
			       192,
			       0,
			       2,
			       25,
			       198,
			       51,
			       100,
			       7 };
	put(to, header, sizeof(header));
	for (size_t i = 0; i < options; i++)
		PUT(to, 1);
}

/* From 2001:db8:2::25 to 2001:db8:51::7. */
static void put_ipv6(struct bytes *to, uint8_t next)
{
	uint8_t header[40] = { 0x60, 0, 0, 0,           0,    0, next, 64,   0x20, 1,    0xd,
			       0xb8, 0, 2, [23] = 0x25, 0x20, 1, 0xd,  0xb8, 0,    0x51, [39] = 7 };
	put(to, header, sizeof(header));
}

static void put_tcp(struct bytes *to, uint8_t flags)
{
	PUT(to, 0xc0, 1, 1, 0xbb, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0); /* 49153 to 443 */
}

static void put_udp(struct bytes *to, uint16_t announced, const char *payload)
{
	PUT(to, 0, 53, 0xc0, 2, (uint8_t)(announced >> 8), (uint8_t)announced, 0, 0); /* 53 to 49154 */
	put(to, payload, strlen(payload));
}

/* Just as many octets as are given, so that a sanitizer sees any further one that is read. */
static bool read_exactly(const struct bytes *bytes, size_t length, struct seen_packet *ret)
{
	uint8_t *exact = malloc(length ? length : 1);

	assert_non_null(exact);
	memcpy(exact, bytes->at, length);
	memset(ret, 0xa5, sizeof(*ret));
	bool is_packet = seen_packet_read(exact, length, ret);
	if (is_packet && ret->payload) {
		assert_true(ret->payload >= exact && ret->payload + ret->payload_length <= exact + length);
		ret->payload = bytes->at + (ret->payload - exact);
	}
	free(exact);
	return is_packet;
}

static struct seen_packet read_whole(const struct bytes *bytes)
{
	struct seen_packet seen;

	assert_true(read_exactly(bytes, bytes->length, &seen));
	return seen;
}

static void check_ends(const struct seen_packet *seen, enum family family)
{
	char text[ADDR_TEXT_MAX];

	assert_string_equal(addr_format(&seen->packet.source, text),
			    family == FAMILY_4 ? "192.0.2.25" : "2001:db8:2::25");
	assert_string_equal(addr_format(&seen->packet.target, text),
			    family == FAMILY_4 ? "198.51.100.7" : "2001:db8:51::7");
}

static void begin(struct bytes *bytes, enum family family, uint8_t protocol)
{
	bytes->length = 0;
	if (family == FAMILY_4)
		put_ipv4(bytes, protocol, 0, 0);
	else
		put_ipv6(bytes, protocol);
}

static void tcp(void **state)
{
	static const struct {
		uint8_t flags;
		bool mid_stream;
	} kinds[] = { { 0x02, false }, { 0x12, true },  { 0x10, true }, { 0x04, true },
		      { 0, true },     { 0x03, false }, { 0xc2, false } };

	(void)state;
	for (enum family family = 0; family < FAMILIES; family++) {
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			struct bytes bytes;
			begin(&bytes, family, TCP);
			put_tcp(&bytes, kinds[i].flags);
			struct seen_packet seen = read_whole(&bytes);
			check_ends(&seen, family);
			assert_int_equal(seen.packet.protocol, PROTOCOL_TCP);
			assert_int_equal(seen.packet.source_port, 49153);
			assert_int_equal(seen.packet.target_port, 443);
			assert_int_equal(seen.packet.mid_stream, kinds[i].mid_stream);
			assert_null(seen.payload);
		}
	}
}

static void udp(void **state)
{
	(void)state;
	for (enum family family = 0; family < FAMILIES; family++) {
		struct bytes bytes;
		begin(&bytes, family, UDP);
		put_udp(&bytes, 8 + 6, "answer");
		PUT(&bytes, 0, 0, 0); /* padding of short frames */
		struct seen_packet seen = read_whole(&bytes);
		check_ends(&seen, family);
		assert_int_equal(seen.packet.protocol, PROTOCOL_UDP);
		assert_int_equal(seen.packet.source_port, 53);
		assert_int_equal(seen.packet.target_port, 49154);
		assert_false(seen.packet.mid_stream);
		assert_true(seen.payload_whole);
		assert_int_equal(seen.payload_length, 6);
		assert_memory_equal(seen.payload, "answer", 6);
	}
}

static void udp_of_odd_length(void **state)
{
	struct seen_packet seen;
	struct bytes bytes;

	(void)state;
	/* Copied in part, or the first fragment: as the length shows. */
	begin(&bytes, FAMILY_4, UDP);
	put_udp(&bytes, 8 + 7, "answer");
	seen = read_whole(&bytes);
	assert_false(seen.payload_whole);
	assert_int_equal(seen.payload_length, 6);
	/* Nothing in it. */
	begin(&bytes, FAMILY_4, UDP);
	put_udp(&bytes, 8, "");
	seen = read_whole(&bytes);
	assert_true(seen.payload_whole);
	assert_int_equal(seen.payload_length, 0);
	/* Less than its own header, and none (a jumbogram). */
	for (uint16_t announced = 0; announced < 8; announced++) {
		begin(&bytes, FAMILY_6, UDP);
		put_udp(&bytes, announced, "answer");
		seen = read_whole(&bytes);
		assert_int_equal(seen.packet.protocol, PROTOCOL_UDP);
		assert_null(seen.payload);
		assert_false(seen.payload_whole);
	}
}

static void echo(void **state)
{
	static const struct {
		enum family family;
		uint8_t protocol, type;
		enum protocol expected;
	} kinds[] = {
		{ FAMILY_4, ICMP, 8, PROTOCOL_ICMP_ECHO },
		{ FAMILY_4, ICMP, 0, PROTOCOLS },
		{ FAMILY_4, ICMP, 3, PROTOCOLS },
		{ FAMILY_6, ICMPV6, 128, PROTOCOL_ICMP_ECHO },
		{ FAMILY_6, ICMPV6, 129, PROTOCOLS },
		{ FAMILY_6, ICMPV6, 8, PROTOCOLS },
		/* One family's messages in the other's packets are none of them. */
		{ FAMILY_4, ICMPV6, 128, PROTOCOLS },
		{ FAMILY_6, ICMP, 8, PROTOCOLS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct bytes bytes;
		begin(&bytes, kinds[i].family, kinds[i].protocol);
		PUT(&bytes, kinds[i].type, 0, 0, 0, 0, 1, 0, 1);
		struct seen_packet seen = read_whole(&bytes);
		check_ends(&seen, kinds[i].family);
		assert_int_equal(seen.packet.protocol, kinds[i].expected);
		assert_int_equal(seen.packet.source_port, 0);
		assert_int_equal(seen.packet.target_port, 0);
	}
}

static void other_protocols(void **state)
{
	static const uint8_t protocols[] = { 2, 47, 50, 89, 132, 255 };

	(void)state;
	for (enum family family = 0; family < FAMILIES; family++) {
		for (size_t i = 0; i < sizeof(protocols); i++) {
			struct bytes bytes;
			begin(&bytes, family, protocols[i]);
			struct seen_packet seen = read_whole(&bytes);
			check_ends(&seen, family);
			assert_int_equal(seen.packet.protocol, PROTOCOLS);
		}
	}
}

static void ipv4_options_and_fragments(void **state)
{
	struct bytes bytes = { .length = 0 };
	struct seen_packet seen;

	(void)state;
	put_ipv4(&bytes, TCP, 0x4000, 40); /* don't fragment; as many options as can be */
	put_tcp(&bytes, 0x02);
	seen = read_whole(&bytes);
	assert_int_equal(seen.packet.target_port, 443);

	bytes.length = 0;
	put_ipv4(&bytes, UDP, 0x2000, 0); /* the first of several */
	put_udp(&bytes, 8 + 100, "begins");
	seen = read_whole(&bytes);
	assert_int_equal(seen.packet.source_port, 53);
	assert_false(seen.payload_whole);

	bytes.length = 0;
	put_ipv4(&bytes, UDP, 0x0001, 0); /* the last: what looks like a header is none */
	put_udp(&bytes, 8 + 6, "answer");
	seen = read_whole(&bytes);
	check_ends(&seen, FAMILY_4);
	assert_int_equal(seen.packet.protocol, PROTOCOLS);
	assert_int_equal(seen.packet.source_port, 0);
	assert_null(seen.payload);

	/* A header that is shorter than a header, and one that is longer than the packet. */
	begin(&bytes, FAMILY_4, UDP);
	put_udp(&bytes, 8, "");
	bytes.at[0] = 0x44;
	assert_false(read_exactly(&bytes, bytes.length, &seen));
	bytes.at[0] = 0x4f;
	assert_false(read_exactly(&bytes, bytes.length, &seen));
}

static void ipv6_extensions(void **state)
{
	struct bytes bytes;
	struct seen_packet seen;

	(void)state;
	begin(&bytes, FAMILY_6, 0);
	PUT(&bytes, 60, 0, 0, 0, 0, 0, 0, 0);                         /* hop by hop, then destination options */
	PUT(&bytes, 43, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0); /* of 16 octets, then routing */
	PUT(&bytes, FRAGMENT, 0, 0, 0, 0, 0, 0, 0);
	PUT(&bytes, UDP, 0, 0, 1, 0, 0, 0, 9); /* the first fragment */
	put_udp(&bytes, 8 + 6, "answer");
	seen = read_whole(&bytes);
	check_ends(&seen, FAMILY_6);
	assert_int_equal(seen.packet.protocol, PROTOCOL_UDP);
	assert_memory_equal(seen.payload, "answer", 6);

	begin(&bytes, FAMILY_6, FRAGMENT);
	PUT(&bytes, UDP, 0, 0, 8, 0, 0, 0, 9); /* a later one */
	put_udp(&bytes, 8 + 6, "answer");
	seen = read_whole(&bytes);
	check_ends(&seen, FAMILY_6);
	assert_int_equal(seen.packet.protocol, PROTOCOLS);
	assert_null(seen.payload);

	/* Nothing follows the last of them, or a protocol that is none of ours. */
	begin(&bytes, FAMILY_6, 60);
	PUT(&bytes, 59, 0, 0, 0, 0, 0, 0, 0);
	seen = read_whole(&bytes);
	check_ends(&seen, FAMILY_6);
	assert_int_equal(seen.packet.protocol, PROTOCOLS);
	bytes.length--;
	assert_false(read_exactly(&bytes, bytes.length, &seen));
	/* As many as anybody sends. */
	for (int count = 7; count < 9; count++) {
		begin(&bytes, FAMILY_6, 60);
		for (int i = 0; i < count; i++)
			PUT(&bytes, i + 1 < count ? 60 : TCP, 0, 0, 0, 0, 0, 0, 0);
		put_tcp(&bytes, 0x02);
		assert_int_equal(read_exactly(&bytes, bytes.length, &seen), count == 7);
	}
	/* More of them than anybody sends, and one that is longer than the packet. */
	begin(&bytes, FAMILY_6, 60);
	for (int i = 0; i < 20; i++)
		PUT(&bytes, 60, 0, 0, 0, 0, 0, 0, 0);
	assert_false(read_exactly(&bytes, bytes.length, &seen));
	begin(&bytes, FAMILY_6, 60);
	PUT(&bytes, UDP, 1, 0, 0, 0, 0, 0, 0);
	assert_false(read_exactly(&bytes, bytes.length, &seen));
	begin(&bytes, FAMILY_6, 60);
	PUT(&bytes, UDP, 255, 0, 0, 0, 0, 0, 0);
	put_udp(&bytes, 8, "");
	assert_false(read_exactly(&bytes, bytes.length, &seen));
}

/* Cut anywhere: no packet, or a part of it that is reported as it is; never an octet beyond. */
static void cut_anywhere(void **state)
{
	(void)state;
	for (enum family family = 0; family < FAMILIES; family++) {
		size_t header = family == FAMILY_4 ? 20 : 40;
		for (int kind = 0; kind < 3; kind++) {
			struct bytes bytes;
			begin(&bytes, family, kind == 0 ? TCP : kind == 1 ? UDP : family == FAMILY_4 ? ICMP : ICMPV6);
			if (kind == 0)
				put_tcp(&bytes, 0x02);
			else if (kind == 1)
				put_udp(&bytes, 8 + 6, "answer");
			else
				PUT(&bytes, family == FAMILY_4 ? 8 : 128, 0, 0, 0);
			size_t whole = header + (kind == 0 ? 20 : kind == 1 ? 8 : 4);
			for (size_t length = 0; length < bytes.length; length++) {
				struct seen_packet seen;
				/* Of ICMP without its type nothing is known but the addresses: no flow can name it. */
				assert_int_equal(read_exactly(&bytes, length, &seen),
						 length >= whole || (kind == 2 && length >= header));
				if (kind == 2 && length >= header && length < whole)
					assert_int_equal(seen.packet.protocol, PROTOCOLS);
				if (kind == 1 && length >= whole)
					assert_false(seen.payload_whole);
			}
		}
	}
}

static void no_packet(void **state)
{
	struct bytes bytes = { .length = 0 };
	struct seen_packet seen;

	(void)state;
	for (unsigned version = 0; version < 16; version++) {
		memset(bytes.at, 0, ROOM);
		bytes.at[0] = (uint8_t)(version << 4 | 5);
		bytes.at[6] = bytes.at[9] = 2;
		assert_int_equal(read_exactly(&bytes, 60, &seen), version == 4 || version == 6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp),
		cmocka_unit_test(udp),
		cmocka_unit_test(udp_of_odd_length),
		cmocka_unit_test(echo),
		cmocka_unit_test(other_protocols),
		cmocka_unit_test(ipv4_options_and_fragments),
		cmocka_unit_test(ipv6_extensions),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(no_packet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
