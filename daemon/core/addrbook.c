/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "addrbook.h"
#include "hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	QUERY_LOST_MS = 120 * 1000, /* longer than any resolver takes to give up */
	INTERVAL_FLOOR_MS = 100,    /* whatever the limits say: never spin */
	RETRY_FIRST_MS = 2 * 1000,
	RETRY_NOTHING_SERVES_MS = 60 * 1000, /* retries slow down to this while there is no address at all */
	AT_ONCE = 32,                        /* queries that may go out together */
	SPREAD_STEP_MS = 4,                  /* between the further ones: 1,000 names in 8 s */
	HELD_MAX_MS = 24 * 60 * 60 * 1000,   /* Windows and the usual resolvers keep no answer for longer */
	HELD_MIN_MS = 2 * 60 * 1000,         /* nor does a connection take longer to come about */
	MARGIN_MIN_MS = 5 * 1000,
	ERROR_TEXT_MAX = 40,
};

struct entry {
	struct book_address *addresses; /* ascending */
	size_t count, capacity;
	bool running, ever_answered;
	bool is_pattern; /* "*.": never asked, only observed */
	bool expedited;  /* while running: a failure does not make the next one wait */
	unsigned failures;
	int64_t next_query_ms;
	int64_t scheduled_ms; /* when next_query_ms was chosen */
	int64_t queried_ms;   /* when the last query began; ever_asked: there was one */
	bool ever_asked;
	int64_t again_ms; /* running: the next query is due then at the latest; INT64_MAX: as usual */
	int64_t lost_ms;  /* running: when the query counts as lost */
	int64_t last_answer_ms;
	int64_t failing_since_ms; /* failures > 0 */
	int64_t next_expiry_ms;   /* least of the addresses' */
	uint64_t refused;
	uint64_t refused_mark; /* of the refused addresses of the newest answer, whatever their order; 0: none */
	char error[ERROR_TEXT_MAX];
};

struct named {
	char *text;
	bool allow_private;
	struct entry entries[FAMILIES];
};

struct addrbook {
	struct named *names; /* ascending */
	size_t count;
	struct book_limits limits;
	book_refuses refuses;
	void *refuses_userdata;
	uint64_t random;
};

static const struct unfit {
	uint8_t family, length, bytes[16];
	bool is_private;
	const char *reason;
} unfit_networks[] = {
	{ FAMILY_4, 32, { 255, 255, 255, 255 }, false, "broadcast" },
	{ FAMILY_4, 8, { 0 }, false, "unspecified" },
	{ FAMILY_4, 8, { 127 }, false, "loopback" },
	{ FAMILY_4, 16, { 169, 254 }, false, "link-local" },
	{ FAMILY_4, 4, { 224 }, false, "multicast" },
	{ FAMILY_4, 4, { 240 }, false, "reserved" },
	{ FAMILY_4, 8, { 10 }, true, "private" },
	{ FAMILY_4, 12, { 172, 16 }, true, "private" },
	{ FAMILY_4, 16, { 192, 168 }, true, "private" },
	{ FAMILY_4, 10, { 100, 64 }, true, "private" },
	{ FAMILY_6, 128, { 0 }, false, "unspecified" },
	{ FAMILY_6, 128, { [15] = 1 }, false, "loopback" },
	{ FAMILY_6, 96, { [10] = 0xff, 0xff }, false, "IPv4-mapped" },
	{ FAMILY_6, 96, { 0 }, false, "IPv4-compatible" },
	{ FAMILY_6, 10, { 0xfe, 0x80 }, false, "link-local" },
	{ FAMILY_6, 8, { 0xff }, false, "multicast" },
	{ FAMILY_6, 7, { 0xfc }, true, "private" },
	{ FAMILY_6, 10, { 0xfe, 0xc0 }, true, "private" }, /* site-local, of old */
};

static bool in_network(const struct addr *addr, const struct unfit *network)
{
	size_t whole = network->length / 8;
	unsigned rest = network->length % 8;

	if (addr->family != network->family || memcmp(addr->bytes, network->bytes, whole) != 0)
		return false;
	return rest == 0 || (addr->bytes[whole] ^ network->bytes[whole]) >> (8 - rest) == 0;
}

