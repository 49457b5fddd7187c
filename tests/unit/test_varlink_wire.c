/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void feed(struct wire_buffer *buffer, const char *bytes, size_t count)
{
	while (count) {
		size_t room;
		char *at = wire_room(buffer, &room);
		assert_non_null(at);
		size_t n = count < room ? count : room;
		memcpy(at, bytes, n);
		wire_filled(buffer, n);
		bytes += n;
		count -= n;
	}
}

#define FEED(buffer, literal) feed(buffer, literal, sizeof(literal))

static void test_messages_come_out_in_order(void **state)
{
	static const char bytes[] = "{\"method\":\"a.B\"}\0{\"method\":\"a.C\",\"more\":true}";
	struct wire_buffer buffer = { 0 };
	struct wire_call call;
	json_t *message;

	(void)state;
	FEED(&buffer, bytes);
	assert_int_equal(wire_take(&buffer, 1000, &message), 1);
	assert_int_equal(wire_read_call(message, &call), 0);
	assert_string_equal(call.method, "a.B");
	assert_null(call.parameters);
	assert_false(call.more);
	json_decref(message);
	assert_int_equal(wire_take(&buffer, 1000, &message), 1);
	assert_int_equal(wire_read_call(message, &call), 0);
	assert_string_equal(call.method, "a.C");
	assert_true(call.more);
	json_decref(message);
	assert_int_equal(wire_take(&buffer, 1000, &message), 0);
	assert_int_equal(wire_length(&buffer), 0);
	assert_null(buffer.bytes); /* an idle buffer costs nothing */
}

static void test_byte_by_byte(void **state)
{
	static const char bytes[] = "{\"method\":\"a.B\",\"parameters\":{\"x\":[1,2]}}";
	struct wire_buffer buffer = { 0 };
	json_t *message;

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(bytes); i++) {
		feed(&buffer, bytes + i, 1);
		assert_int_equal(wire_take(&buffer, 1000, &message), 0);
	}
	feed(&buffer, "", 1);
	assert_int_equal(wire_take(&buffer, 1000, &message), 1);
	json_decref(message);
	wire_buffer_free(&buffer);
}

static void test_printable(void **state)
{
	static const struct {
		const char *text, *printable;
	} cases[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "b\303\274ro", "b\303\274ro" }, /* UTF-8 */
		{ "b\374ro", "b?ro" },            /* Latin-1 */
		{ "cut \303", "cut ?" },
		{ "cut \360\237\222", "cut ???" }, /* in the middle of a character */
		{ "\300\200", "??" },
		{ "\355\240\200", "???" },
		{ "\377\376", "??" },
		{ "\303\274\374", "\303\274?" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *value = json_printable(cases[i].text);
		assert_string_equal(json_string_value(value), cases[i].printable);
		json_decref(value);
	}
}

static void test_bounds(void **state)
{
	struct wire_buffer buffer = { 0 };
	json_t *message;

	(void)state;
	FEED(&buffer, "{\"a\":1}");
	assert_int_equal(wire_take(&buffer, 7, &message), -EMSGSIZE);
	assert_int_equal(wire_take(&buffer, 8, &message), 1);
	json_decref(message);
	/* Too long already, though its end has not come. */
	feed(&buffer, "{\"a\":   ", 8);
	assert_int_equal(wire_take(&buffer, 8, &message), -EMSGSIZE);
	wire_buffer_free(&buffer);
}

