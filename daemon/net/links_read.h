/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_LINKS_READ_H
#define SPEFW_LINKS_READ_H

/* One look at the kernel's links, addresses, nexthops and routes (libnl-route-3), as plain data: what links.c answers
 * from. */

#include "core/addr.h"
#include "core/config.h"

#include <netlink/netlink.h>

struct net_link {
	int index, master; /* 0: none */
	int lower; /* of a macvlan: whose wire it shares; of a veth: its peer; 0: none, or in another namespace */
	char name[CONFIG_INTERFACE_MAX + 1];
	bool awake; /* it is up and has a carrier */
	bool is_bridge, is_vrf, is_macvlan, is_veth;
};

struct net_address {
	int link;
	struct addr addr;
	struct range network;
	int prefix_length;
	struct addr broadcast; /* as it was given */
	bool has_broadcast;
	bool permanent; /* somebody configured it: it is not leased, nor made from a router's advertisement */
};

/* A nexthop, or a member of a group of them. */
struct net_hop {
	uint32_t id, member; /* member: the id of a nexthop; 0: it is none of a group */
	int link;
	struct addr via;
	bool has_via;
};

/* Where several routes lead to somebody, the first rank that covers him counts. */
enum route_rank {
	RANK_CONFIGURED,
	RANK_ADVERTISED, /* by a router: whoever has a wire to this gateway can do that */
	RANK_DEFAULT,
	RANKS
};

struct net_route {
	struct range range;
	int prefix_length;
	uint8_t rank;    /* enum route_rank */
	bool remembered; /* it was there before its link went down, or will be once that is up */
	char link[CONFIG_INTERFACE_MAX + 1];
	struct addr via;
	bool has_via;
};

struct net {
	struct {
		struct net_link *items;
		size_t count, capacity;
	} links;
	struct {
		struct net_address *items;
		size_t count, capacity;
	} addresses;
	struct {
		struct net_hop *items;
		size_t count, capacity;
	} hops; /* by their ids */
	struct {
		struct net_route *items;
		size_t count, capacity;
	} routes;                 /* default routes, and what meets the interest; sorted, each once */
	struct ranges broadcasts; /* IPv4, that the kernel takes for such */
};

/* interest: normalised. 0, or a negative errno; then *ret is empty, and the socket may hold the rest of an answer. */
int net_read(struct nl_sock *socket, const struct ranges *interest, struct net *ret);
void net_free(struct net *net);

const struct net_link *net_link(const struct net *net, int index);              /* NULL: none */
const struct net_link *net_link_named(const struct net *net, const char *name); /* NULL: none */
/* Adds a route that is not there yet. 0 or -ENOMEM. */
int net_add_route(struct net *net, const struct net_route *route);

/* Whether a message is about a route that meets the interest, or of a default route. */
struct nlmsghdr;
bool net_route_matters(const struct nlmsghdr *header, const struct ranges *interest);

#endif
