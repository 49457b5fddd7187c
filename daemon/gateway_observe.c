/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/dns_message.h"
#include "core/seen_packet.h"
#include "gateway.h"
#include "log.h"

#include <errno.h>
#include <string.h>

/* What the packets that our rules copy to us tell: answers that the server gets, and denials that a fresh answer of
 * our own might cure. */

#define PREFIX_ASK "spefw ask "
#define PREFIX_DNS "spefw dns "

enum {
	DNS_PORT = 53,
	ASK_AGAIN_MS = 500, /* a denied server makes us ask for a name no more often, and a SYN is sent again after a second */
};

static bool waits_for_name(const struct policy_flow *flow, const struct policy_role *role, const struct packet *packet)
{
	return flow->to.name_count && flow_leaves_role(flow, role) && flow_has_port(flow, packet->protocol, packet->target_port);
}

/* A query that began before the denial may have missed what the server knows: then another follows, soon enough for the
 * SYN's first retransmit. Both families, since denials of one may use up the rule's budget; but each for itself, since one
 * may have troubles of its own. */
static void hurry_name(struct gateway *gateway, const char *name)
{
	struct book_entry entry;
	int64_t now = now_ms();

	for (enum family family = 0; family < FAMILIES; family++) {
		if (addrbook_find(gateway->book, name, family, &entry) < 0)
			return;
		bool lately = entry.asked_ms > now - ASK_AGAIN_MS;
		addrbook_ask_by(gateway->book, name, family, lately ? entry.asked_ms + ASK_AGAIN_MS : now, now);
	}
}

/* The server was denied on a port that a named flow covers: whoever it asked may know more than we do. */
static void take_denial(struct gateway *gateway, const struct packet *packet)
{
	const struct policy *policy = &gateway->file.policy;
	const struct policy_role *role = policy_protected_role(policy, &packet->source);

	for (size_t i = 0; role && i < policy->flow_count; i++) {
		const struct policy_flow *flow = &policy->flows[i];
		if (!waits_for_name(flow, role, packet))
			continue;
		for (size_t n = 0; n < flow->to.name_count; n++)
			hurry_name(gateway, policy->names[flow->to.names[n]].name);
	}
	gateway_names_drive(gateway);
}

static bool learn(struct gateway *gateway, const char *name, enum family family, const struct dns_message *message)
{
	struct book_entry entry;
	bool changed = false;

	if (addrbook_find(gateway->book, name, family, &entry) < 0)
		return false;
	uint64_t mark = entry.refused_mark;
	int r = addrbook_answered(gateway->book, name, family, message->addresses, message->address_count, message->ttl_s,
				  ORIGIN_OBSERVED, now_ms(), &changed);
	if (r == -ENOMEM)
		log_error("out of memory: an answer for %s is lost", name);
	if (r < 0)
		return false;
	/* The server has its answer already, and its SYN is on the way. What is confirmed alone lives on as well. */
	gateway_apply_name(gateway, name);
	if (addrbook_find(gateway->book, name, family, &entry) == 0)
		gateway_names_refused(gateway, &entry, mark, message->addresses, message->address_count);
	gateway->observed++;
	gateway->addresses_dirty = true;
	if (changed) {
		log_info("%s: learned from an answer to the server", name);
		gateway_names_noted(gateway, name, family);
	}
	return changed;
}

/* "*.example.com" is every name below example.com. */
static bool pattern_covers(const char *pattern, const char *name)
{
	size_t suffix = strlen(pattern) - 1, length = strlen(name); /* without the star */
	return length > suffix && strcmp(name + length - suffix, pattern + 1) == 0;
}

static void take_answer(struct gateway *gateway, const struct seen_packet *seen)
{
	const struct policy *policy = &gateway->file.policy;
	static struct dns_message message; /* large, and there is one thread */

	if (seen->packet.protocol != PROTOCOL_UDP || seen->packet.source_port != DNS_PORT || !seen->payload_whole ||
	    !policy_protected_role(policy, &seen->packet.target) || !ranges_contains(&policy->resolvers, &seen->packet.source))
		return;
	if (dns_message_read(seen->payload, seen->payload_length, &message) < 0 || message.rcode != DNS_NOERROR || !message.address_count)
		return;
	enum family family = message.question_type == DNS_TYPE_A ? FAMILY_4 : FAMILY_6;
	bool changed = learn(gateway, message.question, family, &message);
	size_t position = 0;
	for (const char *name; (name = aliases_next(&gateway->aliases, message.question, family, &position));)
		changed |= learn(gateway, name, family, &message);
	for (size_t i = 0; i < policy->name_count; i++)
		if (policy->names[i].name[0] == '*' && pattern_covers(policy->names[i].name, message.question))
			changed |= learn(gateway, policy->names[i].name, family, &message);
	if (!changed)
		return;
	gateway_names_save(gateway, true);
	gateway_names_drive(gateway);
}

static void on_seen(void *userdata, const char *prefix, const uint8_t *bytes, size_t length)
{
	struct gateway *gateway = userdata;
	struct seen_packet seen;

	if (!seen_packet_read(bytes, length, &seen))
		return;
	if (strcmp(prefix, PREFIX_DNS) == 0)
		take_answer(gateway, &seen);
	else if (strcmp(prefix, PREFIX_ASK) == 0)
		take_denial(gateway, &seen.packet);
}

/* What was lost may have been an answer: our own is asked for. */
static void on_lost(void *userdata)
{
	gateway_names_hurry(userdata);
}

void gateway_observe_begin(struct gateway *gateway)
{
	uint16_t group = gateway->file.policy.log_group;
	bool was_told = !gateway->nflog && gateway->nflog_told;

	if (gateway->nflog && gateway->nflog_group == group)
		return;
	nflog_free(gateway->nflog);
	gateway->nflog = NULL;
	int r = nflog_new(&gateway->nflog, gateway->event, group, on_seen, on_lost, gateway);
	gateway->nflog_group = group;
	gateway->nflog_error = r;
	gateway->nflog_told = r < 0;
	if (r == -EBUSY && !was_told)
		log_warning("NFLOG group %u is taken by another program: denials and DNS answers are not seen; choose another log_group", group);
	else if (r < 0 && !was_told)
		log_warning("can't listen to NFLOG group %u: %s", group, strerror(-r));
	else if (r >= 0 && was_told)
		log_notice("NFLOG group %u is ours now", group);
}
