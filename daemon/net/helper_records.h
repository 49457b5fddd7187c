/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_HELPER_RECORDS_H
#define SPEFW_HELPER_RECORDS_H

/* Records of resolver/wire.h: what comes from spefw-resolver is checked here, field by field, before anything else
 * looks at it. Pure. */

#include "resolver/wire.h"

#include <stdbool.h>
#include <stddef.h>

/* NULL: bytes are one whole record of a kind that spefw-resolver sends, its counts fit its length, its texts and
 * addresses are what such can be. Else what is wrong, static. bytes is aligned as struct wire_counts is. */
const char *helper_record_error(const void *bytes, size_t length);

#define WIRE_COUNT_MAX UINT32_MAX /* of each number in WIRE_COUNTS */

/* Of records that were checked. */
struct addr wire_address_read(const struct wire_address *address);
void wire_addresses_read(const struct wire_address *addresses, size_t count, struct addr *ret);
enum family wire_family_read(uint8_t family);
const char (*wire_answer_aliases(const struct wire_answer *answer))[WIRE_NAME_MAX];

struct wire_address wire_address_of(const struct addr *addr);
uint8_t wire_family_of(enum family family);

#endif
