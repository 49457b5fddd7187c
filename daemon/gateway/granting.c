/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/granting.h"
#include "clock.h"
#include "core/unfit.h"
#include "gateway/parts.h"
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int gateway_view(const struct gateway *gateway, const struct policy *policy, struct names_view *ret)
{
	int r = names_view(gateway->names, policy, ret);
	return r < 0 ? r : grants_add_to_view(grants_list(gateway->grants), policy, ret);
}

int gateway_held_view(const struct gateway *gateway, const struct policy *policy, struct names_view *ret)
{
	int r = names_held_view(gateway->names, policy, ret);
	return r < 0 ? r : grants_add_to_view(grants_list(gateway->grants), policy, ret);
}

const struct grant_list *gateway_grants(const struct gateway *gateway)
{
	return grants_list(gateway->grants);
}

static int refuse(struct grant_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse(struct grant_result *result, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(result->why, sizeof(result->why), format, arguments);
	va_end(arguments);
	return -EINVAL;
}

/* Whether it is in the flow whatever is granted. -ENOMEM. */
static int is_in_flow(const struct gateway *gateway, const struct endpoint *side, const struct addr *addr)
{
	struct names_view view = { 0 };
	int r = names_view(gateway->names, config_store_policy(gateway->config), &view);

	if (r == 0)
		r = endpoint_is_source(side, &view, addr);
	names_view_free(&view);
	return r;
}

static int judge_address(const struct gateway *gateway, const struct policy_flow *flow, const struct addr *addr,
			 struct grant_result *result)
{
	const struct policy *policy = config_store_policy(gateway->config);
	const char *unfit = address_unfit(addr, true);
	char text[ADDR_TEXT_MAX];

	addr_format(addr, text);
	if (unfit)
		return refuse(result, "%s is %s: no machine sends from it, or is reached at it, through this gateway",
			      text, unfit);
	switch (grant_state(policy, flow->id, addr)) {
	case GRANT_FLOW_OFF:
		return refuse(result, "flow %s is off (%s): a grant adds to a flow that is on", flow->id, flow->off);
	case GRANT_SIDELESS:
		return refuse(result, "both sides of flow %s are protected: a grant adds to one that is not", flow->id);
	case GRANT_PROTECTED:
		return refuse(result, "%s is protected: only addresses that are not can be granted something", text);
	default: break;
	}
	const struct endpoint *side = flow_grant_side(policy, flow) == GRANT_SOURCE ? &flow->from : &flow->to;
	int r = is_in_flow(gateway, side, addr);
	return r > 0 ? refuse(result, "%s is in flow %s already: there is nothing to grant", text, flow->id) : r;
}

static int judge_request(const struct gateway *gateway, const struct policy_flow *flow, const struct addr *addr,
			 int64_t for_s, struct grant_result *result)
{
	if (for_s < GRANT_SHORTEST_S || for_s > GRANT_LONGEST_S)
		return refuse(result, "a grant is for 1m to 30d");
	return judge_address(gateway, flow, addr, result);
}

/* Connections that went on by what is no longer granted: held_before is what there was, it is freed. */
static int follow_end(struct gateway *gateway, const char *why, struct names_view *held_before, struct cut_result *ret)
{
	int r = apply(gateway);

	*ret = (struct cut_result){ 0 };
	if (r < 0)
		cut_require(gateway->cut, why); /* once the kernel could be changed */
	else
		cut_denied_since(gateway, why, config_store_policy(gateway->config), held_before, ret);
	names_view_free(held_before);
	return r;
}

static struct names_view look_before(const struct gateway *gateway)
{
	struct names_view held = { 0 };

	/* Without memory for it, it is but not known which flow a connection had. */
	if (gateway_held_view(gateway, config_store_policy(gateway->config), &held) < 0)
		names_view_free(&held);
	return held;
}

static void tell(struct gateway *gateway, const struct requester *by, const struct grant *grant, const char *change)
{
	happened(gateway, &(struct happening){ .kind = HAPPENED_GRANT, .by = by, .grant = grant, .text = change });
	health_changed(gateway);
}

/* "console-in from 10.32.0.50". Returns buffer. */
enum { GRANT_TEXT_MAX = CONFIG_ID_MAX + ADDR_TEXT_MAX + 8 };
static char *describe(const struct gateway *gateway, const struct grant *grant, char buffer[GRANT_TEXT_MAX])
{
	const struct policy *policy = config_store_policy(gateway->config);
	const struct policy_flow *flow = policy_flow(policy, grant->flow);
	enum grant_side side = flow ? flow_grant_side(policy, flow) : GRANT_NO_SIDE;
	char address[ADDR_TEXT_MAX];

	snprintf(buffer, GRANT_TEXT_MAX, "%s%s %s", grant->flow,
		 side == GRANT_SOURCE   ? " from"
		 : side == GRANT_TARGET ? " to"
					: "",
		 addr_format(&grant->addr, address));
	return buffer;
}

static void note_grant(struct gateway *gateway, const struct requester *by, const struct grant_result *result,
		       int64_t for_s)
{
	const struct grant *grant = &result->grant;
	char text[GRANT_TEXT_MAX], duration[24], left[24], before[64] = "";
	const char *change = !result->before.flow[0]                             ? "given"
			     : result->before_left_ms < grant->end_ms - now_ms() ? "prolonged"
										 : "shortened";

	if (result->before.flow[0])
		snprintf(before, sizeof(before), ", %s: %s were left", change,
			 duration_format(result->before_left_ms / 1000 * 1000, left));
	log_notice("grant by %s: %s for %s%s", by->text, describe(gateway, grant, text),
		   duration_format(for_s * 1000, duration), before);
	tell(gateway, by, grant, change);
}

int gateway_grant(struct gateway *gateway, const struct requester *by, const char *id, const struct addr *addr,
		  int64_t for_s, struct grant_result *ret)
{
	const struct policy_flow *flow = policy_flow(config_store_policy(gateway->config), id);
	struct grant given = { .addr = *addr };

	*ret = (struct grant_result){ 0 };
	if (!flow)
		return -ENOENT;
	if (table_is_removed(gateway->table))
		return -ENODEV;
	int r = judge_request(gateway, flow, addr, for_s, ret);
	if (r < 0)
		return r;
	snprintf(given.flow, sizeof(given.flow), "%s", flow->id);
	snprintf(given.by, sizeof(given.by), "%s", by->text);
	/* The state directory first: what the kernel gets is known after a kill. */
	r = grants_give(gateway->grants, &given, for_s, &ret->grant, &ret->before);
	if (r == -ENOSPC)
		return refuse(ret, "there are %d grants already: revoke one", GRANTS_MAX);
	if (r < 0)
		return r;
	ret->before_left_ms = ret->before.end_ms - now_ms();
	cut_set_names_changed(gateway->cut); /* some of what was cut may be allowed by now */
	r = apply(gateway);
	if (r < 0) {
		grants_undo(gateway->grants, &given, &ret->before);
		return r;
	}
	note_grant(gateway, by, ret, for_s);
	return 0;
}

int gateway_revoke(struct gateway *gateway, const struct requester *by, const char *flow, const struct addr *addr,
		   struct grant_result *ret)
{
	struct names_view before = look_before(gateway);
	char text[GRANT_TEXT_MAX];

	*ret = (struct grant_result){ 0 };
	if (!grants_revoke(gateway->grants, flow, addr, &ret->grant)) {
		names_view_free(&before);
		return -ENOENT;
	}
	log_notice("revoke by %s: %s, granted by %s", by->text, describe(gateway, &ret->grant, text), ret->grant.by);
	int r = follow_end(gateway, "a grant was revoked", &before, &ret->cut);
	tell(gateway, by, &ret->grant, "revoked");
	return r;
}

static void on_grants_due(void *userdata)
{
	struct gateway *gateway = userdata;
	struct names_view before = look_before(gateway);
	struct grant ended;
	struct cut_result cut;
	char text[GRANT_TEXT_MAX];

	while (grants_take_due(gateway->grants, &ended)) {
		log_notice("a grant has ended: %s, granted by %s", describe(gateway, &ended, text), ended.by);
		tell(gateway, NULL, &ended, "ended");
	}
	follow_end(gateway, "a grant has ended", &before, &cut);
}

void end_all_grants(struct gateway *gateway)
{
	size_t count = grants_list(gateway->grants)->count;

	if (count)
		log_notice("%zu grant%s ended with it", count, count == 1 ? "" : "s");
	grants_revoke_all(gateway->grants);
}

const struct grants_events grants_events = { on_grants_due };
