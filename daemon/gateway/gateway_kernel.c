/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/compile.h"
#include "core/delta.h"
#include "gateway/gateway.h"
#include "log.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The gateway and the table in the kernel: adopt it, change it, repair it. */

enum {
	RETIRE_USEC = 1000 * 1000, /* when what the last change left over goes: sets, connections */
	RETRY_USEC = 5 * 1000 * 1000,
	LAST_REPAIRS = 10, /* before the daemon ends; what hinders it by then would not pass */
	LAST_REPAIRS_MS =
		5 * 1000, /* no other one begins then: state is to be saved before the unit's TimeoutStopSec= kills */
	LAST_WAIT_USEC = 100 * 1000,
};

void gateway_note_failure(struct gateway *gateway, const char *what)
{
	if (strcmp(gateway->failure, what) != 0 && what[0])
		log_error("%s", what);
	else if (gateway->failure[0] && !what[0])
		log_notice("the table is up to date again: what failed last is done");
	snprintf(gateway->failure, sizeof(gateway->failure), "%s", what);
}

/* What the kernel holds for names goes into the book: a restart must not lose an address for want of a state file. At
 * the start alone: what is found later and is not in the book, another program has added. */
static void remember_elements(struct gateway *gateway, const struct policy *policy)
{
	int64_t now = now_ms(), life = policy->stale_ms + name_margin_ms(policy->stale_ms);
	char base[NAME_SET_MAX], name[NAME_SET_MAX + 2];

	for (size_t i = 0; i < policy->name_count; i++) {
		name_set(policy->names[i].name, base);
		for (enum family family = 0; family < FAMILIES; family++) {
			snprintf(name, sizeof(name), "%s_%c", base, family == FAMILY_4 ? '4' : '6');
			const struct set *set = ruleset_find_set(&gateway->current, name);
			for (size_t e = 0; set && e < set->count; e++) {
				struct addr addr = { .family = family };
				memcpy(addr.bytes, set->items[e].first, addr_size(family));
				addrbook_remember(gateway->book, policy->names[i].name, &addr,
						  life - (set->items[e].deadline_ms - now), now);
			}
		}
	}
}

/* Whether a table that is there can be adopted, and what that takes. */
static int judge_table(struct gateway *gateway, const struct nft_table_info *info, struct delta_options *options)
{
	/* The kernel takes the owner's flag from an orphan; that it may have one shows in the other flag. */
	bool ownable = info->flags & TABLE_OWNED;

	if (info->owner && info->owner != nft_port(&gateway->nft)) {
		snprintf(gateway->nft.error, sizeof(gateway->nft.error),
			 "table inet " TABLE_NAME " is owned by another program (netlink port %u): stop that first",
			 info->owner);
		return -EBUSY;
	}
	if (info->flags & NFT_TABLE_F_DORMANT) {
		log_notice("table inet " TABLE_NAME " was put to sleep by another program: it is replaced");
		options->replace = true;
	} else if (info->flags & ~(uint32_t)TABLE_OWNED) {
		log_notice("table inet " TABLE_NAME " has flags of another program's: it is replaced");
		options->replace = true;
	} else if (info->layout != TABLE_LAYOUT) {
		log_notice("table inet " TABLE_NAME " has another layout (%d): it is replaced", info->layout);
		options->replace = true;
	} else if (gateway->nft.abilities.owner && !ownable) {
		log_notice("table inet " TABLE_NAME " can't be owned as it is: it is replaced");
		options->replace = true;
	} else {
		options->claim = gateway->nft.abilities.owner && !info->owner;
	}
	return 0;
}

