/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof_parts.h"

/* A difference is found by boxes, hulls and pairs. Before it is said, its packet alone goes the whole way: a proof that
 * errs there must not have a good table replaced. */

static bool differs_from_policy(struct prover *p, const struct endings *found)
{
	struct asker asker = fate_packet_asker(&p->result->packet);
	struct fate fate = policy_fate(&p->view, p->result->stage, &asker);

	return packet_differs(p, found, &fate);
}

/* Within the limits, or beyond them, on both sides. */
static bool differs_from_wanted(const struct endings *found, const struct endings *wanted)
{
	for (size_t i = 0; i < found->count; i++)
		for (size_t j = 0; j < wanted->count; j++)
			if (found->items[i].tally.limited == wanted->items[j].tally.limited &&
			    !endings_equal(&found->items[i], &wanted->items[j]))
				return true;
	return false;
}

bool proof_confirm(struct prover *p)
{
	struct box box = packet_box(p, &p->result->packet, &p->result->headers, p->shown_next);
	bool differs;

	p->stage = p->result->stage;
	p->done = false; /* or no rule would be looked at */
	struct endings endings = packet_endings(p, &p->found, &box, NULL);
	if (p->result->is_established) {
		struct endings others = packet_endings(p, &p->wanted, &box, NULL);
		differs = differs_from_wanted(&endings, &others);
	} else {
		differs = differs_from_policy(p, &endings);
	}
	p->done = differs && !proof_stopped(p);
	return p->done;
}
