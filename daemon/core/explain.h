/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_EXPLAIN_H
#define SPEFW_EXPLAIN_H

/* What happens to a new connection, and why: the question in an administrator's words, and what the judge, the nearest
 * flow and the chains of our table have to say to each packet that is meant. */

#include "nearest.h"
#include "ruleset_walk.h"

enum {
	QUESTION_WORD_MAX = 300, /* bytes of each word of a question */
	QUESTION_ROLE_MAX = 16,  /* addresses that a role may stand for */
	QUESTION_PACKETS_MAX = 256,
	QUESTION_WHY_MAX = 600,
};

struct addr_list {
	struct addr *items;
	size_t count, capacity;
};

struct question {
	struct addr_list sources, targets;
	enum protocol protocol;
	uint16_t port; /* 0: icmp-echo */
};

/* source and target are addresses, roles or names of the policy; the target has a port behind a colon where the
 * protocol (NULL or "": tcp) has ports. A role stands for its addresses where they are few. names NULL: there is nobody
 * to ask for their addresses. 0; -EINVAL: why has a sentence of what is wrong and what would be right; or -ENOMEM.
 * question_free() must follow in any case. */
int question_read(struct question *ret, const struct policy *policy, const struct names_view *names, const char *source,
		  const char *target, const char *protocol, char why[QUESTION_WHY_MAX]);
void question_free(struct question *question);

/* What the rules do beside the flows. */
enum exception {
	EXCEPTION_NONE,
	EXCEPTION_BROADCAST, /* to the broadcast address of a network with a protected machine: denied */
	EXCEPTION_IGNORED,   /* a broadcast or multicast of a protected machine: dropped, and no denial */
};

struct explanation {
	struct judgement judgement;
	struct nearest nearest; /* of what is denied */
	enum exception exception;
	enum verdict verdict; /* the judgement's, or by the exception: VERDICT_DENY */
	enum hook hook;
	const struct set *interfaces; /* by which the source has to come in, else it is spoofed; NULL: by any */
	bool walked;                  /* walk is known */
	bool differs;                 /* the chains decide otherwise: they are not what they should be */
	struct walk walk;
};

struct explain_view {
	const struct policy *policy;
	const struct names_view *names;
	const struct ruleset *ruleset; /* NULL: what the kernel holds is not known */
};

/* In audit mode the verdict is what enforce would do, and the walk what the rules do. */
void explain_packet(const struct explain_view *view, const struct packet *packet, struct explanation *ret);
/* Whether `interception = prevent` keeps this packet's connection from being translated by others. */
bool explain_pinned(const struct policy *policy, const struct packet *packet, const struct explanation *explanation);

#endif
