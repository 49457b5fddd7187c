/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/way.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/route/route.h>
#include <string.h>

struct best_way {
	int index; /* of the interface; 0: none */
	bool answered;
};

static void take_oif(struct rtnl_nexthop *hop, void *userdata)
{
	((struct best_way *)userdata)->index = rtnl_route_nh_get_ifindex(hop);
}

static int each_answer(struct nl_msg *message, void *userdata)
{
	struct rtnl_route *route = NULL;

	((struct best_way *)userdata)->answered = true;
	if (nlmsg_hdr(message)->nlmsg_type != RTM_NEWROUTE || rtnl_route_parse(nlmsg_hdr(message), &route) < 0)
		return NL_OK;
	if (rtnl_route_get_type(route) == RTN_UNICAST)
		rtnl_route_foreach_nexthop(route, take_oif, userdata);
	rtnl_route_put(route);
	return NL_OK;
}

int net_way_towards(struct nl_sock *socket, const struct addr *addr, char ret[CONFIG_INTERFACE_MAX + 1])
{
	struct rtmsg request = { .rtm_family = addr->family == FAMILY_4 ? AF_INET : AF_INET6,
				 .rtm_dst_len = (uint8_t)addr_bits((enum family)addr->family) };
	struct nl_msg *message = nlmsg_alloc_simple(RTM_GETROUTE, NLM_F_REQUEST);
	char name[IF_NAMESIZE];
	struct best_way way = { .index = 0 };
	int r = -ENOMEM;

	*ret = '\0';
	if (message && nlmsg_append(message, &request, sizeof(request), NLMSG_ALIGNTO) == 0 &&
	    nla_put(message, RTA_DST, (int)addr_size((enum family)addr->family), addr->bytes) == 0)
		r = nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, each_answer, &way) < 0 ? -EIO : 0;
	/* An answer and its acknowledgement, which must not be left for the next one; or an error where there is no
	 * way. */
	if (r == 0 && nl_send_auto(socket, message) >= 0 && nl_recvmsgs_default(socket) >= 0 && way.answered)
		nl_wait_for_ack(socket);
	if (message)
		nlmsg_free(message);
	if (r == 0 && way.index && if_indextoname((unsigned)way.index, name))
		memcpy(ret, name, strnlen(name, CONFIG_INTERFACE_MAX) + 1);
	return r;
}

int net_way_of(const struct addr *addr, char ret[CONFIG_INTERFACE_MAX + 1])
{
	struct nl_sock *socket = nl_socket_alloc();
	int r = !socket ? -ENOMEM : nl_connect(socket, NETLINK_ROUTE) < 0 ? -EIO : 0;

	*ret = '\0';
	if (r == 0)
		r = net_way_towards(socket, addr, ret);
	if (socket)
		nl_socket_free(socket);
	return r;
}