const char *address_unfit(const struct addr *addr, bool allow_private)
{
	for (size_t i = 0; i < sizeof(unfit_networks) / sizeof(unfit_networks[0]); i++)
		if (!(unfit_networks[i].is_private && allow_private) && in_network(addr, &unfit_networks[i]))
			return unfit_networks[i].reason;
	return NULL;
}

static bool is_refused(const struct addrbook *book, const struct named *named, const struct addr *addr)
{
	return address_unfit(addr, named->allow_private) ||
	       (book->refuses && book->refuses(book->refuses_userdata, addr));
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* A sum of times that may come from a file or a message. */
static int64_t later(int64_t time, int64_t by)
{
	int64_t sum;
	return __builtin_add_overflow(time, by, &sum) ? INT64_MAX - 1 : sum;
}

/* Up to a tenth less: what was asked together drifts apart. (splitmix64; nothing here is a secret.) */
static int64_t jittered(struct addrbook *book, int64_t interval_ms)
{
	uint64_t z = book->random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return interval_ms - (int64_t)(z % (uint64_t)(interval_ms / 10 + 1));
}

static void schedule(struct addrbook *book, struct entry *entry, int64_t interval_ms, int64_t now_ms)
{
	entry->scheduled_ms = now_ms;
	entry->next_query_ms = later(now_ms, jittered(book, most(interval_ms, INTERVAL_FLOOR_MS)));
}

/* How long an answer may stand without a new query at most: it must be renewed before it is stale, with time for a
 * failure or two. */
static int64_t longest_interval(const struct addrbook *book)
{
	return most(least(book->limits.max_interval_ms, book->limits.stale_ms / 3), INTERVAL_FLOOR_MS);
}

/* It doubles with the time that queries have failed for, and not with their number: what a denial or a user made be
 * asked in between must not make the end of an outage be noticed later. */
static int64_t retry_interval(const struct addrbook *book, const struct entry *entry, int64_t now_ms)
{
	int64_t cap = longest_interval(book);
	int64_t first = least(RETRY_FIRST_MS, most(book->limits.min_interval_ms, INTERVAL_FLOOR_MS));

	if (entry->count == 0)
		cap = least(cap, RETRY_NOTHING_SERVES_MS);
	return least(later(first, most(now_ms - entry->failing_since_ms, 0)), cap);
}

/* One that answers held lives until stale after the last of them; one that answers left out until grace after
 * the first of those. While queries fail nothing is known to be left out, and grace stands still. But all live as long
 * as the server may use them, and those that no answer to us held live no longer. */
static int64_t expiry(const struct addrbook *book, const struct entry *entry, const struct book_address *address)
{
	if (address->origin == ORIGIN_OBSERVED)
		return address->held_ms;
	if (address->omitted_ms != INT64_MAX && entry->failures == 0)
		return most(later(address->omitted_ms, book->limits.grace_ms), address->held_ms);
	return most(later(address->confirmed_ms, book->limits.stale_ms), address->held_ms);
}

static void update_expiry(const struct addrbook *book, struct entry *entry)
{
	entry->next_expiry_ms = INT64_MAX;
	for (size_t i = 0; i < entry->count; i++) {
		entry->addresses[i].expires_ms = expiry(book, entry, &entry->addresses[i]);
		entry->next_expiry_ms = least(entry->next_expiry_ms, entry->addresses[i].expires_ms);
	}
}

static int64_t due_at(const struct entry *entry)
{
	if (entry->is_pattern)
		return INT64_MAX;
	return entry->running ? entry->lost_ms : entry->next_query_ms;
}

int addrbook_new(struct addrbook **ret, const struct book_limits *limits, uint32_t seed)
{
	struct addrbook *book = calloc(1, sizeof(*book));
	if (!book)
		return -ENOMEM;
	book->limits = *limits;
	book->random = seed;
	*ret = book;
	return 0;
}

static void free_names(struct named *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(names[i].text);
		for (size_t family = 0; family < FAMILIES; family++)
			free(names[i].entries[family].addresses);
	}
	free(names);
}

void addrbook_free(struct addrbook *book)
{
	if (!book)
		return;
	free_names(book->names, book->count);
	free(book);
}

