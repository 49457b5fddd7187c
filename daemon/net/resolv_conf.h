/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_RESOLV_CONF_H
#define SPEFW_RESOLV_CONF_H

/* Follows resolv.conf: renamed over, rewritten, removed, or a symbolic link to a file of which the same is true, as
 * systemd-resolved, resolvconf and DHCP clients do. Without it, or where it names no server, resolv.conf(5) has it that
 * one runs on this machine. */

#include <systemd/sd-event.h>

#define RESOLV_CONF "/etc/resolv.conf"

struct resolv_conf;

/* `changed` is called from the event loop, a moment after the text has become another one. It must not free *ret. 0,
 * -ENOMEM or another negative errno of the loop; a file that can't be read or watched is logged. */
int resolv_conf_new(struct resolv_conf **ret, sd_event *event, void (*changed)(void *userdata), void *userdata);
void resolv_conf_free(struct resolv_conf *conf);

#endif
