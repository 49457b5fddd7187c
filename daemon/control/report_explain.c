/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/report_explain.h"
#include "control/flow_json.h"
#include "control/wire.h"
#include "core/grant_view.h"
#include "core/policy_diff.h"

#include <errno.h>
#include <string.h>

enum { MEMBERS_MAX = 8 };

/* Who is behind the endpoint's names now, some of them. */
static json_t *behind_names(const struct endpoint *endpoint, const struct names_view *names)
{
	json_t *list = json_array();
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; names && i < endpoint->name_count; i++) {
		for (enum family family = 0; endpoint->names[i] < names->count && family < FAMILIES; family++) {
			const struct name_addresses *addresses = &names->names[endpoint->names[i]][family];
			for (size_t a = 0; a < addresses->count && json_array_size(list) < MEMBERS_MAX; a++)
				json_array_append_new(list, json_string(addr_format(&addresses->items[a].addr, text)));
		}
	}
	return list;
}

/* The one role that the endpoint names, or NULL. */
static const struct policy_role *only_role(const struct policy *policy, const struct endpoint *endpoint)
{
	for (size_t i = 0; endpoint->word_count == 1 && i < policy->role_count; i++)
		if (strcmp(policy->roles[i].name, endpoint->words[0]) == 0)
			return &policy->roles[i];
	return NULL;
}

static json_t *miss_of_endpoint(const struct explain_view *view, const char *what, const struct endpoint *endpoint)
{
	const struct policy_role *role = only_role(view->policy, endpoint);
	json_t *out = json_pack("{s:s, s:o}", "what", what, "addresses", behind_names(endpoint, view->names));

	endpoint_json(out, "has", endpoint);
	members_json(out, role ? &role->members : NULL);
	if (role && role->line)
		json_object_set_new(out, "line", json_integer(role->line));
	return out;
}

static json_t *miss_of_word(const char *what, json_t *has)
{
	return json_pack("{s:s, s:o, s:[], s:[]}", "what", what, "has", has, "members", "addresses");
}

static json_t *miss_list(const struct explain_view *view, const struct nearest *nearest)
{
	const struct policy_flow *flow = nearest->flow;
	json_t *list = json_array();
	char protocols[24];

	if (nearest->misses & MISS_OFF)
		json_array_append_new(list, miss_of_word("off", json_array()));
	if (nearest->misses & MISS_PROTOCOL)
		json_array_append_new(list, miss_of_word("protocol",
							 json_pack("[s]", protocols_text(flow->protocols, protocols))));
	if (nearest->misses & MISS_PORT)
		json_array_append_new(list, miss_of_word("port", ports_json(flow)));
	if (nearest->misses & MISS_SOURCE)
		json_array_append_new(list, miss_of_endpoint(view, "source", &flow->from));
	if (nearest->misses & MISS_TARGET)
		json_array_append_new(list, miss_of_endpoint(view, "target", &flow->to));
	if (nearest->misses & MISS_NAMING)
		json_array_append_new(list, miss_of_endpoint(view, "naming", &flow->to));
	return list;
}

static json_t *explained_flow(const struct policy_flow *flow)
{
	char protocols[24];
	json_t *out = json_pack("{s:s, s:s, s:o, s:b}", "id", flow->id, "protocol",
				protocols_text(flow->protocols, protocols), "ports", ports_json(flow), "built_in",
				flow->section != SECTION_CUSTOM);

	endpoint_json(out, "from", &flow->from);
	endpoint_json(out, "to", &flow->to);
	if (flow->line)
		json_object_set_new(out, "line", json_integer(flow->line));
	return out;
}

static const char *reason_word(const struct explanation *e)
{
	if (e->exception)
		return e->exception == EXCEPTION_BROADCAST ? "broadcast" : "ignored";
	switch (e->judgement.verdict) {
	case VERDICT_ALLOW: return "flow";
	case VERDICT_DENY:
		/* The judge takes a flow from ANY to the protected side for one that leaves it, too. */
		return e->judgement.reason == REASON_WRONG_PEER && e->nearest.others ? "peer" : "no_flow";
	default: return "unguarded";
	}
}

static const char *verdict_word(enum verdict verdict)
{
	return verdict == VERDICT_ALLOW ? "allowed" : verdict == VERDICT_DENY ? "denied" : "unguarded";
}

static const char *hook_word(enum hook hook)
{
	return hook == HOOK_INPUT ? "input" : hook == HOOK_OUTPUT ? "output" : "forward";
}

static void add_walk(json_t *out, const struct packet_walk *walk)
{
	json_t *chains = json_array();

	for (size_t i = 0; i < walk->path_count; i++)
		json_array_append_new(chains, json_printable(walk->path[i]));
	json_object_set_new(out, "chains", chains);
	json_object_set_new(out, "effect",
			    json_string(walk->action == ACTION_ACCEPT ? "accept"
					: walk->action == ACTION_DROP ? "drop"
								      : "reject"));
	if (walk->counter)
		json_object_set_new(out, "counter", json_printable(walk->counter));
}

