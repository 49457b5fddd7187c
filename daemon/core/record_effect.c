/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record_effect.h"

#include <string.h>

/* Ends of a flow that are tried for one peer. The record does not know which of them it had. */
enum { OWN_MAX = 8 };

static bool turns(const struct cut_view *before, const struct cut_view *now, const struct packet *packet)
{
	return policy_judge(before->policy, before->names, packet).verdict == VERDICT_ALLOW &&
	       policy_judge(now->policy, now->names, packet).verdict == VERDICT_DENY;
}

/* own: the protected ends that the peer may have met. */
static bool turns_for(const struct cut_view *before, const struct cut_view *now, const struct record_entry *entry,
		      const struct ranges *own, bool inbound)
{
	size_t tried = 0;

	for (size_t i = 0; i < own->count && tried < OWN_MAX; i++) {
		const struct addr *end = &own->items[i].first;
		struct packet packet = { .source = inbound ? entry->peer : *end,
					 .target = inbound ? *end : entry->peer,
					 .protocol = (enum protocol)entry->protocol,
					 .target_port = entry->port };
		if (end->family != entry->peer.family)
			continue;
		tried++;
		if (turns(before, now, &packet))
			return true;
	}
	return false;
}

static bool is_turned(const struct cut_view *before, const struct cut_view *now, const struct policy_flow *flow,
		      const struct record_entry *entry)
{
	const struct ranges *from = flow->from.any ? &before->policy->protected_all : &flow->from.ranges;

	return turns_for(before, now, entry, &flow->to.opens, true) || turns_for(before, now, entry, from, false);
}

void record_effect(const struct record *record, const struct cut_view *before, const struct cut_view *now,
		   int64_t since_s, struct record_effect *ret)
{
	const struct record_entry *entry = NULL;

	*ret = (struct record_effect){ 0 };
	while ((entry = record_next(record, entry)) && entry->last_s >= since_s) {
		const struct policy_flow *flow = policy_flow(before->policy, record_flow_of(record, entry));
		if (entry->kind != RECORD_ALLOWED || !flow)
			continue;
		if (!entry->prefix) {
			ret->unjudged++;
			continue;
		}
		if (!is_turned(before, now, flow, entry))
			continue;
		if (ret->shown < RECORD_EFFECT_SHOWN)
			ret->items[ret->shown++] = entry;
		ret->count++;
	}
}
