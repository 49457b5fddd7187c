/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/network.h"
#include "clock.h"
#include "core/array.h"
#include "log.h"
#include "net/bridges.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ_EACH_MS = 1000 };

struct network {
	struct links *links;
	void (*changed)(void *userdata);
	void *userdata;
	struct bridge_findings bridges; /* that carry a protected address past the hooks */
	int64_t bridges_ms;             /* when they were last read; 0: never, or interfaces have changed since */
	bool bridges_unreadable;
};

static void on_change(void *userdata)
{
	struct network *network = userdata;

	network->bridges_ms = 0;
	network->changed(network->userdata);
}

int network_new(struct network **ret, sd_event *event, void (*changed)(void *userdata), void *userdata)
{
	struct network *network = calloc(1, sizeof(*network));
	int r = network ? 0 : -ENOMEM;

	if (r == 0) {
		*network = (struct network){ .changed = changed, .userdata = userdata };
		r = links_new(&network->links, event, on_change, network);
	}
	if (r < 0) {
		log_error("can't read interfaces and routes from the kernel: %s", strerror(-r));
		free(network);
		return r;
	}
	*ret = network;
	return 0;
}

void network_free(struct network *network)
{
	if (!network)
		return;
	links_free(network->links);
	bridge_findings_free(&network->bridges);
	free(network);
}

const struct ranges *network_own_addresses(const struct network *network)
{
	return links_gateway_addresses(network->links);
}

int network_environment(struct network *network, const struct policy *policy, struct environment_store *ret)
{
	return environment_read(network->links, policy, ret);
}

int network_environment_of_others(struct network *network, const struct policy *policy, struct environment_store *ret)
{
	int r = environment_read(network->links, policy, ret);
	return r < 0 ? r : environment_read_peers(network->links, policy, ret);
}

static int interfaces_of_set(const struct set *set, struct interface_list *ret)
{
	*ret = (struct interface_list){ 0 };
	if (!set || set->type != KEY_INTERFACE || !set->count)
		return 0;
	ret->names = calloc(set->count, sizeof(*ret->names));
	if (!ret->names)
		return -ENOMEM;
	for (; ret->count < set->count; ret->count++)
		snprintf(ret->names[ret->count], sizeof(*ret->names), "%.*s", CONFIG_INTERFACE_MAX,
			 (const char *)set->items[ret->count].first);
	return 0;
}

int network_remember(struct network *network, const struct policy *policy, const struct ruleset *found)
{
	char name[CONFIG_ID_MAX + sizeof("_interfaces")];
	int r = 0;

	for (size_t i = 0; i < policy->role_count && r == 0; i++) {
		struct interface_list known = { 0 };
		snprintf(name, sizeof(name), "%s_interfaces", policy->roles[i].name);
		if (policy->roles[i].is_protected)
			r = interfaces_of_set(ruleset_find_set(found, name), &known);
		if (r == 0)
			r = links_remember(network->links, &policy->roles[i].guarded, known.names, known.count);
		free(known.names);
	}
	return r;
}

static bool is_among(const struct bridge_findings *findings, const struct bridge_finding *finding)
{
	for (size_t i = 0; i < findings->count; i++)
		if (strcmp(findings->items[i].guarded.at.bridge, finding->guarded.at.bridge) == 0)
			return true;
	return false;
}

/* Those that were found last are where the next reading begins, and what of it is new shows by them. */
static int read_bridges(struct network *network, const struct policy *policy)
{
	struct bridge_findings found = { .can_filter = network->bridges.can_filter };
	char text[BRIDGE_TEXT_MAX];
	int r = 0;

	for (size_t i = 0; i < network->bridges.count && r == 0; i++)
		r = ARRAY_PUSH(&found, network->bridges.items[i]) < 0 ? -ENOMEM : 0;
	if (r == 0)
		r = bridges_look(network->links, &policy->protected_all, &found);
	if (r < 0) {
		bridge_findings_free(&found);
		return r;
	}
	for (size_t i = 0; i < found.count; i++)
		if (!is_among(&network->bridges, &found.items[i]))
			log_warning("%s", bridge_finding_text(&found.items[i], text));
	bridge_findings_free(&network->bridges);
	network->bridges = found;
	return 0;
}

static void read_bridges_if_due(struct network *network, const struct policy *policy)
{
	int64_t now = now_ms();

	if (network->bridges_ms && now - network->bridges_ms < READ_EACH_MS)
		return;
	network->bridges_ms = now;
	network->bridges_unreadable = read_bridges(network, policy) < 0;
}

/* A name that is misspelt, above all: nothing comes from there, and all that comes from elsewhere is taken for spoofed.
 */
static void add_missing_interfaces(const struct policy *policy, struct health *health)
{
	for (size_t i = 0; i < policy->interface_count; i++)
		if (if_nametoindex(policy->interface_names[i]) == 0 && errno == ENODEV)
			health_add(health, HEALTH_INTERFACE_MISSING,
				   "interface names %s, and this gateway has no such interface: what the server sends "
				   "by another one is taken for spoofed",
				   policy->interface_names[i]);
}

void network_reasons(struct network *network, const struct policy *policy, struct health *health)
{
	char what[BRIDGE_TEXT_MAX], remedy[BRIDGE_TEXT_MAX];

	add_missing_interfaces(policy, health);
	read_bridges_if_due(network, policy);
	for (size_t i = 0; i < network->bridges.count; i++) {
		const struct bridge_finding *finding = &network->bridges.items[i];
		health_add(health, HEALTH_BRIDGE, "%s", bridge_finding_text(finding, what));
		health_fill(health, bridge_remedy_text(&network->bridges, finding, remedy));
	}
	if (network->bridges_unreadable)
		health_add(health, HEALTH_BRIDGES_UNREADABLE,
			   "bridges can't be read: whether one carries the server past the guard is not known");
	if (links_unread(network->links))
		health_add(health, HEALTH_INTERFACES_UNREAD,
			   "a change of this gateway's interfaces or addresses is not followed yet");
}
