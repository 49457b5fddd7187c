/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_FATE_H
#define SPEFW_FATE_H

/* What becomes of a packet on its way through the gateway: policy_judge() with its surroundings. This is the meaning of
 * the whole table, as spefw.ini(5) and spefwd(8) have it, told a second time beside the compiler, and not derived from
 * it: for every packet that is not of an established connection, the compiled ruleset must end and count alike. Pure.
 *
 * A packet goes EARLY, PIN, and then FORWARD or INPUT; what the gateway sends goes OUTPUT. Each stage is judged by
 * itself: another table may change the packet in between. */

#include "environment.h"
#include "question.h"
#include "ruleset.h"

enum fate_stage {
	STAGE_EARLY, /* prerouting, ahead of connection tracking: addresses are those on the wire; no state is asked */
	STAGE_PIN,   /* prerouting, the first packet of a connection: likewise */
	STAGE_FORWARD,
	STAGE_INPUT,
	STAGE_OUTPUT,
	STAGES
};

enum fate_reason {
	FATE_NOT_OURS,   /* touches no protected address */
	FATE_NEIGHBOUR,  /* neighbour discovery, multicast listening */
	FATE_OWN_RESET,  /* that the gateway itself has answered with */
	FATE_ERROR,      /* an ICMP error of a connection */
	FATE_FLOW,       /* allowed by .flow, as a new connection */
	FATE_MID_STREAM, /* allowed, as a mid-stream packet of a connection of .flow */
	FATE_SOURCE_ROUTED,
	FATE_SPOOFED,
	FATE_INTERCEPTED, /* interception = block */
	FATE_IGNORED,     /* a protected machine's own broadcast or multicast */
	FATE_INVALID,
	FATE_CUT,
	FATE_DENIED,
	FATE_EARLY,
	FATE_REASONS
};

/* The named counters of the table, in no order. */
enum fate_counter {
	COUNT_FLOW, /* of fate.flow */
	COUNT_MID_STREAM,
	COUNT_SOURCE_ROUTED,
	COUNT_SPOOFED,
	COUNT_INTERCEPTED,
	COUNT_IGNORED,
	COUNT_INVALID,
	COUNT_CUT,
	COUNT_DENIED_IN,
	COUNT_DENIED_OUT,
	COUNT_DENIED_EARLY,
	COUNT_UNOBSERVED,
	COUNTS
};

struct fate {
	uint8_t action;         /* enum action: what becomes of it: ACCEPT, DROP, RESET, PROHIBIT */
	uint8_t reason;         /* enum fate_reason; in audit mode what it would be, and the action is ACCEPT */
	uint8_t counts[COUNTS]; /* how often each counter counts it, as long as no limit is reached */
	bool at_a_rate;         /* the action is an answer, and beyond its limit DROP */
	bool copied; /* a DNS query or answer that is copied to the daemon; beyond the limit UNOBSERVED counts it, once
		      */
	bool for_name; /* denied, and copied once more, within a limit: the next answer for a name might allow it */
	bool pinned;   /* STAGE_PIN: no later table redirects its connection */
	bool inbound;  /* judged by the flows to (else: from) .role */
	const struct policy_role *role; /* NULL where none judges it */
	const struct policy_flow *flow; /* that allows it; NULL: none does */
};

/* What does not change from one packet to the next. Policy and environment have to outlive it. */
struct fate_view {
	const struct policy *policy;
	const struct environment *environment;
	/* Behind these all protected addresses are, as far as that is so; else NULL. */
	const struct interface_list *behind;
};
void fate_view_init(struct fate_view *view, const struct policy *policy, const struct environment *environment);

struct fate policy_fate(const struct fate_view *view, enum fate_stage stage, const struct asker *asker);

/* Of FORWARD, INPUT and OUTPUT, the same in two halves: what stands around the flows (true: that decides), and then
 * what the flows make of a packet, whose stage is no matter any more. */
bool fate_around(const struct fate_view *view, enum fate_stage stage, const struct asker *asker, struct fate *ret);
void fate_of_ours(const struct fate_view *view, const struct asker *asker, struct fate *fate);

extern const struct port_range fate_dns_port; /* as questions have it */

/* The name of a counter in the table, for reports and comparison. Returns buffer. */
enum { FATE_COUNTER_MAX = CONFIG_ID_MAX + 8 };
const char *fate_counter(enum fate_counter counter, const struct policy_flow *flow, char buffer[FATE_COUNTER_MAX]);

/* One packet, as a stage sees it. What is not asked of it need not be there. */
struct fate_packet {
	struct addr source, target; /* of one family */
	uint8_t protocol;           /* IPPROTO_ */
	uint16_t source_port, target_port;
	bool syn, rst;                                  /* as in enum asked */
	uint8_t icmp_type, hop_limit, packet_type, fib; /* PACKET_, enum fib_type */
	bool source_route, segments_left;
	uint32_t state; /* CT_: one bit */
	bool dnat, reply;
	struct addr original;
	uint16_t original_port;
	const char *in, *out; /* interfaces */
	bool cut_in, cut_out, cut_full;
};

/* Its answers. The packet has to outlive the asker. */
struct asker fate_packet_asker(const struct fate_packet *packet);

/* TCP, UDP or echo request, as a new connection or mid-stream: what policy_judge() knows of a packet. */
struct fate_packet fate_packet_of(const struct packet *packet);

#endif
