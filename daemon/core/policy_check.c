/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy_check.h"

#include <errno.h>
#include <string.h>

enum { ROLES_LISTED = 64 };

void complain_unknown_role(struct diags *diags, const struct config *config, const struct member *member)
{
	const char *known[ROLES_LISTED];
	size_t count = 0;

	while (count < BUILTIN_ROLES) {
		known[count] = builtin_roles[count];
		count++;
	}
	for (size_t i = 0; i < config->role_count && count < ROLES_LISTED; i++)
		known[count++] = config->roles[i].name;
	const char *nearest = diag_nearest(member->text, known, count);
	if (nearest)
		diag_error(diags, member->file, member->line, "unknown role %s: did you mean %s?", member->text,
			   nearest);
	else
		diag_error(diags, member->file, member->line, "unknown role %s: define it in a section [role %s]",
			   member->text, member->text);
}

void check_protected_role(struct diags *diags, const struct config *config, const struct policy_role *role,
			  const struct members *members)
{
	unsigned line = role->line;

	if (role->members.any) {
		diag_error(diags, config->path, line, "protected role %s can't be ANY: name the addresses to guard",
			   role->name);
		return;
	}
	for (size_t i = 0; members && i < members->count; i++)
		if (members->items[i].kind == MEMBER_NAME)
			diag_error(diags, members->items[i].file, members->items[i].line,
				   "%s in protected role %s: a protected role has addresses alone, no names",
				   members->items[i].text, role->name);
	for (size_t i = 0; members && role->members.name_count && i < members->count; i++)
		if (members->items[i].kind == MEMBER_ROLE)
			diag_error(diags, members->items[i].file, members->items[i].line,
				   "role %s brings names into protected role %s: a protected role has addresses alone, "
				   "no names",
				   members->items[i].text, role->name);
	if (!role->members.ranges.count && !role->members.name_count && strcmp(role->name, "SERVER") != 0)
		diag_error(diags, config->path, line,
			   "protected role %s has no members: write members = ADDRESS, or take protected out",
			   role->name);
}

/* Where a role's member that overlaps the range was written; the role's own line where a nested role brought it. */
static unsigned member_line(const struct config *config, const struct policy_role *role, const struct range *range,
			    const char **ret_file)
{
	*ret_file = config->path;
	for (size_t i = 0; i < config->role_count; i++) {
		const struct members *members = &config->roles[i].members;
		if (strcmp(config->roles[i].name, role->name) != 0)
			continue;
		for (size_t m = 0; m < members->count; m++) {
			const struct range *written = &members->items[m].range;
			if (members->items[m].kind == MEMBER_RANGE &&
			    (range_contains(written, &range->first) || range_contains(range, &written->first))) {
				*ret_file = members->items[m].file;
				return members->items[m].line;
			}
		}
	}
	return role->line;
}

int check_protected_overlap(struct diags *diags, const struct config *config, const struct policy *policy)
{
	for (size_t i = 1; i < policy->role_count; i++) {
		for (size_t j = 0; j < i; j++) {
			struct ranges both = { 0 };
			char text[RANGE_TEXT_MAX];
			const char *file;
			if (!policy->roles[i].is_protected || !policy->roles[j].is_protected)
				continue;
			if (ranges_add_all(&both, &policy->roles[i].members.ranges) < 0 ||
			    ranges_intersect(&both, &policy->roles[j].members.ranges) < 0) {
				ranges_free(&both);
				return -ENOMEM;
			}
			if (both.count) {
				unsigned line = member_line(config, &policy->roles[i], &both.items[0], &file);
				diag_error(diags, file, line,
					   "%s is in two protected roles, %s and %s: leave it in one",
					   range_format(&both.items[0], text), policy->roles[j].name,
					   policy->roles[i].name);
			}
			ranges_free(&both);
		}
	}
	return 0;
}

void check_builtin_flow(struct diags *diags, const struct config *config, const struct builtin_flow *builtin,
			const struct config_flow *written)
{
	if (!written)
		return;
	unsigned protocols = written->protocol_line ? 1u << written->protocol : builtin->protocols;
	if (protocols == 1u << PROTOCOL_ICMP_ECHO && written->ports.line)
		diag_error(diags, config->path, written->ports.line,
			   "flow %s has no ports: icmp-echo knows none, take port out", written->id);
	if (protocols != 1u << PROTOCOL_ICMP_ECHO && !builtin->port && !written->ports.line)
		diag_error(diags, config->path, written->protocol_line,
			   "flow %s needs a port for %s: write port = NUMBER", written->id,
			   protocol_name(written->protocol));
}

/* Its name is refused already: what it lacks under another name would mislead. */
static bool is_refused(const struct diags *diags, unsigned line)
{
	for (size_t i = 0; i < diags->count; i++)
		if (diags->items[i].severity == DIAG_ERROR && diags->items[i].line == line)
			return true;
	return false;
}

