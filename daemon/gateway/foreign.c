/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/foreign.h"
#include "clock.h"
#include "log.h"
#include "nft/foreign.h"
#include "timer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SETTLE_MS = 200, /* a program seldom makes one change alone */
	EVERY_MS = 2000, /* a program that changes its tables all the time must not keep us reading */
	SHARE = 20,      /* nor may large tables: at most a part of the time in so many */
	SLICE_MS = 10,
	PAUSE_MS = 5,        /* all that waits has its turn in a pause, a reply of many parts among it */
	FIRST_SLICE_MS = 50, /* what most gateways have is judged at once */
	STEPS_AT_ONCE = 20 * 1000,
	PRIORITY = SD_EVENT_PRIORITY_NORMAL + 10, /* that of clients: neither of the two waits for the other's end */
	FINDINGS_SAID = 4,
};

/* A look at them that is under way. What it judges by is a copy, but for the policy: whoever changes that ends the
 * look. */
struct look {
	struct nft_socket nft;
	struct foreign_tables tables;
	struct foreign_reading *reading; /* NULL: it is done */
	struct environment_store store;
	struct ranges own;
	struct names_view names; /* none: names are not looked at */
	struct environment environment;
	struct foreign_view view;
	struct judging *judging;
	struct findings found;
	int64_t took_ms;
};

struct foreign {
	struct foreign_events events;
	void *userdata;
	const struct policy *policy; /* NULL: they were never to be read */
	struct findings findings;
	bool read;                  /* it was done, or tried, for this policy */
	bool unreadable;            /* it failed */
	struct look *look;          /* under way; NULL: none */
	int64_t read_ms, took_ms;   /* when a look last ended, and what it cost */
	struct timer *settle_timer; /* when they are read because they have changed */
	struct timer *slice_timer;  /* when the look under way goes on */
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

	if (after->incomplete && !before->incomplete)
		log_warning(
			"other tables have too many rules, or rules of an unknown kind: not all of them are looked at");
	for (size_t i = 0; i < after->count; i++)
		if (!is_among(before, &after->items[i]))
			log_warning("%s", finding_text(&after->items[i], text));
	for (size_t i = 0; i < before->count; i++)
		if (!is_among(after, &before->items[i]))
			log_notice("gone: %s", finding_text(&before->items[i], text));
}

static void end_look(struct foreign *foreign)
{
	struct look *look = foreign->look;

	if (!look)
		return;
	foreign->look = NULL;
	timer_stop(foreign->slice_timer);
	foreign_judge_end(look->judging);
	nft_foreign_end(look->reading);
	foreign_tables_free(&look->tables);
	findings_free(&look->found);
	environment_free(&look->store);
	ranges_free(&look->own);
	nft_close(&look->nft);
	free(look);
}

static int begin(struct foreign *foreign)
{
	struct look *look = foreign->look = calloc(1, sizeof(*look));

	if (!look)
		return -ENOMEM;
	int r = nft_open_reader(&look->nft);
	if (r == 0)
		r = foreign->events.environment(foreign->userdata, foreign->policy, &look->store, &look->own);
	look->environment = environment_of(&look->store, &look->own, &look->names);
	look->view = (struct foreign_view){ .environment = &look->environment };
	return r < 0 ? r : nft_foreign_begin(&look->reading, &look->nft, &look->tables, EFFECTS_INTERCEPT);
}

/* 1: there is more to do; 0: that was all; or a negative errno. */
static int look_on(const struct policy *policy, struct look *look)
{
	if (look->judging)
		return foreign_judge_some(look->judging, STEPS_AT_ONCE);
	int r = nft_foreign_some(look->reading);
	if (r != 0)
		return r;
	nft_foreign_end(look->reading);
	look->reading = NULL;
	r = foreign_judge_begin(&look->judging, &look->found, &look->tables, policy, &look->view, EFFECTS_INTERCEPT);
	return r < 0 ? r : 1;
}

/* found is the object's then. Whether it is something else than what was there. */
static bool take_findings(struct foreign *foreign, const struct findings *found)
{
	bool same = findings_equal(&foreign->findings, found), gone = foreign->findings.count && !found->count;

	log_difference(&foreign->findings, found);
	findings_free(&foreign->findings);
	foreign->findings = *found;
	if (gone)
		foreign->events.gone(foreign->userdata);
	return !same;
}

