/* SPDX-License-Identifier: GPL-2.0-or-later */
/* It includes the module, for an allocator that fails on request. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "failing.h"
#include "core/observed_queries.c"
#include "failing_end.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct addr parse(const char *text)
{
	struct addr addr;
	assert_true(addr_parse(text, &addr));
	return addr;
}

static struct observed_question usual(void)
{
	struct observed_question question = { parse("192.0.2.25"), parse("198.51.100.53"), 50000, 53, 0x1234, 1, 1,
					      "my.mailstore.com" };
	return question;
}

static void add(struct observed_queries *queries, const struct observed_question *question, int64_t now)
{
	assert_int_equal(observed_queries_add(queries, question, now), 0);
}

static void test_once(void **state)
{
	struct observed_queries queries = { 0 };
	struct observed_question question = usual(), other = usual();

	(void)state;
	assert_false(observed_queries_take(&queries, &question, 0));
	add(&queries, &question, 0);
	assert_true(observed_queries_take(&queries, &question, 1));
	assert_false(observed_queries_take(&queries, &question, 1)); /* played again */
	add(&queries, &question,
	    2); /* sent again, after its answer: that may have been lost on its way to the server */
	assert_true(observed_queries_take(&queries, &question, 3));
	/* Sent again before: one query all the same. */
	add(&queries, &question, 4);
	add(&queries, &question, 5);
	assert_int_equal(queries.count, 1);
	assert_true(observed_queries_take(&queries, &question, 6));
	assert_false(observed_queries_take(&queries, &question, 6));
	/* Also where another one is before it. */
	other.id++;
	add(&queries, &other, 7);
	add(&queries, &question, 8);
	add(&queries, &question, 9);
	assert_int_equal(queries.count, 2);
	assert_true(observed_queries_take(&queries, &question, 10));
	assert_true(observed_queries_take(&queries, &other, 10));
	assert_int_equal(queries.count, 0);
	observed_queries_free(&queries);
}

static void test_time(void **state)
{
	struct observed_queries queries = { 0 };
	struct observed_question question = usual(), other = usual();

	(void)state;
	add(&queries, &question, 1000);
	assert_true(observed_queries_take(&queries, &question, 1000 + OBSERVED_QUERY_MS - 1));
	add(&queries, &question, 1000);
	assert_false(observed_queries_take(&queries, &question, 1000 + OBSERVED_QUERY_MS));
	assert_int_equal(queries.count, 0);
	/* Sent again: it is waited for again. The other one is not. */
	other.id++;
	add(&queries, &question, 2000);
	add(&queries, &other, 2000);
	add(&queries, &question, 9000);
	assert_false(observed_queries_take(&queries, &other, 2000 + OBSERVED_QUERY_MS));
	assert_true(observed_queries_take(&queries, &question, 9000 + OBSERVED_QUERY_MS - 1));
	observed_queries_free(&queries);
}

static void set_server(struct observed_question *question)
{
	question->server = parse("192.0.2.26");
}
static void set_server_6(struct observed_question *question)
{
	question->server = parse("2001:db8:2::25");
}
static void set_resolver(struct observed_question *question)
{
	question->resolver = parse("198.51.100.54");
}
static void set_port(struct observed_question *question)
{
	question->port++;
}
static void set_resolver_port(struct observed_question *question)
{
	question->resolver_port = 5353;
}
static void set_id(struct observed_question *question)
{
	question->id ^= 1;
}
static void set_id_end(struct observed_question *question)
{
	question->id ^= 0x8000;
}
static void set_type(struct observed_question *question)
{
	question->type = 28;
}
static void set_class(struct observed_question *question)
{
	question->class = 3;
}
static void set_name(struct observed_question *question)
{
	strcpy(question->name, "my.mailstore.co");
}
static void set_longer(struct observed_question *question)
{
	strcpy(question->name, "my.mailstore.com.example.net");
}
static void set_no_name(struct observed_question *question)
{
	question->name[0] = '\0';
}

/* Whatever is wrong, it is none; and the true one still is. */
static void test_each_part(void **state)
{
	static void (*const changes[])(struct observed_question *) = {
		set_server, set_server_6, set_resolver, set_port, set_resolver_port, set_id,
		set_id_end, set_type,     set_class,    set_name, set_longer,        set_no_name,
	};
	struct observed_queries queries = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		struct observed_question question = usual(), wrong = usual();
		add(&queries, &question, 0);
		changes[i](&wrong);
		assert_false(observed_queries_take(&queries, &wrong, 1));
		assert_int_equal(queries.count, 1);
		assert_true(observed_queries_take(&queries, &question, 1));
	}
	observed_queries_free(&queries);
}

