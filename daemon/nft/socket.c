/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/socket.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
	RECEIVE_BUFFER = 8 * 1024 * 1024,
	REPLY_SIZE = 32 * 1024, /* more than one netlink message of a dump ever holds (NLMSG_GOODSIZE) */
	ERRNO_MAX = 4095,       /* the kernel's MAX_ERRNO */
};

/* Beyond net.core.*mem_max where we may (not in a user namespace's own network namespace); else as far as that goes. */
static void set_buffer(const struct mnl_socket *socket, int force, int plain, uint32_t bytes)
{
	int fd = mnl_socket_get_fd(socket), size = (int)bytes;

	if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size));
}

static struct mnl_socket *open_one(int stored_fd)
{
	struct mnl_socket *socket =
		stored_fd >= 0 ? mnl_socket_fdopen(stored_fd) : mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int on = 1;

	if (!socket)
		return NULL;
	if (stored_fd < 0 && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int saved = errno;
		mnl_socket_close(socket);
		errno = saved;
		return NULL;
	}
	set_buffer(socket, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER);
	mnl_socket_setsockopt(socket, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(socket, NETLINK_CAP_ACK, &on, sizeof(on));
	return socket;
}

int nft_open(struct nft_socket *ret, int stored_fd)
{
	*ret = (struct nft_socket){ .sequence = 1 };
	ret->writer = open_one(stored_fd);
	ret->reader = ret->writer ? open_one(-1) : NULL;
	if (!ret->reader) {
		int r = -errno;
		snprintf(ret->error, sizeof(ret->error), "can't open a netlink socket: %s", strerror(-r));
		nft_close(ret);
		return r;
	}
	return 0;
}

int nft_open_reader(struct nft_socket *ret)
{
	*ret = (struct nft_socket){ .sequence = 1 };
	ret->reader = open_one(-1);
	return ret->reader ? 0 : -errno;
}

uint32_t nft_port(const struct nft_socket *socket)
{
	return mnl_socket_get_portid(socket->writer);
}

void nft_close(struct nft_socket *socket)
{
	if (socket->writer)
		mnl_socket_close(socket->writer);
	if (socket->reader)
		mnl_socket_close(socket->reader);
	socket->writer = socket->reader = NULL;
}

const char *nft_reason(const struct nft_socket *socket, int r)
{
	return socket->error[0] ? socket->error : strerror(-r);
}

static int fail(struct nft_socket *socket, int r, const char *what)
{
	snprintf(socket->error, sizeof(socket->error), "%s: %s", what, strerror(-r));
	return r;
}

/* What the kernel adds to an error in words, or "". */
static void error_words(const struct nlmsghdr *header, char *buffer, size_t size)
{
	const struct nlattr *attribute;

	buffer[0] = '\0';
	if (!(header->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	/* NETLINK_CAP_ACK: the message at fault is cut down to its header. */
	mnl_attr_for_each(attribute, header, sizeof(struct nlmsgerr))
	{
		if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG &&
		    mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
			snprintf(buffer, size, " (%s)", mnl_attr_get_str(attribute));
	}
}

struct verdicts {
	bool acknowledged;
	int error; /* the first one, negative; 0 none */
};

static void read_replies(struct nft_socket *socket, const char *bytes, size_t length, uint32_t acknowledged,
			 struct verdicts *verdicts)
{
	const struct nlmsghdr *header = (const struct nlmsghdr *)bytes;
	int left = (int)length;

	for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
		char words[100];
		if (header->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(header) < sizeof(struct nlmsgerr))
			continue;
		const struct nlmsgerr *error = mnl_nlmsg_get_payload(header);
		if (error->error == 0) {
			verdicts->acknowledged |= header->nlmsg_seq == acknowledged;
			continue;
		}
		if (verdicts->error)
			continue;
		verdicts->error = error->error < 0 && error->error >= -ERRNO_MAX ? error->error : -EPROTO;
		error_words(header, words, sizeof(words));
		snprintf(socket->error, sizeof(socket->error), "the kernel refused the change (message type %u): %s%s",
			 error->msg.nlmsg_type & 0xff, strerror(-verdicts->error), words);
	}
}

/* The kernel has handled the batch when sendmsg returns: its whole reply is there. */
static int collect_replies(struct nft_socket *socket, uint32_t acknowledged)
{
	struct verdicts verdicts = { 0 };
	_Alignas(struct nlmsghdr) char buffer[REPLY_SIZE];

	for (;;) {
		ssize_t length = recv(mnl_socket_get_fd(socket->writer), buffer, sizeof(buffer), MSG_DONTWAIT);
		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0 &&
		    errno == ENOBUFS) { /* the kernel dropped replies: errors, if any, may be among them */
			if (!verdicts.error)
				verdicts.error = -ENOBUFS;
			snprintf(socket->error, sizeof(socket->error), "the kernel's reply was lost: %s",
				 strerror(ENOBUFS));
			continue;
		}
		if (length <= 0)
			break;
		read_replies(socket, buffer, (size_t)length, acknowledged, &verdicts);
	}
	if (verdicts.error)
		return verdicts.error;
	return verdicts.acknowledged ? 0 : fail(socket, -EIO, "the kernel did not acknowledge the change");
}

static int send_batch(struct nft_socket *socket, const struct nft_batch *batch)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct iovec part = { batch->bytes, batch->length };
	struct msghdr message = {
		.msg_name = &kernel, .msg_namelen = sizeof(kernel), .msg_iov = &part, .msg_iovlen = 1
	};
	uint32_t wanted = (uint32_t)batch->length + 4096;

