/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_ADDRBOOK_H
#define SPEFW_ADDRBOOK_H

/* Who is behind a name, until when. A state machine per (name, family); pure: the time is a parameter,
 * always milliseconds of CLOCK_BOOTTIME, and random numbers come from the caller's seed. */

#include "addr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BOOK_ADDRESSES_MAX = 256, /* per (name, family) */
	BOOK_REFUSED_MAX = 8,     /* that are shown */
};

enum book_state {
	BOOK_FRESH,   /* the last query was answered with addresses, all are in the answer */
	BOOK_GRACE,   /* answered; some (or all) addresses are no longer in the answer and stay for grace */
	BOOK_STALE,   /* queries fail; the last answer serves */
	BOOK_FAILING, /* queries fail and nothing serves */
	BOOK_EMPTY,   /* answered, and there is no address (or there was no query yet: the next one is due now) */
};

enum book_origin { ORIGIN_QUERIED, ORIGIN_OBSERVED, ORIGIN_REMEMBERED };

struct book_address {
	struct addr addr;
	enum book_origin origin;
	int64_t confirmed_ms; /* last time an answer held it */
	int64_t expires_ms;   /* when the book will drop it unless it is confirmed; INT64_MAX never occurs */
	int64_t held_ms; /* until when the server may use it from an observed answer, or uses it; else confirmed_ms */
	int64_t omitted_ms; /* first answer since then that did not hold it, from when grace counts; INT64_MAX: none yet
			     */
	bool in_answer;     /* the newest answer held it */
};

/* An answered address that the name may not have. */
struct book_refused {
	struct addr addr;
	const char *why; /* as address_unfit() has it, or "own"; static */
};

struct book_limits {
	int64_t min_interval_ms, max_interval_ms, grace_ms, stale_ms;
};

/* An address that no name may have: the server's and the gateway's own. Called for each answered address. */
typedef bool (*book_refuses)(void *userdata, const struct addr *addr);

/* One (name, family), for reading. Pointers are valid until the book changes. */
struct book_entry {
	const char *name;
	enum family family;
	bool allow_private;
	bool unwanted; /* the name is of the other family alone: there is nothing here, and never will be */
	enum book_state state;
	bool ever_answered;
	const struct book_address *addresses; /* ascending */
	size_t address_count;
	int64_t next_query_ms;  /* INT64_MAX for a pattern */
	int64_t next_expiry_ms; /* when the first of the addresses goes; INT64_MAX: none */
	int64_t queried_ms;     /* when the last query began; INT64_MIN: never */
	bool query_running;
	int64_t last_answer_ms; /* 0: never */
	const char *last_error; /* "" where the last query was answered */
	unsigned failures;      /* in a row */
	uint64_t refused;       /* addresses that were unfit or beyond the cap, in all */
	int64_t silent_ms; /* since when no server sends anything; INT64_MAX: the last query was answered somehow */
	const struct book_refused *refused_addresses; /* of the newest answer, the first BOOK_REFUSED_MAX */
	size_t refused_count;
	uint64_t refused_mark; /* changes with the unfit addresses of an answer; 0: none in the newest */
};

/* A name that is wanted. */
struct book_name {
	const char *name;
	bool allow_private;
	unsigned families; /* bits 1 << enum family */
};

struct addrbook;

int addrbook_new(struct addrbook **ret, const struct book_limits *limits, uint32_t seed);
void addrbook_free(struct addrbook *book);
void addrbook_set_limits(struct addrbook *book, const struct book_limits *limits);
void addrbook_set_refuses(struct addrbook *book, book_refuses refuses, void *userdata);

/* The names wanted from now on (one may be there several times); a pattern ("*.") is never due and learns from what is
 * observed. Entries of others are forgotten, new ones are due at once (many of them: the first few at once, the rest
 * within some seconds). What is kept is judged again by allow_private and `refuses`. 0, or -ENOMEM and nothing changed.
 */
int addrbook_want(struct addrbook *book, const struct book_name *names, size_t count, int64_t now_ms);

