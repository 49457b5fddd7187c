/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/monitor.h"
#include "core/printable.h"
#include "core/ruleset.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	RECEIVE_BUFFER = 8 * 1024 * 1024,
	NOTICE_SIZE = 64 * 1024,
	READS_A_TURN = 64, /* others have their turn in a flood of notices */
	TURNS_A_DRAIN = 64,
};

struct nft_monitor {
	struct mnl_socket *socket;
	sd_event_source *source;
	void (*changed)(void *userdata, const char *what);
	void (*others_changed)(void *userdata);
	void *userdata;
	char what[200]; /* the first change of the transaction under way, or that it deletes the table */
	unsigned more;  /* how many there are besides */
	bool overrun;   /* notices were lost, and the queue was not empty since */
	uint64_t seen;  /* transactions that changed our table, or may have */
	bool foreign;   /* the transaction under way changes other tables */
};

/* Our own commits can be large: the kernel need not queue them for us. The notices of one transaction come in packets
 * whose first message has the sender like any other. Classic BPF loads in network order. */
static int skip_own(int fd, uint32_t own_port)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(own_port), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = { .len = 4, .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno : 0;
}

static const char *text_attribute(const struct nlmsghdr *header, uint16_t type)
{
	const struct nlattr *attribute;

	mnl_attr_for_each(attribute, header,
			  sizeof(struct nfgenmsg)) if (mnl_attr_get_type(attribute) == type &&
						       mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >=
							       0) return mnl_attr_get_str(attribute);
	return NULL;
}

/* The attribute that names the table is the first of every kind of message; the thing's own name is not. */
static const struct kind {
	const char *what;
	uint16_t name;
} kinds[] = {
	[NFT_MSG_NEWTABLE] = { "table changed", 0 },
	[NFT_MSG_DELTABLE] = { "table deleted", 0 },
	[NFT_MSG_NEWCHAIN] = { "chain added or changed", NFTA_CHAIN_NAME },
	[NFT_MSG_DELCHAIN] = { "chain deleted", NFTA_CHAIN_NAME },
	[NFT_MSG_NEWRULE] = { "rule added to chain", NFTA_RULE_CHAIN },
	[NFT_MSG_DELRULE] = { "rule deleted from chain", NFTA_RULE_CHAIN },
	[NFT_MSG_NEWSET] = { "set added", NFTA_SET_NAME },
	[NFT_MSG_DELSET] = { "set deleted", NFTA_SET_NAME },
	[NFT_MSG_NEWSETELEM] = { "elements added to set", NFTA_SET_ELEM_LIST_SET },
	[NFT_MSG_DELSETELEM] = { "elements deleted from set", NFTA_SET_ELEM_LIST_SET },
	[NFT_MSG_NEWOBJ] = { "object added or changed", NFTA_OBJ_NAME },
	[NFT_MSG_DELOBJ] = { "object deleted", NFTA_OBJ_NAME },
	[NFT_MSG_NEWFLOWTABLE] = { "flowtable added", NFTA_FLOWTABLE_NAME },
	[NFT_MSG_DELFLOWTABLE] = { "flowtable deleted", NFTA_FLOWTABLE_NAME },
};

static void take_change(struct nft_monitor *monitor, const struct nlmsghdr *header, unsigned type)
{
	const struct nfgenmsg *family = mnl_nlmsg_get_payload(header);
	const char *table = text_attribute(header, NFTA_TABLE_NAME);

	if (family->nfgen_family != NFPROTO_INET || !table || strcmp(table, TABLE_NAME) != 0) {
		monitor->foreign = true;
		return;
	}
	if (monitor->what[0]) {
		monitor->more++;
		if (type != NFT_MSG_DELTABLE) /* its notice comes after those of everything in it, and means more */
			return;
	}
	const struct kind *kind = &kinds[type];
	const char *name = kind->name ? text_attribute(header, kind->name) : NULL;
	snprintf(monitor->what, sizeof(monitor->what), "%s%s%.120s", kind->what, name ? " " : "", name ? name : "");
}

