/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The compiled ruleset means what policy_judge() decides: shown with random policies in a world of few addresses and
 * ports, packet by packet, in an interpreter of rulesets (vm.c). SPEFW_SEED and SPEFW_ROUNDS in the environment change
 * the dice. */
#include "core/explain.h"
#include "core/ruleset_guards.h"
#include "make.h"
#include "random_policy.h"
#include "vm.h"

#include <errno.h>

static struct addr random_addr(bool ipv6)
{
	struct addr addr = make_addr(ipv6 ? "fd00::" : "10.0.0.0");
	addr.bytes[ipv6 ? 15 : 3] = (uint8_t)roll(32);
	return addr;
}

/* Mostly from or to what is protected. */
static struct packet random_packet(const struct policy *policy)
{
	struct addr protected = policy->protected_all.items[roll((unsigned)policy->protected_all.count)].first;
	bool ipv6 = protected.family == FAMILY_6;
	struct packet packet = { random_addr(ipv6), random_addr(ipv6), (enum protocol)roll(PROTOCOLS), 0, 0, false };

	if (roll(4))
		*(roll(2) ? &packet.source : &packet.target) = protected;
	if (roll(2))
		packet.protocol = PROTOCOL_TCP;
	if (packet.protocol != PROTOCOL_ICMP_ECHO) {
		packet.source_port = (uint16_t)some_port();
		packet.target_port = (uint16_t)some_port();
	}
	packet.mid_stream = packet.protocol == PROTOCOL_TCP && roll(2);
	return packet;
}

static struct vm_packet vm_packet_of(const struct packet *packet)
{
	bool ipv6 = packet->source.family == FAMILY_6;
	struct vm_packet out = { .ipv6 = ipv6,
				 .source_port = packet->source_port,
				 .target_port = packet->target_port,
				 .syn = !packet->mid_stream,
				 .icmp_type = ipv6 ? 128 : 8,
				 .state = CT_NEW,
				 .interface = "lan" };

	out.protocol = packet->protocol == PROTOCOL_TCP ? 6 : packet->protocol == PROTOCOL_UDP ? 17 : ipv6 ? 58 : 1;
	memcpy(out.source, packet->source.bytes, 16);
	memcpy(out.target, packet->target.bytes, 16);
	memcpy(out.original, packet->target.bytes, 16);
	return out;
}

static bool is_reported(const struct policy *policy, const struct judgement *j, const struct packet *packet)
{
	for (size_t i = 0; i < policy->flow_count; i++)
		if (flow_leaves_role(&policy->flows[i], j->role) && policy->flows[i].to.name_count &&
		    flow_has_port(&policy->flows[i], packet->protocol, packet->target_port))
			return true;
	return false;
}

/* What ends a packet that is denied: [gateway] reject. */
static enum action answer_to(const struct policy *policy, const struct names_view *names, const struct packet *packet,
			     const struct judgement *j)
{
	bool answered = !j->inbound && policy_rejects(policy, j->role) && !is_reported(policy, j, packet);

	for (size_t i = 0; i < policy->role_count; i++)
		answered |= j->inbound && policy_rejects(policy, &policy->roles[i]) &&
			    endpoint_is_source(&policy->roles[i].members, names, &packet->source);
	if (!answered || packet->mid_stream)
		return ACTION_DROP;
	return packet->protocol == PROTOCOL_TCP ? ACTION_RESET : ACTION_PROHIBIT;
}

/* NULL, or how ruleset and judge disagree. */
static const char *disagreement(const struct policy *policy, const struct names_view *names,
				const struct packet *packet, const struct judgement *j, const struct vm_result *vm)
{
	char counter[CONFIG_ID_MAX + 8] = "";
	const char *denied = j->inbound ? "denied-in" : "denied-out";

	if (j->flow)
		snprintf(counter, sizeof(counter), "flow-%s", j->flow->id);
	if (vm->error)
		return vm->error;
	switch (j->verdict) {
	case VERDICT_NOT_OURS:
		return vm->fell_through && !vm->counter_count && !vm->log_count ? NULL : "what is not ours is touched";
	case VERDICT_ALLOW:
		if (vm->action != ACTION_ACCEPT || vm->fell_through)
			return "the judge allows it";
		if (vm->counter_count != 1 || strcmp(vm->counters[0], packet->mid_stream ? "mid-stream" : counter) != 0)
			return packet->mid_stream ? "a mid-stream packet is counted wrongly"
						  : "another flow gets the credit";
		return NULL;
	default:
		if (vm->action != answer_to(policy, names, packet, j))
			return "the judge denies it, or it is not answered as it should be";
		if (vm->counter_count != 1 || strcmp(vm->counters[0], denied) != 0)
			return "it is not counted as denied, or not in its direction";
		bool reported = vm->log_count == 2 && strcmp(vm->logs[0], "spefw denied-name ") == 0;
		if (!packet->mid_stream && reported != (!j->inbound && is_reported(policy, j, packet)))
			return "the denial is copied for a fresh answer, or is not, wrongly";
		return NULL;
	}
}

