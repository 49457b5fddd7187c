/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "foreign_boxes.h"
#include "array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEPTH_MAX = 16,               /* as the kernel has it */
	STEPS_MAX = 16 * 1000 * 1000, /* in all: a second or so */
	ROUNDS_MAX = 32,              /* chains nest less deep */
	FINDINGS_MAX = 1000,          /* all of them are compared, logged and reported */
	PIN_PRIORITY = -199,
};

static const char *const effect_words[] = { "",      "redirect", "dnat", "tproxy", "dup",     "fwd",
					    "queue", "notrack",  "drop", "policy", "offload", "port" };
static const char *const effect_phrases[] = {
	"",
	"redirects it to this gateway",
	"sends it to another target",
	"hands it to a proxy on this gateway",
	"duplicates it",
	"sends it out past all rules",
	"hands it to a program",
	"exempts it from connection tracking",
	"drops it",
	"drops what it does not accept, as this",
	"takes it past all rules once it is established",
	"translates its port",
};

const char *effect_word(enum effect effect)
{
	return effect_words[effect];
}
const char *effect_phrase(enum effect effect)
{
	return effect_phrases[effect];
}

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
		[RULE_FAMILY] = 1,    [RULE_PROTOCOL] = 1,    [RULE_SOURCE_4] = 4,    [RULE_TARGET_4] = 4,
		[RULE_SOURCE_6] = 16, [RULE_TARGET_6] = 16,   [RULE_SOURCE_PORT] = 2, [RULE_TARGET_PORT] = 2,
		[RULE_LINK] = 16,     [RULE_LOCAL] = 1,       [RULE_OUT_LINK] = 16,   [RULE_STATE] = 4,
		[RULE_STATUS] = 4,    [RULE_TARGET_KIND] = 4, [RULE_FLAGS] = 1,       [RULE_PACKET] = 1,
	};
	return sizes[field];
}

static int name_order(unsigned family, const char *table, const char *name, unsigned other_family,
		      const char *foreign_table, const char *other_name)
{
	int order = family != other_family ? (family > other_family) - (family < other_family)
					   : strcmp(table, foreign_table);
	return order ? order : strcmp(name, other_name);
}

static int chain_order(const void *a, const void *b)
{
	const struct foreign_chain *x = a, *y = b;
	return name_order(x->family, x->table, x->name, y->family, y->table, y->name);
}

static int set_order(const void *a, const void *b)
{
	const struct foreign_set *x = a, *y = b;
	return name_order(x->family, x->table, x->name, y->family, y->table, y->name);
}

void foreign_sort(struct foreign_tables *tables)
{
	if (tables->chains.count)
		qsort(tables->chains.items, tables->chains.count, sizeof(*tables->chains.items), chain_order);
	if (tables->sets.count)
		qsort(tables->sets.items, tables->sets.count, sizeof(*tables->sets.items), set_order);
}

size_t foreign_find_chain(const struct foreign_tables *tables, unsigned family, const char *table, const char *name)
{
	struct foreign_chain key = { .family = family, .table = (char *)table, .name = (char *)name }, *found = NULL;
	if (tables->chains.count)
		found = bsearch(&key, tables->chains.items, tables->chains.count, sizeof(key), chain_order);
	return found ? (size_t)(found - tables->chains.items) + 1 : 0;
}

size_t foreign_find_set(const struct foreign_tables *tables, unsigned family, const char *table, const char *name)
{
	struct foreign_set key = { .family = family, .table = (char *)table, .name = (char *)name }, *found = NULL;
	if (tables->sets.count)
		found = bsearch(&key, tables->sets.items, tables->sets.count, sizeof(key), set_order);
	return found ? (size_t)(found - tables->sets.items) + 1 : 0;
}

