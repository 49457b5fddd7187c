/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fate.h"
#include "judge_parts.h"

#include <stdio.h>
#include <string.h>

/* The order is that in which a packet meets what stands around the flows. Each step is true where it decides. */

struct decision {
	const struct policy *policy;
	const struct environment *environment;
	const struct fate_view *view;
	const struct asker *asker;
	enum fate_stage stage;
	struct fate fate;
};

const struct port_range fate_dns_port = { DNS_PORT, DNS_PORT };
static const uint8_t tcp = IPPROTO_TCP_, udp = IPPROTO_UDP_, icmp = IPPROTO_ICMP_, icmpv6 = IPPROTO_ICMPV6_;

/* What a gateway receives of neighbour discovery and multicast listening (RFC 4861, 2710, 3810), and what it sends. */
static const uint8_t neighbours_in[] = { 131, 133, 134, 135, 136, 143 };
static const uint8_t neighbours_out[] = { 130, 133, 134, 135, 136, 137 };

static bool flag(const struct decision *t, enum asked asked)
{
	return ask_flag(t->asker, asked);
}

static bool is_protocol(const struct decision *t, const uint8_t *protocol)
{
	return ask_byte(t->asker, ASKED_PROTOCOL, protocol);
}

static bool in_state(const struct decision *t, uint32_t bits)
{
	struct question question = { .asked = ASKED_STATE, .kind = QUESTION_BITS, .bits = bits };
	return t->asker->answer(t->asker->context, &question) != 0;
}

static bool by_interface(const struct decision *t, enum asked asked, const struct interface_list *list, bool or_lo)
{
	struct question question = { .asked = (uint8_t)asked, .kind = QUESTION_INTERFACES, .bits = or_lo, .set = list };
	return (list->count || or_lo) && t->asker->answer(t->asker->context, &question);
}

static bool one_of(const struct decision *t, enum asked asked, const uint8_t *bytes, size_t count)
{
	struct question question = { .asked = (uint8_t)asked, .kind = QUESTION_BYTES, .set = bytes, .count = count };
	return t->asker->answer(t->asker->context, &question) != 0;
}

static bool is_dns_port(const struct decision *t, enum asked port)
{
	struct question question = {
		.asked = (uint8_t)port, .kind = QUESTION_PORTS, .set = &fate_dns_port, .count = 1
	};
	return t->asker->answer(t->asker->context, &question) != 0;
}

static bool is_protected(const struct decision *t, enum asked address)
{
	return ask_ranges(t->asker, address, &t->policy->protected_all);
}

static bool is_excepted(const struct decision *t, enum asked address)
{
	return ask_ranges(t->asker, address, &t->policy->nat_except);
}

static bool is_tracked(const struct decision *t)
{
	return in_state(t, CT_NEW | CT_RELATED);
}

static bool ends(struct decision *t, enum fate_reason reason, enum action action)
{
	t->fate.reason = (uint8_t)reason;
	t->fate.action = t->policy->mode == MODE_AUDIT ? ACTION_ACCEPT : (uint8_t)action;
	return true;
}

static bool drops(struct decision *t, enum fate_reason reason, enum fate_counter counter)
{
	t->fate.counts[counter]++;
	return ends(t, reason, ACTION_DROP);
}

static bool passes(struct decision *t, enum fate_reason reason)
{
	return ends(t, reason, ACTION_ACCEPT);
}

/* DNS over UDP between a protected machine and its resolvers, whatever a redirection has made of their address: copied
 * for the daemon, where it learns names from that. */

static bool anything_is_learned(const struct policy *policy)
{
	for (size_t i = 0; i < policy->name_count; i++)
		if (policy->names[i].observed)
			return policy->observe && policy->resolvers.count;
	return false;
}

static const struct interface_list *role_interfaces(const struct decision *t, const struct policy_role *role)
{
	return &t->environment->role_interfaces[role - t->policy->roles];
}

