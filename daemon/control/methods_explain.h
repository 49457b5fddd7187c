/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_METHODS_EXPLAIN_H
#define SPEFW_METHODS_EXPLAIN_H

#include "control/server.h"

void run_explain(void *userdata, struct control_call *call, json_t *parameters);

#endif
