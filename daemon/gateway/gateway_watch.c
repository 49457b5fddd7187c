/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/conntrack.h"
#include "gateway/gateway.h"
#include "log.h"
#include "control/report.h"
#include "state_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the gateway does with traffic that is there already: it cuts what the policy denies, and it counts. */

enum {
	MINUTE_USEC = 60 * 1000 * 1000,
	INTERCEPTED_MS = 10 * 60 * 1000, /* health remembers an interception for so long */
	UNOBSERVED_MS = 10 * 60 * 1000,  /* and DNS packets that were too many */
	STATE_MAX = 64 * 1024 * 1024,    /* bytes of a file in the state directory */
};

#define COUNTERS_FILE "counters"

/* Cutting. */

struct cutter {
	struct gateway *gateway;
	const struct policy *policy, *before;
	struct names_view names;
	struct cut_list fresh; /* what is to be remembered of those that are cut */
	int status;
};

static void note_cut(struct cutter *cutter, const struct packet *packet)
{
	struct cut_entry entries[CUT_ENTRIES_MAX];
	size_t count = cut_entries(cutter->policy, packet, now_ms() + CUT_MEMORY_MS, entries);

	for (size_t i = 0; i < count; i++)
		if (cut_list_add(&cutter->fresh, &entries[i]) < 0)
			cutter->status = -ENOMEM;
}

/* A mid-stream packet of what was cut has come through, while the table was not there: it is cut again, as what it was.
 */
static bool was_cut(struct cutter *cutter, const struct packet *packet)
{
	struct cut_entry entries[CUT_ENTRIES_MAX];
	size_t count = cut_entries(cutter->policy, packet, 0, entries);

	for (size_t i = 0; i < count; i++) {
		const struct cut_entry *found = gateway_cut_find(cutter->gateway, &entries[i]);
		if (!found)
			continue;
		struct packet before = cut_packet(found);
		note_cut(cutter, &before);
		return true;
	}
	return false;
}

static bool is_denied(void *userdata, const struct tracked *tracked)
{
	struct cutter *cutter = userdata;
	struct packet packet = tracked->packet;

	/* Who opened a connection that was picked up is not known: it is what the policy took it for that let it in,
	 * and without that it is judged by what would let it in again. */
	packet.mid_stream = tracked->picked_up;
	if (packet.mid_stream && was_cut(cutter, &packet))
		return true;
	if (packet.mid_stream && cutter->before)
		policy_opened(cutter->before, &packet, &packet);
	struct judgement judgement = policy_judge(cutter->policy, &cutter->names, &packet);
	if (judgement.verdict != VERDICT_DENY)
		return false;
	if (packet.mid_stream && judgement.reason == REASON_WRONG_PEER) /* of such a flow's connection, then */
		policy_opened(cutter->policy, &packet, &packet);
	if (packet.protocol == PROTOCOL_TCP)
		note_cut(cutter, &packet);
	return true;
}

/* Their mid-stream packets must find them in the sets as soon as their entries are gone. */
static void remember(void *userdata)
{
	struct cutter *cutter = userdata;

	cut_list_finish(&cutter->fresh);
	gateway_cut_remember(cutter->gateway, &cutter->fresh, cutter->status == 0);
}

size_t gateway_cut(struct gateway *gateway, const char *why, const struct policy *before)
{
	struct cutter cutter = { .gateway = gateway, .policy = &gateway->file.policy, .before = before };
	size_t count = 0;

	if (cutter.policy->mode == MODE_AUDIT || gateway->cleared) {
		gateway->cut_owed = NULL;
		gateway->cut_failed = false;
		return 0;
	}
	int r = gateway_names_held_view(gateway, cutter.policy, &cutter.names);
	if (r == 0) {
		gateway_cut_forget(gateway, &cutter.names);
		r = conntrack_cut(&cutter.policy->protected_all, is_denied, remember, &cutter, &count);
	}
	names_view_free(&cutter.names);
	cut_list_free(&cutter.fresh);
	if (count)
		log_notice("%s: %zu connections that the policy denies were cut", why, count);
	if (r < 0 && !gateway->cut_failed)
		log_error("connections that the policy denies could not all be cut yet: %s", strerror(-r));
	gateway->cut_failed = r < 0;
	gateway->cut_owed = r < 0 ? why : NULL;
	gateway->cut_again = why;
	if (r < 0)
		gateway_retry_soon(gateway);
	return count;
}

/* Counting. */

static void boot_id(char buffer[64])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	snprintf(buffer, 64, "unknown");
	if (!file)
		return;
	if (!fgets(buffer, 64, file))
		snprintf(buffer, 64, "unknown");
	buffer[strcspn(buffer, "\n")] = '\0';
	fclose(file);
}

