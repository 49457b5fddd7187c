/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/dns_message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum section { QUESTION, ANSWER, AUTHORITY, ADDITIONAL };

/* A message under construction, uncompressed unless raw bytes are put. */
struct builder {
	uint8_t bytes[65536];
	size_t length;
};

static struct builder built;
static struct dns_message message;

static void put8(uint8_t value)
{
	assert_true(built.length < sizeof(built.bytes));
	built.bytes[built.length++] = value;
}

static void put16(unsigned value)
{
	put8((uint8_t)(value >> 8));
	put8((uint8_t)value);
}

static void put32(uint32_t value)
{
	put16(value >> 16);
	put16(value & 0xffff);
}

static void put_name(const char *name)
{
	while (*name && strcmp(name, ".") != 0) {
		size_t size = strcspn(name, ".");
		put8((uint8_t)size);
		for (size_t i = 0; i < size; i++)
			put8((uint8_t)name[i]);
		name += size + (name[size] == '.');
	}
	put8(0);
}

static void count(enum section section)
{
	size_t at = 4 + 2 * (size_t)section;
	unsigned value = (unsigned)(built.bytes[at] << 8 | built.bytes[at + 1]) + 1;
	built.bytes[at] = (uint8_t)(value >> 8);
	built.bytes[at + 1] = (uint8_t)value;
}

static void begin(unsigned flags)
{
	memset(&built, 0, sizeof(built));
	put16(0x1234);
	put16(flags);
	built.length = 12;
}

static void query(const char *name, unsigned type)
{
	count(QUESTION);
	put_name(name);
	put16(type);
	put16(1);
}

static void begin_answer_to(const char *name, unsigned type)
{
	begin(0x8180);
	query(name, type);
}

static void put_record(enum section section, const char *name, unsigned type, uint32_t ttl, size_t size)
{
	count(section);
	put_name(name);
	put16(type);
	put16(1);
	put32(ttl);
	put16((unsigned)size);
}

static void add_a(const char *name, uint32_t ttl, uint32_t address)
{
	put_record(ANSWER, name, DNS_TYPE_A, ttl, 4);
	put32(address);
}

static void add_aaaa(const char *name, uint32_t ttl, uint8_t last)
{
	put_record(ANSWER, name, DNS_TYPE_AAAA, ttl, 16);
	put32(0x20010db8);
	put32(0);
	put32(0);
	put32(last);
}

static void add_cname(const char *name, uint32_t ttl, const char *target)
{
	put_record(ANSWER, name, DNS_TYPE_CNAME, ttl, strlen(target) + 2);
	put_name(target);
}

static void put_pointer_record(unsigned target)
{
	count(ANSWER);
	put16(0xc000 | target);
	put16(DNS_TYPE_A);
	put16(1);
	put32(60);
	put16(4);
	put32(0xc0000201);
}

static void add_soa(const char *zone, uint32_t ttl, uint32_t minimum)
{
	put_record(AUTHORITY, zone, DNS_TYPE_SOA, ttl, 2 + 20);
	put8(0);
	put8(0);
	for (int i = 0; i < 4; i++)
		put32(3600);
	put32(minimum);
}

static void add_opt(uint32_t ttl)
{
	put_record(ADDITIONAL, ".", DNS_TYPE_OPT, ttl, 0);
}

/* From a block of just that size, so that a sanitizer sees any step beyond it. */
static int read_bytes(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, length);
	memset(&message, 0xa5, sizeof(message));
	int status = dns_message_read(copy, length, &message);
	free(copy);
	return status;
}

static void expect_read(void)
{
	int status = read_bytes(built.bytes, built.length);
	if (status != 0)
		print_message("refused: %s\n", message.reason);
	assert_int_equal(status, 0);
	assert_null(message.reason);
}

static void expect_refused(const char *reason)
{
	assert_int_equal(read_bytes(built.bytes, built.length), -EBADMSG);
	assert_non_null(message.reason);
	assert_string_equal(message.reason, reason);
	assert_int_equal(message.address_count, 0);
}

