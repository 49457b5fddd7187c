/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof_program.h"
#include "array.h"
#include "hash.h"

#include <errno.h>
#include <string.h>

/* Names to indices. */
struct name_index {
	const char **names;
	uint32_t *buckets; /* index + 1 */
	size_t bucket_count;
};

static uint64_t hash_name(const char *name)
{
	return hash_bytes(HASH_START, name, strlen(name));
}

static int index_begin(struct name_index *index, size_t count)
{
	index->bucket_count = 16;
	while (index->bucket_count < count * 2)
		index->bucket_count *= 2;
	index->names = calloc(count + 1, sizeof(*index->names));
	index->buckets = calloc(index->bucket_count, sizeof(*index->buckets));
	return index->names && index->buckets ? 0 : -ENOMEM;
}

static void index_free(struct name_index *index)
{
	free(index->names);
	free(index->buckets);
}

static uint32_t index_find(const struct name_index *index, const char *name)
{
	if (!name)
		return NOWHERE;
	for (size_t at = hash_name(name) & (index->bucket_count - 1); index->buckets[at];
	     at = (at + 1) & (index->bucket_count - 1))
		if (strcmp(index->names[index->buckets[at] - 1], name) == 0)
			return index->buckets[at] - 1;
	return NOWHERE;
}

/* The first of a name counts, as for ruleset_find_set(). */
static void index_add(struct name_index *index, const char *name, size_t number)
{
	if (index_find(index, name) != NOWHERE)
		return;
	size_t at = hash_name(name) & (index->bucket_count - 1);
	while (index->buckets[at])
		at = (at + 1) & (index->bucket_count - 1);
	index->names[number] = name;
	index->buckets[at] = (uint32_t)number + 1;
}

struct builder {
	struct program *program;
	struct space *space;
	const struct ruleset *ruleset;
	struct name_index chains, sets, counters;
	struct {
		struct span *items;
		size_t count, capacity;
	} spans; /* of the predicate that is being made */
	int result;
};

static void build_failed(struct builder *b)
{
	b->result = -ENOMEM;
}

