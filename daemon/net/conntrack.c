/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/conntrack.h"
#include "core/array.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
	REPLY_SIZE = 64 * 1024,
	RECEIVE_BUFFER = 8 * 1024 * 1024,
	HOSTS_MAX = 16, /* up to so many addresses the kernel picks their entries; beyond, all entries are looked at */
	DUMP_TRIES = 4,
	/* The kernel's own numbers of what a dump's filter compares (its nf_internals.h, not in its headers for
	   programs). */
	FILTER_IP_SRC = 1 << 0,
};

struct cutting {
	struct mnl_socket *socket;
	uint32_t sequence;
	const struct ranges *addresses;
	bool by_reply;                                              /* the kernel picks by who answers */
	bool (*cut)(void *userdata, const struct tracked *tracked); /* this or see */
	void (*see)(void *userdata, const struct tracked *tracked);
	void *userdata;
	struct {
		struct nf_conntrack **items;
		size_t count, capacity;
	} doomed;
};

static bool take_address(const struct nf_conntrack *ct, int v4, int v6, struct addr *ret)
{
	uint8_t family = nfct_get_attr_u8(ct, ATTR_ORIG_L3PROTO);
	const void *bytes = nfct_get_attr(ct, family == AF_INET ? v4 : v6);

	if (!bytes || (family != AF_INET && family != AF_INET6))
		return false;
	*ret = (struct addr){ .family = family == AF_INET ? FAMILY_4 : FAMILY_6 };
	memcpy(ret->bytes, bytes, addr_size(ret->family));
	return true;
}

static void take_protocol(const struct nf_conntrack *ct, struct packet *packet)
{
	uint8_t protocol = nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO);
	uint8_t echo = packet->source.family == FAMILY_4 ? 8 : 128;

	packet->protocol = PROTOCOLS;
	if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) {
		packet->protocol = protocol == IPPROTO_TCP ? PROTOCOL_TCP : PROTOCOL_UDP;
		packet->source_port = ntohs(nfct_get_attr_u16(ct, ATTR_ORIG_PORT_SRC));
		packet->target_port = ntohs(nfct_get_attr_u16(ct, ATTR_REPL_PORT_SRC));
	} else if ((protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) &&
		   nfct_get_attr_u8(ct, ATTR_ICMP_TYPE) == echo) {
		packet->protocol = PROTOCOL_ICMP_ECHO;
	}
}

/* The kernel checks windows liberally where it has not seen how a connection was opened. */
static bool is_picked_up(const struct nf_conntrack *ct)
{
	return nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO) == IPPROTO_TCP && nfct_attr_is_set(ct, ATTR_TCP_FLAGS_ORIG) &&
	       nfct_get_attr_u8(ct, ATTR_TCP_FLAGS_ORIG) & IP_CT_TCP_FLAG_BE_LIBERAL;
}

static const char *state_of(const struct nf_conntrack *ct, const struct tracked *tracked)
{
	static const char *const states[] = { "none",       "syn-sent", "syn-received", "established", "fin-wait",
					      "close-wait", "last-ack", "time-wait",    "closed",      "syn-sent" };
	uint8_t state = nfct_get_attr_u8(ct, ATTR_TCP_STATE);

	if (tracked->packet.protocol != PROTOCOL_TCP)
		return tracked->answered ? "answered" : "unanswered";
	return state < sizeof(states) / sizeof(states[0]) ? states[state] : states[0];
}

static void take_counts(const struct nf_conntrack *ct, struct tracked *tracked)
{
	tracked->counted = nfct_attr_is_set(ct, ATTR_ORIG_COUNTER_BYTES) > 0;
	if (tracked->counted)
		tracked->bytes =
			nfct_get_attr_u64(ct, ATTR_ORIG_COUNTER_BYTES) + nfct_get_attr_u64(ct, ATTR_REPL_COUNTER_BYTES);
	if (nfct_attr_is_set(ct, ATTR_TIMESTAMP_START) > 0)
		tracked->started_s = (int64_t)(nfct_get_attr_u64(ct, ATTR_TIMESTAMP_START) / 1000000000U);
}

