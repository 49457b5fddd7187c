/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clock.h"
#include "core/array.h"
#include "core/unfit.h"
#include "gateway/names_parts.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the packets of protected machines show of names: answers that they get, and denials that a fresh answer of our
 * own might cure. */

enum {
	LOSSES_EVERY_MS = 1000,
	LEARNED_LOGGED = 4, /* addresses of one answer */
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

static void add_candidate(const struct names *names, struct candidates *candidates, const char *name,
			  enum family family)
{
	struct book_entry entry;

	if (name[0] == '*' || addrbook_find(names->book, name, family, &entry) < 0)
		return;
	struct candidate candidate = { name, family, entry.queried_ms };
	if (ARRAY_PUSH(candidates, candidate) < 0)
		log_error("out of memory: %s is not queried", name);
}

static int by_time(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	return x->queried_ms < y->queried_ms ? -1 : x->queried_ms > y->queried_ms;
}

/* Makes them due, those first that were queried longest ago: none more often than min_interval, all together within
 * the budget. */
static void query_candidates(struct names *names, struct candidates *candidates)
{
	int64_t now = now_ms(), interval = names->file->policy.min_interval_ms;

	if (candidates->count)
		qsort(candidates->items, candidates->count, sizeof(*candidates->items), by_time);
	for (size_t i = 0; i < candidates->count; i++) {
		const struct candidate *candidate = &candidates->items[i];
		int64_t at = candidate->queried_ms > now - interval ? candidate->queried_ms + interval : now;
		if (addrbook_queries_by(names->book, candidate->name, candidate->family, at))
			continue;
		if (!query_pace_take(&names->denial_pace, now))
			break;
		addrbook_query_by(names->book, candidate->name, candidate->family, at, now);
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

/* On a port that a named flow covers: the resolver of that machine may know more than we do. */
void names_denied(struct names *names, const struct packet *packet)
{
	const struct policy *policy = &names->file->policy;
	const struct policy_role *role = policy_protected_role(policy, &packet->source);
	struct candidates candidates = { 0 };

	for (size_t i = 0; role && i < policy->flow_count; i++) {
		const struct policy_flow *flow = &policy->flows[i];
		if (!might_cure(flow, role, packet))
			continue;
		for (size_t n = 0; n < flow->to.name_count; n++) {
			const struct policy_name *name = &policy->names[flow->to.names[n]];
			if (!address_unfit(&packet->target, name->allow_private))
				add_candidate(names, &candidates, name->name, packet->target.family);
		}
	}
	query_candidates(names, &candidates);
	names_drive(names);
}

/* Losses come in bursts, and what was lost last counts as well. */
void names_copies_lost(struct names *names)
{
	int64_t now = now_ms(), earliest = names->losses_ms + LOSSES_EVERY_MS;

	if (names->losses_due_ms)
		return;
	names->losses_due_ms = names->losses_ms && earliest > now ? earliest : now;
	names_drive(names);
}

void names_query_lost(struct names *names, int64_t now)
{
	const struct policy *policy = &names->file->policy;
	struct candidates candidates = { 0 };

	if (!names->losses_due_ms || names->losses_due_ms > now)
		return;
	names->losses_ms = now;
	names->losses_due_ms = 0;
	for (size_t i = 0; i < policy->name_count; i++)
		for (enum family family = 0; family < FAMILIES; family++)
			add_candidate(names, &candidates, policy->names[i].name, family);
	query_candidates(names, &candidates);
}

/* Which of the entry's addresses are new; both ascend. */
static void log_learned(const struct book_entry *entry, const struct addr *before, size_t before_count)
{
	char text[LEARNED_LOGGED * (ADDR_TEXT_MAX + 2) + sizeof(" and more")] = "", address[ADDR_TEXT_MAX];
	size_t b = 0, logged = 0, length = 0;

	for (size_t i = 0; i < entry->address_count; i++) {
		const struct addr *addr = &entry->addresses[i].addr;
		while (b < before_count && addr_compare(&before[b], addr) < 0)
			b++;
		if (b < before_count && addr_compare(&before[b], addr) == 0)
			continue;
		if (logged == LEARNED_LOGGED) {
			snprintf(text + length, sizeof(text) - length, " and more");
			break;
		}
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", logged++ ? ", " : "",
					   addr_format(addr, address));
	}
	log_info("%s: learned from an answer to the server: %s", entry->name, text);
}

/* 0 or a negative errno. *ret_changed: whether the set of addresses did. */
static int learn(struct names *names, const char *name, const struct dns_answer *answer, bool at_once,
		 bool *ret_changed)
{
	struct addr before[BOOK_ADDRESSES_MAX];
	struct book_entry entry;
	bool changed = false;

	if (addrbook_find(names->book, name, answer->family, &entry) < 0)
		return -ENOENT;
	uint64_t mark = entry.refused_mark;
	size_t before_count = entry.address_count;
	for (size_t i = 0; i < before_count; i++)
		before[i] = entry.addresses[i].addr;
	int r = addrbook_answered(names->book, name, answer->family, answer->addresses, answer->count, answer->ttl_s,
				  ORIGIN_OBSERVED, now_ms(), &changed);
	if (r == -ENOMEM)
		log_error("out of memory: an answer for %s is lost", name);
	if (r < 0)
		return r;
	/* The server has its answer already, and its SYN is on the way. What is confirmed alone lives on as well. */
	if (at_once)
		names->events.changed(names->userdata, name);
	names->learned++;
	names->unsaved = true;
	*ret_changed |= changed;
	if (addrbook_find(names->book, name, answer->family, &entry) < 0)
		return 0;
	names_log_refused(names, &entry, mark);
	if (changed)
		log_learned(&entry, before, before_count);
	return 0;
}

/* "*.example.com" is every name below example.com. */
static bool pattern_covers(const char *pattern, const char *name)
{
	size_t suffix = strlen(pattern) - 1, length = strlen(name); /* without the star */
	return length > suffix && strcmp(name + length - suffix, pattern + 1) == 0;
}

static bool is_observed(const struct policy_name *name, enum family family)
{
	return name->observed && name->families & 1U << family;
}

static bool is_name_observed(const struct policy *policy, const char *name, enum family family)
{
	for (size_t i = 0; i < policy->name_count; i++)
		if (strcmp(policy->names[i].name, name) == 0)
			return is_observed(&policy->names[i], family);
	return false;
}

/* Where the search for names that an answer to a question teaches has come to; 0 at first. */
struct taught {
	bool itself;
	size_t alias, pattern;
};

/* The name itself, those that an alias of theirs leads to it, and patterns. Most questions are of no interest, which is
 * found out soon. NULL: no more. */
static const char *next_taught(const struct names *names, const char *question, enum family family, struct taught *at)
{
	const struct policy *policy = &names->file->policy;
	struct book_entry entry;
	const char *name;

	if (!at->itself) {
		at->itself = true;
		if (addrbook_find(names->book, question, family, &entry) == 0 &&
		    is_name_observed(policy, question, family))
			return question;
	}
	while ((name = aliases_next(&names->aliases, question, family, &at->alias)))
		if (is_name_observed(policy, name, family))
			return name;
	while (at->pattern < policy->name_count) {
		const struct policy_name *pattern = &policy->names[at->pattern++];
		if (is_observed(pattern, family) && pattern->name[0] == '*' && pattern_covers(pattern->name, question))
			return pattern->name;
	}
	return NULL;
}

bool names_wants(const struct names *names, const char *question, enum family family)
{
	return next_taught(names, question, family, &(struct taught){ 0 });
}

void names_learn(struct names *names, const struct dns_answer *answer)
{
	struct taught at = { 0 };
	bool changed = false;
	size_t learned = 0;

	for (const char *name; (name = next_taught(names, answer->question, answer->family, &at));)
		learned += learn(names, name, answer, learned == 0, &changed) == 0;
	/* One answer may teach all names, by an alias of theirs: those behind the first one go to the kernel together.
	 */
	if (learned > 1)
		names->events.changed(names->userdata, NULL);
	if (!changed)
		return;
	names_save_soon(names);
	names_drive(names);
}
