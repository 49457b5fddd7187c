/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dns_wire.h"

#include <string.h>

/* Names and records of a message, never beyond its end, with an upper bound of work. */

enum {
	LABEL_MAX = 63,
	POINTERS_MAX = 127, /* in one name: as many as it can have labels */
	RECORD_FIXED = 10,  /* type, class, TTL, length */
	/* Bytes and pointers of names, in one message: what 2,048 records of an honest one take, twice. */
	NAME_WORK_MAX = 256 * 1024,
};

bool wire_bad(struct reader *reader, const char *reason)
{
	if (!reader->reason)
		reader->reason = reason;
	return false;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* Reads the name at *at and moves *at behind it. A pointer must lead before all that was read of the name so far,
 * and their number is bounded, for a message may have thousands of names that each walk it all. */
bool wire_read_name(struct reader *reader, size_t *at, struct wire_name *ret)
{
	size_t position = *at, lowest = *at;
	unsigned pointers = 0;

	ret->length = 0;
	for (;;) {
		if (position >= reader->length)
			return wire_bad(reader, "a name leaves the message");
		uint8_t size = reader->bytes[position];

		if ((size & 0xc0) == 0xc0) {
			if (position + 2 > reader->length)
				return wire_bad(reader, "a name leaves the message");
			size_t target = wire_get16(reader, position) & 0x3fff;
			if (target < HEADER_SIZE || target >= lowest)
				return wire_bad(reader, "a compression pointer does not lead backwards");
			if (pointers == POINTERS_MAX)
				return wire_bad(reader, "too many compression pointers");
			if (pointers++ == 0)
				*at = position + 2;
			position = lowest = target;
			continue;
		}
		if (size > LABEL_MAX)
			return wire_bad(reader, "a label of unknown kind");
		if (ret->length + 1 + size > NAME_WIRE_MAX)
			return wire_bad(reader, "a name is too long");
		if (position + 1 + size > reader->length)
			return wire_bad(reader, "a name leaves the message");

		ret->bytes[ret->length++] = size;
		for (size_t i = 0; i < size; i++)
			ret->bytes[ret->length++] = lower(reader->bytes[position + 1 + i]);
		position += 1 + (size_t)size;
		if (size == 0)
			break;
	}
	if (pointers == 0)
		*at = position;
	reader->work += ret->length + pointers;
	return reader->work <= NAME_WORK_MAX || wire_bad(reader, "its names take too long to read");
}

/* Moves *at behind the name there, which was read before. */
static void skip_name(const struct reader *reader, size_t *at)
{
	while (reader->bytes[*at] && (reader->bytes[*at] & 0xc0) != 0xc0)
		*at += 1 + (size_t)reader->bytes[*at];
	*at += reader->bytes[*at] ? 2 : 1;
}

bool wire_names_equal(const struct wire_name *a, const struct wire_name *b)
{
	return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

bool wire_name_is_below(const struct wire_name *name, const struct wire_name *zone)
{
	for (size_t at = 0; at < name->length; at += 1 + (size_t)name->bytes[at])
		if (name->length - at == zone->length && memcmp(name->bytes + at, zone->bytes, zone->length) == 0)
			return true;
	return false;
}

void wire_name_to_text(const struct wire_name *name, char text[DNS_NAME_TEXT_MAX])
{
	char *end = text;

	for (size_t at = 0; name->bytes[at]; at += 1 + (size_t)name->bytes[at]) {
		if (at > 0)
			*end++ = '.';
		for (size_t i = 1; i <= name->bytes[at]; i++) {
			uint8_t c = name->bytes[at + i];
			if (c > ' ' && c < 0x7f && c != '.' && c != '\\') {
				*end++ = (char)c;
				continue;
			}
			*end++ = '\\';
			*end++ = (char)('0' + c / 100);
			*end++ = (char)('0' + c / 10 % 10);
			*end++ = (char)('0' + c % 10);
		}
	}
	if (end == text)
		*end++ = '.';
	*end = '\0';
}

/* Reads what follows the owner of the record, and moves *at behind it. */
static bool read_fixed(struct reader *reader, size_t *at, struct record *ret)
{
	if (reader->length - *at < RECORD_FIXED)
		return wire_bad(reader, "a record leaves the message");
	ret->type = wire_get16(reader, *at);
	ret->class = wire_get16(reader, *at + 2);
	ret->ttl = wire_get32(reader, *at + 4);
	ret->data_length = wire_get16(reader, *at + 8);
	ret->data = *at + RECORD_FIXED;
	if (reader->length - ret->data < ret->data_length)
		return wire_bad(reader, "a record leaves the message");
	*at = ret->data + ret->data_length;
	/* RFC 2181, 8: with the top bit set it is as if it were zero. Elsewhere than here OPT alone has other meaning.
	 */
	if (ret->type != DNS_TYPE_OPT && ret->ttl & UINT32_C(0x80000000))
		ret->ttl = 0;
	return true;
}

/* Reads the record at *at and moves *at behind it. */
bool wire_read_record(struct reader *reader, size_t *at, struct record *ret, struct wire_name *owner)
{
	return wire_read_name(reader, at, owner) && read_fixed(reader, at, ret);
}

/* The same for a record that was checked, without its owner's name: *ret_owner is where that is. */
bool wire_next_record(struct reader *reader, size_t *at, struct record *ret, size_t *ret_owner)
{
	*ret_owner = *at;
	skip_name(reader, at);
	return read_fixed(reader, at, ret);
}