static void finish(struct foreign *foreign, int r)
{
	struct look *look = foreign->look;
	struct findings found = { 0 };
	bool changed = !foreign->read || foreign->unreadable != (r < 0);

	foreign->read_ms = now_ms();
	foreign->took_ms = look ? look->took_ms : 0;
	if (r < 0 && !foreign->unreadable)
		log_error("the rules of other tables can't be read: %s", strerror(-r));
	if (look && r == 0) {
		found = look->found;
		look->found = (struct findings){ 0 };
	}
	end_look(foreign);
	foreign->unreadable = r < 0;
	foreign->read = true;
	if (r < 0)
		foreign_set_changed(foreign);
	else
		changed |= take_findings(foreign, &found);
	if (changed)
		foreign->events.changed(foreign->userdata);
}

/* Of the processor's time: on a busy machine a look at what most gateways have must not take the longer way. */
static void slice(struct foreign *foreign, int64_t ms)
{
	int64_t began = processor_ms(), now = began;
	int r = 1;

	for (; r > 0 && now - began < ms; now = processor_ms())
		r = look_on(foreign->policy, foreign->look);
	foreign->look->took_ms += now - began;
	if (r > 0)
		timer_set(foreign->slice_timer, PAUSE_MS);
	else
		finish(foreign, r);
}

static void on_slice(void *userdata)
{
	slice(userdata, SLICE_MS);
}

void foreign_read(struct foreign *foreign, const struct policy *policy)
{
	bool wanted = policy->interception != INTERCEPTION_OFF;

	end_look(foreign);
	foreign->policy = policy;
	int r = wanted ? begin(foreign) : 0;
	if (r < 0 || !wanted)
		finish(foreign, r);
	else
		slice(foreign, FIRST_SLICE_MS);
}

void foreign_cancel(struct foreign *foreign)
{
	end_look(foreign);
	foreign->read = false;
}

void foreign_set_changed(struct foreign *foreign)
{
	int64_t every = foreign->took_ms * SHARE;

	if (!foreign->policy || foreign->policy->interception == INTERCEPTION_OFF)
		return;
	if (timer_is_set(foreign->settle_timer)) /* it comes after a look that is under way as well */
		return;
	every = every > EVERY_MS ? every : EVERY_MS;
	int64_t wait = foreign->read_ms + every - now_ms();
	timer_set(foreign->settle_timer, wait > SETTLE_MS ? wait : SETTLE_MS);
}

static void on_settled(void *userdata)
{
	struct foreign *foreign = userdata;

	if (foreign->look) /* what is seen to its end is reported; begun anew all the time it would never be */
		timer_set(foreign->settle_timer, EVERY_MS);
	else
		foreign_read(foreign, foreign->policy);
}

int foreign_new(struct foreign **ret, sd_event *event, const struct foreign_events *events, void *userdata)
{
	struct foreign *foreign = calloc(1, sizeof(*foreign));

	if (!foreign)
		return -ENOMEM;
	*foreign = (struct foreign){ .events = *events, .userdata = userdata };
	int r = timer_new(&foreign->settle_timer, event, SD_EVENT_PRIORITY_NORMAL, on_settled, foreign);
	if (r == 0)
		r = timer_new(&foreign->slice_timer, event, PRIORITY, on_slice, foreign);
	if (r < 0) {
		foreign_free(foreign);
		return r;
	}
	*ret = foreign;
	return 0;
}

void foreign_free(struct foreign *foreign)
{
	if (!foreign)
		return;
	end_look(foreign);
	timer_free(foreign->settle_timer);
	timer_free(foreign->slice_timer);
	findings_free(&foreign->findings);
	free(foreign);
}

const struct findings *foreign_findings(const struct foreign *foreign)
{
	return &foreign->findings;
}

void foreign_reasons(const struct foreign *foreign, struct health *health)
{
	const struct findings *findings = &foreign->findings;
	char text[FINDING_TEXT_MAX];

	for (size_t i = 0; i < findings->count && i < FINDINGS_SAID; i++)
		health_add(health, HEALTH_FOREIGN_RULE, "%s", finding_text(&findings->items[i], text));
	if (findings->count > FINDINGS_SAID)
		health_add(health, HEALTH_FOREIGN_RULE, "%zu more rules of other tables could intercept flows",
			   findings->count - FINDINGS_SAID);
	if (findings->incomplete)
		health_add(health, HEALTH_FOREIGN_INCOMPLETE,
			   "other tables have too many rules, or rules of an unknown kind: whether they intercept "
			   "flows is not wholly known");
	if (!foreign->read)
		health_add(health, HEALTH_FOREIGN_UNREAD,
			   "the rules of other tables are not looked at yet: whether they intercept flows is not "
			   "known");
	if (foreign->unreadable)
		health_add(health, HEALTH_FOREIGN_UNREADABLE,
			   "the rules of other tables can't be read: whether they intercept flows is not known");
}