void addrbook_set_limits(struct addrbook *book, const struct book_limits *limits)
{
	book->limits = *limits;
	for (size_t i = 0; i < addrbook_count(book); i++) {
		struct entry *entry = &book->names[i / FAMILIES].entries[i % FAMILIES];
		entry->next_query_ms = least(entry->next_query_ms, later(entry->scheduled_ms, longest_interval(book)));
		update_expiry(book, entry);
	}
}

void addrbook_set_refuses(struct addrbook *book, book_refuses refuses, void *userdata)
{
	book->refuses = refuses;
	book->refuses_userdata = userdata;
}

static struct named *find_named(const struct addrbook *book, const char *name)
{
	size_t low = 0, high = book->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, book->names[middle].text);
		if (order == 0)
			return &book->names[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static void remove_address(struct entry *entry, size_t index)
{
	entry->count--;
	memmove(&entry->addresses[index], &entry->addresses[index + 1],
		(entry->count - index) * sizeof(*entry->addresses));
}

/* Drops what is no longer fit; true where something was. */
static bool recheck(struct addrbook *book, struct named *named)
{
	bool changed = false;

	for (size_t family = 0; family < FAMILIES; family++) {
		struct entry *entry = &named->entries[family];
		for (size_t i = entry->count; i-- > 0;) {
			if (!is_refused(book, named, &entry->addresses[i].addr))
				continue;
			remove_address(entry, i);
			entry->refused++;
			changed = true;
		}
		update_expiry(book, entry);
	}
	return changed;
}

bool addrbook_recheck(struct addrbook *book)
{
	bool changed = false;

	for (size_t i = 0; i < book->count; i++)
		changed |= recheck(book, &book->names[i]);
	return changed;
}

/* The index-th of many queries that are due together. */
static int64_t spread(size_t index, int64_t now_ms)
{
	return index < AT_ONCE ? now_ms : later(now_ms, (int64_t)(index - AT_ONCE + 1) * SPREAD_STEP_MS);
}

static void make_due(struct entry *entry, int64_t at_ms, int64_t now_ms)
{
	entry->next_query_ms = at_ms;
	entry->scheduled_ms = now_ms;
}

/* After a query: someone wanted the next one while it was under way. */
static void again(struct entry *entry, int64_t now_ms)
{
	if (entry->again_ms < entry->next_query_ms)
		make_due(entry, most(entry->again_ms, now_ms), now_ms);
	entry->again_ms = INT64_MAX;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->text, ((const struct named *)b)->text);
}

/* Sorted, each name once, with texts of its own. */
static int names_from(struct named **ret, size_t *ret_count, const char *const *names, const bool *allow_private,
		      size_t count)
{
	struct named *list = calloc(count ? count : 1, sizeof(*list));
	size_t filled = 0, unique = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		list[filled].allow_private = allow_private[i];
		list[filled].text = strdup(names[i]);
		if (!list[filled++].text) {
			free_names(list, filled);
			return -ENOMEM;
		}
	}
	qsort(list, filled, sizeof(*list), by_text);
	for (size_t i = 0; i < filled; i++) {
		if (unique > 0 && strcmp(list[unique - 1].text, list[i].text) == 0) {
			list[unique - 1].allow_private |= list[i].allow_private;
			free(list[i].text);
		} else {
			list[unique++] = list[i];
		}
	}
	*ret = list;
	*ret_count = unique;
	return 0;
}

static void init_entry(struct entry *entry, int64_t at_ms, int64_t now_ms)
{
	entry->next_expiry_ms = entry->again_ms = INT64_MAX;
	make_due(entry, at_ms, now_ms);
}

