// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/archive.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *packed(size_t *ret_length)
{
	struct archive archive = { 0 };

	assert_int_equal(archive_add(&archive, "/etc/spefw/spefw.ini", "[server]\n", 9), 0);
	assert_int_equal(archive_add(&archive, "/a path with blanks", "x\0y\n7 0 z\n", 10), 0);
	assert_int_equal(archive_add(&archive, "empty", "", 0), 0);
	char *bytes = archive_pack(&archive, ret_length);
	assert_non_null(bytes);
	archive_free(&archive);
	return bytes;
}

static void test_there_and_back(void **state)
{
	struct archive archive;
	size_t length;
	char *bytes = packed(&length);

	(void)state;
	assert_int_equal(archive_unpack(&archive, bytes, length), 0);
	assert_int_equal(archive.count, 3);
	const struct archived *file = archive_find(&archive, "/a path with blanks");
	assert_non_null(file);
	assert_int_equal(file->length, 10);
	assert_memory_equal(file->bytes, "x\0y\n7 0 z\n", 10);
	assert_int_equal(archive_find(&archive, "empty")->length, 0);
	assert_null(archive_find(&archive, "/etc/spefw"));
	archive_free(&archive);
	free(bytes);
}

/* Half a configuration is none: every cut and every altered bit is found. */
static void test_damage(void **state)
{
	struct archive archive;
	size_t length;
	char *bytes = packed(&length);

	(void)state;
	for (size_t cut = 0; cut < length; cut++) {
		char *part = malloc(cut + 1); /* its own block: a read beyond it is seen */
		assert_non_null(part);
		memcpy(part, bytes, cut);
		assert_int_equal(archive_unpack(&archive, part, cut), -EBADMSG);
		free(part);
	}
	for (size_t bit = 0; bit < length * 8; bit++) {
		bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
		assert_int_equal(archive_unpack(&archive, bytes, length), -EBADMSG);
		assert_int_equal(archive.count, 0);
		bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_damage) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
