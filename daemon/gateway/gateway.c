/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clock.h"
#include "gateway/parts.h"
#include "log.h"
#include "state_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MINUTE_MS = 60 * 1000 };

/* Two daemons would write over each other's files. Without a state directory there is nothing to share: it guards all
 * the same. */
static int lock_state(struct gateway *gateway)
{
	const char *path = gateway->paths.state;

	gateway->state_lock = state_lock(path);
	if (gateway->state_lock == -EBUSY) {
		log_error("%s: another spefwd uses this state directory: stop it first, or give another one with -d",
			  path);
		return -EBUSY;
	}
	if (gateway->state_lock < 0)
		log_error("%s: the state directory can't be used, nothing will be kept: %s", path,
			  strerror(-gateway->state_lock));
	return 0;
}

int gateway_new(struct gateway **ret, sd_event *event, const struct gateway_paths *paths,
		const struct gateway_events *events, void *userdata)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));

	if (!gateway)
		return -ENOMEM;
	*gateway = (struct gateway){ .event = sd_event_ref(event),
				     .paths = *paths,
				     .events = *events,
				     .userdata = userdata,
				     .state_lock = -1,
				     .started_ms = now_ms() };
	int r = lock_state(gateway);
	if (r == 0)
		r = network_new(&gateway->network, event, on_network_changed, gateway);
	if (r == 0)
		r = config_store_new(&gateway->config, gateway->paths.config, gateway->paths.state);
	if (r == 0)
		r = config_store_load(gateway->config, network_own_addresses(gateway->network));
	if (r < 0) {
		gateway_free(gateway);
		return r;
	}
	*ret = gateway;
	return 0;
}

/* spefw-notify finds out itself that no daemon runs, but has to be started by something, and it can't see the table. */
static void note_stop(struct gateway *gateway)
{
	struct health health = { 0 };

	health_add(&health, HEALTH_STOPPED, "spefwd was stopped: the table stays as it is, and nothing is followed");
	if (table_is_removed(gateway->table))
		table_reasons(gateway->table, config_store_is_in_force(gateway->config), &health);
	notice_stop(gateway->notice, &health);
	health_free(&health);
}

/* Each of them is to be copied. */
static uint64_t denied_by_flows(const struct gateway *gateway)
{
	const struct counts *counts = gateway->counts;

	return counts_packets(counts, "denied-in") + counts_packets(counts, "denied-out") +
	       counts_packets(counts, "denied-early");
}

void gateway_free(struct gateway *gateway)
{
	if (!gateway)
		return;
	if (gateway->notice && gateway->started)
		note_stop(gateway);
	if (gateway->counts && counts_sampled(gateway->counts)) {
		counts_read(gateway->counts);
		save_counts(gateway);
		drops_save(gateway->drops, denied_by_flows(gateway));
		usage_save_record(gateway->usage, true);
	}
	gateway->applying = gateway->started = false;
	gateway_watch(gateway, false);
	timer_free(gateway->retry_timer);
	timer_free(gateway->minute_timer);
	timer_free(gateway->health_timer);
	timer_free(gateway->confirm_timer);
	observer_free(gateway->observer);
	drops_free(gateway->drops);
	usage_free(gateway->usage);
	names_free(gateway->names);
	grants_free(gateway->grants);
	helper_free(gateway->helper);
	foreign_free(gateway->foreign);
	notice_free(gateway->notice);
	counts_free(gateway->counts);
	seal_free(gateway->seal);
	cut_free(gateway->cut);
	table_free(gateway->table);
	network_free(gateway->network);
	config_store_free(gateway->config);
	if (gateway->state_lock >= 0)
		close(gateway->state_lock);
	sd_event_unref(gateway->event);
	free(gateway);
}

static void on_retry(void *userdata)
{
	struct gateway *gateway = userdata;

	if (gateway->interfaces_unfollowed)
		on_network_changed(gateway);
	else
		apply(gateway);
	if (names_not_followed(gateway->names) && names_follow(gateway->names, NULL) < 0)
		retry_soon(gateway);
}

/* What the kernel's sets hold of connections that were cut, brought up to date with names and time. */
static void review_cut(struct gateway *gateway)
{
	const struct policy *policy = config_store_policy(gateway->config);
	struct names_view held = { 0 };
	struct cut_rules rules = { policy, NULL, &held, NULL };

	if (!table_is_known(gateway->table) || table_is_removed(gateway->table))
		return;
	cut_read(gateway->cut);
	bool names = cut_wants_names(gateway->cut, policy) && gateway_held_view(gateway, policy, &held) == 0;
	cut_minute(gateway->cut, names ? &rules : NULL);
	names_view_free(&held);
}

