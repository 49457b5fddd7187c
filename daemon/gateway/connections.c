/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/denial_cause.h"
#include "gateway/parts.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>

/* Single connections: who has which, and the end of one. */

int gateway_list_connections(struct gateway *gateway, bool at_once, see_connection *see, void *userdata)
{
	return usage_list(gateway->usage, at_once, see, userdata);
}

void gateway_read_connections(struct gateway *gateway)
{
	usage_refresh(gateway->usage);
}

/* In audit mode as well: it is what would be denied. */
void record_denial(struct gateway *gateway, const struct denial *denial)
{
	if (!usage_record(gateway->usage))
		return;
	struct denial_cause cause = denial_cause_of(config_store_policy(gateway->config), NULL, &denial->packet);
	struct record_peer peer = { cause.inbound ? cause.opened.source : cause.opened.target, cause.opened.protocol,
				    cause.opened.target_port };
	if (cause.why != CAUSE_NOTHING && peer.protocol < PROTOCOLS)
		usage_denied(gateway->usage, cause.flow ? cause.flow->id : NULL, &peer, 1);
}

static void log_cut(const struct requester *by, uint32_t id, const struct tracked *tracked)
{
	char source[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX];

	log_notice("cut by %s: connection %u, %s port %u -> %s port %u", by->text, id,
		   addr_format(&tracked->packet.source, source), tracked->packet.source_port,
		   addr_format(&tracked->packet.target, target), tracked->packet.target_port);
}

static void tell_cut(struct gateway *gateway, const struct requester *by, const struct tracked *tracked)
{
	const struct policy_flow *flow =
		policy_judge(config_store_policy(gateway->config), NULL, &tracked->packet).flow;
	struct cut_result result = { .count = 1, .shown = 1 };

	result.items[0] = (struct cut_connection){ .packet = tracked->packet,
						   .cause = { .why = CUT_ON_REQUEST, .had = true },
						   .count = 1 };
	if (flow)
		snprintf(result.items[0].cause.flow, sizeof(result.items[0].cause.flow), "%s", flow->id);
	happened(gateway, &(struct happening){ .kind = HAPPENED_CUT, .by = by, .cut = &result, .text = "on request" });
}

int gateway_cut_connection(struct gateway *gateway, const struct requester *by, uint32_t id, struct tracked *ret)
{
	struct cut_rules rules = { .policy = config_store_policy(gateway->config) };

	if (rules.policy->mode == MODE_AUDIT)
		return -EOPNOTSUPP;
	if (table_is_removed(gateway->table) || !table_is_known(gateway->table))
		return -ENODEV;
	int r = cut_one(gateway->cut, &rules, id, ret);
	if (r < 0)
		return r;
	log_cut(by, id, ret);
	tell_cut(gateway, by, ret);
	return 0;
}
