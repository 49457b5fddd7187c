/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/bridges.h"
#include "core/array.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ENTRIES_MAX = 65536 }; /* of addresses behind ports, and of neighbours */

struct link_seen {
	int index, master;
	char name[CONFIG_INTERFACE_MAX + 1];
	bool is_bridge, filtered[FAMILIES]; /* by its own setting */
};

struct look {
	struct nl_sock *socket;
	struct {
		struct link_seen *items;
		size_t count, capacity;
	} links;
	struct bridge_facts facts;
	const struct ranges *guarded, *next_hops;
	int error;
};

/* Of what is read as it stands. */
static struct nla_policy link_policy[IFLA_MAX + 1] = {
	[IFLA_MASTER] = { .type = NLA_U32 },
};

static struct nla_policy bridge_policy[IFLA_BR_MAX + 1] = {
	[IFLA_BR_NF_CALL_IPTABLES] = { .type = NLA_U8 },
	[IFLA_BR_NF_CALL_IP6TABLES] = { .type = NLA_U8 },
};

static struct nla_policy neighbour_policy[NDA_MAX + 1] = {
	[NDA_VLAN] = { .type = NLA_U16 },
};

/* -1: there is no such thing. */
static int read_sysctl(const char *path)
{
	char byte;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, &byte, 1);

	if (fd >= 0)
		close(fd);
	return length == 1 ? byte != '0' : -1;
}

static void read_bridge(struct nlattr *info, struct link_seen *link)
{
	struct nlattr *parts[IFLA_INFO_MAX + 1], *settings[IFLA_BR_MAX + 1];

	if (nla_parse_nested(parts, IFLA_INFO_MAX, info, NULL) < 0 || !parts[IFLA_INFO_KIND] ||
	    nla_strcmp(parts[IFLA_INFO_KIND], "bridge") != 0)
		return;
	link->is_bridge = true;
	if (!parts[IFLA_INFO_DATA] || nla_parse_nested(settings, IFLA_BR_MAX, parts[IFLA_INFO_DATA], bridge_policy) < 0)
		return;
	link->filtered[FAMILY_4] = settings[IFLA_BR_NF_CALL_IPTABLES] && nla_get_u8(settings[IFLA_BR_NF_CALL_IPTABLES]);
	link->filtered[FAMILY_6] =
		settings[IFLA_BR_NF_CALL_IP6TABLES] && nla_get_u8(settings[IFLA_BR_NF_CALL_IP6TABLES]);
}

static bool attributes_of(struct nl_msg *message, size_t header, struct nlattr **ret, int max,
			  struct nla_policy *policy)
{
	return nlmsg_parse(nlmsg_hdr(message), (int)header, ret, max, policy) >= 0;
}

static int each_link(struct nl_msg *message, void *userdata)
{
	struct look *look = userdata;
	struct nlattr *attributes[IFLA_MAX + 1];
	struct link_seen link = { 0 };

	if (nlmsg_hdr(message)->nlmsg_type != RTM_NEWLINK ||
	    !attributes_of(message, sizeof(struct ifinfomsg), attributes, IFLA_MAX, link_policy))
		return NL_OK;
	if (!attributes[IFLA_IFNAME])
		return NL_OK;
	link.index = ((struct ifinfomsg *)nlmsg_data(nlmsg_hdr(message)))->ifi_index;
	link.master = attributes[IFLA_MASTER] ? (int)nla_get_u32(attributes[IFLA_MASTER]) : 0;
	nla_strlcpy(link.name, attributes[IFLA_IFNAME], sizeof(link.name));
	if (attributes[IFLA_LINKINFO])
		read_bridge(attributes[IFLA_LINKINFO], &link);
	if (ARRAY_PUSH(&look->links, link) < 0)
		look->error = -ENOMEM;
	return NL_OK;
}

static const struct link_seen *link_of(const struct look *look, int index)
{
	for (size_t i = 0; i < look->links.count; i++)
		if (look->links.items[i].index == index)
			return &look->links.items[i];
	return NULL;
}

/* Whose bridge it is a port of; false: none. */
static bool port_of(const struct look *look, int index, struct bridge_port *ret)
{
	const struct link_seen *port = link_of(look, index),
			       *bridge = port && port->master ? link_of(look, port->master) : NULL;

	if (!bridge || !bridge->is_bridge)
		return false;
	memcpy(ret->bridge, bridge->name, sizeof(ret->bridge));
	memcpy(ret->port, port->name, sizeof(ret->port));
	return true;
}

/* False: a neighbour of no use. */
static bool read_neighbour(struct nl_msg *message, struct nlattr *attributes[NDA_MAX + 1])
{
	return nlmsg_hdr(message)->nlmsg_type == RTM_NEWNEIGH &&
	       attributes_of(message, sizeof(struct ndmsg), attributes, NDA_MAX, neighbour_policy) &&
	       attributes[NDA_LLADDR] && nla_len(attributes[NDA_LLADDR]) == BRIDGE_HARDWARE;
}

