/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fate_diff.h"
#include "array.h"
#include "fate_diff_parts.h"

#include <errno.h>
#include <string.h>

/* Both policies are asked about the same packets, as the prover asks one: where an answer is not the same for all of
 * them, they are taken apart. What fares otherwise is put together again, one field after the other. */

/* A second or so at most: whoever may ask spefwd may ask for this. */
enum {
	STEPS_MAX = 1 << 24,
	RUNS_MAX = 1 << 22,
	CUTS_MAX = 1 << 20,
	CELLS_MAX = 1 << 15,
	MERGES_MAX = 16,
	POINTS_MAX = 1 << 26
};

enum axis { AXIS_OUTCOMES, AXIS_PROTOCOLS, AXIS_PORTS, AXIS_TARGET, AXIS_SOURCE, AXES };

/* Packets that fare otherwise. Ports, target and source are sets of classes. */
struct cell {
	uint32_t axes[AXES];
};

struct differing {
	struct prover prover;
	const struct fate_view *before, *after;
	enum protocol protocol;
	enum fate_outcome outcome; /* before, of the box that is asked about */
	struct naming naming;
	struct {
		struct cell *items;
		size_t count, capacity;
	} cells;
	size_t merged; /* how many cells there were after the last merge */
};

enum fate_outcome fate_outcome(const struct fate *fate)
{
	if (fate->reason == FATE_NOT_OURS)
		return OUTCOME_UNGUARDED;
	if (fate->reason == FATE_FLOW)
		return OUTCOME_ALLOWED;
	if (fate->action == ACTION_ACCEPT)
		return OUTCOME_AUDITED;
	return fate->action == ACTION_DROP ? OUTCOME_DENIED : OUTCOME_ANSWERED;
}

enum fate_change fate_change(enum fate_outcome before, enum fate_outcome after)
{
	bool passed = before <= OUTCOME_AUDITED, passes = after <= OUTCOME_AUDITED;

	return passed == passes ? CHANGE_ELSE : passes ? CHANGE_OPENS : CHANGE_CLOSES;
}

static uint32_t outcomes_of(enum fate_outcome before, enum fate_outcome after)
{
	return (uint32_t)(fate_change(before, after) * OUTCOMES + after) * OUTCOMES + before;
}

static void bound(struct prover *p)
{
	if (p->steps > STEPS_MAX)
		proof_fail(p, "too much to compare");
}

static void ask_flows(struct prover *p, const struct asker *asker, struct fate *ret, void *context)
{
	const struct fate_view *view = context;

	bound(p);
	*ret = (struct fate){ .action = ACTION_ACCEPT, .reason = FATE_NOT_OURS };
	fate_of_ours(view, asker, ret);
}

/* proof_ask() has one context for both of its calls. */
struct asking_view {
	struct fate_view view; /* the first: what ask_flows() looks at */
	struct differing *differing;
};

static bool has_ports(enum protocol protocol)
{
	return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP;
}

/* Cells that are the same but for one field are one cell. */

