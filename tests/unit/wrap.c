/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An allocator that fails on request, for the objects that a test is linked with; and what they leave behind fails
 * the test, in builds without a sanitizer that sees it as well. */
#include "make.h"

#include <unistd.h>

long allocations_left = -1;
unsigned long allocations_refused;
int allocations_recover;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
int __real_vasprintf(char **ret, const char *format, va_list arguments);
int __real___vasprintf_chk(char **ret, int flag, const char *format, va_list arguments);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_vasprintf(char **ret, const char *format, va_list arguments);
int __wrap___vasprintf_chk(char **ret, int flag, const char *format, va_list arguments);
void __wrap_free(void *block);

/* Blocks that are in use, by address; a slot that is empty again is GONE. What the library allocates is not in it. */
static struct {
	uintptr_t *slots;
	size_t size, used;
} live;
enum { GONE = 1, LIVE_LEAST = 1024 };

static void enter(uintptr_t block)
{
	size_t at = (block >> 4) * 2654435761u & (live.size - 1);

	while (live.slots[at] > GONE)
		at = (at + 1) & (live.size - 1);
	live.used += live.slots[at] != GONE;
	live.slots[at] = block;
}

static void *note(void *block)
{
	if (!block)
		return NULL;
	if (2 * live.used >= live.size) {
		uintptr_t *old = live.slots;
		size_t size = live.size, in_use = 0;

		for (size_t i = 0; i < size; i++)
			in_use += old[i] > GONE;
		live.size = LIVE_LEAST;
		while (live.size < 4 * in_use)
			live.size *= 2;
		live.used = 0;
		live.slots = __real_calloc(live.size, sizeof(*live.slots));
		if (!live.slots)
			abort();
		for (size_t i = 0; i < size; i++)
			if (old[i] > GONE)
				enter(old[i]);
		__real_free(old);
	}
	enter((uintptr_t)block);
	return block;
}

static void forget(uintptr_t block)
{
	size_t at = (block >> 4) * 2654435761u & (live.size - 1);

	if (!block || !live.size)
		return;
	while (live.slots[at] && live.slots[at] != block)
		at = (at + 1) & (live.size - 1);
	if (live.slots[at])
		live.slots[at] = GONE;
}

static void __attribute__((destructor)) count_leaks(void)
{
	size_t count = 0;

	for (size_t i = 0; i < live.size; i++)
		count += live.slots[i] > GONE;
	if (!count)
		return;
	print_error("%zu blocks of memory were not freed\n", count);
	fflush(NULL);
	_exit(1);
}

void __wrap_free(void *block)
{
	forget((uintptr_t)block);
	__real_free(block);
}

static int may_allocate(void)
{
	if (allocations_left == 0) {
		allocations_refused++;
		if (allocations_recover)
			allocations_left = -1;
		return 0;
	}
	if (allocations_left > 0)
		allocations_left--;
	return 1;
}

void *__wrap_malloc(size_t size)
{
	return may_allocate() ? note(__real_malloc(size)) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return may_allocate() ? note(__real_calloc(count, size)) : NULL;
}

void *__wrap_realloc(void *old, size_t size)
{
	uintptr_t before = (uintptr_t)old;
	void *block = may_allocate() ? __real_realloc(old, size) : NULL;

	if (!block)
		return NULL;
	forget(before);
	return note(block);
}

char *__wrap_strdup(const char *text)
{
	return may_allocate() ? note(__real_strdup(text)) : NULL;
}

int __wrap_vasprintf(char **ret, const char *format, va_list arguments)
{
	int length = may_allocate() ? __real_vasprintf(ret, format, arguments) : -1;

	if (length >= 0)
		note(*ret);
	return length;
}

/* What vasprintf() is with _FORTIFY_SOURCE, as packages are built. */
int __wrap___vasprintf_chk(char **ret, int flag, const char *format, va_list arguments)
{
	int length = may_allocate() ? __real___vasprintf_chk(ret, flag, format, arguments) : -1;

	if (length >= 0)
		note(*ret);
	return length;
}
