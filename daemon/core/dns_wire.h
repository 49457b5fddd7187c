/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DNS_WIRE_H
#define SPEFW_DNS_WIRE_H

/* Names and records of a DNS message (RFC 1035). What returns a bool is false where the message is malformed;
 * reader->reason is then why. */

#include "dns_message.h"

/* RFC 1035, 4.1: header, question, records. */
enum {
	HEADER_SIZE = 12,
	NAME_WIRE_MAX = 255,
	QUESTION_FIXED = 4, /* type, class */
};

/* Lower case, in wire form: the one form in which two names are equal exactly if their bytes are. */
struct wire_name {
	uint8_t bytes[NAME_WIRE_MAX];
	size_t length;
};

struct reader {
	const uint8_t *bytes;
	size_t length;
	size_t work; /* on names, so far */
	const char *reason;
};

struct record {
	uint16_t type, class;
	uint32_t ttl;
	size_t data, data_length;
};

static inline uint16_t wire_get16(const struct reader *reader, size_t at)
{
	return (uint16_t)(reader->bytes[at] << 8 | reader->bytes[at + 1]);
}

static inline uint32_t wire_get32(const struct reader *reader, size_t at)
{
	return (uint32_t)wire_get16(reader, at) << 16 | wire_get16(reader, at + 2);
}

/* dns_wire.c */
bool wire_bad(struct reader *reader, const char *reason);
bool wire_read_name(struct reader *reader, size_t *at, struct wire_name *ret);
bool wire_names_equal(const struct wire_name *a, const struct wire_name *b);
bool wire_name_is_below(const struct wire_name *name, const struct wire_name *zone);
void wire_name_to_text(const struct wire_name *name, char text[DNS_NAME_TEXT_MAX]);
bool wire_read_record(struct reader *reader, size_t *at, struct record *ret, struct wire_name *owner);
bool wire_next_record(struct reader *reader, size_t *at, struct record *ret, size_t *ret_owner);

#endif
