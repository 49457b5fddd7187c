/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_REPORT_USAGE_H
#define SPEFW_REPORT_USAGE_H

/* Which flows are used and by whom, as JSON. */

#include <jansson.h>
#include <stdbool.h>

struct gateway;
struct usage;
struct record_entry;
struct policy_flow;
struct tracked;

/* Adds to a Flow how it is used. */
void report_use(json_t *flow, const struct gateway *gateway, const struct policy_flow *of);
/* Adds `recorded_s`, where there is a record. */
void report_recorded(json_t *reply, const struct gateway *gateway);
/* Each returns a new reference, or NULL without memory. flow NULL: of all. at_once: also where they were
 * listed a moment ago. *ret_error: connections can't be read, and it is NULL; a negative errno. */
json_t *report_connections(struct gateway *gateway, const struct policy_flow *flow, bool at_once, int *ret_error);
json_t *report_peers(const struct gateway *gateway, const struct policy_flow *flow);
json_t *report_peer(const struct record_entry *entry); /* as Peer */
/* Adds to a connection how old it is, as far as that is known. */
void report_age(json_t *out, const struct usage *usage, const struct tracked *tracked);
json_t *report_cut_one(const struct tracked *tracked);

#endif
