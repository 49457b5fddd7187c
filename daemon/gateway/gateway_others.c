/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/gateway.h"
#include "log.h"
#include "nft/foreign.h"
#include "control/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The gateway and the tables of other programs: which of their rules could intercept a flow. Their size is not ours to
 * choose: they are read and judged in slices, between which all else has its turn. */

enum {
	SETTLE_MS = 200, /* a program seldom makes one change alone */
	EVERY_MS = 2000, /* a program that changes its tables all the time must not keep us reading */
	SHARE = 20,      /* nor may large tables: at most a part of the time in so many */
	SLICE_MS = 10,
	PAUSE_USEC = 5 * 1000, /* all that waits has its turn in a pause, a reply of many parts among it */
	FIRST_SLICE_MS = 50,   /* what most gateways have is judged at once */
	STEPS_AT_ONCE = 20 * 1000,
	PRIORITY = SD_EVENT_PRIORITY_NORMAL + 10, /* that of clients: neither of the two waits for the other's end */
};

/* A look at them that is under way. What it judges by is a copy, but for the policy: whoever changes that ends the
 * look. */
struct others_look {
	struct nft_socket nft;
	struct foreign_tables others;
	struct foreign_reading *reading; /* NULL: it is done */
	struct environment_store store;
	struct ranges own;
	struct names_view names;
	struct environment around;
	struct foreign_view view;
	struct judging *judging;
	struct findings found;
	int64_t took_ms;
};

char *finding_text(const struct finding *finding, char buffer[FINDING_TEXT_MAX])
{
	snprintf(buffer, FINDING_TEXT_MAX, "flow %s: table %s %.100s, chain %.100s, handle %llu %s", finding->flow,
		 table_family(finding->family), finding->table, finding->chain, (unsigned long long)finding->handle,
		 effect_phrase(finding->effect));
	return buffer;
}

static bool is_among(const struct findings *findings, const struct finding *finding)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *one = &findings->items[i];
		if (one->handle == finding->handle && one->effect == finding->effect &&
		    one->family == finding->family && strcmp(one->table, finding->table) == 0 &&
		    strcmp(one->chain, finding->chain) == 0)
			return true;
	}
	return false;
}

static void log_difference(const struct findings *before, const struct findings *after)
{
	char text[FINDING_TEXT_MAX];

	for (size_t i = 0; i < after->count; i++)
		if (!is_among(before, &after->items[i]))
			log_warning("%s", finding_text(&after->items[i], text));
	for (size_t i = 0; i < before->count; i++)
		if (!is_among(after, &before->items[i]))
			log_notice("gone: %s", finding_text(&before->items[i], text));
}

void gateway_others_cancel(struct gateway *gateway)
{
	struct others_look *look = gateway->others_look;

	if (!look)
		return;
	gateway->others_look = NULL;
	gateway->others_looked = false; /* there was a reason to look, and nothing came of it */
	foreign_judge_end(look->judging);
	nft_foreign_end(look->reading);
	foreign_tables_free(&look->others);
	findings_free(&look->found);
	environment_free(&look->store);
	ranges_free(&look->own);
	nft_close(&look->nft);
	free(look);
}

static int begin(struct gateway *gateway)
{
	struct others_look *look = gateway->others_look = calloc(1, sizeof(*look));

	if (!look)
		return -ENOMEM;
	int r = nft_open_reader(&look->nft);
	if (r == 0)
		r = gateway_environment(gateway, &gateway->file.policy, &look->store);
	if (r == 0)
		r = ranges_add_all(&look->own, links_gateway_addresses(gateway->links));
	ranges_normalise(&look->own);
	look->around = environment_of(&look->store, &look->own, &look->names);
	look->view = (struct foreign_view){ .around = &look->around };
	return r < 0 ? r : nft_foreign_begin(&look->reading, &look->nft, &look->others, EFFECTS_INTERCEPT);
}

/* 1: there is more to do; 0: that was all; or a negative errno. */
static int look_on(struct gateway *gateway, struct others_look *look)
{
	if (look->judging)
		return foreign_judge_some(look->judging, STEPS_AT_ONCE);
	int r = nft_foreign_some(look->reading);
	if (r != 0)
		return r;
	nft_foreign_end(look->reading);
	look->reading = NULL;
	r = foreign_judge_begin(&look->judging, &look->found, &look->others, &gateway->file.policy, &look->view,
				EFFECTS_INTERCEPT);
	return r < 0 ? r : 1;
}

