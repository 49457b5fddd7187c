/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_FATE_TEXT_H
#define SPEFW_FATE_TEXT_H

/* A packet and what becomes of it, in one line for people. Both return buffer. */

#include "fate.h"

/* "new tcp 203.0.113.9:40000 -> 192.0.2.25:8470 from wan, forward" */
char *fate_packet_text(const struct fate_packet *packet, enum fate_stage stage, char *buffer, size_t size);
/* "accepted, counted by flow-console-in" */
char *fate_text(const struct fate *fate, char *buffer, size_t size);

#endif
