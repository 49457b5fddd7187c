// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzz target: the tables of other programs as the kernel may list them, to their reader and to the search for rules
 * that could meet a flow. The input is datagrams (fake_netlink.h). The reader is the daemon's own; only its sockets are
 * not real. */
#include "fake_netlink.h"

#define RECEIVE_BUFFER SOCKET_RECEIVE_BUFFER
#define REPLY_SIZE SOCKET_REPLY_SIZE
#include "../../daemon/nft/socket.c"
#undef RECEIVE_BUFFER
#undef REPLY_SIZE
#define fail read_fail
#include "../../daemon/nft/foreign.c"
#undef fail
#include "../../daemon/nft/foreign_recorded.c"
#include "../../daemon/nft/foreign_rule.c"

#include "fuzz_policy.h"

int fuzz_one(const uint8_t *bytes, size_t size);

static void check(const struct foreign_tables *tables)
{
	for (size_t i = 0; i < tables->rules.count; i++)
		if (tables->rules.items[i].chain >= tables->chains.count)
			abort();
	for (size_t i = 0; i < tables->sets.count; i++)
		for (size_t e = 1; tables->sets.items[i].known && e < tables->sets.items[i].count; e++)
			if (memcmp(tables->sets.items[i].items[e - 1].first, tables->sets.items[i].items[e].first,
				   FOREIGN_KEY_MAX) > 0)
				abort();
}

static void take(struct foreign_tables *tables, bool whole)
{
	if (whole) {
		check(tables);
		judge_foreign(tables);
	}
	foreign_tables_free(tables);
}

/* As spefwd reads them. */
static void read_at_once(struct nft_socket *socket)
{
	struct foreign_tables tables;
	struct foreign_reading *reading = NULL;
	int r = nft_foreign_begin(&reading, socket, &tables, ~0u);

	while (r == 0 && (r = nft_foreign_some(reading)) > 0)
		r = 0;
	nft_foreign_end(reading);
	take(&tables, r == 0);
}

/* As spefw-doctor does. */
static void read_recorded(struct nft_socket *socket)
{
	struct foreign_recording recording;
	struct foreign_tables tables = { 0 };
	int r = nft_record_foreign(&recording, socket);

	if (r == 0)
		r = nft_read_recorded(&recording, &tables);
	foreign_recording_free(&recording);
	take(&tables, r == 0);
}

int fuzz_one(const uint8_t *bytes, size_t size)
{
	static void (*const readers[])(struct nft_socket * socket) = { read_at_once, read_recorded };
	struct nft_socket socket;

	for (size_t i = 0; i < 2; i++) {
		begin_input(bytes, size);
		if (nft_open(&socket, -1) < 0)
			abort();
		readers[i](&socket);
		nft_close(&socket);
	}
	return 0;
}
