/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/wire.h"
#include "core/config.h"
#include "ctl.h"
#include "output.h"

static const char grant_example[] = "spefwctl grant console-in 198.51.100.7 --for 2h";

/* Of both verbs; NULL without memory. */
static json_t *flow_and_address(const struct ctl *ctl)
{
	return json_pack("{s:o, s:o}", "flow", json_printable(ctl->arguments[0]), "address",
			 json_printable(ctl->arguments[1]));
}

static int call(struct ctl *ctl, json_t *parameters)
{
	json_t *reply = NULL;
	int status = ctl_need(ctl, parameters, &reply);

	if (status == EXIT_DONE)
		ctl->output->reply(ctl, reply);
	json_decref(reply);
	return status;
}

int verb_grant(struct ctl *ctl)
{
	const char *time = ctl->values[OPTION_FOR];
	int64_t ms;

	if (ctl->argument_count < 2) {
		ctl_error(ctl, "grant needs a flow and an address, as in %s", grant_example);
		return EXIT_USAGE;
	}
	if (!time) {
		ctl_error(ctl, "for how long? add --for, as in %s", grant_example);
		return EXIT_USAGE;
	}
	if (!duration_parse(time, &ms)) {
		ctl_error(ctl, "--for %s is not a duration: write a number and s, m, h or d, such as 2h", time);
		return EXIT_USAGE;
	}
	json_t *parameters = flow_and_address(ctl);
	json_object_set_new(parameters, "seconds", json_integer(ms / 1000));
	return call(ctl, parameters);
}

int verb_revoke(struct ctl *ctl)
{
	if (ctl->argument_count < 2) {
		ctl_error(ctl, "revoke needs the flow and the address: spefwctl grants lists them");
		return EXIT_USAGE;
	}
	return call(ctl, flow_and_address(ctl));
}
