/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Compares the proof, the small machine (tests/unit/vm.c) and the kernel, for every single change of a ruleset
 * (tests/unit/mutate.c): each mutant is loaded as the daemon would, read back and proven as it was read; then packets
 * are sent through the gateway of the lab, and their verdict and every named counter compared with the small machine's.
 * Commands come on standard input, one a line, and each is answered by "ok ..."; what disagrees is shown in lines "#
 * ..." before it. machine and place are as for kernel_judge.
 *
 * try FILE.conf ONE_OF SEED: one mutant of so many of a golden case
 *
 * Packets are sent one by one without any tracked connection: the one that the proof shows, where it is such a one, and
 * others around what was changed. Literal differences need none.
 *
 * Some mutants have a form that rules never have (a range of a field that is compared with one value): the proof fails
 * of these, and the encoder refuses those that it has no expressions for. */

#include "../golden/case.h"
#include "../unit/mutate.h"
#include "../unit/vm.h"
#include "kernel_wire.h"
#include "core/delta.h"
#include "core/proof.h"
#include "nft/read.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PLACES_MAX = 64,
	NOWHERE = 0xff,
	WORDS_MAX = 8,
	SHOWN_MAX = 20,
	ADDRESSES_MAX = 400,
	PORTS_MAX = 400,
	AROUND_EQUAL = 12, /* packets */
	AROUND_OTHERS = 2,
	SEARCH = 300, /* packets that are thought of, for one that tells a mutant from the original */
	TRIES = 3,
	MARKER_PROTOCOL = 0x88b5, /* for experiments: no table of ours sees it */
	HANG_MS = 60000
};

struct place {
	struct range range;
	uint8_t machine;
};

struct tally {
	size_t mutants, packet, literal, unproven, equal; /* as sent */
	size_t refused, unsent, kept;
	size_t survivors, misread, wrong;
	size_t sent, shown; /* packets; mutants caught with a packet that the kernel tells from the original */
};

struct values {
	struct addr addrs[FAMILIES][ADDRESSES_MAX];
	size_t addr_count[FAMILIES];
	uint16_t ports[PORTS_MAX];
	size_t port_count;
};

struct probe {
	struct wire_packet packet;
	uint8_t from, to; /* machines */
};

/* What becomes of a packet on its whole way. */
struct outcome {
	bool passes;
	const char *counters[STAGES * VM_COUNTERS];
	size_t count;
	const char *error;
};

struct world {
	struct wire wire;
	struct place places[PLACES_MAX];
	size_t place_count;
	int marker_send, marker_receive;
	struct sockaddr_ll marker_to;
	struct nft_socket socket;
	bool has_table;

	struct golden_case g; /* its ruleset is the mutant */
	struct ruleset pristine;
	struct values values;
	const struct ruleset *loaded; /* what the kernel has: the mutant, or what was read */
	const struct mutant *mutant;
	size_t one_of;
	struct tally tally;

	/* The packet under way. */
	struct probe probe;
	uint32_t id;
	bool arrived;
	size_t strays;
};

static uint64_t dice;

static unsigned roll(unsigned sides)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (unsigned)((dice >> 16) % sides);
}

static void complain(struct world *w, const char *what, const char *more)
{
	const struct mutant *m = w->mutant;
	static size_t shown;

	if (shown++ < SHOWN_MAX)
		printf("# mutant %zu, %s in %s, rule %zu: %s%s%s\n", m->number, m->kind,
		       m->chain ? m->chain->name
		       : m->set ? m->set->name
				: "counters",
		       m->rule, what, more ? ": " : "", more ? more : "");
}

/* Places */

static uint8_t machine_of(const struct world *w, const struct addr *addr)
{
	const struct place *best = NULL;

	for (size_t i = 0; i < w->place_count; i++) {
		const struct place *place = &w->places[i];
		if (range_contains(&place->range, addr) && (!best || range_contains(&best->range, &place->range.first)))
			best = place;
	}
	return best ? best->machine : NOWHERE;
}

