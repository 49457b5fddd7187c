/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CUT_PARTS_H
#define SPEFW_CUT_PARTS_H

/* What cut.c, which cuts, and cut_memory.c, which remembers what was cut, share. */

#include "gateway/cut.h"

struct cut {
	struct nft_socket *socket;
	const char *pending_reason, *repeat_reason; /* NULL: none */
	bool failed;                                /* they could not all be cut; tried again */

	/* cut_memory.c */
	struct cut_list remembered; /* as the kernel's sets hold them */
	struct cut_list waiting;    /* those that have no room there yet */
	bool known;                 /* what the sets held at the start is in `remembered` */
	bool full;                  /* the kernel has the mark that they don't hold all */
	int64_t marked_ms;          /* when it got that from this daemon; 0: never */
	bool lost;                  /* not even `waiting` does: the mark stays until it runs out */
	bool names_changed;         /* some of them may be allowed by now */
};

/* cut_shown.c. stays_so: it was cut before. */
void cut_show(struct cut_result *result, const struct cut_rules *rules, const struct packet *packet, bool stays_so);
/* At most so many as were cut: one may have ended by itself meanwhile. */
void cut_limit(struct cut_result *result);
void cut_log(const struct cut_result *result, const struct policy *policy, const char *why);

/* cut_memory.c */
/* The entry of the same ends. NULL: that was not cut. */
const struct cut_entry *cut_find(const struct cut *cut, const struct cut_entry *entry);
/* Before the entries of these connections are deleted; fresh is finished. whole: there are no others for which there
 * was no memory. */
void cut_remember(struct cut *cut, const struct cut_list *fresh, bool whole);
/* Whether the policy does not allow again what was cut. */
bool cut_is_denied_still(const struct cut_rules *rules, const struct cut_entry *entry);
/* What the policy allows again. */
void cut_forget(struct cut *cut, const struct cut_rules *rules);

#endif