/* Which variable a field is, and what the kernel asserts before it loads it. */
static const struct field_form {
	uint8_t variable;
	uint8_t family; /* FAMILIES: any */
	uint8_t protocol;
	bool connection; /* there has to be one */
	bool value;      /* an ordinary value, which may be compared and looked up */
} forms[FIELDS] = {
	[FIELD_IP_SADDR] = { VARIABLE_SOURCE, FAMILY_4, 0, false, true },
	[FIELD_IP_DADDR] = { VARIABLE_TARGET, FAMILY_4, 0, false, true },
	[FIELD_IP6_SADDR] = { VARIABLE_SOURCE, FAMILY_6, 0, false, true },
	[FIELD_IP6_DADDR] = { VARIABLE_TARGET, FAMILY_6, 0, false, true },
	[FIELD_CT_IP_DADDR] = { VARIABLE_ORIGINAL, FAMILY_4, 0, true, true },
	[FIELD_CT_IP6_DADDR] = { VARIABLE_ORIGINAL, FAMILY_6, 0, true, true },
	[FIELD_CT_DPORT] = { VARIABLE_ORIGINAL_DPORT, FAMILIES, 0, true, true },
	[FIELD_TCP_SPORT] = { VARIABLE_SPORT, FAMILIES, IPPROTO_TCP_, false, true },
	[FIELD_TCP_DPORT] = { VARIABLE_DPORT, FAMILIES, IPPROTO_TCP_, false, true },
	[FIELD_UDP_SPORT] = { VARIABLE_SPORT, FAMILIES, IPPROTO_UDP_, false, true },
	[FIELD_UDP_DPORT] = { VARIABLE_DPORT, FAMILIES, IPPROTO_UDP_, false, true },
	[FIELD_TCP_SYN_ACK] = { VARIABLE_TCP_FLAGS, FAMILIES, IPPROTO_TCP_, false, false },
	[FIELD_TCP_RST] = { VARIABLE_TCP_FLAGS, FAMILIES, IPPROTO_TCP_, false, false },
	[FIELD_L4PROTO] = { VARIABLE_PROTOCOL, FAMILIES, 0, false, true },
	[FIELD_ICMP_TYPE] = { VARIABLE_ICMP_TYPE, FAMILY_4, IPPROTO_ICMP_, false, true },
	[FIELD_ICMPV6_TYPE] = { VARIABLE_ICMP_TYPE, FAMILY_6, IPPROTO_ICMPV6_, false, true },
	[FIELD_IP6_HOPLIMIT] = { VARIABLE_HOP_LIMIT, FAMILY_6, 0, false, true },
	[FIELD_IP6_NEXTHDR] = { VARIABLE_NEXT_HEADER, FAMILY_6, 0, false, true },
	[FIELD_FIRST_BYTE] = { VARIABLE_FIRST_BYTE, FAMILIES, 0, false, true },
	[FIELD_IP_LSRR] = { VARIABLE_OPTION, FAMILY_4, 0, false, false },
	[FIELD_IP_SSRR] = { VARIABLE_OPTION, FAMILY_4, 0, false, false },
	[FIELD_ROUTING] = { VARIABLE_ROUTING, FAMILY_6, 0, false, false },
	[FIELD_SEGMENTS_LEFT] = { VARIABLE_ROUTING, FAMILY_6, 0, false, false },
	[FIELD_CT_STATE] = { VARIABLE_STATE, FAMILIES, 0, false, false },
	[FIELD_CT_STATUS] = { VARIABLE_DNAT, FAMILIES, 0, true, false },
	[FIELD_CT_DIRECTION] = { VARIABLE_DIRECTION, FAMILIES, 0, true, true },
	[FIELD_IIFNAME] = { VARIABLE_IIF, FAMILIES, 0, false, true },
	[FIELD_OIFNAME] = { VARIABLE_OIF, FAMILIES, 0, false, true },
	[FIELD_PKTTYPE] = { VARIABLE_PACKET_TYPE, FAMILIES, 0, false, true },
	[FIELD_FIB_LOCAL] = { VARIABLE_FIB, FAMILIES, 0, false, false },
	[FIELD_FIB_UNICAST] = { VARIABLE_FIB, FAMILIES, 0, false, false },
	[FIELD_IP_TARGET_FIRST] = { VARIABLE_CUT, FAMILY_4, IPPROTO_TCP_, false, false },
	[FIELD_IP_SOURCE_FIRST] = { VARIABLE_CUT, FAMILY_4, IPPROTO_TCP_, false, false },
	[FIELD_IP6_TARGET_FIRST] = { VARIABLE_CUT, FAMILY_6, IPPROTO_TCP_, false, false },
	[FIELD_IP6_SOURCE_FIRST] = { VARIABLE_CUT, FAMILY_6, IPPROTO_TCP_, false, false },
};

/* Predicates */

static void put_span(struct builder *b, struct key first, struct key last)
{
	struct span *before = b->spans.count ? &b->spans.items[b->spans.count - 1] : NULL;

	if (before && key_compare(key_next(before->last), first) == 0)
		before->last = last;
	else if (ARRAY_PUSH(&b->spans, (struct span){ first, last }) < 0)
		build_failed(b);
}

static uint32_t add_predicate(struct builder *b, enum variable variable)
{
	uint32_t predicate = NOWHERE;

	if (domain_add(space_domain(b->space, variable), b->spans.items, b->spans.count, &predicate) < 0)
		build_failed(b);
	return predicate;
}

static void put_test(struct builder *b, struct step *step, enum variable variable, bool negate)
{
	struct test test = { .variable = (uint8_t)variable, .negate = negate, .predicate = add_predicate(b, variable) };

	if (ARRAY_PUSH(&b->program->tests, test) < 0)
		build_failed(b);
	step->test_count++;
}

static struct key number(uint64_t value)
{
	return (struct key){ 0, value };
}

static void test_number(struct builder *b, struct step *step, enum variable variable, uint64_t value)
{
	b->spans.count = 0;
	put_span(b, number(value), number(value));
	put_test(b, step, variable, false);
}

static void unknown(struct builder *b, struct step *step, const char *why)
{
	b->program->tests.count = step->tests;
	*step = (struct step){ .kind = STEP_UNKNOWN, .tests = step->tests, .text = why };
}

