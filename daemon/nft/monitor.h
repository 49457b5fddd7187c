/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFT_MONITOR_H
#define SPEFW_NFT_MONITOR_H

/* Gets a notice of every change that another program makes, to our table or to others. */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct nft_monitor;

/* own_port: the port of the socket that we write by; its changes are not reported. `changed` gets, once a transaction,
 * what was changed and by whom, in words; NULL: notices were lost, anything may have changed. `others_changed` is
 * called at least once after changes of other tables. 0 or a negative errno. */
int nft_monitor_new(struct nft_monitor **ret, sd_event *event, uint32_t own_port,
		    void (*changed)(void *userdata, const char *what), void (*others_changed)(void *userdata),
		    void *userdata);
/* Takes all notices that are there now. True if there were any of our table, or some were lost. */
bool nft_monitor_drain(struct nft_monitor *monitor);
/* Of its event source, SD_EVENT_PRIORITY_NORMAL at first, and again after a turn without a change of our table. */
void nft_monitor_set_priority(struct nft_monitor *monitor, int64_t priority);
void nft_monitor_free(struct nft_monitor *monitor);

#endif
