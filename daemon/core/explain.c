/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "explain.h"

#include <stdio.h>
#include <string.h>

static bool set_has(const struct ruleset *ruleset, const char *base, const struct addr *addr)
{
	char name[32];
	size_t size = addr_size(addr->family);

	snprintf(name, sizeof(name), "%s_%c", base, addr->family == FAMILY_4 ? '4' : '6');
	const struct set *set = ruleset ? ruleset_find_set(ruleset, name) : NULL;
	for (size_t i = 0; set && i < set->count; i++)
		if (memcmp(addr->bytes, set->items[i].first, size) >= 0 &&
		    memcmp(addr->bytes, set->items[i].last, size) <= 0)
			return true;
	return false;
}

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
	bool guarded = ranges_contains(&view->policy->protected_all, &packet->source),
	     broadcast = set_has(view->ruleset, "broadcasts", &packet->target);

	if (guarded && (broadcast || is_multicast(&packet->target) || is_limited_broadcast(&packet->target)))
		return EXCEPTION_IGNORED;
	return broadcast ? EXCEPTION_BROADCAST : EXCEPTION_NONE;
}

static enum hook hook_of(const struct ruleset *ruleset, const struct packet *packet)
{
	if (set_has(ruleset, "gateway", &packet->source))
		return HOOK_OUTPUT;
	return set_has(ruleset, "gateway", &packet->target) ? HOOK_INPUT : HOOK_FORWARD;
}

static const struct set *interfaces_of(const struct explain_view *view, const struct packet *packet)
{
	const struct policy_role *role = policy_protected_role(view->policy, &packet->source);
	char name[CONFIG_ID_MAX + 16];

	if (!role || !view->ruleset)
		return NULL;
	snprintf(name, sizeof(name), "%s_interfaces", role->name);
	return ruleset_find_set(view->ruleset, name);
}

/* In audit mode all is accepted, and the counters alone show what was meant. */
static bool differs(const struct explain_view *view, const struct explanation *e)
{
	bool denies = e->walk.counter && strncmp(e->walk.counter, "denied-", strlen("denied-")) == 0,
	     drops = e->walk.action != ACTION_ACCEPT;

	if (drops != denies && view->policy->mode == MODE_ENFORCE)
		return true;
	return denies != (e->verdict == VERDICT_DENY);
}

void explain_packet(const struct explain_view *view, const struct packet *packet, struct explanation *ret)
{
	*ret = (struct explanation){ .judgement = policy_judge(view->policy, view->names, packet),
				     .exception = exception_of(view, packet),
				     .hook = hook_of(view->ruleset, packet),
				     .interfaces = interfaces_of(view, packet) };
	ret->verdict = ret->exception ? VERDICT_DENY : ret->judgement.verdict;
	if (ret->exception)
		return; /* whether the packet comes to input or forward is not its address's to show */
	if (ret->verdict == VERDICT_DENY)
		ret->nearest = policy_nearest(view->policy, view->names, packet);
	ret->walked = view->ruleset && ruleset_walk(view->ruleset, ret->hook, packet, &ret->walk);
	ret->differs = ret->walked && differs(view, ret);
}

bool explain_pinned(const struct policy *policy, const struct packet *packet, const struct explanation *explanation)
{
	bool dns = !explanation->judgement.inbound && packet->target_port == DNS_PORT;

	return policy->interception == INTERCEPTION_PREVENT && policy->mode == MODE_ENFORCE &&
	       packet->protocol == PROTOCOL_TCP && explanation->verdict == VERDICT_ALLOW &&
	       explanation->hook == HOOK_FORWARD && !dns && !ranges_contains(&policy->nat_except, &packet->target);
}