static void take_life(const struct nf_conntrack *ct, struct tracked *tracked)
{
	bool tcp = tracked->packet.protocol == PROTOCOL_TCP;

	tracked->id = nfct_get_attr_u32(ct, ATTR_ID);
	tracked->lives_s = nfct_get_attr_u32(ct, ATTR_TIMEOUT);
	tracked->open = tcp && nfct_get_attr_u8(ct, ATTR_TCP_STATE) == TCP_CONNTRACK_ESTABLISHED;
	tracked->answered = nfct_get_attr_u32(ct, ATTR_STATUS) & (tcp ? IPS_ASSURED : IPS_SEEN_REPLY);
	tracked->state = state_of(ct, tracked);
}

/* Both ends are protected: the dump by the other end has shown it. */
static bool is_repeated(const struct cutting *cutting, const struct packet *packet)
{
	return cutting->by_reply && ranges_contains(cutting->addresses, &packet->source);
}

static int each_entry(const struct nlmsghdr *header, void *userdata)
{
	struct cutting *cutting = userdata;
	struct tracked tracked = { 0 };
	struct nf_conntrack *ct = nfct_new();

	if (!ct) {
		errno = ENOMEM;
		return MNL_CB_ERROR;
	}
	if (nfct_nlmsg_parse(header, ct) >= 0 &&
	    take_address(ct, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC, &tracked.packet.source) &&
	    take_address(ct, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC, &tracked.packet.target) &&
	    (ranges_contains(cutting->addresses, &tracked.packet.source) ||
	     ranges_contains(cutting->addresses, &tracked.packet.target)) &&
	    !is_repeated(cutting, &tracked.packet)) {
		take_protocol(ct, &tracked.packet);
		tracked.picked_up = is_picked_up(ct);
		take_life(ct, &tracked);
		take_counts(ct, &tracked);
		if (cutting->see)
			cutting->see(cutting->userdata, &tracked);
		else if (cutting->cut(cutting->userdata, &tracked)) {
			if (ARRAY_PUSH(&cutting->doomed, ct) == 0)
				return MNL_CB_OK;
			nfct_destroy(ct);
			errno = ENOMEM;
			return MNL_CB_ERROR;
		}
	}
	nfct_destroy(ct);
	return MNL_CB_OK;
}

static struct nlmsghdr *request(struct cutting *cutting, char *buffer, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);

	header->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	header->nlmsg_seq = ++cutting->sequence;
	struct nfgenmsg *payload = mnl_nlmsg_put_extra_header(header, sizeof(*payload));
	*payload = (struct nfgenmsg){ .nfgen_family = family, .version = NFNETLINK_V0 };
	return header;
}

/* Only entries whose tuple of this direction has the address as its source. */
static void put_filter(struct nlmsghdr *header, const struct addr *addr, bool reply)
{
	struct nlattr *tuple = mnl_attr_nest_start(header, reply ? CTA_TUPLE_REPLY : CTA_TUPLE_ORIG);
	struct nlattr *ip = mnl_attr_nest_start(header, CTA_TUPLE_IP);
	mnl_attr_put(header, addr->family == FAMILY_4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, addr_size(addr->family),
		     addr->bytes);
	mnl_attr_nest_end(header, ip);
	mnl_attr_nest_end(header, tuple);
	struct nlattr *filter = mnl_attr_nest_start(header, CTA_FILTER);
	mnl_attr_put_u32(header, CTA_FILTER_ORIG_FLAGS, reply ? 0 : FILTER_IP_SRC);
	mnl_attr_put_u32(header, CTA_FILTER_REPLY_FLAGS, reply ? FILTER_IP_SRC : 0);
	mnl_attr_nest_end(header, filter);
}

static int receive(struct cutting *cutting)
{
	static _Alignas(struct nlmsghdr) char buffer[REPLY_SIZE];

	for (;;) {
		ssize_t length = mnl_socket_recvfrom(cutting->socket, buffer, sizeof(buffer));
		if (length < 0)
			return -errno;
		int r = mnl_cb_run(buffer, (size_t)length, cutting->sequence, mnl_socket_get_portid(cutting->socket),
				   each_entry, cutting);
		if (r <= MNL_CB_STOP)
			return r < 0 ? -errno : 0;
	}
}

static void forget(struct cutting *cutting, size_t from)
{
	while (cutting->doomed.count > from)
		nfct_destroy(cutting->doomed.items[--cutting->doomed.count]);
}

