/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/cut_parts.h"
#include "clock.h"
#include "log.h"
#include "nft/cut.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The connections that were cut: the kernel's sets remember them, and cut->remembered is what these hold. What they
 * have no room for waits in cut->waiting; until that is empty a mark in the kernel lets no mid-stream packet pass by
 * an outbound flow. */

enum { READ_TRIES = 5, FORGET_TRIES = 3, SLACK_MS = 60 * 1000 };

/* It runs out as the entries do that it stands for: for later ones it is renewed. */
static void mark_full(struct cut *cut)
{
	bool was_full = cut->full;
	int64_t now = now_ms();

	if (was_full && cut->marked_ms && now - cut->marked_ms < SLACK_MS)
		return;
	int r = nft_cut_mark_full(cut->socket);
	if (r < 0) {
		log_error("connections that were cut can't be remembered, nor mid-stream packets of lost connections "
			  "stopped: %s",
			  nft_reason(cut->socket, r));
		return;
	}
	cut->full = true;
	cut->marked_ms = now;
	if (!was_full)
		log_warning("connections that were cut can't all be remembered: "
			    "no mid-stream packet of a lost connection passes by an outbound flow until there is room");
}

static void unmark_full(struct cut *cut)
{
	int r = nft_cut_unmark_full(cut->socket);

	if (r < 0 && r != -ENOENT)
		return; /* a minute later again */
	cut->full = false;
	log_notice("all connections that were cut are remembered: mid-stream packets of lost connections pass again");
}

