/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TESTS_KERNEL_WIRE_H
#define SPEFW_TESTS_KERNEL_WIRE_H

/* Packets made by hand, sent from and received in the lab's network namespaces; and what the gateway's kernel counts.
 * Every function that can fail ends the program with a message: half a measurement is none. */

#include "core/addr.h"

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	MACHINES_MAX = 8,
	MACHINE_NAME_MAX = 16,
	WIRE_BYTES = 64, /* the longest packet made here: an IPv6 header, TCP's, and no more */
	/* To the gateway itself, from one wire_receive() to the next: half of what a socket's receive buffer holds by
	 * default. */
	WIRE_BURST = 128,
};

enum wire_kind {
	WIRE_SYN,
	WIRE_ACK,     /* mid-stream: what connection tracking takes up as a connection under way */
	WIRE_PUSH,    /* likewise, with PSH */
	WIRE_SYN_ACK, /* strays: nothing that connection tracking takes up */
	WIRE_FIN,
	WIRE_RESET,
	WIRE_UDP,
	WIRE_ECHO, /* source_port is its identity */
	WIRE_KINDS,
};

struct wire_packet {
	struct addr source, target;
	uint8_t kind; /* enum wire_kind; of what has arrived: TCP of any kind is WIRE_SYN */
	uint16_t source_port, target_port;
	uint32_t id; /* travels with the packet */
};

struct wire_counter {
	char name[64];
	uint64_t packets;
};

enum { COUNTERS_MAX = 128 };

struct wire_counters {
	struct wire_counter items[COUNTERS_MAX];
	size_t count;
};

struct wire {
	struct machine *machines[MACHINES_MAX];
	size_t machine_count;
	struct mnl_socket *conntrack, *nftables; /* of the gateway */
	cpu_set_t processors;                    /* where this program may run, while it keeps to one */
};

typedef void (*wire_arrival)(void *userdata, size_t machine, const struct wire_packet *packet);

void wire_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
const char *wire_kind_name(enum wire_kind kind);

/* The first machine is the gateway, and has no interface of its own here. The others: the gateway's interface towards
 * it; theirs is eth0. */
void wire_add(struct wire *wire, const char *netns, const char *gateway_interface);
void wire_free(struct wire *wire);
int wire_find(const struct wire *wire, const char *netns); /* its index, or -1 */
const char *wire_name(const struct wire *wire, size_t machine);
const char *wire_interface(const struct wire *wire, size_t machine); /* the gateway's towards it; NULL: its own */

/* From begin to end, packets are sent by one processor, whichever is at hand: what one has sent is worked on in its
 * order, through all interfaces, so the last to arrive shows that none is behind it. */
void wire_begin(struct wire *wire);
void wire_end(struct wire *wire);
void wire_send(struct wire *wire, size_t machine, const struct wire_packet *packets, size_t count);
/* Calls arrival for each packet of ours that has arrived anywhere. */
void wire_receive(struct wire *wire, wire_arrival arrival, void *userdata);
/* How many packets, of whomever, have found no room in a receive buffer since the last call: those never arrive. */
size_t wire_lost(struct wire *wire);
/* Waits until something can be received; false after the time. */
bool wire_wait(struct wire *wire, int milliseconds);

void wire_flush_conntrack(struct wire *wire);
void wire_read_counters(struct wire *wire, struct wire_counters *ret);       /* of table inet spefw */
uint64_t wire_count(const struct wire_counters *counters, const char *name); /* 0 where there is none */

#endif
