/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_GATEWAY_H
#define SPEFW_GATEWAY_H

/* The coordinator: it owns the objects of this folder, none of which knows another, and decides in which order they do
 * their part. */

#include "core/diag.h"
#include "gateway/config_store.h"
#include "gateway/counts.h"
#include "gateway/cut.h"
#include "gateway/drops.h"
#include "gateway/foreign.h"
#include "gateway/happening.h"
#include "gateway/names.h"
#include "gateway/observer.h"
#include "gateway/seal.h"
#include "gateway/table.h"
#include "gateway/usage.h"
#include "net/environment.h"

#include <systemd/sd-event.h>

struct gateway;

struct gateway_paths {
	const char *config, *state; /* the file; the state directory */
	const char *notice;         /* the file for spefw-notify; NULL: none */
};

struct gateway_events {
	/* Health may be another one. */
	void (*health_changed)(void *userdata);
	/* There are denials that were not there the last time. */
	void (*drops_changed)(void *userdata);
	/* What this caller of gateway_refresh() waits for has been answered. */
	void (*refreshed)(void *userdata, void *waiter);
	/* What gateway_explain() was asked for this waiter, as foreign_events has it; NULL: nobody asks. */
	void (*explained)(void *userdata, void *waiter, int r, const struct findings *findings);
	/* While gateway_watch() is on. */
	void (*happened)(void *userdata, const struct happening *happening);
};

/* Takes the state directory for itself, reads this gateway's interfaces and the configuration; changes nothing. Paths
 * must live as long. Errors have been logged. 0; -EINVAL: the configuration is bad; -EBUSY: another spefwd has the
 * state directory; or another negative errno. */
int gateway_new(struct gateway **ret, sd_event *event, const struct gateway_paths *paths,
		const struct gateway_events *events, void *userdata);
/* Adopts or builds the table, and begins to resolve. stored_fd: the socket of a daemon before this one, which owns the
 * table still, or -1. Errors have been logged. 0 (what may pass with time is tried again) or a negative errno. */
int gateway_start(struct gateway *gateway, int stored_fd);
void gateway_free(struct gateway *gateway);        /* the table stays. NULL: nothing */
int gateway_socket(const struct gateway *gateway); /* the descriptor of the socket that owns the table */

enum { GATEWAY_WHAT_MAX = 1000 }; /* bytes of a text that says why something failed */

struct reload_result {
	void (*line)(void *userdata, const char *text); /* gets each change, before it is made; may be NULL */
	void *userdata;
	struct cut_result cut;       /* connections that the new policy denies */
	bool waits;                  /* for confirm: config_store_waiting() has until when */
	char what[GATEWAY_WHAT_MAX]; /* why it failed; "": the errno tells */
};

/* Reads the configuration again and applies it. confirm_ms: undone after so long, but for gateway_confirm(); 0: for
 * good. 0 or a negative errno, with the errors in diags (-EINVAL) or in result: the old policy then stays in force.
 * -EALREADY: another one waits for confirm. */
int gateway_reload(struct gateway *gateway, const struct requester *by, int64_t confirm_ms, struct diags *diags,
		   struct reload_result *ret);
/* The same with an earlier configuration: the number-th before the one in force; 0: the newest one before that has
 * other files and was not taken back. -ENOENT: there is none; -ENODATA: its files are not kept. */
int gateway_rollback(struct gateway *gateway, const struct requester *by, size_t number, int64_t confirm_ms,
		     struct diags *diags, struct reload_result *ret);
/* What waits stays for good. 0; -ENOENT: nothing waits; or another negative errno, where it waits still. */
int gateway_confirm(struct gateway *gateway, const struct requester *by);
/* As names_refresh(). */
int gateway_refresh(struct gateway *gateway, const struct requester *by, void *waiter, const char *const *names,
		    size_t count, const char **ret_unknown);
/* As foreign_explain_packet(): what other tables do to it. */
int gateway_explain(struct gateway *gateway, const struct foreign_packet *packet, void *waiter);
void gateway_forget_waiter(struct gateway *gateway, const void *waiter);
/* Whether somebody wants to see what happens. */
void gateway_watch(struct gateway *gateway, bool watch);
/* Proves anew that the table is the policy, as the kernel has it now; where somebody asked a moment ago, *ret is what
 * was found last. 0; -ENOENT: there is no table; or another negative errno. */
int gateway_verify(struct gateway *gateway, struct seal_finding *ret);
/* Removes the table; until the next reload nothing is guarded. *ret_removed: there was one. *ret_dropped: a reload
 * waited for confirm, and counts as undone. 0 or a negative errno. */
int gateway_clear(struct gateway *gateway, const struct requester *by, bool *ret_removed, bool *ret_dropped);
/* As usage_list(). */
int gateway_list_connections(struct gateway *gateway, bool at_once, see_connection *see, void *userdata);
/* Ends the connection of this entry, for good. *ret: what it was. 0; -ENOENT: there is none; -EPROTONOSUPPORT: it is no
 * TCP; -EOPNOTSUPP: audit mode; -ENODEV: no table is there; or another negative errno. */
int gateway_cut_connection(struct gateway *gateway, const struct requester *by, uint32_t id, struct tracked *ret);
/* Before the daemon ends: what other programs have changed up to now is repaired, and what came through meanwhile is
 * cut. */
void gateway_repair_last(struct gateway *gateway);

/* What is to be known of the gateway for a policy; the environment points into it. 0 or a negative errno;
 * surroundings_free() must follow in any case. */
struct surroundings {
	struct environment_store store;
	struct names_view names;
};
int surroundings_read(struct gateway *gateway, const struct policy *policy, struct surroundings *ret,
		      struct environment *ret_environment);
void surroundings_free(struct surroundings *surroundings);

/* For reports. What they return is valid until the next event. */
int gateway_read_counters(struct gateway *gateway);           /* 0 or a negative errno */
const char *gateway_loaded_by(const struct gateway *gateway); /* who asked for what is in force; "": a start */
void gateway_read_connections(struct gateway *gateway);       /* as usage_refresh() */
int64_t gateway_uptime_ms(const struct gateway *gateway);
const struct config_store *gateway_config(const struct gateway *gateway);
const struct counts *gateway_counts(const struct gateway *gateway);
const struct cut *gateway_cut(const struct gateway *gateway);
const struct drops *gateway_drops(const struct gateway *gateway);
/* By the counters that were read last: in all, and in the last hour. */
uint64_t gateway_drops_unseen(const struct gateway *gateway);
uint64_t gateway_drops_unseen_hour(const struct gateway *gateway);
const struct foreign *gateway_foreign(const struct gateway *gateway);
const struct names *gateway_names(const struct gateway *gateway);
const struct observer *gateway_observer(const struct gateway *gateway);
const struct seal *gateway_seal(const struct gateway *gateway);
const struct table *gateway_table(const struct gateway *gateway);
const struct usage *gateway_usage(const struct gateway *gateway);
/* As table_rule_handle(). */
int gateway_rule_handle(struct gateway *gateway, const char *chain, size_t index, uint64_t *ret);
/* All reasons why it is not healthy, those that matter most first. health_free() must follow. */
void gateway_reasons(struct gateway *gateway, struct health *ret);

#endif
