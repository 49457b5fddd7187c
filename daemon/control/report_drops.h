/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_REPORT_DROPS_H
#define SPEFW_REPORT_DROPS_H

/* What was denied, as the JSON of Drops() and of Status(). New references; NULL without memory. */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct gateway;

/* The rows that changed after this serial (0: all), those that changed last first, `most` of them at most. *ret_serial:
 * for the next call. */
json_t *report_drops(struct gateway *gateway, uint64_t since, size_t most, uint64_t *ret_serial);
/* Adds to Status().denied whose packets they were. */
void report_denied_sources(const struct gateway *gateway, json_t *denied);

#endif
