/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

void environment_free(struct environment_store *store)
{
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
