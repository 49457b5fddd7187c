/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "mutate.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct mutating {
	struct ruleset *ruleset;
	const struct mutate_calls *calls;
	struct mutant mutant;
};

static bool wanted(struct mutating *m)
{
	m->mutant.number++;
	return !m->calls->wanted || m->calls->wanted(m->calls->context, m->mutant.number - 1);
}

static void add_edge(struct mutating *m, enum key_type type, const uint8_t *bytes)
{
	if (m->mutant.edge_count == 4)
		return;
	m->mutant.edges[m->mutant.edge_count].type = type;
	memcpy(m->mutant.edges[m->mutant.edge_count++].bytes, bytes, KEY_SIZE_MAX);
}

static void try(struct mutating *m, const char *kind)
{
	struct mutant mutant = m->mutant;

	mutant.number--;
	mutant.kind = kind;
	m->calls->try(m->calls->context, &mutant);
}

static bool step(uint8_t *bytes, size_t size, bool up)
{
	for (size_t i = size; i-- > 0;) {
		if (up ? ++bytes[i] != 0 : bytes[i]-- != 0)
			return true;
	}
	return false;
}

/* Terms */

static enum key_type key_of_field(enum field field)
{
	switch (field) {
	case FIELD_IP_SADDR:
	case FIELD_IP_DADDR:
	case FIELD_CT_IP_DADDR: return KEY_IPV4;
	case FIELD_IP6_SADDR:
	case FIELD_IP6_DADDR:
	case FIELD_CT_IP6_DADDR: return KEY_IPV6;
	case FIELD_CT_DPORT:
	case FIELD_TCP_SPORT:
	case FIELD_TCP_DPORT:
	case FIELD_UDP_SPORT:
	case FIELD_UDP_DPORT: return KEY_PORT;
	case FIELD_IIFNAME:
	case FIELD_OIFNAME: return KEY_INTERFACE;
	case FIELD_ICMP_TYPE:
	case FIELD_ICMPV6_TYPE: return KEY_ICMPV6_TYPE;
	default: return KEY_PROTOCOL;
	}
}

static void try_term(struct mutating *m, struct term *term, struct term changed, const char *kind)
{
	struct term before = *term;

	if (!wanted(m))
		return;
	m->mutant.edge_count = 0;
	if (term->kind == TERM_MATCH) {
		enum key_type type = key_of_field((enum field)term->field);
		add_edge(m, type, before.first);
		add_edge(m, type, before.last);
		add_edge(m, type, changed.first);
		add_edge(m, type, changed.last);
	}
	*term = changed;
	try(m, kind);
	*term = before;
}

/* An operand is moved by one at either end. */
static void change_operand(struct mutating *m, struct term *term)
{
	size_t size = field_size((enum field)term->field);

	for (int end = 0; end < 2; end++) {
		for (int up = 0; up < 2; up++) {
			struct term changed = *term;
			bool one = memcmp(term->first, term->last, size) == 0;
			if (!step(end ? changed.last : changed.first, size, up) ||
			    memcmp(changed.first, changed.last, size) > 0)
				continue;
			try_term(m, term, changed, "one end of an operand");
			if (one && end)
				memcpy(changed.first, changed.last, KEY_SIZE_MAX);
			else if (one)
				memcpy(changed.last, changed.first, KEY_SIZE_MAX);
			if (one)
				try_term(m, term, changed, "an operand");
		}
	}
}

static void change_bits(struct mutating *m, struct term *term)
{
	static const uint32_t states[] = { CT_INVALID, CT_ESTABLISHED, CT_RELATED, CT_NEW, CT_UNTRACKED };

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct term changed = *term;
		changed.bits = term->field == FIELD_CT_STATE ? term->bits ^ states[i] : term->bits << (i + 1);
		try_term(m, term, changed, "bits");
	}
}

static bool has_operand(enum field field)
{
	switch (field) {
	case FIELD_TCP_SYN_ACK:
	case FIELD_TCP_RST:
	case FIELD_IP_LSRR:
	case FIELD_IP_SSRR:
	case FIELD_ROUTING:
	case FIELD_CT_STATE:
	case FIELD_CT_STATUS:
	case FIELD_FIB_LOCAL:
	case FIELD_FIB_UNICAST: return false;
	default: return true;
	}
}

