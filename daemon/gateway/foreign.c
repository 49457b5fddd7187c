/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clock.h"
#include "core/printable.h"
#include "core/owners.h"
#include "gateway/foreign_parts.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SETTLE_MS = 200,          /* a program seldom makes one change alone */
	EVERY_MS = 2000,          /* a program that changes its tables all the time must not keep us reading */
	AGAIN_MS = 5 * 60 * 1000, /* elements that time out go unnoticed */
	SHARE = 20,               /* nor may large tables: at most a part of the time in so many */
	FINDINGS_SAID = 4,
};

/* What is looked for, one after the other. */
enum kind { INTERCEPTIONS, BLOCKS, KINDS };
static const unsigned effects_of[KINDS] = { EFFECTS_INTERCEPT, EFFECTS_STOP };

struct foreign {
	struct foreign_events events;
	void *userdata;
	const struct policy *policy; /* NULL: they were never to be read */
	struct findings findings[KINDS];
	bool read;         /* it was done, or tried, for this policy */
	bool unreadable;   /* it failed */
	struct look *look; /* under way; NULL: none */
	enum kind judged;  /* what the look judges now */
	struct findings found[KINDS];
	int64_t look_ms;            /* what the look has cost so far */
	int64_t read_ms, took_ms;   /* when a look last ended, and what it cost */
	int64_t good_ms;            /* when one last told what there is; 0: never */
	struct timer *settle_timer; /* when they are read because they have changed */
	struct timer *again_timer;  /* or may have */
	struct timer *slice_timer;  /* when the look under way goes on */
	struct explanations *explanations;
};

char *finding_text(const struct finding *finding, char buffer[FINDING_TEXT_MAX])
{
	char flows[FLOWS_TEXT_MAX], handle[40] = "";

	if (finding->handle)
		snprintf(handle, sizeof(handle), ", handle %llu", (unsigned long long)finding->handle);
	snprintf(buffer, FINDING_TEXT_MAX, "%s: table %s %.100s, chain %.100s%s %s", finding_flows(finding, flows),
		 table_family(finding->family), finding->table, finding->chain, handle, finding_phrase(finding));
	return buffer;
}

static bool is_among(const struct findings *findings, const struct finding *finding)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *one = &findings->items[i];
		if (one->handle == finding->handle && one->effect == finding->effect && one->may == finding->may &&
		    one->family == finding->family && strcmp(one->table, finding->table) == 0 &&
		    strcmp(one->chain, finding->chain) == 0)
			return true;
	}
	return false;
}

/* What only may stop something is no news for the journal. */
static void log_difference(const struct findings *before, const struct findings *after)
{
	char text[FINDING_TEXT_MAX];

	if (after->incomplete && !before->incomplete)
		log_warning(
			"other tables have too many rules, or rules of an unknown kind: not all of them are looked at");
	for (size_t i = 0; i < after->count; i++)
		if (!after->items[i].may && !is_among(before, &after->items[i]))
			log_warning("%s", finding_text(&after->items[i], text));
	for (size_t i = 0; i < before->count; i++)
		if (!before->items[i].may && !is_among(after, &before->items[i]))
			log_notice("gone: %s", finding_text(&before->items[i], text));
}

static void end_look(struct foreign *foreign)
{
	if (foreign->look)
		timer_stop(foreign->slice_timer);
	look_free(foreign->look);
	foreign->look = NULL;
	for (enum kind kind = 0; kind < KINDS; kind++)
		findings_free(&foreign->found[kind]);
	foreign->judged = 0;
}

/* 1: there is more to do; 0: that was all; or a negative errno. */
static int look_on(struct foreign *foreign)
{
	int r = look_read(foreign->look);

	if (r != 0)
		return r;
	r = look_judge(foreign->look, effects_of[foreign->judged], NULL, &foreign->found[foreign->judged]);
	if (r == 0 && ++foreign->judged < KINDS)
		return 1;
	return r;
}

/* found is the object's then. Whether it is something else than what was there. */
static bool take_findings(struct foreign *foreign)
{
	struct findings *found = foreign->found, *findings = foreign->findings;
	bool gone = findings[INTERCEPTIONS].count && !found[INTERCEPTIONS].count, changed = false;

	found[BLOCKS].incomplete &= !found[INTERCEPTIONS].incomplete; /* told once */
	for (enum kind kind = 0; kind < KINDS; kind++) {
		changed |= !findings_equal(&findings[kind], &found[kind]);
		log_difference(&findings[kind], &found[kind]);
		findings_free(&findings[kind]);
		findings[kind] = found[kind];
		found[kind] = (struct findings){ 0 };
	}
	foreign->good_ms = now_ms();
	if (gone)
		foreign->events.gone(foreign->userdata);
	return changed;
}