static const char *early_disagreement(const struct policy *policy, const struct names_view *names,
				      const struct judgement *j, const struct packet *packet,
				      const struct vm_result *vm)
{
	bool dropped = vm->action == ACTION_DROP;

	if (vm->error)
		return vm->error;
	if (dropped && (packet->protocol != PROTOCOL_TCP || packet->mid_stream))
		return "early drops what is no SYN";
	if (dropped && (j->verdict != VERDICT_DENY || !j->inbound))
		return "early drops what the judge does not deny";
	if (j->verdict == VERDICT_DENY && answer_to(policy, names, packet, j) != ACTION_DROP)
		return dropped ? "early drops what is to be answered" : NULL;
	if (!dropped && j->verdict == VERDICT_DENY && j->reason == REASON_NO_FLOW && j->inbound &&
	    packet->protocol == PROTOCOL_TCP && !packet->mid_stream)
		return "early lets a SYN by that no flow opens";
	return NULL;
}

/* Whether the policy takes the packet for one of a connection that the judging role opened. */
static bool is_outbound_mid_stream(const struct policy *policy, const struct packet *packet, bool inbound)
{
	struct packet opened;

	return packet->mid_stream && policy_opened(policy, packet, &opened) &&
	       (addr_compare(&opened.source, &packet->target) == 0) == inbound;
}

/* What was cut is answered by a reset, whatever the flows allow; where the sets lack something, nothing passes by an
 * outbound flow. */
static const char *cut_disagreement(const struct policy *policy, const struct names_view *names,
				    const struct packet *packet, const struct judgement *j,
				    const struct ruleset *ruleset)
{
	struct vm_packet cut = vm_packet_of(packet), full = cut;
	cut.cut_in = cut.cut_out = true;
	full.cut_full = true;
	struct vm_result vm = vm_run(ruleset, "forward", &cut);

	if (j->verdict == VERDICT_NOT_OURS || !packet->mid_stream)
		return disagreement(policy, names, packet, j, &vm);
	if (vm.action != ACTION_RESET || vm.counter_count != 1 || strcmp(vm.counters[0], "cut") != 0)
		return "a packet of what was cut gets no reset, or is not counted";
	vm = vm_run(ruleset, "forward", &full);
	if (addr_compare(&packet->source, &packet->target) == 0) /* which end is which? */
		return NULL;
	if (!is_outbound_mid_stream(policy, packet, j->inbound))
		return disagreement(policy, names, packet, j, &vm);
	return vm.action != ACTION_DROP || vm.counter_count != 1 ||
			       strcmp(vm.counters[0], j->inbound ? "denied-in" : "denied-out") != 0
		       ? "a mid-stream packet passes by an outbound flow although not all that was cut is known"
		       : NULL;
}

/* What explain has to say of a new connection is what the chains do, and the nearest flow lacks something exactly where
 * none allows it. */
static const char *explain_disagreement(const struct policy *policy, const struct names_view *names,
					const struct packet *packet, const struct judgement *j,
					const struct ruleset *ruleset, struct packet_walks *walks)
{
	struct explain_view view = { policy, make_environment(policy, names), names, walks };
	struct vm_packet vm_packet = vm_packet_of(packet);
	struct vm_result vm = { .action = ACTION_ACCEPT };
	struct explanation e;
	bool allowed = false;

	if (packet->mid_stream)
		return NULL;
	for (size_t i = 0; i < policy->flow_count; i++)
		allowed |= !flow_misses(policy, names, &policy->flows[i], packet);
	if (j->verdict != VERDICT_NOT_OURS && allowed != (j->verdict == VERDICT_ALLOW))
		return "a flow lacks nothing where none allows it, or the other way round";
	assert_int_equal(explain_packet(&view, packet, &e), 0);
	if (!e.walked || e.differs || e.hook != HOOK_FORWARD || e.exception || e.verdict != j->verdict)
		return "the explanation's verdict is another one";
	if ((e.nearest.flow != NULL) != (e.nearest.misses != 0) || (j->verdict != VERDICT_DENY && e.nearest.flow))
		return "the nearest flow lacks nothing";
	if (e.nearest.others && !e.nearest.flow)
		return "no flow is near where one has the port";
	if (policy->early_drop)
		vm = vm_run(ruleset, "early", &vm_packet);
	if (vm.action == ACTION_ACCEPT)
		vm = vm_run(ruleset, "forward", &vm_packet);
	if (e.walk.action != vm.action || (e.walk.chain == NULL) != vm.fell_through)
		return "the walk ends otherwise";
	if (vm.counter_count ? !e.walk.counter || strcmp(e.walk.counter, vm.counters[vm.counter_count - 1]) != 0
			     : e.walk.counter != NULL)
		return "the walk is counted otherwise";
	return NULL;
}

struct tally {
	size_t policies, allowed, denied, answers, other, granted;
};

static void say_packet(const struct packet *packet, const struct judgement *j, const struct vm_result *vm,
		       const char *what)
{
	char source[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX];

	print_error("%s %s:%u -> %s:%u%s: %s: verdict %d reason %d flow %s; ruleset: action %d, %s\n",
		    protocol_name(packet->protocol), addr_format(&packet->source, source), packet->source_port,
		    addr_format(&packet->target, target), packet->target_port, packet->mid_stream ? " mid-stream" : "",
		    what, j->verdict, j->reason, j->flow ? j->flow->id : "-", vm->action,
		    vm->counter_count ? vm->counters[0] : "-");
}