/* Fields that could be meant instead: those of one size and kind, and those without an operand. */
static void change_field(struct mutating *m, struct term *term)
{
	for (enum field field = 0; field < FIELDS; field++) {
		struct term changed = *term;
		bool joined = field >= FIELD_IP_TARGET_FIRST, was_joined = term->field >= FIELD_IP_TARGET_FIRST;
		if (field == term->field || joined != was_joined ||
		    field_size(field) != field_size((enum field)term->field) ||
		    has_operand(field) != has_operand((enum field)term->field) ||
		    (field == FIELD_CT_STATE || term->field == FIELD_CT_STATE) ||
		    (field == FIELD_CT_STATUS || term->field == FIELD_CT_STATUS))
			continue;
		changed.field = (uint8_t)field;
		try_term(m, term, changed, "a field");
	}
}

static void change_set(struct mutating *m, struct term *term)
{
	const struct ruleset *ruleset = m->ruleset;
	const struct set *set = ruleset_find_set(ruleset, term->name);
	size_t tried = 0;

	for (size_t i = 0; set && i < ruleset->sets.count && tried < 3; i++) {
		const struct set *other =
			&ruleset->sets.items[((size_t)(set - ruleset->sets.items) + 1 + i) % ruleset->sets.count];
		struct term changed = *term;
		if (other == set || other->type != set->type ||
		    (other->flags & SET_VERDICTS) != (set->flags & SET_VERDICTS))
			continue;
		changed.name = other->name;
		try_term(m, term, changed, "another set");
		tried++;
	}
}

static const char *other_chain(const struct ruleset *ruleset, const char *name, size_t offset)
{
	for (size_t i = 0; i < ruleset->chains.count; i++)
		if (name && strcmp(ruleset->chains.items[i].name, name) == 0)
			return ruleset->chains.items[(i + offset) % ruleset->chains.count].name;
	return ruleset->chains.items[offset % ruleset->chains.count].name;
}

static bool leads(uint8_t action)
{
	return action == ACTION_JUMP || action == ACTION_GOTO;
}

static void change_action(struct mutating *m, struct term *term)
{
	for (uint8_t action = ACTION_ACCEPT; action <= ACTION_PROHIBIT; action++) {
		struct term changed = *term;
		if (action == term->action || (leads(action) && !leads(term->action)))
			continue;
		changed.action = action;
		if (!leads(action))
			changed.name = NULL;
		try_term(m, term, changed, "a verdict");
	}
	for (size_t offset = 1; leads(term->action) && offset < 4; offset++) {
		struct term changed = *term;
		changed.name = other_chain(m->ruleset, term->name, offset * 7 + 1);
		if (changed.name != term->name)
			try_term(m, term, changed, "where a jump leads");
	}
}

static void change_term(struct mutating *m, struct term *term)
{
	struct term changed = *term;

	switch (term->kind) {
	case TERM_MATCH:
		changed.negate = !changed.negate;
		try_term(m, term, changed, "a negation");
		if (term->field == FIELD_CT_STATE || term->field == FIELD_CT_STATUS)
			change_bits(m, term);
		else if (has_operand((enum field)term->field))
			change_operand(m, term);
		change_field(m, term);
		break;
	case TERM_IN:
		changed.negate = !changed.negate;
		try_term(m, term, changed, "a negation");
		change_field(m, term);
		change_set(m, term);
		break;
	case TERM_MAP:
		change_field(m, term);
		change_set(m, term);
		break;
	case TERM_COUNTER:
		for (size_t i = 0; i < m->ruleset->counters.count; i += 1 + m->ruleset->counters.count / 5) {
			changed.name = m->ruleset->counters.items[i];
			if (changed.name != term->name)
				try_term(m, term, changed, "a counter");
		}
		break;
	case TERM_LIMIT:
		changed.rate++;
		try_term(m, term, changed, "a rate");
		changed.rate--;
		changed.burst++;
		try_term(m, term, changed, "a burst");
		break;
	case TERM_LOG:
		changed.group++;
		try_term(m, term, changed, "a group");
		changed.group--;
		changed.snaplen++;
		try_term(m, term, changed, "a length");
		changed.snaplen--;
		changed.name = "spefw other ";
		try_term(m, term, changed, "a prefix");
		break;
	case TERM_PIN:
		changed.field = term->field == FIELD_IP_DADDR ? FIELD_IP6_DADDR : FIELD_IP_DADDR;
		try_term(m, term, changed, "the family of a pin");
		break;
	default: change_action(m, term);
	}
}

