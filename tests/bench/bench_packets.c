/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a packet costs on its way through a gateway, in the time of the one processor that sends it and carries it on.
 * For tests/bench/packets, which makes the gateways: each has interfaces outer-K and inner-K that lead out of it to
 * here. bench_packets established|syn FRAMES ROUNDS DROP MEASURE GATEWAY... Each round sends packets through each
 * gateway in turn. The first gateway drops them at ingress, the second is the measure of the others. A line a gateway:
 * its number, and the medians over all rounds of its nanoseconds a packet, of their ratio to those of the measure, and
 * of the ratio of what is above the drop; and which part of the packets came out at the other end. Rounds are many and
 * short: what else the machine does meets all gateways alike, and the time of this process alone is counted. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	GATEWAYS_MAX = 16,
	CONNECTIONS = 64,
	BURST = 64, /* frames of one system call, of one direction */
	FRAME = 54, /* Ethernet, IPv4, TCP */
	OPEN_PORT = 443,
	CLOSED_PORT = 3389,
	FIRST_PORT = 20000,
	SYN = 2,
	ACK = 16,
};

static const char *const server = "192.0.2.25", *const client = "198.51.100.140";

struct end {
	int fd;
	uint8_t frames[BURST][FRAME];
	struct mmsghdr messages[BURST];
	struct iovec parts[BURST];
};

struct gateway {
	const char *name;
	struct end outer, inner;
	double *ns; /* a packet, by round */
	uint64_t received_before, received;
};

static void must(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "bench_packets: %s: %s\n", what, strerror(errno));
		exit(EXIT_FAILURE);
	}
}

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

static uint32_t sum(const uint8_t *bytes, size_t length, uint32_t total)
{
	for (size_t i = 0; i + 1 < length; i += 2)
		total += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	return total;
}

static unsigned fold(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return ~total & 0xffff;
}

/* To the gateway's interface 02:00:00:00:00:01, which all of them have. */
static void make_frame(uint8_t *frame, const char *from, const char *to, unsigned sport, unsigned dport, unsigned flags,
		       uint32_t seq, uint32_t ack)
{
	static const uint8_t start[] = {
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6
	};
	uint8_t *ip = frame + 14, *tcp = frame + 34;

	memset(frame, 0, FRAME);
	memcpy(frame, start, sizeof(start));
	must(inet_pton(AF_INET, from, ip + 12) == 1 && inet_pton(AF_INET, to, ip + 16) == 1, "address");
	put16(ip + 10, fold(sum(ip, 20, 0)));
	put16(tcp, sport);
	put16(tcp + 2, dport);
	put32(tcp + 4, seq);
	put32(tcp + 8, ack);
	tcp[12] = 5 << 4;
	tcp[13] = (uint8_t)flags;
	put16(tcp + 14, 64240);
	put16(tcp + 16, fold(sum(tcp, 20, sum(ip + 12, 8, 6 + 20))));
}

static void open_end(struct end *end, const char *kind, unsigned number)
{
	char name[IF_NAMESIZE];
	int one = 1;

	snprintf(name, sizeof(name), "%s-%u", kind, number);
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name) };
	end->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	must(end->fd >= 0 && address.sll_ifindex && bind(end->fd, (struct sockaddr *)&address, sizeof(address)) == 0,
	     name);
	must(setsockopt(end->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) == 0, "PACKET_QDISC_BYPASS");
	for (size_t i = 0; i < BURST; i++) {
		end->parts[i] = (struct iovec){ end->frames[i], FRAME };
		end->messages[i].msg_hdr = (struct msghdr){ .msg_iov = &end->parts[i], .msg_iovlen = 1 };
	}
}

static void send_burst(struct end *end)
{
	unsigned sent = 0;

	while (sent < BURST) {
		int n = sendmmsg(end->fd, end->messages + sent, BURST - sent, 0);
		must(n > 0 || errno == EINTR, "sendmmsg");
		sent += n > 0 ? (unsigned)n : 0;
	}
}

static void handshake(struct gateway *gateway)
{
	for (unsigned step = 0; step < 3; step++) {
		struct end *end = step == 1 ? &gateway->inner : &gateway->outer;
		for (unsigned i = 0; i < CONNECTIONS; i++) {
			unsigned port = FIRST_PORT + i;
			if (step == 1)
				make_frame(end->frames[i], server, client, OPEN_PORT, port, SYN | ACK, 1000, 1001);
			else
				make_frame(end->frames[i], client, server, port, OPEN_PORT, step ? ACK : SYN,
					   step ? 1001 : 1000, step ? 1001 : 0);
		}
		send_burst(end);
	}
}

