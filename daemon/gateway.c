/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway.h"
#include "core/compile.h"
#include "core/delta.h"
#include "core/policy_diff.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	RETIRE_USEC = 1000 * 1000,  /* when sets that the last change left over are deleted */
	RETRY_USEC = 5 * 1000 * 1000,
	MINUTE_USEC = 60 * 1000 * 1000,
};

int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void arm(sd_event_source *timer, uint64_t usec)
{
	sd_event_source_set_time_relative(timer, usec);
	sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static void note_failure(struct gateway *gateway, const char *what)
{
	if (strcmp(gateway->failure, what) != 0 && what[0])
		log_error("%s", what);
	else if (gateway->failure[0] && !what[0])
		log_notice("the last change that failed is made up for");
	snprintf(gateway->failure, sizeof(gateway->failure), "%s", what);
}

static void log_diags(const struct diags *diags)
{
	for (size_t i = 0; i < diags->count; i++) {
		char *text = diag_format(&diags->items[i]);
		if (text)
			log_message(diags->items[i].severity == DIAG_ERROR ? LOG_ERR : LOG_WARNING, "%s", text);
		free(text);
	}
}

/* What the kernel holds for names goes into the book: a restart must not lose an address for want of a state file. */
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
				addrbook_remember(gateway->book, policy->names[i].name, &addr, life - (set->items[e].deadline_ms - now), now);
			}
		}
	}
}

/* Finds out what the kernel holds. A table that can't be adopted is to be replaced. */
static int read_kernel(struct gateway *gateway, struct delta_options *options)
{
	struct nft_table_info info;
	struct ruleset found;
	bool foreign = false;

	int r = nft_read_info(&gateway->nft, &info);
	if (r < 0)
		return r;
	options->exists = info.exists;
	options->replace = info.exists && info.layout != TABLE_LAYOUT;
	ruleset_free(&gateway->current);
	if (!info.exists || options->replace) {
		if (options->replace)
			log_notice("table inet " TABLE_NAME " has another layout (%d): it is replaced", info.layout);
		return 0;
	}
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
	if (delta.count) {
		r = commit(gateway, &delta);
		gateway->current_known = r == 0;
		if (r == 0)
			gateway->generation++;
	}
	delta_free(&delta);
	if (r < 0)
		return r;
	ruleset_free(&gateway->current);
	gateway->current = *wanted;
	*wanted = (struct ruleset){ 0 };
	gateway->current_known = true;
	arm(gateway->retire_timer, RETIRE_USEC);
	return 0;
}

static int apply_policy(struct gateway *gateway, const struct policy *policy)
{
	struct delta_options options = { .exists = true, .rearm_slack_ms = name_margin_ms(policy->stale_ms) / 2 };
	struct surroundings_store store = { 0 };
	struct names_view names = { 0 };
	struct ruleset wanted = { 0 };
	int r = 0;

	if (!gateway->current_known) {
		r = read_kernel(gateway, &options);
		if (r == 0)
			remember_elements(gateway, policy);
	} else {
		r = retire(gateway);
	}
	if (r == 0)
		r = gateway_surroundings(gateway, policy, &store);
	if (r == 0)
		r = gateway_names_view(gateway, policy, &names);
	if (r == 0) {
		struct surroundings around = { links_gateway_addresses(gateway->links), store.links, &names };
		r = compile(&wanted, policy, &around);
	}
	if (r == 0)
		r = change_kernel(gateway, &wanted, &options);
	if (r == 0)
		gateway->applied_ms = now_ms();
	ruleset_free(&wanted);
	names_view_free(&names);
	gateway_surroundings_free(&store);
	return r;
}

/* What went wrong, in words: the kernel's where it said any. */
static const char *reason_of(struct gateway *gateway, int r)
{
	return gateway->nft.error[0] ? gateway->nft.error : strerror(-r);
}

int gateway_apply(struct gateway *gateway)
{
	char what[200];

	if (gateway->cleared)
		return 0;
	gateway->nft.error[0] = '\0';
	int r = apply_policy(gateway, &gateway->file.policy);
	if (r == 0) {
		note_failure(gateway, "");
		return 0;
	}
	snprintf(what, sizeof(what), "can't bring the kernel up to date: %s", reason_of(gateway, r));
	note_failure(gateway, what);
	arm(gateway->retry_timer, RETRY_USEC);
	return r;
}

static int on_retire(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct gateway *gateway = userdata;

	(void)source;
	(void)usec;
	if (gateway->current_known && !gateway->cleared && retire(gateway) < 0)
		arm(gateway->retry_timer, RETRY_USEC);
	return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	gateway_apply(userdata);
	return 0;
}

static int on_minute(sd_event_source *source, uint64_t usec, void *userdata)
{
	static const char *const denials[] = { "denied-in", "denied-out", "denied-early", "invalid", "spoofed" };
	struct gateway *gateway = userdata;
	struct nft_counters counters;

	(void)usec;
	if (nft_read_counters(&gateway->nft, &counters) == 0) {
		uint64_t total = 0;
		for (size_t i = 0; i < sizeof(denials) / sizeof(denials[0]); i++) {
			const struct nft_counter *counter = nft_find_counter(&counters, denials[i]);
			total += counter ? counter->packets : 0;
		}
		free(counters.items);
		gateway->minute = (gateway->minute + 1) % (DENIAL_MINUTES + 1);
		gateway->denied_minutes[gateway->minute] = total;
		if (gateway->minutes <= DENIAL_MINUTES)
			gateway->minutes++;
	}
	gateway_names_save(gateway, false);
	arm(source, MINUTE_USEC);
	return 0;
}