static void finish(struct foreign *foreign, int r)
{
	bool changed = !foreign->read || foreign->unreadable != (r < 0);

	foreign->read_ms = now_ms();
	foreign->took_ms = foreign->look_ms;
	if (r < 0 && !foreign->unreadable)
		log_error("the rules of other tables can't be read: %s", strerror(-r));
	foreign->unreadable = r < 0;
	foreign->read = true;
	if (r < 0)
		foreign_set_changed(foreign);
	else
		changed |= take_findings(foreign);
	end_look(foreign);
	timer_set(foreign->again_timer, AGAIN_MS);
	if (changed)
		foreign->events.changed(foreign->userdata);
}

/* Of the processor's time: on a busy machine a look at what most gateways have must not take the longer way. */
static void slice(struct foreign *foreign, int64_t ms)
{
	int64_t began = processor_ms(), now = began;
	int r = 1;

	for (; r > 0 && now - began < ms; now = processor_ms())
		r = look_on(foreign);
	foreign->look_ms += now - began;
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
	end_look(foreign);
	foreign->policy = policy;
	foreign->look_ms = 0;
	explanations_set_policy(foreign->explanations, policy);
	int r = look_new(&foreign->look, &foreign->events, foreign->userdata, policy);
	if (r < 0)
		finish(foreign, r);
	else
		slice(foreign, FIRST_SLICE_MS);
}

void foreign_cancel(struct foreign *foreign)
{
	end_look(foreign);
	explanations_set_policy(foreign->explanations, NULL);
	foreign->read = false;
}

void foreign_set_changed(struct foreign *foreign)
{
	int64_t every = foreign->took_ms * SHARE;

	if (!foreign->policy)
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

static void on_again(void *userdata)
{
	foreign_set_changed(userdata);
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
	if (r == 0)
		r = timer_new(&foreign->again_timer, event, SD_EVENT_PRIORITY_NORMAL, on_again, foreign);
	if (r == 0)
		r = explanations_new(&foreign->explanations, event, events, userdata);
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
	explanations_free(foreign->explanations);
	timer_free(foreign->settle_timer);
	timer_free(foreign->slice_timer);
	timer_free(foreign->again_timer);
	for (enum kind kind = 0; kind < KINDS; kind++)
		findings_free(&foreign->findings[kind]);
	free(foreign);
}

struct explanations *foreign_explanations(struct foreign *foreign)
{
	return foreign->explanations;
}

const struct findings *foreign_findings(const struct foreign *foreign)
{
	return &foreign->findings[INTERCEPTIONS];
}

const struct findings *foreign_blocks(const struct foreign *foreign)
{
	return &foreign->findings[BLOCKS];
}

int64_t foreign_looked_ms(const struct foreign *foreign)
{
	return foreign->good_ms ? now_ms() - foreign->good_ms : -1;
}

/* Those that are certain: what only may stop a flow, or stops some of its peers, is shown beside health. */
static void add_reasons(const struct findings *findings, enum health_code code, const char *what, struct health *health)
{
	char text[FINDING_TEXT_MAX], remedy[REMEDY_MAX];
	size_t said = 0;

	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *finding = &findings->items[i];
		if (finding->may || said++ >= FINDINGS_SAID)
			continue;
		health_add(health, code, "%s", finding_text(finding, text));
		if (owner_remedy(finding, remedy))
			health_fill(health, remedy);
	}
	if (said > FINDINGS_SAID)
		health_add(health, code, "%zu more rule%s of other tables %s flows", said - FINDINGS_SAID,
			   plural(said - FINDINGS_SAID), what);
}

void foreign_reasons(const struct foreign *foreign, struct health *health)
{
	const struct findings *findings = foreign->findings;

	add_reasons(&findings[BLOCKS], HEALTH_BLOCKED, "would stop", health);
	add_reasons(&findings[INTERCEPTIONS], HEALTH_FOREIGN_RULE, "could intercept", health);
	if (findings[INTERCEPTIONS].incomplete || findings[BLOCKS].incomplete)
		health_add(health, HEALTH_FOREIGN_INCOMPLETE,
			   "other tables have too many rules, or rules of an unknown kind: whether they stop or "
			   "intercept flows is not wholly known");
	if (!foreign->read)
		health_add(health, HEALTH_FOREIGN_UNREAD,
			   "the rules of other tables are not looked at yet: whether they stop or intercept flows is "
			   "not known");
	if (foreign->unreadable)
		health_add(health, HEALTH_FOREIGN_UNREADABLE,
			   "the rules of other tables can't be read: whether they stop or intercept flows is not "
			   "known");
}
