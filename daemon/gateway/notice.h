/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NOTICE_H
#define SPEFW_NOTICE_H

/* The file by which spefw-notify is told of changes of health. It is written once a change has lasted a while, at once
 * where the server is not guarded; so it is not written often, and has the last state in the end. It is written a
 * second time a minute later, lest the first was overlooked while another one was worked on. */

#include "core/health.h"

#include <systemd/sd-event.h>

struct notice;

/* path, whose folder is there, must live as long. look: how health is at that moment (health_free() follows). 0 or a
 * negative errno. */
int notice_new(struct notice **ret, sd_event *event, const char *path, void (*look)(void *userdata, struct health *ret),
	       void *userdata);
void notice_free(struct notice *notice); /* NULL: nothing */

/* Health may be another one than was written: it is looked at later. */
void notice_health(struct notice *notice, const struct health *health);
/* The last one, before the daemon ends: written at once, where it ever was. */
void notice_stop(struct notice *notice, const struct health *health);

#endif
