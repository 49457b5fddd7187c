/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/grants.h"
#include "clock.h"
#include "log.h"
#include "state_file.h"
#include "timer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 256 * 1024 }; /* bytes; those that there may be have half of that */

struct grants {
	const char *state;
	struct grants_events events;
	void *userdata;
	struct grant_list list;
	struct timer *timer;
	char boot[STATE_BOOT_MAX]; /* "": not known */
	bool save_failed;          /* the last time */
	bool none_saved;           /* since then */
	bool unsaved;              /* some were taken out by grants_take_due() */
};

static void log_ended_meanwhile(struct grants *grants)
{
	char address[ADDR_TEXT_MAX];
	struct grant grant;

	while (grants_take_ended(&grants->list, now_ms(), &grant))
		log_notice("a grant ended while spefwd did not run: %s, %s, granted by %s", grant.flow,
			   addr_format(&grant.addr, address), grant.by);
}

static int load(struct grants *grants)
{
	bool damaged = false;
	size_t length;
	char *text;

	int r = state_load(grants->state, GRANTS_FILE, FILE_MAX, &text, &length);
	if (r == 0) {
		r = grants_from_text(&grants->list, text, grants->boot, now_ms(), wall_s(), &damaged);
		free(text);
	}
	if (r == -ENOMEM)
		return r;
	if (damaged)
		log_warning("the grants in %s are not whole: those that can't be read have ended", grants->state);
	else if (r < 0 && r != -ENOENT)
		log_warning("the grants in %s can't be read, and have ended: %s", grants->state, strerror(-r));
	log_ended_meanwhile(grants);
	return 0;
}

static void set_timer(struct grants *grants)
{
	int64_t end = grants_next_end(&grants->list);

	if (end == INT64_MAX)
		timer_stop(grants->timer);
	else
		timer_set_at(grants->timer, end);
}

static void on_timer(void *userdata)
{
	struct grants *grants = userdata;
	grants->events.due(grants->userdata);
}

int grants_new(struct grants **ret, sd_event *event, const char *state, const struct grants_events *events,
	       void *userdata)
{
	struct grants *grants = calloc(1, sizeof(*grants));

	if (!grants)
		return -ENOMEM;
	*grants = (struct grants){ .state = state, .events = *events, .userdata = userdata };
	state_boot_id(grants->boot);
	if (strcmp(grants->boot, "unknown") == 0)
		grants->boot[0] = '\0';
	int r = timer_new(&grants->timer, event, SD_EVENT_PRIORITY_NORMAL, on_timer, grants);
	if (r >= 0)
		r = load(grants);
	if (r < 0) {
		grants_free_list(&grants->list);
		timer_free(grants->timer);
		free(grants);
		return r;
	}
	set_timer(grants);
	*ret = grants;
	return 0;
}

const struct grant_list *grants_list(const struct grants *grants)
{
	return &grants->list;
}

static void save(struct grants *grants)
{
	char *text = grants_text(&grants->list, grants->boot, now_ms());
	int r = text ? state_save(grants->state, GRANTS_FILE, text, strlen(text)) : -ENOMEM;

	free(text);
	if (r < 0 && !grants->save_failed)
		log_error("can't save the grants in %s: %s", grants->state, strerror(-r));
	grants->save_failed = r < 0;
	grants->none_saved &= r < 0;
	grants->unsaved = false;
}

static void changed(struct grants *grants, bool less)
{
	save(grants);
	/* What was taken away must not come back with the next start. A full disk has no room to say so, but a file can
	 * be removed from it. */
	if (less && grants->save_failed && state_remove(grants->state, GRANTS_FILE) == 0)
		grants->none_saved = true;
	set_timer(grants);
}

int grants_give(struct grants *grants, const struct grant *given, int64_t for_s, struct grant *ret,
		struct grant *ret_before)
{
	const struct grant *before = grant_find(&grants->list, given->flow, &given->addr);

	*ret_before = before ? *before : (struct grant){ 0 };
	*ret = *given;
	ret->given_s = wall_s();
	ret->until_s = ret->given_s + for_s;
	ret->end_ms = now_ms() + for_s * 1000;
	bool less = before && ret->end_ms < before->end_ms;
	int r = grant_put(&grants->list, ret);
	if (r == 0)
		changed(grants, less);
	return r;
}

void grants_undo(struct grants *grants, const struct grant *given, const struct grant *before)
{
	if (before->flow[0])
		grant_put(&grants->list, before); /* in the other one's place */
	else
		grant_take(&grants->list, given->flow, &given->addr, NULL);
	changed(grants, true);
}

bool grants_revoke(struct grants *grants, const char *flow, const struct addr *addr, struct grant *ret)
{
	if (!grant_take(&grants->list, flow, addr, ret))
		return false;
	changed(grants, true);
	return true;
}

void grants_revoke_all(struct grants *grants)
{
	if (!grants->list.count)
		return;
	grants->list.count = 0;
	changed(grants, true);
}

bool grants_take_due(struct grants *grants, struct grant *ret)
{
	if (grants_take_ended(&grants->list, now_ms(), ret)) {
		grants->unsaved = true;
		return true;
	}
	if (grants->unsaved)
		save(grants);
	set_timer(grants);
	return false;
}

void grants_minute(struct grants *grants)
{
	bool sooner = grants_see_clock(&grants->list, now_ms(), wall_s());

	if (grants->list.count || grants->save_failed)
		save(grants);
	if (sooner)
		grants->events.due(grants->userdata);
	else
		set_timer(grants);
}

void grants_reasons(const struct grants *grants, struct health *health)
{
	if (!grants->save_failed)
		return;
	health_add(health, HEALTH_GRANTS_UNSAVED, "the grants can't be saved in %s: after a restart %s", grants->state,
		   grants->none_saved ? "there are none" : "they are as they were when they last could");
	health_fill(health, grants->state);
}

void grants_free(struct grants *grants)
{
	if (!grants)
		return;
	if (grants->list.count || grants->unsaved || grants->save_failed)
		save(grants);
	grants_free_list(&grants->list);
	timer_free(grants->timer);
	free(grants);
}