static void do_place(struct world *w, const char *text, const char *machine)
{
	struct place *place = &w->places[w->place_count];
	int index = strcmp(machine, "nowhere") == 0 ? NOWHERE : wire_find(&w->wire, machine);

	if (w->place_count == PLACES_MAX || index < 0 || range_parse(text, &place->range) != RANGE_OK)
		wire_fail("can't place %s behind %s", text, machine);
	place->machine = (uint8_t)index;
	w->place_count++;
	puts("ok");
}

/* False: it can't be sent in the lab, or means something else there. */
static bool place_probe(const struct world *w, struct probe *probe)
{
	const struct wire_packet *packet = &probe->packet;

	if (packet->source.family != packet->target.family || addr_compare(&packet->source, &packet->target) == 0)
		return false;
	probe->from = machine_of(w, &packet->source);
	probe->to = machine_of(w, &packet->target);
	if (probe->from == 0 && packet->kind == WIRE_RESET) /* the lab keeps the gateway from sending any */
		return false;
	return probe->from != NOWHERE && probe->to != NOWHERE && (probe->from || probe->to);
}

/* The small machine */

static struct vm_packet vm_packet_of_probe(const struct world *w, const struct probe *probe)
{
	const struct wire_packet *packet = &probe->packet;
	bool ipv6 = packet->source.family == FAMILY_6, echo = packet->kind == WIRE_ECHO;
	bool udp = packet->kind == WIRE_UDP;
	struct vm_packet result = {
		.ipv6 = ipv6,
		.protocol = echo  ? (ipv6 ? 58 : 1)
			    : udp ? 17
				  : 6,
		.source_port = packet->source_port,
		.target_port = packet->target_port,
		.original_port = packet->target_port,
		.syn = packet->kind == WIRE_SYN,
		.rst = packet->kind == WIRE_RESET,
		.icmp_type = echo ? (ipv6 ? 128 : 8) : 0,
		.hop_limit = 64,
		.to_local = probe->to == 0,
		.to_other = probe->to != 0,
	};

	/* Of an echo, connection tracking has type and code in place of the target's port. */
	if (echo)
		result.original_port = (uint16_t)(result.icmp_type << 8);
	memcpy(result.source, packet->source.bytes, sizeof(result.source));
	memcpy(result.target, packet->target.bytes, sizeof(result.target));
	memcpy(result.original, packet->target.bytes, sizeof(result.original));
	result.interface = wire_interface(&w->wire, probe->from);
	return result;
}

/* What connection tracking makes of it, when it knows of no connection: by strays it takes up none. */
static uint32_t state_of(const struct wire_packet *packet)
{
	return packet->kind == WIRE_SYN_ACK || packet->kind == WIRE_FIN || packet->kind == WIRE_RESET ? CT_INVALID
												      : CT_NEW;
}

static bool stage_is_met(const struct probe *probe, enum fate_stage stage)
{
	switch (stage) {
	case STAGE_PIN: return probe->from && state_of(&probe->packet) == CT_NEW;
	case STAGE_FORWARD: return probe->from && probe->to;
	case STAGE_INPUT: return probe->from && !probe->to;
	case STAGE_OUTPUT: return !probe->from;
	default: return probe->from != 0;
	}
}

static void foretell(const struct world *w, const struct ruleset *ruleset, const struct probe *probe,
		     struct outcome *ret)
{
	static const char *const chains[STAGES] = { "early", "pin", "forward", "input", "output" };
	struct vm_packet packet = vm_packet_of_probe(w, probe);

