/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy_diff.h"
#include "config_types.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 400, LISTED_MAX = 6 };

struct output {
	void (*line)(void *userdata, const char *text);
	void *userdata;
};

static void report(const struct output *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void report(const struct output *out, const char *format, ...)
{
	char text[3 * TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	out->line(out->userdata, text);
}

static void append(char *buffer, size_t size, const char *separator, const char *text)
{
	size_t length = strlen(buffer);
	snprintf(buffer + length, size - length, "%s%s", length ? separator : "", text);
}

char *endpoint_text(const struct endpoint *endpoint, char *buffer, size_t size)
{
	buffer[0] = '\0';
	for (size_t i = 0; i < endpoint->word_count; i++)
		append(buffer, size, " ", endpoint->words[i]);
	if (!buffer[0])
		append(buffer, size, "", "nobody");
	return buffer;
}

static char *port_list(const struct port_range *ports, size_t count, char *buffer, size_t size)
{
	char text[16];

	buffer[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof(text), ports[i].first == ports[i].last ? "%u" : "%u-%u", ports[i].first,
			 ports[i].last);
		append(buffer, size, ",", text);
	}
	return buffer;
}

char *ports_text(const struct policy_flow *flow, char *buffer, size_t size)
{
	return port_list(flow->ports, flow->port_count, buffer, size);
}

char *protocols_text(unsigned protocols, char buffer[24])
{
	buffer[0] = '\0';
	for (int p = 0; p < PROTOCOLS; p++)
		if (protocols & 1u << p)
			append(buffer, 24, "/", protocol_name((enum protocol)p));
	return buffer;
}

static bool ports_equal(const struct policy_flow *a, const struct policy_flow *b)
{
	return a->port_count == b->port_count &&
	       (!a->port_count || memcmp(a->ports, b->ports, a->port_count * sizeof(*a->ports)) == 0);
}

/* Names compare by what they are called: their indices belong to their policy. */
static bool endpoint_equal(const struct policy *a_policy, const struct endpoint *a, const struct policy *b_policy,
			   const struct endpoint *b)
{
	if (a->any != b->any || a->name_count != b->name_count || !ranges_equal(&a->ranges, &b->ranges) ||
	    !ranges_equal(&a->opens, &b->opens))
		return false;
	for (size_t i = 0; i < a->name_count; i++) {
		bool found = false;
		for (size_t j = 0; j < b->name_count; j++)
			found |= strcmp(a_policy->names[a->names[i]].name, b_policy->names[b->names[j]].name) == 0;
		if (!found)
			return false;
	}
	return true;
}

static void say_flow(const struct output *out, const char *what, const struct policy_flow *flow)
{
	char from[TEXT_MAX], to[TEXT_MAX], ports[TEXT_MAX], protocols[24];

	report(out, "flow %s: %s: %s -> %s %s%s%s", flow->id, what, endpoint_text(&flow->from, from, sizeof(from)),
	       endpoint_text(&flow->to, to, sizeof(to)), ports_text(flow, ports, sizeof(ports)),
	       flow->port_count ? "/" : "", protocols_text(flow->protocols, protocols));
}

static void say_endpoint(const struct output *out, const char *kind, const char *id, const char *side,
			 const struct endpoint *old, const struct endpoint *new)
{
	char before[TEXT_MAX], after[TEXT_MAX];

	endpoint_text(old, before, sizeof(before));
	endpoint_text(new, after, sizeof(after));
	if (strcmp(before, after) != 0)
		report(out, "%s %s: %s %s, was %s", kind, id, side, after, before);
	else if (new->word_count > ENDPOINT_WORDS &&new->words[ENDPOINT_WORDS][0] ==
		 '(') /* else a role changed, which is reported of the role */
		report(out, "%s %s: %s %s, others than before", kind, id, side, after);
}

/* The keys of a section whose values are compared as they are. owner: "flow ID: ", or "". */
static void diff_values(const struct output *out, enum config_section section, const char *owner, const void *old,
			const void *new)
{
	for (const struct config_key *key = NULL; (key = config_key_next(section, key));) {
		const struct value_methods *methods = value_methods(key);
		char before[VALUE_TEXT_MAX], after[VALUE_TEXT_MAX];
		if (key->change == CHANGE_RESOLVED || methods->equal(key, old, new))
			continue;
		if (key->change == CHANGE_NOTED) {
			report(out, "%s%s: changed", owner, key->name);
			continue;
		}
		methods->text(key, old, before);
		methods->text(key, new, after);
		if (*owner)
			report(out, "%s%s %s, was %s", owner, key->name, *after ? after : key->standard,
			       *before ? before : key->standard);
		else
			report(out, "%s: %s -> %s", key->name, before, after);
	}
}

static void diff_flow(const struct output *out, const struct policy *old_policy, const struct policy_flow *old,
		      const struct policy *new_policy, const struct policy_flow *new)
{
	char before[TEXT_MAX], after[TEXT_MAX], owner[CONFIG_ID_MAX + 8];

	if (old->enabled != new->enabled)
		report(out, "flow %s: %s -> %s", new->id, old->enabled ? "on" : "off", new->enabled ? "on" : "off");
	snprintf(owner, sizeof(owner), "flow %s: ", new->id);
	diff_values(out, CONFIG_FLOW, owner, old, new);
	if (!old->enabled && !new->enabled)
		return;
	if (!ports_equal(old, new))
		report(out, "flow %s: port %s, was %s", new->id, ports_text(new, after, sizeof(after)),
		       ports_text(old, before, sizeof(before)));
	if (old->protocols != new->protocols)
		report(out, "flow %s: protocol %s, was %s", new->id, protocols_text(new->protocols, after),
		       protocols_text(old->protocols, before));
	if (!endpoint_equal(old_policy, &old->from, new_policy, &new->from))
		say_endpoint(out, "flow", new->id, "from", &old->from, &new->from);
	if (!endpoint_equal(old_policy, &old->to, new_policy, &new->to))
		say_endpoint(out, "flow", new->id, "to", &old->to, &new->to);
}

static void diff_flows(const struct output *out, const struct policy *old, const struct policy *new)
{
	for (size_t i = 0; i < old->flow_count; i++)
		if (!policy_flow(new, old->flows[i].id))
			say_flow(out, "gone", &old->flows[i]);
	for (size_t i = 0; i < new->flow_count; i++) {
		const struct policy_flow *flow = &new->flows[i], *was = policy_flow(old, flow->id);
		if (!was)
			say_flow(out, flow->enabled ? "new" : "new, off", flow);
		else
			diff_flow(out, old, was, new, flow);
	}
}

/* The networks of one list that the other lacks: counted, and the first ones named. */
static void report_missing(const struct output *out, const char *role, char sign, const struct ranges *list,
			   const struct ranges *other)
{
	struct ranges rest = { 0 };
	char text[TEXT_MAX] = "", one[RANGE_TEXT_MAX];

	if (ranges_add_all(&rest, list) < 0 || ranges_subtract(&rest, other) < 0) {
		ranges_free(&rest);
		report(out, "role %s: changed", role);
		return;
	}
	for (size_t i = 0; i < rest.count && i < LISTED_MAX; i++) {
		char signed_text[RANGE_TEXT_MAX + 1];
		snprintf(signed_text, sizeof(signed_text), "%c%s", sign, range_format(&rest.items[i], one));
		append(text, sizeof(text), " ", signed_text);
	}
	if (rest.count > LISTED_MAX)
		report(out, "role %s: %s and %zu more", role, text, rest.count - LISTED_MAX);
	else if (rest.count)
		report(out, "role %s: %s", role, text);
	ranges_free(&rest);
}

static bool ephemeral_equal(const struct policy_role *a, const struct policy_role *b)
{
	return a->ephemeral_count == b->ephemeral_count &&
	       (!a->ephemeral_count ||
		memcmp(a->ephemeral, b->ephemeral, a->ephemeral_count * sizeof(*a->ephemeral)) == 0);
}

static void diff_ephemeral(const struct output *out, const struct policy_role *was, const struct policy_role *role)
{
	char before[TEXT_MAX], after[TEXT_MAX];

	if (was->is_protected && role->is_protected && !ephemeral_equal(was, role))
		report(out, "role %s: ephemeral_ports %s, was %s", role->name,
		       port_list(role->ephemeral, role->ephemeral_count, after, sizeof(after)),
		       port_list(was->ephemeral, was->ephemeral_count, before, sizeof(before)));
}

static void diff_role(const struct output *out, const struct policy *old, const struct policy_role *was,
		      const struct policy *new, const struct policy_role *role)
{
	if (was->is_protected != role->is_protected)
		report(out, "role %s: %s", role->name, role->is_protected ? "now protected" : "no longer protected");
	if (was->members.any != role->members.any)
		report(out, "role %s: %s", role->name, role->members.any ? "now ANY" : "no longer ANY");
	for (size_t i = 0; i < role->members.name_count; i++) {
		bool found = false;
		for (size_t j = 0; j < was->members.name_count; j++)
			found |= strcmp(new->names[role->members.names[i]].name,
					old->names[was->members.names[j]].name) == 0;
		if (!found)
			report(out, "role %s: +%s", role->name, new->names[role->members.names[i]].name);
	}
	for (size_t i = 0; i < was->members.name_count; i++) {
		bool found = false;
		for (size_t j = 0; j < role->members.name_count; j++)
			found |= strcmp(old->names[was->members.names[i]].name,
					new->names[role->members.names[j]].name) == 0;
		if (!found)
			report(out, "role %s: -%s", role->name, old->names[was->members.names[i]].name);
	}
	report_missing(out, role->name, '+', &role->members.ranges, &was->members.ranges);
	report_missing(out, role->name, '-', &was->members.ranges, &role->members.ranges);
	diff_ephemeral(out, was, role);
}

static const struct policy_role *find_role(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->role_count; i++)
		if (strcmp(policy->roles[i].name, name) == 0)
			return &policy->roles[i];
	return NULL;
}