static bool compare(const struct policy *policy, const struct names_view *names, const struct ruleset *ruleset,
		    struct packet_walks *walks, struct tally *tally)
{
	for (int i = 0; i < 1500; i++) {
		struct packet packet = random_packet(policy);
		struct vm_packet vm_packet = vm_packet_of(&packet);
		struct judgement j = policy_judge(policy, names, &packet);
		struct vm_result vm = vm_run(ruleset, "forward", &vm_packet);
		const char *what = disagreement(policy, names, &packet, &j, &vm);
		if (!what)
			what = cut_disagreement(policy, names, &packet, &j, ruleset);
		if (!what)
			what = explain_disagreement(policy, names, &packet, &j, ruleset, walks);
		if (!what && policy->early_drop) {
			vm = vm_run(ruleset, "early", &vm_packet);
			what = early_disagreement(policy, names, &j, &packet, &vm);
		}
		if (what) {
			say_packet(&packet, &j, &vm, what);
			return false;
		}
		tally->allowed += j.verdict == VERDICT_ALLOW;
		tally->answers += j.verdict == VERDICT_ALLOW && j.reason == REASON_ANSWER;
		tally->denied += j.verdict == VERDICT_DENY;
		tally->other += j.verdict == VERDICT_NOT_OURS;
	}
	return true;
}

/* The gateway itself has one of the protected addresses. */
static void leave_out_some(struct policy *policy)
{
	struct range range = range_of(&policy->protected_all.items[roll((unsigned)policy->protected_all.count)].last);
	struct ranges gateway = { &range, 1, 1 };
	bool changed;

	assert_int_equal(policy_leave_out(policy, &gateway, &changed), 0);
	assert_true(changed);
}

static void run_policy(const char *text, const struct policy *policy, struct tally *tally)
{
	struct names_view names = random_names(policy);
	struct packet_walks *walks;
	struct ruleset ruleset;

	if (policy->flow_count)
		add_random_grants(policy, &names);
	tally->granted += names.granted_count;
	assert_int_equal(make_ruleset(&ruleset, policy, &names), 0);
	assert_int_equal(packet_walks_new(&walks, policy, &ruleset), 0);
	if (!compare(policy, &names, &ruleset, walks, tally))
		fail_msg("in the policy of\n%s", text);
	tally->policies++;
	packet_walks_free(walks);
	ruleset_free(&ruleset);
	names_view_free(&names);
}

static void test_judge_and_ruleset(void **state)
{
	const char *seed = getenv("SPEFW_SEED"), *rounds = getenv("SPEFW_ROUNDS");
	struct tally tally = { 0 };

	(void)state;
	random_seed(seed ? strtoull(seed, NULL, 0) : 0x5eed5eed5eed5eed);
	for (int i = rounds ? atoi(rounds) : 300; i > 0; i--) {
		struct policy policy;
		char *text = random_config(false);
		free(make_policy(&policy, text));
		if (policy.role_count && roll(3) == 0)
			leave_out_some(&policy);
		if (policy.role_count && policy.protected_all.count)
			run_policy(text, &policy, &tally);
		policy_free(&policy);
		free(text);
	}
	print_message("%zu policies; packets: %zu allowed (%zu as answers), %zu denied, %zu not ours\n", tally.policies,
		      tally.allowed, tally.answers, tally.denied, tally.other);
	/* The dice must have shown something. */
	assert_true(rounds || (tally.policies > 100 && tally.granted > 100));
	assert_true(rounds ||
		    (tally.allowed > 1000 && tally.answers > 1000 && tally.denied > 1000 && tally.other > 1000));
}

#define PLAIN \
	"[server]\naddress = 10.0.0.16 fd00::10\nresolvers = 10.0.0.3\n[role ADM]\nmembers = 10.0.0.1 10.0.0.4/30\n"

static struct vm_packet tcp_packet(const char *source, uint16_t source_port, const char *target, uint16_t target_port)
{
	struct packet packet = { make_addr(source), make_addr(target), PROTOCOL_TCP, source_port, target_port, false };
	return vm_packet_of(&packet);
}

static void assert_counted(const struct ruleset *ruleset, const char *chain, const struct vm_packet *packet,
			   enum action action, const char *counter)
{
	struct vm_result vm = vm_run(ruleset, chain, packet);
	assert_null(vm.error);
	assert_int_equal(vm.action, action);
	if (!counter) {
		assert_int_equal(vm.counter_count, 0);
		return;
	}
	assert_true(vm.counter_count > 0);
	assert_string_equal(vm.counters[0], counter);
}

