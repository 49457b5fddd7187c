/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/parts.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>

/* What the objects report, and whom it concerns. */

enum { HEALTH_SOON_MS = 1000 };

void health_changed(struct gateway *gateway)
{
	struct health health;

	if (!gateway->started)
		return;
	gateway->events.health_changed(gateway->userdata);
	if (!gateway->notice || !config_store_policy(gateway->config)->notify[0])
		return;
	gateway_reasons(gateway, &health);
	notice_health(gateway->notice, &health);
	health_free(&health);
}

void save_counts(struct gateway *gateway)
{
	counts_save(gateway->counts);
	usage_save(gateway->usage);
	usage_save_record(gateway->usage, false);
}

/* The table. */

static void on_table_changed(void *userdata)
{
	struct gateway *gateway = userdata;
	struct table_figures figures = table_figures(gateway->table);

	if (figures.repaired > gateway->repairs_seen)
		happened(gateway, &(struct happening){ .kind = HAPPENED_REPAIR, .text = figures.last_repair });
	gateway->repairs_seen = figures.repaired;
	apply(gateway);
}

static void on_foreign_tables_changed(void *userdata)
{
	struct gateway *gateway = userdata;

	if (gateway->foreign)
		foreign_set_changed(gateway->foreign);
	happened(gateway, &(struct happening){ .kind = HAPPENED_FOREIGN });
}

static void on_counters_ending(void *userdata)
{
	struct gateway *gateway = userdata;

	counts_read(gateway->counts);
}

static void on_counters_restarted(void *userdata)
{
	struct gateway *gateway = userdata;

	counts_restart(gateway->counts);
}

static void on_table_settled(void *userdata, int r)
{
	struct gateway *gateway = userdata;
	const char *why = cut_repeat_reason(gateway->cut);

	if (r < 0)
		retry_soon(gateway);
	/* Or their packets were in another program's queue. */
	if (why)
		cut_denied(gateway, why, NULL, NULL);
	cut_set_repeated(gateway->cut);
}

const struct table_events table_events = { on_table_changed, on_foreign_tables_changed, on_counters_ending,
					   on_counters_restarted, on_table_settled };

/* spefw-resolver, names, and what is observed. */

static void on_helper_changed(void *userdata)
{
	health_changed(userdata);
}

/* Which aliases lead to the names, it learns from the answers to them. */
static void on_helper_restarted(void *userdata)
{
	struct gateway *gateway = userdata;
	names_query_all(gateway->names);
}

const struct helper_events helper_events = { on_helper_changed, on_helper_restarted };

static void on_names_changed(void *userdata, const char *name)
{
	struct gateway *gateway = userdata;

	if (gateway->applying)
		apply_names(gateway, name);
}

static bool is_our_own(void *userdata, const struct addr *addr)
{
	const struct gateway *gateway = userdata;
	const struct policy *policy = config_store_policy(gateway->config);

	if (ranges_contains(network_own_addresses(gateway->network), addr))
		return true;
	for (size_t i = 0; i < policy->role_count; i++)
		if (policy->roles[i].is_protected && ranges_contains(&policy->roles[i].members.ranges, addr))
			return true;
	return false;
}

static void on_refreshed(void *userdata, void *waiter)
{
	struct gateway *gateway = userdata;

	gateway->events.refreshed(gateway->userdata, waiter);
}

static void on_names_saved(void *userdata)
{
	struct gateway *gateway = userdata;

	config_store_save(gateway->config);
}

/* A thousand names may follow, and what health is has to be found out by reading files. */
static void on_name_state_changed(void *userdata)
{
	struct gateway *gateway = userdata;

	if (gateway->started && !timer_is_set(gateway->health_timer))
		timer_set(gateway->health_timer, HEALTH_SOON_MS);
}

const struct names_events names_events = { on_names_changed, is_our_own, on_refreshed, on_names_saved,
					   on_name_state_changed };

static bool is_wanted(void *userdata, const char *question, enum family family)
{
	const struct gateway *gateway = userdata;
	return names_wants(gateway->names, question, family);
}

static void on_observed_answer(void *userdata, const struct dns_answer *answer)
{
	struct gateway *gateway = userdata;
	names_learn(gateway->names, answer);
}

static void on_denied(void *userdata, const struct denial *denial)
{
	struct gateway *gateway = userdata;

	if (denial->kind == DENIAL_NAME) {
		names_denied(gateway->names, &denial->packet);
	} else {
		drops_add(gateway->drops, denial);
		record_denial(gateway, denial);
	}
}

