/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file of addresses, as a worn disk may give it back. Each line of the input gets its right checksum unless it ends in
 * '!', or no input would come further than that. */
#include "state_file.h"

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

static uint32_t checksum(const uint8_t *bytes, size_t length)
{
	uint32_t sum = UINT32_C(2166136261);

	for (size_t i = 0; i < length; i++)
		sum = (sum ^ bytes[i]) * UINT32_C(16777619);
	return sum;
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
			fprintf(file, " %08x", checksum(data, length));
		if (end)
			fputc('\n', file);
		data += length + (end != NULL);
		size -= length + (end != NULL);
	}
	must(fclose(file) == 0);
	return text;
}

static void check(const struct addrbook *book)
{
	struct book_entry entry;

	for (size_t i = 0; i < addrbook_count(book); i++) {
		addrbook_entry(book, i, &entry);
		must(entry.address_count <= BOOK_ADDRESSES_MAX);
		for (size_t k = 0; k < entry.address_count; k++) {
			must(entry.addresses[k].addr.family == entry.family);
			must(!address_unfit(&entry.addresses[k].addr, false));
			must(entry.addresses[k].confirmed_ms <= 1000);
			must(k == 0 || addr_compare(&entry.addresses[k - 1].addr, &entry.addresses[k].addr) < 0);
		}
	}
}

int fuzz_one(const uint8_t *data, size_t size)
{
	static const struct book_limits limits = { 30000, 900000, 3600000, INT64_C(604800000) };
	static const char *const names[] = { "a.b", "my.mailstore.com" };
	static const bool allow_private[2];
	struct addrbook *book;
	size_t length = 0;
	char *text = with_checksums(data, size, &length);

	must(addrbook_new(&book, &limits, 1) == 0);
	must(addrbook_want(book, names, allow_private, 2, 0) == 0);
	int status = state_read_addresses(text, length, book, 1000, 1700000000);
	must(status == 0 || status == -EBADMSG);
	check(book);
	addrbook_free(book);
	free(text);
	return 0;
}
