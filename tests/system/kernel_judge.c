/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Compares policy_fate() with the kernel, packet by packet: sends each packet through the gateway of the lab, sees
 * whether it arrives, and looks at what each named counter of the table of spefwd has counted for it. Commands come on
 * standard input, one a line, and each is answered by a line "ok ..." or "no ..."; what disagrees is shown in lines "#
 * ..." before it.
 *
 * machine NAME [INTERFACE]: a network namespace; the first is the gateway. INTERFACE: its own towards it
 *
 * place RANGE NAME: behind which machine these addresses are; the smallest range counts; "nowhere": not to be probed
 *
 * marker SOURCE TARGET: addresses whose packets no policy touches
 *
 * load FILE: the configuration that spefwd has in force; "no": it is refused
 *
 * name NAME ADDRESS...: the addresses that spefwd has for a name of it
 *
 * grant FLOW ADDRESS: what spefwd has granted, until the next load
 *
 * probe KIND SOURCES TARGETS SOURCE-PORTS TARGET-PORTS: notes each combination (lists with commas, ports also as A-B)
 *
 * run [N]: sends what was noted; of what no policy touches, one of N alone
 *
 * each: sends what was noted one by one, and prints what the kernel did with each, whatever the judge says:
 * "= KIND SOURCE SOURCE-PORT TARGET TARGET-PORT yes|no COUNTER"; COUNTER: what counted it, or -
 *
 * Each batch begins without any tracked connection and holds no packet that belongs to the connection of another one. A
 * packet counts as denied where the table counted it as denied and it did not arrive: one that is lost on its way is
 * neither, and its batch is sent again. */

#include "kernel_wire.h"
#include "core/diag.h"
#include "core/grant_view.h"
#include "core/fate.h"
#include "config/policy_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PLACES_MAX = 64,
	LIST_MAX = 512,
	BATCH_MAX = 8192,
	TRIES = 3,
	SHOWN_MAX = 10,
	MARKER = 0xffff,
	NOWHERE = 0xff,
	HANG_SECONDS = 60
};

struct probe {
	struct wire_packet packet;
	uint8_t from, to; /* machines */
	struct fate fate;
	bool arrived;
};

struct place {
	struct range range;
	uint8_t machine;
};

struct list {
	struct addr addrs[LIST_MAX];
	uint8_t machines[LIST_MAX];
	size_t count;
};

struct port_list {
	struct port_range items[LIST_MAX];
	size_t count;
};

struct totals {
	unsigned long probes, allowed, denied, other, again, mismatches;
};

struct judge {
	struct wire wire;
	struct place places[PLACES_MAX];
	size_t place_count;
	struct wire_packet marker;
	uint8_t marker_from;
	struct policy_file file;
	struct names_view names;
	struct grant_list grants;
	struct ranges gateway;
	struct interface_list *role_interfaces; /* one a policy role */
	struct probe *probes;
	size_t count, capacity;
	struct totals totals;
	unsigned shown;

	/* The batch under way. */
	struct probe *batch;
	size_t batch_count;
	uint16_t nonce;
	bool marker_arrived;
	unsigned altered;
	struct stray {
		struct wire_packet packet;
		size_t machine;
	} stray; /* the first of them */
};

/* What one pass of a batch has shown. */
struct finding {
	size_t missing, leaked;
	unsigned altered;
	char counters[400]; /* which of them disagree; "" where none */
};

/* Verdicts */

static struct environment environment_of(const struct judge *judge)
{
	return (struct environment){ .gateway = &judge->gateway,
				     .role_interfaces = judge->role_interfaces,
				     .names = &judge->names };
}

/* What connection tracking makes of it, when it knows of no connection: by strays it takes up none. */
static uint32_t state_of(const struct wire_packet *packet)
{
	return packet->kind == WIRE_SYN_ACK || packet->kind == WIRE_FIN || packet->kind == WIRE_RESET ? CT_INVALID
												      : CT_NEW;
}

