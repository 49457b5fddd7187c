/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFLOG_READ_H
#define SPEFW_NFLOG_READ_H

/* The one reader of the kernel's messages of NFLOG. */

#include <stddef.h>
#include <stdint.h>

struct nflog_copy {
	const char *prefix;   /* of the rule that copied the packet; "" where it has none */
	uint8_t hook;         /* NF_INET_... */
	const uint8_t *bytes; /* from the IP header on */
	size_t length;
};

/* All of it ends with the call. */
typedef void (*nflog_seen)(void *userdata, const struct nflog_copy *copy);

/* bytes: what one recv() of the socket gave, aligned as struct nlmsghdr is. */
void nflog_read(const void *bytes, size_t length, nflog_seen seen, void *userdata);

#endif
