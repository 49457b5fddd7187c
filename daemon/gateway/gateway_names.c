/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/conntrack.h"
#include "core/array.h"
#include "gateway/gateway.h"
#include "log.h"
#include "control/report.h"
#include "state_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	SAVE_SOON_MS = 1000, /* a disk takes its time, and the next answer may be waiting */
	SAVE_EVERY_MS = 5 * 60 * 1000,
	ASK_STEP_MS = 4, /* one query in that time, but for ... */
	ASK_BURST = 32,  /* ... so many */
	HURRY_EVERY_MS = 5000,
	USED_EVERY_MS = 30 * 1000,
	REFUSED_LOGGED = 8,               /* addresses of one answer */
	HELD_FILE_MAX = 64 * 1024 * 1024, /* bytes */
};

#define HELD_FILE "held"

/* A caller of Refresh, until each (name, family) it asked for has an answer. */
struct refresh {
	struct refresh *next;
	struct control_call *call;
	struct awaited {
		char *name;
		enum family family;
	} * awaited;
	size_t count;
};

static bool is_our_own(void *userdata, const struct addr *addr)
{
	struct gateway *gateway = userdata;

	if (ranges_contains(links_gateway_addresses(gateway->links), addr))
		return true;
	const struct policy *policy = &gateway->file.policy;
	for (size_t i = 0; i < policy->role_count; i++)
		if (policy->roles[i].is_protected && ranges_contains(&policy->roles[i].members.ranges, addr))
			return true;
	return false;
}

static void log_state(const char *name, enum family family, enum book_state before, const struct book_entry *entry)
{
	static const char *const families[] = { "IPv4", "IPv6" };

	if (before == entry->state)
		return;
	int priority = entry->state == BOOK_FAILING || entry->state == BOOK_STALE ? LOG_WARNING : LOG_INFO;
	log_message(priority, "%s (%s): %s, %zu addresses%s%s", name, families[family], book_state_name(entry->state),
		    entry->address_count, entry->last_error[0] ? ": " : "", entry->last_error);
}

static void answer_refreshes(struct gateway *gateway, const char *name, enum family family);

void gateway_names_refused(struct gateway *gateway, const struct book_entry *entry, uint64_t mark,
			   const struct addr *addresses, size_t count)
{
	char text[ADDR_TEXT_MAX];
	size_t logged = 0;

	if (!entry->refused_mark || entry->refused_mark == mark)
		return;
	for (size_t i = 0; i < count && logged < REFUSED_LOGGED; i++) {
		const char *why = address_unfit(&addresses[i], entry->allow_private);
		if (!why && is_our_own(gateway, &addresses[i]))
			why = "the server's or this gateway's own";
		if (!why)
			continue;
		log_warning("%s: the answer %s is %s: refused", entry->name, addr_format(&addresses[i], text), why);
		logged++;
	}
}

/* Every address that a name has now, it has held; but what the server alone was answered is not remembered, and stays
 * in the book as long as a connection uses it. */
static void note_held(struct gateway *gateway, const struct book_entry *entry)
{
	int64_t wall_s = (int64_t)time(NULL);

	for (size_t i = 0; i < entry->address_count; i++)
		if (entry->addresses[i].origin != ORIGIN_OBSERVED &&
		    held_note(&gateway->held, entry->name, &entry->addresses[i].addr, wall_s) < 0)
			log_error("out of memory: an address that %s has held is forgotten", entry->name);
}

static void note_all_held(struct gateway *gateway)
{
	struct book_entry entry;

	for (size_t i = 0; i < addrbook_count(gateway->book); i++) {
		addrbook_entry(gateway->book, i, &entry);
		note_held(gateway, &entry);
	}
}

void gateway_names_noted(struct gateway *gateway, const char *name, enum family family)
{
	struct book_entry entry;

	if (addrbook_find(gateway->book, name, family, &entry) == 0)
		note_held(gateway, &entry);
	gateway->addresses_dirty = true;
}

