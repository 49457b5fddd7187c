/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/config_store.h"
#include "clock.h"
#include "core/diag.h"
#include "gateway/generation.h"
#include "gateway/kept.h"
#include "log.h"
#include "state_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config_store {
	const char *path, *state;
	struct policy_file file;    /* in force, and the files it came from */
	struct policy_file refused; /* the files that were read last, where they were not good; no policy */
	struct policy_file passed;  /* files on disk that are not taken, since they were taken back; no policy */
	struct generation generation;
	struct kept kept;
	bool in_force;  /* the kernel has held it, or an earlier one of this daemon's */
	bool from_kept; /* since the start it is a copy from the state directory */
	bool unkept;    /* there was no memory to keep it */
	/* Until the first policy is in force: what comes into the history then. */
	struct archive arriving;
	enum history_how arriving_how;
	char arriving_by[HISTORY_BY_MAX];
};

int config_store_new(struct config_store **ret, const char *path, const char *state)
{
	struct config_store *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	*store = (struct config_store){ .path = path, .state = state, .generation = generation_load(state) };
	kept_load(&store->kept, state);
	*ret = store;
	return 0;
}

void config_store_free(struct config_store *store)
{
	if (!store)
		return;
	policy_file_free(&store->file);
	policy_file_free(&store->refused);
	policy_file_free(&store->passed);
	archive_free(&store->arriving);
	kept_free(&store->kept);
	free(store);
}

void diags_log(const struct diags *diags)
{
	for (size_t i = 0; i < diags->count; i++) {
		char *text = diag_format(&diags->items[i]);
		if (text)
			log_message(diags->items[i].severity == DIAG_ERROR ? LOG_ERR : LOG_WARNING, "%s", text);
		free(text);
	}
}

void config_store_save(struct config_store *store)
{
	if (!store->in_force)
		return;
	generation_save(&store->generation);
	kept_save(&store->kept);
}

/* The same files as before, and still, are no news. */
static int add_to_history(struct config_store *store, const struct archive *archive, const struct history_entry *origin)
{
	const struct history_entry *last = history_last(&store->kept.history);
	uint64_t files = policy_file_hash(&store->file);
	struct history_entry entry = *origin;

	if (last && last->files == files && last->generation == store->generation.number &&
	    store->kept.stage != KEPT_ARMED)
		return !archive || kept_check(&store->kept, files) == 0 ? 0 : kept_renew(&store->kept, files, archive);
	entry.generation = store->generation.number;
	entry.files = files;
	entry.wall_s = wall_s();
	return kept_add(&store->kept, &entry, archive);
}

/* What was in force last, with the files it names, is kept: a reboot with a broken file must not leave the server open.
 */
void config_store_keep(struct config_store *store, const struct archive *archive, const struct history_entry *origin)
{
	int r = add_to_history(store, archive, origin);

	store->unkept = r < 0;
	if (r < 0)
		log_error("out of memory: the configuration is not kept in %s", store->state);
	store->kept.changed |= history_take_again(&store->kept.history, policy_file_hash(&store->file));
	config_store_save(store);
}

void config_store_set_in_force(struct config_store *store)
{
	struct history_entry origin = { .how = store->arriving_how };

	if (store->in_force)
		return;
	uint64_t files = policy_file_hash(&store->file);
	store->in_force = true;
	generation_set(&store->generation, files, files != store->generation.files);
	memcpy(origin.by, store->arriving_by, sizeof(origin.by));
	config_store_keep(store, store->arriving.count ? &store->arriving : NULL, &origin);
	archive_free(&store->arriving);
}

bool config_store_is_in_force(const struct config_store *store)
{
	return store->in_force;
}

/* Only files of this path may serve for it. */
static int load_kept(struct config_store *store, uint64_t files)
{
	struct archive archive = { 0 };
	struct diags diags = { 0 };

	int r = kept_read(&store->kept, files, &archive);
	/* Its warnings were logged when it was new; what of it is this gateway's own address by now will be left out.
	 */
	if (r == 0)
		r = policy_file_load(&store->file, store->path, &(struct policy_source){ .archive = &archive }, &diags);
	diags_free(&diags);
	if (r < 0) {
		archive_free(&archive);
		return r;
	}
	/* Where the history was damaged, it is to be kept anew. */
	archive_free(&store->arriving);
	store->arriving = archive;
	store->from_kept = true;
	return 0;
}

/* The history is damaged: the newest files that can be read were in force, or were to be. */
static int load_newest(struct config_store *store)
{
	int64_t written_ns = INT64_MAX;
	uint64_t files;
	int r = -ENOENT;

	while (r < 0 && kept_newest(&store->kept, &written_ns, &files))
		r = load_kept(store, files);
	return r;
}