/* What the kernel asserts for the field. False: no packet of this family has it. */
static bool assert_field(struct builder *b, struct step *step, enum field field)
{
	const struct field_form *form = &forms[field];

	if (form->family != FAMILIES && form->family != b->space->family) {
		*step = (struct step){ .kind = STEP_NEVER, .tests = step->tests };
		return false;
	}
	if (form->protocol)
		test_number(b, step, VARIABLE_PROTOCOL, form->protocol);
	if (form->connection) {
		b->spans.count = 0;
		put_span(b, number(STATE_ESTABLISHED), number(STATE_NEW));
		put_test(b, step, VARIABLE_STATE, false);
	}
	if (field == FIELD_SEGMENTS_LEFT) { /* a routing header */
		b->spans.count = 0;
		put_span(b, number(1), number(256));
		put_test(b, step, VARIABLE_ROUTING, false);
	}
	return true;
}

/* TERM_MATCH */

static bool is_prefix(const struct term *term, size_t size)
{
	bool host = false;

	for (size_t bit = 0; bit < size * 8; bit++) {
		bool a = term->first[bit / 8] & 0x80 >> bit % 8, z = term->last[bit / 8] & 0x80 >> bit % 8;
		host |= a != z;
		if (host && (a || !z))
			return false;
	}
	return true;
}

/* The name of an interface ends, and then is nothing but zeros: no packet has another. */
static bool is_interface(const uint8_t name[KEY_SIZE_MAX])
{
	size_t length = strnlen((const char *)name, KEY_SIZE_MAX);

	while (length < KEY_SIZE_MAX && !name[length])
		length++;
	return length == KEY_SIZE_MAX && !name[KEY_SIZE_MAX - 1];
}

/* Forms that are no terms of ours, and that no rule can be made of, are nothing that is known. */
static void match_value(struct builder *b, struct step *step, const struct term *term)
{
	size_t size = field_size((enum field)term->field);
	struct key first = key_of(term->first, size), last = key_of(term->last, size);
	bool one = key_compare(first, last) == 0;

	bool interface = forms[term->field].variable == VARIABLE_IIF || forms[term->field].variable == VARIABLE_OIF;

	if (key_compare(first, last) > 0 || ((size == 1 || interface) && !one) ||
	    (term->negate && !is_prefix(term, size)))
		unknown(b, step, "a range of an unknown form");
	else if (assert_field(b, step, (enum field)term->field)) {
		b->spans.count = 0;
		if (!interface || is_interface(term->first))
			put_span(b, first, last);
		put_test(b, step, forms[term->field].variable, term->negate);
	}
}

static void match_flags(struct builder *b, struct step *step, const struct term *term)
{
	uint64_t mask = term->field == FIELD_TCP_RST ? 0x04 : 0x12, value = term->field == FIELD_TCP_RST ? 0x04 : 0x02;

	b->spans.count = 0;
	for (uint64_t flags = 0; flags < 256; flags++)
		if ((flags & mask) == value)
			put_span(b, number(flags), number(flags));
	put_test(b, step, VARIABLE_TCP_FLAGS, term->negate);
}

static void match_state(struct builder *b, struct step *step, const struct term *term)
{
	static const uint32_t bits[STATES] = { CT_INVALID, CT_ESTABLISHED, CT_RELATED, CT_NEW, CT_UNTRACKED };

	b->spans.count = 0;
	for (uint64_t state = 0; state < STATES; state++)
		if (term->bits & bits[state])
			put_span(b, number(state), number(state));
	put_test(b, step, VARIABLE_STATE, term->negate);
}

/* One of two bits that a variable has, or both of them. */
static void test_bit(struct builder *b, struct step *step, enum variable variable, unsigned bit, bool negate)
{
	b->spans.count = 0;
	put_span(b, number(bit), number(bit));
	put_span(b, number(3), number(3));
	put_test(b, step, variable, negate);
}

static void test_flag(struct builder *b, struct step *step, enum variable variable, uint64_t first, uint64_t last,
		      bool negate)
{
	b->spans.count = 0;
	put_span(b, number(first), number(last));
	put_test(b, step, variable, negate);
}

