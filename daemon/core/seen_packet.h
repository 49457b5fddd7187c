/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_SEEN_PACKET_H
#define SPEFW_SEEN_PACKET_H

/* The one reader of packets that the kernel copies to us. The bytes are the network's: all is bounded. */

#include "policy.h"

struct seen_packet {
	struct packet packet;   /* protocol PROTOCOLS: one that no flow can name. A later fragment has no ports. */
	const uint8_t *payload; /* of UDP, within the bytes read */
	size_t payload_length;  /* as far as it was copied */
	bool payload_whole;
};

/* bytes: from the IP header on. False: not an IP packet that can be read. */
bool seen_packet_read(const uint8_t *bytes, size_t length, struct seen_packet *ret);

#endif
