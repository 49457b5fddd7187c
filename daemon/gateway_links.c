/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/compile.h"
#include "gateway.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int role_links(struct links *links, const struct policy *policy, size_t index, struct role_links *ret)
{
	const struct policy_role *role = &policy->roles[index];
	enum interfaces interfaces = index == 0 ? policy->interfaces : INTERFACES_AUTO; /* SERVER is the first */

	*ret = (struct role_links){ 0 };
	if (!role->is_protected || interfaces == INTERFACES_ANY)
		return 0;
	if (interfaces == INTERFACES_AUTO)
		return links_towards(links, &role->guarded, &ret->names, &ret->count);
	ret->names = calloc(policy->link_count, sizeof(*ret->names));
	if (!ret->names)
		return -ENOMEM;
	memcpy(ret->names, policy->links, policy->link_count * sizeof(*ret->names));
	ret->count = policy->link_count;
	return 0;
}

int surroundings_read(struct links *links, const struct policy *policy, struct surroundings_store *ret)
{
	int r = 0;

	*ret = (struct surroundings_store){ .links = calloc(policy->role_count, sizeof(*ret->links)), .count = policy->role_count };
	if (!ret->links)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < policy->role_count; i++)
		r = role_links(links, policy, i, &ret->links[i]);
	if (r == 0 && policy->observe)
		r = links_towards(links, &policy->resolvers, &ret->resolvers.names, &ret->resolvers.count);
	return r;
}

int gateway_surroundings(struct gateway *gateway, const struct policy *policy, struct surroundings_store *ret)
{
	return surroundings_read(gateway->links, policy, ret);
}

void gateway_surroundings_free(struct surroundings_store *store)
{
	for (size_t i = 0; store->links && i < store->count; i++)
		free(store->links[i].names);
	free(store->links);
	free(store->resolvers.names);
	*store = (struct surroundings_store){ 0 };
}

void gateway_links_changed(void *userdata)
{
	struct gateway *gateway = userdata;
	const struct ranges *own = links_gateway_addresses(gateway->links);
	char text[ADDR_TEXT_MAX];
	bool changed;

	bool owed = gateway->links_owed;
	gateway->links_owed = policy_leave_out(&gateway->file.policy, own, &changed) < 0;
	if (gateway->links_owed) {
		if (!owed)
			log_error("out of memory: the change of the gateway's addresses is not followed yet");
		gateway_retry_soon(gateway);
		return;
	}
	const struct addr *left_out = policy_own_address(&gateway->file.policy, own);
	if (changed && left_out)
		log_error("%s is protected and now this gateway's own address: it is left out, or it would lock the gateway",
			  addr_format(left_out, text));
	else if (changed)
		log_notice("all protected addresses are guarded again");
	addrbook_recheck(gateway->book);
	if (changed)
		gateway->cut_owed = "the guarded addresses changed";
	gateway_apply(gateway);
	gateway_others_changed(gateway); /* what passes by which link may have changed */
	/* DNS may answer now, or say something else. */
	gateway_names_hurry(gateway);
}
