/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_GATEWAY_NAMES_PARTS_H
#define SPEFW_GATEWAY_NAMES_PARTS_H

/* What the files of the object share; nobody else includes it. */

#include "core/aliases.h"
#include "core/held.h"
#include "core/query_pace.h"
#include "gateway/names.h"
#include "net/resolver.h"
#include "timer.h"

struct names {
	sd_event *event;
	struct helper *helper;
	const char *state;
	struct names_events events;
	void *userdata;
	const struct policy_file *file; /* in force; NULL: names_begin() was not called */
	struct addrbook *book;
	struct held held;       /* what every name has held, for connections that are there already */
	struct aliases aliases; /* what else the server may query when it means a name */
	struct resolver *resolver;
	struct refresh *refreshes; /* callers that wait for answers */
	struct timer *timer;
	int64_t heard_ms;  /* when a DNS server last sent anything; INT64_MIN: never */
	bool not_followed; /* the names of the policy in force, or their servers, are not followed yet */

	int64_t query_budget_ms;            /* when the queries so far are worked off, at the pace that they may have */
	int64_t all_queried_ms, all_due_ms; /* when all names were last made due, and will be; 0: never */
	struct query_pace denial_pace;      /* of queries because of denials */
	int64_t losses_ms,
		losses_due_ms; /* when names were last queried because of lost copies, and will be; 0: never */
	uint64_t learned;      /* answers to the server that taught something */
	int64_t usage_read_ms; /* when connections were last read, for observed addresses that end; 0: never */

	bool unsaved;                  /* the book has news that the state directory lacks */
	int64_t saved_ms, save_due_ms; /* 0: none is due */
	bool save_failed;              /* the last time */
};

/* names.c */
void names_save_soon(struct names *names); /* within a second, together with what else comes */
/* Logs the addresses of an answer that were refused, where they are others than in the one before (mark: its
 * refused_mark). */
void names_log_refused(const struct names *names, const struct book_entry *entry, uint64_t mark);
/* Where it is in another state than before: logs and reports that. */
void names_see_state(const struct names *names, const struct book_entry *entry, enum book_state before);

/* names_reasons.c */
bool names_servers_silent(const struct names *names); /* so that names fail, as far as that can be known */

/* names_expiry.c */
void names_expire(struct names *names, int64_t now); /* drops what has expired, and no connection uses */

/* names_view.c */
void names_note_held(struct names *names, const struct book_entry *entry);
void names_note_all_held(struct names *names);

/* names_learn.c */
void names_query_lost(struct names *names, int64_t now); /* because of lost copies, where that is due */

/* names_refresh.c */
void names_answered(struct names *names, const char *name, enum family family); /* those who wait for it */
void names_forget_unwanted(struct names *names); /* a name that the book has no more is not waited for */
void names_free_refreshes(struct names *names);

#endif
