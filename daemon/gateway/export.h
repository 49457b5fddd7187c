/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_GATEWAY_EXPORT_H
#define SPEFW_GATEWAY_EXPORT_H

/* The policy in force in the words of other programs. */

#include "gateway/gateway.h"

enum export_format { EXPORT_NETSH, EXPORT_NFT };

/* *ret is the caller's to free. 0; -EBUSY: somebody had it done a moment ago; or another negative errno. */
int gateway_export(struct gateway *gateway, enum export_format format, char **ret);

#endif
