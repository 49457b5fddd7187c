/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_ADDRBOOK_PARTS_H
#define SPEFW_ADDRBOOK_PARTS_H

/* What the files of the address book share. */

#include "addrbook.h"
#include "unfit.h"

enum {
	INTERVAL_FLOOR_MS = 100, /* between queries, whatever the limits are */
	ERROR_TEXT_MAX = 40,
};

struct entry {
	struct book_address *addresses; /* ascending */
	size_t count, capacity;
	bool running, ever_answered;
	bool is_pattern;    /* "*.": never queried, only observed */
	bool unwanted;      /* the name has no such addresses: never queried, nor observed */
	bool retry_at_once; /* while running: a failure does not make the next one wait */
	unsigned failures;
	int64_t next_query_ms;
	int64_t scheduled_ms; /* when next_query_ms was chosen */
	int64_t queried_ms;   /* when the last query began; ever_queried: there was one */
	bool ever_queried;
	int64_t again_ms; /* running: the next query is due then at the latest; INT64_MAX: as usual */
	int64_t lost_ms;  /* running: when the query counts as lost */
	int64_t last_answer_ms;
	int64_t failing_since_ms; /* failures > 0 */
	int64_t next_expiry_ms;   /* least of the addresses' */
	uint64_t refused;
	int64_t silent_ms; /* failures > 0: since when no server sent anything; INT64_MAX: one does */
	struct book_refused *refused_addresses; /* BOOK_REFUSED_MAX of them, or NULL */
	size_t refused_count;
	uint64_t refused_mark; /* of the refused addresses of the newest answer, whatever their order; 0: none */
	char error[ERROR_TEXT_MAX];
};

struct named {
	char *text;
	bool allow_private;
	unsigned families; /* that are wanted */
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

static inline int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* A sum of times that may come from a file or a message. */
static inline int64_t later(int64_t time, int64_t by)
{
	int64_t sum;
	return __builtin_add_overflow(time, by, &sum) ? INT64_MAX - 1 : sum;
}

/* addrbook.c */
void entry_schedule(struct addrbook *book, struct entry *entry, int64_t interval_ms, int64_t now_ms);
int64_t book_longest_interval(const struct addrbook *book);
struct named *book_find(const struct addrbook *book, const char *name);
/* The name's entry, where it is wanted in that family; else NULL. */
struct entry *book_find_entry(const struct addrbook *book, const char *name, enum family family);
void entry_make_due(struct entry *entry, int64_t at_ms, int64_t now_ms);
void entry_query_again(struct entry *entry, int64_t now_ms);

/* addrbook_answers.c */
void entry_remove_address(struct entry *entry, size_t index);
bool entry_find_address(const struct entry *entry, const struct addr *addr, size_t *ret_index);

/* addrbook_expiry.c */
/* Why the name may not have the address; NULL: it may. */
const char *book_refuses_address(const struct addrbook *book, const struct named *named, const struct addr *addr);
void entry_update_expiry(const struct addrbook *book, struct entry *entry);
bool book_recheck_named(struct addrbook *book, struct named *named);

#endif
