/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_ADDR_H
#define SPEFW_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Index of an address family; also the index into every per-family array. */
enum family { FAMILY_4, FAMILY_6, FAMILIES };
enum { FAMILIES_ALL = (1 << FAMILIES) - 1 }; /* bits 1 << enum family */

/* An address in network byte order. IPv4 uses bytes[0..3]; the rest is zero. */
struct addr {
	uint8_t family; /* enum family */
	uint8_t bytes[16];
};

/* Inclusive on both ends; both ends are of one family and first <= last. */
struct range {
	struct addr first, last;
};

/* A growing list. Normalised = sorted, disjoint, neighbours merged. */
struct ranges {
	struct range *items;
	size_t count, capacity;
};

enum {
	ADDR_TEXT_MAX = 46,  /* an address and its NUL, INET6_ADDRSTRLEN */
	RANGE_TEXT_MAX = 96, /* "first-last" and its NUL */
};

enum range_error {
	RANGE_OK,
	RANGE_SYNTAX,    /* not an address, prefix or range at all */
	RANGE_HOST_BITS, /* a prefix with host bits; *ret is the prefix meant */
	RANGE_REVERSED,  /* last before first */
	RANGE_MIXED,     /* the ends are of two families */
	RANGE_PREFIX,    /* prefix length out of bounds */
	RANGE_MAPPED,    /* ::ffff:0:0/96; *ret is the IPv4 address meant */
};

size_t addr_size(enum family family);   /* 4 or 16 bytes */
unsigned addr_bits(enum family family); /* 32 or 128 */
bool addr_parse(const char *text, struct addr *ret);
char *addr_format(const struct addr *addr, char buffer[ADDR_TEXT_MAX]); /* returns buffer */
int addr_compare(const struct addr *a, const struct addr *b);           /* IPv4 before IPv6 */
bool addr_next(struct addr *addr);     /* false (unchanged) after the last address of the family */
bool addr_previous(struct addr *addr); /* false (unchanged) before the first one */

/* Text is an address, ADDRESS/LENGTH or FIRST-LAST, without spaces. */
enum range_error range_parse(const char *text, struct range *ret);
/* As an address, a prefix where the range is one, or FIRST-LAST. Returns buffer. */
char *range_format(const struct range *range, char buffer[RANGE_TEXT_MAX]);
int range_prefix_length(const struct range *range); /* -1 where the range is not a prefix */
bool range_is_host(const struct range *range);
bool range_contains(const struct range *range, const struct addr *addr);
struct range range_of(const struct addr *addr); /* just this address */
struct range range_all(enum family family);

/* All of these return 0 or -ENOMEM; on error the list is as it was. */
int ranges_add(struct ranges *ranges, const struct range *range);
int ranges_add_all(struct ranges *ranges, const struct ranges *more);
int ranges_subtract(struct ranges *ranges, const struct ranges *less);  /* both normalised; so is the result */
int ranges_intersect(struct ranges *ranges, const struct ranges *with); /* likewise */

void ranges_normalise(struct ranges *ranges);
bool ranges_contains(const struct ranges *ranges, const struct addr *addr);    /* normalised only */
bool ranges_cover(const struct ranges *ranges, const struct range *range);     /* normalised only: wholly inside */
bool ranges_overlap(const struct ranges *ranges, const struct range *range);   /* normalised only */
bool ranges_cover_all(const struct ranges *wide, const struct ranges *narrow); /* wide normalised */
bool ranges_overlap_any(const struct ranges *a, const struct ranges *b);       /* a normalised */
bool ranges_equal(const struct ranges *a, const struct ranges *b);             /* normalised only */
void ranges_free(struct ranges *ranges);

#endif
