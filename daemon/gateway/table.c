/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/table.h"
#include "clock.h"
#include "core/delta.h"
#include "core/ruleset_guards.h"
#include "log.h"
#include "nft/monitor.h"
#include "nft/read.h"
#include "timer.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	RETIRE_MS = 1000, /* when what the last change left behind goes */
	/* Of notices while another program changes the table: like callers on the control socket it must not keep
	 * the daemon from everything else. */
	CHANGED_PRIORITY = SD_EVENT_PRIORITY_NORMAL + 10,
};

struct table {
	struct table_events events;
	void *userdata;
	struct nft_socket socket;
	struct nft_monitor *monitor;
	struct timer *repair_timer; /* another program has changed the table */
	struct timer *retire_timer;
	struct ruleset current;
	bool known;                   /* false: the kernel is to be read before the next change */
	struct delta_options options; /* where it was just read: what was found; else that there is a table */
	bool was_known;               /* current is of our making, or was taken for good */
	struct ruleset held;          /* the last one that was: what is gone back to where nothing else may be made */
	bool has_held;
	bool removed;
	bool guards; /* there is a table, with its rules, and it is not asleep */
	bool torn;   /* what was read last may be of several moments */
	char failure[200];
	uint64_t commits, repaired;
	char last_repair[200];
};

static const struct delta_options adopted = { .exists = true };

/* Sets that no rule uses any more go a batch later. */
static int retire(struct table *table)
{
	struct delta delta;

	int r = delta_retire(&delta, &table->current);
	if (r == 0 && delta.count) {
		r = nft_commit(&table->socket, delta.items, delta.count, now_ms());
		if (r == 0)
			delta_retired(&table->current);
		else
			table->known = false;
	}
	delta_free(&delta);
	return r;
}

static void on_retire(void *userdata)
{
	struct table *table = userdata;

	/* Nobody has changed the table for that long. */
	nft_monitor_set_priority(table->monitor, SD_EVENT_PRIORITY_NORMAL);
	int r = table->known && !table->removed ? retire(table) : 0;
	table->events.settled(table->userdata, r);
}

static void on_repair(void *userdata)
{
	struct table *table = userdata;

	if (!table->known)
		table->events.changed(table->userdata);
}

static void changed_by_others(void *userdata, const char *what)
{
	struct table *table = userdata;

	if (table->removed)
		return;
	if (what) {
		table->repaired++;
		snprintf(table->last_repair, sizeof(table->last_repair), "%s", what);
		log_warning("table inet " TABLE_NAME " was changed by another program: %s: it is repaired", what);
	} else {
		log_warning("notices of changes were lost: table inet " TABLE_NAME " is read and repaired");
	}
	table->known = false;
	/* Once for all notices that are waiting; a time that is long past is not waited for at all. */
	timer_set_at(table->repair_timer, 0);
	nft_monitor_set_priority(table->monitor, CHANGED_PRIORITY);
}

static void foreign_changed(void *userdata)
{
	struct table *table = userdata;

	table->events.foreign_changed(table->userdata);
}

static int follow(struct table *table, sd_event *event)
{
	int r = timer_new(&table->retire_timer, event, SD_EVENT_PRIORITY_NORMAL, on_retire, table);
	if (r >= 0)
		r = timer_new(&table->repair_timer, event, SD_EVENT_PRIORITY_IMPORTANT, on_repair, table);
	if (r >= 0)
		r = nft_monitor_new(&table->monitor, event, nft_port(&table->socket), changed_by_others,
				    foreign_changed, table);
	return r;
}

