/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "clock.h"
#include "core/unfit.h"
#include "gateway/names_parts.h"
#include "log.h"
#include "state_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SAVE_SOON_MS = 1000, /* a disk takes its time, and the next answer may be waiting */
	SAVE_EVERY_MS = 5 * 60 * 1000,
	QUERY_STEP_MS = 4, /* one query in that time, but for ... */
	QUERY_BURST = 32,  /* ... so many */
	QUERY_ALL_EVERY_MS = 5000,
	HELD_FILE_MAX = 64 * 1024 * 1024, /* bytes */
};

#define HELD_FILE "held"

static const char *const families[] = { "IPv4", "IPv6" };

void names_see_state(const struct names *names, const struct book_entry *entry, enum book_state before)
{
	if (before == entry->state)
		return;
	int priority = entry->state == BOOK_FAILING || entry->state == BOOK_STALE ? LOG_WARNING : LOG_INFO;
	log_message(priority, "%s (%s): %s, %zu address%s%s%s", entry->name, families[entry->family],
		    book_state_name(entry->state), entry->address_count, entry->address_count == 1 ? "" : "es",
		    entry->last_error[0] ? ": " : "", entry->last_error);
	names->events.state_changed(names->userdata);
}

void names_log_refused(const struct names *names, const struct book_entry *entry, uint64_t mark)
{
	char text[ADDR_TEXT_MAX];

	if (!entry->refused_mark || entry->refused_mark == mark)
		return;
	for (size_t i = 0; i < entry->refused_count; i++) {
		const struct book_refused *refused = &entry->refused_addresses[i];
		const struct policy_flow *flow = names_private_flow(names, entry->name, refused);
		log_warning("%s: the answer %s is %s: refused%s%s%s", entry->name, addr_format(&refused->addr, text),
			    book_refused_text(refused), flow ? "; allow_private = yes in [flow " : "",
			    flow ? flow->id : "", flow ? "] would let it in" : "");
	}
}

/* The book first, then the kernel, then what can wait. */
static void take_answer(struct names *names, const struct resolver_answer *answer, struct book_entry *entry,
			bool *ret_changed)
{
	int64_t now = now_ms();
	uint64_t refused = entry->refused_mark;
	enum book_state before =
		entry->ever_answered || entry->failures || entry->address_count ? entry->state : BOOK_EMPTY;

	int r = answer->silent ? addrbook_failed_silently(names->book, answer->name, answer->family, answer->error, now)
		: answer->error ? addrbook_failed(names->book, answer->name, answer->family, answer->error, now)
				: addrbook_answered(names->book, answer->name, answer->family, answer->addresses,
						    answer->count, answer->ttl_s, ORIGIN_QUERIED, now, ret_changed);
	/* Also mere confirmation: the kernel's timeouts are renewed when they have lost a part of their margin. */
	if (r == 0 && !answer->error) {
		names->events.changed(names->userdata, answer->name);
		r = aliases_set(&names->aliases, answer->name, answer->family, (const char *)answer->aliases,
				sizeof(*answer->aliases), answer->alias_count);
	}
	if (r == -ENOMEM)
		log_error("out of memory: an answer for %s is lost", answer->name);
	if (addrbook_find(names->book, answer->name, answer->family, entry) < 0)
		return;
	names_see_state(names, entry, before);
	names_note_held(names, entry);
	if (!answer->error)
		names_log_refused(names, entry, refused);
}

/* Whether it is the servers' fault or the name's shows by another name: the one that was queried longest ago is queried
 * now. */
static void query_another(struct names *names, const char *failed, int64_t now)
{
	struct book_entry entry, oldest = { .queried_ms = INT64_MAX };

	for (size_t i = 0; i < addrbook_count(names->book); i++) {
		addrbook_entry(names->book, i, &entry);
		if (entry.name[0] != '*' && !entry.unwanted && entry.silent_ms == INT64_MAX &&
		    entry.queried_ms < oldest.queried_ms && strcmp(entry.name, failed) != 0)
			oldest = entry;
	}
	if (oldest.queried_ms < now && !oldest.query_running)
		addrbook_query_by(names->book, oldest.name, oldest.family, now, now);
}

/* Whether the servers are there: by the first failure that they had nothing to do with, and by the first sign of life
 * after such. */
static void hear(struct names *names, const struct resolver_answer *answer)
{
	int64_t now = now_ms();
	struct book_entry entry;

	if (!answer->silent) {
		/* What waits for its next query, a quarter of an hour perhaps, need not. */
		if (names_servers_silent(names))
			names_query_all(names);
		names->heard_ms = now;
	} else if (addrbook_find(names->book, answer->name, answer->family, &entry) == 0 && entry.silent_ms == now) {
		query_another(names, answer->name, now);
	}
}