/* Rules */

static void remove_term(struct mutating *m, struct rule *rule, size_t at)
{
	struct term term = rule->items[at];

	if (!wanted(m))
		return;
	memmove(&rule->items[at], &rule->items[at + 1], (rule->count - at - 1) * sizeof(term));
	rule->count--;
	try(m, "no term");
	rule->count++;
	memmove(&rule->items[at + 1], &rule->items[at], (rule->count - at - 1) * sizeof(term));
	rule->items[at] = term;
}

static void swap_terms(struct mutating *m, struct rule *rule, size_t at)
{
	struct term a = rule->items[at], b = rule->items[at + 1];

	/* The kernel's rules end with their verdict. */
	if (b.kind == TERM_ACTION || b.kind == TERM_PIN || b.kind == TERM_MAP || !wanted(m))
		return;
	rule->items[at] = b;
	rule->items[at + 1] = a;
	try(m, "the order of terms");
	rule->items[at] = a;
	rule->items[at + 1] = b;
}

static void remove_rule(struct mutating *m, struct chain *chain, size_t at)
{
	struct rule rule = chain->items[at];

	if (!wanted(m))
		return;
	memmove(&chain->items[at], &chain->items[at + 1], (chain->count - at - 1) * sizeof(rule));
	chain->count--;
	try(m, "no rule");
	chain->count++;
	memmove(&chain->items[at + 1], &chain->items[at], (chain->count - at - 1) * sizeof(rule));
	chain->items[at] = rule;
}

static void swap_rules(struct mutating *m, struct chain *chain, size_t at)
{
	struct rule rule = chain->items[at];

	if (!wanted(m))
		return;
	chain->items[at] = chain->items[at + 1];
	chain->items[at + 1] = rule;
	try(m, "the order of rules");
	chain->items[at + 1] = chain->items[at];
	chain->items[at] = rule;
}

static void change_base(struct mutating *m, struct chain *chain)
{
	struct chain before = *chain;

	for (enum hook hook = HOOK_NONE; hook <= HOOK_OUTPUT; hook++) {
		if (hook == before.hook || !wanted(m))
			continue;
		chain->hook = hook;
		try(m, "a hook");
		chain->hook = before.hook;
	}
	if (before.hook == HOOK_NONE)
		return;
	for (int by = -1; by <= 1; by += 2) {
		if (!wanted(m))
			continue;
		chain->priority += by;
		try(m, "a priority");
		chain->priority = before.priority;
	}
	if (wanted(m)) {
		chain->nat = !chain->nat;
		try(m, "a type");
		chain->nat = before.nat;
	}
}

static void mutate_chain(struct mutating *m, struct chain *chain)
{
	m->mutant.chain = chain;
	m->mutant.rule = 0;
	change_base(m, chain);
	if (wanted(m)) {
		chain->altered = true;
		try(m, "rules of others");
		chain->altered = false;
	}
	for (size_t r = 0; r < chain->count; r++) {
		struct rule *rule = &chain->items[r];
		m->mutant.rule = r;
		remove_rule(m, chain, r);
		if (r + 1 < chain->count)
			swap_rules(m, chain, r);
		for (size_t t = 0; t < rule->count; t++) {
			change_term(m, &rule->items[t]);
			remove_term(m, rule, t);
			if (t + 1 < rule->count)
				swap_terms(m, rule, t);
		}
	}
	m->mutant.chain = NULL;
}

/* Sets */

static void set_edges(struct mutating *m, const struct set *set, const struct element *a, const struct element *b)
{
	m->mutant.edge_count = 0;
	add_edge(m, set->type, a->first);
	add_edge(m, set->type, a->last);
	if (b) {
		add_edge(m, set->type, b->first);
		add_edge(m, set->type, b->last);
	}
}