/* Finds out what the kernel holds. */
static int read_kernel(struct gateway *gateway, struct delta_options *options)
{
	struct nft_table_info info;
	struct ruleset found;
	bool foreign = false;

	int r = nft_read_info(&gateway->nft, &info);
	if (r == 0 && info.exists)
		r = judge_table(gateway, &info, options);
	if (r < 0)
		return r;
	options->exists = info.exists;
	ruleset_free(&gateway->current);
	if (!info.exists || options->replace)
		return 0;
	r = nft_read_table(&gateway->nft, &found, now_ms(), &foreign);
	if (r < 0)
		return r;
	gateway->current = found;
	options->replace = foreign;
	if (foreign)
		log_notice("table inet " TABLE_NAME " holds what is not of our making: it is replaced");
	return 0;
}

/* Sets that no rule uses any more go a batch later. */
static int retire(struct gateway *gateway)
{
	struct delta delta;

	int r = delta_retire(&delta, &gateway->current);
	if (r == 0 && delta.count) {
		r = nft_commit(&gateway->nft, delta.items, delta.count, now_ms());
		if (r == 0)
			delta_retired(&gateway->current);
		else
			gateway->current_known = false;
	}
	delta_free(&delta);
	return r;
}

static int commit(struct gateway *gateway, const struct delta *delta)
{
	int r = 0;

	if (delta->prepare)
		r = nft_commit(&gateway->nft, delta->items, delta->prepare, now_ms());
	if (r == 0 && delta->count > delta->prepare)
		r = nft_commit(&gateway->nft, delta->items + delta->prepare, delta->count - delta->prepare, now_ms());
	return r;
}

/* The difference between what the kernel holds and `wanted`, committed. wanted is taken over on success. */
static int change_kernel(struct gateway *gateway, struct ruleset *wanted, struct delta_options *options)
{
	struct delta delta;

	int r = delta_compute(&delta, &gateway->current, wanted, options);
	if (r == -EUCLEAN) {
		options->replace = true;
		r = delta_compute(&delta, &gateway->current, wanted, options);
	}
	if (r < 0)
		return r;
	if (options->replace)
		gateway_count(gateway); /* the last word of counters that are about to begin anew */
	if (delta.count) {
		r = commit(gateway, &delta);
		gateway->current_known = r == 0;
		if (r == 0)
			gateway->generation++;
	}
	delta_free(&delta);
	if (r < 0)
		return r;
	if (options->replace)
		totals_restart(&gateway->totals);
	ruleset_free(&gateway->current);
	gateway->current = *wanted;
	*wanted = (struct ruleset){ 0 };
	gateway->current_known = true;
	arm_timer(gateway->retire_timer, RETIRE_USEC);
	return 0;
}

static int apply_once(struct gateway *gateway, const struct policy *policy)
{
	struct delta_options options = { .exists = true, .rearm_slack_ms = name_margin_ms(policy->stale_ms) / 2 };
	struct environment_store store = { 0 };
	struct names_view names = { 0 };
	struct ruleset wanted = { 0 };
	int r = 0;

	gateway->nft.error[0] = '\0';
	bool read = !gateway->current_known, first = !gateway->cut_known;
	if (read) {
		r = read_kernel(gateway, &options);
		if (r == 0)
			gateway_cut_read(gateway);
		if (r == 0 && !gateway->elements_remembered) {
			remember_elements(gateway, policy);
			r = gateway_remember_links(gateway, policy);
			gateway->elements_remembered = r == 0;
		}
	} else {
		r = retire(gateway);
	}
	if (r == 0)
		r = gateway_environment(gateway, policy, &store);
	if (r == 0)
		r = gateway_names_view(gateway, policy, &names);
	if (r == 0) {
		struct environment around = environment_of(&store, links_gateway_addresses(gateway->links), &names);
		r = compile(&wanted, policy, &around);
	}
	if (r == 0)
		r = change_kernel(gateway, &wanted, &options);
	if (r == 0 && ((read && !first) || options.replace))
		gateway_cut_restore(gateway);
	ruleset_free(&wanted);
	names_view_free(&names);
	environment_free(&store);
	return r;
}

