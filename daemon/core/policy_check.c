/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy_check.h"
#include "unfit.h"

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

/* Guarding what no machine has guards nothing, and a network of everything is other machines' as well. */
static void check_protected_range(struct diags *diags, const struct policy_role *role, const struct member *member)
{
	const char *unfit = address_unfit(&member->range.first, true);
	char text[RANGE_TEXT_MAX];

	if (!unfit)
		unfit = address_unfit(&member->range.last, true);
	if (unfit)
		diag_warning(diags, member->file, member->line,
			     "%s in protected role %s: no machine has %s addresses: write those of %s alone",
			     range_format(&member->range, text), role->name, unfit, role->name);
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
		if (members->items[i].kind == MEMBER_RANGE)
			check_protected_range(diags, role, &members->items[i]);
		else if (members->items[i].kind == MEMBER_NAME)
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

void check_rejected(struct diags *diags, const struct config *config, const struct policy *policy)
{
	for (size_t i = 0; i < config->reject.count; i++) {
		const struct member *member = &config->reject.items[i];
		const struct policy_role *role = NULL;
		for (size_t r = 0; r < policy->role_count && !role; r++)
			if (strcmp(policy->roles[r].name, member->text) == 0)
				role = &policy->roles[r];
		if (!role)
			complain_unknown_role(diags, config, member);
		else if (role->members.any)
			diag_error(diags, member->file, member->line,
				   "role %s is ANY: reject takes roles with members of their own, such as ADM",
				   role->name);
	}
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