/* What stands around the flows: established connections, errors, invalid packets, neighbours, noise, spoofing. */
static void check_environment(const struct ruleset *r, bool audit)
{
	enum action drop = audit ? ACTION_ACCEPT : ACTION_DROP;
	struct vm_packet p = tcp_packet("10.0.0.9", 1, "10.0.0.16", 22);

	assert_counted(r, "forward", &p, drop, "denied-in");
	p.state = CT_ESTABLISHED;
	assert_counted(r, "forward", &p, ACTION_ACCEPT, NULL);
	p.state = CT_INVALID;
	assert_counted(r, "forward", &p, drop, "invalid");
	p.state = CT_RELATED; /* no ICMP error: a connection that a helper expects is judged as any other */
	assert_counted(r, "forward", &p, drop, "denied-in");
	p.syn = false;
	p.rst = true; /* of our own making: it is answered, and may leave, and no other packet looks so */
	assert_counted(r, "output", &p, ACTION_ACCEPT, NULL);
	assert_counted(r, "input", &p, ACTION_ACCEPT, NULL);
	assert_counted(r, "forward", &p, drop, "denied-in");
	p.state = CT_NEW;
	assert_counted(r, "output", &p, drop, "denied-in");
	p.rst = false;
	p.cut_in = true;
	assert_counted(r, "forward", &p, audit ? ACTION_ACCEPT : ACTION_RESET, "cut");
	assert_counted(r, "input", &p, audit ? ACTION_ACCEPT : ACTION_RESET, "cut");
	p.cut_in = false;
	p.state = CT_RELATED;
	p.protocol = 1;
	p.icmp_type = 3;
	assert_counted(r, "forward", &p, ACTION_ACCEPT, NULL);
	p.state = CT_NEW;
	assert_counted(r, "forward", &p, drop, "denied-in");

	p = tcp_packet("10.0.0.16", 1, "10.0.0.9", 993);
	assert_counted(r, "forward", &p, ACTION_ACCEPT, "flow-imaps-out");
	p.interface = "wan";
	assert_counted(r, "forward", &p, drop, "spoofed");
	assert_counted(r, "input", &p, drop, "spoofed");
	p.interface = "la";
	assert_counted(r, "forward", &p, drop, "spoofed");
	p = tcp_packet("10.0.0.9", 1, "10.0.0.10", 22);
	p.interface = "wan";
	assert_counted(r, "forward", &p, ACTION_ACCEPT, NULL);

	p = tcp_packet("10.0.0.16", 137, "10.0.0.255", 137);
	p.protocol = 17;
	for (uint8_t type = 0; type < 3; type++) {
		p.packet_type = type;
		assert_counted(r, "input", &p, drop, type ? "ignored" : "denied-out");
	}
	for (unsigned type = 128; type < 145; type++) {
		bool heard = type == 131 || (type >= 133 && type <= 136) || type == 143;
		bool neighbour = type == 130 || (type >= 133 && type <= 137);
		p = tcp_packet("fd00::10", 0, "fd00::9", 0);
		p.protocol = 58;
		p.icmp_type = (uint8_t)type;
		assert_counted(r, "input", &p, heard ? ACTION_ACCEPT : drop, heard ? NULL : "denied-out");
		assert_counted(r, "forward", &p, drop, "denied-out");
		p.hop_limit = 255; /* across a bridge, not routed */
		assert_counted(r, "forward", &p, neighbour ? ACTION_ACCEPT : drop, neighbour ? NULL : "denied-out");
		p = tcp_packet("fd00::9", 0, "fd00::10", 0);
		p.protocol = 58;
		p.icmp_type = (uint8_t)type;
		assert_counted(r, "output", &p, neighbour ? ACTION_ACCEPT : drop, neighbour ? NULL : "denied-in");
	}
}

static struct vm_packet datagram(const char *source, const char *target)
{
	struct vm_packet p = tcp_packet(source, 9, target, 161);
	p.protocol = 17;
	p.way_out = "lan";
	return p;
}

/* What names the gateway as its source and came by a wire, or a target that is not the last word. */
static void check_untrue(const struct ruleset *r, bool audit)
{
	static const struct {
		const char *source, *target;
	} ways[] = { { "192.0.2.1", "10.0.0.16" }, { "2001:db8:2::1", "fd00::10" } };
	enum action drop = audit ? ACTION_ACCEPT : ACTION_DROP;
	struct vm_packet p;

	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		p = tcp_packet(ways[i].source, 1, ways[i].target, 443);
		p.interface = "wan";
		assert_counted(r, "forward", &p, drop, "spoofed");
		assert_counted(r, "input", &p, drop, "spoofed");
		p.interface = "lan";
		assert_counted(r, "forward", &p, drop, "spoofed");
		assert_counted(r, "output", &p, ACTION_ACCEPT, "flow-https-in");
		p.interface = "lo";
		assert_counted(r, "input", &p, ACTION_ACCEPT, "flow-https-in");
	}
	static const uint8_t options[] = { 68, 131, 137 };
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		const char *counter = i ? "source-routed" : NULL;
		p = datagram("10.0.0.9", "192.0.2.1");
		p.ip_option = options[i];
		assert_counted(r, "forward", &p, counter ? drop : ACTION_ACCEPT, counter);
		p.state = CT_ESTABLISHED;
		assert_counted(r, "forward", &p, counter ? drop : ACTION_ACCEPT, counter);
		p.way_out = "wan";
		assert_counted(r, "forward", &p, ACTION_ACCEPT, NULL);
	}
	for (unsigned left = 0; left < 256; left += 51) {
		p = datagram("fd00::9", "fd00::a");
		p.routing = true;
		p.segments_left = (uint8_t)left;
		assert_counted(r, "forward", &p, left ? drop : ACTION_ACCEPT, left ? "source-routed" : NULL);
		p.way_out = "wan";
		assert_counted(r, "forward", &p, ACTION_ACCEPT, NULL);
	}
	p = datagram("fd00::9", "fd00::10");
	p.routing = true;
	memcpy(p.original, make_addr("2001:db8:2::1").bytes, 16);
	assert_counted(r, "forward", &p, drop, "denied-in");
	p.state = CT_ESTABLISHED;
	assert_counted(r, "forward", &p, drop, "source-routed");
	p.status = CT_STATUS_DNAT;
	assert_counted(r, "forward", &p, ACTION_ACCEPT, NULL);

	p = datagram("10.0.0.9", "192.0.2.255");
	assert_counted(r, "forward", &p, drop, "denied-in");
	p.packet_type = 1; /* of a bridge's own network */
	assert_counted(r, "forward", &p, ACTION_ACCEPT, NULL);
}

