/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cut_cause.h"
#include "policy_diff.h"

#include <stdio.h>
#include <string.h>

enum { SIDE_SHOWN = 120 };

const char *cut_why_name(enum cut_why why)
{
	static const char *const names[CUT_REASONS] = { "flow-gone", "flow-off", "port",     "source",
							"target",    "no-flow",  "stays-so", "request" };
	return names[why];
}

/* What this flow, which is on, lacks. */
static void find_lack(const struct policy_flow *flow, const struct names_view *names, const struct packet *packet,
		      struct cut_cause *cause)
{
	if (!flow_has_port(flow, packet->protocol, packet->target_port)) {
		cause->why = CUT_PORT;
	} else if (!endpoint_is_source(&flow->from, names, &packet->source)) {
		cause->why = CUT_SOURCE;
		cause->not_in = &flow->from;
	} else {
		cause->why = CUT_TARGET;
		cause->not_in = &flow->to;
	}
}

struct cut_cause cut_cause(const struct cut_view *before, const struct cut_view *now, const struct packet *packet)
{
	struct cut_cause cause = { .why = CUT_NO_FLOW };
	struct judgement was = { .verdict = VERDICT_NOT_OURS };
	const struct policy_flow *flow;

	if (before->policy)
		was = policy_judge(before->policy, before->names, packet);
	cause.had = was.verdict == VERDICT_ALLOW;
	if (cause.had) {
		snprintf(cause.flow, sizeof(cause.flow), "%s", was.flow->id);
		flow = policy_flow(now->policy, was.flow->id);
		if (!flow || !flow->enabled) {
			cause.why = flow ? CUT_FLOW_OFF : CUT_FLOW_GONE;
			return cause;
		}
	} else {
		flow = policy_judge(now->policy, now->names, packet).flow;
		if (!flow)
			return cause;
		snprintf(cause.flow, sizeof(cause.flow), "%s", flow->id);
	}
	find_lack(flow, now->names, packet, &cause);
	return cause;
}

char *cut_cause_text(const struct cut_cause *cause, char *buffer, size_t size)
{
	const char *more = cause->had ? " any more" : "";
	char side[SIDE_SHOWN] = "it";

	if (cause->not_in)
		endpoint_text(cause->not_in, side, sizeof(side));
	switch (cause->why) {
	case CUT_FLOW_GONE: snprintf(buffer, size, "the flow is not in the file any more"); break;
	case CUT_FLOW_OFF: snprintf(buffer, size, "the flow is off"); break;
	case CUT_PORT: snprintf(buffer, size, "not a port of the flow%s", more); break;
	case CUT_SOURCE: snprintf(buffer, size, "source not in %s%s", side, more); break;
	case CUT_TARGET: snprintf(buffer, size, "target not in %s%s", side, more); break;
	case CUT_ON_REQUEST: snprintf(buffer, size, "on request"); break;
	case CUT_STAYS_SO: snprintf(buffer, size, "it was cut before, and stays so"); break;
	default: snprintf(buffer, size, "no flow opens this port"); break;
	}
	return buffer;
}
