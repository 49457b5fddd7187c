/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "printable.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Control characters of ISO 8859, and what hides text or changes its order: zero width, line breaks, directions. */
static bool is_invisible(uint32_t character)
{
	return character < 0xa0 || (character >= 0x200b && character <= 0x200f) ||
	       (character >= 0x2028 && character <= 0x202e) || (character >= 0x2066 && character <= 0x2069) ||
	       character == 0xfeff;
}

/* Bytes of the well-formed UTF-8 character at text that is fit to print; 0 where there is none. */
static size_t printable_length(const unsigned char *text)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = text[0] < 0x80   ? 1
			: text[0] < 0xc2 ? 0
			: text[0] < 0xe0 ? 2
			: text[0] < 0xf0 ? 3
			: text[0] < 0xf5 ? 4
					 : 0;
	uint32_t character;

	if (length < 2)
		return length && text[0] >= 0x20 && text[0] != 0x7f;
	character = text[0] & (0x7fU >> length);
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (text[i] & 0x3f);
	}
	/* Overlong forms, surrogates, and what is beyond Unicode. */
	if (character < least[length] || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
		return 0;
	return is_invisible(character) ? 0 : length;
}

void make_printable(char *text)
{
	while (*text) {
		size_t length = printable_length((const unsigned char *)text);

		if (!length)
			*text = '?';
		text += length ? length : 1;
	}
}
