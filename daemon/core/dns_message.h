/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DNS_MESSAGE_H
#define SPEFW_DNS_MESSAGE_H

/* The one reader of DNS answers: of those to our own queries, and of those seen on their way to the server. The
 * bytes are the network's, so nothing in them is believed: every count and offset is checked, work is bounded,
 * nothing is allocated. */

#include "addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DNS_ADDRESSES_MAX = 512, /* twice what the address book takes, so that its own rules choose */
	DNS_ALIASES_MAX = 16,
	DNS_ALIAS_TEXT_MAX = 254, /* a host name that an administrator may write, and its NUL */
	DNS_NAME_TEXT_MAX = 1008, /* 250 octets of labels, each perhaps escaped as \DDD, with dots and NUL */
};

enum dns_type { DNS_TYPE_A = 1, DNS_TYPE_CNAME = 5, DNS_TYPE_SOA = 6, DNS_TYPE_AAAA = 28, DNS_TYPE_OPT = 41 };

enum { DNS_NOERROR = 0, DNS_NXDOMAIN = 3 };

struct dns_message {
	const char *reason; /* static: what is malformed; NULL where it was read */
	uint16_t id;
	uint16_t rcode; /* with the upper bits of EDNS */
	bool truncated;

	/* As queried, lower case, without the trailing dot (the root is "."). Octets that are not printable ASCII, dots
	 * within a label and backslashes are \DDD: such a name never equals one that an administrator may write.
	 * "" with type 0: an error that did not repeat the question. */
	char question[DNS_NAME_TEXT_MAX];
	uint16_t question_type, question_class;

	unsigned aliases; /* CNAMEs from the question to the name that the addresses belong to */
	struct addr addresses[DNS_ADDRESSES_MAX]; /* of the question's type, in the order of the message, repeats
						     included */
	size_t address_count;
	size_t address_excess; /* further ones, not kept */
	/* The names that the aliases lead to, in that order; "" for one that is no host name that could be written. */
	char alias_names[DNS_ALIASES_MAX][DNS_ALIAS_TEXT_MAX];

	/* How long the answer holds: the least of aliases and addresses; without addresses the negative TTL (RFC 2308)
	 * counts as well. 0 where nothing shows it. */
	uint32_t ttl_s;
};

/* Reads a response (not a query) to an ordinary query. 0, or -EBADMSG with only ret->reason (and as far as they were
 * there, id and rcode) to be used. An rcode that is an error is no malformation. */
int dns_message_read(const uint8_t *bytes, size_t length, struct dns_message *ret);

/* What an answer says of a name. */
struct dns_answer {
	const char *question; /* text and case as in struct dns_message */
	enum family family;
	const struct addr *addresses; /* of that family */
	size_t count;
	uint32_t ttl_s;
};

/* The question of a query or of an answer; text and case as in struct dns_message. */
struct dns_question {
	bool is_response;
	uint16_t id, type, class;
	char name[DNS_NAME_TEXT_MAX];
};

/* Reads the question of an ordinary query, or of a response to one, and nothing behind it: the rest need not be there.
 * 0 or -EBADMSG. */
int dns_question_read(const uint8_t *bytes, size_t length, struct dns_question *ret);

/* It answers just this question (name as in `question`). */
bool dns_message_is_for(const struct dns_message *message, const char *name, enum family family);

/* "SERVFAIL" ...; "unknown rcode" for what has no name here. */
const char *dns_rcode_name(unsigned rcode);

#endif
