/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/methods_grants.h"
#include "control/methods.h"
#include "control/report_cut.h"
#include "control/report_grants.h"
#include "control/wire.h"
#include "gateway/granting.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAMED(name) "org.spefw.Gateway." name

static void fail(struct control_call *call, const char *what)
{
	control_fail(call, NAMED("Failed"), json_pack("{s:o}", "what", json_printable(what)));
}

static void refuse(struct control_call *call, const char *what)
{
	control_fail(call, NAMED("GrantRefused"), json_pack("{s:o}", "what", json_printable(what)));
}

/* What the table says of it, or what the error is. */
static void fail_by(const struct service *service, struct control_call *call, int r)
{
	const char *failure = table_failure(gateway_table(service->gateway));
	fail(call, *failure ? failure : strerror(-r));
}

/* False: it was answered. Names are refused as well: who is behind one may be another one tomorrow. */
static bool take_address(struct control_call *call, const char *word, struct addr *ret)
{
	char what[200], meant[RANGE_TEXT_MAX];
	struct range range;

	switch (range_parse(word, &range)) {
	case RANGE_OK:
		if (!range_is_host(&range) || strpbrk(word, "/-")) {
			snprintf(what, sizeof(what), "%.80s is a network: a grant is for one address", word);
			break;
		}
		*ret = range.first;
		return true;
	case RANGE_HOST_BITS:
	case RANGE_REVERSED:
	case RANGE_MIXED:
	case RANGE_PREFIX: snprintf(what, sizeof(what), "%.80s is no address: a grant is for one", word); break;
	case RANGE_MAPPED: snprintf(what, sizeof(what), "write %s", range_format(&range, meant)); break;
	default: snprintf(what, sizeof(what), "%.80s is no address: a grant is for one, and for no name", word);
	}
	refuse(call, what);
	return false;
}

struct wanted {
	const char *flow;
	struct addr addr;
	json_int_t seconds;
};

/* False: it was answered. */
static bool take_parameters(struct control_call *call, const json_t *parameters, bool with_time, struct wanted *ret)
{
	static const char *const members[] = { "flow", "address", "seconds" };
	const char *address = json_string_value(json_object_get(parameters, "address"));
	const json_t *seconds = json_object_get(parameters, "seconds");
	const bool good[] = { json_is_string(json_object_get(parameters, "flow")), address,
			      !with_time || json_is_integer(seconds) };

	for (size_t i = 0; i < 3; i++) {
		if (good[i])
			continue;
		control_fail(call, "org.varlink.service.InvalidParameter", json_pack("{s:s}", "parameter", members[i]));
		return false;
	}
	ret->flow = json_string_value(json_object_get(parameters, "flow"));
	ret->seconds = json_integer_value(seconds);
	return take_address(call, address, &ret->addr);
}

/* Of what is done already. */
static void reply(struct control_call *call, json_t *out)
{
	if (out)
		control_reply(call, out);
	else
		control_hang_up(call);
}

void run_grant(void *userdata, struct control_call *call, json_t *parameters)
{
	const struct service *service = userdata;
	char text[PEER_TEXT_MAX];
	struct requester by = method_requester(call, text);
	struct grant_result result;
	struct wanted wanted;

	if (!take_parameters(call, parameters, true, &wanted))
		return;
	int r = gateway_grant(service->gateway, &by, wanted.flow, &wanted.addr, wanted.seconds, &result);
	if (r == -ENOENT) {
		control_fail(call, NAMED("FlowUnknown"), json_pack("{s:o}", "flow", json_printable(wanted.flow)));
	} else if (r == -EINVAL && *result.why) {
		refuse(call, result.why);
	} else if (r == -ENODEV) {
		fail(call, "the table was removed, and nothing is guarded: spefwctl reload first");
	} else if (r < 0) {
		fail_by(service, call, r);
	} else {
		json_t *out =
			json_pack("{s:o}", "grant",
				  report_grant(config_store_policy(gateway_config(service->gateway)), &result.grant));
		if (*result.before.flow)
			json_object_set_new(out, "before_s", json_integer(result.before_left_ms / 1000));
		reply(call, out);
	}
}

void run_revoke(void *userdata, struct control_call *call, json_t *parameters)
{
	const struct service *service = userdata;
	const struct policy *policy = config_store_policy(gateway_config(service->gateway));
	char text[PEER_TEXT_MAX];
	struct requester by = method_requester(call, text);
	struct grant_result result;
	struct wanted wanted;

	if (!take_parameters(call, parameters, false, &wanted))
		return;
	int r = gateway_revoke(service->gateway, &by, wanted.flow, &wanted.addr, &result);
	if (r == -ENOENT)
		control_fail(call, NAMED("GrantUnknown"),
			     json_pack("{s:o, s:O}", "flow", json_printable(wanted.flow), "address",
				       json_object_get(parameters, "address")));
	else if (r < 0)
		fail_by(service, call, r);
	else
		reply(call,
		      json_pack("{s:o, s:I, s:o}", "grant", report_grant(policy, &result.grant), "cut",
				(json_int_t)result.cut.count, "cut_connections", report_cut(policy, &result.cut)));
}

void run_grants(void *userdata, struct control_call *call, json_t *parameters)
{
	const struct service *service = userdata;
	json_t *out = json_pack("{s:o}", "grants", report_grant_list(service->gateway));

	(void)parameters;
	if (out)
		control_reply(call, out);
	else
		fail(call, "out of memory");
}
