/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/policy_diff.h"
#include "gateway/parts.h"
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Another policy comes into force: by a reload, by a rollback, or because nobody has confirmed one of these. */

enum { UNDO_AGAIN_MS = 5 * 1000 };

struct change {
	enum history_how how;
	const struct requester *by; /* of an undo: who had asked for what is undone */
	int64_t confirm_ms;         /* 0: it does not wait for confirm */
};

int take_over(struct gateway *gateway, struct config_candidate *candidate, bool another, char what[GATEWAY_WHAT_MAX])
{
	const struct policy *policy = config_store_policy(gateway->config);

	/* Names of both are wanted while the change is under way: a refused one must lose nothing. */
	int r = names_want(gateway->names, policy, &candidate->file.policy);
	if (r == 0)
		r = apply_policy(gateway, &candidate->file.policy, false);
	if (r < 0) {
		names_want(gateway->names, policy, NULL);
		note_proof(gateway, r);
		apply_reason(gateway, r, "the new policy can't be applied", what);
		/* What was refused has changed nothing, unless the table was another program's by then. */
		if (r != -ECANCELED || (config_store_is_in_force(gateway->config) && cut_pending_reason(gateway->cut)))
			apply(gateway);
		if (r != -ECANCELED)
			table_set_failure(gateway->table, what);
		return r;
	}
	foreign_cancel(gateway->foreign);
	usage_set_removed(gateway->usage, false);
	config_store_take(gateway->config, candidate, another);
	config_store_set_in_force(gateway->config);
	table_set_failure(gateway->table, NULL);
	note_proof(gateway, r);
	return 0;
}

struct change_reader {
	struct changes changes;
	const struct reload_result *result;
};

static void read_change(void *userdata, const struct policy_change *change)
{
	struct change_reader *reader = userdata;

	changes_add(&reader->changes, change->text);
	if (reader->result->line)
		reader->result->line(reader->result->userdata, change->text);
}

static int arm(struct gateway *gateway, const struct change *change, const struct config_candidate *candidate,
	       struct reload_result *ret)
{
	const char *state = gateway->paths.state;

	int r = table_is_removed(gateway->table)
			? -ENODATA
			: config_store_arm(gateway->config, candidate, change->by->text, change->confirm_ms);
	if (r == -ENODATA)
		snprintf(ret->what, sizeof(ret->what),
			 "no policy is in force that could be gone back to: reload without --confirm");
	else if (r == -EBADMSG)
		snprintf(ret->what, sizeof(ret->what), "what to go back to is damaged in %s: reload without --confirm",
			 state);
	else if (r < 0)
		snprintf(ret->what, sizeof(ret->what),
			 "what to go back to can't be kept in %s (%s): reload without --confirm, or free disk space "
			 "there",
			 state, strerror(-r));
	return r;
}

/* The policy is in force, and candidate has the one before. */
static void follow_change(struct gateway *gateway, const struct change *change, struct config_candidate *candidate,
			  const struct changes *changes, struct reload_result *ret)
{
	struct history_entry origin = { .how = change->how, .count = changes->count };
	const struct archive *files = candidate->archive.count ? &candidate->archive : NULL;

	snprintf(origin.by, sizeof(origin.by), "%s", change->by->text);
	while (origin.shown < changes->count && origin.shown < CHANGES_SHOWN && changes->lines[origin.shown]) {
		origin.lines[origin.shown] = changes->lines[origin.shown];
		origin.shown++;
	}
	note_change(gateway, change->how, change->by, true, changes);
	happened_to_policy(gateway);
	cut_denied(gateway, "the policy changed", &candidate->file.policy, &ret->cut);
	if (names_follow(gateway->names, &candidate->file) < 0)
		retry_soon(gateway);
	follow_policy(gateway);
	if (change->how == HISTORY_UNDO)
		config_store_set_undone(gateway->config);
	if (change->how != HISTORY_RELOAD)
		config_store_take_back(gateway->config, candidate,
				       change->how == HISTORY_UNDO ? HISTORY_UNDONE : HISTORY_ROLLED_BACK);
	config_store_keep(gateway->config, files, &origin); /* a disk may be slow */
	ret->waits = config_store_waiting(gateway->config) != NULL;
	await_confirm(gateway);
}

/* The candidate is the caller's still. */
static int bring_into_force(struct gateway *gateway, const struct change *change, struct config_candidate *candidate,
			    struct reload_result *ret)
{
	struct change_reader reader = { .result = ret };
	bool removed = table_is_removed(gateway->table), waits = false;
	int r = 0;

	if (removed)
		changes_add(&reader.changes, "the table is loaded again");
	policy_diff(config_store_policy(gateway->config), &candidate->file.policy, read_change, &reader);
	bool another = reader.changes.count > (removed ? 1 : 0);
	/* On disk before the kernel has it: whatever happens to us, the next start knows. */
	if (change->confirm_ms && reader.changes.count) {
		r = arm(gateway, change, candidate, ret);
		waits = r == 0;
	}
	if (r == 0)
		r = take_over(gateway, candidate, another, ret->what);
	if (r == 0)
		follow_change(gateway, change, candidate, &reader.changes, ret);
	else if (waits)
		config_store_disarm(gateway->config);
	changes_free(&reader.changes);
	return r;
}

