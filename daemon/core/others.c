/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "others.h"
#include "array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Flows are boxes: an interval of each field that a rule may look at. A rule meets a box where each of its conditions
 * has something in common with it. Boxes go through the chains as packets would; one that a rule takes wholly, and by
 * what is known, goes no further. In doubt a rule meets: what is told may then be harmless, but nothing is missed. */

enum {
	DEPTH_MAX = 16,            /* as the kernel has it */
	STEPS_MAX = 4 * 1000 * 1000, /* of boxes past rules: a second or less */
	PEERS_MAX = 32,            /* up to so many ranges of a flow have a box each; more are taken for all between the ends */
	PIN_PRIORITY = -199,
	DNS = 53,
};

enum box_state { BOX_HERE, BOX_RETURNED, BOX_GONE };

struct box {
	const struct policy_flow *flow;
	bool inbound, reply;
	uint8_t family; /* enum family */
	uint8_t first[RULE_FIELDS][OTHERS_KEY_MAX], last[RULE_FIELDS][OTHERS_KEY_MAX];
	const struct ranges *holes[2]; /* what the source and the target are not; NULL: nothing */
	const struct role_links *neighbours; /* links that it does not come by; NULL: none */
	uint8_t state;
	size_t from;    /* the box of the caller that it is a part of */
	bool whole;     /* all of that */
};

struct boxes {
	struct box *items;
	size_t count, capacity;
};

struct judging {
	const struct others *others;
	const struct policy *policy;
	const struct surroundings *around;
	struct findings *out;
	const struct other_chain *base;
	bool *leads;      /* of each chain: it comes to a deed */
	size_t *first_rule; /* of each chain; rules of one chain need not stand together */
	size_t *next_rule;  /* of each rule: the next one of its chain, and one; 0: none */
	bool *told;       /* of each rule */
	struct ranges not_targets;  /* of traffic that passes: the gateway's own addresses, and the like */
	struct ranges *not_sources; /* likewise, of each role */
	size_t steps;
};

static const char *const deed_words[] = { "", "redirect", "dnat", "tproxy", "dup", "fwd", "queue", "notrack" };
static const char *const deed_phrases[] = {
	"", "redirects it to this gateway", "sends it to another target", "hands it to a proxy on this gateway", "duplicates it",
	"sends it out past all rules", "hands it to a program", "exempts it from connection tracking",
};

const char *deed_word(enum deed deed) { return deed_words[deed]; }
const char *deed_phrase(enum deed deed) { return deed_phrases[deed]; }

const char *table_family(unsigned family)
{
	switch (family) {
	case 1: return "inet";
	case 2: return "ip";
	case 3: return "arp";
	case 5: return "netdev";
	case 7: return "bridge";
	case 10: return "ip6";
	default: return "unknown";
	}
}

size_t rule_field_size(enum rule_field field)
{
	static const uint8_t sizes[RULE_FIELDS] = {
		[RULE_FAMILY] = 1, [RULE_PROTOCOL] = 1, [RULE_SOURCE_4] = 4, [RULE_TARGET_4] = 4, [RULE_SOURCE_6] = 16,
		[RULE_TARGET_6] = 16, [RULE_SOURCE_PORT] = 2, [RULE_TARGET_PORT] = 2, [RULE_LINK] = 16, [RULE_LOCAL] = 1,
	};
	return sizes[field];
}

static int name_order(unsigned family, const char *table, const char *name, unsigned other_family, const char *other_table, const char *other_name)
{
	int order = family != other_family ? (family > other_family) - (family < other_family) : strcmp(table, other_table);
	return order ? order : strcmp(name, other_name);
}

static int chain_order(const void *a, const void *b)
{
	const struct other_chain *x = a, *y = b;
	return name_order(x->family, x->table, x->name, y->family, y->table, y->name);
}

static int set_order(const void *a, const void *b)
{
	const struct other_set *x = a, *y = b;
	return name_order(x->family, x->table, x->name, y->family, y->table, y->name);
}

void others_sort(struct others *others)
{
	if (others->chains.count)
		qsort(others->chains.items, others->chains.count, sizeof(*others->chains.items), chain_order);
	if (others->sets.count)
		qsort(others->sets.items, others->sets.count, sizeof(*others->sets.items), set_order);
}

