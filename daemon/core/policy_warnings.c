/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy_parts.h"
#include "config_keys.h"
#include "flow_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is legal but unwise in any policy. Each warning has what to write instead. What the vendor's product has to do
 * with it is in policy_vendor.c. */

enum { CANDIDATES = 64 };

void warn_covered(struct diags *diags, const struct policy *policy, const struct members *members)
{
	char text[RANGE_TEXT_MAX], inner[ADDR_TEXT_MAX];

	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->items[i];
		if (member->kind != MEMBER_RANGE || ranges_cover(&policy->protected_all, &member->range))
			continue;
		for (size_t p = 0; p < policy->protected_all.count; p++) {
			const struct range *guarded = &policy->protected_all.items[p];
			if (!range_contains(&member->range, &guarded->first))
				continue;
			diag_warning(diags, member->file, member->line,
				     "%s does not open %s, which is protected: only naming its role opens it",
				     range_format(&member->range, text), addr_format(&guarded->first, inner));
			break;
		}
	}
}

/* Whether every connection that `narrow` allows is allowed by `wide` as well. */
static bool endpoint_covers(const struct endpoint *wide, const struct endpoint *narrow, bool target)
{
	if (target && !ranges_cover_all(&wide->opens, &narrow->opens))
		return false;
	if (wide->any)
		return true;
	if (narrow->any)
		return false;
	if (!ranges_cover_all(&wide->ranges, &narrow->ranges))
		return false;
	for (size_t i = 0; i < narrow->name_count; i++) {
		bool found = false;
		for (size_t j = 0; j < wide->name_count; j++)
			found |= wide->names[j] == narrow->names[i];
		if (!found)
			return false;
	}
	return true;
}

static bool flow_covers(const struct policy_flow *wide, const struct policy_flow *narrow)
{
	if (!wide->enabled || narrow->protocols & ~wide->protocols)
		return false;
	for (size_t i = 0; i < narrow->port_count; i++) {
		bool found = false;
		for (size_t j = 0; j < wide->port_count; j++)
			found |= narrow->ports[i].first >= wide->ports[j].first &&
				 narrow->ports[i].last <= wide->ports[j].last;
		if (!found)
			return false;
	}
	return endpoint_covers(&wide->from, &narrow->from, false) && endpoint_covers(&wide->to, &narrow->to, true);
}

/* Whether its ends or ports were written: of a built-in flow that has a comment alone nothing was meant to be narrow.
 */
static bool is_shaped(const struct config *config, const struct policy_flow *flow)
{
	const struct config_flow *written = policy_written_flow(config, flow);

	return written && (written->from.line || written->to.line || written->ports.line || written->protocol_line);
}

/* A protected role that the flow opens, else one that it leaves; -1: it does neither. */
static int a_role_of(const struct policy *policy, const struct policy_flow *flow)
{
	const struct flow_index *index = policy->index;

	if (flow->to.opens.count)
		return flow_index_role(index, &flow->to.opens.items[0].first);
	for (size_t i = 0; i < index->guarded_count; i++)
		if (flow->from.any || ranges_overlap(&flow->from.ranges, &index->guarded[i].range))
			return (int)index->guarded[i].role;
	return -1;
}

/* Whom to compare it with: all that open the same role, or leave it, at the same port. Those that cover it are among
 * them if it is so itself. NULL: it is not; all. */
static const uint32_t *neighbours(const struct policy *policy, const struct policy_flow *flow, size_t *ret_count)
{
	enum protocol protocol = 0;
	int role = a_role_of(policy, flow);

	while (!(flow->protocols & 1u << protocol))
		protocol++;
	if (role < 0)
		return NULL;
	const struct role_flows *flows = &policy->index->roles[role];
	const struct flow_list *list = &(flow->to.opens.count ? flows->in : flows->out)[protocol];
	const uint32_t *found = flow_list_at(list, flow->port_count ? flow->ports[0].first : 0, ret_count);
	for (size_t i = 0; found && i < *ret_count; i++)
		if (&policy->flows[found[i]] == flow)
			return found;
	return NULL;
}

