/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Archives and records in lines, text that comes from outside, reasons of health. */
#include "make.h"

#include "core/archive.h"
#include "core/health.h"
#include "core/held.h"
#include "core/lines.h"
#include "core/printable.h"
#include "core/totals.h"

static void test_lines(void **state)
{
	static const struct {
		const char *text, *line;
		size_t rest; /* where the next one begins */
	} cases[] = {
		{ "abc\ndef\n", "abc", 4 },
		{ "\nabc", "", 1 },
		{ "abc", "", 3 /* it was cut off */ },
		{ "", "", 0 },
		{ "1234567\nx", "1234567", 8 },
		{ "12345678\nx", "", 9 /* it has no room */ },
		{ "123456789\nx", "", 10 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char line[10] = "........!";
		const char *text = cases[i].text, *rest = lines_next(text, line, 8);
		assert_string_equal(line, cases[i].line);
		assert_int_equal(rest - text, cases[i].rest);
		assert_int_equal(line[8], '!');
	}
}

static ssize_t refuse(void *cookie, const char *bytes, size_t size)
{
	(void)cookie;
	(void)bytes;
	(void)size;
	return 0;
}

static void test_archive(void **state)
{
	struct archive archive = { 0 }, again;
	size_t length;
	long n;

	(void)state;
	for (n = 0; !archive.count; n++) {
		allocations_left = n;
		int r = archive_add(&archive, "/etc/a", "abc", 3);
		allocations_left = -1;
		assert_int_equal(r, archive.count ? 0 : -12);
	}
	assert_int_equal(n, 4);
	assert_string_equal(archive.items[0].bytes, "abc"); /* it is terminated, beside */
	assert_int_equal(archive_add(&archive, "/etc/b", "", 0), 0);
	char *bytes = archive_pack(&archive, &length);
	assert_non_null(bytes);
	/* Written by one version, read by another: every character counts. */
	assert_string_equal(bytes,
			    "spefw-archive 1\n3 b174476b47bd9270 /etc/a\nabc\n0 28d99ab391734e09 /etc/b\n\nend 2\n");
	for (long left = 0; left < 20; left++) {
		allocations_left = left;
		int r = archive_unpack(&again, bytes, length);
		allocations_left = -1;
		assert_true(r == 0 || (r == -12 && again.count == 0));
		assert_true(r < 0 || again.count == 2);
		archive_free(&again);
	}
	free(bytes);
	archive_free(&archive);
}

/* What there is no memory for leaves all else as it was. */
static void test_records_without_memory(void **state)
{
	static const char addresses[] = "a.example 192.0.2.1 5\nb.example 192.0.2.2 6\n";
	static const char counters[] = "boot x\nin 1 2 3 4\nout 5 6 7 8\n";
	struct addr addr = make_addr("192.0.2.2");
	struct held held;
	struct totals totals;

	(void)state;
	for (long n = 0, r = -1; r != 0; n++) {
		allocations_left = n;
		r = held_from_text(&held, addresses);
		allocations_left = -1;
		assert_true(r == 0 || (r == -12 && !held.count && !held.items));
	}
	for (long n = 0; n < 2; n++) {
		held.capacity = held.count; /* the next one needs more room */
		allocations_left = n;
		assert_int_equal(held_note(&held, "a.example", &addr, 1), -12);
		allocations_left = -1;
		assert_int_equal(held.count, 2);
	}
	assert_int_equal(held_note(&held, "a.example", &addr, 1), 0);
	assert_int_equal(held.count, 3);
	held_free(&held);

	for (long n = 0, r = -1; r != 0; n++) {
		allocations_left = n;
		r = totals_from_text(&totals, counters, "x");
		allocations_left = -1;
		assert_true(r == 0 || (r == -12 && !totals.count && !totals.items));
	}
	totals.capacity = totals.count;
	allocations_left = 0;
	assert_int_equal(totals_see(&totals, "new", 1, 1), -12);
	assert_int_equal(totals_see(&totals, "in", 4, 6), 0); /* that needs none */
	allocations_left = -1;
	assert_int_equal(totals_find(&totals, "in")->packets, 2);
	assert_int_equal(totals_find(&totals, "in")->bytes, 4);
	assert_null(totals_find(&totals, "new"));
	totals_free(&totals);
}

/* A list of ranges is as it was, where there is no memory for another one. */
static void test_ranges_without_memory(void **state)
{
	(void)state;
	for (int what = 0; what < 3; what++) {
		int r = -12;
		for (long n = 0; r != 0; n++) {
			struct ranges list = make_ranges("10.0.0.0/8 192.0.2.1"),
				      other = make_ranges(
					      "10.1.0.0/16 10.3.0.0/16 10.5.0.0/16 10.7.0.0/16 10.9.0.0/16"),
				      before = make_ranges("10.0.0.0/8 192.0.2.1");
			allocations_left = n;
			r = what == 0   ? ranges_add_all(&list, &other)
			    : what == 1 ? ranges_subtract(&list, &other)
					: ranges_intersect(&list, &other);
			allocations_left = -1;
			assert_true(r == 0 || (r == -12 && ranges_equal(&list, &before)));
			assert_int_equal(ranges_equal(&list, &before), r != 0);
			ranges_free(&list);
			ranges_free(&other);
			ranges_free(&before);
		}
	}
}

/* Of the addresses of a name that has too many, the one that was seen longest ago goes, wherever it stands. */
static void test_held_oldest(void **state)
{
	for (unsigned oldest = 0; oldest < HELD_MAX; oldest += HELD_MAX / 4 - 1) {
		struct held held = { 0 };
		size_t count;
		(void)state;
		for (unsigned i = 0; i < HELD_MAX; i++) {
			struct addr addr = { FAMILY_4, { 198, 51, (uint8_t)(i >> 8), (uint8_t)i } };
			assert_int_equal(held_note(&held, "a.example", &addr, i == oldest ? 1 : 2 + i % 3), 0);
		}
		struct addr further = make_addr("203.0.113.1");
		assert_int_equal(held_note(&held, "a.example", &further, 9), 0);
		const struct held_address *items = held_of(&held, "a.example", &count);
		assert_int_equal(count, HELD_MAX);
		for (size_t i = 0; i < count; i++)
			assert_int_not_equal(items[i].seen_s, 1);
		held_free(&held);
	}
}

static void test_lines_end(void **state)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	assert_non_null(out);
	fputs("all of it", out);
	assert_string_equal(lines_end(out, &text), "all of it");
	free(text);
	/* What could not be written is no text, whether it shows before the end or there. */
	for (int early = 0; early < 2; early++) {
		out = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = refuse });
		assert_non_null(out);
		text = strdup("half");
		fputs("half", out);
		if (early) {
			fflush(out);
			assert_true(ferror(out));
		}
		assert_null(lines_end(out, &text));
		assert_null(text);
	}
}