	*ret = (struct outcome){ .passes = true };
	for (enum fate_stage stage = 0; stage < STAGES && ret->passes && !ret->error; stage++) {
		if (!stage_is_met(probe, stage) || !ruleset_find_chain(ruleset, chains[stage]))
			continue;
		packet.state = stage == STAGE_EARLY ? CT_INVALID : state_of(&probe->packet); /* not tracked yet */
		packet.way_out =
			stage == STAGE_FORWARD || stage == STAGE_OUTPUT ? wire_interface(&w->wire, probe->to) : NULL;
		struct vm_result result = vm_run(ruleset, chains[stage], &packet);
		ret->error = result.error;
		ret->passes = result.action == ACTION_ACCEPT;
		for (size_t i = 0; i < result.counter_count; i++)
			ret->counters[ret->count++] = result.counters[i];
	}
}

static size_t times(const struct outcome *outcome, const char *counter)
{
	size_t count = 0;

	for (size_t i = 0; i < outcome->count; i++)
		count += strcmp(outcome->counters[i], counter) == 0;
	return count;
}

static bool same_outcome(const struct outcome *a, const struct outcome *b)
{
	if (a->passes != b->passes || a->count != b->count || a->error || b->error)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (times(a, a->counters[i]) != times(b, a->counters[i]))
			return false;
	return true;
}

/* The kernel */

static void open_markers(struct world *w)
{
	char path[64];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/run/netns/%s", wire_name(&w->wire, i ? 1 : 0));
		int netns = open(path, O_RDONLY | O_CLOEXEC);
		if (netns < 0 || setns(netns, CLONE_NEWNET) < 0)
			wire_fail("%s: %s", path, strerror(errno));
		close(netns);
		int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, i ? 0 : htons(MARKER_PROTOCOL));
		if (fd < 0)
			wire_fail("packet socket: %s", strerror(errno));
		*(i ? &w->marker_send : &w->marker_receive) = fd;
	}
	struct timeval hang = { .tv_sec = HANG_MS / 1000 };
	setsockopt(w->marker_receive, SOL_SOCKET, SO_RCVTIMEO, &hang, sizeof(hang));
	w->marker_to = (struct sockaddr_ll){ .sll_family = AF_PACKET,
					     .sll_protocol = htons(MARKER_PROTOCOL),
					     .sll_ifindex = (int)if_nametoindex("eth0"),
					     .sll_halen = 6 };
	memset(w->marker_to.sll_addr, 0xff, 6);
	snprintf(path, sizeof(path), "/run/netns/%s", wire_name(&w->wire, 0));
	int netns = open(path, O_RDONLY | O_CLOEXEC);
	if (netns < 0 || setns(netns, CLONE_NEWNET) < 0)
		wire_fail("%s: %s", path, strerror(errno));
	close(netns);
	if (nft_open(&w->socket, -1) < 0)
		wire_fail("%s", w->socket.error);
}

/* One processor works on what it has sent in its order. What was sent before has passed the gateway once a first marker
 * has come there, and has reached its machine once a second one has. It is no packet of IP: no mutant can drop it. */
static void settle(struct world *w)
{
	uint8_t bytes[64] = { 0 };

	for (int i = 0; i < 2; i++) {
		if (sendto(w->marker_send, bytes, sizeof(bytes), 0, (struct sockaddr *)&w->marker_to,
			   sizeof(w->marker_to)) < 0 ||
		    recv(w->marker_receive, bytes, sizeof(bytes), 0) < 0)
			wire_fail("the marker does not arrive: %s", strerror(errno));
	}
}

static void on_arrival(void *userdata, size_t machine, const struct wire_packet *packet)
{
	struct world *w = userdata;

	if (packet->id == w->id && machine == w->probe.to)
		w->arrived = true;
	else
		w->strays++;
}

static void send_probe(struct world *w, struct wire_counters *before, struct wire_counters *after)
{
	wire_flush_conntrack(&w->wire);
	wire_read_counters(&w->wire, before);
	w->probe.packet.id = ++w->id;
	w->arrived = false;
	wire_begin(&w->wire);
	wire_send(&w->wire, w->probe.from, &w->probe.packet, 1);
	settle(w);
	wire_receive(&w->wire, on_arrival, w);
	wire_end(&w->wire);
	wire_read_counters(&w->wire, after);
}

