/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	PEERS_MAX = 4096, /* ranges of a flow's peers that are looked up */
	WAYS_MAX = 16,    /* interfaces by which they may come; more are any */
};

static bool has_interface(const struct interface_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->names[i], name) == 0)
			return true;
	return false;
}

static int add_interface(struct interface_list *list, const char *name)
{
	if (has_interface(list, name))
		return 0;
	void *grown = realloc(list->names, (list->count + 1) * sizeof(*list->names));
	if (!grown)
		return -ENOMEM;
	list->names = grown;
	memset(list->names[list->count], 0, sizeof(*list->names));
	memcpy(list->names[list->count++], name, strnlen(name, CONFIG_INTERFACE_MAX));
	return 0;
}

static int add_interfaces(struct interface_list *to, const struct interface_list *from)
{
	int r = 0;

	for (size_t i = 0; i < from->count && r == 0; i++)
		r = add_interface(to, from->names[i]);
	return r;
}

/* By a bridge without an address the role's packets may come as well: no route leads there, whoever is behind it. */
static int interfaces_by_routes(struct links *links, const struct policy_role *role, struct interface_list *ret)
{
	struct interface_list bridges = { 0 };
	int r = links_towards(links, &role->guarded, &ret->names, &ret->count);

	if (r == 0 && ret->count)
		r = links_bare_bridges(links, &bridges.names, &bridges.count);
	if (r == 0)
		r = add_interfaces(ret, &bridges);
	free(bridges.names);
	return r;
}

static int interfaces_of_role(struct links *links, const struct policy *policy, size_t index,
			      struct interface_list *ret)
{
	const struct policy_role *role = &policy->roles[index];
	enum interfaces interfaces = index == 0 ? policy->interfaces : INTERFACES_AUTO; /* SERVER is the first */

	*ret = (struct interface_list){ 0 };
	if (!role->is_protected || interfaces == INTERFACES_ANY)
		return 0;
	if (interfaces == INTERFACES_AUTO)
		return interfaces_by_routes(links, role, ret);
	ret->names = calloc(policy->interface_count, sizeof(*ret->names));
	if (!ret->names)
		return -ENOMEM;
	memcpy(ret->names, policy->interface_names, policy->interface_count * sizeof(*ret->names));
	ret->count = policy->interface_count;
	return 0;
}

int environment_read(struct links *links, const struct policy *policy, struct environment_store *ret)
{
	int r = 0;

	*ret = (struct environment_store){ .roles = calloc(policy->role_count, sizeof(*ret->roles)),
					   .count = policy->role_count };
	if (!ret->roles)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < policy->role_count; i++)
		r = interfaces_of_role(links, policy, i, &ret->roles[i]);
	if (r == 0)
		r = links_towards(links, &policy->protected_all, &ret->towards.names, &ret->towards.count);
	if (r == 0)
		r = links_of_own_packets(links, &ret->own.names, &ret->own.count);
	if (r == 0)
		r = links_broadcasts(links, &policy->protected_all, &ret->broadcasts);
	if (r == 0 && policy->observe)
		r = links_towards(links, &policy->resolvers, &ret->resolvers.names, &ret->resolvers.count);
	return r;
}

/* By which interfaces the peers of a flow come. *ret empty: by any. */
static int interfaces_of_peers(struct links *links, const struct endpoint *peer, struct interface_list *ret)
{
	struct interface_list defaults = { 0 }, towards = { 0 };
	bool unbounded = peer->any || peer->name_count;
	int r = 0;

	if (unbounded)
		r = links_of_defaults(links, &defaults.names, &defaults.count);
	if (r == 0 && unbounded && !defaults.count)
		r = links_with_address(links, &defaults.names, &defaults.count);
	if (defaults.count > WAYS_MAX)
		defaults.count = 0;
	if (r == 0 && !peer->any && (!peer->name_count || defaults.count) && peer->ranges.count <= PEERS_MAX)
		r = links_towards(links, &peer->ranges, &towards.names, &towards.count);
	if (r == 0)
		r = add_interfaces(ret, &defaults);
	if (r == 0)
		r = add_interfaces(ret, &towards);
	free(defaults.names);
	free(towards.names);
	return r;
}

static bool is_of_any_role(const struct policy *policy, const struct policy_flow *flow, bool inbound)
{
	for (size_t i = 0; i < policy->role_count; i++)
		if (policy->roles[i].is_protected &&
		    (inbound ? flow_opens_role(flow, &policy->roles[i]) : flow_leaves_role(flow, &policy->roles[i])))
			return true;
	return false;
}

int environment_read_peers(struct links *links, const struct policy *policy, struct environment_store *store)
{
	int r = 0;

	store->peers = calloc(policy->flow_count + 1, sizeof(*store->peers));
	if (!store->peers)
		return -ENOMEM;
	store->flow_count = policy->flow_count;
	for (size_t i = 0; i < policy->flow_count && r == 0; i++) {
		const struct policy_flow *flow = &policy->flows[i];
		if (is_of_any_role(policy, flow, true))
			r = interfaces_of_peers(links, &flow->from, &store->peers[i]);
		/* Towards a protected machine it is inbound, and its own source is the peer. */
		bool only_inbound = !flow->to.any && !flow->to.name_count &&
				    ranges_cover_all(&policy->protected_all, &flow->to.ranges);
		if (r == 0 && !only_inbound && is_of_any_role(policy, flow, false))
			r = interfaces_of_peers(links, &flow->to, &store->peers[i]);
	}
	return r;
}

void environment_free(struct environment_store *store)
{
	for (size_t i = 0; store->peers && i < store->flow_count; i++)
		free(store->peers[i].names);
	free(store->peers);
	for (size_t i = 0; store->roles && i < store->count; i++)
		free(store->roles[i].names);
	free(store->roles);
	free(store->towards.names);
	free(store->own.names);
	free(store->resolvers.names);
	ranges_free(&store->broadcasts);
	*store = (struct environment_store){ 0 };
}

struct environment environment_of(const struct environment_store *store, const struct ranges *gateway,
				  const struct names_view *names)
{
	return (struct environment){ .gateway = gateway,
				     .role_interfaces = store->roles,
				     .names = names,
				     .towards = store->towards,
				     .own_interfaces = store->own,
				     .broadcasts = &store->broadcasts,
				     .resolvers = &store->resolvers };
}
