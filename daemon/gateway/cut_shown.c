/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/cut_parts.h"
#include "log.h"

#include <stdio.h>

/* The first of the connections that are cut, with whose they were and why: for the journal and for who asked. */

static bool is_same(const struct packet *a, const struct packet *b)
{
	return a->protocol == b->protocol && a->source_port == b->source_port && a->target_port == b->target_port &&
	       addr_compare(&a->source, &b->source) == 0 && addr_compare(&a->target, &b->target) == 0;
}

void cut_show(struct cut_result *result, const struct cut_rules *rules, const struct packet *packet, bool stays_so)
{
	const struct cut_view before = { rules->before, rules->held_before }, now = { rules->policy, rules->held };

	/* A dump of the connections may show one twice. */
	for (size_t i = 0; i < result->shown; i++)
		if (is_same(&result->items[i].packet, packet))
			return;
	if (result->shown == CUT_SHOWN_MAX)
		return;
	struct cut_connection *item = &result->items[result->shown++];
	*item = (struct cut_connection){ .packet = *packet, .cause = cut_cause(&before, &now, packet) };
	if (stays_so) {
		item->cause.why = CUT_STAYS_SO;
		item->cause.not_in = NULL;
	}
}

/* The protected role that has the address, or the address. */
static const char *side_text(const struct policy *policy, const struct addr *addr, char buffer[ADDR_TEXT_MAX])
{
	const struct policy_role *role = policy_protected_role(policy, addr);
	return role ? role->name : addr_format(addr, buffer);
}

static void log_one(const struct policy *policy, const struct cut_connection *item)
{
	const struct packet *packet = &item->packet;
	char source[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX], why[200], port[8] = "";
	const char *protocol = packet->protocol < PROTOCOLS ? protocol_name(packet->protocol) : "another protocol";

	if (packet->target_port)
		snprintf(port, sizeof(port), "/%u", packet->target_port);
	log_notice("cut %s -> %s %s%s%s%s%s: %s", side_text(policy, &packet->source, source),
		   side_text(policy, &packet->target, target), protocol, port, item->cause.flow[0] ? " (" : "",
		   item->cause.flow, item->cause.flow[0] ? ")" : "", cut_cause_text(&item->cause, why, sizeof(why)));
}

void cut_log(const struct cut_result *result, const struct policy *policy, const char *why)
{
	if (!result->count)
		return;
	log_notice("%s: %zu connection%s that the policy denies %s cut", why, result->count,
		   result->count == 1 ? "" : "s", result->count == 1 ? "was" : "were");
	for (size_t i = 0; i < result->shown; i++)
		log_one(policy, &result->items[i]);
	if (result->count > result->shown)
		log_notice("cut: and %zu more", result->count - result->shown);
}