/* Whether the kernel did so; what it counted otherwise is in ret_text. */
static bool agrees(const struct world *w, const struct outcome *outcome, const struct wire_counters *before,
		   const struct wire_counters *after, char *ret_text, size_t size)
{
	int at = 0;

	*ret_text = '\0';
	if (w->arrived != outcome->passes)
		at = snprintf(ret_text, size, "the kernel lets it %s", w->arrived ? "through" : "not through");
	for (size_t i = 0; i < after->count && (size_t)at < size; i++) {
		const char *name = after->items[i].name;
		uint64_t counted = after->items[i].packets - wire_count(before, name);
		if (counted != times(outcome, name))
			at += snprintf(ret_text + at, size - (size_t)at, "%s%s: %llu, not %zu", at ? "; " : "", name,
				       (unsigned long long)counted, times(outcome, name));
	}
	return at == 0;
}

static void tell_probe(struct world *w, const char *what, const char *text)
{
	const struct wire_packet *packet = &w->probe.packet;
	char source[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX], line[400];

	snprintf(line, sizeof(line), "%s %s %u > %s %u (%s to %s): %s", wire_kind_name(packet->kind),
		 addr_format(&packet->source, source), packet->source_port, addr_format(&packet->target, target),
		 packet->target_port, wire_name(&w->wire, w->probe.from), wire_name(&w->wire, w->probe.to), text);
	complain(w, what, line);
}

/* Sends w->probe. False: it fares otherwise than the small machine says. *ret_differs: the kernel does not what it
 * would with the original. */
static bool try_probe(struct world *w, bool *ret_differs)
{
	struct wire_counters before, after;
	struct outcome mutant, pristine;
	char text[300], other[300];
	bool well = false;

	foretell(w, w->loaded, &w->probe, &mutant);
	foretell(w, &w->pristine, &w->probe, &pristine);
	*ret_differs = false;
	if (mutant.error) {
		tell_probe(w, "the kernel has loaded what the small machine can't run", mutant.error);
		return false;
	}
	for (int i = 0; i < TRIES && !well; i++) {
		send_probe(w, &before, &after);
		w->tally.sent++;
		well = agrees(w, &mutant, &before, &after, text, sizeof(text));
	}
	*ret_differs = !agrees(w, &pristine, &before, &after, other, sizeof(other));
	if (!well)
		tell_probe(w, "the small machine and the kernel disagree", text);
	return well;
}

/* Packets */

static void add_addr(struct values *values, const struct addr *addr)
{
	size_t *count = &values->addr_count[addr->family];

	values->addrs[addr->family][*count < ADDRESSES_MAX ? (*count)++ : roll(ADDRESSES_MAX)] = *addr;
}

static void add_key(struct values *values, enum key_type type, const uint8_t *bytes)
{
	struct addr addr = { .family = type == KEY_IPV6 }, before, after;

	if (type == KEY_PORT) {
		uint16_t port = (uint16_t)(bytes[0] << 8 | bytes[1]);
		for (int by = -1; by <= 1; by++)
			values->ports[values->port_count < PORTS_MAX ? values->port_count++ : roll(PORTS_MAX)] =
				(uint16_t)(port + by);
	} else if (type == KEY_IPV4 || type == KEY_IPV6) {
		memcpy(addr.bytes, bytes, addr_size(addr.family));
		before = after = addr;
		add_addr(values, &addr);
		if (addr_previous(&before))
			add_addr(values, &before);
		if (addr_next(&after))
			add_addr(values, &after);
	}
}