static void make_frames(struct gateway *gateway, bool established)
{
	_Static_assert(BURST == CONNECTIONS, "a frame of each");
	if (established)
		handshake(gateway);
	for (unsigned i = 0; i < BURST; i++) {
		unsigned port = FIRST_PORT + i;
		if (established) {
			make_frame(gateway->outer.frames[i], client, server, port, OPEN_PORT, ACK, 1001, 1001);
			make_frame(gateway->inner.frames[i], server, client, OPEN_PORT, port, ACK, 1001, 1001);
		} else {
			make_frame(gateway->outer.frames[i], client, server, port, CLOSED_PORT, SYN, 1000, 0);
		}
	}
}

/* How much has come out of the gateway, at either end. */
static uint64_t received(unsigned number)
{
	static const char *const kinds[] = { "outer", "inner" };
	uint64_t total = 0, value;
	char path[96];

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/sys/class/net/%s-%u/statistics/rx_packets", kinds[i], number);
		FILE *file = fopen(path, "re");
		must(file && fscanf(file, "%lu", &value) == 1, path);
		fclose(file);
		total += value;
	}
	return total;
}

static double cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Nanoseconds a packet. Established: half of them in each direction. */
static double measure(struct gateway *gateway, bool established, unsigned frames)
{
	unsigned bursts = frames / BURST;
	double began = cpu_ns();

	for (unsigned i = 0; i < bursts; i++)
		send_burst(established && i % 2 ? &gateway->inner : &gateway->outer);
	return (cpu_ns() - began) / (bursts * (double)BURST);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), by_value);
	return values[count / 2];
}

static void print(const struct gateway *gateways, unsigned index, unsigned rounds, unsigned frames)
{
	const struct gateway *gateway = &gateways[index], *drop = &gateways[0], *measure = &gateways[1];
	double *ns = calloc(rounds, sizeof(double)), *all = calloc(rounds, sizeof(double)),
	       *own = calloc(rounds, sizeof(double));

	must(ns && all && own, "out of memory");
	for (unsigned i = 0; i < rounds; i++) {
		ns[i] = gateway->ns[i];
		all[i] = ns[i] / measure->ns[i];
		own[i] = (ns[i] - drop->ns[i]) / (measure->ns[i] - drop->ns[i]);
	}
	printf("%s %.1f %.4f %.4f %.4f\n", gateway->name, median(ns, rounds), median(all, rounds), median(own, rounds),
	       (double)gateway->received / ((double)rounds * (frames / BURST * BURST)));
	free(ns);
	free(all);
	free(own);
}

static void keep_to_one_processor(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)sched_getcpu(), &set);
	must(sched_setaffinity(0, sizeof(set), &set) == 0, "sched_setaffinity");
}

int main(int argc, char **argv)
{
	static struct gateway gateways[GATEWAYS_MAX];
	bool established = argc > 1 && strcmp(argv[1], "established") == 0;
	unsigned count = argc > 4 ? (unsigned)argc - 4 : 0;

	if (count < 2 || count > GATEWAYS_MAX || (!established && strcmp(argv[1], "syn") != 0)) {
		fprintf(stderr, "usage: bench_packets established|syn FRAMES ROUNDS DROP MEASURE GATEWAY...\n");
		return 2;
	}
	unsigned frames = (unsigned)atoi(argv[2]), rounds = (unsigned)atoi(argv[3]);
	must(frames >= 2 * BURST && rounds > 0, "FRAMES or ROUNDS");
	keep_to_one_processor();
	for (unsigned i = 0; i < count; i++) {
		unsigned number = (unsigned)atoi(argv[4 + i]);
		open_end(&gateways[i].outer, "outer", number);
		open_end(&gateways[i].inner, "inner", number);
		gateways[i].name = argv[4 + i];
		make_frames(&gateways[i], established);
		gateways[i].ns = calloc(rounds, sizeof(double));
		must(gateways[i].ns != NULL, "out of memory");
		measure(&gateways[i], established, frames);
		gateways[i].received_before = received(number);
	}
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned i = 0; i < count; i++) {
			unsigned at = (i + round) % count; /* nobody has the same one before it always */
			gateways[at].ns[round] = measure(&gateways[at], established, frames);
		}
	for (unsigned i = 0; i < count; i++)
		gateways[i].received = received((unsigned)atoi(gateways[i].name)) - gateways[i].received_before;
	for (unsigned i = 0; i < count; i++)
		print(gateways, i, rounds, frames);
	for (unsigned i = 0; i < count; i++)
		free(gateways[i].ns);
	return 0;
}