int table_open(struct table **ret, sd_event *event, int stored_fd, const struct table_events *events, void *userdata)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table) {
		if (stored_fd >= 0)
			close(stored_fd);
		log_error("can't use nftables: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	*table = (struct table){ .events = *events, .userdata = userdata, .options = adopted };
	int r = nft_open(&table->socket, stored_fd);
	if (r == 0)
		r = nft_probe(&table->socket);
	if (r == 0)
		r = follow(table, event);
	if (r < 0) {
		log_error("can't use nftables: %s", table_reason(table, r));
		table_free(table);
		return r;
	}
	*ret = table;
	return 0;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	nft_monitor_free(table->monitor);
	timer_free(table->repair_timer);
	timer_free(table->retire_timer);
	nft_close(&table->socket);
	ruleset_free(&table->current);
	ruleset_free(&table->held);
	free(table);
}

struct nft_socket *table_socket(struct table *table)
{
	return &table->socket;
}

bool table_is_known(const struct table *table)
{
	return table->known;
}

bool table_is_removed(const struct table *table)
{
	return table->removed;
}

bool table_is_torn(const struct table *table)
{
	return table->torn;
}

bool table_guards(const struct table *table)
{
	return table->guards || table->has_held;
}

void table_suspect(struct table *table)
{
	if (table->removed)
		return;
	table->known = false;
	timer_set_at(table->repair_timer, 0);
}

const struct ruleset *table_current(const struct table *table)
{
	return &table->current;
}

static int read_handles(struct table *table, struct chain *chain)
{
	struct ruleset found;

	int r = nft_read_chain(&table->socket, chain->name, &found);
	if (r < 0)
		return r;
	const struct chain *there = &found.chains.items[0];
	r = chain_rules_equal(there, chain) ? 0 : -ESTALE;
	for (size_t i = 0; r == 0 && i < chain->count; i++)
		chain->items[i].handle = there->items[i].handle;
	ruleset_free(&found);
	return r;
}

int table_rule_handle(struct table *table, const char *name, size_t index, uint64_t *ret)
{
	struct chain *chain = ruleset_find_chain(&table->current, name);

	table->socket.error[0] = '\0';
	if (chain && chain->count && index == TABLE_LAST_RULE)
		index = chain->count - 1;
	if (!chain || index >= chain->count || table->removed)
		return -ENOENT;
	if (!table->known)
		return -ESTALE;
	int r = chain->items[index].handle ? 0 : read_handles(table, chain);
	if (r == 0)
		*ret = chain->items[index].handle;
	return r;
}

/* Whether a table that is there can be adopted, and what that takes. */
static int judge_table(struct table *table, const struct nft_table_info *info)
{
	/* The kernel takes the owner's flag from an orphan; that it may have one shows in the other flag. */
	bool ownable = info->flags & TABLE_OWNED;

	if (info->owner && info->owner != nft_port(&table->socket)) {
		snprintf(table->socket.error, sizeof(table->socket.error),
			 "table inet " TABLE_NAME " is owned by another program (netlink port %u): stop that first",
			 info->owner);
		return -EBUSY;
	}
	table->options.replace = true;
	if (info->flags & NFT_TABLE_F_DORMANT) {
		log_notice("table inet " TABLE_NAME " was put to sleep by another program: it is replaced");
	} else if (info->flags & ~(uint32_t)TABLE_OWNED) {
		log_notice("table inet " TABLE_NAME " has flags of another program's: it is replaced");
	} else if (info->layout != TABLE_LAYOUT) {
		log_notice("table inet " TABLE_NAME " has another layout (%d): it is replaced", info->layout);
	} else if (table->socket.abilities.owner && !ownable) {
		log_notice("table inet " TABLE_NAME " can't be owned as it is: it is replaced");
	} else {
		table->options.replace = false;
		table->options.claim = table->socket.abilities.owner && !info->owner;
	}
	return 0;
}

/* Such rules are written again, in chains that stay: no packet is lost over that. */
static void log_altered_chains(const struct ruleset *found)
{
	for (size_t i = 0; i < found->chains.count; i++)
		if (found->chains.items[i].altered)
			log_notice("chain %s of table inet " TABLE_NAME
				   " holds rules that are not of our making: its rules are written again",
				   found->chains.items[i].name);
}

/* What was known until now is what is gone back to. */
static void set_aside(struct table *table)
{
	if (!table->was_known) {
		ruleset_free(&table->current);
		return;
	}
	ruleset_free(&table->held);
	table->held = table->current;
	table->current = (struct ruleset){ 0 };
	table->has_held = true;
	table->was_known = false;
}

static void forget_held(struct table *table)
{
	ruleset_free(&table->held);
	table->has_held = false;
}

/* Of a table that can't be adopted nothing else is of use; what can't be read is not known to guard. */
static void look_whether_it_guards(struct table *table, const struct nft_table_info *info)
{
	struct nft_table_state state;
	struct ruleset found;

	table->guards = false;
	if (info->flags & NFT_TABLE_F_DORMANT)
		return;
	if (nft_read_table(&table->socket, &found, now_ms(), &state) == 0) {
		table->guards = ruleset_guards(&found);
		ruleset_free(&found);
	}
	table->socket.error[0] = '\0';
}

int table_read(struct table *table)
{
	struct nft_table_state state;
	struct nft_table_info info;
	struct ruleset found;

	table->socket.error[0] = '\0';
	table->known = table->torn = false;
	table->options = adopted;
	int r = nft_read_info(&table->socket, &info);
	if (r == 0 && info.exists)
		r = judge_table(table, &info);
	if (r < 0)
		return r;
	table->options.exists = info.exists;
	table->guards = info.exists;
	set_aside(table);
	if (table->options.replace)
		look_whether_it_guards(table, &info);
	if (!info.exists || table->options.replace)
		return 0;
	r = nft_read_table(&table->socket, &found, now_ms(), &state);
	if (r < 0)
		return r;
	table->current = found;
	table->guards = ruleset_guards(&found);
	table->torn = state.torn;
	table->options.replace = state.foreign;
	if (state.foreign)
		log_notice("table inet " TABLE_NAME " holds what is not of our making: it is replaced");
	else
		log_altered_chains(&table->current);
	return 0;
}

int table_look(struct table *table, struct ruleset *ret, bool *ret_torn)
{
	struct nft_table_state state = { .torn = false };
	struct nft_table_info info;

	table->socket.error[0] = '\0';
	int r = nft_read_info(&table->socket, &info);
	if (r == 0)
		r = info.exists ? nft_read_table(&table->socket, ret, now_ms(), &state) : -ENOENT;
	if (r < 0)
		return r;
	*ret_torn = state.torn;
	if (!state.foreign && !(info.flags & ~(uint32_t)TABLE_OWNED))
		return 0;
	ruleset_free(ret);
	return -EUCLEAN;
}

static bool may_prepare(struct table *table, const struct delta *delta, const struct table_judge *judge)
{
	struct ruleset after = { 0 };

	if (!delta->prepare || !judge)
		return true;
	bool known = delta_apply(&after, &table->current, delta->items, delta->prepare) == 0;
	bool may = judge->may_prepare(judge->userdata, &table->current, known ? &after : NULL);
	delta_applied_free(&after);
	return may;
}

/* anew: the table does not exist yet, or goes. */
static bool may_become(struct table *table, const struct ruleset *wanted, const struct delta *delta, bool anew,
		       const struct table_judge *judge)
{
	static const struct ruleset nothing;
	const struct ruleset *before = anew ? &nothing : &table->current;
	struct ruleset after = { 0 };

	if (!judge)
		return true;
	bool known = !delta->count || delta_apply(&after, before, delta->items, delta->count) == 0;
	bool may = judge->may_become(judge->userdata, wanted, !delta->count ? before : known ? &after : NULL);
	delta_applied_free(&after);
	return may;
}

static int commit_batches(struct table *table, const struct delta *delta)
{
	int r = 0;

	if (delta->prepare)
		r = nft_commit(&table->socket, delta->items, delta->prepare, now_ms());
	if (r == 0 && delta->count > delta->prepare)
		r = nft_commit(&table->socket, delta->items + delta->prepare, delta->count - delta->prepare, now_ms());
	return r;
}

static int send_change(struct table *table, const struct delta *delta, bool replace)
{
	int r = 0;

	if (replace)
		table->events.counters_ending(table->userdata);
	if (delta->count) {
		r = commit_batches(table, delta);
		table->known = r == 0;
		if (r == 0)
			table->commits++;
	}
	if (r == 0 && replace)
		table->events.counters_restarted(table->userdata);
	return r;
}

/* judge: NULL: nobody is asked. */
static int change_kernel(struct table *table, struct ruleset *wanted, struct delta_options *options,
			 const struct table_judge *judge)
{
	struct delta delta;

	int r = delta_compute(&delta, &table->current, wanted, options);
	if (r == -EUCLEAN) {
		options->replace = true;
		r = delta_compute(&delta, &table->current, wanted, options);
	}
	if (r < 0)
		return r;
	bool anew = !options->exists || options->replace;
	r = may_prepare(table, &delta, judge) && may_become(table, wanted, &delta, anew, judge)
		    ? send_change(table, &delta, options->replace)
		    : -ECANCELED;
	delta_free(&delta);
	return r;
}

/* The kernel holds it now; it is empty afterwards. */
static void take_current(struct table *table, struct ruleset *ruleset)
{
	ruleset_free(&table->current);
	table->current = *ruleset;
	*ruleset = (struct ruleset){ 0 };
	forget_held(table);
	table->known = table->was_known = table->guards = true;
	table->options = adopted;
	timer_set(table->retire_timer, RETIRE_MS);
}

/* A table that stays as it was found is ours nevertheless. */
static int claim(struct table *table)
{
	const struct op op = { .kind = OP_TABLE_CLAIM };

	int r = table->options.claim ? nft_commit(&table->socket, &op, 1, now_ms()) : 0;
	if (r == 0)
		table->options = adopted;
	return r;
}

/* The judge is against what was wanted. What another program has made of the table must not stay for that: it becomes
 * what it was. Where nobody has changed it since this daemon began, it stays as it was found, and is known. */
static int keep_guarding(struct table *table, struct delta_options *options)
{
	int r = 0;

	if (table->has_held) {
		r = change_kernel(table, &table->held, options, NULL);
		if (r < 0)
			return r;
		log_warning("table inet " TABLE_NAME " is what it was before other programs changed it");
		take_current(table, &table->held);
	} else if (table->guards && !table->torn && !options->replace) {
		r = claim(table);
		table->known = table->was_known = r == 0;
	}
	return r < 0 ? r : -ECANCELED;
}

int table_commit(struct table *table, struct ruleset *wanted, int64_t slack_ms, const struct table_judge *judge,
		 bool *ret_replaced)
{
	struct delta_options options = table->options;
	bool was_read = !table->known;

	options.renew_slack_ms = slack_ms;
	struct delta_options back = options;
	*ret_replaced = false;
	table->socket.error[0] = '\0';
	int r = table->known ? retire(table) : 0;
	if (r == 0)
		r = change_kernel(table, wanted, &options, judge);
	if (r == 0) {
		take_current(table, wanted);
		table->removed = false;
	} else if (r == -ECANCELED && was_read) {
		r = keep_guarding(table, &back);
		options.replace = back.replace; /* what was refused would have had to */
	}
	*ret_replaced = options.replace && table->known;
	if (was_read)
		malloc_trim(0); /* what was read lay below what stays */
	return r;
}

/* Of the table the sets that are in `wanted`, alone: they share their elements with it. 0 or -ENOMEM. */
static int select_sets(const struct table *table, const struct ruleset *wanted, struct ruleset *ret)
{
	*ret = (struct ruleset){ .sets.items = calloc(wanted->sets.count + 1, sizeof(*ret->sets.items)) };
	if (!ret->sets.items)
		return -ENOMEM;
	for (size_t i = 0; i < wanted->sets.count; i++)
		ret->sets.items[ret->sets.count++] = *ruleset_find_set(&table->current, wanted->sets.items[i].name);
	return 0;
}

static bool may_set(struct table *table, const struct ruleset *wanted, const struct delta *delta,
		    const struct table_judge *judge)
{
	struct ruleset before, after = { 0 };

	bool known = select_sets(table, wanted, &before) == 0 &&
		     delta_apply(&after, &before, delta->items, delta->count) == 0;
	bool may = judge->may_become(judge->userdata, wanted, known ? &after : NULL);
	free(before.sets.items);
	delta_applied_free(&after);
	return may;
}

int table_commit_sets(struct table *table, struct ruleset *wanted, int64_t slack_ms, const struct table_judge *judge)
{
	struct delta delta;

	table->socket.error[0] = '\0';
	int r = delta_sets(&delta, &table->current, wanted, slack_ms);
	if (r == 0 && delta.count && !may_set(table, wanted, &delta, judge)) {
		r = -ECANCELED;
	} else if (r == 0 && delta.count) {
		r = nft_commit(&table->socket, delta.items, delta.count, now_ms());
		table->known = r == 0;
	}
	delta_free(&delta);
	if (r < 0)
		return r;
	delta_take_sets(&table->current, wanted);
	ruleset_free(wanted);
	return 0;
}

int table_remove(struct table *table, bool *ret_removed)
{
	struct op op = { .kind = OP_TABLE_DELETE };
	struct nft_table_info info;

	int r = nft_read_info(&table->socket, &info);
	if (r == 0 && info.exists) {
		table->events.counters_ending(table->userdata);
		r = nft_commit(&table->socket, &op, 1, now_ms());
	}
	if (r < 0)
		return r;
	table->events.counters_restarted(table->userdata);
	*ret_removed = info.exists;
	ruleset_free(&table->current);
	forget_held(table);
	table->known = table->was_known = table->guards = false;
	table->removed = true;
	table->commits++;
	if (info.exists)
		log_warning("table inet " TABLE_NAME
			    " was removed on request: the server is not guarded until the next reload");
	else
		log_warning("table inet " TABLE_NAME " was not there: the server is not guarded until the next reload");
	return 0;
}

bool table_drain(struct table *table)
{
	return nft_monitor_drain(table->monitor);
}

void table_set_failure(struct table *table, const char *what)
{
	const char *text = what ? what : "";

	if (text[0] && strncmp(table->failure, text, sizeof(table->failure) - 1) != 0)
		log_error("%s", text);
	else if (table->failure[0] && !text[0])
		log_notice("the table is up to date again: what failed last is done");
	snprintf(table->failure, sizeof(table->failure), "%s", text);
}

const char *table_failure(const struct table *table)
{
	return table->failure;
}

const char *table_reason(const struct table *table, int r)
{
	return nft_reason(&table->socket, r);
}

struct table_figures table_figures(const struct table *table)
{
	return (struct table_figures){ .commits = table->commits,
				       .repaired = table->repaired,
				       .last_repair = table->last_repair,
				       .owned = table->socket.abilities.owner };
}

void table_reasons(const struct table *table, bool in_force, struct health *health)
{
	if (table->removed)
		health_add(health, HEALTH_TABLE_REMOVED,
			   "the table was removed on request: nothing is guarded until the next reload");
	else if (table->failure[0])
		health_add(health, table->known && in_force ? HEALTH_CHANGE_FAILED : HEALTH_TABLE_OUTDATED, "%s",
			   table->failure);
}
