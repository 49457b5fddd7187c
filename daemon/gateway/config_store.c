/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/config_store.h"
#include "core/diag.h"
#include "gateway/generation.h"
#include "log.h"
#include "state_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LAST_GOOD_FILE "configuration"

enum { LAST_GOOD_MAX = 256 * 1024 * 1024 }; /* bytes, of all its files */

struct config_store {
	const char *path, *state;
	struct policy_file file;    /* in force, and the files it came from */
	struct policy_file refused; /* the files that were read last, where they were not good; no policy */
	struct generation generation;
	bool in_force;    /* the kernel has held it, or an earlier one of this daemon's */
	bool kept;        /* it is the last good one, from the state directory */
	bool save_failed; /* it could not be kept for a start with a bad file */
	char *unsaved;    /* what is to be kept; or NULL */
	size_t unsaved_length;
};

int config_store_new(struct config_store **ret, const char *path, const char *state)
{
	struct config_store *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	*store = (struct config_store){ .path = path, .state = state, .generation = generation_load(state) };
	*ret = store;
	return 0;
}

void config_store_free(struct config_store *store)
{
	if (!store)
		return;
	policy_file_free(&store->file);
	policy_file_free(&store->refused);
	free(store->unsaved);
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
	if (!store->unsaved)
		return;
	int r = state_save(store->state, LAST_GOOD_FILE, store->unsaved, store->unsaved_length);
	if (r < 0 && !store->save_failed)
		log_error("can't keep the configuration in %s, which is tried again: %s", store->state, strerror(-r));
	store->save_failed = r < 0;
	if (r < 0)
		return;
	free(store->unsaved);
	store->unsaved = NULL;
}

/* What was in force last, with the files it names, is kept: a reboot with a broken file must not leave the server open.
 */
void config_store_keep(struct config_store *store, const struct archive *archive)
{
	free(store->unsaved);
	store->unsaved = archive_pack(archive, &store->unsaved_length);
	if (store->unsaved) {
		config_store_save(store);
	} else {
		log_error("out of memory: the configuration is not kept in %s", store->state);
		store->save_failed = true;
	}
}

void config_store_set_in_force(struct config_store *store)
{
	if (store->in_force)
		return;
	uint64_t files = policy_file_hash(&store->file);
	store->in_force = true;
	generation_set(&store->generation, files, files != store->generation.files);
	config_store_save(store);
}

static int load_last_good(struct config_store *store)
{
	struct archive archive = { 0 };
	struct diags diags = { 0 };
	char *bytes;
	size_t length;

	int r = state_load(store->state, LAST_GOOD_FILE, LAST_GOOD_MAX, &bytes, &length);
	if (r == 0) {
		r = archive_unpack(&archive, bytes, length);
		free(bytes);
	}
	/* Its warnings were logged when it was new; what of it is this gateway's own address by now will be left out.
	 */
	if (r == 0)
		r = policy_file_load(&store->file, store->path, &(struct policy_source){ .archive = &archive }, &diags);
	if (r == 0)
		log_error("%s can't be used: the last good configuration is in force", store->path);
	else if (r != -ENOENT)
		log_error("the last good configuration in %s can't be used either: %s", store->state, strerror(-r));
	archive_free(&archive);
	diags_free(&diags);
	store->kept = true;
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
	if (r == 0)
		config_store_keep(store, &archive); /* once it is in force */
	else if (r == -EINVAL && load_last_good(store) == 0)
		r = 0;
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
	bool moved = another || !store->in_force || !store->generation.files;

	generation_set(&store->generation, policy_file_hash(&candidate->file), moved);
	struct policy_file before = store->file;

	store->file = candidate->file;
	candidate->file = before;
	store->in_force = true;
	store->kept = false;
}

void config_store_clear(struct config_store *store)
{
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
	const char *serves = store->kept ? "a kept copy is in force" : "the old policy stays in force";
	if (missing) {
		health_add(health, HEALTH_CONFIG_MISSING, "%s is missing: %s", missing, serves);
		health_fill(health, missing);
	} else if (refused) {
		health_add(health, HEALTH_CONFIG_REFUSED, "%s was refused: %s", store->path, serves);
	} else if (store->kept) {
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
	if (store->save_failed) {
		health_add(health, HEALTH_CONFIG_UNSAVED,
			   "the configuration can't be kept in %s for a start with a bad file", store->state);
		health_fill(health, store->state);
	}
}