static struct fate_packet fate_packet_of_probe(const struct judge *judge, const struct probe *probe)
{
	const struct wire_packet *packet = &probe->packet;
	struct fate_packet result =
		fate_packet_of(&(struct packet){ .source = packet->source,
						 .target = packet->target,
						 .protocol = packet->kind == WIRE_UDP    ? PROTOCOL_UDP
							     : packet->kind == WIRE_ECHO ? PROTOCOL_ICMP_ECHO
											 : PROTOCOL_TCP,
						 .source_port = packet->source_port,
						 .target_port = packet->target_port,
						 .mid_stream = packet->kind != WIRE_SYN });

	result.rst = packet->kind == WIRE_RESET;
	result.state = state_of(packet);
	result.fib = probe->to == 0 ? FIB_LOCAL : FIB_UNICAST;
	result.in = wire_interface(&judge->wire, probe->from);
	result.out = wire_interface(&judge->wire, probe->to);
	return result;
}

/* Its whole way, up to where it ends. */
static void judge_probe(const struct judge *judge, const struct fate_view *view, struct probe *probe)
{
	struct fate_packet packet = fate_packet_of_probe(judge, probe);
	struct asker asker = fate_packet_asker(&packet);

	probe->fate = policy_fate(view, STAGE_EARLY, &asker);
	if (probe->from == 0 || probe->fate.action == ACTION_ACCEPT)
		probe->fate = policy_fate(view,
					  probe->from == 0 ? STAGE_OUTPUT
					  : probe->to == 0 ? STAGE_INPUT
							   : STAGE_FORWARD,
					  &asker);
}

static bool passes(const struct probe *probe)
{
	return probe->fate.action == ACTION_ACCEPT;
}

/* Sending a batch */

static bool same_packet(const struct wire_packet *sent, const struct wire_packet *got)
{
	uint8_t kind = sent->kind == WIRE_UDP || sent->kind == WIRE_ECHO ? sent->kind : WIRE_SYN;

	return kind == got->kind && sent->source_port == got->source_port && sent->target_port == got->target_port &&
	       addr_compare(&sent->source, &got->source) == 0 && addr_compare(&sent->target, &got->target) == 0;
}

static void on_arrival(void *userdata, size_t machine, const struct wire_packet *packet)
{
	struct judge *judge = userdata;
	size_t index = packet->id & 0xffff;

	if (packet->id >> 16 != judge->nonce)
		return;
	if (index == MARKER) {
		judge->marker_arrived = true;
		return;
	}
	struct probe *probe = index < judge->batch_count ? &judge->batch[index] : NULL;
	if (probe && probe->to == machine && same_packet(&probe->packet, packet))
		probe->arrived = true;
	else if (!judge->altered++)
		judge->stray = (struct stray){ *packet, machine };
}

/* Until everything sent before has arrived or is gone for good. */
static void settle(struct judge *judge)
{
	judge->marker_arrived = false;
	for (int i = 0; i < HANG_SECONDS; i++) {
		struct wire_packet marker = judge->marker;
		marker.id = (uint32_t)judge->nonce << 16 | MARKER;
		wire_send(&judge->wire, judge->marker_from, &marker, 1);
		do {
			wire_receive(&judge->wire, on_arrival, judge);
			if (judge->marker_arrived)
				return;
		} while (wire_wait(&judge->wire, 1000));
	}
	wire_fail("the marker does not arrive");
}

static void send_batch(struct judge *judge)
{
	static struct wire_packet packets[WIRE_BURST];
	size_t to_gateway = 0;

	for (size_t i = 0; i < judge->batch_count;) {
		size_t count = 0;
		uint8_t from = judge->batch[i].from;
		for (; i < judge->batch_count && count < WIRE_BURST && to_gateway < WIRE_BURST &&
		       judge->batch[i].from == from;
		     i++) {
			packets[count] = judge->batch[i].packet;
			packets[count++].id = (uint32_t)judge->nonce << 16 | (uint32_t)i;
			to_gateway += judge->batch[i].to == 0;
		}
		wire_send(&judge->wire, from, packets, count);
		if (to_gateway == WIRE_BURST) {
			settle(judge);
			to_gateway = 0;
		}
	}
	settle(judge);
}

