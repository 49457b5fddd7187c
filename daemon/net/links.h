/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_LINKS_H
#define SPEFW_LINKS_H

/* What the kernel knows of interfaces, addresses and routes (libnl-route-3), kept current. */

#include "core/addr.h"
#include "core/config.h"

#include <systemd/sd-event.h>

struct links;

/* `changed` is called from the event loop, once for a burst of changes. */
int links_new(struct links **ret, sd_event *event, void (*changed)(void *userdata), void *userdata);
void links_free(struct links *links);

/* There was a change that could not be read yet: what is given here is from before it. It is tried again. */
bool links_unread(const struct links *links);

/* The gateway's own addresses, normalised; valid until the next change. */
const struct ranges *links_gateway_addresses(const struct links *links);
/* The names of all interfaces with a route to any of these addresses, whatever its metric and table, and of macvlans on
 * them and VRFs that they belong to. Routes that another router advertised count only for what no configured one
 * covers, default routes only for what no other covers. The routes of an interface that is down still count. Sorted,
 * unique; the caller frees *ret. Routes to addresses that nobody wanted yet are not kept: the first time they are read
 * then. 0 or a negative errno. */
int links_towards(struct links *links, const struct ranges *addresses, char (**ret)[CONFIG_INTERFACE_MAX + 1],
		  size_t *ret_count);
/* Likewise, the interfaces of all default routes. */
int links_of_defaults(const struct links *links, char (**ret)[CONFIG_INTERFACE_MAX + 1], size_t *ret_count);
/* Likewise, all interfaces that have an address, but for lo. */
int links_with_address(const struct links *links, char (**ret)[CONFIG_INTERFACE_MAX + 1], size_t *ret_count);
/* Interfaces that were known to lead to these, by whoever knows: they count as long as they are down. 0 or a negative
 * errno.
 */
int links_remember(struct links *links, const struct ranges *addresses, char (*names)[CONFIG_INTERFACE_MAX + 1],
		   size_t count);
/* Likewise, bridges without an address: what they carry nobody routes. */
int links_bare_bridges(const struct links *links, char (**ret)[CONFIG_INTERFACE_MAX + 1], size_t *ret_count);
/* Likewise, the interfaces by which packets of the gateway's own come in, though it sent them: VRFs, and bridges that
 * it is plugged into by a pair of veth. lo is left out. */
int links_of_own_packets(const struct links *links, char (**ret)[CONFIG_INTERFACE_MAX + 1], size_t *ret_count);
/* The broadcast addresses of networks of this gateway that hold any of these addresses, but for these addresses
 * themselves; normalised, the caller frees *ret. 0 or -ENOMEM. */
int links_broadcasts(const struct links *links, const struct ranges *addresses, struct ranges *ret);
/* The next hops of default routes; normalised, the caller frees *ret. 0 or -ENOMEM. */
int links_next_hops(const struct links *links, struct ranges *ret);
bool links_any_bridge(const struct links *links);

#endif
