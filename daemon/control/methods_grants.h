/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_METHODS_GRANTS_H
#define SPEFW_METHODS_GRANTS_H

/* Grant, Revoke and Grants. */

#include "control/server.h"

void run_grant(void *userdata, struct control_call *call, json_t *parameters);
void run_revoke(void *userdata, struct control_call *call, json_t *parameters);
void run_grants(void *userdata, struct control_call *call, json_t *parameters);

#endif
