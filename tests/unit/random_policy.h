/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_RANDOM_POLICY_H
#define SPEFW_TEST_RANDOM_POLICY_H

/* Random policies in a world of few addresses and ports: 10.0.0.0-31 and fd00::0-1f. Addresses from 16 on may be
 * protected; those from 28 on belong to names alone. Link with random_policy.c and make.c. */

#include "core/policy.h"

#include <stdint.h>

void random_seed(uint64_t seed);
unsigned roll(unsigned sides); /* 0 .. sides - 1 */
unsigned some_port(void);

/* The text of a configuration, the caller's to free; some are refused. everything: also audit mode, every kind of
 * interception, nat_except. */
char *random_config(bool everything);
/* Names hold addresses that are not protected: the address book refuses others. */
struct names_view random_names(const struct policy *policy);
/* Also of protected addresses, and of flows that are off: these have no effect. */
void add_random_grants(const struct policy *policy, struct names_view *view);

#endif
