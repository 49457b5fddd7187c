/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "addr.h"

#include "array.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t addr_size(enum family family)
{
	return family == FAMILY_4 ? 4 : 16;
}

unsigned addr_bits(enum family family)
{
	return (unsigned)addr_size(family) * 8;
}

bool addr_parse(const char *text, struct addr *ret)
{
	struct addr addr = { .family = strchr(text, ':') ? FAMILY_6 : FAMILY_4 };

	/* inet_pton refuses what inet_aton would guess at: "10.1", octal and hexadecimal parts, zones. */
	if (inet_pton(addr.family == FAMILY_4 ? AF_INET : AF_INET6, text, addr.bytes) != 1)
		return false;
	*ret = addr;
	return true;
}

char *addr_format(const struct addr *addr, char buffer[ADDR_TEXT_MAX])
{
	if (!inet_ntop(addr->family == FAMILY_4 ? AF_INET : AF_INET6, addr->bytes, buffer, ADDR_TEXT_MAX))
		buffer[0] = '\0';
	return buffer;
}

int addr_compare(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool addr_next(struct addr *addr)
{
	struct addr next = *addr;

	for (size_t i = addr_size(addr->family); i-- > 0;) {
		if (++next.bytes[i] != 0) {
			*addr = next;
			return true;
		}
	}
	return false;
}

bool addr_previous(struct addr *addr)
{
	struct addr previous = *addr;

	for (size_t i = addr_size(addr->family); i-- > 0;) {
		if (previous.bytes[i]-- != 0) {
			*addr = previous;
			return true;
		}
	}
	return false;
}

struct range range_of(const struct addr *addr)
{
	return (struct range){ *addr, *addr };
}

struct range range_all(enum family family)
{
	struct range range = { { .family = family }, { .family = family } };

	memset(range.last.bytes, 0xff, addr_size(family));
	return range;
}

/* The prefix of that length around addr, and whether addr has bits beyond it. */
static struct range prefix_of(const struct addr *addr, unsigned length, bool *ret_host_bits)
{
	struct range range = range_of(addr);

	*ret_host_bits = false;
	for (size_t i = 0; i < addr_size(addr->family); i++) {
		unsigned kept = length > i * 8 ? length - (unsigned)i * 8 : 0;
		uint8_t host = kept >= 8 ? 0 : (uint8_t)(0xff >> kept);

		if (addr->bytes[i] & host)
			*ret_host_bits = true;
		range.first.bytes[i] &= (uint8_t)~host;
		range.last.bytes[i] |= host;
	}
	return range;
}

static bool is_mapped(const struct addr *addr)
{
	static const uint8_t head[12] = { [10] = 0xff, [11] = 0xff };

	return addr->family == FAMILY_6 && memcmp(addr->bytes, head, sizeof(head)) == 0;
}

static struct addr unmap(const struct addr *addr)
{
	struct addr plain = { .family = FAMILY_4 };

	memcpy(plain.bytes, addr->bytes + 12, 4);
	return plain;
}

static bool parse_length(const char *text, unsigned *ret)
{
	unsigned length = 0;

	if (!*text || strlen(text) > 3 || (text[0] == '0' && text[1]))
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		length = length * 10 + (unsigned)(*text - '0');
	}
	*ret = length;
	return true;
}

static enum range_error parse_prefix(const struct addr *addr, const char *length_text, struct range *ret)
{
	unsigned length;
	bool host_bits;

	if (!parse_length(length_text, &length) || length > addr_bits(addr->family))
		return RANGE_PREFIX;
	*ret = prefix_of(addr, length, &host_bits);
	return host_bits ? RANGE_HOST_BITS : RANGE_OK;
}

enum range_error range_parse(const char *text, struct range *ret)
{
	enum range_error error = RANGE_OK;
	char first_text[ADDR_TEXT_MAX];
	struct addr first, last;
	size_t length = strcspn(text, "/-");
	char separator = text[length];

	if (length >= sizeof(first_text))
		return RANGE_SYNTAX;
	memcpy(first_text, text, length);
	first_text[length] = '\0';
	if (!addr_parse(first_text, &first))
		return RANGE_SYNTAX;

