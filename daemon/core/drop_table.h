/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_DROP_TABLE_H
#define SPEFW_DROP_TABLE_H

/* Denials, folded: a row for each source, target, protocol, port and mode; one row for a source that tries many ports
 * or many targets. Times are ms of one clock. */

#include "denial.h"

enum {
	DROP_ROWS = 512,   /* near a flow, and as many that are near none; then the least recent one of them goes */
	DROP_FOLD = 16,    /* ports of one target, or targets of one port, that have rows of their own */
	DROP_SPREADS = 32, /* rows of many ports or targets */
	DROP_TARGETS = 64, /* that such a row knows one by one */
	DROP_PORT_BYTES = 65536 / 8,
};

/* What a row of many ports or targets has seen. */
struct drop_spread {
	uint8_t ports[DROP_PORT_BYTES]; /* a bit each, TCP and UDP alike */
	unsigned port_count;
	struct addr targets[DROP_TARGETS];
	unsigned target_count;
	bool more_targets;
	unsigned protocols; /* bits 1 << enum protocol */
};

struct drop {
	struct packet packet; /* the last one of it */
	enum denial_kind kind;
	bool from_gateway;
	bool audit;        /* it was not really denied; of all of the row */
	bool near;         /* a flow has its port */
	bool many_ports;   /* of any protocol */
	bool many_targets; /* then with spread, owned; else NULL */
	struct drop_spread *spread;
	int64_t first_ms, last_ms;
	uint64_t count;  /* copies */
	uint64_t serial; /* of the last one; ascending from 1 */
};

struct drop_table {
	struct drop *items; /* in no order */
	size_t count, capacity;
	uint64_t serial;      /* of the last change; also how many copies there were */
	uint64_t lost_serial; /* the highest one of a row that had to go */
};

/* packet is that of the denial, or its connection as it was opened; near: as above. The row that it is in now, valid
 * until the next call; NULL without memory. */
const struct drop *drop_table_add(struct drop_table *table, const struct denial *denial, bool near, bool audit,
				  int64_t now_ms);
void drop_table_free(struct drop_table *table);

/* How many distinct ones: 1 where there are not many. Ports of a row without any: 0. */
unsigned drop_ports(const struct drop *drop);
unsigned drop_targets(const struct drop *drop);
/* The rows that changed after this serial, those that changed last first; at most `most`. Returns how many. */
size_t drop_table_since(const struct drop_table *table, uint64_t serial, const struct drop **ret, size_t most,
			size_t *ret_all);

#endif