/* Where no interface of the role is known, any is right for it, and none is wrong. */
static bool comes_from_role(const struct decision *t, const struct policy_role *role, bool if_unknown)
{
	const struct interface_list *interfaces = role_interfaces(t, role);
	return interfaces->count ? by_interface(t, ASKED_IN, interfaces, false) : if_unknown;
}

static bool is_query(const struct decision *t)
{
	const struct policy_role *role;

	return t->stage != STAGE_OUTPUT && !flag(t, ASKED_REPLY) &&
	       (role = ask_role(t->asker, ASKED_SOURCE, t->policy)) &&
	       ask_ranges(t->asker, ASKED_ORIGINAL, &t->policy->resolvers) && comes_from_role(t, role, true);
}

/* An answer from the role itself would let it choose what it may reach. */
static bool is_answer(const struct decision *t)
{
	const struct interface_list *resolvers = t->environment->resolvers;
	const struct policy_role *role;

	if (t->stage == STAGE_INPUT || !flag(t, ASKED_REPLY) || !(role = ask_role(t->asker, ASKED_TARGET, t->policy)) ||
	    !ask_ranges(t->asker, ASKED_ORIGINAL, &t->policy->resolvers))
		return false;
	if (t->stage == STAGE_OUTPUT)
		return true;
	return ((resolvers && by_interface(t, ASKED_IN, resolvers, false)) || flag(t, ASKED_DNAT)) &&
	       !comes_from_role(t, role, false);
}

static void copies(struct decision *t)
{
	if (anything_is_learned(t->policy) && is_protocol(t, &udp) && is_tracked(t) &&
	    is_dns_port(t, ASKED_ORIGINAL_PORT))
		t->fate.copied = is_query(t) || is_answer(t);
}

/* The target is not the last word: it is rewritten behind us. */
static bool is_source_routed(struct decision *t)
{
	return flag(t, flag(t, ASKED_IPV6) ? ASKED_SEGMENTS_LEFT : ASKED_SOURCE_ROUTE) &&
	       by_interface(t, ASKED_OUT, &t->environment->towards, false) &&
	       drops(t, FATE_SOURCE_ROUTED, COUNT_SOURCE_ROUTED);
}

/* By our own output alone, and to a socket of our own: connection tracking takes no other reset for related. */
static bool is_own_reset(struct decision *t)
{
	return is_protocol(t, &tcp) && in_state(t, CT_RELATED) && flag(t, ASKED_RST) && passes(t, FATE_OWN_RESET);
}

static bool is_neighbour(struct decision *t)
{
	static const uint8_t not_routed = 255;
	const uint8_t *types = t->stage == STAGE_INPUT ? neighbours_in : neighbours_out;

	return is_protocol(t, &icmpv6) && flag(t, ASKED_IPV6) &&
	       (t->stage != STAGE_FORWARD || ask_byte(t->asker, ASKED_HOP_LIMIT, &not_routed)) &&
	       one_of(t, ASKED_ICMP_TYPE, types, sizeof(neighbours_in)) && passes(t, FATE_NEIGHBOUR);
}

/* A source that can't come by this interface: the gateway's own, towards the protected side, or a protected one. */
static bool is_spoofed(struct decision *t)
{
	if (ask_ranges(t->asker, ASKED_SOURCE, t->environment->gateway) && is_protected(t, ASKED_TARGET) &&
	    !by_interface(t, ASKED_IN, &t->environment->own_interfaces, true))
		return drops(t, FATE_SPOOFED, COUNT_SPOOFED);
	if (t->view->behind) {
		if (!is_protected(t, ASKED_SOURCE) || by_interface(t, ASKED_IN, t->view->behind, false))
			return false;
	} else {
		const struct policy_role *role = ask_role(t->asker, ASKED_SOURCE, t->policy);
		if (!role || comes_from_role(t, role, true))
			return false;
	}
	return drops(t, FATE_SPOOFED, COUNT_SPOOFED);
}