/* found is the gateway's then. */
static void take_findings(struct gateway *gateway, const struct findings *found)
{
	bool same = findings_equal(&gateway->findings, found), gone = gateway->findings.count && !found->count;

	if (found->incomplete && !gateway->findings.incomplete)
		log_warning(
			"other tables have too many rules, or rules of an unknown kind: not all of them are looked at");
	log_difference(&gateway->findings, found);
	findings_free(&gateway->findings);
	gateway->findings = *found;
	if (gone) { /* what they did is over as well */
		gateway_count(gateway);
		gateway->intercepted_ms = 0;
	}
	if (!same && gateway->started)
		report_to_manager(gateway);
}

static void finish(struct gateway *gateway, int r)
{
	struct others_look *look = gateway->others_look;
	struct findings found = { 0 };
	bool looked = gateway->others_looked;

	gateway->others_ms = now_ms();
	gateway->others_took_ms = look ? look->took_ms : 0;
	if (r < 0 && !gateway->others_unread)
		log_error("the rules of other tables can't be read: %s", strerror(-r));
	if (look && r == 0) {
		found = look->found;
		look->found = (struct findings){ 0 };
	}
	gateway_others_cancel(gateway);
	gateway->others_unread = r < 0;
	gateway->others_looked = true;
	if (r < 0)
		gateway_others_changed(gateway);
	else
		take_findings(gateway, &found);
	if (!looked && gateway->started)
		report_to_manager(gateway);
}

/* Of the processor's time: on a busy machine a look at what most gateways have must not take the longer way. */
static void slice(struct gateway *gateway, int64_t ms)
{
	int64_t began = processor_ms(), now = began;
	int r = 1;

	for (; r > 0 && now - began < ms; now = processor_ms())
		r = look_on(gateway, gateway->others_look);
	gateway->others_look->took_ms += now - began;
	if (r > 0)
		arm_timer(gateway->others_slice, PAUSE_USEC);
	else
		finish(gateway, r);
}

static int on_slice(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct gateway *gateway = userdata;

	(void)source;
	(void)usec;
	if (gateway->others_look)
		slice(gateway, SLICE_MS);
	return 0;
}

void gateway_others_read(struct gateway *gateway)
{
	bool wanted = gateway->file.policy.interception != INTERCEPTION_OFF;

	gateway_others_cancel(gateway);
	int r = wanted ? begin(gateway) : 0;
	if (r < 0 || !wanted)
		finish(gateway, r);
	else
		slice(gateway, FIRST_SLICE_MS);
}

void gateway_others_changed(void *userdata)
{
	struct gateway *gateway = userdata;
	int64_t now = now_ms(), every = gateway->others_took_ms * SHARE, wait;
	int on = SD_EVENT_OFF;

	if (!gateway->others_timer || gateway->file.policy.interception == INTERCEPTION_OFF)
		return;
	sd_event_source_get_enabled(gateway->others_timer, &on);
	if (on != SD_EVENT_OFF) /* it comes after a look that is under way as well */
		return;
	every = every > EVERY_MS ? every : EVERY_MS;
	wait = gateway->others_ms + every - now;
	arm_timer(gateway->others_timer, (uint64_t)(wait > SETTLE_MS ? wait : SETTLE_MS) * 1000);
}

static int on_settled(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct gateway *gateway = userdata;

	(void)source;
	(void)usec;
	if (gateway->others_look) /* what is seen to its end is told; begun anew all the time it would never be */
		arm_timer(gateway->others_timer, EVERY_MS * 1000);
	else
		gateway_others_read(gateway);
	return 0;
}

int gateway_others_begin(struct gateway *gateway)
{
	int r = add_timer(gateway, &gateway->others_timer, on_settled, 0);
	if (r >= 0)
		r = sd_event_add_time_relative(gateway->event, &gateway->others_slice, CLOCK_BOOTTIME, 0, 1, on_slice,
					       gateway);
	if (r >= 0)
		r = sd_event_source_set_priority(gateway->others_slice, PRIORITY);
	return r < 0 ? r : sd_event_source_set_enabled(gateway->others_slice, SD_EVENT_OFF);
}

void gateway_others_end(struct gateway *gateway)
{
	gateway_others_cancel(gateway);
	sd_event_source_unref(gateway->others_timer);
	sd_event_source_unref(gateway->others_slice);
	findings_free(&gateway->findings);
}
