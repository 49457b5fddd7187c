/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "state_file.h"
#include "core/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
#define DAY (24 * (int64_t)HOUR)
#define WALL INT64_C(1700000000)

static const struct book_limits limits = { 30 * SECOND, 15 * MINUTE, HOUR, 7 * DAY };
static const struct book_name names[] = { { "a.example", false, FAMILIES_ALL },
					  { "my.mailstore.com", false, FAMILIES_ALL } };
static char directory[64];

static int make_directory(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/spefw-state-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static const char *path_of(const char *file)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", directory, file);
	return path;
}

static int remove_directory(void **state)
{
	(void)state;
	unlink(path_of("addresses"));
	unlink(path_of(".addresses.new"));
	unlink(path_of("blob"));
	unlink(path_of("fifo"));
	return rmdir(directory);
}

static struct addrbook *new_book(void)
{
	struct addrbook *book;
	assert_int_equal(addrbook_new(&book, &limits, 1), 0);
	assert_int_equal(addrbook_want(book, names, 2, 0), 0);
	return book;
}

static void answer(struct addrbook *book, const char *name, const char *text, int64_t now)
{
	struct addr addr;
	bool changed;
	assert_true(addr_parse(text, &addr));
	assert_int_equal(addrbook_answered(book, name, (enum family)addr.family, &addr, 1, 300, ORIGIN_QUERIED, now,
					   &changed),
			 0);
}

static const struct book_address *find(struct addrbook *book, const char *name, const char *text)
{
	struct book_entry entry;
	struct addr addr;

	assert_true(addr_parse(text, &addr));
	assert_int_equal(addrbook_find(book, name, (enum family)addr.family, &entry), 0);
	for (size_t i = 0; i < entry.address_count; i++)
		if (addr_compare(&entry.addresses[i].addr, &addr) == 0)
			return &entry.addresses[i];
	return NULL;
}

static size_t total(struct addrbook *book)
{
	struct book_entry entry;
	size_t count = 0;
	for (size_t i = 0; i < addrbook_count(book); i++) {
		addrbook_entry(book, i, &entry);
		count += entry.address_count;
	}
	return count;
}

/* Three addresses, confirmed one and two hours ago and now. */
static void save_three(void)
{
	struct addrbook *book = new_book();
	answer(book, "a.example", "192.0.2.1", 0);
	answer(book, "my.mailstore.com", "198.51.100.7", HOUR);
	answer(book, "my.mailstore.com", "2001:db8::7", 2 * HOUR);
	assert_int_equal(state_save_addresses(directory, book, 2 * HOUR, WALL), 0);
	addrbook_free(book);
}

