/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/links.h"
#include "clock.h"
#include "core/array.h"
#include "net/links_read.h"
#include "log.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>

enum {
	SETTLE_USEC = 50 * 1000,  /* a burst of changes is read once, this long after its first one */
	RETRY_USEC = 1000 * 1000, /* where the kernel could not be read */
	READS_A_TURN = 64,        /* others have their turn in a flood of notices */
	SHARE = 4,                /* what follows from changes gets a part of the processor's time in so many */
};

struct links {
	sd_event *event;
	struct nl_sock *notices; /* joined to the groups; of what they hold only whether it matters is looked at */
	struct nl_sock *questions;
	bool confused;   /* an answer was not read to its end */
	bool unread;     /* the last change could not be read yet */
	bool overrun;    /* notices were lost, and their queue was not empty since */
	int64_t rest_ms; /* not before then is the next change looked at */
	sd_event_source *source, *timer;
	void (*changed)(void *userdata);
	void *userdata;

	struct ranges gateway;
	struct ranges interest; /* whom routes lead to that are kept; normalised */
	struct net net;
};

/* What an error left of an answer would be taken for the answer to the next request: that is sent by another socket.
 */
static int begin_question(struct links *links)
{
	if (links->confused) {
		struct nl_sock *fresh = nl_socket_alloc();
		if (!fresh)
			return -ENOMEM;
		if (nl_connect(fresh, NETLINK_ROUTE) < 0) {
			nl_socket_free(fresh);
			return -EIO;
		}
		nl_socket_free(links->questions);
		links->questions = fresh;
	}
	links->confused = true; /* until its answer is read */
	return 0;
}

/* But those that each link of IPv6 has. */
static bool has_address(const struct net *net, const struct net_link *link, enum family family)
{
	for (size_t i = 0; i < net->addresses.count; i++) {
		const struct addr *addr = &net->addresses.items[i].addr;
		bool local = family == FAMILY_6 && addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
		if (net->addresses.items[i].link == link->index && addr->family == family && !local)
			return true;
	}
	return false;
}

/* It is up, and has got its addresses back: what routes it has are all there are. */
static bool is_settled(const struct net *net, const struct net_link *link, enum family family)
{
	return link->awake && has_address(net, link, family);
}

/* With a link that goes down its routes go, and another one, often the default, stands in for them: if the daemon were
 * stopped then, the server would be cut off when the link is up again. So its routes stay until it has others. */
