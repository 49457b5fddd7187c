/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/gateway.h"
#include "log.h"
#include "nft/cut.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The gateway and the connections that it has cut: the kernel's sets remember them, and gateway->cut is what these
 * hold. What they have no room for waits in gateway->cut_pending; until that is empty a mark in the kernel lets no
 * mid-stream packet pass by an outbound flow. */

enum { READ_TRIES = 5, FORGET_TRIES = 3, SLACK_MS = 60 * 1000 };

/* It runs out as the entries do that it stands for: for later ones it is renewed. */
static void mark_full(struct gateway *gateway)
{
	bool was_full = gateway->cut_full;
	int64_t now = now_ms();

	if (was_full && gateway->cut_marked_ms && now - gateway->cut_marked_ms < SLACK_MS)
		return;
	int r = nft_cut_mark_full(&gateway->nft);
	if (r < 0) {
		log_error("connections that were cut can't be remembered, nor mid-stream packets of lost connections "
			  "stopped: %s",
			  gateway_reason(gateway, r));
		return;
	}
	gateway->cut_full = true;
	gateway->cut_marked_ms = now;
	if (!was_full)
		log_warning("connections that were cut can't all be remembered: "
			    "no mid-stream packet of a lost connection passes by an outbound flow until there is room");
}

static void unmark_full(struct gateway *gateway)
{
	int r = nft_cut_unmark_full(&gateway->nft);

	if (r < 0 && r != -ENOENT)
		return; /* a minute later again */
	gateway->cut_full = false;
	log_notice("all connections that were cut are remembered: mid-stream packets of lost connections pass again");
}

/* Entries that are in no list any more: what was cut is not to be forgotten, so the mark stays until it runs out. */
static void note_lost(struct gateway *gateway)
{
	gateway->cut_lost = true;
	mark_full(gateway);
}

/* Puts the entries from `from` on at the end of the list, which is finished then. */
static int append(struct cut_list *list, const struct cut_list *more, size_t from, size_t to)
{
	int r = 0;

	for (size_t i = from; r == 0 && i < to; i++)
		r = cut_list_add(list, &more->items[i]);
	cut_list_finish(list);
	return r;
}

/* Into the kernel's sets, as far as they take them; the rest waits. The mark comes first: nothing may pass in between.
 */
static void write_entries(struct gateway *gateway, const struct cut_list *list, bool again, const struct cut_list *rest)
{
	size_t written = 0;
	int r = 0;

	if (rest->count)
		mark_full(gateway);
	if (list->count)
		r = nft_cut_add(&gateway->nft, list, again, now_ms(), &written);
	if (r < 0) {
		log_error("connections that were cut can't be remembered yet: %s", gateway_reason(gateway, r));
		mark_full(gateway);
	}
	/* What the kernel has and this daemon could not note is read back from there. */
	if (append(&gateway->cut, list, 0, written) < 0)
		gateway->cut_known = false;
	if (append(&gateway->cut_pending, list, written, list->count) < 0 ||
	    append(&gateway->cut_pending, rest, 0, rest->count) < 0)
		note_lost(gateway);
}

const struct cut_entry *gateway_cut_find(const struct gateway *gateway, const struct cut_entry *entry)
{
	const struct cut_entry *found = cut_list_find(&gateway->cut, entry);
	return found ? found : cut_list_find(&gateway->cut_pending, entry);
}

/* Those that are there already get another deadline, others a place where there is one. */
static int sort_out(const struct gateway *gateway, const struct cut_list *fresh, struct cut_list *again,
		    struct cut_list *new, struct cut_list *rest)
{
	size_t room[FAMILIES];
	int r = 0;