static int cell_order(const void *a, const void *b)
{
	const uint32_t *x = ((const struct cell *)a)->axes, *y = ((const struct cell *)b)->axes;

	for (int i = 0; i < AXES; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

static void swap_with_last(struct differing *d, enum axis axis)
{
	for (size_t i = 0; i < d->cells.count; i++) {
		uint32_t *axes = d->cells.items[i].axes, last = axes[AXES - 1];
		axes[AXES - 1] = axes[axis];
		axes[axis] = last;
	}
}

/* All that these have on the last axis: by halves, lest a growing set is made anew for each of them. */
static uint32_t unite(struct differing *d, enum axis axis, const struct cell *cells, size_t count)
{
	if (count == 1)
		return cells->axes[AXES - 1];
	uint32_t a = unite(d, axis, cells, count / 2), b = unite(d, axis, cells + count / 2, count - count / 2);
	return axis == AXIS_PROTOCOLS ? a | b : values_or(&d->prover.space.store, a, b);
}

static void merge_by(struct differing *d, enum axis axis)
{
	struct cell *cells = d->cells.items;
	size_t count = 0;

	d->prover.steps += d->cells.count;
	swap_with_last(d, axis);
	qsort(cells, d->cells.count, sizeof(*cells), cell_order);
	for (size_t i = 0, next; i < d->cells.count; i = next) {
		for (next = i + 1; next < d->cells.count; next++)
			if (memcmp(&cells[next], &cells[i], (AXES - 1) * sizeof(uint32_t)) != 0)
				break;
		struct cell cell = cells[i];
		cell.axes[AXES - 1] = unite(d, axis, &cells[i], next - i);
		cells[count++] = cell;
		bound(&d->prover);
	}
	d->cells.count = count;
	swap_with_last(d, axis);
}

static void merge(struct differing *d)
{
	static const enum axis order[] = { AXIS_PORTS, AXIS_SOURCE, AXIS_TARGET, AXIS_PROTOCOLS };
	size_t before = 0;

	for (int i = 0; i < MERGES_MAX && d->cells.count != before && !proof_stopped(&d->prover); i++) {
		before = d->cells.count;
		for (size_t f = 0; f < sizeof(order) / sizeof(order[0]); f++)
			merge_by(d, order[f]);
	}
	d->merged = d->cells.count;
}

static void put_cell(struct differing *d, const struct cell *cell)
{
	if (d->cells.count == CELLS_MAX)
		merge(d);
	if (d->cells.count > CELLS_MAX / 2 && d->cells.count == d->merged)
		proof_fail(&d->prover, "too many kinds of packets change");
	else if (ARRAY_PUSH(&d->cells, *cell) < 0)
		d->prover.no_memory = true;
}

static void see_after(struct prover *p, const struct box *box, const struct fate *fate, void *context)
{
	struct differing *d = ((struct asking_view *)context)->differing;
	enum fate_outcome after = fate_outcome(fate);
	uint32_t ports =
		has_ports(d->protocol) ? box->values[VARIABLE_DPORT] : space_domain(&p->space, VARIABLE_DPORT)->all;

	if (after != d->outcome)
		put_cell(d, &(struct cell){ { [AXIS_OUTCOMES] = outcomes_of(d->outcome, after),
					      [AXIS_PROTOCOLS] = 1U << d->protocol,
					      [AXIS_PORTS] = ports,
					      [AXIS_TARGET] = box->values[VARIABLE_TARGET],
					      [AXIS_SOURCE] = box->values[VARIABLE_SOURCE] } });
}

static void see_before(struct prover *p, const struct box *box, const struct fate *fate, void *context)
{
	struct differing *d = ((struct asking_view *)context)->differing;
	struct asking_view asking = { *d->after, d };

	d->outcome = fate_outcome(fate);
	proof_ask(p, box, ask_flows, see_after, &asking);
}

static void differ(struct differing *d, enum protocol protocol, const struct box *box)
{
	struct asking_view asking = { *d->before, d };

	d->protocol = protocol;
	if (!proof_stopped(&d->prover))
		proof_ask(&d->prover, box, ask_flows, see_before, &asking);
}

static void without(struct prover *p, struct box *box, enum variable variable, uint32_t value)
{
	box->values[variable] =
		values_without(&p->space.store, box->values[variable], values_range(&p->space.store, value, value));
}

/* Of a connection's first packet the flows ask for no more than what is restricted here, addresses and ports. */
static struct box box_of_new(struct prover *p)
{
	struct box box = box_all(p);

	box_restrict(p, &box, VARIABLE_STATE, STATE_NEW, STATE_NEW);
	box_restrict(p, &box, VARIABLE_PROTOCOL, 0, 255);
	return box;
}

static void differ_in_all(struct differing *d)
{
	struct prover *p = &d->prover;
	bool ipv6 = p->space.family == FAMILY_6;
	uint32_t icmp = ipv6 ? IPPROTO_ICMPV6_ : IPPROTO_ICMP_, echo = ipv6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO_REQUEST;
	struct box bases[PROTOCOLS + 1], other_types;

	for (int i = 0; i <= PROTOCOLS; i++)
		bases[i] = box_of_new(p);
	box_restrict(p, &bases[PROTOCOL_TCP], VARIABLE_PROTOCOL, IPPROTO_TCP_, IPPROTO_TCP_);
	bases[PROTOCOL_TCP].values[VARIABLE_TCP_FLAGS] = p->questions.syn;
	box_restrict(p, &bases[PROTOCOL_UDP], VARIABLE_PROTOCOL, IPPROTO_UDP_, IPPROTO_UDP_);
	box_restrict(p, &bases[PROTOCOL_ICMP_ECHO], VARIABLE_PROTOCOL, icmp, icmp);
	other_types = bases[PROTOCOL_ICMP_ECHO];
	box_restrict(p, &bases[PROTOCOL_ICMP_ECHO], VARIABLE_ICMP_TYPE, echo, echo);
	without(p, &other_types, VARIABLE_ICMP_TYPE, echo);
	without(p, &bases[PROTOCOL_OTHERS], VARIABLE_PROTOCOL, IPPROTO_TCP_);
	without(p, &bases[PROTOCOL_OTHERS], VARIABLE_PROTOCOL, IPPROTO_UDP_);
	without(p, &bases[PROTOCOL_OTHERS], VARIABLE_PROTOCOL, icmp);
	for (enum protocol protocol = 0; protocol <= PROTOCOLS; protocol++)
		differ(d, protocol, &bases[protocol]);
	differ(d, (enum protocol)PROTOCOL_OTHERS, &other_types);
}

/* From sets of classes to what people know */

static int put_ports(struct prover *p, uint32_t values, struct fate_class *class)
{
	const struct domain *domain = &p->space.domains[DOMAIN_PORT];

	class->ports = calloc(domain->points.count + 1, sizeof(*class->ports));
	for (size_t i = 0; class->ports && i < domain->points.count; i++) {
		struct span span = domain_span(domain, i);
		struct port_range *last = class->port_count ? &class->ports[class->port_count - 1] : NULL;
		if (!values_have(&p->space.store, values, domain->points.items[i].class))
			continue;
		if (last && last->last + 1U == span.first.low)
			last->last = (uint16_t)span.last.low;
		else
			class->ports[class->port_count++] =
				(struct port_range){ (uint16_t)span.first.low, (uint16_t)span.last.low };
	}
	return class->ports ? 0 : -ENOMEM;
}

static int put_class(struct differing *d, const struct cell *cell, struct fate_diff *ret)
{
	struct fate_class class = { .before = (uint8_t)(cell->axes[AXIS_OUTCOMES] % OUTCOMES),
				    .after = (uint8_t)(cell->axes[AXIS_OUTCOMES] / OUTCOMES % OUTCOMES),
				    .protocols = (uint8_t)cell->axes[AXIS_PROTOCOLS] };

	if (addresses_put(&d->naming, &d->prover, cell->axes[AXIS_SOURCE], ret, &class.source) < 0 ||
	    addresses_put(&d->naming, &d->prover, cell->axes[AXIS_TARGET], ret, &class.target) < 0 ||
	    ARRAY_PUSH(ret, class) < 0)
		return -ENOMEM;
	return put_ports(&d->prover, cell->axes[AXIS_PORTS], &ret->items[ret->count - 1]);
}

static int put_classes(struct differing *d, size_t max, struct fate_diff *ret)
{
	size_t points = d->prover.space.domains[DOMAIN_ADDRESS].points.count, put = 0;
	int r = 0;

	d->prover.space.store.runs_max = UINT32_MAX; /* few sets are still to be made */
	if (d->cells.count)
		qsort(d->cells.items, d->cells.count, sizeof(*d->cells.items), cell_order);
	while (r == 0 && put < d->cells.count && put < max && d->naming.values.count * points < POINTS_MAX)
		r = put_class(d, &d->cells.items[put++], ret);
	ret->left += d->cells.count - put;
	return r;
}

/* One of the two, as the judge sees it. Of the environment names alone are asked for. */
struct seen_side {
	const struct fate_side *side;
	struct fate_view view;
	struct environment environment;
	struct interface_list *interfaces; /* owned */
};

static int begin(struct differing *d, enum family family, const struct seen_side *before, const struct seen_side *after)
{
	struct prover *p = &d->prover;
	int r = space_begin(&p->space, family);

	if (r == 0)
		r = questions_begin(&p->questions, &p->space, &before->view);
	if (r == 0)
		r = questions_begin(&p->questions, &p->space, &after->view);
	/* Of a role or name that both have, the later one's addresses count. */
	if (r == 0)
		r = naming_add(&d->naming, &p->space, after->side);
	if (r == 0)
		r = naming_add(&d->naming, &p->space, before->side);
	if (r == 0)
		r = space_close(&p->space);
	if (r == 0)
		questions_finish(&p->questions, &p->space);
	p->space.store.runs_max = p->space.store.runs.count + RUNS_MAX;
	p->space.store.cuts_max = CUTS_MAX;
	return r;
}

static int diff_family(struct fate_diff *ret, const struct seen_side *before, const struct seen_side *after,
		       enum family family, size_t max)
{
	struct differing d = { .before = &before->view, .after = &after->view, .naming.first = ret->addresses.count };
	struct prover *p = &d.prover;
	int r = begin(&d, family, before, after);

	if (r == 0) {
		differ_in_all(&d);
		merge(&d);
		if (p->no_memory || (p->space.store.failed && !p->space.store.full))
			r = -ENOMEM;
		else if (proof_stopped(p))
			ret->failure = p->failure ? p->failure : "too much to compare";
		else
			r = put_classes(&d, max, ret);
	}
	free(d.cells.items);
	free(p->pending.items);
	naming_free(&d.naming);
	questions_free(&p->questions);
	space_free(&p->space);
	return r;
}

void fate_diff_free(struct fate_diff *diff)
{
	for (size_t i = 0; i < diff->count; i++)
		free(diff->items[i].ports);
	for (size_t i = 0; i < diff->addresses.count; i++)
		ranges_free(&diff->addresses.items[i].ranges);
	free(diff->items);
	free(diff->addresses.items);
	*diff = (struct fate_diff){ 0 };
}

static int see_side(struct seen_side *seen, const struct fate_side *side)
{
	seen->side = side;
	seen->interfaces = calloc(side->policy->role_count + 1, sizeof(*seen->interfaces));
	seen->environment = (struct environment){ .role_interfaces = seen->interfaces, .names = side->names };
	seen->view = (struct fate_view){ .policy = side->policy, .environment = &seen->environment };
	return seen->interfaces ? 0 : -ENOMEM;
}

int fate_diff(struct fate_diff *ret, const struct fate_side *before, const struct fate_side *after, size_t max)
{
	struct seen_side old = { 0 }, new = { 0 };
	int r = see_side(&old, before);

	*ret = (struct fate_diff){ 0 };
	if (r == 0)
		r = see_side(&new, after);
	for (enum family family = 0; family < FAMILIES && r == 0 && !ret->failure; family++)
		r = diff_family(ret, &old, &new, family, max);
	free(old.interfaces);
	free(new.interfaces);
	const char *failure = r == 0 ? ret->failure : NULL;
	if (r < 0 || failure)
		fate_diff_free(ret);
	ret->failure = failure;
	return r;
}
