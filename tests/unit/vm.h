/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_VM_H
#define SPEFW_TEST_VM_H

/* What the kernel would do with a packet in the chains of a ruleset. Link with vm.c. */

#include "core/ruleset.h"

struct vm_packet {
	bool ipv6;
	uint8_t source[16], target[16];
	uint8_t protocol; /* IPPROTO_* */
	uint16_t source_port, target_port;
	bool syn; /* TCP: SYN and no ACK */
	bool rst; /* TCP */
	uint8_t icmp_type;
	uint8_t hop_limit;
	uint8_t ip_option; /* IPv4: the type of its only option; 0: none */
	bool routing;      /* IPv6: a routing header, with so many segments left */
	uint8_t segments_left;
	uint8_t extension;      /* IPv6: another header of extensions that comes first; 0: none */
	uint32_t state;         /* CT_NEW ...; CT_INVALID and CT_UNTRACKED: nothing else is known of its connection */
	uint32_t status;        /* CT_STATUS_DNAT or 0 */
	uint8_t original[16];   /* target before translation */
	bool reply;             /* it goes back to who opened the connection */
	uint16_t original_port; /* likewise, of the connection, whichever direction the packet has */
	const char *interface;  /* it came in on; NULL: none */
	const char *way_out;    /* it leaves by; NULL: none */
	uint8_t packet_type;
	bool to_local;        /* fib daddr type local */
	bool to_other;        /* fib daddr type unicast */
	bool cut_in, cut_out; /* its connection is in the sets of what was cut, target first; source first */
	bool cut_full;        /* these lack some */
	bool limited;         /* every limit is reached */
};

enum { VM_COUNTERS = 16 };

struct vm_result {
	enum action action; /* ACTION_ACCEPT, _DROP, _RESET or _PROHIBIT; a base chain that ends accepts */
	bool fell_through;  /* and this is how */
	bool pinned;        /* TERM_PIN: accepted, and no later nat chain is asked */
	const char *counters[VM_COUNTERS]; /* that it passed, in order */
	size_t counter_count;
	const char *logs[VM_COUNTERS];
	size_t log_count;
	const char *error; /* the ruleset makes no sense: what is missing, or a loop */
};

struct vm_result vm_run(const struct ruleset *ruleset, const char *base_chain, const struct vm_packet *packet);

#endif
