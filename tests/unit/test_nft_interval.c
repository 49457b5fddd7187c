/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nft/interval.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_order(void **state)
{
	struct nft_edge edges[] = {
		{ { 1, 0 }, false }, { { 0, 9 }, false }, { { 1, 0 }, true }, { { 0, 200 }, true }, { { 2 }, true },
	};
	static const uint8_t keys[][2] = { { 0, 9 }, { 0, 200 }, { 1, 0 }, { 1, 0 }, { 2, 0 } };
	static const bool ends[] = { false, true, true, false, true };

	(void)state;
	qsort(edges, 5, sizeof(edges[0]), nft_edge_order);
	for (size_t i = 0; i < 5; i++) {
		assert_memory_equal(edges[i].key, keys[i], 2);
		assert_int_equal(edges[i].end, ends[i]);
	}
}

static void test_last_key(void **state)
{
	static const struct {
		uint8_t next[4], last[4];
	} all[] = {
		{ { 192, 0, 2, 26 }, { 192, 0, 2, 25 } },
		{ { 192, 0, 3, 0 }, { 192, 0, 2, 255 } },
		{ { 193, 0, 0, 0 }, { 192, 255, 255, 255 } },
		{ { 0, 0, 0, 1 }, { 0, 0, 0, 0 } },
	};
	uint8_t last[KEY_SIZE_MAX] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct nft_edge next = { .end = true };
		memcpy(next.key, all[i].next, 4);
		nft_last_key(last, &next, 4);
		assert_memory_equal(last, all[i].last, 4);
		assert_int_equal(last[4], 0);
	}
	nft_last_key(last, NULL, 2);
	assert_memory_equal(last, ((uint8_t[]){ 255, 255, 0, 0 }), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_last_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
