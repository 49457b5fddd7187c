/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_NFT_SOCKET_H
#define SPEFW_NFT_SOCKET_H

/* The netlink sockets to nf_tables (libmnl): one that writes, one that reads. */

#include "nft/encode.h"

#include <libmnl/libmnl.h>

enum { NFT_ERROR_MAX = 160 }; /* bytes of a message, with its end */

struct nft_socket {
	struct mnl_socket *writer;    /* every transaction; its port id is the table's owner */
	struct mnl_socket *reader;    /* dumps */
	uint32_t sequence, requested; /* the last one; that of the request whose answers are being read */
	uint32_t send_buffer;         /* bytes that the writer's socket takes now */
	struct nft_abilities abilities;
	char error[NFT_ERROR_MAX]; /* of the last call that failed: the reason that the kernel gave, one line */
};

/* stored_fd: the writer's socket of a daemon before us, which owns the table still, or -1; it is ours then.
 * 0 or a negative errno: -EPERM without CAP_NET_ADMIN, -EPROTONOSUPPORT without nf_tables. */
int nft_open(struct nft_socket *ret, int stored_fd);
/* One for nft_request() alone: no writer. 0 or a negative errno; nft_close() must follow. */
int nft_open_reader(struct nft_socket *ret);
uint32_t nft_port(const struct nft_socket *socket); /* of the writer: the owner that the kernel knows */
void nft_close(struct nft_socket *socket);
/* Why the last call failed: the kernel's reason where it gave one, else the one for r, a negative errno. */
const char *nft_reason(const struct nft_socket *socket, int r);

/* Sends these ops as one transaction in one sendmsg, and waits for the verdict of the kernel: 0, or the first error;
 * then nothing of it is in force, but for -ENOBUFS and -EIO: the reply was lost, and only reading the table shows it.
 */
int nft_commit(struct nft_socket *socket, const struct op *ops, size_t count, int64_t now_ms);
/* Likewise what was put into batch: r is 0, or why that failed. Ends the batch, and frees it in any case. */
int nft_commit_batch(struct nft_socket *socket, struct nft_batch *batch, int r);

/* A request on the reader, each answer to `each` (a libmnl callback). 0 or a negative errno; -EINTR: the dump was not
 * consistent, even after some tries. prepare fills in the request, once for each try. */
int nft_request(struct nft_socket *socket, uint16_t type, uint16_t flags,
		void (*prepare)(struct nlmsghdr *header, const void *what), const void *what,
		int (*each)(const struct nlmsghdr *header, void *userdata), void *userdata,
		void (*restart)(void *userdata));

/* The same in parts, for a socket with no other request meanwhile. nft_request_some() takes what one message holds,
 * without a wait: the kernel makes it on demand. 1: there is more; 0: that was all; or a negative errno: on -EINTR and
 * -ENOBUFS, up to NFT_DUMP_TRIES times, all begins again. */
enum { NFT_DUMP_TRIES = 8 };
int nft_request_begin(struct nft_socket *socket, uint16_t type, uint16_t flags,
		      void (*prepare)(struct nlmsghdr *header, const void *what), const void *what);
int nft_request_some(struct nft_socket *socket, int (*each)(const struct nlmsghdr *header, void *userdata),
		     void *userdata);

/* Finds out what the kernel can do, on a scratch table (probe.c). The environment variable SPEFW_ABILITIES
 * ("none", or some of "owner,timeout_update") restricts it: the tests' way to be on an older kernel. */
int nft_probe(struct nft_socket *socket);

#endif
