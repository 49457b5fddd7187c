/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clock.h"
#include "gateway/parts.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From the policy, the names and the interfaces to the kernel. */

enum {
	RETRY_MS = 5 * 1000,
	LAST_REPAIRS = 10,          /* before the daemon ends; what hinders it by then would not pass */
	LAST_REPAIRS_MS = 5 * 1000, /* no other one begins then: state is to be saved before TimeoutStopSec= is over */
	LAST_PAUSE_MS = 100,
};

static const char adopted[] = "the table was adopted";

void retry_soon(struct gateway *gateway)
{
	timer_set(gateway->retry_timer, RETRY_MS);
}

/* A restart must not lose an address for want of a state file. At the start alone: what is found later and is not
 * known, another program has added. */
static void remember_elements(struct gateway *gateway, const struct policy *policy)
{
	int64_t now = now_ms(), life = policy->stale_ms + name_margin_ms(policy->stale_ms);
	char base[NAME_SET_MAX], name[NAME_SET_MAX + 2];

	for (size_t i = 0; i < policy->name_count; i++) {
		name_set(policy->names[i].name, base);
		for (enum family family = 0; family < FAMILIES; family++) {
			snprintf(name, sizeof(name), "%s_%c", base, family == FAMILY_4 ? '4' : '6');
			const struct set *set = ruleset_find_set(table_current(gateway->table), name);
			for (size_t e = 0; set && e < set->count; e++) {
				struct addr addr = { .family = family };
				memcpy(addr.bytes, set->items[e].first, addr_size(family));
				names_remember(gateway->names, policy->names[i].name, &addr,
					       life - (set->items[e].deadline_ms - now));
			}
		}
	}
}

static int read_kernel(struct gateway *gateway, const struct policy *policy)
{
	int r = table_read(gateway->table);

	if (r < 0)
		return r;
	cut_read(gateway->cut);
	if (gateway->elements_remembered)
		return 0;
	remember_elements(gateway, policy);
	r = network_remember(gateway->network, policy, table_current(gateway->table));
	gateway->elements_remembered = r == 0;
	return r;
}

int surroundings_read(struct gateway *gateway, const struct policy *policy, struct surroundings *ret,
		      struct environment *ret_environment)
{
	ret->names = (struct names_view){ 0 };
	int r = network_environment(gateway->network, policy, &ret->store);
	if (r == 0)
		r = gateway_view(gateway, policy, &ret->names);
	if (r == 0)
		*ret_environment = environment_of(&ret->store, network_own_addresses(gateway->network), &ret->names);
	return r;
}

void surroundings_free(struct surroundings *surroundings)
{
	names_view_free(&surroundings->names);
	environment_free(&surroundings->store);
}

int compile_all(struct gateway *gateway, const struct policy *policy, struct ruleset *ret)
{
	struct surroundings surroundings;
	struct environment environment;

	int r = surroundings_read(gateway, policy, &surroundings, &environment);
	if (r == 0)
		r = compile(ret, policy, &environment);
	surroundings_free(&surroundings);
	return r;
}

/* Compiled and proven by the same surroundings. */
static int commit(struct gateway *gateway, const struct policy *policy, bool anyway, bool *ret_replaced)
{
	struct surroundings surroundings;
	struct environment environment;
	struct ruleset wanted = { 0 };

	int r = surroundings_read(gateway, policy, &surroundings, &environment);
	if (r == 0)
		r = compile(&wanted, policy, &environment);
	if (r == 0) {
		struct proving proving = { gateway->seal, policy, &environment, anyway };
		struct table_judge judge = prove_all(&proving);
		r = table_commit(gateway->table, &wanted, name_margin_ms(policy->stale_ms) / 2, &judge, ret_replaced);
	}
	ruleset_free(&wanted);
	surroundings_free(&surroundings);
	return r;
}

static int apply_once(struct gateway *gateway, const struct policy *policy, bool anyway)
{
	bool read = !table_is_known(gateway->table), first = !cut_is_known(gateway->cut), replaced = false;

	/* What was opened while the table was not there, or was another's, is in nobody's policy. */
	if (read)
		cut_require(gateway->cut, adopted);
	int r = read ? read_kernel(gateway, policy) : 0;
	/* An open server is the worst of all; at a start start_otherwise() knows better ones. Known only once it was
	 * read. */
	anyway |= gateway->started && !table_guards(gateway->table);
	if (r == 0)
		r = commit(gateway, policy, anyway, &replaced);
	if ((r == 0 || r == -ECANCELED) && table_is_known(gateway->table) && ((read && !first) || replaced))
		cut_restore(gateway->cut);
	return r;
}

int apply_policy(struct gateway *gateway, const struct policy *policy, bool anyway)
{
	bool known = table_is_known(gateway->table);

	int r = apply_once(gateway, policy, anyway);
	/* The kernel does not hold what it was thought to: another program's change was faster than the notice of it.
	 */
	if (known && !table_is_known(gateway->table) && (r == -ENOENT || r == -EEXIST || r == -EBUSY))
		r = apply_once(gateway, policy, anyway);
	return r;
}

void apply_reason(struct gateway *gateway, int r, const char *what, char text[GATEWAY_WHAT_MAX])
{
	const struct seal_finding *refused = seal_figures(gateway->seal).refused;
	char found[SEAL_LINE_MAX];

	if (r == -ECANCELED && refused)
		snprintf(text, GATEWAY_WHAT_MAX, "%s: the table would not be the policy: %s", what,
			 seal_text(refused, found));
	else
		snprintf(text, GATEWAY_WHAT_MAX, "%s: %s", what, table_reason(gateway->table, r));
}

