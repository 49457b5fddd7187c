/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_COMPILE_H
#define SPEFW_COMPILE_H

/* Makes a ruleset that means what policy_judge() means. */

#include "policy.h"
#include "ruleset.h"

/* The interfaces behind which a protected role lives. None: unknown, or not to be guarded; then no rule looks at
 * interfaces. */
struct interface_list {
	char (*names)[CONFIG_INTERFACE_MAX + 1];
	size_t count;
};

struct environment {
	const struct ranges *gateway;                 /* the gateway's own addresses, normalised */
	const struct interface_list *role_interfaces; /* one a policy role, same index */
	const struct names_view *names;
	struct interface_list towards;          /* the interfaces that routes to any protected address leave by */
	struct interface_list own_interfaces;   /* by which packets of the gateway's own come in, besides lo */
	const struct ranges *broadcasts;        /* of networks that hold a protected address, normalised; NULL: none */
	const struct interface_list *resolvers; /* the interfaces that lead to the server's resolvers; NULL: none */
};

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
