/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/methods_export.h"
#include "control/methods.h"
#include "control/policy_json.h"
#include "control/wire.h"
#include "gateway/export.h"

#include <spefw/protocol.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = SPEFW_REPLY_MAX / 4 * 3 }; /* bytes: as JSON it grows a little */

static void fail(struct control_call *call, const char *what)
{
	control_fail(call, SPEFW_ERROR("Failed"), json_pack("{s:s}", "what", what));
}

void run_policy(void *userdata, struct control_call *call, json_t *parameters)
{
	const struct service *service = userdata;
	const struct config_store *config = gateway_config(service->gateway);

	(void)parameters;
	json_t *reply = policy_json(config_store_policy(config));
	if (!reply) {
		fail(call, "out of memory");
		return;
	}
	json_object_set_new(reply, "generation", json_integer((json_int_t)config_store_generation(config)));
	control_reply(call, reply);
}

void run_export(void *userdata, struct control_call *call, json_t *parameters)
{
	const struct service *service = userdata;
	const char *format = json_string_value(json_object_get(parameters, "format"));
	bool nft = format && strcmp(format, "nft") == 0;
	char *text;

	if (!format || (!nft && strcmp(format, "netsh") != 0)) {
		control_fail(call, VARLINK_SERVICE ".InvalidParameter", json_pack("{s:s}", "parameter", "format"));
		return;
	}
	int r = gateway_export(service->gateway, nft ? EXPORT_NFT : EXPORT_NETSH, &text);
	if (r == 0 && strlen(text) > TEXT_MAX) {
		free(text);
		fail(call, "it is too large to be sent: export the file alone, by -c FILE");
		return;
	}
	json_t *reply = r == 0 ? json_pack("{s:s}", "text", text) : NULL;
	if (reply)
		control_reply(call, reply);
	else if (r == -EBUSY)
		control_fail(call, SPEFW_ERROR("Busy"), json_pack("{s:s}", "what", "this was exported a moment ago"));
	else
		fail(call, r < 0 ? strerror(-r) : "out of memory");
	free(text);
}
