/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_ARRAY_H
#define SPEFW_ARRAY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Makes room for one more item in a growing array; 0 or -1 without memory (the array is then as it was). */
static inline int array_reserve(void **items, size_t count, size_t *capacity, size_t item_size)
{
	if (count < *capacity)
		return 0;
	size_t wanted = *capacity ? *capacity * 2 : 8;
	if (wanted > SIZE_MAX / item_size)
		return -1;
	void *grown = realloc(*items, wanted * item_size);
	if (!grown)
		return -1;
	*items = grown;
	*capacity = wanted;
	return 0;
}

/* ARRAY_PUSH(list, value): list has items, count and capacity. 0 or -1 without memory. */
#define ARRAY_PUSH(list, ...) \
	(array_reserve((void **)&(list)->items, (list)->count, &(list)->capacity, sizeof(*(list)->items)) \
	 ? -1 : ((list)->items[(list)->count++] = (__VA_ARGS__), 0))

#endif
