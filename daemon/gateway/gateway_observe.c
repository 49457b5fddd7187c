/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/array.h"
#include "core/dns_message.h"
#include "core/seen_packet.h"
#include "gateway/gateway.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the packets that our rules copy to us tell: answers that the server gets, and denials that a fresh answer of
 * our own might cure. */

#define PREFIX_ASK "spefw ask "
#define PREFIX_QUERY "spefw query "
#define PREFIX_DNS "spefw dns "

enum {
	CLASS_IN = 1,
	LOST_EVERY_MS = 1000,
};

/* A name and family that a query might bring news of. */
struct candidate {
	const char *name;
	enum family family;
	int64_t queried_ms;
};

struct candidates {
	struct candidate *items;
	size_t count, capacity;
};

static void add_candidate(struct gateway *gateway, struct candidates *candidates, const char *name, enum family family)
{
	struct book_entry entry;

	if (name[0] == '*' || addrbook_find(gateway->book, name, family, &entry) < 0)
		return;
	struct candidate candidate = { name, family, entry.queried_ms };
	if (ARRAY_PUSH(candidates, candidate) < 0)
		log_error("out of memory: %s is not asked for", name);
}

static int by_time(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	return x->queried_ms < y->queried_ms ? -1 : x->queried_ms > y->queried_ms;
}

/* Asks for them, those first that were asked for longest ago: none more often than min_interval, all together within
 * the budget. */
static void ask_candidates(struct gateway *gateway, struct candidates *candidates)
{
	int64_t now = now_ms(), interval = gateway->file.min_interval_ms;

	if (candidates->count)
		qsort(candidates->items, candidates->count, sizeof(*candidates->items), by_time);
	for (size_t i = 0; i < candidates->count; i++) {
		const struct candidate *candidate = &candidates->items[i];
		int64_t at = candidate->queried_ms > now - interval ? candidate->queried_ms + interval : now;
		if (addrbook_queries_by(gateway->book, candidate->name, candidate->family, at))
			continue;
		if (!query_pace_take(&gateway->pace, now))
			break;
		addrbook_query_by(gateway->book, candidate->name, candidate->family, at, now);
	}
	free(candidates->items);
}

/* A name whose new address would have let the packet pass. */
static bool might_cure(const struct policy_flow *flow, const struct policy_role *role, const struct packet *packet)
{
	return flow->to.name_count && flow_leaves_role(flow, role) &&
	       flow_has_port(flow, packet->protocol, packet->target_port) &&
	       endpoint_is_source(&flow->from, NULL, &packet->source);
}

/* The server was denied on a port that a named flow covers: whoever it asked may know more than we do. */
static void take_denial(struct gateway *gateway, const struct packet *packet)
{
	const struct policy *policy = &gateway->file.policy;
	const struct policy_role *role = policy_protected_role(policy, &packet->source);
	struct candidates candidates = { 0 };

	for (size_t i = 0; role && i < policy->flow_count; i++) {
		const struct policy_flow *flow = &policy->flows[i];
		if (!might_cure(flow, role, packet))
			continue;
		for (size_t n = 0; n < flow->to.name_count; n++) {
			const struct policy_name *name = &policy->names[flow->to.names[n]];
			if (!address_unfit(&packet->target, name->allow_private))
				add_candidate(gateway, &candidates, name->name, packet->target.family);
		}
	}
	ask_candidates(gateway, &candidates);
	gateway_names_drive(gateway);
}

static bool learn(struct gateway *gateway, const char *name, enum family family, const struct dns_message *message)
{
	struct book_entry entry;
	bool changed = false;

	if (addrbook_find(gateway->book, name, family, &entry) < 0)
		return false;
	uint64_t mark = entry.refused_mark;
	int r = addrbook_answered(gateway->book, name, family, message->addresses, message->address_count,
				  message->ttl_s, ORIGIN_OBSERVED, now_ms(), &changed);
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

static bool is_observed(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->name_count; i++)
		if (strcmp(policy->names[i].name, name) == 0)
			return policy->names[i].observed;
	return false;
}

/* What an answer to this question teaches. message NULL: nothing is learned, only whether it would be wanted. */
struct lesson {
	const struct dns_message *message;
	const char *question;
	enum family family;
	bool wanted, changed;
};

static void teach_name(struct gateway *gateway, struct lesson *lesson, const char *name)
{
	if (!is_observed(&gateway->file.policy, name))
		return;
	lesson->wanted = true;
	if (lesson->message)
		lesson->changed |= learn(gateway, name, lesson->family, lesson->message);
}

/* The name itself, those that an alias of theirs leads to it, and patterns. Most questions are of no interest, which is
 * found out soon. */
