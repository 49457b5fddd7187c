/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/drops.h"
#include "clock.h"
#include "core/drop_sources.h"
#include "core/denial_cause.h"
#include "core/hour.h"
#include "log.h"
#include "timer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGED_MS = 200 };

struct drops {
	struct drops_events events;
	void *userdata;
	struct timer *timer; /* set: something changed */
	const struct policy *policy;
	struct drop_table table;
	struct drop_sources sources;
	uint64_t denied; /* by the counters, when it began */
	struct hour unseen;
	int64_t begun_ms;
	bool late; /* some were denied in the hour before that */
	bool audit, mode_changed;
	int64_t mode_changed_ms;
};

static void on_timer(void *userdata)
{
	struct drops *drops = userdata;
	drops->events.changed(drops->userdata);
}

int drops_new(struct drops **ret, sd_event *event, const struct drops_events *events, void *userdata)
{
	struct drops *drops = calloc(1, sizeof(*drops));

	if (!drops)
		return -ENOMEM;
	*drops = (struct drops){ .events = *events, .userdata = userdata, .begun_ms = now_ms() };
	int r = timer_new(&drops->timer, event, SD_EVENT_PRIORITY_NORMAL, on_timer, drops);
	if (r < 0) {
		free(drops);
		return r;
	}
	*ret = drops;
	return 0;
}

void drops_free(struct drops *drops)
{
	if (!drops)
		return;
	timer_free(drops->timer);
	drop_table_free(&drops->table);
	drop_sources_free(&drops->sources);
	free(drops);
}

void drops_follow(struct drops *drops, const struct policy *policy)
{
	bool audit = policy->mode == MODE_AUDIT;

	if (drops->policy && drops->audit != audit) {
		drops->mode_changed = true;
		drops->mode_changed_ms = now_ms();
	}
	drops->audit = audit;
	drops->policy = policy;
}

void drops_begin(struct drops *drops, uint64_t denied, bool late)
{
	drops->denied = denied;
	drops->late = late;
	drops->begun_ms = now_ms();
	drops->unseen = (struct hour){ 0 };
	hour_sample(&drops->unseen, 0, drops->begun_ms);
}

/* "tcp/8470", "icmp-echo". */
static void format_service(const struct packet *packet, char buffer[32])
{
	if (packet->protocol >= PROTOCOLS)
		snprintf(buffer, 32, "another protocol");
	else if (packet->protocol == PROTOCOL_ICMP_ECHO)
		snprintf(buffer, 32, "icmp-echo");
	else
		snprintf(buffer, 32, "%s/%u", protocol_name(packet->protocol), packet->target_port);
}

static void log_denial(const struct drops *drops, const struct denial_cause *cause)
{
	char source[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX], service[32], why[CAUSE_TEXT_MAX];
	const struct packet *packet = &cause->opened;

	format_service(packet, service);
	log_notice("%s %s -> %s %s: %s (more: spefwctl drops)",
		   drops->policy->mode == MODE_AUDIT ? "would deny" : "denied", addr_format(&packet->source, source),
		   addr_format(&packet->target, target), service, denial_cause_text(cause, why));
}

/* The connection is what matters, and is the same for both of its directions: a packet that opens nothing is shown as
 * what opened it. */
void drops_add(struct drops *drops, const struct denial *denial)
{
	struct denial opened = *denial;
	int64_t now = now_ms();

	if (!drops->policy)
		return;
	struct denial_cause cause = denial_cause_of(drops->policy, NULL, &denial->packet);
	opened.packet = cause.opened;
	opened.packet.mid_stream = denial->packet.mid_stream;
	drop_table_add(&drops->table, &opened, cause.flow != NULL, drops->policy->mode == MODE_AUDIT, now);
	if (drop_sources_add(&drops->sources, &opened.packet.source, now))
		log_denial(drops, &cause);
	if (!timer_is_set(drops->timer))
		timer_set(drops->timer, CHANGED_MS);
}

void drops_minute(struct drops *drops, uint64_t denied)
{
	unsigned unlogged = drop_sources_unlogged(&drops->sources, now_ms());

	hour_sample(&drops->unseen, drops_unseen(drops, denied), now_ms());
	if (unlogged)
		log_notice("packets of %u more source%s were denied in the last hour: see spefwctl drops", unlogged,
			   unlogged == 1 ? "" : "s");
}

const struct drop_table *drops_table(const struct drops *drops)
{
	return &drops->table;
}

int64_t drops_begun_ms(const struct drops *drops)
{
	return drops->begun_ms;
}

uint64_t drops_unseen(const struct drops *drops, uint64_t denied)
{
	uint64_t expected = denied > drops->denied ? denied - drops->denied : 0;
	return expected > drops->table.serial ? expected - drops->table.serial : 0;
}

uint64_t drops_unseen_hour(const struct drops *drops, uint64_t denied)
{
	return hour_growth(&drops->unseen, drops_unseen(drops, denied), now_ms());
}

struct members_of {
	const struct endpoint *endpoint;
	const struct names_view *names;
};

static bool is_member(void *userdata, const struct addr *addr)
{
	const struct members_of *of = userdata;
	return of->endpoint && endpoint_is_source(of->endpoint, of->names, addr);
}

struct drops_hour drops_hour(const struct drops *drops, const struct names_view *names)
{
	struct members_of adm = { .names = names };
	struct drops_hour hour;

	for (size_t i = 0; drops->policy && i < drops->policy->role_count; i++)
		if (strcmp(drops->policy->roles[i].name, "ADM") == 0)
			adm.endpoint = &drops->policy->roles[i].members;
	hour.sources = drop_sources_hour(&drops->sources, now_ms(), is_member, &adm, &hour.administrators, &hour.more);
	hour.both_modes = drops->mode_changed && now_ms() - drops->mode_changed_ms < DROP_HOUR_MS;
	hour.more |= drops->late && now_ms() - drops->begun_ms < DROP_HOUR_MS;
	return hour;
}
