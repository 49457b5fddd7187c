/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/drops.h"
#include "clock.h"
#include "core/denial_cause.h"
#include "core/drop_past.h"
#include "core/lines.h"
#include "log.h"
#include "state_file.h"
#include "timer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CHANGED_MS = 200,
	STATE_MAX = 1 << 20, /* bytes of the file in the state directory */
};

#define DENIALS_FILE "denials"

struct drops {
	struct drops_events events;
	void *userdata;
	struct timer *timer; /* set: something changed */
	const struct policy *policy;
	struct drop_table table;
	struct drop_past past;
	const char *state;
	uint64_t saved_serial; /* of the table, when the past was saved */
	bool saved, save_failed;
	uint64_t denied;        /* by the counters, when it began */
	uint64_t unseen_before; /* over restarts */
	int64_t begun_ms;
	bool followed; /* the mode of the past is known */
};

static void on_timer(void *userdata)
{
	struct drops *drops = userdata;
	drops->events.changed(drops->userdata);
}

int drops_new(struct drops **ret, sd_event *event, const char *state, const struct drops_events *events, void *userdata)
{
	struct drops *drops = calloc(1, sizeof(*drops));

	if (!drops)
		return -ENOMEM;
	*drops = (struct drops){ .events = *events, .userdata = userdata, .state = state, .begun_ms = now_ms() };
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
	drop_sources_free(&drops->past.sources);
	free(drops);
}

void drops_follow(struct drops *drops, const struct policy *policy)
{
	bool audit = policy->mode == MODE_AUDIT;

	if (drops->followed && drops->past.audit != audit) {
		drops->past.mode_changed = true;
		drops->past.mode_changed_ms = now_ms();
		drops->saved = false;
	}
	drops->followed = true;
	drops->past.audit = audit;
	drops->policy = policy;
}

static int load(struct drops *drops)
{
	char boot[STATE_BOOT_MAX], *text;
	size_t length;

	state_boot_id(boot);
	int r = state_load(drops->state, DENIALS_FILE, STATE_MAX, &text, &length);
	if (r < 0)
		return r;
	r = drop_past_read(&drops->past, text, boot, now_ms(), wall_s());
	free(text);
	return r;
}

void drops_begin(struct drops *drops, uint64_t denied, bool late)
{
	drop_sources_free(&drops->past.sources);
	int r = load(drops);
	bool known = r == 0 && drops->past.denied <= denied;

	if (r < 0 && r != -ENOENT && r != -ENODATA)
		log_warning("whose packets were denied can't be read in %s: %s", drops->state, strerror(-r));
	drops->denied = denied;
	drops->begun_ms = now_ms();
	drops->followed = known;
	/* Nobody copied what came while no spefwd ran. */
	drops->unseen_before = known ? drops->past.unseen_total + (denied - drops->past.denied) : 0;
	if (!known)
		drops->past.unseen = (struct hour){ 0 };
	if (!drops->past.unseen.count)
		hour_sample(&drops->past.unseen, known ? drops->past.unseen_total : 0, drops->begun_ms);
	if (!known && late) {
		drops->past.sources.forgot = true;
		drops->past.sources.forgot_ms = drops->begun_ms;
	}
}

static uint64_t unseen_total(const struct drops *drops, uint64_t denied)
{
	return drops->unseen_before + drops_unseen(drops, denied);
}

static int save(struct drops *drops)
{
	char boot[STATE_BOOT_MAX], *text = NULL;
	size_t length;

	state_boot_id(boot);
	FILE *out = open_memstream(&text, &length);
	if (!out)
		return -ENOMEM;
	drop_past_write(out, &drops->past, boot, now_ms(), wall_s());
	text = lines_end(out, &text);
	int r = text ? state_save(drops->state, DENIALS_FILE, text, strlen(text)) : -ENOMEM;
	free(text);
	return r;
}

void drops_save(struct drops *drops, uint64_t denied)
{
	if (drops->saved && drops->past.denied == denied && drops->saved_serial == drops->table.serial)
		return;
	drops->past.denied = denied;
	drops->past.unseen_total = unseen_total(drops, denied);
	int r = save(drops);
	if (r < 0 && !drops->save_failed)
		log_error("can't save in %s whose packets were denied: %s", drops->state, strerror(-r));
	drops->save_failed = r < 0;
	drops->saved = r == 0;
	drops->saved_serial = drops->table.serial;
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
	if (drop_sources_add(&drops->past.sources, &opened.packet.source, now))
		log_denial(drops, &cause);
	if (!timer_is_set(drops->timer))
		timer_set(drops->timer, CHANGED_MS);
}

void drops_minute(struct drops *drops, uint64_t denied)
{
	unsigned unlogged = drop_sources_unlogged(&drops->past.sources, now_ms());

	hour_sample(&drops->past.unseen, unseen_total(drops, denied), now_ms());
	if (unlogged)
		log_notice("packets of %u more source%s were denied in the last hour: see spefwctl drops", unlogged,
			   unlogged == 1 ? "" : "s");
	drops_save(drops, denied);
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
	return hour_growth(&drops->past.unseen, unseen_total(drops, denied), now_ms());
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
	hour.sources =
		drop_sources_hour(&drops->past.sources, now_ms(), is_member, &adm, &hour.administrators, &hour.more);
	hour.both_modes = drops->past.mode_changed && now_ms() - drops->past.mode_changed_ms < DROP_HOUR_MS;
	return hour;
}
