/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cut_cause.h"
#include "nearest.h"
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

/* What this flow lacks, of several things the one that is named. */
static void take_misses(const struct policy_flow *flow, unsigned misses, struct cut_cause *cause)
{
	if (!flow->enabled) {
		cause->why = CUT_FLOW_OFF;
	} else if (misses & (MISS_PROTOCOL | MISS_PORT)) {
		cause->why = CUT_PORT;
	} else {
		cause->why = misses & MISS_SOURCE ? CUT_SOURCE : CUT_TARGET;
		cause->not_in = misses & MISS_SOURCE ? &flow->from : &flow->to;
	}
}

/* By the flow that had allowed it. */
static void judge_again(const struct cut_view *now, const struct packet *packet, struct cut_cause *cause)
{
	const struct policy_flow *flow = policy_flow(now->policy, cause->flow);

	if (flow)
		take_misses(flow, flow_misses(now->policy, now->names, flow, packet), cause);
	else
		cause->why = CUT_FLOW_GONE;
}

/* By the one that comes nearest; what has another port is near to nothing that is there already. */
static void find_nearest(const struct cut_view *now, const struct packet *packet, struct cut_cause *cause)
{
	struct nearest nearest = policy_nearest(now->policy, now->names, packet);

	if (!nearest.flow || !nearest.misses || nearest.misses & (MISS_PROTOCOL | MISS_PORT))
		return;
	snprintf(cause->flow, sizeof(cause->flow), "%s", nearest.flow->id);
	take_misses(nearest.flow, nearest.misses, cause);
}

struct cut_cause cut_cause(const struct cut_view *before, const struct cut_view *now, const struct packet *packet)
{
	struct cut_cause cause = { .why = CUT_NO_FLOW };
	struct judgement was = { .verdict = VERDICT_NOT_OURS };

	if (before->policy)
		was = policy_judge(before->policy, before->names, packet);
	cause.had = was.verdict == VERDICT_ALLOW;
	if (cause.had) {
		snprintf(cause.flow, sizeof(cause.flow), "%s", was.flow->id);
		judge_again(now, packet, &cause);
	} else {
		find_nearest(now, packet, &cause);
	}
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
