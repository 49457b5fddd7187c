/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_GATEWAY_PARTS_H
#define SPEFW_GATEWAY_PARTS_H

/* What the coordinator's own files share; nobody else includes this. */

#include "core/names_seen.h"
#include "gateway/gateway.h"
#include "gateway/granting.h"
#include "gateway/grants.h"
#include "gateway/network.h"
#include "gateway/notice.h"
#include "timer.h"

enum { REQUESTER_MAX = 64, CHANGES_SHOWN = 20 };

struct gateway {
	sd_event *event;
	struct gateway_paths paths;
	struct gateway_events events;
	void *userdata;
	int state_lock; /* descriptor: the state directory is ours alone; negative: it can't be had */
	int64_t started_ms;
	int64_t diff_free_ms;   /* from when on gateway_diff() looks again */
	int64_t export_free_ms; /* from when on gateway_export() works again */
	bool applying;          /* what the objects report has consequences for the kernel from now on */
	bool started;           /* the table is up, and the counters were read once */
	int64_t verify_free_ms; /* from when on gateway_verify() looks again */

	char loaded_by[REQUESTER_MAX]; /* who asked for the policy in force; "": a start */

	struct config_store *config;
	struct network *network;
	struct table *table;
	struct seal *seal;
	struct cut *cut;
	struct counts *counts;
	struct helper *helper;
	struct names *names;
	struct grants *grants;
	struct observer *observer;
	struct drops *drops;
	struct usage *usage;
	struct foreign *foreign;
	struct notice *notice; /* NULL: there is nowhere to put one */

	bool elements_remembered;   /* what the kernel held at the start is known to names and network */
	bool interfaces_unfollowed; /* a change of interfaces or of this gateway's addresses is not in the policy yet */
	bool differs_anyway;        /* the table was built although it is not the policy */
	bool watched;               /* somebody wants to see what happens */
	struct names_seen names_seen; /* what they have seen of names */
	uint64_t repairs_seen;
	struct timer *retry_timer, *minute_timer, *health_timer;
	struct timer *confirm_timer; /* when what waits for confirm is undone, or tried to be again */
	bool undo_failed;
	char undo_problem[GATEWAY_WHAT_MAX];
};

/* requests.c: who asked for what. */
/* What a reload changes, as far as the journal shows it. */
struct changes {
	char *lines[CHANGES_SHOWN]; /* owned; NULL: no memory */
	size_t count;               /* also of those that are not shown */
};
void changes_add(struct changes *changes, const char *line);
void changes_free(struct changes *changes);
/* Of what came into force, or did not. by: NULL: it is undone, since nobody has confirmed it. */
void note_change(struct gateway *gateway, enum history_how how, const struct requester *by, bool done,
		 const struct changes *changes);

/* change.c: another policy. */
void on_confirm_due(void *userdata);
void await_confirm(struct gateway *gateway); /* sets the timer, where something waits */

/* gateway.c: what follows a policy once the kernel has it. */
void follow_policy(struct gateway *gateway);

/* happenings.c: for those who watch. */
void happened(struct gateway *gateway, const struct happening *happening);
void happened_to_names(struct gateway *gateway, const struct policy *policy); /* the policy in force, or a part of it */
void happened_to_policy(struct gateway *gateway);                             /* another one is in force */

/* change.c: the kernel gets the candidate's policy; in force is then that, and candidate has the one before. 0 or a
 * negative errno, and `what` says why: in force is what was. */
int take_over(struct gateway *gateway, struct config_candidate *candidate, bool another, char what[GATEWAY_WHAT_MAX]);

/* apply.c */
/* The table that a policy wants now. 0, and ruleset_free() must follow, or a negative errno. */
int compile_all(struct gateway *gateway, const struct policy *policy, struct ruleset *ret);
/* Brings the kernel to what is wanted now. 0 or a negative errno (then it is tried again later). */
int apply(struct gateway *gateway);
int apply_anyway(struct gateway *gateway); /* whatever is proven of it */
/* The same for another policy: nothing is noted, or tried again later; note_proof() is to follow. -ECANCELED: it is
 * proven that the table would not be the policy, and it is what it was; with `anyway` the change is made, and once the
 * start is over where no table guards. */
int apply_policy(struct gateway *gateway, const struct policy *policy, bool anyway);
/* "WHAT: why that failed". */
void apply_reason(struct gateway *gateway, int r, const char *what, char text[GATEWAY_WHAT_MAX]);
/* The addresses of one name of the policy in force alone, or of all (NULL): whatever the size of the policy, and with a
 * thousand names, it must not take long. */
void apply_names(struct gateway *gateway, const char *name);
/* Cuts what the policy in force denies. before: the policy that was in force, or NULL. *ret: what was cut; ret may be
 * NULL. */
void cut_denied(struct gateway *gateway, const char *why, const struct policy *before, struct cut_result *ret);
/* The same where the table is there, and held_before is what that policy let in, which may be the one in force. */
void cut_denied_since(struct gateway *gateway, const char *why, const struct policy *before,
		      const struct names_view *held_before, struct cut_result *ret);
/* What is still to be cut, as soon as the table is there and the policy in force. */
void cut_due(struct gateway *gateway);
void retry_soon(struct gateway *gateway);

/* granting.c */
extern const struct grants_events grants_events;
void end_all_grants(struct gateway *gateway); /* the table was removed */

/* prove.c */
struct proving {
	struct seal *seal;
	const struct policy *policy;
	const struct environment *environment;
	bool anyway; /* the change is made whatever is found */
};
/* For table_commit(), table_commit_sets(). They point to it. */
struct table_judge prove_all(struct proving *proving);
struct table_judge prove_names(struct proving *proving);
/* At a start whose configuration was refused: the newest one before it of which it is proven comes into force, or it
 * does so itself where there is no table. 0 or a negative errno: then the table stays as it was found. */
int start_otherwise(struct gateway *gateway);
/* What was proven of a change that was made (r: 0, and its policy is in force), or refused (-ECANCELED). */
void note_proof(struct gateway *gateway, int r);
void note_unknown(struct gateway *gateway); /* the table could neither be read nor changed */

/* events.c: what the objects report. */
extern const struct table_events table_events;
extern const struct helper_events helper_events;
extern const struct names_events names_events;
extern const struct observer_events observer_events;
extern const struct counts_events counts_events;
extern const struct drops_events drops_events;
extern const struct usage_events usage_events;
extern const struct foreign_events foreign_events;
void on_network_changed(void *userdata);
void health_changed(struct gateway *gateway);
/* connections.c: into the record of who was denied what. */
void record_denial(struct gateway *gateway, const struct denial *denial);
void save_counts(struct gateway *gateway); /* and how long flows were silent */

#endif
