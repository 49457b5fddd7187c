/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "links.h"
#include "core/array.h"
#include "log.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/cache.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/macvlan.h>
#include <stdlib.h>
#include <string.h>

enum {
	SETTLE_USEC = 50 * 1000,   /* a burst of changes is read once, this long after its first one */
	RETRY_USEC = 1000 * 1000, /* where the kernel could not be read */
	DUMP_TRIES = 4,
	READS_A_TURN = 64,        /* others have their turn in a flood of notices */
};

struct route {
	struct range range;
	int prefix_length;
	char link[CONFIG_LINK_MAX + 1];
};

struct links {
	sd_event *event;
	struct nl_sock *notices;  /* joined to the groups; of what it says no more is looked at than whether it matters */
	struct nl_sock *questions;
	bool confused;            /* an answer was not read to its end */
	bool unread;              /* the last change could not be read yet */
	sd_event_source *source, *timer;
	void (*changed)(void *userdata);
	void *userdata;

	struct ranges gateway;
	struct ranges interest;   /* whom routes lead to that are kept; normalised */
	struct { struct route *items; size_t count, capacity; } routes; /* those, and the default routes; each once */
};

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

/* What an error left of an answer would be taken for the answer to the next question: that is asked by another socket. */
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

static int read_addresses(struct links *links, struct ranges *ret)
{
	struct nl_cache *cache;
	int r = begin_question(links);

	if (r < 0)
		return r;
	if (rtnl_addr_alloc_cache(links->questions, &cache) < 0)
		return -EIO;
	links->confused = false;
	for (struct nl_object *o = nl_cache_get_first(cache); o && r == 0; o = nl_cache_get_next(o)) {
		struct addr addr;
		if (!address_of(rtnl_addr_get_local((struct rtnl_addr *)o), &addr))
			continue;
		struct range range = range_of(&addr);
		r = ranges_add(ret, &range);
	}
	nl_cache_free(cache);
	ranges_normalise(ret);
	return r;
}

/* A route as the kernel tells it. It is read here and not by libnl, which takes none with an encapsulation that it doesn't know,
 * though it would be enough to know whither it leads and by which links. False: it leads nobody anywhere. */
struct route_message {
	struct range range;
	int prefix_length;
	struct nlattr *attributes[RTA_MAX + 1];
};

static bool read_route(const struct nlmsghdr *header, struct route_message *ret)
{
	const struct rtmsg *message = nlmsg_data(header);

	if (nlmsg_parse((struct nlmsghdr *)header, sizeof(*message), ret->attributes, RTA_MAX, NULL) < 0 || message->rtm_type != RTN_UNICAST ||
	    (message->rtm_family != AF_INET && message->rtm_family != AF_INET6))
		return false;
	enum family family = message->rtm_family == AF_INET6 ? FAMILY_6 : FAMILY_4;
	const struct nlattr *to = ret->attributes[RTA_DST];
	ret->prefix_length = to ? message->rtm_dst_len : 0;
	ret->range = range_all(family);
	if (ret->prefix_length == 0)
		return true;
	if (nla_len(to) != (int)addr_size(family))
		return false;
	struct addr addr = { .family = (uint8_t)family };
	memcpy(addr.bytes, nla_data(to), addr_size(family));
	ret->range = range_of(&addr);
	for (unsigned bit = (unsigned)ret->prefix_length; bit < addr_bits(family); bit++) {
		ret->range.first.bytes[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
		ret->range.last.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	}
	return true;
}

/* A gateway may have the Internet's whole table: it is looked at as it comes, message by message, and hardly any of it is
 * kept. */
struct route_walk {
	struct links *links;
	struct nl_cache *links_cache;
	struct route route;
	struct { struct route *items; size_t count, capacity; } found;
	int error;
};

static bool matters(const struct links *links, const struct range *range, int prefix_length)
{
	return prefix_length == 0 || ranges_overlap(&links->interest, range);
}

static bool is_known(const struct route_walk *walk)
{
	for (size_t i = 0; i < walk->found.count; i++) {
		const struct route *route = &walk->found.items[i];
		if (route->prefix_length == walk->route.prefix_length && strcmp(route->link, walk->route.link) == 0 &&
		    addr_compare(&route->range.first, &walk->route.range.first) == 0)
			return true;
	}
	return false;
}

static void add_link(struct route_walk *walk, const char *name)
{
	memset(walk->route.link, 0, sizeof(walk->route.link));
	memcpy(walk->route.link, name, strnlen(name, CONFIG_LINK_MAX));
	if (!is_known(walk) && ARRAY_PUSH(&walk->found, walk->route) < 0)
		walk->error = -ENOMEM;
}

static bool is_macvlan_of(struct rtnl_link *link, int index)
{
	int32_t other;
	return rtnl_link_is_macvlan(link) && rtnl_link_get_link(link) == index && rtnl_link_get_link_netnsid(link, &other) < 0;
}

/* What is sent to the address of a macvlan comes in by it, though routes lead by the link that it shares the wire with: so have
 * routers a virtual address with a hardware address of its own (VRRP). */
static void add_nexthop(struct route_walk *walk, int index)
{
	char name[64];

	if (!rtnl_link_i2name(walk->links_cache, index, name, sizeof(name)))
		return;
	add_link(walk, name);
	for (struct nl_object *o = nl_cache_get_first(walk->links_cache); o; o = nl_cache_get_next(o))
		if (is_macvlan_of((struct rtnl_link *)o, index))
			add_link(walk, rtnl_link_get_name((struct rtnl_link *)o));
}

static void add_nexthops(struct route_walk *walk, const struct nlattr *list)
{
	const struct rtnexthop *hop = nla_data(list);

	for (int left = nla_len(list); left >= (int)sizeof(*hop) && RTNH_OK(hop, left); left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop))
		add_nexthop(walk, hop->rtnh_ifindex);
}

