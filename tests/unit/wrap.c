/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An allocator that fails when told to, for the objects that a test is linked with. */
#include "make.h"

long allocations_left = -1;
unsigned long allocations_refused;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
int __real_vasprintf(char **ret, const char *format, va_list arguments);
int __real___vasprintf_chk(char **ret, int flag, const char *format, va_list arguments);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_vasprintf(char **ret, const char *format, va_list arguments);
int __wrap___vasprintf_chk(char **ret, int flag, const char *format, va_list arguments);

static int may_allocate(void)
{
	if (allocations_left == 0) {
		allocations_refused++;
		return 0;
	}
	if (allocations_left > 0)
		allocations_left--;
	return 1;
}

void *__wrap_malloc(size_t size)
{
	return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return may_allocate() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *old, size_t size)
{
	return may_allocate() ? __real_realloc(old, size) : NULL;
}

char *__wrap_strdup(const char *text)
{
	return may_allocate() ? __real_strdup(text) : NULL;
}

int __wrap_vasprintf(char **ret, const char *format, va_list arguments)
{
	return may_allocate() ? __real_vasprintf(ret, format, arguments) : -1;
}

/* What vasprintf() is with _FORTIFY_SOURCE, as packages are built. */
int __wrap___vasprintf_chk(char **ret, int flag, const char *format, va_list arguments)
{
	return may_allocate() ? __real___vasprintf_chk(ret, flag, format, arguments) : -1;
}