static void collect(struct world *w)
{
	w->values = (struct values){ 0 };
	for (size_t s = 0; s < w->pristine.sets.count; s++) {
		const struct set *set = &w->pristine.sets.items[s];
		for (size_t i = 0; i < set->count; i++) {
			add_key(&w->values, set->type, set->items[i].first);
			add_key(&w->values, set->type, set->items[i].last);
		}
	}
	for (size_t c = 0; c < w->pristine.chains.count; c++) {
		const struct chain *chain = &w->pristine.chains.items[c];
		for (size_t r = 0; r < chain->count; r++) {
			for (size_t t = 0; t < chain->items[r].count; t++) {
				const struct term *term = &chain->items[r].items[t];
				bool port = term->kind == TERM_MATCH && term->field >= FIELD_TCP_SPORT &&
					    term->field <= FIELD_UDP_DPORT;
				if (port)
					add_key(&w->values, KEY_PORT, term->first);
				if (port)
					add_key(&w->values, KEY_PORT, term->last);
			}
		}
	}
	for (size_t i = 0; i < w->place_count; i++)
		add_addr(&w->values, &w->places[i].range.first);
}

static struct addr some_addr(const struct world *w, enum family family)
{
	const struct ranges *all = &w->g.policy.protected_all;
	const struct range *range = &all->items[roll((unsigned)all->count)];

	if (roll(2) && range->first.family == family)
		return roll(2) ? range->first : range->last;
	return w->values.addrs[family][roll((unsigned)w->values.addr_count[family])];
}

static uint16_t some_port(const struct world *w)
{
	return w->values.port_count && roll(4) ? w->values.ports[roll((unsigned)w->values.port_count)]
					       : (uint16_t)(1 + roll(65535));
}

static void use_edge(struct wire_packet *packet, enum key_type type, const uint8_t *bytes)
{
	struct addr addr = { .family = type == KEY_IPV6 };

	if (type == KEY_PORT) {
		*(roll(4) ? &packet->target_port : &packet->source_port) = (uint16_t)(bytes[0] << 8 | bytes[1]);
	} else if (type == KEY_IPV4 || type == KEY_IPV6) {
		memcpy(addr.bytes, bytes, addr_size(addr.family));
		if (addr.family == packet->source.family)
			*(roll(2) ? &packet->source : &packet->target) = addr;
	}
}

/* shown: what the proof has found, or NULL. */
static bool make_probe(struct world *w, const struct fate_packet *shown)
{
	static const uint8_t kinds[] = { WIRE_SYN,     WIRE_SYN, WIRE_SYN,   WIRE_ACK, WIRE_ACK,
					 WIRE_SYN_ACK, WIRE_FIN, WIRE_RESET, WIRE_UDP, WIRE_ECHO };
	const struct mutant *m = w->mutant;

	for (int tries = 0; tries < 100; tries++) {
		enum family family = shown ? shown->source.family : (enum family)roll(FAMILIES);
		struct wire_packet packet = { .source = some_addr(w, family),
					      .target = some_addr(w, family),
					      .kind = kinds[roll(sizeof(kinds))],
					      .source_port = some_port(w),
					      .target_port = some_port(w) };
		if (shown && roll(2))
			packet.source = shown->source;
		if (shown && roll(2))
			packet.target = shown->target;
		if (shown && roll(2))
			packet.source_port = shown->source_port;
		if (shown && roll(2))
			packet.target_port = shown->target_port;
		for (size_t e = 0; e < m->edge_count; e++)
			if (roll(2))
				use_edge(&packet, m->edges[e].type, m->edges[e].bytes);
		if (packet.kind == WIRE_ECHO)
			packet.target_port = 0;
		w->probe = (struct probe){ .packet = packet };
		if (place_probe(w, &w->probe))
			return true;
	}
	return false;
}

/* One that the mutant treats unlike the original, as the small machine has it. */
static bool find_telling(struct world *w, const struct fate_packet *shown)
{
	struct outcome mutant, pristine;

	for (int i = 0; i < SEARCH && make_probe(w, i % 2 ? shown : NULL); i++) {
		foretell(w, w->loaded, &w->probe, &mutant);
		foretell(w, &w->pristine, &w->probe, &pristine);
		if (!same_outcome(&mutant, &pristine))
			return true;
	}
	return false;
}