	for (enum family family = 0; family < FAMILIES; family++) {
		size_t count = cut_list_count(&gateway->cut, family);
		room[family] = count < CUT_SET_SIZE ? CUT_SET_SIZE - count : 0;
	}
	for (size_t i = 0; r == 0 && i < fresh->count; i++) {
		struct cut_entry entry = fresh->items[i];
		const struct cut_entry *there = gateway_cut_find(gateway, &entry);
		if (there && entry.opener == CUT_UNKNOWN)
			entry.opener = there->opener;
		bool known = cut_list_find(&gateway->cut, &entry) != NULL, fits = !known && room[entry.own.family] > 0;
		room[entry.own.family] -= fits;
		r = cut_list_add(known ? again : fits ? new : rest, &entry);
	}
	return r;
}

void gateway_cut_remember(struct gateway *gateway, const struct cut_list *fresh, bool whole)
{
	struct cut_list again = { 0 }, new = { 0 }, rest = { 0 };
	static const struct cut_list nothing;

	if (sort_out(gateway, fresh, &again, &new, &rest) < 0 || !whole) {
		note_lost(gateway);
		log_error("out of memory: connections that were cut are not remembered");
	}
	write_entries(gateway, &again, true, &nothing);
	write_entries(gateway, &new, false, &rest);
	cut_list_free(&again);
	cut_list_free(&new);
	cut_list_free(&rest);
}

/* All that the sets hold. While the kernel enlarges such a set, a dump of it may lack elements: two have to agree. */
static int read_whole(struct gateway *gateway, struct cut_list *ret, bool *ret_full)
{
	size_t count = SIZE_MAX;
	int r = 0;

	*ret = (struct cut_list){ 0 };
	*ret_full = false;
	for (int tries = 0; r == 0 && count != ret->count && tries < READ_TRIES; tries++) {
		struct cut_list found;
		bool full;
		r = nft_cut_read(&gateway->nft, &found, &full, now_ms());
		if (r < 0)
			break;
		*ret_full |= full;
		count = found.count;
		r = append(ret, &found, 0, found.count);
		cut_list_free(&found);
		if (!count)
			break;
	}
	if (r < 0)
		cut_list_free(ret);
	return r;
}

/* What another program has deleted, or all where the table is a new one; and what it makes run out too soon. */
static int find_missing(const struct gateway *gateway, const struct cut_list *kernel, struct cut_list *missing,
			struct cut_list *shortened)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < gateway->cut.count; i++) {
		const struct cut_entry *entry = &gateway->cut.items[i], *found = cut_list_find(kernel, entry);
		if (!found)
			r = cut_list_add(missing, entry);
		else if (found->deadline_ms < entry->deadline_ms - SLACK_MS)
			r = cut_list_add(shortened, entry);
	}
	return r;
}

static bool is_fresh(void *userdata, const struct cut_entry *entry)
{
	return entry->deadline_ms > *(const int64_t *)userdata;
}

static void drop_expired(struct gateway *gateway)
{
	int64_t now = now_ms();

	cut_list_filter(&gateway->cut, is_fresh, &now);
	cut_list_filter(&gateway->cut_pending, is_fresh, &now);
}

void gateway_cut_read(struct gateway *gateway)
{
	struct cut_list found;
	bool full;

	if (gateway->cut_known)
		return;
	int r = read_whole(gateway, &found, &full);
	if (r < 0) {
		log_error("can't read which connections were cut: %s", gateway_reason(gateway, r));
		return;
	}
	r = append(&gateway->cut, &found, 0, found.count);
	cut_list_free(&found);
	gateway->cut_known = r == 0;
	/* Which ones it stands for, only the daemon knew that set it. */
	gateway->cut_lost |= full && !gateway->cut_full;
	gateway->cut_full |= full;
}

void gateway_cut_restore(struct gateway *gateway)
{
	struct cut_list kernel = { 0 }, missing = { 0 }, shortened = { 0 };
	static const struct cut_list nothing;
	bool full = false;

	drop_expired(gateway);
	int r = read_whole(gateway, &kernel, &full);
	if (r == 0)
		r = find_missing(gateway, &kernel, &missing, &shortened);
	/* What the kernel has besides is judged as the rest: it goes where the policy allows it. */
	if (r == 0)
		r = append(&gateway->cut, &kernel, 0, kernel.count);
	if (r < 0)
		log_error("can't bring the connections that were cut up to date: %s", gateway_reason(gateway, r));
	if (gateway->cut_full) { /* the mark may be gone, or run out too soon as well */
		gateway->cut_marked_ms = 0;
		mark_full(gateway);
	} else if (full) { /* another program's */
		unmark_full(gateway);
	}
	if (missing.count)
		write_entries(gateway, &missing, false, &nothing);
	if (shortened.count)
		write_entries(gateway, &shortened, true, &nothing);
	cut_list_free(&kernel);
	cut_list_free(&missing);
	cut_list_free(&shortened);
}

