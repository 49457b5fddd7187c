/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_FAKE_NFLOG_H
#define SPEFW_TEST_FAKE_NFLOG_H

/* The copied packets of net/nflog.h, in the test's hands. */

#include "core/policy.h"
#include "net/nflog.h"

#include <stdbool.h>

extern int fake_nflog_error;      /* what nflog_new() returns, -EBUSY for one; 0: it works */
extern size_t fake_nflogs;        /* how many there are: 0 when all objects are freed */
extern size_t fake_nflog_tries;   /* calls of nflog_new() so far */
extern uint16_t fake_nflog_group; /* of the newest one */

void fake_nflog_reset(void);

/* Whoever listens sees this packet, or that copies were lost. */
void fake_nflog_give(const char *prefix, const uint8_t *bytes, size_t length);
void fake_nflog_lose(void);

/* Likewise, a packet with these sides and this payload: UDP, or the header of TCP or ICMP alone. */
void fake_nflog_packet(const char *prefix, const struct packet *packet, const uint8_t *payload, size_t length);

/* DNS messages for the payload. Returns the length. A query, or with `addresses` (not NULL; separated by blanks, ""
 * for none) the response to it, of that TTL and response code. */
enum { FAKE_DNS_MAX = 2048 };
size_t fake_dns(uint8_t ret[FAKE_DNS_MAX], uint16_t id, const char *name, enum family family, const char *addresses,
		uint32_t ttl_s, unsigned rcode);

#endif