size_t others_find_chain(const struct others *others, unsigned family, const char *table, const char *name)
{
	struct other_chain key = { .family = family, .table = (char *)table, .name = (char *)name }, *found = NULL;
	if (others->chains.count)
		found = bsearch(&key, others->chains.items, others->chains.count, sizeof(key), chain_order);
	return found ? (size_t)(found - others->chains.items) + 1 : 0;
}

size_t others_find_set(const struct others *others, unsigned family, const char *table, const char *name)
{
	struct other_set key = { .family = family, .table = (char *)table, .name = (char *)name }, *found = NULL;
	if (others->sets.count)
		found = bsearch(&key, others->sets.items, others->sets.count, sizeof(key), set_order);
	return found ? (size_t)(found - others->sets.items) + 1 : 0;
}

void others_free(struct others *others)
{
	for (size_t i = 0; i < others->chains.count; i++) {
		free(others->chains.items[i].table);
		free(others->chains.items[i].name);
	}
	for (size_t i = 0; i < others->sets.count; i++) {
		free(others->sets.items[i].table);
		free(others->sets.items[i].name);
		free(others->sets.items[i].items);
	}
	free(others->chains.items);
	free(others->rules.items);
	free(others->conditions.items);
	free(others->sets.items);
	*others = (struct others){ 0 };
}

bool others_do_anything(const struct others *others)
{
	for (size_t i = 0; i < others->rules.count; i++)
		if (others->rules.items[i].deed != DEED_NONE)
			return true;
	return false;
}

/* Intervals and conditions. */

/* Nothing of ours comes by the loopback link. And what the server's neighbours send it takes no way through the gateway:
 * rules for their link mean the connections that they open to others. */
static bool may_come_by(const struct box *box, const uint8_t *link)
{
	if (strncmp((const char *)link, "lo", OTHERS_KEY_MAX) == 0)
		return false;
	for (size_t i = 0; box->neighbours && i < box->neighbours->count; i++)
		if (strncmp((const char *)link, box->neighbours->names[i], OTHERS_KEY_MAX) == 0)
			return false;
	return true;
}

static bool meets_interval(const struct box *box, enum rule_field field, const uint8_t *first, const uint8_t *last)
{
	size_t size = rule_field_size(field);
	const uint8_t *low = memcmp(box->first[field], first, size) > 0 ? box->first[field] : first;
	const uint8_t *high = memcmp(box->last[field], last, size) < 0 ? box->last[field] : last;

	if (memcmp(low, high, size) > 0)
		return false;
	if (field == RULE_LINK)
		return memcmp(low, high, size) != 0 || may_come_by(box, low);
	const struct ranges *holes = field == RULE_SOURCE_4 || field == RULE_SOURCE_6 ? box->holes[0]
				   : field == RULE_TARGET_4 || field == RULE_TARGET_6 ? box->holes[1] : NULL;
	if (!holes)
		return true;
	struct range common = { { .family = box->family }, { .family = box->family } };
	memcpy(common.first.bytes, low, size);
	memcpy(common.last.bytes, high, size);
	return !ranges_cover(holes, &common);
}

static bool takes_interval(const struct box *box, enum rule_field field, const uint8_t *first, const uint8_t *last)
{
	size_t size = rule_field_size(field);
	return memcmp(first, box->first[field], size) <= 0 && memcmp(last, box->last[field], size) >= 0;
}

/* Whether the elements, which are ascending, have all of the box between them. */
static bool takes_set(const struct box *box, enum rule_field field, const struct other_set *set)
{
	size_t size = rule_field_size(field);
	uint8_t next[OTHERS_KEY_MAX];

	memcpy(next, box->first[field], size);
	for (size_t i = 0; i < set->count; i++) {
		const struct set_element *element = &set->items[i];
		if (memcmp(element->last, next, size) < 0)
			continue;
		if (memcmp(element->first, next, size) > 0)
			return false;
		if (memcmp(element->last, box->last[field], size) >= 0)
			return true;
		memcpy(next, element->last, size);
		for (size_t b = size; b-- > 0 && ++next[b] == 0;)
			;
	}
	return false;
}

