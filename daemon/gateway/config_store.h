/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CONFIG_STORE_H
#define SPEFW_CONFIG_STORE_H

/* The configuration in force, and those that were, in the state directory: to go back to, and for a start with a bad
 * file. */

#include "config/policy_file.h"
#include "core/health.h"
#include "core/history.h"
#include "core/waiting.h"

struct config_store;

/* One that was read, and may come into force. */
struct config_candidate {
	struct policy_file file;
	struct archive archive; /* the files that it was read from; none: the state directory has them */
};

/* path: of the configuration, state: the directory; both must live as long. 0 or -ENOMEM. */
int config_store_new(struct config_store **ret, const char *path, const char *state);
void config_store_free(struct config_store *store); /* NULL: nothing */

/* At the start: the file; or where that is bad, or was taken back, the last good one; or what waits for confirm, or
 * what was there before where its time is over. own: this gateway's addresses (normalised), which are left out of what
 * is guarded. What is wrong has been logged. 0; -EINVAL: both are bad or missing; or another negative errno. */
int config_store_load(struct config_store *store, const struct ranges *own);

/* Reads the file anew. 0; -EINVAL with the errors in diags, and a reason of health as long as the files stay so; or
 * another negative errno. config_candidate_free() must follow a 0. */
int config_store_read(struct config_store *store, struct config_candidate *ret, const struct ranges *own,
		      struct diags *diags);
/* The same of these files, of which the first is the configuration, or with NULL of those on disk; it is but looked at,
 * and no reason of health. */
int config_store_look(const struct config_store *store, struct config_candidate *ret, const struct archive *files,
		      const struct ranges *own, struct diags *diags);
/* An earlier one that was kept, the number-th of them, from 0 for the newest, that has other files than what is in
 * force or was loaded. -ENOENT: there is none; or another negative errno. */
int config_store_read_earlier(struct config_store *store, size_t number, struct config_candidate *ret,
			      const struct ranges *own);
void config_candidate_free(struct config_candidate *candidate);
/* The kernel holds the candidate's policy: it is in force, and candidate->file is what was in force before. another: it
 * means something else than the one before. */
void config_store_take(struct config_store *store, struct config_candidate *candidate, bool another);
/* The table was removed: no policy is in force. The one that was stays here, for the next start or reload; but what
 * waits for confirm is taken back. */
void config_store_clear(struct config_store *store);
/* The number of the policy in force: one more for each that came into force, or went by config_store_clear(), since the
 * state directory was made. */
uint64_t config_store_generation(const struct config_store *store);

/* Another policy is in force than this former one, whose files are not to be taken at a start until a reload takes
 * them: for the next config_store_save(). */
void config_store_take_back(struct config_store *store, struct config_candidate *former, enum history_why why);

/* Writes down that the candidate, which is to be applied now, waits for confirm, and what to go back to. by: who asks.
 * 0; -ENODATA: there is nothing to go back to; or another negative errno: nothing waits. */
int config_store_arm(struct config_store *store, const struct config_candidate *candidate, const char *by,
		     int64_t after_ms);
void config_store_disarm(struct config_store *store); /* it was not applied */
/* 0; -ENOENT: nothing waits; or another negative errno, where it waits still. */
int config_store_confirm(struct config_store *store);
/* What waited was undone: nothing waits any more. For the next config_store_save(). */
void config_store_set_undone(struct config_store *store);
const struct waiting *config_store_waiting(const struct config_store *store); /* NULL: nothing waits */
int64_t config_store_left_ms(const struct config_store *store);               /* as waiting_left_ms() */

const struct history *config_store_history(const struct config_store *store); /* valid until it is kept or saved */
/* One of the history, as config_store_look() reads it. -ENOENT: it is not kept; -EBADMSG: it is damaged. */
int config_store_read_kept(struct config_store *store, uint64_t files, struct config_candidate *ret,
			   const struct ranges *own, struct diags *diags);
/* A descriptor of the files of the policy in force, as archive_pack() makes them; it is the caller's. -ENOENT: they
 * could not be kept; or another negative errno. */
int config_store_open(const struct config_store *store);

/* The kernel holds the policy that was loaded: only now may it be kept as a good one. */
void config_store_set_in_force(struct config_store *store);
bool config_store_is_in_force(const struct config_store *store);
/* The policy in force comes into the history, with these files (NULL: the state directory has them): now if it takes
 * them, else by a later config_store_save(). A start may take these files again. Of origin how, by and the changes are
 * looked at. */
void config_store_keep(struct config_store *store, const struct archive *archive, const struct history_entry *origin);
/* Keeps what could not be kept so far; nothing where there is none. */
void config_store_save(struct config_store *store);

/* Valid as long as the store; what they point to changes by config_store_take() and config_store_leave_out(). */
const struct policy_file *config_store_file(const struct config_store *store);
const struct policy *config_store_policy(const struct config_store *store);

/* The gateway's own addresses are others now: policy_leave_out() on the policy in force. */
int config_store_leave_out(struct config_store *store, const struct ranges *own, bool *ret_changed);

void diags_log(const struct diags *diags); /* each as its severity is */

bool config_store_matches_disk(const struct config_store *store); /* reads the files again */

/* removed: the table was removed on request, so that no policy is in force. */
void config_store_reasons(const struct config_store *store, const struct ranges *own, bool removed,
			  struct health *health);

#endif
