/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_GATEWAY_DIFF_H
#define SPEFW_GATEWAY_DIFF_H

/* What a reload would do, and nothing of it done. */

#include "core/fate_diff.h"
#include "core/policy_diff.h"
#include "core/record_effect.h"
#include "gateway/gateway.h"

enum { DIFF_SINCE_S = 30 * 24 * 60 * 60 }; /* how far back the record is looked at */

struct gateway_diff {
	struct config_candidate candidate; /* what would be in force */
	/* Live connections that it would cut; which of them are shown is the kernel's order. */
	size_t cut;
	struct foreseen {
		struct tracked tracked; /* its packet is as it was opened */
		struct cut_cause cause;
	} items[CUT_SHOWN_MAX];
	size_t shown;
	bool has_fates; /* they were asked for: */
	struct fate_diff fates;
	struct names_view held_before; /* every address that the names of the policy in force have held */
	bool recorded;                 /* there is a record: */
	struct record_effect record;
	/* Names of the candidate that the policy in force has not: they have no address until they are resolved. Their
	 * indices; owned. */
	struct {
		size_t *items;
		size_t count, capacity;
	} new_names;
};

/* files: the first is the configuration, the others are what it names; NULL: those on disk. `see` gets each change.
 * fates: those are asked for. 0; -EINVAL with the errors in diags; -EBUSY: that was done a moment ago; or another
 * negative errno. After a 0, gateway_diff_free() must follow; what *ret points to is valid until the next event. */
int gateway_diff(struct gateway *gateway, const struct archive *files, bool fates, struct diags *diags,
		 void (*see)(void *userdata, const struct policy_change *change), void *userdata,
		 struct gateway_diff *ret);
void gateway_diff_free(struct gateway_diff *diff);

#endif
