/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFT_FOREIGN_RECORDED_H
#define SPEFW_NFT_FOREIGN_RECORDED_H

/* The tables of other programs in two steps: what the kernel sends is kept as it comes, by a process that may request
 * it, and read later, when the process may do nothing any more. */

#include "core/foreign.h"
#include "nft/socket.h"

struct foreign_recording {
	struct {
		struct recorded {
			size_t begin, reply, end; /* of the request and its reply, in bytes */
			bool cut;                 /* more came than is kept */
		} * items;
		size_t count, capacity;
	} requests;
	char *bytes; /* netlink messages */
	size_t size, capacity;
};

/* Chains, sets, rules, and the elements of all sets but ours, up to some bytes. 0 or a negative errno;
 * foreign_recording_free() must follow in any case. */
int nft_record_foreign(struct foreign_recording *ret, struct nft_socket *socket);
void foreign_recording_free(struct foreign_recording *recording);

/* All chains, sets and rules, up to a bound (then ret->incomplete), and elements of the sets that count. 0 or a
 * negative errno; foreign_tables_free() must follow in any case. */
int nft_read_recorded(const struct foreign_recording *recording, struct foreign_tables *ret);

#endif
