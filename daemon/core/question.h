/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_QUESTION_H
#define SPEFW_QUESTION_H

/* What the judge wants to know of a packet, one question at a time. It never looks at a packet by itself: so it judges
 * one packet, or, where somebody else answers, all packets of a kind at once. Fragments have been put together before;
 * a TCP packet whose header is cut short is no SYN, and CT_INVALID. */

#include "addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum asked {
	ASKED_IPV6,     /* FLAG; else it is IPv4 */
	ASKED_PROTOCOL, /* BYTES: behind all headers of extensions */
	ASKED_SOURCE,
	ASKED_TARGET,      /* addresses, as the stage sees them: NAME, RANGES, ROLE */
	ASKED_SOURCE_PORT, /* TCP and UDP alone, as the next one: PORTS, SEGMENT */
	ASKED_TARGET_PORT,
	ASKED_SYN,           /* FLAG. TCP alone: SYN without ACK, whatever else is set */
	ASKED_RST,           /* FLAG. TCP alone */
	ASKED_ICMP_TYPE,     /* BYTES. ICMP in IPv4 and ICMPv6 in IPv6 alone */
	ASKED_HOP_LIMIT,     /* BYTES. IPv6 alone */
	ASKED_SOURCE_ROUTE,  /* FLAG. IPv4 alone: there is a loose or a strict one */
	ASKED_SEGMENTS_LEFT, /* FLAG. IPv6 alone: a routing header has some */
	ASKED_STATE,         /* BITS: CT_NEW, CT_RELATED, CT_INVALID, CT_UNTRACKED; just one is set */
	ASKED_DNAT,          /* FLAG. Of tracked packets alone (CT_NEW, CT_RELATED), as the next three */
	ASKED_REPLY,         /* FLAG: against the direction in which the connection was opened */
	ASKED_ORIGINAL,      /* address: the connection's target before translation; RANGES */
	ASKED_ORIGINAL_PORT, /* TCP and UDP alone; likewise: PORTS */
	ASKED_IN,            /* INTERFACES: by which it came; not of what leaves the gateway */
	ASKED_OUT,           /* INTERFACES: by which it goes; of what is forwarded alone */
	ASKED_PACKET_TYPE,   /* BYTES: to this host, broadcast, multicast, ... */
	ASKED_FIB,           /* BYTES: FIB_ below; what the routes say of the target */
	ASKED_CUT_IN,        /* FLAG. TCP alone: in the sets of what was cut, with the target as the protected side */
	ASKED_CUT_OUT,       /* likewise with the source */
	ASKED_CUT_FULL,      /* FLAG. TCP alone: those lack some */
	ASKED_COUNT
};

enum fib_type { FIB_OTHER, FIB_LOCAL, FIB_UNICAST };

enum question_kind {
	QUESTION_FLAG,
	QUESTION_BITS,       /* any of .bits */
	QUESTION_BYTES,      /* one of .count bytes at .set */
	QUESTION_RANGES,     /* in the struct ranges */
	QUESTION_NAME,       /* one of the struct name_addresses[FAMILIES]: a name's, or a grant's */
	QUESTION_ROLE,       /* in which of .count struct role_range: 1 + its role; 0: in none */
	QUESTION_PORTS,      /* in one of .count struct port_range */
	QUESTION_SEGMENT,    /* in which of .count struct port_segment: 1 + its place; 0: in none */
	QUESTION_INTERFACES, /* in the struct interface_list, or, where .bits, lo */
};

struct question {
	uint8_t asked, kind; /* enum asked, question_kind */
	uint32_t bits;
	/* It lives as long as policy, names and environment do: the same pointer, kind and bits are the same set. */
	const void *set;
	size_t count;
};

/* Who answers. 0: no, or none; 1: yes; of ROLE and SEGMENT: which. A question is asked only where the packet has what
 * it is about. The same question may be asked again. */
struct asker {
	unsigned (*answer)(void *context, const struct question *question);
	void *context;
};

/* The answers of one value, for askers. */
unsigned question_of_addr(const struct question *question, const struct addr *addr);
unsigned question_of_port(const struct question *question, uint16_t port);
unsigned question_of_byte(const struct question *question, uint8_t byte);
unsigned question_of_interface(const struct question *question, const char *name);

#endif
