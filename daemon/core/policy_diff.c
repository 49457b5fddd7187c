/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy_diff.h"
#include "config_types.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 400 };

struct output {
	void (*see)(void *userdata, const struct policy_change *change);
	void *userdata;
	const struct policy *new;
};

/* The change as it is, and the same in words. */
static void report(const struct output *out, const struct policy_change *change, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void report(const struct output *out, const struct policy_change *change, const char *format, ...)
{
	struct policy_change whole = *change;
	char text[3 * TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	whole.text = text;
	out->see(out->userdata, &whole);
}

/* Where a key of a section without a name is written in the new file; 0: it is not. */
static unsigned line_of_setting(const struct output *out, enum config_section section, const char *name)
{
	return out->new->key_lines[config_key_find(section, name) - config_keys];
}

static unsigned either(unsigned line, unsigned other)
{
	return line ? line : other;
}

static void append(char *buffer, size_t size, const char *separator, const char *text)
{
	size_t length = strlen(buffer);
	snprintf(buffer + length, size - length, "%s%s", length ? separator : "", text);
}

char *endpoint_text(const struct endpoint *endpoint, char *buffer, size_t size)
{
	char more[40];

	buffer[0] = '\0';
	for (size_t i = 0; i < endpoint->word_count; i++)
		append(buffer, size, " ", endpoint->words[i]);
	if (endpoint->more_words) {
		snprintf(more, sizeof(more), "(+%zu more)", endpoint->more_words);
		append(buffer, size, " ", more);
	}
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

static void say_flow(const struct output *out, enum change_kind kind, const struct policy_flow *flow)
{
	static const char *const words[] = { [CHANGE_NEW] = "new", [CHANGE_GONE] = "gone" };
	char from[TEXT_MAX], to[TEXT_MAX], ports[TEXT_MAX], protocols[24], whole[3 * TEXT_MAX];

	snprintf(whole, sizeof(whole), "%s -> %s %s%s%s", endpoint_text(&flow->from, from, sizeof(from)),
		 endpoint_text(&flow->to, to, sizeof(to)), ports_text(flow, ports, sizeof(ports)),
		 flow->port_count ? "/" : "", protocols_text(flow->protocols, protocols));
	const struct policy_change change = { .kind = kind,
					      .of = "flow",
					      .id = flow->id,
					      .off = !flow->enabled,
					      .line = kind == CHANGE_NEW ? flow->line : 0,
					      .before = kind == CHANGE_GONE ? whole : NULL,
					      .after = kind == CHANGE_NEW ? whole : NULL };
	report(out, &change, "flow %s: %s%s: %s", flow->id, words[kind],
	       kind == CHANGE_NEW && !flow->enabled ? ", off" : "", whole);
}

static void say_endpoint(const struct output *out, const struct policy_flow *flow, const char *side,
			 const struct endpoint *old, const struct endpoint *new)
{
	char before[TEXT_MAX], after[TEXT_MAX];
	struct policy_change change = { .of = "flow", .id = flow->id, .key = side, .line = flow->line };

	if (new->set && config_key_find(CONFIG_SERVER, new->set)) /* "resolvers", "time_servers" */
		change.line = either(line_of_setting(out, CONFIG_SERVER, new->set), flow->line);
	change.before = endpoint_text(old, before, sizeof(before));
	change.after = endpoint_text(new, after, sizeof(after));
	if (strcmp(before, after) != 0)
		report(out, &change, "flow %s: %s %s, was %s", flow->id, side, after, before);
	else if (new->more_words) /* else a role changed, which is reported of the role */
		report(out, &change, "flow %s: %s %s, others than before", flow->id, side, after);
}

static void report_setting(const struct output *out, const struct policy_change *change)
{
	if (strcmp(change->before, change->after) != 0)
		report(out, change, "%s: %s -> %s", change->key, change->before, change->after);
	else /* a long list */
		report(out, change, "%s: %s, others than before", change->key, change->after);
}

/* The keys of a section whose values are compared as they are. flow: whose, or NULL. */
static void diff_values(const struct output *out, enum config_section section, const struct policy_flow *flow,
			const void *old, const void *new)
{
	for (const struct config_key *key = NULL; (key = config_key_next(section, key));) {
		const struct value_methods *methods = value_methods(key);
		char before[VALUE_TEXT_MAX], after[VALUE_TEXT_MAX];
		struct policy_change change = { .of = flow ? "flow" : "setting",
						.id = flow ? flow->id : NULL,
						.key = key->name,
						.line = flow ? flow->line : line_of_setting(out, section, key->name) };
		if (key->change == CHANGE_RESOLVED || methods->equal(key, old, new))
			continue;
		methods->text(key, old, before);
		methods->text(key, new, after);
		change.before = !*before && key->standard ? key->standard : before;
		change.after = !*after && key->standard ? key->standard : after;
		if (flow)
			report(out, &change, "flow %s: %s %s, was %s", flow->id, key->name, change.after,
			       change.before);
		else
			report_setting(out, &change);
	}
}

/* A key of a flow, as text. */
static void say_key(const struct output *out, const struct policy_flow *flow, const char *key, const char *before,
		    const char *after)
{
	const struct policy_change change = {
		.of = "flow", .id = flow->id, .key = key, .before = before, .after = after, .line = flow->line
	};
	report(out, &change, "flow %s: %s %s, was %s", flow->id, key, after, before);
}

/* Of what a built-in flow is on or off by where it has no section. */
static unsigned line_of_default(const struct output *out, const struct policy_flow *flow)
{
	if (flow->section == SECTION_OUTBOUND || flow->section == SECTION_INBOUND)
		return line_of_setting(out, CONFIG_GATEWAY, "preset");
	return flow->to.set && config_key_find(CONFIG_SERVER, flow->to.set)
		       ? line_of_setting(out, CONFIG_SERVER, flow->to.set)
		       : 0;
}

static void diff_enabled(const struct output *out, const struct policy_flow *old, const struct policy_flow *new)
{
	const struct policy_change change = { .of = "flow",
					      .id = new->id,
					      .key = "enabled",
					      .before = old->enabled ? "on" : "off",
					      .after = new->enabled ? "on" : "off",
					      .line = either(new->line, line_of_default(out, new)) };
	if (old->enabled != new->enabled)
		report(out, &change, "flow %s: %s -> %s", new->id, change.before, change.after);
}

static void diff_flow(const struct output *out, const struct policy *old_policy, const struct policy_flow *old,
		      const struct policy *new_policy, const struct policy_flow *new)
{
	char before[TEXT_MAX], after[TEXT_MAX];

	diff_enabled(out, old, new);
	diff_values(out, CONFIG_FLOW, new, old, new);
	if (!old->enabled && !new->enabled)
		return;
	if (!ports_equal(old, new))
		say_key(out, new, "port", ports_text(old, before, sizeof(before)),
			ports_text(new, after, sizeof(after)));
	if (old->protocols != new->protocols)
		say_key(out, new, "protocol", protocols_text(old->protocols, before),
			protocols_text(new->protocols, after));
	if (!endpoint_equal(old_policy, &old->from, new_policy, &new->from))
		say_endpoint(out, new, "from", &old->from, &new->from);
	if (!endpoint_equal(old_policy, &old->to, new_policy, &new->to))
		say_endpoint(out, new, "to", &old->to, &new->to);
}

static void diff_flows(const struct output *out, const struct policy *old, const struct policy *new)
{
	for (size_t i = 0; i < old->flow_count; i++)
		if (!policy_flow(new, old->flows[i].id))
			say_flow(out, CHANGE_GONE, &old->flows[i]);
	for (size_t i = 0; i < new->flow_count; i++) {
		const struct policy_flow *flow = &new->flows[i], *was = policy_flow(old, flow->id);
		if (!was)
			say_flow(out, CHANGE_NEW, flow);
		else
			diff_flow(out, old, was, new, flow);
	}
}

/* Of a role; both are NULL where there is nothing of the kind. */
static struct policy_change role_change(const struct policy_role *role, const char *key, const char *before,
					const char *after)
{
	return (struct policy_change){
		.of = "role", .id = role->name, .key = key, .before = before, .after = after, .line = role->line
	};
}

/* The networks of one list that the other lacks: counted, and the first ones named. role: of the new policy. */
static void report_missing(const struct output *out, const struct policy_role *role, char sign,
			   const struct ranges *list, const struct ranges *other)
{
	struct ranges rest = { 0 };
	char text[TEXT_MAX] = "", plain[TEXT_MAX] = "", one[RANGE_TEXT_MAX], more[40] = "";

	if (ranges_add_all(&rest, list) < 0 || ranges_subtract(&rest, other) < 0) {
		struct policy_change change = role_change(role, "members", NULL, NULL);
		ranges_free(&rest);
		report(out, &change, "role %s: changed", role->name);
		return;
	}
	for (size_t i = 0; i < rest.count && i < LISTED_MAX; i++) {
		char signed_text[RANGE_TEXT_MAX + 1];
		snprintf(signed_text, sizeof(signed_text), "%c%s", sign, range_format(&rest.items[i], one));
		append(text, sizeof(text), " ", signed_text);
		append(plain, sizeof(plain), " ", one);
	}
	if (rest.count > LISTED_MAX)
		snprintf(more, sizeof(more), "and %zu more", rest.count - LISTED_MAX);
	if (*more) {
		append(text, sizeof(text), " ", more);
		append(plain, sizeof(plain), " ", more);
	}
	struct policy_change change =
		role_change(role, "members", sign == '-' ? plain : NULL, sign == '+' ? plain : NULL);
	if (rest.count)
		report(out, &change, "role %s: %s", role->name, text);
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

	if (!was->is_protected || !role->is_protected || ephemeral_equal(was, role))
		return;
	struct policy_change change =
		role_change(role, "ephemeral_ports",
			    port_list(was->ephemeral, was->ephemeral_count, before, sizeof(before)),
			    port_list(role->ephemeral, role->ephemeral_count, after, sizeof(after)));
	if (strcmp(role->name, "SERVER") == 0)
		change.line = line_of_setting(out, CONFIG_SERVER, "ephemeral_ports");
	report(out, &change, "role %s: ephemeral_ports %s, was %s", role->name, after, before);
}

/* Names that one side has and the other lacks. role: of the new policy. */
static void diff_role_names(const struct output *out, const struct policy_role *role, char sign,
			    const struct policy *policy, const struct endpoint *list, const struct policy *other_policy,
			    const struct endpoint *other)
{
	for (size_t i = 0; i < list->name_count; i++) {
		const char *name = policy->names[list->names[i]].name;
		bool found = false;
		for (size_t j = 0; j < other->name_count; j++)
			found |= strcmp(name, other_policy->names[other->names[j]].name) == 0;
		struct policy_change change =
			role_change(role, "members", sign == '-' ? name : NULL, sign == '+' ? name : NULL);
		if (!found)
			report(out, &change, "role %s: %c%s", role->name, sign, name);
	}
}

static void diff_role(const struct output *out, const struct policy *old, const struct policy_role *was,
		      const struct policy *new, const struct policy_role *role)
{
	struct policy_change guard =
		role_change(role, "protected", was->is_protected ? "yes" : "no", role->is_protected ? "yes" : "no");
	struct policy_change any =
		role_change(role, "members", was->members.any ? "ANY" : NULL, role->members.any ? "ANY" : NULL);

	if (was->is_protected != role->is_protected)
		report(out, &guard, "role %s: %s", role->name,
		       role->is_protected ? "now protected" : "no longer protected");
	if (was->members.any != role->members.any)
		report(out, &any, "role %s: %s", role->name, role->members.any ? "now ANY" : "no longer ANY");
	diff_role_names(out, role, '+', new, &role->members, old, &was->members);
	diff_role_names(out, role, '-', old, &was->members, new, &role->members);
	report_missing(out, role, '+', &role->members.ranges, &was->members.ranges);
	report_missing(out, role, '-', &was->members.ranges, &role->members.ranges);
	diff_ephemeral(out, was, role);
}

static const struct policy_role *find_role(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->role_count; i++)
		if (strcmp(policy->roles[i].name, name) == 0)
			return &policy->roles[i];
	return NULL;
}

static void say_role(const struct output *out, enum change_kind kind, const struct policy_role *role)
{
	char text[TEXT_MAX];
	struct policy_change change = role_change(role, NULL, NULL, NULL);

	change.kind = kind;
	endpoint_text(&role->members, text, sizeof(text));
	if (kind == CHANGE_GONE) {
		change.line = 0;
		change.before = text;
		report(out, &change, "role %s: gone", role->name);
	} else {
		change.after = text;
		report(out, &change, "role %s: new: %s", role->name, text);
	}
}

static void diff_roles(const struct output *out, const struct policy *old, const struct policy *new)
{
	for (size_t i = 0; i < old->role_count; i++)
		if (!find_role(new, old->roles[i].name))
			say_role(out, CHANGE_GONE, &old->roles[i]);
	for (size_t i = 0; i < new->role_count; i++) {
		const struct policy_role *role = &new->roles[i], *was = find_role(old, role->name);
		if (was)
			diff_role(out, old, was, new, role);
		else
			say_role(out, CHANGE_NEW, role);
	}
}

static const char *families_word(unsigned families)
{
	return families == FAMILIES_ALL ? "both" : families & 1U << FAMILY_4 ? "ipv4" : "ipv6";
}

static void diff_name(const struct output *out, const struct policy_name *old, const struct policy_name *new)
{
	const struct policy_change private = { .of = "name",
					       .id = new->name,
					       .key = "allow_private",
					       .before = old->allow_private ? "yes" : "no",
					       .after = new->allow_private ? "yes" : "no" };
	const struct policy_change family = { .of = "name",
					      .id = new->name,
					      .key = "family",
					      .before = families_word(old->families),
					      .after = families_word(new->families),
					      .line = new->line };

	if (new->allow_private != old->allow_private)
		report(out, &private, "name %s: private addresses %s", new->name,
		       new->allow_private ? "allowed" : "no longer allowed");
	if (new->families != old->families)
		report(out, &family, "name %s: family %s, was %s", new->name, family.after, family.before);
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

void policy_diff(const struct policy *old, const struct policy *new,
		 void (*see)(void *userdata, const struct policy_change *change), void *userdata)
{
	struct output out = { see, userdata, new };

	for (unsigned section = 0; section < CONFIG_SECTIONS; section++)
		if (!config_section_has_name((enum config_section)section))
			diff_values(&out, (enum config_section)section, NULL, old, new);
	diff_roles(&out, old, new);
	diff_flows(&out, old, new);
	diff_names(&out, old, new);
}
