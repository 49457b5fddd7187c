/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_nft_parts.h"
#include "core/array.h"
#include "nft/monitor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { COUNTERS_MAX = 128, QUEUE_MAX = 16 };

struct fake_nft fake_nft;
static struct nft_counter counters[COUNTERS_MAX];
static size_t counter_count;
static struct {
	size_t skip, times;
	int r;
} failures[FAKE_NFT_CALLS];

/* Of wrap.c, where the test has it. */
extern long allocations_left __attribute__((weak));

long fake_nft_pause_failing(void)
{
	long left = -1;

	if (&allocations_left) {
		left = allocations_left;
		allocations_left = -1;
	}
	return left;
}

void fake_nft_resume_failing(long left)
{
	if (&allocations_left)
		allocations_left = left;
}

void fake_nft_must(bool worked)
{
	if (!worked)
		abort(); /* out of memory in earnest */
}

void fake_nft_flush(void)
{
	ruleset_free(&fake_nft.table);
	cut_list_free(&fake_nft.cut);
	fake_nft.exists = fake_nft.foreign = false;
	fake_nft.flags = fake_nft.owner = 0;
	fake_nft.layout = 0;
	fake_nft.marked_until_ms = 0;
	counter_count = 0;
}

void fake_nft_reset(void)
{
	fake_nft_flush();
	fake_nft = (struct fake_nft){ .cut_size = CUT_SET_SIZE, .abilities = { true, true } };
	memset(failures, 0, sizeof(failures));
}

void fake_nft_fail(enum fake_nft_call call, size_t skip, size_t times, int r)
{
	failures[call].skip = skip;
	failures[call].times = times;
	failures[call].r = r;
}

int fake_nft_begin(enum fake_nft_call call)
{
	fake_nft.calls[call]++;
	if (!failures[call].times)
		return 0;
	if (failures[call].skip) {
		failures[call].skip--;
		return 0;
	}
	failures[call].times--;
	return failures[call].r;
}

int fake_nft_error(struct nft_socket *socket, int r)
{
	if (r < 0)
		snprintf(socket->error, sizeof(socket->error), "the fake kernel refused: %s", strerror(-r));
	return r;
}

/* Sockets */

