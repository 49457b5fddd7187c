/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_nft.h"
#include "clock.h"
#include "core/array.h"
#include "nft/cut.h"
#include "nft/foreign.h"
#include "nft/monitor.h"

#include <errno.h>
#include <stdio.h>
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

static long pause_failing(void)
{
	long left = -1;

	if (&allocations_left) {
		left = allocations_left;
		allocations_left = -1;
	}
	return left;
}

static void resume_failing(long left)
{
	if (&allocations_left)
		allocations_left = left;
}

static void must(bool worked)
{
	if (!worked)
		abort(); /* out of memory in earnest */
}

static void forget_table(void)
{
	ruleset_free(&fake_nft.table);
	cut_list_free(&fake_nft.cut);
	fake_nft.exists = fake_nft.foreign = false;
	fake_nft.flags = fake_nft.owner = 0;
	fake_nft.layout = 0;
	fake_nft.marked_until_ms = 0;
	counter_count = 0;
}

void fake_nft_flush(void)
{
	forget_table();
}

void fake_nft_reset(void)
{
	forget_table();
	fake_nft = (struct fake_nft){ .cut_size = CUT_SET_SIZE, .abilities = { true, true } };
	memset(failures, 0, sizeof(failures));
}

void fake_nft_fail(enum fake_nft_call call, size_t skip, size_t times, int r)
{
	failures[call].skip = skip;
	failures[call].times = times;
	failures[call].r = r;
}

/* 0, or what this call fails with. */
static int begin_call(enum fake_nft_call call)
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

static int fail(struct nft_socket *socket, int r)
{
	if (r < 0)
		snprintf(socket->error, sizeof(socket->error), "the fake kernel refused: %s", strerror(-r));
	return r;
}

/* Sockets */