	*ret = range_of(&first);
	if (separator == '/') {
		error = parse_prefix(&first, text + length + 1, ret);
	} else if (separator == '-') {
		if (!addr_parse(text + length + 1, &last))
			return RANGE_SYNTAX;
		if (first.family != last.family)
			return RANGE_MIXED;
		if (addr_compare(&first, &last) > 0)
			return RANGE_REVERSED;
		ret->last = last;
	}
	if (error != RANGE_PREFIX && is_mapped(&ret->first) && is_mapped(&ret->last)) {
		*ret = (struct range){ unmap(&ret->first), unmap(&ret->last) };
		return RANGE_MAPPED;
	}
	return error;
}

char *range_format(const struct range *range, char buffer[RANGE_TEXT_MAX])
{
	char first[ADDR_TEXT_MAX], last[ADDR_TEXT_MAX];
	int length = range_prefix_length(range);

	addr_format(&range->first, first);
	if (range_is_host(range))
		snprintf(buffer, RANGE_TEXT_MAX, "%s", first);
	else if (length >= 0)
		snprintf(buffer, RANGE_TEXT_MAX, "%s/%d", first, length);
	else
		snprintf(buffer, RANGE_TEXT_MAX, "%s-%s", first, addr_format(&range->last, last));
	return buffer;
}

/* How many leading bits two addresses of one family share. */
static unsigned common_bits(const struct addr *a, const struct addr *b)
{
	for (size_t i = 0; i < addr_size(a->family); i++) {
		uint8_t differing = a->bytes[i] ^ b->bytes[i];

		if (differing)
			return (unsigned)i * 8 + (unsigned)__builtin_clz(differing) -
			       (unsigned)(sizeof(unsigned) - 1) * 8;
	}
	return addr_bits(a->family);
}

int range_prefix_length(const struct range *range)
{
	unsigned length = common_bits(&range->first, &range->last);
	bool host_bits;
	struct range prefix = prefix_of(&range->first, length, &host_bits);

	return !host_bits && addr_compare(&prefix.last, &range->last) == 0 ? (int)length : -1;
}

bool range_is_host(const struct range *range)
{
	return addr_compare(&range->first, &range->last) == 0;
}

bool range_contains(const struct range *range, const struct addr *addr)
{
	return addr_compare(&range->first, addr) <= 0 && addr_compare(addr, &range->last) <= 0;
}

int ranges_add(struct ranges *ranges, const struct range *range)
{
	return ARRAY_PUSH(ranges, *range) < 0 ? -ENOMEM : 0;
}

int ranges_add_all(struct ranges *ranges, const struct ranges *more)
{
	size_t before = ranges->count, count = more->count;

	for (size_t i = 0; i < count; i++) {
		struct range range = more->items[i]; /* a copy: more may be ranges itself, and move */

		if (ranges_add(ranges, &range) < 0) {
			ranges->count = before;
			return -ENOMEM;
		}
	}
	return 0;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *left = a, *right = b;
	int order = addr_compare(&left->first, &right->first);

	return order ? order : addr_compare(&left->last, &right->last);
}

/* Whether range begins inside of, or right after, a range that begins no later. */
static bool joins(const struct range *before, const struct range *range)
{
	struct addr after = before->last;

	if (before->last.family != range->first.family)
		return false;
	return !addr_next(&after) || addr_compare(&range->first, &after) <= 0;
}

void ranges_normalise(struct ranges *ranges)
{
	size_t kept = 0;
	bool sorted = true;

	for (size_t i = 1; i < ranges->count && sorted; i++)
		sorted = compare_ranges(&ranges->items[i - 1], &ranges->items[i]) <= 0;
	if (!sorted)
		qsort(ranges->items, ranges->count, sizeof(*ranges->items), compare_ranges);

	for (size_t i = 0; i < ranges->count; i++) {
		const struct range *range = &ranges->items[i];
		struct range *last = kept ? &ranges->items[kept - 1] : NULL;

		if (!last || !joins(last, range))
			ranges->items[kept++] = *range;
		else if (addr_compare(&range->last, &last->last) > 0)
			last->last = range->last;
	}
	ranges->count = kept;
}