static void end_transaction(struct nft_monitor *monitor, const struct nlmsghdr *header)
{
	const char *program = text_attribute(header, NFTA_GEN_PROC_NAME);
	char text[400];

	if (monitor->foreign)
		monitor->others_changed(monitor->userdata);
	monitor->foreign = false;
	if (!monitor->what[0])
		return;
	int length = snprintf(text, sizeof(text), "%s", monitor->what);
	if (monitor->more)
		length += snprintf(text + length, sizeof(text) - (size_t)length, " and %u more", monitor->more);
	if (program)
		snprintf(text + length, sizeof(text) - (size_t)length, ", by %.40s", program);
	make_printable(text); /* names are whatever the other program gave */
	monitor->what[0] = '\0';
	monitor->more = 0;
	monitor->seen++;
	monitor->changed(monitor->userdata, text);
}

static void take_notices(struct nft_monitor *monitor, const char *bytes, size_t length)
{
	const struct nlmsghdr *header = (const struct nlmsghdr *)bytes;
	int left = (int)length;

	for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
		unsigned type = header->nlmsg_type & 0xff;
		if (header->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
		    mnl_nlmsg_get_payload_len(header) < sizeof(struct nfgenmsg))
			continue;
		if (type == NFT_MSG_NEWGEN)
			end_transaction(monitor, header);
		else if (type < sizeof(kinds) / sizeof(kinds[0]) && kinds[type].what)
			take_change(monitor, header, type);
	}
}

/* At most READS_A_TURN packets of notices. True where more may be waiting. */
static bool read_notices(struct nft_monitor *monitor)
{
	static _Alignas(struct nlmsghdr) char buffer[NOTICE_SIZE];
	bool lost = false, more = true;

	for (int i = 0; more && i < READS_A_TURN; i++) {
		ssize_t length = recv(mnl_socket_get_fd(monitor->socket), buffer, sizeof(buffer), MSG_DONTWAIT);
		if (length > 0)
			take_notices(monitor, buffer, (size_t)length);
		else if (length < 0 && errno == ENOBUFS)
			lost = monitor->overrun = true;
		else if (length == 0 || errno != EINTR)
			more = false;
	}
	/* From an overrun until the queue is empty, the kernel drops more without another word. */
	if (!more && monitor->overrun) {
		lost = true;
		monitor->overrun = false;
	}
	if (lost) {
		monitor->what[0] = '\0';
		monitor->more = 0;
		monitor->others_changed(monitor->userdata);
		monitor->seen++;
		monitor->changed(monitor->userdata, NULL);
	}
	return more;
}

static int on_notice(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct nft_monitor *monitor = userdata;
	uint64_t before = monitor->seen;

	(void)fd;
	(void)events;
	read_notices(monitor);
	return monitor->seen == before ? sd_event_source_set_priority(source, SD_EVENT_PRIORITY_NORMAL) : 0;
}

void nft_monitor_set_priority(struct nft_monitor *monitor, int64_t priority)
{
	sd_event_source_set_priority(monitor->source, priority);
}

bool nft_monitor_drain(struct nft_monitor *monitor)
{
	uint64_t before = monitor->seen;

	/* A program that never stops changing tables must not hold up the end. */
	for (int i = 0; i < TURNS_A_DRAIN && read_notices(monitor); i++)
		;
	return monitor->seen != before;
}

static int listen_in(struct nft_monitor *monitor, uint32_t own_port)
{
	int group = NFNLGRP_NFTABLES, size = RECEIVE_BUFFER;

	monitor->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!monitor->socket || mnl_socket_bind(monitor->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	int fd = mnl_socket_get_fd(monitor->socket);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	int r = skip_own(fd, own_port);
	if (r < 0)
		return r;
	return mnl_socket_setsockopt(monitor->socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0 ? -errno : 0;
}

int nft_monitor_new(struct nft_monitor **ret, sd_event *event, uint32_t own_port,
		    void (*changed)(void *userdata, const char *what), void (*others_changed)(void *userdata),
		    void *userdata)
{
	struct nft_monitor *monitor = calloc(1, sizeof(*monitor));

	if (!monitor)
		return -ENOMEM;
	monitor->changed = changed;
	monitor->others_changed = others_changed;
	monitor->userdata = userdata;
	int r = listen_in(monitor, own_port);
	if (r >= 0)
		r = sd_event_add_io(event, &monitor->source, mnl_socket_get_fd(monitor->socket), EPOLLIN, on_notice,
				    monitor);
	if (r < 0) {
		nft_monitor_free(monitor);
		return r;
	}
	*ret = monitor;
	return 0;
}

void nft_monitor_free(struct nft_monitor *monitor)
{
	if (!monitor)
		return;
	sd_event_source_unref(monitor->source);
	if (monitor->socket)
		mnl_socket_close(monitor->socket);
	free(monitor);
}
