/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_FATE_WORLD_H
#define SPEFW_TEST_FATE_WORLD_H

/* Packets at the edges of a policy, random ones, and what policy_fate() and the small machine make of them. Link with
 * fate_world.c, random_policy.c, make.c and vm.c. */

#include "../golden/case.h"
#include "core/fate.h"
#include "vm.h"

/* Values at which something may change, beside others. */
enum { ADDRS_MAX = 2000, PORTS_MAX = 400 };
struct values {
	struct addr addrs[FAMILIES][ADDRS_MAX];
	size_t addr_count[FAMILIES];
	uint16_t ports[PORTS_MAX];
	size_t port_count;
};

void collect(struct values *values, const struct golden_case *g);
struct fate_packet random_packet(const struct values *values, const struct golden_case *g);
struct vm_packet vm_packet_of(const struct fate_packet *p, enum fate_stage stage);
/* NULL, or what differs. limited: the ruleset's limits were reached. */
const char *difference(const struct fate *fate, const struct vm_result *vm, bool limited);
void describe(const struct fate_packet *p, enum fate_stage stage, const struct fate *fate, const struct vm_result *vm,
	      const char *what);
/* For a policy of random_config(): the rest of the case, but for the ruleset. */
void random_environment(struct golden_case *g);

#endif
