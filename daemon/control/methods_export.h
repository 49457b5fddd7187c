/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_METHODS_EXPORT_H
#define SPEFW_METHODS_EXPORT_H

#include "control/server.h"

/* Methods, their userdata a struct service: the policy in force for other programs. */
void run_policy(void *userdata, struct control_call *call, json_t *parameters);
void run_export(void *userdata, struct control_call *call, json_t *parameters);

#endif