size_t addrbook_count(const struct addrbook *book); /* entries: two a name, also where one is unwanted */
void addrbook_entry(const struct addrbook *book, size_t index, struct book_entry *ret);
bool addrbook_wants(const struct addrbook *book, const char *name); /* in a family at least */
/* -ENOENT where the name is not wanted in that family. */
int addrbook_find(const struct addrbook *book, const char *name, enum family family, struct book_entry *ret);

/* The next moment at which a query is due or an address expires; INT64_MAX: never. */
int64_t addrbook_next_event(const struct addrbook *book);
/* Takes one entry whose query is due and marks it running; false where none is. A query that brings neither answer
 * nor failure for two minutes counts as lost, and is due again. */
bool addrbook_take_due(struct addrbook *book, int64_t now_ms, struct book_entry *ret);
/* Makes the next query of a name (both families; NULL: all names, many of them spread as by addrbook_want) due now;
 * where one is under way, it will do unless it fails: then the next is due at once. -ENOENT where it is not wanted. */
int addrbook_query_now(struct addrbook *book, const char *name, int64_t now_ms);

/* The next query of one family (where one is under way, the one after it) is due by then already, or the name is not
 * wanted. */
bool addrbook_queries_by(const struct addrbook *book, const char *name, enum family family, int64_t at_ms);
/* Makes the next query of one family due at at_ms at the latest; where one is under way, the one after it. */
int addrbook_query_by(struct addrbook *book, const char *name, enum family family, int64_t at_ms, int64_t now_ms);

/* What a query brought. An answer with count 0 is NXDOMAIN or "no such data". *ret_changed: the set of
 * addresses (not only their times) changed. -ENOENT: no longer wanted (harmless). -ENOMEM: nothing changed.
 * An observed answer adds alone: the absence of an address in it means nothing, and it answers no query of ours. What
 * it adds is the server's for as long as its TTL runs (two minutes at least, a day at most), and no longer, unless a
 * connection uses it (addrbook_used()) or an answer to us has it. For an address that we were answered it shows how
 * long the server may use it: grace counts from then. Where the cap is reached, what was confirmed longest ago gives
 * way to what is answered now: first of what was observed, and of nothing else for the sake of an observed answer. */
int addrbook_answered(struct addrbook *book, const char *name, enum family family, const struct addr *addresses,
		      size_t count, uint32_t ttl_s, enum book_origin origin, int64_t now_ms, bool *ret_changed);
int addrbook_failed(struct addrbook *book, const char *name, enum family family, const char *error, int64_t now_ms);
/* Likewise, where no server has sent anything. */
int addrbook_failed_silently(struct addrbook *book, const char *name, enum family family, const char *error,
			     int64_t now_ms);
/* Drops what of this entry has expired; true where the set of addresses changed. index: below addrbook_count(). */
bool addrbook_expire_entry(struct addrbook *book, size_t index, int64_t now_ms);
/* Judges all addresses again by `refuses` (the gateway's own may have changed); true where the set changed. */
bool addrbook_recheck(struct addrbook *book);
/* From the state directory, before the first answer. age_ms: since it was confirmed. What is older than stale, unfit or
 * over the cap is not taken, which is no error. -ENOENT, -ENOMEM. */
int addrbook_remember(struct addrbook *book, const char *name, const struct addr *addr, int64_t age_ms, int64_t now_ms);

/* Likewise, one of ORIGIN_OBSERVED, for what is left of its time. What is remembered for a pattern is always that. */
int addrbook_remember_observed(struct addrbook *book, const char *name, const struct addr *addr, int64_t left_ms,
			       int64_t now_ms);
/* A connection uses it: where it was observed alone, it stays until then at least. */
void addrbook_used(struct addrbook *book, const struct addr *addr, int64_t until_ms);

/* How much longer than stale the kernel may keep an address that we do not renew. */
int64_t name_margin_ms(int64_t stale_ms);

/* "private", "the server's or this gateway's own": what the address is. */
const char *book_refused_text(const struct book_refused *refused);
const char *book_state_name(enum book_state state);    /* "fresh" ... */
const char *book_origin_name(enum book_origin origin); /* "queried" ... */

#endif