/* Forgetting */

struct forgetting {
	const struct policy *policy;
	const struct names_view *names;
	struct cut_list *gone; /* NULL: only the list forgets */
	bool failed;
};

static bool is_denied_still(void *userdata, const struct cut_entry *entry)
{
	struct forgetting *forgetting = userdata;
	struct packet packet = cut_packet(entry);

	if (policy_judge(forgetting->policy, forgetting->names, &packet).verdict == VERDICT_DENY)
		return true;
	/* Without memory it is kept: that is no harm but to the connection, and the next time comes. */
	if (forgetting->gone && cut_list_add(forgetting->gone, entry) < 0)
		return forgetting->failed = true;
	return false;
}

/* Where there is room by now, what waited for it goes in. */
static void settle(struct gateway *gateway)
{
	drop_expired(gateway);
	struct cut_list waiting = gateway->cut_pending;
	gateway->cut_pending = (struct cut_list){ 0 };
	if (waiting.count)
		gateway_cut_remember(gateway, &waiting, true);
	cut_list_free(&waiting);
	if (gateway->cut_lost && gateway->cut_full) { /* until the mark has run out */
		struct cut_list kernel;
		bool full;
		if (nft_cut_read(&gateway->nft, &kernel, &full, now_ms()) == 0) {
			gateway->cut_lost = gateway->cut_full = full;
			cut_list_free(&kernel);
		}
	}
	if (gateway->cut_full && !gateway->cut_lost && !gateway->cut_pending.count)
		unmark_full(gateway);
}

void gateway_cut_forget(struct gateway *gateway, const struct names_view *names)
{
	struct forgetting forgetting = { .policy = &gateway->file.policy, .names = names };
	int r = -ENOENT;

	gateway->cut_review = false;
	drop_expired(gateway);
	cut_list_filter(&gateway->cut_pending, is_denied_still, &forgetting);
	/* One that ran out just now makes the kernel refuse the others of its batch: what is there still is read then.
	 */
	for (int tries = 0; r == -ENOENT && tries < FORGET_TRIES; tries++) {
		struct cut_list gone = { 0 };
		forgetting.gone = &gone;
		cut_list_filter(&gateway->cut, is_denied_still, &forgetting);
		r = gone.count ? nft_cut_delete(&gateway->nft, &gone) : 0;
		cut_list_free(&gone);
		if (r < 0)
			gateway_cut_restore(gateway);
	}
	gateway->cut_review = r < 0 || forgetting.failed;
	if (gateway->cut_full || gateway->cut_pending.count)
		settle(gateway);
}

void gateway_cut_minute(struct gateway *gateway)
{
	struct names_view names = { 0 };

	if (!gateway->current_known || gateway->cleared)
		return;
	gateway_cut_read(gateway);
	if (gateway->cut_review && gateway->file.policy.mode == MODE_ENFORCE &&
	    gateway->cut.count + gateway->cut_pending.count &&
	    gateway_names_held_view(gateway, &gateway->file.policy, &names) == 0)
		gateway_cut_forget(gateway, &names);
	else if (gateway->cut_full || gateway->cut_pending.count)
		settle(gateway);
	names_view_free(&names);
	drop_expired(gateway);
}

void gateway_cut_end(struct gateway *gateway)
{
	cut_list_free(&gateway->cut);
	cut_list_free(&gateway->cut_pending);
	gateway->cut_full = gateway->cut_lost = gateway->cut_review = false;
}