/* Entries that are in no list any more: what was cut is not to be forgotten, so the mark stays until it runs out. */
static void note_lost(struct cut *cut)
{
	cut->lost = true;
	mark_full(cut);
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
static void write_entries(struct cut *cut, const struct cut_list *list, bool again, const struct cut_list *rest)
{
	size_t written = 0;
	int r = 0;

	if (rest->count)
		mark_full(cut);
	if (list->count)
		r = nft_cut_add(cut->socket, list, again, now_ms(), &written);
	if (r < 0) {
		log_error("connections that were cut can't be remembered yet: %s", nft_reason(cut->socket, r));
		mark_full(cut);
	}
	/* What the kernel has and this daemon could not note is read back from there. */
	if (append(&cut->remembered, list, 0, written) < 0)
		cut->known = false;
	if (append(&cut->waiting, list, written, list->count) < 0 || append(&cut->waiting, rest, 0, rest->count) < 0)
		note_lost(cut);
}

const struct cut_entry *cut_find(const struct cut *cut, const struct cut_entry *entry)
{
	const struct cut_entry *found = cut_list_find(&cut->remembered, entry);
	return found ? found : cut_list_find(&cut->waiting, entry);
}

/* Those that are there already get another deadline, others a place where there is one. */
static int sort_out(const struct cut *cut, const struct cut_list *fresh, struct cut_list *again, struct cut_list *new,
		    struct cut_list *rest)
{
	size_t room[FAMILIES];
	int r = 0;

	for (enum family family = 0; family < FAMILIES; family++) {
		size_t count = cut_list_count(&cut->remembered, family);
		room[family] = count < CUT_SET_SIZE ? CUT_SET_SIZE - count : 0;
	}
	for (size_t i = 0; r == 0 && i < fresh->count; i++) {
		struct cut_entry entry = fresh->items[i];
		const struct cut_entry *there = cut_find(cut, &entry);
		if (there && entry.opener == CUT_UNKNOWN)
			entry.opener = there->opener;
		entry.on_request |= there && there->on_request;
		bool in_kernel = cut_list_find(&cut->remembered, &entry) != NULL,
		     fits = !in_kernel && room[entry.own.family] > 0;
		room[entry.own.family] -= fits;
		r = cut_list_add(in_kernel ? again : fits ? new : rest, &entry);
	}
	return r;
}

void cut_remember(struct cut *cut, const struct cut_list *fresh, bool whole)
{
	struct cut_list again = { 0 }, new = { 0 }, rest = { 0 };
	static const struct cut_list nothing;

	if (sort_out(cut, fresh, &again, &new, &rest) < 0 || !whole) {
		note_lost(cut);
		log_error("out of memory: connections that were cut are not remembered");
	}
	write_entries(cut, &again, true, &nothing);
	write_entries(cut, &new, false, &rest);
	cut_list_free(&again);
	cut_list_free(&new);
	cut_list_free(&rest);
}

/* All that the sets hold. While the kernel enlarges such a set, a dump of it may lack elements: there is another one
 * until one of them adds nothing. */
static int read_whole(const struct cut *cut, struct cut_list *ret, bool *ret_full)
{
	bool more = true;
	int r = 0;

	*ret = (struct cut_list){ 0 };
	*ret_full = false;
	for (int tries = 0; r == 0 && more && tries < READ_TRIES; tries++) {
		struct cut_list found;
		size_t before = ret->count;
		bool full;
		r = nft_cut_read(cut->socket, &found, &full, now_ms());
		if (r < 0)
			break;
		*ret_full |= full;
		r = append(ret, &found, 0, found.count);
		cut_list_free(&found);
		more = ret->count > before;
	}
	if (r < 0)
		cut_list_free(ret);
	return r;
}

/* What another program has deleted, or all where the table is a new one; and what it makes run out too soon. */
static int find_missing(const struct cut *cut, const struct cut_list *kernel, struct cut_list *missing,
			struct cut_list *shortened)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < cut->remembered.count; i++) {
		const struct cut_entry *entry = &cut->remembered.items[i], *found = cut_list_find(kernel, entry);
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

static void drop_expired(struct cut *cut)
{
	int64_t now = now_ms();

	cut_list_filter(&cut->remembered, is_fresh, &now);
	cut_list_filter(&cut->waiting, is_fresh, &now);
}

void cut_read(struct cut *cut)
{
	struct cut_list found;
	bool full;

	if (cut->known)
		return;
	int r = read_whole(cut, &found, &full);
	if (r < 0) {
		log_error("can't read which connections were cut: %s", nft_reason(cut->socket, r));
		return;
	}
	r = append(&cut->remembered, &found, 0, found.count);
	cut_list_free(&found);
	cut->known = r == 0;
	/* Which ones it stands for, only the daemon knew that set it. */
	cut->lost |= full && !cut->full;
	cut->full |= full;
}

bool cut_is_known(const struct cut *cut)
{
	return cut->known;
}

void cut_restore(struct cut *cut)
{
	struct cut_list kernel = { 0 }, missing = { 0 }, shortened = { 0 };
	static const struct cut_list nothing;
	bool full = false;

	drop_expired(cut);
	int r = read_whole(cut, &kernel, &full);
	if (r == 0)
		r = find_missing(cut, &kernel, &missing, &shortened);
	/* What the kernel has besides is judged as the rest: it goes where the policy allows it. */
	if (r == 0)
		r = append(&cut->remembered, &kernel, 0, kernel.count);
	if (r < 0)
		log_error("can't bring the connections that were cut up to date: %s", nft_reason(cut->socket, r));
	if (cut->full) { /* the mark may be gone, or run out too soon as well */
		cut->marked_ms = 0;
		mark_full(cut);
	} else if (full) { /* another program's */
		unmark_full(cut);
	}
	if (missing.count)
		write_entries(cut, &missing, false, &nothing);
	if (shortened.count)
		write_entries(cut, &shortened, true, &nothing);
	cut_list_free(&kernel);
	cut_list_free(&missing);
	cut_list_free(&shortened);
}

/* Forgetting */

struct forgetting {
	const struct cut_rules *rules;
	struct cut_list *gone; /* NULL: only the list forgets */
	bool failed;
};

bool cut_is_denied_still(const struct cut_rules *rules, const struct cut_entry *entry)
{
	struct packet packet = cut_packet(entry);

	return entry->on_request || policy_judge(rules->policy, rules->held, &packet).verdict == VERDICT_DENY;
}

static bool is_denied_still(void *userdata, const struct cut_entry *entry)
{
	struct forgetting *forgetting = userdata;

	if (cut_is_denied_still(forgetting->rules, entry))
		return true;
	/* Without memory it is kept: that is no harm but to the connection, and the next time comes. */
	if (forgetting->gone && cut_list_add(forgetting->gone, entry) < 0)
		return forgetting->failed = true;
	return false;
}

/* Where there is room by now, what waited for it goes in. */
static void write_waiting(struct cut *cut)
{
	drop_expired(cut);
	struct cut_list waiting = cut->waiting;
	cut->waiting = (struct cut_list){ 0 };
	if (waiting.count)
		cut_remember(cut, &waiting, true);
	cut_list_free(&waiting);
	if (cut->lost && cut->full) { /* until the mark has run out */
		struct cut_list kernel;
		bool full;
		if (nft_cut_read(cut->socket, &kernel, &full, now_ms()) == 0) {
			cut->lost = cut->full = full;
			cut_list_free(&kernel);
		}
	}
	if (cut->full && !cut->lost && !cut->waiting.count)
		unmark_full(cut);
}

void cut_forget(struct cut *cut, const struct cut_rules *rules)
{
	struct forgetting forgetting = { .rules = rules };
	int r = -ENOENT;

	cut->names_changed = false;
	drop_expired(cut);
	cut_list_filter(&cut->waiting, is_denied_still, &forgetting);
	/* One that ran out just now makes the kernel refuse the others of its batch: what is there still is read then.
	 */
	for (int tries = 0; r == -ENOENT && tries < FORGET_TRIES; tries++) {
		struct cut_list gone = { 0 };
		forgetting.gone = &gone;
		cut_list_filter(&cut->remembered, is_denied_still, &forgetting);
		r = gone.count ? nft_cut_delete(cut->socket, &gone) : 0;
		cut_list_free(&gone);
		if (r < 0)
			cut_restore(cut);
	}
	cut->names_changed = r < 0 || forgetting.failed;
	if (cut->full || cut->waiting.count)
		write_waiting(cut);
}

void cut_set_names_changed(struct cut *cut)
{
	cut->names_changed = true;
}

bool cut_wants_names(const struct cut *cut, const struct policy *policy)
{
	return cut->names_changed && policy->mode == MODE_ENFORCE && cut->remembered.count + cut->waiting.count;
}

void cut_minute(struct cut *cut, const struct cut_rules *rules)
{
	cut_read(cut);
	if (rules && cut_wants_names(cut, rules->policy))
		cut_forget(cut, rules);
	else if (cut->full || cut->waiting.count)
		write_waiting(cut);
	drop_expired(cut);
}

void cut_forget_all(struct cut *cut)
{
	cut_list_free(&cut->remembered);
	cut_list_free(&cut->waiting);
	cut->full = cut->lost = cut->names_changed = false;
}

struct cut_figures cut_figures(const struct cut *cut)
{
	return (struct cut_figures){ .remembered = cut->remembered.count, .full = cut->full };
}