static int add_timer(struct gateway *gateway, sd_event_source **ret, sd_event_time_handler_t handler, uint64_t usec)
{
	int r = sd_event_add_time_relative(gateway->event, ret, CLOCK_BOOTTIME, usec, 0, handler, gateway);
	if (r >= 0 && !usec)
		r = sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
	return r;
}

int gateway_start(struct gateway *ret, sd_event *event, const struct gateway_paths *paths)
{
	struct gateway *gateway = ret;
	struct diags diags = { 0 };
	bool changed;

	*ret = (struct gateway){ .event = sd_event_ref(event), .paths = *paths, .started_ms = now_ms() };
	int r = links_new(&gateway->links, event, gateway_links_changed, gateway);
	if (r < 0) {
		log_error("can't read links and routes from the kernel: %s", strerror(-r));
		return r;
	}
	r = policy_file_load(&gateway->file, paths->config, links_gateway_addresses(gateway->links), &diags);
	log_diags(&diags);
	diags_free(&diags);
	if (r < 0)
		return r;
	r = nft_open(&gateway->nft);
	if (r < 0) {
		log_error("%s", gateway->nft.error);
		return r;
	}
	if ((r = add_timer(gateway, &gateway->retire_timer, on_retire, 0)) < 0 ||
	    (r = add_timer(gateway, &gateway->retry_timer, on_retry, 0)) < 0 ||
	    (r = add_timer(gateway, &gateway->minute_timer, on_minute, MINUTE_USEC)) < 0 ||
	    (r = gateway_names_begin(gateway)) < 0 ||
	    (r = policy_leave_out(&gateway->file.policy, links_gateway_addresses(gateway->links), &changed)) < 0) {
		log_error("can't start: %s", strerror(-r));
		return r;
	}
	/* The table first, from remembered addresses; DNS is asked after that. A kernel that refuses is told and tried again. */
	r = gateway_apply(gateway);
	if (r == -EPERM || r == -EOPNOTSUPP || r == -EPROTONOSUPPORT)
		return r;
	on_minute(gateway->minute_timer, 0, gateway);
	gateway_names_drive(gateway);
	return 0;
}

void gateway_free(struct gateway *gateway)
{
	gateway_names_end(gateway);
	sd_event_source_unref(gateway->names_timer);
	sd_event_source_unref(gateway->retire_timer);
	sd_event_source_unref(gateway->retry_timer);
	sd_event_source_unref(gateway->minute_timer);
	control_free(gateway->control);
	links_free(gateway->links);
	nft_close(&gateway->nft);
	ruleset_free(&gateway->current);
	policy_file_free(&gateway->file);
	sd_event_unref(gateway->event);
}

static int take_over(struct gateway *gateway, struct policy_file *file)
{
	bool changed;
	int r = policy_leave_out(&file->policy, links_gateway_addresses(gateway->links), &changed);

	/* Names of both policies are wanted while the change is under way: a refused one must lose nothing. */
	if (r == 0)
		r = gateway_names_want(gateway, &gateway->file.policy, &file->policy);
	gateway->nft.error[0] = '\0';
	if (r == 0)
		r = apply_policy(gateway, &file->policy);
	if (r < 0) {
		snprintf(gateway->failure, sizeof(gateway->failure), "the new policy can't be applied: %s", reason_of(gateway, r));
		log_error("%s", gateway->failure);
		gateway_names_want(gateway, &gateway->file.policy, NULL);
		if (!gateway->cleared)
			gateway_apply(gateway);
		return r;
	}
	struct policy_file old = gateway->file;
	gateway->file = *file;
	*file = old;
	gateway->cleared = false;
	note_failure(gateway, "");
	return 0;
}

int gateway_reload(struct gateway *gateway, struct diags *diags, void (*line)(void *userdata, const char *text), void *userdata)
{
	struct policy_file file;

	int r = policy_file_load(&file, gateway->paths.config, links_gateway_addresses(gateway->links), diags);
	if (r == 0 && line)
		policy_diff(&gateway->file.policy, &file.policy, line, userdata);
	if (r == 0) {
		r = take_over(gateway, &file);
		policy_file_free(&file);
	}
	log_diags(diags);
	gateway->file_refused = r < 0;
	if (r < 0) {
		log_error("%s is not in force: the old policy stays", gateway->paths.config);
		return r;
	}
	r = gateway_names_limits(gateway);
	if (r == 0)
		r = gateway_names_want(gateway, &gateway->file.policy, NULL);
	if (r < 0)
		log_error("can't follow the names of the new policy: %s", strerror(-r));
	gateway_names_drive(gateway);
	log_notice("%s is in force, generation %llu", gateway->paths.config, (unsigned long long)gateway->generation);
	return r;
}

int gateway_clear(struct gateway *gateway, bool *ret_removed)
{
	struct op op = { .kind = OP_TABLE_DELETE };
	struct nft_table_info info;

	int r = nft_read_info(&gateway->nft, &info);
	if (r == 0 && info.exists)
		r = nft_commit(&gateway->nft, &op, 1, now_ms());
	if (r < 0)
		return r;
	*ret_removed = info.exists;
	ruleset_free(&gateway->current);
	gateway->current_known = false;
	gateway->cleared = true;
	gateway->generation++;
	log_warning("table inet " TABLE_NAME " was removed on request: the server is not guarded until the next reload");
	return 0;
}