int nft_open(struct nft_socket *ret, int stored_fd)
{
	*ret = (struct nft_socket){ .sequence = 1 };
	int r = begin_call(FAKE_NFT_OPEN);
	if (r < 0)
		return fail(ret, r);
	long left = pause_failing();
	ret->writer = mnl_socket_fdopen(stored_fd >= 0 ? stored_fd : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	resume_failing(left);
	must(ret->writer);
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
	return begin_call(FAKE_NFT_PROBE);
}

const char *nft_reason(const struct nft_socket *socket, int r)
{
	return socket->error[0] ? socket->error : strerror(-r);
}

/* Copies of rulesets */

static const char *copy_name(struct ruleset *out, const char *name)
{
	return name ? ruleset_string(out, "%s", name) : NULL;
}

static struct element copy_element(struct ruleset *out, const struct element *element)
{
	struct element copy = *element;

	copy.chain = copy_name(out, element->chain);
	return copy;
}

/* Without what has run out. */
static void copy_set(struct ruleset *out, const struct set *set, int64_t now_ms)
{
	struct set *copy = ruleset_set(out, copy_name(out, set->name), set->type, set->flags);

	copy->size = set->size;
	for (size_t i = 0; i < set->count; i++) {
		struct element element = copy_element(out, &set->items[i]);
		if (!(set->flags & SET_TIMEOUT) || element.deadline_ms > now_ms)
			set_add(out, copy, &element);
	}
}

static void copy_rule(struct ruleset *out, struct chain *chain, const struct rule *rule)
{
	struct rule *copy = chain_rule(out, chain);

	for (size_t i = 0; i < rule->count; i++) {
		struct term term = rule->items[i];
		term.name = copy_name(out, term.name);
		rule_add(out, copy, &term);
	}
}

static void copy_chain(struct ruleset *out, const struct chain *chain, bool with_rules)
{
	struct chain *copy = ruleset_chain(out, copy_name(out, chain->name));

	copy->hook = chain->hook;
	copy->priority = chain->priority;
	copy->nat = chain->nat;
	copy->rules_unknown = !with_rules;
	for (size_t i = 0; with_rules && i < chain->count; i++)
		copy_rule(out, copy, &chain->items[i]);
}

static void copy_ruleset(struct ruleset *out, const struct ruleset *from, bool with_rules)
{
	*out = (struct ruleset){ 0 };
	for (size_t i = 0; i < from->counters.count; i++)
		ruleset_counter(out, copy_name(out, from->counters.items[i]));
	for (size_t i = 0; i < from->sets.count; i++)
		copy_set(out, &from->sets.items[i], now_ms());
	for (size_t i = 0; i < from->chains.count; i++)
		copy_chain(out, &from->chains.items[i], with_rules);
	must(ruleset_finish(out) == 0);
}

/* Transactions: a draft of the table becomes the table where nothing was refused. */

struct draft {
	bool exists, anew; /* another table than the one that was there */
	uint32_t flags, owner;
	int layout;
	struct ruleset table;
};

static bool refers(const struct term *term, enum term_kind kind, const char *name)
{
	return term->kind == kind && term->name && strcmp(term->name, name) == 0;
}

static bool is_used(const struct ruleset *table, const char *name, bool chain)
{
	for (size_t c = 0; c < table->chains.count; c++)
		for (size_t r = 0; r < table->chains.items[c].count; r++)
			for (size_t t = 0; t < table->chains.items[c].items[r].count; t++) {
				const struct term *term = &table->chains.items[c].items[r].items[t];
				if (chain ? refers(term, TERM_ACTION, name)
					  : refers(term, TERM_IN, name) || refers(term, TERM_MAP, name))
					return true;
			}
	for (size_t s = 0; chain && s < table->sets.count; s++)
		for (size_t e = 0; e < table->sets.items[s].count; e++)
			if (table->sets.items[s].items[e].chain &&
			    strcmp(table->sets.items[s].items[e].chain, name) == 0)
				return true;
	return false;
}

static int change_table(struct draft *draft, enum op_kind kind)
{
	if (kind == OP_TABLE_DELETE || kind == OP_TABLE_CLAIM)
		if (!draft->exists)
			return -ENOENT;
	if (kind == OP_TABLE_DELETE) {
		ruleset_free(&draft->table);
		*draft = (struct draft){ .anew = true };
		return 0;
	}
	if (!draft->exists)
		draft->layout = TABLE_LAYOUT;
	draft->exists = true;
	if (fake_nft.abilities.owner) {
		draft->flags = TABLE_OWNED;
		draft->owner = FAKE_NFT_PORT;
	}
	return 0;
}

static int change_set(struct draft *draft, const struct op *op)
{
	struct set *set = ruleset_find_set(&draft->table, op->name);

	if (op->kind == OP_SET_DELETE) {
		if (!set || is_used(&draft->table, op->name, false))
			return set ? -EBUSY : -ENOENT;
		free(set->items);
		*set = draft->table.sets.items[--draft->table.sets.count];
		return 0;
	}
	if (set)
		return set->type == op->set->type && set->flags == op->set->flags ? 0 : -EEXIST;
	struct set empty = *op->set;
	empty.count = 0;
	copy_set(&draft->table, &empty, 0);
	return 0;
}

static void free_rules(struct chain *chain)
{
	for (size_t i = 0; i < chain->count; i++)
		free(chain->items[i].items);
	chain->count = 0;
}

static int change_chain(struct draft *draft, const struct op *op)
{
	struct chain *chain = ruleset_find_chain(&draft->table, op->name);

	if (op->kind == OP_CHAIN_ADD) {
		struct chain empty = *op->chain;
		empty.count = 0;
		if (!chain)
			copy_chain(&draft->table, &empty, true);
		return 0;
	}
	if (!chain)
		return -ENOENT;
	if (op->kind == OP_RULES_FLUSH) {
		free_rules(chain);
		return 0;
	}
	if (is_used(&draft->table, op->name, true))
		return -EBUSY;
	free_rules(chain);
	free(chain->items);
	*chain = draft->table.chains.items[--draft->table.chains.count];
	return 0;
}

static int add_rule(struct draft *draft, const struct op *op)
{
	struct chain *chain = ruleset_find_chain(&draft->table, op->name);

	if (!chain)
		return -ENOENT;
	for (size_t i = 0; i < op->rule->count; i++) {
		const struct term *term = &op->rule->items[i];
		bool set = term->kind == TERM_IN || term->kind == TERM_MAP,
		     jump = term->kind == TERM_ACTION && term->name;
		if ((set && !ruleset_find_set(&draft->table, term->name)) ||
		    (jump && !ruleset_find_chain(&draft->table, term->name)) ||
		    (term->kind == TERM_COUNTER && !ruleset_has_counter(&draft->table, term->name)))
			return -ENOENT;
	}
	copy_rule(&draft->table, chain, op->rule);
	return 0;
}

static struct element *find_element(const struct set *set, const struct element *element)
{
	for (size_t i = 0; i < set->count; i++)
		if (element_compare(&set->items[i], element, KEY_SIZE_MAX) == 0)
			return &set->items[i];
	return NULL;
}

static int change_elements(struct draft *draft, const struct op *op)
{
	struct set *set = ruleset_find_set(&draft->table, op->set->name);

	if (!set)
		return -ENOENT;
	for (size_t i = 0; i < op->element_count; i++) {
		struct element *found = find_element(set, op->elements[i]);
		if (op->kind == OP_ELEMENTS_DELETE) {
			if (!found)
				return -ENOENT;
			*found = set->items[--set->count];
		} else if (found) {
			if (op->kind == OP_ELEMENTS_REARM)
				found->deadline_ms = op->elements[i]->deadline_ms;
			else if (found->action != op->elements[i]->action)
				return -EEXIST;
		} else {
			struct element element = copy_element(&draft->table, op->elements[i]);
			set_add(&draft->table, set, &element);
		}
	}
	return ruleset_finish(&draft->table);
}

static int take_op(struct draft *draft, const struct op *op)
{
	if (!draft->exists && op->kind > OP_TABLE_CLAIM)
		return -ENOENT;
	switch (op->kind) {
	case OP_TABLE_DELETE:
	case OP_TABLE_ADD:
	case OP_TABLE_CLAIM: return change_table(draft, op->kind);
	case OP_COUNTER_ADD:
		if (!ruleset_has_counter(&draft->table, op->name))
			ruleset_counter(&draft->table, copy_name(&draft->table, op->name));
		return 0;
	case OP_SET_ADD:
	case OP_SET_DELETE: return change_set(draft, op);
	case OP_CHAIN_ADD:
	case OP_CHAIN_DELETE:
	case OP_RULES_FLUSH: return change_chain(draft, op);
	case OP_RULE_ADD: return add_rule(draft, op);
	case OP_ELEMENTS_ADD:
	case OP_ELEMENTS_DELETE:
	case OP_ELEMENTS_REARM: return change_elements(draft, op);
	}
	return -EINVAL;
}

static int take_batch(const struct op *ops, size_t count)
{
	struct draft draft = {
		.exists = fake_nft.exists, .flags = fake_nft.flags, .owner = fake_nft.owner, .layout = fake_nft.layout
	};
	int r = 0;

	copy_ruleset(&draft.table, &fake_nft.table, true);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = take_op(&draft, &ops[i]);
	must(!draft.table.failed);
	if (r < 0) {
		ruleset_free(&draft.table);
		return r;
	}
	if (draft.anew)
		forget_table();
	ruleset_free(&fake_nft.table);
	fake_nft.table = draft.table;
	fake_nft.exists = draft.exists;
	fake_nft.flags = draft.flags;
	fake_nft.owner = draft.owner;
	fake_nft.layout = draft.layout;
	fake_nft.batches++;
	return 0;
}

int nft_commit(struct nft_socket *socket, const struct op *ops, size_t count, int64_t now)
{
	(void)now;
	int failure = begin_call(FAKE_NFT_COMMIT);
	if (failure < 0 && !fake_nft.fails_late)
		return fail(socket, failure);
	long left = pause_failing();
	int r = take_batch(ops, count);
	resume_failing(left);
	return fail(socket, failure < 0 ? failure : r);
}

/* Reading */

int nft_read_info(struct nft_socket *socket, struct nft_table_info *ret)
{
	*ret = (struct nft_table_info){ fake_nft.exists, fake_nft.flags, fake_nft.owner, fake_nft.layout };
	return fail(socket, begin_call(FAKE_NFT_READ_INFO));
}

int nft_read_table(struct nft_socket *socket, struct ruleset *ret, int64_t now, bool *ret_foreign)
{
	(void)now;
	*ret = (struct ruleset){ 0 };
	*ret_foreign = fake_nft.foreign;
	int r = begin_call(FAKE_NFT_READ_TABLE);
	if (r < 0)
		return fail(socket, r);
	long left = pause_failing();
	copy_ruleset(ret, &fake_nft.table, false);
	resume_failing(left);
	return 0;
}

void fake_nft_count(const char *counter, uint64_t packets, uint64_t bytes)
{
	size_t i = 0;

	while (i < counter_count && strcmp(counters[i].name, counter) != 0)
		i++;
	must(i < COUNTERS_MAX);
	counters[i] = (struct nft_counter){ .packets = packets, .bytes = bytes };
	snprintf(counters[i].name, sizeof(counters[i].name), "%s", counter);
	if (i == counter_count)
		counter_count++;
}

int nft_read_counters(struct nft_socket *socket, struct nft_counters *ret)
{
	*ret = (struct nft_counters){ 0 };
	int r = begin_call(FAKE_NFT_READ_COUNTERS);
	if (r < 0 || !fake_nft.exists)
		return fail(socket, r);
	long left = pause_failing();
	for (size_t i = 0; i < counter_count; i++)
		must(ARRAY_PUSH(ret, counters[i]) == 0);
	for (size_t i = 0; i < fake_nft.table.counters.count; i++) {
		struct nft_counter zero = { .packets = 0 };
		snprintf(zero.name, sizeof(zero.name), "%s", fake_nft.table.counters.items[i]);
		size_t j = 0;
		while (j < ret->count && strcmp(ret->items[j].name, zero.name) != 0)
			j++;
		must(j < ret->count || ARRAY_PUSH(ret, zero) == 0);
	}
	resume_failing(left);
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
	int r = begin_call(FAKE_NFT_MONITOR);
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
	must(monitor.queued < QUEUE_MAX);
	monitor.queue[monitor.queued++] = what;
}

/* What was cut */

static bool is_fresh(void *userdata, const struct cut_entry *entry)
{
	(void)userdata;
	return entry->deadline_ms > now_ms();
}

static void let_run_out(void)
{
	cut_list_filter(&fake_nft.cut, is_fresh, NULL);
	if (fake_nft.marked_until_ms <= now_ms())
		fake_nft.marked_until_ms = 0;
}

static int begin_cut(enum fake_nft_call call)
{
	let_run_out();
	int r = begin_call(call);
	return r < 0 || fake_nft.exists ? r : -ENOENT;
}

int nft_cut_read(struct nft_socket *socket, struct cut_list *ret, bool *ret_full, int64_t now)
{
	(void)now;
	*ret = (struct cut_list){ 0 };
	let_run_out();
	int r = begin_call(FAKE_NFT_CUT_READ);
	if (r < 0)
		return fail(socket, r);
	size_t hidden = fake_nft.cut_hidden < fake_nft.cut.count ? fake_nft.cut_hidden : fake_nft.cut.count;
	fake_nft.cut_hidden = 0;
	long left = pause_failing();
	for (size_t i = hidden; i < fake_nft.cut.count; i++)
		must(cut_list_add(ret, &fake_nft.cut.items[i]) == 0);
	resume_failing(left);
	*ret_full = fake_nft.marked_until_ms != 0;
	return 0;
}

static int add_entry(const struct cut_entry *entry, bool again)
{
	struct cut_entry *there = (struct cut_entry *)cut_list_find(&fake_nft.cut, entry);

	if (there && again)
		*there = *entry;
	if (there)
		return 0;
	if (cut_list_count(&fake_nft.cut, entry->own.family) >= fake_nft.cut_size)
		return -ENFILE;
	must(cut_list_add(&fake_nft.cut, entry) == 0);
	cut_list_finish(&fake_nft.cut);
	return 0;
}

int nft_cut_add(struct nft_socket *socket, const struct cut_list *list, bool again, int64_t now, size_t *ret_written)
{
	(void)now;
	*ret_written = 0;
	int r = begin_cut(FAKE_NFT_CUT_ADD);
	long left = pause_failing();
	while (r == 0 && *ret_written < list->count) {
		r = add_entry(&list->items[*ret_written], again);
		*ret_written += r == 0;
	}
	resume_failing(left);
	return fail(socket, r);
}

static bool is_not_in(void *userdata, const struct cut_entry *entry)
{
	return !cut_list_find(userdata, entry);
}

int nft_cut_delete(struct nft_socket *socket, const struct cut_list *list)
{
	int r = begin_cut(FAKE_NFT_CUT_DELETE);

	for (size_t i = 0; r == 0 && i < list->count; i++)
		r = cut_list_find(&fake_nft.cut, &list->items[i]) ? 0 : -ENOENT;
	if (r == 0)
		cut_list_filter(&fake_nft.cut, is_not_in, (void *)list);
	return fail(socket, r);
}

int nft_cut_mark_full(struct nft_socket *socket)
{
	int r = begin_cut(FAKE_NFT_CUT_MARK);

	if (r == 0)
		fake_nft.marked_until_ms = now_ms() + CUT_MEMORY_MS;
	return fail(socket, r);
}

int nft_cut_unmark_full(struct nft_socket *socket)
{
	int r = begin_cut(FAKE_NFT_CUT_UNMARK);

	if (r == 0 && !fake_nft.marked_until_ms)
		r = -ENOENT;
	if (r == 0)
		fake_nft.marked_until_ms = 0;
	return fail(socket, r);
}

/* Tables of other programs */

struct foreign_reading {
	struct nft_socket *socket;
	struct foreign_tables *out;
	size_t slices;
};

int nft_foreign_begin(struct foreign_reading **ret, struct nft_socket *socket, struct foreign_tables *out,
		      unsigned effects)
{
	struct foreign_reading *reading = calloc(1, sizeof(*reading));

	(void)effects;
	*out = (struct foreign_tables){ .incomplete = false };
	if (!reading)
		return -ENOMEM;
	*reading = (struct foreign_reading){ socket, out, fake_nft.foreign_slices };
	fake_nft.open++;
	*ret = reading;
	return 0;
}

int nft_foreign_some(struct foreign_reading *reading)
{
	int r = begin_call(FAKE_NFT_FOREIGN);

	if (r < 0)
		return fail(reading->socket, r);
	if (reading->slices) {
		reading->slices--;
		return 1;
	}
	long left = pause_failing();
	r = fake_nft.foreign_tables ? fake_nft.foreign_tables(reading->out) : 0;
	resume_failing(left);
	return r;
}

void nft_foreign_end(struct foreign_reading *reading)
{
	fake_nft.open -= reading != NULL;
	free(reading);
}