int addrbook_want(struct addrbook *book, const char *const *names, const bool *allow_private, size_t count,
		  int64_t now_ms)
{
	struct named *list;
	size_t list_count, fresh = 0;

	if (names_from(&list, &list_count, names, allow_private, count) < 0)
		return -ENOMEM;

	for (size_t i = 0; i < list_count; i++) {
		struct named *old = find_named(book, list[i].text);
		for (size_t family = 0; family < FAMILIES; family++) {
			struct entry *entry = &list[i].entries[family];
			if (!old) {
				init_entry(entry, spread(fresh++, now_ms), now_ms);
				entry->is_pattern = list[i].text[0] == '*';
				continue;
			}
			*entry = old->entries[family];
			old->entries[family].addresses = NULL;
			/* What was refused until now is in no entry: only a query can bring it. */
			if (list[i].allow_private && !old->allow_private)
				make_due(entry, spread(fresh++, now_ms), now_ms);
		}
		recheck(book, &list[i]);
	}
	free_names(book->names, book->count);
	book->names = list;
	book->count = list_count;
	return 0;
}

size_t addrbook_count(const struct addrbook *book)
{
	return book->count * FAMILIES;
}

static enum book_state entry_state(const struct entry *entry)
{
	bool all = true;

	if (entry->failures > 0)
		return entry->count > 0 ? BOOK_STALE : BOOK_FAILING;
	if (entry->count == 0)
		return BOOK_EMPTY;
	for (size_t i = 0; i < entry->count; i++)
		all &= entry->addresses[i].in_answer;
	if (all)
		return BOOK_FRESH;
	/* Remembered and not asked yet: the last answer that is known serves. A pattern never is asked. */
	return entry->ever_answered || entry->is_pattern ? BOOK_GRACE : BOOK_STALE;
}

static void show(const struct named *named, enum family family, struct book_entry *ret)
{
	const struct entry *entry = &named->entries[family];

	*ret = (struct book_entry){
		.name = named->text,
		.family = family,
		.allow_private = named->allow_private,
		.state = entry_state(entry),
		.ever_answered = entry->ever_answered,
		.addresses = entry->addresses,
		.address_count = entry->count,
		.next_query_ms = due_at(entry),
		.next_expiry_ms = entry->next_expiry_ms,
		.queried_ms = entry->ever_asked ? entry->queried_ms : INT64_MIN,
		.query_running = entry->running,
		.last_answer_ms = entry->last_answer_ms,
		.last_error = entry->error,
		.failures = entry->failures,
		.refused = entry->refused,
		.refused_mark = entry->refused_mark,
	};
}

void addrbook_entry(const struct addrbook *book, size_t index, struct book_entry *ret)
{
	show(&book->names[index / FAMILIES], (enum family)(index % FAMILIES), ret);
}

int addrbook_find(const struct addrbook *book, const char *name, enum family family, struct book_entry *ret)
{
	const struct named *named = find_named(book, name);

	if (!named)
		return -ENOENT;
	show(named, family, ret);
	return 0;
}

/* The kernel's timeouts are renewed when they have lost half of it, so that it bounds how often that happens: the floor
 * matters where stale is a matter of minutes alone, and must not make that a matter of other minutes. */
int64_t name_margin_ms(int64_t stale_ms)
{
	return most(stale_ms / 28, MARGIN_MIN_MS); /* 6 hours for 7 days */
}

const char *book_state_name(enum book_state state)
{
	static const char *const names[] = { "fresh", "grace", "stale", "failing", "empty" };
	return names[state];
}

const char *book_origin_name(enum book_origin origin)
{
	static const char *const names[] = { "queried", "observed", "remembered" };
	return names[origin];
}

int64_t addrbook_next_event(const struct addrbook *book)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < addrbook_count(book); i++) {
		const struct entry *entry = &book->names[i / FAMILIES].entries[i % FAMILIES];
		next = least(next, least(due_at(entry), entry->next_expiry_ms));
	}
	return next;
}

bool addrbook_take_due(struct addrbook *book, int64_t now_ms, struct book_entry *ret)
{
	struct entry *best = NULL;
	size_t best_index = 0;

	/* The one that waits longest, so that none starves. */
	for (size_t i = 0; i < addrbook_count(book); i++) {
		struct entry *entry = &book->names[i / FAMILIES].entries[i % FAMILIES];
		if (due_at(entry) > now_ms || (best && due_at(entry) >= due_at(best)))
			continue;
		best = entry;
		best_index = i;
	}
	if (!best)
		return false;
	best->running = true;
	best->expedited = false;
	best->ever_asked = true;
	best->queried_ms = now_ms;
	best->again_ms = INT64_MAX;
	best->lost_ms = later(now_ms, QUERY_LOST_MS);
	addrbook_entry(book, best_index, ret);
	return true;
}