static int load_last_good(struct config_store *store)
{
	const struct history_entry *good = history_good(&store->kept.history);

	int r = good ? load_kept(store, good->files) : store->kept.damaged ? load_newest(store) : -ENOENT;
	if (r < 0 && r != -ENOENT)
		log_error("the last good configuration in %s can't be used either: %s", store->state, strerror(-r));
	return r;
}

/* The start after a reload that waited for confirm. True: what serves is loaded. */
static bool load_waiting(struct config_store *store)
{
	struct kept *kept = &store->kept;
	const struct waiting *waiting = &kept->waiting;
	int64_t left_ms = config_store_left_ms(store);
	char boot[STATE_BOOT_MAX];

	if (kept->stage == KEPT_WAITS && left_ms > 0 && load_kept(store, waiting->files) == 0) {
		state_boot_id(boot);
		kept_restart_clock(kept, boot, left_ms, now_ms(), wall_s());
		log_notice("the change by %s waits for confirm: it is undone in %" PRId64 " s", waiting->by,
			   (left_ms + 999) / 1000);
		return true;
	}
	bool undone = load_kept(store, waiting->before) == 0;
	if (undone) {
		store->arriving_how = HISTORY_UNDO;
		snprintf(store->arriving_by, sizeof(store->arriving_by), "%s", waiting->by);
		history_take_back(&kept->history, waiting->files, HISTORY_UNDONE);
		log_warning("the change by %s is undone: it was not confirmed in time", waiting->by);
	} else {
		log_error("the change by %s can't be undone: the configuration before is damaged in %s", waiting->by,
			  store->state);
	}
	kept_set_over(kept);
	return undone;
}

/* What serves instead of the file on disk, which has no sources where it is bad. -ENOENT: nothing has to. */
static int load_instead(struct config_store *store, const struct policy_file *disk)
{
	bool bad = !disk->sources.count;
	enum history_why why = bad ? HISTORY_NOT_TAKEN_BACK : history_why(&store->kept.history, policy_file_hash(disk));

	if ((store->kept.stage == KEPT_ARMED || store->kept.stage == KEPT_WAITS) && load_waiting(store))
		return 0;
	if (!bad && !why)
		return -ENOENT;
	int r = load_last_good(store);
	if (r == 0 && bad)
		log_error("%s can't be used: the last good configuration is in force", store->path);
	else if (r == 0)
		log_warning("%s was %s: the configuration before it is in force", store->path,
			    why == HISTORY_UNDONE ? "undone" : "rolled back from");
	return r;
}

int config_store_load(struct config_store *store, const struct ranges *own)
{
	struct archive archive = { 0 };
	struct diags diags = { 0 };
	bool changed;

	struct policy_source source = { .copy = &archive, .gateway = own, .refused = &store->refused };
	int r = policy_file_load(&store->file, store->path, &source, &diags);
	diags_log(&diags);
	diags_free(&diags);
	if (r == 0 || r == -EINVAL) {
		struct policy_file disk = store->file;
		store->file = (struct policy_file){ 0 };
		if (load_instead(store, &disk) == 0) {
			policy_free(&disk.policy);
			store->passed = disk;
			r = 0;
		} else if (r == 0) {
			store->file = disk;
			store->arriving = archive; /* into the history, once it is in force */
			archive = (struct archive){ 0 };
		}
	}
	archive_free(&archive);
	return r < 0 ? r : config_store_leave_out(store, own, &changed);
}

int config_store_read(struct config_store *store, struct config_candidate *ret, const struct ranges *own,
		      struct diags *diags)
{
	struct policy_source source = { .copy = &ret->archive, .gateway = own, .refused = &store->refused };
	bool changed;

	*ret = (struct config_candidate){ .archive = { 0 } };
	policy_file_free(&store->refused);
	int r = policy_file_load(&ret->file, store->path, &source, diags);
	if (r == 0)
		r = policy_leave_out(&ret->file.policy, own, &changed);
	if (r < 0)
		config_candidate_free(ret);
	return r;
}

int config_store_look(const struct config_store *store, struct config_candidate *ret, const struct archive *files,
		      const struct ranges *own, struct diags *diags)
{
	struct policy_source source = { .archive = files, .gateway = own };
	bool changed;

	*ret = (struct config_candidate){ .archive = { 0 } };
	int r = policy_file_load(&ret->file, files ? files->items[0].path : store->path, &source, diags);
	if (r == 0)
		r = policy_leave_out(&ret->file.policy, own, &changed);
	if (r < 0)
		config_candidate_free(ret);
	return r;
}

