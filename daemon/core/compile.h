/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_COMPILE_H
#define SPEFW_COMPILE_H

/* Makes a ruleset that means what policy_fate() means. */

#include "environment.h"
#include "ruleset.h"

/* *ret is the whole table, finished (elements sorted). 0 or -ENOMEM; on error *ret is empty. */
int compile(struct ruleset *ret, const struct policy *policy, const struct environment *environment);

/* Only the sets of names, as far as `current` has them. 0 or -ENOMEM; on error *ret is empty. */
int compile_names(struct ruleset *ret, const struct ruleset *current, const struct policy *policy,
		  const struct names_view *names);

/* DNS queries and answers of each protected role, each kind, that are copied to the daemon; what is more is counted as
 * unobserved. */
enum { OBSERVED_A_SECOND = 1000 };

/* The base name of the kernel sets of a DNS name ("name_my.mailstore.com"); "_4" or "_6" follows. */
enum { NAME_SET_MAX = 250 };
void name_set(const char *name, char buffer[NAME_SET_MAX]);

/* For reports: the counters of the guards and denials that every table has. */
extern const char *const guard_counters[];
extern const size_t guard_counter_count;

#endif
