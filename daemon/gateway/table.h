/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TABLE_H
#define SPEFW_TABLE_H

/* Our table in the kernel: found and judged, changed by difference, watched for changes of other programs, removed. */

#include "core/health.h"
#include "core/ruleset.h"
#include "nft/socket.h"

#include <stdint.h>
#include <systemd/sd-event.h>

struct table;

struct table_events {
	/* Another program has changed our table (that is logged), or notices were lost: the kernel is to be read and
	 * brought up to date. Called once for all notices that were waiting, before other events. */
	void (*changed)(void *userdata);
	/* Another program has changed its own tables. */
	void (*foreign_changed)(void *userdata);
	/* The kernel's counters are about to begin anew: the last chance to read them; and they have begun anew. */
	void (*counters_ending)(void *userdata);
	void (*counters_restarted)(void *userdata);
	/* For a second there was no other change of ours: what the last one left behind was deleted. r: 0, or the
	 * negative errno that it failed with. */
	void (*settled)(void *userdata, int r);
};

/* stored_fd: the socket of a daemon before us, which owns the table still (it is ours then), or -1. 0 or a negative
 * errno, logged. */
int table_open(struct table **ret, sd_event *event, int stored_fd, const struct table_events *events, void *userdata);
void table_free(struct table *table); /* the kernel's table stays. NULL: nothing */

struct nft_socket *table_socket(struct table *table); /* valid as long as the table */

/* What the kernel holds is known: table_current(). */
bool table_is_known(const struct table *table);
/* It was removed by table_remove(), and nothing was committed since. */
bool table_is_removed(const struct table *table);
const struct ruleset *table_current(const struct table *table);

/* The kernel's handle of a rule of table_current(): of the one at `index` (from 0) of this chain, or of its last one
 * (TABLE_LAST_RULE). Rules that were written a moment ago have none yet: the first call for a chain reads it, later
 * ones know it. 0; -ENOENT: no such chain or rule, or there is no table; -ESTALE: the kernel's chain is not what was
 * thought, another program has changed it a moment ago; or another negative errno, whose table_reason() there is. */
#define TABLE_LAST_RULE SIZE_MAX
int table_rule_handle(struct table *table, const char *chain, size_t index, uint64_t *ret);

/* What was read last was read while other programs changed tables, over and over: it may be of several moments. */
bool table_is_torn(const struct table *table);
/* There is a table, with its rules, and it is not asleep, as far as is known; or there was one that table_commit() goes
 * back to. */
bool table_guards(const struct table *table);
/* Somebody has changed it without a notice, or what was read is no ground to stand on: as if a notice had come. */
void table_suspect(struct table *table);

/* Finds out what the kernel holds, and whether that can be adopted or is to be replaced. 0 or a negative errno (-EBUSY:
 * another program owns the table). */
int table_read(struct table *table);
/* Who says whether a change may be made, before any of it is sent. What the table would be is what the difference makes
 * of what was read, not what was wanted; NULL where there was no memory to find that out. */
struct table_judge {
	/* After the first batch, which is to bring what no packet meets yet; before: what is there now. */
	bool (*may_prepare)(void *userdata, const struct ruleset *before, const struct ruleset *after);
	/* After all of it; of table_commit_sets() the sets alone that change. */
	bool (*may_become)(void *userdata, const struct ruleset *wanted, const struct ruleset *after);
	void *userdata;
};

/* What the kernel holds now; nothing follows from it. *ret_torn as table_is_torn(). 0, and ruleset_free() must follow;
 * -ENOENT: there is no table; -EUCLEAN: it holds what is not of our making; or another negative errno, whose
 * table_reason() there is. */
int table_look(struct table *table, struct ruleset *ret, bool *ret_torn);

/* Brings the kernel from what it holds, which must be known or just have been read, to *wanted (compiled, finished), by
 * the difference. *wanted is empty afterwards where that worked. slack_ms: deadlines of elements that would move by
 * less stay. *ret_replaced: a new table has taken the place of the one that was there. 0 or a negative errno: then the
 * kernel holds what it held, or table_is_known() is false. -ECANCELED: the judge is against it; where the table was
 * known before other programs changed it, it is that again, whatever the judge says of that. -ENOENT, -EEXIST, -EBUSY
 * where the kernel did not hold what it was thought to: to be read and tried again. */
int table_commit(struct table *table, struct ruleset *wanted, int64_t slack_ms, const struct table_judge *judge,
		 bool *ret_replaced);
/* Likewise, of the elements of the sets of *wanted alone, all of which the table has. */
int table_commit_sets(struct table *table, struct ruleset *wanted, int64_t slack_ms, const struct table_judge *judge);
/* Deletes the table. *ret_removed: there was one. 0 or a negative errno. */
int table_remove(struct table *table, bool *ret_removed);

/* Takes all notices that are there now. True if there were any of our table, or some were lost. */
bool table_drain(struct table *table);

/* Why the last change failed; NULL: it did not, or a later one worked. Logged where it is news. */
void table_set_failure(struct table *table, const char *what);
const char *table_failure(const struct table *table);       /* "" where there is none */
const char *table_reason(const struct table *table, int r); /* the kernel's message, where there is one */

struct table_figures {
	uint64_t commits;        /* changes of the table that this daemon has made, but for those of names alone */
	uint64_t repaired;       /* transactions of other programs that changed our table */
	const char *last_repair; /* what the last of them changed; "" where there was none */
	bool owned;              /* the kernel keeps other programs from changing it */
};
struct table_figures table_figures(const struct table *table);
/* in_force: what it holds is of a policy of this daemon's. */
void table_reasons(const struct table *table, bool in_force, struct health *health);

#endif
