/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/links_read.h"
#include "core/array.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <netlink/cache.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/macvlan.h>
#include <netlink/route/link/veth.h>
#include <stdlib.h>
#include <string.h>

enum { DUMP_TRIES = 4 };

static bool address_of(struct nl_addr *from, struct addr *ret)
{
	int family = from ? nl_addr_get_family(from) : AF_UNSPEC;
	size_t size = family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;

	if (!size || nl_addr_get_len(from) != size)
		return false;
	*ret = (struct addr){ .family = family == AF_INET ? FAMILY_4 : FAMILY_6 };
	memcpy(ret->bytes, nl_addr_get_binary_addr(from), size);
	return true;
}

static struct range network_of(const struct addr *addr, unsigned prefix_length)
{
	struct range range = range_of(addr);

	for (unsigned bit = prefix_length; bit < addr_bits((enum family)addr->family); bit++) {
		range.first.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
		range.last.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	}
	return range;
}

/* Links and addresses. */

static struct net_link link_of(struct rtnl_link *link)
{
	const char *type = rtnl_link_get_type(link), *name = rtnl_link_get_name(link);
	unsigned awake = IFF_UP | IFF_LOWER_UP;
	struct net_link ret = { .index = rtnl_link_get_ifindex(link),
				.master = rtnl_link_get_master(link),
				.awake = (rtnl_link_get_flags(link) & awake) == awake };
	int32_t other;

	memcpy(ret.name, name ? name : "", name ? strnlen(name, CONFIG_INTERFACE_MAX) : 0);
	ret.is_bridge = type && strcmp(type, "bridge") == 0;
	ret.is_vrf = type && strcmp(type, "vrf") == 0;
	ret.is_veth = rtnl_link_is_veth(link);
	ret.is_macvlan = rtnl_link_is_macvlan(link);
	if (rtnl_link_get_link_netnsid(link, &other) < 0)
		ret.lower = rtnl_link_get_link(link);
	return ret;
}

static int read_links(struct nl_sock *socket, struct net *net)
{
	struct nl_cache *cache;
	int r = 0;

	if (rtnl_link_alloc_cache(socket, AF_UNSPEC, &cache) < 0)
		return -EIO;
	for (struct nl_object *o = nl_cache_get_first(cache); o && r == 0; o = nl_cache_get_next(o))
		r = ARRAY_PUSH(&net->links, link_of((struct rtnl_link *)o)) < 0 ? -ENOMEM : 0;
	nl_cache_free(cache);
	return r;
}

static int read_addresses(struct nl_sock *socket, struct net *net)
{
	struct nl_cache *cache;
	int r = 0;

	if (rtnl_addr_alloc_cache(socket, &cache) < 0)
		return -EIO;
	for (struct nl_object *o = nl_cache_get_first(cache); o && r == 0; o = nl_cache_get_next(o)) {
		struct rtnl_addr *one = (struct rtnl_addr *)o;
		struct net_address address = { .link = rtnl_addr_get_ifindex(one),
					       .prefix_length = rtnl_addr_get_prefixlen(one),
					       .permanent = rtnl_addr_get_flags(one) & IFA_F_PERMANENT };
		struct addr network;
		if (!address_of(rtnl_addr_get_local(one), &address.addr))
			continue;
		/* At the end of a tunnel the network is the peer's. */
		if (!address_of(rtnl_addr_get_peer(one), &network))
			network = address.addr;
		address.network = network_of(&network, (unsigned)address.prefix_length);
		address.has_broadcast = address_of(rtnl_addr_get_broadcast(one), &address.broadcast);
		r = ARRAY_PUSH(&net->addresses, address) < 0 ? -ENOMEM : 0;
	}
	nl_cache_free(cache);
	return r;
}

const struct net_link *net_link(const struct net *net, int index)
{
	for (size_t i = 0; i < net->links.count; i++)
		if (net->links.items[i].index == index)
			return &net->links.items[i];
	return NULL;
}

const struct net_link *net_link_named(const struct net *net, const char *name)
{
	for (size_t i = 0; i < net->links.count; i++)
		if (strcmp(net->links.items[i].name, name) == 0)
			return &net->links.items[i];
	return NULL;
}