/* What it has counted */

static uint64_t difference(const struct wire_counters *before, const struct wire_counters *after, const char *name)
{
	return wire_count(after, name) - wire_count(before, name);
}

static void compare_count(struct finding *finding, const char *name, uint64_t judged, uint64_t counted)
{
	size_t at = strlen(finding->counters);

	if (judged != counted)
		snprintf(finding->counters + at, sizeof(finding->counters) - at, "%s%s: judge %llu, kernel %llu",
			 at ? "; " : "", name, (unsigned long long)judged, (unsigned long long)counted);
}

static uint64_t judged_for(const struct judge *judge, enum fate_counter counter, const struct policy_flow *flow)
{
	uint64_t count = 0;

	for (size_t i = 0; i < judge->batch_count; i++)
		if (!flow || judge->batch[i].fate.flow == flow)
			count += judge->batch[i].fate.counts[counter];
	return count;
}

/* Every counter of the table. */
static void compare_counters(const struct judge *judge, const struct wire_counters *before,
			     const struct wire_counters *after, struct finding *finding)
{
	const struct policy *policy = &judge->file.policy;
	char name[FATE_COUNTER_MAX];

	for (enum fate_counter counter = 0; counter < COUNTS; counter++) {
		size_t flows = counter == COUNT_FLOW ? policy->flow_count : 1;
		for (size_t i = 0; i < flows; i++) {
			const struct policy_flow *flow = counter == COUNT_FLOW ? &policy->flows[i] : NULL;
			fate_counter(counter, flow, name);
			compare_count(finding, name, judged_for(judge, counter, flow), difference(before, after, name));
		}
	}
}

/* The batch, once, with the counters before and after it. */
static void send_once(struct judge *judge, struct wire_counters *before, struct wire_counters *after)
{
	judge->nonce++;
	judge->altered = 0;
	wire_receive(&judge->wire, on_arrival, judge); /* what others have sent meanwhile goes out of the way */
	wire_lost(&judge->wire);
	for (size_t i = 0; i < judge->batch_count; i++)
		judge->batch[i].arrived = false;
	wire_flush_conntrack(&judge->wire);
	wire_read_counters(&judge->wire, before);
	send_batch(judge);
	size_t lost = wire_lost(&judge->wire);
	if (lost)
		wire_fail("%zu packets found no room in a receive buffer", lost);
	wire_read_counters(&judge->wire, after);
}

static void try_once(struct judge *judge, struct finding *ret)
{
	struct wire_counters before, after;

	*ret = (struct finding){ 0 };
	send_once(judge, &before, &after);
	for (size_t i = 0; i < judge->batch_count; i++) {
		ret->missing += passes(&judge->batch[i]) && !judge->batch[i].arrived;
		ret->leaked += !passes(&judge->batch[i]) && judge->batch[i].arrived;
	}
	ret->altered = judge->altered;
	compare_counters(judge, &before, &after, ret);
}

static bool agrees(const struct finding *finding)
{
	return !finding->missing && !finding->leaked && !finding->altered && !finding->counters[0];
}

/* What has leaked counts at once; what may have been lost on the way is sent again. */
static bool try_batch(struct judge *judge, struct probe *batch, size_t count, struct finding *ret)
{
	judge->batch = batch;
	judge->batch_count = count;
	for (int i = 0; i < TRIES; i++) {
		try_once(judge, ret);
		if (agrees(ret) || ret->leaked)
			break;
		judge->totals.again += i + 1 < TRIES;
	}
	return agrees(ret);
}

/* What disagrees */