	if (wanted > socket->send_buffer) {
		set_buffer(socket->writer, SO_SNDBUFFORCE, SO_SNDBUF, wanted);
		socket->send_buffer = wanted;
	}
	ssize_t sent = sendmsg(mnl_socket_get_fd(socket->writer), &message, 0);
	if (sent >= 0)
		return 0;
	int r = -errno;
	if (r == -EMSGSIZE)
		snprintf(socket->error, sizeof(socket->error),
			 "a change of %zu bytes does not fit into the socket's buffer: raise net.core.wmem_max to that",
			 batch->length);
	else
		fail(socket, r, "can't send to the kernel");
	return r;
}

/* What is left in a socket's queue must not be taken for an answer to the next question. */
static void drain(const struct mnl_socket *socket)
{
	char buffer[REPLY_SIZE];
	while (recv(mnl_socket_get_fd(socket), buffer, sizeof(buffer), MSG_DONTWAIT) > 0 || errno == ENOBUFS)
		;
}

static int commit(struct nft_socket *socket, const struct nft_batch *batch)
{
	socket->sequence = batch->sequence + 1;
	drain(socket->writer);
	int r = send_batch(socket, batch);
	return r == 0 ? collect_replies(socket, batch->acknowledged) : r;
}

int nft_commit_batch(struct nft_socket *socket, struct nft_batch *batch, int r)
{
	if (r == 0)
		r = nft_batch_end(batch);
	r = r < 0 ? fail(socket, r, "can't make the change") : commit(socket, batch);
	nft_batch_free(batch);
	return r;
}

int nft_commit(struct nft_socket *socket, const struct op *ops, size_t count, int64_t now_ms)
{
	struct nft_batch batch;

	int r = nft_batch_begin(&batch, &socket->abilities, socket->sequence, now_ms);
	if (r == 0)
		r = nft_batch_add(&batch, ops, count);
	return nft_commit_batch(socket, &batch, r);
}

int nft_request_begin(struct nft_socket *socket, uint16_t type, uint16_t flags,
		      void (*prepare)(struct nlmsghdr *header, const void *what), const void *what)
{
	_Alignas(struct nlmsghdr) char buffer[2048];
	struct nlmsghdr *header = nftnl_nlmsg_build_hdr(buffer, type, NFPROTO_INET, flags, ++socket->sequence);

	socket->requested = socket->sequence;
	drain(socket->reader);
	prepare(header, what);
	return mnl_socket_sendto(socket->reader, header, header->nlmsg_len) < 0 ? -errno : 0;
}

int nft_request_some(struct nft_socket *socket, int (*each)(const struct nlmsghdr *header, void *userdata),
		     void *userdata)
{
	_Alignas(struct nlmsghdr) char buffer[REPLY_SIZE];
	ssize_t length = mnl_socket_recvfrom(socket->reader, buffer, sizeof(buffer));

	if (length < 0)
		return -errno;
	int r = mnl_cb_run(buffer, (size_t)length, socket->requested, mnl_socket_get_portid(socket->reader), each,
			   userdata);
	return r < 0 ? -errno : r != MNL_CB_STOP;
}

int nft_request(struct nft_socket *socket, uint16_t type, uint16_t flags,
		void (*prepare)(struct nlmsghdr *header, const void *what), const void *what,
		int (*each)(const struct nlmsghdr *header, void *userdata), void *userdata,
		void (*restart)(void *userdata))
{
	int r = -EINTR;

	for (int tries = 0; tries < NFT_DUMP_TRIES && (r == -EINTR || r == -ENOBUFS); tries++) {
		if (restart)
			restart(userdata);
		r = nft_request_begin(socket, type, flags, prepare, what);
		for (int more = r == 0; more;) {
			r = nft_request_some(socket, each, userdata);
			more = r > 0;
		}
	}
	return r < 0 ? fail(socket, r, "can't read the table") : 0;
}
