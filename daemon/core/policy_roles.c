/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy_parts.h"
#include "array.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Roles: from members as written to addresses and names. */

int policy_find_role(const struct builder *b, const char *name)
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
	grown[policy->name_count] = (struct policy_name){ .name = strdup(name), .families = FAMILIES_ALL };
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
			endpoint->more_words = members->count - i;
			return 0;
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
	int index = policy_find_role(b, member->text);
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

int endpoint_from_members(struct builder *b, struct endpoint *endpoint, const struct members *members)
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

void endpoint_allow_private(struct policy *policy, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < endpoint->name_count; i++)
		policy->names[endpoint->names[i]].allow_private = true;
}

static int port_order(const void *a, const void *b)
{
	return (int)((const struct port_range *)a)->first - (int)((const struct port_range *)b)->first;
}

int policy_make_ports(const struct port_range *ports, size_t count, struct port_range **ret, size_t *ret_count)
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
	return policy_make_ports(written->count ? written->items : &windows, written->count ? written->count : 1,
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
		endpoint_allow_private(b->policy, &role->members);
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
int policy_make_roles(struct builder *b)
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
		int index = policy_find_role(b, written->name);
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
