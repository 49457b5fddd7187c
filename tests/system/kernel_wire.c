/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/netfilter.h> /* after netinet/in.h, which it must not define again */

/* Every packet of ours bears this class, so that the lab's machines can drop it unanswered (see judge_lab.py), and
 * nothing else is taken for one. */
enum { OUR_CLASS = 0xf4, BATCH = 64 };
enum { RING_FRAME = 256, RING_BLOCK = 1 << 16, RING_BLOCKS = 64, RING_FRAMES = RING_BLOCK / RING_FRAME * RING_BLOCKS };
enum { RAW_PROTOCOLS = 3 };

struct machine {
	char name[MACHINE_NAME_MAX];
	char gateway_interface[MACHINE_NAME_MAX];
	bool is_gateway;
	/* A neighbour of the gateway: frames out, and a ring in which a burst can't get lost for want of buffer. */
	int send, receive;
	uint8_t *ring;
	size_t next;
	struct sockaddr_ll gateway[FAMILIES];
	/* The gateway: raw sockets. What they receive has passed the input hook. */
	int raw_send[FAMILIES], raw_receive[FAMILIES][RAW_PROTOCOLS];
	uint32_t raw_dropped[FAMILIES][RAW_PROTOCOLS]; /* as last read */
};

void wire_fail(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fputs("kernel_judge: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

static int must(int result, const char *what)
{
	if (result < 0)
		wire_fail("%s: %s", what, strerror(errno));
	return result;
}

const char *wire_kind_name(enum wire_kind kind)
{
	static const char *const names[] = { "syn", "ack", "push", "syn-ack", "fin", "reset", "udp", "echo" };
	return names[kind];
}

/* Bytes */

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

static unsigned get16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static uint32_t sum16(const uint8_t *bytes, size_t length, uint32_t sum)
{
	for (size_t i = 0; i + 1 < length; i += 2)
		sum += get16(bytes + i);
	return sum;
}

static unsigned fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static int protocol_of(const struct wire_packet *packet)
{
	if (packet->kind == WIRE_UDP)
		return IPPROTO_UDP;
	if (packet->kind == WIRE_ECHO)
		return packet->source.family == FAMILY_4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	return IPPROTO_TCP;
}

/* What comes after the IP header, with the checksum's place left zero. Returns its length. */
static size_t put_body(uint8_t *body, const struct wire_packet *packet, size_t *ret_checksum_at)
{
	static const uint8_t flags[] = { 0x02, 0x10, 0x18, 0x12, 0x11, 0x14 };

	memset(body, 0, 20);
	switch (packet->kind) {
	case WIRE_UDP:
		put16(body, packet->source_port);
		put16(body + 2, packet->target_port);
		put16(body + 4, 12);
		put32(body + 8, packet->id);
		*ret_checksum_at = 6;
		return 12;
	case WIRE_ECHO:
		body[0] = packet->source.family == FAMILY_4 ? 8 : 128;
		put16(body + 4, packet->source_port);
		put32(body + 8, packet->id);
		*ret_checksum_at = 2;
		return 12;
	default:
		put16(body, packet->source_port);
		put16(body + 2, packet->target_port);
		put32(body + 4, packet->id);
		body[12] = 5 << 4;
		body[13] = flags[packet->kind];
		put16(body + 14, 65000);
		*ret_checksum_at = 16;
		return 20;
	}
}

static size_t put_packet(uint8_t *bytes, const struct wire_packet *packet)
{
	enum family family = packet->source.family;
	size_t header = family == FAMILY_4 ? 20 : 40, checksum_at, size = addr_size(family),
	       at = family == FAMILY_4 ? 12 : 8;
	size_t length = put_body(bytes + header, packet, &checksum_at);
	int protocol = protocol_of(packet);

	memset(bytes, 0, header);
	if (family == FAMILY_4) {
		bytes[0] = 0x45;
		bytes[1] = OUR_CLASS;
		put16(bytes + 2, (unsigned)(header + length));
		bytes[8] = 64;
		bytes[9] = (uint8_t)protocol;
	} else {
		bytes[0] = 0x60 | OUR_CLASS >> 4;
		bytes[1] = (OUR_CLASS & 15) << 4;
		put16(bytes + 4, (unsigned)length);
		bytes[6] = (uint8_t)protocol;
		bytes[7] = 64;
	}
	memcpy(bytes + at, packet->source.bytes, size);
	memcpy(bytes + at + size, packet->target.bytes, size);
	if (family == FAMILY_4)
		put16(bytes + 10, fold(sum16(bytes, header, 0)));

	uint32_t sum = sum16(bytes + header, length, 0);
	if (protocol != IPPROTO_ICMP)
		sum = sum16(bytes + at, 2 * size, sum + (uint32_t)length + (uint32_t)protocol);
	unsigned checksum = fold(sum);
	put16(bytes + header + checksum_at, checksum || protocol != IPPROTO_UDP ? checksum : 0xffff);
	return header + length;
}

static bool take_body(const uint8_t *body, size_t length, int protocol, struct wire_packet *ret)
{
	if (length < 12)
		return false;
	ret->source_port = (uint16_t)get16(body);
	ret->target_port = (uint16_t)get16(body + 2);
	ret->id = get32(body + 8);
	switch (protocol) {
	case IPPROTO_TCP:
		ret->kind = WIRE_SYN;
		ret->id = get32(body + 4);
		return length >= 20;
	case IPPROTO_UDP: ret->kind = WIRE_UDP; return true;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		ret->kind = WIRE_ECHO;
		ret->source_port = (uint16_t)get16(body + 4);
		ret->target_port = 0;
		return body[0] == (protocol == IPPROTO_ICMP ? 8 : 128);
	default: return false;
	}
}

static bool take_packet(const uint8_t *bytes, size_t length, struct wire_packet *ret)
{
	size_t header, at;
	int protocol;

	*ret = (struct wire_packet){ 0 };
	if (length >= 20 && bytes[0] == 0x45 && bytes[1] == OUR_CLASS) {
		header = 20;
		at = 12;
		protocol = bytes[9];
		ret->source.family = ret->target.family = FAMILY_4;
	} else if (length >= 40 && bytes[0] == (0x60 | OUR_CLASS >> 4) && bytes[1] >> 4 == (OUR_CLASS & 15)) {
		header = 40;
		at = 8;
		protocol = bytes[6];
		ret->source.family = ret->target.family = FAMILY_6;
	} else {
		return false;
	}
	size_t size = addr_size(ret->source.family);
	memcpy(ret->source.bytes, bytes + at, size);
	memcpy(ret->target.bytes, bytes + at + size, size);
	return take_body(bytes + header, length - header, protocol, ret);
}

/* Sockets */

static void enter(const char *netns)
{
	char path[64];

	snprintf(path, sizeof(path), "/run/netns/%s", netns);
	int fd = must(open(path, O_RDONLY | O_CLOEXEC), path);
	must(setns(fd, CLONE_NEWNET), path);
	close(fd);
}

static void set_option(int fd, int level, int name, int value, const char *what)
{
	must(setsockopt(fd, level, name, &value, sizeof(value)), what);
}

static void open_ring(struct machine *machine)
{
	struct tpacket_req request = { .tp_block_size = RING_BLOCK,
				       .tp_block_nr = RING_BLOCKS,
				       .tp_frame_size = RING_FRAME,
				       .tp_frame_nr = RING_FRAMES };
	struct sockaddr_ll interface = { .sll_family = AF_PACKET,
					 .sll_protocol = htons(ETH_P_ALL),
					 .sll_ifindex = (int)if_nametoindex("eth0") };

	machine->receive = must(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "packet socket");
	set_option(machine->receive, SOL_PACKET, PACKET_VERSION, TPACKET_V2, "PACKET_VERSION");
	set_option(machine->receive, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING");
	must(setsockopt(machine->receive, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)), "PACKET_RX_RING");
	machine->ring =
		mmap(NULL, (size_t)RING_BLOCK * RING_BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, machine->receive, 0);
	if (machine->ring == MAP_FAILED)
		wire_fail("mmap of the ring: %s", strerror(errno));
	must(bind(machine->receive, (struct sockaddr *)&interface, sizeof(interface)), "bind to eth0");
}

static void open_neighbour(struct machine *machine, const char *gateway, const char *gateway_interface)
{
	struct ifreq request = { 0 };

	enter(gateway);
	int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", gateway_interface);
	must(ioctl(fd, SIOCGIFHWADDR, &request), gateway_interface);
	close(fd);

	enter(machine->name);
	machine->send = must(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "packet socket");
	set_option(machine->send, SOL_PACKET, PACKET_QDISC_BYPASS, 1, "PACKET_QDISC_BYPASS");
	for (enum family family = 0; family < FAMILIES; family++) {
		struct sockaddr_ll *to = &machine->gateway[family];
		*to = (struct sockaddr_ll){ .sll_family = AF_PACKET,
					    .sll_halen = ETH_ALEN,
					    .sll_ifindex = (int)if_nametoindex("eth0"),
					    .sll_protocol = htons(family == FAMILY_4 ? ETH_P_IP : ETH_P_IPV6) };
		memcpy(to->sll_addr, request.ifr_hwaddr.sa_data, ETH_ALEN);
	}
	open_ring(machine);
}

static void open_gateway(struct wire *wire, struct machine *machine)
{
	static const int domains[] = { AF_INET, AF_INET6 };
	static const int protocols[FAMILIES][RAW_PROTOCOLS] = { { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP },
								{ IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6 } };

	enter(machine->name);
	for (enum family family = 0; family < FAMILIES; family++) {
		machine->raw_send[family] =
			must(socket(domains[family], SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW), "raw socket");
		for (size_t i = 0; i < RAW_PROTOCOLS; i++)
			machine->raw_receive[family][i] =
				must(socket(domains[family], SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
					    protocols[family][i]),
				     "raw socket");
		if (family == FAMILY_6)
			for (size_t i = 0; i < RAW_PROTOCOLS; i++)
				set_option(machine->raw_receive[family][i], IPPROTO_IPV6, IPV6_RECVPKTINFO, 1,
					   "IPV6_RECVPKTINFO");
	}
	wire->conntrack = mnl_socket_open(NETLINK_NETFILTER);
	wire->nftables = mnl_socket_open(NETLINK_NETFILTER);
	if (!wire->conntrack || !wire->nftables || mnl_socket_bind(wire->conntrack, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_bind(wire->nftables, 0, MNL_SOCKET_AUTOPID) < 0)
		wire_fail("netlink: %s", strerror(errno));
}

void wire_begin(struct wire *wire)
{
	cpu_set_t one;

	must(sched_getaffinity(0, sizeof(wire->processors), &wire->processors), "sched_getaffinity");
	CPU_ZERO(&one);
	CPU_SET(must(sched_getcpu(), "sched_getcpu"), &one);
	must(sched_setaffinity(0, sizeof(one), &one), "sched_setaffinity");
}

void wire_end(struct wire *wire)
{
	must(sched_setaffinity(0, sizeof(wire->processors), &wire->processors), "sched_setaffinity");
}

void wire_add(struct wire *wire, const char *netns, const char *gateway_interface)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	if (!machine || wire->machine_count == MACHINES_MAX)
		wire_fail("%s: too many machines", netns);
	snprintf(machine->name, sizeof(machine->name), "%s", netns);
	snprintf(machine->gateway_interface, sizeof(machine->gateway_interface), "%s", gateway_interface);
	machine->is_gateway = wire->machine_count == 0;
	if (machine->is_gateway)
		open_gateway(wire, machine);
	else
		open_neighbour(machine, wire->machines[0]->name, gateway_interface);
	wire->machines[wire->machine_count++] = machine;
}

int wire_find(const struct wire *wire, const char *netns)
{
	for (size_t i = 0; i < wire->machine_count; i++)
		if (strcmp(wire->machines[i]->name, netns) == 0)
			return (int)i;
	return -1;
}

const char *wire_name(const struct wire *wire, size_t machine)
{
	return wire->machines[machine]->name;
}

const char *wire_interface(const struct wire *wire, size_t machine)
{
	return machine ? wire->machines[machine]->gateway_interface : NULL;
}

void wire_free(struct wire *wire)
{
	for (size_t i = 0; i < wire->machine_count; i++) {
		if (wire->machines[i]->ring)
			munmap(wire->machines[i]->ring, (size_t)RING_BLOCK * RING_BLOCKS);
		free(wire->machines[i]);
	}
	if (wire->machine_count) {
		mnl_socket_close(wire->conntrack);
		mnl_socket_close(wire->nftables);
	}
	*wire = (struct wire){ 0 };
}

static void send_frames(struct machine *machine, const struct wire_packet *packets, size_t count)
{
	uint8_t bytes[BATCH][WIRE_BYTES];
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];

	for (size_t i = 0; i < count; i++) {
		parts[i] = (struct iovec){ bytes[i], put_packet(bytes[i], &packets[i]) };
		messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &parts[i],
							     .msg_iovlen = 1,
							     .msg_name = &machine->gateway[packets[i].source.family],
							     .msg_namelen = sizeof(machine->gateway[0]) } };
	}
	for (size_t sent = 0; sent < count;) {
		int r = sendmmsg(machine->send, messages + sent, (unsigned)(count - sent), 0);
		if (r < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			wire_fail("%s: can't send: %s", machine->name, strerror(errno));
		sent += r > 0 ? (size_t)r : 0;
	}
}