static void show_probe(struct judge *judge, const struct probe *probe, const char *kernel)
{
	const struct wire_packet *packet = &probe->packet;
	char source[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX], name[FATE_COUNTER_MAX];

	if (judge->shown++ >= SHOWN_MAX)
		return;
	printf("# %s %s %u > %s %u (%s to %s): the judge: %s, counted by", wire_kind_name(packet->kind),
	       addr_format(&packet->source, source), packet->source_port, addr_format(&packet->target, target),
	       packet->target_port, wire_name(&judge->wire, probe->from), wire_name(&judge->wire, probe->to),
	       passes(probe) ? "passes" : "denied");
	for (enum fate_counter counter = 0; counter < COUNTS; counter++)
		if (probe->fate.counts[counter])
			printf(" %s", fate_counter(counter, probe->fate.flow, name));
	printf("; the kernel: %s\n", kernel);
}

static void tell_altered(const struct judge *judge, unsigned count)
{
	const struct wire_packet *packet = &judge->stray.packet;
	size_t index = packet->id & 0xffff;
	char source[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX];

	printf("# %u packets arrived altered, or elsewhere: the first is %s %s %u > %s %u, at %s, ", count,
	       wire_kind_name(packet->kind), addr_format(&packet->source, source), packet->source_port,
	       addr_format(&packet->target, target), packet->target_port,
	       wire_name(&judge->wire, judge->stray.machine));
	if (index < judge->batch_count)
		printf("sent as %s %s %u > %s %u to %s\n", wire_kind_name(judge->batch[index].packet.kind),
		       addr_format(&judge->batch[index].packet.source, source), judge->batch[index].packet.source_port,
		       addr_format(&judge->batch[index].packet.target, target), judge->batch[index].packet.target_port,
		       wire_name(&judge->wire, judge->batch[index].to));
	else
		puts("never sent");
}

/* The first packet by itself for which the counters disagree, by halving. */
static void find_miscounted(struct judge *judge, struct probe *batch, size_t count, const struct finding *whole)
{
	struct finding finding;
	char text[480];

	if (count > 1) {
		for (int half = 0; half < 2; half++) {
			struct probe *part = half ? batch + count / 2 : batch;
			size_t size = half ? count - count / 2 : count / 2;
			if (!try_batch(judge, part, size, &finding) && finding.counters[0]) {
				find_miscounted(judge, part, size, &finding);
				return;
			}
		}
	}
	snprintf(text, sizeof(text), "counts otherwise%s (%s)", count > 1 ? ", in a batch that begins with this" : "",
		 whole->counters);
	show_probe(judge, batch, text);
}

static void tell_finding(struct judge *judge, struct probe *batch, size_t count, const struct finding *finding)
{
	for (size_t i = 0; i < count; i++)
		if (passes(&batch[i]) != batch[i].arrived)
			show_probe(judge, &batch[i], batch[i].arrived ? "passes" : "denied");
	if (finding->altered)
		tell_altered(judge, finding->altered);
	if (!finding->missing && !finding->leaked && finding->counters[0])
		find_miscounted(judge, batch, count, finding);
	judge->totals.mismatches += finding->missing + finding->leaked + finding->altered;
	if (!finding->missing && !finding->leaked && !finding->altered)
		judge->totals.mismatches++;
}

/* Running */

/* Packets of one kind and one direction never belong to each other's connections: such are a batch. */
static int probe_order(const void *a, const void *b)
{
	const struct probe *p = a, *q = b;
	bool p_up = addr_compare(&p->packet.source, &p->packet.target) < 0,
	     q_up = addr_compare(&q->packet.source, &q->packet.target) < 0;
	int order;

	if (p->packet.kind != q->packet.kind)
		return p->packet.kind - q->packet.kind;
	if (p_up != q_up)
		return p_up - q_up;
	if ((order = addr_compare(&p->packet.source, &q->packet.source)) != 0 ||
	    (order = addr_compare(&p->packet.target, &q->packet.target)) != 0)
		return order;
	if (p->packet.target_port != q->packet.target_port)
		return p->packet.target_port - q->packet.target_port;
	return p->packet.source_port - q->packet.source_port;
}