static void test_garbage(void **state)
{
	static const struct {
		const char *bytes;
		size_t count;
	} all[] = {
#define GARBAGE(text) { text, sizeof(text) }
		GARBAGE(""),
		GARBAGE("x"),
		GARBAGE("[]"),
		GARBAGE("\"text\""),
		GARBAGE("{\"a\":1"),
		GARBAGE("{\"a\":1}}"),
		GARBAGE("{\"a\":1,\"a\":2}"),
		GARBAGE("{\"a\":\"\\u0000\"}"),
		GARBAGE("{\"a\":\"\xff\"}"),
		GARBAGE("{\"a\":1e999}"),
		GARBAGE("{} {}"),
		GARBAGE("GET / HTTP/1.1\r\n\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct wire_buffer buffer = { 0 };
		json_t *message;
		feed(&buffer, all[i].bytes, all[i].count);
		assert_int_equal(wire_take(&buffer, 1000, &message), -EBADMSG);
		wire_buffer_free(&buffer);
	}
}

static void test_deep_nesting_is_refused(void **state)
{
	enum { DEPTH = 100000 };
	struct wire_buffer buffer = { 0 };
	char *deep = malloc(DEPTH);
	json_t *message;

	(void)state;
	assert_non_null(deep);
	memset(deep, '[', DEPTH);
	feed(&buffer, "{\"a\":", 5);
	feed(&buffer, deep, DEPTH);
	feed(&buffer, "", 1);
	assert_int_equal(wire_take(&buffer, 1 << 20, &message), -EBADMSG);
	wire_buffer_free(&buffer);
	free(deep);
}

static int read_call_text(const char *text)
{
	json_t *message = json_loads(text, 0, NULL);
	struct wire_call call;

	assert_non_null(message);
	int r = wire_read_call(message, &call);
	json_decref(message);
	return r;
}

static void test_calls_of_wrong_types(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"method\":1}",
		"{\"method\":\"a.B\",\"parameters\":[]}",
		"{\"method\":\"a.B\",\"more\":1}",
		"{\"method\":\"a.B\",\"oneway\":\"yes\"}",
		"{\"method\":\"a.B\",\"oneway\":true,\"more\":true}",
		"{\"method\":\"a.B\",\"upgrade\":null}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(read_call_text(bad[i]), -EBADMSG);
	assert_int_equal(read_call_text("{\"method\":\"a.B\",\"parameters\":null,\"later\":1}"), 0);
}

static void test_replies(void **state)
{
	struct wire_reply reply;
	json_t *message = wire_error_new("a.B", json_pack("{s:i}", "x", 1));

	(void)state;
	assert_int_equal(wire_read_reply(message, &reply), 0);
	assert_string_equal(reply.error, "a.B");
	assert_int_equal(json_integer_value(json_object_get(reply.parameters, "x")), 1);
	json_decref(message);
	message = wire_reply_new(NULL, true);
	assert_int_equal(wire_read_reply(message, &reply), 0);
	assert_null(reply.error);
	assert_null(reply.parameters);
	assert_true(reply.continues);
	json_object_set_new(message, "error", json_integer(1));
	assert_int_equal(wire_read_reply(message, &reply), -EBADMSG);
	json_decref(message);
}

static void test_put_and_take_are_inverse(void **state)
{
	struct wire_buffer buffer = { 0 };
	json_t *back;

	(void)state;
	for (int i = 0; i < 100; i++) {
		json_t *message = wire_call_new("a.B", json_pack("{s:i}", "x", i));
		assert_int_equal(wire_put(&buffer, message, 1 << 20), 0);
		json_decref(message);
	}
	for (int i = 0; i < 100; i++) {
		struct wire_call call;
		assert_int_equal(wire_take(&buffer, 1000, &back), 1);
		assert_int_equal(wire_read_call(back, &call), 0);
		assert_int_equal(json_integer_value(json_object_get(call.parameters, "x")), i);
		json_decref(back);
	}
	assert_int_equal(wire_length(&buffer), 0);
}

static void test_put_is_all_or_nothing(void **state)
{
	struct wire_buffer buffer = { 0 };
	json_t *message = json_pack("{s:s}", "a", "0123456789"); /* 18 bytes, 19 with the NUL */

	(void)state;
	assert_int_equal(wire_put(&buffer, message, 18), -EMSGSIZE);
	assert_int_equal(wire_length(&buffer), 0);
	assert_int_equal(wire_put(&buffer, message, 19), 0);
	assert_int_equal(wire_length(&buffer), 19);
	assert_int_equal(wire_put(&buffer, message, 37), -EMSGSIZE);
	assert_int_equal(wire_length(&buffer), 19);
	wire_consume(&buffer, 5);
	assert_int_equal(wire_put(&buffer, message, 33), 0);
	assert_int_equal(wire_length(&buffer), 33);
	assert_string_equal(buffer.bytes + buffer.start, "\"0123456789\"}");
	wire_buffer_free(&buffer);
	json_decref(message);
}

/* Wherever the bound falls, also within a key: nothing is there, or all of it. */
static void test_put_at_every_bound(void **state)
{
	json_t *message = json_pack("{s:{s:b, s:i}}", "parameters", "changed", 1, "generation", 7);
	char *text = json_dumps(message, JSON_COMPACT);

	(void)state;
	for (size_t max = 1; max <= strlen(text); max++) {
		struct wire_buffer buffer = { 0 };
		assert_int_equal(wire_put(&buffer, message, max), -EMSGSIZE);
		assert_int_equal(wire_length(&buffer), 0);
		wire_buffer_free(&buffer);
	}
	free(text);
	json_decref(message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_come_out_in_order),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_printable),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_deep_nesting_is_refused),
		cmocka_unit_test(test_calls_of_wrong_types),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_put_and_take_are_inverse),
		cmocka_unit_test(test_put_is_all_or_nothing),
		cmocka_unit_test(test_put_at_every_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
