/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/methods_explain.h"
#include "control/methods.h"
#include "control/report_explain.h"
#include "control/wire.h"

#include <errno.h>
#include <spefw/protocol.h>
#include <string.h>

static void fail(struct control_call *call, int error)
{
	control_fail(call, SPEFW_ERROR("Failed"), json_pack("{s:s}", "what", strerror(-error)));
}

/* In which rule of the kernel it ends, where that is known. */
static void add_handle(void *userdata, json_t *out, const struct packet *packet, const struct explanation *explanation)
{
	const struct walk *walk = &explanation->walk;
	uint64_t handle;

	(void)packet;
	if (explanation->walked && walk->chain && gateway_rule_handle(userdata, walk->chain, walk->rule, &handle) == 0)
		json_object_set_new(out, "handle", json_integer((json_int_t)handle));
}

static void explain(const struct service *service, struct control_call *call, const struct explain_view *view,
		    const char *const words[3])
{
	struct gateway *gateway = service->gateway;
	struct explain_context context = { .config = config_store_file(gateway_config(gateway))->path,
					   .removed = table_is_removed(gateway_table(gateway)),
					   .add = add_handle,
					   .userdata = gateway };
	struct question question;
	char why[QUESTION_WHY_MAX];

	int r = question_read(&question, view->policy, view->names, words[0], words[1], words[2], why);
	json_t *reply = r == 0 ? report_explain(view, &question, &context) : NULL;
	if (reply)
		control_reply(call, reply);
	else if (r == -EINVAL)
		control_fail(call, SPEFW_ERROR("QuestionInvalid"), json_pack("{s:o}", "what", json_printable(why)));
	else
		fail(call, -ENOMEM);
	question_free(&question);
}

void run_explain(void *userdata, struct control_call *call, json_t *parameters)
{
	static const char *const keys[] = { "source", "target", "protocol" };
	const struct service *service = userdata;
	const struct policy *policy = config_store_policy(gateway_config(service->gateway));
	const struct table *table = gateway_table(service->gateway);
	const char *words[3];
	struct names_view names;

	for (int i = 0; i < 3; i++) {
		const json_t *value = json_object_get(parameters, keys[i]);
		words[i] = json_string_value(value);
		if (!words[i] && (i < 2 || (value && !json_is_null(value)))) {
			control_fail(call, VARLINK_SERVICE ".InvalidParameter",
				     json_pack("{s:s}", "parameter", keys[i]));
			return;
		}
	}
	int r = names_view(gateway_names(service->gateway), policy, &names);
	if (r == 0)
		explain(service, call,
			&(struct explain_view){ .policy = policy,
						.names = &names,
						.ruleset = table_is_known(table) ? table_current(table) : NULL },
			words);
	else
		fail(call, r);
	names_view_free(&names);
}