static int each_entry(struct nl_msg *message, void *userdata)
{
	struct look *look = userdata;
	const struct ndmsg *neighbour = nlmsg_data(nlmsg_hdr(message));
	struct nlattr *attributes[NDA_MAX + 1];
	struct bridge_entry entry = { 0 };

	/* Permanent ones are the ports' own, or groups. */
	if (!read_neighbour(message, attributes) || neighbour->ndm_state & NUD_PERMANENT ||
	    !port_of(look, neighbour->ndm_ifindex, &entry.at))
		return NL_OK;
	entry.vlan = attributes[NDA_VLAN] ? nla_get_u16(attributes[NDA_VLAN]) : 0;
	memcpy(entry.hardware, nla_data(attributes[NDA_LLADDR]), BRIDGE_HARDWARE);
	if (look->facts.entries.count >= ENTRIES_MAX)
		look->error = -E2BIG; /* not known whole is not known */
	else if (ARRAY_PUSH(&look->facts.entries, entry) < 0)
		look->error = -ENOMEM;
	return NL_OK;
}

static int each_neighbour(struct nl_msg *message, void *userdata)
{
	struct look *look = userdata;
	const struct ndmsg *neighbour = nlmsg_data(nlmsg_hdr(message));
	struct nlattr *attributes[NDA_MAX + 1];
	struct bridge_neighbour one = { 0 };

	if (!read_neighbour(message, attributes) || !attributes[NDA_DST] ||
	    neighbour->ndm_state & (NUD_INCOMPLETE | NUD_FAILED | NUD_NOARP))
		return NL_OK;
	one.addr.family = neighbour->ndm_family == AF_INET6 ? FAMILY_6 : FAMILY_4;
	int size = (int)addr_size((enum family)one.addr.family);
	if (nla_len(attributes[NDA_DST]) != size)
		return NL_OK;
	memcpy(one.addr.bytes, nla_data(attributes[NDA_DST]), (size_t)size);
	memcpy(one.hardware, nla_data(attributes[NDA_LLADDR]), BRIDGE_HARDWARE);
	if (!ranges_contains(look->guarded, &one.addr) && !ranges_contains(look->next_hops, &one.addr))
		return NL_OK;
	if (look->facts.neighbours.count >= ENTRIES_MAX)
		look->error = -E2BIG;
	else if (ARRAY_PUSH(&look->facts.neighbours, one) < 0)
		look->error = -ENOMEM;
	return NL_OK;
}

/* What an interrupted dump lacks, the next look has. */
static int dump(struct look *look, int type, void *request, size_t size, nl_recvmsg_msg_cb_t each)
{
	if (nl_socket_modify_cb(look->socket, NL_CB_VALID, NL_CB_CUSTOM, each, look) < 0)
		return -EIO;
	int r = nl_send_simple(look->socket, type, NLM_F_DUMP, request, size);
	if (r >= 0)
		r = nl_recvmsgs_default(look->socket);
	return r < 0 && r != -NLE_DUMP_INTR ? -EIO : look->error;
}

static int add_bridges(struct look *look)
{
	int filtered[FAMILIES] = {
		[FAMILY_4] = read_sysctl("/proc/sys/net/bridge/bridge-nf-call-iptables"),
		[FAMILY_6] = read_sysctl("/proc/sys/net/bridge/bridge-nf-call-ip6tables"),
	};

	look->facts.can_filter = filtered[FAMILY_4] >= 0;
	for (size_t i = 0; i < look->links.count; i++) {
		const struct link_seen *link = &look->links.items[i];
		struct bridge_fact bridge = { 0 };
		struct bridge_port port;
		if (port_of(look, link->index, &port) && ARRAY_PUSH(&look->facts.ports, port) < 0)
			return -ENOMEM;
		if (!link->is_bridge)
			continue;
		memcpy(bridge.name, link->name, sizeof(bridge.name));
		for (enum family family = 0; family < FAMILIES; family++)
			bridge.filtered[family] =
				filtered[family] > 0 || (filtered[family] == 0 && link->filtered[family]);
		if (ARRAY_PUSH(&look->facts.bridges, bridge) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int read_facts(struct look *look)
{
	struct ifinfomsg links = { .ifi_family = AF_UNSPEC };
	struct ndmsg entries = { .ndm_family = AF_BRIDGE }, neighbours = { .ndm_family = AF_UNSPEC };

	if (nl_connect(look->socket, NETLINK_ROUTE) < 0)
		return -EIO;
	int r = dump(look, RTM_GETLINK, &links, sizeof(links), each_link);
	if (r == 0)
		r = add_bridges(look);
	if (r == 0 && look->facts.ports.count)
		r = dump(look, RTM_GETNEIGH, &entries, sizeof(entries), each_entry);
	if (r == 0 && look->facts.entries.count)
		r = dump(look, RTM_GETNEIGH, &neighbours, sizeof(neighbours), each_neighbour);
	return r;
}

int bridges_look(struct links *links, const struct ranges *guarded, struct bridge_findings *ret)
{
	struct bridge_findings found = { 0 };
	struct ranges next_hops = { 0 };
	struct look look = { .guarded = guarded, .next_hops = &next_hops };

	if (!links_any_bridge(links)) {
		bridge_findings_free(ret);
		return 0;
	}
	look.socket = nl_socket_alloc();
	int r = look.socket ? links_next_hops(links, &next_hops) : -ENOMEM;
	if (r == 0)
		r = read_facts(&look);
	if (r == 0)
		r = bridges_judge(&found, &look.facts, guarded, &next_hops, ret);
	if (r == 0) {
		bridge_findings_free(ret);
		*ret = found;
	}
	if (look.socket)
		nl_socket_free(look.socket);
	bridge_facts_free(&look.facts);
	free(look.links.items);
	ranges_free(&next_hops);
	return r;
}