static void test_environment(void **state)
{
	static const char *const modes[] = { "[gateway]\nmode = enforce\n" PLAIN, "[gateway]\nmode = audit\n" PLAIN };

	(void)state;
	for (int audit = 0; audit < 2; audit++) {
		struct policy policy;
		struct ruleset ruleset;
		make_good_policy(&policy, modes[audit]);
		assert_int_equal(make_ruleset(&ruleset, &policy, NULL), 0);
		check_environment(&ruleset, audit);
		check_untrue(&ruleset, audit);
		ruleset_free(&ruleset);
		policy_free(&policy);
	}
}

/* A flow's id and comment are no matter of the kernel. */
static void test_comment(void **state)
{
	struct policy plain, commented;
	struct ruleset a, b;

	(void)state;
	make_good_policy(&plain, PLAIN "[flow smtp-out]\nexpect = 1h\n");
	make_good_policy(&commented, PLAIN "[flow smtp-out]\nexpect = 2h\ncomment = as before\n");
	assert_int_equal(make_ruleset(&a, &plain, NULL), 0);
	assert_int_equal(make_ruleset(&b, &commented, NULL), 0);
	char *before = ruleset_text(&a, 0), *after = ruleset_text(&b, 0);
	assert_non_null(before);
	assert_string_equal(before, after);
	free(before);
	free(after);
	ruleset_free(&a);
	ruleset_free(&b);
	policy_free(&plain);
	policy_free(&commented);
}

static void test_interception(void **state)
{
	static const struct {
		const char *word;
		const char *counter;
		bool dropped;
	} ways[] = {
		{ "off", NULL, false },
		{ "report", "intercepted", false },
		{ "prevent", "intercepted", false },
		{ "block", "intercepted", true },
	};
	(void)state;
	for (size_t i = 0; i < COUNT_OF(ways) * 2; i++) {
		bool audit = i & 1, dropped = ways[i / 2].dropped && !audit;
		const char *counter = ways[i / 2].counter;
		struct policy policy;
		struct ruleset r;
		char text[600];

		snprintf(text, sizeof(text), "[gateway]\nmode = %s\ninterception = %s\nnat_except = 10.0.0.12\n" PLAIN,
			 audit ? "audit" : "enforce", ways[i / 2].word);
		make_good_policy(&policy, text);
		assert_int_equal(make_ruleset(&r, &policy, NULL), 0);
		assert_int_equal(ruleset_find_chain(&r, "pin") != NULL, strcmp(ways[i / 2].word, "prevent") == 0);

		/* The server's connection goes elsewhere than it was opened to. */
		struct vm_packet p = tcp_packet("10.0.0.16", 1, "10.0.0.9", 993);
		p.status = CT_STATUS_DNAT;
		memcpy(p.original, make_addr("10.0.0.8").bytes, 16);
		assert_counted(&r, "forward", &p, dropped ? ACTION_DROP : ACTION_ACCEPT,
			       counter ? counter : "flow-imaps-out");
		/* It was opened to the gateway, or to what is translated on purpose: a port forward. */
		memcpy(p.original, make_addr("192.0.2.1").bytes, 16);
		assert_counted(&r, "forward", &p, ACTION_ACCEPT, "flow-imaps-out");
		memcpy(p.original, make_addr("10.0.0.12").bytes, 16);
		assert_counted(&r, "forward", &p, ACTION_ACCEPT, "flow-imaps-out");
		/* Opened to the server, and it goes elsewhere; and the other way round, which is a port forward. */
		p = tcp_packet("10.0.0.9", 1, "10.0.0.8", 443);
		p.status = CT_STATUS_DNAT;
		memcpy(p.original, make_addr("10.0.0.16").bytes, 16);
		assert_counted(&r, "forward", &p, dropped ? ACTION_DROP : ACTION_ACCEPT, counter);
		p = tcp_packet("10.0.0.9", 1, "10.0.0.16", 443);
		p.status = CT_STATUS_DNAT;
		memcpy(p.original, make_addr("192.0.2.1").bytes, 16);
		assert_counted(&r, "forward", &p, ACTION_ACCEPT, "flow-https-in");

		/* What is for another machine comes to input by tproxy alone; not so what is for the gateway. */
		p = tcp_packet("10.0.0.16", 1, "10.0.0.9", 993);
		p.to_other = true;
		assert_counted(&r, "input", &p, dropped ? ACTION_DROP : ACTION_ACCEPT,
			       counter ? counter : "flow-imaps-out");
		p.to_other = false;
		assert_counted(&r, "input", &p, ACTION_ACCEPT, "flow-imaps-out");
		p = tcp_packet("10.0.0.9", 1, "10.0.0.16", 443);
		p.to_other = true;
		assert_counted(&r, "input", &p, dropped ? ACTION_DROP : ACTION_ACCEPT,
			       counter ? counter : "flow-https-in");
		/* DNS is no channel of the vendor's, and what is translated on purpose is meant. */
		p = tcp_packet("10.0.0.16", 1, "10.0.0.12", 993);
		p.to_other = true;
		assert_counted(&r, "input", &p, ACTION_ACCEPT, "flow-imaps-out");
		for (int dnat = 0; dnat < 2; dnat++) {
			p = tcp_packet("10.0.0.16", 1, "10.0.0.9", 53);
			p.to_other = !dnat;
			p.status = dnat ? CT_STATUS_DNAT : 0;
			memcpy(p.original, make_addr("10.0.0.8").bytes, 16);
			p.original_port = 53;
			if (dnat)
				p.target_port = 5353; /* what it was sent to counts */
			assert_counted(&r, dnat ? "forward" : "input", &p, audit ? ACTION_ACCEPT : ACTION_DROP,
				       "denied-out");
		}
		ruleset_free(&r);
		policy_free(&policy);
	}
}

