/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/methods_explain.h"
#include "control/methods.h"
#include "control/report_explain.h"
#include "control/report_others.h"
#include "control/wire.h"
#include "gateway/gateway.h"
#include "clock.h"
#include "core/drop_seen.h"

#include <errno.h>
#include <spefw/protocol.h>
#include <stdlib.h>
#include <string.h>

/* Packets of one question that other tables are looked through for. Each costs a walk through all of their rules. */
enum { OTHERS_MAX = 8 };

/* A question whose reply is there but for what other tables do. */
struct explaining {
	struct explaining *next;
	struct service *service;
	struct control_call *call;
	json_t *reply;
	struct looked {
		struct explaining *of;
		json_t *result; /* in the reply */
		struct foreign_packet packet;
		bool waits;
	} looked[OTHERS_MAX];
	size_t count, waiting;
	bool others; /* they are asked for */
	bool many;   /* of packets: too many for that */
};

static void explaining_free(struct explaining *e)
{
	if (e)
		json_decref(e->reply);
	free(e);
}

static void forget(struct explaining *e)
{
	struct explaining **at = &e->service->explaining;

	while (*at && *at != e)
		at = &(*at)->next;
	if (*at)
		*at = e->next;
}

static void fail(struct control_call *call, int error)
{
	control_fail(call, SPEFW_ERROR("Failed"), json_pack("{s:s}", "what", strerror(-error)));
}

static void finish(struct explaining *e)
{
	forget(e);
	if (report_explain_fold(e->reply) == 0)
		control_reply(e->call, json_incref(e->reply));
	else
		fail(e->call, -ENOMEM);
	explaining_free(e);
}

static void on_gone(void *userdata, struct control_call *call)
{
	struct service *service = userdata;
	struct explaining *e = service->explaining;

	while (e && e->call != call)
		e = e->next;
	if (!e)
		return;
	for (size_t i = 0; i < e->count; i++)
		if (e->looked[i].waits)
			gateway_forget_waiter(service->gateway, &e->looked[i]);
	forget(e);
	explaining_free(e);
}

static void set_missing(json_t *result, const char *why)
{
	json_object_set_new(result, "others_missing", json_string(why));
}

void method_explained(struct service *service, void *waiter, int r, const struct findings *findings)
{
	struct looked *looked = waiter;
	struct explaining *e = looked->of;

	(void)service;
	looked->waits = false;
	if (r < 0)
		set_missing(looked->result, "failed");
	else
		report_others(looked->result, findings);
	if (--e->waiting == 0)
		finish(e);
}

static void add_seen(const struct gateway *gateway, json_t *out, const struct packet *packet)
{
	struct drop_seen seen;

	if (!drop_seen(drops_table(gateway_drops(gateway)), packet, &seen))
		return;
	json_object_set_new(out, "seen",
			    json_pack("{s:I, s:I, s:b, s:b}", "count", (json_int_t)seen.count, "last_s",
				      (json_int_t)((now_ms() - seen.last_ms) / 1000), "spread", seen.spread, "at_least",
				      gateway_drops_unseen(gateway) > 0));
}

/* What the kernel and other tables add to the result for a packet. */
static void add_more(void *userdata, json_t *out, const struct packet *packet, const struct explanation *explanation)
{
	static const uint8_t protocols[PROTOCOLS][FAMILIES] = { { 6, 6 }, { 17, 17 }, { 1, 58 } };
	const struct packet_walk *walk = &explanation->walk;
	struct explaining *e = userdata;
	uint64_t handle;

	if (explanation->walked && walk->chain &&
	    gateway_rule_handle(e->service->gateway, walk->chain, walk->rule, &handle) == 0)
		json_object_set_new(out, "handle", json_integer((json_int_t)handle));
	if (explanation->verdict == VERDICT_DENY)
		add_seen(e->service->gateway, out, packet);
	if (!e->others)
		return;
	if (e->count == OTHERS_MAX) {
		e->many = true;
		return;
	}
	e->looked[e->count++] =
		(struct looked){ .of = e,
				 .result = out,
				 .packet = { .source = packet->source,
					     .target = packet->target,
					     .protocol = protocols[packet->protocol][packet->source.family],
					     .target_port = packet->target_port,
					     .pinned = explanation->pinned } };
}