static void match_plain(struct builder *b, struct step *step, const struct term *term)
{
	enum field field = (enum field)term->field;

	bool negatable = field == FIELD_TCP_SYN_ACK || field == FIELD_CT_STATE || field == FIELD_CT_STATUS ||
			 field == FIELD_SEGMENTS_LEFT;

	if ((term->negate && !negatable) || (field == FIELD_SEGMENTS_LEFT && term->first[0] != term->last[0]) ||
	    (field == FIELD_CT_STATUS && term->bits != CT_STATUS_DNAT) || field >= FIELD_IP_TARGET_FIRST) {
		unknown(b, step, "a match of an unknown form");
		return;
	}
	if (!assert_field(b, step, field))
		return;
	switch (field) {
	case FIELD_TCP_SYN_ACK:
	case FIELD_TCP_RST: match_flags(b, step, term); break;
	case FIELD_CT_STATE: match_state(b, step, term); break;
	case FIELD_FIB_LOCAL: test_number(b, step, VARIABLE_FIB, FIB_LOCAL); break;
	case FIELD_FIB_UNICAST: test_number(b, step, VARIABLE_FIB, FIB_UNICAST); break;
	case FIELD_IP_LSRR: test_bit(b, step, VARIABLE_OPTION, 1, false); break;
	case FIELD_IP_SSRR: test_bit(b, step, VARIABLE_OPTION, 2, false); break;
	case FIELD_ROUTING: test_flag(b, step, VARIABLE_ROUTING, 1, 256, false); break;
	case FIELD_SEGMENTS_LEFT:
		test_flag(b, step, VARIABLE_ROUTING, 1U + term->first[0], 1U + term->first[0], term->negate);
		break;
	default: test_flag(b, step, VARIABLE_DNAT, 1, 1, term->negate); break;
	}
}

/* Sets and maps */

/* The same element twice is one for the kernel. */
static bool is_repeated(const struct set *set, size_t i)
{
	const struct element *a = &set->items[i - 1], *b = &set->items[i];

	return memcmp(a->first, b->first, KEY_SIZE_MAX) == 0 && memcmp(a->last, b->last, KEY_SIZE_MAX) == 0 &&
	       a->action == b->action &&
	       (a->chain == b->chain || (a->chain && b->chain && !strcmp(a->chain, b->chain)));
}

static bool element_is_sound(const struct set *set, size_t i, size_t size)
{
	const struct element *element = &set->items[i];
	int order = memcmp(element->first, element->last, size);

	if (order > 0 || (order < 0 && !(set->flags & SET_INTERVAL)))
		return false;
	return i == 0 || memcmp(set->items[i - 1].last, element->first, size) < 0 || is_repeated(set, i);
}

static bool set_is_sound(const struct set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (!element_is_sound(set, i, key_size(set->type)))
			return false;
	return true;
}

static void put_element(struct builder *b, const struct element *element, size_t size, enum domain_kind domain)
{
	struct key first = key_of(element->first, size);
	const struct span *before = b->spans.count ? &b->spans.items[b->spans.count - 1] : NULL;

	if (before && key_compare(first, before->last) <= 0) /* once more the same */
		return;
	if (domain != DOMAIN_INTERFACE || is_interface(element->first))
		put_span(b, first, key_of(element->last, size));
}

static uint32_t set_predicate(struct builder *b, struct program_set *set, enum variable variable)
{
	enum domain_kind domain = variable_domain(variable);

	if (set->predicate != NOWHERE && set->predicate_domain == domain)
		return set->predicate;
	b->spans.count = 0;
	for (size_t i = 0; i < set->set->count; i++)
		put_element(b, &set->set->items[i], key_size(set->set->type), domain);
	set->predicate_domain = domain;
	return set->predicate = add_predicate(b, variable);
}

/* Elements by where they lead, those of one outcome in their order. */
struct ordered {
	uint32_t chain, element;
	uint8_t action;
};

static int ordered_compare(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;

	if (x->action != y->action)
		return x->action < y->action ? -1 : 1;
	if (x->chain != y->chain)
		return x->chain < y->chain ? -1 : 1;
	return x->element < y->element ? -1 : x->element > y->element;
}