static void expect_address(size_t index, const char *text)
{
	char buffer[ADDR_TEXT_MAX];
	assert_true(index < message.address_count);
	assert_string_equal(addr_format(&message.addresses[index], buffer), text);
}

static void plain_answers(void **state)
{
	(void)state;
	begin_answer_to("My.MailStore.com", DNS_TYPE_A);
	add_a("my.mailstore.COM", 300, 0xc0000201);
	add_a("MY.mailstore.com", 200, 0xc0000202);
	expect_read();
	assert_int_equal(message.id, 0x1234);
	assert_int_equal(message.rcode, DNS_NOERROR);
	assert_false(message.truncated);
	assert_string_equal(message.question, "my.mailstore.com");
	assert_int_equal(message.question_type, DNS_TYPE_A);
	assert_int_equal(message.aliases, 0);
	assert_int_equal(message.address_count, 2);
	expect_address(0, "192.0.2.1");
	expect_address(1, "192.0.2.2");
	assert_int_equal(message.ttl_s, 200);
	assert_true(dns_message_is_for(&message, "my.mailstore.com", FAMILY_4));
	assert_false(dns_message_is_for(&message, "my.mailstore.com", FAMILY_6));
	assert_false(dns_message_is_for(&message, "mailstore.com", FAMILY_4));

	begin_answer_to("a.example", DNS_TYPE_AAAA);
	add_aaaa("a.example", 60, 7);
	add_a("a.example", 5, 0xc0000201);
	expect_read();
	assert_int_equal(message.address_count, 1);
	expect_address(0, "2001:db8::7");
	assert_int_equal(message.ttl_s, 60);

	begin(0x8780);
	query("a.example", DNS_TYPE_A);
	expect_read();
	assert_true(message.truncated);
}

static void aliases_in_any_order(void **state)
{
	(void)state;
	begin_answer_to("www.example", DNS_TYPE_A);
	add_a("c.example.net", 300, 0xc0000203);
	add_cname("b.example.net", 90, "C.example.net");
	add_a("elsewhere.example", 1, 0xc0000266);
	add_cname("WWW.example", 100, "b.EXAMPLE.net");
	add_cname("elsewhere.example", 2, "c.example.net");
	add_a("www.example", 3, 0xc0000299);
	expect_read();
	assert_int_equal(message.aliases, 2);
	assert_int_equal(message.address_count, 1);
	expect_address(0, "192.0.2.3");
	assert_int_equal(message.ttl_s, 90);
}

/* The names that led there are kept, but for odd ones. */
static void alias_names(void **state)
{
	char longest[DNS_ALIAS_TEXT_MAX] = "";

	(void)state;
	while (strlen(longest) < DNS_ALIAS_TEXT_MAX - 1)
		strcat(longest, strlen(longest) % 50 == 49 ? "." : "a");
	begin_answer_to("www.example", DNS_TYPE_A);
	add_cname("www.example", 60, "B.example.net");
	add_cname("b.example.net", 60, "o\\dd.example");
	add_cname("o\\dd.example", 60, longest);
	add_a(longest, 60, 0xc0000201);
	expect_read();
	assert_int_equal(message.aliases, 3);
	assert_string_equal(message.alias_names[0], "b.example.net");
	assert_string_equal(message.alias_names[1], "");
	assert_string_equal(message.alias_names[2], longest);
	assert_int_equal(message.address_count, 1);
}

/* Not more addresses than there is room for: what is more is counted. */
static void many_addresses(void **state)
{
	(void)state;
	for (unsigned more = 0; more < 3; more++) {
		begin_answer_to("a.example", DNS_TYPE_A);
		for (unsigned i = 0; i < DNS_ADDRESSES_MAX + more; i++)
			add_a("a.example", 300 - i % 2, i);
		expect_read();
		assert_int_equal(message.address_count, DNS_ADDRESSES_MAX);
		assert_int_equal(message.address_excess, more);
		assert_int_equal(message.ttl_s, 299);
	}
}