void foreign_tables_free(struct foreign_tables *tables)
{
	for (size_t i = 0; i < tables->chains.count; i++) {
		free(tables->chains.items[i].table);
		free(tables->chains.items[i].name);
	}
	for (size_t i = 0; i < tables->sets.count; i++) {
		free(tables->sets.items[i].table);
		free(tables->sets.items[i].name);
		free(tables->sets.items[i].items);
	}
	free(tables->chains.items);
	free(tables->rules.items);
	free(tables->conditions.items);
	free(tables->sets.items);
	*tables = (struct foreign_tables){ 0 };
}

static bool is_asked_for(unsigned effects, unsigned effect)
{
	return effect != EFFECT_NONE && effects & 1u << effect;
}

bool foreign_do_any(const struct foreign_tables *tables, unsigned effects)
{
	for (size_t i = 0; i < tables->rules.count; i++)
		if (is_asked_for(effects, tables->rules.items[i].effect) ||
		    (effects & EFFECTS_STOP && tables->rules.items[i].way == WAY_MAP))
			return true;
	for (size_t i = 0; i < tables->chains.count && effects & 1 << EFFECT_POLICY; i++)
		if (tables->chains.items[i].drops)
			return true;
	return false;
}

/* Intervals and conditions. */

/* Nothing of ours comes by the loopback link. And what the server's neighbours send it takes no way through the
 * gateway: rules for their link mean the connections that they open to others. */