static void warn_shadowed(struct diags *diags, const struct config *config, const struct policy *policy,
			  const struct policy_flow *flow)
{
	size_t count = policy->flow_count;

	if (!is_shaped(config, flow))
		return;
	const uint32_t *near = neighbours(policy, flow, &count);
	if (!near)
		count = policy->flow_count;
	for (size_t i = 0; i < count; i++) {
		const struct policy_flow *wide = &policy->flows[near ? near[i] : i];
		if (wide == flow || !flow_covers(wide, flow))
			continue;
		/* Of two that open the same, the one that was written later is the one to mention. */
		if (flow_covers(flow, wide) && wide->line >= flow->line)
			continue;
		diag_warning(diags, config->path, flow->line,
			     "flow %s opens nothing that flow %s does not: narrow or disable %s as well", flow->id,
			     wide->id, wide->id);
		return;
	}
}

static void warn_name_of(struct diags *diags, const struct config *config, const struct policy *policy, size_t index)
{
	const char *name = policy->names[index].name;

	for (size_t r = 0; r < config->role_count; r++) {
		const struct members *members = &config->roles[r].members;
		for (size_t m = 0; m < members->count; m++) {
			if (members->items[m].kind != MEMBER_NAME || strcmp(members->items[m].text, name) != 0)
				continue;
			diag_warning(diags, members->items[m].file, members->items[m].line,
				     "no enabled flow uses the name %s, it is not resolved: write its role in the from "
				     "or to "
				     "of a flow, or take it out",
				     name);
			return;
		}
	}
}

static void warn_flow(struct diags *diags, const struct config *config, const struct policy *policy,
		      const struct policy_flow *flow)
{
	bool touches = flow->to.opens.count > 0;

	for (size_t i = 0; i < policy->role_count && !touches; i++)
		touches = policy->roles[i].is_protected && flow_leaves_role(flow, &policy->roles[i]);
	if (!touches && flow->line)
		diag_warning(diags, config->path, flow->line,
			     "flow %s has no effect, neither side is a protected role: write SERVER in from or to",
			     flow->id);
	for (size_t i = 0; i < flow->to.name_count; i++)
		if (policy->names[flow->to.names[i]].name[0] == '*' && (!policy->observe || !policy->resolvers.count))
			diag_warning(diags, config->path, flow->line,
				     "flow %s: %s opens nothing: it is learned from the answers that the server gets: "
				     "write resolvers = ADDRESS in [server] and observe = yes in [dns]",
				     flow->id, policy->names[flow->to.names[i]].name);
	warn_shadowed(diags, config, policy, flow);
}

static bool is_used(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->name_count; i++)
		if (strcmp(policy->names[i].name, name) == 0)
			return policy->names[i].used;
	return false;
}

static void warn_name_section(struct diags *diags, const struct config *config, const struct policy *policy,
			      const struct config_name *section)
{
	const char *known[CANDIDATES];
	size_t count = 0;

	for (size_t i = 0; i < policy->name_count && count < CANDIDATES; i++)
		if (policy->names[i].used)
			known[count++] = policy->names[i].name;
	const char *nearest = diag_nearest(section->name, known, count);
	if (nearest)
		diag_warning(diags, config->path, section->line,
			     "no enabled flow uses the name %s, its section has no effect: did you mean %s?",
			     section->name, nearest);
	else
		diag_warning(diags, config->path, section->line,
			     "no enabled flow uses the name %s, its section has no effect: take it out", section->name);
}

static void warn_names(struct diags *diags, const struct config *config, const struct policy *policy)
{
	for (size_t i = 0; i < policy->name_count; i++)
		if (!policy->names[i].used)
			warn_name_of(diags, config, policy, i);
	for (size_t i = 0; i < config->name_count; i++)
		if (!is_used(policy, config->names[i].name))
			warn_name_section(diags, config, policy, &config->names[i]);
}

static void mark_role(const struct config *config, const char *name, bool *used)
{
	for (size_t i = 0; i < config->role_count; i++)
		used[i] |= strcmp(config->roles[i].name, name) == 0;
}

static void mark_members(const struct config *config, const struct members *members, bool *used)
{
	for (size_t i = 0; i < members->count; i++)
		if (members->items[i].kind == MEMBER_ROLE)
			mark_role(config, members->items[i].text, used);
}