static bool meets_set(const struct box *box, enum rule_field field, const struct other_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (meets_interval(box, field, set->items[i].first, set->items[i].last))
			return true;
	return false;
}

/* Whether the box has the field at all: addresses of the other family, ports of a protocol without. */
static bool has_field(const struct box *box, enum rule_field field)
{
	switch (field) {
	case RULE_SOURCE_4:
	case RULE_TARGET_4:
		return box->family == FAMILY_4;
	case RULE_SOURCE_6:
	case RULE_TARGET_6:
		return box->family == FAMILY_6;
	case RULE_SOURCE_PORT:
	case RULE_TARGET_PORT:
		return box->first[RULE_PROTOCOL][0] == 6 || box->first[RULE_PROTOCOL][0] == 17;
	default:
		return true;
	}
}

/* *ret_takes: the condition holds for all of the box. */
static bool meets(const struct judging *j, const struct box *box, const struct rule_condition *condition, bool *ret_takes)
{
	enum rule_field field = (enum rule_field)condition->field;

	*ret_takes = false;
	if (!has_field(box, field))
		return false;
	const struct other_set *set = condition->set ? &j->others->sets.items[condition->set - 1] : NULL;
	if (set && !set->known)
		return true;
	bool some = set ? meets_set(box, field, set) : meets_interval(box, field, condition->first, condition->last);
	bool all = set ? takes_set(box, field, set) : takes_interval(box, field, condition->first, condition->last);
	*ret_takes = condition->negate ? !some : all;
	return condition->negate ? !all : some;
}

static bool meets_rule(const struct judging *j, const struct box *box, const struct other_rule *rule, bool *ret_takes)
{
	bool all = rule->exact;

	for (size_t i = 0; i < rule->condition_count; i++) {
		bool takes;
		if (!meets(j, box, &j->others->conditions.items[rule->conditions + i], &takes))
			return false;
		all &= takes;
	}
	*ret_takes = all;
	return true;
}

static void narrow(struct box *box, enum rule_field field, const uint8_t *first, const uint8_t *last)
{
	size_t size = rule_field_size(field);

	if (memcmp(first, box->first[field], size) > 0)
		memcpy(box->first[field], first, size);
	if (memcmp(last, box->last[field], size) < 0)
		memcpy(box->last[field], last, size);
}

/* What a rule does matters to the box. */
static bool concerns(const struct judging *j, const struct box *box, const struct other_rule *rule)
{
	bool translates = rule->deed == DEED_REDIRECT || rule->deed == DEED_DNAT, is_dns = false;

	if (rule->deed == DEED_NONE)
		return false;
	if (!translates && rule->deed != DEED_TPROXY)
		return true;
	/* These open no connection of their own, or they are no channel of the vendor's. */
	is_dns = !box->inbound && box->first[RULE_TARGET_PORT][1] == DNS && box->first[RULE_TARGET_PORT][0] == 0 &&
		 memcmp(box->first[RULE_TARGET_PORT], box->last[RULE_TARGET_PORT], 2) == 0;
	if (box->reply || box->first[RULE_PROTOCOL][0] != 6 || is_dns)
		return false;
	/* A port forward to what is protected. */
	return !(rule->deed == DEED_DNAT && box->inbound && rule->has_target && ranges_contains(&j->policy->protected_all, &rule->target));
}