static int each_route(struct nl_msg *message, void *userdata)
{
	struct route_walk *walk = userdata;
	struct route_message route;

	if (nlmsg_hdr(message)->nlmsg_type != RTM_NEWROUTE || !read_route(nlmsg_hdr(message), &route) ||
	    !matters(walk->links, &route.range, route.prefix_length))
		return NL_OK;
	walk->route.range = route.range;
	walk->route.prefix_length = route.prefix_length;
	if (route.attributes[RTA_MULTIPATH])
		add_nexthops(walk, route.attributes[RTA_MULTIPATH]);
	else if (route.attributes[RTA_OIF])
		add_nexthop(walk, (int)nla_get_u32(route.attributes[RTA_OIF]));
	return NL_OK;
}

static int dump_routes(struct links *links, struct route_walk *walk)
{
	struct rtmsg request = { .rtm_family = AF_UNSPEC };
	int r = -NLE_DUMP_INTR;

	if (nl_socket_modify_cb(links->questions, NL_CB_VALID, NL_CB_CUSTOM, each_route, walk) < 0)
		return -EIO;
	for (int tries = 0; tries < DUMP_TRIES && r == -NLE_DUMP_INTR; tries++) {
		walk->found.count = 0;
		r = nl_send_simple(links->questions, RTM_GETROUTE, NLM_F_DUMP, &request, sizeof(request));
		if (r >= 0)
			r = nl_recvmsgs_default(links->questions);
	}
	/* Routes that change all the time are told again; what was read is the best there is. */
	nl_socket_modify_cb(links->questions, NL_CB_VALID, NL_CB_DEFAULT, NULL, NULL);
	return r < 0 && r != -NLE_DUMP_INTR ? -EIO : walk->error;
}

static int read_routes(struct links *links)
{
	struct route_walk walk = { .links = links };

	int r = begin_question(links);
	if (r < 0)
		return r;
	if (rtnl_link_alloc_cache(links->questions, AF_UNSPEC, &walk.links_cache) < 0)
		return -EIO;
	r = dump_routes(links, &walk);
	links->confused = r == -EIO;
	nl_cache_free(walk.links_cache);
	if (r < 0) {
		free(walk.found.items);
		return r;
	}
	free(links->routes.items);
	links->routes.items = walk.found.items;
	links->routes.count = walk.found.count;
	links->routes.capacity = walk.found.capacity;
	return 0;
}