static void teach(struct gateway *gateway, struct lesson *lesson)
{
	const struct policy *policy = &gateway->file.policy;
	struct book_entry entry;
	size_t position = 0;

	if (addrbook_find(gateway->book, lesson->question, lesson->family, &entry) == 0)
		teach_name(gateway, lesson, lesson->question);
	for (const char *name; (name = aliases_next(&gateway->aliases, lesson->question, lesson->family, &position));)
		teach_name(gateway, lesson, name);
	for (size_t i = 0; i < policy->name_count; i++)
		if (policy->names[i].name[0] == '*' && pattern_covers(policy->names[i].name, lesson->question))
			teach_name(gateway, lesson, policy->names[i].name);
}

/* The question of a query or of an answer, where it is one for a name that is wanted. */
static bool read_question(struct gateway *gateway, const struct seen_packet *seen, bool reply,
			  struct observed_question *ret)
{
	const struct packet *packet = &seen->packet;
	struct dns_question question;

	*ret = (struct observed_question){
		.server = reply ? packet->target : packet->source,
		.port = reply ? packet->target_port : packet->source_port,
		.resolver = reply ? packet->source : packet->target,
		.resolver_port = reply ? packet->source_port : packet->target_port,
	};
	if (packet->protocol != PROTOCOL_UDP || !seen->payload ||
	    !policy_protected_role(&gateway->file.policy, &ret->server) ||
	    dns_question_read(seen->payload, seen->payload_length, &question) < 0 || question.is_response != reply ||
	    question.class != CLASS_IN || (question.type != DNS_TYPE_A && question.type != DNS_TYPE_AAAA) ||
	    strlen(question.name) >= sizeof(ret->name))
		return false;
	struct lesson lesson = { .question = question.name,
				 .family = question.type == DNS_TYPE_A ? FAMILY_4 : FAMILY_6 };
	teach(gateway, &lesson);
	if (!lesson.wanted)
		return false;
	ret->id = question.id;
	ret->type = question.type;
	ret->class = question.class;
	memcpy(ret->name, question.name, strlen(question.name) + 1);
	return true;
}

static void take_query(struct gateway *gateway, const struct seen_packet *seen)
{
	struct observed_question question;

	if (read_question(gateway, seen, false, &question) &&
	    observed_queries_add(&gateway->queries, &question, now_ms()) < 0)
		log_error("out of memory: an answer for %s will not be learned", question.name);
}

/* Anybody could have sent it. It counts where it answers a query that was seen, and that no answer was seen for. */
static void take_answer(struct gateway *gateway, const struct seen_packet *seen)
{
	static struct dns_message message; /* large, and there is one thread */
	struct observed_question question;

	if (!read_question(gateway, seen, true, &question))
		return;
	if (!observed_queries_take(&gateway->queries, &question, now_ms())) {
		gateway->unasked++;
		return;
	}
	if (!seen->payload_whole || dns_message_read(seen->payload, seen->payload_length, &message) < 0 ||
	    message.rcode != DNS_NOERROR || !message.address_count)
		return;
	struct lesson lesson = { &message, question.name, question.type == DNS_TYPE_A ? FAMILY_4 : FAMILY_6, false,
				 false };
	teach(gateway, &lesson);
	if (!lesson.changed)
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
	if (strcmp(prefix, PREFIX_QUERY) == 0)
		take_query(gateway, &seen);
	else if (strcmp(prefix, PREFIX_DNS) == 0)
		take_answer(gateway, &seen);
	else if (strcmp(prefix, PREFIX_ASK) == 0)
		take_denial(gateway, &seen.packet);
}

/* Losses come in swarms, and what was lost last counts as well. */
static void on_lost(void *userdata)
{
	struct gateway *gateway = userdata;
	int64_t now = now_ms(), earliest = gateway->lost_ms + LOST_EVERY_MS;

	gateway->copies_lost++;
	if (gateway->lost_due_ms)
		return;
	gateway->lost_due_ms = gateway->lost_ms && earliest > now ? earliest : now;
	gateway_names_drive(gateway);
}

void gateway_observe_lost(struct gateway *gateway)
{
	const struct policy *policy = &gateway->file.policy;
	struct candidates candidates = { 0 };

	gateway->lost_ms = now_ms();
	gateway->lost_due_ms = 0;
	for (size_t i = 0; i < policy->name_count; i++)
		for (enum family family = 0; family < FAMILIES; family++)
			add_candidate(gateway, &candidates, policy->names[i].name, family);
	ask_candidates(gateway, &candidates);
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
		log_warning("NFLOG group %u is taken by another program: denials and DNS answers are not seen; choose "
			    "another log_group",
			    group);
	else if (r < 0 && !was_told)
		log_warning("can't listen to NFLOG group %u: %s", group, strerror(-r));
	else if (r >= 0 && was_told)
		log_notice("NFLOG group %u is ours now", group);
}
