/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/methods_usage.h"
#include "control/methods.h"
#include "control/report_usage.h"
#include "control/wire.h"

#include <errno.h>
#include <string.h>

#define NAMED(name) "org.spefw.Gateway." name

static void fail(struct control_call *call, const char *what)
{
	control_fail(call, NAMED("Failed"), json_pack("{s:s}", "what", what));
}

static void fail_parameter(struct control_call *call, const char *parameter)
{
	control_fail(call, "org.varlink.service.InvalidParameter", json_pack("{s:s}", "parameter", parameter));
}

/* False: it was answered. *ret NULL: none was named. */
static bool take_flow(const struct service *service, struct control_call *call, const json_t *parameters,
		      const struct policy_flow **ret)
{
	const json_t *value = json_object_get(parameters, "flow");
	const char *id = json_string_value(value);

	*ret = NULL;
	if (!value || json_is_null(value))
		return true;
	if (!id) {
		fail_parameter(call, "flow");
		return false;
	}
	*ret = policy_flow(config_store_policy(gateway_config(service->gateway)), id);
	if (!*ret)
		control_fail(call, NAMED("FlowUnknown"), json_pack("{s:s}", "flow", id));
	return *ret;
}

void run_connections(void *userdata, struct control_call *call, json_t *parameters)
{
	const struct service *service = userdata;
	const struct policy_flow *flow;
	int r;

	if (!take_flow(service, call, parameters, &flow))
		return;
	/* Others can't keep root from it by asking all the time. */
	json_t *reply = report_connections(service->gateway, flow, control_call_peer(call).uid == 0, &r);
	if (reply)
		control_reply(call, reply);
	else if (r == -EBUSY)
		control_fail(call, NAMED("Busy"), json_pack("{s:s}", "what", "connections were listed a moment ago"));
	else
		fail(call, r < 0 ? strerror(-r) : "out of memory");
}

void run_peers(void *userdata, struct control_call *call, json_t *parameters)
{
	const struct service *service = userdata;
	const struct policy_flow *flow;

	if (!take_flow(service, call, parameters, &flow))
		return;
	json_t *reply = flow ? report_peers(service->gateway, flow) : NULL;
	if (reply)
		control_reply(call, reply);
	else if (flow)
		fail(call, "out of memory");
	else
		fail_parameter(call, "flow");
}

static void fail_cut(struct control_call *call, json_int_t id, int error)
{
	switch (-error) {
	case ENOENT: control_fail(call, NAMED("ConnectionUnknown"), json_pack("{s:I}", "id", id)); break;
	case EPROTONOSUPPORT:
		fail(call, "only TCP connections can be cut: the next packet of anything else would open it anew");
		break;
	case EOPNOTSUPP: fail(call, "in audit mode nothing is cut"); break;
	case ENODEV: fail(call, "the table is not there: what is cut would go on"); break;
	default: fail(call, strerror(-error));
	}
}

void run_cut(void *userdata, struct control_call *call, json_t *parameters)
{
	const struct service *service = userdata;
	const json_t *value = json_object_get(parameters, "id");
	json_int_t id = json_integer_value(value);
	char text[PEER_TEXT_MAX];
	struct requester by = method_requester(call, text);
	struct tracked tracked;

	if (!json_is_integer(value) || id < 0 || id > UINT32_MAX) {
		fail_parameter(call, "id");
		return;
	}
	int r = gateway_cut_connection(service->gateway, &by, (uint32_t)id, &tracked);
	json_t *reply = r == 0 ? report_cut_one(&tracked) : NULL;
	if (r < 0)
		fail_cut(call, id, r);
	else if (reply)
		control_reply(call, reply);
	else
		control_hang_up(call);
}
