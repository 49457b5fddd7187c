/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_JUDGE_PARTS_H
#define SPEFW_JUDGE_PARTS_H

/* policy_judge() for whoever answers for the packet: shared by judge.c and fate.c. */

#include "policy.h"
#include "question.h"

bool ask_flag(const struct asker *asker, enum asked asked);
bool ask_byte(const struct asker *asker, enum asked asked, const uint8_t *byte); /* byte lives on */
bool ask_ranges(const struct asker *asker, enum asked asked, const struct ranges *ranges);
/* The protected role that guards the address; NULL: none. */
const struct policy_role *ask_role(const struct asker *asker, enum asked asked, const struct policy *policy);
bool ask_endpoint(const struct asker *asker, enum asked asked, const struct endpoint *endpoint,
		  const struct names_view *names);

/* Whether an enabled flow opens the target's TCP port at some address of the role. */
bool ask_open(const struct asker *asker, const struct policy *policy, const struct policy_role *role);

/* The judgement of a packet of this protocol. Nothing else of it is known but by questions; of protocols with ports,
 * both are asked. */
struct judgement judge_asked(const struct policy *policy, const struct names_view *names, const struct asker *asker,
			     enum protocol protocol, bool mid_stream);

#endif