/* The packet that the proof shows; false: none that the lab can send. */
static bool take_shown(struct world *w, const struct proof_result *result)
{
	const struct fate_packet *p = &result->packet;
	bool echo = p->protocol == (p->source.family == FAMILY_4 ? 1 : 58) &&
		    p->icmp_type == (p->source.family == FAMILY_4 ? 8 : 128);

	if (result->is_established || (result->stage >= STAGE_FORWARD && p->state != CT_NEW) || p->dnat || p->reply ||
	    (!echo && p->protocol != 17 && (p->protocol != 6 || !p->syn)))
		return false;
	w->probe = (struct probe){ .packet = { .source = p->source,
					       .target = p->target,
					       .kind = echo                ? WIRE_ECHO
						       : p->protocol == 17 ? WIRE_UDP
									   : WIRE_SYN,
					       .source_port = p->source_port,
					       .target_port = echo ? 0 : p->target_port } };
	return place_probe(w, &w->probe);
}

/* Mutants */

/* False: the kernel, or the encoder, refuses it. */
static bool load(struct world *w)
{
	static const struct ruleset nothing;
	const struct delta_options options = { .exists = w->has_table, .replace = w->has_table };
	struct delta delta;

	if (delta_compute(&delta, &nothing, &w->g.ruleset, &options) < 0)
		return false;
	int r = nft_commit(&w->socket, delta.items, delta.count, 0);
	delta_free(&delta);
	if (r == -ENOBUFS || r == -EIO)
		wire_fail("%s", nft_reason(&w->socket, r));
	w->has_table |= r == 0;
	return r == 0;
}

static struct proof_result prove(const struct world *w, const struct ruleset *ruleset)
{
	struct proof_result result;

	if (proof_run(&result, &w->g.policy, &w->g.environment, ruleset, &w->pristine) < 0)
		wire_fail("out of memory");
	return result;
}

static void say_misread(struct world *w, const struct proof_result *sent, const struct proof_result *found)
{
	char text[2 * PROOF_TEXT_MAX + 40];

	w->tally.misread++;
	snprintf(text, sizeof(text), "%s; of what was sent: %s", found->state == PROOF_EQUAL ? "equal" : found->text,
		 sent->state == PROOF_EQUAL ? "equal" : sent->text);
	complain(w, "as it was read, the proof says otherwise", text);
}

/* A set is such for its type, which the kernel gets: the flag itself is not. */
static bool is_kept_alone(const struct world *w)
{
	const struct set *set = w->mutant->set, *before = set ? ruleset_find_set(&w->pristine, set->name) : NULL;

	return before && (before->flags ^ set->flags) == SET_KEPT;
}

/* The reader doesn't know rules of that form: it says so, and the proof fails there without a packet. */
static bool is_altered(const struct ruleset *found)
{
	for (size_t i = 0; i < found->chains.count; i++)
		if (found->chains.items[i].altered)
			return true;
	return false;
}

static void try_packets(struct world *w, const struct proof_result *result)
{
	bool equal = result->state == PROOF_EQUAL, differs, shown = false;

	if (result->has_packet && (take_shown(w, result) || find_telling(w, &result->packet))) {
		w->tally.wrong += !try_probe(w, &shown);
		if (!shown && find_telling(w, &result->packet))
			w->tally.wrong += !try_probe(w, &shown);
		w->tally.shown += shown;
	}
	if (equal && find_telling(w, NULL)) {
		w->tally.survivors++;
		tell_probe(w, "called equal", "the small machine tells it from the original");
	}
	for (int i = 0; i < (equal ? AROUND_EQUAL : AROUND_OTHERS) && make_probe(w, NULL); i++) {
		w->tally.wrong += !try_probe(w, &differs);
		if (!equal || !differs)
			continue;
		w->tally.survivors++;
		tell_probe(w, "called equal", "the kernel tells it from the original");
		break;
	}
}

