/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Complaints: their form, their order, their number; and the known word that a misspelt one is nearest to. */
#include "make.h"

#define X10 "xxxxxxxxxx"
#define X40 X10 X10 X10 X10

static void assert_formats(const struct diags *diags, const char *expected)
{
	char text[1000] = "";

	for (size_t i = 0; i < diags->count; i++) {
		char *line = diag_format(&diags->items[i]);
		assert_non_null(line);
		strcat(strcat(text, line), "\n");
		free(line);
	}
	assert_string_equal(text, expected);
}

static void test_form(void **state)
{
	struct diags diags = { 0 };

	(void)state;
	diag_warning(&diags, "a.ini", 7, "%s is unwise", "that");
	diag_warning(&diags, "a.ini", 0, "all of it");
	diag_warning(&diags, NULL, 0, "nowhere");
	assert_false(diags_failed(&diags));
	assert_int_equal(diags.errors, 0);
	diag_error(&diags, "a\x1b.ini", 9, "%d\ttoo many\x7f", 3);
	diag_error(&diags, NULL, 0, "nothing there");
	assert_true(diags_failed(&diags));
	assert_int_equal(diags.errors, 2);
	assert_formats(&diags, "a.ini:7: warning: that is unwise\na.ini: warning: all of it\nwarning: nowhere\n"
			       "a?.ini:9: 3?too many?\nnothing there\n");
	diags_free(&diags);
	assert_int_equal(diags.count, 0);
	assert_false(diags_failed(&diags));
}

/* By line within a file; files, and what has the same line, in the order in which they came. */
static void test_order(void **state)
{
	static const struct {
		const char *file;
		unsigned line;
	} added[] = { { "b", 3 }, { "a", 5 }, { "b", 2 },  { "a", 9 }, { NULL, 0 }, { "b", 3 },
		      { "a", 1 }, { "c", 1 }, { NULL, 0 }, { "b", 1 }, { "a", 5 },  { "c", 0 } };
	struct diags diags = { 0 };

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(added); i++)
		diag_warning(&diags, added[i].file, added[i].line, "%u", i);
	diags_sort(&diags);
	assert_formats(&diags, "b:1: warning: 9\nb:2: warning: 2\nb:3: warning: 0\nb:3: warning: 5\n"
			       "a:1: warning: 6\na:5: warning: 1\na:5: warning: 10\na:9: warning: 3\n"
			       "warning: 4\nwarning: 8\nc: warning: 11\nc:1: warning: 7\n");
	diags_free(&diags);
}

/* A wrong file of megabytes must not cost gigabytes of complaints. */
static void test_too_many(void **state)
{
	struct diags diags = { 0 };

	(void)state;
	for (unsigned i = 0; i < 10002; i++)
		diag_error(&diags, "a", i, "wrong");
	assert_int_equal(diags.errors, 10002);
	assert_int_equal(diags.count, 10001);
	assert_non_null(diags.items[9999].file);
	assert_null(diags.items[10000].file);
	assert_string_not_equal(diags.items[10000].text, "wrong");
	diags_free(&diags);
}

static void test_no_memory(void **state)
{
	struct diags diags;
	bool complete = false;

	(void)state;
	for (long n = 0; !complete; n++) {
		diags = (struct diags){ 0 };
		allocations_left = n;
		diag_warning(&diags, "a", 1, "%s", "that");
		allocations_left = -1;
		complete = !diags.out_of_memory;
		assert_int_equal(diags_failed(&diags), !complete);
		assert_int_equal(diags.count, complete);
		diags_free(&diags);
	}
}

static void test_nearest(void **state)
{
	static const char *const known[] = { "address", "interface", "resolvers", "time_servers",
					     "to",      "cat",       "bat",       "notifications_of_health" };
	static const struct {
		const char *word, *nearest;
	} cases[] = {
		{ "address", "address" },
		{ "ADDRESS", "address" },
		/* a letter missing, too many, wrong, swapped with its neighbour */
		{ "adress", "address" },
		{ "addresss", "address" },
		{ "bddress", "address" },
		{ "adderss", "address" },
		{ "addresx", "address" },
		{ "daderss", "address" },
		{ "xddres", "address" },
		/* two of four to six letters, three of seven and more */
		{ "adxxexx", NULL },
		{ "axxrxss", "address" },
		{ "axxxxss", NULL },
		{ "resolver", "resolvers" },
		{ "interfxcx", "interface" },
		{ "timeservers", "time_servers" },
		{ "time-servers", "time_servers" },
		/* one of three; and what is the first of two that are as near */
		{ "rat", "cat" },
		{ "bxt", "bat" },
		{ "act", "cat" },
		{ "cta", "cat" },
		{ "tca", NULL },
		{ "xyt", NULL },
		{ "ta", "to" },
		{ "ot", "to" },
		{ "t", "to" },
		{ "x", NULL },
		{ "", NULL },
		{ "tox", "to" },
		/* no swap: one letter of two is there */
		{ "axc", NULL },
		{ "xca", NULL },
		{ "txc", NULL },
		/* what was begun */
		{ "notifi", "notifications_of_health" },
		{ "not", "notifications_of_health" },
		{ "no", "to" },
		{ "notix", NULL },
	};
	static const char *const begun[] = { "abcdefghijkl", "abcdefghijkm", "ab" };
	static const char *const lengths[] = { X40 "x", X40 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *nearest = diag_nearest(cases[i].word, known, COUNT_OF(known));
		if (nearest != cases[i].nearest && (!nearest || !cases[i].nearest || strcmp(nearest, cases[i].nearest)))
			fail_msg("%s: %s instead of %s", cases[i].word, nearest ? nearest : "none",
				 cases[i].nearest ? cases[i].nearest : "none");
	}
	assert_string_equal(diag_nearest("abcd", begun, 2), "abcdefghijkl"); /* the first one */
	assert_null(diag_nearest("abcd", begun, 0));
	/* Longer words are nobody's misspelling. */
	assert_null(diag_nearest(X40 "x", lengths, 2));
	assert_string_equal(diag_nearest(X40, lengths, 2), X40);
	assert_null(diag_nearest(X40, lengths, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form),      cmocka_unit_test(test_order),   cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_no_memory), cmocka_unit_test(test_nearest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