/* Puts result in the place of ranges, or drops it after an error. */
static int replace_items(struct ranges *ranges, struct ranges *result, int error)
{
	if (error < 0) {
		ranges_free(result);
		return error;
	}
	ranges_free(ranges);
	*ranges = *result;
	return 0;
}

/* What is left of range once less has been taken out; *next is the first of less that may still matter. */
static int add_rest(struct ranges *result, struct range range, const struct ranges *less, size_t *next)
{
	while (*next < less->count && addr_compare(&less->items[*next].last, &range.first) < 0)
		++*next;

	for (size_t i = *next; i < less->count && addr_compare(&less->items[i].first, &range.last) <= 0; i++) {
		const struct range *hole = &less->items[i];
		struct range part = { range.first, hole->first };
		struct addr after = hole->last;

		if (addr_compare(&range.first, &hole->first) < 0 && addr_previous(&part.last) &&
		    ranges_add(result, &part) < 0)
			return -ENOMEM;
		if (addr_compare(&hole->last, &range.last) >= 0 || !addr_next(&after))
			return 0;
		range.first = after;
	}
	return ranges_add(result, &range);
}

int ranges_subtract(struct ranges *ranges, const struct ranges *less)
{
	struct ranges result = { 0 };
	size_t next = 0;
	int r = 0;

	for (size_t i = 0; i < ranges->count && r == 0; i++)
		r = add_rest(&result, ranges->items[i], less, &next);
	return replace_items(ranges, &result, r);
}

int ranges_intersect(struct ranges *ranges, const struct ranges *with)
{
	struct ranges result = { 0 };
	size_t i = 0, j = 0;
	int r = 0;

	while (i < ranges->count && j < with->count && r == 0) {
		const struct range *a = &ranges->items[i], *b = &with->items[j];
		struct range both = {
			addr_compare(&a->first, &b->first) > 0 ? a->first : b->first,
			addr_compare(&a->last, &b->last) < 0 ? a->last : b->last,
		};

		if (addr_compare(&both.first, &both.last) <= 0)
			r = ranges_add(&result, &both);
		if (addr_compare(&a->last, &b->last) < 0)
			i++;
		else
			j++;
	}
	return replace_items(ranges, &result, r);
}

/* The first item that ends at addr or after it; NULL where all end before. */
static const struct range *find_from(const struct ranges *ranges, const struct addr *addr)
{
	size_t low = 0, high = ranges->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (addr_compare(&ranges->items[middle].last, addr) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < ranges->count ? &ranges->items[low] : NULL;
}

bool ranges_contains(const struct ranges *ranges, const struct addr *addr)
{
	const struct range *item = find_from(ranges, addr);

	return item && range_contains(item, addr);
}

bool ranges_cover(const struct ranges *ranges, const struct range *range)
{
	const struct range *item = find_from(ranges, &range->first);

	return item && range_contains(item, &range->first) && range_contains(item, &range->last);
}

bool ranges_overlap(const struct ranges *ranges, const struct range *range)
{
	const struct range *item = find_from(ranges, &range->first);

	return item && addr_compare(&item->first, &range->last) <= 0;
}

bool ranges_cover_all(const struct ranges *wide, const struct ranges *narrow)
{
	for (size_t i = 0; i < narrow->count; i++)
		if (!ranges_cover(wide, &narrow->items[i]))
			return false;
	return true;
}

bool ranges_overlap_any(const struct ranges *a, const struct ranges *b)
{
	for (size_t i = 0; i < b->count; i++)
		if (ranges_overlap(a, &b->items[i]))
			return true;
	return false;
}

bool ranges_equal(const struct ranges *a, const struct ranges *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (compare_ranges(&a->items[i], &b->items[i]) != 0)
			return false;
	return true;
}

void ranges_free(struct ranges *ranges)
{
	free(ranges->items);
	*ranges = (struct ranges){ 0 };
}