static void remove_element(struct mutating *m, struct set *set, size_t at)
{
	struct element element = set->items[at];

	if (!wanted(m))
		return;
	set_edges(m, set, &element, NULL);
	memmove(&set->items[at], &set->items[at + 1], (set->count - at - 1) * sizeof(element));
	set->count--;
	try(m, "no element");
	set->count++;
	memmove(&set->items[at + 1], &set->items[at], (set->count - at - 1) * sizeof(element));
	set->items[at] = element;
}

/* It still has to be a set that the kernel takes: of disjoint elements in their order. */
static bool fits(const struct set *set, size_t at)
{
	size_t size = key_size(set->type);
	const struct element *e = &set->items[at];

	return memcmp(e->first, e->last, size) <= 0 && (at == 0 || memcmp(e[-1].last, e->first, size) < 0) &&
	       (at + 1 == set->count || memcmp(e->last, e[1].first, size) < 0);
}

static void move_element(struct mutating *m, struct set *set, size_t at)
{
	struct element before = set->items[at], *element = &set->items[at];
	size_t size = key_size(set->type);

	for (int up = 0; up < 2; up++) {
		for (int end = 0; end < 2; end++) {
			bool stepped = step(end ? element->last : element->first, size, up);
			if (!(set->flags & SET_INTERVAL))
				memcpy(end ? element->first : element->last, end ? element->last : element->first,
				       KEY_SIZE_MAX);
			if (stepped && fits(set, at) && wanted(m)) {
				set_edges(m, set, &before, element);
				try(m, "an element");
			}
			*element = before;
		}
	}
}

static void change_verdict(struct mutating *m, struct set *set, size_t at)
{
	struct element before = set->items[at];

	for (uint8_t action = ACTION_ACCEPT; action <= ACTION_GOTO; action++) {
		if (action == before.action || !wanted(m))
			continue;
		set_edges(m, set, &before, NULL);
		set->items[at].action = action;
		try(m, "the verdict of an element");
		set->items[at] = before;
	}
	for (size_t offset = 1; leads(before.action) && offset < 4; offset++) {
		if (!wanted(m))
			continue;
		set_edges(m, set, &before, NULL);
		set->items[at].chain = other_chain(m->ruleset, before.chain, offset);
		try(m, "where an element leads");
		set->items[at] = before;
	}
}

static void change_form(struct mutating *m, struct set *set)
{
	static const unsigned flags[] = { SET_INTERVAL, SET_TIMEOUT, SET_VERDICTS, SET_KEPT };
	struct set before = *set;

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (!wanted(m))
			continue;
		set->flags ^= flags[i];
		try(m, "a set's flag");
		*set = before;
	}
	if (wanted(m)) {
		set->size++;
		try(m, "a set's size");
		*set = before;
	}
	if (wanted(m)) {
		set->type = set->type == KEY_PORT ? KEY_IPV4 : KEY_PORT;
		try(m, "a set's type");
		*set = before;
	}
	if (wanted(m)) {
		set->name = "another_name";
		try(m, "a set's name");
		*set = before;
	}
}

static void mutate_set(struct mutating *m, struct set *set)
{
	m->mutant.set = set;
	m->mutant.edge_count = 0;
	change_form(m, set);
	for (size_t i = 0; i < set->count; i++) {
		remove_element(m, set, i);
		move_element(m, set, i);
		if (set->flags & SET_VERDICTS)
			change_verdict(m, set, i);
	}
	m->mutant.edge_count = 0;
	m->mutant.set = NULL;
}

size_t mutate(struct ruleset *ruleset, const struct mutate_calls *calls)
{
	struct mutating m = { .ruleset = ruleset, .calls = calls };

	for (size_t i = 0; i < ruleset->chains.count; i++)
		mutate_chain(&m, &ruleset->chains.items[i]);
	for (size_t i = 0; i < ruleset->sets.count; i++)
		mutate_set(&m, &ruleset->sets.items[i]);
	for (size_t i = 0; i < ruleset->counters.count; i++) {
		const char *name = ruleset->counters.items[i];
		if (!wanted(&m))
			continue;
		ruleset->counters.items[i] = "another-name";
		try(&m, "a counter's name");
		ruleset->counters.items[i] = name;
	}
	return m.mutant.number;
}
