/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "case.h"
#include "config/ini.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a kernel element gets: the stale limit of 7 days and its margin. */
#define DEADLINE_MS ((int64_t)(7 * 24 + 6) * 3600 * 1000)
#define GRANT_END_MS ((int64_t)2 * 3600 * 1000)
#define SEPARATORS " \t\n"

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

static void require_memory(bool there)
{
	if (!there)
		die("out of memory");
}

static void read_policy(struct golden_case *g, const char *path)
{
	struct diags diags = { 0 };
	int r = config_load(&g->config, path, config_read_disk, NULL, &diags);

	if (r == 0 && !diags_failed(&diags))
		r = policy_from_config(&g->policy, &g->config, &diags);
	for (size_t i = 0; i < diags.count; i++) {
		char *text = diag_format(&diags.items[i]);
		if (diags.items[i].severity == DIAG_ERROR)
			fprintf(stderr, "%s\n", text ? text : "out of memory");
		free(text);
	}
	if (r < 0 || diags_failed(&diags))
		die("%s: no policy", path);
	diags_free(&diags);
}

static void add_address(struct ranges *ranges, const char *word)
{
	struct range range;

	if (range_parse(word, &range) != RANGE_OK)
		die("%s: not an address", word);
	require_memory(ranges_add(ranges, &range) == 0);
}

static void add_interface(struct interface_list *interfaces, const char *word)
{
	interfaces->names = realloc(interfaces->names, (interfaces->count + 1) * sizeof(*interfaces->names));
	require_memory(interfaces->names != NULL);
	snprintf(interfaces->names[interfaces->count++], sizeof(*interfaces->names), "%s", word);
}

static void default_interfaces(struct golden_case *g)
{
	const struct policy *policy = &g->policy;

	g->interfaces = calloc(policy->role_count, sizeof(*g->interfaces));
	require_memory(g->interfaces != NULL);
	add_interface(&g->towards, "lan");
	for (size_t i = 0; i < policy->role_count; i++) {
		if (i == 0 && policy->interfaces == INTERFACES_NAMED) {
			for (size_t l = 0; l < policy->interface_count; l++)
				add_interface(&g->interfaces[i], policy->interface_names[l]);
		} else if (policy->roles[i].is_protected && (i > 0 || policy->interfaces == INTERFACES_AUTO)) {
			add_interface(&g->interfaces[i], "lan");
		}
	}
}

/* In place of what was there. */
static void read_interfaces(struct interface_list *interfaces, char *rest)
{
	const char *word;

	interfaces->count = 0;
	while ((word = strtok_r(NULL, SEPARATORS, &rest)))
		add_interface(interfaces, word);
}

static void input_interfaces(struct golden_case *g, char *rest)
{
	const char *role = strtok_r(NULL, SEPARATORS, &rest);

	for (size_t i = 0; role && i < g->policy.role_count; i++) {
		if (strcmp(g->policy.roles[i].name, role) != 0)
			continue;
		read_interfaces(&g->interfaces[i], rest);
		return;
	}
	die("interfaces: no such role");
}

static int name_address_order(const void *a, const void *b)
{
	return addr_compare(&((const struct name_address *)a)->addr, &((const struct name_address *)b)->addr);
}

static void add_name_address(struct name_addresses *list, const struct addr *addr)
{
	list->items = realloc(list->items, (list->count + 1) * sizeof(*list->items));
	require_memory(list->items != NULL);
	list->items[list->count++] = (struct name_address){ *addr, DEADLINE_MS };
	qsort(list->items, list->count, sizeof(*list->items), name_address_order);
}

static void input_name(struct golden_case *g, char *rest)
{
	const char *name = strtok_r(NULL, SEPARATORS, &rest), *word;
	size_t index = 0;

	while (name && index < g->policy.name_count && strcmp(g->policy.names[index].name, name) != 0)
		index++;
	if (!name || index == g->policy.name_count)
		die("name %s: no flow or role has it", name ? name : "");
	while ((word = strtok_r(NULL, SEPARATORS, &rest))) {
		struct addr addr;
		if (!addr_parse(word, &addr))
			die("name %s: %s is not an address", name, word);
		if (g->policy.names[index].families & 1U << addr.family) /* the address book has no others */
			add_name_address(&g->names.names[index][addr.family], &addr);
	}
}

