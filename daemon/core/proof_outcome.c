/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof_parts.h"

#include <string.h>

/* What the rules make of packets and what the policy does */

bool counts_equal(const struct tally *tally, const struct fate *fate, const struct policy *policy)
{
	for (int c = 0; c < COUNTS; c++)
		if (tally->counts[c] != fate->counts[c] + (c == COUNT_UNOBSERVED && fate->copied))
			return false;
	return !tally->odd && (!fate->counts[COUNT_FLOW] || tally->flow == 1 + (uint32_t)(fate->flow - policy->flows));
}

/* Who is counted as denied or intercepted is copied, within the limit; nobody else is. */
bool copies_equal(const struct tally *tally, const struct fate *fate)
{
	static const enum fate_counter copied[] = { COUNT_DENIED_IN, COUNT_DENIED_OUT, COUNT_DENIED_EARLY,
						    COUNT_INTERCEPTED };

	for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
		if ((tally->counts[copied[i]] > 0) != ((tally->logs & 1U << copied[i]) != 0))
			return false;
	return fate->for_name == ((tally->logs & 1U << COUNT_FLOW) != 0);
}

bool actions_equal(const struct ending *ending, const struct fate *fate)
{
	return ending->pinned == fate->pinned &&
	       (ending->action == fate->action ||
		(fate->at_a_rate && ending->tally.limited && ending->action == ACTION_DROP));
}

bool outcomes_equal(const struct prover *p, const struct ending *ending, const struct fate *fate)
{
	return actions_equal(ending, fate) && counts_equal(&ending->tally, fate, p->view.policy) &&
	       copies_equal(&ending->tally, fate);
}

struct fate fate_of_ending(const struct prover *p, const struct ending *ending)
{
	struct fate fate = { .action = ending->action,
			     .pinned = ending->pinned,
			     .copied = ending->tally.counts[COUNT_UNOBSERVED] > 0,
			     .for_name = (ending->tally.logs & 1U << COUNT_FLOW) != 0 };

	memcpy(fate.counts, ending->tally.counts, sizeof(fate.counts));
	fate.counts[COUNT_UNOBSERVED] = 0;
	if (ending->tally.flow)
		fate.flow = &p->view.policy->flows[ending->tally.flow - 1];
	return fate;
}

bool endings_equal(const struct ending *a, const struct ending *b)
{
	return a->action == b->action && a->pinned == b->pinned && a->tally.odd == b->tally.odd &&
	       a->tally.flow == b->tally.flow && a->tally.logs == b->tally.logs &&
	       memcmp(a->tally.counts, b->tally.counts, sizeof(a->tally.counts)) == 0;
}