static bool intercepts(struct decision *t)
{
	if (t->policy->interception == INTERCEPTION_BLOCK)
		return drops(t, FATE_INTERCEPTED, COUNT_INTERCEPTED);
	t->fate.counts[COUNT_INTERCEPTED]++;
	return false;
}

/* A TCP connection of or to a protected address that another table has given a target of its own. To the gateway's own
 * addresses it is a port forward, what nat_except lists is meant, and DNS is for the network to answer. */
static bool is_translated(struct decision *t)
{
	if (!is_protocol(t, &tcp) || !is_tracked(t) || !flag(t, ASKED_DNAT) ||
	    ask_ranges(t->asker, ASKED_ORIGINAL, t->environment->gateway) || is_excepted(t, ASKED_ORIGINAL))
		return false;
	bool was_to_protected = is_protected(t, ASKED_ORIGINAL);
	if (was_to_protected && is_protected(t, ASKED_TARGET))
		return false;
	bool from_protected = is_protected(t, ASKED_SOURCE);
	if (from_protected && is_dns_port(t, ASKED_ORIGINAL_PORT))
		return false;
	return (was_to_protected || from_protected) && intercepts(t);
}

/* One that some other machine's address was opened to, and that a socket of the gateway takes: tproxy. It leaves no
 * trace in the connection, but only it brings such a packet to input. */
static bool is_taken_here(struct decision *t)
{
	static const uint8_t unicast = FIB_UNICAST;

	if (!is_protocol(t, &tcp) || !ask_byte(t->asker, ASKED_FIB, &unicast) || is_excepted(t, ASKED_TARGET))
		return false;
	bool from_protected = is_protected(t, ASKED_SOURCE);
	if (from_protected && is_dns_port(t, ASKED_TARGET_PORT))
		return false;
	return (from_protected || is_protected(t, ASKED_TARGET)) && intercepts(t);
}

/* With bc_forwarding, what is sent to a network's broadcast address from afar reaches each machine in it. A bridge's
 * own broadcasts are no packets for this host. */
static bool is_directed_broadcast(struct decision *t)
{
	static const uint8_t to_host = PACKET_HOST_;

	if (!t->environment->broadcasts || !ask_ranges(t->asker, ASKED_TARGET, t->environment->broadcasts) ||
	    !ask_byte(t->asker, ASKED_PACKET_TYPE, &to_host))
		return false;
	t->fate.inbound = true;
	return drops(t, FATE_DENIED, COUNT_DENIED_IN);
}

/* A Windows server's broadcasts are not denials that anybody should look at. */
static bool is_noise(struct decision *t)
{
	static const uint8_t types[] = { PACKET_BROADCAST_, PACKET_MULTICAST_ };

	return one_of(t, ASKED_PACKET_TYPE, types, sizeof(types)) && is_protected(t, ASKED_SOURCE) &&
	       drops(t, FATE_IGNORED, COUNT_IGNORED);
}

/* Mid-stream packets of what was cut get a reset, which ends the socket that sent them. */
static bool is_cut(struct decision *t)
{
	if (!flag(t, t->fate.inbound ? ASKED_CUT_IN : ASKED_CUT_OUT))
		return false;
	t->fate.counts[COUNT_CUT]++;
	return ends(t, FATE_CUT, ACTION_RESET);
}

/* The protocol that flows know, if it is one. */
static bool has_flows(const struct decision *t, enum protocol *ret)
{
	static const uint8_t request_4 = ICMP_ECHO_REQUEST, request_6 = ICMPV6_ECHO_REQUEST;

	if (is_protocol(t, &tcp)) {
		*ret = PROTOCOL_TCP;
		return true;
	}
	if (is_protocol(t, &udp)) {
		*ret = PROTOCOL_UDP;
		return true;
	}
	*ret = PROTOCOL_ICMP_ECHO;
	bool ipv6 = flag(t, ASKED_IPV6);
	return is_protocol(t, ipv6 ? &icmpv6 : &icmp) &&
	       ask_byte(t->asker, ASKED_ICMP_TYPE, ipv6 ? &request_6 : &request_4);
}

