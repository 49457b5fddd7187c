/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SPEFW_HASH_H
#define SPEFW_HASH_H

#include <stddef.h>
#include <stdint.h>

/* FNV-1a: shows whether bytes are the same as before. Against accidents and worn media; it can be forged. */
static const uint64_t HASH_START = UINT64_C(0xcbf29ce484222325);

/* The hash of what start is the hash of, with these bytes behind it. */
static inline uint64_t hash_bytes(uint64_t start, const void *bytes, size_t length)
{
	for (const unsigned char *byte = bytes; length > 0; byte++, length--)
		start = (start ^ *byte) * UINT64_C(0x100000001b3);
	return start;
}

#endif