/* Two families by one port, as stub resolvers query. */
static void test_side_by_side(void **state)
{
	struct observed_queries queries = { 0 };
	struct observed_question a = usual(), aaaa = usual(), crossed = usual();

	(void)state;
	aaaa.type = 28;
	aaaa.id++;
	crossed.type = 28;
	add(&queries, &a, 0);
	add(&queries, &aaaa, 0);
	assert_false(observed_queries_take(&queries, &crossed, 1)); /* the number of one, the question of the other */
	assert_true(observed_queries_take(&queries, &aaaa, 1));
	assert_true(observed_queries_take(&queries, &a, 1));
	observed_queries_free(&queries);
}

/* Who guesses numbers has few tries, also where the query is sent again meanwhile; a query by another port is not
 * touched. */
static void test_guesses(void **state)
{
	struct observed_queries queries = { 0 };
	struct observed_question question = usual(), wrong = usual(), elsewhere = usual();

	(void)state;
	elsewhere.port++;
	add(&queries, &question, 0);
	add(&queries, &elsewhere, 0);
	for (unsigned i = 1; i < OBSERVED_WRONG_MAX; i++) {
		wrong.id = (uint16_t)(question.id + i);
		assert_false(observed_queries_take(&queries, &wrong, 1));
	}
	add(&queries, &question, 2);
	assert_int_equal(queries.count, 2);
	wrong.id++;
	assert_false(observed_queries_take(&queries, &wrong, 3));
	assert_false(observed_queries_take(&queries, &question, 4));
	assert_true(observed_queries_take(&queries, &elsewhere, 4));
	assert_int_equal(queries.count, 0);
	observed_queries_free(&queries);
}

static void test_bound(void **state)
{
	struct observed_queries queries = { 0 };
	struct observed_question question = usual(), neighbour = usual();

	(void)state;
	neighbour.server = parse("192.0.2.26");
	add(&queries, &neighbour, 0);
	for (unsigned i = 0; i < 3 * OBSERVED_QUERIES_MAX; i++) {
		question.port = (uint16_t)(1024 + i);
		add(&queries, &question, 1);
		assert_true(queries.count <= OBSERVED_QUERIES_MAX);
	}
	/* The newest of the busy one are there, its oldest are not; and its neighbour lost nothing. */
	assert_true(observed_queries_take(&queries, &question, 2));
	question.port = 1024;
	assert_false(observed_queries_take(&queries, &question, 2));
	assert_true(observed_queries_take(&queries, &neighbour, 2));
	/* A neighbour that comes later gets in as well. */
	for (unsigned i = 0; i < OBSERVED_QUERIES_MAX; i++) {
		question.port = (uint16_t)(1024 + i);
		add(&queries, &question, 3);
	}
	add(&queries, &neighbour, 4);
	assert_int_equal(queries.count, OBSERVED_QUERIES_MAX);
	assert_true(observed_queries_take(&queries, &neighbour, 5));
	observed_queries_free(&queries);
}

/* Where all are another server's, the oldest of those gives way; the one that needs room is there. */
static void test_another_server(void **state)
{
	struct observed_queries queries = { 0 };
	struct observed_question question = usual(), other = usual();

	(void)state;
	for (unsigned i = 0; i < OBSERVED_QUERIES_MAX; i++) {
		question.id = (uint16_t)i;
		question.port = (uint16_t)(1000 + i / 60000);
		add(&queries, &question, i / 100);
	}
	other.server = parse("192.0.2.26");
	add(&queries, &other, OBSERVED_QUERIES_MAX / 100);
	assert_int_equal(queries.count, OBSERVED_QUERIES_MAX);
	assert_true(observed_queries_take(&queries, &other, OBSERVED_QUERIES_MAX / 100));
	question.port = 1000;
	question.id = 0;
	assert_false(observed_queries_take(&queries, &question, OBSERVED_QUERIES_MAX / 100));
	question.id = 1;
	assert_true(observed_queries_take(&queries, &question, OBSERVED_QUERIES_MAX / 100));
	observed_queries_free(&queries);
}

static void test_memory(void **state)
{
	struct observed_queries queries = { 0 };
	struct observed_question question = usual();

	(void)state;
	allocations_left = 0;
	assert_int_equal(observed_queries_add(&queries, &question, 0), -ENOMEM);
	assert_false(observed_queries_take(&queries, &question, 0));
	allocations_left = -1;
	add(&queries, &question, 0);
	assert_true(observed_queries_take(&queries, &question, 0));
	observed_queries_free(&queries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once),           cmocka_unit_test(test_time),    cmocka_unit_test(test_each_part),
		cmocka_unit_test(test_side_by_side),   cmocka_unit_test(test_guesses), cmocka_unit_test(test_bound),
		cmocka_unit_test(test_another_server), cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
