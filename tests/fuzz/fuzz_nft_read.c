// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzz target: what the kernel may answer over netlink, to the readers of our table, of changes and connections.
 *
 * The input: a byte that chooses the reader, then datagrams (fake_netlink.h). The readers are the daemon's own files;
 * only their sockets are not real. */
#include "fake_netlink.h"

#define RECEIVE_BUFFER SOCKET_RECEIVE_BUFFER
#define REPLY_SIZE SOCKET_REPLY_SIZE
#include "../../daemon/nft/socket.c"
#undef RECEIVE_BUFFER
#undef REPLY_SIZE
#define fail read_fail
#include "../../daemon/nft/read.c"
#include "../../daemon/nft/read_sets.c"
#undef fail
#define RECEIVE_BUFFER MONITOR_RECEIVE_BUFFER
#include "../../daemon/nft/monitor.c"
#undef RECEIVE_BUFFER
#define dump conntrack_dump
#include "../../daemon/net/conntrack.c"
#undef dump
#define commit cut_commit
#define prepare_dump cut_prepare_dump
#define restart cut_restart
#include "../../daemon/nft/cut.c"

int fuzz_one(const uint8_t *bytes, size_t size);

static void check_elements(const struct ruleset *ruleset)
{
	for (size_t i = 0; i < ruleset->sets.count; i++) {
		const struct set *set = &ruleset->sets.items[i];
		for (size_t e = 1; e < set->count; e++)
			if (element_compare(&set->items[e - 1], &set->items[e], key_size(set->type)) > 0)
				abort();
	}
}

/* What was decoded can be made into a rule again. */
static void check_rules(const struct ruleset *ruleset)
{
	for (size_t i = 0; i < ruleset->chains.count; i++) {
		const struct chain *chain = &ruleset->chains.items[i];
		for (size_t r = 0; r < chain->count; r++) {
			struct nftnl_rule *rule;
			if (nft_encode_rule(chain->name, &chain->items[r], &rule) < 0)
				abort();
			nftnl_rule_free(rule);
		}
	}
}

static void read_table(void)
{
	struct nft_socket socket;
	struct nft_table_info info;
	struct ruleset ruleset;
	struct nft_counters counters;
	bool foreign;

	if (nft_open(&socket, -1) < 0)
		abort();
	nft_read_info(&socket, &info);
	if (read_once(&socket, &ruleset, 1000, &foreign) == 0) {
		check_elements(&ruleset);
		check_rules(&ruleset);
		char *text = ruleset_text(&ruleset, 0);
		free(text);
		ruleset_free(&ruleset);
	}
	if (nft_read_counters(&socket, &counters) == 0)
		free(counters.items);
	nft_close(&socket);
}

static void read_number(void)
{
	struct nft_socket socket;
	uint32_t number;

	if (nft_open(&socket, -1) < 0)
		abort();
	read_generation(&socket, &number);
	nft_close(&socket);
}

/* Those of record_netlink.py. */
static void read_chains(void)
{
	static const char *const names[] = { "forward",
					     "input",
					     "guard",
					     "judge",
					     "deny_in",
					     "not_new",
					     "source_routes",
					     "intercept_here",
					     "SERVER_in_tcp_443",
					     "cut_in",
					     "pin",
					     "early_syn",
					     "observe" };
	struct nft_socket socket;

	if (nft_open(&socket, -1) < 0)
		abort();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct ruleset ruleset;
		if (nft_read_chain(&socket, names[i], &ruleset) < 0)
			continue;
		check_rules(&ruleset);
		free(ruleset_text(&ruleset, 0));
		ruleset_free(&ruleset);
	}
	nft_close(&socket);
}

static void on_change(void *userdata, const char *what)
{
	if (what && !strlen(what))
		abort();
	(*(size_t *)userdata)++;
}

static void on_others_change(void *userdata)
{
	(*(size_t *)userdata)++;
}

static void hear_changes(void)
{
	size_t changes = 0;
	struct nft_monitor monitor = { .changed = on_change, .others_changed = on_others_change, .userdata = &changes };
	static _Alignas(struct nlmsghdr) char buffer[NOTICE_SIZE];
	ssize_t length;

	while ((length = next_datagram(buffer, sizeof(buffer))) >= 0 || errno != EAGAIN) {
		if (length < 0)
			continue;
		size_t size = (size_t)length;
		void *copy = exact_copy(buffer, &size);
		take_notices(&monitor, copy, size);
		free(copy);
	}
}

static bool cut_odd(void *userdata, const struct tracked *tracked)
{
	if (tracked->packet.source.family != tracked->packet.target.family || tracked->packet.protocol > PROTOCOLS)
		abort();
	(void)userdata;
	return tracked->packet.source_port & 1;
}

static void cut_ready(void *userdata)
{
	(void)userdata;
}

static void cut_connections(void)
{
	struct ranges addresses = { 0 };
	struct addr low = { .family = FAMILY_4 }, high = { .family = FAMILY_4 };
	struct range all = { low, high };
	size_t cut;

	for (int family = 0; family < FAMILIES; family++) {
		all.first.family = all.last.family = (enum family)family;
		memset(all.last.bytes, 0xff, addr_size((enum family)family));
		if (ranges_add(&addresses, &all) < 0)
			abort();
	}
	ranges_normalise(&addresses);
	conntrack_cut(&addresses, cut_odd, cut_ready, NULL, &cut);
	ranges_free(&addresses);
}

static void read_cut(void)
{
	struct nft_socket socket;
	struct cut_list list;
	bool full;

	if (nft_open(&socket, -1) < 0)
		abort();
	if (nft_cut_read(&socket, &list, &full, 1000) == 0) {
		for (size_t i = 0; i < list.count; i++)
			if (list.items[i].own.family != list.items[i].peer.family ||
			    list.items[i].opener >= CUT_OPENERS ||
			    cut_list_find(&list, &list.items[i]) != &list.items[i])
				abort();
		cut_list_free(&list);
	}
	nft_close(&socket);
}

static void read_verdicts(void)
{
	struct nft_socket socket = { .error = "" };
	struct verdicts verdicts = { .error = 0 };
	char buffer[SOCKET_REPLY_SIZE];
	ssize_t length;

	while ((length = next_datagram(buffer, sizeof(buffer))) >= 0 || errno != EAGAIN) {
		if (length < 0)
			continue;
		size_t size = (size_t)length;
		void *copy = exact_copy(buffer, &size);
		read_replies(&socket, copy, size, 1, &verdicts);
		free(copy);
	}
}

int fuzz_one(const uint8_t *bytes, size_t size)
{
	static void (*const readers[])(void) = { read_table, hear_changes, cut_connections, read_verdicts,
						 read_cut,   read_chains,  read_number };

	if (!size)
		return 0;
	begin_input(bytes + 1, size - 1);
	readers[bytes[0] % 7]();
	return 0;
}
