/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFLOG_H
#define SPEFW_NFLOG_H

/* The packets that our rules copy to us by NFLOG (libmnl). */

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct nflog;

/* One packet: the prefix of the rule that copied it, and its bytes from the IP header on; both end with the call. */
typedef void (*nflog_seen)(void *userdata, const char *prefix, const uint8_t *bytes, size_t length);

/* 0 or a negative errno; -EBUSY: another program listens to the group. lost: copies were dropped for want of room. */
int nflog_new(struct nflog **ret, sd_event *event, uint16_t group, nflog_seen seen, void (*lost)(void *userdata),
	      void *userdata);
void nflog_free(struct nflog *nflog);

/* The reader of the kernel's messages, for the fuzzer too. */
void nflog_read(const void *bytes, size_t length, nflog_seen seen, void *userdata);

#endif
