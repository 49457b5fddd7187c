/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_RULESET_COMPARE_H
#define SPEFW_RULESET_COMPARE_H

#include "ruleset.h"

/* A chain or set of `before` that `after` has otherwise or not at all, or a base chain that `after` alone has: its
 * name, which lives as long as its ruleset. NULL: there is none. Then every packet ends and is counted by both alike:
 * rules lead to chains and sets by name alone, and those that are new are led to by no rule that was there. Both have
 * to be finished. */
const char *ruleset_find_altered(const struct ruleset *before, const struct ruleset *after);

#endif
