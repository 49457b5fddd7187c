/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_METHODS_DROPS_H
#define SPEFW_METHODS_DROPS_H

/* Drops(), and who follows it. */

#include "control/methods.h"

void method_drops(void *userdata, struct control_call *call, json_t *parameters);
/* There are denials that were not there the last time. */
void method_drops_changed(struct service *service);

#endif
