/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_OTHERS_BOXES_H
#define SPEFW_OTHERS_BOXES_H

/* What others.c and others_boxes.c share.
 *
 * Flows are boxes: an interval of each field that a rule may look at. A rule meets a box where each of its conditions
 * has something in common with it. Boxes go through the chains as packets would; one that a rule takes wholly, and by
 * what is known, goes no further. In doubt a rule meets: what is told may then be harmless, but nothing is missed. */

#include "others.h"

enum box_state { BOX_HERE, BOX_RETURNED, BOX_GONE };

struct box {
	const struct policy_flow *flow; /* NULL: no flow of the policy's */
	bool inbound, reply;
	uint8_t family; /* enum family */
	uint8_t first[RULE_FIELDS][OTHERS_KEY_MAX], last[RULE_FIELDS][OTHERS_KEY_MAX];
	const struct ranges *holes[2]; /* what the source and the target are not; NULL: nothing */
	const struct role_links *neighbours; /* links that it does not come by; NULL: none */
	uint8_t state;
	size_t from;    /* the box of the caller that it is a part of */
	bool whole;     /* all of that */
	bool any_peer;  /* the peer may be anybody */
	/* For drops: which part of the flow it is. */
	bool some;      /* not all, or under conditions that can't be known */
	bool some_peers; /* some of ANY */
	bool doubt;     /* some of it may have been accepted already */
	bool dropped;   /* BOX_GONE: by a drop */
};

struct boxes {
	struct box *items;
	size_t count, capacity;
};

struct judging {
	const struct others *others;
	const struct policy *policy;
	const struct others_view *view;
	unsigned deeds;
	struct findings *out;
	const struct other_chain *base;
	bool *leads;      /* of each chain: it comes to a deed */
	size_t *first_rule; /* of each chain; rules of one chain need not stand together */
	size_t *next_rule;  /* of each rule: the next one of its chain, and one; 0: none */
	size_t *told;     /* of each rule: its finding, and one */
	struct ranges not_targets;  /* of traffic that passes: the gateway's own addresses, and the like */
	struct ranges *not_sources; /* likewise, of each role */
	size_t steps;
};

/* The flows as the base chain sees them. 0 or -ENOMEM. */
int add_boxes(struct judging *j, struct boxes *boxes);

#endif
