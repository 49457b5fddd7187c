/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/counts.h"
#include "clock.h"
#include "core/compile.h"
#include "core/hour.h"
#include "core/lines.h"
#include "core/totals.h"
#include "log.h"
#include "nft/read.h"
#include "state_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RECENT_MS = 10 * 60 * 1000,   /* health remembers for so long that a counter grew */
	STATE_MAX = 64 * 1024 * 1024, /* bytes of the file in the state directory */
};

#define COUNTERS_FILE "counters"

/* A counter of what should not happen. */
struct alarm {
	uint64_t packets; /* its value last time */
	int64_t grown_ms; /* when it last grew; 0: never, or what made it grow is gone */
};

struct counts {
	struct nft_socket *socket;
	const char *state;
	struct counts_events events;
	void *userdata;
	struct totals totals;
	struct alarm intercepted, unobserved;
	bool started; /* a first sample was tried: from then on growth is news */
	bool save_failed;
	bool sampled;
	struct hour denied;
};

static void load(struct counts *counts)
{
	char boot[STATE_BOOT_MAX], *text;
	size_t length;

	state_boot_id(boot);
	int r = state_load(counts->state, COUNTERS_FILE, STATE_MAX, &text, &length);
	if (r == 0) {
		r = totals_from_text(&counts->totals, text, boot);
		if (r == 0)
			hour_read(&counts->denied, text, boot, now_ms(), wall_s());
		free(text);
	}
	if (r < 0 && r != -ENOENT)
		log_warning("the counters in %s can't be read, they begin anew: %s", counts->state, strerror(-r));
}

int counts_new(struct counts **ret, struct nft_socket *socket, const char *state, const struct counts_events *events,
	       void *userdata)
{
	struct counts *counts = calloc(1, sizeof(*counts));

	if (!counts)
		return -ENOMEM;
	*counts = (struct counts){ .socket = socket, .state = state, .events = *events, .userdata = userdata };
	load(counts);
	*ret = counts;
	return 0;
}

void counts_free(struct counts *counts)
{
	if (!counts)
		return;
	totals_free(&counts->totals);
	free(counts);
}

uint64_t counts_packets(const struct counts *counts, const char *counter)
{
	const struct total *total = totals_find(&counts->totals, counter);
	return total ? total->packets : 0;
}

static bool is_recent(const struct alarm *alarm)
{
	return alarm->grown_ms && now_ms() - alarm->grown_ms < RECENT_MS;
}

/* Whether it has begun to grow: it did, and had not lately. */
static bool begins(const struct counts *counts, struct alarm *alarm, const char *counter)
{
	uint64_t packets = counts_packets(counts, counter);
	bool grew = packets > alarm->packets && counts->started, fresh = grew && !is_recent(alarm);

	if (grew)
		alarm->grown_ms = now_ms();
	alarm->packets = packets;
	return fresh;
}

int counts_read(struct counts *counts)
{
	struct nft_counters found;

	int r = nft_read_counters(counts->socket, &found);
	for (size_t i = 0; r == 0 && i < found.count; i++)
		r = totals_see(&counts->totals, found.items[i].name, found.items[i].packets, found.items[i].bytes);
	free(found.items);
	if (begins(counts, &counts->intercepted, "intercepted"))
		counts->events.intercepted(counts->userdata);
	if (begins(counts, &counts->unobserved, "unobserved"))
		log_warning("more DNS queries of the server, or answers to it, than are looked at: names and patterns "
			    "may lack addresses");
	return r;
}

void counts_restart(struct counts *counts)
{
	totals_restart(&counts->totals);
}

void counts_sample(struct counts *counts)
{
	int r = counts_read(counts);

	counts->started = true;
	if (r < 0)
		return;
	counts->sampled = true;
	hour_sample(&counts->denied, counts_denied(counts), now_ms());
}

bool counts_sampled(const struct counts *counts)
{
	return counts->sampled;
}

static char *saved_text(const struct counts *counts)
{
	char boot[STATE_BOOT_MAX], *all = NULL;
	size_t length;

	state_boot_id(boot);
	char *totals = totals_text(&counts->totals, boot);
	FILE *out = totals ? open_memstream(&all, &length) : NULL;
	if (out) {
		fputs(totals, out);
		hour_write(out, &counts->denied, boot, now_ms(), wall_s());
		all = lines_end(out, &all);
	}
	free(totals);
	return all;
}

int counts_save(struct counts *counts)
{
	char *text = saved_text(counts);
	int r = text ? state_save(counts->state, COUNTERS_FILE, text, strlen(text)) : -ENOMEM;
	if (r < 0 && !counts->save_failed)
		log_error("can't save the counters in %s: %s", counts->state, strerror(-r));
	counts->save_failed = r < 0;
	free(text);
	return r;
}

uint64_t counts_denied(const struct counts *counts)
{
	static const char *const denials[] = { "denied-in", "denied-out",    "denied-early", "invalid",
					       "spoofed",   "source-routed", "cut" };
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(denials) / sizeof(denials[0]); i++)
		sum += counts_packets(counts, denials[i]);
	return sum;
}

uint64_t counts_denied_last_hour(const struct counts *counts)
{
	return hour_growth(&counts->denied, counts_denied(counts), now_ms());
}

void counts_forget_interception(struct counts *counts)
{
	counts_read(counts);
	counts->intercepted.grown_ms = 0;
}

void counts_reasons(const struct counts *counts, struct health *health)
{
	if (is_recent(&counts->intercepted))
		health_add(health, HEALTH_INTERCEPTED,
			   "connections of the server are intercepted by another table: %llu so far",
			   (unsigned long long)counts->intercepted.packets);
	if (is_recent(&counts->unobserved))
		health_add(health, HEALTH_UNOBSERVED,
			   "more DNS packets of the server than are looked at (%d a second): %llu so far were not: "
			   "names and patterns may lack addresses",
			   OBSERVED_A_SECOND, (unsigned long long)counts->unobserved.packets);
	if (counts->save_failed) {
		health_add(health, HEALTH_STATE_UNSAVED, "the counters can't be saved in %s", counts->state);
		health_fill(health, counts->state);
	}
}
