/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_ARRAY_H
#define SPEFW_ARRAY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* A larger block for a growing array, *capacity updated; NULL without memory (block and capacity are then as they
 * were). */
static inline void *array_grow(void *items, size_t *capacity, size_t item_size)
{
	size_t wanted = *capacity ? *capacity * 2 : 8;
	if (wanted > SIZE_MAX / item_size)
		return NULL;
	void *grown = realloc(items, wanted * item_size);
	if (grown)
		*capacity = wanted;
	return grown;
}

/* ARRAY_PUSH(list, value): list points to a struct with items, count and capacity. 0, or -1 without memory. */
#define ARRAY_PUSH(list, ...)                                                                               \
	({                                                                                                  \
		__typeof__(list) list_ = (list);                                                            \
		void *items_ = list_->count < list_->capacity                                               \
				       ? (void *)list_->items                                               \
				       : array_grow(list_->items, &list_->capacity, sizeof(*list_->items)); \
		if (items_) {                                                                               \
			list_->items = items_;                                                              \
			list_->items[list_->count++] = (__VA_ARGS__);                                       \
		}                                                                                           \
		items_ ? 0 : -1;                                                                            \
	})

#endif