/* One after the other: what would be undone, and to what, if there were two? */
static int refuse_second(struct gateway *gateway, const struct change *change)
{
	const struct waiting *waiting = config_store_waiting(gateway->config);

	if (!waiting)
		return 0;
	log_error("%s by %s: refused, the change by %s waits for confirm: spefwctl confirm, or wait %" PRId64 " s",
		  history_how_words[change->how], change->by->text, waiting->by,
		  (config_store_left_ms(gateway->config) + 999) / 1000);
	return -EALREADY;
}

static void end_change(struct gateway *gateway, const struct change *change, int r)
{
	static const struct changes none;

	if (r < 0 && r != -EALREADY)
		note_change(gateway, change->how, change->by, false, &none);
	health_changed(gateway);
}

int gateway_reload(struct gateway *gateway, const struct requester *by, int64_t confirm_ms, struct diags *diags,
		   struct reload_result *ret)
{
	const struct change change = { HISTORY_RELOAD, by, confirm_ms };
	struct config_candidate candidate;

	int r = refuse_second(gateway, &change);
	if (r == 0)
		r = config_store_read(gateway->config, &candidate, network_own_addresses(gateway->network), diags);
	if (r == 0) {
		r = bring_into_force(gateway, &change, &candidate, ret);
		config_candidate_free(&candidate);
	}
	diags_log(diags);
	end_change(gateway, &change, r);
	return r;
}

/* Its files; 0: there is none. */
static int choose(const struct gateway *gateway, size_t number, uint64_t *ret_files)
{
	const struct history *history = config_store_history(gateway->config);
	const struct history_entry *entry = number ? history_before(history, number) : history_other(history);

	if (!entry)
		return -ENOENT;
	*ret_files = entry->files;
	return entry->bytes ? 0 : -ENODATA;
}

int gateway_rollback(struct gateway *gateway, const struct requester *by, size_t number, int64_t confirm_ms,
		     struct diags *diags, struct reload_result *ret)
{
	const struct change change = { HISTORY_ROLLBACK, by, confirm_ms };
	struct config_candidate candidate;
	uint64_t files;

	int r = refuse_second(gateway, &change);
	if (r == 0)
		r = choose(gateway, number, &files);
	if (r == 0)
		r = config_store_read_kept(gateway->config, files, &candidate, network_own_addresses(gateway->network),
					   diags);
	if (r == 0) {
		r = bring_into_force(gateway, &change, &candidate, ret);
		config_candidate_free(&candidate);
	}
	diags_log(diags);
	end_change(gateway, &change, r);
	return r;
}

int gateway_confirm(struct gateway *gateway, const struct requester *by)
{
	const struct waiting *waiting = config_store_waiting(gateway->config);

	if (!waiting)
		return -ENOENT;
	int r = config_store_confirm(gateway->config);
	if (r < 0) {
		log_error("confirm by %s: that can't be kept in %s: %s", by->text, gateway->paths.state, strerror(-r));
		return r;
	}
	timer_stop(gateway->confirm_timer);
	gateway->undo_failed = false;
	log_notice("confirm by %s: the change by %s stays in force", by->text, waiting->by);
	happened(gateway, &(struct happening){ .kind = HAPPENED_CONFIRM,
					       .by = by,
					       .generation = config_store_generation(gateway->config) });
	health_changed(gateway);
	return 0;
}

static int undo(struct gateway *gateway, const struct waiting *waiting, struct reload_result *ret)
{
	char text[WAITING_BY_MAX];
	const struct requester by = { .text = text };
	const struct change change = { HISTORY_UNDO, &by, 0 };
	struct config_candidate candidate;
	struct diags diags = { 0 };

	snprintf(text, sizeof(text), "%s", waiting->by);
	int r = config_store_read_kept(gateway->config, waiting->before, &candidate,
				       network_own_addresses(gateway->network), &diags);
	if (r < 0)
		snprintf(ret->what, sizeof(ret->what), "the configuration before can't be read in %s: %s",
			 gateway->paths.state, strerror(-r));
	diags_free(&diags);
	if (r == 0) {
		r = bring_into_force(gateway, &change, &candidate, ret);
		config_candidate_free(&candidate);
	}
	return r;
}

void on_confirm_due(void *userdata)
{
	struct gateway *gateway = userdata;
	const struct waiting *waiting = config_store_waiting(gateway->config);
	struct reload_result result = { 0 };

	if (!waiting)
		return;
	if (config_store_left_ms(gateway->config) > 0) {
		await_confirm(gateway);
		return;
	}
	int r = undo(gateway, waiting, &result);
	if (r < 0) {
		snprintf(gateway->undo_problem, sizeof(gateway->undo_problem), "%s",
			 result.what[0] ? result.what : strerror(-r));
		const struct requester by = { .text = waiting->by };
		if (!gateway->undo_failed)
			happened(gateway,
				 &(struct happening){ .kind = HAPPENED_UNDO,
						      .by = &by,
						      .generation = config_store_generation(gateway->config) });
		if (!gateway->undo_failed)
			log_error("the change by %s can't be undone, which is tried again: %s", waiting->by,
				  gateway->undo_problem);
		timer_set(gateway->confirm_timer, UNDO_AGAIN_MS);
	}
	gateway->undo_failed = r < 0;
	health_changed(gateway);
}

void await_confirm(struct gateway *gateway)
{
	if (config_store_waiting(gateway->config))
		timer_set(gateway->confirm_timer, config_store_left_ms(gateway->config));
	else
		timer_stop(gateway->confirm_timer);
}
