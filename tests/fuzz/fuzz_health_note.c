// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/health_note.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int fuzz_one(const uint8_t *bytes, size_t length);

/* Whatever is taken for a note is written to be read again, as what it was. */
int fuzz_one(const uint8_t *bytes, size_t length)
{
	struct health health, again;
	char *text = malloc(length + 1);

	if (!text)
		return 0;
	memcpy(text, bytes, length);
	text[length] = '\0';
	int r = health_note_read(text, length, &health);
	free(text);
	if (r < 0)
		return 0;
	char *written = health_note_write(&health);
	if (written) {
		if (health_note_read(written, strlen(written), &again) < 0 ||
		    health_mask(&again) != health_mask(&health))
			abort();
		health_free(&again);
	}
	free(written);
	health_free(&health);
	return 0;
}
