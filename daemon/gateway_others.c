/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway.h"
#include "log.h"
#include "nft_others.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

/* The gateway and the tables of other programs: which of their rules could intercept a flow. */

enum {
	SETTLE_MS = 200,    /* a program seldom makes one change alone */
	EVERY_MS = 2000,    /* a program that changes its tables all the time must not keep us reading */
	SHARE = 20,         /* nor may large tables: at most a part of the time in so many */
};

char *finding_text(const struct finding *finding, char buffer[FINDING_TEXT_MAX])
{
	snprintf(buffer, FINDING_TEXT_MAX, "flow %s: table %s %.100s, chain %.100s, handle %llu %s", finding->flow, table_family(finding->family),
		 finding->table, finding->chain, (unsigned long long)finding->handle, deed_phrase(finding->deed));
	return buffer;
}

static bool is_among(const struct findings *findings, const struct finding *finding)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *one = &findings->items[i];
		if (one->handle == finding->handle && one->deed == finding->deed && one->family == finding->family &&
		    strcmp(one->table, finding->table) == 0 && strcmp(one->chain, finding->chain) == 0)
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

static int judge(struct gateway *gateway, struct findings *ret)
{
	struct surroundings_store store = { 0 };
	struct names_view names = { 0 };
	struct others others = { 0 };

	int r = nft_read_others(&gateway->nft, &others, DEEDS_INTERCEPT);
	if (r == 0)
		r = gateway_surroundings(gateway, &gateway->file.policy, &store);
	if (r == 0) {
		struct surroundings around = { links_gateway_addresses(gateway->links), store.links, &names, &store.resolvers };
		struct others_view view = { .around = &around };
		r = others_judge(ret, &others, &gateway->file.policy, &view, DEEDS_INTERCEPT);
	}
	gateway_surroundings_free(&store);
	others_free(&others);
	return r;
}

void gateway_others_read(struct gateway *gateway)
{
	struct findings found = { 0 };
	int64_t began = now_ms();
	int r = gateway->file.policy.interception == INTERCEPTION_OFF ? 0 : judge(gateway, &found);

	gateway->others_ms = now_ms();
	gateway->others_took_ms = gateway->others_ms - began;
	if (r < 0 && !gateway->others_unread)
		log_error("the rules of other tables can't be read: %s", gateway_reason(gateway, r));
	gateway->others_unread = r < 0;
	if (r < 0) {
		gateway_others_changed(gateway);
		return;
	}
	bool same = findings_equal(&gateway->findings, &found), gone = gateway->findings.count && !found.count;
	log_difference(&gateway->findings, &found);
	findings_free(&gateway->findings);
	gateway->findings = found;
	if (gone) { /* what they did is over as well */
		gateway_count(gateway);
		gateway->intercepted_ms = 0;
	}
	if (!same && gateway->started)
		report_to_manager(gateway);
}

void gateway_others_changed(void *userdata)
{
	struct gateway *gateway = userdata;
	int64_t now = now_ms(), every = gateway->others_took_ms * SHARE, wait;
	int on = SD_EVENT_OFF;

	if (!gateway->others_timer || gateway->file.policy.interception == INTERCEPTION_OFF)
		return;
	sd_event_source_get_enabled(gateway->others_timer, &on);
	if (on != SD_EVENT_OFF)
		return;
	every = every > EVERY_MS ? every : EVERY_MS;
	wait = gateway->others_ms + every - now;
	arm_timer(gateway->others_timer, (uint64_t)(wait > SETTLE_MS ? wait : SETTLE_MS) * 1000);
}

static int on_settled(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	gateway_others_read(userdata);
	return 0;
}

int gateway_others_begin(struct gateway *gateway)
{
	return add_timer(gateway, &gateway->others_timer, on_settled, 0);
}
