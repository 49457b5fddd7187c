/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_FOREIGN_PARTS_H
#define SPEFW_FOREIGN_PARTS_H

/* What the files that judge other tables share.
 *
 * Flows are boxes: an interval of each field that a rule may look at. A rule meets a box where each of its conditions
 * has something in common with it. Boxes go through the chains as packets would; one that a rule takes wholly, and by
 * what is known, goes no further. In doubt a rule meets: what is found may then be harmless, but nothing is missed. */

#include "foreign.h"

enum box_state { BOX_HERE, BOX_RETURNED, BOX_GONE };

struct box {
	const struct policy_flow *flow; /* NULL: no flow of the policy's */
	bool inbound, reply;
	uint8_t family; /* enum family */
	uint8_t first[RULE_FIELDS][FOREIGN_KEY_MAX], last[RULE_FIELDS][FOREIGN_KEY_MAX];
	const struct ranges *holes[2];           /* what the source and the target are not; NULL: nothing */
	const struct interface_list *neighbours; /* interfaces that it does not come by; NULL: none */
	uint8_t state;
	size_t ways, first_way, way; /* of how many by different interfaces this is one; their numbers among all */
	bool whole;                  /* all of the box that it is a part of */
	bool any_peer;               /* the peer may be anybody */
	/* For drops: which part of the flow it is. */
	bool some;       /* not all, or under conditions that can't be known */
	bool some_peers; /* some of ANY */
	bool doubt;      /* some of it may have been accepted already */
	bool dropped;    /* BOX_GONE: by a drop */
};

struct boxes {
	struct box *items;
	size_t count, capacity;
};

/* A box in a chain. */
struct frame {
	struct box box;
	size_t at;      /* the rule, and one, that it comes to; 0: it is through */
	size_t element; /* of that rule's map */
	bool in_map;
	enum way way; /* how it came here */
};

/* One box goes its way after the other, so that it can be left at any rule and gone on with later. */
struct judging {
	const struct foreign_tables *tables;
	const struct policy *policy;
	const struct foreign_view *view;
	unsigned effects;
	const struct foreign_packet *packet; /* NULL: the policy's flows */
	struct findings *out;
	const struct foreign_chain *base;
	size_t base_index, next_chain;
	bool *leads;                /* of each chain: it leads to an effect */
	bool *map_leads;            /* likewise, of each set that is a map */
	size_t *first_rule;         /* of each chain; rules of one chain need not stand together */
	size_t *next_rule;          /* of each rule: the next one of its chain, and one; 0: none */
	size_t *finding_of;         /* of each rule: its finding, and one */
	size_t policy_finding;      /* likewise, of the base chain's policy */
	struct ranges not_targets;  /* of traffic that passes: the gateway's own addresses, and the like */
	struct ranges *not_sources; /* likewise, of each role */
	struct boxes boxes;         /* of the base chain */
	size_t next_box;
	struct frame *frames; /* the chains that the box is in, that of its base chain first */
	size_t depth;
	bool walking, done;
	size_t steps; /* rules, conditions, elements, boxes that were looked at */
};

/* The flows, or the packet, as the base chain sees them. 0 or -ENOMEM. */
int add_boxes(struct judging *j, struct boxes *boxes);
int add_packet_boxes(struct judging *j, struct boxes *boxes);

/* foreign_boxes.c */
struct box_ends {
	const struct range *source, *target;
	uint8_t protocol;
	const struct port_range *source_ports, *target_ports; /* NULL: it has none */
	bool reply;
	bool from_gateway;    /* it was made here: it came by no interface */
	const char *in, *out; /* interfaces; NULL: any */
};
/* With what is known of its connection; the rest is the caller's. */
struct box make_box(const struct judging *j, const struct box_ends *ends);
/* The boxes from the first one on are one thing by several ways. */
void number_ways(struct boxes *boxes, size_t first);

/* foreign_finding.c: the rule does this to the box; NULL: the end of the base chain does. 0 or -ENOMEM. */
int add_finding(struct judging *j, const struct foreign_rule *rule, enum effect effect, const struct box *box,
		bool may);

/* How much of a box a rule meets. */
struct share {
	bool all;
	bool peers; /* where not: it is some peers of ANY that it meets, and nothing else is open */
};

/* foreign.c */
bool is_looked_for(unsigned effects, unsigned effect);

/* foreign_meet.c */
size_t first_element_from(const struct foreign_set *set, const uint8_t *value, size_t size);
/* The first element that meets the box; NULL: none. */
const struct set_element *element_met(struct judging *j, const struct box *box, enum rule_field field,
				      const struct foreign_set *set);
bool is_of_peer(const struct box *box, enum rule_field field); /* the field has the peer's address */
bool meets_rule(struct judging *j, const struct box *box, const struct foreign_rule *rule, struct share *ret);
bool meets_element(struct judging *j, const struct box *box, const struct foreign_rule *rule,
		   const struct set_element *element, struct share *ret);
struct box part_of(const struct judging *j, const struct box *box, const struct foreign_rule *rule,
		   const struct set_element *element, struct share share);

#endif
