/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clock.h"
#include "gateway/foreign_parts.h"
#include "net/way.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What other tables do to single packets that somebody asks about. They are read anew for it: nothing of them is kept.
 * All that wait share one look. */

enum {
	WAITING_MAX = 16,
	SHARE = 4, /* who asks all the time has a fourth of the processor's time for it at most */
};

struct waiting {
	void *waiter; /* NULL: nobody any more */
	struct foreign_packet packet;
	char in[CONFIG_INTERFACE_MAX + 1], out[CONFIG_INTERFACE_MAX + 1];
	struct findings found;
};

struct explanations {
	struct foreign_events events;
	void *userdata;
	const struct policy *policy; /* NULL: none now */
	struct waiting waiting[WAITING_MAX];
	size_t count;
	size_t looked_for; /* the first so many are those that the look is for */
	size_t next;       /* of them: whose packet is judged */
	struct look *look; /* NULL: none */
	struct timer *timer;
	int64_t ended_ms, took_ms; /* of the last look */
};

static void end_look(struct explanations *e)
{
	look_free(e->look);
	e->look = NULL;
	for (size_t i = 0; i < e->count; i++)
		findings_free(&e->waiting[i].found);
	e->next = 0;
}

/* The interfaces by their names in the entry itself, which may have moved. */
static void point_ways(struct waiting *waiting)
{
	waiting->packet.in = (struct interface_list){ &waiting->in, *waiting->in != '\0' };
	waiting->packet.out = (struct interface_list){ &waiting->out, *waiting->out != '\0' };
}

/* They leave the list before anybody hears of it: who hears may ask again. */
static void finish(struct explanations *e, int r)
{
	struct waiting done[WAITING_MAX];
	size_t count = e->looked_for;

	memcpy(done, e->waiting, count * sizeof(*done));
	memmove(e->waiting, e->waiting + count, (e->count - count) * sizeof(*done));
	e->count -= count;
	e->looked_for = 0;
	for (size_t i = 0; i < e->count; i++)
		point_ways(&e->waiting[i]);
	end_look(e);
	e->ended_ms = now_ms();
	for (size_t i = 0; i < count; i++) {
		if (done[i].waiter)
			e->events.explained(e->userdata, done[i].waiter, r, &done[i].found);
		findings_free(&done[i].found);
	}
}

static int go_on(struct explanations *e)
{
	int r = look_read(e->look);

	if (r != 0 || e->next == e->looked_for)
		return r;
	struct waiting *waiting = &e->waiting[e->next];
	r = waiting->waiter ? look_judge(e->look, 0, &waiting->packet, &waiting->found) : 0;
	e->next += r == 0;
	return r < 0 ? r : r > 0 || e->next < e->looked_for;
}

static void slice(struct explanations *e, int64_t ms)
{
	int64_t began = processor_ms(), now = began;
	int r = 1;

	for (; r > 0 && now - began < ms; now = processor_ms())
		r = go_on(e);
	e->took_ms += now - began;
	if (r > 0)
		timer_set(e->timer, PAUSE_MS);
	else
		finish(e, r);
}

static void set_timer(struct explanations *e)
{
	int64_t wait = e->ended_ms + e->took_ms * SHARE - now_ms();

	if (e->count && e->policy && !e->look)
		timer_set(e->timer, wait > 0 ? wait : 0);
}

static void on_timer(void *userdata)
{
	struct explanations *e = userdata;
	bool fresh = !e->look;

	if (!e->policy)
		return;
	if (fresh) {
		e->looked_for = e->count;
		e->took_ms = 0;
		int r = look_new(&e->look, &e->events, e->userdata, e->policy);
		if (r < 0)
			finish(e, r);
	}
	if (e->look)
		slice(e, fresh ? FIRST_SLICE_MS : SLICE_MS);
	set_timer(e);
}

int explanations_new(struct explanations **ret, sd_event *event, const struct foreign_events *events, void *userdata)
{
	struct explanations *e = calloc(1, sizeof(*e));

	*ret = NULL;
	if (!e)
		return -ENOMEM;
	*e = (struct explanations){ .events = *events, .userdata = userdata };
	int r = timer_new(&e->timer, event, PRIORITY, on_timer, e);
	if (r < 0)
		free(e);
	else
		*ret = e;
	return r;
}

void explanations_free(struct explanations *e)
{
	if (!e)
		return;
	end_look(e);
	timer_free(e->timer);
	free(e);
}

void explanations_set_policy(struct explanations *e, const struct policy *policy)
{
	if (policy == e->policy) /* whoever alters it has taken it away before */
		return;
	end_look(e);
	e->looked_for = 0;
	timer_stop(e->timer);
	e->policy = policy;
	set_timer(e);
}

int foreign_explain_packet(struct foreign *foreign, const struct foreign_packet *packet, void *waiter)
{
	struct explanations *e = foreign_explanations(foreign);

	if (e->count == WAITING_MAX)
		return -EBUSY;
	struct waiting *waiting = &e->waiting[e->count];
	*waiting = (struct waiting){ .waiter = waiter, .packet = *packet };
	int r = net_way_of(&packet->source, waiting->in);
	if (r == 0)
		r = net_way_of(&packet->target, waiting->out);
	if (r < 0)
		return r;
	point_ways(waiting);
	e->count++;
	set_timer(e);
	return 0;
}

void foreign_forget_waiter(struct foreign *foreign, const void *waiter)
{
	struct explanations *e = foreign_explanations(foreign);

	for (size_t i = 0; i < e->count; i++)
		if (e->waiting[i].waiter == waiter)
			e->waiting[i].waiter = NULL;
}
