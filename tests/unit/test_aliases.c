/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The aliases, with an allocator that fails on request: hence the included sources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing.h"
#include "core/aliases.c"
#include "failing_end.h"

typedef char text[32];

/* The names that lead there, in their order, with a space behind each. */
static const char *names_of(const struct aliases *aliases, const char *alias, enum family family)
{
	static char list[256];
	size_t position = 0;

	list[0] = '\0';
	for (const char *name; (name = aliases_next(aliases, alias, family, &position));)
		strcat(strcat(list, name), " ");
	assert_null(aliases_next(aliases, alias, family, &position));
	return list;
}

static int set(struct aliases *aliases, const char *name, enum family family, const text *texts, size_t count)
{
	return aliases_set(aliases, name, family, (const char *)texts, sizeof(*texts), count);
}

static void chain(void **state)
{
	static const text names[] = { "edge.example", "node.example" };
	struct aliases aliases = { 0 };

	(void)state;
	assert_string_equal(names_of(&aliases, "edge.example", FAMILY_4), "");
	assert_int_equal(set(&aliases, "www.example", FAMILY_4, names, 2), 0);
	assert_string_equal(names_of(&aliases, "edge.example", FAMILY_4), "www.example ");
	assert_string_equal(names_of(&aliases, "node.example", FAMILY_4), "www.example ");
	/* The name itself is nobody's alias, the other family has aliases of its own, and names are equal as a whole.
	 */
	assert_string_equal(names_of(&aliases, "www.example", FAMILY_4), "");
	assert_string_equal(names_of(&aliases, "edge.example", FAMILY_6), "");
	assert_string_equal(names_of(&aliases, "edge.exampl", FAMILY_4), "");
	assert_string_equal(names_of(&aliases, "edge.example.", FAMILY_4), "");
	aliases_free(&aliases);
	assert_int_equal(aliases.count, 0);
	aliases_free(&aliases);
}

static void newest_answer_counts(void **state)
{
	static const text before[] = { "a.example", "b.example" }, after[] = { "b.example", "c.example" };
	struct aliases aliases = { 0 };

	(void)state;
	assert_int_equal(set(&aliases, "www.example", FAMILY_4, before, 2), 0);
	assert_int_equal(set(&aliases, "www.example", FAMILY_6, before, 2), 0);
	assert_int_equal(set(&aliases, "www.example", FAMILY_4, after, 2), 0);
	assert_string_equal(names_of(&aliases, "a.example", FAMILY_4), "");
	assert_string_equal(names_of(&aliases, "b.example", FAMILY_4), "www.example ");
	assert_string_equal(names_of(&aliases, "c.example", FAMILY_4), "www.example ");
	assert_string_equal(names_of(&aliases, "a.example", FAMILY_6), "www.example ");
	/* No alias any more. */
	assert_int_equal(set(&aliases, "www.example", FAMILY_4, NULL, 0), 0);
	assert_string_equal(names_of(&aliases, "b.example", FAMILY_4), "");
	assert_string_equal(names_of(&aliases, "b.example", FAMILY_6), "www.example ");
	aliases_free(&aliases);
}

static void several_names_lead_there(void **state)
{
	static const text shared[] = { "cdn.example" };
	struct aliases aliases = { 0 };

	(void)state;
	assert_int_equal(set(&aliases, "one.example", FAMILY_4, shared, 1), 0);
	assert_int_equal(set(&aliases, "two.example", FAMILY_4, shared, 1), 0);
	assert_int_equal(set(&aliases, "three.example", FAMILY_6, shared, 1), 0);
	assert_string_equal(names_of(&aliases, "cdn.example", FAMILY_4), "one.example two.example ");
	assert_int_equal(set(&aliases, "one.example", FAMILY_4, NULL, 0), 0);
	assert_string_equal(names_of(&aliases, "cdn.example", FAMILY_4), "two.example ");
	assert_string_equal(names_of(&aliases, "cdn.example", FAMILY_6), "three.example ");
	aliases_free(&aliases);
}

static void odd_texts(void **state)
{
	/* A name that could not be written is "" in an answer: it must not match a question that could not be read. */
	static const text odd[] = { "", "x.example", "" };
	struct aliases aliases = { 0 };

	(void)state;
	assert_int_equal(set(&aliases, "www.example", FAMILY_4, odd, 3), 0);
	assert_int_equal(aliases.count, 1);
	assert_string_equal(names_of(&aliases, "", FAMILY_4), "");
	assert_string_equal(names_of(&aliases, "x.example", FAMILY_4), "www.example ");
	aliases_free(&aliases);
}

static void memory_runs_out(void **state)
{
	static const text names[] = { "a.example", "b.example", "c.example" };
	bool done = false;

	(void)state;
	for (int left = 0; !done; left++) {
		struct aliases aliases = { 0 };
		assert_int_equal(set(&aliases, "other.example", FAMILY_4, names, 1), 0);
		assert_int_equal(set(&aliases, "www.example", FAMILY_4, names + 1, 1), 0);
		allocations_left = left;
		int status = set(&aliases, "www.example", FAMILY_4, names, 3);
		allocations_left = -1;
		done = status == 0;
		assert_true(done || status == -ENOMEM);
		/* All of it or nothing; other names keep theirs. */
		assert_string_equal(names_of(&aliases, "c.example", FAMILY_4), done ? "www.example " : "");
		assert_string_equal(names_of(&aliases, "b.example", FAMILY_4), done ? "www.example " : "");
		assert_string_equal(names_of(&aliases, "a.example", FAMILY_4),
				    done ? "other.example www.example " : "other.example ");
		aliases_free(&aliases);
		assert_true(left < 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chain),
		cmocka_unit_test(newest_answer_counts),
		cmocka_unit_test(several_names_lead_there),
		cmocka_unit_test(odd_texts),
		cmocka_unit_test(memory_runs_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