static bool same_batch(const struct probe *a, const struct probe *b)
{
	return a->packet.kind == b->packet.kind && (addr_compare(&a->packet.source, &a->packet.target) < 0) ==
							   (addr_compare(&b->packet.source, &b->packet.target) < 0);
}

static void sort_probes(struct judge *judge)
{
	size_t unique = 0;

	qsort(judge->probes, judge->count, sizeof(*judge->probes), probe_order);
	for (size_t i = 0; i < judge->count; i++)
		if (!unique || probe_order(&judge->probes[unique - 1], &judge->probes[i]) != 0)
			judge->probes[unique++] = judge->probes[i];
	judge->count = unique;
}

static void judge_probes(struct judge *judge, unsigned one_of)
{
	struct environment environment = environment_of(judge);
	size_t kept = 0, others = 0;
	struct fate_view view;

	fate_view_init(&view, &judge->file.policy, &environment);
	for (size_t i = 0; i < judge->count; i++) {
		struct probe probe = judge->probes[i];
		judge_probe(judge, &view, &probe);
		bool ours = probe.fate.reason != FATE_NOT_OURS;
		bool allowed = probe.fate.reason == FATE_FLOW || probe.fate.reason == FATE_MID_STREAM;
		if (!ours && others++ % one_of)
			continue;
		judge->probes[kept++] = probe;
		judge->totals.other += !ours;
		judge->totals.allowed += allowed;
		judge->totals.denied += ours && !allowed;
	}
	judge->count = kept;
	judge->totals.probes += kept;
}

static void do_run(struct judge *judge, unsigned one_of)
{
	struct finding finding;

	judge->totals = (struct totals){ 0 };
	judge->shown = 0;
	sort_probes(judge);
	judge_probes(judge, one_of);
	wire_begin(&judge->wire);
	for (size_t i = 0; i < judge->count;) {
		size_t count = 1;
		while (i + count < judge->count && count < BATCH_MAX &&
		       same_batch(&judge->probes[i], &judge->probes[i + count]))
			count++;
		if (!try_batch(judge, &judge->probes[i], count, &finding))
			tell_finding(judge, &judge->probes[i], count, &finding);
		i += count;
	}
	wire_end(&judge->wire);
	wire_flush_conntrack(&judge->wire);
	judge->count = 0;
	printf("ok probes %lu allowed %lu denied %lu other %lu again %lu mismatches %lu\n", judge->totals.probes,
	       judge->totals.allowed, judge->totals.denied, judge->totals.other, judge->totals.again,
	       judge->totals.mismatches);
}

/* What counted more than before; NULL: nothing did. */
static const char *moved(const struct wire_counters *before, const struct wire_counters *after)
{
	for (size_t i = 0; i < after->count; i++)
		if (after->items[i].packets != wire_count(before, after->items[i].name))
			return after->items[i].name;
	return NULL;
}

/* What neither arrives nor is counted was lost on its way: it is sent again. */
static void tell_one(struct judge *judge, struct probe *probe)
{
	const struct wire_packet *packet = &probe->packet;
	char source[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX];
	struct wire_counters before, after;
	const char *counter = NULL;

	judge->batch = probe;
	judge->batch_count = 1;
	for (int i = 0; i < TRIES; i++) {
		send_once(judge, &before, &after);
		counter = moved(&before, &after);
		if (probe->arrived || counter)
			break;
	}
	printf("= %s %s %u %s %u %s %s\n", wire_kind_name(packet->kind), addr_format(&packet->source, source),
	       packet->source_port, addr_format(&packet->target, target), packet->target_port,
	       probe->arrived ? "yes" : "no", counter ? counter : "-");
}