/* Names of records by pointers that lead to different names, and back. */
static void pointers_to_different_names(void **state)
{
	(void)state;
	begin_answer_to("a.example", DNS_TYPE_A);
	unsigned other = (unsigned)built.length;
	add_a("b.example", 60, 0xc0000207);
	put_pointer_record(12);
	put_pointer_record(12);
	put_pointer_record(other);
	put_pointer_record(12);
	add_a("a.example", 60, 0xc0000208);
	put_pointer_record(other);
	expect_read();
	assert_int_equal(message.address_count, 4);
	expect_address(3, "192.0.2.8");
}

static void rcode_names(void **state)
{
	static const char *const names[] = {
		"NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",  "REFUSED",
		"YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE", "unknown rcode"
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_string_equal(dns_rcode_name(i), names[i]);
	assert_string_equal(dns_rcode_name(15), "unknown rcode");
	assert_string_equal(dns_rcode_name(17), "unknown rcode");
}

/* The bounds of a name's letters. */
static void letters(void **state)
{
	static const uint8_t odd[] = "\x0c@AZ[`az{!~\x7f \x02\x64\xc7";

	(void)state;
	begin(0x8180);
	count(QUESTION);
	for (size_t i = 0; i < sizeof(odd); i++)
		put8(odd[i]);
	put16(DNS_TYPE_A);
	put16(1);
	expect_read();
	assert_string_equal(message.question, "@az[`az{!~\\127\\032.d\\199");
}

/* Records of other types and classes are no matter, wherever they stand. */
static void other_records(void **state)
{
	(void)state;
	begin_answer_to("a.example", DNS_TYPE_A);
	put_record(ANSWER, "a.example", 99, 5, 0);
	put_record(ANSWER, "a.example", DNS_TYPE_A, 5, 4);
	built.bytes[built.length - 10 + 3] = 3; /* of class 3 */
	put32(0xc0000203);
	add_a("a.example", 60, 0xc0000201);
	expect_read();
	assert_int_equal(message.address_count, 1);
	assert_int_equal(message.ttl_s, 60);

	begin_answer_to("a.example", DNS_TYPE_A);
	put_record(AUTHORITY, "example", 99, 5, 0);
	put_record(AUTHORITY, "other", DNS_TYPE_SOA, 5, 22);
	put16(0);
	for (int i = 0; i < 5; i++)
		put32(1);
	add_soa("example", 70, 80);
	put_record(ADDITIONAL, "a.example", DNS_TYPE_A, 1, 4);
	put32(0xc0000209);
	add_opt(0x8000);
	expect_read();
	assert_int_equal(message.address_count, 0);
	assert_int_equal(message.ttl_s, 70);
	assert_int_equal(message.rcode, DNS_NOERROR);

	/* An OPT record has no name. */
	begin_answer_to("a.example", DNS_TYPE_A);
	put_record(ADDITIONAL, "a", DNS_TYPE_OPT, 0, 0);
	expect_refused("a misplaced OPT record");
}

static void alias_chain(unsigned count)
{
	char from[32], to[32];

	begin_answer_to("n0.example", DNS_TYPE_A);
	for (unsigned i = count; i-- > 0;) {
		snprintf(from, sizeof(from), "n%u.example", i);
		snprintf(to, sizeof(to), "n%u.example", i + 1);
		add_cname(from, 60, to);
	}
	snprintf(to, sizeof(to), "n%u.example", count);
	add_a(to, 60, 0xc0000201);
}

static void alias_limits(void **state)
{
	(void)state;
	alias_chain(DNS_ALIASES_MAX);
	expect_read();
	assert_int_equal(message.aliases, DNS_ALIASES_MAX);
	assert_int_equal(message.address_count, 1);

	alias_chain(DNS_ALIASES_MAX + 1);
	expect_refused("aliases in a loop, or too many");

	begin_answer_to("a.example", DNS_TYPE_A);
	add_cname("a.example", 60, "b.example");
	add_cname("b.example", 60, "a.example");
	add_a("a.example", 60, 0xc0000201);
	expect_refused("aliases in a loop, or too many");

	begin_answer_to("a.example", DNS_TYPE_A);
	add_cname("a.example", 60, "b.example");
	add_cname("a.example", 60, "c.example");
	add_a("b.example", 60, 0xc0000201);
	expect_refused("a name with two aliases");

	begin_answer_to("a.example", DNS_TYPE_A);
	add_cname("a.example", 60, "b.example");
	add_cname("a.example", 30, "B.example");
	add_a("b.example", 60, 0xc0000201);
	expect_read();
	assert_int_equal(message.aliases, 1);
	assert_int_equal(message.ttl_s, 30);
}

static void lifetimes(void **state)
{
	(void)state;
	begin_answer_to("a.example", DNS_TYPE_A);
	add_a("a.example", UINT32_C(0x80000000), 0xc0000201);
	expect_read();
	assert_int_equal(message.ttl_s, 0);

	begin_answer_to("a.example", DNS_TYPE_A);
	add_a("a.example", UINT32_C(0x7fffffff), 0xc0000201);
	expect_read();
	assert_int_equal(message.ttl_s, 0x7fffffff);

	begin_answer_to("a.example", DNS_TYPE_A);
	expect_read();
	assert_int_equal(message.address_count, 0);
	assert_int_equal(message.ttl_s, 0);
}

static void negative_lifetimes(void **state)
{
	(void)state;
	begin(0x8183);
	query("a.b.example", DNS_TYPE_A);
	add_soa("EXAMPLE", 900, 600);
	expect_read();
	assert_int_equal(message.rcode, DNS_NXDOMAIN);
	assert_int_equal(message.address_count, 0);
	assert_int_equal(message.ttl_s, 600);

	begin_answer_to("a.b.example", DNS_TYPE_A);
	add_soa(".", 30, 600);
	expect_read();
	assert_int_equal(message.ttl_s, 30);

	/* The end of an alias counts, with the alias. */
	begin_answer_to("a.example", DNS_TYPE_A);
	add_cname("a.example", 45, "b.test");
	add_soa("test", 900, 600);
	expect_read();
	assert_int_equal(message.ttl_s, 45);

	/* Of a zone that the name is not in. */
	begin_answer_to("a.example", DNS_TYPE_A);
	add_soa("le", 900, 600);
	expect_read();
	assert_int_equal(message.ttl_s, 0);

	begin_answer_to("a.example", DNS_TYPE_A);
	add_soa("example", 900, UINT32_C(0xffffffff));
	expect_read();
	assert_int_equal(message.ttl_s, 0);

	/* Addresses are there: the SOA does not count, nor have addresses where the name does not exist. */
	begin_answer_to("a.example", DNS_TYPE_A);
	add_a("a.example", 300, 0xc0000201);
	add_soa("example", 9, 6);
	expect_read();
	assert_int_equal(message.ttl_s, 300);

	begin(0x8183);
	query("a.example", DNS_TYPE_A);
	add_a("a.example", 300, 0xc0000201);
	expect_read();
	assert_int_equal(message.address_count, 0);
}

static void error_codes(void **state)
{
	(void)state;
	begin(0x8182);
	query("a.example", DNS_TYPE_A);
	expect_read();
	assert_int_equal(message.rcode, 2);
	assert_string_equal(dns_rcode_name(message.rcode), "SERVFAIL");

	begin(0x8185);
	expect_read();
	assert_string_equal(dns_rcode_name(message.rcode), "REFUSED");
	assert_string_equal(message.question, "");
	assert_false(dns_message_is_for(&message, "", FAMILY_4));

	/* An error may not bring addresses. */
	begin(0x8182);
	query("a.example", DNS_TYPE_A);
	add_a("a.example", 300, 0xc0000201);
	expect_read();
	assert_int_equal(message.address_count, 0);

	begin_answer_to("a.example", DNS_TYPE_A);
	add_opt(UINT32_C(0x01000000));
	expect_read();
	assert_int_equal(message.rcode, 16);
	assert_string_equal(dns_rcode_name(message.rcode), "BADVERS");
	assert_string_equal(dns_rcode_name(4095), "unknown rcode");

	begin_answer_to("a.example", DNS_TYPE_A);
	add_opt(0);
	add_opt(0);
	expect_refused("a misplaced OPT record");
}

static void names_that_deceive(void **state)
{
	/* my\.mailstore.com, a space, a NUL, a backslash, a byte over 127 */
	static const uint8_t odd[] = "\x0cmy.mailstore\x05"
				     "a \0\\\xfc\x03"
				     "Com";

	(void)state;
	begin(0x8180);
	count(QUESTION);
	for (size_t i = 0; i < sizeof(odd); i++)
		put8(odd[i]);
	put16(DNS_TYPE_A);
	put16(1);
	expect_read();
	assert_string_equal(message.question, "my\\046mailstore.a\\032\\000\\092\\252.com");
	assert_false(dns_message_is_for(&message, "my.mailstore.com", FAMILY_4));

	begin_answer_to(".", DNS_TYPE_A);
	expect_read();
	assert_string_equal(message.question, ".");

	/* The longest name, all of it escaped. */
	begin(0x8180);
	count(QUESTION);
	for (unsigned label = 0; label < 4; label++) {
		unsigned size = label < 3 ? 63 : 61;
		put8((uint8_t)size);
		for (unsigned i = 0; i < size; i++)
			put8(0xff);
	}
	put8(0);
	put16(DNS_TYPE_A);
	put16(1);
	expect_read();
	assert_int_equal(strlen(message.question), 250 * 4 + 3);

	begin(0x8180);
	count(QUESTION);
	for (unsigned label = 0; label < 4; label++) {
		put8(63);
		for (unsigned i = 0; i < 63; i++)
			put8('a');
	}
	put8(0);
	put16(DNS_TYPE_A);
	put16(1);
	expect_refused("a name is too long");

	/* Another class is another world. */
	begin(0x8180);
	count(QUESTION);
	put_name("a.example");
	put16(DNS_TYPE_A);
	put16(3);
	add_a("a.example", 300, 0xc0000201);
	expect_read();
	assert_int_equal(message.address_count, 0);
	assert_false(dns_message_is_for(&message, "a.example", FAMILY_4));
}

static void compression(void **state)
{
	(void)state;
	begin_answer_to("a.example", DNS_TYPE_A);
	put_pointer_record(12);
	expect_read();
	assert_int_equal(message.address_count, 1);

	begin_answer_to("a.example", DNS_TYPE_A);
	put_pointer_record((unsigned)built.length);
	expect_refused("a compression pointer does not lead backwards");

	begin_answer_to("a.example", DNS_TYPE_A);
	put_pointer_record((unsigned)built.length + 4);
	expect_refused("a compression pointer does not lead backwards");

	begin_answer_to("a.example", DNS_TYPE_A);
	put_pointer_record(4);
	expect_refused("a compression pointer does not lead backwards");

	/* Backwards into a name of which the pointer is a part. */
	begin_answer_to("a.example", DNS_TYPE_A);
	size_t start = built.length;
	count(ANSWER);
	put8(1);
	put8('x');
	put16(0xc000 | (unsigned)start);
	expect_refused("a compression pointer does not lead backwards");

	/* Each pointer leads to the one before it. */
	begin_answer_to("a.example", DNS_TYPE_A);
	put_record(ANSWER, ".", 99, 0, 2 * 400);
	unsigned first = (unsigned)built.length;
	put16(0xc00c);
	for (unsigned i = 1; i < 400; i++)
		put16(0xc000 | (first + 2 * (i - 1)));
	put_pointer_record(first + 2 * 125); /* 127 of them, as a name can have labels */
	expect_read();
	assert_int_equal(message.address_count, 1);
	built.length -= 16;
	built.bytes[7]--;
	put_pointer_record(first + 2 * 126);
	expect_refused("too many compression pointers");
	built.length -= 16;
	built.bytes[7]--;
	put_pointer_record(first + 2 * 399);
	expect_refused("too many compression pointers");

	/* The message may end with one, and not within one. */
	begin_answer_to("a.example", DNS_TYPE_A);
	put_record(ANSWER, "b.example", DNS_TYPE_CNAME, 60, 2);
	put16(0xc00c);
	expect_read();
	built.length--;
	built.bytes[built.length - 2] = 1;
	expect_refused("a name leaves the message");

	begin_answer_to("a.example", DNS_TYPE_A);
	count(ANSWER);
	put8(0x80);
	expect_refused("a label of unknown kind");
}

static void malformed(void **state)
{
	(void)state;
	begin(0x0100);
	query("a.example", DNS_TYPE_A);
	expect_refused("not a response");
	begin(0xa180);
	query("a.example", DNS_TYPE_A);
	expect_refused("not the response to an ordinary query");
	begin(0x8180);
	expect_refused("not exactly one question");
	begin_answer_to("a.example", DNS_TYPE_A);
	query("a.example", DNS_TYPE_A);
	expect_refused("not exactly one question");

	begin_answer_to("a.example", DNS_TYPE_A);
	put_record(ANSWER, "a.example", DNS_TYPE_A, 60, 5);
	put32(0);
	put8(0);
	expect_refused("an address of wrong length");
	begin_answer_to("a.example", DNS_TYPE_A);
	put_record(ANSWER, "other.example", DNS_TYPE_AAAA, 60, 4);
	put32(0);
	expect_refused("an address of wrong length");
	begin_answer_to("a.example", DNS_TYPE_A);
	put_record(ANSWER, "a.example", DNS_TYPE_CNAME, 60, 4);
	put_name("b");
	put8(0);
	expect_refused("an alias of wrong length");
	begin_answer_to("a.example", DNS_TYPE_A);
	put_record(AUTHORITY, "example", DNS_TYPE_SOA, 60, 2);
	put16(0);
	expect_refused("an SOA record of wrong length");

	begin_answer_to("a.example", DNS_TYPE_A);
	add_a("a.example", 300, 0xc0000201);
	put8(0);
	expect_refused("bytes after the last record");

	begin_answer_to("a.example", DNS_TYPE_A);
	for (unsigned i = 0; i < 2049; i++)
		add_a("a.example", 300, i);
	expect_refused("too many records");
}

/* The work is bounded by what a message has of names, and not by their number times that of its aliases. */
static void bounded_work(void **state)
{
	(void)state;
	/* 16 aliases and as many addresses as there may be records: good, and each record is read but twice. */
	begin_answer_to("a0.example", DNS_TYPE_A);
	for (int i = 0; i < 16; i++) {
		char from[32], to[32];
		snprintf(from, sizeof(from), "a%d.example", i);
		snprintf(to, sizeof(to), "a%d.example", i + 1);
		add_cname(from, 60, to);
	}
	for (unsigned i = 0; i < 2048 - 16; i++)
		add_a("a16.example", 300, i);
	expect_read();
	assert_int_equal(message.aliases, 16);
	assert_int_equal(message.address_count + message.address_excess, 2048 - 16);

	/* More aliases than any chain has. */
	begin_answer_to("a.example", DNS_TYPE_A);
	for (int i = 0; i < 64; i++)
		add_cname("other.example", 60, "b.example");
	expect_read();
	add_cname("other.example", 60, "b.example");
	expect_refused("too many aliases");

	/* Names of 255 bytes by 127 pointers each: what makes 2,048 small records take as long as a million. */
	begin_answer_to("a.example", DNS_TYPE_A);
	size_t first = built.length;
	put_record(ANSWER, ".", 16, 60, 127 * 4 + 1);
	size_t last = built.length;
	for (int i = 0; i < 126; i++) {
		put8(1);
		put8('a');
		put16(0xc000 | (unsigned)(i ? last - 4 : first));
		last = built.length;
	}
	while (built.length < first + 11 + 127 * 4 + 1)
		put8(0);
	for (int i = 0; i < 2000; i++) {
		count(ANSWER);
		put16(0xc000 | (unsigned)(last - 4));
		put16(DNS_TYPE_A);
		put16(1);
		put32(60);
		put16(4);
		put32((uint32_t)i);
	}
	expect_refused("its names take too long to read");
}

static void question_alone(void **state)
{
	struct dns_question question;

	(void)state;
	begin(0x0100);
	query("My.Example", DNS_TYPE_AAAA);
	assert_int_equal(dns_question_read(built.bytes, built.length, &question), 0);
	assert_false(question.is_response);
	assert_int_equal(question.id, 0x1234);
	assert_int_equal(question.type, DNS_TYPE_AAAA);
	assert_int_equal(question.class, 1);
	assert_string_equal(question.name, "my.example");
	for (size_t length = 0; length < built.length; length++)
		assert_int_equal(dns_question_read(built.bytes, length, &question), -EBADMSG);
	/* What follows need not be there. */
	begin_answer_to("a.example", DNS_TYPE_A);
	size_t end = built.length;
	add_a("a.example", 60, 1);
	assert_int_equal(dns_question_read(built.bytes, end, &question), 0);
	assert_true(question.is_response);
	assert_string_equal(question.name, "a.example");
	/* Another opcode; none, or two questions. */
	begin(0x2100);
	query("a.example", DNS_TYPE_A);
	assert_int_equal(dns_question_read(built.bytes, built.length, &question), -EBADMSG);
	begin(0x0100);
	assert_int_equal(dns_question_read(built.bytes, built.length, &question), -EBADMSG);
	query("a.example", DNS_TYPE_A);
	query("b.example", DNS_TYPE_A);
	assert_int_equal(dns_question_read(built.bytes, built.length, &question), -EBADMSG);
}

static void cut_anywhere(void **state)
{
	(void)state;
	begin_answer_to("a.example", DNS_TYPE_A);
	add_cname("a.example", 60, "b.example");
	add_a("b.example", 300, 0xc0000201);
	add_soa("example", 60, 60);
	add_opt(0);
	expect_read();
	for (size_t length = 0; length < built.length; length++) {
		assert_int_equal(read_bytes(built.bytes, length), -EBADMSG);
		assert_non_null(message.reason);
	}
}

/* Whatever a byte becomes, the reader stays within the bytes (the sanitizers watch) and within its own limits. */
static void any_byte_changed(void **state)
{
	static const uint8_t values[] = { 0, 1, 0x3f, 0x40, 0x80, 0xc0, 0xff };

	(void)state;
	begin_answer_to("a.example", DNS_TYPE_A);
	add_cname("a.example", 60, "b.example");
	add_a("b.example", 300, 0xc0000201);
	put_pointer_record(12);
	add_soa("example", 60, 60);
	add_opt(0);
	for (size_t at = 0; at < built.length; at++) {
		uint8_t saved = built.bytes[at];
		for (size_t i = 0; i < sizeof(values); i++) {
			built.bytes[at] = values[i];
			int status = read_bytes(built.bytes, built.length);
			assert_true(status == 0 ? !message.reason : message.reason && message.address_count == 0);
			assert_true(message.address_count <= 2);
		}
		built.bytes[at] = saved;
	}
}

static void more_addresses_than_are_kept(void **state)
{
	(void)state;
	begin_answer_to("a.example", DNS_TYPE_A);
	for (unsigned i = 0; i < DNS_ADDRESSES_MAX + 3; i++)
		add_a("a.example", 300 - (i > DNS_ADDRESSES_MAX), 0xc0000000 + i);
	expect_read();
	assert_int_equal(message.address_count, DNS_ADDRESSES_MAX);
	assert_int_equal(message.address_excess, 3);
	assert_int_equal(message.ttl_s, 299);
	expect_address(DNS_ADDRESSES_MAX - 1, "192.0.1.255");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alias_names),
		cmocka_unit_test(many_addresses),
		cmocka_unit_test(pointers_to_different_names),
		cmocka_unit_test(rcode_names),
		cmocka_unit_test(letters),
		cmocka_unit_test(other_records),
		cmocka_unit_test(plain_answers),
		cmocka_unit_test(aliases_in_any_order),
		cmocka_unit_test(alias_limits),
		cmocka_unit_test(lifetimes),
		cmocka_unit_test(negative_lifetimes),
		cmocka_unit_test(error_codes),
		cmocka_unit_test(names_that_deceive),
		cmocka_unit_test(compression),
		cmocka_unit_test(malformed),
		cmocka_unit_test(bounded_work),
		cmocka_unit_test(question_alone),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(any_byte_changed),
		cmocka_unit_test(more_addresses_than_are_kept),
	};

	return cmocka_run_group_tests_name("dns_message", tests, NULL, NULL);
}
