/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_HAPPENING_H
#define SPEFW_HAPPENING_H

/* What those who watch want to see as it happens. */

#include "core/grant_list.h"
#include "gateway/cut.h"
#include "gateway/seal.h"

#include <sys/types.h>

/* Who asks for a change, for the journal and for those who watch. */
struct requester {
	const char *text; /* "root (uid 0)", "signal" */
	bool has_uid;
	uid_t uid;
};

enum happening_kind {
	HAPPENED_RELOAD,
	HAPPENED_ROLLBACK,
	HAPPENED_UNDO,    /* of what nobody has confirmed */
	HAPPENED_CONFIRM, /* of what waited for that */
	HAPPENED_REFRESH,
	HAPPENED_CLEAR,
	HAPPENED_CUT,     /* connections that the policy denies */
	HAPPENED_NAME,    /* addresses came or went; what the names had when somebody began to watch is no news */
	HAPPENED_REPAIR,  /* another program had changed our table */
	HAPPENED_FOREIGN, /* another program has changed tables of its own */
	HAPPENED_GRANT,
	HAPPENED_PROOF, /* something else is proven of the table than before; or a change was refused (not done) */
	HAPPENINGS
};

/* What it points to is valid during the call. */
struct happening {
	enum happening_kind kind;
	const struct requester
		*by; /* RELOAD, ROLLBACK, CONFIRM, REFRESH, CLEAR, CUT and GRANT on request; UNDO: of the reload */
	bool done;   /* RELOAD, ROLLBACK, UNDO: the new policy is in force; CLEAR: there was a table;
		      PROOF: of it, not of a change that was refused */
	uint64_t generation; /* RELOAD, ROLLBACK, UNDO, CONFIRM, PROOF */
	int64_t confirm_ms;  /* RELOAD, ROLLBACK: how long it waits for confirm; 0: it does not */
	/* RELOAD, ROLLBACK, UNDO: what changes, one line each; REFRESH: the names, none: all. The first ones; count is
	 * of all. */
	const char *const *lines;
	size_t shown, count;
	const struct cut_result *cut; /* CUT */
	const char *text; /* CUT: why; REPAIR: what had been changed; NAME: the name; GRANT: "given", "prolonged",
			     "shortened", "revoked", "ended" */
	const struct grant *grant;          /* GRANT */
	const struct seal_finding *finding; /* PROOF */
	enum family family;                 /* NAME, with the two below */
	const struct addr *added, *removed;
	size_t added_count, removed_count;
};

#endif