static void do_each(struct judge *judge)
{
	size_t count = judge->count;

	sort_probes(judge);
	wire_begin(&judge->wire);
	for (size_t i = 0; i < judge->count; i++)
		tell_one(judge, &judge->probes[i]);
	wire_end(&judge->wire);
	wire_flush_conntrack(&judge->wire);
	judge->count = 0;
	printf("ok %zu\n", count);
}

/* Commands */

static const struct place *place_of(const struct judge *judge, const struct addr *addr)
{
	const struct place *best = NULL;

	for (size_t i = 0; i < judge->place_count; i++) {
		const struct place *place = &judge->places[i];
		if (range_contains(&place->range, addr) && (!best || range_contains(&best->range, &place->range.first)))
			best = place;
	}
	return best;
}

/* Addresses that are nowhere in the lab are left out. */
static void take_addresses(const struct judge *judge, char *text, struct list *ret)
{
	char *rest;

	ret->count = 0;
	for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		struct addr addr;
		if (!addr_parse(word, &addr) || ret->count == LIST_MAX)
			wire_fail("not an address, or too many: %s", word);
		const struct place *place = place_of(judge, &addr);
		if (!place || place->machine == NOWHERE)
			continue;
		ret->addrs[ret->count] = addr;
		ret->machines[ret->count++] = place->machine;
	}
}

static void take_ports(char *text, struct port_list *ret)
{
	char *rest;

	ret->count = 0;
	for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		unsigned first, last;
		int got = sscanf(word, "%u-%u", &first, &last);
		if (got < 1 || first > 65535 || ret->count == LIST_MAX)
			wire_fail("not a port, or too many: %s", word);
		ret->items[ret->count++] = (struct port_range){ (uint16_t)first, (uint16_t)(got == 2 ? last : first) };
	}
}

static void add_probe(struct judge *judge, const struct probe *probe)
{
	if (judge->count == judge->capacity) {
		judge->capacity = judge->capacity ? 2 * judge->capacity : 4096;
		judge->probes = realloc(judge->probes, judge->capacity * sizeof(*judge->probes));
		if (!judge->probes)
			wire_fail("out of memory");
	}
	judge->probes[judge->count++] = *probe;
}

static void add_ports(struct judge *judge, struct probe *probe, const struct port_list *source_ports,
		      const struct port_list *target_ports)
{
	for (size_t s = 0; s < source_ports->count; s++) {
		for (size_t t = 0; t < target_ports->count; t++) {
			for (unsigned source = source_ports->items[s].first; source <= source_ports->items[s].last;
			     source++) {
				for (unsigned target = target_ports->items[t].first;
				     target <= target_ports->items[t].last; target++) {
					probe->packet.source_port = (uint16_t)source;
					probe->packet.target_port = (uint16_t)target;
					add_probe(judge, probe);
				}
			}
		}
	}
}

static void do_probe(struct judge *judge, char **words)
{
	static struct list sources, targets;
	static struct port_list source_ports, target_ports;
	unsigned kind = 0;

	while (kind < WIRE_KINDS && strcmp(wire_kind_name(kind), words[0]) != 0)
		kind++;
	if (kind == WIRE_KINDS)
		wire_fail("unknown kind %s", words[0]);
	take_addresses(judge, words[1], &sources);
	take_addresses(judge, words[2], &targets);
	take_ports(words[3], &source_ports);
	take_ports(words[4], &target_ports);
	if (kind == WIRE_ECHO) {
		source_ports = (struct port_list){ .items = { { 77, 77 } }, .count = 1 };
		target_ports = (struct port_list){ .items = { { 0, 0 } }, .count = 1 };
	}
	for (size_t s = 0; s < sources.count; s++) {
		for (size_t t = 0; t < targets.count; t++) {
			struct probe probe = { .packet = { .source = sources.addrs[s],
							   .target = targets.addrs[t],
							   .kind = (uint8_t)kind },
					       .from = sources.machines[s],
					       .to = targets.machines[t] };
			if (sources.addrs[s].family != targets.addrs[t].family ||
			    addr_compare(&sources.addrs[s], &targets.addrs[t]) == 0 ||
			    (probe.from == 0 && probe.to == 0))
				continue;
			add_ports(judge, &probe, &source_ports, &target_ports);
		}
	}
	puts("ok");
}