static void add_outcomes(struct builder *b, uint32_t map, const struct set *set, const struct ordered *order)
{
	enum domain_kind domain = b->space->maps.items[map].domain;

	for (size_t i = 0; i < set->count;) {
		size_t from = i;
		b->spans.count = 0;
		for (; i < set->count && order[i].chain == order[from].chain && order[i].action == order[from].action;
		     i++)
			put_element(b, &set->items[order[i].element], key_size(set->type), domain);
		if (space_add_outcome(b->space, map, b->spans.items, b->spans.count, order[from].action,
				      order[from].chain) < 0)
			build_failed(b);
	}
}

static uint32_t build_map(struct builder *b, struct program_set *set, enum variable variable)
{
	enum domain_kind domain = variable_domain(variable);

	if (set->map != NOWHERE && set->map_domain == domain)
		return set->map;
	struct ordered *order = malloc((set->set->count + 1) * sizeof(*order));
	for (size_t i = 0; order && i < set->set->count; i++) {
		const struct element *element = &set->set->items[i];
		bool leads = element->action == ACTION_JUMP || element->action == ACTION_GOTO;
		order[i] = (struct ordered){ leads ? index_find(&b->chains, element->chain) : 0, (uint32_t)i,
					     element->action };
	}
	if (!order || space_add_map(b->space, domain, &set->map) < 0) {
		free(order);
		build_failed(b);
		return NOWHERE;
	}
	qsort(order, set->set->count, sizeof(*order), ordered_compare);
	add_outcomes(b, set->map, set->set, order);
	free(order);
	set->map_domain = domain;
	return set->map;
}

/* What was cut is no part of the ruleset: whether a packet is in such a set is a variable of its own. */
static void look_up_kept(struct builder *b, struct step *step, const struct term *term, const struct set *set)
{
	enum field field = (enum field)term->field;
	bool target_first = field == FIELD_IP_TARGET_FIRST || field == FIELD_IP6_TARGET_FIRST, fits = false;

	if (field == FIELD_L4PROTO)
		fits = set->type == KEY_PROTOCOL && strcmp(set->name, "cut_full") == 0 && !term->negate;
	else if (field >= FIELD_IP_TARGET_FIRST)
		fits = set->type == (forms[field].family == FAMILY_4 ? KEY_CUT_4 : KEY_CUT_6) &&
		       strcmp(set->name, set->type == KEY_CUT_4 ? "cut_4" : "cut_6") == 0;
	if (!fits || term->kind != TERM_IN) {
		unknown(b, step, "a lookup of another form of what was cut");
		return;
	}
	if (!assert_field(b, step, field))
		return;
	if (field == FIELD_L4PROTO) {
		test_number(b, step, VARIABLE_PROTOCOL, IPPROTO_TCP_); /* its only element */
		test_number(b, step, VARIABLE_CUT_FULL, 1);
		return;
	}
	test_bit(b, step, VARIABLE_CUT, target_first ? 1 : 2, term->negate);
}

static void look_up(struct builder *b, struct step *step, const struct term *term)
{
	enum field field = (enum field)term->field;
	uint32_t index = index_find(&b->sets, term->name);
	struct program_set *set = index == NOWHERE ? NULL : &b->program->sets.items[index];
	bool map = term->kind == TERM_MAP;

	if (!set) {
		unknown(b, step, "a set that is not there");
		return;
	}
	if (set->set->flags & SET_KEPT) {
		look_up_kept(b, step, term, set->set);
		return;
	}
	bool interface = forms[field].variable == VARIABLE_IIF || forms[field].variable == VARIABLE_OIF;
	if (!forms[field].value || (interface && set->set->flags & SET_INTERVAL) ||
	    key_size(set->set->type) != field_size(field) || map != ((set->set->flags & SET_VERDICTS) != 0) ||
	    (map && term->negate) || !set_is_sound(set->set)) {
		unknown(b, step, "a set of another form");
		return;
	}
	if (!assert_field(b, step, field))
		return;
	step->variable = forms[field].variable;
	if (map) {
		step->kind = STEP_MAP;
		step->index = build_map(b, set, forms[field].variable);
		return;
	}
	struct test test = { .variable = forms[field].variable, .negate = term->negate };
	test.predicate = set_predicate(b, set, test.variable);
	if (ARRAY_PUSH(&b->program->tests, test) < 0)
		build_failed(b);
	step->test_count++;
}

