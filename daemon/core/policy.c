/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy_parts.h"
#include "config_types.h"
#include "flow_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The policy as a whole: made of a configuration, left without the gateway's own addresses, freed. */

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

bool policy_rejects(const struct policy *policy, const struct policy_role *role)
{
	for (size_t i = 0; i < policy->reject_count; i++)
		if (strcmp(policy->reject[i], role->name) == 0)
			return true;
	return false;
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

/* Names of roles that are answered: to know their addresses is of use, whatever flows there are. */
static void use_rejected_names(struct policy *policy)
{
	for (size_t r = 0; r < policy->role_count; r++) {
		const struct endpoint *members = &policy->roles[r].members;
		for (size_t n = 0; policy_rejects(policy, &policy->roles[r]) && n < members->name_count; n++)
			policy->names[members->names[n]].used = true;
	}
}

static void take_families(struct policy *policy, const struct config *config)
{
	static const unsigned families[] = {
		[NAME_BOTH] = FAMILIES_ALL, [NAME_IPV4] = 1U << FAMILY_4, [NAME_IPV6] = 1U << FAMILY_6
	};

	for (size_t i = 0; i < config->name_count; i++) {
		for (size_t n = 0; n < policy->name_count; n++) {
			if (strcmp(policy->names[n].name, config->names[i].name) != 0)
				continue;
			policy->names[n].families = families[config->names[i].family];
			policy->names[n].line = config->names[i].line;
		}
	}
}

static int copy_settings(struct policy *policy, const struct config *config)
{
	policy->key_lines = malloc(config_key_count * sizeof(*policy->key_lines));
	if (!policy->key_lines)
		return -ENOMEM;
	memcpy(policy->key_lines, config->key_lines, config_key_count * sizeof(*policy->key_lines));
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
		r = policy_make_roles(&b);
	if (r >= 0)
		r = collect_protected(ret, &ret->protected_all);
	if (r >= 0)
		check_rejected(diags, config, ret);
	if (r >= 0)
		r = policy_make_flows(&b);
	free(b.sources);
	if (r < 0) {
		policy_free(ret);
		return r;
	}
	mark_used_names(ret);
	use_rejected_names(ret);
	take_families(ret, config);
	ret->index = flow_index_new(ret);
	r = !ret->index ? -ENOMEM : diags_failed(diags) ? 0 : warn_unwise(diags, config, ret);
	if (r < 0)
		policy_free(ret);
	return r;
}

/* What follows from what the roles guard. On error the policy has what it had. */
static int take_guarded(struct policy *policy)
{
	struct ranges before = policy->protected_all;
	struct flow_index *index = NULL;
	int r = collect_protected(policy, &policy->protected_all);

	if (r == 0 && !(index = flow_index_new(policy))) {
		ranges_free(&policy->protected_all);
		r = -ENOMEM;
	}
	if (r < 0) {
		policy->protected_all = before;
		return r;
	}
	ranges_free(&before);
	flow_index_free(policy->index);
	policy->index = index;
	return 0;
}

int policy_leave_out(struct policy *policy, const struct ranges *gateway, bool *ret_changed)
{
	struct ranges *guarded = calloc(policy->role_count, sizeof(*guarded));
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
		r = take_guarded(policy);
		if (r < 0) { /* put back what was there */
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
	free(policy->key_lines);
	ranges_free(&policy->protected_all);
	flow_index_free(policy->index);
	release_settings(policy);
	*policy = (struct policy){ 0 };
}
