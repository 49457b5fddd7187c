/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/compile.h"
#include "gateway/gateway.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_EACH_MS = 1000 };

static bool has_link(const struct interface_list *links, const char *name)
{
	for (size_t i = 0; i < links->count; i++)
		if (strcmp(links->names[i], name) == 0)
			return true;
	return false;
}

static int add_link(struct interface_list *links, const char *name)
{
	if (has_link(links, name))
		return 0;
	void *grown = reallocarray(links->names, links->count + 1, sizeof(*links->names));
	if (!grown)
		return -ENOMEM;
	links->names = grown;
	memset(links->names[links->count], 0, sizeof(*links->names));
	memcpy(links->names[links->count++], name, strnlen(name, CONFIG_INTERFACE_MAX));
	return 0;
}

static int links_of_set(const struct set *set, struct interface_list *ret)
{
	char link[CONFIG_INTERFACE_MAX + 1];
	int r = 0;

	*ret = (struct interface_list){ 0 };
	for (size_t e = 0; set && set->type == KEY_INTERFACE && e < set->count && r == 0; e++) {
		snprintf(link, sizeof(link), "%.*s", KEY_SIZE_MAX, (const char *)set->items[e].first);
		r = add_link(ret, link);
	}
	return r;
}

int gateway_remember_links(struct gateway *gateway, const struct policy *policy)
{
	char name[CONFIG_ID_MAX + sizeof("_interfaces")];
	int r = 0;

	for (size_t i = 0; i < policy->role_count && r == 0; i++) {
		struct interface_list found = { 0 };
		snprintf(name, sizeof(name), "%s_interfaces", policy->roles[i].name);
		if (policy->roles[i].is_protected)
			r = links_of_set(ruleset_find_set(&gateway->current, name), &found);
		if (r == 0)
			r = links_remember(gateway->links, &policy->roles[i].guarded, found.names, found.count);
		free(found.names);
	}
	return r;
}

int gateway_environment(struct gateway *gateway, const struct policy *policy, struct environment_store *ret)
{
	return environment_read(gateway->links, policy, ret);
}

void gateway_look_at_bridges(struct gateway *gateway)
{
	int64_t now = now_ms();
	char text[BRIDGE_TEXT_MAX];

	if (gateway->bridges_ms && now - gateway->bridges_ms < LOOK_EACH_MS)
		return;
	gateway->bridges_ms = now;
	size_t before = gateway->bridges.count;
	gateway->bridges_unread =
		bridges_look(gateway->links, &gateway->file.policy.protected_all, &gateway->bridges) < 0;
	for (size_t i = before; i < gateway->bridges.count; i++)
		log_warning("%s", bridge_finding_text(&gateway->bridges.items[i], text));
}

void gateway_links_changed(void *userdata)
{
	struct gateway *gateway = userdata;
	const struct ranges *own = links_gateway_addresses(gateway->links);
	char text[ADDR_TEXT_MAX];
	bool changed;

	bool owed = gateway->links_owed;
	gateway->links_owed = policy_leave_out(&gateway->file.policy, own, &changed) < 0;
	/* Not else: where links change all the time, other tables would never be looked at to their end. */
	if (changed)
		gateway_others_cancel(gateway);
	if (gateway->links_owed) {
		if (!owed)
			log_error("out of memory: the change of the gateway's addresses is not followed yet");
		gateway_retry_soon(gateway);
		gateway_others_changed(gateway);
		return;
	}
	const struct addr *left_out = policy_own_address(&gateway->file.policy, own);
	if (changed && left_out)
		log_error("%s is protected and now this gateway's own address: it is left out, or it would lock the "
			  "gateway",
			  addr_format(left_out, text));
	else if (changed)
		log_notice("all protected addresses are guarded again");
	addrbook_recheck(gateway->book);
	if (changed)
		gateway->cut_owed = "the guarded addresses changed";
	gateway_apply(gateway);
	gateway_others_changed(gateway); /* what passes by which link may have changed */
	gateway->bridges_ms = 0;
	/* DNS may answer now, or say something else. */
	gateway_names_hurry(gateway);
}