static void addresses_come_back(void **state)
{
	struct addrbook *book = new_book();
	struct stat info;

	(void)state;
	assert_int_equal(state_load_addresses(directory, book, 0, WALL), -ENOENT);
	save_three();
	assert_int_equal(stat(path_of("addresses"), &info), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
	assert_int_not_equal(access(path_of(".addresses.new"), F_OK), 0);

	/* After a boot: another clock, ten minutes later. */
	assert_int_equal(state_load_addresses(directory, book, MINUTE, WALL + 600), 0);
	assert_int_equal(total(book), 3);
	assert_int_equal(find(book, "a.example", "192.0.2.1")->confirmed_ms, MINUTE - 2 * HOUR - 10 * MINUTE);
	assert_int_equal(find(book, "my.mailstore.com", "198.51.100.7")->confirmed_ms, MINUTE - HOUR - 10 * MINUTE);
	assert_int_equal(find(book, "my.mailstore.com", "2001:db8::7")->confirmed_ms, MINUTE - 10 * MINUTE);
	assert_int_equal(find(book, "a.example", "192.0.2.1")->origin, ORIGIN_REMEMBERED);
	addrbook_free(book);
}

/* What was observed alone stays that, and lives no longer for it. */
static void observed_come_back(void **state)
{
	struct addrbook *book = new_book();
	struct addr addr;
	bool changed;

	(void)state;
	assert_true(addr_parse("192.0.2.9", &addr));
	answer(book, "a.example", "192.0.2.1", 0);
	assert_int_equal(addrbook_answered(book, "a.example", FAMILY_4, &addr, 1, 7200, ORIGIN_OBSERVED, 0, &changed),
			 0);
	assert_int_equal(state_save_addresses(directory, book, HOUR, WALL), 0);
	addrbook_free(book);

	book = new_book();
	assert_int_equal(state_load_addresses(directory, book, MINUTE, WALL + 600), 0);
	assert_int_equal(find(book, "a.example", "192.0.2.1")->origin, ORIGIN_REMEMBERED);
	assert_int_equal(find(book, "a.example", "192.0.2.9")->origin, ORIGIN_OBSERVED);
	assert_int_equal(find(book, "a.example", "192.0.2.9")->expires_ms, MINUTE + HOUR - 10 * MINUTE);
	addrbook_free(book);
	/* Over already; and by a clock that is wrong, a day at most. */
	book = new_book();
	assert_int_equal(state_load_addresses(directory, book, MINUTE, WALL + 3600), 0);
	assert_null(find(book, "a.example", "192.0.2.9"));
	assert_int_equal(total(book), 1);
	addrbook_free(book);
	book = new_book();
	assert_int_equal(state_load_addresses(directory, book, MINUTE, 5), 0);
	assert_int_equal(find(book, "a.example", "192.0.2.9")->expires_ms, MINUTE + 24 * HOUR);
	addrbook_free(book);
}

static void names_not_wanted(void **state)
{
	struct addrbook *book = new_book();

	(void)state;
	save_three();
	assert_int_equal(addrbook_want(book, &names[1], 1, 0), 0);
	assert_int_equal(state_load_addresses(directory, book, 0, WALL), 0);
	assert_int_equal(total(book), 2);
	addrbook_free(book);
}

static void wrong_clocks(void **state)
{
	struct addrbook *book = new_book();

	(void)state;
	save_three();
	/* Back in 1970: as good as new. */
	assert_int_equal(state_load_addresses(directory, book, 0, 5), 0);
	assert_int_equal(find(book, "a.example", "192.0.2.1")->confirmed_ms, 0);
	addrbook_free(book);

	book = new_book();
	assert_int_equal(state_load_addresses(directory, book, 0, WALL + 8 * 86400), 0);
	assert_int_equal(total(book), 0);
	assert_int_equal(state_load_addresses(directory, book, 0, INT64_MAX), 0);
	assert_int_equal(state_load_addresses(directory, book, 0, INT64_MIN), 0);
	assert_int_equal(total(book), 3);
	/* Saved before the epoch, or what a clock takes for it. */
	assert_int_equal(state_save_addresses(directory, book, 0, INT64_MIN + HOUR), 0);
	addrbook_free(book);
	book = new_book();
	assert_int_equal(state_load_addresses(directory, book, 0, 10), 0);
	assert_int_equal(total(book), 3);
	addrbook_free(book);
}

/* What is taken of a damaged file was saved, bit for bit. */
static int read_damaged(const char *bytes, size_t length, size_t *ret_total)
{
	struct addrbook *book = new_book();
	char *copy = malloc(length ? length : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, length);
	int status = state_read_addresses(copy, length, book, 2 * HOUR, WALL);
	free(copy);
	*ret_total = total(book);
	size_t known = (find(book, "a.example", "192.0.2.1") != NULL) +
		       (find(book, "my.mailstore.com", "198.51.100.7") != NULL) +
		       (find(book, "my.mailstore.com", "2001:db8::7") != NULL);
	assert_int_equal(known, *ret_total);
	addrbook_free(book);
	return status;
}

static void damaged_files(void **state)
{
	size_t length, taken;
	char *bytes;

	(void)state;
	save_three();
	assert_int_equal(state_load(directory, "addresses", 4096, &bytes, &length), 0);
	assert_int_equal(read_damaged(bytes, length, &taken), 0);
	assert_int_equal(taken, 3);

	for (size_t cut = 0; cut < length; cut++)
		assert_int_equal(read_damaged(bytes, cut, &taken), -EBADMSG);
	for (size_t at = 0; at < length; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			bytes[at] = (char)(bytes[at] ^ 1 << bit);
			assert_int_equal(read_damaged(bytes, length, &taken), -EBADMSG);
			bytes[at] = (char)(bytes[at] ^ 1 << bit);
		}

	/* One bad line costs that line alone. */
	char *bad = strstr(bytes, "198");
	assert_non_null(bad);
	*bad = '9';
	assert_int_equal(read_damaged(bytes, length, &taken), -EBADMSG);
	assert_int_equal(taken, 2);
	free(bytes);
}

static void other_versions(void **state)
{
	static const char header[] = "spefw-addresses 2", nothing[] = "";
	char text[64];
	size_t taken;

	(void)state;
	snprintf(text, sizeof(text), "%s %016" PRIx64 "\n", header, hash_bytes(HASH_START, header, strlen(header)));
	assert_int_equal(read_damaged(text, strlen(text), &taken), -EBADMSG);
	assert_int_equal(read_damaged(nothing, 0, &taken), -EBADMSG);
}

static void blobs(void **state)
{
	char big[5000], *bytes;
	size_t length;

	(void)state;
	memset(big, 'x', sizeof(big));
	big[17] = '\0';
	assert_int_equal(state_save(directory, "blob", big, sizeof(big)), 0);
	assert_int_equal(state_load(directory, "blob", sizeof(big) - 1, &bytes, &length), -EFBIG);
	assert_int_equal(state_load(directory, "blob", sizeof(big), &bytes, &length), 0);
	assert_int_equal(length, sizeof(big));
	assert_memory_equal(bytes, big, sizeof(big));
	assert_int_equal(bytes[length], 0);
	free(bytes);

	assert_int_equal(state_save(directory, "blob", "", 0), 0);
	assert_int_equal(state_load(directory, "blob", 10, &bytes, &length), 0);
	assert_int_equal(length, 0);
	free(bytes);

	assert_int_equal(state_save(directory, "../blob", "", 0), -EINVAL);
	assert_int_equal(state_save(directory, ".", "", 0), -EINVAL);
	assert_int_equal(state_load(directory, "a/b", 10, &bytes, &length), -EINVAL);
	assert_int_equal(state_save("/nonexistent", "blob", "", 0), -ENOENT);
	assert_int_equal(state_load("/nonexistent", "blob", 10, &bytes, &length), -ENOENT);
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	assert_int_equal(state_load(directory, "fifo", 10, &bytes, &length), -EINVAL);
}

/* A file that can't be written leaves the old one, and nothing of the new. A symbolic link in its place is not
 * followed. */
static void failed_saves(void **state)
{
	size_t length;
	char *bytes;

	(void)state;
	assert_int_equal(state_save(directory, "blob", "old", 3), 0);
	assert_int_equal(mkdir(path_of(".blob.new"), 0700), 0);
	assert_true(state_save(directory, "blob", "new", 3) < 0);
	assert_int_equal(rmdir(path_of(".blob.new")), 0);
	assert_int_equal(state_load(directory, "blob", 10, &bytes, &length), 0);
	assert_string_equal(bytes, "old");
	free(bytes);

	assert_int_equal(symlink(path_of("fifo"), path_of(".blob.new")), 0);
	assert_int_equal(state_save(directory, "blob", "new", 3), 0);
	assert_int_equal(state_load(directory, "blob", 10, &bytes, &length), 0);
	assert_string_equal(bytes, "new");
	free(bytes);
	assert_int_not_equal(access(path_of("fifo"), F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(addresses_come_back, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(observed_come_back, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(names_not_wanted, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(wrong_clocks, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(damaged_files, make_directory, remove_directory),
		cmocka_unit_test(other_versions),
		cmocka_unit_test_setup_teardown(blobs, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(failed_saves, make_directory, remove_directory),
	};

	return cmocka_run_group_tests_name("state_file", tests, NULL, NULL);
}
