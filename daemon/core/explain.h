/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_EXPLAIN_H
#define SPEFW_EXPLAIN_H

/* What happens to a new connection, and why: the question in an administrator's words, and what the policy, the nearest
 * flow and the chains of our table have to say to each packet that is meant. */

#include "nearest.h"
#include "proof_packet.h"

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

struct explain_question {
	struct addr_list sources, targets;
	enum protocol protocol;
	uint16_t port; /* 0: icmp-echo */
};

/* source and target are addresses, roles or names of the policy; the target has a port behind a colon where the
 * protocol (NULL or "": tcp) has ports. A role stands for its addresses where they are few. names NULL: there is nobody
 * to ask for their addresses. 0; -EINVAL: why has a sentence of what is wrong and what would be right; or -ENOMEM.
 * question_free() must follow in any case. */
int question_read(struct explain_question *ret, const struct policy *policy, const struct names_view *names,
		  const char *source, const char *target, const char *protocol, char why[QUESTION_WHY_MAX]);
void question_free(struct explain_question *question);

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
	enum verdict verdict; /* policy_fate()'s, or by the exception: VERDICT_DENY */
	bool pinned;          /* `interception = prevent` keeps its connection from being translated by others */
	enum hook hook;
	const struct interface_list *interfaces; /* by which the source has to come in, else it is spoofed; NULL: any */
	bool walked;                             /* walk is known */
	bool differs; /* at some stage the chains decide or count otherwise than policy_fate(): they are not what they
			 should be */
	struct packet_walk walk; /* of the base chain that it ends in */
};

struct explain_view {
	const struct policy *policy;
	const struct environment *environment;
	const struct names_view *names; /* the environment's; NULL: those are none, since there is nobody to ask */
	struct packet_walks *walks;     /* of the ruleset; NULL: what the kernel holds is not known */
};

/* A packet that opens a connection, and is what it seems: it comes by the right interface, is translated by nobody, and
 * belongs to nothing that was cut. In audit mode the verdict is what enforce would do, and the walk what the rules do.
 * 0 or -ENOMEM. */
int explain_packet(const struct explain_view *view, const struct packet *packet, struct explanation *ret);

#endif
