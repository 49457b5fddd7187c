/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NET_WAY_H
#define SPEFW_NET_WAY_H

/* The kernel's own way to an address. */

#include "core/addr.h"
#include "core/config.h"

#include <netlink/netlink.h>

/* The interface that a packet to this address leaves by, by a socket of NETLINK_ROUTE; "": there is no way, or it is
 * not known. 0 or a negative errno. */
int net_way_towards(struct nl_sock *socket, const struct addr *addr, char ret[CONFIG_INTERFACE_MAX + 1]);
/* The same by a socket of its own. */
int net_way_of(const struct addr *addr, char ret[CONFIG_INTERFACE_MAX + 1]);

#endif