/* While no interface is known the guard is left out: an empty set must never cut the server off. */
static void test_no_links(void **state)
{
	struct vm_packet p = tcp_packet("10.0.0.16", 1, "10.0.0.9", 993);
	struct interface_list interfaces[3] = { 0 };
	struct ranges gateway = { 0 };
	struct names_view names = { 0 };
	struct environment environment = { .gateway = &gateway, .role_interfaces = interfaces, .names = &names };
	struct policy policy;
	struct ruleset r;

	(void)state;
	make_good_policy(&policy, PLAIN);
	assert_int_equal(compile(&r, &policy, &environment), 0);
	p.interface = "whatever";
	assert_counted(&r, "forward", &p, ACTION_ACCEPT, "flow-imaps-out");
	assert_null(ruleset_find_set(&r, "SERVER_interfaces"));
	ruleset_free(&r);
	policy_free(&policy);
}

/* Each protected role lives behind interfaces of its own. */
static void test_links_of_two_roles(void **state)
{
	static const struct {
		const char *source, *interface;
		bool spoofed;
	} cases[] = {
		{ "10.0.0.16", "lan", false }, { "10.0.0.16", "dmz", true },  { "10.0.0.16", "dmz2", true },
		{ "10.0.0.20", "lan", true },  { "10.0.0.20", "dmz", false }, { "10.0.0.20", "dmz2", false },
		{ "10.0.0.20", "wan", true },
	};
	char lan[][CONFIG_INTERFACE_MAX + 1] = { "lan" }, dmz[][CONFIG_INTERFACE_MAX + 1] = { "dmz", "dmz2" };
	struct ranges gateway = { 0 };
	struct names_view names = { 0 };
	struct policy policy;
	struct ruleset r;

	(void)state;
	make_good_policy(&policy, PLAIN "[role IH]\nmembers = 10.0.0.20\nprotected = yes\n"
					"[flow out]\nfrom = SERVER IH\nto = any\nprotocol = tcp\nport = 1000\n");
	assert_int_equal(policy.role_count, 4);
	struct interface_list interfaces[4] = { { lan, 1 }, { 0 }, { 0 }, { dmz, 2 } };
	struct environment environment = { .gateway = &gateway, .role_interfaces = interfaces, .names = &names };
	assert_int_equal(compile(&r, &policy, &environment), 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct vm_packet p = tcp_packet(cases[i].source, 1, "10.0.0.9", 1000);
		p.interface = cases[i].interface;
		assert_counted(&r, "forward", &p, cases[i].spoofed ? ACTION_DROP : ACTION_ACCEPT,
			       cases[i].spoofed ? "spoofed" : "flow-out");
	}
	ruleset_free(&r);
	policy_free(&policy);
}

#define QUERY "spefw query "
#define ANSWER "spefw answer "

/* What the daemon sees of DNS: each role's queries by its own interfaces, and the answers to them by those of the
 * resolvers.
 */
