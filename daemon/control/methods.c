/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/methods.h"
#include "control/methods_change.h"
#include "control/methods_diff.h"
#include "control/methods_drops.h"
#include "control/methods_explain.h"
#include "control/methods_export.h"
#include "control/methods_grants.h"
#include "control/methods_usage.h"
#include "control/methods_watch.h"
#include "control/report.h"
#include "control/report_cut.h"
#include "control/report_proof.h"
#include "control/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAMED(name) "org.spefw.Gateway." name

static void reply_or_fail(struct control_call *call, json_t *reply)
{
	if (reply)
		control_reply(call, reply);
	else
		control_fail(call, NAMED("Failed"), json_pack("{s:s}", "what", "out of memory"));
}

/* Of what is done already. */
static void reply_or_hang_up(struct control_call *call, json_t *reply)
{
	if (reply)
		control_reply(call, reply);
	else
		control_hang_up(call);
}

static void run_status(void *userdata, struct control_call *call, json_t *parameters)
{
	(void)parameters;
	const struct service *service = userdata;
	reply_or_fail(call, report_status(service->gateway, control_clients(service->control)));
}

static void run_flows(void *userdata, struct control_call *call, json_t *parameters)
{
	(void)parameters;
	const struct service *service = userdata;
	reply_or_fail(call, report_flows(service->gateway));
}

static void run_names(void *userdata, struct control_call *call, json_t *parameters)
{
	(void)parameters;
	const struct service *service = userdata;
	reply_or_fail(call, report_names(service->gateway));
}

struct requester method_requester(const struct control_call *call, char text[PEER_TEXT_MAX])
{
	uid_t uid = control_call_peer(call).uid;
	return (struct requester){ peer_text(uid, text), true, uid };
}

/* The caller went away before its answer. */
static void forget_waiter(void *userdata, struct control_call *call)
{
	const struct service *service = userdata;
	gateway_forget_waiter(service->gateway, call);
}

void method_refreshed(struct service *service, struct control_call *call)
{
	control_reply(call, report_names(service->gateway));
}

static void refresh(struct service *service, struct control_call *call, const char *const *names, size_t count)
{
	const char *unknown = "";
	char text[PEER_TEXT_MAX];
	struct requester by = method_requester(call, text);

	control_on_gone(call, forget_waiter);
	int r = gateway_refresh(service->gateway, &by, call, names, count, &unknown);
	if (r == 1)
		control_reply(call, report_names(service->gateway));
	else if (r == -ENOENT)
		control_fail(call, NAMED("NameUnknown"), json_pack("{s:s}", "name", unknown));
	else if (r < 0)
		control_fail(call, NAMED("Failed"), json_pack("{s:s}", "what", strerror(-r)));
}

static void run_refresh(void *userdata, struct control_call *call, json_t *parameters)
{
	json_t *list = json_object_get(parameters, "names");
	size_t count = json_is_array(list) ? json_array_size(list) : 0;
	const char **names = calloc(count + 1, sizeof(*names));
	bool valid = !list || json_is_null(list) || json_is_array(list);

	for (size_t i = 0; names && i < count; i++) {
		names[i] = json_string_value(json_array_get(list, i));
		valid &= names[i] != NULL;
	}
	if (!names) {
		control_fail(call, NAMED("Failed"), json_pack("{s:s}", "what", "out of memory"));
	} else if (!valid) {
		control_fail(call, "org.varlink.service.InvalidParameter", json_pack("{s:s}", "parameter", "names"));
	} else {
		refresh(userdata, call, names, count);
	}
	free(names);
}

static void run_verify(void *userdata, struct control_call *call, json_t *parameters)
{
	const struct service *service = userdata;
	struct seal_finding finding;

	(void)parameters;
	int r = gateway_verify(service->gateway, &finding);
	if (r == 0)
		reply_or_fail(call, json_pack("{s:o}", "proof",
					      report_proof(&finding,
							   config_store_generation(gateway_config(service->gateway)))));
	else
		control_fail(call, NAMED("Failed"),
			     json_pack("{s:o}", "what",
				       json_printable(r == -ENOENT
							      ? "there is no table inet spefw: nothing is guarded"
							      : table_reason(gateway_table(service->gateway), r))));
}

static void run_clear(void *userdata, struct control_call *call, json_t *parameters)
{
	const struct service *service = userdata;
	char text[PEER_TEXT_MAX];
	struct requester by = method_requester(call, text);
	bool removed, dropped;

	(void)parameters;
	int r = gateway_clear(service->gateway, &by, &removed, &dropped);
	if (r == 0)
		reply_or_hang_up(call, json_pack("{s:b, s:b}", "removed", removed, "dropped", dropped));
	else
		control_fail(call, NAMED("Failed"),
			     json_pack("{s:o}", "what",
				       json_printable(table_reason(gateway_table(service->gateway), r))));
}

const struct control_method methods[] = {
	{ NAMED("Drops"), false, method_drops },   { NAMED("Status"), false, run_status },
	{ NAMED("Flows"), false, run_flows },      { NAMED("Names"), false, run_names },
	{ NAMED("Explain"), false, run_explain },  { NAMED("Connections"), false, run_connections },
	{ NAMED("Peers"), false, run_peers },      { NAMED("Cut"), true, run_cut },
	{ NAMED("Diff"), false, run_diff },        { NAMED("Reload"), true, run_reload },
	{ NAMED("Rollback"), true, run_rollback }, { NAMED("Confirm"), true, run_confirm },
	{ NAMED("History"), false, run_history },  { NAMED("Config"), false, run_config },
	{ NAMED("Refresh"), true, run_refresh },   { NAMED("Clear"), true, run_clear },
	{ NAMED("Watch"), false, method_watch },   { NAMED("Policy"), false, run_policy },
	{ NAMED("Export"), false, run_export },    { NAMED("Grant"), true, run_grant },
	{ NAMED("Revoke"), true, run_revoke },     { NAMED("Grants"), false, run_grants },
	{ NAMED("Verify"), false, run_verify },    { NULL, false, NULL },
};