static void on_answer(void *userdata, const struct resolver_answer *answer)
{
	struct gateway *gateway = userdata;
	struct book_entry entry;
	int64_t now = now_ms();
	bool changed = false, again = false;

	if (addrbook_find(gateway->book, answer->name, answer->family, &entry) == 0) {
		uint64_t refused = entry.refused_mark;
		enum book_state before =
			entry.ever_answered || entry.failures || entry.address_count ? entry.state : BOOK_EMPTY;
		int r = answer->error
				? addrbook_failed(gateway->book, answer->name, answer->family, answer->error, now)
				: addrbook_answered(gateway->book, answer->name, answer->family, answer->addresses,
						    answer->count, answer->ttl_s, ORIGIN_QUERIED, now, &changed);
		/* Also mere confirmation: the kernel's timeouts are made anew when they have lost a part of their
		 * margin. */
		if (r == 0 && !answer->error)
			gateway_apply_name(gateway, answer->name);
		if (r == 0 && !answer->error)
			r = aliases_set(&gateway->aliases, answer->name, answer->family, (const char *)answer->aliases,
					sizeof(*answer->aliases), answer->alias_count);
		if (r == -ENOMEM)
			log_error("out of memory: an answer for %s is lost", answer->name);
		if (addrbook_find(gateway->book, answer->name, answer->family, &entry) == 0) {
			log_state(answer->name, answer->family, before, &entry);
			note_held(gateway, &entry);
			if (!answer->error)
				gateway_names_refused(gateway, &entry, refused, answer->addresses, answer->count);
			again = answer->error &&
				entry.next_query_ms <= now; /* someone waits, and it is tried again at once */
		}
	}
	gateway->addresses_dirty = true;
	gateway_names_save(gateway, changed);
	if (!again)
		answer_refreshes(gateway, answer->name, answer->family);
	gateway_names_drive(gateway);
}

static void on_servers_changed(void *userdata)
{
	struct gateway *gateway = userdata;

	log_info("the system's DNS servers changed: all names are asked anew");
	addrbook_query_now(gateway->book, NULL, now_ms());
	gateway_names_drive(gateway);
}

static struct book_limits limits_of(const struct policy_file *file)
{
	return (struct book_limits){ file->min_interval_ms, file->max_interval_ms, file->grace_ms, file->stale_ms };
}

int gateway_names_limits(struct gateway *gateway, const struct policy_file *old)
{
	const struct policy_file *file = &gateway->file;
	struct book_limits limits = limits_of(file);
	struct resolver *resolver;

	addrbook_set_limits(gateway->book, &limits);
	if (old && policy_file_same_servers(old, file))
		return 0;
	int r = resolver_new(&resolver, gateway->event, file->dns_system ? NULL : file->dns_servers,
			     file->dns_server_count, on_answer, on_servers_changed, gateway);
	if (r < 0)
		return r;
	resolver_free(gateway->resolver);
	gateway->resolver = resolver;
	/* What was under way with the old one is asked of the new one. */
	for (size_t i = 0; i < addrbook_count(gateway->book); i++) {
		struct book_entry entry;
		addrbook_entry(gateway->book, i, &entry);
		if (entry.query_running && resolver_query(resolver, entry.name, entry.family) < 0)
			addrbook_failed(gateway->book, entry.name, entry.family, "not asked", now_ms());
	}
	if (old) /* others may say something else; and what the old ones failed to say must not wait any longer */
		addrbook_query_now(gateway->book, NULL, now_ms());
	return 0;
}

static void load_held(struct gateway *gateway)
{
	char *text;
	size_t length;

	int r = state_load(gateway->paths.state, HELD_FILE, HELD_FILE_MAX, &text, &length);
	if (r == 0) {
		r = held_from_text(&gateway->held, text);
		free(text);
	}
	if (r < 0 && r != -ENOENT)
		log_warning("what names have held in %s can't be read: %s", gateway->paths.state, strerror(-r));
}

static int on_names_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	gateway_names_drive(userdata);
	return 0;
}

int gateway_names_begin(struct gateway *gateway)
{
	struct book_limits limits = limits_of(&gateway->file);
	int64_t now = now_ms();

	int r = addrbook_new(&gateway->book, &limits, (uint32_t)now ^ (uint32_t)getpid() << 16);
	if (r < 0)
		return r;
	addrbook_set_refuses(gateway->book, is_our_own, gateway);
	r = gateway_names_want(gateway, &gateway->file.policy, NULL);
	if (r < 0)
		return r;
	r = state_load_addresses(gateway->paths.state, gateway->book, now, (int64_t)time(NULL));
	if (r < 0 && r != -ENOENT)
		log_warning("the remembered addresses in %s are not whole: %s", gateway->paths.state, strerror(-r));
	/* An accuracy of 1 ms: by default it may come a quarter of a second late, and a denied SYN is sent again after
	 * one. */
	r = sd_event_add_time(gateway->event, &gateway->names_timer, CLOCK_BOOTTIME, 0, 1000, on_names_timer, gateway);
	if (r < 0)
		return r;
	sd_event_source_set_enabled(gateway->names_timer, SD_EVENT_OFF);
	load_held(gateway);
	note_all_held(gateway);
	return gateway_names_limits(gateway, NULL);
}

