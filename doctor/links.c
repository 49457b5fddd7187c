/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor/doctor.h"
#include "core/array.h"
#include "net/bridges.h"
#include "net/environment.h"
#include "net/way.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/neighbour.h>
#include <stdlib.h>
#include <string.h>

enum {
	DETOURS_FOR = 64, /* ranges of a role whose ways are compared */
	NEIGHBOURS_MAX = 8192,
};

static bool has_interface(const struct interface_list *interfaces, const char *name)
{
	for (size_t i = 0; i < interfaces->count; i++)
		if (strcmp(interfaces->names[i], name) == 0)
			return true;
	return false;
}

static int add_all(struct interface_list *to, const struct interface_list *from)
{
	for (size_t i = 0; i < from->count; i++) {
		if (has_interface(to, from->names[i]))
			continue;
		void *grown = reallocarray(to->names, to->count + 1, sizeof(*to->names));
		if (!grown)
			return -ENOMEM;
		to->names = grown;
		memcpy(to->names[to->count++], from->names[i], sizeof(*to->names));
	}
	return 0;
}

/* Interfaces whose forwarding matters. */
static int add_interface_facts(struct doctor_facts *facts, const struct interface_list *interfaces, bool is_servers)
{
	for (size_t i = 0; i < interfaces->count; i++) {
		struct interface_fact fact = { .is_servers = is_servers, .forwarding = -1 };
		size_t at = 0;
		memcpy(fact.name, interfaces->names[i], sizeof(fact.name));
		while (at < facts->interfaces.count && strcmp(facts->interfaces.items[at].name, fact.name) != 0)
			at++;
		if (at == facts->interfaces.count && ARRAY_PUSH(&facts->interfaces, fact) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int read_interface_facts(struct doctor *doctor)
{
	const struct policy *policy = &doctor->file.policy;
	int r = 0;

	for (size_t i = 0; i < policy->role_count && r == 0; i++)
		r = add_interface_facts(&doctor->facts, &doctor->roles[i], true);
	for (size_t i = 0; i < policy->flow_count && r == 0; i++)
		r = add_interface_facts(&doctor->facts, &doctor->peers[i], false);
	return r;
}

static int add_detours(struct doctor *doctor, struct nl_sock *socket, const struct policy_role *role,
		       const struct range *range, const struct interface_list *named)
{
	struct ranges one = { .items = (struct range *)range, .count = 1 };
	struct interface_list interfaces = { 0 };
	struct addr addr = range->first;
	char best[CONFIG_INTERFACE_MAX + 1];

	if (!range_is_host(range))
		addr_next(&addr);
	/* To the gateway's own address no interface leads, and it often is the first of a network. */
	while (ranges_contains(doctor->facts.gateway, &addr) && addr_compare(&addr, &range->last) < 0)
		addr_next(&addr);
	int r = net_way_towards(socket, &addr, best);
	if (r == 0 && named)
		r = add_all(&interfaces, named);
	else if (r == 0)
		r = links_towards(doctor->links, &one, &interfaces.names, &interfaces.count);
	for (size_t i = 0; i < interfaces.count && r == 0 && *best; i++) {
		struct detour_fact fact = { .whom = *range, .configured = named != NULL, .rp_filter = -1 };
		if (strcmp(interfaces.names[i], best) == 0)
			continue;
		memcpy(fact.of, role->name, sizeof(fact.of));
		memcpy(fact.interface, interfaces.names[i], sizeof(fact.interface));
		memcpy(fact.best, best, sizeof(fact.best));
		r = ARRAY_PUSH(&doctor->facts.detours, fact) < 0 ? -ENOMEM : 0;
	}
	free(interfaces.names);
	return r;
}

/* IPv4 alone: the kernel has no such filter for IPv6. */
static int read_detours(struct doctor *doctor, struct nl_sock *socket)
{
	const struct policy *policy = &doctor->file.policy;
	int r = 0;

	for (size_t i = 0; i < policy->role_count && r == 0; i++) {
		const struct policy_role *role = &policy->roles[i];
		const struct ranges *ranges = role->is_protected ? &role->guarded : &role->members.ranges;
		bool named = i == 0 && policy->interfaces == INTERFACES_NAMED;
		for (size_t k = 0; k < ranges->count && k < DETOURS_FOR && r == 0; k++)
			if (ranges->items[k].first.family == FAMILY_4)
				r = add_detours(doctor, socket, role, &ranges->items[k],
						named ? &doctor->roles[0] : NULL);
	}
	return r;
}

/* Neighbours. */

static bool is_alive(struct rtnl_neigh *neighbour)
{
	int state = rtnl_neigh_get_state(neighbour);
	return state > 0 && !(state & (NUD_INCOMPLETE | NUD_FAILED | NUD_NOARP));
}

static bool take_neighbour(struct rtnl_neigh *neighbour, struct neighbour_fact *ret)
{
	struct nl_addr *addr = rtnl_neigh_get_dst(neighbour), *hardware = rtnl_neigh_get_lladdr(neighbour);
	int family = addr ? nl_addr_get_family(addr) : AF_UNSPEC;
	size_t size = family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
	char name[IF_NAMESIZE];

	if (!size || nl_addr_get_len(addr) != size || !hardware || !is_alive(neighbour) ||
	    !if_indextoname((unsigned)rtnl_neigh_get_ifindex(neighbour), name))
		return false;
	*ret = (struct neighbour_fact){ .addr = { .family = family == AF_INET ? FAMILY_4 : FAMILY_6 },
					.hardware_length = nl_addr_get_len(hardware) };
	if (ret->hardware_length > HARDWARE_MAX)
		return false;
	memcpy(ret->addr.bytes, nl_addr_get_binary_addr(addr), size);
	memcpy(ret->hardware, nl_addr_get_binary_addr(hardware), ret->hardware_length);
	memcpy(ret->interface, name, strnlen(name, CONFIG_INTERFACE_MAX) + 1);
	return true;
}

static int read_neighbours(struct doctor *doctor, struct nl_sock *socket)
{
	struct nl_cache *cache;
	int r = 0;

	if (rtnl_neigh_alloc_cache(socket, &cache) < 0)
		return -EIO;
	for (struct nl_object *o = nl_cache_get_first(cache);
	     o && r == 0 && doctor->facts.neighbours.count < NEIGHBOURS_MAX; o = nl_cache_get_next(o)) {
		struct neighbour_fact fact;
		if (take_neighbour((struct rtnl_neigh *)o, &fact))
			r = ARRAY_PUSH(&doctor->facts.neighbours, fact) < 0 ? -ENOMEM : 0;
	}
	nl_cache_free(cache);
	return r;
}

int doctor_read_links(struct doctor *doctor)
{
	struct environment_store store = { 0 };
	struct nl_sock *socket = nl_socket_alloc();

	int r = environment_read(doctor->links, &doctor->file.policy, &store);
	if (r == 0)
		r = environment_read_peers(doctor->links, &doctor->file.policy, &store);
	doctor->roles = store.roles;
	doctor->peers = store.peers;
	store.roles = store.peers = NULL;
	environment_free(&store);
	if (r == 0)
		r = read_interface_facts(doctor);
	if (r == 0 && (!socket || nl_connect(socket, NETLINK_ROUTE) < 0))
		r = -EIO;
	if (r == 0)
		r = read_neighbours(doctor, socket);
	if (r == 0)
		r = read_detours(doctor, socket);
	if (r == 0)
		r = bridges_look(doctor->links, &doctor->file.policy.protected_all, &doctor->facts.bridges);
	if (socket)
		nl_socket_free(socket);
	return r;
}
