/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DAEMON_BRIDGES_H
#define SPEFW_DAEMON_BRIDGES_H

/* Reads what core/bridges.h judges (rtnetlink, and the sysctls of br_netfilter). */

#include "core/bridges.h"
#include "net/links.h"

/* *ret, which holds what the last look found or is empty, gets what this one finds. Where there is no bridge, nothing
 * else is read. 0 or a negative errno; on error *ret is as it was. */
int bridges_look(struct links *links, const struct ranges *guarded, struct bridge_findings *ret);

#endif