/* Terms, rules, chains */

static void build_action(struct builder *b, struct step *step, const struct term *term)
{
	step->kind = STEP_ACTION;
	step->action = term->action;
	if (term->action == ACTION_JUMP || term->action == ACTION_GOTO)
		step->index = index_find(&b->chains, term->name);
	else if (term->action == ACTION_NONE || term->action > ACTION_PROHIBIT)
		unknown(b, step, "an action of an unknown kind");
	else if (term->action == ACTION_RESET)
		test_number(b, step, VARIABLE_PROTOCOL, IPPROTO_TCP_);
}

static void build_pin(struct builder *b, struct step *step, const struct term *term)
{
	step->kind = STEP_PIN;
	if (term->field != FIELD_IP_DADDR && term->field != FIELD_IP6_DADDR)
		unknown(b, step, "a pin of an unknown form");
	else
		assert_field(b, step, (enum field)term->field);
}

static void build_term(struct builder *b, const struct term *term)
{
	struct step step = { .kind = STEP_TESTS, .tests = (uint32_t)b->program->tests.count };

	if (term->field >= FIELDS) {
		unknown(b, &step, "a field of an unknown kind");
	} else {
		switch (term->kind) {
		case TERM_MATCH:
			if (forms[term->field].value)
				match_value(b, &step, term);
			else
				match_plain(b, &step, term);
			break;
		case TERM_IN:
		case TERM_MAP: look_up(b, &step, term); break;
		case TERM_COUNTER:
			step.kind = STEP_COUNTER;
			step.index = index_find(&b->counters, term->name);
			break;
		case TERM_LIMIT: step.kind = STEP_LIMIT; break;
		case TERM_LOG:
			step.kind = STEP_LOG;
			step.text = term->name;
			break;
		case TERM_PIN: build_pin(b, &step, term); break;
		case TERM_ACTION: build_action(b, &step, term); break;
		default: unknown(b, &step, "a term of an unknown kind");
		}
	}
	if (ARRAY_PUSH(&b->program->steps, step) < 0)
		build_failed(b);
}

static void build_rule(struct builder *b, const struct rule *terms)
{
	struct program_rule rule = { .steps = (uint32_t)b->program->steps.count,
				     .step_count = (uint32_t)terms->count,
				     .tests = (uint32_t)b->program->tests.count };

	for (size_t t = 0; t < terms->count; t++)
		build_term(b, &terms->items[t]);
	if (b->result < 0)
		return;
	for (; rule.lead < rule.step_count; rule.lead++) {
		const struct step *step = &b->program->steps.items[rule.steps + rule.lead];
		rule.never |= step->kind == STEP_NEVER;
		rule.test_count += step->test_count;
		if (step->kind != STEP_TESTS)
			break;
	}
	if (ARRAY_PUSH(&b->program->rules, rule) < 0)
		build_failed(b);
}

static void build_chain(struct builder *b, const struct chain *chain)
{
	struct program_chain built = { (uint32_t)b->program->rules.count, (uint32_t)chain->count, chain };

	for (size_t r = 0; r < chain->count; r++)
		build_rule(b, &chain->items[r]);
	if (ARRAY_PUSH(&b->program->chains, built) < 0)
		build_failed(b);
}