/* On error what was known stays. */
static int read_all(struct links *links)
{
	struct ranges gateway = { 0 };
	int r = read_addresses(links, &gateway);

	if (r < 0) {
		ranges_free(&gateway);
		return r;
	}
	ranges_free(&links->gateway);
	links->gateway = gateway;
	return read_routes(links);
}

static int on_settled(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct links *links = userdata;

	(void)source;
	(void)usec;
	int r = read_all(links);
	if (r == 0) {
		links->unread = false;
		links->changed(links->userdata);
		return 0;
	}
	if (!links->unread)
		log_error("links, addresses and routes can't be read, which is tried again: %s", strerror(-r));
	links->unread = true;
	sd_event_source_set_time_relative(links->timer, RETRY_USEC);
	sd_event_source_set_enabled(links->timer, SD_EVENT_ONESHOT);
	return 0;
}

/* Routes of others come and go by thousands where a routing daemon runs. */
static bool notice_matters(const struct links *links, const struct nlmsghdr *header)
{
	struct route_message route;

	if (header->nlmsg_type != RTM_NEWROUTE && header->nlmsg_type != RTM_DELROUTE)
		return true;
	return read_route(header, &route) && matters(links, &route.range, route.prefix_length);
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
		if (length < 0 && errno != ENOBUFS && errno != EINTR)
			break;
		news = news || (length < 0 ? errno == ENOBUFS : any_matters(links, buffer, length));
	}
	sd_event_source_get_enabled(links->timer, &on);
	if (news && on == SD_EVENT_OFF) {
		sd_event_source_set_time_relative(links->timer, SETTLE_USEC);
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
	    nl_socket_add_memberships(links->notices, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
				      RTNLGRP_IPV6_ROUTE, RTNLGRP_NEXTHOP, 0) < 0) /* with a nexthop its routes go, without a word */
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
	free(links->routes.items);
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

typedef char link_name[CONFIG_LINK_MAX + 1];

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

/* One range of addresses: by all routes that meet it, or by the default routes where no other does. */
static int add_links_of(const struct links *links, const struct range *range, struct link_names *names)
{
	struct ranges one = { .items = (struct range *)range, .count = 1 };
	bool found = false;

	for (int defaults = 0; defaults < 2 && !found; defaults++) {
		for (size_t i = 0; i < links->routes.count; i++) {
			const struct route *route = &links->routes.items[i];
			if ((route->prefix_length == 0) != defaults || !ranges_overlap(&one, &route->range))
				continue;
			found = true;
			if (add_name(names, route->link) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

/* Routes to these were not kept so far: they are read again. */
static int take_interest(struct links *links, const struct ranges *addresses)
{
	struct ranges wider = { 0 };
	bool covered = true;

	for (size_t i = 0; i < addresses->count; i++)
		covered &= ranges_cover(&links->interest, &addresses->items[i]);
	if (covered)
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
	r = read_routes(links);
	if (r < 0)
		links->interest = before;
	ranges_free(r < 0 ? &wider : &before);
	return r;
}

int links_towards(struct links *links, const struct ranges *addresses, char (**ret)[CONFIG_LINK_MAX + 1], size_t *ret_count)
{
	struct link_names names = { 0 };
	int r = take_interest(links, addresses);

	for (size_t i = 0; i < addresses->count && r == 0; i++)
		r = add_links_of(links, &addresses->items[i], &names);
	if (r < 0) {
		free(names.items);
		return r;
	}
	*ret = names.items;
	*ret_count = names.count;
	return 0;
}

int links_of_defaults(const struct links *links, char (**ret)[CONFIG_LINK_MAX + 1], size_t *ret_count)
{
	struct link_names names = { 0 };
	int r = 0;

	for (size_t i = 0; i < links->routes.count && r == 0; i++)
		if (links->routes.items[i].prefix_length == 0)
			r = add_name(&names, links->routes.items[i].link);
	if (r < 0) {
		free(names.items);
		return r;
	}
	*ret = names.items;
	*ret_count = names.count;
	return 0;
}