static void test_observe(void **state)
{
	static const struct observe_case {
		const char *chain, *source, *target, *interface, *queried;
		uint16_t port;
		uint32_t state, status;
		const char *log;
	} cases[] = {
		{ "forward", "10.0.0.16", "10.0.0.3", "lan", "10.0.0.3", 53, CT_NEW, 0, QUERY },
		{ "forward", "10.0.0.16", "10.0.0.3", "lan", "10.0.0.3", 53, CT_ESTABLISHED, 0, QUERY },
		{ "forward", "10.0.0.20", "10.0.0.3", "dmz", "10.0.0.3", 53, CT_NEW, 0, QUERY },
		{ "forward", "10.0.0.16", "10.0.0.3", "wan", "10.0.0.3", 53, CT_NEW, 0,
		  NULL }, /* it only has the server's address */
		{ "forward", "10.0.0.16", "10.0.0.3", "dmz", "10.0.0.3", 53, CT_NEW, 0, NULL },
		{ "forward", "10.0.0.16", "10.0.0.4", "lan", "10.0.0.4", 53, CT_NEW, 0,
		  NULL }, /* no resolver of its own */
		{ "forward", "10.0.0.16", "10.0.0.3", "lan", "10.0.0.3", 54, CT_NEW, 0, NULL },
		{ "forward", "10.0.0.9", "10.0.0.3", "lan", "10.0.0.3", 53, CT_NEW, 0, NULL },
		{ "forward", "10.0.0.16", "10.0.0.9", "lan", "10.0.0.3", 53, CT_NEW, CT_STATUS_DNAT,
		  QUERY }, /* redirected */
		{ "forward", "fd00::10", "fd00::3", "lan", "fd00::3", 53, CT_NEW, 0, QUERY },
		{ "input", "10.0.0.16", "10.0.0.3", "lan", "10.0.0.3", 53, CT_NEW, 0, QUERY },
		{ "input", "10.0.0.16", "10.0.0.3", "wan", "10.0.0.3", 53, CT_NEW, 0, NULL },
		{ "output", "10.0.0.16", "10.0.0.3", "", "10.0.0.3", 53, CT_NEW, 0, NULL },

		{ "forward", "10.0.0.3", "10.0.0.16", "wan", "10.0.0.3", 53, CT_ESTABLISHED, 0, ANSWER },
		{ "forward", "10.0.0.3", "10.0.0.20", "wan", "10.0.0.3", 53, CT_ESTABLISHED, 0, ANSWER },
		{ "forward", "fd00::3", "fd00::10", "wan", "fd00::3", 53, CT_ESTABLISHED, 0, ANSWER },
		{ "forward", "10.0.0.3", "10.0.0.16", "wan", "10.0.0.3", 53, CT_NEW, 0, NULL },
		{ "forward", "10.0.0.3", "10.0.0.16", "wan2", "10.0.0.3", 53, CT_ESTABLISHED, 0,
		  NULL }, /* no way to the resolver */
		{ "forward", "10.0.0.3", "10.0.0.16", "lan", "10.0.0.3", 53, CT_ESTABLISHED, 0,
		  NULL }, /* the server itself */
		{ "forward", "10.0.0.3", "10.0.0.20", "dmz", "10.0.0.3", 53, CT_ESTABLISHED, 0, NULL },
		{ "forward", "10.0.0.3", "10.0.0.9", "wan", "10.0.0.3", 53, CT_ESTABLISHED, 0,
		  NULL }, /* another machine's */
		{ "forward", "10.0.0.4", "10.0.0.16", "wan", "10.0.0.4", 53, CT_ESTABLISHED, 0, NULL },
		{ "forward", "10.0.0.9", "10.0.0.16", "wan2", "10.0.0.3", 53, CT_ESTABLISHED, CT_STATUS_DNAT,
		  ANSWER }, /* redirected */
		{ "forward", "10.0.0.9", "10.0.0.16", "lan", "10.0.0.3", 53, CT_ESTABLISHED, CT_STATUS_DNAT, NULL },
		{ "output", "10.0.0.3", "10.0.0.16", "", "10.0.0.3", 53, CT_ESTABLISHED, 0, ANSWER },
		{ "output", "10.0.0.4", "10.0.0.16", "", "10.0.0.4", 53, CT_ESTABLISHED, 0, NULL },
		{ "input", "10.0.0.3", "10.0.0.16", "wan", "10.0.0.3", 53, CT_ESTABLISHED, 0, NULL },
		/* A protected machine is a resolver, too. */
		{ "forward", "10.0.0.16", "10.0.0.20", "lan", "10.0.0.20", 53, CT_NEW, 0, QUERY },
		{ "forward", "10.0.0.16", "10.0.0.20", "lan", "10.0.0.20", 53, CT_ESTABLISHED, 0, QUERY },
		{ "forward", "10.0.0.20", "10.0.0.16", "dmz", "10.0.0.20", 53, CT_ESTABLISHED, 0, ANSWER },
		{ "forward", "10.0.0.22", "10.0.0.20", "dmz2", "10.0.0.20", 53, CT_NEW, 0, QUERY },
		{ "forward", "10.0.0.20", "10.0.0.22", "dmz", "10.0.0.20", 53, CT_ESTABLISHED, 0, ANSWER },
	};
	char lan[][CONFIG_INTERFACE_MAX + 1] = { "lan" }, dmz[][CONFIG_INTERFACE_MAX + 1] = { "dmz" },
					  dmz2[][CONFIG_INTERFACE_MAX + 1] = { "dmz2" };
	char wan[][CONFIG_INTERFACE_MAX + 1] = { "wan", "dmz" };
	const struct interface_list resolvers = { wan, 2 };
	struct ranges gateway = { 0 };
	struct names_view names = { 0 };
	struct policy policy;
	struct ruleset r;

	(void)state;
	make_good_policy(&policy, "[server]\naddress = 10.0.0.16 fd00::10\nresolvers = 10.0.0.3 10.0.0.20 fd00::3\n"
				  "[role IH]\nmembers = 10.0.0.20\nprotected = yes\n[role CAS]\nmembers = "
				  "10.0.0.22\nprotected = yes\n");
	assert_int_equal(policy.role_count, 5);
	struct interface_list interfaces[5] = { { lan, 1 }, { 0 }, { 0 }, { dmz, 1 }, { dmz2, 1 } };
	struct environment environment = {
		.gateway = &gateway, .role_interfaces = interfaces, .names = &names, .resolvers = &resolvers
	};
	assert_int_equal(compile(&r, &policy, &environment), 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct observe_case *one = &cases[i];
		struct vm_packet p = tcp_packet(one->source, 50000, one->target, 53);
		p.protocol = 17;
		p.interface = one->interface;
		p.state = one->state;
		p.status = one->status;
		memcpy(p.original, make_addr(one->queried).bytes, 16);
		p.original_port = one->port;
		p.reply = one->state == CT_ESTABLISHED && strcmp(one->queried, one->target) != 0;
		struct vm_result vm = vm_run(&r, one->chain, &p);
		const char *log = vm.log_count && strncmp(vm.logs[0], "spefw denied", 12) != 0 ? vm.logs[0] : NULL;
		assert_null(vm.error);
		if ((log == NULL) != (one->log == NULL) || (log && strcmp(log, one->log) != 0))
			fail_msg("%s: %s -> %s by %s: %s", one->chain, one->source, one->target, one->interface,
				 log ? log : "not seen");
		p.protocol = 6;
		vm = vm_run(&r, one->chain, &p);
		assert_true(vm.log_count == 0 || strncmp(vm.logs[0], "spefw denied", 12) == 0);
	}
	ruleset_free(&r);
	policy_free(&policy);
}

