// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzz target: what the kernel may report of interfaces, addresses, nexthops, routes and neighbours over rtnetlink, to
 * its readers and to those who answer from that.
 *
 * The input: a byte (its two lowest bits choose the reader, the next ones the sysctls), then datagrams, each after its
 * length (2 bytes, little endian; the two highest are a receive that fails). The readers are the daemon's own files,
 * and libnl is the real one; only its sockets are not real. */
#include "library_faults.h"

#include <errno.h>
#include <fcntl.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOST = 0xffff, INTERRUPTED = 0xfffe };
enum { READER_LINKS, READER_BRIDGES, READER_NOTICES };

static struct {
	const uint8_t *bytes;
	size_t left;
	bool lost;
} input;

/* The sysctls of br_netfilter. */
enum sysctl { SYSCTL_NONE, SYSCTL_OFF, SYSCTL_ON };
static enum sysctl sysctls[2];

/* A buffer of just that size, so that a read beyond its end shows. libnl copies whole words. *ret_length < 0: the
 * socket's error. */
static void *next_datagram(int *ret_length)
{
	size_t length = input.left >= 2 ? (size_t)(input.bytes[0] | input.bytes[1] << 8) : 0;

	*ret_length = 0;
	if (input.left < 2)
		return NULL;
	input.bytes += 2;
	input.left -= 2;
	if (length >= INTERRUPTED) {
		*ret_length = length == LOST ? -NLE_NOMEM : -NLE_AGAIN;
		return NULL;
	}
	length = length < input.left ? length : input.left;
	void *copy = calloc(1, NLMSG_ALIGN(length + 1));
	if (!copy)
		abort();
	memcpy(copy, input.bytes, length);
	input.bytes += length;
	input.left -= length;
	*ret_length = (int)length;
	return copy;
}

/* libnl 3.7 takes for granted that the kernel ends its strings: behind each message that it parses itself is a word of
 * NULs. */
static void *with_ends(void *datagram, int *length)
{
	char *ret = calloc(1, (size_t)*length / NLMSG_HDRLEN * NLMSG_ALIGNTO + (size_t)NLMSG_ALIGN(*length) + 1);
	struct nlmsghdr *header = datagram, *to = (struct nlmsghdr *)ret;

	if (!ret)
		abort();
	for (int left = *length; nlmsg_ok(header, left); header = nlmsg_next(header, &left)) {
		memcpy(to, header, header->nlmsg_len);
		to->nlmsg_len = NLMSG_ALIGN(header->nlmsg_len) + NLMSG_ALIGNTO;
		to = (struct nlmsghdr *)((char *)to + to->nlmsg_len);
	}
	*length = (int)((char *)to - ret);
	free(datagram);
	return ret;
}

static int receive(struct nl_sock *socket, struct sockaddr_nl *from, unsigned char **ret, struct ucred **creds)
{
	int length;

	(void)socket;
	(void)from;
	(void)creds;
	*ret = next_datagram(&length);
	if (*ret && parsing)
		*ret = with_ends(*ret, &length);
	if (length == 0) { /* libnl frees only what is not empty */
		free(*ret);
		*ret = NULL;
	}
	return length;
}

static int send_nothing(struct nl_sock *socket, struct nl_msg *message)
{
	(void)socket;
	(void)message;
	return 1;
}

static struct nl_sock *fake_socket(void)
{
	struct nl_cb *callbacks = nl_cb_alloc(NL_CB_DEFAULT);

	if (!callbacks)
		abort();
	nl_cb_overwrite_recv(callbacks, receive);
	nl_cb_overwrite_send(callbacks, send_nothing);
	struct nl_sock *socket = nl_socket_alloc_cb(callbacks);
	if (!socket)
		abort();
	nl_cb_put(callbacks);
	nl_socket_disable_seq_check(socket); /* any sequence number is right */
	return socket;
}

static int open_sysctl(const char *path)
{
	int which = strstr(path, "ip6tables") != NULL;
	return sysctls[which] == SYSCTL_NONE ? -1 : which;
}

static ssize_t read_byte(int which, char *ret)
{
	*ret = sysctls[which] == SYSCTL_ON ? '1' : '0';
	return 1;
}

static int succeed(void)
{
	return 0;
}

/* libnl 3.7 follows NULL where an interface of a kind that has data has none. */
static int read_link_cache(struct nl_sock *socket, int family, struct nl_cache **ret)
{
	set_parsing(true);
	int r = sigsetjmp(not_parsed, 1) ? -NLE_MSG_TOOSHORT : rtnl_link_alloc_cache(socket, family, ret);
	set_parsing(false);
	return r;
}

static int read_address_cache(struct nl_sock *socket, struct nl_cache **ret)
{
	set_parsing(true);
	int r = sigsetjmp(not_parsed, 1) ? -NLE_MSG_TOOSHORT : rtnl_addr_alloc_cache(socket, ret);
	set_parsing(false);
	return r;
}

/* libnl's own look at no length. */
#define CHECKED(function, type)                                  \
	static type checked_##function(struct nlattr *attribute) \
	{                                                        \
		if (nla_len(attribute) < (int)sizeof(type))      \
			abort();                                 \
		return function(attribute);                      \
	}
CHECKED(nla_get_u8, uint8_t)
CHECKED(nla_get_u16, uint16_t)
CHECKED(nla_get_u32, uint32_t)
#define nla_get_u8 checked_nla_get_u8
#define nla_get_u16 checked_nla_get_u16
#define nla_get_u32 checked_nla_get_u32

