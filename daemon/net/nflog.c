/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/nflog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

enum {
	RECEIVE_BUFFER = 2 * 1024 * 1024,
	MESSAGE_SIZE = 256 * 1024, /* several whole packets and their attributes */
	TURN_USEC = 2000, /* then others have their turn, each as often as this: a flood must not starve them, nor they
			     this */
	COPY_BYTES = 0xffff, /* whole packets, where the rule's snaplen is not less */
};

struct nflog {
	struct mnl_socket *socket;
	sd_event_source *source;
	nflog_seen seen;
	void (*lost)(void *userdata);
	void *userdata;
};

static void read_one(const struct nlmsghdr *header, nflog_seen seen, void *userdata)
{
	const struct nlattr *attribute, *payload = NULL;
	const char *prefix = "";

	if (header->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) ||
	    mnl_nlmsg_get_payload_len(header) < sizeof(struct nfgenmsg))
		return;
	mnl_attr_for_each(attribute, header, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(attribute) == NFULA_PREFIX &&
		    mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
			prefix = mnl_attr_get_str(attribute);
		else if (mnl_attr_get_type(attribute) == NFULA_PAYLOAD)
			payload = attribute;
	}
	if (payload)
		seen(userdata, prefix, mnl_attr_get_payload(payload), mnl_attr_get_payload_len(payload));
}

void nflog_read(const void *bytes, size_t length, nflog_seen seen, void *userdata)
{
	const struct nlmsghdr *header = bytes;
	int left = (int)length;

	/* libmnl 1.0.4 takes a length of 2 GiB and more for a negative one, and so for one that fits; and lets
	 * attributes go on into what pads the last message, whether that is there or not. Rounded up, the greatest
	 * length is 0 in 32 bits. */
	while (mnl_nlmsg_ok(header, left) && header->nlmsg_len <= (size_t)left &&
	       MNL_ALIGN((size_t)header->nlmsg_len) <= (size_t)left) {
		read_one(header, seen, userdata);
		header = mnl_nlmsg_next(header, &left);
	}
}

static int64_t now_usec(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int on_packets(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct nflog *nflog = userdata;
	static _Alignas(struct nlmsghdr) char buffer[MESSAGE_SIZE];

	int64_t end = now_usec() + TURN_USEC;

	(void)source;
	(void)events;
	do {
		ssize_t length = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		if (length > 0)
			nflog_read(buffer, (size_t)length, nflog->seen, nflog->userdata);
		else if (length < 0 && errno == ENOBUFS)
			nflog->lost(nflog->userdata);
		else if (length == 0 || errno != EINTR)
			break;
	} while (now_usec() < end);
	return 0;
}

static struct nlmsghdr *config_message(char *buffer, uint16_t group, uint32_t sequence)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);

	header->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	header->nlmsg_seq = sequence;
	struct nfgenmsg *payload = mnl_nlmsg_put_extra_header(header, sizeof(*payload));
	*payload = (struct nfgenmsg){ .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(group) };
	return header;
}

static int exchange(struct nflog *nflog, const struct nlmsghdr *header)
{
	_Alignas(struct nlmsghdr) char reply[1024];

	if (mnl_socket_sendto(nflog->socket, header, header->nlmsg_len) < 0)
		return -errno;
	ssize_t length = mnl_socket_recvfrom(nflog->socket, reply, sizeof(reply));
	if (length < 0)
		return -errno;
	return mnl_cb_run(reply, (size_t)length, header->nlmsg_seq, mnl_socket_get_portid(nflog->socket), NULL, NULL) <
			       0
		       ? -errno
		       : 0;
}

static int bind_group(struct nflog *nflog, uint16_t group)
{
	_Alignas(struct nlmsghdr) char buffer[256];
	uint32_t sequence = (uint32_t)time(NULL);
	struct nfulnl_msg_config_cmd command = { .command = NFULNL_CFG_CMD_BIND };
	struct nfulnl_msg_config_mode mode = { .copy_range = htonl(COPY_BYTES), .copy_mode = NFULNL_COPY_PACKET };

	/* The mode goes before any packet: both in one message. A threshold of one packet: nothing waits in the kernel,
	 * and its buffer stays the least there is. It is allocated for each packet, and a large one is what a busy
	 * machine may not have. */
	struct nlmsghdr *header = config_message(buffer, group, sequence);
	mnl_attr_put(header, NFULA_CFG_CMD, sizeof(command), &command);
	mnl_attr_put(header, NFULA_CFG_MODE, sizeof(mode), &mode);
	mnl_attr_put_u32(header, NFULA_CFG_QTHRESH, htonl(1));
	return exchange(nflog, header);
}

static int open_socket(struct nflog *nflog)
{
	int size = RECEIVE_BUFFER;

	nflog->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!nflog->socket || mnl_socket_bind(nflog->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	int fd = mnl_socket_get_fd(nflog->socket);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return 0;
}

int nflog_new(struct nflog **ret, sd_event *event, uint16_t group, nflog_seen seen, void (*lost)(void *userdata),
	      void *userdata)
{
	struct nflog *nflog = calloc(1, sizeof(*nflog));

	if (!nflog)
		return -ENOMEM;
	nflog->seen = seen;
	nflog->lost = lost;
	nflog->userdata = userdata;
	int r = open_socket(nflog);
	if (r >= 0)
		r = bind_group(nflog, group);
	if (r == -EPERM) /* the group has a listener already */
		r = -EBUSY;
	if (r >= 0)
		r = sd_event_add_io(event, &nflog->source, mnl_socket_get_fd(nflog->socket), EPOLLIN, on_packets,
				    nflog);
	if (r < 0) {
		nflog_free(nflog);
		return r;
	}
	*ret = nflog;
	return 0;
}

void nflog_free(struct nflog *nflog)
{
	if (!nflog)
		return;
	sd_event_source_unref(nflog->source);
	if (nflog->socket)
		mnl_socket_close(nflog->socket);
	free(nflog);
}
