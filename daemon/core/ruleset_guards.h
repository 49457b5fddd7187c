/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_RULESET_GUARDS_H
#define SPEFW_RULESET_GUARDS_H

/* What a table that was found is good for, at a glance; what of its policy it holds is the proof's to say. */

#include "ruleset.h"

/* Its hooks are there, no chain was emptied, no chain holds what is not of our making, and protected addresses lead to
 * their flows. */
bool ruleset_guards(const struct ruleset *ruleset);
/* It counts what it denies, and lets it pass: by what deny_in ends with. */
bool ruleset_audits(const struct ruleset *ruleset);

#endif
