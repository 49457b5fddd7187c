/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "foreign_parts.h"

#include <string.h>

/* Whether a rule meets a box, and how much of it. */

/* No box comes by the loopback interface. And what the server's neighbours send to it does not pass the gateway: rules
 * for their interface mean connections that they open to others. */
static bool may_come_by(const struct box *box, const uint8_t *interface)
{
	if (strncmp((const char *)interface, "lo", FOREIGN_KEY_MAX) == 0)
		return false;
	for (size_t i = 0; box->neighbours && i < box->neighbours->count; i++)
		if (strncmp((const char *)interface, box->neighbours->names[i], FOREIGN_KEY_MAX) == 0)
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
	if (field == RULE_IN_INTERFACE)
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
size_t first_element_from(const struct foreign_set *set, const uint8_t *value, size_t size)
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
	for (size_t i = first_element_from(set, next, size); i < set->count; i++) {
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

const struct set_element *element_met(struct judging *j, const struct box *box, enum rule_field field,
				      const struct foreign_set *set)
{
	size_t size = rule_field_size(field);

	for (size_t i = first_element_from(set, box->first[field], size);
	     i < set->count && memcmp(set->items[i].first, box->last[field], size) <= 0; i++) {
		j->steps++;
		if (meets_interval(box, field, set->items[i].first, set->items[i].last))
			return &set->items[i];
	}
	return NULL;
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
	bool some = set ? element_met(j, box, field, set) != NULL
			: meets_interval(box, field, condition->first, condition->last);
	bool all = set ? takes_set(j, box, field, set) : takes_interval(box, field, condition->first, condition->last);
	*ret_takes = condition->negate ? !some : all;
	return condition->negate ? !all : some;
}

bool is_of_peer(const struct box *box, enum rule_field field)
{
	bool from_own = box->inbound == box->reply;
	return from_own ? field == RULE_TARGET_4 || field == RULE_TARGET_6
			: field == RULE_SOURCE_4 || field == RULE_SOURCE_6;
}

bool meets_rule(struct judging *j, const struct box *box, const struct foreign_rule *rule, struct share *ret)
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

/* What an element of the rule's map, or the rule itself, has of the box. */
bool meets_element(struct judging *j, const struct box *box, const struct foreign_rule *rule,
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

struct box part_of(const struct judging *j, const struct box *box, const struct foreign_rule *rule,
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
