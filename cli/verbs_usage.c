/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/wire.h"
#include "ctl.h"
#include "output.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static json_t *of_flow(const struct ctl *ctl)
{
	return ctl->argument_count ? json_pack("{s:o}", "flow", json_printable(ctl->arguments[0])) : NULL;
}

/* Whether it is one, is the daemon's to say. */
static bool is_word(const struct ctl *ctl)
{
	if (!ctl->argument_count || *ctl->arguments[0])
		return true;
	ctl_error(ctl, "which flow? the word is empty: spefwctl flows lists them");
	return false;
}

static const json_t *find_flow(const json_t *reply, const char *id)
{
	const json_t *flows = json_object_get(reply, "flows");

	for (size_t i = 0; i < json_array_size(flows); i++)
		if (strcmp(json_text_of(json_array_get(flows, i), "id"), id) == 0)
			return json_array_get(flows, i);
	return NULL;
}

static int show(struct ctl *ctl, json_t *reply)
{
	if (reply)
		ctl->output->reply(ctl, reply);
	else
		ctl_error(ctl, "out of memory");
	json_decref(reply);
	return reply ? EXIT_DONE : EXIT_FAILED;
}

static int show_one(struct ctl *ctl, const json_t *flows)
{
	const json_t *flow = find_flow(flows, ctl->arguments[0]);
	json_t *peers = NULL, *connections = NULL, *reply = NULL;

	if (!flow) {
		ctl_unknown(ctl, "FLOW", "there is no flow", ctl->arguments[0], "spefwctl flows lists them");
		return EXIT_FAILED;
	}
	int status = ctl_need_method(ctl, SPEFW_METHOD("Peers"), of_flow(ctl), &peers);
	if (status == EXIT_DONE)
		status = ctl_need_method(ctl, SPEFW_METHOD("Connections"), of_flow(ctl), &connections);
	if (status == EXIT_DONE) {
		reply = json_pack("{s:O, s:b, s:O*, s:O*, s:b, s:O*, s:b}", "flow", flow, "removed",
				  json_truth_of(flows, "removed"), "recorded_s", json_object_get(flows, "recorded_s"),
				  "peers", json_object_get(peers, "peers"), "more_peers", json_truth_of(peers, "more"),
				  "connections", json_object_get(connections, "connections"), "more_connections",
				  json_truth_of(connections, "more"));
		status = show(ctl, reply);
	}
	json_decref(peers);
	json_decref(connections);
	return status;
}

int verb_flows(struct ctl *ctl)
{
	json_t *reply = NULL;

	if (!is_word(ctl))
		return EXIT_USAGE;
	int status = ctl_need(ctl, NULL, &reply);
	if (status == EXIT_DONE && ctl->argument_count)
		status = show_one(ctl, reply);
	else if (status == EXIT_DONE)
		ctl->output->reply(ctl, reply);
	json_decref(reply);
	return status;
}

int verb_connections(struct ctl *ctl)
{
	json_t *reply = NULL;

	if (!is_word(ctl))
		return EXIT_USAGE;
	int status = ctl_need(ctl, of_flow(ctl), &reply);
	if (status == EXIT_DONE)
		ctl->output->reply(ctl, reply);
	json_decref(reply);
	return status;
}

/* False: it is no number of a connection. */
static bool parse_id(const char *text, json_int_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoll(text, &end, 10);
	return isdigit((unsigned char)*text) && !*end && !errno && *ret <= UINT32_MAX;
}

int verb_cut(struct ctl *ctl)
{
	json_t *reply = NULL;
	json_int_t id;

	if (!ctl->argument_count || !parse_id(ctl->arguments[0], &id)) {
		ctl_error(ctl, "cut needs the ID of a connection: spefwctl connections shows them");
		return EXIT_USAGE;
	}
	int status = ctl_need(ctl, json_pack("{s:I}", "id", id), &reply);
	if (status == EXIT_DONE)
		ctl->output->reply(ctl, reply);
	json_decref(reply);
	return status;
}
