/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_TEST_FAKE_NFT_H
#define SPEFW_TEST_FAKE_NFT_H

/* A kernel for daemon/nft/{socket,read,monitor,cut,foreign}.h, in the test's hands: it takes batches into a ruleset in
 * memory, refuses what nf_tables would refuse, and gives back what it holds. Its time is now_ms(). Nothing in it counts
 * as an allocation of the objects under test. */

#include "core/cut_list.h"
#include "core/foreign.h"
#include "nft/read.h"
#include "nft/socket.h"

enum { FAKE_NFT_PORT = 4242 }; /* nft_port() */

enum fake_nft_call {
	FAKE_NFT_OPEN, /* a reader's as well */
	FAKE_NFT_PROBE,
	FAKE_NFT_COMMIT,
	FAKE_NFT_READ_INFO,
	FAKE_NFT_READ_TABLE,
	FAKE_NFT_READ_COUNTERS,
	FAKE_NFT_READ_CHAIN,
	FAKE_NFT_MONITOR, /* made */
	FAKE_NFT_CUT_READ,
	FAKE_NFT_CUT_ADD,
	FAKE_NFT_CUT_DELETE,
	FAKE_NFT_CUT_MARK,
	FAKE_NFT_CUT_UNMARK,
	FAKE_NFT_FOREIGN, /* each slice */
	FAKE_NFT_CALLS
};

extern struct fake_nft {
	/* Our table. */
	bool exists;
	uint32_t flags, owner;
	int layout;
	bool foreign; /* it holds what is not of our making */
	bool torn;    /* other tables change while it is read */
	struct ruleset table;
	/* Its sets of what was cut. */
	struct cut_list cut;
	size_t cut_size;         /* of each family */
	int64_t marked_until_ms; /* 0: no mark */
	size_t cut_hidden;       /* so many entries are left out by the next nft_cut_read(), as of a set that grows */

	struct nft_abilities abilities; /* what nft_probe() finds */
	bool fails_late;                /* a commit that fails is in force nevertheless: its reply was lost */
	size_t calls[FAKE_NFT_CALLS];   /* so far, failed ones too */
	size_t batches;                 /* commits that are in force */
	uint64_t handle;                /* the last one given to a rule */
	int open;                       /* sockets, monitors and readings: 0 when all objects are freed */
	int64_t monitor_priority;

	/* Tables of other programs. NULL: none. 0 or a negative errno. */
	int (*foreign_tables)(struct foreign_tables *out);
	size_t foreign_slices; /* that nft_foreign_some() takes before the last one */
} fake_nft;

void fake_nft_reset(void); /* no table, all abilities, nothing fails */
/* After `skip` calls more that work, the next `times` calls give r. */
void fake_nft_fail(enum fake_nft_call call, size_t skip, size_t times, int r);
void fake_nft_flush(void); /* another program deletes our table; it gives no notice */
void fake_nft_count(const char *counter, uint64_t packets, uint64_t bytes); /* its value from now on */

/* Notices of changes by others, as the event loop brings them: of our table (NULL: some were lost), of other tables. */
void fake_nft_notice(const char *what);
void fake_nft_foreign_notice(void);
/* Likewise, but it waits for nft_monitor_drain(). */
void fake_nft_queue_notice(const char *what);

#endif
