/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_FLOW_INDEX_H
#define SPEFW_FLOW_INDEX_H

/* Which role guards an address, and which flows of a role have a port: found without a walk over all of them. */

#include "policy.h"

struct role_range {
	struct range range;
	uint32_t role;
};

/* Ports that the same flows have. */
struct port_segment {
	struct port_range ports; /* icmp-echo: 0 */
	uint32_t flow, count;    /* which of flow_list.flows */
};

struct flow_list {
	struct port_segment *segments; /* ascending, disjoint; none without a flow */
	size_t segment_count;
	uint32_t *flows; /* indices into policy.flows; those of a segment ascend: the most specific first */
};

/* The enabled flows of one protected role. */
struct role_flows {
	struct flow_list in[PROTOCOLS];  /* that open one of its addresses */
	struct flow_list out[PROTOCOLS]; /* that one of its addresses is a source of, and that have a target which is
					    not protected */
	struct flow_list between;        /* TCP: that one of its addresses is a source of, and that open a protected
					    address */
	bool between_shared;             /* these are ANY's alone, which all roles have */
};

struct flow_index {
	struct role_range *guarded; /* of all protected roles, ascending, disjoint */
	size_t guarded_count;
	struct role_flows *roles; /* one a policy role, same index */
	size_t role_count;
	struct flow_list between_any; /* TCP: those of ANY that open a protected address */
};

/* Of policy.roles, the one that guards the address; -1: none does. */
int flow_index_role(const struct flow_index *index, const struct addr *addr);
/* The flows of the list that have the port, as in a segment; they live as long as the index. */
const uint32_t *flow_list_at(const struct flow_list *list, uint16_t port, size_t *ret_count);

/* NULL without memory. To be made anew when what is guarded changes. */
struct flow_index *flow_index_new(const struct policy *policy);
void flow_index_free(struct flow_index *index);

#endif
