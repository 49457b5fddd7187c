/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dns_message.h"

#include <errno.h>
#include <string.h>

/* RFC 1035: 4.1.1 header, 4.1.2 question, 4.1.3 records, 4.1.4 compression. */
enum {
	HEADER_SIZE = 12,
	NAME_WIRE_MAX = 255,
	LABEL_MAX = 63,
	POINTERS_MAX = 127, /* in one name: as many as it can have labels */
	QUESTION_FIXED = 4, /* type, class */
	RECORD_FIXED = 10,  /* type, class, TTL, length */
	SOA_FIXED = 20,
	RECORDS_MAX = 2048,     /* bounds the work: an answer of 64 KiB that is all records of addresses holds more, and
				   nobody needs it */
	ALIAS_RECORDS_MAX = 64, /* likewise: a chain of DNS_ALIASES_MAX, and some that lead elsewhere */
	NAME_WORK_MAX =
		256 *
		1024, /* bytes and pointers of names, in one message: what 2,048 records of an honest one take, twice */

	FLAG_RESPONSE = 0x8000,
	FLAG_TRUNCATED = 0x0200,
	OPCODE_MASK = 0x7800,
	CLASS_IN = 1,
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

/* Where the aliases of the answer section are, so that following them reads no other record again. */
struct alias_records {
	struct {
		size_t owner, target;
		uint32_t ttl;
	} items[ALIAS_RECORDS_MAX];
	size_t count;
};

struct sections {
	size_t answer, authority, additional; /* offsets */
	unsigned answers, authorities, additionals;
};

static bool bad(struct reader *reader, const char *reason)
{
	if (!reader->reason)
		reader->reason = reason;
	return false;
}

static uint16_t get16(const struct reader *reader, size_t at)
{
	return (uint16_t)(reader->bytes[at] << 8 | reader->bytes[at + 1]);
}

static uint32_t get32(const struct reader *reader, size_t at)
{
	return (uint32_t)get16(reader, at) << 16 | get16(reader, at + 2);
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* Reads the name at *at and moves *at behind it. A pointer must lead before all that was read of the name so far,
 * and their number is bounded, for a message may have thousands of names that each walk it all. */
static bool read_name(struct reader *reader, size_t *at, struct wire_name *ret)
{
	size_t position = *at, lowest = *at;
	unsigned pointers = 0;

	ret->length = 0;
	for (;;) {
		if (position >= reader->length)
			return bad(reader, "a name leaves the message");
		uint8_t size = reader->bytes[position];

		if ((size & 0xc0) == 0xc0) {
			if (position + 2 > reader->length)
				return bad(reader, "a name leaves the message");
			size_t target = get16(reader, position) & 0x3fff;
			if (target < HEADER_SIZE || target >= lowest)
				return bad(reader, "a compression pointer does not lead backwards");
			if (pointers == POINTERS_MAX)
				return bad(reader, "too many compression pointers");
			if (pointers++ == 0)
				*at = position + 2;
			position = lowest = target;
			continue;
		}
		if (size > LABEL_MAX)
			return bad(reader, "a label of unknown kind");
		if (ret->length + 1 + size > NAME_WIRE_MAX)
			return bad(reader, "a name is too long");
		if (position + 1 + size > reader->length)
			return bad(reader, "a name leaves the message");

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
	return reader->work <= NAME_WORK_MAX || bad(reader, "its names take too long to read");
}

/* Moves *at behind the name there, which was read before. */
static void skip_name(const struct reader *reader, size_t *at)
{
	while (reader->bytes[*at] && (reader->bytes[*at] & 0xc0) != 0xc0)
		*at += 1 + (size_t)reader->bytes[*at];
	*at += reader->bytes[*at] ? 2 : 1;
}

static bool names_equal(const struct wire_name *a, const struct wire_name *b)
{
	return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

static bool name_is_below(const struct wire_name *name, const struct wire_name *zone)
{
	for (size_t at = 0; at < name->length; at += 1 + (size_t)name->bytes[at])
		if (name->length - at == zone->length && memcmp(name->bytes + at, zone->bytes, zone->length) == 0)
			return true;
	return false;
}

static void name_to_text(const struct wire_name *name, char text[DNS_NAME_TEXT_MAX])
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
		return bad(reader, "a record leaves the message");
	ret->type = get16(reader, *at);
	ret->class = get16(reader, *at + 2);
	ret->ttl = get32(reader, *at + 4);
	ret->data_length = get16(reader, *at + 8);
	ret->data = *at + RECORD_FIXED;
	if (reader->length - ret->data < ret->data_length)
		return bad(reader, "a record leaves the message");
	*at = ret->data + ret->data_length;
	/* RFC 2181, 8: with the top bit set it is as if it were zero. Elsewhere than here OPT alone has other meaning.
	 */
	if (ret->type != DNS_TYPE_OPT && ret->ttl & UINT32_C(0x80000000))
		ret->ttl = 0;
	return true;
}

/* Reads the record at *at and moves *at behind it. */
static bool read_record(struct reader *reader, size_t *at, struct record *ret, struct wire_name *owner)
{
	return read_name(reader, at, owner) && read_fixed(reader, at, ret);
}

/* The same for a record that was checked, without its owner's name: *ret_owner is where that is. */
static bool next_record(struct reader *reader, size_t *at, struct record *ret, size_t *ret_owner)
{
	*ret_owner = *at;
	skip_name(reader, at);
	return read_fixed(reader, at, ret);
}

static bool check_data(struct reader *reader, const struct record *record)
{
	struct wire_name name;
	size_t at = record->data, end = record->data + record->data_length;

	if (record->class != CLASS_IN)
		return true;
	switch (record->type) {
	case DNS_TYPE_A:
	case DNS_TYPE_AAAA:
		if (record->data_length != addr_size(record->type == DNS_TYPE_A ? FAMILY_4 : FAMILY_6))
			return bad(reader, "an address of wrong length");
		return true;
	case DNS_TYPE_CNAME:
		if (!read_name(reader, &at, &name))
			return false;
		return at == end || bad(reader, "an alias of wrong length");
	case DNS_TYPE_SOA:
		if (!read_name(reader, &at, &name) || !read_name(reader, &at, &name))
			return false;
		return (at < end && end - at == SOA_FIXED) || bad(reader, "an SOA record of wrong length");
	default: return true;
	}
}

static bool check_section(struct reader *reader, size_t *at, unsigned count)
{
	struct record record = { 0 };
	struct wire_name owner;

	while (count-- > 0)
		if (!read_record(reader, at, &record, &owner) || !check_data(reader, &record))
			return false;
	return true;
}

static bool read_header(struct reader *reader, struct dns_message *ret)
{
	if (reader->length < HEADER_SIZE)
		return bad(reader, "shorter than a header");
	uint16_t flags = get16(reader, 2);
	ret->id = get16(reader, 0);
	ret->rcode = flags & 0xf;
	ret->truncated = flags & FLAG_TRUNCATED;
	if (!(flags & FLAG_RESPONSE))
		return bad(reader, "not a response");
	if (flags & OPCODE_MASK)
		return bad(reader, "not the response to an ordinary query");
	return true;
}

static bool read_question(struct reader *reader, struct dns_message *ret, struct wire_name *name, size_t *at)
{
	unsigned count = get16(reader, 4);

	*at = HEADER_SIZE;
	/* Servers that refuse may send the header alone. */
	if (count == 0 && ret->rcode != DNS_NOERROR && ret->rcode != DNS_NXDOMAIN)
		return true;
	if (count != 1)
		return bad(reader, "not exactly one question");
	if (!read_name(reader, at, name))
		return false;
	if (reader->length - *at < QUESTION_FIXED)
		return bad(reader, "the question leaves the message");
	name_to_text(name, ret->question);
	ret->question_type = get16(reader, *at);
	ret->question_class = get16(reader, *at + 2);
	*at += QUESTION_FIXED;
	return true;
}

/* Every record is looked at once before any is used: a message is good as a whole or not at all. */
static bool check_records(struct reader *reader, size_t at, struct sections *ret)
{
	ret->answers = get16(reader, 6);
	ret->authorities = get16(reader, 8);
	ret->additionals = get16(reader, 10);
	if (ret->answers + ret->authorities + ret->additionals > RECORDS_MAX)
		return bad(reader, "too many records");

	ret->answer = at;
	if (!check_section(reader, &at, ret->answers))
		return false;
	ret->authority = at;
	if (!check_section(reader, &at, ret->authorities))
		return false;
	ret->additional = at;
	if (!check_section(reader, &at, ret->additionals))
		return false;
	return at == reader->length || bad(reader, "bytes after the last record");
}

/* BADVERS and the like have nothing in the header's four bits: without this they would pass for "no such data". */
static bool read_extended_rcode(struct reader *reader, const struct sections *sections, struct dns_message *ret)
{
	struct record record;
	struct wire_name owner;
	size_t at = sections->additional, owner_at;
	bool seen = false;

	for (unsigned i = 0; i < sections->additionals; i++) {
		if (!next_record(reader, &at, &record, &owner_at))
			return false;
		if (record.type != DNS_TYPE_OPT)
			continue;
		if (!read_name(reader, &owner_at, &owner))
			return false;
		if (seen || owner.length != 1)
			return bad(reader, "a misplaced OPT record");
		seen = true;
		ret->rcode |= (uint16_t)(record.ttl >> 24 << 4);
	}
	return true;
}

static bool collect_aliases(struct reader *reader, const struct sections *sections, struct alias_records *ret)
{
	struct record record;
	size_t at = sections->answer, owner;

	ret->count = 0;
	for (unsigned i = 0; i < sections->answers; i++) {
		if (!next_record(reader, &at, &record, &owner))
			return false;
		if (record.type != DNS_TYPE_CNAME || record.class != CLASS_IN)
			continue;
		if (ret->count == ALIAS_RECORDS_MAX)
			return bad(reader, "too many aliases");
		ret->items[ret->count].owner = owner;
		ret->items[ret->count].target = record.data;
		ret->items[ret->count++].ttl = record.ttl;
	}
	return true;
}

/* The alias of *name in the answer section, if there is one. Two different ones are refused: which of them would
 * count would be the sender's choice. */
static bool find_alias(struct reader *reader, const struct alias_records *aliases, const struct wire_name *name,
		       struct wire_name *ret_target, uint32_t *ttl, bool *ret_found)
{
	struct wire_name owner, target;

	*ret_found = false;
	for (size_t i = 0; i < aliases->count; i++) {
		size_t at = aliases->items[i].owner;
		if (!read_name(reader, &at, &owner))
			return false;
		if (!names_equal(&owner, name))
			continue;
		size_t data = aliases->items[i].target;
		if (!read_name(reader, &data, &target))
			return false;
		if (*ret_found && !names_equal(&target, ret_target))
			return bad(reader, "a name with two aliases");
		*ret_found = true;
		*ret_target = target;
		if (aliases->items[i].ttl < *ttl)
			*ttl = aliases->items[i].ttl;
	}
	return true;
}

static void keep_alias(const struct wire_name *name, char text[DNS_ALIAS_TEXT_MAX])
{
	char whole[DNS_NAME_TEXT_MAX];

	name_to_text(name, whole);
	text[0] = '\0';
	if (strlen(whole) < DNS_ALIAS_TEXT_MAX && !strchr(whole, '\\'))
		memcpy(text, whole, strlen(whole) + 1);
}

static bool follow_aliases(struct reader *reader, const struct sections *sections, struct wire_name *name,
			   uint32_t *ttl, struct dns_message *ret)
{
	struct alias_records aliases;
	struct wire_name target;
	bool found;

	if (!collect_aliases(reader, sections, &aliases))
		return false;
	/* A loop has no end and so runs into the limit. */
	for (ret->aliases = 0;; ret->aliases++) {
		if (!find_alias(reader, &aliases, name, &target, ttl, &found))
			return false;
		if (!found)
			return true;
		if (ret->aliases == DNS_ALIASES_MAX)
			return bad(reader, "aliases in a loop, or too many");
		keep_alias(&target, ret->alias_names[ret->aliases]);
		*name = target;
	}
}

/* Whether the name at `at` is this one. Most answers say so by one pointer again and again: *pointer is the last that
 * was followed (0 at first), *equal what it led to. */
static bool compare_owner(struct reader *reader, size_t at, const struct wire_name *name, uint16_t *pointer,
			  bool *equal)
{
	bool is_pointer = (reader->bytes[at] & 0xc0) == 0xc0;
	struct wire_name owner;

	if (is_pointer && *pointer == get16(reader, at))
		return true;
	*pointer = is_pointer ? get16(reader, at) : 0;
	if (!read_name(reader, &at, &owner))
		return false;
	*equal = names_equal(&owner, name);
	return true;
}

static bool read_addresses(struct reader *reader, const struct sections *sections, const struct wire_name *name,
			   uint32_t *ttl, struct dns_message *ret)
{
	enum family family = ret->question_type == DNS_TYPE_A ? FAMILY_4 : FAMILY_6;
	struct record record;
	size_t at = sections->answer, owner;
	uint16_t pointer = 0;
	bool equal = false;

	for (unsigned i = 0; i < sections->answers; i++) {
		if (!next_record(reader, &at, &record, &owner))
			return false;
		if (record.type != ret->question_type || record.class != CLASS_IN)
			continue;
		if (!compare_owner(reader, owner, name, &pointer, &equal))
			return false;
		if (!equal)
			continue;
		if (record.ttl < *ttl)
			*ttl = record.ttl;
		if (ret->address_count == DNS_ADDRESSES_MAX) {
			ret->address_excess++;
			continue;
		}
		struct addr *addr = &ret->addresses[ret->address_count++];
		*addr = (struct addr){ .family = family };
		memcpy(addr->bytes, reader->bytes + record.data, addr_size(family));
	}
	return true;
}

/* RFC 2308: the lesser of the SOA's own TTL and its last field. Only the SOA of a zone that the name is in counts. */
static bool read_negative_ttl(struct reader *reader, const struct sections *sections, const struct wire_name *name,
			      uint32_t *ttl, bool *ret_found)
{
	struct record record;
	struct wire_name owner;
	size_t at = sections->authority, owner_at;

	*ret_found = false;
	for (unsigned i = 0; i < sections->authorities; i++) {
		if (!next_record(reader, &at, &record, &owner_at))
			return false;
		if (record.type != DNS_TYPE_SOA || record.class != CLASS_IN)
			continue;
		if (!read_name(reader, &owner_at, &owner))
			return false;
		if (!name_is_below(name, &owner))
			continue;
		uint32_t minimum = get32(reader, record.data + record.data_length - 4);
		if (minimum & UINT32_C(0x80000000))
			minimum = 0;
		*ret_found = true;
		if (record.ttl < *ttl)
			*ttl = record.ttl;
		if (minimum < *ttl)
			*ttl = minimum;
	}
	return true;
}

static bool read_answer(struct reader *reader, const struct sections *sections, struct wire_name *name,
			struct dns_message *ret)
{
	uint32_t ttl = UINT32_MAX;
	bool negative = false;

	if (ret->question_class != CLASS_IN ||
	    (ret->question_type != DNS_TYPE_A && ret->question_type != DNS_TYPE_AAAA))
		return true;
	if (!follow_aliases(reader, sections, name, &ttl, ret))
		return false;
	if (ret->rcode == DNS_NOERROR && !read_addresses(reader, sections, name, &ttl, ret))
		return false;
	if (ret->address_count == 0 && !read_negative_ttl(reader, sections, name, &ttl, &negative))
		return false;
	/* An alias that leads nowhere tells nothing of how long that holds. */
	ret->ttl_s = ret->address_count > 0 || negative ? ttl : 0;
	return true;
}

int dns_message_read(const uint8_t *bytes, size_t length, struct dns_message *ret)
{
	struct reader reader = { .bytes = bytes, .length = length };
	struct sections sections;
	struct wire_name name = { .length = 0 };
	size_t at;

	memset(ret, 0, offsetof(struct dns_message, addresses));
	ret->address_count = ret->address_excess = 0;
	ret->ttl_s = 0;

	if (!read_header(&reader, ret) || !read_question(&reader, ret, &name, &at) ||
	    !check_records(&reader, at, &sections) || !read_extended_rcode(&reader, &sections, ret) ||
	    ((ret->rcode == DNS_NOERROR || ret->rcode == DNS_NXDOMAIN) &&
	     !read_answer(&reader, &sections, &name, ret))) {
		ret->reason = reader.reason;
		ret->address_count = 0;
		return -EBADMSG;
	}
	return 0;
}

int dns_question_read(const uint8_t *bytes, size_t length, struct dns_question *ret)
{
	struct reader reader = { .bytes = bytes, .length = length };
	struct wire_name name;
	size_t at = HEADER_SIZE;

	if (length < HEADER_SIZE || get16(&reader, 2) & OPCODE_MASK || get16(&reader, 4) != 1 ||
	    !read_name(&reader, &at, &name) || length - at < QUESTION_FIXED)
		return -EBADMSG;
	ret->id = get16(&reader, 0);
	ret->is_response = get16(&reader, 2) & FLAG_RESPONSE;
	name_to_text(&name, ret->name);
	ret->type = get16(&reader, at);
	ret->class = get16(&reader, at + 2);
	return 0;
}

bool dns_message_is_for(const struct dns_message *message, const char *name, enum family family)
{
	uint16_t type = family == FAMILY_4 ? DNS_TYPE_A : DNS_TYPE_AAAA;

	return message->question_type == type && message->question_class == CLASS_IN &&
	       strcmp(message->question, name) == 0;
}

const char *dns_rcode_name(unsigned rcode)
{
	static const char *const names[] = {
		"NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",  "REFUSED",
		"YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE",
	};

	if (rcode < sizeof(names) / sizeof(names[0]))
		return names[rcode];
	return rcode == 16 ? "BADVERS" : "unknown rcode";
}