/* Nobody to learn for: nothing is copied. A name that gives rights is not learned for. */
static void test_not_observed(void **state)
{
	static const char *const texts[] = {
		PLAIN "[dns]\nobserve = no\n",
		PLAIN "[flow license-out]\nenabled = no\n",
		"[server]\naddress = 10.0.0.16\n",
		PLAIN "[flow license-out]\nenabled = no\n[flow in]\nfrom = a.example.net\nto = SERVER\nprotocol = "
		      "tcp\nport = 1\n",
		PLAIN "[flow in]\nfrom = my.mailstore.com\nto = SERVER\nprotocol = tcp\nport = 1\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct policy policy;
		struct ruleset r;
		make_good_policy(&policy, texts[i]);
		assert_int_equal(make_ruleset(&r, &policy, NULL), 0);
		assert_null(ruleset_find_chain(&r, "observe"));
		assert_null(ruleset_find_set(&r, "resolver_interfaces"));
		ruleset_free(&r);
		policy_free(&policy);
	}
}

/* What is many stands in sets; names have a set each, however many there are. */
static void test_many_names(void **state)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	struct policy policy;
	struct ruleset r;

	(void)state;
	assert_non_null(out);
	fputs(PLAIN "[flow many-in]\nfrom =\n", out);
	for (int i = 0; i < 500; i++)
		fprintf(out, "\tn%d.example.net\n", i);
	fputs("to = SERVER\nprotocol = tcp\nport = 1000\n", out);
	assert_int_equal(fclose(out), 0);
	make_good_policy(&policy, text);
	struct names_view names = make_names(&policy, "n499.example.net 10.0.0.30");
	assert_int_equal(make_ruleset(&r, &policy, &names), 0);
	struct vm_packet p = tcp_packet("10.0.0.30", 1, "10.0.0.16", 1000);
	assert_counted(&r, "forward", &p, ACTION_ACCEPT, "flow-many-in");
	p = tcp_packet("10.0.0.31", 1, "10.0.0.16", 1000);
	assert_counted(&r, "forward", &p, ACTION_DROP, "denied-in");
	ruleset_free(&r);
	names_view_free(&names);
	policy_free(&policy);
	free(text);
}

static void test_name_sets(void **state)
{
	char a[NAME_SET_MAX], b[NAME_SET_MAX], name[260];

	(void)state;
	name_set("my.mailstore.com", a);
	assert_string_equal(a, "name_my.mailstore.com");
	name_set("*.example.com", a);
	assert_string_equal(a, "wild_example.com");
	for (size_t length = 190; length <= 253; length++) {
		memset(name, 'a', length);
		name[length] = '\0';
		name[50] = '.';
		name_set(name, a);
		name[length - 1] = 'b';
		name_set(name, b);
		assert_string_not_equal(a, b);
		assert_true(strlen(a) + 2 < 255); /* "_4", and the kernel's limit */
		assert_int_equal(strncmp(a, "name_aaa", 8), 0);
	}
}

/* Each allocation fails in its turn: it is reported, and nothing leaks. */
static void test_no_memory(void **state)
{
	struct policy policy;
	struct ruleset r;
	long n;

	(void)state;
	make_good_policy(&policy, PLAIN "[role IH]\nmembers = 10.0.0.20 10.0.0.22\nprotected = yes\n"
					"[flow x]\nfrom = IH 10.0.0.1 10.0.0.9\nto = SERVER 10.0.0.22\nprotocol = "
					"tcp\nport = 1-9 20\n[gateway]\nnat_except = 10.0.0.12\nreject = ADM IH\n");
	struct names_view names = make_names(&policy, "my.mailstore.com 10.0.0.30");
	for (n = 0;; n++) {
		allocations_left = n;
		allocations_refused = 0;
		int result = make_ruleset(&r, &policy, &names);
		allocations_left = -1;
		if (!allocations_refused) {
			assert_int_equal(result, 0);
			break;
		}
		assert_int_equal(result, -ENOMEM);
		assert_int_equal(r.chains.count, 0);
		assert_null(r.strings.items);
	}
	assert_true(n > 500);
	ruleset_free(&r);
	names_view_free(&names);
	policy_free(&policy);
}

/* Whatever the policy, a table that was made of it is taken for one that guards, in audit mode for one that counts; and
 * no more once a chain was emptied that decides. */
static void test_guards(void **state)
{
	(void)state;
	random_seed(0x5eed);
	for (int round = 0; round < 60; round++) {
		char *text = random_config(true);
		struct policy policy;
		struct ruleset ruleset;
		make_good_policy(&policy, text);
		struct names_view names = random_names(&policy);
		assert_int_equal(make_ruleset(&ruleset, &policy, &names), 0);
		assert_true(ruleset_guards(&ruleset));
		assert_int_equal(ruleset_audits(&ruleset), policy.mode == MODE_AUDIT);
		for (size_t i = 0; i < ruleset.chains.count; i++) {
			struct chain *chain = &ruleset.chains.items[i];
			size_t count = chain->count;
			chain->count = 0;
			assert_int_equal(ruleset_guards(&ruleset), chain->hook == HOOK_PREROUTING);
			chain->count = count;
		}
		ruleset_free(&ruleset);
		names_view_free(&names);
		policy_free(&policy);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge_and_ruleset), cmocka_unit_test(test_environment),
		cmocka_unit_test(test_comment),           cmocka_unit_test(test_interception),
		cmocka_unit_test(test_no_links),          cmocka_unit_test(test_links_of_two_roles),
		cmocka_unit_test(test_observe),           cmocka_unit_test(test_not_observed),
		cmocka_unit_test(test_many_names),        cmocka_unit_test(test_name_sets),
		cmocka_unit_test(test_no_memory),         cmocka_unit_test(test_guards),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
