/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_RESOLVER_WIRE_H
#define SPEFW_RESOLVER_WIRE_H

/* What spefwd and spefw-resolver say to each other, over a socket pair of type SOCK_SEQPACKET: one record a message.
 * Both are of the same build (WIRE_VERSION), so numbers are in the machine's order. spefw-resolver reads what strangers
 * send and may be theirs: spefwd checks the length and every field of what comes from it, and takes nonsense for its
 * death. Texts end with a NUL within their array; all bytes behind it are 0. */

#include "core/addr.h"
#include "core/config.h"
#include "core/denial.h"
#include "core/dns_message.h"

#include <stdint.h>

#define WIRE_VERSION PACKAGE_VERSION " 2"

enum {
	WIRE_VERSION_MAX = 32,
	WIRE_NAME_MAX = DNS_ALIAS_TEXT_MAX, /* a host name that an administrator may write, and its NUL */
	WIRE_ERROR_MAX = 64,
	WIRE_SERVERS_MAX = 16,
	WIRE_ADDRESSES_MAX = DNS_ADDRESSES_MAX,
	WIRE_ALIASES_MAX = DNS_ALIASES_MAX,
	WIRE_FD = 3, /* the descriptor that spefw-resolver is started with */
};

enum wire_kind {
	/* From spefwd. */
	WIRE_SERVERS = 1, /* ask these from now on; what waits is asked of them anew */
	WIRE_QUERY,       /* ask for this; answered by WIRE_ANSWER or WIRE_FAILURE, once */
	WIRE_WATCH_BEGIN, /* answers to the following names, and to their aliases, are of interest, and no others; */
	WIRE_WATCH,       /* one of them; */
	WIRE_WATCH_END,   /* from now on */
	WIRE_NFLOG,       /* with a descriptor: an NFLOG socket to read; without one: there is none any more */
	WIRE_PING,

	/* From spefw-resolver. */
	WIRE_READY = 64, /* first of all: it can do nothing more than it needs */
	WIRE_ANSWER,
	WIRE_FAILURE,
	WIRE_OBSERVED, /* what a protected machine was answered, matched with its query */
	WIRE_DENIAL,   /* a packet from or to a protected machine that was denied */
	WIRE_COUNTS,   /* what was seen and is not reported one by one, since the last of these */
	WIRE_PONG,
};

/* The head of each record. */
struct wire_head {
	uint32_t kind;
	uint32_t length; /* bytes of the whole record */
};

struct wire_address {
	uint8_t family; /* 4 or 6 */
	uint8_t reserved[3];
	uint8_t bytes[16]; /* IPv4: the first four */
};

struct wire_servers {
	struct wire_head head;
	uint32_t count; /* 0: there is nobody to ask, and all queries fail */
	struct {
		struct wire_address address;
		uint16_t port;
		uint16_t reserved;
	} items[WIRE_SERVERS_MAX];
};

struct wire_query {
	struct wire_head head;
	uint32_t id; /* of spefwd's choice, unique among those that wait */
	uint8_t family;
	char name[WIRE_NAME_MAX]; /* lower case, absolute without the trailing dot */
};

struct wire_watch {
	struct wire_head head;
	char name[WIRE_NAME_MAX]; /* or a pattern: "*.example.com" */
};

/* WIRE_WATCH_BEGIN, WIRE_WATCH_END, WIRE_NFLOG */
struct wire_plain {
	struct wire_head head;
};

/* WIRE_PING, WIRE_PONG */
struct wire_beat {
	struct wire_head head;
	uint64_t number;
};

struct wire_ready {
	struct wire_head head;
	char version[WIRE_VERSION_MAX];
	uint8_t landlock; /* 1: it is restricted by Landlock, too; 0: this kernel or sandbox has none */
	uint8_t reserved[7];
};

/* The record ends with the last of `aliases`, each of WIRE_NAME_MAX bytes, which follow the last of `addresses`. */
struct wire_answer {
	struct wire_head head;
	uint32_t id;
	uint32_t ttl_s;
	uint16_t count, alias_count;
	uint8_t family;
	uint8_t reserved[3];
	struct wire_address addresses[];
};

struct wire_failure {
	struct wire_head head;
	uint32_t id;
	uint8_t silent; /* 1: no server has sent anything at all since it was asked, or there is none; else 0 */
	uint8_t reserved[3];
	char error[WIRE_ERROR_MAX]; /* printable ASCII: "SERVFAIL" ... */
};

/* The record ends with the last of `addresses`. */
struct wire_observed {
	struct wire_head head;
	struct wire_address server, resolver; /* who asked whom */
	uint32_t ttl_s;
	uint16_t count;
	uint8_t family;
	uint8_t reserved;
	char question[WIRE_NAME_MAX];
	uint16_t reserved_2;
	struct wire_address addresses[];
};

struct wire_denial {
	struct wire_head head;
	struct wire_address source, target;
	uint16_t source_port, target_port;
	uint8_t protocol;   /* enum protocol */
	uint8_t mid_stream; /* 0 or 1 */
	uint8_t hook;       /* of netfilter, NF_INET_... */
	uint8_t kind;       /* enum denial_kind */
};

struct wire_counts {
	struct wire_head head;
	uint64_t unasked; /* answers of interest that fitted no query which was seen */
	uint64_t lost;    /* times that copies of packets were lost for want of room */
	uint64_t dropped; /* records that found no room on this socket */
};

enum {
	WIRE_RECORD_MAX = sizeof(struct wire_answer) + WIRE_ADDRESSES_MAX * sizeof(struct wire_address) +
			  WIRE_ALIASES_MAX * WIRE_NAME_MAX
};

#endif
