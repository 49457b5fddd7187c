/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clock.h"
#include "gateway/usage_parts.h"
#include "log.h"
#include "state_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
	GAP_MS = 10 * 60 * 1000, /* more at once, and nobody was there to watch */
	/* A large record is saved more rarely: about a kilobyte a second at most. */
	SAVE_MS = 60 * 1000,
	SAVE_BYTES = 64 * 1024,
};

#define RECORD_FILE "record"

static void load(struct usage *usage)
{
	char boot[STATE_BOOT_MAX], *text;
	uint64_t seed = 0;
	size_t length;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) < 0)
		seed = (uint64_t)now_ms();
	record_init(&usage->record, seed);
	state_boot_id(boot);
	int r = state_load(usage->state, RECORD_FILE, RECORD_TEXT_MAX, &text, &length);
	if (r == 0) {
		r = record_from_text(&usage->record, text, boot, &usage->resumed);
		free(text);
	}
	if (r < 0 && r != -ENOENT)
		log_warning("the record of who used what can't be read in %s, it begins anew: %s", usage->state,
			    strerror(-r));
}

/* At once, and at each start: a file of former times must not stay. */
static void forget(struct usage *usage)
{
	record_free(&usage->record);
	if (usage->not_recorded)
		return;
	int r = state_remove(usage->state, RECORD_FILE);
	if (r < 0)
		log_error("the record of who used what can't be removed from %s: %s", usage->state, strerror(-r));
	usage->not_recorded = r == 0;
}

void usage_follow_record(struct usage *usage)
{
	bool wanted = usage->policy->record;

	if (wanted && !usage->recording)
		load(usage);
	else if (!wanted)
		forget(usage);
	usage->not_recorded &= !wanted;
	usage->recording = wanted;
	usage->passed_ms = usage->passed_ms ? usage->passed_ms : now_ms();
}

int usage_note(struct usage *usage, const char *flow, const struct packet *opened, bool is_new)
{
	bool inbound = policy_protected_role(usage->policy, &opened->target);
	struct record_peer peer = { inbound ? opened->source : opened->target, opened->protocol, opened->target_port };

	if (!usage->recording)
		return 0;
	usage->record_changed = true;
	return record_connection(&usage->record, flow, &peer, is_new, wall_s());
}

int usage_denied(struct usage *usage, const char *flow, const struct record_peer *peer, uint64_t packets)
{
	if (!usage->recording)
		return 0;
	usage->record_changed = true;
	return record_denied(&usage->record, flow, peer, packets, wall_s());
}

void usage_pass_record(struct usage *usage)
{
	int64_t now = now_ms(), passed = now - usage->passed_ms;

	usage->passed_ms = now;
	if (usage->recording && !usage->removed)
		record_pass(&usage->record, passed < GAP_MS ? passed : GAP_MS, wall_s());
}

static int save_record(struct usage *usage)
{
	char boot[STATE_BOOT_MAX];

	state_boot_id(boot);
	char *text = record_text(&usage->record, boot);
	size_t length = text ? strlen(text) : 0;
	int r = !text                      ? -ENOMEM
		: length > RECORD_TEXT_MAX ? -EFBIG
					   : state_save(usage->state, RECORD_FILE, text, length);
	free(text);
	if (r == 0)
		usage->saved_length = length;
	return r;
}

int usage_save_record(struct usage *usage, bool ending)
{
	int64_t now = now_ms(), pause = SAVE_MS * (int64_t)(1 + usage->saved_length / SAVE_BYTES);

	if (!usage->recording || !usage->record_changed)
		return 0;
	if (!ending && usage->saved_ms && now - usage->saved_ms < pause)
		return 0;
	int r = save_record(usage);
	if (r < 0 && !usage->record_save_failed)
		log_error("can't save the record of who used what in %s: %s", usage->state, strerror(-r));
	usage->record_save_failed = r < 0;
	usage->record_changed = r < 0;
	usage->saved_ms = now;
	return r;
}

const struct record *usage_record(const struct usage *usage)
{
	return usage->recording ? &usage->record : NULL;
}