static int build_indices(struct builder *b)
{
	const struct ruleset *ruleset = b->ruleset;

	if (index_begin(&b->chains, ruleset->chains.count) < 0 || index_begin(&b->sets, ruleset->sets.count) < 0 ||
	    index_begin(&b->counters, ruleset->counters.count) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < ruleset->chains.count; i++)
		index_add(&b->chains, ruleset->chains.items[i].name, i);
	for (size_t i = 0; i < ruleset->counters.count; i++)
		index_add(&b->counters, ruleset->counters.items[i], i);
	for (size_t i = 0; i < ruleset->sets.count; i++) {
		struct program_set set = { .set = &ruleset->sets.items[i], .predicate = NOWHERE, .map = NOWHERE };
		index_add(&b->sets, set.set->name, i);
		if (ARRAY_PUSH(&b->program->sets, set) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int number_counters(struct program *program, const struct ruleset *ruleset, const struct policy *policy)
{
	char name[FATE_COUNTER_MAX];

	program->counters = malloc(ruleset->counters.count + 1);
	program->counter_flows = calloc(ruleset->counters.count + 1, sizeof(*program->counter_flows));
	if (!program->counters || !program->counter_flows)
		return -ENOMEM;
	for (size_t i = 0; i < ruleset->counters.count; i++) {
		program->counters[i] = COUNTS;
		for (enum fate_counter c = COUNT_FLOW + 1; c < COUNTS; c++)
			if (strcmp(fate_counter(c, NULL, name), ruleset->counters.items[i]) == 0)
				program->counters[i] = (uint8_t)c;
	}
	/* Of flows, both lists have them in one order but for those that were there before. */
	for (size_t f = 0, at = 0; f < policy->flow_count; f++) {
		fate_counter(COUNT_FLOW, &policy->flows[f], name);
		for (size_t tried = 0; tried < ruleset->counters.count; tried++, at++) {
			at %= ruleset->counters.count;
			if (strcmp(name, ruleset->counters.items[at]) != 0)
				continue;
			program->counters[at] = COUNT_FLOW;
			program->counter_flows[at++] = (uint32_t)f + 1;
			break;
		}
	}
	return 0;
}

int program_begin(struct program *program, struct space *space, const struct ruleset *ruleset,
		  const struct policy *policy)
{
	struct builder b = { .program = program, .space = space, .ruleset = ruleset };

	*program = (struct program){ .ruleset = ruleset };
	b.result = build_indices(&b);
	for (size_t i = 0; b.result == 0 && i < ruleset->chains.count; i++)
		build_chain(&b, &ruleset->chains.items[i]);
	index_free(&b.chains);
	index_free(&b.sets);
	index_free(&b.counters);
	free(b.spans.items);
	if (b.result == 0)
		b.result = number_counters(program, ruleset, policy);
	return b.result;
}

static int test_order(const void *a, const void *b)
{
	const struct test *x = a, *y = b;

	if (x->variable != y->variable)
		return x->variable < y->variable ? -1 : 1;
	return x->values < y->values ? -1 : x->values > y->values;
}

static int uses_order(const void *a, const void *b)
{
	const struct test *x = a, *y = b;

	if (x->uses != y->uses)
		return x->uses > y->uses ? -1 : 1;
	return test_order(a, b);
}

/* A box is taken apart by what many rules look at first: what such a test holds together would else be taken apart by
 * each of those rules. */
static int order_tests(struct program *program)
{
	size_t count = program->tests.count;
	struct test *sorted = malloc((count + 1) * sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	memcpy(sorted, program->tests.items, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), test_order);
	for (size_t i = 0; i < count;) {
		size_t from = i;
		while (i < count && test_order(&sorted[from], &sorted[i]) == 0)
			i++;
		sorted[from].uses = (uint32_t)(i - from);
		for (size_t same = from; same < i; same++)
			sorted[same].uses = sorted[from].uses;
	}
	for (size_t i = 0; i < count; i++) {
		const struct test *found =
			bsearch(&program->tests.items[i], sorted, count, sizeof(*sorted), test_order);
		program->tests.items[i].uses = found->uses;
	}
	free(sorted);
	for (size_t i = 0; i < program->rules.count; i++) {
		const struct program_rule *rule = &program->rules.items[i];
		if (rule->test_count > 1)
			qsort(&program->tests.items[rule->tests], rule->test_count, sizeof(*sorted), uses_order);
	}
	return 0;
}

int program_finish(struct program *program, struct space *space)
{
	for (size_t i = 0; i < program->tests.count; i++) {
		struct test *test = &program->tests.items[i];
		const struct domain *domain = space_domain(space, test->variable);
		test->values = domain->predicates.items[test->predicate].values;
		if (test->negate)
			test->values = values_without(&space->store, domain->all, test->values);
	}
	int r = space->store.failed ? -ENOMEM : order_tests(program);
	return r == 0 ? program_find_reach(program, space) : r;
}

void program_free(struct program *program)
{
	free(program->chains.items);
	free(program->rules.items);
	free(program->steps.items);
	free(program->tests.items);
	free(program->sets.items);
	free(program->blocks);
	free(program->counters);
	free(program->counter_flows);
	*program = (struct program){ 0 };
}
