/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Flows: the built-in ones as they are changed, and further ones, most specific first. */

/* What a target opens: a protected role that it names, also through another role, and protected addresses that it
 * names as such. A network that merely holds some opens nothing: only naming opens. */
static int add_opened(struct builder *b, struct ranges *opens, const struct members *members)
{
	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->items[i];
		int r = 0;
		if (member->kind == MEMBER_RANGE && ranges_cover(&b->policy->protected_all, &member->range)) {
			r = ranges_add(opens, &member->range);
		} else if (member->kind == MEMBER_ROLE) {
			int index = policy_find_role(b, member->text);
			if (index >= 0 && b->sources[index].is_protected) {
				r = ranges_add_all(opens, &b->policy->roles[index].members.ranges);
			} else if (index >= 0 && b->sources[index].members && !b->sources[index].opening) {
				b->sources[index].opening = true;
				r = add_opened(b, opens, b->sources[index].members);
				b->sources[index].opening = false;
			}
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* The members that a built-in endpoint stands for; a literal is put into *scratch. */
static const struct members *builtin_members(const struct config *config, const char *text, struct members *list,
					     struct member *scratch)
{
	if (strcmp(text, "resolvers") == 0)
		return &config->resolvers;
	if (strcmp(text, "time_servers") == 0)
		return &config->time_servers;
	*scratch = (struct member){ .kind = strcmp(text, "ANY") == 0 ? MEMBER_ANY
					    : strchr(text, '.')      ? MEMBER_NAME
								     : MEMBER_ROLE,
				    .text = text,
				    .file = config->path };
	*list = (struct members){ .items = scratch, .count = 1 };
	return list;
}

/* The kernel's sets of a role, or of the resolvers, serve all flows that name just that. */
static const char *shared_set(const struct builder *b, const struct members *members)
{
	if (members == &b->config->resolvers)
		return "resolvers";
	if (members == &b->config->time_servers)
		return "time_servers";
	if (members->count != 1 || members->items[0].kind != MEMBER_ROLE)
		return NULL;
	int index = policy_find_role(b, members->items[0].text);
	return index < 0 ? NULL : b->policy->roles[index].name;
}

static int make_endpoint(struct builder *b, struct endpoint *ret, const struct members *written, const char *text,
			 bool target)
{
	struct members list;
	struct member scratch;
	const struct members *members = written->line ? written : builtin_members(b->config, text, &list, &scratch);

	int r = endpoint_from_members(b, ret, members);
	if (r >= 0 && target) {
		r = add_opened(b, &ret->opens, members);
		ranges_normalise(&ret->opens);
		warn_covered(b->diags, b->policy, members);
	}
	ret->set = shared_set(b, members);
	return r;
}

static bool endpoint_is_empty(const struct endpoint *endpoint)
{
	return !endpoint->any && endpoint->ranges.count == 0 && endpoint->name_count == 0;
}

/* written NULL: as built in; builtin NULL: custom. */
static int make_flow(struct builder *b, const struct builtin_flow *builtin, const struct config_flow *written)
{
	static const struct config_flow nothing = { .enabled = true };
	struct policy_flow *flow = &b->policy->flows[b->policy->flow_count++];

	if (!written)
		written = &nothing;
	snprintf(flow->id, sizeof(flow->id), "%s", builtin ? builtin->id : written->id);
	flow->section = builtin ? builtin->section : SECTION_CUSTOM;
	flow->purpose = builtin ? builtin->purpose : NULL;
	flow->line = written->line;
	flow->settings = written->settings;
	flow->protocols = written->protocol_line || !builtin ? 1u << written->protocol : builtin->protocols;

	int r = make_endpoint(b, &flow->from, &written->from, builtin ? builtin->from : "ANY", false);
	if (r >= 0)
		r = make_endpoint(b, &flow->to, &written->to, builtin ? builtin->to : "ANY", true);
	if (r >= 0 && flow->protocols != 1u << PROTOCOL_ICMP_ECHO) {
		struct port_range own = { builtin ? builtin->port : 0, builtin ? builtin->port : 0 };
		r = written->ports.line ? policy_make_ports(written->ports.items, written->ports.count, &flow->ports,
							    &flow->port_count)
		    : own.first         ? policy_make_ports(&own, 1, &flow->ports, &flow->port_count)
					: 0;
	}

	bool on = written->enabled_line ? written->enabled
					: b->config->preset == PRESET_SINGLE_SERVER || !builtin ||
						  builtin->section == SECTION_INFRASTRUCTURE || written->line;
	flow->off = !on                              ? "disabled"
		    : endpoint_is_empty(&flow->to)   ? "no target"
		    : endpoint_is_empty(&flow->from) ? "no source"
						     : NULL;
	flow->enabled = !flow->off;
	if (flow->enabled && written->allow_private) {
		endpoint_allow_private(b->policy, &flow->from);
		endpoint_allow_private(b->policy, &flow->to);
	}
	return r;
}

static int line_order(const void *line, const void *flow)
{
	unsigned a = *(const unsigned *)line, b = ((const struct config_flow *)flow)->line;
	return a < b ? -1 : a > b;
}

/* Sections are in the order of their lines. */
const struct config_flow *policy_written_flow(const struct config *config, const struct policy_flow *flow)
{
	if (!flow->line)
		return NULL;
	return bsearch(&flow->line, config->flows, config->flow_count, sizeof(*config->flows), line_order);
}

static const struct config_flow *find_written(const struct config *config, const char *id)
{
	for (size_t i = 0; i < config->flow_count; i++)
		if (strcmp(config->flows[i].id, id) == 0)
			return &config->flows[i];
	return NULL;
}

static bool is_builtin(const char *id)
{
	for (size_t i = 0; i < builtin_flow_count; i++)
		if (strcmp(builtin_flows[i].id, id) == 0)
			return true;
	return false;
}

/* Most specific first; of equals, the order of the table stays. */
static int order_flows(struct policy *policy)
{
	struct policy_flow *ordered = calloc(policy->flow_count + 1, sizeof(*ordered));
	size_t count = 0;

	if (!ordered)
		return -ENOMEM;
	for (unsigned rank = 0; rank <= 4; rank++) /* 2 of either end */
		for (size_t i = 0; i < policy->flow_count; i++)
			if (policy->flows[i].from.rank + policy->flows[i].to.rank == rank)
				ordered[count++] = policy->flows[i];
	free(policy->flows);
	policy->flows = ordered;
	return 0;
}

int policy_make_flows(struct builder *b)
{
	const struct config *config = b->config;
	struct policy *policy = b->policy;

	policy->flows = calloc(builtin_flow_count + config->flow_count, sizeof(*policy->flows));
	if (!policy->flows)
		return -ENOMEM;
	for (size_t i = 0; i < builtin_flow_count; i++) {
		const struct config_flow *written = find_written(config, builtin_flows[i].id);
		check_builtin_flow(b->diags, config, &builtin_flows[i], written);
		if (make_flow(b, &builtin_flows[i], written) < 0)
			return -ENOMEM;
	}
	for (size_t i = 0; i < config->flow_count; i++) {
		if (is_builtin(config->flows[i].id))
			continue;
		check_custom_flow(b->diags, config, &config->flows[i]);
		if (make_flow(b, NULL, &config->flows[i]) < 0)
			return -ENOMEM;
	}

	if (order_flows(policy) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < policy->flow_count; i++) {
		policy->flows[i].from.granted = 2 * i + 1;
		policy->flows[i].to.granted = 2 * i + 2;
	}
	return 0;
}