int gateway_apply_policy(struct gateway *gateway, const struct policy *policy)
{
	bool known = gateway->current_known;

	int r = apply_once(gateway, policy);
	/* The kernel does not hold what it was thought to: another program's change was faster than the notice of it.
	 */
	if (known && !gateway->current_known && (r == -ENOENT || r == -EEXIST || r == -EBUSY)) {
		gateway->cut_owed = "the table was adopted";
		r = apply_once(gateway, policy);
	}
	return r;
}

const char *gateway_reason(const struct gateway *gateway, int r)
{
	return gateway->nft.error[0] ? gateway->nft.error : strerror(-r);
}

void gateway_retry_soon(struct gateway *gateway)
{
	arm_timer(gateway->retry_timer, RETRY_USEC);
}

int gateway_apply(struct gateway *gateway)
{
	char what[200];

	if (gateway->cleared)
		return 0;
	/* What was opened while the table was not there, or was another's, is in nobody's policy. */
	if (!gateway->current_known)
		gateway->cut_owed = "the table was adopted";
	int r = gateway_apply_policy(gateway, &gateway->file.policy);
	if (r == 0) {
		gateway_note_failure(gateway, "");
		if (!gateway->in_force) {
			gateway->in_force = true;
			gateway_keep_again(gateway);
		}
		if (gateway->cut_owed)
			gateway_cut(gateway, gateway->cut_owed, NULL);
		return 0;
	}
	snprintf(what, sizeof(what), "can't bring the kernel up to date: %s", gateway_reason(gateway, r));
	gateway_note_failure(gateway, what);
	gateway_retry_soon(gateway);
	return r;
}

/* The addresses of the names of `policy`, which is the one in force or a part of it. */
static int apply_some_names(struct gateway *gateway, const struct policy *policy)
{
	struct names_view names = { 0 };
	struct ruleset wanted = { 0 };
	struct delta delta = { 0 };

	if (!gateway->current_known || gateway->cleared)
		return gateway_apply(gateway);
	int r = gateway_names_view(gateway, policy, &names);
	if (r == 0)
		r = compile_names(&wanted, &gateway->current, policy, &names);
	if (r == 0)
		r = delta_sets(&delta, &gateway->current, &wanted, name_margin_ms(policy->stale_ms) / 2);
	if (r == 0 && delta.count) {
		r = nft_commit(&gateway->nft, delta.items, delta.count, now_ms());
		gateway->current_known = r == 0;
	}
	if (r == 0)
		delta_take_sets(&gateway->current, &wanted);
	gateway->cut_review = true;
	delta_free(&delta);
	ruleset_free(&wanted);
	names_view_free(&names);
	return r == 0 ? 0 : gateway_apply(gateway); /* the long way, which reads the kernel where need be */
}

int gateway_apply_names(struct gateway *gateway)
{
	return apply_some_names(gateway, &gateway->file.policy);
}

int gateway_apply_name(struct gateway *gateway, const char *name)
{
	struct policy part = gateway->file.policy;

	for (size_t i = 0; i < part.name_count; i++) {
		if (strcmp(part.names[i].name, name) != 0)
			continue;
		part.names += i;
		part.name_count = 1;
		return apply_some_names(gateway, &part);
	}
	return 0;
}

static void changed_by_others(void *userdata, const char *what)
{
	struct gateway *gateway = userdata;

	if (gateway->cleared)
		return;
	if (what) {
		gateway->repaired++;
		snprintf(gateway->last_repair, sizeof(gateway->last_repair), "%s", what);
		log_warning("table inet " TABLE_NAME " was changed by another program: %s: it is repaired", what);
	} else {
		log_warning("notices of changes were lost: table inet " TABLE_NAME " is read and repaired");
	}
	gateway->current_known = false;
	/* Once for all notices that are waiting; and who changes the table all the time must not keep the daemon from
	 * everything else. */
	sd_event_source_set_enabled(gateway->repair_source, SD_EVENT_ONESHOT);
	nft_monitor_set_priority(gateway->monitor, CONTROL_PRIORITY);
}

