/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "foreign_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The walk of the boxes through the chains, and what is found on it. */

enum {
	DEPTH_MAX = 16,               /* as the kernel has it */
	STEPS_MAX = 16 * 1000 * 1000, /* in all: a second or so */
	ROUNDS_MAX = 32,              /* chains nest less deep */
	PIN_PRIORITY = -199,
};

/* What a rule does matters to the box. */
static bool concerns(const struct judging *j, const struct box *box, const struct foreign_rule *rule)
{
	bool translates = rule->effect == EFFECT_REDIRECT || rule->effect == EFFECT_DNAT, is_dns = false;
	bool to_protected = rule->has_target && ranges_contains(&j->policy->protected_all, &rule->target);

	/* What is looked for is another port of a protected machine. */
	if (rule->effect == EFFECT_DNAT && j->effects & 1 << EFFECT_PORT)
		return to_protected;
	if (!is_looked_for(j->effects, rule->effect))
		return false;
	if (j->packet)
		return !translates || !box->reply;
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

/* The box at a verdict that ends its way here: how much of it goes on. */
static int end_box(struct judging *j, const struct foreign_rule *rule, struct box *box, struct share share,
		   enum way way, bool drops)
{
	if (drops && is_looked_for(j->effects, EFFECT_DROP) && !box->some_peers && !share.peers) {
		int r = add_finding(j, rule, EFFECT_DROP, box, !share.all || box->some || box->doubt);
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
	return add_finding(j, rule, j->effects & 1 << EFFECT_PORT ? EFFECT_PORT : (enum effect)rule->effect, box,
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
		frame->element =
			ascending ? first_element_from(map, frame->box.first[field], rule_field_size(field)) : 0;
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

static bool rule_leads(const struct judging *j, const struct foreign_rule *rule)
{
	if (is_looked_for(j->effects, rule->effect) || (rule->effect == EFFECT_DNAT && j->effects & 1 << EFFECT_PORT))
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

/* Chains that lead to an effect, by whatever way. Each round knows one jump more; in what nests deeper than the kernel
 * allows, any may. */
static void find_leads(struct judging *j)
{
	bool more = true;

	for (int round = 0; more && round < ROUNDS_MAX; round++) {
		more = false;
		for (size_t i = 0; i < j->tables->sets.count; i++) /* once, however many rules use one */
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
	return (!j->packet || j->packet->pinned) && !(j->effects & 1 << EFFECT_PORT) &&
	       j->policy->interception == INTERCEPTION_PREVENT && j->policy->mode == MODE_ENFORCE && chain->nat &&
	       chain->place == PLACE_PREROUTING && chain->priority > PIN_PRIORITY;
}

static bool drops_rest(const struct judging *j)
{
	return j->base->drops && j->effects & 1 << EFFECT_POLICY;
}

/* The next base chain that matters, and its boxes. 1; 0: there is none; or a negative errno. */
static int next_base(struct judging *j)
{
	int r = 0;

	j->boxes.count = j->next_box = j->policy_finding = 0;
	while (j->next_chain < j->tables->chains.count && !j->boxes.count && r == 0) {
		j->base_index = j->next_chain++;
		j->base = &j->tables->chains.items[j->base_index];
		j->steps++;
		if (j->base->place != PLACE_NONE && (j->leads[j->base_index] || drops_rest(j)) &&
		    !is_outrun(j, j->base))
			r = j->packet ? add_packet_boxes(j, &j->boxes) : add_boxes(j, &j->boxes);
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
		return add_finding(j, NULL, EFFECT_POLICY, &frame->box, frame->box.doubt);
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
	int r = ranges_add_all(&j->not_targets, j->view->environment->gateway);

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
			       .finding_of = calloc(rules, sizeof(*j->finding_of)),
			       .not_sources = calloc(policy->role_count + 1, sizeof(*j->not_sources)),
			       .frames = calloc(DEPTH_MAX + 1, sizeof(*j->frames)) };
	int r = j->leads && j->map_leads && j->first_rule && j->next_rule && j->finding_of && j->not_sources &&
				j->frames
			? find_holes(j)
			: -ENOMEM;
	if (r < 0) {
		foreign_judge_end(j);
		return r;
	}
	find_leads(j);
	order_rules(j);
	j->done = !(effects & EFFECTS_STOP) && effects & EFFECTS_INTERCEPT && policy->interception == INTERCEPTION_OFF;
	*ret = j;
	return 0;
}

int foreign_explain_begin(struct judging **ret, struct findings *out, const struct foreign_tables *tables,
			  const struct policy *policy, const struct foreign_view *view,
			  const struct foreign_packet *packet)
{
	int r = foreign_judge_begin(ret, out, tables, policy, view, EFFECTS_STOP | EFFECTS_INTERCEPT);

	if (r == 0)
		(*ret)->packet = packet;
	return r;
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
	free(j->finding_of);
	free(j->frames);
	free(j->boxes.items);
	ranges_free(&j->not_targets);
	for (size_t i = 0; j->not_sources && i < j->policy->role_count; i++)
		ranges_free(&j->not_sources[i]);
	free(j->not_sources);
	free(j);
}

static int judge_all(struct judging *j, int r, struct findings *ret)
{
	if (r == 0)
		r = foreign_judge_some(j, SIZE_MAX / 2);
	foreign_judge_end(j);
	if (r < 0)
		findings_free(ret);
	return r;
}

int foreign_judge(struct findings *ret, const struct foreign_tables *tables, const struct policy *policy,
		  const struct foreign_view *view, unsigned effects)
{
	struct judging *j = NULL;
	int r = foreign_judge_begin(&j, ret, tables, policy, view, effects);
	return judge_all(j, r, ret);
}

int foreign_explain(struct findings *ret, const struct foreign_tables *tables, const struct policy *policy,
		    const struct foreign_view *view, const struct foreign_packet *packet)
{
	struct judging *j = NULL;
	int r = foreign_explain_begin(&j, ret, tables, policy, view, packet);
	return judge_all(j, r, ret);
}