/* A route as the kernel reports it. It is read here and not by libnl, which takes none with an encapsulation that it
 * doesn't know, though it would be enough to know whither it leads and by which links. False: it leads nobody anywhere.
 */
struct route_message {
	const struct rtmsg *message;
	struct range range;
	int prefix_length;
	struct nlattr *attributes[RTA_MAX + 1];
};

/* Of what is read as it stands; the others' lengths are looked at where they are read. */
static struct nla_policy route_policy[RTA_MAX + 1] = {
	[RTA_OIF] = { .type = NLA_U32 },
	[RTA_NH_ID] = { .type = NLA_U32 },
};

static struct nla_policy nexthop_policy[NHA_MAX + 1] = {
	[NHA_ID] = { .type = NLA_U32 },
	[NHA_OIF] = { .type = NLA_U32 },
};

static bool read_target(struct route_message *route)
{
	enum family family = route->message->rtm_family == AF_INET6 ? FAMILY_6 : FAMILY_4;
	const struct nlattr *to = route->attributes[RTA_DST];

	route->prefix_length = to ? route->message->rtm_dst_len : 0;
	route->range = range_all(family);
	if (route->prefix_length == 0)
		return true;
	if (nla_len(to) != (int)addr_size(family))
		return false;
	struct addr addr = { .family = (uint8_t)family };
	memcpy(addr.bytes, nla_data(to), addr_size(family));
	route->range = network_of(&addr, (unsigned)route->prefix_length);
	return true;
}

static bool read_route(const struct nlmsghdr *header, struct route_message *ret)
{
	if (nlmsg_parse((struct nlmsghdr *)header, sizeof(struct rtmsg), ret->attributes, RTA_MAX, route_policy) < 0)
		return false;
	ret->message = nlmsg_data(header);
	return (ret->message->rtm_type == RTN_UNICAST || ret->message->rtm_type == RTN_BROADCAST) &&
	       (ret->message->rtm_family == AF_INET || ret->message->rtm_family == AF_INET6) && read_target(ret);
}

static bool matters(const struct ranges *interest, const struct route_message *route)
{
	return route->message->rtm_type == RTN_UNICAST &&
	       (route->prefix_length == 0 || ranges_overlap(interest, &route->range));
}

bool net_route_matters(const struct nlmsghdr *header, const struct ranges *interest)
{
	struct route_message route;
	return read_route(header, &route) && matters(interest, &route);
}

/* Gateways have the whole Internet's table sometimes: it is looked at as it comes, message by message, and hardly any
 * of it is kept. */
struct walk {
	struct net *net;
	const struct ranges *interest;
	struct net_route route;
	int error;
};

static int route_order(const struct net_route *a, const struct net_route *b)
{
	int order = a->prefix_length != b->prefix_length ? a->prefix_length - b->prefix_length : a->rank - b->rank;

	if (order == 0)
		order = addr_compare(&a->range.first, &b->range.first);
	if (order == 0)
		order = strcmp(a->link, b->link);
	if (order == 0)
		order = a->has_via - b->has_via;
	return order == 0 && a->has_via ? addr_compare(&a->via, &b->via) : order;
}