static void note_interception(struct gateway *gateway)
{
	uint64_t total = gateway_total(gateway, "intercepted");
	char text[FINDING_TEXT_MAX];

	if (total > gateway->intercepted && gateway->started) {
		if (!gateway_is_intercepted(gateway))
			log_warning("connections of the guarded server are intercepted: %s",
				    gateway->findings.count ? finding_text(&gateway->findings.items[0], text)
							    : "another table redirects them");
		gateway->intercepted_ms = now_ms();
	}
	gateway->intercepted = total;
}

static void note_unobserved(struct gateway *gateway)
{
	uint64_t total = gateway_total(gateway, "unobserved");

	if (total > gateway->unobserved && gateway->started) {
		if (!gateway_is_unobserved(gateway))
			log_warning("more DNS queries of the server, or answers to it, than are looked at: names and "
				    "patterns may lack addresses");
		gateway->unobserved_ms = now_ms();
	}
	gateway->unobserved = total;
}

bool gateway_is_unobserved(const struct gateway *gateway)
{
	return gateway->unobserved_ms && now_ms() - gateway->unobserved_ms < UNOBSERVED_MS;
}

bool gateway_is_intercepted(const struct gateway *gateway)
{
	return gateway->intercepted_ms && now_ms() - gateway->intercepted_ms < INTERCEPTED_MS;
}

int gateway_count(struct gateway *gateway)
{
	struct nft_counters counters;

	int r = nft_read_counters(&gateway->nft, &counters);
	for (size_t i = 0; r == 0 && i < counters.count; i++)
		r = totals_see(&gateway->totals, counters.items[i].name, counters.items[i].packets,
			       counters.items[i].bytes);
	free(counters.items);
	note_interception(gateway);
	note_unobserved(gateway);
	return r;
}

uint64_t gateway_total(const struct gateway *gateway, const char *counter)
{
	const struct total *total = totals_find(&gateway->totals, counter);
	return total ? total->packets : 0;
}

uint64_t gateway_denied(const struct gateway *gateway)
{
	static const char *const denials[] = { "denied-in", "denied-out",    "denied-early", "invalid",
					       "spoofed",   "source-routed", "cut" };
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(denials) / sizeof(denials[0]); i++)
		sum += gateway_total(gateway, denials[i]);
	return sum;
}

void gateway_save_counts(struct gateway *gateway)
{
	char boot[64];

	boot_id(boot);
	char *text = totals_text(&gateway->totals, boot);
	int r = text ? state_save(gateway->paths.state, COUNTERS_FILE, text, strlen(text)) : -ENOMEM;
	if (r == 0)
		r = gateway_expect_save(gateway);
	if (r < 0 && !gateway->count_save_failed)
		log_error("can't save the counters in %s: %s", gateway->paths.state, strerror(-r));
	gateway->count_save_failed = r < 0;
	free(text);
}

static void load_counters(struct gateway *gateway)
{
	char boot[64], *text;
	size_t length;

	boot_id(boot);
	int r = state_load(gateway->paths.state, COUNTERS_FILE, STATE_MAX, &text, &length);
	if (r == 0) {
		r = totals_from_text(&gateway->totals, text, boot);
		free(text);
	}
	if (r < 0 && r != -ENOENT)
		log_warning("the counters in %s can't be read, they begin anew: %s", gateway->paths.state,
			    strerror(-r));
}

static void sample(struct gateway *gateway)
{
	if (gateway_count(gateway) < 0)
		return;
	gateway->minute = (gateway->minute + 1) % (DENIAL_MINUTES + 1);
	gateway->denied_minutes[gateway->minute] = gateway_denied(gateway);
	if (gateway->minutes <= DENIAL_MINUTES)
		gateway->minutes++;
}

static int on_minute(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct gateway *gateway = userdata;

	(void)usec;
	sample(gateway);
	gateway_save_counts(gateway);
	gateway_keep_again(gateway);
	gateway_cut_minute(gateway);
	gateway_observe_begin(gateway);
	gateway_names_save(gateway, false);
	report_to_manager(gateway);
	arm_timer(source, MINUTE_USEC);
	return 0;
}

int gateway_watch_begin(struct gateway *gateway)
{
	load_counters(gateway);
	return add_timer(gateway, &gateway->minute_timer, on_minute, MINUTE_USEC);
}

void gateway_watch_started(struct gateway *gateway)
{
	sample(gateway);
	gateway->started = true;
	gateway_save_counts(gateway);
}

void gateway_watch_end(struct gateway *gateway)
{
	if (gateway->minutes) {
		gateway_count(gateway);
		gateway_save_counts(gateway);
	}
	totals_free(&gateway->totals);
}
