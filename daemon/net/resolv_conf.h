/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_RESOLV_CONF_H
#define SPEFW_RESOLV_CONF_H

/* The system's DNS servers, as resolv.conf(5) names them, and followed: renamed over, rewritten, removed, or a symbolic
 * link to a file of which the same is true, as systemd-resolved, resolvconf and DHCP clients do. Without the file, or
 * where it names none, a server runs on this machine. */

#include "resolver/wire.h"

#include <systemd/sd-event.h>

#define RESOLV_CONF "/etc/resolv.conf"

enum { RESOLV_CONF_SERVERS_MAX = WIRE_SERVERS_MAX };

struct resolv_conf;

/* changed is called from the event loop, when the servers are others; it may free this. 0 or a negative errno. */
int resolv_conf_new(struct resolv_conf **ret, sd_event *event, void (*changed)(void *userdata), void *userdata);
void resolv_conf_free(struct resolv_conf *conf); /* NULL: nothing */
/* One at least; valid until the next change. */
const struct dns_server *resolv_conf_servers(const struct resolv_conf *conf, size_t *ret_count);

#endif