static void diff_roles(const struct output *out, const struct policy *old, const struct policy *new)
{
	char text[TEXT_MAX];

	for (size_t i = 0; i < old->role_count; i++)
		if (!find_role(new, old->roles[i].name))
			report(out, "role %s: gone", old->roles[i].name);
	for (size_t i = 0; i < new->role_count; i++) {
		const struct policy_role *role = &new->roles[i], *was = find_role(old, role->name);
		if (was)
			diff_role(out, old, was, new, role);
		else
			report(out, "role %s: new: %s", role->name, endpoint_text(&role->members, text, sizeof(text)));
	}
}

static const char *families_word(unsigned families)
{
	return families == FAMILIES_ALL ? "both" : families & 1U << FAMILY_4 ? "ipv4" : "ipv6";
}

static void diff_name(const struct output *out, const struct policy_name *old, const struct policy_name *new)
{
	if (new->allow_private != old->allow_private)
		report(out, "name %s: private addresses %s", new->name,
		       new->allow_private ? "allowed" : "no longer allowed");
	if (new->families != old->families)
		report(out, "name %s: family %s, was %s", new->name, families_word(new->families),
		       families_word(old->families));
}

static void diff_names(const struct output *out, const struct policy *old, const struct policy *new)
{
	for (size_t i = 0; i < new->name_count; i++)
		for (size_t j = 0; j < old->name_count; j++)
			if (strcmp(new->names[i].name, old->names[j].name) == 0)
				diff_name(out, &old->names[j], &new->names[i]);
}

bool policy_same_value(const struct policy *a, const struct policy *b, enum config_section section, const char *name)
{
	const struct config_key *key = config_key_find(section, name);

	return value_methods(key)->equal(key, a, b);
}

void policy_diff(const struct policy *old, const struct policy *new, void (*line)(void *userdata, const char *text),
		 void *userdata)
{
	struct output out = { line, userdata };

	for (unsigned section = 0; section < CONFIG_SECTIONS; section++)
		if (!config_section_has_name((enum config_section)section))
			diff_values(&out, (enum config_section)section, "", old, new);
	diff_roles(&out, old, new);
	diff_flows(&out, old, new);
	diff_names(&out, old, new);
}
