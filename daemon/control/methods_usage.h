/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_METHODS_USAGE_H
#define SPEFW_METHODS_USAGE_H

/* Methods about who uses what. */

#include "control/server.h"

void run_connections(void *userdata, struct control_call *call, json_t *parameters);
void run_peers(void *userdata, struct control_call *call, json_t *parameters);
void run_cut(void *userdata, struct control_call *call, json_t *parameters);

#endif