static void on_copies_lost(void *userdata)
{
	struct gateway *gateway = userdata;
	names_copies_lost(gateway->names);
}

const struct observer_events observer_events = { is_wanted, on_observed_answer, on_denied, on_copies_lost };

static void on_drops_changed(void *userdata)
{
	const struct gateway *gateway = userdata;

	if (gateway->started)
		gateway->events.drops_changed(gateway->userdata);
}

const struct drops_events drops_events = { on_drops_changed };

/* Traffic that is there. */

static void on_intercepted(void *userdata)
{
	const struct gateway *gateway = userdata;
	const struct findings *findings = foreign_findings(gateway->foreign);
	char text[FINDING_TEXT_MAX];

	log_warning("connections of the guarded server are intercepted: %s",
		    findings->count ? finding_text(&findings->items[0], text) : "another table redirects them");
}

const struct counts_events counts_events = { on_intercepted };

static int held_view(void *userdata, struct names_view *ret)
{
	struct gateway *gateway = userdata;
	return gateway_held_view(gateway, config_store_policy(gateway->config), ret);
}

static void read_counters(void *userdata)
{
	struct gateway *gateway = userdata;
	counts_read(gateway->counts);
}

static uint64_t connections_opened(void *userdata, const char *flow)
{
	const struct gateway *gateway = userdata;
	char counter[CONFIG_ID_MAX + 8];

	snprintf(counter, sizeof(counter), "flow-%s", flow);
	return counts_packets(gateway->counts, counter);
}

static void on_health_changed(void *userdata)
{
	health_changed(userdata);
}

static void on_usage_to_save(void *userdata)
{
	save_counts(userdata);
}

const struct usage_events usage_events = { held_view, read_counters, connections_opened, on_health_changed,
					   on_usage_to_save };

/* Other programs' tables. */

static int copy_environment(void *userdata, const struct policy *policy, struct environment_store *ret,
			    struct ranges *ret_own)
{
	struct gateway *gateway = userdata;
	int r = network_environment_of_others(gateway->network, policy, ret);

	if (r == 0)
		r = ranges_add_all(ret_own, network_own_addresses(gateway->network));
	ranges_normalise(ret_own);
	return r;
}

/* What they did is over as well. */
static void on_findings_gone(void *userdata)
{
	struct gateway *gateway = userdata;

	counts_read(gateway->counts);
	counts_forget_interception(gateway->counts);
}

static void on_explained(void *userdata, void *waiter, int r, const struct findings *findings)
{
	struct gateway *gateway = userdata;

	if (gateway->events.explained)
		gateway->events.explained(gateway->userdata, waiter, r, findings);
}

const struct foreign_events foreign_events = { copy_environment, on_health_changed, on_findings_gone, on_explained };

/* Interfaces and addresses. */

static void log_own_address(const struct policy *policy, const struct ranges *own)
{
	const struct addr *left_out = policy_own_address(policy, own);
	char text[ADDR_TEXT_MAX];

	if (left_out)
		log_error("%s is protected and now this gateway's own address: it is left out, or it would lock the "
			  "gateway",
			  addr_format(left_out, text));
	else
		log_notice("all protected addresses are guarded again");
}

void on_network_changed(void *userdata)
{
	struct gateway *gateway = userdata;
	const struct ranges *own = network_own_addresses(gateway->network);
	bool changed, unfollowed = gateway->interfaces_unfollowed;

	if (!gateway->applying)
		return;
	gateway->interfaces_unfollowed = config_store_leave_out(gateway->config, own, &changed) < 0;
	/* Only then: where interfaces change all the time, other tables would never be read to their end. */
	if (changed)
		foreign_cancel(gateway->foreign);
	if (gateway->interfaces_unfollowed) {
		if (!unfollowed)
			log_error("out of memory: the change of the gateway's addresses is not followed yet");
		retry_soon(gateway);
		foreign_set_changed(gateway->foreign);
		return;
	}
	if (changed)
		log_own_address(config_store_policy(gateway->config), own);
	names_recheck(gateway->names);
	if (changed)
		cut_require(gateway->cut, "the guarded addresses changed");
	apply(gateway);
	foreign_set_changed(gateway->foreign); /* what passes by which interface may have changed */
	/* DNS may answer now, or differently. */
	names_query_all(gateway->names);
}