static json_t *interfaces_json(const struct interface_list *interfaces)
{
	json_t *list = json_array();

	for (size_t i = 0; i < interfaces->count; i++)
		json_array_append_new(list, json_printable(interfaces->names[i]));
	return list;
}

static json_t *packet_json(const struct packet *packet)
{
	char source[ADDR_TEXT_MAX], target[ADDR_TEXT_MAX];

	return json_pack("{s:s, s:s}", "source", addr_format(&packet->source, source), "target",
			 addr_format(&packet->target, target));
}

static bool is_grantable(const struct explain_view *view, const struct packet *packet, const struct nearest *nearest)
{
	bool source = nearest->misses == MISS_SOURCE;

	return nearest->flow && (source || nearest->misses == MISS_TARGET) &&
	       grant_would_help(view->policy, nearest->flow, source ? GRANT_SOURCE : GRANT_TARGET,
				source ? &packet->source : &packet->target);
}

static json_t *explanation_json(const struct explain_view *view, const struct packet *packet,
				const struct explanation *e)
{
	const struct policy_flow *flow = e->verdict == VERDICT_ALLOW ? e->judgement.flow : e->nearest.flow;
	json_t *out = json_pack("{s:[o], s:s, s:s, s:o, s:s, s:b}", "packets", packet_json(packet), "verdict",
				verdict_word(e->verdict), "reason", reason_word(e), "misses",
				miss_list(view, &e->nearest), "hook", hook_word(e->hook), "differs", e->differs);

	if (e->judgement.role) {
		json_object_set_new(out, "role", json_string(e->judgement.role->name));
		json_object_set_new(out, "inbound", json_boolean(e->judgement.inbound));
	}
	if (flow)
		json_object_set_new(out, "flow", explained_flow(flow));
	json_object_set_new(out, "grantable",
			    json_boolean(e->verdict == VERDICT_DENY && is_grantable(view, packet, &e->nearest)));
	if (e->interfaces)
		json_object_set_new(out, "interfaces", interfaces_json(e->interfaces));
	if (e->walked)
		add_walk(out, &e->walk);
	return out;
}

static json_t *result_of(const struct explain_view *view, const struct packet *packet,
			 const struct explain_context *context)
{
	struct explanation e;

	if (explain_packet(view, packet, &e) < 0)
		return NULL;
	json_t *out = explanation_json(view, packet, &e);
	if (out && context->add)
		context->add(context->userdata, out, packet, &e);
	return out;
}

static json_t *result_list(const struct explain_view *view, const struct explain_question *question,
			   const struct explain_context *context)
{
	json_t *list = json_array();
	int r = list ? 0 : -1;

	for (size_t s = 0; r == 0 && s < question->sources.count; s++) {
		for (size_t t = 0; r == 0 && t < question->targets.count; t++) {
			struct packet packet = { .source = question->sources.items[s],
						 .target = question->targets.items[t],
						 .protocol = question->protocol,
						 .source_port = question->port ? EPHEMERAL_FIRST : 0,
						 .target_port = question->port };
			if (packet.source.family == packet.target.family)
				r = json_array_append_new(list, result_of(view, &packet, context));
		}
	}
	if (r == 0)
		return list;
	json_decref(list);
	return NULL;
}

/* All but whose story it is. */
static bool same_story(json_t *a, json_t *b)
{
	json_t *ours = json_incref(json_object_get(a, "packets")), *theirs = json_incref(json_object_get(b, "packets"));

	json_object_set(b, "packets", ours);
	bool same = json_equal(a, b);
	json_object_set_new(b, "packets", theirs);
	json_decref(ours);
	return same;
}

int report_explain_fold(json_t *reply)
{
	json_t *all = json_object_get(reply, "results"), *list = json_array();
	int r = list ? 0 : -1;

	for (size_t i = 0; r == 0 && i < json_array_size(all); i++) {
		json_t *one = json_array_get(all, i), *same = NULL;
		for (size_t k = 0; !same && k < json_array_size(list); k++)
			same = same_story(json_array_get(list, k), one) ? json_array_get(list, k) : NULL;
		r = same ? json_array_extend(json_object_get(same, "packets"), json_object_get(one, "packets"))
			 : json_array_append(list, one);
	}
	if (r == 0)
		r = json_object_set(reply, "results", list);
	json_decref(list);
	return r < 0 ? -ENOMEM : 0;
}

json_t *report_explain(const struct explain_view *view, const struct explain_question *question,
		       const struct explain_context *context)
{
	json_t *out = json_pack("{s:o, s:s, s:b, s:b, s:s, s:o}", "config", json_printable(context->config), "mode",
				mode_name(view->policy->mode), "removed", context->removed, "names_known",
				view->names != NULL, "protocol", protocol_name(question->protocol), "results",
				result_list(view, question, context));

	if (out && question->port)
		json_object_set_new(out, "port", json_integer(question->port));
	return out;
}