/* The output hook's verdict comes back as EPERM. One by one, for sendmmsg(2) loses count of such errors. */
static void send_raw(struct machine *machine, const struct wire_packet *packet)
{
	uint8_t bytes[WIRE_BYTES];
	size_t length = put_packet(bytes, packet);
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };
	bool is4 = packet->target.family == FAMILY_4;

	memcpy(is4 ? (void *)&to4.sin_addr : &to6.sin6_addr, packet->target.bytes, addr_size(packet->target.family));
	while (sendto(machine->raw_send[packet->target.family], bytes, length, 0,
		      is4 ? (struct sockaddr *)&to4 : (struct sockaddr *)&to6, is4 ? sizeof(to4) : sizeof(to6)) < 0) {
		if (errno == EPERM)
			return;
		if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			wire_fail("%s: can't send: %s", machine->name, strerror(errno));
	}
}

void wire_send(struct wire *wire, size_t index, const struct wire_packet *packets, size_t count)
{
	struct machine *machine = wire->machines[index];

	if (machine->is_gateway)
		for (size_t i = 0; i < count; i++)
			send_raw(machine, &packets[i]);
	for (size_t i = 0; !machine->is_gateway && i < count; i += BATCH)
		send_frames(machine, packets + i, count - i < BATCH ? count - i : BATCH);
}

