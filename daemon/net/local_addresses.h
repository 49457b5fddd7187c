/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_LOCAL_ADDRESSES_H
#define SPEFW_LOCAL_ADDRESSES_H

#include "core/addr.h"

/* This machine's own addresses (getifaddrs(3)), normalised, into *ret. 0 or a negative errno. */
int local_addresses(struct ranges *ret);

#endif
