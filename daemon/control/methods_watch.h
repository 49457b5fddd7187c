/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_METHODS_WATCH_H
#define SPEFW_METHODS_WATCH_H

/* Watch(): what happens, as it happens. */

#include "control/methods.h"

struct watch;

/* Before the gateway starts, and after control_free(). 0 or a negative errno. */
int watch_new(struct watch **ret, sd_event *event);
void watch_free(struct watch *watch); /* NULL: nothing */

void method_watch(void *userdata, struct control_call *call, json_t *parameters);

/* For gateway_events. */
void watch_happened(struct service *service, const struct happening *happening);
void watch_health(struct service *service);
void watch_drops(struct service *service);

#endif
