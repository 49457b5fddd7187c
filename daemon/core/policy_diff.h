/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_POLICY_DIFF_H
#define SPEFW_POLICY_DIFF_H

#include "policy.h"

/* What changed from one policy to another, in words, one call a line ("flow api-in: on -> off"). */
void policy_diff(const struct policy *old, const struct policy *new, void (*line)(void *userdata, const char *text),
		 void *userdata);
/* Whether a key that both have as it is written, of a section without a name, has one value in both. */
bool policy_same_value(const struct policy *a, const struct policy *b, enum config_section section, const char *name);

/* "any", or what was written, separated by blanks. Returns buffer. */
char *endpoint_text(const struct endpoint *endpoint, char *buffer, size_t size);
/* "443" or "10000-10100", separated by commas; "" for icmp-echo. Returns buffer. */
char *ports_text(const struct policy_flow *flow, char *buffer, size_t size);
/* "tcp", "tcp/udp", "icmp-echo". Returns buffer. */
char *protocols_text(unsigned protocols, char buffer[24]);

#endif
