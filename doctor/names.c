/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "doctor/doctor.h"
#include "core/array.h"
#include "net/resolv_conf.h"
#include "net/resolver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Both sides' resolvers are queried for each name, again where they share nothing: rotating answers meet sooner or
 * later.
 */

enum {
	NAMES_MAX = 64,
	RESOLVERS_MAX = 16,
	ROUNDS = 4,
	BETWEEN_MS = 700,
	PATIENCE_MS = 12000, /* for all of it */
};

struct side {
	struct lookups *lookups;
	struct helper *helper;
	struct resolver *resolver; /* NULL: there is none to query */
	bool servers;
};

struct lookups {
	struct doctor *doctor;
	struct side own, servers;
	size_t pending;
	int error;
	int64_t deadline_ms;
};

static int64_t monotonic_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct name_fact *find_fact(struct doctor_facts *facts, const char *name, enum family family)
{
	for (size_t i = 0; i < facts->names.count; i++)
		if (facts->names.items[i].family == family && strcmp(facts->names.items[i].name, name) == 0)
			return &facts->names.items[i];
	return NULL;
}

static void on_answer(void *userdata, const struct resolver_answer *answer)
{
	struct side *side = userdata;
	struct name_fact *fact = find_fact(&side->lookups->doctor->facts, answer->name, answer->family);
	struct ranges *list = fact ? side->servers ? &fact->servers : &fact->own : NULL;

	side->lookups->pending--;
	if (!fact)
		return;
	/* One that answered once is not silent. */
	const char **error = side->servers ? &fact->servers_error : &fact->own_error;
	*error = answer->error && *error ? answer->error : NULL;
	for (size_t i = 0; i < answer->count; i++) {
		struct range range = range_of(&answer->addresses[i]);
		if (ranges_add(list, &range) < 0)
			side->lookups->error = -ENOMEM;
	}
	ranges_normalise(list);
}

static bool agree(const struct doctor_facts *facts, const struct name_fact *fact)
{
	/* Without resolvers of the server's there is nobody to disagree with. */
	if (!facts->policy->resolvers.count && fact->own.count)
		return true;
	if (ranges_overlap_any(&fact->servers, &fact->own))
		return true;
	return !fact->own.count && !fact->servers.count && !fact->own_error && !fact->servers_error;
}

static void query(struct side *side, const struct name_fact *fact)
{
	if (side->resolver && resolver_query(side->resolver, fact->name, fact->family) == 0)
		side->lookups->pending++;
}

/* Until the answers are there, or for a while. */
static int wait_for_answers(struct lookups *lookups, int64_t until_ms, bool all)
{
	int64_t left;

	while ((lookups->pending || all) && (left = until_ms - monotonic_ms()) > 0) {
		int r = sd_event_run(lookups->doctor->event, (uint64_t)left * 1000);
		if (r < 0)
			return r;
	}
	return lookups->error;
}

static bool all_agree(const struct doctor_facts *facts)
{
	for (size_t i = 0; i < facts->names.count; i++)
		if (!agree(facts, &facts->names.items[i]))
			return false;
	return true;
}

static int query_round(struct lookups *lookups)
{
	struct doctor_facts *facts = &lookups->doctor->facts;

	for (size_t i = 0; i < facts->names.count; i++) {
		if (agree(facts, &facts->names.items[i]))
			continue;
		query(&lookups->own, &facts->names.items[i]);
		query(&lookups->servers, &facts->names.items[i]);
	}
	return wait_for_answers(lookups, lookups->deadline_ms, false);
}

static int query_all(struct lookups *lookups)
{
	int r = query_round(lookups);

	for (int round = 1;
	     round < ROUNDS && lookups->servers.resolver && r == 0 && !all_agree(&lookups->doctor->facts); round++) {
		int64_t pause = monotonic_ms() + BETWEEN_MS;
		r = wait_for_answers(lookups, pause < lookups->deadline_ms ? pause : lookups->deadline_ms, true);
		if (r == 0)
			r = query_round(lookups);
	}
	return r;
}

/* Whom to query. */

static int open_side(struct side *side, const struct dns_server *servers, size_t count)
{
	static const struct helper_events events;
	static const struct resolver_events resolver_events = { .done = on_answer };
	sd_event *event = side->lookups->doctor->event;

	int r = helper_new(&side->helper, event, &events, NULL);
	if (r == 0)
		r = resolver_new(&side->resolver, event, side->helper, &resolver_events, side);
	return r == 0 ? resolver_set_servers(side->resolver, servers, count) : r;
}

static void close_side(struct side *side)
{
	resolver_free(side->resolver);
	helper_free(side->helper);
}

/* Neighbours are one range. */
static int open_servers(struct lookups *lookups)
{
	const struct ranges *resolvers = &lookups->doctor->file.policy.resolvers;
	struct dns_server servers[RESOLVERS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < resolvers->count; i++) {
		struct addr addr = resolvers->items[i].first;
		do {
			if (count < RESOLVERS_MAX)
				servers[count++] = (struct dns_server){ addr, DNS_PORT };
		} while (addr_compare(&addr, &resolvers->items[i].last) < 0 && addr_next(&addr));
	}
	return count ? open_side(&lookups->servers, servers, count) : 0;
}

