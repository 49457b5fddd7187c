/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_METHODS_DIFF_H
#define SPEFW_METHODS_DIFF_H

#include "control/server.h"

void run_diff(void *userdata, struct control_call *call, json_t *parameters);

#endif
