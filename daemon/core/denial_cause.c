/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "denial_cause.h"
#include "nearest.h"

#include <stdio.h>
#include <string.h>

/* What is farther away than a flow for others, or one that is switched off, is near to nothing that was denied. */
static enum cause cause_of_misses(unsigned misses)
{
	switch (misses) {
	case 0: return CAUSE_NOTHING;
	case MISS_SOURCE: return CAUSE_SOURCE;
	case MISS_TARGET: return CAUSE_TARGET;
	case MISS_SOURCE | MISS_TARGET: return CAUSE_BOTH;
	case MISS_OFF: return CAUSE_OFF;
	default: return CAUSE_FLOW;
	}
}

static void find_flow(const struct policy *policy, const struct names_view *names, struct denial_cause *cause)
{
	struct nearest nearest = policy_nearest(policy, names, &cause->opened);

	cause->why = nearest.flow ? cause_of_misses(nearest.misses) : CAUSE_FLOW;
	cause->flow = cause->why == CAUSE_FLOW ? NULL : nearest.flow;
}

/* The connection that a packet opens, or is a part of. Where the policy takes it for a part of none, its lower port
 * shows who serves whom: a flow to that port would make it one. */
static bool opening_of(const struct policy *policy, const struct packet *packet, struct packet *ret)
{
	if (!packet->mid_stream || policy_opened(policy, packet, ret)) {
		if (!packet->mid_stream)
			*ret = *packet;
		return true;
	}
	bool to_us = policy_protected_role(policy, &packet->target);
	uint16_t own = to_us ? packet->target_port : packet->source_port;
	uint16_t other = to_us ? packet->source_port : packet->target_port;
	if (own >= other)
		return false;
	*ret = *packet;
	ret->mid_stream = false;
	if (to_us)
		return true;
	ret->source = packet->target;
	ret->target = packet->source;
	ret->source_port = other;
	ret->target_port = own;
	return true;
}

struct denial_cause denial_cause_of(const struct policy *policy, const struct names_view *names,
				    const struct packet *packet)
{
	struct judgement judgement = policy_judge(policy, names, packet);
	struct denial_cause cause = { .opened = *packet, .role = judgement.role, .inbound = judgement.inbound };
	bool opens = judgement.role && opening_of(policy, packet, &cause.opened);

	if (opens && packet->mid_stream) {
		const struct policy_role *role = policy_protected_role(policy, &cause.opened.target);
		cause.inbound = role != NULL;
		cause.role = role ? role : policy_protected_role(policy, &cause.opened.source);
	}
	if (judgement.verdict != VERDICT_DENY) {
		cause.flow = judgement.flow;
		return cause;
	}
	if (packet->protocol >= PROTOCOLS)
		cause.why = CAUSE_PROTOCOL;
	else if (!opens)
		cause.why = CAUSE_CONNECTION;
	else
		find_flow(policy, names, &cause);
	/* It could be opened, and is not opened by this. */
	if (cause.why == CAUSE_NOTHING) {
		cause.why = CAUSE_CONNECTION;
		cause.flow = NULL;
	}
	return cause;
}

const char *cause_name(enum cause why)
{
	static const char *const names[CAUSES] = { "nothing", "source", "target",     "both",
						   "off",     "flow",   "connection", "protocol" };
	return names[why];
}

static bool names_alone(const struct endpoint *endpoint)
{
	return endpoint->name_count && !endpoint->ranges.count &&
	       (endpoint->name_count == endpoint->word_count || endpoint->more_words);
}

static const char *first_word(const struct endpoint *endpoint)
{
	return endpoint->word_count == 1 && strlen(endpoint->words[0]) <= CONFIG_ID_MAX ? endpoint->words[0] : NULL;
}

static void side_text(const struct policy_flow *flow, bool source, char buffer[CAUSE_TEXT_MAX])
{
	const struct endpoint *side = source ? &flow->from : &flow->to;
	const char *name = source ? "source" : "target";

	if (names_alone(side) && !source)
		snprintf(buffer, CAUSE_TEXT_MAX, "%s: not among its names", flow->id);
	else if (first_word(side))
		snprintf(buffer, CAUSE_TEXT_MAX, "%s: %s not in %s", flow->id, name, first_word(side));
	else
		snprintf(buffer, CAUSE_TEXT_MAX, "%s: not among its %ss", flow->id, name);
}

char *denial_cause_text(const struct denial_cause *cause, char buffer[CAUSE_TEXT_MAX])
{
	const struct policy_flow *flow = cause->flow;

	switch (!flow && cause->why >= CAUSE_SOURCE && cause->why <= CAUSE_OFF ? CAUSE_FLOW : cause->why) {
	case CAUSE_SOURCE:
	case CAUSE_TARGET: side_text(flow, cause->why == CAUSE_SOURCE, buffer); break;
	case CAUSE_BOTH: snprintf(buffer, CAUSE_TEXT_MAX, "%s: neither source nor target", flow->id); break;
	case CAUSE_OFF: snprintf(buffer, CAUSE_TEXT_MAX, "%s is off", flow->id); break;
	case CAUSE_CONNECTION: snprintf(buffer, CAUSE_TEXT_MAX, "no connection that it belongs to"); break;
	case CAUSE_PROTOCOL: snprintf(buffer, CAUSE_TEXT_MAX, "a protocol that no flow can have"); break;
	case CAUSE_FLOW: snprintf(buffer, CAUSE_TEXT_MAX, "no flow"); break;
	default: snprintf(buffer, CAUSE_TEXT_MAX, "allowed by now%s%s", flow ? ": " : "", flow ? flow->id : ""); break;
	}
	return buffer;
}