static void add_interface(struct interface_list *list, const char *name)
{
	list->names = realloc(list->names, (list->count + 1) * sizeof(*list->names));
	if (!list->names)
		wire_fail("out of memory");
	snprintf(list->names[list->count++], sizeof(*list->names), "%s", name);
}

static void free_interfaces(struct judge *judge)
{
	for (size_t r = 0; judge->role_interfaces && r < judge->file.policy.role_count; r++)
		free(judge->role_interfaces[r].names);
	free(judge->role_interfaces);
	judge->role_interfaces = NULL;
}

/* Behind which of the gateway's interfaces the protected roles are: each in one place. */
static void find_interfaces(struct judge *judge)
{
	const struct policy *policy = &judge->file.policy;

	judge->role_interfaces = calloc(policy->role_count + 1, sizeof(*judge->role_interfaces));
	if (!judge->role_interfaces)
		wire_fail("out of memory");
	for (size_t r = 0; r < policy->role_count; r++) {
		const struct policy_role *role = &policy->roles[r];
		if (r == 0 && policy->interfaces == INTERFACES_NAMED) {
			for (size_t i = 0; i < policy->interface_count; i++)
				add_interface(&judge->role_interfaces[r], policy->interface_names[i]);
		} else if (role->is_protected && role->guarded.count && (r || policy->interfaces == INTERFACES_AUTO)) {
			const struct place *place = place_of(judge, &role->guarded.items[0].first);
			if (place && place->machine != NOWHERE)
				add_interface(&judge->role_interfaces[r], wire_interface(&judge->wire, place->machine));
		}
	}
}

static void do_load(struct judge *judge, const char *path)
{
	struct diags diags = { 0 };

	names_view_free(&judge->names);
	grants_free_list(&judge->grants);
	free_interfaces(judge);
	policy_file_free(&judge->file);
	int r = policy_file_load(&judge->file, path, &(struct policy_source){ .archive = NULL }, &diags);
	for (size_t i = 0; r < 0 && i < diags.count; i++) {
		char *text = diags.items[i].severity == DIAG_ERROR ? diag_format(&diags.items[i]) : NULL;
		if (text)
			printf("# %s\n", text);
		free(text);
	}
	diags_free(&diags);
	judge->names.count = judge->file.policy.name_count;
	judge->names.names = calloc(judge->names.count + 1, sizeof(*judge->names.names));
	if (!judge->names.names)
		wire_fail("out of memory");
	find_interfaces(judge);
	puts(r < 0 ? "no" : "ok");
}

static int address_order(const void *a, const void *b)
{
	return addr_compare(&((const struct name_address *)a)->addr, &((const struct name_address *)b)->addr);
}

static void do_name(struct judge *judge, char **words, size_t count)
{
	size_t index = 0;

	while (index < judge->names.count && strcmp(judge->file.policy.names[index].name, words[0]) != 0)
		index++;
	for (size_t i = 1; index < judge->names.count && i < count; i++) {
		struct addr addr;
		if (!addr_parse(words[i], &addr))
			wire_fail("not an address: %s", words[i]);
		struct name_addresses *list = &judge->names.names[index][addr.family];
		list->items = realloc(list->items, (list->count + 1) * sizeof(*list->items));
		if (!list->items)
			wire_fail("out of memory");
		list->items[list->count++] = (struct name_address){ .addr = addr };
		qsort(list->items, list->count, sizeof(*list->items), address_order);
	}
	puts(index < judge->names.count ? "ok" : "no");
}

