/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/nflog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	RECEIVE_BUFFER = 2 * 1024 * 1024,
	COPY_BYTES = 0xffff, /* whole packets, where the rule's snaplen is not less */
};

static struct nlmsghdr *config_message(char *buffer, uint16_t group, uint16_t flags)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);

	header->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	header->nlmsg_seq = (uint32_t)time(NULL);
	struct nfgenmsg *payload = mnl_nlmsg_put_extra_header(header, sizeof(*payload));
	*payload = (struct nfgenmsg){ .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(group) };
	return header;
}

static int exchange(const struct mnl_socket *socket, const struct nlmsghdr *header)
{
	_Alignas(struct nlmsghdr) char reply[1024];

	if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0)
		return -errno;
	ssize_t length = mnl_socket_recvfrom(socket, reply, sizeof(reply));
	if (length < 0)
		return -errno;
	return mnl_cb_run(reply, (size_t)length, header->nlmsg_seq, mnl_socket_get_portid(socket), NULL, NULL) < 0
		       ? -errno
		       : 0;
}

static int bind_group(const struct mnl_socket *socket, uint16_t group)
{
	_Alignas(struct nlmsghdr) char buffer[256];
	struct nfulnl_msg_config_cmd command = { .command = NFULNL_CFG_CMD_BIND };
	struct nfulnl_msg_config_mode mode = { .copy_range = htonl(COPY_BYTES), .copy_mode = NFULNL_COPY_PACKET };

	/* The mode goes before any packet: both in one message. A threshold of one packet: nothing waits in the kernel,
	 * and its buffer stays the least there is. It is allocated for each packet, and a large one is what a busy
	 * machine may not have. */
	struct nlmsghdr *header = config_message(buffer, group, NLM_F_ACK);
	mnl_attr_put(header, NFULA_CFG_CMD, sizeof(command), &command);
	mnl_attr_put(header, NFULA_CFG_MODE, sizeof(mode), &mode);
	mnl_attr_put_u32(header, NFULA_CFG_QTHRESH, htonl(1));
	return exchange(socket, header);
}

static void enlarge(int fd)
{
	int size = RECEIVE_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

int nflog_open(uint16_t group)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int r;

	if (!socket)
		return -errno;
	r = mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
	if (r == 0) {
		enlarge(mnl_socket_get_fd(socket));
		r = bind_group(socket, group);
	}
	/* A descriptor of its own: that of libmnl can't be had without its struct. */
	if (r == 0) {
		r = fcntl(mnl_socket_get_fd(socket), F_DUPFD_CLOEXEC, 0);
		r = r < 0 ? -errno : r;
	}
	mnl_socket_close(socket);
	return r == -EPERM ? -EBUSY : r; /* the group has a listener already */
}

void nflog_close(int fd, uint16_t group)
{
	_Alignas(struct nlmsghdr) char buffer[256];
	struct nfulnl_msg_config_cmd command = { .command = NFULNL_CFG_CMD_UNBIND };

	/* spefw-resolver has a copy yet, for a moment; nobody waits for a reply on it. */
	struct nlmsghdr *header = config_message(buffer, group, 0);
	mnl_attr_put(header, NFULA_CFG_CMD, sizeof(command), &command);
	send(fd, header, header->nlmsg_len, MSG_DONTWAIT);
	close(fd);
}
