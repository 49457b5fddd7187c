/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts of saved rulesets. */
#include "core/saved.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void collect(void *userdata, const char *pattern, size_t length)
{
	char *list = userdata;
	if (strlen(list) + length + 2 < 200)
		sprintf(list + strlen(list), "%.*s;", (int)length, pattern);
}

static void test_saved(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *includes;
	} cases[] = {
		{ "", 0, "" },
		{ "table inet spefw {\n}\n", 1, "" },
		{ "#!/usr/sbin/nft -f\nflush ruleset\n\ntable\tinet   spefw { # comment\n}", 4, "" },
		{ "add table inet spefw\n", 1, "" },
		{ "table inet \\\nspefw {}", 1, "" },
		{ "# table inet spefw\ntable inet spefw2 {}\ntable ip spefw {}\n", 0, "" },
		{ "table inet mine { chain c { counter comment \"table inet spefw\" } }", 0, "" },
		{ "table inet a {}; table inet spefw { flags owner\n}\ntable inet spefw", 1, "" },
		{ "include \"/etc/nftables.d/*.nft\"\ninclude \"./b\"\n# include \"c\"\n", 0,
		  "/etc/nftables.d/*.nft;./b;" },
		{ "include \"unfinished\n", 0, "unfinished;" },
		/* another name begins, or ends, so */
		{ "table inet spefwa table inet spefwz table inet spefwA table inet spefwZ", 0, "" },
		{ "table inet spefw0 table inet spefw9 table inet spefw_ table inet spefw-", 0, "" },
		{ "table inet spefw. table inet spefw/ table inet spefw\\x table inet zspefw", 0, "" },
		{ "table inet aspefw table inet 0spefw atable inet spefw table binet spefw", 0, "" },
		{ "table inet spefw{}", 1, "" },
		{ "\r\n\ttable\r\ninet \\\n spefw", 2, "" },
		{ "table \"inet\" spefw", 0, "" },
		{ "table inet \"spefw\"", 0, "" },
		{ "table inet spef w", 0, "" },
		{ "include \"a\" \"b\"; include c", 0, "a;" },
		{ "\"x\ntable inet spefw", 2, "" },
		{ "# \\\ntable inet spefw", 2, "" },
		{ "#\ntable inet spefw\n#", 2, "" },
		{ "a \\ b table inet spefw", 1, "" },
		{ "include", 0, "" },
		{ "table inet", 0, "" },
		{ "*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n", 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char includes[200] = "", *text = malloc(strlen(cases[i].text) + 1);
		assert_non_null(text);
		memcpy(text, cases[i].text, strlen(cases[i].text)); /* no end to lean on */
		assert_int_equal(saved_scan(text, strlen(cases[i].text), collect, includes), cases[i].line);
		assert_string_equal(includes, cases[i].includes);
		free(text);
	}
}

/* Whatever the bytes: it ends, and reads no further. */
static void test_any_bytes(void **state)
{
	static const char alphabet[] = "table inet spefw include \"\\\n#{};\0\xff";
	uint64_t seed = 7;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		char includes[200] = "";
		size_t length = round % 60;
		char *text = malloc(length + 1);
		assert_non_null(text);
		for (size_t i = 0; i < length; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			text[i] = alphabet[(seed >> 33) % (sizeof(alphabet) - 1)];
		}
		char *exact = realloc(text, length ? length : 1);
		assert_non_null(exact);
		assert_true(saved_scan(exact, length, collect, includes) <= length + 1);
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_saved), cmocka_unit_test(test_any_bytes) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
