/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy.h"
#include "array.h"
#include "config_types.h"
#include "policy_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One role on its way from what was written to a set of addresses. */
struct role_source {
	const char *name;
	const struct members *members; /* NULL: none written */
	const struct ports *ephemeral; /* NULL: likewise */
	bool is_protected, allow_private;
	unsigned line;
	enum { ROLE_UNSEEN, ROLE_OPEN, ROLE_DONE } progress;
	bool opening; /* add_opened() is inside it: a role that is a member of itself has been complained about, and
			 must end */
};

struct builder {
	struct policy *policy;
	const struct config *config;
	struct diags *diags;
	struct role_source *sources; /* one a policy role, same index */
};

static int find_role(const struct builder *b, const char *name)
{
	for (size_t i = 0; i < b->policy->role_count; i++)
		if (strcmp(b->sources[i].name, name) == 0)
			return (int)i;
	return -1;
}

/* The index of a name, entered where it is new; negative errno. */
static int name_index(struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->name_count; i++)
		if (strcmp(policy->names[i].name, name) == 0)
			return (int)i;
	struct policy_name *grown = realloc(policy->names, (policy->name_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	policy->names = grown;
	grown[policy->name_count] = (struct policy_name){ .name = strdup(name) };
	if (!grown[policy->name_count].name)
		return -ENOMEM;
	return (int)policy->name_count++;
}

static int endpoint_add_name(struct endpoint *endpoint, size_t index)
{
	size_t at = 0;
	while (at < endpoint->name_count && endpoint->names[at] < index)
		at++;
	if (at < endpoint->name_count && endpoint->names[at] == index)
		return 0;
	size_t *grown = realloc(endpoint->names, (endpoint->name_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	endpoint->names = grown;
	memmove(grown + at + 1, grown + at, (endpoint->name_count - at) * sizeof(*grown));
	grown[at] = index;
	endpoint->name_count++;
	return 0;
}

static int endpoint_add_word(struct endpoint *endpoint, const char *word)
{
	char **grown = realloc(endpoint->words, (endpoint->word_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	endpoint->words = grown;
	grown[endpoint->word_count] = strdup(word);
	if (!grown[endpoint->word_count])
		return -ENOMEM;
	endpoint->word_count++;
	return 0;
}

static int endpoint_describe(struct endpoint *endpoint, const struct members *members)
{
	char text[RANGE_TEXT_MAX];

	for (size_t i = 0; i < members->count; i++) {
		const struct member *member = &members->items[i];
		if (i == ENDPOINT_WORDS && members->count > ENDPOINT_WORDS + 1) {
			snprintf(text, sizeof(text), "(+%zu more)", members->count - i);
			return endpoint_add_word(endpoint, text);
		}
		const char *word = member->kind == MEMBER_ANY     ? "ANY"
				   : member->kind == MEMBER_RANGE ? range_format(&member->range, text)
								  : member->text;
		if (endpoint_add_word(endpoint, word) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int flatten_role(struct builder *b, size_t index);

/* alone: the role is all that the endpoint has. */
static int endpoint_add_role(struct builder *b, struct endpoint *endpoint, const struct member *member, bool alone)
{
	int index = find_role(b, member->text);
	if (index < 0) {
		complain_unknown_role(b->diags, b->config, member);
		return 0;
	}
	if (b->sources[index].progress == ROLE_OPEN) {
		diag_error(b->diags, member->file, member->line, "role %s is a member of itself: take it out here",
			   member->text);
		return 0;
	}
	int r = flatten_role(b, (size_t)index);
	if (r < 0)
		return r;

	const struct endpoint *role = &b->policy->roles[index].members;
	endpoint->any |= role->any;
	if (role->rank > endpoint->rank)
		endpoint->rank = role->rank;
	for (size_t i = 0; i < role->name_count; i++)
		if (endpoint_add_name(endpoint, role->names[i]) < 0)
			return -ENOMEM;
	if (!alone)
		return ranges_add_all(&endpoint->ranges, &role->ranges);
	endpoint->ranges = role->ranges;
	endpoint->ranges_borrowed = true;
	return 0;
}

static int endpoint_add_member(struct builder *b, struct endpoint *endpoint, const struct member *member, bool alone)
{
	unsigned rank = 0;
	int r = 0;

	switch (member->kind) {
	case MEMBER_ANY:
		endpoint->any = true;
		rank = 2;
		break;
	case MEMBER_RANGE:
		rank = range_is_host(&member->range) ? 0 : 1;
		r = ranges_add(&endpoint->ranges, &member->range);
		break;
	case MEMBER_NAME:
		r = name_index(b->policy, member->text);
		if (r >= 0)
			r = endpoint_add_name(endpoint, (size_t)r);
		break;
	case MEMBER_ROLE: return endpoint_add_role(b, endpoint, member, alone);
	}
	if (rank > endpoint->rank)
		endpoint->rank = rank;
	return r;
}

static int endpoint_from_members(struct builder *b, struct endpoint *endpoint, const struct members *members)
{
	for (size_t i = 0; i < members->count; i++) {
		int r = endpoint_add_member(b, endpoint, &members->items[i], members->count == 1);
		if (r < 0)
			return r;
	}
	if (!endpoint->ranges_borrowed)
		ranges_normalise(&endpoint->ranges);
	return endpoint_describe(endpoint, members);
}

static void allow_private(struct policy *policy, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < endpoint->name_count; i++)
		policy->names[endpoint->names[i]].allow_private = true;
}

static int port_order(const void *a, const void *b)
{
	return (int)((const struct port_range *)a)->first - (int)((const struct port_range *)b)->first;
}

static int make_ports(const struct port_range *ports, size_t count, struct port_range **ret, size_t *ret_count)
{
	if (!count)
		return 0;
	struct port_range *made = malloc(count * sizeof(*ports));
	if (!made)
		return -ENOMEM;
	memcpy(made, ports, count * sizeof(*ports));
	qsort(made, count, sizeof(*ports), port_order);
	*ret = made;
	*ret_count = 1;
	for (size_t i = 1; i < count; i++) {
		struct port_range *last = &made[*ret_count - 1];
		if (made[i].first > last->last + 1)
			made[(*ret_count)++] = made[i];
		else if (made[i].last > last->last)
			last->last = made[i].last;
	}
	return 0;
}

static int make_ephemeral(struct builder *b, struct policy_role *role, const struct role_source *source)
{
	static const struct port_range windows = { EPHEMERAL_FIRST, EPHEMERAL_LAST };
	const struct ports *written =
		source->ephemeral && source->ephemeral->line ? source->ephemeral : &b->config->ephemeral;

	if (!role->is_protected)
		return 0;
	return make_ports(written->count ? written->items : &windows, written->count ? written->count : 1,
			  &role->ephemeral, &role->ephemeral_count);
}

static int flatten_role(struct builder *b, size_t index)
{
	struct role_source *source = &b->sources[index];
	struct policy_role *role = &b->policy->roles[index];

	if (source->progress != ROLE_UNSEEN)
		return 0;
	source->progress = ROLE_OPEN;
	if (source->members) {
		int r = endpoint_from_members(b, &role->members, source->members);
		if (r < 0)
			return r;
	}
	if (source->allow_private)
		allow_private(b->policy, &role->members);
	source->progress = ROLE_DONE;
	if (strcmp(role->name, "CA") == 0 && !source->line) {
		role->members.any = true;
		role->members.rank = 2;
	}
	if (!role->is_protected)
		return 0;
	check_protected_role(b->diags, b->config, role, source->members);
	return ranges_add_all(&role->guarded, &role->members.ranges);
}

static void list_role(struct builder *b, const struct role_source *source)
{
	struct policy_role *role = &b->policy->roles[b->policy->role_count];

	snprintf(role->name, sizeof(role->name), "%s", source->name);
	role->is_protected = source->is_protected;
	role->line = source->line;
	b->sources[b->policy->role_count++] = *source;
}

/* SERVER, ADM and CA, whether written or not, and then the others as written. */
static int make_roles(struct builder *b)
{
	const struct config *config = b->config;

	b->policy->roles = calloc(config->role_count + BUILTIN_ROLES, sizeof(*b->policy->roles));
	b->sources = calloc(config->role_count + BUILTIN_ROLES, sizeof(*b->sources));
	if (!b->policy->roles || !b->sources)
		return -ENOMEM;

	list_role(b, &(struct role_source){ .name = builtin_roles[0],
					    .members = &config->server,
					    .is_protected = true,
					    .line = config->server.line });
	for (size_t i = 1; i < BUILTIN_ROLES; i++)
		list_role(b, &(struct role_source){ .name = builtin_roles[i] });
	for (size_t i = 0; i < config->role_count; i++) {
		const struct config_role *written = &config->roles[i];
		struct role_source source = { .name = written->name,
					      .members = &written->members,
					      .line = written->line,
					      .ephemeral = &written->ephemeral,
					      .is_protected = written->is_protected,
					      .allow_private = written->allow_private };
		int index = find_role(b, written->name);
		if (index < 0) {
			list_role(b, &source);
		} else {
			b->sources[index] = source;
			b->policy->roles[index].is_protected = source.is_protected;
			b->policy->roles[index].line = source.line;
		}
	}
	for (size_t i = 0; i < b->policy->role_count; i++) {
		int r = flatten_role(b, i);
		if (r >= 0)
			r = make_ephemeral(b, &b->policy->roles[i], &b->sources[i]);
		if (r < 0)
			return r;
	}
	return check_protected_overlap(b->diags, config, b->policy);
}

static int collect_protected(struct policy *policy, struct ranges *ret)
{
	*ret = (struct ranges){ 0 };
	for (size_t i = 0; i < policy->role_count; i++) {
		if (policy->roles[i].is_protected && ranges_add_all(ret, &policy->roles[i].guarded) < 0) {
			ranges_free(ret);
			return -ENOMEM;
		}
	}
	ranges_normalise(ret);
	return 0;
}

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
			int index = find_role(b, member->text);
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
	int index = find_role(b, members->items[0].text);
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
		r = written->ports.line
			    ? make_ports(written->ports.items, written->ports.count, &flow->ports, &flow->port_count)
		    : own.first ? make_ports(&own, 1, &flow->ports, &flow->port_count)
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
		allow_private(b->policy, &flow->from);
		allow_private(b->policy, &flow->to);
	}
	return r;
}

static const struct config_flow *written_flow(const struct config *config, const char *id)
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

static unsigned flow_rank(const struct policy_flow *flow)
{
	return flow->from.rank + flow->to.rank;
}

static int make_flows(struct builder *b)
{
	const struct config *config = b->config;
	struct policy *policy = b->policy;

	policy->flows = calloc(builtin_flow_count + config->flow_count, sizeof(*policy->flows));
	if (!policy->flows)
		return -ENOMEM;
	for (size_t i = 0; i < builtin_flow_count; i++) {
		const struct config_flow *written = written_flow(config, builtin_flows[i].id);
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

	/* Most specific first; insertion keeps the order of the table among equals. */
	for (size_t i = 1; i < policy->flow_count; i++) {
		struct policy_flow flow = policy->flows[i];
		size_t at = i;
		for (; at > 0 && flow_rank(&policy->flows[at - 1]) > flow_rank(&flow); at--)
			policy->flows[at] = policy->flows[at - 1];
		policy->flows[at] = flow;
	}
	return 0;
}

static void mark_used_names(struct policy *policy)
{
	for (size_t i = 0; i < policy->flow_count; i++) {
		const struct policy_flow *flow = &policy->flows[i];
		for (size_t n = 0; flow->enabled && n < flow->to.name_count; n++)
			policy->names[flow->to.names[n]].used = policy->names[flow->to.names[n]].observed = true;
	}
	for (size_t i = 0; i < policy->flow_count; i++) {
		const struct policy_flow *flow = &policy->flows[i];
		for (size_t n = 0; flow->enabled && n < flow->from.name_count; n++) {
			policy->names[flow->from.names[n]].used = true;
			policy->names[flow->from.names[n]].observed = false;
		}
	}
}

static int copy_settings(struct policy *policy, const struct config *config)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		if (config_section_has_name(key->section) || !key->in_policy)
			continue;
		int r = value_methods(key)->copy(key, policy, (const char *)config + key->offset);
		if (r < 0)
			return r;
	}
	return 0;
}

static void release_settings(struct policy *policy)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		if (!config_section_has_name(key->section) && key->in_policy && value_methods(key)->release_copy)
			value_methods(key)->release_copy(key, policy);
	}
}

int policy_from_config(struct policy *ret, const struct config *config, struct diags *diags)
{
	struct builder b = { .policy = ret, .config = config, .diags = diags };

	*ret = (struct policy){ 0 };
	int r = copy_settings(ret, config);
	if (r >= 0)
		r = make_roles(&b);
	if (r >= 0)
		r = collect_protected(ret, &ret->protected_all);
	if (r >= 0)
		r = make_flows(&b);
	free(b.sources);
	if (r < 0) {
		policy_free(ret);
		return r;
	}
	mark_used_names(ret);
	if (!diags_failed(diags))
		warn_unwise(diags, config, ret);
	return 0;
}

int policy_leave_out(struct policy *policy, const struct ranges *gateway, bool *ret_changed)
{
	struct ranges *guarded = calloc(policy->role_count, sizeof(*guarded)), all;
	bool changed = false;
	int r = guarded ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < policy->role_count; i++) {
		if (!policy->roles[i].is_protected)
			continue;
		r = ranges_add_all(&guarded[i], &policy->roles[i].members.ranges);
		if (r == 0)
			r = ranges_subtract(&guarded[i], gateway);
	}
	for (size_t i = 0; r == 0 && i < policy->role_count; i++)
		changed |= !ranges_equal(&policy->roles[i].guarded, &guarded[i]);
	if (r == 0 && changed) { /* else nothing moves: others may be looking at it */
		for (size_t i = 0; i < policy->role_count; i++) {
			struct ranges before = policy->roles[i].guarded;
			policy->roles[i].guarded = guarded[i];
			guarded[i] = before;
		}
		r = collect_protected(policy, &all);
		if (r == 0) {
			ranges_free(&policy->protected_all);
			policy->protected_all = all;
		} else { /* put back what was there */
			for (size_t i = 0; i < policy->role_count; i++) {
				struct ranges before = guarded[i];
				guarded[i] = policy->roles[i].guarded;
				policy->roles[i].guarded = before;
			}
		}
	}
	for (size_t i = 0; guarded && i < policy->role_count; i++)
		ranges_free(&guarded[i]);
	free(guarded);
	*ret_changed = r == 0 && changed;
	return r;
}

/* The first address that both have; either may be several neighbours. */
static const struct addr *first_common(const struct ranges *members, const struct range *range)
{
	for (size_t i = 0; i < members->count; i++) {
		const struct range *member = &members->items[i];
		if (range_contains(member, &range->first))
			return &range->first;
		if (range_contains(range, &member->first))
			return &member->first;
	}
	return NULL;
}

const struct addr *policy_own_address(const struct policy *policy, const struct ranges *gateway)
{
	for (size_t i = 0; i < policy->role_count; i++) {
		for (size_t g = 0; policy->roles[i].is_protected && g < gateway->count; g++) {
			const struct addr *own = first_common(&policy->roles[i].members.ranges, &gateway->items[g]);
			if (own)
				return own;
		}
	}
	return NULL;
}

static void endpoint_free(struct endpoint *endpoint)
{
	if (!endpoint->ranges_borrowed)
		ranges_free(&endpoint->ranges);
	ranges_free(&endpoint->opens);
	free(endpoint->names);
	for (size_t i = 0; i < endpoint->word_count; i++)
		free(endpoint->words[i]);
	free(endpoint->words);
}

void policy_free(struct policy *policy)
{
	for (size_t i = 0; i < policy->name_count; i++)
		free(policy->names[i].name);
	for (size_t i = 0; i < policy->role_count; i++) {
		endpoint_free(&policy->roles[i].members);
		ranges_free(&policy->roles[i].guarded);
		free(policy->roles[i].ephemeral);
	}
	for (size_t i = 0; i < policy->flow_count; i++) {
		endpoint_free(&policy->flows[i].from);
		endpoint_free(&policy->flows[i].to);
		free(policy->flows[i].ports);
	}
	free(policy->names);
	free(policy->roles);
	free(policy->flows);
	ranges_free(&policy->protected_all);
	release_settings(policy);
	*policy = (struct policy){ 0 };
}
