/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cures.h"
#include "array.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_WIDTH = 78, KEY_WIDTH = 8 };

/* Flows of their own, for what no flow comes near to: first one for each port, then those of the same sides are one. */
struct group {
	bool inbound;
	const struct policy_role *role;
	enum protocol protocol;
	struct port_range ports[CURE_VALUES_MAX];
	size_t port_count;
	struct ranges peers; /* hosts; normalised at last */
	bool any;
	size_t merged; /* into that one of the list; SIZE_MAX: into none */
	size_t cure;
};

struct maker {
	struct cures *cures;
	const struct policy *policy;
	struct {
		struct group *items;
		size_t count, capacity;
	} groups;
	size_t *group_of; /* by case; SIZE_MAX: none */
};

/* Cures. */

static struct cure *find_cure(struct cures *cures, enum cure_kind kind, const char *section, const char *key,
			      unsigned line)
{
	for (size_t i = 0; i < cures->list.count; i++) {
		struct cure *cure = &cures->list.items[i];
		if (cure->kind == kind && strcmp(cure->section, section) == 0 &&
		    (!key || (cure->key && strcmp(cure->key, key) == 0)))
			return cure;
	}
	if (cures->list.count == CURES_MAX)
		return NULL;
	struct cure made = { .kind = kind, .key = key, .line = line };
	snprintf(made.section, sizeof(made.section), "%s", section);
	return ARRAY_PUSH(&cures->list, made) < 0 ? NULL : &cures->list.items[cures->list.count - 1];
}

/* 1: it is one of the values now; 0: it found no room; or -ENOMEM. */
static int add_value(struct cure *cure, const char *value)
{
	for (size_t i = 0; i < cure->values.count; i++)
		if (strcmp(cure->values.items[i], value) == 0)
			return 1;
	if (cure->values.count == CURE_VALUES_MAX)
		return 0;
	char *copy = strdup(value);
	if (!copy || ARRAY_PUSH(&cure->values, copy) < 0) {
		free(copy);
		return -ENOMEM;
	}
	return 1;
}

void cures_free(struct cures *cures)
{
	for (size_t i = 0; i < cures->list.count; i++) {
		struct cure *cure = &cures->list.items[i];
		for (size_t v = 0; v < cure->values.count; v++)
			free(cure->values.items[v]);
		free(cure->values.items);
		free(cure->text);
	}
	free(cures->list.items);
	*cures = (struct cures){ 0 };
}

const char *cure_kind_name(enum cure_kind kind)
{
	static const char *const names[] = { "add", "set", "section" };
	return names[kind];
}

/* Text. */

struct page {
	char *bytes;
	size_t length, capacity;
	size_t column;
	bool failed;
};

static void put(struct page *page, const char *text)
{
	size_t length = strlen(text);

	if (page->length + length + 1 > page->capacity) {
		size_t wanted = 2 * (page->capacity + length + 64);
		char *grown = page->failed ? NULL : realloc(page->bytes, wanted);
		if (!grown) {
			page->failed = true;
			return;
		}
		page->bytes = grown;
		page->capacity = wanted;
	}
	memcpy(page->bytes + page->length, text, length + 1);
	page->length += length;
	page->column = length && text[length - 1] == '\n' ? 0 : page->column + length;
}

static void put_key(struct page *page, const char *key)
{
	char text[32];

	snprintf(text, sizeof(text), "%-*s =", KEY_WIDTH, key);
	put(page, text);
}

/* Lists go on in indented lines. */
static void put_value(struct page *page, const char *value)
{
	if (page->column + 1 + strlen(value) > LINE_WIDTH) {
		char indent[KEY_WIDTH + 3];
		snprintf(indent, sizeof(indent), "%*s", KEY_WIDTH + 2, "");
		put(page, "\n");
		put(page, indent);
	}
	put(page, " ");
	put(page, value);
}

static char *page_end(struct page *page)
{
	if (!page->failed)
		return page->bytes;
	free(page->bytes);
	return NULL;
}

/* A flow, or a list, that is near. */

/* The side of a connection that a protected role does not have: what may be widened. */
static const struct endpoint *free_side(const struct denial_cause *cause)
{
	if (cause->inbound)
		return cause->why == CAUSE_SOURCE ? &cause->flow->from : NULL;
	return cause->why == CAUSE_TARGET ? &cause->flow->to : NULL;
}

