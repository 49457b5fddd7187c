/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_METHODS_EXPLAIN_H
#define SPEFW_METHODS_EXPLAIN_H

#include "control/methods.h"

void run_explain(void *userdata, struct control_call *call, json_t *parameters);
/* For gateway_events.explained. */
void method_explained(struct service *service, void *waiter, int r, const struct findings *findings);

#endif