int net_add_route(struct net *net, const struct net_route *route)
{
	size_t low = 0, high = net->routes.count;
	int order = 1;

	while (low < high && order != 0) {
		size_t middle = low + (high - low) / 2;
		order = route_order(&net->routes.items[middle], route);
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (order == 0)
		return 0;
	if (ARRAY_PUSH(&net->routes, *route) < 0)
		return -ENOMEM;
	memmove(&net->routes.items[low + 1], &net->routes.items[low], (net->routes.count - 1 - low) * sizeof(*route));
	net->routes.items[low] = *route;
	return 0;
}

static void add_hop(struct walk *walk, int index, const struct addr *via)
{
	const struct net_link *link = net_link(walk->net, index);

	if (!link)
		return;
	memcpy(walk->route.link, link->name, sizeof(walk->route.link));
	walk->route.has_via = via != NULL;
	walk->route.via = via ? *via : (struct addr){ 0 };
	if (net_add_route(walk->net, &walk->route) < 0)
		walk->error = -ENOMEM;
}

/* An address without its family, or one behind its family (the other one's next hop). */
static bool read_via(const struct nlattr *gateway, const struct nlattr *other, struct addr *ret)
{
	const uint8_t *bytes = gateway                       ? nla_data(gateway)
			       : other && nla_len(other) > 2 ? (const uint8_t *)nla_data(other) + 2
							     : NULL;
	int length = gateway ? nla_len(gateway) : other ? nla_len(other) - 2 : 0;

	*ret = (struct addr){ .family = length == 16 ? FAMILY_6 : FAMILY_4 };
	if (!bytes || (length != 4 && length != 16))
		return false;
	memcpy(ret->bytes, bytes, (size_t)length);
	return true;
}

static void add_hops(struct walk *walk, const struct nlattr *list)
{
	const struct rtnexthop *hop = nla_data(list);

	for (int left = nla_len(list); left >= (int)sizeof(*hop) && RTNH_OK(hop, left);
	     left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
		struct nlattr *attributes[RTA_MAX + 1];
		struct addr via;
		if (nla_parse(attributes, RTA_MAX, (struct nlattr *)RTNH_DATA(hop), hop->rtnh_len - (int)sizeof(*hop),
			      NULL) < 0)
			continue;
		add_hop(walk, hop->rtnh_ifindex,
			read_via(attributes[RTA_GATEWAY], attributes[RTA_VIA], &via) ? &via : NULL);
	}
}

static int hop_order(const void *a, const void *b)
{
	const struct net_hop *x = a, *y = b;
	return (x->id > y->id) - (x->id < y->id);
}

static void sort_hops(struct net *net)
{
	if (net->hops.count)
		qsort(net->hops.items, net->hops.count, sizeof(*net->hops.items), hop_order);
}

/* Of those with this id. */
static size_t first_hop(const struct net *net, uint32_t id)
{
	size_t low = 0, high = net->hops.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (net->hops.items[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* With nexthop_compat_mode = 0 a route has no other word for where it goes. Members of groups are no groups. */
static void add_nexthop(struct walk *walk, uint32_t id, bool member)
{
	for (size_t i = first_hop(walk->net, id); i < walk->net->hops.count && walk->net->hops.items[i].id == id; i++) {
		const struct net_hop *hop = &walk->net->hops.items[i];
		if (!hop->member)
			add_hop(walk, hop->link, hop->has_via ? &hop->via : NULL);
		else if (!member)
			add_nexthop(walk, hop->member, true);
	}
}

/* An advertised prefix gets a route like that of an address, but no address that somebody configured. */
static bool is_advertised(const struct net *net, const struct route_message *route)
{
	if (route->message->rtm_family != AF_INET6)
		return false;
	if (route->message->rtm_protocol != RTPROT_KERNEL || route->attributes[RTA_GATEWAY] ||
	    !route->attributes[RTA_OIF])
		return route->message->rtm_protocol == RTPROT_RA;
	for (size_t i = 0; i < net->addresses.count; i++) {
		const struct net_address *address = &net->addresses.items[i];
		if (address->permanent && address->link == (int)nla_get_u32(route->attributes[RTA_OIF]) &&
		    address->prefix_length == route->prefix_length &&
		    range_contains(&route->range, &address->network.first))
			return false;
	}
	return true;
}

static int each_route(struct nl_msg *message, void *userdata)
{
	struct walk *walk = userdata;
	struct route_message route;
	struct addr via;

	if (nlmsg_hdr(message)->nlmsg_type != RTM_NEWROUTE || !read_route(nlmsg_hdr(message), &route))
		return NL_OK;
	if (route.message->rtm_type == RTN_BROADCAST && ranges_add(&walk->net->broadcasts, &route.range) < 0)
		walk->error = -ENOMEM;
	if (!matters(walk->interest, &route))
		return NL_OK;
	walk->route = (struct net_route){ .range = route.range, .prefix_length = route.prefix_length };
	walk->route.rank = route.prefix_length == 0           ? RANK_DEFAULT
			   : is_advertised(walk->net, &route) ? RANK_ADVERTISED
							      : RANK_CONFIGURED;
	if (route.attributes[RTA_MULTIPATH])
		add_hops(walk, route.attributes[RTA_MULTIPATH]);
	else if (route.attributes[RTA_OIF])
		add_hop(walk, (int)nla_get_u32(route.attributes[RTA_OIF]),
			read_via(route.attributes[RTA_GATEWAY], route.attributes[RTA_VIA], &via) ? &via : NULL);
	else if (route.attributes[RTA_NH_ID])
		add_nexthop(walk, nla_get_u32(route.attributes[RTA_NH_ID]), false);
	return NL_OK;
}

static int each_nexthop(struct nl_msg *message, void *userdata)
{
	struct walk *walk = userdata;
	struct nlattr *attributes[NHA_MAX + 1];
	struct net_hop hop = { 0 };

	if (nlmsg_hdr(message)->nlmsg_type != RTM_NEWNEXTHOP ||
	    nlmsg_parse(nlmsg_hdr(message), sizeof(struct nhmsg), attributes, NHA_MAX, nexthop_policy) < 0 ||
	    !attributes[NHA_ID])
		return NL_OK;
	hop.id = nla_get_u32(attributes[NHA_ID]);
	hop.has_via = read_via(attributes[NHA_GATEWAY], NULL, &hop.via);
	if (attributes[NHA_OIF]) {
		hop.link = (int)nla_get_u32(attributes[NHA_OIF]);
		walk->error = ARRAY_PUSH(&walk->net->hops, hop) < 0 ? -ENOMEM : walk->error;
	}
	const struct nexthop_grp *members = attributes[NHA_GROUP] ? nla_data(attributes[NHA_GROUP]) : NULL;
	for (size_t i = 0; members && i < (size_t)nla_len(attributes[NHA_GROUP]) / sizeof(*members); i++) {
		hop.member = members[i].id;
		walk->error = ARRAY_PUSH(&walk->net->hops, hop) < 0 ? -ENOMEM : walk->error;
	}
	return NL_OK;
}

static void forget_routes(struct net *net)
{
	net->routes.count = net->broadcasts.count = 0;
}
static void forget_hops(struct net *net)
{
	net->hops.count = 0;
}

static int dump(struct nl_sock *socket, struct walk *walk, int type, void *request, size_t size,
		nl_recvmsg_msg_cb_t each, void (*forget)(struct net *net))
{
	int r = -NLE_DUMP_INTR;

	if (nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, each, walk) < 0)
		return -EIO;
	for (int tries = 0; tries < DUMP_TRIES && r == -NLE_DUMP_INTR; tries++) {
		forget(walk->net);
		r = nl_send_simple(socket, type, NLM_F_DUMP, request, size);
		if (r >= 0)
			r = nl_recvmsgs_default(socket);
	}
	/* What changes all the time is reported again; what was read is the best there is. */
	nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_DEFAULT, NULL, NULL);
	return r < 0 && r != -NLE_DUMP_INTR ? -EIO : walk->error;
}

int net_read(struct nl_sock *socket, const struct ranges *interest, struct net *ret)
{
	struct walk walk = { .net = ret, .interest = interest };
	struct nhmsg nexthops = { .nh_family = AF_UNSPEC };
	struct rtmsg routes = { .rtm_family = AF_UNSPEC };

	*ret = (struct net){ 0 };
	int r = read_links(socket, ret);
	if (r == 0)
		r = read_addresses(socket, ret);
	if (r == 0)
		r = dump(socket, &walk, RTM_GETNEXTHOP, &nexthops, sizeof(nexthops), each_nexthop, forget_hops);
	sort_hops(ret);
	if (r == 0)
		r = dump(socket, &walk, RTM_GETROUTE, &routes, sizeof(routes), each_route, forget_routes);
	if (r < 0)
		net_free(ret);
	ranges_normalise(&ret->broadcasts);
	return r;
}

void net_free(struct net *net)
{
	free(net->links.items);
	free(net->addresses.items);
	free(net->hops.items);
	free(net->routes.items);
	ranges_free(&net->broadcasts);
	*net = (struct net){ 0 };
}
