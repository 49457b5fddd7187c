/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/methods_drops.h"
#include "control/report_drops.h"

#include <stdlib.h>

/* Of one reply to a follower. */
enum { ROWS_MAX = 32 };

struct drop_follower {
	struct drop_follower *next;
	struct control_call *call;
	uint64_t serial; /* what it has been sent */
};

static void forget(void *userdata, struct control_call *call)
{
	struct service *service = userdata;

	for (struct drop_follower **at = &service->drop_followers; *at; at = &(*at)->next) {
		struct drop_follower *follower = *at;
		if (follower->call != call)
			continue;
		*at = follower->next;
		free(follower);
		return;
	}
}

static void fail(struct control_call *call)
{
	control_fail(call, "org.spefw.Gateway.Failed", json_pack("{s:s}", "what", "out of memory"));
}

static void send_row_changes(struct service *service, struct drop_follower *follower)
{
	uint64_t serial = follower->serial;
	json_t *reply = report_drops(service->gateway, follower->serial, ROWS_MAX, &serial);

	follower->serial = serial;
	if (reply)
		control_reply_more(follower->call, reply);
}

/* It has read all that it was sent. */
static void on_room(void *userdata, struct control_call *call)
{
	struct service *service = userdata;
	uint64_t serial = drops_table(gateway_drops(service->gateway))->serial;

	for (struct drop_follower *follower = service->drop_followers; follower; follower = follower->next)
		if (follower->call == call && follower->serial < serial)
			send_row_changes(service, follower);
}

static void follow(struct service *service, struct control_call *call, json_t *reply, uint64_t serial)
{
	struct drop_follower *follower = malloc(sizeof(*follower));

	if (!follower) {
		json_decref(reply);
		fail(call);
		return;
	}
	*follower = (struct drop_follower){ service->drop_followers, call, serial };
	service->drop_followers = follower;
	control_on_gone(call, forget);
	control_stream(call, on_room);
	control_reply_more(call, reply);
}

void method_drops(void *userdata, struct control_call *call, json_t *parameters)
{
	struct service *service = userdata;
	uint64_t serial = 0;
	json_t *reply = report_drops(service->gateway, 0, SIZE_MAX, &serial);

	(void)parameters;
	if (!reply)
		fail(call);
	else if (control_wants_more(call))
		follow(service, call, reply, serial);
	else
		control_reply(call, reply);
}

/* Who has not read the last reply gets none until then, and then what there is of all that came meanwhile. Those who
 * keep up are sent the same. */
void method_drops_changed(struct service *service)
{
	uint64_t since = 0, serial = 0;
	json_t *reply = NULL;

	for (struct drop_follower *follower = service->drop_followers; follower; follower = follower->next) {
		if (!control_has_room(follower->call))
			continue;
		if (!reply || follower->serial != since) {
			json_decref(reply);
			since = follower->serial;
			reply = report_drops(service->gateway, since, ROWS_MAX, &serial);
		}
		if (!reply)
			return;
		follower->serial = serial;
		control_reply_more(follower->call, json_incref(reply));
	}
	json_decref(reply);
}