static int on_repair(sd_event_source *source, void *userdata)
{
	struct gateway *gateway = userdata;

	(void)source;
	if (!gateway->current_known)
		gateway_apply(gateway);
	return 0;
}

void gateway_repair_last(struct gateway *gateway)
{
	int64_t end = now_ms() + LAST_REPAIRS_MS;

	for (int i = 0; i < LAST_REPAIRS && now_ms() < end && !gateway->cleared; i++) {
		bool changed = nft_monitor_drain(gateway->monitor);
		if (!gateway->current_known)
			gateway_apply(gateway);
		if (!changed && gateway->current_known && !gateway->cut_again && !gateway->cut_owed)
			return;
		/* What the gap let pass may be on its way still, and is tracked only when it leaves; and who flushes
		 * once may flush twice. */
		usleep(LAST_WAIT_USEC);
		if (gateway->cut_again || gateway->cut_owed)
			gateway_cut(gateway, gateway->cut_owed ? gateway->cut_owed : gateway->cut_again, NULL);
		gateway->cut_again = NULL;
	}
}

int gateway_clear(struct gateway *gateway, bool *ret_removed)
{
	struct op op = { .kind = OP_TABLE_DELETE };
	struct nft_table_info info;

	int r = nft_read_info(&gateway->nft, &info);
	if (r == 0 && info.exists) {
		gateway_count(gateway);
		r = nft_commit(&gateway->nft, &op, 1, now_ms());
	}
	if (r < 0)
		return r;
	totals_restart(&gateway->totals);
	*ret_removed = info.exists;
	ruleset_free(&gateway->current);
	gateway_cut_end(gateway);
	gateway->current_known = false;
	gateway->cleared = true;
	gateway->generation++;
	log_warning("table inet " TABLE_NAME
		    " was removed on request: the server is not guarded until the next reload");
	return 0;
}

static int on_retire(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct gateway *gateway = userdata;

	(void)source;
	(void)usec;
	nft_monitor_set_priority(gateway->monitor,
				 SD_EVENT_PRIORITY_NORMAL); /* nobody has changed the table for that long */
	if (gateway->current_known && !gateway->cleared && retire(gateway) < 0)
		gateway_retry_soon(gateway);
	/* A packet that the old rules let pass may have been on its way, or in another program's queue, at the first
	 * cut: its connection is tracked only when it leaves. */
	if (gateway->cut_again)
		gateway_cut(gateway, gateway->cut_again, NULL);
	gateway->cut_again = NULL;
	return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct gateway *gateway = userdata;

	(void)source;
	(void)usec;
	if (gateway->links_owed)
		gateway_links_changed(gateway);
	else
		gateway_apply(gateway);
	if (gateway->names_owed)
		gateway_follow_names(gateway, NULL);
	return 0;
}

int gateway_kernel_begin(struct gateway *gateway, int stored_fd)
{
	int r = nft_open(&gateway->nft, stored_fd);
	if (r == 0)
		r = nft_probe(&gateway->nft);
	if (r < 0) {
		log_error("can't use nftables: %s", gateway_reason(gateway, r));
		return r;
	}
	r = add_timer(gateway, &gateway->retire_timer, on_retire, 0);
	if (r >= 0)
		r = add_timer(gateway, &gateway->retry_timer, on_retry, 0);
	if (r >= 0)
		r = sd_event_add_defer(gateway->event, &gateway->repair_source, on_repair, gateway);
	if (r >= 0)
		r = sd_event_source_set_enabled(gateway->repair_source, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(gateway->repair_source, SD_EVENT_PRIORITY_IMPORTANT);
	if (r >= 0)
		r = nft_monitor_new(&gateway->monitor, gateway->event, nft_port(&gateway->nft), changed_by_others,
				    gateway_others_changed, gateway);
	return r;
}