int nft_open(struct nft_socket *ret, int stored_fd)
{
	*ret = (struct nft_socket){ .sequence = 1 };
	int r = fake_nft_begin(FAKE_NFT_OPEN);
	if (r < 0)
		return fake_nft_error(ret, r);
	long left = fake_nft_pause_failing();
	ret->writer = mnl_socket_fdopen(stored_fd >= 0 ? stored_fd : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	fake_nft_resume_failing(left);
	fake_nft_must(ret->writer);
	fake_nft.open++;
	return 0;
}

int nft_open_reader(struct nft_socket *ret)
{
	return nft_open(ret, -1);
}

uint32_t nft_port(const struct nft_socket *socket)
{
	(void)socket;
	return FAKE_NFT_PORT;
}

void nft_close(struct nft_socket *socket)
{
	if (!socket->writer)
		return;
	mnl_socket_close(socket->writer);
	socket->writer = NULL;
	fake_nft.open--;
}

int nft_probe(struct nft_socket *socket)
{
	socket->abilities = fake_nft.abilities;
	socket->error[0] = '\0';
	return fake_nft_begin(FAKE_NFT_PROBE);
}

const char *nft_reason(const struct nft_socket *socket, int r)
{
	return socket->error[0] ? socket->error : strerror(-r);
}

/* Transactions */

int nft_commit(struct nft_socket *socket, const struct op *ops, size_t count, int64_t now)
{
	(void)now;
	int failure = fake_nft_begin(FAKE_NFT_COMMIT);
	if (failure < 0 && !fake_nft.fails_late)
		return fake_nft_error(socket, failure);
	long left = fake_nft_pause_failing();
	int r = fake_nft_take(ops, count);
	fake_nft_resume_failing(left);
	return fake_nft_error(socket, failure < 0 ? failure : r);
}

/* Reading */

int nft_read_info(struct nft_socket *socket, struct nft_table_info *ret)
{
	*ret = (struct nft_table_info){ fake_nft.exists, fake_nft.flags, fake_nft.owner, fake_nft.layout };
	return fake_nft_error(socket, fake_nft_begin(FAKE_NFT_READ_INFO));
}

int nft_read_table(struct nft_socket *socket, struct ruleset *ret, int64_t now, struct nft_table_state *ret_state)
{
	(void)now;
	*ret = (struct ruleset){ 0 };
	*ret_state = (struct nft_table_state){ fake_nft.foreign, fake_nft.torn };
	int r = fake_nft_begin(FAKE_NFT_READ_TABLE);
	if (r < 0)
		return fake_nft_error(socket, r);
	long left = fake_nft_pause_failing();
	fake_nft_copy(ret, &fake_nft.table);
	fake_nft_resume_failing(left);
	return 0;
}

int nft_read_chain(struct nft_socket *socket, const char *name, struct ruleset *ret)
{
	struct chain *chain = ruleset_find_chain(&fake_nft.table, name), none = { .name = name };
	struct ruleset one = { .chains = { .items = chain ? chain : &none, .count = 1 } };

	*ret = (struct ruleset){ 0 };
	int r = fake_nft_begin(FAKE_NFT_READ_CHAIN);
	if (r < 0)
		return fake_nft_error(socket, r);
	long left = fake_nft_pause_failing();
	fake_nft_copy(ret, &one);
	fake_nft_resume_failing(left);
	return 0;
}

void fake_nft_count(const char *counter, uint64_t packets, uint64_t bytes)
{
	size_t i = 0;

	while (i < counter_count && strcmp(counters[i].name, counter) != 0)
		i++;
	fake_nft_must(i < COUNTERS_MAX);
	counters[i] = (struct nft_counter){ .packets = packets, .bytes = bytes };
	snprintf(counters[i].name, sizeof(counters[i].name), "%s", counter);
	if (i == counter_count)
		counter_count++;
}

int nft_read_counters(struct nft_socket *socket, struct nft_counters *ret)
{
	*ret = (struct nft_counters){ 0 };
	int r = fake_nft_begin(FAKE_NFT_READ_COUNTERS);
	if (r < 0 || !fake_nft.exists)
		return fake_nft_error(socket, r);
	long left = fake_nft_pause_failing();
	for (size_t i = 0; i < counter_count; i++)
		fake_nft_must(ARRAY_PUSH(ret, counters[i]) == 0);
	for (size_t i = 0; i < fake_nft.table.counters.count; i++) {
		struct nft_counter zero = { .packets = 0 };
		snprintf(zero.name, sizeof(zero.name), "%s", fake_nft.table.counters.items[i]);
		size_t j = 0;
		while (j < ret->count && strcmp(ret->items[j].name, zero.name) != 0)
			j++;
		fake_nft_must(j < ret->count || ARRAY_PUSH(ret, zero) == 0);
	}
	fake_nft_resume_failing(left);
	return 0;
}

/* Notices */

static struct nft_monitor {
	void (*changed)(void *userdata, const char *what);
	void (*others_changed)(void *userdata);
	void *userdata;
	const char *queue[QUEUE_MAX];
	size_t queued;
} monitor;

int nft_monitor_new(struct nft_monitor **ret, sd_event *event, uint32_t own_port,
		    void (*changed)(void *userdata, const char *what), void (*others_changed)(void *userdata),
		    void *userdata)
{
	(void)event;
	(void)own_port;
	int r = fake_nft_begin(FAKE_NFT_MONITOR);
	if (r < 0)
		return r;
	monitor = (struct nft_monitor){ .changed = changed, .others_changed = others_changed, .userdata = userdata };
	fake_nft.monitor_priority = SD_EVENT_PRIORITY_NORMAL;
	fake_nft.open++;
	*ret = &monitor;
	return 0;
}

void nft_monitor_free(struct nft_monitor *gone)
{
	fake_nft.open -= gone != NULL;
}

void nft_monitor_set_priority(struct nft_monitor *self, int64_t priority)
{
	(void)self;
	fake_nft.monitor_priority = priority;
}

bool nft_monitor_drain(struct nft_monitor *self)
{
	size_t count = self->queued;

	self->queued = 0;
	for (size_t i = 0; i < count; i++)
		fake_nft_notice(self->queue[i]);
	return count;
}

void fake_nft_notice(const char *what)
{
	if (!what)
		monitor.others_changed(monitor.userdata);
	monitor.changed(monitor.userdata, what);
}

void fake_nft_foreign_notice(void)
{
	monitor.others_changed(monitor.userdata);
}

void fake_nft_queue_notice(const char *what)
{
	fake_nft_must(monitor.queued < QUEUE_MAX);
	monitor.queue[monitor.queued++] = what;
}