/* Whether the source is a member of a role whose denied connections are answered. */
static bool is_of_answered(const struct decision *t)
{
	for (size_t r = 0; r < t->policy->role_count; r++)
		if (policy_rejects(t->policy, &t->policy->roles[r]) &&
		    ask_endpoint(t->asker, ASKED_SOURCE, &t->policy->roles[r].members, t->environment->names))
			return true;
	return false;
}

static void deny(struct decision *t)
{
	drops(t, FATE_DENIED, t->fate.inbound ? COUNT_DENIED_IN : COUNT_DENIED_OUT);
}

/* What opens a connection may get an answer: what comes to a protected role by who sends it, and what leaves one by
 * that role, unless the next attempt may find a name's address learned. */
static void deny_new(struct decision *t, bool to_names)
{
	deny(t);
	if (t->policy->mode != MODE_ENFORCE || !t->policy->reject_count || to_names ||
	    !(t->fate.inbound ? is_of_answered(t) : policy_rejects(t->policy, t->fate.role)))
		return;
	t->fate.action = is_protocol(t, &tcp) ? ACTION_RESET : ACTION_PROHIBIT;
	t->fate.at_a_rate = true;
}

static void judge(struct decision *t, enum protocol protocol, bool mid_stream)
{
	struct judgement j = judge_asked(t->policy, t->environment->names, t->asker, protocol, mid_stream);

	/* Where the sets of what was cut lack something, any piece of an outbound connection may be of that. */
	if (mid_stream && j.opened_by_role && flag(t, ASKED_CUT_FULL)) {
		deny(t);
		return;
	}
	if (j.verdict != VERDICT_ALLOW) {
		t->fate.for_name = j.to_names;
		if (mid_stream)
			deny(t);
		else
			deny_new(t, j.to_names);
		return;
	}
	t->fate.flow = j.flow;
	t->fate.counts[mid_stream ? COUNT_MID_STREAM : COUNT_FLOW]++;
	passes(t, mid_stream ? FATE_MID_STREAM : FATE_FLOW);
}

/* Of what touches a protected address, in all three hooks alike. */
static void judge_ours(struct decision *t)
{
	enum protocol protocol;

	t->fate.role = ask_role(t->asker, ASKED_TARGET, t->policy);
	t->fate.inbound = t->fate.role != NULL;
	if (!t->fate.role)
		t->fate.role = ask_role(t->asker, ASKED_SOURCE, t->policy);
	if (!t->fate.role) {
		passes(t, FATE_NOT_OURS);
		return;
	}
	if (in_state(t, CT_RELATED) && (is_protocol(t, &icmp) || is_protocol(t, &icmpv6))) {
		passes(t, FATE_ERROR);
		return;
	}
	if (in_state(t, CT_INVALID)) {
		drops(t, FATE_INVALID, COUNT_INVALID);
		return;
	}
	if (!has_flows(t, &protocol)) {
		deny_new(t, false);
		return;
	}
	bool mid_stream = protocol == PROTOCOL_TCP && !flag(t, ASKED_SYN);
	if (!mid_stream || !is_cut(t))
		judge(t, protocol, mid_stream);
}

/* A SYN to a port that no flow opens is gone before connection tracking begins. */
static void decide_early(struct decision *t)
{
	const struct policy_role *role;

	if (t->policy->early_drop && t->policy->mode == MODE_ENFORCE && is_protocol(t, &tcp) && flag(t, ASKED_SYN) &&
	    (role = ask_role(t->asker, ASKED_TARGET, t->policy)) && !ask_open(t->asker, t->policy, role) &&
	    !is_of_answered(t))
		drops(t, FATE_EARLY, COUNT_DENIED_EARLY);
}

