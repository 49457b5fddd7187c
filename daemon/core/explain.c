/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "explain.h"

#include <errno.h>
#include <string.h>

static bool is_multicast(const struct addr *addr)
{
	return addr->family == FAMILY_4 ? (addr->bytes[0] & 0xf0) == 0xe0 : addr->bytes[0] == 0xff;
}

static bool is_limited_broadcast(const struct addr *addr)
{
	return addr->family == FAMILY_4 && memcmp(addr->bytes, "\xff\xff\xff\xff", 4) == 0;
}

static enum exception exception_of(const struct explain_view *view, const struct packet *packet)
{
	const struct ranges *broadcasts = view->environment->broadcasts;
	bool guarded = ranges_contains(&view->policy->protected_all, &packet->source),
	     broadcast = broadcasts && ranges_contains(broadcasts, &packet->target);

	if (guarded && (broadcast || is_multicast(&packet->target) || is_limited_broadcast(&packet->target)))
		return EXCEPTION_IGNORED;
	return broadcast ? EXCEPTION_BROADCAST : EXCEPTION_NONE;
}

static enum hook hook_of(const struct ranges *gateway, const struct packet *packet)
{
	if (ranges_contains(gateway, &packet->source))
		return HOOK_OUTPUT;
	return ranges_contains(gateway, &packet->target) ? HOOK_INPUT : HOOK_FORWARD;
}

static const struct interface_list *interfaces_of(const struct explain_view *view, const struct packet *packet)
{
	const struct policy_role *role = policy_protected_role(view->policy, &packet->source);
	const struct interface_list *list =
		role ? &view->environment->role_interfaces[role - view->policy->roles] : NULL;

	return list && list->count ? list : NULL;
}

static enum verdict verdict_of(const struct fate *fate)
{
	switch (fate->reason) {
	case FATE_NOT_OURS: return VERDICT_NOT_OURS;
	case FATE_FLOW: return VERDICT_ALLOW;
	default: return VERDICT_DENY;
	}
}

/* The packet that opens the connection, and is what it seems: it comes by the right interface, is translated by nobody,
 * and belongs to nothing that was cut. */
static struct fate_packet packet_at(const struct explanation *e, const struct packet *packet, enum fate_stage stage)
{
	struct fate_packet seen = fate_packet_of(packet);

	seen.fib = e->hook == HOOK_FORWARD ? FIB_UNICAST : FIB_LOCAL;
	if (stage == STAGE_EARLY)
		seen.state = CT_INVALID; /* nothing is known of connections yet */
	if (e->interfaces && e->hook != HOOK_OUTPUT)
		seen.in = e->interfaces->names[0];
	return seen;
}

/* What the policy makes of the packet at each stage, and what the rules do, each until it is denied. */
static int follow(const struct explain_view *view, const struct packet *packet, struct explanation *e)
{
	const enum fate_stage stages[] = { STAGE_EARLY, STAGE_PIN,
					   e->hook == HOOK_INPUT    ? STAGE_INPUT
					   : e->hook == HOOK_OUTPUT ? STAGE_OUTPUT
								    : STAGE_FORWARD };
	bool decided = false;
	struct fate_view fates;
	int r = view->walks ? 0 : -EUCLEAN;

	fate_view_init(&fates, view->policy, view->environment);
	for (int i = e->hook == HOOK_OUTPUT ? 2 : 0; i < 3; i++) {
		struct fate_packet seen = packet_at(e, packet, stages[i]);
		struct asker asker = fate_packet_asker(&seen);
		struct fate fate = policy_fate(&fates, stages[i], &asker);
		if (!decided)
			e->verdict = verdict_of(&fate);
		decided |= fate.action != ACTION_ACCEPT;
		e->pinned |= fate.pinned;
		if (r == 0 && (e->walk.action == ACTION_NONE || e->walk.action == ACTION_ACCEPT)) {
			r = packet_walk(view->walks, stages[i], &seen, &fate, &e->walk);
			e->differs |= e->walk.differs;
		}
	}
	e->walked = r == 0;
	e->differs &= e->walked;
	return r == -EUCLEAN ? 0 : r;
}

int explain_packet(const struct explain_view *view, const struct packet *packet, struct explanation *ret)
{
	int r = 0;

	*ret = (struct explanation){ .judgement = policy_judge(view->policy, view->names, packet),
				     .exception = exception_of(view, packet),
				     .verdict = VERDICT_DENY,
				     .hook = hook_of(view->environment->gateway, packet),
				     .interfaces = interfaces_of(view, packet) };
	if (ret->exception)
		return 0; /* whether the packet comes to input or forward is not its address's to show */
	r = follow(view, packet, ret);
	if (ret->verdict == VERDICT_DENY)
		ret->nearest = policy_nearest(view->policy, view->names, packet);
	return r;
}
