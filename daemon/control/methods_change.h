/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_METHODS_CHANGE_H
#define SPEFW_METHODS_CHANGE_H

/* Methods that bring another policy into force, and about those that were. */

#include "control/server.h"

void run_reload(void *userdata, struct control_call *call, json_t *parameters);
void run_rollback(void *userdata, struct control_call *call, json_t *parameters);
void run_confirm(void *userdata, struct control_call *call, json_t *parameters);
void run_history(void *userdata, struct control_call *call, json_t *parameters);
void run_config(void *userdata, struct control_call *call, json_t *parameters);

#endif
