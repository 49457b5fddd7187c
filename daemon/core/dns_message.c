/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dns_wire.h"

#include <errno.h>
#include <string.h>

/* What a message answers to its question. */

enum {
	SOA_FIXED = 20,
	/* Bounds the work: an answer of 64 KiB that is all records of addresses holds more, and nobody needs it. */
	RECORDS_MAX = 2048,
	ALIAS_RECORDS_MAX = 64, /* likewise: a chain of DNS_ALIASES_MAX, and some that lead elsewhere */

	FLAG_RESPONSE = 0x8000,
	FLAG_TRUNCATED = 0x0200,
	OPCODE_MASK = 0x7800,
	CLASS_IN = 1,
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
			return wire_bad(reader, "an address of wrong length");
		return true;
	case DNS_TYPE_CNAME:
		if (!wire_read_name(reader, &at, &name))
			return false;
		return at == end || wire_bad(reader, "an alias of wrong length");
	case DNS_TYPE_SOA:
		if (!wire_read_name(reader, &at, &name) || !wire_read_name(reader, &at, &name))
			return false;
		return (at < end && end - at == SOA_FIXED) || wire_bad(reader, "an SOA record of wrong length");
	default: return true;
	}
}

static bool check_section(struct reader *reader, size_t *at, unsigned count)
{
	struct record record = { 0 };
	struct wire_name owner;

	while (count-- > 0)
		if (!wire_read_record(reader, at, &record, &owner) || !check_data(reader, &record))
			return false;
	return true;
}

static bool read_header(struct reader *reader, struct dns_message *ret)
{
	if (reader->length < HEADER_SIZE)
		return wire_bad(reader, "shorter than a header");
	uint16_t flags = wire_get16(reader, 2);
	ret->id = wire_get16(reader, 0);
	ret->rcode = flags & 0xf;
	ret->truncated = flags & FLAG_TRUNCATED;
	if (!(flags & FLAG_RESPONSE))
		return wire_bad(reader, "not a response");
	if (flags & OPCODE_MASK)
		return wire_bad(reader, "not the response to an ordinary query");
	return true;
}

static bool read_question(struct reader *reader, struct dns_message *ret, struct wire_name *name, size_t *at)
{
	unsigned count = wire_get16(reader, 4);

	*at = HEADER_SIZE;
	/* Servers that refuse may send the header alone. */
	if (count == 0 && ret->rcode != DNS_NOERROR && ret->rcode != DNS_NXDOMAIN)
		return true;
	if (count != 1)
		return wire_bad(reader, "not exactly one question");
	if (!wire_read_name(reader, at, name))
		return false;
	if (reader->length - *at < QUESTION_FIXED)
		return wire_bad(reader, "the question leaves the message");
	wire_name_to_text(name, ret->question);
	ret->question_type = wire_get16(reader, *at);
	ret->question_class = wire_get16(reader, *at + 2);
	*at += QUESTION_FIXED;
	return true;
}

/* Every record is looked at once before any is used: a message is good as a whole or not at all. */
static bool check_records(struct reader *reader, size_t at, struct sections *ret)
{
	ret->answers = wire_get16(reader, 6);
	ret->authorities = wire_get16(reader, 8);
	ret->additionals = wire_get16(reader, 10);
	if (ret->answers + ret->authorities + ret->additionals > RECORDS_MAX)
		return wire_bad(reader, "too many records");

	ret->answer = at;
	if (!check_section(reader, &at, ret->answers))
		return false;
	ret->authority = at;
	if (!check_section(reader, &at, ret->authorities))
		return false;
	ret->additional = at;
	if (!check_section(reader, &at, ret->additionals))
		return false;
	return at == reader->length || wire_bad(reader, "bytes after the last record");
}

/* BADVERS and the like have nothing in the header's four bits: without this they would pass for "no such data". */
static bool read_extended_rcode(struct reader *reader, const struct sections *sections, struct dns_message *ret)
{
	struct record record;
	struct wire_name owner;
	size_t at = sections->additional, owner_at;
	bool seen = false;

	for (unsigned i = 0; i < sections->additionals; i++) {
		if (!wire_next_record(reader, &at, &record, &owner_at))
			return false;
		if (record.type != DNS_TYPE_OPT)
			continue;
		if (!wire_read_name(reader, &owner_at, &owner))
			return false;
		if (seen || owner.length != 1)
			return wire_bad(reader, "a misplaced OPT record");
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
		if (!wire_next_record(reader, &at, &record, &owner))
			return false;
		if (record.type != DNS_TYPE_CNAME || record.class != CLASS_IN)
			continue;
		if (ret->count == ALIAS_RECORDS_MAX)
			return wire_bad(reader, "too many aliases");
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
		if (!wire_read_name(reader, &at, &owner))
			return false;
		if (!wire_names_equal(&owner, name))
			continue;
		size_t data = aliases->items[i].target;
		if (!wire_read_name(reader, &data, &target))
			return false;
		if (*ret_found && !wire_names_equal(&target, ret_target))
			return wire_bad(reader, "a name with two aliases");
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

	wire_name_to_text(name, whole);
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
			return wire_bad(reader, "aliases in a loop, or too many");
		keep_alias(&target, ret->alias_names[ret->aliases]);
		*name = target;
	}
}

/* Whether the name at `at` is this one. Most answers repeat one pointer for that: *pointer is the last that
 * was followed (0 at first), *equal what it led to. */
static bool compare_owner(struct reader *reader, size_t at, const struct wire_name *name, uint16_t *pointer,
			  bool *equal)
{
	bool is_pointer = (reader->bytes[at] & 0xc0) == 0xc0;
	struct wire_name owner;

	if (is_pointer && *pointer == wire_get16(reader, at))
		return true;
	*pointer = is_pointer ? wire_get16(reader, at) : 0;
	if (!wire_read_name(reader, &at, &owner))
		return false;
	*equal = wire_names_equal(&owner, name);
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
		if (!wire_next_record(reader, &at, &record, &owner))
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
		if (!wire_next_record(reader, &at, &record, &owner_at))
			return false;
		if (record.type != DNS_TYPE_SOA || record.class != CLASS_IN)
			continue;
		if (!wire_read_name(reader, &owner_at, &owner))
			return false;
		if (!wire_name_is_below(name, &owner))
			continue;
		uint32_t minimum = wire_get32(reader, record.data + record.data_length - 4);
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
	/* An alias that leads nowhere does not show for how long that holds. */
	ret->ttl_s = ret->address_count > 0 || negative ? ttl : 0;
	return true;
}

int dns_message_read(const uint8_t *bytes, size_t length, struct dns_message *ret)
{
	struct reader reader = { .bytes = bytes, .length = length };
	struct sections sections = { 0 };
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

	if (length < HEADER_SIZE || wire_get16(&reader, 2) & OPCODE_MASK || wire_get16(&reader, 4) != 1 ||
	    !wire_read_name(&reader, &at, &name) || length - at < QUESTION_FIXED)
		return -EBADMSG;
	ret->id = wire_get16(&reader, 0);
	ret->is_response = wire_get16(&reader, 2) & FLAG_RESPONSE;
	wire_name_to_text(&name, ret->name);
	ret->type = wire_get16(&reader, at);
	ret->class = wire_get16(&reader, at + 2);
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
