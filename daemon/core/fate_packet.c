/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fate.h"

/* One packet, and its answers. */

static unsigned flag_of(const struct fate_packet *p, enum asked asked)
{
	switch (asked) {
	case ASKED_IPV6: return p->source.family == FAMILY_6;
	case ASKED_SYN: return p->syn;
	case ASKED_RST: return p->rst;
	case ASKED_SOURCE_ROUTE: return p->source_route;
	case ASKED_SEGMENTS_LEFT: return p->segments_left;
	case ASKED_DNAT: return p->dnat;
	case ASKED_REPLY: return p->reply;
	case ASKED_CUT_IN: return p->cut_in;
	case ASKED_CUT_OUT: return p->cut_out;
	default: return p->cut_full;
	}
}

static uint8_t byte_of(const struct fate_packet *p, enum asked asked)
{
	switch (asked) {
	case ASKED_PROTOCOL: return p->protocol;
	case ASKED_ICMP_TYPE: return p->icmp_type;
	case ASKED_HOP_LIMIT: return p->hop_limit;
	case ASKED_PACKET_TYPE: return p->packet_type;
	default: return p->fib;
	}
}

static unsigned answer(void *context, const struct question *question)
{
	const struct fate_packet *p = context;

	switch (question->asked) {
	case ASKED_SOURCE: return question_of_addr(question, &p->source);
	case ASKED_TARGET: return question_of_addr(question, &p->target);
	case ASKED_ORIGINAL: return question_of_addr(question, &p->original);
	case ASKED_SOURCE_PORT: return question_of_port(question, p->source_port);
	case ASKED_TARGET_PORT: return question_of_port(question, p->target_port);
	case ASKED_ORIGINAL_PORT: return question_of_port(question, p->original_port);
	case ASKED_STATE: return (p->state & question->bits) != 0;
	case ASKED_IN: return p->in && question_of_interface(question, p->in);
	case ASKED_OUT: return p->out && question_of_interface(question, p->out);
	default:
		return question->kind == QUESTION_FLAG
			       ? flag_of(p, (enum asked)question->asked)
			       : question_of_byte(question, byte_of(p, (enum asked)question->asked));
	}
}

struct asker fate_packet_asker(const struct fate_packet *packet)
{
	return (struct asker){ answer, (void *)packet };
}

struct fate_packet fate_packet_of(const struct packet *packet)
{
	bool ipv6 = packet->source.family == FAMILY_6;

	return (struct fate_packet){
		.source = packet->source,
		.target = packet->target,
		.protocol = packet->protocol == PROTOCOL_TCP   ? IPPROTO_TCP_
			    : packet->protocol == PROTOCOL_UDP ? IPPROTO_UDP_
			    : ipv6                             ? IPPROTO_ICMPV6_
							       : IPPROTO_ICMP_,
		.source_port = packet->source_port,
		.target_port = packet->target_port,
		.syn = packet->protocol == PROTOCOL_TCP && !packet->mid_stream,
		.icmp_type = ipv6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO_REQUEST,
		.hop_limit = 64,
		.state = CT_NEW,
		.original = packet->target,
		.original_port = packet->target_port,
	};
}