static bool may_come_by(const struct box *box, const uint8_t *link)
{
	if (strncmp((const char *)link, "lo", FOREIGN_KEY_MAX) == 0)
		return false;
	for (size_t i = 0; box->neighbours && i < box->neighbours->count; i++)
		if (strncmp((const char *)link, box->neighbours->names[i], FOREIGN_KEY_MAX) == 0)
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
	const struct ranges *holes = field == RULE_SOURCE_4 || field == RULE_SOURCE_6   ? box->holes[0]
				     : field == RULE_TARGET_4 || field == RULE_TARGET_6 ? box->holes[1]
											: NULL;
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

/* The first element, of those that are ascending and disjoint, that is not wholly below this. */
static size_t first_from(const struct foreign_set *set, const uint8_t *value, size_t size)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (memcmp(set->items[middle].last, value, size) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Whether the elements have all of the box between them. */
static bool takes_set(struct judging *j, const struct box *box, enum rule_field field, const struct foreign_set *set)
{
	size_t size = rule_field_size(field);
	uint8_t next[FOREIGN_KEY_MAX];

	memcpy(next, box->first[field], size);
	for (size_t i = first_from(set, next, size); i < set->count; i++) {
		const struct set_element *element = &set->items[i];
		j->steps++;
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

static bool meets_set(struct judging *j, const struct box *box, enum rule_field field, const struct foreign_set *set)
{
	size_t size = rule_field_size(field);

	for (size_t i = first_from(set, box->first[field], size);
	     i < set->count && memcmp(set->items[i].first, box->last[field], size) <= 0; i++) {
		j->steps++;
		if (meets_interval(box, field, set->items[i].first, set->items[i].last))
			return true;
	}
	return false;
}

/* Whether the box has the field at all: addresses of the other family, ports of a protocol without. */
static bool has_field(const struct box *box, enum rule_field field)
{
	switch (field) {
	case RULE_SOURCE_4:
	case RULE_TARGET_4: return box->family == FAMILY_4;
	case RULE_SOURCE_6:
	case RULE_TARGET_6: return box->family == FAMILY_6;
	case RULE_SOURCE_PORT:
	case RULE_TARGET_PORT: return box->first[RULE_PROTOCOL][0] == 6 || box->first[RULE_PROTOCOL][0] == 17;
	case RULE_FLAGS: return box->first[RULE_PROTOCOL][0] == 6;
	default: return true;
	}
}

/* Of a field whose value the box has; else it may be so or not. */
static bool meets_bits(const struct box *box, const struct rule_condition *condition, bool *ret_takes)
{
	size_t size = rule_field_size((enum rule_field)condition->field);
	const uint8_t *value = box->first[condition->field];
	bool same = true;

	*ret_takes = memcmp(value, box->last[condition->field], size) == 0;
	for (size_t i = 0; i < size; i++)
		same &= (value[i] & condition->first[i]) == condition->last[i];
	bool holds = same != condition->negate;
	if (*ret_takes)
		*ret_takes = holds;
	else
		holds = true;
	return holds;
}

/* *ret_takes: the condition holds for all of the box. */
static bool meets(struct judging *j, const struct box *box, const struct rule_condition *condition, bool *ret_takes)
{
	enum rule_field field = (enum rule_field)condition->field;

	j->steps++;
	*ret_takes = false;
	if (!has_field(box, field))
		return false;
	if (condition->masked)
		return meets_bits(box, condition, ret_takes);
	const struct foreign_set *set = condition->set ? &j->tables->sets.items[condition->set - 1] : NULL;
	if (set && !set->known)
		return true;
	bool some = set ? meets_set(j, box, field, set) : meets_interval(box, field, condition->first, condition->last);
	bool all = set ? takes_set(j, box, field, set) : takes_interval(box, field, condition->first, condition->last);
	*ret_takes = condition->negate ? !some : all;
	return condition->negate ? !all : some;
}

/* The field that has the address of the box's peer. */
static bool is_of_peer(const struct box *box, enum rule_field field)
{
	bool from_own = box->inbound == box->reply;
	return from_own ? field == RULE_TARGET_4 || field == RULE_TARGET_6
			: field == RULE_SOURCE_4 || field == RULE_SOURCE_6;
}

/* How much of a box a rule meets. */
struct share {
	bool all;
	bool peers; /* where not: it is some peers of ANY that it meets, and nothing else is open */
};

static bool meets_rule(struct judging *j, const struct box *box, const struct foreign_rule *rule, struct share *ret)
{
	bool all = rule->exact, peers = rule->exact && box->any_peer;
	bool ends = rule->effect == EFFECT_DROP || rule->way == WAY_JUMP || rule->way == WAY_GOTO;

	/* Where an excess is dropped, nothing that is ordinary is stopped. */
	if (rule->excess && ends && j->effects & EFFECTS_STOP)
		return false;
	for (size_t i = 0; i < rule->condition_count; i++) {
		const struct rule_condition *condition = &j->tables->conditions.items[rule->conditions + i];
		bool takes;
		if (!meets(j, box, condition, &takes))
			return false;
		all &= takes;
		peers &= takes || is_of_peer(box, (enum rule_field)condition->field);
	}
	*ret = (struct share){ .all = all, .peers = !all && peers };
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
static bool concerns(const struct judging *j, const struct box *box, const struct foreign_rule *rule)
{
	bool translates = rule->effect == EFFECT_REDIRECT || rule->effect == EFFECT_DNAT, is_dns = false;
	bool to_protected = rule->has_target && ranges_contains(&j->policy->protected_all, &rule->target);

	/* It is another port of a protected machine that is asked for. */
	if (rule->effect == EFFECT_DNAT && j->effects & 1 << EFFECT_PORT)
		return to_protected;
	if (!is_asked_for(j->effects, rule->effect))
		return false;
	if (!translates && rule->effect != EFFECT_TPROXY)
		return true;
	/* These open no connection of their own, or they are no channel of the vendor's. */
	is_dns = !box->inbound && box->first[RULE_TARGET_PORT][1] == DNS_PORT && box->first[RULE_TARGET_PORT][0] == 0 &&
		 memcmp(box->first[RULE_TARGET_PORT], box->last[RULE_TARGET_PORT], 2) == 0;
	if (box->reply || box->first[RULE_PROTOCOL][0] != 6 || is_dns)
		return false;
	/* A port forward to what is protected. */
	return !(rule->effect == EFFECT_DNAT && box->inbound && to_protected);
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

/* effect by the rule or, index being that of none, at the end of the base chain. *reported is the finding of that, and
 * one.
 */
static int report(struct judging *j, const struct foreign_chain *chain, uint64_t handle, enum effect effect,
		  const struct box *box, bool may, size_t *reported)
{
	struct finding finding = { .family = chain->family,
				   .handle = handle,
				   .effect = effect,
				   .flow_count = 1,
				   .may = may,
				   .legacy = chain->legacy,
				   .base = j->base_index,
				   .rule = reported == &j->policy_reported ? SIZE_MAX
									   : (size_t)(reported - j->reported) };
	const char *flow = box->flow ? box->flow->id : "";

	if (*reported) {
		struct finding *before = &j->out->items[*reported - 1];
		bool surer = before->may && !may;
		/* Flows come one after the other. */
		before->flow_count += strcmp(before->last_flow, flow) != 0;
		before->may &= may;
		memcpy(before->last_flow, flow, strlen(flow) + 1);
		if (surer)
			memcpy(before->flow, flow, strlen(flow) + 1);
		return 0;
	}
	if (j->out->count >= FINDINGS_MAX) {
		j->out->incomplete = true;
		return 0;
	}
	finding.table = shown(chain->table);
	finding.chain = shown(chain->name);
	memcpy(finding.flow, flow, strlen(flow) + 1);
	memcpy(finding.last_flow, flow, strlen(flow) + 1);
	if (!finding.table || !finding.chain || ARRAY_PUSH(j->out, finding) < 0) {
		free(finding.table);
		free(finding.chain);
		return -ENOMEM;
	}
	*reported = j->out->count;
	return 0;
}

static int report_rule(struct judging *j, const struct foreign_rule *rule, enum effect effect, const struct box *box,
		       bool may)
{
	return report(j, &j->tables->chains.items[rule->chain], rule->handle, effect, box, may,
		      &j->reported[rule - j->tables->rules.items]);
}

/* What an element of the rule's map, or the rule itself, has of the box. */
static bool meets_element(struct judging *j, const struct box *box, const struct foreign_rule *rule,
			  const struct set_element *element, struct share *ret)
{
	enum rule_field field = (enum rule_field)rule->map_field;

	if (!meets_rule(j, box, rule, ret))
		return false;
	if (!element)
		return true;
	if (field == RULE_FIELDS) {
		*ret = (struct share){ .all = false };
		return true;
	}
	if (!has_field(box, field) || !meets_interval(box, field, element->first, element->last))
		return false;
	bool takes = takes_interval(box, field, element->first, element->last);
	ret->peers =
		(ret->all || ret->peers) && !(ret->all && takes) && box->any_peer && (takes || is_of_peer(box, field));
	ret->all &= takes;
	return true;
}

static struct box part_of(const struct judging *j, const struct box *box, const struct foreign_rule *rule,
			  const struct set_element *element, struct share share)
{
	struct box part = *box;

	part.whole = share.all;
	part.some |= !share.all && !share.peers;
	part.some_peers |= share.peers;
	for (size_t c = 0; c < rule->condition_count; c++) {
		const struct rule_condition *condition = &j->tables->conditions.items[rule->conditions + c];
		if (!condition->set && !condition->negate && !condition->masked)
			narrow(&part, (enum rule_field)condition->field, condition->first, condition->last);
	}
	if (element && rule->map_field != RULE_FIELDS)
		narrow(&part, (enum rule_field)rule->map_field, element->first, element->last);
	return part;
}

/* The box at a verdict that ends its way here: how much of it goes on. */
static int end_box(struct judging *j, const struct foreign_rule *rule, struct box *box, struct share share,
		   enum way way, bool drops)
{
	if (drops && is_asked_for(j->effects, EFFECT_DROP) && !box->some_peers && !share.peers) {
		int r = report_rule(j, rule, EFFECT_DROP, box, !share.all || box->some || box->doubt);
		if (r < 0)
			return r;
	}
	if (share.all && way != WAY_ON) {
		box->state = way == WAY_RETURN ? BOX_RETURNED : BOX_GONE;
		box->dropped = drops;
	} else if (way != WAY_ON && !drops) {
		box->doubt = true;
	}
	return 0;
}

/* What became of a part counts for the box that it is of. */
static void end_part(struct box *caller, const struct box *part, enum way way)
{
	caller->doubt |= part->doubt || (!part->whole && part->state == BOX_GONE && !part->dropped);
	if (part->whole && part->state == BOX_GONE) {
		caller->state = BOX_GONE;
		caller->dropped = part->dropped;
	} else if (part->whole && way == WAY_GOTO) {
		caller->state = BOX_RETURNED;
	}
}

static int meet_effect(struct judging *j, const struct foreign_rule *rule, const struct box *box)
{
	struct share share;

	if (rule->effect == EFFECT_NONE || rule->effect == EFFECT_DROP || !concerns(j, box, rule) ||
	    !meets_rule(j, box, rule, &share))
		return 0;
	return report_rule(j, rule, j->effects & 1 << EFFECT_PORT ? EFFECT_PORT : (enum effect)rule->effect, box,
			   false);
}

/* What of the box in the frame goes to a chain goes on in a frame above it. */
static int visit(struct judging *j, struct frame *frame, const struct foreign_rule *rule,
		 const struct set_element *element)
{
	enum way way = (enum way)(element ? element->way : rule->way);
	size_t to = element ? element->to : rule->to;
	struct share share;

	j->steps++;
	if (!meets_element(j, &frame->box, rule, element, &share))
		return 0;
	if (way != WAY_JUMP && way != WAY_GOTO)
		return end_box(j, rule, &frame->box, share, way,
			       element ? element->drops : rule->effect == EFFECT_DROP);
	struct box part = part_of(j, &frame->box, rule, element, share);
	if (to && j->depth < DEPTH_MAX)
		j->frames[++j->depth] = (struct frame){ .box = part, .at = j->first_rule[to - 1], .way = way };
	else
		end_part(&frame->box, &part, way);
	return 0;
}

/* The next element of the rule's map; false: there is none that could meet the box. */
static bool next_element(struct judging *j, struct frame *frame, const struct foreign_rule *rule,
			 const struct set_element **ret)
{
	const struct foreign_set *map = rule->to ? &j->tables->sets.items[rule->to - 1] : NULL;
	enum rule_field field = (enum rule_field)rule->map_field;
	bool ascending = map && map->known && field != RULE_FIELDS;

	if (!frame->in_map)
		frame->element = ascending ? first_from(map, frame->box.first[field], rule_field_size(field)) : 0;
	frame->in_map = true;
	if (!map || frame->element >= map->count)
		return false;
	*ret = &map->items[frame->element++];
	return !ascending || memcmp((*ret)->first, frame->box.last[field], rule_field_size(field)) <= 0;
}

static void next_rule(const struct judging *j, struct frame *frame)
{
	frame->at = j->next_rule[frame->at - 1];
	frame->in_map = false;
}

/* A rule, or an element of its map, for the box in the topmost frame. */
static int step(struct judging *j)
{
	struct frame *frame = &j->frames[j->depth];
	const struct foreign_rule *rule = &j->tables->rules.items[frame->at - 1];
	const struct set_element *element = NULL;
	int r = 0;

	j->steps++;
	if (!frame->in_map)
		r = meet_effect(j, rule, &frame->box);
	if (r < 0)
		return r;
	if (rule->way == WAY_MAP) {
		if (next_element(j, frame, rule, &element))
			r = visit(j, frame, rule, element);
		else
			next_rule(j, frame);
		return r;
	}
	next_rule(j, frame); /* a jump comes back behind it */
	return rule->way == WAY_ON ? 0 : visit(j, frame, rule, NULL);
}

/* The walk through all of it. */

static bool rule_leads(const struct judging *j, const struct foreign_rule *rule)
{
	if (is_asked_for(j->effects, rule->effect) || (rule->effect == EFFECT_DNAT && j->effects & 1 << EFFECT_PORT))
		return true;
	if (rule->way == WAY_JUMP || rule->way == WAY_GOTO)
		return rule->to && j->leads[rule->to - 1];
	return rule->way == WAY_MAP && rule->to && j->map_leads[rule->to - 1];
}

static bool map_leads(const struct judging *j, const struct foreign_set *map)
{
	for (size_t e = 0; e < map->count; e++)
		if ((map->items[e].to && j->leads[map->items[e].to - 1]) ||
		    (map->items[e].drops && j->effects & 1 << EFFECT_DROP))
			return true;
	return false;
}

/* Chains that come to a effect, by whatever way. Each round knows one jump more; in what nests deeper than the kernel
 * allows, any may. */
static void find_leads(struct judging *j)
{
	bool more = true;

	for (int round = 0; more && round < ROUNDS_MAX; round++) {
		more = false;
		for (size_t i = 0; i < j->tables->sets.count; i++) /* once, however many rules ask one */
			j->map_leads[i] = j->map_leads[i] || map_leads(j, &j->tables->sets.items[i]);
		for (size_t i = 0; i < j->tables->rules.count; i++) {
			const struct foreign_rule *rule = &j->tables->rules.items[i];
			if (!j->leads[rule->chain] && rule_leads(j, rule))
				more = j->leads[rule->chain] = true;
		}
	}
	for (size_t i = 0; more && i < j->tables->chains.count; i++)
		j->leads[i] = true;
}

static void order_rules(struct judging *j)
{
	for (size_t i = j->tables->rules.count; i-- > 0;) {
		size_t chain = j->tables->rules.items[i].chain;
		j->next_rule[i] = j->first_rule[chain];
		j->first_rule[chain] = i + 1;
	}
}

static bool is_outrun(const struct judging *j, const struct foreign_chain *chain)
{
	/* Ports that no flow opens are not pinned. */
	return !(j->effects & 1 << EFFECT_PORT) && j->policy->interception == INTERCEPTION_PREVENT &&
	       j->policy->mode == MODE_ENFORCE && chain->nat && chain->place == PLACE_PREROUTING &&
	       chain->priority > PIN_PRIORITY;
}

static bool drops_rest(const struct judging *j)
{
	return j->base->drops && j->effects & 1 << EFFECT_POLICY;
}

/* The next base chain that matters, and its boxes. 1; 0: there is none; or a negative errno. */
static int next_base(struct judging *j)
{
	int r = 0;

	j->boxes.count = j->next_box = j->policy_reported = 0;
	while (j->next_chain < j->tables->chains.count && !j->boxes.count && r == 0) {
		j->base_index = j->next_chain++;
		j->base = &j->tables->chains.items[j->base_index];
		j->steps++;
		if (j->base->place != PLACE_NONE && (j->leads[j->base_index] || drops_rest(j)) &&
		    !is_outrun(j, j->base))
			r = add_boxes(j, &j->boxes);
	}
	j->steps += j->boxes.count;
	return r < 0 ? r : j->boxes.count > 0;
}

/* The box in the topmost frame is through with its chain. */
static int leave_chain(struct judging *j)
{
	struct frame *frame = &j->frames[j->depth];

	if (j->depth) {
		end_part(&j->frames[--j->depth].box, &frame->box, frame->way);
		return 0;
	}
	j->walking = false;
	/* What comes to the end of a base chain. */
	if (drops_rest(j) && frame->box.state != BOX_GONE)
		return report(j, j->base, 0, EFFECT_POLICY, &frame->box, frame->box.doubt, &j->policy_reported);
	return 0;
}

static int go_on(struct judging *j)
{
	const struct frame *frame = &j->frames[j->depth];

	if (j->walking)
		return frame->at && frame->box.state == BOX_HERE ? step(j) : leave_chain(j);
	if (j->next_box == j->boxes.count) {
		int r = next_base(j);
		j->done = r == 0;
		return r < 0 ? r : 0;
	}
	j->depth = 0;
	j->walking = true;
	j->frames[0] = (struct frame){ .box = j->boxes.items[j->next_box++], .at = j->first_rule[j->base_index] };
	return 0;
}

static int find_holes(struct judging *j)
{
	static const struct range loopback[] = {
		{ { FAMILY_4, { 127 } }, { FAMILY_4, { 127, 255, 255, 255 } } },
		{ { FAMILY_6, { [15] = 1 } }, { FAMILY_6, { [15] = 1 } } },
	};
	int r = ranges_add_all(&j->not_targets, j->view->around->gateway);

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

int foreign_judge_begin(struct judging **ret, struct findings *out, const struct foreign_tables *tables,
			const struct policy *policy, const struct foreign_view *view, unsigned effects)
{
	size_t chains = tables->chains.count + 1, rules = tables->rules.count + 1, sets = tables->sets.count + 1;
	struct judging *j = calloc(1, sizeof(*j));

	*out = (struct findings){ .incomplete = tables->incomplete };
	if (!j)
		return -ENOMEM;
	*j = (struct judging){ .tables = tables,
			       .policy = policy,
			       .view = view,
			       .effects = effects,
			       .out = out,
			       .leads = calloc(chains, sizeof(*j->leads)),
			       .map_leads = calloc(sets, sizeof(*j->map_leads)),
			       .first_rule = calloc(chains, sizeof(*j->first_rule)),
			       .next_rule = calloc(rules, sizeof(*j->next_rule)),
			       .reported = calloc(rules, sizeof(*j->reported)),
			       .not_sources = calloc(policy->role_count + 1, sizeof(*j->not_sources)),
			       .frames = calloc(DEPTH_MAX + 1, sizeof(*j->frames)) };
	int r = j->leads && j->map_leads && j->first_rule && j->next_rule && j->reported && j->not_sources && j->frames
			? find_holes(j)
			: -ENOMEM;
	if (r < 0) {
		foreign_judge_end(j);
		return r;
	}
	find_leads(j);
	order_rules(j);
	j->done = effects & EFFECTS_INTERCEPT && policy->interception == INTERCEPTION_OFF;
	*ret = j;
	return 0;
}

static int finding_order(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	return x->base != y->base ? (x->base > y->base) - (x->base < y->base)
				  : (x->rule > y->rule) - (x->rule < y->rule);
}

int foreign_judge_some(struct judging *j, size_t steps)
{
	size_t until = j->steps + steps;
	int r = 0;

	while (!j->done && j->steps < until && r == 0) {
		if (j->steps > STEPS_MAX)
			j->done = j->out->incomplete = true;
		else
			r = go_on(j);
	}
	if (r == 0 && j->done && j->out->count)
		qsort(j->out->items, j->out->count, sizeof(*j->out->items), finding_order);
	return r < 0 ? r : !j->done;
}

void foreign_judge_end(struct judging *j)
{
	if (!j)
		return;
	free(j->leads);
	free(j->map_leads);
	free(j->first_rule);
	free(j->next_rule);
	free(j->reported);
	free(j->frames);
	free(j->boxes.items);
	ranges_free(&j->not_targets);
	for (size_t i = 0; j->not_sources && i < j->policy->role_count; i++)
		ranges_free(&j->not_sources[i]);
	free(j->not_sources);
	free(j);
}

int foreign_judge(struct findings *ret, const struct foreign_tables *tables, const struct policy *policy,
		  const struct foreign_view *view, unsigned effects)
{
	struct judging *j = NULL;
	int r = foreign_judge_begin(&j, ret, tables, policy, view, effects);

	if (r == 0)
		r = foreign_judge_some(j, SIZE_MAX / 2);
	foreign_judge_end(j);
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
		if (x->family != y->family || x->handle != y->handle || x->effect != y->effect ||
		    strcmp(x->table, y->table) != 0 || strcmp(x->chain, y->chain) != 0 || strcmp(x->flow, y->flow) != 0)
			return false;
	}
	return true;
}
