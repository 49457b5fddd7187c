/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cut_list.h"
#include "array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const comments[CUT_OPENERS][2] = {
	[CUT_BY_PEER] = { "inbound", "inbound, on request" },
	[CUT_BY_OWN] = { "outbound", "outbound, on request" },
	[CUT_UNKNOWN] = { "mid-stream", "mid-stream, on request" },
};

const char *cut_comment(const struct cut_entry *entry)
{
	return comments[entry->opener][entry->on_request];
}

void cut_take_comment(struct cut_entry *entry, const char *comment)
{
	entry->opener = CUT_UNKNOWN;
	entry->on_request = false;
	for (enum cut_opener opener = 0; opener < CUT_OPENERS; opener++)
		for (int on_request = 0; on_request < 2; on_request++)
			if (strcmp(comments[opener][on_request], comment) == 0) {
				entry->opener = opener;
				entry->on_request = on_request;
			}
}

size_t cut_entries(const struct policy *policy, const struct packet *packet, int64_t deadline_ms,
		   struct cut_entry ret[CUT_ENTRIES_MAX])
{
	size_t count = 0;

	if (policy_protected_role(policy, &packet->target))
		ret[count++] = (struct cut_entry){ packet->target,
						   packet->source,
						   packet->target_port,
						   packet->source_port,
						   packet->mid_stream ? CUT_UNKNOWN : CUT_BY_PEER,
						   deadline_ms,
						   false };
	if (policy_protected_role(policy, &packet->source))
		ret[count++] = (struct cut_entry){ packet->source,
						   packet->target,
						   packet->source_port,
						   packet->target_port,
						   packet->mid_stream ? CUT_UNKNOWN : CUT_BY_OWN,
						   deadline_ms,
						   false };
	return count;
}

struct packet cut_packet(const struct cut_entry *entry)
{
	struct packet packet = { entry->peer,      entry->own,      PROTOCOL_TCP,
				 entry->peer_port, entry->own_port, entry->opener == CUT_UNKNOWN };

	if (entry->opener == CUT_BY_OWN)
		packet = (struct packet){ entry->own,      entry->peer,      PROTOCOL_TCP,
					  entry->own_port, entry->peer_port, false };
	return packet;
}

static int order(const struct cut_entry *a, const struct cut_entry *b)
{
	int r = addr_compare(&a->own, &b->own);

	if (r == 0)
		r = addr_compare(&a->peer, &b->peer);
	if (r == 0)
		r = a->own_port - b->own_port;
	return r ? r : a->peer_port - b->peer_port;
}

/* Among those of the same ends the latest deadline first, and then one whose opener is known. */
static int sort_order(const void *a, const void *b)
{
	const struct cut_entry *x = a, *y = b;
	int r = order(x, y);

	if (r == 0)
		r = (x->deadline_ms < y->deadline_ms) - (x->deadline_ms > y->deadline_ms);
	return r ? r : (int)x->opener - (int)y->opener;
}

int cut_list_add(struct cut_list *list, const struct cut_entry *entry)
{
	return ARRAY_PUSH(list, *entry) < 0 ? -ENOMEM : 0;
}

void cut_list_finish(struct cut_list *list)
{
	size_t kept = 0;

	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), sort_order);
	for (size_t i = 0; i < list->count; i++) {
		if (!kept || order(&list->items[kept - 1], &list->items[i]) != 0)
			list->items[kept++] = list->items[i];
		else
			list->items[kept - 1].on_request |= list->items[i].on_request;
	}
	list->count = kept;
}

const struct cut_entry *cut_list_find(const struct cut_list *list, const struct cut_entry *entry)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int r = order(&list->items[middle], entry);
		if (r == 0)
			return &list->items[middle];
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

size_t cut_list_filter(struct cut_list *list, bool (*keep)(void *userdata, const struct cut_entry *entry),
		       void *userdata)
{
	size_t kept = 0, before = list->count;

	for (size_t i = 0; i < before; i++)
		if (keep(userdata, &list->items[i]))
			list->items[kept++] = list->items[i];
	list->count = kept;
	return before - kept;
}

size_t cut_list_count(const struct cut_list *list, enum family family)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++)
		count += list->items[i].own.family == family;
	return count;
}

void cut_list_free(struct cut_list *list)
{
	free(list->items);
	*list = (struct cut_list){ 0 };
}
