/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy_parts.h"

#include <string.h>

/* Warnings that know the product: where the vendor's table says otherwise, what the vendor's own client takes for
 * granted, and where a service sends its clients to sign in. */

enum { HTTPS = 443 };

/* A service by name, and the host without which nobody signs in to it. The vendor's server takes both from Microsoft
 * alone; what signs in by a password of its own is not here. */
static const struct {
	const char *service, *sign_in;
} sign_ins[] = {
	{ "graph.microsoft.com", "login.microsoftonline.com" },
	{ "outlook.office365.com", "login.microsoftonline.com" },
	{ "graph.microsoft.us", "login.microsoftonline.us" },
	{ "outlook.office365.us", "login.microsoftonline.us" },
};

static const struct builtin_flow *builtin_of(const struct policy_flow *flow)
{
	for (size_t i = 0; i < builtin_flow_count; i++)
		if (strcmp(builtin_flows[i].id, flow->id) == 0)
			return &builtin_flows[i];
	return NULL;
}

static bool is_role_alone(const struct endpoint *endpoint, const char *role)
{
	return endpoint->set && strcmp(endpoint->set, role) == 0;
}

/* ANY, or all of IPv4, or of IPv6. */
static bool is_everybody(const struct endpoint *endpoint)
{
	bool everybody = endpoint->any;

	for (size_t i = 0; i < endpoint->ranges.count; i++) {
		const struct range *range = &endpoint->ranges.items[i];
		struct addr first = { .family = range->first.family }, last = first;
		memset(last.bytes, 0xff, addr_size((enum family)last.family));
		everybody |= addr_compare(&range->first, &first) == 0 && addr_compare(&range->last, &last) == 0;
	}
	return everybody;
}

static void warn_administrators(struct diags *diags, const struct config *config, const struct policy *policy)
{
	static const struct {
		const char *id, *name;
	} reached[] = { { "console-in", "Management Console" }, { "api-in", "Management API" } };
	const struct policy_role *adm = NULL;

	for (size_t i = 0; i < policy->role_count; i++)
		if (strcmp(policy->roles[i].name, "ADM") == 0)
			adm = &policy->roles[i];
	if (!adm)
		return;
	if (is_everybody(&adm->members))
		diag_warning(diags, config->path, adm->line,
			     "role ADM is ANY: the vendor says a computer or network used for administration: write "
			     "members = NETWORK in [role ADM]");
	for (size_t i = 0; i < sizeof(reached) / sizeof(reached[0]); i++) {
		const struct policy_flow *flow = policy_flow(policy, reached[i].id);
		if (!flow || !flow->off || strcmp(flow->off, "no source") != 0 || !is_role_alone(&flow->from, "ADM"))
			continue;
		diag_warning(diags, config->path, adm->line,
			     "role ADM is empty: nobody reaches the %s: write members = NETWORK in [role ADM]",
			     reached[i].name);
		return;
	}
}

/* An end that is ANY where the vendor's table has another one. CA is ANY unless written. */
static void warn_any(struct diags *diags, const struct config *config, const struct policy_flow *flow,
		     const struct builtin_flow *builtin)
{
	const struct config_flow *written = policy_written_flow(config, flow);

	if (!written)
		return;
	if (is_everybody(&flow->from) && strcmp(builtin->from, "ANY") != 0 &&
	    !is_role_alone(&flow->from, builtin->from))
		diag_warning(diags, config->path, written->from.line,
			     "flow %s is open to ANY: the vendor says %s alone: write from = %s", flow->id,
			     builtin->from, builtin->from);
	if (is_everybody(&flow->to) && strcmp(builtin->to, "ANY") != 0 && strcmp(builtin->to, "CA") != 0)
		diag_warning(diags, config->path, written->to.line,
			     "flow %s goes to ANY: the vendor says %s alone: write to = %s", flow->id, builtin->to,
			     builtin->to);
	else if (strcmp(flow->id, "license-out") == 0 && !flow->to.name_count)
		diag_warning(diags, config->path, written->to.line,
			     "flow license-out goes to no name: the vendor says by DNS hostname, since the addresses "
			     "change: write to = %s",
			     builtin->to);
}

