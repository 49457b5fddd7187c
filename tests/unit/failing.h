/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For a test that includes the source it is about: from here on its allocator fails on request, and
 * counts. Behind that source,
 * #include "failing_end.h". */
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static long allocations_left = -1; /* < 0: never fail */
static long blocks_in_use;         /* that the source has, and has not freed */

static bool may_allocate(void)
{
	if (allocations_left > 0)
		allocations_left--;
	else if (allocations_left == 0)
		return false;
	return true;
}

__attribute__((unused)) static void *failing_realloc(void *old, size_t size)
{
	void *block = may_allocate() ? realloc(old, size) : NULL;

	blocks_in_use += block && !old;
	return block;
}

__attribute__((unused)) static void *failing_calloc(size_t count, size_t size)
{
	void *block = may_allocate() ? calloc(count, size) : NULL;

	blocks_in_use += block != NULL;
	return block;
}

__attribute__((unused)) static char *failing_strdup(const char *text)
{
	char *copy = may_allocate() ? strdup(text) : NULL;

	blocks_in_use += copy != NULL;
	return copy;
}

__attribute__((unused)) static void counting_free(void *block)
{
	blocks_in_use -= block != NULL;
	free(block);
}

#undef strdup
#define free counting_free
#define realloc failing_realloc
#define calloc failing_calloc
#define strdup failing_strdup