static const struct policy_role *only_role(const struct policy *policy, const struct endpoint *side)
{
	for (size_t i = 0; side->word_count == 1 && i < policy->role_count; i++)
		if (strcmp(policy->roles[i].name, side->words[0]) == 0)
			return &policy->roles[i];
	return NULL;
}

static const struct builtin_flow *builtin_of(const struct policy_flow *flow)
{
	for (size_t i = 0; i < builtin_flow_count; i++)
		if (strcmp(builtin_flows[i].id, flow->id) == 0)
			return &builtin_flows[i];
	return NULL;
}

static bool is_shared(const struct endpoint *side, const char *set)
{
	return side->set && strcmp(side->set, set) == 0;
}

/* Whether the side of a built-in flow is as it comes: then its key may not be in the file. */
static bool is_as_built_in(const struct policy_flow *flow, const struct endpoint *side)
{
	const struct builtin_flow *builtin = builtin_of(flow);
	const char *word = !builtin ? NULL : side == &flow->from ? builtin->from : builtin->to;

	return word && side->word_count == 1 && strcmp(side->words[0], word) == 0;
}

static struct cure *cure_of_flow(struct maker *maker, const struct policy_flow *flow, const struct endpoint *side)
{
	const char *key = side == &flow->from ? "from" : "to";
	char section[CONFIG_ID_MAX + 8];
	bool whole = is_as_built_in(flow, side);

	if (side->more_words && whole) /* it can be added to, and not be written anew */
		return NULL;
	snprintf(section, sizeof(section), "flow %s", flow->id);
	enum cure_kind kind = !flow->line ? CURE_SECTION : whole ? CURE_SET : CURE_ADD;
	struct cure *cure = find_cure(maker->cures, kind, section, key, flow->line);
	for (size_t i = 0; cure && whole && i < side->word_count; i++)
		if (add_value(cure, side->words[i]) < 0)
			return NULL;
	return cure;
}

/* The list that the missing address is to be added to; NULL: there is none. */
static struct cure *cure_of_list(struct maker *maker, const struct denial_cause *cause)
{
	const struct policy *policy = maker->policy;
	const struct endpoint *side = free_side(cause);
	char section[CONFIG_ID_MAX + 8];

	if (!side)
		return NULL;
	if (is_shared(side, "resolvers") || is_shared(side, "time_servers"))
		return find_cure(maker->cures, CURE_ADD, "server",
				 is_shared(side, "resolvers") ? "resolvers" : "time_servers", policy->roles[0].line);
	const struct policy_role *role = only_role(policy, side);
	if (role && role->is_protected)
		return NULL;
	if (!role)
		return cure_of_flow(maker, cause->flow, side);
	snprintf(section, sizeof(section), "role %s", role->name);
	return find_cure(maker->cures, role->line ? CURE_ADD : CURE_SECTION, section, "members", role->line);
}

/* It has to be switched on. A section alone does that for one of the vendor's. */
static struct cure *cure_of_off(struct maker *maker, const struct policy_flow *flow)
{
	char section[CONFIG_ID_MAX + 8];

	snprintf(section, sizeof(section), "flow %s", flow->id);
	struct cure *cure =
		find_cure(maker->cures, flow->line ? CURE_SET : CURE_SECTION, section, "enabled", flow->line);
	return cure && add_value(cure, "yes") > 0 ? cure : NULL;
}

/* Flows of their own. */

static bool same_group(const struct group *group, const struct denial_cause *cause)
{
	const struct packet *opened = &cause->opened;

	return group->inbound == cause->inbound && group->role == cause->role && group->protocol == opened->protocol &&
	       group->ports[0].first == opened->target_port;
}