/* By the policy that the table holds, or is to hold again: never by one that was refused at the start. */
static const char *due_reason(const struct gateway *gateway)
{
	return config_store_is_in_force(gateway->config) ? cut_pending_reason(gateway->cut) : NULL;
}

void cut_due(struct gateway *gateway)
{
	const char *why = table_is_known(gateway->table) ? due_reason(gateway) : NULL;

	if (why)
		cut_denied(gateway, why, NULL, NULL);
}

static int bring_up_to_date(struct gateway *gateway, bool anyway)
{
	char what[GATEWAY_WHAT_MAX];

	if (table_is_removed(gateway->table))
		return 0;
	int r = apply_policy(gateway, config_store_policy(gateway->config), anyway);
	if (r < 0) {
		note_proof(gateway, r);
		apply_reason(gateway, r, "can't bring the kernel up to date", what);
		if (r != -ECANCELED || !config_store_is_in_force(gateway->config))
			table_set_failure(gateway->table, what);
		else if (table_is_known(gateway->table))
			table_set_failure(gateway->table, NULL);
		if (r != -ECANCELED && !table_is_known(gateway->table))
			note_unknown(gateway);
		/* What was refused would be refused again, until something else changes. */
		if (r != -ECANCELED)
			retry_soon(gateway);
	} else {
		table_set_failure(gateway->table, NULL);
		config_store_set_in_force(gateway->config);
		note_proof(gateway, r);
	}
	cut_due(gateway); /* also where the table went back to what it was */
	return r;
}

int apply(struct gateway *gateway)
{
	/* What was built for want of better must not keep interfaces from being followed, or a grant from ending. */
	return bring_up_to_date(gateway, gateway->differs_anyway);
}

int apply_anyway(struct gateway *gateway)
{
	return bring_up_to_date(gateway, true);
}

/* policy: the one in force or a part of it. */
static int commit_names(struct gateway *gateway, const struct policy *policy)
{
	struct names_view names = { 0 };
	struct ruleset wanted = { 0 };

	int r = names_view(gateway->names, policy, &names);
	if (r == 0)
		r = compile_names(&wanted, table_current(gateway->table), policy, &names);
	if (r == 0) {
		const struct environment environment = { .names = &names };
		struct proving proving = { gateway->seal, policy, &environment, false };
		struct table_judge judge = prove_names(&proving);
		r = table_commit_sets(gateway->table, &wanted, name_margin_ms(policy->stale_ms) / 2, &judge);
	}
	ruleset_free(&wanted);
	names_view_free(&names);
	return r;
}

/* *ret is the policy with this name alone. False where it has none of that name. */
static bool only_name(const struct policy *policy, const char *name, struct policy *ret)
{
	for (size_t i = 0; i < policy->name_count; i++) {
		if (strcmp(policy->names[i].name, name) != 0)
			continue;
		*ret = *policy;
		ret->names += i;
		ret->name_count = 1;
		return true;
	}
	return false;
}

void apply_names(struct gateway *gateway, const char *name)
{
	struct policy part = *config_store_policy(gateway->config);

	if (name && !only_name(config_store_policy(gateway->config), name, &part))
		return;
	happened_to_names(gateway, &part);
	if (table_is_known(gateway->table) && !table_is_removed(gateway->table)) {
		cut_set_names_changed(gateway->cut);
		if (commit_names(gateway, &part) == 0)
			return;
	}
	apply(gateway); /* the long way, which reads the kernel where need be */
}

void cut_denied_since(struct gateway *gateway, const char *why, const struct policy *before,
		      const struct names_view *held_before, struct cut_result *ret)
{
	struct names_view held = { 0 };
	struct cut_rules rules = { config_store_policy(gateway->config), before, &held, held_before };

	cut_require(gateway->cut, why);
	int r = gateway_held_view(gateway, rules.policy, &held);
	if (r == 0)
		r = cut_run(gateway->cut, &rules, why, ret);
	if (ret->count)
		happened(gateway, &(struct happening){ .kind = HAPPENED_CUT, .cut = ret, .text = why });
	names_view_free(&held);
	if (r < 0)
		retry_soon(gateway);
}

void cut_denied(struct gateway *gateway, const char *why, const struct policy *before, struct cut_result *ret)
{
	struct names_view held_before = { 0 };
	struct cut_result result = { 0 };

	if (table_is_removed(gateway->table)) {
		cut_cancel(gateway->cut);
	} else {
		/* Without memory for it, it is but not known which flow a connection had. */
		if (before && gateway_held_view(gateway, before, &held_before) < 0)
			names_view_free(&held_before);
		cut_denied_since(gateway, why, before, &held_before, &result);
		names_view_free(&held_before);
	}
	if (ret)
		*ret = result;
}

void gateway_repair_last(struct gateway *gateway)
{
	int64_t end = now_ms() + LAST_REPAIRS_MS;

	for (int i = 0; i < LAST_REPAIRS && now_ms() < end && !table_is_removed(gateway->table); i++) {
		bool changed = table_drain(gateway->table);
		if (!table_is_known(gateway->table))
			apply(gateway);
		const char *why = due_reason(gateway);
		if (!why)
			why = cut_repeat_reason(gateway->cut);
		if (!changed && table_is_known(gateway->table) && !why)
			return;
		/* What the gap let pass may be on its way still, and is tracked only when it leaves; and who flushes
		 * once may flush twice. */
		pause_ms(LAST_PAUSE_MS);
		if (why)
			cut_denied(gateway, why, NULL, NULL);
		cut_set_repeated(gateway->cut);
	}
}
