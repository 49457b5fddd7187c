/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NAMES_SEEN_H
#define SPEFW_NAMES_SEEN_H

/* What each name had when it was looked at last, to see what came and went since. */

#include "policy.h"

struct names_seen {
	struct seen_name *items;
	size_t count, capacity;
};

/* For one name and family: addresses that came, and that went; ascending. */
typedef void names_seen_change(void *userdata, const char *name, enum family family, const struct addr *added,
			       size_t added_count, const struct addr *removed, size_t removed_count);

/* Takes what the names of the policy have now, view. change NULL: without a report. 0, or -ENOMEM: some of it will be
 * reported the next time. */
int names_seen_update(struct names_seen *seen, const struct policy *policy, const struct names_view *view,
		      names_seen_change *change, void *userdata);
/* Names that the policy does not have any more are forgotten, without a report. */
void names_seen_keep(struct names_seen *seen, const struct policy *policy);
void names_seen_free(struct names_seen *seen);

#endif