static void on_minute(void *userdata)
{
	struct gateway *gateway = userdata;

	counts_sample(gateway->counts);
	save_counts(gateway);
	config_store_save(gateway->config);
	if (table_is_torn(gateway->table))
		table_suspect(gateway->table); /* it may be read in one piece by now */
	review_cut(gateway);
	observer_retry(gateway->observer);
	drops_minute(gateway->drops, denied_by_flows(gateway));
	names_save(gateway->names);
	grants_minute(gateway->grants);
	health_changed(gateway);
	timer_set(gateway->minute_timer, MINUTE_MS);
}

static void look_at_health(void *userdata, struct health *ret)
{
	gateway_reasons(userdata, ret);
}

static void on_health_due(void *userdata)
{
	health_changed(userdata);
}

static int make_objects(struct gateway *gateway, int stored_fd)
{
	sd_event *event = gateway->event;
	const char *state = gateway->paths.state;

	int r = table_open(&gateway->table, event, stored_fd, &table_events, gateway);
	if (r < 0)
		return r;
	struct nft_socket *socket = table_socket(gateway->table);
	r = seal_new(&gateway->seal);
	if (r == 0)
		r = cut_new(&gateway->cut, socket);
	if (r == 0)
		r = counts_new(&gateway->counts, socket, state, &counts_events, gateway);
	if (r == 0)
		r = helper_new(&gateway->helper, event, &helper_events, gateway);
	if (r == 0)
		r = names_new(&gateway->names, event, gateway->helper, state, &names_events, gateway);
	if (r == 0)
		r = grants_new(&gateway->grants, event, state, &grants_events, gateway);
	if (r == 0)
		r = observer_new(&gateway->observer, gateway->helper, &observer_events, gateway);
	if (r == 0)
		r = drops_new(&gateway->drops, event, state, &drops_events, gateway);
	if (r == 0)
		r = usage_new(&gateway->usage, event, state, &usage_events, gateway);
	if (r == 0)
		r = foreign_new(&gateway->foreign, event, &foreign_events, gateway);
	if (r == 0 && gateway->paths.notice)
		r = notice_new(&gateway->notice, event, gateway->paths.notice, look_at_health, gateway);
	if (r == 0)
		r = timer_new(&gateway->retry_timer, event, SD_EVENT_PRIORITY_NORMAL, on_retry, gateway);
	if (r == 0)
		r = timer_new(&gateway->minute_timer, event, SD_EVENT_PRIORITY_NORMAL, on_minute, gateway);
	if (r == 0)
		r = timer_new(&gateway->health_timer, event, SD_EVENT_PRIORITY_NORMAL, on_health_due, gateway);
	if (r == 0)
		r = timer_new(&gateway->confirm_timer, event, SD_EVENT_PRIORITY_NORMAL, on_confirm_due, gateway);
	if (r == 0)
		r = names_begin(gateway->names, config_store_file(gateway->config));
	return r;
}

void follow_policy(struct gateway *gateway)
{
	const struct policy *policy = config_store_policy(gateway->config);

	drops_follow(gateway->drops, policy);
	observer_follow(gateway->observer, policy);
	foreign_read(gateway->foreign, policy);
	usage_follow(gateway->usage, policy);
}

int gateway_start(struct gateway *gateway, int stored_fd)
{
	int r = make_objects(gateway, stored_fd);
	if (r < 0) {
		log_error("can't start: %s", strerror(-r));
		return r == -EINVAL ? -EPROTO : r; /* the former speaks of the configuration */
	}
	gateway->applying = true;
	/* The table first, from remembered addresses; DNS is queried after that. What may pass with time is tried
	 * again.
	 */
	r = apply(gateway);
	if (r == -ECANCELED)
		r = start_otherwise(gateway);
	if (r == -EPERM || r == -EOPNOTSUPP || r == -EBUSY)
		return r;
	counts_sample(gateway->counts);
	drops_begin(gateway->drops, denied_by_flows(gateway), counts_denied_last_hour(gateway->counts) > 0);
	follow_policy(gateway);
	gateway->started = true;
	save_counts(gateway);
	timer_set(gateway->minute_timer, MINUTE_MS);
	names_drive(gateway->names);
	await_confirm(gateway);
	health_changed(gateway);
	return 0;
}

