/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "grant_view.h"
#include "unfit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool reaches_outside(const struct policy *policy, const struct endpoint *endpoint)
{
	return endpoint->any || endpoint->name_count || !ranges_cover_all(&policy->protected_all, &endpoint->ranges);
}

enum grant_side flow_grant_side(const struct policy *policy, const struct policy_flow *flow)
{
	if (ranges_overlap_any(&policy->protected_all, &flow->to.opens) && reaches_outside(policy, &flow->from))
		return GRANT_SOURCE;
	if ((flow->from.any || ranges_overlap_any(&policy->protected_all, &flow->from.ranges)) &&
	    reaches_outside(policy, &flow->to))
		return GRANT_TARGET;
	return GRANT_NO_SIDE;
}

enum grant_state grant_state(const struct policy *policy, const char *id, const struct addr *addr)
{
	const struct policy_flow *flow = policy_flow(policy, id);

	if (!flow)
		return GRANT_FLOW_GONE;
	if (!flow->enabled)
		return GRANT_FLOW_OFF;
	if (flow_grant_side(policy, flow) == GRANT_NO_SIDE)
		return GRANT_SIDELESS;
	return ranges_contains(&policy->protected_all, addr) ? GRANT_PROTECTED : GRANT_IN_EFFECT;
}

const char *grant_state_name(enum grant_state state)
{
	static const char *const names[GRANT_STATES] = { "in-effect", "flow-gone", "flow-off", "sideless",
							 "protected" };
	return names[state];
}

bool grant_would_help(const struct policy *policy, const struct policy_flow *flow, enum grant_side missing,
		      const struct addr *addr)
{
	return flow_grant_side(policy, flow) == missing && !address_unfit(addr, true) &&
	       grant_state(policy, flow->id, addr) == GRANT_IN_EFFECT;
}

static int add_address(struct name_addresses *to, const struct grant *grant)
{
	struct name_address *items = realloc(to->items, (to->count + 1) * sizeof(*items));

	if (!items)
		return -ENOMEM;
	to->items = items;
	items[to->count++] = (struct name_address){ grant->addr, grant->end_ms + GRANT_MARGIN_MS };
	return 0;
}

static int order(const void *a, const void *b)
{
	const struct granted_addresses *x = a, *y = b;
	return (x->endpoint > y->endpoint) - (x->endpoint < y->endpoint);
}

/* The list is by flow and address: what belongs together follows one another, in its order. */
int grants_add_to_view(const struct grant_list *list, const struct policy *policy, struct names_view *view)
{
	if (!list->count)
		return 0;
	view->granted = calloc(list->count, sizeof(*view->granted));
	if (!view->granted)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++) {
		const struct grant *grant = &list->items[i];
		if (grant_state(policy, grant->flow, &grant->addr) != GRANT_IN_EFFECT)
			continue;
		const struct policy_flow *flow = policy_flow(policy, grant->flow);
		const struct endpoint *side = flow_grant_side(policy, flow) == GRANT_SOURCE ? &flow->from : &flow->to;
		size_t count = view->granted_count;
		if (!count || view->granted[count - 1].endpoint != side->granted)
			view->granted[view->granted_count++].endpoint = side->granted;
		if (add_address(&view->granted[view->granted_count - 1].addresses[grant->addr.family], grant) < 0)
			return -ENOMEM; /* names_view_free() frees what is there */
	}
	if (view->granted_count)
		qsort(view->granted, view->granted_count, sizeof(*view->granted), order);
	return 0;
}