static int open_own(struct lookups *lookups)
{
	const struct dns_servers *servers = &lookups->doctor->file.policy.dns_servers;
	return open_side(&lookups->own, servers->system ? NULL : servers->items, servers->count);
}

static int add_names(struct doctor *doctor, bool has_servers)
{
	const struct policy *policy = &doctor->file.policy;

	for (size_t i = 0; i < policy->name_count && doctor->facts.names.count < NAMES_MAX; i++) {
		if (!policy->names[i].used || policy->names[i].name[0] == '*')
			continue;
		for (enum family family = 0; family < FAMILIES; family++) {
			if (!(policy->names[i].families & 1U << family))
				continue;
			struct name_fact fact = { .name = policy->names[i].name,
						  .family = family,
						  .own_error = "no answer",
						  .servers_error = has_servers ? "no answer" : NULL };
			if (ARRAY_PUSH(&doctor->facts.names, fact) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

/* A view for the judgement of rules: who is behind the names now. */
static int make_view(struct doctor *doctor)
{
	const struct policy *policy = &doctor->file.policy;

	doctor->names.names = calloc(policy->name_count + 1, sizeof(*doctor->names.names));
	if (!doctor->names.names)
		return -ENOMEM;
	doctor->names.count = policy->name_count;
	for (size_t i = 0; i < policy->name_count; i++) {
		for (enum family family = 0; family < FAMILIES; family++) {
			const struct name_fact *fact = find_fact(&doctor->facts, policy->names[i].name, family);
			struct name_addresses *list = &doctor->names.names[i][family];
			if (!fact || !fact->own.count)
				continue;
			list->items = calloc(fact->own.count, sizeof(*list->items));
			if (!list->items)
				return -ENOMEM;
			/* Neighbours are merged in a range; its first one stands for them. */
			for (size_t a = 0; a < fact->own.count; a++)
				list->items[list->count++].addr = fact->own.items[a].first;
		}
	}
	return 0;
}

/* Whether the gateway queries none but the server's resolvers. */

static bool add_system_servers(const struct ranges *resolvers)
{
	FILE *file = fopen(RESOLV_CONF, "re");
	char line[256], text[64];
	bool same = true, any = false;

	for (int lines = 0; file && lines < 1000 && fgets(line, sizeof(line), file); lines++) {
		struct addr addr;
		if (sscanf(line, " nameserver %63s", text) != 1 || !addr_parse(text, &addr))
			continue;
		any = true;
		same &= ranges_contains(resolvers, &addr);
	}
	if (file)
		fclose(file);
	return any && same;
}

static bool queries_the_same(const struct policy *policy)
{
	bool same = policy->dns_servers.count > 0;

	if (policy->dns_servers.system)
		return add_system_servers(&policy->resolvers);
	for (size_t i = 0; i < policy->dns_servers.count; i++)
		same &= ranges_contains(&policy->resolvers, &policy->dns_servers.items[i].addr);
	return same;
}

/* Resolvers behind the server's own interface, the names of interfaces being few. */
static int find_local(struct doctor *doctor)
{
	const struct policy *policy = &doctor->file.policy;
	struct interface_list servers = { 0 };
	int r = links_towards(doctor->links, &policy->roles[0].guarded, &servers.names, &servers.count);

	for (size_t i = 0; i < policy->resolvers.count && r == 0; i++) {
		struct ranges one = { .items = (struct range *)&policy->resolvers.items[i], .count = 1 };
		struct interface_list interfaces = { 0 };
		if (ranges_contains(doctor->facts.gateway, &one.items[0].first))
			continue;
		r = links_towards(doctor->links, &one, &interfaces.names, &interfaces.count);
		for (size_t k = 0; k < servers.count && r == 0 && interfaces.count == 1; k++) {
			struct resolver_fact fact = { .addr = one.items[0].first };
			if (strcmp(servers.names[k], interfaces.names[0]) != 0)
				continue;
			memcpy(fact.interface, interfaces.names[0], sizeof(fact.interface));
			r = ARRAY_PUSH(&doctor->facts.local_resolvers, fact) < 0 ? -ENOMEM : 0;
		}
		free(interfaces.names);
	}
	free(servers.names);
	return r;
}

int doctor_read_names(struct doctor *doctor)
{
	struct lookups lookups = { .doctor = doctor, .deadline_ms = monotonic_ms() + PATIENCE_MS };

	lookups.own = (struct side){ .lookups = &lookups };
	lookups.servers = (struct side){ .lookups = &lookups, .servers = true };
	doctor->facts.same_resolvers = queries_the_same(&doctor->file.policy);
	int r = find_local(doctor);
	if (r == 0)
		r = add_names(doctor, doctor->file.policy.resolvers.count > 0);
	if (r == 0 && doctor->facts.names.count) {
		r = open_own(&lookups);
		if (r >= 0)
			r = open_servers(&lookups);
		if (r >= 0)
			r = query_all(&lookups);
	}
	close_side(&lookups.own);
	close_side(&lookups.servers);
	return r < 0 ? r : make_view(doctor);
}