/* Which roles something names: a flow, even one that is off, another role, or a key that stands for the whole. */
static void mark_used_roles(const struct config *config, const struct policy *policy, bool *used)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		bool members = key->type == VALUE_MEMBERS || key->type == VALUE_ROLES;
		if (members && !config_section_has_name(key->section))
			mark_members(config, (const void *)((const char *)config + key->offset), used);
	}
	for (size_t i = 0; i < config->role_count; i++)
		mark_members(config, &config->roles[i].members, used);
	for (size_t i = 0; i < config->flow_count; i++) {
		mark_members(config, &config->flows[i].from, used);
		mark_members(config, &config->flows[i].to, used);
	}
	for (size_t i = 0; i < policy->flow_count; i++) {
		const struct policy_flow *flow = &policy->flows[i];
		bool meant =
			flow->line || config->preset == PRESET_SINGLE_SERVER || flow->section == SECTION_INFRASTRUCTURE;
		if (meant && flow->from.set)
			mark_role(config, flow->from.set, used);
		if (meant && flow->to.set)
			mark_role(config, flow->to.set, used);
	}
}

static void warn_role(struct diags *diags, const struct config *config, const bool *used,
		      const struct config_role *role)
{
	const char *known[CANDIDATES];
	size_t count = 0;

	for (size_t i = 0; i < BUILTIN_ROLES; i++)
		if (strcmp(builtin_roles[i], role->name) != 0)
			known[count++] = builtin_roles[i];
	for (size_t i = 0; i < config->role_count && count < CANDIDATES; i++)
		if (used[i])
			known[count++] = config->roles[i].name;
	const char *nearest = diag_nearest(role->name, known, count);
	diag_warning(diags, config->path, role->line,
		     "no flow uses the role %s: write it in the from or to of a flow%s%s%s", role->name,
		     nearest ? ", or did you mean " : ", or take it out", nearest ? nearest : "", nearest ? "?" : "");
}

/* A protected role has an effect without any flow. */
static int warn_roles(struct diags *diags, const struct config *config, const struct policy *policy)
{
	bool *used = calloc(config->role_count + 1, sizeof(*used));

	if (!used)
		return -ENOMEM;
	mark_used_roles(config, policy, used);
	for (size_t i = 0; i < config->role_count; i++) {
		const struct config_role *role = &config->roles[i];
		if (role->is_protected)
			continue;
		if (role->ephemeral.line)
			diag_warning(diags, config->path, role->ephemeral.line,
				     "role %s is not protected, ephemeral_ports has no effect: write protected = yes, "
				     "or "
				     "take it out",
				     role->name);
		else if (!used[i])
			warn_role(diags, config, used, role);
	}
	free(used);
	return 0;
}

/* Off, and nobody wrote enabled = no: what an end that was written stands for is empty. */
static void warn_empty(struct diags *diags, const struct config *config, const struct policy_flow *flow)
{
	const struct config_flow *written = policy_written_flow(config, flow);

	if (!written)
		return;
	if (written->from.line && strcmp(flow->off, "no source") == 0)
		diag_warning(diags, config->path, written->from.line,
			     "flow %s is off, its source is empty: write members in what from names, or enabled = no",
			     flow->id);
	if (written->to.line && strcmp(flow->off, "no target") == 0)
		diag_warning(diags, config->path, written->to.line,
			     "flow %s is off, its target is empty: write members in what to names, or enabled = no",
			     flow->id);
}

static void warn_off(struct diags *diags, const struct config *config, const struct policy_flow *flow)
{
	warn_empty(diags, config, flow);
	if (flow->settings.expect_ms)
		diag_warning(diags, config->path, flow->line,
			     "flow %s is off, expect watches nothing: take expect out while it is", flow->id);
}

int warn_unwise(struct diags *diags, const struct config *config, const struct policy *policy)
{
	warn_vendor(diags, config, policy);
	if (!config->resolvers.count && config->preset == PRESET_SINGLE_SERVER)
		diag_warning(diags, config->path, config->server.line,
			     "no resolvers: the server can't resolve names through this gateway: write resolvers = "
			     "ADDRESS in [server]");
	for (size_t i = 0; i < policy->flow_count; i++)
		if (policy->flows[i].enabled)
			warn_flow(diags, config, policy, &policy->flows[i]);
		else
			warn_off(diags, config, &policy->flows[i]);
	warn_names(diags, config, policy);
	return warn_roles(diags, config, policy);
}
