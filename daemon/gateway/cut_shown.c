/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/cut_parts.h"
#include "log.h"

#include <stdio.h>
#include <string.h>

/* The first of the connections that are cut, with whose they were and why: for the journal and for who asked. */

/* But for the source port, which nobody would know it by. */
static bool is_alike(const struct packet *a, const struct packet *b)
{
	return a->protocol == b->protocol && a->target_port == b->target_port &&
	       addr_compare(&a->source, &b->source) == 0 && addr_compare(&a->target, &b->target) == 0;
}

static bool is_same_cause(const struct cut_cause *a, const struct cut_cause *b)
{
	return a->why == b->why && a->had == b->had && a->not_in == b->not_in && strcmp(a->flow, b->flow) == 0;
}

static bool was_seen(const struct cut_result *result, const struct packet *packet)
{
	for (size_t i = 0; i < result->seen_count; i++)
		if (result->seen[i].source_port == packet->source_port && is_alike(&result->seen[i], packet))
			return true;
	return false;
}

/* The item that it is one more of: the same packet has the same cause. */
static struct cut_connection *find_item(struct cut_result *result, const struct packet *packet, bool stays_so)
{
	for (size_t i = 0; i < result->shown; i++) {
		struct cut_connection *item = &result->items[i];
		if (item->packet.mid_stream == packet->mid_stream && (item->cause.why == CUT_STAYS_SO) == stays_so &&
		    is_alike(&item->packet, packet))
			return item;
	}
	return NULL;
}

/* One that was picked up may have the same cause as one that was seen from its beginning. */
static struct cut_connection *add_item(struct cut_result *result, const struct cut_connection *new)
{
	for (size_t i = 0; i < result->shown; i++) {
		struct cut_connection *item = &result->items[i];
		if (is_alike(&item->packet, &new->packet) && is_same_cause(&item->cause, &new->cause))
			return item;
	}
	result->items[result->shown] = *new;
	return &result->items[result->shown++];
}

void cut_show(struct cut_result *result, const struct cut_rules *rules, const struct packet *packet, bool stays_so)
{
	const struct cut_view before = { rules->before, rules->held_before }, now = { rules->policy, rules->held };

	if (was_seen(result, packet))
		return;
	struct cut_connection *item = find_item(result, packet, stays_so);
	if (!item && result->shown < CUT_SHOWN_MAX) {
		struct cut_connection new = { .packet = *packet, .cause = cut_cause(&before, &now, packet) };
		if (stays_so) {
			new.cause.why = CUT_STAYS_SO;
			new.cause.not_in = NULL;
		}
		item = add_item(result, &new);
	}
	if (!item)
		return;
	item->count++;
	if (result->seen_count < CUT_SEEN_MAX)
		result->seen[result->seen_count++] = *packet;
}

void cut_limit(struct cut_result *result)
{
	size_t room = result->count;

	for (size_t i = 0; i < result->shown; i++) {
		if (result->items[i].count > room)
			result->items[i].count = room;
		room -= result->items[i].count;
		if (!result->items[i].count)
			result->shown = i;
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
	char source[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX], why[200], port[8] = "", times[32] = "";
	const char *protocol = packet->protocol < PROTOCOLS ? protocol_name(packet->protocol) : "another protocol";

	if (packet->target_port)
		snprintf(port, sizeof(port), "/%u", packet->target_port);
	if (item->count > 1)
		snprintf(times, sizeof(times), ", %zu times", item->count);
	log_notice("cut %s -> %s %s%s%s%s%s%s: %s", side_text(policy, &packet->source, source),
		   side_text(policy, &packet->target, target), protocol, port, item->cause.flow[0] ? " (" : "",
		   item->cause.flow, item->cause.flow[0] ? ")" : "", times,
		   cut_cause_text(&item->cause, why, sizeof(why)));
}

void cut_log(const struct cut_result *result, const struct policy *policy, const char *why)
{
	size_t shown = 0;

	if (!result->count)
		return;
	log_notice("%s: %zu connection%s that the policy denies %s cut", why, result->count,
		   result->count == 1 ? "" : "s", result->count == 1 ? "was" : "were");
	for (size_t i = 0; i < result->shown; i++)
		log_one(policy, &result->items[i]);
	for (size_t i = 0; i < result->shown; i++)
		shown += result->items[i].count;
	if (result->count > shown)
		log_notice("cut: and %zu more", result->count - shown);
}