/* The first port that both have; 0: none. */
static unsigned common_port(const struct policy_flow *a, const struct policy_flow *b)
{
	for (size_t i = 0; i < a->port_count; i++)
		for (size_t j = 0; j < b->port_count; j++)
			if (a->ports[i].first <= b->ports[j].last && b->ports[j].first <= a->ports[i].last)
				return a->ports[i].first > b->ports[j].first ? a->ports[i].first : b->ports[j].first;
	return 0;
}

/* Another flow that opens to ANY what the vendor opens to administrators alone. */
static void warn_open_ports(struct diags *diags, const struct config *config, const struct policy *policy,
			    const struct policy_flow *flow)
{
	const struct config_flow *written = policy_written_flow(config, flow);

	if (!is_everybody(&flow->from) || !written || !(flow->protocols & 1u << PROTOCOL_TCP) ||
	    !flow_opens_role(flow, &policy->roles[0]))
		return;
	for (size_t i = 0; i < builtin_flow_count; i++) {
		const struct policy_flow *meant = policy_flow(policy, builtin_flows[i].id);
		if (strcmp(builtin_flows[i].from, "ADM") != 0 || !meant || meant == flow ||
		    (config->preset == PRESET_NONE && !meant->line))
			continue;
		unsigned port = common_port(meant, flow);
		if (port)
			diag_warning(diags, config->path, flow->line,
				     "flow %s opens port %u of %s to ANY: the vendor says ADM alone: take the port "
				     "out, or "
				     "write from = ADM",
				     flow->id, port, meant->id);
	}
}

/* The vendor's command-line client has the port of the API built in. */
static void warn_moved(struct diags *diags, const struct config *config, const struct policy_flow *flow,
		       const struct builtin_flow *builtin)
{
	const struct config_flow *written = policy_written_flow(config, flow);

	if (strcmp(flow->id, "api-in") != 0 || !written || flow_has_port(flow, PROTOCOL_TCP, builtin->port))
		return;
	diag_warning(diags, config->path, written->ports.line ? written->ports.line : flow->line,
		     "flow api-in is not at %u/tcp: the vendor's command-line client knows no other port: write port = "
		     "%u",
		     builtin->port, builtin->port);
}

static bool is_name_of(const char *name, const char *host)
{
	size_t length = strlen(host), suffix = strlen(name) - 1;

	if (name[0] == '*')
		return length > suffix && strcmp(host + length - suffix, name + 1) == 0;
	return strcmp(name, host) == 0;
}

/* Networks may hold the host: nobody knows without a look at DNS. */
static bool may_reach(const struct policy *policy, const struct policy_role *role, const char *host)
{
	for (size_t i = 0; i < policy->flow_count; i++) {
		const struct policy_flow *flow = &policy->flows[i];
		if (!flow_leaves_role(flow, role) || !flow_has_port(flow, PROTOCOL_TCP, HTTPS))
			continue;
		if (flow->to.rank > 0)
			return true;
		for (size_t n = 0; n < flow->to.name_count; n++)
			if (is_name_of(policy->names[flow->to.names[n]].name, host))
				return true;
	}
	return false;
}

static bool goes_to(const struct policy *policy, const struct policy_flow *flow, const char *host)
{
	for (size_t i = 0; i < flow->to.name_count; i++)
		if (strcmp(policy->names[flow->to.names[i]].name, host) == 0)
			return true;
	return false;
}

/* Where a target's name was written: there, or in a role. */
static unsigned name_line(const struct config *config, const struct policy_flow *flow, const char *name,
			  const char **ret_file)
{
	const struct config_flow *written = policy_written_flow(config, flow);
	const struct members *list = written ? &written->to : NULL;

	for (size_t r = 0; r <= config->role_count; r++) {
		for (size_t i = 0; list && i < list->count; i++) {
			const struct member *member = &list->items[i];
			if (member->kind == MEMBER_NAME && strcmp(member->text, name) == 0) {
				*ret_file = member->file;
				return member->line;
			}
		}
		list = r < config->role_count ? &config->roles[r].members : NULL;
	}
	*ret_file = config->path;
	return flow->line;
}