/* addr NULL: all entries of the family. A dump that lost something is begun again. */
static int dump(struct cutting *cutting, enum family family, const struct addr *addr, bool reply)
{
	size_t before = cutting->doomed.count;
	int r = -ENOBUFS;

	cutting->by_reply = addr && reply;
	for (int tries = 0; tries < DUMP_TRIES && (r == -ENOBUFS || r == -EINTR); tries++) {
		_Alignas(struct nlmsghdr) char buffer[512];
		struct nlmsghdr *header = request(cutting, buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP,
						  family == FAMILY_4 ? AF_INET : AF_INET6);
		forget(cutting, before);
		if (addr)
			put_filter(header, addr, reply);
		r = mnl_socket_sendto(cutting->socket, header, header->nlmsg_len) < 0 ? -errno : receive(cutting);
	}
	return r;
}

/* Of IPv6 all entries are looked at: the kernel compares these addresses the wrong way round, and would leave out just
 * those that are asked for (ctnetlink_filter_match_tuple() up to 6.18). */
static int dump_all(struct cutting *cutting)
{
	const struct ranges *addresses = cutting->addresses;
	bool hosts = addresses->count <= HOSTS_MAX, families[FAMILIES] = { false };
	int r = 0;

	for (size_t i = 0; i < addresses->count; i++) {
		hosts &= range_is_host(&addresses->items[i]);
		families[addresses->items[i].first.family] = true;
	}
	for (size_t i = 0; hosts && r == 0 && i < addresses->count; i++)
		for (int reply = 0; addresses->items[i].first.family == FAMILY_4 && r == 0 && reply < 2; reply++)
			r = dump(cutting, FAMILY_4, &addresses->items[i].first, reply);
	families[FAMILY_4] &= !hosts;
	for (enum family family = 0; r == 0 && family < FAMILIES; family++)
		if (families[family])
			r = dump(cutting, family, NULL, false);
	return r;
}

/* An entry that is gone already needs no cutting. */
static int destroy(struct cutting *cutting, struct nf_conntrack *ct, size_t *ret_cut)
{
	_Alignas(struct nlmsghdr) char buffer[1024], reply[1024];
	struct nlmsghdr *header =
		request(cutting, buffer, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, nfct_get_attr_u8(ct, ATTR_ORIG_L3PROTO));

	/* By its original tuple, and by its identity: another connection may have taken the tuple meanwhile. */
	nfct_attr_unset(ct, ATTR_TIMEOUT);
	if (nfct_nlmsg_build(header, ct) < 0 || mnl_socket_sendto(cutting->socket, header, header->nlmsg_len) < 0)
		return -errno;
	ssize_t length = mnl_socket_recvfrom(cutting->socket, reply, sizeof(reply));
	if (length < 0)
		return -errno;
	if (mnl_cb_run(reply, (size_t)length, cutting->sequence, mnl_socket_get_portid(cutting->socket), NULL, NULL) <
	    0)
		return errno == ENOENT ? 0 : -errno;
	(*ret_cut)++;
	return 0;
}

static struct mnl_socket *open_socket(void)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int size = RECEIVE_BUFFER;

	if (!socket)
		return NULL;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		int saved = errno;
		mnl_socket_close(socket);
		errno = saved;
		return NULL;
	}
	if (setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return socket;
}

int conntrack_look(const struct ranges *addresses, void (*see)(void *userdata, const struct tracked *tracked),
		   void *userdata)
{
	struct cutting looking = {
		.addresses = addresses, .see = see, .userdata = userdata, .sequence = (uint32_t)time(NULL)
	};

	looking.socket = open_socket();
	if (!looking.socket)
		return -errno;
	int r = dump_all(&looking);
	mnl_socket_close(looking.socket);
	return r;
}

int conntrack_cut(const struct ranges *addresses, bool (*cut)(void *userdata, const struct tracked *tracked),
		  void (*ready)(void *userdata), void *userdata, size_t *ret_cut)
{
	struct cutting cutting = {
		.addresses = addresses, .cut = cut, .userdata = userdata, .sequence = (uint32_t)time(NULL)
	};

	*ret_cut = 0;
	cutting.socket = open_socket();
	if (!cutting.socket)
		return -errno;
	int r = dump_all(&cutting);
	ready(userdata);
	for (size_t i = 0; i < cutting.doomed.count; i++) {
		int destroyed = destroy(&cutting, cutting.doomed.items[i], ret_cut);
		r = r < 0 ? r : destroyed;
	}
	forget(&cutting, 0);
	free(cutting.doomed.items);
	mnl_socket_close(cutting.socket);
	return r;
}