/* A name that no policy has any more is not waited for. */
static void forget_awaited(struct gateway *gateway)
{
	struct book_entry entry;
	struct refresh *refresh = gateway->refreshes;

	while (refresh) {
		struct refresh *next = refresh->next;
		const char *gone = NULL;
		for (size_t i = 0; i < refresh->count && !gone; i++)
			if (addrbook_find(gateway->book, refresh->awaited[i].name, refresh->awaited[i].family, &entry) <
			    0)
				gone = refresh->awaited[i].name;
		if (!gone) {
			refresh = next;
			continue;
		}
		char *name = strdup(gone);
		for (enum family family = 0; name && family < FAMILIES; family++)
			answer_refreshes(gateway, name, family);
		free(name);
		refresh = name ? gateway->refreshes : NULL;
	}
}

int gateway_names_want(struct gateway *gateway, const struct policy *policy, const struct policy *also)
{
	size_t room = policy->name_count + (also ? also->name_count : 0), count = 0;
	const char **names = calloc(room + 1, sizeof(*names));
	bool *private = calloc(room + 1, sizeof(*private));
	int r = names && private ? 0 : -ENOMEM;

	for (int i = 0; r == 0 && i < 2; i++) {
		const struct policy *from = i ? also : policy;
		for (size_t n = 0; from && n < from->name_count; n++) {
			const struct policy_name *name = &from->names[n];
			size_t at = 0;
			while (at < count && strcmp(names[at], name->name) != 0)
				at++;
			if (!name->used)
				continue;
			names[at] = name->name;
			private[at] |= name->allow_private;
			count = at == count ? count + 1 : count;
		}
	}
	if (r == 0)
		r = addrbook_want(gateway->book, names, private, count, now_ms());
	forget_awaited(gateway);
	free(names);
	free(private);
	return r;
}

/* The kernel must not drop what the book still has: grace may be longer than stale, and count from an observed TTL's
 * end. */
static int64_t deadline(const struct book_address *address, int64_t stale_ms, int64_t margin_ms)
{
	int64_t stale_end = address->origin == ORIGIN_OBSERVED ? 0 : address->confirmed_ms + stale_ms;
	return (address->expires_ms > stale_end ? address->expires_ms : stale_end) + margin_ms;
}

/* What was observed while a name was a target alone is not believed of it when it has become a source. */
static bool counts(const struct policy_name *name, const struct book_address *address)
{
	return name->observed || address->origin != ORIGIN_OBSERVED;
}

static int view_of(const struct policy_name *name, const struct book_entry *entry, int64_t stale_ms, int64_t margin_ms,
		   struct name_addresses *ret)
{
	ret->items = calloc(entry->address_count + 1, sizeof(*ret->items));
	if (!ret->items)
		return -ENOMEM;
	for (size_t i = 0; i < entry->address_count; i++)
		if (counts(name, &entry->addresses[i]))
			ret->items[ret->count++] =
				(struct name_address){ entry->addresses[i].addr,
						       deadline(&entry->addresses[i], stale_ms, margin_ms) };
	return 0;
}

int gateway_names_view(struct gateway *gateway, const struct policy *policy, struct names_view *ret)
{
	int64_t margin = name_margin_ms(policy->stale_ms);
	struct book_entry entry;

	*ret = (struct names_view){ .names = calloc(policy->name_count + 1, sizeof(*ret->names)),
				    .count = policy->name_count };
	if (!ret->names)
		return -ENOMEM;
	for (size_t i = 0; i < policy->name_count; i++)
		for (enum family family = 0; family < FAMILIES; family++)
			if (addrbook_find(gateway->book, policy->names[i].name, family, &entry) == 0 &&
			    view_of(&policy->names[i], &entry, policy->stale_ms, margin, &ret->names[i][family]) < 0)
				return -ENOMEM;
	return 0;
}