/* Anything may stand in the name of another program's table: it must do no harm where it is shown. */
static char *shown(const char *name)
{
	char *copy = strdup(name);

	for (char *c = copy; c && *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return copy;
}

static int tell(struct judging *j, size_t index, const struct box *box)
{
	const struct other_rule *rule = &j->others->rules.items[index];
	const struct other_chain *chain = &j->others->chains.items[rule->chain];

	if (j->told[index])
		return 0;
	struct finding finding = { .table = shown(chain->table), .chain = shown(chain->name), .family = chain->family,
				   .handle = rule->handle, .deed = (enum deed)rule->deed };
	memcpy(finding.flow, box->flow->id, sizeof(finding.flow));
	if (!finding.table || !finding.chain || ARRAY_PUSH(j->out, finding) < 0) {
		free(finding.table);
		free(finding.chain);
		return -ENOMEM;
	}
	j->told[index] = true;
	return 0;
}

static int walk(struct judging *j, size_t chain, struct boxes *boxes, int depth);

/* The parts of boxes that go to a chain: all of them that the rule meets, or those that an element of its map meets. */
static int visit(struct judging *j, const struct other_rule *rule, const struct set_element *element, struct boxes *boxes, int depth)
{
	bool narrowed = element && rule->map_field != RULE_FIELDS;
	enum way way = (enum way)(element ? element->way : rule->way);
	size_t to = element ? element->to : rule->to;
	struct boxes parts = { 0 };
	int r = 0;

	for (size_t i = 0; i < boxes->count && r == 0; i++) {
		struct box *box = &boxes->items[i];
		bool takes;
		if (box->state != BOX_HERE || !meets_rule(j, box, rule, &takes))
			continue;
		if (narrowed && (!has_field(box, (enum rule_field)rule->map_field) ||
				 !meets_interval(box, (enum rule_field)rule->map_field, element->first, element->last)))
			continue;
		if (element)
			takes &= narrowed && takes_interval(box, (enum rule_field)rule->map_field, element->first, element->last);
		if (way != WAY_JUMP && way != WAY_GOTO) {
			if (takes && way != WAY_ON)
				box->state = way == WAY_RETURN ? BOX_RETURNED : BOX_GONE;
			continue;
		}
		struct box part = *box;
		part.from = i;
		part.whole = takes;
		for (size_t c = 0; c < rule->condition_count; c++) {
			const struct rule_condition *condition = &j->others->conditions.items[rule->conditions + c];
			if (!condition->set && !condition->negate)
				narrow(&part, (enum rule_field)condition->field, condition->first, condition->last);
		}
		if (narrowed)
			narrow(&part, (enum rule_field)rule->map_field, element->first, element->last);
		r = ARRAY_PUSH(&parts, part) < 0 ? -ENOMEM : 0;
	}
	if (r == 0 && to && parts.count)
		r = walk(j, to - 1, &parts, depth + 1);
	for (size_t i = 0; r == 0 && i < parts.count; i++) {
		struct box *caller = &boxes->items[parts.items[i].from];
		if (parts.items[i].whole && parts.items[i].state == BOX_GONE)
			caller->state = BOX_GONE;
		else if (parts.items[i].whole && way == WAY_GOTO)
			caller->state = BOX_RETURNED;
	}
	free(parts.items);
	return r;
}

static int visit_map(struct judging *j, const struct other_rule *rule, struct boxes *boxes, int depth)
{
	const struct other_set *map = rule->to ? &j->others->sets.items[rule->to - 1] : NULL;
	int r = 0;

	for (size_t i = 0; map && i < map->count && r == 0; i++)
		r = visit(j, rule, &map->items[i], boxes, depth);
	return r;
}

static int meet_deed(struct judging *j, size_t index, struct boxes *boxes)
{
	const struct other_rule *rule = &j->others->rules.items[index];
	int r = 0;

	for (size_t i = 0; i < boxes->count && r == 0; i++) {
		bool takes;
		if (boxes->items[i].state == BOX_HERE && concerns(j, &boxes->items[i], rule) && meets_rule(j, &boxes->items[i], rule, &takes))
			r = tell(j, index, &boxes->items[i]);
	}
	return r;
}

static int walk(struct judging *j, size_t chain, struct boxes *boxes, int depth)
{
	int r = 0;

	if (depth > DEPTH_MAX)
		return 0;
	for (size_t at = j->first_rule[chain]; at && r == 0; at = j->next_rule[at - 1]) {
		const struct other_rule *rule = &j->others->rules.items[at - 1];
		j->steps += boxes->count;
		if (j->steps > STEPS_MAX) {
			j->out->incomplete = true;
			return 0;
		}
		if (rule->deed != DEED_NONE)
			r = meet_deed(j, at - 1, boxes);
		if (r == 0 && rule->way == WAY_MAP)
			r = visit_map(j, rule, boxes, depth);
		else if (r == 0 && rule->way != WAY_ON)
			r = visit(j, rule, NULL, boxes, depth);
	}
	return r;
}

/* Boxes of the flows. */

static void set_all(struct box *box, enum rule_field field)
{
	memset(box->first[field], 0, OTHERS_KEY_MAX);
	memset(box->last[field], 0xff, OTHERS_KEY_MAX);
}

static void set_bytes(struct box *box, enum rule_field field, const void *first, const void *last)
{
	memcpy(box->first[field], first, rule_field_size(field));
	memcpy(box->last[field], last, rule_field_size(field));
}

static void set_byte(struct box *box, enum rule_field field, uint8_t value)
{
	set_bytes(box, field, &value, &value);
}

static void set_ports(struct box *box, enum rule_field field, const struct port_range *range)
{
	uint8_t first[] = { range->first >> 8, range->first & 0xff }, last[] = { range->last >> 8, range->last & 0xff };
	set_bytes(box, field, first, last);
}

/* One range of the protected side and one of the peer's: both directions, each link. */
struct pair {
	const struct policy_flow *flow;
	const struct policy_role *role;
	size_t role_index;
	bool inbound;
	const struct range *own, *peer;
	uint8_t protocol;
	const struct port_range *ports; /* NULL: it has none */
};

static int add_box(struct judging *j, struct boxes *boxes, const struct pair *pair, bool reply, const char *link)
{
	static const struct port_range high_ports = { 1024, UINT16_MAX }; /* a client's */
	bool from_own = pair->inbound == reply, at_gateway = j->base->place == PLACE_INPUT || j->base->place == PLACE_OUTPUT;
	const struct range *source = from_own ? pair->own : pair->peer, *target = from_own ? pair->peer : pair->own;
	enum family family = (enum family)pair->own->first.family;
	struct box box = { .flow = pair->flow, .inbound = pair->inbound, .reply = reply, .family = (uint8_t)family };

	set_byte(&box, RULE_FAMILY, family == FAMILY_4 ? 4 : 6);
	set_byte(&box, RULE_PROTOCOL, pair->protocol);
	set_bytes(&box, family == FAMILY_4 ? RULE_SOURCE_4 : RULE_SOURCE_6, source->first.bytes, source->last.bytes);
	set_bytes(&box, family == FAMILY_4 ? RULE_TARGET_4 : RULE_TARGET_6, target->first.bytes, target->last.bytes);
	set_all(&box, RULE_SOURCE_PORT);
	set_all(&box, RULE_TARGET_PORT);
	if (pair->ports) {
		set_ports(&box, reply ? RULE_TARGET_PORT : RULE_SOURCE_PORT, &high_ports);
		set_ports(&box, reply ? RULE_SOURCE_PORT : RULE_TARGET_PORT, pair->ports);
	}
	set_all(&box, RULE_LINK);
	if (link) {
		uint8_t name[OTHERS_KEY_MAX] = { 0 };
		memcpy(name, link, strnlen(link, OTHERS_KEY_MAX - 1));
		set_bytes(&box, RULE_LINK, name, name);
	}
	set_byte(&box, RULE_LOCAL, j->base->place == PLACE_INPUT);
	if (!from_own && !j->base->links_unknown)
		box.neighbours = &j->around->links[pair->role_index];
	if (at_gateway)
		box.holes[from_own] = &pair->role->guarded;
	else
		box.holes[from_own] = from_own ? &j->not_targets : &j->not_sources[pair->role_index];
	return ARRAY_PUSH(boxes, box) < 0 ? -ENOMEM : 0;
}

/* Packets of the pair as the base chain sees them: what passes, or what the gateway itself has with the server. */
static int add_pair(struct judging *j, struct boxes *boxes, const struct pair *pair)
{
	const struct role_links *links = &j->around->links[pair->role_index];
	int r = 0;

	for (int reply = 0; reply < 2 && r == 0; reply++) {
		bool from_own = pair->inbound == (reply != 0);
		if (reply && j->base->nat)
			continue;
		if ((j->base->place == PLACE_INPUT && !from_own) || (j->base->place == PLACE_OUTPUT && from_own))
			continue;
		if (j->base->place == PLACE_OUTPUT)
			r = add_box(j, boxes, pair, reply, "");
		else if (!from_own || j->base->links_unknown || !links->count)
			r = add_box(j, boxes, pair, reply, NULL);
		else
			for (size_t i = 0; i < links->count && r == 0; i++)
				r = add_box(j, boxes, pair, reply, links->names[i]);
	}
	return r;
}

static int add_ports(struct judging *j, struct boxes *boxes, struct pair *pair)
{
	static const uint8_t numbers[] = { [PROTOCOL_TCP] = 6, [PROTOCOL_UDP] = 17 };
	int r = 0;

	for (enum protocol protocol = 0; protocol < PROTOCOLS && r == 0; protocol++) {
		if (!(pair->flow->protocols & 1u << protocol))
			continue;
		if (protocol == PROTOCOL_ICMP_ECHO) {
			pair->protocol = pair->own->first.family == FAMILY_4 ? 1 : 58;
			pair->ports = NULL;
			r = add_pair(j, boxes, pair);
			continue;
		}
		pair->protocol = numbers[protocol];
		for (size_t i = 0; i < pair->flow->port_count && r == 0; i++) {
			pair->ports = &pair->flow->ports[i];
			r = add_pair(j, boxes, pair);
		}
	}
	return r;
}

/* A name may be anywhere; of very many ranges the ends have to do. */
static int add_peers(struct judging *j, struct boxes *boxes, struct pair *pair)
{
	const struct endpoint *peer = pair->inbound ? &pair->flow->from : &pair->flow->to;
	enum family family = (enum family)pair->own->first.family;
	struct range all = range_all(family);
	const struct range *first = NULL, *last = NULL;
	size_t count = 0;

	pair->peer = &all;
	if (peer->any || peer->name_count)
		return add_ports(j, boxes, pair);
	for (size_t i = 0; i < peer->ranges.count; i++) {
		if (peer->ranges.items[i].first.family != family)
			continue;
		first = first ? first : &peer->ranges.items[i];
		last = &peer->ranges.items[i];
		count++;
	}
	if (count > PEERS_MAX) {
		all = (struct range){ first->first, last->last };
		return add_ports(j, boxes, pair);
	}
	int r = 0;
	for (const struct range *range = first; count && range <= last && r == 0; range++) {
		pair->peer = range;
		r = add_ports(j, boxes, pair);
	}
	return r;
}

static int add_flow(struct judging *j, struct boxes *boxes, const struct policy_flow *flow, size_t role_index, bool inbound)
{
	const struct policy_role *role = &j->policy->roles[role_index];
	const struct ranges *side = inbound ? &flow->to.opens : &flow->from.ranges;
	struct pair pair = { .flow = flow, .role = role, .role_index = role_index, .inbound = inbound };
	struct ranges own = { 0 };

	int r = ranges_add_all(&own, &role->guarded);
	if (r == 0 && (inbound || !flow->from.any))
		r = ranges_intersect(&own, side);
	for (size_t i = 0; i < own.count && r == 0; i++) {
		pair.own = &own.items[i];
		r = add_peers(j, boxes, &pair);
	}
	ranges_free(&own);
	return r;
}

static int add_boxes(struct judging *j, struct boxes *boxes)
{
	int r = 0;

	for (size_t i = 0; i < j->policy->role_count && r == 0; i++) {
		const struct policy_role *role = &j->policy->roles[i];
		for (size_t f = 0; role->is_protected && f < j->policy->flow_count && r == 0; f++) {
			const struct policy_flow *flow = &j->policy->flows[f];
			if (flow_opens_role(flow, role))
				r = add_flow(j, boxes, flow, i, true);
			if (r == 0 && flow_leaves_role(flow, role))
				r = add_flow(j, boxes, flow, i, false);
		}
	}
	return r;
}

/* The walk through all of it. */

/* Chains that come to a deed, by whatever way. */
static void find_leads(struct judging *j)
{
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < j->others->rules.count; i++) {
			const struct other_rule *rule = &j->others->rules.items[i];
			bool leads = rule->deed != DEED_NONE;
			if ((rule->way == WAY_JUMP || rule->way == WAY_GOTO) && rule->to)
				leads |= j->leads[rule->to - 1];
			const struct other_set *map = rule->way == WAY_MAP && rule->to ? &j->others->sets.items[rule->to - 1] : NULL;
			for (size_t e = 0; map && e < map->count; e++)
				leads |= map->items[e].to && j->leads[map->items[e].to - 1];
			more |= leads && !j->leads[rule->chain];
			j->leads[rule->chain] |= leads;
		}
	}
}

