/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_FATE_DIFF_H
#define SPEFW_FATE_DIFF_H

/* Which new connections fare otherwise under one policy than under another: all of them, in classes. It is asked what
 * the flows make of a connection's first packet (fate_of_ours()), for all packets at once. Outside stand what is about
 * interfaces, other tables and translation (guards), mid-stream packets, and which flow counts what is allowed.
 * Pure, and bounded. */

#include "fate.h"

enum fate_outcome {
	OUTCOME_ALLOWED,
	OUTCOME_UNGUARDED, /* touches no protected address */
	OUTCOME_AUDITED,   /* denied, but for mode = audit */
	OUTCOME_ANSWERED,  /* denied, and the source gets an answer */
	OUTCOME_DENIED,
	OUTCOMES
};

/* Of what is not for the guards. */
enum fate_outcome fate_outcome(const struct fate *fate);

/* What passes that did not, what does not that did, and the rest: changes are shown in this order. */
enum fate_change { CHANGE_OPENS, CHANGE_CLOSES, CHANGE_ELSE, CHANGES };
enum fate_change fate_change(enum fate_outcome before, enum fate_outcome after);

enum { PROTOCOL_OTHERS = PROTOCOLS }; /* those that no flow has */

/* Some addresses of a family, in the shortest words. */
enum { FATE_RANGES_MAX = 1024 };
struct fate_addresses {
	uint8_t family;
	bool any;             /* all of them; else: */
	bool but;             /* all but these: */
	const char *name;     /* of a role or name that has just these, as the policy has it; NULL: there is none */
	bool is_of_family;    /* and it has none of the other family */
	struct ranges ranges; /* these, normalised: the first ones of them */
	size_t more;          /* how many ranges are not among these */
};

/* Every packet from one of the sources to one of the targets by one of the protocols, of TCP and UDP to one of the
 * ports. */
struct fate_class {
	uint8_t before, after;    /* enum fate_outcome */
	uint8_t protocols;        /* bits 1 << enum protocol, and PROTOCOL_OTHERS */
	size_t source, target;    /* which of the diff's addresses */
	struct port_range *ports; /* normalised; of other protocols no matter */
	size_t port_count;
};

/* One of the two that are compared. */
struct fate_side {
	const struct policy *policy;
	const struct names_view *names; /* NULL: no name has an address */
};

struct fate_diff {
	struct fate_class *items; /* no packet is in two of them */
	size_t count, capacity;
	size_t left; /* how many classes there are besides */
	struct {
		struct fate_addresses *items;
		size_t count, capacity;
	} addresses;
	const char *failure; /* static: why they are not known, and there are none; NULL: they are */
};

enum { FATE_LINES_MAX = 50 }; /* that are shown */

/* Of each family, max classes at most: first what opens something, then what closes something. 0 or -ENOMEM (then there
 * are none). The policies have to outlive the result. Free by fate_diff_free(). */
int fate_diff(struct fate_diff *ret, const struct fate_side *before, const struct fate_side *after, size_t max);
void fate_diff_free(struct fate_diff *diff);

/* The classes in lines, "ADM -> SERVER tcp/8470: allowed -> denied", at most `max`, in the same order; what is the same
 * line in both families is one. *ret_left: how many classes are in no line. 0 or -ENOMEM (then none is seen). */
int fate_diff_lines(const struct fate_diff *diff, size_t max, void (*see)(void *userdata, const char *line),
		    void *userdata, size_t *ret_left);

#endif