void gateway_forget_waiter(struct gateway *gateway, const void *waiter)
{
	names_forget_waiter(gateway->names, waiter);
	foreign_forget_waiter(gateway->foreign, waiter);
}

int gateway_explain(struct gateway *gateway, const struct foreign_packet *packet, void *waiter)
{
	return foreign_explain_packet(gateway->foreign, packet, waiter);
}

/* For reports. */

int gateway_socket(const struct gateway *gateway)
{
	return mnl_socket_get_fd(table_socket(gateway->table)->writer);
}

int gateway_read_counters(struct gateway *gateway)
{
	return counts_read(gateway->counts);
}

const char *gateway_loaded_by(const struct gateway *gateway)
{
	return gateway->loaded_by;
}

int64_t gateway_uptime_ms(const struct gateway *gateway)
{
	return now_ms() - gateway->started_ms;
}

const struct config_store *gateway_config(const struct gateway *gateway)
{
	return gateway->config;
}

const struct counts *gateway_counts(const struct gateway *gateway)
{
	return gateway->counts;
}

const struct cut *gateway_cut(const struct gateway *gateway)
{
	return gateway->cut;
}

const struct drops *gateway_drops(const struct gateway *gateway)
{
	return gateway->drops;
}

uint64_t gateway_drops_unseen(const struct gateway *gateway)
{
	return drops_unseen(gateway->drops, denied_by_flows(gateway));
}

uint64_t gateway_drops_unseen_hour(const struct gateway *gateway)
{
	return drops_unseen_hour(gateway->drops, denied_by_flows(gateway));
}

const struct foreign *gateway_foreign(const struct gateway *gateway)
{
	return gateway->foreign;
}

const struct names *gateway_names(const struct gateway *gateway)
{
	return gateway->names;
}

const struct observer *gateway_observer(const struct gateway *gateway)
{
	return gateway->observer;
}

const struct seal *gateway_seal(const struct gateway *gateway)
{
	return gateway->seal;
}

const struct table *gateway_table(const struct gateway *gateway)
{
	return gateway->table;
}

const struct usage *gateway_usage(const struct gateway *gateway)
{
	return gateway->usage;
}

int gateway_rule_handle(struct gateway *gateway, const char *chain, size_t index, uint64_t *ret)
{
	return table_rule_handle(gateway->table, chain, index, ret);
}

/* After a clear nothing is said of a policy that is not in force: of its names, flows and interfaces. */
static bool holds_without_policy(enum health_code code)
{
	return code == HEALTH_TABLE_REMOVED || code == HEALTH_CONFIG_MISSING || code == HEALTH_CONFIG_REFUSED ||
	       code == HEALTH_CONFIG_UNSAVED || code == HEALTH_STATE_UNSAVED || code == HEALTH_GRANTS_UNSAVED;
}

void gateway_reasons(struct gateway *gateway, struct health *ret)
{
	const struct policy *policy = config_store_policy(gateway->config);
	bool removed = table_is_removed(gateway->table);

	*ret = (struct health){ 0 };
	table_reasons(gateway->table, config_store_is_in_force(gateway->config), ret);
	if (!removed)
		seal_reasons(gateway->seal, policy->proof, ret);
	config_store_reasons(gateway->config, network_own_addresses(gateway->network), removed, ret);
	if (gateway->undo_failed)
		health_add(ret, HEALTH_UNDO_FAILED, "a reload that nobody confirmed can't be undone: %s",
			   gateway->undo_problem);
	network_reasons(gateway->network, policy, ret);
	if (gateway->interfaces_unfollowed)
		health_add(ret, HEALTH_INTERFACES_UNREAD,
			   "a change of this gateway's interfaces or addresses is not followed yet");
	helper_reasons(gateway->helper, ret);
	observer_reasons(gateway->observer, ret);
	counts_reasons(gateway->counts, ret);
	foreign_reasons(gateway->foreign, ret);
	usage_reasons(gateway->usage, ret);
	cut_reasons(gateway->cut, table_is_known(gateway->table), ret);
	names_reasons(gateway->names, ret);
	grants_reasons(gateway->grants, ret);
	if (removed)
		health_keep(ret, holds_without_policy);
}