/* The reply comes later, unless nobody is to be asked. */
static void look_at_others(struct explaining *e)
{
	const json_t *results = json_object_get(e->reply, "results");
	size_t index;
	json_t *result;

	e->next = e->service->explaining;
	e->service->explaining = e;
	control_on_gone(e->call, on_gone);
	if (e->many) {
		json_array_foreach(results, index, result) set_missing(result, "many");
		e->count = 0;
	}
	for (size_t i = 0; i < e->count; i++) {
		struct looked *looked = &e->looked[i];
		looked->waits = gateway_explain(e->service->gateway, &looked->packet, looked) == 0;
		e->waiting += looked->waits;
		if (!looked->waits)
			set_missing(looked->result, "failed");
	}
	if (!e->waiting)
		finish(e);
}

static void explain(struct service *service, struct control_call *call, const struct explain_view *view,
		    const char *const words[3], bool others)
{
	struct explaining *e = calloc(1, sizeof(*e));
	struct explain_context context = { .config = config_store_file(gateway_config(service->gateway))->path,
					   .removed = table_is_removed(gateway_table(service->gateway)),
					   .add = add_more,
					   .userdata = e };
	struct explain_question question = { 0 };
	char why[QUESTION_WHY_MAX];

	if (e)
		*e = (struct explaining){ .service = service, .call = call, .others = others };
	int r = e ? question_read(&question, view->policy, view->names, words[0], words[1], words[2], why) : -ENOMEM;
	if (r == 0) {
		e->reply = report_explain(view, &question, &context);
		r = e->reply ? 0 : -ENOMEM;
	}
	question_free(&question);
	if (r == 0) {
		look_at_others(e);
		return;
	}
	if (r == -EINVAL)
		control_fail(call, SPEFW_ERROR("QuestionInvalid"), json_pack("{s:o}", "what", json_printable(why)));
	else
		fail(call, r);
	explaining_free(e);
}

/* NULL, or the parameter that is not what it should be. */
static const char *read_parameters(const json_t *parameters, const char *words[3], bool *ret_others)
{
	static const char *const keys[] = { "source", "target", "protocol" };
	const json_t *others = json_object_get(parameters, "others");

	for (int i = 0; i < 3; i++) {
		const json_t *value = json_object_get(parameters, keys[i]);
		words[i] = json_string_value(value);
		if (!words[i] && (i < 2 || (value && !json_is_null(value))))
			return keys[i];
	}
	*ret_others = !json_is_false(others);
	return others && !json_is_boolean(others) && !json_is_null(others) ? "others" : NULL;
}

static int explain_now(struct service *service, struct control_call *call, const char *const words[3], bool others)
{
	const struct policy *policy = config_store_policy(gateway_config(service->gateway));
	const struct table *table = gateway_table(service->gateway);
	struct surroundings surroundings;
	struct environment environment;
	struct packet_walks *walks = NULL;

	int r = surroundings_read(service->gateway, policy, &surroundings, &environment);
	if (r == 0 && table_is_known(table))
		r = packet_walks_new(&walks, policy, table_current(table));
	if (r == 0)
		explain(service, call, &(struct explain_view){ policy, &environment, environment.names, walks }, words,
			others);
	packet_walks_free(walks);
	surroundings_free(&surroundings);
	return r;
}

void run_explain(void *userdata, struct control_call *call, json_t *parameters)
{
	const char *words[3];
	bool others = true;

	const char *bad = read_parameters(parameters, words, &others);
	if (bad) {
		control_fail(call, VARLINK_SERVICE ".InvalidParameter", json_pack("{s:s}", "parameter", bad));
		return;
	}
	int r = explain_now(userdata, call, words, others);
	if (r < 0)
		fail(call, r);
}
