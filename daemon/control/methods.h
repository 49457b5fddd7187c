/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_METHODS_H
#define SPEFW_METHODS_H

/* The methods of org.spefw.Gateway. */

#include "control/server.h"
#include "gateway/gateway.h"

/* The userdata of all methods. */
struct service {
	struct gateway *gateway;
	struct control *control;
	struct explaining *explaining;        /* calls of Explain that wait for other tables; methods_explain.c */
	struct watch *watch;                  /* methods_watch.h */
	struct drop_follower *drop_followers; /* methods_drops.c */
	struct config_reader *config_readers; /* methods_config.c */
};

extern const struct control_method methods[];

/* Who calls; text has room for what it points to. */
struct requester method_requester(const struct control_call *call, char text[PEER_TEXT_MAX]);

/* For gateway_events.refreshed: answers the call that waits. */
void method_refreshed(struct service *service, struct control_call *call);

#endif
