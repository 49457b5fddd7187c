/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base64.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const char *bytes, size_t length)
{
	const unsigned char *in = (const unsigned char *)bytes;
	char *text = malloc((length + 2) / 3 * 4 + 1), *out = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < length; i += 3) {
		size_t left = length - i;
		uint32_t group =
			(uint32_t)in[i] << 16 | (uint32_t)(left > 1 ? in[i + 1] : 0) << 8 | (left > 2 ? in[i + 2] : 0);
		memcpy(out, "====", 4);
		for (size_t digit = 0; digit <= (left < 3 ? left : 3); digit++)
			out[digit] = digits[group >> (18 - 6 * digit) & 63];
		out += 4;
	}
	*out = '\0';
	return text;
}

char *base64_decode(const char *text, size_t *ret_length)
{
	size_t length = strlen(text), padding = 0, out = 0;
	char *bytes = length % 4 ? NULL : malloc(length / 4 * 3 + 1);

	while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; bytes && i < length; i += 4) {
		uint32_t group = 0;
		for (size_t j = i; j < i + 4; j++) {
			const char *digit = j < length - padding ? strchr(digits, text[j]) : digits;
			if (!digit) {
				free(bytes);
				return NULL;
			}
			group = group << 6 | (uint32_t)(digit - digits);
		}
		bytes[out++] = (char)(group >> 16);
		bytes[out++] = (char)(group >> 8);
		bytes[out++] = (char)group;
	}
	if (!bytes)
		return NULL;
	*ret_length = out - padding;
	bytes[*ret_length] = '\0';
	return bytes;
}