/* What the name has held, and what it has now: both ascend. */
static int held_view_of(const struct policy_name *name, const struct held_address *held, size_t count,
			const struct book_entry *entry, struct name_addresses *ret)
{
	size_t h = 0, b = 0;

	ret->items = calloc(count + entry->address_count + 1, sizeof(*ret->items));
	if (!ret->items)
		return -ENOMEM;
	while (h < count || b < entry->address_count) {
		int order = h == count                  ? 1
			    : b == entry->address_count ? -1
							: addr_compare(&held[h].addr, &entry->addresses[b].addr);
		const struct addr *addr = order > 0 ? &entry->addresses[b].addr : &held[h].addr;
		if (addr->family == entry->family && (order <= 0 || counts(name, &entry->addresses[b])))
			ret->items[ret->count++].addr = *addr;
		h += order <= 0;
		b += order >= 0;
	}
	return 0;
}

int gateway_names_held_view(struct gateway *gateway, const struct policy *policy, struct names_view *ret)
{
	*ret = (struct names_view){ .names = calloc(policy->name_count + 1, sizeof(*ret->names)),
				    .count = policy->name_count };
	if (!ret->names)
		return -ENOMEM;
	note_all_held(gateway); /* what came from the elements of an adopted table is in no file yet */
	for (size_t i = 0; i < policy->name_count; i++) {
		size_t count;
		const struct held_address *held = held_of(&gateway->held, policy->names[i].name, &count);
		for (enum family family = 0; family < FAMILIES; family++) {
			struct book_entry entry = { .family = family };
			addrbook_find(gateway->book, policy->names[i].name, family, &entry);
			if (held_view_of(&policy->names[i], held, count, &entry, &ret->names[i][family]) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

static void save(struct gateway *gateway, int64_t now)
{
	int r = state_save_addresses(gateway->paths.state, gateway->book, now, (int64_t)time(NULL));
	char *held = held_text(&gateway->held);
	if (r == 0)
		r = held ? state_save(gateway->paths.state, HELD_FILE, held, strlen(held)) : -ENOMEM;
	free(held);
	if (r < 0 && !gateway->save_failed)
		log_error("can't save the addresses in %s: %s", gateway->paths.state, strerror(-r));
	gateway->save_failed = r < 0;
	gateway->saved_ms = now;
	gateway->save_due_ms = 0;
	gateway->addresses_dirty = r < 0;
	if (r == 0)
		gateway_keep_again(gateway);
}

/* Observed addresses whose time is over, and whether a connection uses them. */
struct ending {
	struct ending_address {
		struct addr addr;
		bool used;
	} * items; /* ascending */
	size_t count, capacity;
};

static int ending_order(const void *a, const void *b)
{
	return addr_compare(&((const struct ending_address *)a)->addr, &((const struct ending_address *)b)->addr);
}

static int find_ending(struct gateway *gateway, int64_t now, struct ending *ret)
{
	struct book_entry entry;

	for (size_t i = 0; i < addrbook_count(gateway->book); i++) {
		addrbook_entry(gateway->book, i, &entry);
		for (size_t a = 0; entry.next_expiry_ms <= now && a < entry.address_count; a++) {
			const struct book_address *address = &entry.addresses[a];
			struct ending_address item = { .addr = address->addr };
			if (address->origin == ORIGIN_OBSERVED && address->expires_ms <= now &&
			    ARRAY_PUSH(ret, item) < 0)
				return -ENOMEM;
		}
	}
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), ending_order);
	return 0;
}

static void see_used(void *userdata, const struct tracked *tracked)
{
	struct ending *ending = userdata;
	struct ending_address key = { .addr = tracked->packet.target };
	struct ending_address *found = bsearch(&key, ending->items, ending->count, sizeof(key), ending_order);

	if (found)
		found->used = true;
}

/* What was observed lives on as long as a connection uses it. Connections are not looked at more often than now and
 * then: the end waits. */
static void renew_used(struct gateway *gateway, int64_t now)
{
	bool lately = gateway->used_ms && now - gateway->used_ms < USED_EVERY_MS;
	struct ending ending = { 0 };
	bool renewed = false;

	if (addrbook_next_event(gateway->book) > now)
		return;
	int r = find_ending(gateway, now, &ending);
	if (r == 0 && ending.count && !lately) {
		gateway->used_ms = now;
		r = conntrack_look(&gateway->file.policy.protected_all, see_used, &ending);
	}
	int64_t until = lately ? gateway->used_ms + USED_EVERY_MS : now + USED_EVERY_MS;
	for (size_t i = 0; i < ending.count; i++) {
		if (r == 0 && !lately && !ending.items[i].used)
			continue;
		addrbook_used(gateway->book, &ending.items[i].addr, until);
		renewed = true;
	}
	free(ending.items);
	if (renewed)
		gateway_apply_names(gateway);
}

/* That the last address of a name is gone while DNS fails is what an administrator must hear. */
static void expire(struct gateway *gateway, int64_t now)
{
	struct book_entry entry;
	bool changed = false;

	renew_used(gateway, now);
	for (size_t i = 0; i < addrbook_count(gateway->book); i++) {
		addrbook_entry(gateway->book, i, &entry);
		enum book_state before = entry.state;
		if (!addrbook_expire_entry(gateway->book, i, now))
			continue;
		addrbook_entry(gateway->book, i, &entry);
		log_state(entry.name, entry.family, before, &entry);
		changed = true;
	}
	if (!changed)
		return;
	gateway->addresses_dirty = true;
	gateway_apply_names(gateway);
}

static void hurry_all(struct gateway *gateway, int64_t now)
{
	if (!gateway->hurry_due_ms || gateway->hurry_due_ms > now)
		return;
	addrbook_query_now(gateway->book, NULL, now);
	gateway->hurried_ms = now;
	gateway->hurry_due_ms = 0;
}

void gateway_names_hurry(struct gateway *gateway)
{
	int64_t now = now_ms(), earliest = gateway->hurried_ms + HURRY_EVERY_MS;

	/* What the last of many events changed is asked for as well, only later. */
	if (!gateway->hurry_due_ms)
		gateway->hurry_due_ms = gateway->hurried_ms && earliest > now ? earliest : now;
	gateway_names_drive(gateway);
}

void gateway_names_drive(struct gateway *gateway)
{
	struct book_entry entry;
	int64_t now = now_ms();

	if (!gateway->names_timer)
		return;
	expire(gateway, now);
	hurry_all(gateway, now);
	if (gateway->lost_due_ms && gateway->lost_due_ms <= now)
		gateway_observe_lost(gateway);
	/* A late timer, or many names of one moment, must not become a burst of queries. */
	while (gateway->ask_turn_ms < now + ASK_BURST * ASK_STEP_MS && addrbook_take_due(gateway->book, now, &entry)) {
		gateway->ask_turn_ms = (gateway->ask_turn_ms > now ? gateway->ask_turn_ms : now) + ASK_STEP_MS;
		int r = resolver_query(gateway->resolver, entry.name, entry.family);
		if (r < 0) {
			addrbook_failed(gateway->book, entry.name, entry.family, strerror(-r), now);
			answer_refreshes(gateway, entry.name, entry.family);
		}
	}
	if (gateway->save_due_ms && gateway->save_due_ms <= now)
		save(gateway, now);
	int64_t next = addrbook_next_event(gateway->book), turn = gateway->ask_turn_ms - ASK_BURST * ASK_STEP_MS + 1;
	if (next <= now && turn > now)
		next = turn;
	if (gateway->save_due_ms && gateway->save_due_ms < next)
		next = gateway->save_due_ms;
	if (gateway->hurry_due_ms && gateway->hurry_due_ms < next)
		next = gateway->hurry_due_ms;
	if (gateway->lost_due_ms && gateway->lost_due_ms < next)
		next = gateway->lost_due_ms;
	if (next == INT64_MAX) {
		sd_event_source_set_enabled(gateway->names_timer, SD_EVENT_OFF);
		return;
	}
	sd_event_source_set_time(gateway->names_timer, (uint64_t)(next > now ? next : now + 1) * 1000);
	sd_event_source_set_enabled(gateway->names_timer, SD_EVENT_ONESHOT);
}

void gateway_names_save(struct gateway *gateway, bool soon)
{
	int64_t now = now_ms();

	if (gateway->addresses_dirty && soon && !gateway->save_due_ms)
		gateway->save_due_ms = now + SAVE_SOON_MS;
	else if (gateway->addresses_dirty && !soon && now - gateway->saved_ms >= SAVE_EVERY_MS)
		save(gateway, now);
}

static void refresh_free(struct refresh *refresh)
{
	for (size_t i = 0; i < refresh->count; i++)
		free(refresh->awaited[i].name);
	free(refresh->awaited);
	free(refresh);
}

static void refresh_unlink(struct gateway *gateway, struct refresh *refresh)
{
	struct refresh **at = &gateway->refreshes;
	while (*at && *at != refresh)
		at = &(*at)->next;
	if (*at)
		*at = refresh->next;
}

static void answer_refreshes(struct gateway *gateway, const char *name, enum family family)
{
	struct refresh *next;

	for (struct refresh *refresh = gateway->refreshes; refresh; refresh = next) {
		next = refresh->next;
		/* A caller may have named it twice. */
		for (size_t i = refresh->count; i-- > 0;) {
			struct awaited *awaited = &refresh->awaited[i];
			if (awaited->family != family || strcmp(awaited->name, name) != 0)
				continue;
			free(awaited->name);
			*awaited = refresh->awaited[--refresh->count];
		}
		if (refresh->count)
			continue;
		refresh_unlink(gateway, refresh);
		control_reply(refresh->call, report_names(gateway));
		refresh_free(refresh);
	}
}

/* The caller went away before its answer. */
static void refresh_gone(void *userdata, struct control_call *call)
{
	struct gateway *gateway = userdata;

	for (struct refresh *refresh = gateway->refreshes; refresh; refresh = refresh->next) {
		if (refresh->call != call)
			continue;
		refresh_unlink(gateway, refresh);
		refresh_free(refresh);
		return;
	}
}

static int await(struct refresh *refresh, const char *name)
{
	if (name[0] == '*') /* a pattern can't be asked for */
		return 0;
	for (enum family family = 0; family < FAMILIES; family++) {
		struct awaited *grown = realloc(refresh->awaited, (refresh->count + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		refresh->awaited = grown;
		grown[refresh->count] = (struct awaited){ strdup(name), family };
		if (!grown[refresh->count].name)
			return -ENOMEM;
		refresh->count++;
	}
	return 0;
}

static int await_all(struct gateway *gateway, struct refresh *refresh, const char *const *names, size_t count,
		     const char **ret_unknown)
{
	struct book_entry entry;
	int r = 0;

	for (size_t i = 0; r == 0 && i < count; i++) {
		*ret_unknown = names[i];
		r = addrbook_find(gateway->book, names[i], FAMILY_4, &entry);
		if (r == 0)
			r = await(refresh, names[i]);
	}
	for (size_t i = 0; r == 0 && !count && i < addrbook_count(gateway->book); i += FAMILIES) {
		addrbook_entry(gateway->book, i, &entry);
		r = await(refresh, entry.name);
	}
	return r;
}

int gateway_names_refresh(struct gateway *gateway, struct control_call *call, const char *const *names, size_t count,
			  const char **ret_unknown)
{
	struct refresh *refresh = calloc(1, sizeof(*refresh));
	int64_t now = now_ms();

	int r = refresh ? await_all(gateway, refresh, names, count, ret_unknown) : -ENOMEM;
	if (r < 0) {
		if (refresh)
			refresh_free(refresh);
		return r;
	}
	if (!refresh->count) {
		control_reply(call, report_names(gateway));
		refresh_free(refresh);
		return 0;
	}
	refresh->call = call;
	refresh->next = gateway->refreshes;
	gateway->refreshes = refresh;
	control_on_gone(call, refresh_gone);
	for (size_t i = 0; i < refresh->count; i++)
		addrbook_query_now(gateway->book, refresh->awaited[i].name, now);
	gateway_names_drive(gateway);
	return 0;
}

void gateway_names_end(struct gateway *gateway)
{
	resolver_free(gateway->resolver);
	gateway->resolver = NULL;
	if (gateway->book && gateway->addresses_dirty)
		save(gateway, now_ms());
	while (gateway->refreshes) {
		struct refresh *refresh = gateway->refreshes;
		gateway->refreshes = refresh->next;
		refresh_free(refresh);
	}
	addrbook_free(gateway->book);
	gateway->book = NULL;
	held_free(&gateway->held);
	aliases_free(&gateway->aliases);
	observed_queries_free(&gateway->queries);
}