void config_candidate_free(struct config_candidate *candidate)
{
	policy_file_free(&candidate->file);
	archive_free(&candidate->archive);
}

void config_store_take(struct config_store *store, struct config_candidate *candidate, bool another)
{
	bool from_kept = !candidate->archive.count;
	uint64_t files = policy_file_hash(&candidate->file);
	bool moved = store->in_force ? another || !store->generation.files : files != store->generation.files;

	generation_set(&store->generation, files, moved);
	struct policy_file before = store->file;

	store->file = candidate->file;
	candidate->file = before;
	store->in_force = true;
	store->from_kept = from_kept;
	store->kept.waiting_damaged = false;
	archive_free(&store->arriving);
}

/* These files stay on disk, and are not to be taken at the next start. */
void config_store_take_back(struct config_store *store, struct config_candidate *former, enum history_why why)
{
	struct history *history = &store->kept.history;
	bool known = store->passed.sources.count && history_why(history, policy_file_hash(&store->passed)) &&
		     policy_file_unchanged(&store->passed);

	store->kept.changed |= history_take_back(history, policy_file_hash(&former->file), why);
	if (known)
		return;
	policy_file_free(&store->passed);
	policy_free(&former->file.policy);
	store->passed = former->file;
	former->file = (struct policy_file){ 0 };
}

int config_store_arm(struct config_store *store, const struct config_candidate *candidate, const char *by,
		     int64_t after_ms)
{
	const struct history_entry *last = history_last(&store->kept.history);
	uint64_t before = policy_file_hash(&store->file);
	struct waiting waiting = { .id = kept_next_id(&store->kept),
				   .files = policy_file_hash(&candidate->file),
				   .before = before,
				   .since_ms = now_ms(),
				   .due_ms = now_ms() + after_ms,
				   .since_wall_s = wall_s() };

	config_store_save(store);
	if (!store->in_force || !last || last->files != before || !kept_has(&store->kept, before))
		return store->kept.save_error ? store->kept.save_error : -ENODATA;
	int r = kept_check(&store->kept, before);
	if (r < 0)
		return r;
	snprintf(waiting.by, sizeof(waiting.by), "%s", by);
	state_boot_id(waiting.boot);
	return kept_arm(&store->kept, &waiting, &candidate->archive);
}

void config_store_disarm(struct config_store *store)
{
	if (kept_disarm(&store->kept) < 0)
		kept_set_over(&store->kept);
}

int config_store_confirm(struct config_store *store)
{
	return config_store_waiting(store) ? kept_disarm(&store->kept) : -ENOENT;
}

void config_store_set_undone(struct config_store *store)
{
	kept_set_over(&store->kept);
}

const struct waiting *config_store_waiting(const struct config_store *store)
{
	enum kept_stage stage = store->kept.stage;
	return stage == KEPT_ARMED || stage == KEPT_WAITS ? &store->kept.waiting : NULL;
}

int64_t config_store_left_ms(const struct config_store *store)
{
	const struct waiting *waiting = config_store_waiting(store);
	char boot[STATE_BOOT_MAX];

	if (!waiting)
		return 0;
	state_boot_id(boot);
	return waiting_left_ms(waiting, boot, now_ms(), wall_s());
}

const struct history *config_store_history(const struct config_store *store)
{
	return &store->kept.history;
}

int config_store_read_kept(struct config_store *store, uint64_t files, struct config_candidate *ret,
			   const struct ranges *own, struct diags *diags)
{
	struct archive archive = { 0 };

	bool changed;

	*ret = (struct config_candidate){ .archive = { 0 } };
	int r = kept_read(&store->kept, files, &archive);
	if (r == 0 && !archive.count)
		r = -EBADMSG;
	/* It was good once: what of it is the gateway's own by now is left out, as in the policy in force. */
	if (r == 0)
		r = policy_file_load(&ret->file, archive.items[0].path, &(struct policy_source){ .archive = &archive },
				     diags);
	if (r == 0)
		r = policy_leave_out(&ret->file.policy, own, &changed);
	if (r < 0)
		config_candidate_free(ret);
	archive_free(&archive);
	return r;
}

/* The same files count once. */
static bool is_repeated(const struct history *history, size_t index)
{
	for (size_t i = index + 1; i < history->count; i++)
		if (history->entries[i].files == history->entries[index].files)
			return true;
	return false;
}

