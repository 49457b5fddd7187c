/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/config_store.h"
#include "core/diag.h"
#include "log.h"
#include "state_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LAST_GOOD_FILE "configuration"

enum { LAST_GOOD_MAX = 256 * 1024 * 1024 }; /* bytes, of all its files */

struct config_store {
	const char *path, *state;
	struct policy_file file; /* in force, and the files it came from */
	bool in_force;           /* the kernel has held it, or an earlier one of this daemon's */
	bool refused;            /* what is on disk is not the policy in force */
	bool save_failed;        /* it could not be kept for a start with a bad file */
	char *unsaved;           /* what is to be kept; or NULL */
	size_t unsaved_length;
};

int config_store_new(struct config_store **ret, const char *path, const char *state)
{
	struct config_store *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	*store = (struct config_store){ .path = path, .state = state };
	*ret = store;
	return 0;
}

void config_store_free(struct config_store *store)
{
	if (!store)
		return;
	policy_file_free(&store->file);
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
	if (!store->unsaved || !store->in_force)
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
	store->in_force = true;
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
	store->refused = true;
	return r;
}

int config_store_load(struct config_store *store, const struct ranges *own)
{
	struct archive archive = { 0 };
	struct diags diags = { 0 };
	bool changed;

	int r = policy_file_load(&store->file, store->path, &(struct policy_source){ .copy = &archive, .gateway = own },
				 &diags);
	diags_log(&diags);
	diags_free(&diags);
	if (r == 0)
		config_store_keep(store, &archive); /* once it is in force */
	else if (r == -EINVAL && load_last_good(store) == 0)
		r = 0;
	archive_free(&archive);
	return r < 0 ? r : config_store_leave_out(store, own, &changed);
}

int config_store_read(const struct config_store *store, struct config_candidate *ret, const struct ranges *own,
		      struct diags *diags)
{
	bool changed;

	*ret = (struct config_candidate){ .archive = { 0 } };
	int r = policy_file_load(&ret->file, store->path,
				 &(struct policy_source){ .copy = &ret->archive, .gateway = own }, diags);
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

void config_store_take(struct config_store *store, struct config_candidate *candidate)
{
	struct policy_file before = store->file;

	store->file = candidate->file;
	candidate->file = before;
	store->in_force = true;
}

void config_store_set_refused(struct config_store *store, bool refused)
{
	store->refused = refused;
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

bool config_store_matches_disk(const struct config_store *store)
{
	return !store->refused && policy_file_unchanged(&store->file);
}

void config_store_reasons(const struct config_store *store, const struct ranges *own, bool removed,
			  struct health *health)
{
	const struct addr *own_address = policy_own_address(&store->file.policy, own);
	char text[ADDR_TEXT_MAX];

	if (store->refused)
		health_add(health, HEALTH_CONFIG_REFUSED,
			   removed ? "%s was refused" : "%s was refused: the old policy is in force", store->path);
	else if (!config_store_matches_disk(store))
		health_add(health, HEALTH_CONFIG_CHANGED, "%s was changed and is not loaded", store->path);
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