/* The proof finds the same of what was read as of what was sent; and the kernel does what it found. */
static void try_loaded(struct world *w, const struct proof_result *sent)
{
	struct nft_table_state state;
	struct ruleset found;

	if (nft_read_table(&w->socket, &found, 0, &state) < 0)
		wire_fail("%s", w->socket.error);
	struct proof_result result = prove(w, &found);
	bool kept = is_kept_alone(w);
	if (kept)
		w->tally.kept++;
	else if ((result.state == PROOF_EQUAL) != (sent->state == PROOF_EQUAL) ||
		 (result.has_packet != sent->has_packet && !is_altered(&found)))
		say_misread(w, sent, &result);
	w->loaded = kept ? &found : &w->g.ruleset;
	if (result.state == PROOF_EQUAL || (result.state == PROOF_DIFFERS && result.has_packet))
		try_packets(w, &result);
	ruleset_free(&found);
}

static void try_mutant(void *userdata, const struct mutant *mutant)
{
	struct world *w = userdata;

	w->mutant = mutant;
	w->tally.mutants++;
	struct proof_result sent = prove(w, &w->g.ruleset);
	*(sent.state == PROOF_FAILED  ? &w->tally.unproven
	  : sent.state == PROOF_EQUAL ? &w->tally.equal
	  : sent.has_packet           ? &w->tally.packet
				      : &w->tally.literal) += 1;
	if (strcmp(mutant->kind, "rules of others") == 0)
		w->tally.unsent++; /* a mark that the reader makes */
	else if (!load(w))
		w->tally.refused++;
	else
		try_loaded(w, &sent);
}

static bool is_sampled(void *userdata, size_t number)
{
	struct world *w = userdata;

	(void)number;
	return w->one_of <= 1 || roll((unsigned)w->one_of) == 0;
}

static void do_try(struct world *w, const char *conf, const char *one_of, const char *seed)
{
	const struct mutate_calls calls = { is_sampled, try_mutant, w };
	const struct tally *tally = &w->tally;

	if (!w->marker_send)
		open_markers(w);
	dice = strtoull(seed, NULL, 0) | 1;
	w->one_of = strtoul(one_of, NULL, 0);
	w->tally = (struct tally){ 0 };
	golden_case_make(&w->g, conf);
	if (compile(&w->pristine, &w->g.policy, &w->g.environment) < 0)
		wire_fail("out of memory");
	collect(w);
	mutate(&w->g.ruleset, &calls);
	ruleset_free(&w->pristine);
	golden_case_free(&w->g);
	printf("ok mutants %zu packet %zu literal %zu unproven %zu equal %zu refused %zu unsent %zu kept %zu "
	       "survivors %zu misread %zu wrong %zu sent %zu shown %zu\n",
	       tally->mutants, tally->packet, tally->literal, tally->unproven, tally->equal, tally->refused,
	       tally->unsent, tally->kept, tally->survivors, tally->misread, tally->wrong, tally->sent, tally->shown);
}

int main(void)
{
	static struct world world;
	char *words[WORDS_MAX], *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		size_t count = 0;
		char *rest;
		for (char *word = strtok_r(line, " \n", &rest); word && count < WORDS_MAX;
		     word = strtok_r(NULL, " \n", &rest))
			words[count++] = word;
		if (count >= 2 && strcmp(words[0], "machine") == 0) {
			wire_add(&world.wire, words[1], count > 2 ? words[2] : "");
			puts("ok");
		} else if (count == 3 && strcmp(words[0], "place") == 0) {
			do_place(&world, words[1], words[2]);
		} else if (count == 4 && strcmp(words[0], "try") == 0) {
			do_try(&world, words[1], words[2], words[3]);
		} else if (count) {
			wire_fail("what is %s?", words[0]);
		}
		fflush(stdout);
	}
	free(line);
	if (world.marker_send) {
		nft_close(&world.socket);
		close(world.marker_send);
		close(world.marker_receive);
	}
	wire_free(&world.wire);
	return EXIT_SUCCESS;
}
