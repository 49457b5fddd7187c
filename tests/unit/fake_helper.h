/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_FAKE_HELPER_H
#define SPEFW_TEST_FAKE_HELPER_H

/* spefw-resolver as net/helper.h has it, in the test's hands: what it is sent, and what it reports. */

#include "core/policy.h"
#include "net/helper.h"

extern int fake_helper_error;  /* what helper_new() returns; 0: it works */
extern size_t fake_helpers;    /* how many there are: 0 when all objects are freed */
extern bool fake_helper_fails; /* it ended, says helper_reasons() */

void fake_helper_reset(void);
struct helper *fake_helper_new(void); /* without events */

/* What it was sent since the last call: "begin;watch NAME;end;nflog 7;". */
const char *fake_helper_sent(void);

/* It is there, or there again; `restarted` as well, from the second time on. */
void fake_helper_start(void);
/* A record of it, for the client of that part. Returns what that one says of it. */
const char *fake_helper_give(void *record, size_t length);
/* Addresses are separated by blanks. */
void fake_helper_observe(const char *server, const char *question, enum family family, const char *addresses,
			 uint32_t ttl_s);
void fake_helper_deny(const struct packet *packet, enum denial_kind kind, uint8_t hook);
void fake_helper_count(uint64_t unasked, uint64_t lost, uint64_t dropped);
/* The heads, for records of the test's own. */
struct wire_observed *fake_observed(const char *server, const char *question, enum family family, const char *addresses,
				    uint32_t ttl_s, size_t *ret_length); /* valid until the next call */

#endif