static void drain_ring(struct wire *wire, size_t index, wire_arrival arrival, void *userdata)
{
	struct machine *machine = wire->machines[index];
	struct wire_packet packet;

	for (;;) {
		uint8_t *frame = machine->ring + machine->next * RING_FRAME;
		struct tpacket2_hdr *header = (void *)frame;
		if (!(__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			return;
		if (take_packet(frame + header->tp_net, header->tp_snaplen, &packet))
			arrival(userdata, index, &packet);
		__atomic_store_n(&header->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		machine->next = (machine->next + 1) % RING_FRAMES;
	}
}

/* IPv6 raw sockets give what comes after the header; the addresses come beside. */
static bool take_raw6(const struct msghdr *message, const uint8_t *bytes, size_t length, int protocol,
		      struct wire_packet *ret)
{
	const struct sockaddr_in6 *from = message->msg_name;

	*ret = (struct wire_packet){ .source = { .family = FAMILY_6 }, .target = { .family = FAMILY_6 } };
	memcpy(ret->source.bytes, &from->sin6_addr, 16);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR((struct msghdr *)message, c))
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
			memcpy(ret->target.bytes, &((struct in6_pktinfo *)CMSG_DATA(c))->ipi6_addr, 16);
	return take_body(bytes, length, protocol, ret);
}

static void drain_raw(struct wire *wire, enum family family, size_t which, wire_arrival arrival, void *userdata)
{
	static const int protocols6[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6 };
	struct wire_packet packet;
	struct sockaddr_in6 from;
	uint8_t bytes[256];
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control;

	for (;;) {
		struct iovec part = { bytes, sizeof(bytes) };
		struct msghdr message = { .msg_name = &from,
					  .msg_namelen = sizeof(from),
					  .msg_iov = &part,
					  .msg_iovlen = 1,
					  .msg_control = control.bytes,
					  .msg_controllen = sizeof(control.bytes) };
		ssize_t length = recvmsg(wire->machines[0]->raw_receive[family][which], &message, 0);
		if (length < 0 && errno == EAGAIN)
			return;
		must((int)length, "receiving on the gateway");
		if (family == FAMILY_4 ? take_packet(bytes, (size_t)length, &packet)
				       : take_raw6(&message, bytes, (size_t)length, protocols6[which], &packet))
			arrival(userdata, 0, &packet);
	}
}

void wire_receive(struct wire *wire, wire_arrival arrival, void *userdata)
{
	for (size_t i = 1; i < wire->machine_count; i++)
		drain_ring(wire, i, arrival, userdata);
	for (enum family family = 0; family < FAMILIES; family++)
		for (size_t i = 0; i < RAW_PROTOCOLS; i++)
			drain_raw(wire, family, i, arrival, userdata);
}

size_t wire_lost(struct wire *wire)
{
	struct machine *gateway = wire->machines[0];
	size_t lost = 0;

	for (size_t i = 1; i < wire->machine_count; i++) {
		struct tpacket_stats stats; /* since they were last read */
		socklen_t size = sizeof(stats);
		must(getsockopt(wire->machines[i]->receive, SOL_PACKET, PACKET_STATISTICS, &stats, &size),
		     "PACKET_STATISTICS");
		lost += stats.tp_drops;
	}
	for (enum family family = 0; family < FAMILIES; family++) {
		for (size_t i = 0; i < RAW_PROTOCOLS; i++) {
			uint32_t info[SK_MEMINFO_VARS] = { 0 };
			socklen_t size = sizeof(info);
			must(getsockopt(gateway->raw_receive[family][i], SOL_SOCKET, SO_MEMINFO, info, &size),
			     "SO_MEMINFO");
			lost += info[SK_MEMINFO_DROPS] - gateway->raw_dropped[family][i];
			gateway->raw_dropped[family][i] = info[SK_MEMINFO_DROPS];
		}
	}
	return lost;
}

bool wire_wait(struct wire *wire, int milliseconds)
{
	struct pollfd fds[MACHINES_MAX];

	for (size_t i = 1; i < wire->machine_count; i++)
		fds[i - 1] = (struct pollfd){ .fd = wire->machines[i]->receive, .events = POLLIN };
	return poll(fds, wire->machine_count - 1, milliseconds) > 0;
}

/* What the kernel of the gateway knows */

/* A dump in the middle of which something was committed has a flag: libmnl would stop there. */
static bool take_interrupted(void *bytes, size_t length)
{
	bool interrupted = false;
	int left = (int)length;

	for (struct nlmsghdr *header = bytes; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
		interrupted |= header->nlmsg_flags & NLM_F_DUMP_INTR;
		header->nlmsg_flags &= (uint16_t)~NLM_F_DUMP_INTR;
	}
	return interrupted;
}

/* False: the request has to be sent again. */
static bool netlink_talk(struct mnl_socket *socket, struct nlmsghdr *request, mnl_cb_t callback, void *userdata)
{
	static _Alignas(struct nlmsghdr) char buffer[1 << 16];
	static unsigned sequence;
	bool whole = true;
	int r = MNL_CB_OK;

	request->nlmsg_seq = ++sequence;
	if (mnl_socket_sendto(socket, request, request->nlmsg_len) < 0)
		wire_fail("netlink: %s", strerror(errno));
	while (r > MNL_CB_STOP) {
		ssize_t length = mnl_socket_recvfrom(socket, buffer, sizeof(buffer));
		whole &= length < 0 || !take_interrupted(buffer, (size_t)length);
		r = length < 0 ? -1
			       : mnl_cb_run(buffer, (size_t)length, sequence, mnl_socket_get_portid(socket), callback,
					    userdata);
	}
	if (r < 0)
		wire_fail("netlink: %s", strerror(errno));
	return whole;
}

void wire_flush_conntrack(struct wire *wire)
{
	char buffer[128];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *body = mnl_nlmsg_put_extra_header(request, sizeof(*body));

	request->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	*body = (struct nfgenmsg){ .nfgen_family = AF_UNSPEC };
	netlink_talk(wire->conntrack, request, NULL, NULL);
}

static int note_counter(const struct nlmsghdr *message, void *userdata)
{
	struct wire_counters *counters = userdata;
	struct nftnl_obj *object = nftnl_obj_alloc();

	if (!object || nftnl_obj_nlmsg_parse(message, object) < 0)
		wire_fail("a counter can't be read: %s", strerror(errno));
	const char *table = nftnl_obj_get_str(object, NFTNL_OBJ_TABLE);
	if (table && strcmp(table, "spefw") == 0 && nftnl_obj_get_u32(object, NFTNL_OBJ_TYPE) == NFT_OBJECT_COUNTER) {
		if (counters->count == COUNTERS_MAX)
			wire_fail("more than %d counters", COUNTERS_MAX);
		struct wire_counter *counter = &counters->items[counters->count++];
		snprintf(counter->name, sizeof(counter->name), "%s", nftnl_obj_get_str(object, NFTNL_OBJ_NAME));
		counter->packets = nftnl_obj_get_u64(object, NFTNL_OBJ_CTR_PKTS);
	}
	nftnl_obj_free(object);
	return MNL_CB_OK;
}

void wire_read_counters(struct wire *wire, struct wire_counters *ret)
{
	char buffer[256];
	struct nlmsghdr *request = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETOBJ, NFPROTO_INET, NLM_F_DUMP, 0);

	do
		ret->count = 0;
	while (!netlink_talk(wire->nftables, request, note_counter, ret));
}

uint64_t wire_count(const struct wire_counters *counters, const char *name)
{
	for (size_t i = 0; i < counters->count; i++)
		if (strcmp(counters->items[i].name, name) == 0)
			return counters->items[i].packets;
	return 0;
}
