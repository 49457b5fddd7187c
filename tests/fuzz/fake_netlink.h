/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_FAKE_NETLINK_H
#define SPEFW_FAKE_NETLINK_H

/* For fuzz targets that include the readers of netlink: what stands in for their sockets, and what keeps faults of the
 * libraries, which trust the kernel, apart from the readers' own. The input is datagrams, each after its length (2
 * bytes, little endian; the two highest are a receive that fails). */
#include "library_faults.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h> /* ahead of libnetfilter_conntrack's own of that name, which is older */
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnftnl/chain.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { LOST = 0xffff, INTERRUPTED = 0xfffe };

static struct {
	const uint8_t *bytes;
	size_t left;
} input;

static ssize_t next_datagram(void *buffer, size_t size)
{
	size_t length = input.left >= 2 ? (size_t)(input.bytes[0] | input.bytes[1] << 8) : 0;

	if (input.left < 2) {
		errno = EAGAIN;
		return -1;
	}
	input.bytes += 2;
	input.left -= 2;
	if (length >= INTERRUPTED) {
		errno = length == LOST ? ENOBUFS : EINTR;
		return -1;
	}
	length = length < input.left ? length : input.left;
	size_t taken = length < size ? length : size;
	memcpy(buffer, input.bytes, taken);
	input.bytes += length;
	input.left -= length;
	return (ssize_t)taken;
}

/* libmnl takes a length beyond INT_MAX for a negative one; no datagram that the kernel makes is so long. */
static size_t sane_length(const char *bytes, size_t length)
{
	struct nlmsghdr header;
	size_t at = 0;

	while (length - at >= sizeof(header)) {
		memcpy(&header, bytes + at, sizeof(header));
		if (header.nlmsg_len > INT32_MAX)
			return at;
		if (header.nlmsg_len < sizeof(header) || MNL_ALIGN(header.nlmsg_len) >= length - at)
			break;
		at += MNL_ALIGN(header.nlmsg_len);
	}
	return length;
}

/* A buffer of just that size, so that a read beyond its end shows; but for a NUL, since libnftnl takes for granted that
 * the kernel ends its strings. */
static void *exact_copy(const void *bytes, size_t *length)
{
	*length = sane_length(bytes, *length);
	void *copy = calloc(1, *length + 1);
	if (!copy)
		abort();
	memcpy(copy, bytes, *length);
	return copy;
}

/* Any sequence number and port is right. */
static int run_callbacks(const void *buffer, size_t length, mnl_cb_t each, void *userdata)
{
	void *copy = exact_copy(buffer, &length);
	int r = mnl_cb_run(copy, length, 0, 0, each, userdata), saved = errno;
	free(copy);
	errno = saved;
	return r;
}

/* libnftnl and libnetfilter_conntrack end the program over an attribute of another size than they know. Here that is a
 * message that can't be parsed. And libnftnl 1.2 believes in expressions with names and jumps with chains, and follows
 * NULL where there are none. */
void exit(int status)
{
	if (parsing)
		siglongjmp(not_parsed, 1);
	((void (*)(int))dlsym(RTLD_NEXT, "exit"))(status);
	__builtin_unreachable();
}

/* libnftnl 1.2 copies a key or value of any length into a register's 64 bytes, and notes a kind of attribute that no
 * element has in an array for those that one has. The kernel sends neither. */
static bool is_beyond(const void *bytes, size_t length, int depth, bool elements)
{
	static const uint16_t last_kinds[] = {
		[1] = NFTA_SET_ELEM_LIST_SET_ID, [2] = UINT16_MAX, [3] = NFTA_SET_ELEM_EXPRESSIONS
	};

	for (const struct nlattr *attribute = bytes; mnl_attr_ok(attribute, (int)length);) {
		size_t size = mnl_attr_get_payload_len(attribute), whole = MNL_ALIGN(attribute->nla_len);
		uint16_t kind = mnl_attr_get_type(attribute);
		if ((elements && depth < 4 && kind > last_kinds[depth]) || (depth >= 4 && kind == 1 && size > 64) ||
		    (depth < 6 && is_beyond(mnl_attr_get_payload(attribute), size, depth + 1, elements)))
			return true;
		length -= whole < length ? whole : length;
		attribute = mnl_attr_next(attribute);
	}
	return false;
}