int addrbook_query_now(struct addrbook *book, const char *name, int64_t now_ms)
{
	struct named *named = name ? find_named(book, name) : book->names;
	size_t count = name ? 1 : book->count;

	if (name && !named)
		return -ENOENT;
	for (size_t i = 0; i < count * FAMILIES; i++) {
		struct entry *entry = &named[i / FAMILIES].entries[i % FAMILIES];
		make_due(entry, least(entry->next_query_ms, spread(i, now_ms)), now_ms);
		entry->expedited = entry->running;
	}
	return 0;
}

bool addrbook_queries_by(const struct addrbook *book, const char *name, enum family family, int64_t at_ms)
{
	const struct named *named = find_named(book, name);

	if (!named)
		return true;
	const struct entry *entry = &named->entries[family];
	return (entry->running ? entry->again_ms : entry->next_query_ms) <= at_ms;
}

int addrbook_query_by(struct addrbook *book, const char *name, enum family family, int64_t at_ms, int64_t now_ms)
{
	struct named *named = find_named(book, name);

	if (!named)
		return -ENOENT;
	struct entry *entry = &named->entries[family];
	if (entry->running)
		entry->again_ms = least(entry->again_ms, at_ms);
	else if (at_ms < entry->next_query_ms)
		make_due(entry, at_ms, now_ms);
	return 0;
}