/* Every byte that is no part of a printable character becomes '?'. */
static void test_printable(void **state)
{
	static const struct {
		const char *text, *printable;
	} cases[] = {
		{ "plain ~ text", "plain ~ text" },
		{ "\x1f\x20\x7e\x7f", "? ~?" },
		{ "\t\n\r\x1b[0m", "????[0m" },
		/* two bytes: from U+0080 on; but the control characters up to U+009F */
		{ "\xc2\xa0", "\xc2\xa0" },
		{ "\xc2\x9f", "??" },
		{ "\xdf\xbf", "\xdf\xbf" },
		{ "\xc3\xa4\xc3", "\xc3\xa4?" },
		{ "\xc1\xbf", "??" },
		{ "\xc3\x7f", "??" },
		{ "\xc3\xc3\xa4", "?\xc3\xa4" },
		{ "\x80\xbf", "??" },
		/* three: from U+0800 on, no surrogates */
		{ "\xe0\xa0\x80", "\xe0\xa0\x80" },
		{ "\xe0\x9f\xbf", "???" },
		{ "\xef\xbf\xbd", "\xef\xbf\xbd" },
		{ "\xed\x9f\xbf", "\xed\x9f\xbf" },
		{ "\xed\xa0\x80", "???" },
		{ "\xed\xbf\xbf", "???" },
		{ "\xee\x80\x80", "\xee\x80\x80" },
		{ "\xe2\x82", "??" },
		{ "\xe2\x82\x28", "?"
				  "?(" },
		/* four: from U+10000 to U+10FFFF */
		{ "\xf0\x90\x80\x80", "\xf0\x90\x80\x80" },
		{ "\xf0\x8f\xbf\xbf", "????" },
		{ "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
		{ "\xf4\x90\x80\x80", "????" },
		{ "\xf0\x9f\x98", "???" },
		{ "\xf5\x80\x80\x80", "????" },
		{ "\xff\xfe", "??" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char *text = strdup(cases[i].text); /* a block of its own: what is read beyond it is seen */
		assert_non_null(text);
		make_printable(text);
		assert_string_equal(text, cases[i].printable);
		free(text);
	}
}

static void test_health(void **state)
{
	struct health health = { 0 };

	(void)state;
	assert_string_equal(health_word(&health), "ok");
	health_add(&health, HEALTH_NAME_STALE, "%s is stale", "a.example.net");
	assert_string_equal(health_word(&health), "degraded");
	health_add(&health, HEALTH_TABLE_REMOVED, "removed");
	assert_string_equal(health_word(&health), "failed");
	health_add(&health, HEALTH_BRIDGE, "a bridge");
	assert_string_equal(health_word(&health), "failed");
	assert_int_equal(health.reasons.count, 3);
	assert_int_equal(health.reasons.items[0].code, HEALTH_NAME_STALE);
	assert_string_equal(health.reasons.items[0].text, "a.example.net is stale");
	assert_string_equal(health_kinds[HEALTH_NAME_STALE].name, "name-stale");
	assert_string_equal(health.reasons.items[1].remedy, "spefwctl reload"); /* without its marks */
	assert_null(health.reasons.items[2].remedy);                            /* not filled in yet */
	health_fill(&health, "sysctl\x1b -w");
	assert_string_equal(health.reasons.items[2].remedy, "sysctl? -w");
	health_add(&health, HEALTH_BRIDGE, "%s", "");
	assert_int_equal(health.reasons.count, 4);
	assert_false(health.out_of_memory);
	health_free(&health);
	assert_string_equal(health_word(&health), "ok");

	/* A reason that can't be kept is not nothing. */
	for (long n = 0; n < 2; n++) {
		allocations_left = n;
		health_add(&health, HEALTH_BRIDGE, "a bridge");
		allocations_left = -1;
		assert_true(health.out_of_memory);
		assert_int_equal(health.reasons.count, 0);
		assert_string_equal(health_word(&health), "degraded");
		health_free(&health);
	}
	health_fill(&health, "nothing was added");
	health_add(&health, HEALTH_STATE_UNSAVED, "unsaved");
	health_fill(&health, "/var");
	assert_string_equal(health.reasons.items[0].remedy, "let spefwd write in /var, or free disk space there");
	health_add(&health, HEALTH_CHANGE_FAILED, "for ever");
	assert_null(health.reasons.items[1].remedy); /* there is none */
	health_free(&health);
	for (size_t i = 0; i < HEALTH_CODES; i++) {
		const char *open = strchr(health_kinds[i].remedy, '<'), *close = open ? strchr(open, '>') : NULL;
		assert_true(!open || (close && !strchr(close, '<')));
	}
	/* Codes are for programs: each has a name of its own. */
	for (size_t i = 0; i < HEALTH_CODES; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(health_kinds[i].name, health_kinds[j].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_archive),     cmocka_unit_test(test_records_without_memory),
		cmocka_unit_test(test_held_oldest), cmocka_unit_test(test_ranges_without_memory),
		cmocka_unit_test(test_lines),       cmocka_unit_test(test_lines_end),
		cmocka_unit_test(test_printable),   cmocka_unit_test(test_health),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
