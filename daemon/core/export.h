/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_EXPORT_H
#define SPEFW_EXPORT_H

/* A policy in the words of other programs. Texts are the caller's to free; NULL without memory. */

#include "policy.h"
#include "ruleset.h"

struct export_view {
	const struct policy *policy;
	const struct names_view *names; /* NULL: nobody resolves them */
	const char *origin;             /* a line: which program made it, of what, when; "" or any bytes */
	int64_t now_ms;                 /* CLOCK_BOOTTIME, for the timeouts of elements */
};

/* For Windows' own firewall on the protected machines: what the flows open to them, as commands of netsh. No rule is
 * wider than its flow: what can't be written is left out, and a comment has the reason. */
char *export_netsh(const struct export_view *view);

/* For nft -f: the ruleset that compile() has made of the policy, in place of a table of that name. */
char *export_nft(const struct export_view *view, const struct ruleset *ruleset);

#endif
