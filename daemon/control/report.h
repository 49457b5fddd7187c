/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_REPORT_H
#define SPEFW_REPORT_H

/* What the gateway reports, as the JSON of include/spefw/org.spefw.Gateway.varlink. Each returns a new
 * reference for the caller, or NULL without memory. */

#include <jansson.h>

struct gateway;
struct health;

json_t *report_status(struct gateway *gateway, size_t clients); /* clients: connections to the control socket */
json_t *report_blocked(const struct gateway *gateway);          /* what other tables stop: a part of the status */
json_t *report_flows(struct gateway *gateway);
json_t *report_names(const struct gateway *gateway);
json_t *report_name_list(const struct gateway *gateway); /* a part of the status */
json_t *report_reasons(const struct health *health);
/* One line of it for the service manager (STATUS=). */
void report_to_manager(struct gateway *gateway);

#endif