static bool lacks_sign_in(const struct policy *policy, const struct policy_flow *flow, const char *sign_in)
{
	for (size_t i = 0; i < policy->role_count; i++)
		if (policy->roles[i].is_protected && flow_leaves_role(flow, &policy->roles[i]) &&
		    !may_reach(policy, &policy->roles[i], sign_in))
			return true;
	return false;
}

static void warn_sign_in(struct diags *diags, const struct config *config, const struct policy *policy,
			 const char *service, const char *sign_in)
{
	for (size_t i = 0; i < policy->flow_count; i++) {
		const struct policy_flow *flow = &policy->flows[i];
		if (!goes_to(policy, flow, service) || !lacks_sign_in(policy, flow, sign_in))
			continue;
		bool here = flow_has_port(flow, PROTOCOL_TCP, HTTPS);
		const char *file;
		unsigned line = name_line(config, flow, service, &file);
		diag_warning(diags, file, line,
			     "%s needs %s to sign in, which no flow opens at %u/tcp: write %s in the to of flow %s",
			     service, sign_in, HTTPS, sign_in, here ? flow->id : "ews-out");
		return;
	}
}

/* Whether a flow is there for connections between the two, whatever the port: the vendor's may have been altered. What
 * is open to ANY is there for others. */
static bool are_joined(const struct policy *policy, const struct policy_role *a, const struct policy_role *b)
{
	for (size_t i = 0; i < policy->flow_count; i++) {
		const struct policy_flow *flow = &policy->flows[i];
		if (flow->enabled && !flow->from.any && flow->port_count &&
		    ((flow_leaves_role(flow, a) && flow_opens_role(flow, b)) ||
		     (flow_leaves_role(flow, b) && flow_opens_role(flow, a))))
			return true;
	}
	return false;
}

/* In multi server mode the vendor's kinds of servers need each other. Which one opens the connection is not said here:
 * it is in the vendor's document. */
static void warn_apart(struct diags *diags, const struct config *config, const struct policy *policy)
{
	static const char *const kinds[] = { "CAS", "IH", "MGMT" };

	for (size_t i = 1; config->preset == PRESET_NONE && i < policy->role_count; i++) {
		const struct policy_role *role = &policy->roles[i];
		bool vendors = false, joined = false;
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			vendors |= strcmp(role->name, kinds[k]) == 0;
		if (!vendors || !role->is_protected)
			continue;
		for (size_t j = 0; j < policy->role_count; j++)
			joined |=
				j != i && policy->roles[j].is_protected && are_joined(policy, role, &policy->roles[j]);
		if (!joined)
			diag_warning(diags, config->path, role->line,
				     "no flow joins role %s and another server: the vendor's servers meet at 8471 to "
				     "8473, unless altered: add the flows that its document has",
				     role->name);
	}
}

void warn_vendor(struct diags *diags, const struct config *config, const struct policy *policy)
{
	warn_administrators(diags, config, policy);
	warn_apart(diags, config, policy);
	for (size_t i = 0; i < policy->flow_count; i++) {
		const struct policy_flow *flow = &policy->flows[i];
		const struct builtin_flow *builtin = builtin_of(flow);
		if (!flow->enabled)
			continue;
		if (builtin && builtin->section != SECTION_INFRASTRUCTURE) {
			warn_any(diags, config, flow, builtin);
			warn_moved(diags, config, flow, builtin);
		}
		if (!builtin || strcmp(builtin->from, "ADM") != 0)
			warn_open_ports(diags, config, policy, flow);
	}
	for (size_t i = 0; i < sizeof(sign_ins) / sizeof(sign_ins[0]); i++)
		warn_sign_in(diags, config, policy, sign_ins[i].service, sign_ins[i].sign_in);
}
