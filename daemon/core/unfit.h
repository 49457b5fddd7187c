/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_UNFIT_H
#define SPEFW_UNFIT_H

#include "addr.h"

#include <stdbool.h>

/* Why this address may not stand behind a name (RFC 6890), as "loopback"; NULL: it may. Private addresses may only with
 * allow_private. */
const char *address_unfit(const struct addr *addr, bool allow_private);

#endif
