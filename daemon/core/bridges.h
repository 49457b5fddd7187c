/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_BRIDGES_H
#define SPEFW_BRIDGES_H

/* Bridges that carry a protected address past the hooks: who is behind which port, and what the kernel filters of it.
 */

#include "addr.h"
#include "config.h"

enum { BRIDGE_HARDWARE = 6 }; /* bytes of an Ethernet address */

struct bridge_fact {
	char name[CONFIG_INTERFACE_MAX + 1];
	bool filtered[FAMILIES]; /* its frames come by the hooks */
};

/* A port of a bridge, or an address that the bridge has learned behind one. */
struct bridge_port {
	char bridge[CONFIG_INTERFACE_MAX + 1], port[CONFIG_INTERFACE_MAX + 1];
};

struct bridge_entry {
	struct bridge_port at;
	uint16_t vlan; /* 0: none */
	uint8_t hardware[BRIDGE_HARDWARE];
};

struct bridge_neighbour {
	struct addr addr;
	uint8_t hardware[BRIDGE_HARDWARE];
};

struct bridge_facts {
	struct {
		struct bridge_fact *items;
		size_t count, capacity;
	} bridges;
	struct {
		struct bridge_port *items;
		size_t count, capacity;
	} ports;
	struct {
		struct bridge_entry *items;
		size_t count, capacity;
	} entries;
	struct {
		struct bridge_neighbour *items;
		size_t count, capacity;
	} neighbours;
	bool can_filter; /* br_netfilter is there */
};

struct bridge_finding {
	struct bridge_entry guarded, hop; /* both of one bridge */
	struct addr guarded_addr, hop_addr;
	bool unfiltered[FAMILIES]; /* of those that are guarded */
};

struct bridge_findings {
	struct bridge_finding *items;
	size_t count, capacity;
	bool can_filter;
};

/* One finding a bridge. guarded, next_hops: normalised, the latter those of default routes. before: what an earlier
 * look found; entries age without traffic, so it holds until something contradicts it. May be NULL. 0 or
 * -ENOMEM. */
int bridges_judge(struct bridge_findings *ret, const struct bridge_facts *facts, const struct ranges *guarded,
		  const struct ranges *next_hops, const struct bridge_findings *before);
void bridge_facts_free(struct bridge_facts *facts);
void bridge_findings_free(struct bridge_findings *findings);

/* "bridge br0 carries 192.0.2.25 (behind lan) ...", and what would mend that. */
enum { BRIDGE_TEXT_MAX = 400 };
char *bridge_finding_text(const struct bridge_finding *finding, char buffer[BRIDGE_TEXT_MAX]); /* returns buffer */
char *bridge_remedy_text(const struct bridge_findings *findings, const struct bridge_finding *finding,
			 char buffer[BRIDGE_TEXT_MAX]);

#endif