static void order_rules(struct judging *j)
{
	for (size_t i = j->others->rules.count; i-- > 0;) {
		size_t chain = j->others->rules.items[i].chain;
		j->next_rule[i] = j->first_rule[chain];
		j->first_rule[chain] = i + 1;
	}
}

static bool is_outrun(const struct judging *j, const struct other_chain *chain)
{
	return j->policy->interception == INTERCEPTION_PREVENT && j->policy->mode == MODE_ENFORCE && chain->nat &&
	       chain->place == PLACE_PREROUTING && chain->priority > PIN_PRIORITY;
}

static int judge_base(struct judging *j, size_t index)
{
	struct boxes boxes = { 0 };

	j->base = &j->others->chains.items[index];
	j->steps = 0;
	if (j->base->place == PLACE_NONE || !j->leads[index] || is_outrun(j, j->base))
		return 0;
	int r = add_boxes(j, &boxes);
	if (r == 0)
		r = walk(j, index, &boxes, 0);
	free(boxes.items);
	return r;
}

static int find_holes(struct judging *j)
{
	static const struct range loopback[] = {
		{ { FAMILY_4, { 127 } }, { FAMILY_4, { 127, 255, 255, 255 } } },
		{ { FAMILY_6, { [15] = 1 } }, { FAMILY_6, { [15] = 1 } } },
	};
	int r = ranges_add_all(&j->not_targets, j->around->gateway);

	for (int i = 0; i < 2 && r == 0; i++)
		r = ranges_add(&j->not_targets, &loopback[i]);
	for (size_t i = 0; i < j->policy->role_count && r == 0; i++) {
		r = ranges_add_all(&j->not_sources[i], &j->not_targets);
		if (r == 0)
			r = ranges_add_all(&j->not_sources[i], &j->policy->roles[i].guarded);
		ranges_normalise(&j->not_sources[i]);
	}
	if (r == 0)
		r = ranges_add_all(&j->not_targets, &j->policy->nat_except);
	if (r == 0)
		r = ranges_add_all(&j->not_targets, &j->policy->protected_all);
	ranges_normalise(&j->not_targets);
	return r;
}