static void input_grant(struct golden_case *g, char *rest)
{
	const char *flow = strtok_r(NULL, SEPARATORS, &rest), *word;

	while (flow && (word = strtok_r(NULL, SEPARATORS, &rest))) {
		struct grant grant = { .end_ms = GRANT_END_MS };
		if (strlen(flow) >= sizeof(grant.flow) || !addr_parse(word, &grant.addr) ||
		    grant_state(&g->policy, flow, &grant.addr) != GRANT_IN_EFFECT)
			die("grant %s %s: it has no effect", flow, word);
		memcpy(grant.flow, flow, strlen(flow) + 1);
		require_memory(grant_put(&g->grants, &grant) == 0);
	}
}

static void read_input(struct golden_case *g, const char *conf)
{
	char path[4096], line[4096];
	FILE *file;

	if (strlen(conf) <= strlen(".conf"))
		die("%s is no FILE.conf", conf);
	snprintf(path, sizeof(path), "%.*s.input", (int)(strlen(conf) - strlen(".conf")), conf);
	file = fopen(path, "r");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		char *rest, *key = strtok_r(line, SEPARATORS, &rest), *word;
		if (!key || key[0] == '#')
			continue;
		if (strcmp(key, "interfaces") == 0)
			input_interfaces(g, rest);
		else if (strcmp(key, "name") == 0)
			input_name(g, rest);
		else if (strcmp(key, "grant") == 0)
			input_grant(g, rest);
		else if (strcmp(key, "towards") == 0)
			read_interfaces(&g->towards, rest);
		else if (strcmp(key, "own-interfaces") == 0)
			read_interfaces(&g->own_interfaces, rest);
		else if (strcmp(key, "gateway") == 0 || strcmp(key, "broadcasts") == 0)
			while ((word = strtok_r(NULL, SEPARATORS, &rest)))
				add_address(*key == 'g' ? &g->gateway : &g->broadcasts, word);
		else
			die("%s: unknown key %s", path, key);
	}
	fclose(file);
}

void golden_case_make(struct golden_case *g, const char *conf)
{
	bool changed;

	*g = (struct golden_case){ 0 };
	read_policy(g, conf);
	g->names.count = g->policy.name_count;
	g->names.names = calloc(g->names.count + 1, sizeof(*g->names.names));
	require_memory(g->names.names != NULL);
	default_interfaces(g);
	read_input(g, conf);
	if (!g->gateway.count) {
		add_address(&g->gateway, "192.0.2.1");
		add_address(&g->gateway, "198.51.100.1");
	}
	if (!g->broadcasts.count)
		add_address(&g->broadcasts, "192.0.2.255");
	ranges_normalise(&g->gateway);
	ranges_normalise(&g->broadcasts);
	require_memory(policy_leave_out(&g->policy, &g->gateway, &changed) == 0);
	require_memory(grants_add_to_view(&g->grants, &g->policy, &g->names) == 0);

	add_interface(&g->resolvers, "wan");
	g->environment = (struct environment){ &g->gateway,       g->interfaces,  &g->names,    g->towards,
					       g->own_interfaces, &g->broadcasts, &g->resolvers };
	require_memory(compile(&g->ruleset, &g->policy, &g->environment) == 0);
}

void golden_case_free(struct golden_case *g)
{
	for (size_t i = 0; i < g->policy.role_count; i++)
		free(g->interfaces[i].names);
	free(g->interfaces);
	free(g->towards.names);
	free(g->own_interfaces.names);
	free(g->resolvers.names);
	ranges_free(&g->broadcasts);
	ruleset_free(&g->ruleset);
	names_view_free(&g->names);
	grants_free_list(&g->grants);
	ranges_free(&g->gateway);
	policy_free(&g->policy);
	config_free(&g->config);
	*g = (struct golden_case){ 0 };
}
