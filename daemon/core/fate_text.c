/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fate_text.h"

#include <stdarg.h>
#include <stdio.h>

struct line {
	char *bytes;
	size_t size, length;
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What has no room is cut off. */
static void add(struct line *line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int length = vsnprintf(line->bytes + line->length, line->size - line->length, format, arguments);
	va_end(arguments);
	if (length > 0)
		line->length +=
			(size_t)length < line->size - line->length ? (size_t)length : line->size - line->length - 1;
}

enum { TCP = 6, UDP = 17, ICMP = 1, ICMPV6 = 58 };

static void add_end(struct line *line, const struct fate_packet *packet, const struct addr *addr, uint16_t port)
{
	bool ports = packet->protocol == TCP || packet->protocol == UDP;
	char text[ADDR_TEXT_MAX];

	addr_format(addr, text);
	if (ports && addr->family == FAMILY_6)
		add(line, "[%s]:%u", text, port);
	else if (ports)
		add(line, "%s:%u", text, port);
	else
		add(line, "%s", text);
}

static const char *state_word(uint32_t state)
{
	return state & CT_NEW ? "new " : state & CT_RELATED ? "related " : state & CT_INVALID ? "invalid " : "";
}

static void add_protocol(struct line *line, const struct fate_packet *packet)
{
	switch (packet->protocol) {
	case TCP: add(line, "tcp%s", packet->syn ? " syn" : packet->rst ? " rst" : " mid-stream"); break;
	case UDP: add(line, "udp"); break;
	case ICMP: add(line, "icmp type %u", packet->icmp_type); break;
	case ICMPV6: add(line, "icmpv6 type %u", packet->icmp_type); break;
	default: add(line, "protocol %u", packet->protocol); break;
	}
}

static void add_surroundings(struct line *line, const struct fate_packet *packet)
{
	if (packet->in && packet->in[0])
		add(line, ", in by %s", packet->in);
	if (packet->out && packet->out[0])
		add(line, ", out by %s", packet->out);
	if (packet->dnat) {
		add(line, ", translated from ");
		add_end(line, packet, &packet->original, packet->original_port);
	}
	if (packet->reply)
		add(line, ", a reply");
	if (packet->source_route || packet->segments_left)
		add(line, ", source-routed");
	if (packet->cut_in || packet->cut_out)
		add(line, ", of a connection that was cut");
}

char *fate_packet_text(const struct fate_packet *packet, enum fate_stage stage, char *buffer, size_t size)
{
	static const char *const stages[STAGES] = { "early", "at the pin", "in forward", "in input", "in output" };
	struct line line = { buffer, size, 0 };

	add(&line, "%s", state_word(packet->state));
	add_protocol(&line, packet);
	add(&line, " ");
	add_end(&line, packet, &packet->source, packet->source_port);
	add(&line, " -> ");
	add_end(&line, packet, &packet->target, packet->target_port);
	add(&line, " %s", stages[stage]);
	add_surroundings(&line, packet);
	return buffer;
}

char *fate_text(const struct fate *fate, char *buffer, size_t size)
{
	struct line line = { buffer, size, 0 };
	char counter[FATE_COUNTER_MAX];
	const char *between = ", counted by ";

	add(&line, "%s",
	    fate->action == ACTION_ACCEPT ? "accepted"
	    : fate->action == ACTION_DROP ? "dropped"
					  : "answered and dropped");
	for (enum fate_counter i = 0; i < COUNTS; i++) {
		if (!fate->counts[i])
			continue;
		add(&line, "%s%s", between, fate_counter(i, fate->flow, counter));
		if (fate->counts[i] > 1)
			add(&line, " %u times", fate->counts[i]);
		between = ", ";
	}
	if (fate->pinned)
		add(&line, ", kept from redirection");
	if (fate->copied)
		add(&line, ", copied to spefwd");
	return buffer;
}
