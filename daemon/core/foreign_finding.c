/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "foreign_parts.h"
#include "array.h"
#include "owners.h"
#include "printable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is found on the walk: which rule, whose it is, and of what traffic it was. */

enum { FINDINGS_MAX = 1000 }; /* all of them are compared, logged and shown */

/* Anything may stand in the name of another program's table: it must do no harm where it is shown. */
static char *shown(const char *name)
{
	char *copy = strdup(name);

	if (copy)
		make_printable(copy);
	return copy;
}

static struct range range_in(const struct box *box, enum rule_field field)
{
	struct range range = { { .family = box->family }, { .family = box->family } };

	memcpy(range.first.bytes, box->first[field], rule_field_size(field));
	memcpy(range.last.bytes, box->last[field], rule_field_size(field));
	return range;
}

static void narrow_to(struct range *range, const uint8_t *first, const uint8_t *last)
{
	size_t size = addr_size((enum family)range->first.family);

	if (memcmp(first, range->first.bytes, size) > 0)
		memcpy(range->first.bytes, first, size);
	if (memcmp(last, range->last.bytes, size) < 0)
		memcpy(range->last.bytes, last, size);
}

static bool is_named(const struct foreign_set *set)
{
	return set->family != FAMILY_OF_LIST && strncmp(set->name, "__", 2) != 0;
}

/* The peers that the rule speaks of: those of the box, as far as its conditions go. Of a set, one element. */
static struct range peer_of(struct judging *j, const struct foreign_rule *rule, const struct box *box,
			    enum rule_field field, const struct foreign_set **ret_set)
{
	struct range peer = range_in(box, field);

	for (size_t i = 0; rule && i < rule->condition_count; i++) {
		const struct rule_condition *condition = &j->tables->conditions.items[rule->conditions + i];
		if (condition->field != field || condition->negate || condition->masked)
			continue;
		if (!condition->set) {
			narrow_to(&peer, condition->first, condition->last);
			continue;
		}
		const struct foreign_set *set = &j->tables->sets.items[condition->set - 1];
		const struct set_element *element = set->known ? element_met(j, box, field, set) : NULL;
		if (is_named(set))
			*ret_set = set;
		if (element) {
			memcpy(peer.first.bytes, element->first, rule_field_size(field));
			memcpy(peer.last.bytes, element->last, rule_field_size(field));
		}
	}
	return peer;
}

static bool has_large_set(const struct judging *j, const struct foreign_rule *rule)
{
	for (size_t i = 0; i < rule->condition_count; i++) {
		const struct rule_condition *condition = &j->tables->conditions.items[rule->conditions + i];
		if (condition->set && j->tables->sets.items[condition->set - 1].large)
			return true;
	}
	return false;
}

static void add_traffic(struct finding *finding, const struct box *box)
{
	bool from_own = box->inbound == box->reply;
	bool four = box->family == FAMILY_4;
	enum rule_field own = from_own ? four ? RULE_SOURCE_4 : RULE_SOURCE_6 : four ? RULE_TARGET_4 : RULE_TARGET_6;

	finding->meets |= box->inbound ? box->reply ? MEETS_ANSWER_OUT : MEETS_OPENING_IN
			  : box->reply ? MEETS_ANSWER_IN
				       : MEETS_OPENING_OUT;
	if (!finding->has_own[box->family])
		finding->own[box->family] = range_in(box, own);
	finding->has_own[box->family] = true;
}

/* What is stopped by one of several ways may go by another: only where all of them are it is certain. */
static bool is_certain(struct finding *finding, const struct box *box, bool may)
{
	bool stops = finding->effect == EFFECT_DROP || finding->effect == EFFECT_POLICY;

	if (may || box->ways == 1 || !stops)
		return !may;
	bool same = finding->ways && finding->ways_of == box->first_way;
	if (same && finding->last_way == box->way)
		return false;
	finding->ways = same ? finding->ways + 1 : 1;
	finding->ways_of = box->first_way;
	finding->last_way = box->way;
	return finding->ways == box->ways;
}

static int fill_names(struct judging *j, const struct foreign_chain *chain, const struct foreign_rule *rule,
		      const struct box *box, struct finding *finding)
{
	bool from_own = box->inbound == box->reply, four = box->family == FAMILY_4;
	enum rule_field field = from_own ? four ? RULE_TARGET_4 : RULE_TARGET_6 : four ? RULE_SOURCE_4 : RULE_SOURCE_6;
	const struct foreign_set *set = NULL;
	struct range all = range_all((enum family)box->family);

	finding->peer = peer_of(j, rule, box, field, &set);
	finding->has_peer = addr_compare(&finding->peer.first, &all.first) != 0 ||
			    addr_compare(&finding->peer.last, &all.last) != 0;
	finding->owner = owner_of(j->tables, chain, set ? set->name : NULL);
	finding->table = shown(chain->table);
	finding->chain = shown(chain->name);
	finding->set = set ? shown(set->name) : NULL;
	finding->listed = set && set->known;
	finding->unread = rule && has_large_set(j, rule);
	return finding->table && finding->chain && (!set || finding->set) ? 0 : -ENOMEM;
}

/* 1: it is there; 0: there are too many; or -ENOMEM. */
static int add_new(struct judging *j, const struct foreign_chain *chain, const struct foreign_rule *rule,
		   const struct box *box, struct finding *finding)
{
	if (j->out->count >= FINDINGS_MAX) {
		j->out->incomplete = true;
		return 0;
	}
	int r = fill_names(j, chain, rule, box, finding);
	if (r == 0)
		r = ARRAY_PUSH(j->out, *finding) < 0 ? -ENOMEM : 1;
	if (r < 0)
		finding_free(finding);
	return r;
}

/* Flows come one after the other. */
static void add_to(struct finding *finding, const struct box *box, const char *flow, bool may)
{
	bool certain = is_certain(finding, box, may);

	finding->flow_count += strcmp(finding->last_flow, flow) != 0;
	memcpy(finding->last_flow, flow, strlen(flow) + 1);
	if (finding->may && certain)
		memcpy(finding->flow, flow, strlen(flow) + 1);
	finding->may &= !certain;
	add_traffic(finding, box);
}

int add_finding(struct judging *j, const struct foreign_rule *rule, enum effect effect, const struct box *box, bool may)
{
	const struct foreign_chain *chain = rule ? &j->tables->chains.items[rule->chain] : j->base;
	size_t *found = rule ? &j->finding_of[rule - j->tables->rules.items] : &j->policy_finding;
	const char *flow = box->flow ? box->flow->id : "";
	struct finding finding = { .family = chain->family,
				   .handle = rule ? rule->handle : 0,
				   .number = rule ? rule->number : 0,
				   .effect = effect,
				   .rejects = effect == EFFECT_DROP && rule && rule->rejects,
				   .place = j->base->place,
				   .flow_count = 1,
				   .legacy = chain->legacy,
				   .base = j->base_index,
				   .rule = rule ? (size_t)(rule - j->tables->rules.items) : SIZE_MAX };

	if (*found) {
		add_to(&j->out->items[*found - 1], box, flow, may);
		return 0;
	}
	finding.may = !is_certain(&finding, box, may);
	memcpy(finding.flow, flow, strlen(flow) + 1);
	memcpy(finding.last_flow, flow, strlen(flow) + 1);
	add_traffic(&finding, box);
	int r = add_new(j, chain, rule, box, &finding);
	if (r > 0)
		*found = j->out->count;
	return r < 0 ? r : 0;
}