static int add_to_group(struct group *group, const struct cure_case *one)
{
	const struct packet *opened = &one->cause.opened;
	const struct addr *peers = group->inbound ? &opened->source : one->targets ? one->targets : &opened->target;
	size_t count = !group->inbound && one->targets ? one->target_count : 1;

	if (!group->inbound && count >= CURE_ANY)
		group->any = true;
	for (size_t i = 0; i < count; i++) {
		struct range range = range_of(&peers[i]);
		if (ranges_add(&group->peers, &range) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* 0, -ENOMEM, or -ENOSPC. */
static int group_case(struct maker *maker, const struct cure_case *one, size_t *ret)
{
	size_t at = 0;

	while (at < maker->groups.count && !same_group(&maker->groups.items[at], &one->cause))
		at++;
	if (at == CURE_VALUES_MAX)
		return -ENOSPC;
	if (at == maker->groups.count) {
		uint16_t port = one->cause.opened.target_port;
		struct group made = { .inbound = one->cause.inbound,
				      .role = one->cause.role,
				      .protocol = one->cause.opened.protocol,
				      .ports = { { port, port } },
				      .port_count = 1,
				      .merged = SIZE_MAX };
		if (ARRAY_PUSH(&maker->groups, made) < 0)
			return -ENOMEM;
	}
	*ret = at;
	return add_to_group(&maker->groups.items[at], one);
}

static bool same_sides(const struct group *a, const struct group *b)
{
	return a->inbound == b->inbound && a->role == b->role && a->protocol == b->protocol && a->any == b->any &&
	       (a->any || ranges_equal(&a->peers, &b->peers));
}

static void merge_groups(struct maker *maker)
{
	for (size_t i = 0; i < maker->groups.count; i++)
		ranges_normalise(&maker->groups.items[i].peers);
	for (size_t i = 1; i < maker->groups.count; i++) {
		struct group *group = &maker->groups.items[i];
		for (size_t into = 0; into < i && group->merged == SIZE_MAX; into++) {
			struct group *first = &maker->groups.items[into];
			if (first->merged != SIZE_MAX || !same_sides(first, group) ||
			    first->port_count == CURE_VALUES_MAX)
				continue;
			first->ports[first->port_count++] = group->ports[0];
			group->merged = into;
		}
	}
}

static bool is_taken(const struct maker *maker, const char *id)
{
	for (size_t i = 0; i < maker->cures->list.count; i++)
		if (strncmp(maker->cures->list.items[i].section, "flow ", 5) == 0 &&
		    strcmp(maker->cures->list.items[i].section + 5, id) == 0)
			return true;
	return policy_flow(maker->policy, id);
}

static void name_flow(const struct maker *maker, const struct group *group, char id[CONFIG_ID_MAX + 1])
{
	const char *way = group->inbound ? "in" : "out";
	char base[24];

	if (group->protocol == PROTOCOL_ICMP_ECHO)
		snprintf(base, sizeof(base), "ping-%s", way);
	else
		snprintf(base, sizeof(base), "%s-%u-%s", protocol_name(group->protocol), group->ports[0].first, way);
	snprintf(id, CONFIG_ID_MAX + 1, "%s", base);
	for (unsigned number = 2; is_taken(maker, id); number++)
		snprintf(id, CONFIG_ID_MAX + 1, "%s-%u", base, number);
}

static int port_order(const void *a, const void *b)
{
	return (int)((const struct port_range *)a)->first - (int)((const struct port_range *)b)->first;
}

static void put_peers(struct page *page, const struct group *group)
{
	char text[RANGE_TEXT_MAX];

	if (group->any)
		put_value(page, "any");
	for (size_t i = 0; !group->any && i < group->peers.count; i++)
		put_value(page, range_format(&group->peers.items[i], text));
}

static void put_ports(struct page *page, const struct group *group)
{
	char text[16];

	for (size_t i = 0; i < group->port_count; i++) {
		size_t last = i;
		while (last + 1 < group->port_count && group->ports[last + 1].first == group->ports[last].first + 1)
			last++;
		if (last == i)
			snprintf(text, sizeof(text), "%u", group->ports[i].first);
		else
			snprintf(text, sizeof(text), "%u-%u", group->ports[i].first, group->ports[last].first);
		put_value(page, text);
		i = last;
	}
}

static char *flow_section(const struct group *group, const char *id)
{
	struct page page = { 0 };

	put(&page, "[flow ");
	put(&page, id);
	put(&page, "]\n");
	put_key(&page, "from");
	if (group->inbound)
		put_peers(&page, group);
	else
		put_value(&page, group->role->name);
	put(&page, "\n");
	put_key(&page, "to");
	if (group->inbound)
		put_value(&page, group->role->name);
	else
		put_peers(&page, group);
	put(&page, "\n");
	put_key(&page, "protocol");
	put_value(&page, protocol_name(group->protocol));
	if (group->protocol != PROTOCOL_ICMP_ECHO) {
		put(&page, "\n");
		put_key(&page, "port");
		put_ports(&page, group);
	}
	put(&page, "\n");
	return page_end(&page);
}

static int cure_group(struct maker *maker, struct group *group)
{
	char id[CONFIG_ID_MAX + 1], section[CONFIG_ID_MAX + 8];

	group->cure = SIZE_MAX;
	if (maker->cures->list.count == CURES_MAX)
		return 0;
	qsort(group->ports, group->port_count, sizeof(group->ports[0]), port_order);
	name_flow(maker, group, id);
	snprintf(section, sizeof(section), "flow %s", id);
	struct cure *cure = find_cure(maker->cures, CURE_SECTION, section, NULL, 0);
	if (!cure)
		return -ENOMEM;
	cure->text = flow_section(group, id);
	group->cure = (size_t)(cure - maker->cures->list.items);
	return cure->text ? 0 : -ENOMEM;
}

/* Of one that adds values to what is built in, and has no section in the file yet. */
static int write_section(struct cure *cure)
{
	struct page page = { 0 };

	if (cure->kind != CURE_SECTION || cure->text)
		return 0;
	put(&page, "[");
	put(&page, cure->section);
	put(&page, "]\n");
	put_key(&page, cure->key);
	for (size_t i = 0; i < cure->values.count; i++)
		put_value(&page, cure->values.items[i]);
	put(&page, "\n");
	cure->text = page_end(&page);
	return cure->text ? 0 : -ENOMEM;
}

/* The whole. */

/* 1: a list cures it; 0: none does; -ENOMEM. */
static int cure_by_list(struct maker *maker, const struct cure_case *one, size_t *ret)
{
	const struct denial_cause *cause = &one->cause;
	const struct packet *opened = &cause->opened;
	char text[ADDR_TEXT_MAX];

	if (cause->why == CAUSE_OFF) {
		struct cure *cure = cure_of_off(maker, cause->flow);
		*ret = cure ? (size_t)(cure - maker->cures->list.items) : SIZE_MAX;
		return cure != NULL;
	}
	bool out = !cause->inbound && one->targets;
	size_t count = out ? one->target_count : 1;
	struct cure *cure = count < CURE_ANY ? cure_of_list(maker, cause) : NULL;
	if (!cure)
		return 0;
	*ret = (size_t)(cure - maker->cures->list.items);
	for (size_t i = 0; i < count; i++) {
		const struct addr *addr = out ? &one->targets[i] : cause->inbound ? &opened->source : &opened->target;
		int r = add_value(cure, addr_format(addr, text));
		if (r <= 0)
			return r;
	}
	return 1;
}

static bool is_curable(const struct cure_case *one)
{
	enum cause why = one->cause.why;

	return !one->left_out && why != CAUSE_NOTHING && why != CAUSE_CONNECTION && why != CAUSE_PROTOCOL;
}

static int make(struct maker *maker, const struct cure_case *cases, size_t count, size_t *ret_index)
{
	int r = 0;

	for (size_t i = 0; i < count && r >= 0; i++) {
		ret_index[i] = maker->group_of[i] = SIZE_MAX;
		if (!is_curable(&cases[i]))
			continue;
		r = cure_by_list(maker, &cases[i], &ret_index[i]);
		if (r == 0) {
			ret_index[i] = SIZE_MAX;
			r = group_case(maker, &cases[i], &maker->group_of[i]);
		}
		if (r == -ENOSPC)
			r = 0;
	}
	if (r < 0)
		return r;
	merge_groups(maker);
	for (size_t i = 0; i < maker->groups.count; i++)
		if (maker->groups.items[i].merged == SIZE_MAX && cure_group(maker, &maker->groups.items[i]) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < maker->cures->list.count; i++)
		if (write_section(&maker->cures->list.items[i]) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct group *group =
			maker->group_of[i] == SIZE_MAX ? NULL : &maker->groups.items[maker->group_of[i]];
		if (group && group->merged != SIZE_MAX)
			group = &maker->groups.items[group->merged];
		if (group)
			ret_index[i] = group->cure;
		maker->cures->uncured += ret_index[i] == SIZE_MAX && cases[i].cause.why != CAUSE_NOTHING;
	}
	return 0;
}

int cures_make(struct cures *ret, const struct policy *policy, const struct cure_case *cases, size_t count,
	       size_t *ret_index)
{
	struct maker maker = { .cures = ret, .policy = policy };

	*ret = (struct cures){ 0 };
	maker.group_of = malloc((count + 1) * sizeof(*maker.group_of));
	int r = maker.group_of ? make(&maker, cases, count, ret_index) : -ENOMEM;
	for (size_t i = 0; i < maker.groups.count; i++)
		ranges_free(&maker.groups.items[i].peers);
	free(maker.groups.items);
	free(maker.group_of);
	if (r < 0)
		cures_free(ret);
	return r;
}