/* Where the address is, or belongs. */
static bool find_address(const struct entry *entry, const struct addr *addr, size_t *ret_index)
{
	size_t low = 0, high = entry->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = addr_compare(addr, &entry->addresses[middle].addr);
		if (order == 0) {
			*ret_index = middle;
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*ret_index = low;
	return false;
}

static int reserve(struct entry *entry, size_t more)
{
	size_t needed = more > BOOK_ADDRESSES_MAX - entry->count ? BOOK_ADDRESSES_MAX : entry->count + more;

	if (needed <= entry->capacity)
		return 0;
	struct book_address *grown = realloc(entry->addresses, needed * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	entry->addresses = grown;
	entry->capacity = needed;
	return 0;
}

/* The one, of those that were observed alone or of the others, that was confirmed longest ago; NULL: there is none. */
static const struct book_address *oldest_of(const struct entry *entry, bool observed)
{
	const struct book_address *oldest = NULL;

	for (size_t i = 0; i < entry->count; i++)
		if ((entry->addresses[i].origin == ORIGIN_OBSERVED) == observed &&
		    (!oldest || entry->addresses[i].confirmed_ms < oldest->confirmed_ms))
			oldest = &entry->addresses[i];
	return oldest;
}

/* Room for one more where the cap is reached: the one confirmed longest ago goes, but none as new as this. What was
 * observed gives way before all others, and takes the place of none of them. */
static bool make_room(struct entry *entry, const struct book_address *address)
{
	bool observed = address->origin == ORIGIN_OBSERVED;

	if (entry->count < BOOK_ADDRESSES_MAX)
		return true;
	const struct book_address *oldest = oldest_of(entry, true);
	if (!oldest && !observed)
		oldest = oldest_of(entry, false);
	if (!oldest ||
	    (oldest->confirmed_ms >= address->confirmed_ms && (observed || oldest->origin != ORIGIN_OBSERVED)))
		return false;
	remove_address(entry, (size_t)(oldest - entry->addresses));
	entry->refused++;
	return true;
}

/* Enough capacity was reserved. */
static bool insert_address(struct entry *entry, const struct book_address *address)
{
	size_t index;

	if (!make_room(entry, address)) {
		entry->refused++;
		return false;
	}
	find_address(entry, &address->addr, &index);
	memmove(&entry->addresses[index + 1], &entry->addresses[index],
		(entry->count - index) * sizeof(*entry->addresses));
	entry->addresses[index] = *address;
	entry->count++;
	return true;
}

/* Until when the server may use an address of an answer that it got. */
static int64_t held_until(uint32_t ttl_s, int64_t now_ms)
{
	return later(now_ms, least(most((int64_t)ttl_s * 1000, HELD_MIN_MS), HELD_MAX_MS));
}

static struct book_address answered_address(const struct addr *addr, uint32_t ttl_s, enum book_origin origin,
					    int64_t now_ms)
{
	return (struct book_address){
		.addr = *addr,
		.origin = origin,
		.confirmed_ms = now_ms,
		.held_ms = origin == ORIGIN_OBSERVED ? held_until(ttl_s, now_ms) : now_ms,
		.omitted_ms = INT64_MAX,
		.in_answer = true,
	};
}

static bool fits(const struct addrbook *book, const struct named *named, enum family family, const struct addr *addr)
{
	return addr->family == family && !is_refused(book, named, addr);
}

/* The sum over some addresses shows whether they are the same as before. */
static uint64_t mark_of(const struct addr *addr)
{
	uint64_t of_family = hash_bytes(HASH_START, &addr->family, sizeof(addr->family));
	return hash_bytes(of_family, addr->bytes, addr_size((enum family)addr->family));
}

/* What was answered to us is not made more of by what the server was answered, but for how long it may be used. */
static void confirm(struct book_address *known, uint32_t ttl_s, enum book_origin origin, int64_t now_ms)
{
	int64_t held_ms = known->held_ms;

	if (origin == ORIGIN_OBSERVED && known->origin != ORIGIN_OBSERVED) {
		known->held_ms = most(held_ms, held_until(ttl_s, now_ms));
		if (known->omitted_ms != INT64_MAX)
			known->omitted_ms = most(known->omitted_ms, known->held_ms);
		return;
	}
	*known = answered_address(&known->addr, ttl_s, origin, now_ms);
	known->held_ms = most(known->held_ms, held_ms);
}

/* The known ones first: what is confirmed must not give way to what is new in the same answer. */
static bool merge(const struct addrbook *book, const struct named *named, struct entry *entry, enum family family,
		  const struct addr *addresses, size_t count, uint32_t ttl_s, enum book_origin origin, int64_t now_ms)
{
	bool changed = false;
	size_t index;

	entry->refused_mark = 0;
	for (size_t i = 0; i < count; i++)
		if (fits(book, named, family, &addresses[i]) && find_address(entry, &addresses[i], &index))
			confirm(&entry->addresses[index], ttl_s, origin, now_ms);
	for (size_t i = 0; i < count; i++) {
		if (!fits(book, named, family, &addresses[i])) {
			entry->refused++;
			entry->refused_mark += mark_of(&addresses[i]);
		} else if (!find_address(entry, &addresses[i], &index)) {
			struct book_address address = answered_address(&addresses[i], ttl_s, origin, now_ms);
			changed |= insert_address(entry, &address);
		}
	}
	return changed;
}

/* Before an answer is merged: nothing is in it yet, and grace goes on where it stood when queries began to fail. */
static void begin_answer(struct entry *entry, int64_t now_ms)
{
	int64_t outage = entry->failures > 0 ? most(now_ms - entry->failing_since_ms, 0) : 0;

	for (size_t i = 0; i < entry->count; i++) {
		struct book_address *address = &entry->addresses[i];
		address->in_answer = false;
		if (address->omitted_ms != INT64_MAX)
			address->omitted_ms = later(address->omitted_ms, outage);
	}
	entry->failures = 0;
	entry->running = entry->expedited = false;
	entry->ever_answered = true;
	entry->last_answer_ms = now_ms;
	entry->error[0] = '\0';
}

static void end_answer(struct entry *entry, int64_t now_ms)
{
	for (size_t i = 0; i < entry->count; i++) {
		struct book_address *address = &entry->addresses[i];
		if (!address->in_answer && address->omitted_ms == INT64_MAX)
			address->omitted_ms = most(now_ms, address->held_ms);
	}
}

int addrbook_answered(struct addrbook *book, const char *name, enum family family, const struct addr *addresses,
		      size_t count, uint32_t ttl_s, enum book_origin origin, int64_t now_ms, bool *ret_changed)
{
	struct named *named = find_named(book, name);
	struct entry *entry;

	*ret_changed = false;
	if (!named)
		return -ENOENT;
	entry = &named->entries[family];
	if (reserve(entry, count) < 0)
		return -ENOMEM;

	if (origin == ORIGIN_QUERIED)
		begin_answer(entry, now_ms);
	*ret_changed = merge(book, named, entry, family, addresses, count, ttl_s, origin, now_ms);
	if (origin == ORIGIN_QUERIED) {
		end_answer(entry, now_ms);
		int64_t ttl_ms = most((int64_t)ttl_s * 1000, book->limits.min_interval_ms);
		schedule(book, entry, least(ttl_ms, longest_interval(book)), now_ms);
		again(entry, now_ms);
	}
	update_expiry(book, entry);
	return 0;
}

int addrbook_failed(struct addrbook *book, const char *name, enum family family, const char *error, int64_t now_ms)
{
	struct named *named = find_named(book, name);
	struct entry *entry;

	if (!named)
		return -ENOENT;
	entry = &named->entries[family];
	if (entry->failures == 0)
		entry->failing_since_ms = now_ms;
	if (entry->failures < UINT32_MAX)
		entry->failures++;
	snprintf(entry->error, sizeof(entry->error), "%s", error);
	schedule(book, entry, retry_interval(book, entry, now_ms), now_ms);
	if (entry->expedited)
		make_due(entry, now_ms, now_ms);
	again(entry, now_ms);
	entry->running = entry->expedited = false;
	update_expiry(book, entry);
	return 0;
}

bool addrbook_expire_entry(struct addrbook *book, size_t index, int64_t now_ms)
{
	struct entry *entry = &book->names[index / FAMILIES].entries[index % FAMILIES];

	if (entry->next_expiry_ms > now_ms)
		return false;
	for (size_t i = entry->count; i-- > 0;)
		if (entry->addresses[i].expires_ms <= now_ms)
			remove_address(entry, i);
	update_expiry(book, entry);
	return true;
}

void addrbook_used(struct addrbook *book, const struct addr *addr, int64_t until_ms)
{
	size_t index;

	for (size_t i = 0; i < book->count; i++) {
		struct entry *entry = &book->names[i].entries[addr->family];
		if (!find_address(entry, addr, &index) || entry->addresses[index].origin != ORIGIN_OBSERVED)
			continue;
		entry->addresses[index].held_ms = most(entry->addresses[index].held_ms, until_ms);
		update_expiry(book, entry);
	}
}

static int remember(struct addrbook *book, struct named *named, const struct book_address *address)
{
	struct entry *entry = &named->entries[address->addr.family];
	size_t index;

	if (find_address(entry, &address->addr, &index))
		return 0;
	if (is_refused(book, named, &address->addr)) {
		entry->refused++;
		return 0;
	}
	if (reserve(entry, 1) < 0)
		return -ENOMEM;
	insert_address(entry, address);
	update_expiry(book, entry);
	return 0;
}

int addrbook_remember(struct addrbook *book, const char *name, const struct addr *addr, int64_t age_ms, int64_t now_ms)
{
	struct named *named = find_named(book, name);
	int64_t confirmed_ms = later(now_ms, age_ms > 0 ? -age_ms : 0);
	struct book_address address = { .addr = *addr,
					.origin = ORIGIN_REMEMBERED,
					.confirmed_ms = confirmed_ms,
					.held_ms = confirmed_ms,
					.omitted_ms = INT64_MAX };

	if (!named)
		return -ENOENT;
	/* An age from a file may be any number. */
	if (age_ms >= book->limits.stale_ms)
		return 0;
	if (named->text[0] == '*')
		return addrbook_remember_observed(book, name, addr, book->limits.stale_ms - most(age_ms, 0), now_ms);
	return remember(book, named, &address);
}

int addrbook_remember_observed(struct addrbook *book, const char *name, const struct addr *addr, int64_t left_ms,
			       int64_t now_ms)
{
	struct named *named = find_named(book, name);
	struct book_address address = { .addr = *addr,
					.origin = ORIGIN_OBSERVED,
					.confirmed_ms = now_ms - 1,
					.held_ms = later(now_ms, least(left_ms, HELD_MAX_MS)),
					.omitted_ms = INT64_MAX };

	if (!named)
		return -ENOENT;
	return left_ms > 0 ? remember(book, named, &address) : 0;
}
