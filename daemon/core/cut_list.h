/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_CUT_H
#define SPEFW_CUT_H

/* TCP connections that were cut. Their mid-stream packets must not pass by any flow, not even by one that a new
 * connection of theirs could have: so their addresses and ports are remembered, by the kernel's sets cut_4 and cut_6,
 * for as long as connection tracking would have kept an idle connection. */

#include "addr.h"
#include "policy.h"

enum {
	CUT_SET_SIZE = 65536,                    /* elements of each of the two sets */
	CUT_MEMORY_MS = 5 * 24 * 60 * 60 * 1000, /* nf_conntrack_tcp_timeout_established as it comes */
	CUT_ENTRIES_MAX = 2,                     /* of one connection: each protected end has one */
};

/* Who opened it. A connection can be opened anew by the same ends the other way round, and is another one then. */
enum cut_opener {
	CUT_BY_PEER,
	CUT_BY_OWN,
	CUT_UNKNOWN, /* seen from the middle on */
	CUT_OPENERS
};

/* In the kernel's sets the protected side comes first, so that packets of both directions meet one element. */
struct cut_entry {
	struct addr own, peer; /* of one family */
	uint16_t own_port, peer_port;
	enum cut_opener opener;
	int64_t deadline_ms; /* CLOCK_BOOTTIME */
	bool on_request;     /* of an administrator: it stays so where the policy allows the connection */
};

/* Ascending by family, addresses and ports, and unique, once cut_list_finish() has run. */
struct cut_list {
	struct cut_entry *items;
	size_t count, capacity;
};

/* The entries of a TCP connection, at most CUT_ENTRIES_MAX: how many. packet: as it was opened, or a mid-stream packet
 * of it. */
size_t cut_entries(const struct policy *policy, const struct packet *packet, int64_t deadline_ms,
		   struct cut_entry ret[CUT_ENTRIES_MAX]);
/* The connection as it was opened; where that is unknown, a mid-stream packet of it. */
struct packet cut_packet(const struct cut_entry *entry);

/* Many may be added before cut_list_finish() sorts them; of those of the same ends the one with the latest deadline
 * stays. 0 or -ENOMEM. */
int cut_list_add(struct cut_list *list, const struct cut_entry *entry);
void cut_list_finish(struct cut_list *list);
/* The entry of the same ends, in a finished list. NULL: none. */
const struct cut_entry *cut_list_find(const struct cut_list *list, const struct cut_entry *entry);
/* Keeps those for which `keep` is true; returns how many are left out. */
size_t cut_list_filter(struct cut_list *list, bool (*keep)(void *userdata, const struct cut_entry *entry),
		       void *userdata);
size_t cut_list_count(const struct cut_list *list, enum family family);
void cut_list_free(struct cut_list *list);

/* Opener and request as the comment of the element, and back: CUT_UNKNOWN where it is none of them. */
const char *cut_comment(const struct cut_entry *entry);
void cut_take_comment(struct cut_entry *entry, const char *comment);

#endif