static void do_grant(struct judge *judge, const char *flow, const char *address)
{
	struct names_view before = { .granted = judge->names.granted, .granted_count = judge->names.granted_count };
	struct grant grant = { .end_ms = INT64_MAX / 2 };

	if (strlen(flow) >= sizeof(grant.flow) || !addr_parse(address, &grant.addr))
		wire_fail("no such grant: %s %s", flow, address);
	memcpy(grant.flow, flow, strlen(flow) + 1);
	names_view_free(&before);
	judge->names.granted = NULL;
	judge->names.granted_count = 0;
	if (grant_put(&judge->grants, &grant) < 0 ||
	    grants_add_to_view(&judge->grants, &judge->file.policy, &judge->names) < 0)
		wire_fail("out of memory");
	puts(judge->names.granted_count ? "ok" : "no");
}

static void do_place(struct judge *judge, const char *text, const char *machine)
{
	struct place *place = &judge->places[judge->place_count];
	int index = strcmp(machine, "nowhere") == 0 ? NOWHERE : wire_find(&judge->wire, machine);

	if (judge->place_count == PLACES_MAX || index < 0 || range_parse(text, &place->range) != RANGE_OK)
		wire_fail("can't place %s behind %s", text, machine);
	place->machine = (uint8_t)index;
	judge->place_count++;
	if (index == 0 && ranges_add(&judge->gateway, &place->range) < 0)
		wire_fail("out of memory");
	ranges_normalise(&judge->gateway);
	puts("ok");
}

static void do_marker(struct judge *judge, const char *source, const char *target)
{
	struct wire_packet *marker = &judge->marker;

	*marker = (struct wire_packet){ .kind = WIRE_UDP, .source_port = 9, .target_port = 9 };
	if (!addr_parse(source, &marker->source) || !addr_parse(target, &marker->target) ||
	    !place_of(judge, &marker->source))
		wire_fail("no such marker: %s %s", source, target);
	judge->marker_from = place_of(judge, &marker->source)->machine;
	puts("ok");
}

enum { WORDS_MAX = 64 };

static void do_command(struct judge *judge, char **words, size_t count)
{
	if (strcmp(words[0], "machine") == 0 && count >= 2) {
		wire_add(&judge->wire, words[1], count > 2 ? words[2] : "");
		puts("ok");
	} else if (strcmp(words[0], "place") == 0 && count == 3) {
		do_place(judge, words[1], words[2]);
	} else if (strcmp(words[0], "marker") == 0 && count == 3) {
		do_marker(judge, words[1], words[2]);
	} else if (strcmp(words[0], "load") == 0 && count == 2) {
		do_load(judge, words[1]);
	} else if (strcmp(words[0], "name") == 0 && count >= 2) {
		do_name(judge, words + 1, count - 1);
	} else if (strcmp(words[0], "grant") == 0 && count == 3) {
		do_grant(judge, words[1], words[2]);
	} else if (strcmp(words[0], "probe") == 0 && count == 6) {
		do_probe(judge, words + 1);
	} else if (strcmp(words[0], "run") == 0) {
		int one_of = count > 1 ? atoi(words[1]) : 1;
		do_run(judge, one_of > 1 ? (unsigned)one_of : 1);
	} else if (strcmp(words[0], "each") == 0) {
		do_each(judge);
	} else {
		wire_fail("what is %s?", words[0]);
	}
	fflush(stdout);
}

int main(void)
{
	static struct judge judge;
	char *words[WORDS_MAX], *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		size_t count = 0;
		char *rest;
		for (char *word = strtok_r(line, " \n", &rest); word && count < WORDS_MAX;
		     word = strtok_r(NULL, " \n", &rest))
			words[count++] = word;
		if (count)
			do_command(&judge, words, count);
	}
	free(line);
	free(judge.probes);
	names_view_free(&judge.names);
	grants_free_list(&judge.grants);
	free_interfaces(&judge);
	policy_file_free(&judge.file);
	ranges_free(&judge.gateway);
	wire_free(&judge.wire);
	return EXIT_SUCCESS;
}