void check_custom_flow(struct diags *diags, const struct config *config, const struct config_flow *flow)
{
	const char *known[64];
	const char *missing[4];
	size_t count = 0;
	bool echo = flow->protocol_line && flow->protocol == PROTOCOL_ICMP_ECHO;

	if (!flow->from.line)
		missing[count++] = "from";
	if (!flow->to.line)
		missing[count++] = "to";
	if (!flow->protocol_line)
		missing[count++] = "protocol";
	if (!flow->ports.line && !echo)
		missing[count++] = "port";
	if (echo && flow->ports.line)
		diag_error(diags, config->path, flow->ports.line,
			   "flow %s has no ports: icmp-echo knows none, take port out", flow->id);
	if (!count || is_refused(diags, flow->line))
		return;

	size_t known_count = 0;
	for (; known_count < builtin_flow_count && known_count < 64; known_count++)
		known[known_count] = builtin_flows[known_count].id;
	const char *nearest = diag_nearest(flow->id, known, known_count);
	if (nearest)
		diag_error(diags, config->path, flow->line, "flow %s is not built in and has no %s: did you mean %s?",
			   flow->id, missing[0], nearest);
	else
		diag_error(diags, config->path, flow->line,
			   "custom flow %s has no %s: it needs from, to, protocol and port", flow->id, missing[0]);
}

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

static void warn_shadowed(struct diags *diags, const struct config *config, const struct policy *policy,
			  const struct policy_flow *flow)
{
	for (size_t i = 0; i < policy->flow_count; i++) {
		const struct policy_flow *wide = &policy->flows[i];
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
				     "no enabled flow uses the name %s: it is not resolved", name);
			return;
		}
	}
}

static void warn_flow(struct diags *diags, const struct config *config, const struct policy *policy,
		      const struct policy_flow *flow)
{
	bool is_administration = strcmp(flow->id, "console-in") == 0 || strcmp(flow->id, "api-in") == 0;
	bool touches = flow->to.opens.count > 0;

	for (size_t i = 0; i < policy->role_count && !touches; i++)
		touches = policy->roles[i].is_protected && flow_leaves_role(flow, &policy->roles[i]);
	if (!touches && flow->line)
		diag_warning(diags, config->path, flow->line, "flow %s has no effect: neither side is a protected role",
			     flow->id);
	if (is_administration && flow->from.any)
		diag_warning(diags, config->path, flow->line, "flow %s is open to ANY: the vendor says ADM alone",
			     flow->id);
	if (strcmp(flow->id, "license-out") == 0 && !flow->to.name_count)
		diag_warning(diags, config->path, flow->line,
			     "flow license-out goes to no name: the vendor says by DNS hostname, since the addresses "
			     "change");
	for (size_t i = 0; i < flow->to.name_count; i++)
		if (policy->names[flow->to.names[i]].name[0] == '*' && (!policy->observe || !policy->resolvers.count))
			diag_warning(diags, config->path, flow->line,
				     "flow %s: %s opens nothing: it is learned from the answers that the server gets: "
				     "write resolvers = ADDRESS in [server] and observe = yes in [dns]",
				     flow->id, policy->names[flow->to.names[i]].name);
	if (flow->line)
		warn_shadowed(diags, config, policy, flow);
}

static bool is_used(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->name_count; i++)
		if (strcmp(policy->names[i].name, name) == 0)
			return policy->names[i].used;
	return false;
}

static void warn_names(struct diags *diags, const struct config *config, const struct policy *policy)
{
	for (size_t i = 0; i < policy->name_count; i++)
		if (!policy->names[i].used)
			warn_name_of(diags, config, policy, i);
	for (size_t i = 0; i < config->name_count; i++)
		if (!is_used(policy, config->names[i].name))
			diag_warning(diags, config->path, config->names[i].line,
				     "no enabled flow uses the name %s: its section has no effect",
				     config->names[i].name);
}

void warn_unwise(struct diags *diags, const struct config *config, const struct policy *policy)
{
	const struct policy_role *adm = NULL;

	for (size_t i = 0; i < policy->role_count; i++)
		if (strcmp(policy->roles[i].name, "ADM") == 0)
			adm = &policy->roles[i];
	if (adm && !adm->members.any && !adm->members.ranges.count && !adm->members.name_count &&
	    config->preset == PRESET_SINGLE_SERVER)
		diag_warning(diags, config->path, adm->line,
			     "role ADM is empty: nobody reaches the Management Console: write members = NETWORK in "
			     "[role ADM]");
	if (adm && adm->members.any)
		diag_warning(diags, config->path, adm->line,
			     "role ADM is ANY: the vendor says a computer or network used for administration");
	for (size_t i = 0; i < config->role_count; i++)
		if (config->roles[i].ephemeral.line && !config->roles[i].is_protected)
			diag_warning(diags, config->path, config->roles[i].ephemeral.line,
				     "role %s is not protected: ephemeral_ports has no effect", config->roles[i].name);
	if (!config->resolvers.count && config->preset == PRESET_SINGLE_SERVER)
		diag_warning(diags, config->path, config->server.line,
			     "no resolvers: the server can't resolve names through this gateway: write resolvers = "
			     "ADDRESS in [server]");
	for (size_t i = 0; i < policy->flow_count; i++)
		if (policy->flows[i].enabled)
			warn_flow(diags, config, policy, &policy->flows[i]);
		else if (policy->flows[i].settings.expect_ms)
			diag_warning(diags, config->path, policy->flows[i].line,
				     "flow %s is off: expect watches nothing", policy->flows[i].id);
	warn_names(diags, config, policy);
}