#define rtnl_link_alloc_cache read_link_cache
#define rtnl_addr_alloc_cache read_address_cache
#define nl_socket_alloc fake_socket
#define nl_connect(socket, protocol) ((void)(socket), succeed())
#include "../../daemon/net/links_read.c"
#include "../../daemon/net/links.c"
#define open(path, flags) open_sysctl(path)
#define read(which, byte, size) read_byte(which, byte)
#define close(which) ((void)(which), succeed())
#define link_of bridge_link_of
#define dump bridge_dump
#include "../../daemon/net/bridges.c"
#undef open
#undef read
#undef close

int fuzz_one(const uint8_t *bytes, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* The server of the lab, which the recorded answers are of. */
static void make_interest(struct ranges *ret)
{
	static const struct addr hosts[] = { { FAMILY_4, { 192, 0, 2, 25 } },
					     { FAMILY_6, { 0x20, 1, 0xd, 0xb8, 0, 2, [15] = 0x25 } } };

	*ret = (struct ranges){ 0 };
	for (int i = 0; i < FAMILIES; i++) {
		struct range range = range_of(&hosts[i]);
		must(ranges_add(ret, &range) == 0);
	}
	ranges_normalise(ret);
}

static void check_ranges(const struct ranges *ranges)
{
	for (size_t i = 0; i < ranges->count; i++) {
		const struct range *range = &ranges->items[i];
		must(range->first.family == range->last.family && range->first.family < FAMILIES &&
		     addr_compare(&range->first, &range->last) <= 0);
		must(i == 0 || addr_compare(&ranges->items[i - 1].last, &range->first) < 0);
	}
}

struct names {
	char (*items)[CONFIG_INTERFACE_MAX + 1];
	size_t count;
};

/* Sorted, unique; none where there was an error. */
static void check_names(int r, struct names *names)
{
	must(r == 0 || r == -EIO);
	for (size_t i = 0; r == 0 && i < names->count; i++)
		must(memchr(names->items[i], '\0', sizeof(names->items[i])) &&
		     (i == 0 || strcmp(names->items[i - 1], names->items[i]) < 0));
	if (r == 0)
		free(names->items);
	*names = (struct names){ 0 };
}

static void check_net(const struct net *net)
{
	for (size_t i = 0; i < net->links.count; i++)
		must(memchr(net->links.items[i].name, '\0', sizeof(net->links.items[i].name)));
	for (size_t i = 0; i < net->addresses.count; i++)
		must(range_contains(&net->addresses.items[i].network, &net->addresses.items[i].network.first));
	for (size_t i = 0; i < net->routes.count; i++) {
		const struct net_route *route = &net->routes.items[i];
		must(route->rank < RANKS && net_link_named(net, route->link) &&
		     addr_compare(&route->range.first, &route->range.last) <= 0);
	}
	check_ranges(&net->broadcasts);
}

static void ask_links(struct links *links, const struct ranges *guarded)
{
	struct names names = { 0 };
	struct ranges found;
	int r;

	r = links_towards(links, guarded, &names.items, &names.count);
	check_names(r, &names);
	r = links_of_defaults(links, &names.items, &names.count);
	check_names(r, &names);
	r = links_bare_bridges(links, &names.items, &names.count);
	check_names(r, &names);
	r = links_of_own_packets(links, &names.items, &names.count);
	check_names(r, &names);
	must(links_next_hops(links, &found) == 0);
	check_ranges(&found);
	ranges_free(&found);
	must(links_broadcasts(links, guarded, &found) == 0);
	check_ranges(&found);
	ranges_free(&found);
	check_ranges(links_gateway_addresses(links));
	check_net(&links->net);
}

static void look_at_bridges(struct links *links, const struct ranges *guarded)
{
	struct bridge_findings findings = { 0 };
	char text[BRIDGE_TEXT_MAX];

	/* The second look has the first one's findings. */
	for (int look = 0; look < 2; look++) {
		int r = bridges_look(links, guarded, &findings);
		must(r == 0 || r == -EIO);
		for (size_t i = 0; i < findings.count; i++) {
			must(ranges_contains(guarded, &findings.items[i].guarded_addr));
			must(*bridge_finding_text(&findings.items[i], text) &&
			     *bridge_remedy_text(&findings, &findings.items[i], text));
		}
	}
	bridge_findings_free(&findings);
}

static void hear_notices(const struct links *links)
{
	void *datagram;
	int length;

	while ((datagram = next_datagram(&length)) || length) {
		if (datagram)
			any_matters(links, datagram, length);
		free(datagram);
	}
}

int fuzz_one(const uint8_t *bytes, size_t size)
{
	struct links links = { .questions = fake_socket() };
	struct ranges guarded;
	int reader;

	handle_faults();
	make_interest(&guarded);
	must(ranges_add_all(&links.interest, &guarded) == 0);
	if (size) {
		input.bytes = bytes + 1;
		input.left = size - 1;
		reader = bytes[0] & 3;
		sysctls[0] = (enum sysctl)((bytes[0] >> 2 & 3) % 3);
		sysctls[1] = (enum sysctl)((bytes[0] >> 4 & 3) % 3);
		if (reader == READER_NOTICES) {
			hear_notices(&links);
		} else {
			int r = read_all(&links);
			must(r == 0 || r == -EIO);
			ask_links(&links, &guarded);
			if (reader == READER_BRIDGES) {
				look_at_bridges(&links, &guarded);
			} else {
				/* What has changed since. */
				r = read_all(&links);
				must(r == 0 || r == -EIO);
				ask_links(&links, &guarded);
			}
		}
	}
	nl_socket_free(links.questions);
	ranges_free(&links.gateway);
	ranges_free(&links.interest);
	net_free(&links.net);
	ranges_free(&guarded);
	return 0;
}