int config_store_read_earlier(struct config_store *store, size_t number, struct config_candidate *ret,
			      const struct ranges *own)
{
	const struct history *history = &store->kept.history;
	uint64_t files = policy_file_hash(&store->file);
	struct diags diags = { 0 };
	int r = -ENOENT;

	*ret = (struct config_candidate){ .archive = { 0 } };
	for (size_t i = history->count; i-- > 0;) {
		const struct history_entry *entry = &history->entries[i];
		if (!entry->bytes || entry->files == files || is_repeated(history, i) ||
		    history_why(history, entry->files) || number-- > 0)
			continue;
		r = config_store_read_kept(store, entry->files, ret, own, &diags);
		break;
	}
	diags_free(&diags);
	return r;
}

int config_store_open(const struct config_store *store)
{
	return kept_open(&store->kept, policy_file_hash(&store->file));
}

void config_store_clear(struct config_store *store)
{
	struct kept *kept = &store->kept;

	if (config_store_waiting(store)) {
		kept->changed |= history_take_back(&kept->history, kept->waiting.files, HISTORY_UNDONE);
		kept_set_over(kept);
		kept_save(kept);
	}
	generation_set(&store->generation, 0, store->generation.files);
	generation_save(&store->generation);
}

uint64_t config_store_generation(const struct config_store *store)
{
	return store->generation.number;
}

const struct policy_file *config_store_file(const struct config_store *store)
{
	return &store->file;
}

const struct policy *config_store_policy(const struct config_store *store)
{
	return &store->file.policy;
}

int config_store_leave_out(struct config_store *store, const struct ranges *own, bool *ret_changed)
{
	return policy_leave_out(&store->file.policy, own, ret_changed);
}

/* What is on disk, as it is now. A file that would be refused is no match, though it may be what is in force. */
static bool is_refused(const struct config_store *store)
{
	return store->refused.sources.count && policy_file_unchanged(&store->refused);
}

bool config_store_matches_disk(const struct config_store *store)
{
	return !is_refused(store) && policy_file_unchanged(&store->file);
}

static void disk_reason(const struct config_store *store, struct health *health)
{
	bool refused = is_refused(store);

	if (!refused && policy_file_unchanged(&store->file))
		return;
	const char *missing = policy_file_missing(refused ? &store->refused : &store->file);
	const char *serves = store->from_kept ? "a kept copy is in force" : "the old policy stays in force";
	enum history_why why = store->passed.sources.count
				       ? history_why(&store->kept.history, policy_file_hash(&store->passed))
				       : HISTORY_NOT_TAKEN_BACK;
	if (missing) {
		health_add(health, HEALTH_CONFIG_MISSING, "%s is missing: %s", missing, serves);
		health_fill(health, missing);
	} else if (refused) {
		health_add(health, HEALTH_CONFIG_REFUSED, "%s was refused: %s", store->path, serves);
	} else if (why && policy_file_unchanged(&store->passed)) {
		health_add(health, HEALTH_CONFIG_TAKEN_BACK,
			   why == HISTORY_UNDONE
				   ? "%s was undone, since nobody confirmed it: the one before is in force"
				   : "%s was rolled back from: an earlier one is in force",
			   store->path);
		health_fill(health, store->path);
	} else if (store->from_kept) {
		health_add(health, HEALTH_CONFIG_KEPT, "a kept copy of %s is in force, not as on disk", store->path);
	} else {
		health_add(health, HEALTH_CONFIG_CHANGED, "%s was changed and is not loaded", store->path);
	}
}

/* What keeps the next reload from working, where nothing is in force. */
static void reload_reason(const struct config_store *store, struct health *health)
{
	if (!is_refused(store))
		return;
	const char *missing = policy_file_missing(&store->refused);
	health_add(health, missing ? HEALTH_CONFIG_MISSING : HEALTH_CONFIG_REFUSED,
		   missing ? "%s is missing" : "%s was refused", missing ? missing : store->path);
	if (missing)
		health_fill(health, missing);
}

void config_store_reasons(const struct config_store *store, const struct ranges *own, bool removed,
			  struct health *health)
{
	const struct addr *own_address = removed ? NULL : policy_own_address(&store->file.policy, own);
	char text[ADDR_TEXT_MAX];

	if (removed)
		reload_reason(store, health);
	else
		disk_reason(store, health);
	if (own_address) {
		health_add(health, HEALTH_OWN_ADDRESS, "%s is this gateway's own address: it is not guarded",
			   addr_format(own_address, text));
		health_fill(health, text);
	}
	if (store->kept.waiting_damaged)
		health_add(health, HEALTH_CONFIRM_UNKNOWN,
			   "whether a reload waited for confirm can't be read in %s: if one did, it stays in force",
			   store->state);
	if (store->kept.save_error || store->unkept) {
		health_add(health, HEALTH_CONFIG_UNSAVED,
			   "the configuration can't be kept in %s for a start with a bad file", store->state);
		health_fill(health, store->state);
	}
}