/* Exactly the TCP connections of enabled flows: whatever the first packet is, it opens one for connection tracking. */
static void decide_pin(struct decision *t)
{
	static const uint8_t local = FIB_LOCAL;

	if (t->policy->interception != INTERCEPTION_PREVENT || t->policy->mode != MODE_ENFORCE ||
	    !is_protocol(t, &tcp) || ask_byte(t->asker, ASKED_FIB, &local) || is_excepted(t, ASKED_TARGET) ||
	    (is_protected(t, ASKED_SOURCE) && is_dns_port(t, ASKED_TARGET_PORT)))
		return;
	struct judgement j = judge_asked(t->policy, t->environment->names, t->asker, PROTOCOL_TCP, false);
	t->fate.pinned = j.verdict == VERDICT_ALLOW;
}

/* True where it decides. */
static bool decide_around(struct decision *t)
{
	copies(t);
	if (t->stage == STAGE_FORWARD ? is_source_routed(t) : is_own_reset(t))
		return true;
	if (is_neighbour(t) || (t->stage != STAGE_OUTPUT && is_spoofed(t)))
		return true;
	if (t->policy->interception != INTERCEPTION_OFF &&
	    (is_translated(t) || (t->stage == STAGE_INPUT && is_taken_here(t))))
		return true;
	return t->stage == STAGE_FORWARD ? is_directed_broadcast(t) : t->stage == STAGE_INPUT && is_noise(t);
}

static struct decision decision_of(const struct fate_view *view, enum fate_stage stage, const struct asker *asker)
{
	return (struct decision){ .policy = view->policy,
				  .environment = view->environment,
				  .view = view,
				  .asker = asker,
				  .stage = stage,
				  .fate = { .action = ACTION_ACCEPT, .reason = FATE_NOT_OURS } };
}

bool fate_around(const struct fate_view *view, enum fate_stage stage, const struct asker *asker, struct fate *ret)
{
	struct decision t = decision_of(view, stage, asker);
	bool decided = decide_around(&t);

	*ret = t.fate;
	return decided;
}

void fate_of_ours(const struct fate_view *view, const struct asker *asker, struct fate *fate)
{
	struct decision t = decision_of(view, STAGES, asker);

	t.fate = *fate;
	judge_ours(&t);
	*fate = t.fate;
}

struct fate policy_fate(const struct fate_view *view, enum fate_stage stage, const struct asker *asker)
{
	struct decision t = decision_of(view, stage, asker);

	if (stage == STAGE_EARLY)
		decide_early(&t);
	else if (stage == STAGE_PIN)
		decide_pin(&t);
	else if (!decide_around(&t))
		judge_ours(&t);
	return t.fate;
}

static bool same_interfaces(const struct interface_list *a, const struct interface_list *b)
{
	for (size_t i = 0; i < a->count && a->count == b->count; i++)
		if (strcmp(a->names[i], b->names[i]) != 0) /* behind a name's end there may be anything */
			return false;
	return a->count == b->count;
}

void fate_view_init(struct fate_view *view, const struct policy *policy, const struct environment *environment)
{
	const struct interface_list *behind = NULL;

	*view = (struct fate_view){ .policy = policy, .environment = environment };
	for (size_t r = 0; r < policy->role_count; r++) {
		if (!policy->roles[r].is_protected)
			continue;
		if (!environment->role_interfaces[r].count ||
		    (behind && !same_interfaces(behind, &environment->role_interfaces[r])))
			return;
		behind = &environment->role_interfaces[r];
	}
	view->behind = behind;
}

const char *fate_counter(enum fate_counter counter, const struct policy_flow *flow, char buffer[FATE_COUNTER_MAX])
{
	static const char *const names[COUNTS] = {
		"flow",    "mid-stream", "source-routed", "spoofed",    "intercepted",  "ignored",
		"invalid", "cut",        "denied-in",     "denied-out", "denied-early", "unobserved",
	};

	snprintf(buffer, FATE_COUNTER_MAX, counter == COUNT_FLOW ? "%s-%s" : "%s", names[counter],
		 flow && counter == COUNT_FLOW ? flow->id : "");
	return buffer;
}