static void on_answer(void *userdata, const struct resolver_answer *answer)
{
	struct names *names = userdata;
	struct book_entry entry;
	bool changed = false, again = false;

	if (addrbook_find(names->book, answer->name, answer->family, &entry) == 0) {
		take_answer(names, answer, &entry, &changed);
		/* Someone waits, and it is tried again at once. */
		again = answer->error && entry.next_query_ms <= now_ms();
	}
	hear(names, answer);
	names->unsaved = true;
	if (changed)
		names_save_soon(names);
	else
		names_save(names);
	if (!again)
		names_answered(names, answer->name, answer->family);
	names_drive(names);
}

static void on_servers_changed(void *userdata)
{
	struct names *names = userdata;

	log_info("the system's DNS servers changed: all names are queried anew");
	addrbook_query_now(names->book, NULL, now_ms());
	names_drive(names);
}

static void on_timer(void *userdata)
{
	names_drive(userdata);
}

int names_new(struct names **ret, sd_event *event, struct helper *helper, const char *state,
	      const struct names_events *events, void *userdata)
{
	struct names *names = calloc(1, sizeof(*names));
	struct book_limits limits = { 0 }; /* names_begin() knows them */

	if (!names)
		return -ENOMEM;
	*names = (struct names){ .event = event,
				 .helper = helper,
				 .state = state,
				 .events = *events,
				 .userdata = userdata,
				 .heard_ms = INT64_MIN };
	int r = addrbook_new(&names->book, &limits, (uint32_t)now_ms() ^ (uint32_t)getpid() << 16);
	if (r == 0)
		r = timer_new(&names->timer, event, SD_EVENT_PRIORITY_NORMAL, on_timer, names);
	if (r < 0) {
		names_free(names);
		return r;
	}
	addrbook_set_refuses(names->book, events->refuses, userdata);
	*ret = names;
	return 0;
}

static struct book_limits limits_of(const struct policy_file *file)
{
	const struct policy *policy = &file->policy;

	return (struct book_limits){ policy->min_interval_ms, policy->max_interval_ms, policy->grace_ms,
				     policy->stale_ms };
}

/* old NULL: the servers may be others. */
static int follow_servers(struct names *names, const struct policy_file *old)
{
	static const struct resolver_events resolver_events = { on_answer, on_servers_changed };
	const struct policy_file *file = names->file;
	const struct dns_servers *servers = &file->policy.dns_servers;
	bool first = !names->resolver;
	int r = 0;

	if (old && policy_file_same_servers(old, file))
		return 0;
	if (first)
		r = resolver_new(&names->resolver, names->event, names->helper, &resolver_events, names);
	if (r == 0)
		r = resolver_set_servers(names->resolver, servers->system ? NULL : servers->items, servers->count);
	if (r < 0)
		return r;
	if (!first) /* others may answer differently; and what the old ones failed to answer must not wait */
		addrbook_query_now(names->book, NULL, now_ms());
	return 0;
}

static void load_held(struct names *names)
{
	char *text;
	size_t length;

	int r = state_load(names->state, HELD_FILE, HELD_FILE_MAX, &text, &length);
	if (r == 0) {
		r = held_from_text(&names->held, text);
		free(text);
	}
	if (r < 0 && r != -ENOENT)
		log_warning("what names have held in %s can't be read: %s", names->state, strerror(-r));
}

int names_begin(struct names *names, const struct policy_file *file)
{
	struct book_limits limits = limits_of(file);

	addrbook_set_limits(names->book, &limits);
	int r = names_want(names, &file->policy, NULL);
	if (r < 0)
		return r;
	r = state_load_addresses(names->state, names->book, now_ms(), wall_s());
	if (r < 0 && r != -ENOENT)
		log_warning("the remembered addresses in %s are not whole: %s", names->state, strerror(-r));
	load_held(names);
	names_note_all_held(names);
	names->file = file;
	r = follow_servers(names, NULL);
	if (r < 0)
		names->file = NULL;
	return r;
}

int names_want(struct names *names, const struct policy *policy, const struct policy *also)
{
	size_t room = policy->name_count + (also ? also->name_count : 0), count = 0;
	struct book_name *wanted = calloc(room + 1, sizeof(*wanted));
	int r = wanted ? 0 : -ENOMEM;

	for (int i = 0; r == 0 && i < 2; i++) {
		const struct policy *from = i ? also : policy;
		for (size_t n = 0; from && n < from->name_count; n++) {
			const struct policy_name *name = &from->names[n];
			if (name->used)
				wanted[count++] = (struct book_name){ name->name, name->allow_private, name->families };
		}
	}
	if (r == 0)
		r = addrbook_want(names->book, wanted, count, now_ms());
	free(wanted);
	names_forget_unwanted(names);
	return r;
}