static int remember_routes(struct net *net, const struct net *before)
{
	for (size_t i = 0; i < before->routes.count; i++) {
		struct net_route route = before->routes.items[i];
		const struct net_link *link = net_link_named(net, route.link);
		if (!link || (link->awake &&
			      (!route.remembered || is_settled(net, link, (enum family)route.range.first.family))))
			continue;
		route.remembered = true;
		if (net_add_route(net, &route) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The networks of the addresses of links that are down: their routes come with the link. */
static int foresee_routes(struct net *net, const struct ranges *interest)
{
	for (size_t i = 0; i < net->addresses.count; i++) {
		const struct net_address *address = &net->addresses.items[i];
		const struct net_link *link = net_link(net, address->link);
		if (!link || link->awake || !ranges_overlap(interest, &address->network))
			continue;
		struct net_route route = { .range = address->network,
					   .prefix_length = address->prefix_length,
					   .remembered = true,
					   .rank = address->permanent || address->addr.family == FAMILY_4
							   ? RANK_CONFIGURED
							   : RANK_ADVERTISED };
		memcpy(route.link, link->name, sizeof(route.link));
		if (net_add_route(net, &route) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int own_addresses(const struct net *net, struct ranges *ret)
{
	int r = 0;

	for (size_t i = 0; i < net->addresses.count && r == 0; i++) {
		struct range range = range_of(&net->addresses.items[i].addr);
		r = ranges_add(ret, &range);
	}
	ranges_normalise(ret);
	return r;
}

/* On error what was known stays. */
static int read_all(struct links *links)
{
	struct ranges gateway = { 0 };
	struct net net;

	int r = begin_question(links);
	if (r < 0)
		return r;
	r = net_read(links->questions, &links->interest, &net);
	links->confused = r < 0;
	if (r < 0)
		return r;
	r = remember_routes(&net, &links->net);
	if (r == 0)
		r = foresee_routes(&net, &links->interest);
	if (r == 0)
		r = own_addresses(&net, &gateway);
	if (r < 0) {
		ranges_free(&gateway);
		net_free(&net);
		return r;
	}
	ranges_free(&links->gateway);
	links->gateway = gateway;
	net_free(&links->net);
	links->net = net;
	return 0;
}

static int on_settled(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct links *links = userdata;

	int64_t began = processor_ms();

	(void)source;
	(void)usec;
	int r = read_all(links);
	if (r == 0) {
		links->unread = false;
		links->changed(links->userdata);
		/* Of a thousand servers the table takes seconds to prove, and a link may come and go all the time. */
		links->rest_ms = now_ms() + (processor_ms() - began) * (SHARE - 1);
		return 0;
	}
	if (!links->unread)
		log_error("interfaces, addresses and routes can't be read: %s: it is tried again", strerror(-r));
	links->unread = true;
	sd_event_source_set_time_relative(links->timer, RETRY_USEC);
	sd_event_source_set_enabled(links->timer, SD_EVENT_ONESHOT);
	return 0;
}

/* Routes of others come and go by thousands where a routing daemon runs. */
static bool notice_matters(const struct links *links, const struct nlmsghdr *header)
{
	if (header->nlmsg_type != RTM_NEWROUTE && header->nlmsg_type != RTM_DELROUTE)
		return true;
	return net_route_matters(header, &links->interest);
}

static bool any_matters(const struct links *links, const char *buffer, ssize_t length)
{
	const struct nlmsghdr *header = (const struct nlmsghdr *)buffer;

	for (int left = (int)length; nlmsg_ok(header, left); header = nlmsg_next((struct nlmsghdr *)header, &left))
		if (notice_matters(links, header))
			return true;
	return false;
}

static int on_notice(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct links *links = userdata;
	_Alignas(struct nlmsghdr) char buffer[16384];
	bool news = false;
	int on = SD_EVENT_OFF;

	(void)source;
	(void)events;
	for (int i = 0; i < READS_A_TURN; i++) {
		ssize_t length = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		if (length < 0 && errno != ENOBUFS && errno != EINTR) {
			/* From an overrun until the queue is empty, the kernel drops more without another word. */
			news |= links->overrun;
			links->overrun = false;
			break;
		}
		links->overrun |= length < 0 && errno == ENOBUFS;
		news = news || links->overrun || (length > 0 && any_matters(links, buffer, length));
	}
	sd_event_source_get_enabled(links->timer, &on);
	if (news && on == SD_EVENT_OFF) {
		int64_t rest_usec = (links->rest_ms - now_ms()) * 1000;
		sd_event_source_set_time_relative(links->timer,
						  (uint64_t)(rest_usec > SETTLE_USEC ? rest_usec : SETTLE_USEC));
		sd_event_source_set_enabled(links->timer, SD_EVENT_ONESHOT);
	}
	return 0;
}

static int open_sockets(struct links *links)
{
	links->questions = nl_socket_alloc();
	links->notices = nl_socket_alloc();
	if (!links->questions || !links->notices)
		return -ENOMEM;
	if (nl_connect(links->questions, NETLINK_ROUTE) < 0)
		return -EIO;
	nl_socket_disable_seq_check(links->notices);
	if (nl_connect(links->notices, NETLINK_ROUTE) < 0 ||
	    nl_socket_add_memberships(links->notices, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
				      RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEXTHOP,
				      0) < 0) /* with a nexthop its routes go, without a word */
		return -EIO;
	return 0;
}

int links_new(struct links **ret, sd_event *event, void (*changed)(void *userdata), void *userdata)
{
	struct links *links = calloc(1, sizeof(*links));

	if (!links)
		return -ENOMEM;
	links->event = sd_event_ref(event);
	links->changed = changed;
	links->userdata = userdata;
	int r = open_sockets(links);
	if (r >= 0)
		r = sd_event_add_io(event, &links->source, nl_socket_get_fd(links->notices), EPOLLIN, on_notice, links);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &links->timer, CLOCK_MONOTONIC, 0, 0, on_settled, links);
	if (r >= 0)
		r = sd_event_source_set_enabled(links->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = read_all(links);
	if (r < 0) {
		links_free(links);
		return r;
	}
	*ret = links;
	return 0;
}

void links_free(struct links *links)
{
	if (!links)
		return;
	sd_event_source_unref(links->source);
	sd_event_source_unref(links->timer);
	if (links->notices)
		nl_socket_free(links->notices);
	if (links->questions)
		nl_socket_free(links->questions);
	ranges_free(&links->gateway);
	ranges_free(&links->interest);
	net_free(&links->net);
	sd_event_unref(links->event);
	free(links);
}

const struct ranges *links_gateway_addresses(const struct links *links)
{
	return &links->gateway;
}

bool links_unread(const struct links *links)
{
	return links->unread;
}

typedef char link_name[CONFIG_INTERFACE_MAX + 1];

struct link_names {
	link_name *items;
	size_t count, capacity;
};

static int add_name(struct link_names *names, const char *name)
{
	size_t at = 0;
	while (at < names->count && strcmp(names->items[at], name) < 0)
		at++;
	if (at < names->count && strcmp(names->items[at], name) == 0)
		return 0;
	if (names->count == names->capacity) {
		void *grown = array_grow(names->items, &names->capacity, sizeof(*names->items));
		if (!grown)
			return -ENOMEM;
		names->items = grown;
	}
	memmove(names->items + at + 1, names->items + at, (names->count - at) * sizeof(*names->items));
	memcpy(names->items[at], name, sizeof(link_name));
	names->count++;
	return 0;
}

/* What is sent to the address of a macvlan comes in by it, though routes lead by the link that it shares the wire with:
 * so have routers a virtual address with a hardware address of its own (VRRP). What comes in by a link of a VRF is seen
 * with the VRF's device. */
static int add_link(const struct net *net, struct link_names *names, const char *name)
{
	const struct net_link *link = net_link_named(net, name);
	const struct net_link *master = link && link->master ? net_link(net, link->master) : NULL;

	int r = add_name(names, name);
	for (size_t i = 0; link && i < net->links.count && r == 0; i++)
		if (net->links.items[i].is_macvlan && net->links.items[i].lower == link->index)
			r = add_name(names, net->links.items[i].name);
	return r == 0 && master && master->is_vrf ? add_name(names, master->name) : r;
}

/* By the routes of this rank. *left is whom no route so far leads to; normalised. */
static int add_links_of_rank(const struct net *net, enum route_rank rank, struct ranges *left, struct link_names *names)
{
	struct ranges met = { 0 };
	int r = 0;

	for (size_t i = 0; i < net->routes.count && r == 0; i++) {
		const struct net_route *route = &net->routes.items[i];
		if (route->rank != rank || !ranges_overlap(left, &route->range))
			continue;
		r = add_link(net, names, route->link);
		if (r == 0)
			r = ranges_add(&met, &route->range);
	}
	ranges_normalise(&met);
	if (r == 0)
		r = ranges_subtract(left, &met);
	ranges_free(&met);
	return r;
}

/* By all routes that meet the range; those of a worse rank count for what no better one covers. */
static int add_links_of(const struct links *links, const struct range *range, struct link_names *names)
{
	struct ranges left = { 0 };
	int r = ranges_add(&left, range);

	for (int rank = 0; rank < RANKS && left.count && r == 0; rank++)
		r = add_links_of_rank(&links->net, (enum route_rank)rank, &left, names);
	ranges_free(&left);
	return r;
}

/* Routes to these were not kept so far: they are read again. */
static int take_interest(struct links *links, const struct ranges *addresses)
{
	struct ranges wider = { 0 };

	if (ranges_cover_all(&links->interest, addresses))
		return 0;
	int r = ranges_add_all(&wider, &links->interest);
	if (r == 0)
		r = ranges_add_all(&wider, addresses);
	if (r < 0) {
		ranges_free(&wider);
		return r;
	}
	ranges_normalise(&wider);
	struct ranges before = links->interest;
	links->interest = wider;
	r = read_all(links);
	if (r < 0)
		links->interest = before;
	ranges_free(r < 0 ? &wider : &before);
	return r;
}

/* Takes the names over. */
static int hand_over(int r, struct link_names *names, char (**ret)[CONFIG_INTERFACE_MAX + 1], size_t *ret_count)
{
	if (r < 0) {
		free(names->items);
		return r;
	}
	*ret = names->items;
	*ret_count = names->count;
	return 0;
}

int links_towards(struct links *links, const struct ranges *addresses, char (**ret)[CONFIG_INTERFACE_MAX + 1],
		  size_t *ret_count)
{
	struct link_names names = { 0 };
	int r = take_interest(links, addresses);

	for (size_t i = 0; i < addresses->count && r == 0; i++)
		r = add_links_of(links, &addresses->items[i], &names);
	return hand_over(r, &names, ret, ret_count);
}

int links_of_defaults(const struct links *links, char (**ret)[CONFIG_INTERFACE_MAX + 1], size_t *ret_count)
{
	const struct net *net = &links->net;
	struct link_names names = { 0 };
	int r = 0;

	for (size_t i = 0; i < net->routes.count && r == 0; i++)
		if (net->routes.items[i].rank == RANK_DEFAULT)
			r = add_link(net, &names, net->routes.items[i].link);
	return hand_over(r, &names, ret, ret_count);
}

static bool has_any_address(const struct net *net, const struct net_link *link)
{
	return has_address(net, link, FAMILY_4) || has_address(net, link, FAMILY_6);
}

int links_with_address(const struct links *links, char (**ret)[CONFIG_INTERFACE_MAX + 1], size_t *ret_count)
{
	const struct net *net = &links->net;
	struct link_names names = { 0 };
	int r = 0;

	for (size_t i = 0; i < net->links.count && r == 0; i++)
		if (strcmp(net->links.items[i].name, "lo") != 0 && has_any_address(net, &net->links.items[i]))
			r = add_name(&names, net->links.items[i].name);
	return hand_over(r, &names, ret, ret_count);
}

int links_bare_bridges(const struct links *links, char (**ret)[CONFIG_INTERFACE_MAX + 1], size_t *ret_count)
{
	const struct net *net = &links->net;
	struct link_names names = { 0 };
	int r = 0;

	for (size_t i = 0; i < net->links.count && r == 0; i++) {
		const struct net_link *bridge = &net->links.items[i];
		size_t ports = 0;
		for (size_t k = 0; bridge->is_bridge && k < net->links.count; k++)
			ports += net->links.items[k].master == bridge->index;
		if (ports > 1 && !has_any_address(net, bridge))
			r = add_name(&names, bridge->name);
	}
	return hand_over(r, &names, ret, ret_count);
}

int links_of_own_packets(const struct links *links, char (**ret)[CONFIG_INTERFACE_MAX + 1], size_t *ret_count)
{
	const struct net *net = &links->net;
	struct link_names names = { 0 };
	int r = 0;

	for (size_t i = 0; i < net->links.count && r == 0; i++) {
		const struct net_link *link = &net->links.items[i],
				      *peer = link->is_veth ? net_link(net, link->lower) : NULL;
		const struct net_link *bridge = peer && peer->master ? net_link(net, peer->master) : NULL;
		if (link->is_vrf)
			r = add_name(&names, link->name);
		else if (bridge && bridge->is_bridge && has_any_address(net, link))
			r = add_name(&names, bridge->name);
	}
	return hand_over(r, &names, ret, ret_count);
}

/* The last one of a network, as it was given or by the mask; or whatever else of it the kernel takes for one
 * (before 5.14 the first). */
static int add_broadcasts(const struct links *links, const struct net_address *address, const struct ranges *addresses,
			  struct ranges *ret)
{
	struct range last = range_of(&address->network.last), first = range_of(&address->network.first),
		     given = range_of(&address->broadcast);
	int r = ranges_contains(addresses, &last.first) ? 0 : ranges_add(ret, &last);

	if (r == 0 && address->has_broadcast && !ranges_contains(addresses, &given.first))
		r = ranges_add(ret, &given);
	if (r == 0 && ranges_contains(&links->net.broadcasts, &first.first) &&
	    !ranges_contains(addresses, &first.first))
		r = ranges_add(ret, &first);
	return r;
}

int links_broadcasts(const struct links *links, const struct ranges *addresses, struct ranges *ret)
{
	int r = 0;

	*ret = (struct ranges){ 0 };
	for (size_t i = 0; i < links->net.addresses.count && r == 0; i++) {
		const struct net_address *address = &links->net.addresses.items[i];
		if (address->addr.family == FAMILY_4 && address->prefix_length < 31 &&
		    ranges_overlap(addresses, &address->network))
			r = add_broadcasts(links, address, addresses, ret);
	}
	ranges_normalise(ret);
	if (r < 0)
		ranges_free(ret);
	return r;
}

static bool is_among(const char *name, char (*names)[CONFIG_INTERFACE_MAX + 1], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* That of the routes that the links had. Where nothing but a default route leads by those that are up, the others had
 * such a one as well: any better rank would put that out. */
static enum route_rank rank_of_remembered(const struct net *net, const struct range *range,
					  char (*names)[CONFIG_INTERFACE_MAX + 1], size_t count)
{
	bool by_default = false, better = false;

	for (size_t i = 0; i < net->routes.count; i++) {
		const struct net_route *route = &net->routes.items[i];
		by_default |= route->rank == RANK_DEFAULT && route->range.first.family == range->first.family &&
			      is_among(route->link, names, count);
		better |= route->rank != RANK_DEFAULT && addr_compare(&route->range.first, &range->last) <= 0 &&
			  addr_compare(&range->first, &route->range.last) <= 0;
	}
	return by_default && !better ? RANK_DEFAULT : RANK_CONFIGURED;
}

int links_remember(struct links *links, const struct ranges *addresses, char (*names)[CONFIG_INTERFACE_MAX + 1],
		   size_t count)
{
	int r = take_interest(links, addresses);

	for (size_t i = 0; i < addresses->count && r == 0; i++) {
		const struct range *range = &addresses->items[i];
		struct net_route route = { .range = *range,
					   .prefix_length = range_prefix_length(range),
					   .rank = rank_of_remembered(&links->net, range, names, count),
					   .remembered = true };
		for (size_t n = 0; n < count && r == 0; n++) {
			const struct net_link *link = net_link_named(&links->net, names[n]);
			if (!link || link->awake)
				continue;
			memcpy(route.link, link->name, sizeof(route.link));
			r = net_add_route(&links->net, &route);
		}
	}
	return r;
}

int links_next_hops(const struct links *links, struct ranges *ret)
{
	int r = 0;

	*ret = (struct ranges){ 0 };
	for (size_t i = 0; i < links->net.routes.count && r == 0; i++) {
		const struct net_route *route = &links->net.routes.items[i];
		struct range via = range_of(&route->via);
		if (route->rank == RANK_DEFAULT && route->has_via)
			r = ranges_add(ret, &via);
	}
	ranges_normalise(ret);
	if (r < 0)
		ranges_free(ret);
	return r;
}

bool links_any_bridge(const struct links *links)
{
	for (size_t i = 0; i < links->net.links.count; i++)
		if (links->net.links.items[i].is_bridge)
			return true;
	return false;
}
