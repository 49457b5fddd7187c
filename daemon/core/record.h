/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_RECORD_H
#define SPEFW_RECORD_H

/* Who used what, and who was denied what: a bounded memory of real use, by flow, peer and port.
 *
 * A flow's first peers are kept by their address, further ones by their network (/24, /48), and beyond a second bound
 * all together. Where there is no room, what was not used for the longest time goes. What a flow has of its own (when
 * it was last used, how many connections in the last 24 hours) does not go with its peers. */

#include "addr.h"
#include "config.h"
#include "policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RECORD_ENTRIES_MAX = 20000,
	RECORD_FLOWS_MAX = 2048,
	RECORD_TEXT_MAX = 4 * 1024 * 1024, /* bytes; what is full takes less, in memory too */
	RECORD_KEPT_S = 90 * 24 * 60 * 60,
	RECORD_HOURS = 24,
	/* Of one flow and kind: entries of single addresses, and of networks. */
	RECORD_ADDRESSES = 256,
	RECORD_NETWORKS = 2048,
	RECORD_FLOW_BUCKETS = 256,
};

enum record_kind { RECORD_ALLOWED, RECORD_DENIED, RECORD_KINDS };

/* How many peers an entry stands for. */
enum record_level { RECORD_ADDRESS, RECORD_NETWORK, RECORD_ALL, RECORD_LEVELS };

struct record_peer {
	struct addr addr;
	enum protocol protocol;
	uint16_t port; /* of the service; 0: icmp-echo */
};

/* Links are indices; UINT32_MAX ends a list. */
struct record_entry {
	int64_t first_s, last_s; /* wall clock */
	uint64_t count;          /* connections, or denied packets */
	struct addr peer;        /* the first one of a network */
	uint8_t prefix;          /* bits: all of them, 24 or 48, or 0 */
	uint8_t kind, protocol;
	uint16_t port; /* of RECORD_ALL: 0 */
	uint16_t flow;
	uint32_t chain, newer, older;
};

struct record_flow {
	char name[CONFIG_ID_MAX + 1]; /* "": of denials that no flow was near to */
	bool used;                    /* the slot */
	uint16_t chain;
	uint32_t entries[RECORD_KINDS][RECORD_LEVELS];
	int64_t last_s;               /* a connection of it was there; 0: none yet. Wall clock */
	int64_t hour;                 /* since 1970, of hours[hour % RECORD_HOURS], the newest one */
	uint32_t hours[RECORD_HOURS]; /* connections opened in each */
};

struct record {
	uint64_t seed; /* of the hash: strangers choose the keys */
	struct record_entry *items;
	size_t count, capacity; /* of items, free ones among them */
	size_t used;
	uint32_t *buckets;
	size_t bucket_count;
	uint32_t newest, oldest, free;
	struct record_flow *flows;
	size_t flow_count, flow_capacity; /* slots, free ones among them */
	uint16_t flow_buckets[RECORD_FLOW_BUCKETS];
	int64_t watched_ms; /* for how long it was kept, without a gap that it does not know of */
};

/* An empty one allocates nothing. */
void record_init(struct record *record, uint64_t seed);
void record_free(struct record *record); /* is empty then */

/* A connection of the flow is there. opened: it was not, the last time. 0 or -ENOMEM (then nothing is noted). */
int record_connection(struct record *record, const char *flow, const struct record_peer *peer, bool opened,
		      int64_t now_s);
/* So many packets of a peer were denied. flow: the one that it was nearest to, or NULL. 0 or -ENOMEM. */
int record_denied(struct record *record, const char *flow, const struct record_peer *peer, uint64_t packets,
		  int64_t now_s);
/* So much time was watched since the last call; and what is too old goes. */
void record_pass(struct record *record, int64_t watched_ms, int64_t now_s);

const struct record_flow *record_find(const struct record *record, const char *flow); /* NULL: never used */
/* Connections opened in this hour and the 23 before it. */
uint64_t record_opened(const struct record_flow *flow, int64_t now_s);
int64_t record_kept_s(const struct record *record); /* how long it goes back, RECORD_KEPT_S at most */
/* The entries, most recent first. NULL: the first one; returns NULL after the last. */
const struct record_entry *record_next(const struct record *record, const struct record_entry *entry);
const char *record_flow_of(const struct record *record, const struct record_entry *entry); /* "": none */
struct range record_peers(const struct record_entry *entry);

/* As text, a line each with a checksum of its own, and back. boot: the identity of this boot. text: NULL without
 * memory, to be freed. What is damaged is passed over; *ret_same_boot: it was written in this boot. 0 or -ENOMEM; the
 * record must be empty. */
char *record_text(const struct record *record, const char *boot);
int record_from_text(struct record *record, const char *text, const char *boot, bool *ret_same_boot);
/* For that: an entry as it was, the most recent one by now; the last use of a flow. What is there already, or has no
 * room, is passed over. 0 or -ENOMEM. */
int record_put(struct record *record, const char *flow, const struct record_entry *entry);
int record_put_flow(struct record *record, const struct record_flow *flow);

#endif
