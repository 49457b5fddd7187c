/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver/nflog_read.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <string.h>

/* Of one alignment unit, as all of netlink; what comes last need not be padded. */
static size_t step(size_t length, size_t left)
{
	size_t aligned = NLMSG_ALIGN(length);
	return aligned < left ? aligned : left;
}

static void read_attribute(const struct nlattr *attribute, struct nflog_copy *copy)
{
	const uint8_t *bytes = (const uint8_t *)attribute + NLA_HDRLEN;
	size_t length = attribute->nla_len - NLA_HDRLEN;

	switch (attribute->nla_type & NLA_TYPE_MASK) {
	case NFULA_PREFIX:
		if (length > 0 && bytes[length - 1] == '\0')
			copy->prefix = (const char *)bytes;
		break;
	case NFULA_PACKET_HDR:
		if (length >= sizeof(struct nfulnl_msg_packet_hdr))
			copy->hook = bytes[offsetof(struct nfulnl_msg_packet_hdr, hook)];
		break;
	case NFULA_PAYLOAD:
		copy->bytes = bytes;
		copy->length = length;
		break;
	}
}

static void read_message(const uint8_t *bytes, size_t left, nflog_seen seen, void *userdata)
{
	struct nflog_copy copy = { .prefix = "" };

	while (left >= NLA_HDRLEN) {
		const struct nlattr *attribute = (const struct nlattr *)bytes;
		if (attribute->nla_len < NLA_HDRLEN || attribute->nla_len > left)
			break;
		read_attribute(attribute, &copy);
		size_t taken = step(attribute->nla_len, left);
		bytes += taken;
		left -= taken;
	}
	if (copy.bytes)
		seen(userdata, &copy);
}

void nflog_read(const void *bytes, size_t length, nflog_seen seen, void *userdata)
{
	const size_t head = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));
	const uint8_t *at = bytes;

	while (length >= NLMSG_HDRLEN) {
		const struct nlmsghdr *header = (const struct nlmsghdr *)at;
		if (header->nlmsg_len < NLMSG_HDRLEN || header->nlmsg_len > length)
			return;
		if (header->nlmsg_type == (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) && header->nlmsg_len >= head)
			read_message(at + head, header->nlmsg_len - head, seen, userdata);
		size_t taken = step(header->nlmsg_len, length);
		at += taken;
		length -= taken;
	}
}