int others_judge(struct findings *ret, const struct others *others, const struct policy *policy, const struct surroundings *around)
{
	size_t chains = others->chains.count + 1, rules = others->rules.count + 1;
	struct judging j = { .others = others, .policy = policy, .around = around, .out = ret,
			     .leads = calloc(chains, sizeof(*j.leads)), .first_rule = calloc(chains, sizeof(*j.first_rule)),
			     .next_rule = calloc(rules, sizeof(*j.next_rule)), .told = calloc(rules, sizeof(*j.told)),
			     .not_sources = calloc(policy->role_count + 1, sizeof(*j.not_sources)) };

	*ret = (struct findings){ 0 };
	int r = j.leads && j.first_rule && j.next_rule && j.told && j.not_sources ? find_holes(&j) : -ENOMEM;
	if (r == 0) {
		find_leads(&j);
		order_rules(&j);
	}
	for (size_t i = 0; i < others->chains.count && r == 0 && policy->interception != INTERCEPTION_OFF; i++)
		r = judge_base(&j, i);
	free(j.leads);
	free(j.first_rule);
	free(j.next_rule);
	free(j.told);
	ranges_free(&j.not_targets);
	for (size_t i = 0; j.not_sources && i < policy->role_count; i++)
		ranges_free(&j.not_sources[i]);
	free(j.not_sources);
	if (r < 0)
		findings_free(ret);
	return r;
}

void findings_free(struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++) {
		free(findings->items[i].table);
		free(findings->items[i].chain);
	}
	free(findings->items);
	*findings = (struct findings){ 0 };
}

bool findings_equal(const struct findings *a, const struct findings *b)
{
	if (a->count != b->count || a->incomplete != b->incomplete)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct finding *x = &a->items[i], *y = &b->items[i];
		if (x->family != y->family || x->handle != y->handle || x->deed != y->deed || strcmp(x->table, y->table) != 0 ||
		    strcmp(x->chain, y->chain) != 0 || strcmp(x->flow, y->flow) != 0)
			return false;
	}
	return true;
}
