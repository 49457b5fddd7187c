/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What spefwd tells of health in a file, and what is refused of it. */
#include "core/health_note.h"

#include "make.h"

#include <errno.h>

#define FIRST "spefw-health 1\n"

static int read_text(const char *text, struct health *ret)
{
	return health_note_read(text, strlen(text), ret);
}

static void test_both_ways(void **state)
{
	struct health health = { 0 }, read;

	(void)state;
	char *text = health_note_write(&health);
	assert_string_equal(text, FIRST);
	assert_int_equal(read_text(text, &read), 0);
	assert_string_equal(health_word(&read), "ok");
	health_free(&read);
	free(text);

	health_add(&health, HEALTH_NAME_STALE, "a.example.net is stale");
	health_add(&health, HEALTH_TABLE_REMOVED, "it was removed");
	health_add(&health, HEALTH_NAME_STALE, "b.example.net is stale");
	text = health_note_write(&health);
	assert_string_equal(text, FIRST "name-stale a.example.net is stale (and 1 more)\n"
					"table-removed it was removed\n");
	assert_int_equal(read_text(text, &read), 0);
	assert_string_equal(health_word(&read), "failed");
	assert_true(health_mask(&read) == health_mask(&health));
	assert_string_equal(read.reasons.items[0].text, "a.example.net is stale (and 1 more)");
	health_free(&read);
	health_free(&health);
	free(text);
}

/* However long and however many. */
static void test_bounds(void **state)
{
	struct health health = { 0 }, read;
	char *long_text = calloc(1, 100001);

	(void)state;
	memset(long_text, 'x', 100000);
	for (enum health_code code = 0; code < HEALTH_CODES; code++)
		for (int i = 0; i < 3; i++)
			health_add(&health, code, "%s", long_text);
	char *text = health_note_write(&health);
	assert_true(strlen(text) <= HEALTH_NOTE_MAX);
	assert_int_equal(read_text(text, &read), 0);
	assert_int_equal(read.reasons.count, HEALTH_CODES);
	health_free(&read);
	free(text);
	health.out_of_memory = true;
	assert_null(health_note_write(&health));
	health_free(&health);
	free(long_text);
}

static void test_refused(void **state)
{
	static const char *const texts[] = { "",
					     "spefw-health 1",
					     "spefw-health 2\n",
					     FIRST "name-stale",
					     FIRST "name-stale\n",
					     FIRST "name-stale \n",
					     FIRST "name-stale x",
					     FIRST "name-stal x\n",
					     FIRST "name-stalee x\n",
					     FIRST " x\n",
					     FIRST "\n",
					     FIRST "name-stale x\nname-stale y\n",
					     FIRST "name-stale x\nunknown y\n" };
	char over[HEALTH_NOTE_TEXT_MAX + 100];
	struct health read;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		assert_int_equal(read_text(texts[i], &read), -EBADMSG);
		assert_int_equal(read.reasons.count, 0);
	}
	snprintf(over, sizeof(over), FIRST "name-stale %0*d\n", HEALTH_NOTE_TEXT_MAX, 1);
	assert_int_equal(read_text(over, &read), 0);
	health_free(&read);
	snprintf(over, sizeof(over), FIRST "name-stale %0*d\n", HEALTH_NOTE_TEXT_MAX + 1, 1);
	assert_int_equal(read_text(over, &read), -EBADMSG);
	assert_int_equal(health_note_read(FIRST "\0name-stale x\n", sizeof(FIRST "\0name-stale x\n") - 1, &read),
			 -EBADMSG);
	/* Nothing that could drive a terminal comes through. */
	assert_int_equal(read_text(FIRST "name-stale \033[2J\r\xff\n", &read), 0);
	assert_string_equal(read.reasons.items[0].text, "?[2J??");
	health_free(&read);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_both_ways), cmocka_unit_test(test_bounds),
					    cmocka_unit_test(test_refused) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
