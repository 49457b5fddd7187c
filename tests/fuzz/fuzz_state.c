/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of addresses, as a worn disk may give it back. Each line of the input gets its right checksum unless it ends
 * in '!', or no input would come further than that. What was read and is written reads as the same again. */
#include "../../daemon/state_file.c"
#include "core/unfit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fuzz_one(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static char *with_checksums(const uint8_t *data, size_t size, size_t *ret_length)
{
	char *text = NULL;
	FILE *file = open_memstream(&text, ret_length);

	must(file != NULL);
	while (size > 0) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t length = end ? (size_t)(end - data) : size;
		bool raw = length > 0 && data[length - 1] == '!';
		fwrite(data, 1, raw ? length - 1 : length, file);
		if (!raw)
			fprintf(file, " %016" PRIx64, hash_bytes(HASH_START, data, length));
		if (end)
			fputc('\n', file);
		data += length + (end != NULL);
		size -= length + (end != NULL);
	}
	must(fclose(file) == 0);
	return text;
}

enum { NOW_MS = 1000, WALL_S = 1700000000 };

static void check(const struct addrbook *book)
{
	struct book_entry entry;

	for (size_t i = 0; i < addrbook_count(book); i++) {
		addrbook_entry(book, i, &entry);
		must(entry.address_count <= BOOK_ADDRESSES_MAX);
		for (size_t k = 0; k < entry.address_count; k++) {
			must(entry.addresses[k].addr.family == entry.family);
			must(!address_unfit(&entry.addresses[k].addr, false));
			must(entry.addresses[k].confirmed_ms <= NOW_MS);
			must(entry.addresses[k].expires_ms > NOW_MS);
			must(entry.addresses[k].origin == ORIGIN_OBSERVED || *entry.name != '*');
			must(k == 0 || addr_compare(&entry.addresses[k - 1].addr, &entry.addresses[k].addr) < 0);
		}
	}
}

static struct addrbook *empty_book(void)
{
	static const struct book_limits limits = { 30000, 900000, 3600000, INT64_C(604800000) };
	static const struct book_name names[] = { { "*.b.c", false, FAMILIES_ALL },
						  { "a.b", false, FAMILIES_ALL },
						  { "my.mailstore.com", false, 1 << FAMILY_4 } };
	struct addrbook *book;

	must(addrbook_new(&book, &limits, 1) == 0);
	must(addrbook_want(book, names, 3, 0) == 0);
	return book;
}

static void check_same(const struct addrbook *a, const struct addrbook *b)
{
	struct book_entry x, y;

	must(addrbook_count(a) == addrbook_count(b));
	for (size_t i = 0; i < addrbook_count(a); i++) {
		addrbook_entry(a, i, &x);
		addrbook_entry(b, i, &y);
		must(x.address_count == y.address_count);
		for (size_t k = 0; k < x.address_count; k++)
			must(addr_compare(&x.addresses[k].addr, &y.addresses[k].addr) == 0 &&
			     x.addresses[k].origin == y.addresses[k].origin);
	}
}

int fuzz_one(const uint8_t *data, size_t size)
{
	struct addrbook *book = empty_book(), *again = empty_book();
	size_t length = 0;
	char *text = with_checksums(data, size, &length), *written;

	int status = state_read_addresses(text, length, book, NOW_MS, WALL_S);
	must(status == 0 || status == -EBADMSG);
	check(book);
	must(compose(book, NOW_MS, WALL_S, &written, &length) == 0);
	must(state_read_addresses(written, length, again, NOW_MS, WALL_S) == 0);
	check_same(book, again);
	free(written);
	addrbook_free(again);
	addrbook_free(book);
	free(text);
	return 0;
}