int names_follow(struct names *names, const struct policy_file *old)
{
	struct book_limits limits = limits_of(names->file);

	addrbook_set_limits(names->book, &limits);
	int r = follow_servers(names, names->not_followed ? NULL : old);
	if (r == 0)
		r = names_want(names, &names->file->policy, NULL);
	if (r < 0 && !names->not_followed)
		log_error("can't follow the names of the new policy yet: %s", strerror(-r));
	names->not_followed = r < 0;
	addrbook_recheck(names->book);
	/* Also what addrbook_want() has dropped, of private addresses for one, is in the kernel still. */
	names->events.changed(names->userdata, NULL);
	names_drive(names);
	return r;
}

bool names_not_followed(const struct names *names)
{
	return names->not_followed;
}

bool names_recheck(struct names *names)
{
	return addrbook_recheck(names->book);
}

void names_query_all(struct names *names)
{
	int64_t now = now_ms(), earliest = names->all_queried_ms + QUERY_ALL_EVERY_MS;

	/* After many events the last change is queried as well, only later. */
	if (!names->all_due_ms)
		names->all_due_ms = names->all_queried_ms && earliest > now ? earliest : now;
	names_drive(names);
}

static void query_all_due(struct names *names, int64_t now)
{
	if (!names->all_due_ms || names->all_due_ms > now)
		return;
	addrbook_query_now(names->book, NULL, now);
	names->all_queried_ms = now;
	names->all_due_ms = 0;
}

/* A late timer, or many names of one moment, must not become a burst of queries. */
static void query_due(struct names *names, int64_t now)
{
	struct book_entry entry;

	while (names->query_budget_ms < now + QUERY_BURST * QUERY_STEP_MS &&
	       addrbook_take_due(names->book, now, &entry)) {
		names->query_budget_ms = (names->query_budget_ms > now ? names->query_budget_ms : now) + QUERY_STEP_MS;
		int r = resolver_query(names->resolver, entry.name, entry.family);
		if (r == 0)
			continue;
		addrbook_failed(names->book, entry.name, entry.family, strerror(-r), now);
		names_answered(names, entry.name, entry.family);
	}
}

static void save(struct names *names, int64_t now)
{
	int r = state_save_addresses(names->state, names->book, now, wall_s());
	char *held = held_text(&names->held);
	if (r == 0)
		r = held ? state_save(names->state, HELD_FILE, held, strlen(held)) : -ENOMEM;
	free(held);
	if (r < 0 && !names->save_failed)
		log_error("can't save the addresses in %s: %s", names->state, strerror(-r));
	names->save_failed = r < 0;
	names->saved_ms = now;
	names->save_due_ms = 0;
	names->unsaved = r < 0;
	if (r == 0)
		names->events.saved(names->userdata);
}

void names_save(struct names *names)
{
	int64_t now = now_ms();

	if (names->unsaved && now - names->saved_ms >= SAVE_EVERY_MS)
		save(names, now);
}

void names_save_soon(struct names *names)
{
	if (!names->save_due_ms)
		names->save_due_ms = now_ms() + SAVE_SOON_MS;
}

static void set_timer(struct names *names, int64_t now)
{
	const int64_t due[] = { names->save_due_ms, names->all_due_ms, names->losses_due_ms }; /* 0: none */
	int64_t budget = names->query_budget_ms - QUERY_BURST * QUERY_STEP_MS + 1;
	int64_t next = addrbook_next_event(names->book);

	if (next <= now && budget > now)
		next = budget;
	for (size_t i = 0; i < sizeof(due) / sizeof(due[0]); i++)
		if (due[i] && due[i] < next)
			next = due[i];
	if (next == INT64_MAX)
		timer_stop(names->timer);
	else
		timer_set_at(names->timer, next > now ? next : now + 1);
}

void names_drive(struct names *names)
{
	int64_t now = now_ms();

	if (!names->file)
		return;
	names_expire(names, now);
	query_all_due(names, now);
	names_query_lost(names, now);
	query_due(names, now);
	if (names->save_due_ms && names->save_due_ms <= now)
		save(names, now);
	set_timer(names, now);
}

size_t names_count(const struct names *names)
{
	return addrbook_count(names->book);
}

void names_entry(const struct names *names, size_t index, struct book_entry *ret)
{
	addrbook_entry(names->book, index, ret);
}

struct names_figures names_figures(const struct names *names)
{
	return (struct names_figures){
		.learned = names->learned,
		.denial_refused = names->denial_pace.refused,
		.denial_exhausted = query_pace_exhausted(&names->denial_pace, now_ms()),
	};
}

void names_free(struct names *names)
{
	if (!names)
		return;
	resolver_free(names->resolver);
	if (names->unsaved)
		save(names, now_ms());
	names_free_refreshes(names);
	addrbook_free(names->book);
	held_free(&names->held);
	aliases_free(&names->aliases);
	timer_free(names->timer);
	free(names);
}