static bool is_message_beyond(const struct nlmsghdr *header, bool elements)
{
	size_t skipped = sizeof(struct nfgenmsg), length = mnl_nlmsg_get_payload_len(header);
	return length > skipped &&
	       is_beyond((const char *)mnl_nlmsg_get_payload(header) + skipped, length - skipped, 1, elements);
}

#define PARSE(function, object_type, elements)                                                                      \
	__attribute__((unused)) static int tame_##function(const struct nlmsghdr *header, object_type *object)      \
	{                                                                                                           \
		set_parsing(true);                                                                                  \
		int r = sigsetjmp(not_parsed, 1) || is_message_beyond(header, elements) ? -1                        \
											: function(header, object); \
		set_parsing(false);                                                                                 \
		return r;                                                                                           \
	}
PARSE(nftnl_table_nlmsg_parse, struct nftnl_table, false)
PARSE(nftnl_chain_nlmsg_parse, struct nftnl_chain, false)
PARSE(nftnl_rule_nlmsg_parse, struct nftnl_rule, false)
PARSE(nftnl_set_nlmsg_parse, struct nftnl_set, false)
PARSE(nftnl_set_elems_nlmsg_parse, struct nftnl_set, true)
PARSE(nftnl_obj_nlmsg_parse, struct nftnl_obj, false)
PARSE(nfct_nlmsg_parse, struct nf_conntrack, false)

/* libnftnl 1.2 takes an element with empty data for one with a chain, where its key is one. */
__attribute__((unused)) static const char *tame_nftnl_set_elem_get_str(struct nftnl_set_elem *element,
								       uint16_t attribute)
{
	set_parsing(true);
	const char *r = sigsetjmp(not_parsed, 1) ? NULL : nftnl_set_elem_get_str(element, attribute);
	set_parsing(false);
	return r;
}
#define nftnl_set_elem_get_str tame_nftnl_set_elem_get_str

#define nftnl_table_nlmsg_parse tame_nftnl_table_nlmsg_parse
#define nftnl_chain_nlmsg_parse tame_nftnl_chain_nlmsg_parse
#define nftnl_rule_nlmsg_parse tame_nftnl_rule_nlmsg_parse
#define nftnl_set_nlmsg_parse tame_nftnl_set_nlmsg_parse
#define nftnl_set_elems_nlmsg_parse tame_nftnl_set_elems_nlmsg_parse
#define nftnl_obj_nlmsg_parse tame_nftnl_obj_nlmsg_parse
#define nfct_nlmsg_parse tame_nfct_nlmsg_parse

static int some_socket;

/* For what empties a queue ahead of a question. */
static ssize_t nothing_waits(void)
{
	errno = EAGAIN;
	return -1;
}

static int succeed(void)
{
	return 0;
}

#define mnl_cb_run(buffer, length, sequence, port, each, userdata) \
	((void)(sequence), (void)(port), run_callbacks(buffer, length, each, userdata))
#define mnl_socket_recvfrom(socket, buffer, size) ((void)(socket), next_datagram(buffer, size))
#define mnl_socket_sendto(socket, bytes, length) ((void)(socket), (void)(bytes), (ssize_t)(length))
#define mnl_socket_open2(bus, flags) ((struct mnl_socket *)&some_socket)
#define mnl_socket_fdopen(fd) ((void)(fd), (struct mnl_socket *)&some_socket)
#define mnl_socket_bind(socket, groups, port) ((void)(socket), succeed())
#define mnl_socket_setsockopt(socket, option, value, size) ((void)(socket), (void)(value), succeed())
#define mnl_socket_get_fd(socket) ((void)(socket), -1)
#define mnl_socket_get_portid(socket) ((void)(socket), 1u)
#define mnl_socket_close(socket) ((void)(socket), succeed())
#define recv(fd, buffer, size, flags) ((void)(fd), (void)(buffer), nothing_waits())
#define setsockopt(fd, level, option, value, size) ((void)(fd), (void)(option), (void)(value), succeed())

static void begin_input(const uint8_t *bytes, size_t size)
{
	handle_faults();
	input.bytes = bytes;
	input.left = size;
}

#endif
